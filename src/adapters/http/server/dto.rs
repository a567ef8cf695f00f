//! JSON answers, field for field and in the order of the original. One that a single handler gives in a few fields stands there.

use std::collections::BTreeMap;

use serde::Serialize;

use delta_domain::ids::Address;
use delta_ports::author_api::{PhaseSpan, RoundReport, TaskProgress};
use delta_ports::connector::{NodePage, NodeRecord};
use delta_ports::owner_api::ReadyCheck;
use delta_ports::storage::{LogRow, TaskPage, TaskRow};

/// A task, as `metadata`, `list` and `tasks` show it.
#[derive(Serialize)]
pub(crate) struct TaskDto<'a> {
    id: i64,
    created_at: u64,
    name: &'a str,
    #[serde(rename = "type")]
    kind: &'static str,
    creator: &'a str,
    status: &'static str,
    enable_verify: bool,
}

impl<'a> From<&'a TaskRow> for TaskDto<'a> {
    fn from(row: &'a TaskRow) -> Self {
        Self {
            id: row.id,
            created_at: row.created_at.0,
            name: &row.name,
            kind: row.kind.as_str(),
            creator: row.creator.as_ref().map_or("", |address| address.as_str()),
            status: row.status.name(),
            enable_verify: row.enable_verify,
        }
    }
}

/// Rounds that one answer of `progress` tells of.
const REPORTS: usize = 1000;
/// Members whom they name together, at most, unless the first one alone names more.
const NAMED: usize = 50_000;

/// How a task is getting on.
#[derive(Serialize)]
pub(crate) struct ProgressDto<'a> {
    status: &'static str,
    /// Rounds that are done.
    round: u32,
    /// Rounds when nothing stops the task early.
    rounds: u32,
    phase: &'a str,
    /// What the node waits for, in words; null when it waits for nobody.
    waits_for: Option<String>,
    /// Nodes that ask their owner first.
    asks_owner: &'a [Address],
    /// Until when the phase waits, in unix ms.
    until: Option<u64>,
    /// The round under way, as the connector counts.
    number: u32,
    /// When its phase began, in unix ms.
    since: Option<u64>,
    /// Its phases that are over.
    phases: Vec<PhaseDto<'a>>,
    /// Why the task failed.
    error: Option<&'a str>,
    /// Attempts from number `start` on, failed ones included.
    history: Vec<ReportDto<'a>>,
}

#[derive(Serialize)]
struct ReportDto<'a> {
    round: u32,
    seconds: f64,
    members: usize,
    dropped: usize,
    /// Members among them that could not compute, and contributed zeros.
    failed: u32,
    error: Option<&'a str>,
    metrics: &'a BTreeMap<String, f64>,
    /// The members in the sum.
    who: &'a [Address],
    /// Members that began the round and are not in the sum.
    lost: &'a [Address],
    /// Where the time went.
    phases: Vec<PhaseDto<'a>>,
}

/// A phase of a round.
#[derive(Serialize)]
struct PhaseDto<'a> {
    phase: &'a str,
    seconds: f64,
    /// Members that were waited for last, at most three.
    last: &'a [Address],
}

impl<'a> From<&'a PhaseSpan> for PhaseDto<'a> {
    fn from(span: &'a PhaseSpan) -> Self {
        Self {
            phase: &span.phase,
            seconds: span.seconds,
            last: &span.last,
        }
    }
}

/// The first reports of a list, as many as one answer tells of.
fn page(reports: &[RoundReport]) -> impl Iterator<Item = &RoundReport> {
    let named = reports.iter().scan(0_usize, |named, report| {
        let before = *named;
        *named += report.clients.len() + report.dropped.len();
        Some((before == 0 || *named <= NAMED).then_some(report))
    });
    named.map_while(|report| report).take(REPORTS)
}

impl<'a> ProgressDto<'a> {
    /// How many reports it has.
    pub(crate) fn reports(&self) -> u32 {
        u32::try_from(self.history.len()).unwrap_or(u32::MAX)
    }

    /// The answer, with reports from the `start`-th on.
    pub(crate) fn new(row: &'a TaskRow, progress: Option<&'a TaskProgress>, start: u32) -> Self {
        let reports = progress.map_or(&[][..], |p| &p.rounds);
        let start = usize::try_from(start).unwrap_or(usize::MAX);
        Self {
            status: row.status.name(),
            round: progress.map_or(0, |p| p.step),
            rounds: progress.map_or(0, |p| p.total),
            phase: progress.map_or("", |p| &p.phase),
            waits_for: progress.and_then(waits_for),
            asks_owner: progress.map_or(&[][..], |p| &p.asking),
            until: progress.and_then(until),
            number: progress.map_or(0, |p| p.round),
            since: progress.map(|p| p.phase_since.0),
            phases: progress
                .map_or_else(Vec::new, |p| p.phases.iter().map(PhaseDto::from).collect()),
            error: row.error.as_deref(),
            history: page(reports.get(start..).unwrap_or_default())
                .map(ReportDto::from)
                .collect(),
        }
    }
}

impl<'a> From<&'a RoundReport> for ReportDto<'a> {
    fn from(report: &'a RoundReport) -> Self {
        Self {
            round: report.step.saturating_add(1),
            seconds: report.seconds,
            members: report.clients.len(),
            dropped: report.dropped.len(),
            failed: report.failed,
            error: report.reason.as_deref(),
            metrics: &report.metrics,
            who: &report.clients,
            lost: &report.dropped,
            phases: report.phases.iter().map(PhaseDto::from).collect(),
        }
    }
}

/// When the phase gives up, where it waits for anybody.
fn until(progress: &TaskProgress) -> Option<u64> {
    let waits = !progress.waiting_for.is_empty() || !progress.asking.is_empty();
    // Deadlines stand still while the connector is away.
    (waits && progress.connector_away.is_none()).then_some(progress.deadline.0)
}

/// `the connector since 03:40 UTC`; `MaskedInput of 0x12..., 0x34... and 5 more`; where nobody else is waited for, `the owners of 0x12...`.
fn waits_for(progress: &TaskProgress) -> Option<String> {
    if let Some(since) = progress.connector_away {
        return Some(format!("the connector since {} UTC", since.time_of_day()));
    }
    let of = |what: &str, nodes: &[Address]| {
        (!nodes.is_empty()).then(|| format!("{what} of {}", listed(nodes)))
    };
    of(&progress.phase, &progress.waiting_for).or_else(|| of("the owners", &progress.asking))
}

/// The first three of a list.
fn listed(waiting: &[Address]) -> String {
    const NAMED: usize = 3;
    let named: Vec<&str> = waiting.iter().take(NAMED).map(Address::as_str).collect();
    let more = waiting.len().saturating_sub(NAMED);
    let more = if more > 0 {
        format!(" and {more} more")
    } else {
        String::new()
    };
    format!("{}{more}", named.join(", "))
}

/// A page of tasks.
#[derive(Serialize)]
pub(crate) struct TaskPageDto<'a> {
    tasks: Vec<TaskDto<'a>>,
    total_pages: u64,
}

impl<'a> TaskPageDto<'a> {
    /// The page, with the number of pages of `page_size`.
    pub(crate) fn new(page: &'a TaskPage, page_size: u32) -> Self {
        Self {
            tasks: page.tasks.iter().map(TaskDto::from).collect(),
            total_pages: pages(page.total, page_size),
        }
    }
}

/// A log record.
#[derive(Serialize)]
pub(crate) struct LogDto<'a> {
    id: i64,
    created_at: u64,
    message: &'a str,
    tx_hash: Option<&'a str>,
}

impl<'a> From<&'a LogRow> for LogDto<'a> {
    fn from(row: &'a LogRow) -> Self {
        Self {
            id: row.id,
            created_at: row.log.created_at.0,
            message: &row.log.message,
            tx_hash: row.log.tx_hash.as_ref().map(|hash| hash.as_str()),
        }
    }
}

/// A page of nodes.
#[derive(Serialize)]
pub(crate) struct NodePageDto<'a> {
    nodes: Vec<NodeDto<'a>>,
    total_pages: u64,
}

#[derive(Serialize)]
struct NodeDto<'a> {
    id: &'a str,
    url: &'a str,
    name: &'a str,
}

impl<'a> From<&'a NodeRecord> for NodeDto<'a> {
    fn from(node: &'a NodeRecord) -> Self {
        Self {
            id: node.address.as_str(),
            url: &node.url,
            name: &node.name,
        }
    }
}

impl<'a> NodePageDto<'a> {
    /// The page, with the number of pages of `page_size`.
    pub(crate) fn new(page: &'a NodePage, page_size: u32) -> Self {
        Self {
            nodes: page.nodes.iter().map(NodeDto::from).collect(),
            total_pages: pages(page.total, page_size),
        }
    }
}

/// Answer to `GET /readyz`.
#[derive(Serialize)]
pub(crate) struct ReadyDto<'a> {
    status: &'static str,
    checks: Vec<CheckDto<'a>>,
}

#[derive(Serialize)]
struct CheckDto<'a> {
    name: &'static str,
    ok: bool,
    detail: &'a str,
}

impl<'a> ReadyDto<'a> {
    /// The checks and what they amount to; without `details` only whether each holds.
    pub(crate) fn new(checks: &'a [ReadyCheck], details: bool) -> Self {
        let status = if checks.iter().all(|c| c.ok) {
            "ready"
        } else {
            "not ready"
        };
        Self {
            status,
            checks: checks
                .iter()
                .map(|c| CheckDto {
                    name: c.name,
                    ok: c.ok,
                    detail: if details { &c.detail } else { "" },
                })
                .collect(),
        }
    }
}

fn pages(total: u64, page_size: u32) -> u64 {
    total.div_ceil(u64::from(page_size.max(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_rounded_up() {
        assert_eq!(
            [pages(0, 20), pages(20, 20), pages(21, 20), pages(5, 0)],
            [0, 1, 2, 5]
        );
    }
}
