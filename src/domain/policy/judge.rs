//! From policies, a question and what is known to a verdict.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::approval::Standing;
use super::question::{Class, Question, Reads, TableForm};
use super::rule::Rule;
use super::rules::{ApprovalMode, Policies, Policy, Role, Unit};
use crate::ids::DatasetName;
use crate::round::{DeclineCode, Neighbourhood};
use crate::strategy::Strategy;
use crate::time::Timestamp;

/// What a node knows beside the question. What it does not know never allows.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Facts {
    /// What is known of each dataset.
    pub datasets: BTreeMap<DatasetName, DatasetFacts>,
    /// Members of the round that roster or pins vouch for; `None` before there is a round. Every round is judged again.
    pub members: Option<u32>,
    /// What the owner has said to this question.
    pub standing: Standing,
}

/// What is known of one dataset.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct DatasetFacts {
    /// Its rows.
    pub rows: Option<u64>,
    /// Rounds on it in the last 24 hours, without the one that is asked for.
    pub rounds: Option<u32>,
    /// Releases of it that were refused in the last 24 hours, after its data were read.
    pub refused: u32,
    /// What the period's tasks cost together, with this one: an epsilon at the policy's delta.
    pub epsilon: Option<f64>,
}

/// What becomes of a question. Ordered: the larger one wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Decision {
    /// It runs.
    Allowed,
    /// It waits for the owner.
    Asks,
    /// It does not run.
    Refused,
}

impl Decision {
    /// Its name in JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Asks => "asks",
            Self::Refused => "refused",
        }
    }
}

/// One rule's part in a verdict. For the owner only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The rule.
    pub rule: Rule,
    /// What it says.
    pub says: Decision,
    /// Of which dataset; `None`: of the task.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dataset: Option<DatasetName>,
    /// Why, in words; a sentence without a full stop. Names data of the owner: nobody else may see it.
    pub why: String,
}

/// What becomes of a question, and by which rules.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// What.
    pub decision: Decision,
    /// Everything that spoke, also what was outvoted.
    pub findings: Vec<Finding>,
}

/// What the network gets to know of a verdict that does not allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// A word of the closed list.
    Decline(DeclineCode),
    /// Nothing: the member contributes zeros and is counted as one that could not compute.
    Zeros,
}

impl Verdict {
    /// The rules that decided, each once, in the order of [`Rule::ALL`].
    #[must_use]
    pub fn by(&self) -> Vec<Rule> {
        let deciding = self.findings.iter().filter(|f| f.says == self.decision);
        let rules: BTreeSet<Rule> = deciding.map(|f| f.rule).collect();
        rules.into_iter().collect()
    }

    /// What the network is told; `None` when the task is allowed. A refusal that depends on data is told only if no other one is there.
    #[must_use]
    pub fn answer(&self) -> Option<Answer> {
        match self.decision {
            Decision::Allowed => None,
            Decision::Asks => Some(Answer::Decline(DeclineCode::AsksOwner)),
            Decision::Refused => {
                let code = self.by().into_iter().find_map(Rule::decline);
                Some(code.map_or(Answer::Zeros, Answer::Decline))
            }
        }
    }
}

/// Judges a question by the rules of every dataset that it reads.
///
/// `now`: unix ms. Judge again before every round: approvals are revoked, rounds and budgets are used up, policies change and end.
#[must_use]
pub fn judge(policies: &Policies, question: &Question, facts: &Facts, now: Timestamp) -> Verdict {
    let mut findings = Vec::new();
    for (name, reads) in &question.reads {
        let known = facts.datasets.get(name).copied().unwrap_or_default();
        let mut case = Case {
            policy: policies.of(name),
            question,
            reads,
            known,
            facts,
            dataset: name,
            findings: &mut findings,
        };
        case.limits(now);
        case.columns();
        case.joins();
        case.sizes();
        case.verified();
        case.budget();
        case.approval();
    }
    let standing = &facts.standing;
    if question.reads.is_empty() {
        findings.push(of_task(
            Rule::NoData,
            Decision::Asks,
            "the task reads no dataset, and would use this machine all the same",
        ));
    }
    match standing {
        Standing::Denied => findings.push(of_task(
            Rule::Denied,
            Decision::Refused,
            "you have denied this very task",
        )),
        Standing::Allowed => settle(
            &mut findings,
            Rule::Given,
            "you have allowed this very task",
        ),
        Standing::Open if question.author.own => {
            settle(&mut findings, Rule::Own, "the task is this node's own");
        }
        Standing::Open => {}
    }
    let decision = findings.iter().map(|f| f.says).max();
    Verdict {
        decision: decision.unwrap_or(Decision::Allowed),
        findings,
    }
}

/// The owner's word takes the place of asking.
fn settle(findings: &mut Vec<Finding>, rule: Rule, why: &str) {
    let before = findings.len();
    findings.retain(|finding| finding.says != Decision::Asks);
    if findings.len() < before {
        findings.push(of_task(rule, Decision::Allowed, why));
    }
}

fn of_task(rule: Rule, says: Decision, why: &str) -> Finding {
    Finding {
        rule,
        says,
        dataset: None,
        why: why.to_owned(),
    }
}

/// Rows of a dataset that a task reads at least.
fn read_of(known: DatasetFacts, reads: &Reads) -> Option<u64> {
    let (rows, fraction) = (known.rows?, reads.fraction?);
    if fraction >= 1.0 {
        return Some(rows);
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "saturates, and is rounded down on purpose"
    )]
    let read = (float(rows) * fraction).floor() as u64;
    Some(read)
}

/// One dataset of a question.
struct Case<'c> {
    policy: &'c Policy,
    question: &'c Question,
    reads: &'c Reads,
    known: DatasetFacts,
    facts: &'c Facts,
    dataset: &'c DatasetName,
    findings: &'c mut Vec<Finding>,
}

impl Case<'_> {
    fn say(&mut self, rule: Rule, says: Decision, why: impl Into<String>) {
        self.findings.push(Finding {
            rule,
            says,
            dataset: Some(self.dataset.clone()),
            why: why.into(),
        });
    }

    fn refuse(&mut self, rule: Rule, why: impl Into<String>) {
        self.say(rule, Decision::Refused, why);
    }

    fn ask(&mut self, rule: Rule, why: impl Into<String>) {
        self.say(rule, Decision::Asks, why);
    }

    /// What can be said without a look at the data.
    fn limits(&mut self, now: Timestamp) {
        let (policy, question) = (self.policy, self.question);
        if policy.until.is_some_and(|until| until <= now) {
            self.refuse(Rule::Until, "the policy has ended");
        }
        if policy.approval == ApprovalMode::Never {
            self.refuse(Rule::Never, "nobody may ask");
        }
        let author = &question.author;
        let may = |who: &BTreeSet<super::Who>| author.own || who.iter().any(|who| who.is(author));
        if policy.who.as_ref().is_some_and(|who| !may(who)) {
            self.refuse(Rule::Who, format!("{author} is none of those who may ask"));
        }
        let kind = question.kind;
        if policy.kinds.as_ref().is_some_and(|k| !k.contains(&kind)) {
            self.refuse(Rule::Kinds, format!("{} is not allowed", kind.name()));
        }
        // Before there is a round: the largest that the task allows. What is too few then is too few in every round.
        let members = self.facts.members.unwrap_or(question.strategy.max_clients);
        if let Some(least) = policy.members.filter(|least| members < *least) {
            self.refuse(
                Rule::Members,
                format!("{members} members at most, and at least {least} must be in a sum"),
            );
        }
        if let Some(bad) = policy.colluders
            && !withstands(&question.strategy, members, bad)
        {
            self.refuse(
                Rule::Colluders,
                format!("a round of {members} does not withstand {bad} colluding members"),
            );
        }
        if let Some(most) = policy.rounds_per_day {
            match self.known.rounds {
                Some(rounds) if rounds < most => {}
                Some(_) => self.refuse(
                    Rule::Rounds,
                    format!("{most} rounds were run within 24 hours, the most allowed"),
                ),
                None => self.ask(
                    Rule::Rounds,
                    "it is not known how many rounds were run today",
                ),
            }
        }
    }

    fn columns(&mut self) {
        let Some(columns) = &self.policy.columns else {
            return;
        };
        // A file without a first line of names has places for names; whoever reads the same file the other way gets past the names.
        let places = columns.keys().all(|name| is_place(name));
        let due = match places {
            true => TableForm::Places,
            false => TableForm::Names,
        };
        if !columns.is_empty() && self.reads.form != due {
            let why = match (self.reads.form, places) {
                (TableForm::NoTable, _) => "the task does not read it as a table",
                (_, true) => "the task takes its first line for names, and the policy names places",
                (_, false) => "the task reads columns by their places, past their names",
            };
            self.refuse(Rule::ColumnForm, why);
        }
        for column in &self.reads.columns {
            match columns.get(column) {
                Some(Role::Hidden) => {
                    self.refuse(Rule::ColumnHidden, format!("column {column:?} is hidden"));
                }
                Some(Role::Value | Role::Quasi | Role::Identifier) => {}
                None => self.ask(
                    Rule::ColumnUnlisted,
                    format!("column {column:?} is not in the policy"),
                ),
            }
        }
    }

    /// By which columns rows are matched with those of other datasets.
    fn joins(&mut self) {
        let policy = self.policy;
        for key in &self.reads.keys {
            let role = policy.columns.as_ref().and_then(|columns| columns.get(key));
            match role {
                Some(Role::Hidden) if self.reads.columns.contains(key) => {}
                Some(Role::Hidden) => {
                    self.refuse(Rule::ColumnHidden, format!("column {key:?} is hidden"));
                }
                _ if policy.joins.contains(key) => {}
                _ => self.ask(
                    Rule::Joins,
                    format!(
                        "rows are matched with those of another dataset by {key:?}, and the policy does not list it under joins"
                    ),
                ),
            }
        }
    }

    /// What depends on the data's size.
    fn sizes(&mut self) {
        let policy = self.policy;
        let rows = self.rows();
        if let Some(least) = policy.rows {
            match rows {
                Some(rows) if rows >= least => {}
                Some(rows) => self.refuse(
                    Rule::Rows,
                    format!("the task reads {rows} rows, and at least {least} are needed"),
                ),
                None => self.ask(Rule::Rows, "it is not known how many rows the task reads"),
            }
        }
        // Under noise it does not matter how many numbers there are: they are paid for.
        let noised = matches!(self.question.class, Class::Private(_));
        let Some(share) = policy.outputs_per_row.filter(|_| !noised) else {
            return;
        };
        let outputs = self.question.outputs;
        match rows {
            Some(rows) if float(outputs) <= share * float(rows) => {}
            Some(rows) => self.refuse(
                Rule::Outputs,
                format!(
                    "{outputs} numbers of {rows} rows leave in a round, more than {share} a row"
                ),
            ),
            None => self.ask(
                Rule::Outputs,
                format!("{outputs} numbers leave in a round, and it is not known of how many rows"),
            ),
        }
    }

    /// What a certified task may prove.
    fn verified(&mut self) {
        let (Some(rules), Some(task)) = (&self.policy.verify, &self.question.certified) else {
            return;
        };
        // All of the dataset's: what a step reads of them, or through which rows, is the author's to choose for each step.
        for (rule, why) in rules.against(task, self.known.rows) {
            self.refuse(rule, why);
        }
    }

    /// Rows that the task reads, as far as it is known before they are looked up: no more than there are rows that look.
    fn rows(&self) -> Option<u64> {
        let mut rows = read_of(self.known, self.reads)?;
        for name in &self.reads.found_from {
            let known = self.facts.datasets.get(name).copied().unwrap_or_default();
            rows = rows.min(read_of(known, self.question.reads.get(name)?)?);
        }
        Some(rows)
    }

    fn budget(&mut self) {
        let policy = self.policy;
        let (Class::Private(spend), Some(budget)) = (&self.question.class, &policy.privacy) else {
            return;
        };
        let less = self.units(&spend.unit).into_iter();
        if let Some(unit) = { less }.find(|unit| !unit.covers(&budget.unit)) {
            self.refuse(
                Rule::PrivacyUnit,
                format!(
                    "the noise protects one {unit}, and must protect one {}",
                    budget.unit
                ),
            );
        }
        let within = spend.delta <= budget.delta;
        if !within {
            self.refuse(
                Rule::PrivacyDelta,
                format!(
                    "its delta is {}, and {} is allowed",
                    spend.delta, budget.delta
                ),
            );
        }
        match self.known.epsilon {
            Some(epsilon) if epsilon <= budget.epsilon => {}
            Some(epsilon) => self.refuse(
                Rule::PrivacyBudget,
                format!(
                    "with this task epsilon would be {epsilon:.3}, and {} is the budget",
                    budget.epsilon
                ),
            ),
            None => self.ask(
                Rule::PrivacyBudget,
                "it is not known what is left of the budget",
            ),
        }
    }

    /// Whom noise for `unit` protects here: persons are told apart by the key where their rows are looked up.
    fn units(&self, unit: &Unit) -> Vec<Unit> {
        let Unit::Person(_) = unit else {
            return vec![unit.clone()];
        };
        let own = self.reads.direct.then(|| unit.clone());
        let found = self.reads.found_by.iter().cloned().map(Unit::Person);
        own.into_iter().chain(found).collect()
    }

    fn approval(&mut self) {
        let policy = self.policy;
        let class = self.question.class.name();
        match (policy.approval, &self.question.class) {
            // Said already.
            (ApprovalMode::Never, _) => {}
            (ApprovalMode::Private, Class::Private(_)) if policy.privacy.is_some() => {
                self.say(
                    Rule::Private,
                    Decision::Allowed,
                    "the task is under noise, within the budget",
                );
            }
            (ApprovalMode::Controlled, Class::Controlled)
                if self.known.refused >= policy.release_rules().refusals =>
            {
                let refused = self.known.refused;
                self.ask(
                    Rule::Refusals,
                    format!(
                        "{refused} releases were refused within 24 hours, and each says a little"
                    ),
                );
            }
            (ApprovalMode::Controlled, Class::Controlled) => self.say(
                Rule::Controlled,
                Decision::Allowed,
                "what leaves are sums that this node makes, under its rules",
            ),
            (mode, _) => self.ask(
                Rule::Asks,
                format!(
                    "the task is {class}, and the rule is approval: {}",
                    mode.name()
                ),
            ),
        }
    }
}

/// Whether a round of `members` keeps a member's numbers from `bad` colluding ones. In a ring this is a matter of probability, which the
/// member's machine computes; here the strategy must at least reckon with so many.
fn withstands(strategy: &Strategy, members: u32, bad: u32) -> bool {
    let wide = |n: u32| usize::try_from(n).unwrap_or(usize::MAX);
    let (members, bad) = (wide(members), wide(bad));
    let here = Neighbourhood::of(strategy, members);
    match here.degree {
        None => {
            let all = here.threshold >= members && bad < members;
            all || here.threshold.saturating_mul(2) > members.saturating_add(bad)
        }
        Some(_) => strategy.colluders_among(members) >= bad,
    }
}

/// `0`, `1`, ... as files without a first line of names have them.
fn is_place(name: &str) -> bool {
    name.parse::<u32>().is_ok_and(|n| n.to_string() == name)
}

#[expect(
    clippy::cast_precision_loss,
    reason = "counts of rows and numbers are far below 2^53"
)]
fn float(n: u64) -> f64 {
    n as f64
}

#[cfg(test)]
pub(super) mod tests;
