//! Noise that hides what a whole member adds, whatever its graphs are: the node bounds all numbers of a round together.

use serde::{Deserialize, Serialize};

use crate::privacy::noise::{Multiplier, MultiplierError};

/// What a map asks of noise for its members.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct MemberNoise {
    /// Largest Euclidean norm of all numbers that a member contributes in the round, in the unit of the numbers; above 0. What is larger is
    /// scaled down.
    pub l2: f64,
    /// Standard deviation of the noise in each sum, in units of `l2`: a decimal fraction as text, `"1.3"`, so that every node reads the same
    /// number.
    pub multiplier: String,
    /// The delta at which the cost is stated, above 0 and below 1.
    pub delta: f64,
}

impl MemberNoise {
    /// The multiplier as a number.
    ///
    /// # Errors
    /// [`MultiplierError`]: the text is none.
    pub fn multiplier(&self) -> Result<Multiplier, MultiplierError> {
        self.multiplier.parse()
    }
}
