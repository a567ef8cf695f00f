//! What an attacker's own HTTP server offers to users: nothing.

use async_trait::async_trait;

use delta_ports::blob::ByteStream;
use delta_ports::connector::NodePage;
use delta_ports::node_api::{NodeApi, ReadyCheck, TaskProgress, UserError};
use delta_ports::storage::{LocalTaskId, LogRow, TaskPage, TaskRow};

/// A node without users.
pub(super) struct NoUsers;

fn nothing<T>() -> Result<T, UserError> {
    Err(UserError::Unavailable("this is an attacker".into()))
}

#[async_trait]
impl NodeApi for NoUsers {
    async fn submit_task(&self, _: ByteStream) -> Result<LocalTaskId, UserError> {
        nothing()
    }

    async fn task(&self, _: LocalTaskId) -> Result<TaskRow, UserError> {
        nothing()
    }

    async fn task_progress(
        &self,
        _: LocalTaskId,
    ) -> Result<(TaskRow, Option<TaskProgress>), UserError> {
        nothing()
    }

    async fn task_bundle(&self, _: LocalTaskId) -> Result<(u64, ByteStream), UserError> {
        nothing()
    }

    async fn tasks(&self, _: &[LocalTaskId]) -> Result<Vec<TaskRow>, UserError> {
        nothing()
    }

    async fn task_page(&self, _: u32, _: u32, _: bool) -> Result<TaskPage, UserError> {
        nothing()
    }

    async fn task_logs(&self, _: LocalTaskId, _: i64, _: u32) -> Result<Vec<LogRow>, UserError> {
        nothing()
    }

    async fn task_result(&self, _: LocalTaskId) -> Result<(u64, ByteStream), UserError> {
        nothing()
    }

    async fn nodes(&self, _: u32, _: u32) -> Result<NodePage, UserError> {
        nothing()
    }

    async fn ready(&self) -> Vec<ReadyCheck> {
        Vec::new()
    }
}
