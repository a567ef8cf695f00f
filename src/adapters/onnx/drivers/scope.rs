//! What has a name while steps run, and where a graph's inputs come from.

use std::collections::BTreeMap;

use crate::convert::fit;
use crate::failure::Failure;
use crate::guard::Port;
use delta_domain::ids::Name;
use delta_domain::manifest::{Source, Step};
use delta_domain::tensor::{DType, Tensor};

/// Everything that has a name while a map or a reduce runs.
pub(super) struct Scope {
    pub(super) variables: BTreeMap<Name, Tensor>,
    pub(super) sums: BTreeMap<Name, Tensor>,
    pub(super) clients: u32,
    /// This node's seed for the noise of the round, if the task leaves it to the node.
    pub(super) noise: Option<[u8; 32]>,
    pub(super) values: BTreeMap<Name, Tensor>,
}

impl Scope {
    /// A value that a step has made.
    pub(super) fn value(&self, name: &Name) -> Result<&Tensor, Failure> {
        self.values
            .get(name)
            .ok_or_else(|| Failure::rejected(format!("no step makes the value {name:?}")))
    }

    /// A source that does not change while a step runs; `None` for data, noise and counts.
    pub(super) fn fixed(&self, source: &Source) -> Result<Option<&Tensor>, Failure> {
        let found = match source {
            Source::Variable { name } => self.variables.get(name).ok_or(("variable", name)),
            Source::Value { name } => self.values.get(name).ok_or(("value", name)),
            Source::Sum { name } => self.sums.get(name).ok_or(("sum", name)),
            Source::Data { .. } | Source::Noise { .. } | Source::BatchSize | Source::Clients => {
                return Ok(None);
            }
        };
        found
            .map(Some)
            .map_err(|(what, name)| Failure::rejected(format!("there is no {what} {name}")))
    }
}

/// Where a graph input comes from.
pub(super) fn source<'s>(step: &'s Step, port: &Port) -> Result<&'s Source, Failure> {
    step.inputs.get(&port.name).ok_or_else(|| {
        Failure::rejected(format!(
            "graph input {:?} has no source in the task",
            port.name
        ))
    })
}

/// A single number in the rank that the graph takes: `[]`, or `[1]`.
pub(super) fn count(port: &Port, value: f64) -> Result<Tensor, Failure> {
    match port.dims.as_deref() {
        Some([_]) => fit(Tensor::scalar(value), DType::F64, &[1]),
        _ => Ok(Tensor::scalar(value)),
    }
}
