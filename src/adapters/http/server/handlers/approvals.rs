//! Handlers for the owner's word: what asks, what was decided, the journal. None of them is in the original.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use warp::http::StatusCode;

use crate::server::call::{Call, Shared};
use crate::server::extract::json::Fields;
use crate::server::extract::validation::{FieldErrors, IntRule, clamp};
use crate::server::rejection::Rejection;
use crate::server::reply::{Response, ok, success, with_type};
use crate::server::signed::known;
use delta_domain::identity::end_of_day;
use delta_domain::ids::{DatasetName, Digest, TaskId};
use delta_domain::policy::{Approval, Finding, OwnerDecision, Rule};
use delta_domain::time::Timestamp;
use delta_ports::owner_api::{AskedTask, Decided, DecisionScope};

const SKIP: IntRule = IntRule::or(0).at_least(0);
const LINES: IntRule = IntRule::or(1000).more_than(0).at_most(1000);

#[derive(Serialize)]
struct ListDto<'a> {
    tasks: Vec<AskedDto<'a>>,
    decisions: Vec<DecidedDto<'a>>,
}

/// A task as its owner is asked about it.
#[derive(Serialize)]
struct AskedDto<'a> {
    task: &'a TaskId,
    name: &'a str,
    author: String,
    kind: &'static str,
    class: &'static str,
    /// Columns by dataset.
    reads: BTreeMap<&'a DatasetName, &'a BTreeSet<String>>,
    rounds: u32,
    outputs: u64,
    question: Digest,
    decision: &'static str,
    rules: Vec<Rule>,
    findings: &'a [Finding],
    unproven: &'a [String],
    disclosure: &'a [String],
    waits: bool,
    asked_at: Timestamp,
    until: Timestamp,
}

impl<'a> From<&'a AskedTask> for AskedDto<'a> {
    fn from(asked: &'a AskedTask) -> Self {
        let question = &asked.question;
        Self {
            task: &asked.task,
            name: &asked.name,
            author: question.author.to_string(),
            kind: question.kind.name(),
            class: question.class.name(),
            reads: question
                .reads
                .iter()
                .map(|(name, reads)| (name, &reads.columns))
                .collect(),
            rounds: question.rounds,
            outputs: question.outputs,
            question: question.digest,
            decision: asked.verdict.decision.name(),
            rules: asked.verdict.by(),
            findings: &asked.verdict.findings,
            unproven: &asked.unproven,
            disclosure: &asked.disclosure,
            waits: asked.waits,
            asked_at: asked.asked_at,
            until: asked.until,
        }
    }
}

#[derive(Serialize)]
struct DecidedDto<'a> {
    id: Digest,
    #[serde(flatten)]
    approval: &'a Approval,
    revoked: Option<Timestamp>,
}

impl<'a> From<&'a Decided> for DecidedDto<'a> {
    fn from(decided: &'a Decided) -> Self {
        Self {
            id: decided.id,
            approval: &decided.approval,
            revoked: decided.revoked,
        }
    }
}

/// `GET /v1/approvals`
pub(crate) async fn list(shared: &Shared, _: &mut Call) -> Result<Response, Rejection> {
    let owner = shared.owner()?;
    let (tasks, decisions) = (owner.asked_tasks().await, owner.decisions().await);
    Ok(ok(&ListDto {
        tasks: tasks.iter().map(AskedDto::from).collect(),
        decisions: decisions.iter().map(DecidedDto::from).collect(),
    }))
}

/// `POST /v1/approvals`: `{task_id, decision: allow | deny, scope: once | always | until, until?: YYYY-MM-DD}`
pub(crate) async fn decide(shared: &Shared, call: &mut Call) -> Result<Response, Rejection> {
    let fields = call.small_json(&shared.memory).await?;
    let mut errors = FieldErrors::body();
    let task = fields.hex(&mut errors, "task_id");
    let decision = one_of(&fields, &mut errors, "decision", &["allow", "deny"]);
    let scope = one_of(&fields, &mut errors, "scope", &["once", "always", "until"]);
    let until = match scope == "until" {
        true => fields.text(&mut errors, "until"),
        false => String::new(),
    };
    errors.settle()?;
    let task = known(&task, |id| format!("this node follows no task {id}"))?;
    let scope = match scope.as_str() {
        "once" => DecisionScope::Once,
        "always" => DecisionScope::Always,
        _ => DecisionScope::Until(end_of_day(&until).ok_or_else(|| {
            Rejection::bad("until must be a day, for example 2027-12-31: the last one")
        })?),
    };
    let decision = match decision.as_str() {
        "allow" => OwnerDecision::Allow,
        _ => OwnerDecision::Deny,
    };
    let decided = shared
        .owner()?
        .decide(&task, decision, scope, call.admitted_as())
        .await?;
    Ok(ok(&DecidedDto::from(&decided)))
}

/// `POST /v1/approvals/revoke`: `{id}`
pub(crate) async fn revoke(shared: &Shared, call: &mut Call) -> Result<Response, Rejection> {
    let fields = call.small_json(&shared.memory).await?;
    let mut errors = FieldErrors::body();
    let id = fields.hex(&mut errors, "id");
    errors.settle()?;
    let id = id
        .parse()
        .map_err(|_| Rejection::bad(format!("there is no decision {id}")))?;
    let with = call.admitted_as();
    shared.owner()?.revoke(&id, with).await?;
    Ok(success())
}

/// `GET /v1/audit`: lines of the journal, each with its end.
pub(crate) async fn audit(shared: &Shared, call: &mut Call) -> Result<Response, Rejection> {
    let mut errors = FieldErrors::query();
    let skip = errors.int("skip", call.query.get("skip"), SKIP);
    let most = errors.int("limit", call.query.get("limit"), LINES);
    errors.settle()?;
    let skip = u64::try_from(skip).unwrap_or(u64::MAX);
    let most = usize::try_from(clamp(most)).unwrap_or(usize::MAX);
    let lines = shared.owner()?.journal(skip, most).await?;
    let mut text = lines.join("\n");
    if !text.is_empty() {
        text.push('\n');
    }
    Ok(with_type(StatusCode::OK, "application/jsonl", text))
}

/// A field that is one of a few words.
fn one_of(fields: &Fields, errors: &mut FieldErrors, name: &'static str, words: &[&str]) -> String {
    let word = fields.text(errors, name);
    if !word.is_empty() && !words.contains(&word.as_str()) {
        let text = format!("must be one of {}", words.join(", "));
        errors.report([name.into()], text, "value_error.const");
    }
    word
}
