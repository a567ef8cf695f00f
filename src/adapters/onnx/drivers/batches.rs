//! Mini-batches of one dataset: training and validation.
//!
//! The order of a pass is a function of the seed and the pass's number, noise of the seed, the node's own seed for the round where the
//! task does not ask for the same result again, the batch's number and the input's name. So a node that restarts repeats exactly what it would have done.

mod outcome;
mod walk;

use std::collections::BTreeMap;
use std::sync::mpsc;
use std::thread;

use super::random;
use super::scope::{Scope, count, source};
use super::subset::rows_of;
use crate::datasets::Rows;
use crate::failure::Failure;
use crate::guard::Port;
use crate::runtime::{Input, Loaded};
use delta_domain::ids::Name;
use delta_domain::manifest::{Batches, Source, Step, Target};
use delta_domain::tensor::Tensor;
use delta_ports::executor::IteratorState;

use outcome::Outcome;
use walk::{Batch, Walk};

/// What a step made of its batches.
pub(super) struct Done {
    pub(super) values: BTreeMap<Name, Tensor>,
    pub(super) state: IteratorState,
    pub(super) rows: u64,
}

/// Runs the batches of one round. While one is in the graph, a second thread reads the rows and draws the noise of the next, which
/// then waits: two batches are in memory, never more.
pub(super) fn run(
    graph: &mut Loaded,
    step: &Step,
    spec: &Batches,
    scope: &Scope,
    data: &mut dyn Rows,
    state: IteratorState,
) -> Result<Done, Failure> {
    let rows = rows_of(data, &spec.subset);
    let mut walk = Walk::new(&rows, spec, state)?;
    let mut outcome = Outcome::default();
    let mut read = 0u64;
    let ports = graph.graph.inputs.clone();
    let carried = carried(graph, step)?;
    let (ready, next) = mpsc::sync_channel(0);
    let seed = random::Seed {
        task: spec.seed,
        node: scope.noise,
    };
    let state = thread::scope(|threads| {
        let ports = &ports;
        let reader = thread::Builder::new()
            .name("batches".to_owned())
            .spawn_scoped(threads, move || {
                while let Some(batch) = walk.next() {
                    let made = inputs(ports, step, spec, seed, data, &batch);
                    let failed = made.is_err();
                    // Nobody listens any more when a batch has failed.
                    if ready.send((batch, made)).is_err() || failed {
                        break;
                    }
                }
                walk.state
            })
            .map_err(|e| Failure::internal(format!("no thread to read batches: {e}")))?;
        for (batch, made) in next {
            made.and_then(|made| one(graph, ports, step, scope, &made, &carried, &mut outcome))
                .map_err(|f| {
                    f.within(&format!(
                        "batch {} of {} rows",
                        batch.number,
                        batch.rows.len()
                    ))
                })?;
            read = read.saturating_add(u64::try_from(batch.rows.len()).unwrap_or(u64::MAX));
        }
        reader
            .join()
            .map_err(|_| Failure::internal("the thread that reads batches panicked"))
    })?;
    Ok(Done {
        values: outcome.finish(step, graph, &carried)?,
        state,
        rows: read,
    })
}

/// Graph inputs that are fed by an output from the second batch on: the number of that output, by the input's name.
///
/// Such values stay with the runtime from batch to batch.
fn carried(graph: &Loaded, step: &Step) -> Result<BTreeMap<String, usize>, Failure> {
    let number = |output: &String| {
        let found = graph.graph.outputs.iter().position(|p| p.name == *output);
        found.ok_or_else(|| Failure::rejected(format!("the graph has no output {output:?}")))
    };
    step.outputs
        .iter()
        .filter_map(|(output, target)| match target {
            Target::Carry { input, .. } => Some(number(output).map(|n| (input.clone(), n))),
            Target::Value { .. }
            | Target::Sum { .. }
            | Target::Left { .. }
            | Target::Right { .. } => None,
        })
        .collect()
}

/// What a batch brings: its rows, its noise, its size; by the input's name.
fn inputs(
    ports: &[Port],
    step: &Step,
    spec: &Batches,
    seed: random::Seed,
    data: &mut dyn Rows,
    batch: &Batch,
) -> Result<BTreeMap<String, Tensor>, Failure> {
    let mut made = BTreeMap::new();
    for port in ports {
        let tensor = match source(step, port)? {
            Source::Data { dataset, field, .. } if *dataset == spec.dataset => {
                data.read(field, &batch.rows)?
            }
            Source::Data { dataset, .. } => {
                return Err(Failure::rejected(format!(
                    "input {:?} reads {dataset}, but the driver iterates over {}",
                    port.name, spec.dataset
                )));
            }
            Source::Noise {
                distribution,
                shape,
            } => random::noise(
                *distribution,
                batch.rows.len(),
                shape,
                seed,
                batch.number,
                &port.name,
            )?,
            #[expect(clippy::cast_precision_loss, reason = "documented as f64")]
            Source::BatchSize => count(port, batch.rows.len() as f64)?,
            Source::Clients => {
                return Err(Failure::rejected(format!(
                    "input {:?}: the number of clients is known in a reduce only",
                    port.name
                )));
            }
            Source::Variable { .. } | Source::Value { .. } | Source::Sum { .. } => continue,
        };
        made.insert(port.name.clone(), tensor);
    }
    Ok(made)
}

/// One batch through the graph. Values that stay the same are borrowed, carried ones stay where they are: neither is copied.
fn one(
    graph: &mut Loaded,
    ports: &[Port],
    step: &Step,
    scope: &Scope,
    made: &BTreeMap<String, Tensor>,
    carried: &BTreeMap<String, usize>,
    outcome: &mut Outcome,
) -> Result<(), Failure> {
    let mut inputs = Vec::with_capacity(ports.len());
    for port in ports {
        let kept = carried.get(&port.name).filter(|_| outcome.begun);
        inputs.push(match (kept, made.get(&port.name)) {
            (Some(output), _) => Input::Kept(*output),
            (None, Some(tensor)) => Input::Given(tensor),
            (None, None) => Input::Given(
                scope
                    .fixed(source(step, port)?)?
                    .ok_or_else(|| Failure::internal("a source without a value"))?,
            ),
        });
    }
    let keep: Vec<usize> = carried.values().copied().collect();
    let outputs = graph.run(&inputs, &keep)?;
    outcome.take(step, &graph.graph.outputs, outputs)
}
