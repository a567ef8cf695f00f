//! The owner's word: which tasks ask, what the owner has said, what has left (docs/policy.md).
//!
//! Every task that this node follows has one entry here. A verdict is made anew each time it is needed, before a round is joined and
//! again before data are read: rules, decisions and counts change. What was decided and what leaves is in the journal before it is acted on.

mod answers;
mod history;
mod ledgers;
mod notices;
mod records;
mod releases;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Mutex as Turn, MutexGuard, watch};

use super::board::NewsDesk;
use super::context::Ports;
use delta_domain::ids::{DatasetName, TaskId};
use delta_domain::manifest::Records;
use delta_domain::policy::{
    Answer, Approval, ApprovalScope, Class, DatasetFacts, Decision, Facts, OwnerDecision, Policies,
    Question, Spend, Verdict, VerifyRules, judge,
};
use delta_domain::privacy::cost::Cost;
use delta_domain::records::classify;
use delta_domain::records::proof::ReleaseProof;
use delta_domain::round::DeclineCode;
use delta_domain::time::Timestamp;
use delta_ports::board_api::News;
use delta_ports::clock::Clock;
use delta_ports::executor::Executor;
use delta_ports::metrics::{Limit, Metrics, Observation};
use delta_ports::policy::PolicySource;
use delta_ports::{PortError, report};
use history::History;
pub(crate) use history::OVERLAP;
pub use ledgers::privacy_report;
use notices::Notices;
use records::Records as Journalled;
pub(crate) use releases::{Left, withheld};

/// How often it is looked whether the rules have changed.
const LOOK: Duration = Duration::from_secs(5);
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
    /// Whom it protects, where every round has noise for whole members.
    pub(crate) member: Option<Spend>,
    /// What a round costs each dataset at most, where it has noise.
    pub(crate) costs: BTreeMap<DatasetName, Cost>,
    /// Whether members prove something of their tables.
    pub(crate) certified: bool,
}

impl Case {
    /// Its class under these rules, and why it is no better than free.
    fn class(&self, policies: &Policies) -> (Class, Vec<String>) {
        classify(
            self.certified,
            self.member.as_ref(),
            &self.proof,
            &self.steps,
            policies,
        )
    }
}

struct Entry {
    case: Case,
    verdict: Verdict,
    asked_at: Timestamp,
    until: Timestamp,
}

impl Entry {
    /// Whether it waits for the owner.
    fn waits(&self, now: Timestamp) -> bool {
        self.verdict.decision == Decision::Asks && now < self.until
    }
}

/// What the owner says, and what was said.
pub(crate) struct Owner {
    policies: Arc<dyn PolicySource>,
    notices: Notices,
    clock: Arc<dyn Clock>,
    executor: Arc<dyn Executor>,
    metrics: Arc<dyn Metrics>,
    /// For how long a question stays open.
    patience: Duration,
    records: Turn<Journalled>,
    history: History,
    entries: Mutex<BTreeMap<TaskId, Entry>>,
    /// Whether whatever asks is allowed on the spot.
    agreeable: AtomicBool,
    /// Counts decisions and changes of the rules.
    changed: watch::Sender<u64>,
    news: Arc<NewsDesk>,
}

impl Owner {
    pub(crate) fn new(ports: &Ports, patience: Duration, news: Arc<NewsDesk>) -> Arc<Self> {
        Arc::new(Self {
            policies: ports.policies.clone(),
            notices: Notices::new(ports.notices.clone()),
            clock: ports.clock.clone(),
            executor: ports.executor.clone(),
            metrics: ports.metrics.clone(),
            patience,
            records: Turn::new(Journalled::new(ports)),
            history: History::new(ports),
            entries: Mutex::default(),
            agreeable: AtomicBool::new(false),
            changed: watch::Sender::new(0),
            news,
        })
    }

    /// The owner's rules as they are now.
    pub(crate) fn policies(&self) -> Arc<Policies> {
        self.policies.rules().policies
    }

    /// Reads the journal. Before it nothing is judged.
    ///
    /// # Errors
    /// The journal cannot be read, or does not hang together.
    pub(crate) async fn open(&self) -> Result<(), PortError> {
        let rules = self.policies.rules();
        let mut records = self.records().await;
        records.open().await?;
        records.rules(self.clock.now(), &rules).await
    }

    /// The journal and what follows from it, up to its last line.
    async fn records(&self) -> MutexGuard<'_, Journalled> {
        let mut records = self.records.lock().await;
        if let Err(e) = records.take_in_written().await {
            tracing::error!("the journal has not taken its last entry: {}", report(&e));
        }
        records
    }

    /// Whether from now on whatever asks is allowed on the spot, as the journal shows.
    pub(crate) fn agree_to_everything(&self, agree: bool) {
        self.agreeable.store(agree, Ordering::Relaxed);
    }

    /// For how long a question stays open.
    pub(crate) fn patience(&self) -> Duration {
        self.patience
    }

    /// Fires when the owner has decided, or the rules have changed.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    fn change(&self) {
        self.changed.send_modify(|n| *n = n.wrapping_add(1));
        self.news.tell(News::Approvals);
    }

    /// Looks for other rules, for as long as the node runs.
    pub(crate) async fn follow_rules(self: Arc<Self>) {
        loop {
            self.clock.sleep(LOOK).await;
            let rules = self.policies.rules();
            let mut records = self.records().await;
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

    /// What is said to a question now. `round`: the one that is being computed, whose cost may be set aside already; before there is one the
    /// cost that a round may have counts.
    ///
    /// # Errors
    /// The journal takes no entry: then nothing is allowed.
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
        let mut records = self.records().await;
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
                refused: records.refused_today(name, now),
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
            let proven =
                |rules: &VerifyRules| question.certified.is_some() && rules.max_rows.is_some();
            policy.rows.is_some()
                || policy.outputs_per_row.is_some()
                || policy.verify.as_ref().is_some_and(proven)
        });
        if !counts {
            return Ok(BTreeMap::new());
        }
        let names = question.reads.keys().cloned().collect();
        let there = self.executor.describe(&names).await?;
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
            self.records().await.decide(now, approval).await?;
            verdict = self.judge(task, case, None).await?;
        }
        let asks = verdict.decision == Decision::Asks;
        let permit = match verdict.answer() {
            // A proof of zeros would not hold, so that the rules' word is the same as theirs who may not take part at all.
            Some(Answer::Zeros) if case.certified => Permit::Decline(DeclineCode::NotAllowed),
            None | Some(Answer::Zeros) => Permit::Join,
            Some(Answer::Decline(_)) if asks => Permit::Ask,
            Some(Answer::Decline(code)) => {
                if code == DeclineCode::OverBudget {
                    let limit = Observation::LimitHit(Limit::PrivacyBudget);
                    self.metrics.observe(limit);
                }
                Permit::Decline(code)
            }
        };
        let (news, until) = self.keep(task, case, verdict, now);
        if asks && now >= until {
            // Asked again in the next round.
            self.forget(task);
            return Ok(Permit::Decline(DeclineCode::NotAllowed));
        }
        if asks && news {
            self.notices.tell(task, case, now, until);
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
        let shown = before.is_none_or(|b| b.verdict != entry.verdict);
        entries.insert(task.clone(), entry);
        drop(entries);
        if shown {
            self.news.tell(News::Approvals);
        }
        (news, until)
    }

    /// The task is over.
    pub(crate) fn forget(&self, task: &TaskId) {
        if self.entries().remove(task).is_some() {
            self.news.tell(News::Approvals);
        }
    }

    fn entries(&self) -> std::sync::MutexGuard<'_, BTreeMap<TaskId, Entry>> {
        // Nothing that can panic runs under this lock.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
