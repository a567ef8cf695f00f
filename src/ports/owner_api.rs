//! What the node offers to its owner, who answers for the machine and its data: whether it can work, and which nodes there are.
//! Implemented by the app.

use async_trait::async_trait;

use super::UserError;
use super::connector::NodePage;
use delta_domain::ids::TaskId;

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

/// What the node offers to its owner.
#[async_trait]
pub trait OwnerApi: Send + Sync + 'static {
    /// The nodes of the network; `page` from 1.
    async fn nodes(&self, page: u32, page_size: u32) -> Result<NodePage, UserError>;
    /// Takes no further part in a task of the network, whoever coordinates it: open rounds are declined, and those that follow. That is
    /// on disk before it is answered. `Invalid` when this node follows no such task.
    async fn leave_task(&self, task: &TaskId) -> Result<(), UserError>;
    /// Whether the node can work.
    async fn ready(&self) -> Vec<ReadyCheck>;
}
