//! From the start of a round to a running machine, or to a decline with its reason.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::Membership;
use super::judging::decline_code;
use crate::contact::Reach;
use crate::machine::{Handle, Loaded, commit, create, load, spawn};
use crate::owner::{Case, Permit};
use crate::runner::effects::{RunnerEffects, round_key};
use delta_domain::bundle::Bundle;
use delta_domain::ids::{Digest, RoundNumber, TaskId};
use delta_domain::round::message::{Announcement, RequestBody, RoundEnd, SignedRequest};
use delta_domain::round::runner::{RunnerContext, RunnerInput, RunnerOutcome, RunnerRound};
use delta_domain::round::{DeclineCode, FailureCode, PrivacyFloor};
use delta_ports::executor::Part;
use delta_ports::peer::PeerCalls as _;
use delta_ports::storage::{LogLevel, StoredMachine};
use delta_ports::{PortError, PortErrorKind, report};

/// The operation in which a step is refused that this node has taken before.
pub(super) const STEP_DONE: &str = "runner.step_done";

impl Membership {
    pub(super) async fn round_started(&mut self, round: RoundNumber) {
        if round.0 <= self.state.last_round {
            return;
        }
        self.look_up().await;
        if !self.context.settings.accept {
            // Of tasks that were accepted before, too: a node that was restored does not know what left it since.
            self.waiting = None;
            return self.refuse(round, DeclineCode::NotAllowed).await;
        }
        self.judge().await;
        self.waiting = None;
        match self.state.verdict {
            Some(Ok(())) => match self.permit().await {
                Ok(Permit::Join) => self.enter(round).await,
                Ok(Permit::Ask) => self.wait_for_the_owner(round).await,
                Ok(Permit::Decline(code)) => self.refuse(round, code).await,
                Err(e) => {
                    tracing::error!(task = %self.state.task, %round, "the owner's word is not known: {}", report(&e));
                    self.refuse(round, decline_code(&e)).await;
                }
            },
            Some(Err(code)) => self.refuse(round, code).await,
            None if self.context.home.is_lacking() => self.refuse(round, DeclineCode::Busy).await,
            // The bundle could not be downloaded.
            None => self.refuse(round, DeclineCode::Silence).await,
        }
    }

    /// Joins a round that may be joined, or declines it for what stands in the way.
    pub(super) async fn enter(&mut self, round: RoundNumber) {
        if let Err(e) = self.join(round).await {
            let code = decline_code(&e);
            tracing::warn!(task = %self.state.task, %round, "the round is declined as {}: {}", code.name(), report(&e));
            self.refuse(round, code).await;
        }
    }

    /// Asks what the round computes, checks that it may be joined, and joins.
    pub(super) async fn join(&mut self, round: RoundNumber) -> Result<(), PortError> {
        let rejected = |text: String| PortError::new(PortErrorKind::Rejected, "runner.join", text);
        let Some(record) = self.state.record.clone() else {
            return Err(rejected("the task has no record".into()));
        };
        let bundle = self.bundle().await?;
        let task = self.state.task.clone();
        let (peers, url) = (&self.context.ports.peers, &record.url);
        let view = self
            .retry_transient(|| self.reach(&record, || peers.round_view(url, &task, round)))
            .await?;
        if view.ended.is_some() || view.u1.is_some() {
            // Its members were selected while this node's owner was asked: the next round is another chance.
            let text = format!("task {task} round {round} went on without this node");
            self.context.log(LogLevel::Info, &task, text, None).await;
            return Ok(());
        }
        check_announcement(&view.announcement, &task, round, &bundle).map_err(rejected)?;
        let step = view.announcement.step;
        self.has_room(&bundle, step).await?;
        self.close_attempts(step).await?;
        let done = |text: String| PortError::new(PortErrorKind::Rejected, STEP_DONE, text);
        self.state.steps.check(step).map_err(done)?;
        let case = self.case().await?;
        let proves = bundle.manifest().certified_in(step).is_some();
        let cohort = self.cohort_before(step, &bundle);
        if proves && cohort.is_none() {
            return Err(rejected(
                "a certificate is about the members of the sum before, and this node knows of none"
                    .into(),
            ));
        }
        if bundle.manifest().certified().is_some() {
            self.commit_table(&bundle, &case, step).await?;
        }
        let (members, colluders) = self.context.owner.floor(&case.question);
        let settings = &self.context.settings;
        let context = RunnerContext {
            me: self.context.own_address().await?,
            announcement: view.announcement,
            bundle: record.commitment,
            strategy: bundle.manifest().strategy.clone(),
            floor: settings.min_clients.max(members),
            privacy: PrivacyFloor {
                colluders: settings.privacy.colluders.max(colluders),
                ..settings.privacy
            },
        };
        let (pair, drawn) = self.pair(context.strategy.curve).await?;
        let (mut machine, effects) = RunnerRound::join_as(
            self.context.ports.clock.now(),
            context,
            self.context.seed()?,
            pair.clone(),
        );
        if let Some(cohort) = cohort {
            machine.bind_to(cohort);
        }
        if proves {
            machine.to_prove();
        }
        // That the round was joined, the keys, and the intent to join are one transaction.
        let ports = self.context.machine_ports();
        let (change, stored) = create(&ports, &task, round.0, &machine, &effects)?;
        let mut state = self.state.clone();
        state.last_round = round.0;
        state.steps.joined(step);
        let mut changes = vec![state.change()?, change];
        changes.extend(drawn);
        commit(&ports, changes).await?;
        self.pair = Some(pair);
        state.version += 1;
        self.state = state;
        self.attend();
        self.hold_data();
        // What proves has no map.
        if bundle.manifest().proof_step() != Some(step) {
            let executor = &self.context.ports.executor;
            executor.prepare(&bundle, step, Part::Map);
        }
        self.host(stored, bundle, case, true)
    }

    /// Whether this round's contribution can be kept until it leaves. What fails here fails before anybody counts on this node.
    async fn has_room(&self, bundle: &Bundle, step: u32) -> Result<(), PortError> {
        let manifest = bundle.manifest();
        let numbers = manifest.contribution_len(step).unwrap_or(usize::MAX);
        let bytes = numbers.saturating_mul(manifest.strategy.ring().bytes_per_value());
        let needed = u64::try_from(bytes).unwrap_or(u64::MAX);
        let Some(free) = self
            .context
            .ports
            .blobs
            .room()
            .await?
            .filter(|f| *f < needed)
        else {
            return Ok(());
        };
        let text = format!("task_dir has room for {free} bytes, a contribution takes {needed}");
        let error = PortError::new(PortErrorKind::Exhausted, "blob.room", text);
        let now = self.context.ports.clock.now();
        self.context.home.lacks(&error, needed, now);
        Err(error)
    }

    /// Ends what is still open of a step before it is attempted again: of two rounds of one step, one at most may reveal shares.
    async fn close_attempts(&mut self, step: u32) -> Result<(), PortError> {
        let of_step = |h: &&Handle<RunnerRound>| h.state().context().announcement.step == step;
        for handle in self.rounds.values().filter(of_step) {
            if !handle.state().closes_step() {
                let end = RunnerInput::Ended(RoundEnd::Failed(FailureCode::Abandoned));
                // Its state says whether it has happened.
                drop(handle.give(end).await);
            }
            let state = handle.state();
            if state.closes_step() {
                self.state.steps.contributed(step);
            } else if !state.is_over() {
                let text = "an earlier round of this step cannot be closed";
                return Err(PortError::new(PortErrorKind::Internal, "runner.join", text));
            }
        }
        Ok(())
    }

    /// With whom alone a step may be taken, because its sum is combined with that of the step before; `None` where it is not, or where this
    /// node was away when that sum's members were named. The others have seen them.
    fn cohort_before(&self, step: u32, bundle: &Bundle) -> Option<Digest> {
        if !bundle.manifest().is_bound(step) {
            return None;
        }
        // Training may have stopped before its last step.
        let proves = bundle.manifest().certified_in(step).is_some();
        let before = |of: u32| match proves {
            true => of < step,
            false => of.checked_add(1) == Some(step),
        };
        // One that is over may not have been put away yet. Of several attempts at a step the last one counts, whatever it has seen.
        let mut open = self.rounds.values().rev().map(Handle::state);
        match open.find(|round| before(round.context().announcement.step)) {
            Some(last) => last.summed(),
            None => self
                .state
                .summed
                .filter(|(of, _)| before(*of))
                .map(|(_, cohort)| cohort),
        }
    }

    /// The step of the client's own variables: the one after the last contribution, whether that was put away already or not.
    fn state_step(&self) -> u32 {
        let done = self
            .rounds
            .values()
            .map(Handle::state)
            .filter(|round| matches!(round.outcome(), Some(RunnerOutcome::Contributed)));
        let after = done.map(|round| round.context().announcement.step.saturating_add(1));
        after.max().unwrap_or(0).max(self.state.state_step)
    }

    pub(super) fn host(
        &mut self,
        stored: StoredMachine,
        bundle: Arc<Bundle>,
        case: Arc<Case>,
        fresh: bool,
    ) -> Result<(), PortError> {
        let ports = self.context.machine_ports();
        let Some(record) = &self.state.record else {
            return Ok(());
        };
        let round = stored.key.round;
        // The effects need the round's context, which is in the snapshot: open it once here.
        let mut loaded: Loaded<RunnerRound> = load(&ports, &stored)?;
        if let Some(pair) = &self.pair {
            loaded.machine.remember_with(pair);
        }
        let round_context = loaded.machine.context();
        let effects = RunnerEffects {
            context: self.context.clone(),
            bundle,
            case,
            round: round_context.clone(),
            key: round_key(self.state.kind, round_context),
            url: record.url.clone(),
            stop: self.stop.clone(),
            state_step: self.state_step().min(round_context.announcement.step),
        };
        let reach = Reach::new(
            self.context.contact.clone(),
            Some(self.coordinator.clone()),
            self.context.settings.patience,
        );
        let (handle, running) = spawn(
            ports,
            Arc::new(effects),
            stored,
            loaded,
            fresh,
            reach,
            CancellationToken::new(),
        )?;
        self.context.spawn(running);
        self.rounds.insert(round, handle);
        Ok(())
    }

    /// Tells the coordinator not to wait. This node has no keys in the round: it signs under the one that it is known by.
    pub(super) async fn decline(&self, round: RoundNumber, reason: DeclineCode) {
        let (Some(record), Ok(me)) = (&self.state.record, self.context.own_address().await) else {
            return;
        };
        let mut request = SignedRequest {
            task: self.state.task.clone(),
            round,
            sender: me,
            view: Digest([0; 32]),
            body: RequestBody::Decline { reason },
            signature: Vec::new(),
        };
        request.signature = self.context.ports.node_key.sign(&request.signed_bytes());
        // Whoever put another's url on the record gets no node to call there, not even to say no.
        if let Err(e) = self.check_url(record).await {
            tracing::debug!(task = %self.state.task, "the decline is not sent: {}", report(&e));
            return;
        }
        let (peers, task) = (&self.context.ports.peers, &self.state.task);
        let proven = |owner| self.context.bundles.is_proven(owner, &record.url);
        if !record.owner.as_ref().is_none_or(proven) {
            // Nothing is posted to somebody who is not known to be a node; one that is shows the round.
            let view = || peers.round_view(&record.url, task, round);
            let seen = self.retry_transient(|| self.reach(record, view)).await;
            if let Err(e) = seen {
                tracing::debug!(%task, "the decline is not sent: {}", report(&e));
                return;
            }
        }
        let sent = self
            .retry_transient(|| self.knock(record, || peers.submit(&record.url, &request)))
            .await;
        if let Err(e) = sent {
            tracing::debug!(task = %self.state.task, "the decline did not arrive: {}", report(&e));
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
    if !a.variables.keys().eq(manifest.server_inputs(a.step)) {
        return Err(format!(
            "the coordinator announces other variables for step {} than the task reads",
            a.step
        ));
    }
    // The owner was asked about the task with these values; later ones are the coordinator's.
    for (name, announced) in &a.variables {
        let Some(expected) = bundle.digest_before(name, a.step) else {
            continue;
        };
        if *announced != expected {
            return Err(format!(
                "the coordinator announces another value of {name} for step {} than the task begins with",
                a.step
            ));
        }
    }
    Ok(())
}
