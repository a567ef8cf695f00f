//! JSON answers for the dashboard.

use serde::Serialize;

use super::dto::TaskDto;
use delta_domain::bundle::Bundle;
use delta_domain::ids::TaskId;
use delta_domain::policy::Policy;
use delta_ports::board_api::{
    CheckFinding, DatasetView, FindingLevel, KnownNode, NetworkView, NodeStatus, Prospect,
};
use delta_ports::owner_api::ReadyCheck;
use delta_ports::storage::{TaskMatches, TaskRow};

/// A manifest larger than this, as JSON, is not shown: a page has no use for it.
const LARGEST_MANIFEST: usize = 1 << 20;

/// The manifest of a bundle, unless it is too large for a page.
pub(crate) fn manifest(bundle: &Bundle) -> Option<serde_json::Value> {
    let text = serde_json::to_vec(bundle.manifest()).ok()?;
    if text.len() > LARGEST_MANIFEST {
        return None;
    }
    serde_json::from_slice(&text).ok()
}

/// Tasks that were found.
#[derive(Serialize)]
pub(crate) struct MatchesDto<'a> {
    tasks: Vec<FoundDto<'a>>,
    counts: Vec<CountDto>,
}

#[derive(Serialize)]
struct FoundDto<'a> {
    #[serde(flatten)]
    task: TaskDto<'a>,
    task_id: Option<&'a TaskId>,
    author: Option<&'a str>,
    error: Option<&'a str>,
}

#[derive(Serialize)]
struct CountDto {
    status: &'static str,
    count: u64,
}

impl<'a> From<&'a TaskMatches> for MatchesDto<'a> {
    fn from(found: &'a TaskMatches) -> Self {
        let task = |row: &'a TaskRow| FoundDto {
            task: TaskDto::from(row),
            task_id: row.task.as_ref(),
            author: row.author.as_deref(),
            error: row.error.as_deref(),
        };
        let count = |(status, count): &(delta_domain::task::TaskStatus, u64)| CountDto {
            status: status.name(),
            count: *count,
        };
        Self {
            tasks: found.tasks.iter().map(task).collect(),
            counts: found.counts.iter().map(count).collect(),
        }
    }
}

/// What a task would leave of a budget.
#[derive(Serialize)]
pub(crate) struct ProspectDto {
    dataset: String,
    budget: Option<f64>,
    delta: f64,
    before: Option<f64>,
    after_round: Option<f64>,
    after_all: Option<f64>,
}

impl From<&Prospect> for ProspectDto {
    fn from(prospect: &Prospect) -> Self {
        Self {
            dataset: prospect.dataset.to_string(),
            budget: prospect.budget,
            delta: prospect.delta,
            before: prospect.before,
            after_round: prospect.after_round,
            after_all: prospect.after_all,
        }
    }
}

/// A dataset.
#[derive(Serialize)]
pub(crate) struct DatasetDto<'a> {
    columns: Option<Vec<ColumnDto<'a>>>,
    unread: Option<&'a str>,
    policy: &'a Policy,
    ruled: bool,
    in_use: bool,
}

#[derive(Serialize)]
struct ColumnDto<'a> {
    name: &'a str,
    #[serde(rename = "type")]
    kind: Option<serde_json::Value>,
    role: Option<&'static str>,
}

impl<'a> From<&'a DatasetView> for DatasetDto<'a> {
    fn from(view: &'a DatasetView) -> Self {
        let roles = view.policy.columns.as_ref();
        let column = |(name, kind): &'a (String, Option<_>)| ColumnDto {
            name,
            kind: kind
                .as_ref()
                .and_then(|kind| serde_json::to_value(kind).ok()),
            role: roles.and_then(|roles| Some(roles.get(name.trim())?.name())),
        };
        let outline = view.outline.as_ref();
        Self {
            columns: outline.ok().map(|o| o.columns.iter().map(column).collect()),
            unread: outline.err().map(String::as_str),
            policy: &view.policy,
            ruled: view.ruled,
            in_use: view.in_use,
        }
    }
}

/// The network.
#[derive(Serialize)]
pub(crate) struct NetworkDto<'a> {
    nodes: Vec<NodeDto<'a>>,
    total: u64,
    anchored: bool,
}

#[derive(Serialize)]
struct NodeDto<'a> {
    address: &'a str,
    name: &'a str,
    url: &'a str,
    own: bool,
    trust: &'static str,
    vouched: bool,
    organisation: Option<&'a str>,
    fingerprint: Option<String>,
    card_until: Option<u64>,
    tls: bool,
    seen: Option<bool>,
}

impl<'a> From<&'a NetworkView> for NetworkDto<'a> {
    fn from(view: &'a NetworkView) -> Self {
        let node = |node: &'a KnownNode| NodeDto {
            address: node.address.as_str(),
            name: &node.name,
            url: &node.url,
            own: node.own,
            trust: node.trust.name(),
            vouched: node.trust.is_vouched(),
            organisation: node.organisation.as_deref(),
            fingerprint: node.fingerprint.as_ref().map(ToString::to_string),
            card_until: node.card_until.map(|t| t.0),
            tls: node.tls,
            seen: node.seen,
        };
        Self {
            nodes: view.nodes.iter().map(node).collect(),
            total: view.total,
            anchored: view.anchored,
        }
    }
}

/// The node at work.
#[derive(Serialize)]
pub(crate) struct StatusDto<'a> {
    version: &'static str,
    address: Option<&'a str>,
    name: &'a str,
    url: &'a str,
    organisation: &'a str,
    fingerprint: String,
    since: u64,
    runtime: String,
    room: Option<u64>,
    tasks: usize,
    most_tasks: usize,
    followed: usize,
    waiting: usize,
    connector_away: Option<u64>,
    checks: Vec<CheckDto<'a>>,
}

#[derive(Serialize)]
struct CheckDto<'a> {
    name: &'static str,
    ok: bool,
    detail: &'a str,
}

impl<'a> StatusDto<'a> {
    /// The node, and whether it can work.
    pub(crate) fn new(status: &'a NodeStatus, checks: &'a [ReadyCheck]) -> Self {
        let check = |c: &'a ReadyCheck| CheckDto {
            name: c.name,
            ok: c.ok,
            detail: &c.detail,
        };
        Self {
            version: env!("CARGO_PKG_VERSION"),
            address: status.address.as_ref().map(|a| a.as_str()),
            name: &status.name,
            url: &status.url,
            organisation: &status.organisation,
            fingerprint: status.fingerprint.to_string(),
            since: status.since.0,
            runtime: format!("{} {}", status.runtime.name, status.runtime.version),
            room: status.room,
            tasks: status.own_tasks.0,
            most_tasks: status.own_tasks.1,
            followed: status.followed,
            waiting: status.waiting,
            connector_away: status.connector_away.map(|t| t.0),
            checks: checks.iter().map(check).collect(),
        }
    }
}

/// A finding of `check`.
#[derive(Serialize)]
pub(crate) struct FindingDto<'a> {
    level: &'static str,
    name: &'a str,
    detail: &'a str,
}

impl<'a> From<&'a CheckFinding> for FindingDto<'a> {
    fn from(finding: &'a CheckFinding) -> Self {
        Self {
            level: match finding.level {
                FindingLevel::Ok => "ok",
                FindingLevel::Warn => "warn",
                FindingLevel::Fail => "fail",
            },
            name: &finding.name,
            detail: &finding.detail,
        }
    }
}
