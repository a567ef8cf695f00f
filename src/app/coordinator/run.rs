//! One task from its first round to its result: attempts at its steps, one after the other, and what is told of them.
//!
//! Not here: what a reduce computes from the sums (`run/reduce.rs`), and the result and the end of the task (`run/end.rs`).

mod certify;
mod end;
mod number;
mod reduce;

use std::sync::Arc;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use super::attendance::Roll;
use super::effects::RoundEffects;
use super::presence::Presence;
use super::round_machine::RoundMachine;
use super::state::{Certified, Contributors, Ended, RunState};
use super::timeline::Timeline;
use super::{Active, Coordinator};
use crate::backoff::Backoff;
use crate::contact::Reach;
use crate::context::{Context, PATIENCE};
use crate::machine::{Handle, Loaded, commit, create, load, spawn};
use delta_domain::bundle::Bundle;
use delta_domain::ids::{Address, RoundNumber};
use delta_domain::round::coordinator::{CoordinatorInput, CoordinatorOutcome, CoordinatorRound};
use delta_domain::round::{FailureCode, Members, RoundFailure};
use delta_domain::task::TaskStatus;
use delta_ports::author_api::TaskProgress;
use delta_ports::blob::BlobName;
use delta_ports::board_api::News;
use delta_ports::executor::Part;
use delta_ports::storage::{LogLevel, MachineChange, StateChange, StoredMachine, TaskUpdate};
use delta_ports::{PortError, PortErrorKind, TRACES, report};
pub(super) use end::publish_end;
use end::write_result;
use reduce::Outcome;
pub(super) use reduce::{Ahead, Reduce};

/// Rounds in which proofs are asked for.
const PROOF_ROUNDS: u32 = 2;
/// How often a task is taken up again after trouble of this node's own that may mend itself.
const TRIES: usize = 10;

/// The run of one task.
pub(super) struct TaskRun {
    coordinator: Arc<Coordinator>,
    context: Arc<Context>,
    state: RunState,
    bundle: Arc<Bundle>,
    progress: watch::Sender<TaskProgress>,
    presence: Arc<Presence>,
    /// Stops the loop of the round that was hosted last.
    hosted: CancellationToken,
    /// The reduce of the round that was hosted last, where it has begun.
    ahead: Arc<Ahead>,
    /// Where the time of the running round goes.
    timeline: Timeline,
}

/// Whether this node has no room to write: its own trouble, that its operator mends.
pub(super) fn is_full_disk(error: &PortError) -> bool {
    let written = ["storage.", "blob"]
        .iter()
        .any(|w| error.op().starts_with(w));
    written && error.kind() == PortErrorKind::Exhausted
}

fn rejected(text: String) -> PortError {
    PortError::new(PortErrorKind::Rejected, "coordinator.run", text)
}

impl TaskRun {
    pub(super) fn new(coordinator: Arc<Coordinator>, state: RunState, bundle: Arc<Bundle>) -> Self {
        let progress = watch::Sender::new(state.starting(&bundle));
        let context = coordinator.context.clone();
        let presence = Presence::new(context.ports.clock.clone());
        let active = Active {
            bundle: bundle.clone(),
            progress: progress.clone(),
            hosted: CancellationToken::new(),
            round: None,
            roll: None,
            presence: presence.clone(),
        };
        coordinator.active().insert(state.task.clone(), active);
        Self {
            coordinator,
            context,
            state,
            bundle,
            progress,
            presence,
            hosted: CancellationToken::new(),
            ahead: Arc::default(),
            timeline: Timeline::default(),
        }
    }

    pub(super) async fn run(mut self) {
        let task = self.state.task.clone();
        let end = self.retry_steps().await;
        let update = match &end {
            Ok(()) => TaskUpdate {
                status: Some(match self.state.certified {
                    Some(Certified::Confirmed) => TaskStatus::Confirmed,
                    Some(Certified::Not(_)) | None => TaskStatus::Finished,
                }),
                ..TaskUpdate::default()
            },
            Err(e) => {
                self.context
                    .log(
                        LogLevel::Error,
                        &task,
                        format!("task {task} failed: {}", e.message()),
                        None,
                    )
                    .await;
                TaskUpdate {
                    status: Some(TaskStatus::Error),
                    error: Some(e.message().to_owned()),
                    ..TaskUpdate::default()
                }
            }
        };
        let (coordinator, id) = (&self.coordinator, self.state.local_id);
        let recorded = self
            .context
            .retry_transient(|| coordinator.record(id, &update));
        if let Err(e) = recorded.await {
            tracing::error!(%task, "the task's end could not be recorded: {}", report(&e));
        }
        self.coordinator.active().remove(&task);
        // The other nodes need not wait for more rounds, and nobody waits until they know.
        self.coordinator.say_farewell(id, end.is_ok()).await;
    }

    /// What a restart would mend is mended without one: from what is on disk, a few times; a full disk as long as its owner's patience.
    async fn retry_steps(&mut self) -> Result<(), PortError> {
        let mut backoff = Backoff::STEPS;
        let (mut tries, mut full_since) = (0, None);
        loop {
            let error = match self.steps().await {
                Err(e) if e.is_transient() => e,
                end => return end,
            };
            let now = self.context.ports.clock.now();
            if is_full_disk(&error) {
                let until = *full_since.get_or_insert(now) + self.context.settings.patience;
                if now >= until {
                    return Err(error);
                }
                let phase = format!("Waiting: {}", error.message());
                self.progress.send_modify(|p| p.phase = phase);
            } else {
                full_since = None;
                tries += 1;
                if tries > TRIES {
                    return Err(error);
                }
            }
            tracing::warn!(task = %self.state.task, "taking the task up again: {}", report(&error));
            self.context.ports.clock.sleep(backoff.pause()).await;
            let key = self.state.change()?.key;
            if let Ok(Some(stored)) = self.context.ports.storage.machine(&key).await {
                self.state = RunState::restore(&stored)?;
            }
        }
    }

    async fn steps(&mut self) -> Result<(), PortError> {
        if let Some(stored) = self.unfinished_round().await? {
            match self.host(stored, false) {
                Ok(handle) => self.finish_round(handle).await?,
                // Damaged, or a journal of another release: that costs the round, not the task.
                Err(e) if e.kind() == PortErrorKind::Corrupt => {
                    let reason = format!("it cannot be taken up again: {}", e.message());
                    tracing::warn!(task = %self.state.task, "{}", report(&e));
                    let code = FailureCode::Infrastructure;
                    self.count_failure(RoundFailure { code, reason }).await?;
                }
                Err(e) => return Err(e),
            }
        }
        while !self.state.complete {
            self.wait_for_connector().await;
            if let Err(e) = self.wait_for_nodes().await {
                match self.proves() {
                    // The answer is there, and stays it.
                    true => {
                        self.give_certificate_up(e.message().to_owned()).await?;
                        break;
                    }
                    false => return Err(e),
                }
            }
            let handle = self.start_round().await?;
            let span = tracing::info_span!(target: TRACES, "coordinate", task = %self.state.task, round = self.state.round, step = self.state.step);
            self.finish_round(handle).instrument(span).await?;
        }
        write_result(&self.context, &self.state, &self.bundle).await
    }

    async fn unfinished_round(&self) -> Result<Option<StoredMachine>, PortError> {
        if self.state.complete || self.state.round == 0 {
            return Ok(None);
        }
        let key = self.state.round_key();
        self.context.ports.storage.machine(&key).await
    }

    /// A round is started when the connector is there, and the other nodes have had the time to notice that it is back.
    async fn wait_for_connector(&self) {
        let (contact, clock) = (&self.context.contact, &self.context.ports.clock);
        self.show_away();
        contact.settled(&**clock).await;
        self.show_away();
    }

    /// Shows since when the connector is away.
    fn show_away(&self) {
        let away = self.context.contact.away();
        self.progress
            .send_if_modified(|p| std::mem::replace(&mut p.connector_away, away) != away);
    }

    /// Gives a task up whose cohort cannot come together, after a while in which nodes may come back.
    async fn wait_for_nodes(&self) -> Result<(), PortError> {
        let strategy = &self.bundle.manifest().strategy;
        let clock = &self.context.ports.clock;
        let patience = match self.state.came.is_empty() {
            true => strategy
                .connection_timeout()
                .saturating_mul(strategy.retries.saturating_add(1))
                .min(PATIENCE),
            // They were there: this is an outage.
            false => self.context.settings.patience,
        };
        let until = clock.now() + patience;
        let mut backoff = Backoff::STEPS;
        while let Some(text) = self.context.too_few_nodes(strategy.min_clients).await {
            if clock.now() >= until {
                return Err(rejected(text));
            }
            tracing::info!(task = %self.state.task, "{text}; it waits for more");
            clock.sleep(backoff.pause()).await;
        }
        Ok(())
    }

    /// Begins the next attempt: its number and the round itself are one transaction.
    async fn start_round(&mut self) -> Result<Handle<RoundMachine>, PortError> {
        self.ahead.ended().await;
        let now = self.context.ports.clock.now();
        let mut state = self.state.clone();
        state.round = self.next_number().await;
        state.round_started = now;
        let mut round = state.round_context(&self.bundle, &self.context.settings);
        // Who is there again is waited for like anybody.
        let here = self.presence.here();
        round.silent.retain(|member| !here.contains(member));
        let (mut machine, effects) = CoordinatorRound::start(now, round, self.context.seed()?);
        if self.proves() {
            machine.to_prove();
        }
        let ports = self.context.machine_ports();
        let (change, stored) = create(
            &ports,
            &state.task,
            state.round,
            &RoundMachine(machine),
            &effects,
        )?;
        commit(&ports, vec![state.change()?, change]).await?;
        state.version += 1;
        self.state = state;
        self.host(stored, true)
    }

    /// Runs a stored round in the background, and makes it known to members' requests.
    fn host(
        &mut self,
        stored: StoredMachine,
        fresh: bool,
    ) -> Result<Handle<RoundMachine>, PortError> {
        let ports = self.context.machine_ports();
        let number = stored.key.round;
        let loaded: Loaded<RoundMachine> = load(&ports, &stored)?;
        let round = loaded.machine.0.context().clone();
        let wanted = usize::try_from(round.strategy.min_clients).unwrap_or(usize::MAX);
        let roll = Arc::new(Roll::new(
            self.coordinator.attendance.clone(),
            self.context.ports.clock.now(),
            round.floor.max(wanted),
        ));
        self.ahead = Arc::default();
        let effects = RoundEffects {
            reduce: self.reduce_of_now(),
            ahead: self.ahead.clone(),
            context: self.context.clone(),
            bundle: self.bundle.clone(),
            roll: roll.clone(),
            presence: self.presence.clone(),
            round,
            key: self.state.on_record(),
            tables: {
                let certified = self.bundle.manifest().certified();
                certified.map(|_| self.state.tables.clone())
            },
            uncommitted: std::sync::Mutex::default(),
        };
        let cancel = self.context.cancel.child_token();
        let (handle, running) = spawn(
            ports,
            Arc::new(effects),
            stored,
            loaded,
            fresh,
            Reach::new(
                self.context.contact.clone(),
                None,
                self.context.settings.patience,
            ),
            cancel.clone(),
        )?;
        self.hosted = cancel.clone();
        self.context.spawn_to_its_end(running);
        if let Some(active) = self.coordinator.active().get_mut(&self.state.task) {
            active.hosted = cancel;
            active.round = Some((number, handle.clone()));
            active.roll = Some(roll);
        }
        Ok(handle)
    }

    /// Follows a round to its end, then reduces, or counts the failure.
    async fn finish_round(&mut self, mut handle: Handle<RoundMachine>) -> Result<(), PortError> {
        let mut reach = Reach::new(self.context.contact.clone(), None, PATIENCE);
        let (presence, mut news) = (self.presence.clone(), self.presence.subscribe());
        let (mut told, mut came) = (Members::new(), Members::new());
        let mut prepared = false;
        let machine = loop {
            let machine = handle.state();
            self.show(&machine.0);
            if machine.0.is_over() {
                break machine;
            }
            // Its worker starts while the sum is unmasked.
            if !prepared && machine.0.is_unmasking() && !self.proves() {
                prepared = true;
                let (executor, step) = (&self.context.ports.executor, self.state.step);
                executor.prepare(&self.bundle, step, Part::Reduce);
            }
            if let Some(directory) = machine.0.directory() {
                presence.learn(self.state.round, directory);
                if came.is_empty() {
                    came.extend(directory.members().keys().cloned());
                }
            }
            let lost = presence.lost();
            if lost != told {
                told.clone_from(&lost);
                let members = lost.into_iter().collect();
                // Its state says what became of it.
                drop(handle.give(CoordinatorInput::Lost { members }).await);
                continue;
            }
            tokio::select! {
                changed = handle.changed() => if changed.is_none() {
                    return Err(super::internal(
                        "coordinator.round",
                        "the round stopped unexpectedly",
                    ));
                },
                () = reach.changed() => {}
                () = presence.changed(&mut news) => {}
            }
        };
        self.timeline
            .is_in("Reduce", [], self.context.ports.clock.now());
        // A read that is still under way is nobody's business any more, and the stored round is about to be erased.
        self.hosted.cancel();
        handle.stopped().await;
        self.state.came.append(&mut came);
        for (member, table) in machine.0.tables() {
            let first = self.state.tables.entry(member.clone());
            first.or_insert(*table);
        }
        match machine.0.outcome() {
            Some(CoordinatorOutcome::Aggregated { u3, .. }) if self.proves() => {
                self.certify(u3.iter().cloned().collect()).await
            }
            Some(CoordinatorOutcome::Aggregated { u3, dropped }) => {
                self.reduce(
                    u3.iter().cloned().collect(),
                    dropped.iter().cloned().collect(),
                )
                .await
            }
            Some(CoordinatorOutcome::Failed(failure)) => self.count_failure(failure.clone()).await,
            None => Err(super::internal(
                "coordinator.round",
                "the round ended without an outcome",
            )),
        }
    }

    /// Puts a failed round away. The step is attempted again, as often as the strategy allows.
    async fn count_failure(&mut self, failure: RoundFailure) -> Result<(), PortError> {
        let (reason, code) = (failure.reason.clone(), failure.code);
        self.put_away(failure).await?;
        if self.proves() {
            // Once more, with everybody; then the answer stands without a certificate.
            return match self.state.failures < PROOF_ROUNDS {
                true => Ok(()),
                false => self.give_certificate_up(reason).await,
            };
        }
        if matches!(code, FailureCode::Refused | FailureCode::StayedAway) {
            return Err(rejected(format!("the task cannot run: {reason}")));
        }
        if self.state.failures <= self.bundle.manifest().strategy.retries {
            return Ok(());
        }
        let text = format!(
            "step {} failed {} times, last: {reason}",
            self.state.step + 1,
            self.state.failures
        );
        Err(rejected(text))
    }

    async fn put_away(&mut self, failure: RoundFailure) -> Result<(), PortError> {
        let (task, round) = (&self.state.task, self.state.round);
        let message = format!("task {task} round {round} failed: {}", failure.reason);
        self.context.log(LogLevel::Warn, task, message, None).await;
        self.state.failures += 1;
        self.close_round(Ended::Failed(failure)).await
    }

    /// Runs the reduce on the sums and moves on to the next step.
    async fn reduce(&mut self, u3: Vec<Address>, dropped: Vec<Address>) -> Result<(), PortError> {
        let reduce = self.reduce_of_now();
        let span = tracing::info_span!(target: TRACES, "reduce", members = u3.len());
        let run = reduce.run(&u3, &dropped, &self.ahead).instrument(span);
        let reduced = match run.await? {
            Outcome::Reduced(reduced) => reduced,
            // Each member contributes to a step once: another attempt would find nobody.
            Outcome::TooFew(failure) => {
                let reason = failure.reason.clone();
                self.put_away(failure).await?;
                let text = format!("step {} failed: {reason}", self.state.step + 1);
                return Err(rejected(text));
            }
        };
        let message = reduced.told(u3.len());
        let step = self.state.step;
        self.state = reduced.state;
        let summed = Ended::Summed(Contributors {
            step,
            clients: u3,
            dropped,
            failed: reduced.failed,
            metrics: reduced.metrics,
        });
        self.close_round(summed).await?;
        self.context
            .log(LogLevel::Info, &self.state.task, message, None)
            .await;
        for name in reduced.superseded {
            drop(self.context.ports.blobs.remove(&name).await);
        }
        Ok(())
    }

    fn reduce_of_now(&self) -> Reduce {
        Reduce {
            context: self.context.clone(),
            bundle: self.bundle.clone(),
            state: self.state.clone(),
        }
    }

    /// Shows how the round ended, once that is kept: who is told of it may ask for what it came to.
    fn tell_end(&self) {
        let (rounds, step) = (self.state.rounds.clone(), self.state.step);
        self.progress.send_modify(|p| {
            p.rounds = rounds;
            p.step = step;
            p.phases = Vec::new();
        });
        self.context.news.tell(News::Progress(self.state.local_id));
    }

    /// The task moves on and the round, with its secrets, goes: one transaction.
    async fn close_round(&mut self, ended: Ended) -> Result<(), PortError> {
        let now = self.context.ports.clock.now();
        let phases = self.timeline.end(now);
        self.state.remember(now, ended, phases);
        let key = self.state.round_key();
        let mut changes = vec![self.state.change()?];
        let storage = &self.context.ports.storage;
        if let Some(stored) = storage.machine(&key).await? {
            changes.push(MachineChange {
                key,
                expected: stored.version,
                state: StateChange::Deleted,
                enqueue: Vec::new(),
                done: Vec::new(),
            });
        }
        commit(&self.context.machine_ports(), changes).await?;
        self.state.version += 1;
        self.tell_end();
        if let Some(active) = self.coordinator.active().get_mut(&self.state.task) {
            active.round = None;
        }
        let files = BlobName::coordinator_round(&self.state.task, RoundNumber(self.state.round));
        if let Err(e) = self.context.ports.blobs.remove(&files).await {
            tracing::warn!(task = %self.state.task, "the round's files stay: {}", report(&e));
        }
        Ok(())
    }

    /// Shows where the round stands.
    fn show(&mut self, round: &CoordinatorRound) {
        let asking = round.asking();
        self.state.asked.extend(asking.iter().cloned());
        let waiting_for = round.waiting_for();
        let now = self.context.ports.clock.now();
        let missing = waiting_for.iter().chain(&asking);
        self.timeline.is_in(round.phase_name(), missing, now);
        let phases = self.timeline.over().to_vec();
        let since = self.timeline.since().unwrap_or(now);
        self.progress.send_modify(|p| {
            p.phases = phases;
            p.phase_since = since;
            p.step = self.state.step;
            p.round = self.state.round;
            p.phase = round.phase_name().into();
            p.waiting_for = waiting_for.into_iter().collect();
            p.asking = asking.into_iter().collect();
            p.deadline = round.phase_deadline();
            p.connector_away = self.context.contact.away();
        });
        self.context.news.tell(News::Progress(self.state.local_id));
    }
}
