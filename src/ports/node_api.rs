//! What the node offers to its users: task authors, Deltaboard, operators (HTTP-API.md). Implemented by the app.

use async_trait::async_trait;

use super::PortError;
use super::blob::ByteStream;
use super::connector::NodePage;
use super::storage::{LocalTaskId, LogRow, TaskPage, TaskRow};

/// Why a user's request is not done. The text is for the user.
#[derive(Debug, thiserror::Error)]
pub enum UserError {
    /// The request is wrong; the sentence says what and how to mend it (HTTP 400).
    #[error("{0}")]
    Invalid(String),
    /// The body is larger than this node takes (HTTP 413).
    #[error("{0}")]
    TooLarge(String),
    /// The node, or the connector behind it, cannot do it now (HTTP 503).
    #[error("{0}")]
    Unavailable(String),
    /// A port failed in a way that waiting does not mend (HTTP 500, fixed text; the log has the cause).
    #[error(transparent)]
    Port(#[from] PortError),
}

/// One thing that must hold before the node can work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadyCheck {
    /// What: `database`, `connector`, `executor`.
    pub name: &'static str,
    /// Whether it holds.
    pub ok: bool,
    /// One sentence.
    pub detail: String,
}

/// What the node offers to its users.
#[async_trait]
pub trait NodeApi: Send + Sync + 'static {
    /// Takes a bundle, checks it, records it; the rounds run in the background.
    async fn submit_task(&self, bundle: ByteStream) -> Result<LocalTaskId, UserError>;
    /// One task; `Invalid("task N does not exist")` when there is none.
    async fn task(&self, id: LocalTaskId) -> Result<TaskRow, UserError>;
    /// Tasks in the order asked; unknown ids are left out, repeated ones repeated.
    async fn tasks(&self, ids: &[LocalTaskId]) -> Result<Vec<TaskRow>, UserError>;
    /// A page of tasks; `page` from 1.
    async fn task_page(
        &self,
        page: u32,
        page_size: u32,
        ascending: bool,
    ) -> Result<TaskPage, UserError>;
    /// Log records of a task from record id `start` on.
    async fn task_logs(
        &self,
        id: LocalTaskId,
        start: i64,
        limit: u32,
    ) -> Result<Vec<LogRow>, UserError>;
    /// The result file of a finished task, with its length; `Invalid("task N is not finished")` before.
    async fn task_result(&self, id: LocalTaskId) -> Result<(u64, ByteStream), UserError>;
    /// The nodes of the network; `page` from 1.
    async fn nodes(&self, page: u32, page_size: u32) -> Result<NodePage, UserError>;
    /// Whether the node can work.
    async fn ready(&self) -> Vec<ReadyCheck>;
}
