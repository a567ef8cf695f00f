//! JSON answers, field for field and in the order of the original.

use serde::Serialize;

use crate::ports::connector::{NodePage, NodeRecord};
use crate::ports::node_api::ReadyCheck;
use crate::ports::storage::{LogRow, TaskPage, TaskRow};

/// A task, as `metadata`, `list` and `tasks` show it.
#[derive(Serialize)]
pub(super) struct TaskDto<'a> {
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

/// A page of tasks.
#[derive(Serialize)]
pub(super) struct TaskPageDto<'a> {
    tasks: Vec<TaskDto<'a>>,
    total_pages: u64,
}

impl<'a> TaskPageDto<'a> {
    /// The page, with the number of pages of `page_size`.
    pub(super) fn new(page: &'a TaskPage, page_size: u32) -> Self {
        Self {
            tasks: page.tasks.iter().map(TaskDto::from).collect(),
            total_pages: pages(page.total, page_size),
        }
    }
}

/// A log record.
#[derive(Serialize)]
pub(super) struct LogDto<'a> {
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
pub(super) struct NodePageDto<'a> {
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
    pub(super) fn new(page: &'a NodePage, page_size: u32) -> Self {
        Self {
            nodes: page.nodes.iter().map(NodeDto::from).collect(),
            total_pages: pages(page.total, page_size),
        }
    }
}

/// Answer to `POST /v1/task`.
#[derive(Serialize)]
pub(super) struct SubmittedDto {
    /// The id to ask with.
    pub(super) task_id: i64,
}

/// Answer to `GET /v1/task/status`.
#[derive(Serialize)]
pub(super) struct StatusDto {
    /// The status as a number.
    pub(super) status: u8,
}

/// Answer to `GET /readyz`.
#[derive(Serialize)]
pub(super) struct ReadyDto<'a> {
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
    /// The checks and what they amount to.
    pub(super) fn new(checks: &'a [ReadyCheck]) -> Self {
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
                    detail: &c.detail,
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
