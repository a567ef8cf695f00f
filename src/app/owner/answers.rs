//! What the owner sees and says: questions, decisions, what privacy has cost, the journal.

use super::{Case, Owner};
use delta_domain::ids::{Digest, TaskId};
use delta_domain::policy::{Approval, ApprovalScope, OwnerDecision};
use delta_domain::privacy::report::LedgerReport;
use delta_ports::board_api::Prospect;
use delta_ports::metrics::{Observation, WaitCause};
use delta_ports::owner_api::{AskedTask, Decided, DecisionScope};
use delta_ports::{PortError, UserError, report};

impl Owner {
    /// Every task that this node follows, as its owner is asked about it.
    pub(crate) fn asked(&self) -> Vec<AskedTask> {
        let now = self.clock.now();
        let policies = self.policies.rules().policies;
        let entries = self.entries();
        let all = entries.iter().map(|(task, entry)| {
            let (class, unproven) = entry.case.class(&policies);
            AskedTask {
                task: task.clone(),
                name: entry.case.name.clone(),
                waits: entry.waits(now),
                question: entry.case.question.clone().proven(class),
                unproven,
                verdict: entry.verdict.clone(),
                disclosure: entry.case.disclosure.clone(),
                asked_at: entry.asked_at,
                until: entry.until,
            }
        });
        all.collect()
    }

    /// How many tasks this node follows, and how many of them wait for its owner.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let now = self.clock.now();
        let entries = self.entries();
        let waiting = entries.values().filter(|entry| entry.waits(now)).count();
        (entries.len(), waiting)
    }

    /// Everything that the owner has decided, oldest first.
    pub(crate) async fn decided(&self) -> Vec<Decided> {
        self.records().await.decided()
    }

    /// The owner decides about a task that is on the list.
    ///
    /// # Errors
    /// `Invalid` when it is not, or when its author proves no key and the decision is for more than this task.
    pub(crate) async fn decide(
        &self,
        task: &TaskId,
        decision: OwnerDecision,
        scope: DecisionScope,
        with: String,
    ) -> Result<Decided, UserError> {
        let now = self.clock.now();
        let (case, waited) = {
            let entries = self.entries();
            let entry = entries.get(task).ok_or_else(|| {
                UserError::Invalid(format!(
                    "this node follows no task {task}: it is over, or its bundle has not arrived"
                ))
            })?;
            (
                entry.case.clone(),
                entry.waits(now).then_some(entry.asked_at),
            )
        };
        let question = &case.question;
        let scope = match scope {
            DecisionScope::Once => ApprovalScope::Once(task.clone()),
            _ if case.certified && decision == OwnerDecision::Allow => {
                return Err(UserError::Invalid(
                    "a certified task is allowed once: each run tells what an answer leaves open on the members' rows, and its coordinator chooses the answer; allow this task only".into(),
                ));
            }
            _ if question.author.node.is_none() => {
                return Err(UserError::Invalid(
                    "the author's node proves no key, so a later task would not be known to be the same author's; decide about this task only".into(),
                ));
            }
            DecisionScope::Always => ApprovalScope::Always,
            DecisionScope::Until(end) if end <= now => {
                return Err(UserError::Invalid("that end has passed".into()));
            }
            DecisionScope::Until(end) => ApprovalScope::Until(end),
        };
        let approval = Approval {
            author: question.author.clone(),
            question: question.digest,
            scope,
            decision,
            decided_at: now,
            decided_with: with,
        };
        let decided = self.records().await.decide(now, approval).await?;
        if let Some(since) = waited {
            self.metrics.observe(Observation::Waited {
                cause: WaitCause::Owner,
                took: now - since,
            });
        }
        self.change();
        // It stands, whatever becomes of the list.
        if let Err(e) = self.look_again(task, &case).await {
            tracing::warn!(%task, "the list of questions is not up to date: {}", report(&e));
        }
        Ok(decided)
    }

    /// So that the list shows at once what the decision means.
    async fn look_again(&self, task: &TaskId, case: &Case) -> Result<(), PortError> {
        let verdict = self.judge(task, case, None).await?;
        if let Some(entry) = self.entries().get_mut(task) {
            entry.verdict = verdict;
        }
        Ok(())
    }

    /// The owner takes a decision back; `false` when there is none of this id, or it was taken back before.
    ///
    /// # Errors
    /// The journal takes no entry: the decision stands.
    pub(crate) async fn revoke(&self, id: &Digest, with: String) -> Result<bool, PortError> {
        let now = self.clock.now();
        let revoked = self.records().await.revoke(now, id, with).await?;
        if revoked {
            self.change();
        }
        Ok(revoked)
    }

    /// Lines of the journal.
    pub(crate) async fn journal(&self, skip: u64, most: usize) -> Result<Vec<String>, PortError> {
        // Not while a line is being written.
        let records = self.records().await;
        records.read(skip, most).await
    }

    /// Whether a task is on the owner's list.
    pub(crate) fn is_asked(&self, task: &TaskId) -> bool {
        self.entries().contains_key(task)
    }

    /// What a task on the list would leave of budgets; `None` when it is not on it.
    ///
    /// # Errors
    /// The database's; `Corrupt` for a ledger that cannot be read.
    pub(crate) async fn prospects(
        &self,
        task: &TaskId,
    ) -> Result<Option<Vec<Prospect>>, PortError> {
        let case = self.entries().get(task).map(|entry| entry.case.clone());
        let Some(case) = case else {
            return Ok(None);
        };
        let policies = self.policies();
        let now = self.clock.now();
        // Not between a reservation and its charge.
        let records = self.records().await;
        let mut found = Vec::with_capacity(case.costs.len());
        for (dataset, cost) in &case.costs {
            let policy = policies.of(dataset);
            let rounds = case.question.rounds;
            found.push(records.prospect(dataset, policy, cost, rounds, now).await?);
        }
        Ok(Some(found))
    }

    /// The last lines of the journal before line `before`, and how many are before them.
    pub(crate) async fn last_of_journal(
        &self,
        before: Option<u64>,
        most: usize,
    ) -> Result<(u64, Vec<String>), PortError> {
        let records = self.records().await;
        let all = records.lines();
        let end = before.map_or(all, |before| before.saturating_sub(1).min(all));
        let begin = end.saturating_sub(u64::try_from(most).unwrap_or(u64::MAX));
        let count = usize::try_from(end - begin).unwrap_or(usize::MAX);
        let lines = match count {
            0 => Vec::new(),
            count => records.read(begin, count).await?,
        };
        Ok((begin, lines))
    }

    /// What tasks under noise have cost each dataset.
    ///
    /// # Errors
    /// The database's; `Corrupt` for a ledger that cannot be read.
    pub(crate) async fn privacy(&self) -> Result<Vec<LedgerReport>, PortError> {
        let policies = self.policies.rules().policies;
        // Not between a reservation and its charge.
        let records = self.records().await;
        records.privacy(&policies, self.clock.now()).await
    }
}
