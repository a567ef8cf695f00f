//! `task.json`, format `delta-task/1`: everything a data owner needs to judge a task, as plain data.
//!
//! A task is a list of rounds. In a round each member runs a *map*: steps that execute graphs on local data and on variables.
//! Named results of the map are contributed and summed under secure aggregation; the *reduce* runs on the sums at the coordinator.
//! What may go wrong inside a well-formed manifest is checked by [`Manifest::errors`] (`manifest/check.rs`).

mod check;
mod disclosure;
#[cfg(feature = "schema")]
mod schema;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::ids::{DatasetName, Name};
use super::strategy::Strategy;
use super::task::TaskKind;
use super::tensor::DType;

pub use check::{MAX_CONTRIBUTION_LEN, MAX_ROUNDS, MAX_SYSTEM, MAX_VARIABLE_BYTES, ManifestError};
#[cfg(feature = "schema")]
pub use schema::schema_json;

/// The only value of `format` that this program reads.
pub const FORMAT: &str = "delta-task/1";

/// A whole task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Always `delta-task/1`.
    pub format: String,
    /// Display name, at most 200 characters.
    pub name: String,
    /// Which of the network's task services keeps it.
    #[serde(rename = "type")]
    pub kind: TaskKind,
    /// What the author says about it, for the data owner to read.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Tools and versions that made the bundle.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub authoring: BTreeMap<String, String>,
    /// Datasets that every member must have, and what they must look like.
    #[serde(default)]
    pub datasets: BTreeMap<DatasetName, DatasetSpec>,
    /// How the rounds are run.
    #[serde(default)]
    pub strategy: Strategy,
    /// Values that live longer than a round.
    #[serde(default)]
    pub variables: BTreeMap<Name, VariableSpec>,
    /// What is done, in order.
    pub rounds: Vec<RoundSpec>,
    /// Server variables that are the result, in order.
    pub outputs: Vec<Name>,
    /// Whether members prove their results (`hlr`).
    #[serde(default)]
    pub enable_verify: bool,
    /// Number of decimal digits proved (`hlr`).
    #[serde(default)]
    pub tolerance: i32,
    /// Free-form options that tools may read; nodes ignore them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub options: BTreeMap<String, serde_json::Value>,
}

/// What a dataset must look like.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum DatasetSpec {
    /// Rows and named columns (`.csv`, `.tsv`, `.txt`). Every used column is numeric; an empty cell is NaN.
    Table {
        /// Columns that the task reads. A file without a header line has the names `0`, `1`, ...
        columns: Vec<String>,
        /// Whether the first line of the file holds names.
        #[serde(default = "yes")]
        header: bool,
    },
    /// Samples with an optional class label: an image folder, class folders, `.npy` or `.npz`.
    Samples {
        /// Shape of one sample, for example `[1, 8, 8]`: channels, height, width.
        shape: Vec<usize>,
        /// Class names in label order: folder names for class folders. Empty when samples have no label.
        #[serde(default)]
        classes: Vec<String>,
    },
    /// One array (`.npy`, `.npz`) used as it is; `null` stands for any length.
    Array {
        /// Expected shape.
        shape: Vec<Option<usize>>,
        /// Element type handed to the graphs (converted from the file's).
        dtype: DType,
    },
}

/// Who keeps a variable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Location {
    /// The coordinator; members download it when a map reads it.
    Server,
    /// Each member, privately.
    Client,
}

/// A value that lives longer than a round.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct VariableSpec {
    /// Who keeps it.
    pub location: Location,
    /// Element type.
    pub dtype: DType,
    /// Length of each dimension; empty for a single number.
    pub shape: Vec<usize>,
    /// File of the initial value, `arrays/NAME.npy`; zeros when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub init: Option<String>,
}

/// One round, or the same round several times.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RoundSpec {
    /// How many times in a row.
    #[serde(default = "one")]
    pub repeat: u32,
    /// What each member does.
    pub map: MapSpec,
    /// What the coordinator does with the sums.
    pub reduce: ReduceSpec,
}

/// What each member does in a round.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct MapSpec {
    /// Graph executions, in order.
    pub steps: Vec<Step>,
    /// Client variables to set at the end, from named values.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub assign: BTreeMap<Name, Name>,
    /// What leaves the node, masked: named values, in this order.
    pub contribute: Vec<Contribution>,
}

/// One array that is summed over the members.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Contribution {
    /// The value's name in the map, and the sum's name in the reduce.
    pub name: Name,
    /// `f32` or `f64`.
    pub dtype: DType,
    /// Its shape.
    pub shape: Vec<usize>,
}

/// What the coordinator does with the sums.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ReduceSpec {
    /// Graph executions, in order; drivers `once` only.
    pub steps: Vec<Step>,
    /// Server variables to set, from named values.
    pub assign: BTreeMap<Name, Name>,
    /// Single numbers to show for each round.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metrics: BTreeMap<String, Name>,
    /// A single number; anything but zero ends the task early.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop: Option<Name>,
}

/// One graph under one driver, or a closed form that needs no graph.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// `graphs/NAME.onnx`. Every driver but `solve` needs one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub graph: Option<String>,
    /// The same step in a form that only onnxruntime executes well; used when that is the runtime.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub graph_onnxruntime: Option<String>,
    /// How the graph is driven.
    #[serde(default)]
    pub driver: Driver,
    /// Where each graph input comes from.
    pub inputs: BTreeMap<String, Source>,
    /// What becomes of each graph output. Outputs not listed are dropped.
    pub outputs: BTreeMap<String, Target>,
}

/// How a graph is driven.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum Driver {
    /// One execution on whole inputs.
    #[default]
    Once,
    /// One execution for each mini-batch of a dataset.
    Batches(Batches),
    /// No graph: solves linear equations (reduces only).
    Solve(Solve),
}

/// Linear equations: output `x` of (`a` + `ridge` I) `x` = `b`.
///
/// Inputs: `a`, `f64` `[n, n]`, and `b`, `f64` `[n]` or `[n, k]`; `x` has the shape of `b`. `n` and `k` are at most 4096.
/// `b` of an identity matrix gives the inverse. A matrix that is singular to working precision fails the task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Solve {
    /// Added to the diagonal of `a`; not negative.
    #[serde(default)]
    pub ridge: f64,
}

/// Mini-batches of one dataset.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Batches {
    /// The dataset iterated over. Every `data` source of the step is one of its fields, cut to the batch.
    pub dataset: DatasetName,
    /// Which of its rows.
    #[serde(default)]
    pub subset: Subset,
    /// Rows a batch.
    pub batch_size: usize,
    /// Whether each pass has a new order.
    #[serde(default)]
    pub shuffle: bool,
    /// Whether a last, smaller batch is left out.
    #[serde(default)]
    pub drop_last: bool,
    /// Seed of the order and of noise inputs; each member mixes in nothing of its own.
    #[serde(default)]
    pub seed: u64,
    /// How long a round goes on.
    pub length: Length,
    /// Whether the next round goes on where this one stopped (training) or starts afresh (validation).
    #[serde(default)]
    pub resume: bool,
}

/// How much of a dataset one round consumes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Length {
    /// Whole passes over the subset.
    Epochs(u32),
    /// Single batches; a pass that ends is followed by the next.
    Iterations(u32),
}

/// Some rows of a dataset.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Subset {
    /// The `train/` or `val/` part of a folder that has both.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<Part>,
    /// From this fraction of the rows (in an order drawn from `seed`) ...
    #[serde(default)]
    pub from: f64,
    /// ... up to this one.
    #[serde(default = "whole")]
    pub to: f64,
    /// Seed of that order; 0 keeps the file's order.
    #[serde(default)]
    pub seed: u64,
}

impl Default for Subset {
    fn default() -> Self {
        Self {
            part: None,
            from: 0.0,
            to: 1.0,
            seed: 0,
        }
    }
}

/// A part of a folder dataset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// Samples under `train/`, to learn from.
    Train,
    /// Samples under `val/`, to validate with.
    Val,
}

/// Where a graph input comes from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "from", rename_all = "snake_case", deny_unknown_fields)]
pub enum Source {
    /// A variable: in a map the server's or this member's, in a reduce the server's.
    Variable {
        /// Its name in the manifest's `variables`.
        name: Name,
    },
    /// A value made by an earlier step of the same map or reduce.
    Value {
        /// The name that the step's `outputs` gave it.
        name: Name,
    },
    /// Local data (maps only): the whole dataset under `once`, one batch under `batches`.
    Data {
        /// Its name in the manifest's `datasets`.
        dataset: DatasetName,
        /// Which part of each row.
        field: DataField,
        /// Which rows (driver `once`; under `batches` the driver says).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        subset: Option<Subset>,
    },
    /// Random numbers of this member, one block of `shape` for each row (driver `batches`): dropout and the like.
    Noise {
        /// Their distribution.
        distribution: Noise,
        /// Shape of one row's block.
        shape: Vec<usize>,
    },
    /// Rows in the current batch, as one `f64` (driver `batches`).
    BatchSize,
    /// A contribution's sum over the members (reduces only).
    Sum {
        /// The contribution's name in the round's map.
        name: Name,
    },
    /// How many members contributed, as one `f64` (reduces only).
    Clients,
}

/// Part of each row of a dataset.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum DataField {
    /// Samples as `f32`, `[rows, ...shape]`; arrays as declared.
    X,
    /// Class labels as `i64`, `[rows]`.
    Y,
    /// Columns of a table as `f64`, `[rows, columns]`.
    Columns(Vec<String>),
    /// Columns of a table as `f32`, `[rows, columns]`.
    ColumnsF32(Vec<String>),
    /// One column of a table as whole numbers, `i64`, `[rows]`.
    ColumnI64(String),
}

/// A distribution of noise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Noise {
    /// Uniform on [0, 1), `f32`.
    Uniform,
    /// Standard normal, `f32`.
    Normal,
}

/// What becomes of a graph output.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "to", rename_all = "snake_case", deny_unknown_fields)]
pub enum Target {
    /// A named value: the output itself under `once`, the last batch's under `batches`.
    Value {
        /// Under this name.
        name: Name,
    },
    /// Fed back into a graph input for the next batch; the last one becomes a named value (driver `batches`).
    Carry {
        /// Which graph input.
        input: String,
        /// Name of the final value.
        name: Name,
    },
    /// Summed over the batches as `f64` (driver `batches`).
    Sum {
        /// Name of the total.
        name: Name,
    },
}

fn yes() -> bool {
    true
}

fn one() -> u32 {
    1
}

fn whole() -> f64 {
    1.0
}

impl Step {
    /// What to call the step in a message: its graph, or its closed form.
    #[must_use]
    pub fn label(&self) -> &str {
        match (&self.graph, &self.driver) {
            (Some(file), _) => file,
            (None, Driver::Solve(_)) => "solve",
            (None, Driver::Once | Driver::Batches(_)) => "no graph",
        }
    }
}

impl Manifest {
    /// How many rounds the task has when nothing stops it early.
    #[must_use]
    pub fn total_rounds(&self) -> u32 {
        self.rounds
            .iter()
            .fold(0, |n: u32, r| n.saturating_add(r.repeat))
    }

    /// The round of a step, counted from 0.
    #[must_use]
    pub fn round_spec(&self, step: u32) -> Option<&RoundSpec> {
        let mut left = step;
        self.rounds.iter().find(|r| {
            let here = left < r.repeat;
            if !here {
                left -= r.repeat;
            }
            here
        })
    }

    /// Server variables that the map of a step reads, in name order: what a member must download.
    #[must_use]
    pub fn server_inputs(&self, step: u32) -> Vec<&Name> {
        let Some(round) = self.round_spec(step) else {
            return Vec::new();
        };
        let mut names: Vec<&Name> = round
            .map
            .steps
            .iter()
            .flat_map(|s| s.inputs.values())
            .filter_map(|source| match source {
                Source::Variable { name } => Some(name),
                _ => None,
            })
            .filter(|name| {
                self.variables
                    .get(*name)
                    .is_some_and(|v| v.location == Location::Server)
            })
            .collect();
        names.sort();
        names.dedup();
        names
    }

    /// Numbers in the masked vector of a step: the total length of its contributions. `None` on overflow or an unknown step.
    #[must_use]
    pub fn contribution_len(&self, step: u32) -> Option<usize> {
        self.round_spec(step)?
            .map
            .contribute
            .iter()
            .try_fold(0usize, |n, c| {
                n.checked_add(super::tensor::element_count(&c.shape)?)
            })
    }

    /// Every graph file that a step names, with the place that names it.
    pub fn graph_files(&self) -> impl Iterator<Item = (String, &str)> {
        self.rounds.iter().enumerate().flat_map(|(i, round)| {
            let map = round
                .map
                .steps
                .iter()
                .enumerate()
                .map(move |(j, step)| (format!("rounds[{i}].map.steps[{j}]"), step));
            let reduce = round
                .reduce
                .steps
                .iter()
                .enumerate()
                .map(move |(j, step)| (format!("rounds[{i}].reduce.steps[{j}]"), step));
            map.chain(reduce).flat_map(|(path, step)| {
                let second = step
                    .graph_onnxruntime
                    .as_deref()
                    .map(|file| (format!("{path}.graph_onnxruntime"), file));
                let first = step
                    .graph
                    .as_deref()
                    .map(|file| (format!("{path}.graph"), file));
                first.into_iter().chain(second)
            })
        })
    }
}
