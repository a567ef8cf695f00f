//! The loop itself: handle, commit, then speak.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use super::commit::commit;
use super::stored::{cannot_seal, entry, entry_context, seal, seal_bytes, seal_snapshot};
use super::{Effects, HandleError, Machine, MachinePorts};
use crate::backoff::Backoff;
use crate::contact::Reach;
use delta_domain::round::Pacing;
use delta_domain::time::Timestamp;
use delta_ports::connector::WalletView;
use delta_ports::metrics::{Observation, Role};
use delta_ports::report;
use delta_ports::storage::{MachineChange, MachineKey, MachineKind, OutboxEntry, StateChange};

/// A journal is replaced by a snapshot when it is longer than this and than so many snapshots.
const JOURNAL_BYTES: usize = 1 << 20;
const JOURNAL_SNAPSHOTS: usize = 4;
/// Shorter outages are within what a deadline allows for anyway.
const WORTH_A_WORD: Duration = Duration::from_millis(250);
/// Pauses before an effect whose outcome could not be put on disk is carried out again: it may be a whole computation.
pub(super) const LOST: Backoff = Backoff::new(Duration::from_secs(2), 2, Duration::from_secs(60));

/// An input on its way to a machine, and where the answer goes.
pub(super) struct Message<M: Machine> {
    pub(super) input: M::Input,
    pub(super) reply: oneshot::Sender<Result<(), HandleError>>,
}

/// A machine, what surrounds it, and what is under way for it.
pub(super) struct Host<M: Machine> {
    pub(super) ports: MachinePorts,
    pub(super) effects: Arc<dyn Effects<M>>,
    pub(super) key: MachineKey,
    pub(super) version: u64,
    pub(super) machine: Arc<M>,
    pub(super) snapshot_bytes: usize,
    pub(super) journal_bytes: usize,
    pub(super) next_id: u64,
    pub(super) running: JoinSet<(u64, M::Effect, Option<M::Input>)>,
    pub(super) messages: mpsc::Receiver<Message<M>>,
    pub(super) publish: watch::Sender<Arc<M>>,
    pub(super) reach: Reach,
    /// When it began to run here.
    pub(super) began: Timestamp,
    /// When its phase began, or it began to run here in it.
    pub(super) phase_began: Timestamp,
    /// For how long deadlines have stood still since.
    pub(super) stood: Duration,
    pub(super) lost: Backoff,
    pub(super) cancel: CancellationToken,
}

impl<M: Machine> Host<M> {
    pub(super) async fn run(mut self, outbox: BTreeMap<u64, M::Effect>, fresh: bool) {
        if !fresh && !self.machine.is_over() {
            self.pass(M::taken_up(), "that the round is taken up again")
                .await;
        }
        for (id, effect) in outbox {
            self.start(id, effect, !fresh);
        }
        let mut reach = self.reach.clone();
        let mut still_since = None;
        // A round that is over still owes its last effects (a decline, say).
        while !(self.machine.is_over() && self.running.is_empty()) {
            self.stand_still(&mut still_since).await;
            self.keep_pace().await;
            let clock = self.ports.clock.clone();
            let still = self.reach.away().map(|away| away.max(self.began));
            let deadline = match still_since.or(still) {
                Some(since) => self
                    .machine
                    .deadline()
                    .map(|d| d.max(since + self.patience())),
                None => self.machine.deadline(),
            };
            let tick = async move {
                match deadline {
                    Some(at) => clock.sleep(at.remaining(clock.now())).await,
                    None => std::future::pending().await,
                }
            };
            let cancel = self.cancel.clone();
            tokio::select! {
                biased;
                () = cancel.cancelled() => {
                    self.settle().await;
                    break;
                }
                Some(done) = self.running.join_next() => match done {
                    Ok((id, effect, input)) => {
                        self.move_deadlines(&mut still_since).await;
                        self.effect_done(id, effect, input).await;
                    }
                    Err(panic) => {
                        tracing::error!(task = %self.key.task, round = self.key.round, "an effect panicked: {panic}");
                        self.cancel.cancel();
                    }
                },
                Some(Message { input, reply }) = self.messages.recv() => {
                    self.move_deadlines(&mut still_since).await;
                    let answer = self.apply(Some(input), None).await;
                    // The caller may have gone away; the input has happened all the same.
                    drop(reply.send(answer));
                }
                () = reach.changed() => {}
                () = tick => {
                    self.pass(M::tick(), "a deadline").await;
                }
            }
        }
    }

    /// Lets deadlines allow for what a call takes.
    async fn keep_pace(&mut self) {
        let WalletView { block, waiting, .. } = self.ports.connector.wallet();
        let waiting = u32::try_from(waiting).unwrap_or(u32::MAX);
        if !self.machine.is_over()
            && let Some(input) = self.machine.paced(Pacing { block, waiting })
        {
            self.pass(input, "how long a call takes").await;
        }
    }

    /// Keeps deadlines where they are while somebody is away, and moves them by as long once everybody is back.
    async fn stand_still(&mut self, since: &mut Option<Timestamp>) {
        match (self.reach.away(), *since) {
            // Nobody is missed who was away before.
            (Some(away), None) => *since = Some(away.max(self.began)),
            (None, Some(_)) if self.move_deadlines(since).await => *since = None,
            _ => {}
        }
    }

    /// Moves deadlines that have stood still since `since` to where they are now, so that what arrives meanwhile is not judged late.
    /// False when that could not be put on disk.
    async fn move_deadlines(&mut self, since: &mut Option<Timestamp>) -> bool {
        let Some(from) = *since else { return true };
        let now = self.ports.clock.now();
        let by = (now - from).min(self.patience());
        if by < WORTH_A_WORD || self.machine.is_over() {
            return true;
        }
        let moved = self
            .pass(M::postponed(by), "that deadlines are moved")
            .await;
        if moved {
            self.stood += by;
            self.ports.metrics.observe(Observation::Waited {
                cause: self.reach.cause(),
                took: by,
            });
            *since = Some(now);
        }
        moved
    }

    /// For how long deadlines may stand still yet: in all, so that nobody who comes and goes keeps secrets alive for ever.
    fn patience(&self) -> Duration {
        self.reach.patience().saturating_sub(self.stood)
    }

    /// Takes in what only time brings; when that cannot be put on disk it comes again. Whether it could.
    async fn pass(&mut self, input: M::Input, what: &str) -> bool {
        if let Err(e) = self.apply(Some(input), None).await {
            self.log_error(&format!("{what} could not be recorded"), &e);
            self.ports.clock.sleep(Backoff::QUICK.maximum()).await;
            return false;
        }
        true
    }

    /// Puts a snapshot in the place of the journal, for whoever takes the machine up again.
    async fn settle(&mut self) {
        if self.journal_bytes == 0 || self.machine.is_over() {
            return;
        }
        let settled = match seal_snapshot(&self.ports, &self.key, &*self.machine, self.next_id) {
            Ok(snapshot) => {
                let change = MachineChange {
                    key: self.key.clone(),
                    expected: self.version,
                    state: StateChange::Snapshot(snapshot),
                    enqueue: Vec::new(),
                    done: Vec::new(),
                };
                // Once: the node is stopping, and the journal serves as well.
                self.ports.storage.commit(vec![change], Vec::new()).await
            }
            Err(e) => Err(e),
        };
        match settled {
            Ok(()) => (self.version, self.journal_bytes) = (self.version + 1, 0),
            Err(e) => tracing::warn!(task = %self.key.task, "the journal stays: {}", report(&e)),
        }
    }

    async fn effect_done(&mut self, id: u64, effect: M::Effect, input: Option<M::Input>) {
        let error = match self.apply(input, Some(id)).await {
            Ok(()) => return self.lost.reset(),
            Err(HandleError::Rejected(rejection)) => {
                // The input is rejected, but the effect is done.
                tracing::info!(
                    task = %self.key.task, round = self.key.round, code = rejection.code(),
                    "the outcome of an effect is rejected: {rejection}"
                );
                match self.apply(None, Some(id)).await {
                    Ok(()) => return,
                    Err(e) => e,
                }
            }
            Err(e) => e,
        };
        self.log_error("an effect could not be marked as done", &error);
        // A full disk: what came of it would be missed for ever, so it is carried out again, with a look at the record first. Anything
        // else stays in the outbox for whoever takes the machine up again.
        if matches!(&error, HandleError::Port(e) if e.is_transient()) {
            let pause = self.lost.pause();
            self.start_after(pause, id, effect, true);
        }
    }

    /// Handles, commits, then speaks. Without an input only marks an effect as done.
    async fn apply(
        &mut self,
        input: Option<M::Input>,
        done: Option<u64>,
    ) -> Result<(), HandleError> {
        let (next, state, effects) = match input {
            Some(input) => self.advance(input)?,
            None => (Arc::clone(&self.machine), StateChange::Same, Vec::new()),
        };
        let next_id = self.next_id + effects.len() as u64;
        let mut enqueue = Vec::with_capacity(effects.len());
        let mut started = Vec::with_capacity(effects.len());
        for (id, effect) in (self.next_id..).zip(effects) {
            enqueue.push(OutboxEntry {
                id,
                effect: seal(&self.ports, &self.key, &effect)?,
            });
            started.push((id, effect));
        }
        let change = MachineChange {
            key: self.key.clone(),
            expected: self.version,
            state,
            enqueue,
            done: done.into_iter().collect(),
        };
        let (snapshot_bytes, journal_bytes) = match &change.state {
            StateChange::Snapshot(snapshot) => (snapshot.len(), 0),
            StateChange::Entry(entry) => (self.snapshot_bytes, self.journal_bytes + entry.len()),
            StateChange::Same | StateChange::Deleted => (self.snapshot_bytes, self.journal_bytes),
        };
        commit(&self.ports, vec![change]).await?;
        // Only now: a journal is counted again after a restart, and what was not recorded has used no id.
        self.next_id = next_id;
        (self.snapshot_bytes, self.journal_bytes) = (snapshot_bytes, journal_bytes);
        self.version += 1;
        let before = std::mem::replace(&mut self.machine, next);
        self.measure(&before);
        self.publish.send_replace(Arc::clone(&self.machine));
        for (id, effect) in started {
            self.start(id, effect, false);
        }
        Ok(())
    }

    /// Counts what has ended with the last change.
    fn measure(&mut self, before: &M) {
        let (was, is) = (before.phase(), self.machine.phase());
        if was == is {
            return;
        }
        let role = match M::KIND {
            MachineKind::CoordinatorRound => Role::Coordinator,
            _ => Role::Member,
        };
        let (metrics, now) = (&self.ports.metrics, self.ports.clock.now());
        metrics.observe(Observation::PhaseEnded {
            role,
            phase: was,
            took: now - self.phase_began,
        });
        self.phase_began = now;
        if let Some(outcome) = self.machine.outcome() {
            metrics.observe(Observation::RoundEnded {
                role,
                outcome,
                took: now - self.began,
            });
        }
    }

    /// The machine after an input, and what to write down about it. The machine at hand stays as it is until that is committed.
    #[expect(clippy::type_complexity, reason = "three parts of one answer")]
    fn advance(
        &self,
        input: M::Input,
    ) -> Result<(Arc<M>, StateChange, Vec<M::Effect>), HandleError> {
        let mut next = M::clone(&self.machine);
        let now = self.ports.clock.now();
        let journalled = M::journalled(&input).transpose().map_err(cannot_seal)?;
        let effects = next.handle(now, input)?;
        // A machine that is over keeps no secrets: its journal must go. A long journal would make a restart slow.
        let longest = JOURNAL_BYTES.max(self.snapshot_bytes.saturating_mul(JOURNAL_SNAPSHOTS));
        let state = match journalled.map(Zeroizing::new) {
            Some(input) if !next.is_over() && self.journal_bytes + input.len() <= longest => {
                let context = entry_context(&self.key, self.version + 1);
                StateChange::Entry(seal_bytes(&self.ports, &context, &entry(now, &input))?)
            }
            _ => {
                let next_id = self.next_id + effects.len() as u64;
                StateChange::Snapshot(seal_snapshot(&self.ports, &self.key, &next, next_id)?)
            }
        };
        Ok((Arc::new(next), state, effects))
    }

    fn start(&mut self, id: u64, effect: M::Effect, again: bool) {
        self.start_after(Duration::ZERO, id, effect, again);
    }

    fn start_after(&mut self, wait: Duration, id: u64, effect: M::Effect, mut again: bool) {
        let effects = self.effects.clone();
        let clock = self.ports.clock.clone();
        let mut over = self.publish.subscribe();
        let key = self.key.clone();
        let reach = self.reach.clone();
        self.running.spawn(async move {
            let mut backoff = Backoff::QUICK;
            if !wait.is_zero() {
                clock.sleep(wait).await;
            }
            loop {
                let error = match effects.carry_out(&effect, again).await {
                    Ok(input) => return (id, effect, input),
                    Err(error) => error,
                };
                let connector = reach.connector();
                let away = connector.is_to_blame(&error, clock.now());
                let waits = error.is_transient() && !M::gives_up(&effect, &error);
                if !waits && !away {
                    tracing::warn!(task = %key.task, round = key.round, "{}", report(&error));
                    let failed = M::effect_failed(&effect, &error);
                    return (id, effect, failed);
                }
                tracing::debug!(task = %key.task, round = key.round, "will try again: {}", report(&error));
                again = true;
                let pause = async {
                    if away {
                        connector.here().await;
                    }
                    clock.sleep(backoff.pause()).await;
                };
                tokio::select! {
                    biased;
                    () = pause => {}
                    // Nobody needs it any more: one last try was enough.
                    _ = over.wait_for(|m| m.is_over()) => return (id, effect, None),
                }
            }
        });
    }

    fn log_error(&self, what: &str, error: &HandleError) {
        tracing::error!(task = %self.key.task, round = self.key.round, "{what}: {error}");
    }
}
