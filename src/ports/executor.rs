//! Running a task's graphs on local data, contained.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::PortError;
use super::certificates::Certificates;
use super::metrics::Load;
use delta_domain::bundle::{Bundle, BundleLimits};
use delta_domain::catalogue::Outline;
use delta_domain::ids::{DatasetName, Digest, Name};
use delta_domain::records::proof::ReleaseProof;
use delta_domain::records::{ReleaseRules, ReleasedRows};
use delta_domain::secret::Secret;
use delta_domain::tensor::Tensor;

/// The runtime in use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuntimeInfo {
    /// `onnxruntime` or `tract`.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The library's path, when it is one.
    pub library: Option<String>,
}

/// Where the iterators of a member's `resume` steps stand, by step index within the map. Kept between rounds.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct IteratorStates(pub BTreeMap<u32, IteratorState>);

/// Where one batch iterator stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct IteratorState {
    /// Completed passes; the order of a pass is a function of the driver's seed and this number.
    pub epoch: u64,
    /// Rows consumed of the current pass.
    pub position: u64,
    /// Batches run so far, over all rounds; noise is a function of the seed and this number.
    pub batches: u64,
}

/// A map to run.
#[derive(Debug, Clone)]
pub struct MapJob {
    /// The task's bundle, opened and checked.
    pub bundle: Arc<Bundle>,
    /// The step of the task, from 0 (see `Manifest::round_spec`).
    pub step: u32,
    /// Every variable that the map reads, server's and member's.
    pub variables: BTreeMap<Name, Tensor>,
    /// Where this member's iterators stand.
    pub iterators: IteratorStates,
    /// What must hold of the sums of `records` steps before they leave; `None` where the owner has allowed this very task.
    pub rules: Option<ReleaseRules>,
    /// This node's seed for noise in graphs (dropout and the like), of this round; `None` where the task asks for the same result of the same
    /// rounds.
    pub noise_seed: Option<Secret<32>>,
}

/// What a map made.
#[derive(Debug, Clone, PartialEq)]
pub struct MapOutcome {
    /// One tensor a contribution, in the manifest's order, with exactly its dtype and shape.
    pub contributions: Vec<Tensor>,
    /// New values of client variables.
    pub assigned: BTreeMap<Name, Tensor>,
    /// Where the iterators stand now.
    pub iterators: IteratorStates,
    /// Rows read, for the log of this node only.
    pub rows: u64,
    /// Which records the sums of `records` steps count, one a step, where there are rules for such sums. For this node only.
    pub released: Vec<ReleasedRows>,
}

/// A reduce to run.
#[derive(Debug, Clone)]
pub struct ReduceJob {
    /// The task's bundle.
    pub bundle: Arc<Bundle>,
    /// The step of the task, from 0.
    pub step: u32,
    /// Every server variable that the reduce reads.
    pub variables: BTreeMap<Name, Tensor>,
    /// The sums, one a contribution, with its dtype and shape.
    pub sums: BTreeMap<Name, Tensor>,
    /// How many members contributed.
    pub clients: u32,
}

/// What a reduce made.
#[derive(Debug, Clone, PartialEq)]
pub struct ReduceOutcome {
    /// New values of server variables.
    pub assigned: BTreeMap<Name, Tensor>,
    /// Numbers to show.
    pub metrics: BTreeMap<String, f64>,
    /// Whether the task ends here.
    pub stop: bool,
}

/// One dataset of this node, as far as it can be told without reading it whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatasetSummary {
    /// Its name.
    pub name: DatasetName,
    /// Its form in plain words: `table, 534 rows, 11 columns`.
    pub description: String,
}

impl DatasetSummary {
    /// Whether tasks can read it at all, as far as was looked.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        !self.description.starts_with("unusable")
    }

    /// The number in front of `rows` or `samples` in the description. `None` where there is none: an array, a folder of two parts, a
    /// table that is too long to be counted (`more than`).
    #[must_use]
    pub fn rows(&self) -> Option<u64> {
        let description = &self.description;
        let words: Vec<&str> = description
            .split([' ', ','])
            .filter(|w| !w.is_empty())
            .collect();
        let at = words
            .iter()
            .position(|w| matches!(*w, "rows" | "samples"))?;
        let before = words.get(..at)?;
        if before.contains(&"than") || description.starts_with("folder") {
            return None;
        }
        before.last()?.parse().ok()
    }
}

/// For whom a bundle is opened and judged. Each has a turn of its own, so that neither waits for the other, nor for maps and reduces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Whose {
    /// This node's own: its author waits for the answer.
    Own,
    /// Another node's.
    Others,
}

/// What of a step is about to be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// A member's.
    Map,
    /// A coordinator's.
    Reduce,
}

/// Executes graphs.
///
/// Obligations on implementers:
/// - What a stranger packed is unpacked, checked and loaded in another process, within a time and a memory that suffice for that and
///   no more; running maps do not wait for it, nor it for them.
/// - A graph is checked before any runtime sees it, and runs in another process with limits on memory, time and files.
/// - Trouble made by the task fails with `Rejected` (forbidden or malformed graph, wrong shapes) or `Exhausted`/`Timeout` (limits),
///   trouble with local data with `NotFound` (no such dataset) or `Corrupt` (unreadable, other columns, other shape), each naming the thing.
/// - Dropping a future kills the execution.
#[async_trait]
pub trait Executor: Send + Sync + 'static {
    /// The runtime in use, looked for when first asked; its name is `none` as long as there is none.
    async fn runtime(&self) -> RuntimeInfo;

    /// Where certificates are made and checked; `None` in a program that was built without them.
    fn certificates(&self) -> Option<&dyn Certificates> {
        None
    }

    /// How busy its workers are.
    fn load(&self) -> Load {
        Load::default()
    }

    /// Opens a bundle and checks everything in it but its graphs. The caller has compared its digest.
    async fn open_bundle(
        &self,
        bytes: Vec<u8>,
        limits: &BundleLimits,
        whose: Whose,
    ) -> Result<Arc<Bundle>, PortError>;

    /// Checks all graphs of a bundle against its manifest and this node's limits, and finds out whether what leaves is a sum over records
    /// that the graphs keep apart. Reads no data. A task that is not proven is no error: it is a question for the data's owner.
    async fn check_graphs(
        &self,
        bundle: &Arc<Bundle>,
        whose: Whose,
    ) -> Result<ReleaseProof, PortError>;

    /// Checks that every dataset the bundle names is here and looks as the manifest says.
    async fn check_data(&self, bundle: &Arc<Bundle>) -> Result<(), PortError>;

    /// A part of this step will probably be asked for within seconds: what needs neither data nor the job may be done until then, in the
    /// background. Promises nothing, and fails at nothing.
    fn prepare(&self, _bundle: &Arc<Bundle>, _step: u32, _part: Part) {}

    /// Runs the map of one step.
    async fn map(&self, job: MapJob) -> Result<MapOutcome, PortError>;

    /// Runs the reduce of one step.
    async fn reduce(&self, job: ReduceJob) -> Result<ReduceOutcome, PortError>;

    /// Those of these datasets that are here, by name. Files that have not changed since the last call are not read again.
    async fn describe(
        &self,
        names: &BTreeSet<DatasetName>,
    ) -> Result<Vec<DatasetSummary>, PortError>;

    /// Names and plain types of a table's columns. A file that has not changed since the last call is not read again.
    async fn outline(&self, name: &DatasetName) -> Result<Outline, PortError>;

    /// What tells this content of a dataset from any other. The whole file is read where it has changed since the last call.
    async fn version(&self, name: &DatasetName) -> Result<Digest, PortError>;

    /// The datasets of this node.
    async fn datasets(&self) -> Result<Vec<DatasetSummary>, PortError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_counted_where_the_description_counts_them() {
        for (text, rows) in [
            ("table, 534 rows, 11 columns", Some(534)),
            ("table, more than 1000000 rows, 3 columns", None),
            ("113 samples in 2 classes", Some(113)),
            ("folder with train (8 samples) and val (2 samples)", None),
            ("unusable: it is empty", None),
            ("array of f32, shape [3, 4]", None),
        ] {
            let summary = DatasetSummary {
                name: "any.csv".parse().unwrap(),
                description: text.to_owned(),
            };
            assert_eq!(summary.rows(), rows, "{text}");
        }
    }
}
