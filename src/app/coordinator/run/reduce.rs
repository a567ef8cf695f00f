//! The reduce of a step: from the sums of its round to the task's state after it. Not here: putting that on disk.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;
use tokio_util::task::AbortOnDropHandle;

use crate::context::Context;
use crate::coordinator::state::{Kept, RunState, keep};
use crate::coordinator::sum::aggregate::{self, Summed};
use delta_domain::bundle::Bundle;
use delta_domain::ids::{Address, Name, RoundNumber};
use delta_domain::manifest::Source;
use delta_domain::round::{FailureCode, RoundFailure};
use delta_domain::tensor::Tensor;
use delta_ports::PortError;
use delta_ports::blob::BlobName;
use delta_ports::executor::ReduceJob;

/// What a reduce starts from: a task whose round has just been summed.
#[derive(Clone)]
pub(in crate::coordinator) struct Reduce {
    pub(super) context: Arc<Context>,
    pub(super) bundle: Arc<Bundle>,
    /// As the round found it.
    pub(super) state: RunState,
}

/// What comes of it.
pub(super) enum Outcome {
    /// The task goes on.
    Reduced(Box<Reduced>),
    /// Too few members could compute their part.
    TooFew(RoundFailure),
}

/// What a reduce has made.
pub(super) struct Reduced {
    /// The task at its next step. Its new variables are on disk already, under names that only this state knows.
    pub(super) state: RunState,
    /// Numbers to show.
    pub(super) metrics: BTreeMap<String, f64>,
    /// Members among the summed that could not compute, and contributed zeros.
    pub(super) failed: u32,
    /// Files of variables that the new state does not need.
    pub(super) superseded: Vec<BlobName>,
    /// Whether the reduce decided that the task ends here.
    stop: bool,
}

/// What the worker has made of the sums, before anybody builds on it.
pub(in crate::coordinator) struct Made {
    failed: u32,
    metrics: BTreeMap<String, f64>,
    stop: bool,
    /// The variables as of the next step, on disk.
    assigned: BTreeMap<Name, Kept>,
}

/// A reduce that runs while the disk still takes the sums and the round is being ended: it has begun with them from memory. Whether
/// anything is built on it is decided where the round has ended; until then it is nothing but files under names that nobody knows.
#[derive(Default)]
pub(in crate::coordinator) struct Ahead(Mutex<Option<Running>>);

/// What it comes to, as in [`Reduce::make`]; `None` when the sums have not come.
type Running = AbortOnDropHandle<Option<Result<Result<Made, RoundFailure>, PortError>>>;

impl Ahead {
    fn slot(&self) -> MutexGuard<'_, Option<Running>> {
        // Nothing that can panic runs under this lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins as soon as the sums of `contributed` members are there, in place of what was begun before.
    pub(in crate::coordinator) fn begin(
        &self,
        reduce: Reduce,
        contributed: u32,
        sums: oneshot::Receiver<Summed>,
    ) {
        let cancel = reduce.context.cancel.clone();
        let tracker = reduce.context.tracker.clone();
        let before = self.slot().take();
        let work = async move {
            // It writes the same files.
            if let Some(before) = before {
                drop(before.await);
            }
            let summed = sums.await.ok()?;
            Some(reduce.make(summed, contributed).await)
        };
        let running = tracker.spawn(async move {
            tokio::select! {
                biased;
                () = cancel.cancelled() => None,
                made = work => made,
            }
        });
        *self.slot() = Some(AbortOnDropHandle::new(running));
    }

    /// Waits for its end, where nothing is built on it: what comes next writes files of the same names.
    pub(in crate::coordinator) async fn ended(&self) {
        drop(self.made().await);
    }

    /// What it comes to, once it is done; `None` where none was begun.
    async fn made(&self) -> Option<Result<Result<Made, RoundFailure>, PortError>> {
        let running = self.slot().take()?;
        running.await.ok().flatten()
    }
}

impl Reduce {
    /// Runs it on the sums over `u3`, where enough of these could compute, or takes what was made of them `ahead`.
    pub(super) async fn run(
        &self,
        u3: &[Address],
        dropped: &[Address],
        ahead: &Ahead,
    ) -> Result<Outcome, PortError> {
        let contributed = u32::try_from(u3.len()).unwrap_or(u32::MAX);
        let made = match ahead.made().await {
            Some(made) => made?,
            None => self.make(self.sums().await?, contributed).await?,
        };
        let made = match made {
            Ok(made) => made,
            Err(failure) => return Ok(Outcome::TooFew(failure)),
        };
        let mut state = self.state.clone();
        let mut superseded = Vec::new();
        for (name, kept) in made.assigned {
            if let Some(before) = state.variables.insert(name.clone(), kept) {
                superseded.push(BlobName::server_variable(&state.task, before.step, &name));
            }
        }
        state.step += 1;
        state.failures = 0;
        state.previous = u3.to_vec();
        state.previous_failed = made.failed;
        state.silent.extend(dropped.iter().cloned());
        state.silent.retain(|a| !u3.contains(a));
        let manifest = self.bundle.manifest();
        if made.stop
            && let Some(proof) = manifest.proof_step()
        {
            // What is left out is training: the answer is certified all the same.
            state.step = proof;
        }
        state.complete =
            state.step >= manifest.total_rounds() || (made.stop && manifest.proof_step().is_none());
        Ok(Outcome::Reduced(Box::new(Reduced {
            state,
            metrics: made.metrics,
            failed: made.failed,
            superseded,
            stop: made.stop,
        })))
    }

    /// Runs the worker on the sums, and writes the variables that it assigns under names of the next step.
    async fn make(
        &self,
        summed: Summed,
        contributed: u32,
    ) -> Result<Result<Made, RoundFailure>, PortError> {
        let Summed { sums, failed } = summed;
        if let Some(reason) = self.objection(contributed, failed) {
            let code = FailureCode::Computation;
            return Ok(Err(RoundFailure { code, reason }));
        }
        let mut variables = BTreeMap::new();
        for name in self.inputs() {
            variables.insert(name.clone(), self.state.read(&self.context, &name).await?);
        }
        let step = self.state.step;
        let job = ReduceJob {
            bundle: self.bundle.clone(),
            step,
            variables,
            sums,
            clients: contributed.saturating_sub(failed),
        };
        let outcome = self.context.ports.executor.reduce(job).await?;
        let mut assigned = BTreeMap::new();
        for (name, value) in outcome.assigned {
            let kept = self.keep(step + 1, &name, value).await?;
            assigned.insert(name, kept);
        }
        Ok(Ok(Made {
            failed,
            metrics: outcome.metrics,
            stop: outcome.stop,
            assigned,
        }))
    }

    async fn keep(&self, step: u32, name: &Name, value: Tensor) -> Result<Kept, PortError> {
        let halves = self.bundle.manifest().travels_in_half(name);
        keep(&self.context, &self.state.task, step, name, value, halves).await
    }

    /// Why a sum over `contributed` members, of whom `failed` could not compute, is not what the step asks for.
    fn objection(&self, contributed: u32, failed: u32) -> Option<String> {
        let manifest = self.bundle.manifest();
        let clients = contributed.saturating_sub(failed);
        if clients < manifest.strategy.min_clients.max(1) {
            return Some(format!(
                "{failed} of {contributed} members could not compute their contribution: the task does not fit their data, or takes \
                 too long; their owners' logs say why"
            ));
        }
        let before = self.state.previous_failed;
        // Those that failed before contribute zeros again, and are counted again: fewer are others than before, as more are.
        (manifest.is_bound(self.state.step) && failed != before).then(|| {
            format!(
                "{failed} of {contributed} members could not compute their contribution, and {before} in the round before, with whose \
                 sums it is combined"
            )
        })
    }

    /// The sums of the round, as its unmasking left them on disk.
    async fn sums(&self) -> Result<Summed, PortError> {
        let name = BlobName::aggregate(&self.state.task, RoundNumber(self.state.round));
        let (len, content) = self.context.ports.blobs.open(&name).await?;
        let round = self.bundle.manifest().round_spec(self.state.step);
        let contributions = round.map(|round| round.map.contribute.as_slice());
        aggregate::read(len, content, contributions.unwrap_or_default()).await
    }

    /// Server variables that the reduce reads.
    fn inputs(&self) -> Vec<Name> {
        let Some(round) = self.bundle.manifest().round_spec(self.state.step) else {
            return Vec::new();
        };
        let mut names: Vec<Name> = round
            .reduce
            .steps
            .iter()
            .flat_map(|s| s.inputs.values())
            .filter_map(|source| match source {
                Source::Variable { name } => Some(name.clone()),
                _ => None,
            })
            .collect();
        names.sort();
        names.dedup();
        names
    }
}

impl Reduced {
    /// The log's line about the round that `clients` members contributed to.
    pub(super) fn told(&self, clients: usize) -> String {
        let shown: Vec<String> = self
            .metrics
            .iter()
            .map(|(n, v)| format!("{n} {v:.6}"))
            .collect();
        format!(
            "task {} round {} finished with {clients} members{}{}{}",
            self.state.task,
            self.state.round,
            if self.failed > 0 {
                format!(
                    ", {} of whom could not compute and contributed zeros",
                    self.failed
                )
            } else {
                String::new()
            },
            if shown.is_empty() {
                String::new()
            } else {
                format!(": {}", shown.join(", "))
            },
            if self.stop {
                "; the task stops early, as its reduce decided"
            } else {
                ""
            },
        )
    }
}
