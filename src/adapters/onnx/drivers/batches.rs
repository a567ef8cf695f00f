//! Mini-batches of one dataset: training and validation.
//!
//! The order of a pass is a function of the seed and the pass's number, noise of the seed, the batch's number and the input's name.
//! So a node that restarts repeats exactly what it would have done.

use std::collections::BTreeMap;
use std::sync::mpsc;
use std::thread;

use super::{Scope, Total, count, random, source};
use crate::datasets::Rows;
use crate::failure::Failure;
use crate::guard::Port;
use crate::runtime::{Input, Loaded};
use delta_domain::ids::Name;
use delta_domain::manifest::{Batches, Length, Source, Step, Subset, Target};
use delta_domain::tensor::{Tensor, TensorData};
use delta_ports::executor::IteratorState;

/// What a step made.
pub(super) struct Done {
    pub(super) values: BTreeMap<Name, Tensor>,
    pub(super) state: IteratorState,
    pub(super) rows: u64,
}

/// The rows of a subset, in the dataset's order when its seed is 0 and in one drawn from it otherwise.
///
/// Bounds are cut the same way on both sides, so `0..0.8` and `0.8..1` with one seed share no row and leave none out.
pub(super) fn subset_rows(total: usize, subset: &Subset) -> Vec<usize> {
    let order: Vec<usize> = if subset.seed == 0 {
        (0..total).collect()
    } else {
        random::permutation(total, random::SUBSET, subset.seed, 0)
    };
    let (from, to) = (cut(total, subset.from), cut(total, subset.to));
    order
        .get(from..to.max(from))
        .map(<[usize]>::to_vec)
        .unwrap_or_default()
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a fraction of a row count, clamped to it"
)]
fn cut(total: usize, fraction: f64) -> usize {
    // The small bias makes 0.3 of 10 rows 3 rows, whatever the last bit of 0.3 is.
    ((total as f64 * fraction.clamp(0.0, 1.0) + 1e-9).floor() as usize).min(total)
}

/// Runs the batches of one round. While one is in the graph, a second thread reads the rows and draws the noise of the next, which
/// then waits: two batches are in memory, never more.
pub(super) fn run(
    graph: &mut Loaded,
    step: &Step,
    spec: &Batches,
    scope: &Scope<'_>,
    data: &mut dyn Rows,
    state: IteratorState,
) -> Result<Done, Failure> {
    let rows = subset_rows(data.len(), &spec.subset);
    let mut walk = Walk::new(&rows, spec, state)?;
    let mut outcome = Outcome::default();
    let mut read = 0u64;
    let ports = graph.graph.inputs.clone();
    let carried = carried(graph, step)?;
    let (ready, next) = mpsc::sync_channel(0);
    let state = thread::scope(|threads| {
        let ports = &ports;
        let reader = thread::Builder::new()
            .name("batches".to_owned())
            .spawn_scoped(threads, move || {
                while let Some(batch) = walk.next() {
                    let made = inputs(ports, step, spec, data, &batch);
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
        found.ok_or_else(|| Failure::refused(format!("the graph has no output {output:?}")))
    };
    step.outputs
        .iter()
        .filter_map(|(output, target)| match target {
            Target::Carry { input, .. } => Some(number(output).map(|n| (input.clone(), n))),
            Target::Value { .. } | Target::Sum { .. } => None,
        })
        .collect()
}

/// What the outputs have become so far.
#[derive(Default)]
struct Outcome {
    /// Whether a batch has run, so that carried outputs exist.
    begun: bool,
    /// By graph output.
    sums: BTreeMap<String, Option<Total>>,
    last: BTreeMap<String, Tensor>,
}

impl Outcome {
    fn finish(
        mut self,
        step: &Step,
        graph: &mut Loaded,
        carried: &BTreeMap<String, usize>,
    ) -> Result<BTreeMap<Name, Tensor>, Failure> {
        let mut values = BTreeMap::new();
        for (output, target) in &step.outputs {
            let (name, value) = match target {
                Target::Value { name } => (name, self.last.remove(output)),
                Target::Carry { input, name } => {
                    let number = carried.get(input).filter(|_| self.begun);
                    (name, number.map(|n| graph.take_kept(*n)).transpose()?)
                }
                Target::Sum { name } => {
                    let total = self.sums.remove(output).flatten();
                    let tensor = total.map(|t| {
                        Tensor::new(t.shape, TensorData::F64(t.sum))
                            .map_err(|e| Failure::internal(e.to_string()))
                    });
                    (name, tensor.transpose()?)
                }
            };
            let value = value.ok_or_else(|| {
                Failure::refused(format!("the round has no batch, so {name} has no value"))
            })?;
            values.insert(name.clone(), value);
        }
        Ok(values)
    }
}

/// What a batch brings: its rows, its noise, its size; by the input's name.
fn inputs(
    ports: &[Port],
    step: &Step,
    spec: &Batches,
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
                return Err(Failure::refused(format!(
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
                spec.seed,
                batch.number,
                &port.name,
            )?,
            #[expect(clippy::cast_precision_loss, reason = "documented as f64")]
            Source::BatchSize => count(port, batch.rows.len() as f64)?,
            Source::Clients => {
                return Err(Failure::refused(format!(
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
    scope: &Scope<'_>,
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
    outcome.begun = true;
    for (port, tensor) in graph.graph.outputs.iter().zip(outputs) {
        let Some(tensor) = tensor else { continue };
        match step.outputs.get(&port.name) {
            None | Some(Target::Carry { .. }) => {}
            Some(Target::Value { .. }) => {
                outcome.last.insert(port.name.clone(), tensor);
            }
            Some(Target::Sum { .. }) => {
                let total = outcome.sums.entry(port.name.clone()).or_default();
                Total::add(total, &tensor)
                    .map_err(|f| f.within(&format!("output {:?}", port.name)))?;
            }
        }
    }
    Ok(())
}

/// Rows to run together, and how many batches ran before, over all rounds.
struct Batch {
    rows: Vec<usize>,
    number: u64,
}

/// Goes through passes and batches; `state` is always where the next one begins.
struct Walk<'a> {
    rows: &'a [usize],
    order: Vec<usize>,
    spec: &'a Batches,
    state: IteratorState,
    /// Batches or passes to go.
    left: u32,
}

impl<'a> Walk<'a> {
    fn new(
        rows: &'a [usize],
        spec: &'a Batches,
        mut state: IteratorState,
    ) -> Result<Self, Failure> {
        let name = &spec.dataset;
        if spec.batch_size == 0 {
            return Err(Failure::refused("a batch size of 0"));
        }
        if rows.is_empty() {
            return Err(Failure::corrupt(format!(
                "dataset {name} has no row in the part that the task reads"
            )));
        }
        if spec.drop_last && rows.len() < spec.batch_size {
            return Err(Failure::corrupt(format!(
                "dataset {name} has {} rows in the part that the task reads, fewer than one batch of {}",
                rows.len(),
                spec.batch_size
            )));
        }
        let left = match spec.length {
            Length::Epochs(n) | Length::Iterations(n) => n,
        };
        // The data may have shrunk since the last round.
        if state.position > u64::try_from(rows.len()).unwrap_or(u64::MAX) {
            state.position = 0;
        }
        let mut walk = Self {
            rows,
            order: Vec::new(),
            spec,
            state,
            left,
        };
        walk.shuffle();
        Ok(walk)
    }

    fn shuffle(&mut self) {
        self.order = if self.spec.shuffle {
            let order = random::permutation(
                self.rows.len(),
                random::SHUFFLE,
                self.spec.seed,
                self.state.epoch,
            );
            order
                .into_iter()
                .filter_map(|i| self.rows.get(i).copied())
                .collect()
        } else {
            self.rows.to_vec()
        };
    }

    /// Rows of the next batch of this pass; empty at its end.
    fn rest(&self) -> &[usize] {
        let from = usize::try_from(self.state.position)
            .unwrap_or(usize::MAX)
            .min(self.order.len());
        let to = from
            .saturating_add(self.spec.batch_size)
            .min(self.order.len());
        let rows = self.order.get(from..to).unwrap_or_default();
        if self.spec.drop_last && rows.len() < self.spec.batch_size {
            &[]
        } else {
            rows
        }
    }

    fn next(&mut self) -> Option<Batch> {
        if self.left == 0 {
            return None;
        }
        if self.rest().is_empty() {
            self.next_pass();
        }
        let rows = self.rest().to_vec();
        let number = self.state.batches;
        self.state.position += u64::try_from(rows.len()).unwrap_or(0);
        self.state.batches += 1;
        let ended = self.rest().is_empty();
        if ended {
            self.next_pass();
        }
        if ended || matches!(self.spec.length, Length::Iterations(_)) {
            self.left -= 1;
        }
        Some(Batch { rows, number })
    }

    fn next_pass(&mut self) {
        self.state.epoch += 1;
        self.state.position = 0;
        self.shuffle();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(batch_size: usize, length: Length) -> Batches {
        Batches {
            dataset: "d".parse().unwrap(),
            subset: Subset::default(),
            batch_size,
            shuffle: false,
            drop_last: false,
            seed: 7,
            length,
            resume: true,
        }
    }

    fn walk(spec: &Batches, rows: usize, state: IteratorState) -> (Vec<Vec<usize>>, IteratorState) {
        let rows: Vec<usize> = (0..rows).collect();
        let mut walk = Walk::new(&rows, spec, state).unwrap();
        let mut out = Vec::new();
        while let Some(batch) = walk.next() {
            out.push(batch.rows);
        }
        (out, walk.state)
    }

    #[test]
    fn an_epoch_is_every_row_once_with_a_smaller_last_batch() {
        let (batches, state) = walk(&spec(2, Length::Epochs(1)), 5, IteratorState::default());
        assert_eq!(batches, [vec![0, 1], vec![2, 3], vec![4]]);
        assert_eq!(
            state,
            IteratorState {
                epoch: 1,
                position: 0,
                batches: 3
            }
        );
    }

    #[test]
    fn drop_last_leaves_the_smaller_batch_out() {
        let spec = Batches {
            drop_last: true,
            ..spec(2, Length::Epochs(2))
        };
        let (batches, state) = walk(&spec, 5, IteratorState::default());
        assert_eq!(batches, [vec![0, 1], vec![2, 3], vec![0, 1], vec![2, 3]]);
        assert_eq!(
            state,
            IteratorState {
                epoch: 2,
                position: 0,
                batches: 4
            }
        );
    }

    #[test]
    fn iterations_go_over_the_end_of_a_pass_and_resume_in_its_middle() {
        let spec = spec(2, Length::Iterations(2));
        let (first, state) = walk(&spec, 5, IteratorState::default());
        assert_eq!(
            (first, state),
            (
                vec![vec![0, 1], vec![2, 3]],
                IteratorState {
                    epoch: 0,
                    position: 4,
                    batches: 2
                }
            )
        );
        let (second, state) = walk(&spec, 5, state);
        assert_eq!(
            (second, state),
            (
                vec![vec![4], vec![0, 1]],
                IteratorState {
                    epoch: 1,
                    position: 2,
                    batches: 4
                }
            )
        );
    }

    #[test]
    fn two_rounds_of_iterations_are_the_same_as_one_twice_as_long() {
        for shuffle in [false, true] {
            let half = Batches {
                shuffle,
                ..spec(3, Length::Iterations(4))
            };
            let full = Batches {
                shuffle,
                ..spec(3, Length::Iterations(8))
            };
            let (mut a, state) = walk(&half, 10, IteratorState::default());
            let (b, end) = walk(&half, 10, state);
            a.extend(b);
            assert_eq!((a, end), walk(&full, 10, IteratorState::default()));
        }
    }

    #[test]
    fn each_pass_has_its_own_order_of_all_rows() {
        let spec = Batches {
            shuffle: true,
            ..spec(50, Length::Epochs(2))
        };
        let (batches, _) = walk(&spec, 50, IteratorState::default());
        assert_ne!(batches[0], batches[1]);
        for batch in batches {
            let mut sorted = batch.clone();
            sorted.sort_unstable();
            assert_eq!(sorted, (0..50).collect::<Vec<_>>());
        }
    }

    #[test]
    fn complementary_subsets_share_no_row_and_leave_none_out() {
        for seed in [0, 9] {
            let part = |from, to| {
                subset_rows(
                    10,
                    &Subset {
                        part: None,
                        from,
                        to,
                        seed,
                    },
                )
            };
            let mut all = part(0.0, 0.3);
            assert_eq!(all.len(), 3);
            all.extend(part(0.3, 1.0));
            all.sort_unstable();
            assert_eq!(all, (0..10).collect::<Vec<_>>());
        }
        assert_eq!(
            subset_rows(10, &Subset::default()),
            (0..10).collect::<Vec<_>>()
        );
    }

    #[test]
    fn fewer_rows_than_a_batch_with_drop_last_is_an_error_not_an_endless_loop() {
        let spec = Batches {
            drop_last: true,
            ..spec(8, Length::Iterations(1))
        };
        assert!(Walk::new(&[0, 1, 2], &spec, IteratorState::default()).is_err());
        assert!(Walk::new(&[], &spec, IteratorState::default()).is_err());
    }
}
