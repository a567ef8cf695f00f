//! What tests ask of a world, and tell its machines by hand.

use std::collections::BTreeSet;

use delta_domain::round::coordinator::{CoordinatorInput, CoordinatorOutcome};
use delta_domain::round::message::SignedRequest;
use delta_domain::round::runner::{RunnerInput, RunnerOutcome, RunnerRound};
use delta_domain::round::{Rejection, RoundFailure};

use super::World;
use super::node::Node;
use super::setup::address;

impl World {
    // What tests ask.

    /// How the coordinator's round ended. Panics when it has not.
    #[must_use]
    pub fn outcome(&self) -> &CoordinatorOutcome {
        self.coordinator.machine.outcome().unwrap()
    }

    /// Why the coordinator's round failed. Panics when it did not.
    #[must_use]
    pub fn failure(&self) -> &RoundFailure {
        match self.outcome() {
            CoordinatorOutcome::Failed(failure) => failure,
            other => panic!("the round did not fail: {other:?}"),
        }
    }

    /// Whether there was a sum.
    #[must_use]
    pub fn aggregated(&self) -> bool {
        matches!(
            self.coordinator.machine.outcome(),
            Some(CoordinatorOutcome::Aggregated { .. })
        )
    }

    /// Runner `i`.
    #[must_use]
    pub fn runner(&self, i: usize) -> &Node<RunnerRound> {
        &self.runners[&address(i)]
    }

    /// Why runner `i`'s part failed. Panics when it did not.
    #[must_use]
    pub fn runner_failure(&self, i: usize) -> &RoundFailure {
        match self.runner(i).machine.outcome() {
            Some(RunnerOutcome::Failed(failure) | RunnerOutcome::Revealed(failure)) => failure,
            other => panic!("runner {i} did not fail: {other:?}"),
        }
    }

    /// Tells runner `i` something; answers how many effects that has.
    ///
    /// # Errors
    /// The machine's rejection.
    pub fn feed_runner(&mut self, i: usize, input: RunnerInput) -> Result<usize, Rejection> {
        let now = self.now;
        let node = self.runners.get_mut(&address(i)).unwrap();
        node.feed(now, input).map(|e| e.len())
    }

    /// Hands the coordinator a request; answers how many effects that has.
    ///
    /// # Errors
    /// The machine's rejection.
    pub fn request(&mut self, request: SignedRequest) -> Result<usize, Rejection> {
        let now = self.now;
        self.coordinator
            .feed(now, CoordinatorInput::Request(request))
            .map(|e| e.len())
    }

    /// Seed and key shares of all members that anybody can read.
    #[must_use]
    pub fn revealed(&self) -> (usize, usize) {
        (self.record.seeds.len(), self.record.keys.len())
    }

    /// Everything that a person needs to see why a run went wrong.
    #[must_use]
    pub fn story(&self) -> String {
        let who: BTreeSet<String> = self
            .runners
            .iter()
            .map(|(a, n)| {
                format!(
                    "{a} alive={} {} {:?} outbox={:?}",
                    n.alive,
                    n.machine.phase_name(),
                    n.machine.outcome(),
                    n.outbox.iter().map(|t| t.effect.name()).collect::<Vec<_>>()
                )
            })
            .collect();
        format!(
            "{:?}\nat {} after {:?}, coordinator alive={} {} {:?}\n{}\n{}",
            self.setup,
            self.now,
            self.now - self.began,
            self.coordinator.alive,
            self.coordinator.machine.phase_name(),
            self.coordinator.machine.outcome(),
            who.into_iter().collect::<Vec<_>>().join("\n"),
            self.trace.join("\n"),
        )
    }
}
