//! Whether this node takes part in a task: what the connector and the coordinator say of it, and what its bundle holds.

use std::sync::Arc;

use super::joining::STEP_DONE;
use super::{Membership, TaskOnRecord};
use crate::bundles::COSTLY;
use delta_domain::bundle::Bundle;
use delta_domain::ids::{Address, Digest};
use delta_domain::records::proof::ReleaseProof;
use delta_domain::round::DeclineCode;
use delta_domain::task::TaskKind;
use delta_ports::blob::{BlobName, ByteStream};
use delta_ports::executor::Whose;
use delta_ports::peer::PeerCalls as _;
use delta_ports::storage::LogLevel;
use delta_ports::{PortError, PortErrorKind, report};

impl Membership {
    /// The task's record, as an event or the connector tells it. The first word counts.
    pub(super) async fn learn(&mut self, owner: Address, url: String, commitment: &str) {
        if self.state.record.is_some() {
            return;
        }
        match commitment.parse() {
            Ok(commitment) => {
                self.state.record = Some(TaskOnRecord {
                    url,
                    commitment,
                    owner: Some(owner),
                });
            }
            Err(e) => {
                tracing::warn!(task = %self.state.task, "the task's commitment cannot be read: {e}");
                self.state.verdict = Some(Err(DeclineCode::TaskUnfit));
            }
        }
    }

    /// Reads the task's record from the connector when the event was missed.
    pub(super) async fn look_up(&mut self) {
        if self.state.record.is_some() || self.state.verdict.is_some() {
            return;
        }
        for kind in [self.state.kind, TaskKind::Horizontal, TaskKind::Hlr] {
            if let Ok(Some(record)) = self
                .context
                .ports
                .connector
                .task(kind, &self.state.task)
                .await
            {
                self.state.kind = kind;
                self.state.finished |= record.finished;
                return self
                    .learn(record.owner, record.url, &record.commitment)
                    .await;
            }
        }
    }

    /// Downloads and judges the bundle, once.
    pub(super) async fn judge(&mut self) {
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
                self.state.reads = bundle.manifest().datasets.keys().cloned().collect();
                for line in bundle.manifest().disclosure() {
                    tracing::info!(%task, "{line}");
                }
                Ok(())
            }
            Err(e) if e.is_transient() => {
                tracing::warn!(%task, "the bundle could not be judged now: {}", report(&e));
                return;
            }
            Err(e) => {
                let code = decline_code(&e);
                // Why exactly is for this node's owner: the task's log may be read by its author.
                tracing::warn!(%task, "the task is declined as {}: {}", code.name(), report(&e));
                let text = format!("task {task} is declined: this node {code}");
                self.context.log(LogLevel::Warn, &task, text, None).await;
                // Nothing of a task that is not taken stays.
                self.remove(&BlobName::runner_task(&task), true).await;
                Err(code)
            }
        };
        let accepted = verdict.is_ok();
        self.state.verdict = Some(verdict);
        self.save().await;
        if accepted {
            self.compare_versions();
            self.ask_the_owner().await;
        }
    }

    /// Says to the owner where the task would run on other data than was registered. Nobody waits for it: files may be long.
    fn compare_versions(&self) {
        let (context, task) = (self.context.clone(), self.state.task.clone());
        let reads = self.state.reads.clone();
        let compare = async move {
            match context.registrations.differences(&reads).await {
                Ok(all) => {
                    for text in all {
                        tracing::warn!(%task, "{text}");
                    }
                }
                Err(e) => {
                    tracing::warn!(%task, "datasets were not compared with what is registered: {}", report(&e));
                }
            }
        };
        self.context.spawn(compare);
    }

    pub(super) async fn fetch_and_check(&mut self) -> Result<Arc<Bundle>, PortError> {
        let declined = |text: &str| PortError::new(PortErrorKind::Denied, "runner.judge", text);
        if !self.context.settings.accept {
            return Err(declined(
                "this node takes part in no task (policy.accept is false)",
            ));
        }
        let Some(record) = self.state.record.clone() else {
            return Err(declined("the task has no record"));
        };
        let record = &record;
        let task = &self.state.task.clone();
        let context = self.context.clone();
        let now = || context.ports.clock.now();
        let _turn = match &record.owner {
            None => None,
            Some(owner) => match context.bundles.judging(owner, now()).await {
                Some(turn) => Some(turn),
                None => {
                    return Err(declined(
                        "an earlier task of the same owner cost too much to check",
                    ));
                }
            },
        };
        self.check_url(record).await?;
        let limit = self.context.settings.bundle.bytes as u64;
        let name = BlobName::runner_bundle(task);
        let text = format!("task {task} download task config");
        self.context.step(task, text, None).await;
        self.retry_transient(|| async {
            let peers = &self.context.ports.peers;
            let download = || peers.bundle(&record.url, task, limit);
            let content = self.knock(record, download).await?;
            self.keep(&name, content, &record.commitment).await
        })
        .await?;
        let begun = now();
        let judged = self.judge_bundle(&name, record).await;
        if let (Err(e), Some(owner)) = (&judged, &record.owner)
            && e.kind() == PortErrorKind::Rejected
            && now() - begun >= COSTLY
        {
            context.bundles.bar(owner, now());
        }
        let (bundle, proof) = judged?;
        self.state.proof = Some(proof);
        if let Some(owner) = &record.owner {
            context.bundles.asked(owner, &record.url, true, now());
        }
        match self.context.ports.executor.check_data(&bundle).await {
            // What is in the data is nobody's to learn from whether this node takes part: it will contribute zeros, as a member does
            // whose computation fails.
            // So is what a worker runs into that reads them: a limit is one that they reach.
            Err(e)
                if !matches!(
                    e.kind(),
                    PortErrorKind::NotFound | PortErrorKind::Unavailable
                ) =>
            {
                tracing::error!(%task, "the data are not what the task needs: this node will contribute zeros: {}", report(&e));
                Ok(bundle)
            }
            Err(e) => Err(e),
            Ok(()) => Ok(bundle),
        }
    }

    /// Sends a request to the coordinator's url, unless too many to it have failed lately. Its answer is one that only a node gives.
    pub(super) async fn reach<T, F: Future<Output = Result<T, PortError>>>(
        &self,
        record: &TaskOnRecord,
        call: impl FnOnce() -> F,
    ) -> Result<T, PortError> {
        let answer = self.knock(record, call).await;
        if let (Ok(_), Some(owner)) = (&answer, &record.owner) {
            let (bundles, clock) = (&self.context.bundles, &self.context.ports.clock);
            bundles.asked(owner, &record.url, true, clock.now());
        }
        answer
    }

    /// As [`Self::reach`], where any server on the Internet may answer yes: until the url is proven, that counts like no answer.
    pub(super) async fn knock<T, F: Future<Output = Result<T, PortError>>>(
        &self,
        record: &TaskOnRecord,
        call: impl FnOnce() -> F,
    ) -> Result<T, PortError> {
        let (bundles, clock) = (&self.context.bundles, &self.context.ports.clock);
        let Some(owner) = &record.owner else {
            return call().await;
        };
        if !bundles.may_ask(owner, &record.url, clock.now()) {
            let text =
                "the coordinator's url has not answered lately; it is left alone for a while";
            let kind = PortErrorKind::Unavailable;
            return Err(PortError::new(kind, "runner.reach", text));
        }
        let answer = call().await;
        bundles.asked(owner, &record.url, false, clock.now());
        answer
    }

    /// Whether the url of a task is its coordinator's own, as the connector has it.
    pub(super) async fn check_url(&self, record: &TaskOnRecord) -> Result<(), PortError> {
        let Some(owner) = &record.owner else {
            return Ok(());
        };
        // Its card may say how it is known over TLS; who it is counts for nothing here.
        self.context
            .identities
            .of(std::slice::from_ref(owner))
            .await;
        let Some(registered) = self.context.ports.connector.node(owner).await? else {
            // It has just died, or is on its way back.
            let text = "the task's coordinator is not registered now";
            let kind = PortErrorKind::Unavailable;
            return Err(PortError::new(kind, "runner.judge", text));
        };
        if registered.url == record.url {
            return Ok(());
        }
        let text = "the task's url is not the one that its coordinator has registered";
        Err(PortError::new(PortErrorKind::Denied, "runner.judge", text))
    }

    /// Keeps a bundle under its name only if it is the one that was committed to.
    async fn keep(
        &self,
        name: &BlobName,
        content: ByteStream,
        commitment: &Digest,
    ) -> Result<(), PortError> {
        let limit = self.context.settings.bundle.bytes as u64;
        let blobs = &self.context.ports.blobs;
        let incoming = name.incoming(commitment);
        let kept = blobs.put(&incoming, content, limit).await?;
        if kept.digest == *commitment {
            return blobs.rename(&incoming, name).await;
        }
        blobs.remove(&incoming).await?;
        let text = "the bundle is not the one that was committed to: its SHA-256 differs";
        Err(PortError::new(
            PortErrorKind::Rejected,
            "runner.judge",
            text,
        ))
    }

    /// Whether the bundle is one of this version, and its graphs may run.
    async fn judge_bundle(
        &self,
        name: &BlobName,
        record: &TaskOnRecord,
    ) -> Result<(Arc<Bundle>, ReleaseProof), PortError> {
        let declined = |text: &str| PortError::new(PortErrorKind::Denied, "runner.judge", text);
        let bundle = self
            .context
            .open_bundle(name, Some(&record.commitment), Whose::Others)
            .await?;
        let manifest = bundle.manifest();
        if manifest.kind != self.state.kind {
            return Err(declined("the bundle's type is not the one on record"));
        }
        if manifest.enable_verify {
            return Err(declined(
                "the task asks for proofs, which this version cannot make",
            ));
        }
        let executor = &self.context.ports.executor;
        if manifest.certified().is_some() && executor.certificates().is_none() {
            return Err(PortError::new(
                PortErrorKind::Unsupported,
                "runner.judge",
                "the task asks for a certificate, and this program was built without certificates: build it with the feature `prover`",
            ));
        }
        let proof = executor.check_graphs(&bundle, Whose::Others).await?;
        Ok((bundle, proof))
    }

    /// The task's bundle, open. Not held on to: what is not used is closed when others need the room.
    pub(super) async fn bundle(&self) -> Result<Arc<Bundle>, PortError> {
        let commitment = self.state.record.as_ref().map(|r| r.commitment);
        let name = BlobName::runner_bundle(&self.state.task);
        let context = &self.context;
        context
            .retry_transient(|| context.open_bundle(&name, commitment.as_ref(), Whose::Others))
            .await
    }
}

/// What others are told of an error.
pub(super) fn decline_code(error: &PortError) -> DeclineCode {
    match error.kind() {
        _ if error.is_lack_at_home() => DeclineCode::Busy,
        _ if error.op() == STEP_DONE => DeclineCode::StepDone,
        PortErrorKind::Denied => DeclineCode::NotAllowed,
        PortErrorKind::NotFound => DeclineCode::NoSuchData,
        PortErrorKind::Rejected | PortErrorKind::Corrupt | PortErrorKind::Unsupported => {
            DeclineCode::TaskUnfit
        }
        PortErrorKind::Unavailable | PortErrorKind::Timeout => DeclineCode::Silence,
        PortErrorKind::Conflict | PortErrorKind::Exhausted | PortErrorKind::Internal => {
            DeclineCode::Internal
        }
    }
}
