//! What was missed: rounds that stand still are asked about, and after a restart or a gap in the events all of them.

use super::Membership;
use crate::machine::{HandleError, Loaded, load};
use delta_domain::ids::RoundNumber;
use delta_domain::round::message::RoundView;
use delta_domain::round::runner::{RunnerInput, RunnerRound};
use delta_domain::time::Timestamp;
use delta_ports::connector::{RoundKey, RoundStatus};
use delta_ports::peer::PeerCalls as _;
use delta_ports::storage::{MachineKind, StoredMachine};
use delta_ports::{PortError, report};

/// The most rounds that are looked for after a gap: a connector may know one for every number.
const MOST_BEHIND: usize = 1_000;

impl Membership {
    /// Asks the coordinator where the open rounds stand; after a gap, the connector for rounds that began meanwhile.
    pub(super) async fn catch_up(&mut self, gap: bool) {
        if gap {
            self.look_up().await;
            self.judge().await;
            let connector = self.context.ports.connector.clone();
            if let Ok(Some(record)) = connector.task(self.state.kind, &self.state.task).await
                && record.finished
            {
                return self.finish().await;
            }
            let mut newest = None;
            let first = self.state.last_round.saturating_add(1);
            for number in (first..=u32::MAX).take(MOST_BEHIND) {
                let round = RoundNumber(number);
                let key = RoundKey {
                    kind: self.state.kind,
                    task: self.state.task.clone(),
                    round,
                };
                let Ok(Some(record)) = connector.round(&key).await else {
                    break;
                };
                if record.status == RoundStatus::Started {
                    newest = Some(round);
                }
            }
            if let Some(round) = newest {
                self.round_started(round).await;
            }
        }
        let Some(record) = self.state.record.clone() else {
            return;
        };
        let rounds: Vec<u32> = self.rounds.keys().copied().collect();
        for round in rounds {
            let round = RoundNumber(round);
            let (peers, clock) = (&self.context.ports.peers, &self.context.ports.clock);
            let view = peers.round_view(&record.url, &self.state.task, round).await;
            match &view {
                Err(e) if e.is_transient() => self.coordinator.lost(clock.now()),
                // It has answered, whatever it said.
                _ => self.coordinator.known(clock.now()),
            }
            if let Ok(view) = view {
                self.show(round, view).await;
            }
        }
    }

    /// Feeds a round what the coordinator's view adds to what it has heard.
    pub(super) async fn show(&mut self, round: RoundNumber, view: RoundView) {
        let open = self.still_open(round, &view);
        let inputs = [
            open.then_some(RunnerInput::StillOpen),
            view.u1.map(|u1| RunnerInput::Selected { u1 }),
            view.u2.map(|u2| RunnerInput::CalculationStarted { u2 }),
            view.u3.map(|u3| RunnerInput::AggregationStarted { u3 }),
            view.ended.map(RunnerInput::Ended),
        ];
        for input in inputs.into_iter().flatten() {
            let Some(handle) = self.rounds.get(&round.0) else {
                return;
            };
            // Rejections here are repetitions or lists that come too early for this node; the next look brings them again.
            if let Err(HandleError::Port(e)) = handle.give(input).await {
                tracing::warn!(task = %self.state.task, "{}", report(&e));
            }
        }
    }

    /// Whether a round would soon give up a phase that is still going on at its coordinator, which may wait for others or for the connector.
    fn still_open(&mut self, round: RoundNumber, view: &RoundView) -> bool {
        let Some(handle) = self.rounds.get(&round.0) else {
            return false;
        };
        let state = handle.state();
        if !state.is_open(view) {
            return false;
        }
        let now = self.context.ports.clock.now();
        // For as long as a coordinator has patience, as far as this node knows; beyond that nobody is waited for.
        let since = *self
            .open
            .entry((round.0, state.phase_name()))
            .or_insert(now);
        if now >= since + self.context.owner.patience() {
            return false;
        }
        let soon = |end: Timestamp| end.remaining(now) < state.phase_time() / 2;
        state.deadline().is_some_and(soon)
    }

    pub(super) async fn resume(&mut self) -> Result<(), PortError> {
        self.resume_pair().await;
        self.attend();
        if self.state.verdict == Some(Ok(())) && !self.state.finished {
            // The owner's list is not kept over restarts.
            self.ask_the_owner().await;
        }
        for stored in self.stored_rounds().await? {
            let round = stored.key.round;
            let Loaded::<RunnerRound> { machine, .. } = match load(
                &self.context.machine_ports(),
                &stored,
            ) {
                Ok(loaded) => loaded,
                Err(e) => {
                    tracing::error!(task = %self.state.task, round, "the round cannot be read, and its step is taken as done: {}", report(&e));
                    self.state.steps.lost();
                    if self.save().await {
                        self.forget(round).await;
                    }
                    continue;
                }
            };
            if machine.closes_step() {
                self.state
                    .steps
                    .contributed(machine.context().announcement.step);
            }
            if machine.is_over() && stored.outbox.is_empty() {
                self.put_away(stored.key.round, &machine).await;
            } else {
                let hosted = match (self.bundle().await, self.case().await) {
                    (Ok(bundle), Ok(case)) => self.host(stored, bundle, case, false),
                    (Err(e), _) | (_, Err(e)) => Err(e),
                };
                if let Err(e) = hosted {
                    tracing::error!(task = %self.state.task, round, "the round cannot be taken up again: {}", report(&e));
                    if self.save().await {
                        self.forget(round).await;
                    }
                }
            }
        }
        Ok(())
    }

    pub(super) async fn stored_rounds(&self) -> Result<Vec<StoredMachine>, PortError> {
        let storage = &self.context.ports.storage;
        let mut rounds = self
            .context
            .retry_transient(|| storage.machines(MachineKind::RunnerRound))
            .await?;
        rounds.retain(|stored| stored.key.task == self.state.task);
        Ok(rounds)
    }
}
