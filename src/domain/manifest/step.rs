//! One step of a map or a reduce: a graph, how it is driven, where its inputs come from and what becomes of its outputs.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::dataset::{DataField, Subset};
use super::records::Records;
use crate::ids::{DatasetName, Name};

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

impl Step {
    /// Whether the step goes through the rows of a dataset, or takes data of it.
    #[must_use]
    pub fn reads(&self, name: &DatasetName) -> bool {
        let walked = self
            .driver
            .walks()
            .is_some_and(|(walked, _)| walked == name);
        let data =
            |source: &Source| matches!(source, Source::Data { dataset, .. } if dataset == name);
        walked || self.inputs.values().any(data)
    }

    /// What to call the step in a message: its graph, or its closed form.
    #[must_use]
    pub fn label(&self) -> &str {
        match (&self.graph, &self.driver) {
            (Some(file), _) => file,
            (None, Driver::Solve(_)) => "solve",
            (None, Driver::Once | Driver::Batches(_) | Driver::Records(_)) => "no graph",
        }
    }
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
    /// Each record becomes one vector; the node bounds and sums them (maps only).
    Records(Records),
    /// No graph: solves linear equations (reduces only).
    Solve(Solve),
}

impl Driver {
    /// The dataset that the driver walks through, and which of its rows.
    #[must_use]
    pub fn walks(&self) -> Option<(&DatasetName, &Subset)> {
        match self {
            Self::Batches(batches) => Some((&batches.dataset, &batches.subset)),
            Self::Records(records) => Some((&records.dataset, &records.subset)),
            Self::Once | Self::Solve(_) => None,
        }
    }
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
    /// What counts as done before the task's first round, for a task that goes on with what another one ended with: the first batch is
    /// the one that follows. Needs `resume`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Length>,
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
    /// Local data (maps only): the whole dataset under `once`, one batch under `batches` and `records`.
    Data {
        /// Its name in the manifest's `datasets`.
        dataset: DatasetName,
        /// Which part of each row.
        field: DataField,
        /// Which rows (driver `once`; else the driver says).
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
    /// Summed over the batches as `f64` (driver `batches`), or over the records, without the output's first axis (driver `records`).
    Sum {
        /// Name of the total.
        name: Name,
    },
    /// One vector for each record, `[records, p]`: with the vectors that are `right` of the same name, `[records, q]`, each record's product
    /// `[p, q]` is summed over the records, and nobody writes it out (driver `records` with noise).
    Left {
        /// Name of the total.
        name: Name,
    },
    /// The other vectors of a product.
    Right {
        /// Name of the total.
        name: Name,
    },
}

impl Target {
    /// The sum that the output makes, over batches or records; a product is told by its left vectors alone.
    #[must_use]
    pub const fn summed(&self) -> Option<&Name> {
        match self {
            Self::Sum { name } | Self::Left { name } => Some(name),
            Self::Value { .. } | Self::Carry { .. } | Self::Right { .. } => None,
        }
    }
}
