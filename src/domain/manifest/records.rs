//! The driver `records`: what one record becomes is the graph's affair; bounding, counting, summing and noise are the node's.
//!
//! Here is what a task may ask of it. That the graph keeps records apart is proven by the node (`records/proof.rs`), not said here.

use serde::{Deserialize, Serialize};

use super::dataset::Subset;
use crate::ids::DatasetName;
use crate::privacy::noise::{Multiplier, MultiplierError};

/// Every record of one dataset through a graph, and the sum of what comes out.
///
/// Each output has one block for each record of the batch as its first axis, and becomes a sum over all records. Results do not depend
/// on how many records a batch has; the node chooses that.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Records {
    /// The dataset whose rows are the records. Every `data` source of the step is one of its fields.
    pub dataset: DatasetName,
    /// Which of its rows.
    #[serde(default)]
    pub subset: Subset,
    /// Whose records belong together; without it each record is on its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<RecordUnit>,
    /// How large the vector of one unit may be; a larger one is scaled down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clip: Option<RecordClip>,
    /// Noise that the members add to the sum.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub noise: Option<RecordNoise>,
}

/// Whose records belong together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RecordUnit {
    /// A declared column of the table: rows with the same number in it are of one person, and their vectors are summed before clipping.
    pub key: String,
}

/// How large the vector of one unit may be, over all sums of the step together.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RecordClip {
    /// Largest Euclidean norm, in the unit of the numbers; above 0.
    pub l2: f64,
    /// Largest magnitude of a single number; above 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub linf: Option<f64>,
}

/// Noise on the sum over all members.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RecordNoise {
    /// Standard deviation in units of `clip.l2`: a decimal fraction as text, `"1.3"`, so that every node reads the same number.
    pub multiplier: String,
    /// The delta at which the cost is stated, above 0 and below 1.
    pub delta: f64,
}

impl RecordNoise {
    /// The multiplier as a number.
    ///
    /// # Errors
    /// [`MultiplierError`]: the text is none.
    pub fn multiplier(&self) -> Result<Multiplier, MultiplierError> {
        self.multiplier.parse()
    }
}
