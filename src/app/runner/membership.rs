//! One task as a member sees it: from the announcement to the end.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::Notice;
use super::effects::{RunnerEffects, round_key};
use crate::app::context::Context;
use crate::app::driver::{Handle, HandleError, birth, commit, erase, spawn};
use crate::domain::bundle::Bundle;
use crate::domain::event::NetworkEvent;
use crate::domain::ids::{Digest, RoundNumber, TaskId};
use crate::domain::round::PrivacyFloor;
use crate::domain::round::message::{
    Announcement, RequestBody, RoundEnd, RoundView, SignedRequest,
};
use crate::domain::round::runner::{RunnerContext, RunnerInput, RunnerOutcome, RunnerRound};
use crate::domain::task::TaskKind;
use crate::ports::blob::BlobName;
use crate::ports::connector::RoundKey;
use crate::ports::storage::{
    LogLevel, MachineChange, MachineKey, MachineKind, Record, StoredMachine,
};
use crate::ports::{PortError, PortErrorKind, report};

/// How long a round may stand still before the coordinator is asked where it stands.
const QUIET: Duration = Duration::from_secs(2);
/// How long a bundle or an announcement is asked for before this node gives a round up.
const PATIENCE: Duration = Duration::from_secs(20);

/// What a member keeps of a task. No secrets.
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
    verdict: Option<Result<(), String>>,
    /// The highest round ever joined: no round is joined twice, whoever asks.
    last_round: u32,
    /// The step whose client state counts: the one after the last contribution.
    state_step: u32,
    finished: bool,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct TaskOnRecord {
    url: String,
    commitment: Digest,
}

impl MembershipState {
    pub(super) fn new(task: TaskId, kind: TaskKind) -> Self {
        Self {
            task,
            kind,
            version: 0,
            record: None,
            verdict: None,
            last_round: 0,
            state_step: 0,
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

    pub(super) fn is_over(&self) -> bool {
        self.finished
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
            record: Record::Snapshot(snapshot),
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
    bundle: Option<Arc<Bundle>>,
    rounds: BTreeMap<u32, Handle<RunnerRound>>,
}

impl Membership {
    pub(super) fn new(
        context: Arc<Context>,
        state: MembershipState,
        notices: mpsc::Receiver<Notice>,
    ) -> Self {
        Self {
            context,
            state,
            notices,
            bundle: None,
            rounds: BTreeMap::new(),
        }
    }

    pub(super) async fn run(mut self) {
        if self.state.version > 0 {
            if let Err(e) = self.resume().await {
                tracing::error!(task = %self.state.task, "the task cannot be taken up again: {}", report(&e));
            }
            self.catch_up(true).await;
        }
        while !self.state.finished || !self.rounds.is_empty() {
            let clock = self.context.ports.clock.clone();
            tokio::select! {
                biased;
                notice = self.notices.recv() => match notice {
                    None => return,
                    Some(Notice::Gap) => self.catch_up(true).await,
                    Some(Notice::Event(event)) => self.hear(event).await,
                },
                // A round that goes on is heard through its handle; one that stands still is asked about.
                () = clock.sleep(QUIET), if !self.rounds.is_empty() => self.catch_up(false).await,
            }
            self.reap().await;
        }
        self.tidy().await;
    }

    async fn hear(&mut self, event: NetworkEvent) {
        match event {
            NetworkEvent::TaskCreated {
                url,
                commitment,
                kind,
                ..
            } => {
                self.state.kind = kind;
                self.learn(url, &commitment).await;
                self.judge().await;
            }
            NetworkEvent::RoundStarted { round, .. } => self.round_started(round).await,
            NetworkEvent::PartnerSelected { round, members, .. } => {
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

    /// The task's record, as an event or the connector tells it. The first word counts.
    async fn learn(&mut self, url: String, commitment: &str) {
        if self.state.record.is_some() {
            return;
        }
        match commitment.parse() {
            Ok(commitment) => self.state.record = Some(TaskOnRecord { url, commitment }),
            Err(e) => {
                self.state.verdict = Some(Err(format!("the task's commitment cannot be read: {e}")))
            }
        }
    }

    /// Reads the task's record from the connector when the event was missed.
    async fn look_up(&mut self) {
        if self.state.record.is_some() || self.state.verdict.is_some() {
            return;
        }
        for kind in [self.state.kind, TaskKind::Horizontal, TaskKind::Hlr] {
            if let Ok(record) = self
                .context
                .ports
                .connector
                .task(kind, &self.state.task)
                .await
            {
                self.state.kind = kind;
                self.state.finished |= record.finished;
                return self.learn(record.url, &record.commitment).await;
            }
        }
    }

    /// Downloads and judges the bundle, once.
    async fn judge(&mut self) {
        if self.state.verdict.is_some() || self.state.record.is_none() {
            return;
        }
        let task = self.state.task.clone();
        let verdict = match self.fetch_and_check().await {
            Ok(bundle) => {
                let name = bundle.manifest().name.clone();
                self.context
                    .log(
                        LogLevel::Info,
                        &task,
                        format!("task {task} ({name}) is accepted"),
                        None,
                    )
                    .await;
                for line in bundle.manifest().disclosure() {
                    tracing::info!(%task, "{line}");
                }
                self.bundle = Some(bundle);
                Ok(())
            }
            Err(e) if e.is_transient() => {
                tracing::warn!(%task, "the bundle could not be judged now: {}", report(&e));
                return;
            }
            Err(e) => {
                let reason = e.message().to_owned();
                self.context
                    .log(
                        LogLevel::Warn,
                        &task,
                        format!("task {task} is declined: {reason}"),
                        None,
                    )
                    .await;
                Err(reason)
            }
        };
        self.state.verdict = Some(verdict);
        self.save().await;
    }

    async fn fetch_and_check(&self) -> Result<Arc<Bundle>, PortError> {
        let refused = |text: &str| PortError::new(PortErrorKind::Denied, "runner.judge", text);
        if !self.context.settings.accept {
            return Err(refused(
                "this node takes part in no task (policy.accept is false)",
            ));
        }
        let Some(record) = &self.state.record else {
            return Err(refused("the task has no record"));
        };
        let task = &self.state.task;
        let limit = self.context.settings.bundle.bytes as u64;
        let name = BlobName::runner_bundle(task);
        self.context
            .log(
                LogLevel::Info,
                task,
                format!("task {task} download task config"),
                None,
            )
            .await;
        self.patiently(|| async {
            let content = self
                .context
                .ports
                .peers
                .bundle(&record.url, task, limit)
                .await?;
            self.context.ports.blobs.put(&name, content, limit).await
        })
        .await?;
        let bundle = self
            .context
            .open_bundle(&name, Some(&record.commitment))
            .await?;
        let manifest = bundle.manifest();
        if manifest.kind != self.state.kind {
            return Err(refused("the bundle's type is not the one on record"));
        }
        if manifest.enable_verify {
            return Err(refused(
                "the task asks for proofs, which this version cannot make",
            ));
        }
        self.context.ports.executor.check_graphs(&bundle).await?;
        self.context.ports.executor.check_data(&bundle).await?;
        Ok(bundle)
    }

    async fn round_started(&mut self, round: RoundNumber) {
        if round.0 <= self.state.last_round {
            return;
        }
        self.look_up().await;
        self.judge().await;
        let task = self.state.task.clone();
        let reason = match &self.state.verdict {
            Some(Ok(())) => match self.join(round).await {
                Ok(()) => return,
                Err(e) => e.message().to_owned(),
            },
            Some(Err(reason)) => reason.clone(),
            None => "the bundle could not be downloaded".to_owned(),
        };
        self.context
            .log(
                LogLevel::Warn,
                &task,
                format!("task {task} round {round} is declined: {reason}"),
                None,
            )
            .await;
        self.decline(round, reason).await;
    }

    /// Asks what the round computes, checks that it may be joined, and joins.
    async fn join(&mut self, round: RoundNumber) -> Result<(), PortError> {
        let refused = |text: String| PortError::new(PortErrorKind::Refused, "runner.join", text);
        let Some(record) = self.state.record.clone() else {
            return Err(refused("the task has no record".into()));
        };
        let bundle = self.bundle().await?;
        let task = self.state.task.clone();
        let view = self
            .patiently(|| {
                self.context
                    .ports
                    .peers
                    .round_view(&record.url, &task, round)
            })
            .await?;
        if let Some(RoundEnd::Failed(why)) = view.ended {
            return Err(refused(format!("the round is over: {why}")));
        }
        check_announcement(&view.announcement, &task, round, &bundle).map_err(refused)?;
        let context = RunnerContext {
            me: self.context.own_address().await?,
            announcement: view.announcement,
            strategy: bundle.manifest().strategy.clone(),
            floor: self.context.settings.min_clients,
            privacy: PrivacyFloor::default(),
        };
        let (machine, effects) = RunnerRound::join(
            self.context.ports.clock.now(),
            context,
            self.context.seed()?,
        );
        // That the round was joined, the keys, and the intent to join are one transaction.
        let ports = self.context.driver_ports();
        let (change, stored) = birth(&ports, &task, round.0, &machine, &effects)?;
        let mut state = self.state.clone();
        state.last_round = round.0;
        commit(&ports, vec![state.change()?, change]).await?;
        state.version += 1;
        self.state = state;
        self.host(stored, bundle, true)
    }

    fn host(
        &mut self,
        stored: StoredMachine,
        bundle: Arc<Bundle>,
        fresh: bool,
    ) -> Result<(), PortError> {
        let ports = self.context.driver_ports();
        let Some(record) = &self.state.record else {
            return Ok(());
        };
        let round = stored.key.round;
        // The effects need the round's context, which is in the snapshot: open it once here.
        let machine: RunnerRound = crate::app::driver::peek(&ports, &stored)?;
        let effects = RunnerEffects {
            context: self.context.clone(),
            bundle,
            round: machine.context().clone(),
            key: round_key(self.state.kind, machine.context()),
            url: record.url.clone(),
            state_step: self
                .state
                .state_step
                .min(machine.context().announcement.step),
        };
        let (handle, running) = spawn(
            ports,
            Arc::new(effects),
            stored,
            fresh,
            CancellationToken::new(),
        )?;
        self.context.spawn(running);
        self.rounds.insert(round, handle);
        Ok(())
    }

    /// Gives a round an input from the outside. What is refused is logged with its code, and changes nothing.
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
                    "task {task} round {round}: refused what the network said: {rejection}"
                );
                self.context.log(LogLevel::Warn, task, message, None).await;
            }
            Err(HandleError::Port(e)) => tracing::error!(task = %self.state.task, "{}", report(&e)),
        }
    }

    /// Asks the coordinator where the open rounds stand; after a gap, the connector for rounds that began meanwhile.
    async fn catch_up(&mut self, gap: bool) {
        if gap {
            self.look_up().await;
            self.judge().await;
            let connector = self.context.ports.connector.clone();
            if let Ok(record) = connector.task(self.state.kind, &self.state.task).await
                && record.finished
            {
                return self.finish().await;
            }
            let mut newest = None;
            let mut next = RoundNumber(self.state.last_round + 1);
            while let Ok(record) = connector
                .round(&RoundKey {
                    kind: self.state.kind,
                    task: self.state.task.clone(),
                    round: next,
                })
                .await
            {
                if record.status == crate::ports::connector::RoundStatus::Started {
                    newest = Some(next);
                }
                next = next.next();
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
            if let Ok(view) = self
                .context
                .ports
                .peers
                .round_view(&record.url, &self.state.task, round)
                .await
            {
                self.show(round, view).await;
            }
        }
    }

    /// Feeds a round what the coordinator's view adds to what it has heard.
    async fn show(&mut self, round: RoundNumber, view: RoundView) {
        let inputs = [
            view.u1.map(|u1| RunnerInput::Selected { u1 }),
            view.u2.map(|u2| RunnerInput::CalculationStarted { u2 }),
            view.u3.map(|u3| RunnerInput::AggregationStarted { u3 }),
            view.ended.map(RunnerInput::Ended),
        ];
        for input in inputs.into_iter().flatten() {
            let Some(handle) = self.rounds.get(&round.0) else {
                return;
            };
            // Refusals here are repetitions or lists that come too early for this node; the next look brings them again.
            if let Err(HandleError::Port(e)) = handle.give(input).await {
                tracing::warn!(task = %self.state.task, "{}", report(&e));
            }
        }
    }

    /// Puts away rounds that are over.
    async fn reap(&mut self) {
        let over: Vec<(u32, Arc<RunnerRound>)> = self
            .rounds
            .iter()
            // Its driver may still owe a last effect, a decline say; until it has stopped, the stored state is not ours to erase.
            .filter(|(_, h)| h.has_stopped())
            .map(|(r, h)| (*r, h.state()))
            .filter(|(_, s)| s.is_over())
            .collect();
        for (round, machine) in over {
            self.rounds.remove(&round);
            self.put_away(round, &machine).await;
        }
    }

    async fn put_away(&mut self, round: u32, machine: &RunnerRound) {
        let task = self.state.task.clone();
        let step = machine.context().announcement.step;
        let (level, text) = match machine.outcome() {
            Some(RunnerOutcome::Contributed) => {
                let before = self.state.state_step;
                self.state.state_step = step + 1;
                self.remove(&BlobName::client_state(&task, before), before != step + 1)
                    .await;
                (
                    LogLevel::Info,
                    "this node's contribution is in the sum".to_owned(),
                )
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
        self.save().await;
        self.forget(round).await;
    }

    /// Deletes a round's machine, with every secret in it, and its files.
    async fn forget(&self, round: u32) {
        let key = MachineKey {
            kind: MachineKind::RunnerRound,
            task: self.state.task.clone(),
            round,
        };
        if let Err(e) = erase(&self.context.driver_ports(), &key).await {
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

    async fn resume(&mut self) -> Result<(), PortError> {
        for stored in self.stored_rounds().await? {
            let round = stored.key.round;
            let machine: RunnerRound =
                crate::app::driver::peek(&self.context.driver_ports(), &stored)?;
            if machine.is_over() && stored.outbox.is_empty() {
                self.put_away(stored.key.round, &machine).await;
            } else {
                let hosted = match self.bundle().await {
                    Ok(bundle) => self.host(stored, bundle, false),
                    Err(e) => Err(e),
                };
                if let Err(e) = hosted {
                    tracing::error!(task = %self.state.task, round, "the round cannot be taken up again: {}", report(&e));
                    self.forget(round).await;
                }
            }
        }
        Ok(())
    }

    async fn stored_rounds(&self) -> Result<Vec<StoredMachine>, PortError> {
        let storage = &self.context.ports.storage;
        let mut rounds = self
            .context
            .patiently(|| storage.machines(MachineKind::RunnerRound))
            .await?;
        rounds.retain(|stored| stored.key.task == self.state.task);
        Ok(rounds)
    }

    async fn finish(&mut self) {
        self.state.finished = true;
        for handle in self.rounds.values() {
            // A round that is still open when the task ends has no sum to wait for.
            drop(handle.give(RunnerInput::Ended(RoundEnd::Finished)).await);
        }
        self.reap().await;
        self.save().await;
    }

    async fn tidy(&self) {
        // What could not be taken up or erased in its time.
        for stored in self.stored_rounds().await.unwrap_or_default() {
            self.forget(stored.key.round).await;
        }
        self.remove(&BlobName::runner_task(&self.state.task), true)
            .await;
    }

    async fn bundle(&mut self) -> Result<Arc<Bundle>, PortError> {
        if let Some(bundle) = &self.bundle {
            return Ok(bundle.clone());
        }
        let commitment = self.state.record.as_ref().map(|r| r.commitment);
        let name = BlobName::runner_bundle(&self.state.task);
        let context = &self.context;
        let bundle = context
            .patiently(|| context.open_bundle(&name, commitment.as_ref()))
            .await?;
        self.bundle = Some(bundle.clone());
        Ok(bundle)
    }

    /// Tells the coordinator not to wait. This node has no keys in the round, so nothing is signed.
    async fn decline(&self, round: RoundNumber, reason: String) {
        let (Some(record), Ok(me)) = (&self.state.record, self.context.own_address().await) else {
            return;
        };
        let reason = reason.chars().take(500).collect();
        let request = SignedRequest {
            task: self.state.task.clone(),
            round,
            sender: me,
            view: Digest([0; 32]),
            body: RequestBody::Decline { reason },
            signature: Vec::new(),
        };
        let sent = self
            .patiently(|| self.context.ports.peers.submit(&record.url, &request))
            .await;
        if let Err(e) = sent {
            tracing::debug!(task = %self.state.task, "the decline did not arrive: {}", report(&e));
        }
    }

    /// Tries again while the other side cannot be reached, for a while.
    async fn patiently<T, F: Future<Output = Result<T, PortError>>>(
        &self,
        call: impl Fn() -> F,
    ) -> Result<T, PortError> {
        let clock = &self.context.ports.clock;
        let until = clock.now() + PATIENCE;
        let mut wait = Duration::from_millis(50);
        loop {
            match call().await {
                Err(e) if e.is_transient() && clock.now() < until => clock.sleep(wait).await,
                other => return other,
            }
            wait = (wait * 2).min(Duration::from_secs(2));
        }
    }

    async fn save(&mut self) {
        let saved = match self.state.change() {
            Ok(change) => commit(&self.context.driver_ports(), vec![change]).await,
            Err(e) => Err(e),
        };
        match saved {
            Ok(()) => self.state.version += 1,
            Err(e) => {
                tracing::error!(task = %self.state.task, "the task's state could not be kept: {}", report(&e))
            }
        }
    }
}

/// An announcement must be about this round and ask for exactly what the bundle declares.
fn check_announcement(
    a: &Announcement,
    task: &TaskId,
    round: RoundNumber,
    bundle: &Bundle,
) -> Result<(), String> {
    let manifest = bundle.manifest();
    if a.task != *task || a.round != round {
        return Err("the coordinator announces another round than the one that was started".into());
    }
    if a.step >= manifest.total_rounds() {
        return Err(format!(
            "the coordinator announces step {}, the task has {}",
            a.step,
            manifest.total_rounds()
        ));
    }
    if a.variables.keys().eq(manifest.server_inputs(a.step)) {
        Ok(())
    } else {
        Err(format!(
            "the coordinator announces other variables for step {} than the task reads",
            a.step
        ))
    }
}
