//! A member's table in a certified task: committed to before its first round; and the certificate, checked at the end.

use super::Membership;
use super::judging::decline_code;
use crate::certificate::{objection, told};
use crate::machine::erase;
use crate::owner::{Case, withheld};
use crate::runner::tables::{
    OwnTable, ProvenAnswer, forget_tables, keep_own_table, noted_tables, own_table, publish_table,
    table_key,
};
use delta_domain::bundle::Bundle;
use delta_domain::policy::Decision;
use delta_domain::records::cohort_digest;
use delta_domain::secret::Secret;
use delta_ports::certificates::{MAX_CERTIFICATE_BYTES, TableJob};
use delta_ports::peer::PeerCalls as _;
use delta_ports::storage::LogLevel;
use delta_ports::{PortError, PortErrorKind, report};
use std::sync::Arc;

/// Where a certificate is compared with what this node knows of its task.
const CERTIFICATE: &str = "runner.certificate";

impl Membership {
    /// Commits to this node's table, once a task: in the first step, before the round is joined. After a restart the same is said again.
    ///
    /// Rows are read, and what they are committed to is shown, only while the owner allows the task. Rows that do not fit settle the task for
    /// this node: they are not made again in each of its rounds.
    ///
    /// # Errors
    /// `Corrupt` when rows do not fit their bounds; `Rejected` when it is too late for a commitment; `Denied` by the owner's word.
    pub(super) async fn commit_table(
        &mut self,
        bundle: &Arc<Bundle>,
        case: &Case,
        step: u32,
    ) -> Result<(), PortError> {
        let task = self.state.task.clone();
        let kept = own_table(&self.context, &task).await?;
        let table = match kept {
            // Later steps are of those alone who were in the first one.
            Some(_) if step > 0 => return Ok(()),
            Some(table) => table,
            None if step > 0 => {
                let text = "tables are committed to before the first step, and this node has not";
                return Err(PortError::new(
                    PortErrorKind::Rejected,
                    "runner.table",
                    text,
                ));
            }
            None => {
                self.allowed(case).await?;
                let made = self.make_table(bundle).await;
                if let Err(e) = made.as_ref()
                    && matches!(e.kind(), PortErrorKind::Corrupt | PortErrorKind::Rejected)
                {
                    self.state.verdict = Some(Err(decline_code(e)));
                }
                made?
            }
        };
        // Making it may have taken long.
        self.allowed(case).await?;
        self.retry_transient(|| publish_table(&self.context, &task, &table))
            .await
    }

    /// Whether the owner's word lets this task do something now.
    async fn allowed(&self, case: &Case) -> Result<(), PortError> {
        let verdict = self
            .context
            .owner
            .judge(&self.state.task, case, None)
            .await?;
        match verdict.decision {
            Decision::Allowed => Ok(()),
            Decision::Asks | Decision::Refused => Err(withheld(&verdict)),
        }
    }

    async fn make_table(&self, bundle: &Arc<Bundle>) -> Result<OwnTable, PortError> {
        let context = &self.context;
        let task = &self.state.task;
        let certificates = context.ports.executor.certificates();
        let certificates = certificates.ok_or_else(|| {
            let text = "this program was built without certificates";
            PortError::new(PortErrorKind::Unsupported, "runner.table", text)
        })?;
        let salt: Secret<32> = context.seed()?;
        let job = TableJob {
            bundle: bundle.clone(),
            task: task.clone(),
            member: context.own_address().await?,
            salt: salt.clone(),
            rules: None,
        };
        let made = certificates.commit(job).await?;
        let table = OwnTable {
            salt,
            commitment: made.commitment,
            capacity: made.capacity,
            rows: made.rows,
            answer: None,
        };
        keep_own_table(context, task, &table).await?;
        Ok(table)
    }

    /// Checks the certificate of a task in which this node has proven something, and says what it is worth.
    pub(super) async fn check_certificate(&self) {
        let table = own_table(&self.context, &self.state.task).await;
        let proven = table.ok().flatten().and_then(|table| table.answer);
        let Some(proven) = proven.filter(|_| !self.state.finished) else {
            return;
        };
        let task = &self.state.task;
        let (level, text) = match self.judged_certificate(proven).await {
            Ok(told) => (
                LogLevel::Info,
                format!(
                    "[Verification] task {task}: this node has checked the certificate: {told}"
                ),
            ),
            Err(e) => {
                tracing::warn!(%task, "{}", report(&e));
                // What the certificate says everybody can read; the rest is for this node's owner: the task's log may be read by its author.
                let why = match e.op() {
                    CERTIFICATE => e.message(),
                    _ => "its certificate could not be checked",
                };
                let text = format!(
                    "[Verification] task {task}: the answer is not certified for this node: {why}"
                );
                (LogLevel::Warn, text)
            }
        };
        self.context.log(level, task, text, None).await;
    }

    async fn judged_certificate(&self, proven: ProvenAnswer) -> Result<String, PortError> {
        let context = &self.context;
        let task = &self.state.task;
        let wrong = |text: String| PortError::new(PortErrorKind::Corrupt, CERTIFICATE, text);
        let record = self.state.record.as_ref();
        let record = record.ok_or_else(|| wrong("the task has no record".into()))?;
        let bundle = self.bundle().await?;
        let tables = noted_tables(context, task).await?;
        let peers = &context.ports.peers;
        let (key, limit) = (proven.key, MAX_CERTIFICATE_BYTES);
        let bytes = self
            .retry_transient(|| peers.certificate(&record.url, task, key, limit))
            .await?;
        let certificates = context.ports.executor.certificates();
        let certificates =
            certificates.ok_or_else(|| wrong("this program has no certificates".into()))?;
        let verdict = certificates.judge(bytes).await;
        let verdict = verdict.map_err(|e| match e.kind() {
            PortErrorKind::Corrupt => wrong(e.message().to_owned()),
            _ => e,
        })?;
        if let Some(why) = objection(&verdict, &bundle, task, &tables) {
            return Err(wrong(why));
        }
        if cohort_digest(verdict.members.iter().map(|proven| &proven.member)) != proven.cohort {
            return Err(wrong("its members are not those who proved".into()));
        }
        if verdict.holds() {
            return Ok(told(&verdict));
        }
        Err(wrong(format!(
            "all proofs hold, and too much remains: {}",
            told(&verdict)
        )))
    }

    /// Deletes what this node knows of tables. The salt of a commitment is needed by nobody once the task is over.
    pub(super) async fn forget_table(&self) {
        let task = &self.state.task;
        let ports = self.context.machine_ports();
        let erased = self
            .context
            .retry_transient(|| async {
                erase(&ports, &table_key(task)).await?;
                forget_tables(&self.context, task).await
            })
            .await;
        if let Err(e) = erased {
            tracing::warn!(%task, "what was committed to stays until the next start: {}", report(&e));
        }
    }
}
