//! The way through a dataset: batch after batch, pass after pass, from where the last round left off.

use crate::drivers::random;
use crate::failure::Failure;
use delta_domain::manifest::{Batches, Length};
use delta_ports::executor::IteratorState;

/// Rows to run together, and how many batches ran before, over all rounds.
pub(super) struct Batch {
    pub(super) rows: Vec<usize>,
    pub(super) number: u64,
}

/// Goes through passes and batches; `state` is always where the next one begins.
pub(super) struct Walk<'a> {
    rows: &'a [usize],
    order: Vec<usize>,
    spec: &'a Batches,
    pub(super) state: IteratorState,
    /// Batches or passes to go.
    left: u32,
}

impl<'a> Walk<'a> {
    /// From where the last round left off.
    ///
    /// # Errors
    /// When there would be no batch at all: rows that are none, or fewer than a batch must have.
    pub(super) fn new(
        rows: &'a [usize],
        spec: &'a Batches,
        mut state: IteratorState,
    ) -> Result<Self, Failure> {
        let name = &spec.dataset;
        if spec.batch_size == 0 {
            return Err(Failure::rejected("a batch size of 0"));
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
        if state.batches == 0
            && let Some(after) = spec.after
        {
            state = after_another_task(after, rows.len(), spec);
        }
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

    /// Draws the order of this pass.
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

    /// The next batch; `None` when the round has had its batches or passes.
    pub(super) fn next(&mut self) -> Option<Batch> {
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

/// Where a walk stands that has gone so far already.
fn after_another_task(done: Length, rows: usize, spec: &Batches) -> IteratorState {
    let whole = u64::try_from(rows / spec.batch_size.max(1)).unwrap_or(u64::MAX);
    let smaller = !spec.drop_last && !rows.is_multiple_of(spec.batch_size.max(1));
    let pass = (whole + u64::from(smaller)).max(1);
    match done {
        Length::Epochs(n) => IteratorState {
            epoch: n.into(),
            position: 0,
            batches: pass.saturating_mul(n.into()),
        },
        Length::Iterations(n) => IteratorState {
            epoch: u64::from(n) / pass,
            position: (u64::from(n) % pass)
                .saturating_mul(u64::try_from(spec.batch_size).unwrap_or(u64::MAX)),
            batches: n.into(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use delta_domain::manifest::Subset;

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
            after: None,
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
    fn a_task_that_goes_on_with_another_walks_on_where_that_one_stopped() {
        for (shuffle, drop_last) in [(false, false), (true, false), (true, true), (false, true)] {
            for rows in [3, 7, 9, 10, 12] {
                for done in 1..8 {
                    for unit in [Length::Epochs, Length::Iterations] {
                        let of = |length, after| Batches {
                            shuffle,
                            drop_last,
                            after,
                            ..spec(3, length)
                        };
                        let (_, state) =
                            walk(&of(unit(done), None), rows, IteratorState::default());
                        let uninterrupted = walk(&of(unit(4), None), rows, state);
                        let resumed = of(unit(4), Some(unit(done)));
                        assert_eq!(
                            walk(&resumed, rows, IteratorState::default()),
                            uninterrupted
                        );
                        let (_, state) = walk(&of(unit(4), None), rows, state);
                        assert_eq!(
                            walk(&resumed, rows, state),
                            walk(&of(unit(4), None), rows, state),
                            "only the task's first round begins elsewhere"
                        );
                    }
                }
            }
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
    fn fewer_rows_than_a_batch_with_drop_last_is_an_error_not_an_endless_loop() {
        let spec = Batches {
            drop_last: true,
            ..spec(8, Length::Iterations(1))
        };
        assert!(Walk::new(&[0, 1, 2], &spec, IteratorState::default()).is_err());
        assert!(Walk::new(&[], &spec, IteratorState::default()).is_err());
    }
}
