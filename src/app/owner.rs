//! The owner's word: which tasks ask, what the owner has said, what has left (docs/policy.md).
//!
//! Every task that this node follows has one entry here. A verdict is made anew each time it is needed, before a round is joined and
//! again before data are read: rules, decisions and counts change. What was decided and what leaves is in the journal before it is acted on.

mod ledgers;
mod records;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Mutex as Turn, watch};

use super::context::Ports;
use delta_domain::identity::minute_of;
use delta_domain::ids::{DatasetName, Digest, TaskId};
use delta_domain::manifest::Records;
use delta_domain::policy::{
    Answer, Approval, ApprovalScope, Class, DatasetFacts, Decision, Facts, OwnerDecision, Policies,
    Question, Rule, Verdict, judge,
};
use delta_domain::privacy::cost::Cost;
use delta_domain::privacy::report::LedgerReport;
use delta_domain::records::proof::ReleaseProof;
use delta_domain::records::{ReleaseRules, classify};
use delta_domain::round::DeclineCode;
use delta_domain::time::Timestamp;
use delta_ports::clock::Clock;
use delta_ports::executor::Executor;
use delta_ports::owner_api::{AskedTask, Decided, DecisionScope};
use delta_ports::owner_notice::{OwnerNotice, QuestionNotice};
use delta_ports::policy::PolicySource;
use delta_ports::{PortError, PortErrorKind, UserError, report};
pub use ledgers::privacy_report;
use records::Records as Journalled;

/// How often it is looked whether the rules have changed.
const LOOK: Duration = Duration::from_secs(5);
/// Most notices to the owner within [`NOTICES_WITHIN`]: strangers' tasks must not become a flood at the owner's door.
const NOTICES: usize = 30;
const NOTICES_WITHIN: Duration = Duration::from_secs(3600);

/// What becomes of a round that has begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Permit {
    /// It is joined. Where the answer must not show it, with zeros.
    Join,
    /// It waits for the owner.
    Ask,
    /// It is declined.
    Decline(DeclineCode),
}

/// A task as the owner is asked about it.
#[derive(Debug, Clone)]
pub(crate) struct Case {
    pub(crate) name: String,
    /// Its class is what holds whatever the rules say: free.
    pub(crate) question: Question,
    /// What it takes and what leaves, in plain words.
    pub(crate) disclosure: Vec<String>,
    /// What was found out about its graphs.
    pub(crate) proof: ReleaseProof,
    /// Its `records` steps, in the order of the proof.
    pub(crate) steps: Vec<Records>,
    /// What a round costs each dataset at most, where it has noise.
    pub(crate) costs: BTreeMap<DatasetName, Cost>,
}

impl Case {
    /// Its class under these rules, and why it is no better than free.
    fn class(&self, policies: &Policies) -> (Class, Vec<String>) {
        classify(&self.proof, &self.steps, policies)
    }
}

/// A round whose contribution is about to leave.
pub(crate) struct Left<'l> {
    pub(crate) task: &'l TaskId,
    /// As the network counts.
    pub(crate) round: u64,
    /// What it costs each dataset, where it has noise.
    pub(crate) costs: BTreeMap<DatasetName, Cost>,
}

struct Entry {
    case: Case,
    verdict: Verdict,
    asked_at: Timestamp,
    until: Timestamp,
}

/// What the owner says, and what was said.
pub(crate) struct Owner {
    policies: Arc<dyn PolicySource>,
    notices: Arc<dyn OwnerNotice>,
    clock: Arc<dyn Clock>,
    executor: Arc<dyn Executor>,
    /// For how long a question stays open.
    patience: Duration,
    records: Turn<Journalled>,
    entries: Mutex<BTreeMap<TaskId, Entry>>,
    told: Mutex<Vec<Timestamp>>,
    /// Whether whatever asks is allowed on the spot.
    agreeable: AtomicBool,
    /// Counts decisions and changes of the rules.
    changed: watch::Sender<u64>,
}

impl Owner {
    pub(crate) fn new(ports: &Ports, patience: Duration) -> Arc<Self> {
        Arc::new(Self {
            policies: ports.policies.clone(),
            notices: ports.notices.clone(),
            clock: ports.clock.clone(),
            executor: ports.executor.clone(),
            patience,
            records: Turn::new(Journalled::new(ports)),
            entries: Mutex::default(),
            told: Mutex::default(),
            agreeable: AtomicBool::new(false),
            changed: watch::Sender::new(0),
        })
    }

    /// Reads the journal. Before it nothing is judged.
    ///
    /// # Errors
    /// The journal cannot be read, or does not hang together.
    pub(crate) async fn open(&self) -> Result<(), PortError> {
        let rules = self.policies.rules();
        let mut records = self.records.lock().await;
        records.open().await?;
        records.rules(self.clock.now(), &rules).await
    }

    /// Whether from now on whatever asks is allowed on the spot, as the journal shows.
    pub(crate) fn agree_to_everything(&self, agree: bool) {
        self.agreeable.store(agree, Ordering::Relaxed);
    }

    /// Fires when the owner has decided, or the rules have changed.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    fn change(&self) {
        self.changed.send_modify(|n| *n = n.wrapping_add(1));
    }

    /// Looks for other rules, for as long as the node runs.
    pub(crate) async fn follow_rules(self: Arc<Self>) {
        loop {
            self.clock.sleep(LOOK).await;
            let rules = self.policies.rules();
            let mut records = self.records.lock().await;
            if records.digest() == rules.digest {
                continue;
            }
            match records.rules(self.clock.now(), &rules).await {
                Ok(()) => {
                    let names: Vec<&str> = rules
                        .policies
                        .written()
                        .keys()
                        .map(DatasetName::as_str)
                        .collect();
                    tracing::info!(
                        "the rules for data have changed; datasets with rules of their own: {}",
                        match names.is_empty() {
                            true => "none".to_owned(),
                            false => names.join(", "),
                        }
                    );
                    drop(records);
                    self.change();
                }
                Err(e) => tracing::error!("the journal takes no entry: {}", report(&e)),
            }
        }
    }

    /// What is said to a question now.
    ///
    /// # Errors
    /// The journal takes no entry: then nothing is allowed.
    ///
    /// `round`: the one that is being computed, whose cost may be set aside already; before there is one, the cost that a round may have.
    pub(crate) async fn judge(
        &self,
        task: &TaskId,
        case: &Case,
        round: Option<&Left<'_>>,
    ) -> Result<Verdict, PortError> {
        let rules = self.policies.rules();
        let (class, _) = case.class(&rules.policies);
        let question = &case.question.clone().proven(class);
        let rows = self.rows(question, &rules.policies).await?;
        let now = self.clock.now();
        let mut records = self.records.lock().await;
        let mut datasets = BTreeMap::new();
        for name in question.reads.keys() {
            let cost = match round {
                Some(round) => round.costs.get(name),
                None => case.costs.get(name),
            };
            let epsilon = match cost {
                None => None,
                Some(cost) => {
                    let policy = rules.policies.of(name);
                    Some(records.epsilon(name, policy, cost, round, now).await?)
                }
            };
            let facts = DatasetFacts {
                rows: rows.get(name).copied(),
                rounds: Some(records.rounds_today(name, now)),
                epsilon,
            };
            datasets.insert(name.clone(), facts);
        }
        let facts = Facts {
            datasets,
            members: None,
            standing: records.standing(question, task, now),
        };
        let verdict = judge(&rules.policies, question, &facts, now);
        records.rules(now, &rules).await?;
        records.judged(now, task, question, &verdict).await?;
        Ok(verdict)
    }

    /// The rows of datasets whose rules depend on them. Those that cannot be counted are left out.
    async fn rows(
        &self,
        question: &Question,
        policies: &Policies,
    ) -> Result<BTreeMap<DatasetName, u64>, PortError> {
        let counts = question.reads.keys().any(|name| {
            let policy = policies.of(name);
            policy.rows.is_some() || policy.outputs_per_row.is_some()
        });
        if !counts {
            return Ok(BTreeMap::new());
        }
        let there = self.executor.datasets().await?;
        let of = there.into_iter().filter_map(|d| Some((d.rows()?, d.name)));
        let of = of.map(|(rows, name)| (name, rows));
        Ok(of.collect())
    }

    /// Judges a task and keeps it on the owner's list until [`Self::forget`]. A question that is new is told to the owner.
    ///
    /// # Errors
    /// As [`Self::judge`].
    pub(crate) async fn permit(&self, task: &TaskId, case: &Case) -> Result<Permit, PortError> {
        let mut verdict = self.judge(task, case, None).await?;
        let now = self.clock.now();
        if verdict.decision == Decision::Asks && self.agreeable.load(Ordering::Relaxed) {
            let approval = Approval {
                author: case.question.author.clone(),
                question: case.question.digest,
                scope: ApprovalScope::Once(task.clone()),
                decision: OwnerDecision::Allow,
                decided_at: now,
                decided_with: "an owner who agrees to everything".to_owned(),
            };
            self.records.lock().await.decide(now, approval).await?;
            verdict = self.judge(task, case, None).await?;
        }
        let asks = verdict.decision == Decision::Asks;
        let permit = match verdict.answer() {
            None | Some(Answer::Zeros) => Permit::Join,
            Some(Answer::Decline(_)) if asks => Permit::Ask,
            Some(Answer::Decline(code)) => Permit::Decline(code),
        };
        let (news, until) = self.keep(task, case, verdict, now);
        if asks && now >= until {
            return Ok(Permit::Decline(DeclineCode::NotAllowed));
        }
        if asks && news {
            self.tell(task, case, now, until).await;
        }
        Ok(permit)
    }

    /// Whether the owner has not been asked this yet, and until when the question is open.
    fn keep(
        &self,
        task: &TaskId,
        case: &Case,
        verdict: Verdict,
        now: Timestamp,
    ) -> (bool, Timestamp) {
        let mut entries = self.entries();
        let before = entries.get(task);
        let asked = before.filter(|e| e.verdict.decision == Decision::Asks);
        let (news, asked_at) = match asked {
            Some(entry) => (false, entry.asked_at),
            None => (true, now),
        };
        let until = asked_at + self.patience;
        let entry = Entry {
            case: case.clone(),
            verdict,
            asked_at,
            until,
        };
        entries.insert(task.clone(), entry);
        (news, until)
    }

    async fn tell(&self, task: &TaskId, case: &Case, now: Timestamp, until: Timestamp) {
        let author = case.question.author.to_string();
        tracing::warn!(
            %task,
            "{author} asks to run {:?} on your data; `delta-node approvals show {task}` says what it would do, and it waits until {}",
            case.name,
            minute_of(until)
        );
        {
            let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
            told.retain(|at| *at + NOTICES_WITHIN > now);
            if told.len() >= NOTICES {
                return;
            }
            told.push(now);
        }
        let notice = QuestionNotice {
            task: task.clone(),
            name: case.name.clone(),
            author,
            kind: case.question.kind.name().to_owned(),
            datasets: case.question.reads.keys().cloned().collect(),
            question: case.question.digest,
            until,
        };
        if let Err(e) = self.notices.asks(&notice).await {
            tracing::warn!(%task, "the owner could not be told of the question: {}", report(&e));
        }
    }

    /// The fewest members, and the colluders to be withstood, that the rules of what is read ask for.
    pub(crate) fn floor(&self, question: &Question) -> (usize, Option<u32>) {
        let rules = self.policies.rules();
        let of = question.reads.keys().map(|name| rules.policies.of(name));
        let (mut members, mut colluders) = (0, None);
        for policy in of {
            members = members.max(policy.members.unwrap_or(0));
            colluders = colluders.max(policy.colluders);
        }
        (usize::try_from(members).unwrap_or(usize::MAX), colluders)
    }

    /// What must hold of the sums of a task that runs because it is safe by construction; `None` where it runs for another reason.
    pub(crate) fn release_rules(&self, case: &Case, verdict: &Verdict) -> Option<ReleaseRules> {
        let controlled = verdict.by().contains(&Rule::Controlled);
        let policies = self.policies.rules().policies;
        let of = case.question.reads.keys();
        let all = of.map(|name| policies.of(name).release_rules());
        all.reduce(ReleaseRules::and).filter(|_| controlled)
    }

    /// Writes down that a round's contribution leaves. Before it does.
    ///
    /// # Errors
    /// The journal takes no entry: then it must not leave.
    pub(crate) async fn released(
        &self,
        left: &Left<'_>,
        question: &Question,
        outputs: u64,
    ) -> Result<(), PortError> {
        let now = self.clock.now();
        let policies = self.policies.rules().policies;
        let mut records = self.records.lock().await;
        records
            .released(now, left, &policies, question, outputs)
            .await
    }

    /// Writes down that zeros leave in place of a contribution. Before they do.
    ///
    /// # Errors
    /// As [`Self::released`].
    pub(crate) async fn failed(
        &self,
        left: &Left<'_>,
        question: &Question,
    ) -> Result<(), PortError> {
        let now = self.clock.now();
        let policies = self.policies.rules().policies;
        let mut records = self.records.lock().await;
        records.failed(now, left, &policies, question).await
    }

    /// Sets aside what a round costs, where it has noise. Before data are read.
    ///
    /// # Errors
    /// `Exhausted` when a budget does not suffice; the database's.
    pub(crate) async fn reserve(&self, left: &Left<'_>) -> Result<(), PortError> {
        let now = self.clock.now();
        let policies = self.policies.rules().policies;
        let records = self.records.lock().await;
        records.reserve(now, left, &policies).await
    }

    /// What tasks under noise have cost each dataset.
    ///
    /// # Errors
    /// The database's; `Corrupt` for a ledger that cannot be read.
    pub(crate) async fn privacy(&self) -> Result<Vec<LedgerReport>, PortError> {
        let policies = self.policies.rules().policies;
        // Not between a reservation and its charge.
        let records = self.records.lock().await;
        records.privacy(&policies, self.clock.now()).await
    }

    /// The task is over.
    pub(crate) fn forget(&self, task: &TaskId) {
        self.entries().remove(task);
    }

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
                waits: entry.verdict.decision == Decision::Asks && now < entry.until,
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

    /// Everything that the owner has decided, oldest first.
    pub(crate) async fn decided(&self) -> Vec<Decided> {
        self.records.lock().await.decided()
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
        let case = {
            let entries = self.entries();
            let entry = entries.get(task).ok_or_else(|| {
                UserError::Invalid(format!(
                    "this node follows no task {task}: it is over, or its bundle has not arrived"
                ))
            })?;
            entry.case.clone()
        };
        let question = &case.question;
        let scope = match scope {
            DecisionScope::Once => ApprovalScope::Once(task.clone()),
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
        let decided = self.records.lock().await.decide(now, approval).await?;
        self.change();
        self.look_again(task, &case).await?;
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
        let revoked = self.records.lock().await.revoke(now, id, with).await?;
        if revoked {
            self.change();
        }
        Ok(revoked)
    }

    /// Lines of the journal.
    pub(crate) async fn journal(&self, skip: u64, most: usize) -> Result<Vec<String>, PortError> {
        // Not while a line is being written.
        let records = self.records.lock().await;
        records.read(skip, most).await
    }

    fn entries(&self) -> std::sync::MutexGuard<'_, BTreeMap<TaskId, Entry>> {
        // Nothing that can panic runs under this lock.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why a node computes nothing, when its owner's word does not allow it. For the owner's log.
pub(crate) fn withheld(verdict: &Verdict) -> PortError {
    let rules: Vec<&str> = verdict.by().iter().map(|rule| rule.name()).collect();
    let text = format!(
        "its owner's rules do not allow it now: {}",
        rules.join(", ")
    );
    PortError::new(PortErrorKind::Denied, "runner.permit", text)
}
