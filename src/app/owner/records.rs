//! The journal and what follows from it: decisions that hold, rounds of today. Written first, believed afterwards.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;

use super::Left;
use super::ledgers::Ledgers;
use crate::context::Ports;
use delta_domain::identity::NodeKey;
use delta_domain::ids::{DatasetName, Digest, TaskId};
use delta_domain::policy::audit::{self, AuditEvent, Entry, Head};
use delta_domain::policy::{
    Approval, ApprovalBook, Decision, Policies, Policy, Question, Rule, Standing, Verdict,
};
use delta_domain::privacy::cost::Cost;
use delta_domain::privacy::report::LedgerReport;
use delta_domain::time::Timestamp;
use delta_ports::board_api::Prospect;
use delta_ports::journal::Journal;
use delta_ports::owner_api::Decided;
use delta_ports::policy::OwnerRules;
use delta_ports::{PortError, PortErrorKind};

const DAY: Duration = Duration::from_secs(24 * 3600);
/// Lines that are read at a time.
const PAGE: usize = 1000;
/// Verdicts other than "allowed" that are written down within a day: strangers must not fill the disk with questions.
const UNASKED: usize = 1000;
/// Verdicts that are remembered, so that each is written down once.
const REMEMBERED: usize = 20_000;

/// What was said of a task, in the shape in which a change is news.
type Said = (Decision, Vec<Rule>);

/// A round that left: when, of which task, which one.
type Gone = (Timestamp, TaskId, u64);

/// The larger of what two datasets have spent.
fn larger(one: Option<f64>, other: Option<f64>) -> Option<f64> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.max(other)),
        (one, other) => one.or(other),
    }
}

/// What a release is called in ledgers.
fn purpose(left: &Left<'_>) -> String {
    format!("task {} round {}", left.task, left.round)
}

/// An entry on its way into the journal.
struct UnderWay {
    done: JoinHandle<Result<(), PortError>>,
    head: Head,
    entry: Entry,
}

pub(super) struct Records {
    ledgers: Ledgers,
    journal: Arc<dyn Journal>,
    key: Arc<NodeKey>,
    head: Head,
    under_way: Option<UnderWay>,
    book: ApprovalBook,
    rules: Option<Digest>,
    said: BTreeMap<TaskId, Said>,
    /// Of the last day.
    left: BTreeMap<DatasetName, VecDeque<Gone>>,
    /// Of these, those with nothing of the data in them.
    refused: BTreeMap<DatasetName, VecDeque<Gone>>,
    unasked: VecDeque<Timestamp>,
}

impl Records {
    pub(super) fn new(ports: &Ports) -> Self {
        Self {
            ledgers: Ledgers::new(ports.storage.clone()),
            journal: ports.journal.clone(),
            key: ports.node_key.clone(),
            head: Head::EMPTY,
            under_way: None,
            book: ApprovalBook::default(),
            rules: None,
            said: BTreeMap::new(),
            left: BTreeMap::new(),
            refused: BTreeMap::new(),
            unasked: VecDeque::new(),
        }
    }

    /// Reads the journal from its first line on. Decisions are believed only with their signature; `audit verify` checks every line.
    pub(super) async fn open(&mut self) -> Result<(), PortError> {
        (self.head, self.book) = (Head::EMPTY, ApprovalBook::default());
        loop {
            let lines = self.journal.read(self.head.lines, PAGE).await?;
            if lines.is_empty() {
                return Ok(());
            }
            for line in lines {
                let (entry, head) =
                    audit::read(self.head, &line, self.key.public()).map_err(|fault| {
                        let text = format!(
                            "the owner's journal is damaged: {fault}; move it away to begin a new one (what was approved must then be approved again)"
                        );
                        PortError::new(PortErrorKind::Corrupt, "journal.open", text)
                    })?;
                self.head = head;
                self.take_in(&entry);
            }
        }
    }

    /// What an entry changes.
    fn take_in(&mut self, entry: &Entry) {
        self.book.replay(entry);
        match &entry.event {
            AuditEvent::Policy { digest, .. } => self.rules = Some(*digest),
            AuditEvent::Judged {
                task, decision, by, ..
            } => self.remember(task, (*decision, by.clone())),
            AuditEvent::Released {
                task,
                round,
                datasets,
                outputs,
                epsilon,
            } => {
                self.count(entry.at, task, *round, datasets);
                // Under noise nobody sees it.
                if *outputs == 0 && epsilon.is_none() {
                    self.count_refusal(entry.at, task, *round, datasets);
                }
            }
            AuditEvent::Decided(_) | AuditEvent::Revoked { .. } => {}
        }
    }

    fn remember(&mut self, task: &TaskId, said: Said) {
        if self.said.len() >= REMEMBERED {
            self.said.pop_first();
        }
        self.said.insert(task.clone(), said);
    }

    fn count(&mut self, at: Timestamp, task: &TaskId, round: u64, datasets: &[DatasetName]) {
        for name in datasets {
            let left = self.left.entry(name.clone()).or_default();
            while left.front().is_some_and(|(first, ..)| *first + DAY <= at) {
                left.pop_front();
            }
            // A round that was computed again after a restart is one round.
            if !left.iter().any(|(_, t, r)| t == task && *r == round) {
                left.push_back((at, task.clone(), round));
            }
        }
    }

    fn count_refusal(
        &mut self,
        at: Timestamp,
        task: &TaskId,
        round: u64,
        datasets: &[DatasetName],
    ) {
        for name in datasets {
            let refused = self.refused.entry(name.clone()).or_default();
            refused.retain(|(first, ..)| *first + DAY > at);
            if !refused.iter().any(|(_, t, r)| t == task && *r == round) {
                refused.push_back((at, task.clone(), round));
            }
        }
    }

    /// Writes an entry, and believes it when it is there. Whoever asked may go away meanwhile: the entry is written all the same, and taken
    /// in by whoever comes next.
    async fn write(&mut self, now: Timestamp, event: AuditEvent) -> Result<(), PortError> {
        self.take_in_written().await?;
        let (line, head) =
            audit::append(self.head, now, event.clone(), &self.key).map_err(|e| {
                PortError::new(
                    PortErrorKind::Internal,
                    "journal.append",
                    "an entry cannot be written",
                )
                .with_source(e)
            })?;
        let journal = self.journal.clone();
        self.under_way = Some(UnderWay {
            done: tokio::spawn(async move { journal.append(line).await }),
            head,
            entry: Entry { at: now, event },
        });
        self.take_in_written().await
    }

    /// Waits for an entry that is being written, whoever wrote it. To be called before anything here is believed.
    pub(super) async fn take_in_written(&mut self) -> Result<(), PortError> {
        let Some(under_way) = &mut self.under_way else {
            return Ok(());
        };
        let done = (&mut under_way.done).await;
        let Some(UnderWay { head, entry, .. }) = self.under_way.take() else {
            return Ok(());
        };
        done.map_err(|e| {
            let text = "an entry was not written to its end";
            PortError::new(PortErrorKind::Internal, "journal.append", text).with_source(e)
        })??;
        self.head = head;
        self.take_in(&entry);
        Ok(())
    }

    /// The rules that hold now.
    pub(super) async fn rules(
        &mut self,
        now: Timestamp,
        rules: &OwnerRules,
    ) -> Result<(), PortError> {
        if self.rules == Some(rules.digest) {
            return Ok(());
        }
        let event = AuditEvent::Policy {
            digest: rules.digest,
            datasets: rules.policies.written().keys().cloned().collect(),
        };
        self.write(now, event).await
    }

    /// Of the rules that were written down last.
    pub(super) fn digest(&self) -> Digest {
        self.rules.unwrap_or_default()
    }

    pub(super) fn standing(&self, question: &Question, task: &TaskId, now: Timestamp) -> Standing {
        self.book.standing(question, task, now)
    }

    /// Rounds on a dataset within the last 24 hours.
    pub(super) fn rounds_today(&self, name: &DatasetName, now: Timestamp) -> u32 {
        let left = self.left.get(name).into_iter().flatten();
        let today = left.filter(|(at, ..)| *at + DAY > now).count();
        u32::try_from(today).unwrap_or(u32::MAX)
    }

    /// Releases of a dataset within the last 24 hours with nothing of the data in them.
    pub(super) fn refused_today(&self, name: &DatasetName, now: Timestamp) -> u32 {
        let refused = self.refused.get(name).into_iter().flatten();
        let today = refused.filter(|(at, ..)| *at + DAY > now).count();
        u32::try_from(today).unwrap_or(u32::MAX)
    }

    /// A verdict, once for each that is another than the one before.
    pub(super) async fn judged(
        &mut self,
        now: Timestamp,
        task: &TaskId,
        question: &Question,
        verdict: &Verdict,
    ) -> Result<(), PortError> {
        let said = (verdict.decision, verdict.by());
        if self.said.get(task) == Some(&said) {
            return Ok(());
        }
        if verdict.decision != Decision::Allowed {
            self.unasked.retain(|at| *at + DAY > now);
            if self.unasked.len() >= UNASKED {
                tracing::debug!(%task, "more than {UNASKED} tasks were not allowed today; this one is not written down");
                return Ok(());
            }
            self.unasked.push_back(now);
        }
        let event = AuditEvent::Judged {
            task: task.clone(),
            author: question.author.clone(),
            question: question.digest,
            decision: said.0,
            by: said.1,
        };
        self.write(now, event).await
    }

    /// Epsilon of this period with a round of this cost; if it is one that is set aside already, without it once more.
    pub(super) async fn epsilon(
        &self,
        dataset: &DatasetName,
        policy: &Policy,
        cost: &Cost,
        round: Option<&Left<'_>>,
        now: Timestamp,
    ) -> Result<f64, PortError> {
        let ledger = self.ledgers.of(dataset, policy, now).await?;
        let known = round.is_some_and(|left| ledger.is_known(&purpose(left)));
        let cost = match known {
            true => &Cost::zero(),
            false => cost,
        };
        Ok(ledger.with(cost))
    }

    /// What so many rounds of this cost would leave of a dataset's budget.
    pub(super) async fn prospect(
        &self,
        dataset: &DatasetName,
        policy: &Policy,
        cost: &Cost,
        rounds: u32,
        now: Timestamp,
    ) -> Result<Prospect, PortError> {
        let ledger = self.ledgers.of(dataset, policy, now).await?;
        let with = |cost: &Cost| Some(ledger.with(cost)).filter(|epsilon| epsilon.is_finite());
        Ok(Prospect {
            dataset: dataset.clone(),
            budget: policy.privacy.as_ref().map(|p| p.epsilon),
            delta: ledger.budget().delta(),
            before: with(&Cost::zero()),
            after_round: with(cost),
            after_all: with(&cost.repeated(rounds)),
        })
    }

    /// How many lines the journal has.
    pub(super) fn lines(&self) -> u64 {
        self.head.lines
    }

    pub(super) async fn privacy(
        &self,
        policies: &Policies,
        now: Timestamp,
    ) -> Result<Vec<LedgerReport>, PortError> {
        self.ledgers.report(policies, now).await
    }

    pub(super) async fn reserve(
        &self,
        now: Timestamp,
        left: &Left<'_>,
        policies: &Policies,
    ) -> Result<(), PortError> {
        let purpose = purpose(left);
        for (dataset, cost) in &left.costs {
            let policy = policies.of(dataset);
            self.ledgers
                .reserve(dataset, policy, &purpose, cost, now)
                .await?;
        }
        Ok(())
    }

    pub(super) async fn settle(
        &self,
        now: Timestamp,
        task: &TaskId,
        round: u64,
        policies: &Policies,
    ) -> Result<(), PortError> {
        let costs = BTreeMap::new();
        let left = Left { task, round, costs };
        let purpose = purpose(&left);
        self.ledgers.settle(policies, &purpose, now).await
    }

    pub(super) async fn released(
        &mut self,
        now: Timestamp,
        left: &Left<'_>,
        policies: &Policies,
        question: &Question,
        outputs: u64,
    ) -> Result<(), PortError> {
        let purpose = purpose(left);
        let mut epsilon: Option<f64> = None;
        for dataset in left.costs.keys() {
            let policy = policies.of(dataset);
            let spent = self.ledgers.charge(dataset, policy, &purpose, now).await?;
            epsilon = larger(epsilon, spent);
        }
        let datasets: Vec<DatasetName> = question.reads.keys().cloned().collect();
        let event = AuditEvent::Released {
            task: left.task.clone(),
            round: left.round,
            datasets,
            outputs,
            epsilon,
        };
        self.write(now, event).await
    }

    /// A round's contribution has nothing of the data in it. What was set aside for it is spent all the same: that it failed is a fact about
    /// the data, and a reservation that nobody ends would stay for ever.
    pub(super) async fn failed(
        &mut self,
        now: Timestamp,
        left: &Left<'_>,
        policies: &Policies,
        question: &Question,
    ) -> Result<(), PortError> {
        let purpose = purpose(left);
        let mut epsilon: Option<f64> = None;
        for dataset in left.costs.keys() {
            let policy = policies.of(dataset);
            let ledger = self.ledgers.of(dataset, policy, now).await?;
            if ledger.is_known(&purpose) {
                let spent = self.ledgers.charge(dataset, policy, &purpose, now).await?;
                epsilon = larger(epsilon, spent);
            }
        }
        let event = AuditEvent::Released {
            task: left.task.clone(),
            round: left.round,
            datasets: question.reads.keys().cloned().collect(),
            outputs: 0,
            epsilon,
        };
        self.write(now, event).await
    }

    pub(super) async fn decide(
        &mut self,
        now: Timestamp,
        approval: Approval,
    ) -> Result<Decided, PortError> {
        self.write(now, AuditEvent::Decided(approval.clone()))
            .await?;
        Ok(Decided {
            id: approval.id(),
            approval,
            revoked: None,
        })
    }

    pub(super) async fn revoke(
        &mut self,
        now: Timestamp,
        id: &Digest,
        with: String,
    ) -> Result<bool, PortError> {
        let open: BTreeSet<Digest> = self
            .book
            .approvals()
            .filter(|(_, revoked)| revoked.is_none())
            .map(|(approval, _)| approval.id())
            .collect();
        if !open.contains(id) {
            return Ok(false);
        }
        let event = AuditEvent::Revoked {
            approval: *id,
            with,
        };
        self.write(now, event).await.map(|()| true)
    }

    pub(super) fn decided(&self) -> Vec<Decided> {
        let all = self.book.approvals().map(|(approval, revoked)| Decided {
            id: approval.id(),
            approval: approval.clone(),
            revoked,
        });
        all.collect()
    }

    pub(super) async fn read(&self, skip: u64, most: usize) -> Result<Vec<String>, PortError> {
        self.journal.read(skip, most).await
    }
}
