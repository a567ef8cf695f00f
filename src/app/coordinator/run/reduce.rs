//! The reduce of a step: from the sums of its round to the task's state after it. Not here: putting that on disk.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::context::Context;
use crate::coordinator::state::RunState;
use crate::coordinator::sum::aggregate::{self, Summed};
use delta_domain::bundle::Bundle;
use delta_domain::ids::{Address, Name, RoundNumber};
use delta_domain::manifest::Source;
use delta_domain::round::{FailureCode, RoundFailure};
use delta_ports::PortError;
use delta_ports::blob::BlobName;
use delta_ports::executor::ReduceJob;

/// What a reduce starts from: a task whose round has just been summed.
pub(super) struct Reduce<'a> {
    pub(super) context: &'a Context,
    pub(super) bundle: &'a Arc<Bundle>,
    pub(super) state: &'a RunState,
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

impl Reduce<'_> {
    /// Runs it on the sums over `u3`, where enough of these could compute.
    pub(super) async fn run(
        &self,
        u3: &[Address],
        dropped: &[Address],
    ) -> Result<Outcome, PortError> {
        let step = self.state.step;
        let Summed { sums, failed } = self.sums().await?;
        let contributed = u32::try_from(u3.len()).unwrap_or(u32::MAX);
        let clients = contributed.saturating_sub(failed);
        if clients < self.bundle.manifest().strategy.min_clients.max(1) {
            let reason = format!(
                "{failed} of {contributed} members could not compute their contribution: the task does not fit their data, or takes \
                 too long; their owners' logs say why"
            );
            let code = FailureCode::Computation;
            return Ok(Outcome::TooFew(RoundFailure { code, reason }));
        }
        if self.bundle.manifest().is_bound(step) && failed != self.state.previous_failed {
            // Those that failed before contribute zeros again, and are counted again: fewer are others than before, as more are.
            let reason = format!(
                "{failed} of {contributed} members could not compute their contribution, and {} in the round before, with whose sums \
                 it is combined",
                self.state.previous_failed
            );
            let code = FailureCode::Computation;
            return Ok(Outcome::TooFew(RoundFailure { code, reason }));
        }
        let mut variables = BTreeMap::new();
        for name in self.inputs() {
            variables.insert(name.clone(), self.state.read(self.context, &name).await?);
        }
        let job = ReduceJob {
            bundle: self.bundle.clone(),
            step,
            variables,
            sums,
            clients,
        };
        let outcome = self.context.ports.executor.reduce(job).await?;
        let mut state = self.state.clone();
        let mut superseded = Vec::new();
        for (name, value) in outcome.assigned {
            if let Some(before) = state.variables.get(&name) {
                superseded.push(BlobName::server_variable(&state.task, before.step, &name));
            }
            state.keep(self.context, step + 1, &name, value).await?;
        }
        state.step += 1;
        state.failures = 0;
        state.previous = u3.to_vec();
        state.previous_failed = failed;
        state.silent.extend(dropped.iter().cloned());
        state.silent.retain(|a| !u3.contains(a));
        state.complete = outcome.stop || state.step >= self.bundle.manifest().total_rounds();
        Ok(Outcome::Reduced(Box::new(Reduced {
            state,
            metrics: outcome.metrics,
            failed,
            superseded,
            stop: outcome.stop,
        })))
    }

    /// The sums of the round, as its unmasking left them on disk.
    async fn sums(&self) -> Result<Summed, PortError> {
        let name = BlobName::aggregate(&self.state.task, RoundNumber(self.state.round));
        let (len, content) = self.context.ports.blobs.open(&name).await?;
        let manifest = self.bundle.manifest();
        let round = manifest.round_spec(self.state.step);
        let contributions = round.map(|round| round.map.contribute.as_slice());
        // Numbers are decoded alike whatever the cohort.
        let encoding = manifest.strategy.encoding(1);
        aggregate::read(len, content, encoding, contributions.unwrap_or_default()).await
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
