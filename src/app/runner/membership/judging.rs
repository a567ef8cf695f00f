//! Whether this node takes part in a task: what the connector and the coordinator say of it, and what its bundle holds.

use std::sync::Arc;

use super::{Membership, TaskOnRecord};
use delta_domain::bundle::Bundle;
use delta_domain::round::DeclineCode;
use delta_domain::task::TaskKind;
use delta_ports::blob::BlobName;
use delta_ports::peer::PeerCalls as _;
use delta_ports::storage::LogLevel;
use delta_ports::{PortError, PortErrorKind, report};

impl Membership {
    /// The task's record, as an event or the connector tells it. The first word counts.
    pub(super) async fn learn(&mut self, url: String, commitment: &str) {
        if self.state.record.is_some() {
            return;
        }
        match commitment.parse() {
            Ok(commitment) => self.state.record = Some(TaskOnRecord { url, commitment }),
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
                let code = decline_code(&e);
                // Why exactly is for this node's owner: the task's log may be read by its author.
                tracing::warn!(%task, "the task is declined as {}: {}", code.name(), report(&e));
                let text = format!("task {task} is declined: this node {code}");
                self.context.log(LogLevel::Warn, &task, text, None).await;
                Err(code)
            }
        };
        self.state.verdict = Some(verdict);
        self.save().await;
    }

    pub(super) async fn fetch_and_check(&self) -> Result<Arc<Bundle>, PortError> {
        let declined = |text: &str| PortError::new(PortErrorKind::Denied, "runner.judge", text);
        if !self.context.settings.accept {
            return Err(declined(
                "this node takes part in no task (policy.accept is false)",
            ));
        }
        let Some(record) = &self.state.record else {
            return Err(declined("the task has no record"));
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
        self.retry_transient(|| async {
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
            return Err(declined("the bundle's type is not the one on record"));
        }
        if manifest.enable_verify {
            return Err(declined(
                "the task asks for proofs, which this version cannot make",
            ));
        }
        self.context.ports.executor.check_graphs(&bundle).await?;
        match self.context.ports.executor.check_data(&bundle).await {
            // What is in the data is nobody's to learn from whether this node takes part: it will contribute zeros, as a member does
            // whose computation fails.
            Err(e) if e.kind() != PortErrorKind::NotFound && !e.is_transient() => {
                tracing::error!(%task, "the data are not what the task needs: this node will contribute zeros: {}", report(&e));
                Ok(bundle)
            }
            Err(e) => Err(e),
            Ok(()) => Ok(bundle),
        }
    }

    pub(super) async fn bundle(&mut self) -> Result<Arc<Bundle>, PortError> {
        if let Some(bundle) = &self.bundle {
            return Ok(bundle.clone());
        }
        let commitment = self.state.record.as_ref().map(|r| r.commitment);
        let name = BlobName::runner_bundle(&self.state.task);
        let context = &self.context;
        let bundle = context
            .retry_transient(|| context.open_bundle(&name, commitment.as_ref()))
            .await?;
        self.bundle = Some(bundle.clone());
        Ok(bundle)
    }
}

/// What others are told of an error.
pub(super) fn decline_code(error: &PortError) -> DeclineCode {
    match error.kind() {
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
