//! The driver `once`: one execution of a graph on whole inputs.

use std::collections::BTreeMap;

use super::scope::{Scope, count, source};
use super::subset::rows_of;
use crate::datasets::{Datasets, Rows};
use crate::failure::Failure;
use crate::guard::Port;
use crate::runtime::{Input, Loaded};
use delta_domain::manifest::{DataField, Source, Step, Subset, Target};
use delta_domain::tensor::Tensor;

/// Runs the step: its outputs become named values. Returns the rows read.
pub(super) fn run(
    graph: &mut Loaded,
    step: &Step,
    scope: &mut Scope,
    data: &mut Datasets<'_>,
) -> Result<u64, Failure> {
    let ports = graph.graph.inputs.clone();
    let (made, rows_read) = inputs(&ports, step, scope, data)?;
    let mut inputs = Vec::with_capacity(ports.len());
    for port in &ports {
        inputs.push(Input::Given(match made.get(port.name.as_str()) {
            Some(tensor) => tensor,
            None => scope
                .fixed(source(step, port)?)?
                .ok_or_else(|| Failure::internal("a source without a value"))?,
        }));
    }
    let outputs = graph.run(&inputs, &[])?.into_iter().flatten();
    for (port, tensor) in graph.graph.outputs.iter().zip(outputs) {
        match step.outputs.get(&port.name) {
            None => {}
            Some(Target::Value { name }) => {
                scope.values.insert(name.clone(), tensor);
            }
            Some(
                Target::Carry { .. }
                | Target::Sum { .. }
                | Target::Left { .. }
                | Target::Right { .. },
            ) => {
                return Err(Failure::rejected(format!(
                    "output {:?}: carry, sum, left and right exist under other drivers than once",
                    port.name
                )));
            }
        }
    }
    Ok(rows_read)
}

/// The inputs that have no name in the scope, data and counts, by the input's name; and the rows read for them.
fn inputs<'p>(
    ports: &'p [Port],
    step: &Step,
    scope: &Scope,
    data: &mut Datasets<'_>,
) -> Result<(BTreeMap<&'p str, Tensor>, u64), Failure> {
    let mut rows_read = 0u64;
    let mut made = BTreeMap::new();
    for port in ports {
        let tensor = match source(step, port)? {
            Source::Clients => count(port, f64::from(scope.clients))?,
            Source::Data {
                dataset,
                field,
                subset,
            } => {
                let subset = subset.unwrap_or_default();
                let tensor = subset_of(data.open(dataset, subset.part, false)?, field, &subset)?;
                let rows = tensor.shape().first();
                let rows = rows.map_or(1, |n| u64::try_from(*n).unwrap_or(u64::MAX));
                rows_read = rows_read.saturating_add(rows);
                tensor
            }
            Source::Noise { .. } | Source::BatchSize => {
                return Err(Failure::rejected(format!(
                    "input {:?}: noise and batch sizes exist under the driver batches only",
                    port.name
                )));
            }
            Source::Variable { .. } | Source::Value { .. } | Source::Sum { .. } => continue,
        };
        made.insert(port.name.as_str(), tensor);
    }
    Ok((made, rows_read))
}

/// A field of the rows of a subset; all of them are read in one go.
fn subset_of(rows: &mut dyn Rows, field: &DataField, subset: &Subset) -> Result<Tensor, Failure> {
    let all = Subset {
        part: subset.part,
        ..Subset::default()
    };
    if *subset == all {
        rows.whole(field)
    } else {
        let wanted = rows_of(rows, subset);
        rows.read(field, &wanted)
    }
}
