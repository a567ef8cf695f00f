//! One task as a member sees it: from the announcement to the end.

mod attending;
mod catching_up;
mod certifying;
mod joining;
mod judging;
mod leaving;
mod pair;
mod permitting;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::Notice;
use crate::backoff::Backoff;
use crate::contact::Contact;
use crate::context::Context;
use crate::machine::{Handle, HandleError, commit, erase};
use crate::owner::Case;
use crate::reading::Held;
use delta_domain::event::NetworkEvent;
use delta_domain::identity::AuthorWord;
use delta_domain::ids::{Address, DatasetName, Digest, RoundNumber, TaskId};
use delta_domain::records::proof::ReleaseProof;
use delta_domain::round::DeclineCode;
use delta_domain::round::message::RoundEnd;
use delta_domain::round::runner::{RunnerInput, RunnerOutcome, RunnerRound};
use delta_domain::round::steps::StepsSeen;
use delta_domain::secagg::sealing::SealingPair;
use delta_domain::task::TaskKind;
use delta_domain::time::Timestamp;
use delta_ports::blob::BlobName;
use delta_ports::storage::{
    LogLevel, MachineChange, MachineKey, MachineKind, StateChange, StoredMachine,
};
use delta_ports::{PortError, PortErrorKind, report};

/// How long a round may stand still before the coordinator is asked where it stands.
const QUIET: Duration = Duration::from_secs(2);
/// How long the task's pk1 is kept while no round is open.
const IDLE: Duration = Duration::from_secs(300);
/// How long a bundle or an announcement is asked for before this node gives a round up.
const PATIENCE: Duration = Duration::from_secs(20);

/// What a member keeps of a task. No secrets: the one that it has is elsewhere (`pair.rs`).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct MembershipState {
    pub(super) task: TaskId,
    kind: TaskKind,
    /// Version in the database; 0 before the first write.
    #[serde(skip)]
    version: u64,
    /// The coordinator's url and the bundle's digest, once known.
    record: Option<TaskOnRecord>,
    /// Whether the bundle is here and acceptable, or why it is not.
    verdict: Option<Result<(), DeclineCode>>,
    /// The datasets that it reads, once it is accepted.
    #[serde(default)]
    reads: BTreeSet<DatasetName>,
    /// Who submitted it, in its coordinator's word; `Some(None)` where the coordinator names nobody, `None` until it was asked.
    #[serde(default)]
    author: Option<Option<AuthorWord>>,
    /// What was found out about its graphs when they were checked.
    #[serde(default)]
    proof: Option<ReleaseProof>,
    /// The highest round ever joined: no round is joined twice, whoever asks.
    last_round: u32,
    /// The step whose client state counts: the one after the last contribution.
    state_step: u32,
    /// Whose sum the last step that this node contributed to is, and which step: later sums are combined with it.
    #[serde(default)]
    summed: Option<(u32, Digest)>,
    /// Which steps were joined and contributed to.
    #[serde(default)]
    steps: StepsSeen,
    finished: bool,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct TaskOnRecord {
    url: String,
    commitment: Digest,
    /// Its coordinator's address. Records that an earlier version kept have none.
    #[serde(default)]
    owner: Option<Address>,
}

impl MembershipState {
    pub(super) fn new(task: TaskId, kind: TaskKind) -> Self {
        Self {
            task,
            kind,
            version: 0,
            record: None,
            verdict: None,
            reads: BTreeSet::new(),
            author: None,
            proof: None,
            last_round: 0,
            state_step: 0,
            summed: None,
            steps: StepsSeen::default(),
            finished: false,
        }
    }

    pub(super) fn restore(stored: &StoredMachine) -> Result<Self, PortError> {
        let mut state: Self = serde_json::from_slice(&stored.snapshot).map_err(|e| {
            PortError::new(
                PortErrorKind::Corrupt,
                "runner.restore",
                "the stored membership cannot be read",
            )
            .with_source(e)
        })?;
        state.version = stored.version;
        Ok(state)
    }

    /// Takes no part in the task, whatever it asks.
    pub(super) fn decline(&mut self, code: DeclineCode) {
        self.verdict = Some(Err(code));
    }

    pub(super) fn is_over(&self) -> bool {
        self.finished
    }

    /// The task's coordinator, once its record is known.
    pub(super) fn owner(&self) -> Option<&Address> {
        self.record.as_ref()?.owner.as_ref()
    }

    fn change(&self) -> Result<MachineChange, PortError> {
        let snapshot = serde_json::to_vec(self).map_err(|e| {
            PortError::new(PortErrorKind::Internal, "runner.state", "cannot be written")
                .with_source(e)
        })?;
        Ok(MachineChange {
            key: MachineKey {
                kind: MachineKind::RunnerTask,
                task: self.task.clone(),
                round: 0,
            },
            expected: self.version,
            state: StateChange::Snapshot(snapshot),
            enqueue: Vec::new(),
            done: Vec::new(),
        })
    }
}

/// The actor of one task.
pub(super) struct Membership {
    context: Arc<Context>,
    state: MembershipState,
    notices: mpsc::Receiver<Notice>,
    rounds: BTreeMap<u32, Handle<RunnerRound>>,
    /// What the owner is asked about, once the bundle is here.
    case: Option<Arc<Case>>,
    /// Whether the task was found to be one of this node's own; what is on record of it does not change.
    own: bool,
    /// The round that waits for the owner's word.
    waiting: Option<RoundNumber>,
    /// Since when a phase of a round is known to go on at its coordinator.
    open: BTreeMap<(u32, &'static str), Timestamp>,
    /// The pk1 of the task and what was agreed under it, once a round is joined.
    pair: Option<SealingPair>,
    /// While it is held, this member is there for the task's coordinator.
    attending: Option<DropGuard>,
    /// While it is held, what the task reads stays as it is.
    reading: Option<Held>,
    /// Whether the task's coordinator answers.
    coordinator: Arc<Contact>,
    /// Fires when nobody needs what this node computes for the task.
    stop: CancellationToken,
}

impl Membership {
    pub(super) fn new(
        context: Arc<Context>,
        state: MembershipState,
        notices: mpsc::Receiver<Notice>,
    ) -> Self {
        let mut membership = Self {
            context,
            state,
            notices,
            rounds: BTreeMap::new(),
            case: None,
            own: false,
            waiting: None,
            open: BTreeMap::new(),
            pair: None,
            attending: None,
            reading: None,
            coordinator: Contact::presumed(),
            stop: CancellationToken::new(),
        };
        membership.hold_data();
        membership
    }

    pub(super) async fn run(mut self) {
        if self.state.version > 0 {
            if let Err(e) = self.resume().await {
                tracing::error!(task = %self.state.task, "the task cannot be taken up again: {}", report(&e));
            }
            self.catch_up(true).await;
        }
        let mut word = self.context.owner.changes();
        while !self.state.finished || !self.rounds.is_empty() {
            let clock = self.context.ports.clock.clone();
            tokio::select! {
                biased;
                notice = self.notices.recv() => match notice {
                    None => return,
                    Some(Notice::Gap) => self.catch_up(true).await,
                    Some(Notice::Event(event)) => self.hear(event).await,
                    Some(Notice::Leave(reply)) => {
                        // Whoever asked may be gone; it has happened all the same.
                        drop(reply.send(self.leave().await));
                    }
                },
                // The sender lives as long as the node.
                _ = word.changed() => self.hear_the_owner().await,
                // A round that goes on is heard through its handle; one that stands still is asked about.
                () = clock.sleep(QUIET), if !self.rounds.is_empty() => self.catch_up(false).await,
                // A task that nobody ends: the next round, if there is one, has a new key.
                () = clock.sleep(IDLE), if self.rounds.is_empty() && self.pair.is_some() => {
                    self.depart().await;
                    self.forget_pair().await;
                }
            }
            self.reap().await;
        }
        self.tidy().await;
    }

    /// What the task reads stays as it is, from its first round on.
    fn hold_data(&mut self) {
        if self.reading.is_none() && self.state.last_round > 0 && !self.state.reads.is_empty() {
            let reads = self.state.reads.clone();
            self.reading = Some(self.context.reading.hold(&self.state.task, reads));
        }
    }

    async fn hear(&mut self, event: NetworkEvent) {
        match event {
            NetworkEvent::TaskCreated {
                url,
                commitment,
                kind,
                owner,
                ..
            } => {
                self.state.kind = kind;
                self.learn(owner, url, &commitment).await;
                self.judge().await;
            }
            NetworkEvent::RoundStarted { round, .. } => self.round_started(round).await,
            NetworkEvent::PartnerSelected { round, members, .. } => {
                if self.waiting == Some(round) {
                    self.waiting = None;
                }
                self.give(round, RunnerInput::Selected { u1: members })
                    .await
            }
            NetworkEvent::CalculationStarted { round, members, .. } => {
                self.give(round, RunnerInput::CalculationStarted { u2: members })
                    .await;
            }
            NetworkEvent::AggregationStarted { round, members, .. } => {
                self.give(round, RunnerInput::AggregationStarted { u3: members })
                    .await;
            }
            NetworkEvent::RoundEnded { round, .. } => {
                self.give(round, RunnerInput::Ended(RoundEnd::Finished))
                    .await
            }
            NetworkEvent::TaskFinished { .. } => self.finish().await,
            NetworkEvent::MemberVerified { .. }
            | NetworkEvent::VerificationConfirmed { .. }
            | NetworkEvent::DataRegistered { .. } => {}
        }
    }

    /// Gives a round an input from the outside. A rejection is logged, and changes nothing.
    async fn give(&mut self, round: RoundNumber, input: RunnerInput) {
        if !self.rounds.contains_key(&round.0) {
            // An event may overtake the one before it when that one was lost.
            if round.0 > self.state.last_round && !matches!(input, RunnerInput::Ended(_)) {
                self.look_up().await;
            }
            return;
        }
        let Some(handle) = self.rounds.get(&round.0) else {
            return;
        };
        match handle.give(input).await {
            Ok(()) | Err(HandleError::Stopped) => {}
            Err(HandleError::Rejected(rejection)) => {
                let task = &self.state.task;
                let message = format!(
                    "task {task} round {round}: rejected what the network said: {rejection}"
                );
                self.context.log(LogLevel::Warn, task, message, None).await;
            }
            Err(HandleError::Port(e)) => tracing::error!(task = %self.state.task, "{}", report(&e)),
        }
    }

    /// Puts away rounds that are over.
    async fn reap(&mut self) {
        let over: Vec<(u32, Arc<RunnerRound>)> = self
            .rounds
            .iter()
            // It may still owe a last effect, a decline say; until it has stopped, the stored state is not ours to erase.
            .filter(|(_, h)| h.has_stopped())
            .map(|(r, h)| (*r, h.state()))
            .filter(|(_, s)| s.is_over())
            .collect();
        for (round, machine) in over {
            self.rounds.remove(&round);
            self.open.retain(|(number, _), _| *number != round);
            self.put_away(round, &machine).await;
        }
    }

    async fn put_away(&mut self, round: u32, machine: &RunnerRound) {
        let task = self.state.task.clone();
        let step = machine.context().announcement.step;
        match machine.summed() {
            Some(cohort) => self.state.summed = Some((step, cohort)),
            // Of an attempt that went on without its word this node does not know whose sum it is, or whether there is one.
            None if self.state.summed.is_some_and(|(of, _)| of == step) => self.state.summed = None,
            None => {}
        }
        let (level, text) = match machine.outcome() {
            Some(RunnerOutcome::Contributed) => {
                let before = self.state.state_step;
                self.state.state_step = step + 1;
                self.state.steps.contributed(step);
                self.remove(&BlobName::client_state(&task, before), before != step + 1)
                    .await;
                (
                    LogLevel::Info,
                    "this node's contribution is in the sum".to_owned(),
                )
            }
            // Client state stays: nobody but the coordinator says that there is a sum.
            Some(RunnerOutcome::Unconfirmed) => {
                self.state.steps.contributed(step);
                let text = "has a sum, the coordinator says; this node has revealed nothing for it, and takes the step as done";
                (LogLevel::Warn, text.to_owned())
            }
            Some(RunnerOutcome::Revealed(failure)) => {
                self.state.steps.contributed(step);
                let text = format!(
                    "failed after this node had revealed its shares, so that it takes the step as done: {failure}"
                );
                (LogLevel::Warn, text)
            }
            Some(RunnerOutcome::LeftOut { phase }) => (
                LogLevel::Info,
                format!("went on without this node after {phase}"),
            ),
            Some(RunnerOutcome::Failed(failure)) => (LogLevel::Warn, format!("failed: {failure}")),
            None => return,
        };
        self.context
            .log(
                level,
                &task,
                format!("task {task} round {round} {text}"),
                None,
            )
            .await;
        // Until it is written down which step is over, the round's own state says so to the next start.
        if self.save().await {
            self.forget(round).await;
        }
    }

    /// Deletes a round's machine, with every secret in it, and its files.
    async fn forget(&self, round: u32) {
        let settled = self.context.owner.settle(&self.state.task, round.into());
        if let Err(e) = settled.await {
            tracing::warn!(task = %self.state.task, round, "what was set aside for the round stays so: {}", report(&e));
        }
        let key = MachineKey {
            kind: MachineKind::RunnerRound,
            task: self.state.task.clone(),
            round,
        };
        if let Err(e) = erase(&self.context.machine_ports(), &key).await {
            tracing::warn!(task = %self.state.task, round, "the round's state stays until the next start: {}", report(&e));
        }
        self.remove(
            &BlobName::runner_round(&self.state.task, RoundNumber(round)),
            true,
        )
        .await;
    }

    async fn remove(&self, name: &BlobName, wanted: bool) {
        if wanted && let Err(e) = self.context.ports.blobs.remove(name).await {
            tracing::warn!("{name} stays: {}", report(&e));
        }
    }

    async fn finish(&mut self) {
        // Before it is written down that the task is over: whoever is killed meanwhile looks again.
        self.check_certificate().await;
        self.state.finished = true;
        for handle in self.rounds.values() {
            // A round that is still open when the task ends has no sum to wait for.
            drop(handle.give(RunnerInput::Ended(RoundEnd::Finished)).await);
        }
        self.stop.cancel();
        self.reap().await;
        self.save().await;
    }

    async fn tidy(&mut self) {
        self.attending = None;
        self.context.owner.forget(&self.state.task);
        self.forget_pair().await;
        self.forget_table().await;
        // What could not be taken up or erased in its time.
        for stored in self.stored_rounds().await.unwrap_or_default() {
            self.forget(stored.key.round).await;
        }
        self.remove(&BlobName::runner_task(&self.state.task), true)
            .await;
    }

    /// Tries again while the other side cannot be reached, for a while; not when there is no room here.
    async fn retry_transient<T, F: Future<Output = Result<T, PortError>>>(
        &self,
        call: impl Fn() -> F,
    ) -> Result<T, PortError> {
        let clock = &self.context.ports.clock;
        let until = clock.now() + PATIENCE;
        let mut backoff = Backoff::QUICK;
        loop {
            match call().await {
                Err(e) if e.is_transient() && !e.is_lack_at_home() && clock.now() < until => {
                    clock.sleep(backoff.pause()).await;
                }
                other => return other,
            }
        }
    }

    /// Writes the task's state down; answers whether it is.
    async fn save(&mut self) -> bool {
        let saved = match self.state.change() {
            Ok(change) => commit(&self.context.machine_ports(), vec![change]).await,
            Err(e) => Err(e),
        };
        match saved {
            Ok(()) => {
                self.state.version += 1;
                true
            }
            Err(e) => {
                tracing::error!(task = %self.state.task, "the task's state could not be kept: {}", report(&e));
                false
            }
        }
    }
}
