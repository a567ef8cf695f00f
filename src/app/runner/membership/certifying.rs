//! A member's table in a certified task: committed to before its first round; and the certificate, checked at the end.

use super::Membership;
use crate::certificate::{objection, told};
use crate::machine::erase;
use crate::runner::tables::{
    OwnTable, forget_tables, keep_own_table, noted_tables, own_table, publish_table, table_key,
};
use delta_domain::bundle::Bundle;
use delta_domain::secret::Secret;
use delta_ports::certificates::{MAX_PROOF_BYTES, TableJob};
use delta_ports::peer::PeerCalls as _;
use delta_ports::storage::LogLevel;
use delta_ports::{PortError, PortErrorKind, report};
use std::sync::Arc;

/// More than a certificate has beside its proofs.
const AROUND_BYTES: u64 = 64 << 10;

impl Membership {
    /// Commits to this node's table, once a task: in the first step, before the round is joined. After a restart the same is said again.
    ///
    /// # Errors
    /// `Corrupt` when rows do not fit their bounds; `Rejected` when it is too late for a commitment.
    pub(super) async fn commit_table(
        &self,
        bundle: &Arc<Bundle>,
        step: u32,
    ) -> Result<(), PortError> {
        let task = &self.state.task;
        let table = match own_table(&self.context, task).await? {
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
            None => self.make_table(bundle).await?,
        };
        self.retry_transient(|| publish_table(&self.context, task, &table))
            .await
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
        };
        keep_own_table(context, task, &table).await?;
        Ok(table)
    }

    /// Checks the certificate of a task in which this node has proven something, and says what it is worth.
    pub(super) async fn check_certificate(&self) {
        let took_part = match own_table(&self.context, &self.state.task).await {
            Ok(table) => table.is_some() && self.state.summed.is_some(),
            Err(_) => false,
        };
        if !took_part || self.state.finished {
            return;
        }
        let task = &self.state.task;
        let (level, text) = match self.judged_certificate().await {
            Ok(told) => (
                LogLevel::Info,
                format!(
                    "[Verification] task {task}: this node has checked the certificate: {told}"
                ),
            ),
            Err(e) => {
                tracing::warn!(%task, "{}", report(&e));
                let text = format!(
                    "[Verification] task {task}: the answer is not certified for this node: {}",
                    e.message()
                );
                (LogLevel::Warn, text)
            }
        };
        self.context.log(level, task, text, None).await;
    }

    async fn judged_certificate(&self) -> Result<String, PortError> {
        let context = &self.context;
        let task = &self.state.task;
        let wrong =
            |text: String| PortError::new(PortErrorKind::Corrupt, "runner.certificate", text);
        let record = self.state.record.as_ref();
        let record = record.ok_or_else(|| wrong("the task has no record".into()))?;
        let bundle = self.bundle().await?;
        let tables = noted_tables(context, task).await?;
        let members = u64::try_from(tables.len()).unwrap_or(u64::MAX);
        let limit = members
            .saturating_mul(MAX_PROOF_BYTES + 4)
            .saturating_add(AROUND_BYTES);
        let peers = &context.ports.peers;
        let bytes = self
            .retry_transient(|| peers.certificate(&record.url, task, limit))
            .await?;
        let certificates = context.ports.executor.certificates();
        let certificates =
            certificates.ok_or_else(|| wrong("this program has no certificates".into()))?;
        let verdict = certificates.judge(bytes).await?;
        if let Some(why) = objection(&verdict, &bundle, task, &tables) {
            return Err(wrong(why));
        }
        let me = context.own_address().await?;
        if !verdict.members.iter().any(|proven| proven.member == me) {
            return Err(wrong("this node is not in it".into()));
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
