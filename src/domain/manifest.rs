//! `task.json`, format `delta-task/1`: everything a data owner needs to judge a task, as plain data.
//!
//! A task is a list of rounds. In a round each member runs a *map*: steps that execute graphs on local data and on variables.
//! Named results of the map are contributed and summed under secure aggregation; the *reduce* runs on the sums at the coordinator.
//! Here are the task itself and its variables; `manifest/round.rs`, `step.rs` and `dataset.rs` have what they are made of.
//! What may go wrong inside a well-formed manifest is checked by [`Manifest::errors`] (`manifest/check.rs`).

mod certify;
mod check;
mod column_type;
mod dataset;
mod disclosure;
mod join;
mod member_noise;
mod records;
mod round;
#[cfg(feature = "schema")]
mod schema;
mod step;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::ids::{DatasetName, Name};
use super::strategy::{Strategy, Transport};
use super::task::TaskKind;
use super::tensor::DType;

pub use certify::{
    CERTIFIED_KEPT, CERTIFIED_X, CERTIFIED_Y, CertifiedColumn, CertifiedModel, Certify, Effort,
    MAX_CERTIFIED_COLUMNS, MAX_CERTIFIED_MEMBERS, MAX_CERTIFIED_ROWS, MAX_TOLERANCE, MIN_TOLERANCE,
    usable_bounds,
};
pub use check::{MAX_CONTRIBUTION_LEN, MAX_ROUNDS, MAX_SYSTEM, MAX_VARIABLE_BYTES, ManifestError};
pub use column_type::{CellReader, ColumnType, MAX_LEVEL_BYTES, MAX_LEVELS};
pub use dataset::{DataField, DatasetSpec, Part, Subset};
pub use join::{How, Join, MAX_JOINS};
pub use member_noise::MemberNoise;
pub use records::{RecordClip, RecordNoise, RecordUnit, Records};
pub use round::{Cohort, Contribution, MapSpec, ReduceSpec, RoundSpec, Written};
#[cfg(feature = "schema")]
pub use schema::schema_json;
pub use step::{Batches, Driver, Length, Noise, Solve, Source, Step, Target};

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

    /// Whether the sum of a step must be over exactly the members of the one before.
    #[must_use]
    pub fn is_bound(&self, step: u32) -> bool {
        let cohort = self.round_spec(step).and_then(|round| round.cohort);
        step > 0 && cohort == Some(Cohort::Same)
    }

    /// What is certified at the end, for a task that asks for it.
    #[must_use]
    pub fn certified(&self) -> Option<&Certify> {
        self.rounds.last()?.certify.as_ref()
    }

    /// The step in which members prove, where a task asks for that: the last one.
    #[must_use]
    pub fn proof_step(&self) -> Option<u32> {
        self.certified()?;
        self.total_rounds().checked_sub(1)
    }

    /// What is certified in a step: nothing, but in the last one of a task that asks for it.
    #[must_use]
    pub fn certified_in(&self, step: u32) -> Option<&Certify> {
        let certify = self.certified()?;
        (self.proof_step() == Some(step)).then_some(certify)
    }

    /// Server variables that the map of a step reads, in name order: what a member must download.
    #[must_use]
    pub fn server_inputs(&self, step: u32) -> Vec<&Name> {
        self.round_spec(step)
            .map_or_else(Vec::new, |round| self.inputs_from_server(round))
    }

    fn inputs_from_server<'a>(&self, round: &'a RoundSpec) -> Vec<&'a Name> {
        let mut names: Vec<&Name> = round
            .map
            .steps
            .iter()
            .flat_map(|s| s.inputs.values())
            .filter_map(|source| match source {
                Source::Variable { name } => Some(name),
                _ => None,
            })
            .chain(round.certify.iter().map(|certify| &certify.answer))
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

    /// Whether a variable goes to members as half precision.
    #[must_use]
    pub fn travels_in_half(&self, name: &Name) -> bool {
        self.strategy.transport == Transport::F16
            && self
                .variables
                .get(name)
                .is_some_and(|v| v.location == Location::Server && v.dtype == DType::F32)
            && self
                .rounds
                .iter()
                .any(|round| self.inputs_from_server(round).contains(&name))
    }

    /// Whether a map reads a dataset by itself, and not only through the rows of another.
    #[must_use]
    pub fn reads(&self, dataset: &DatasetName) -> bool {
        let mut steps = self.rounds.iter().flat_map(|round| &round.map.steps);
        steps.any(|step| step.reads(dataset))
    }

    /// What the rows of a dataset look up in others.
    #[must_use]
    pub fn joins_of(&self, dataset: &DatasetName) -> &[Join] {
        self.datasets.get(dataset).map_or(&[], DatasetSpec::joins)
    }

    /// The datasets whose rows some steps see: by themselves, or through those of another.
    #[must_use]
    pub fn datasets_of(&self, steps: &[Step]) -> BTreeSet<DatasetName> {
        let of = |(name, spec): (&DatasetName, &DatasetSpec)| {
            let read = steps.iter().any(|step| step.reads(name));
            let others = spec.joins().iter().map(|join| &join.dataset);
            let all: Vec<DatasetName> = [name].into_iter().chain(others).cloned().collect();
            read.then_some(all)
        };
        self.datasets.iter().filter_map(of).flatten().collect()
    }

    /// Words in the masked vector of a step: the total length of its contributions. `None` on overflow or an unknown step.
    #[must_use]
    pub fn contribution_len(&self, step: u32) -> Option<usize> {
        self.round_spec(step)?
            .map
            .contribute
            .iter()
            .try_fold(0usize, |n, c| n.checked_add(c.words()?))
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
