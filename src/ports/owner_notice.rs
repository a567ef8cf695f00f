//! How the owner hears that a task waits for his word.

use async_trait::async_trait;
use serde::Serialize;

use super::PortError;
use delta_domain::ids::{DatasetName, Digest, TaskId};
use delta_domain::time::Timestamp;

/// That a task waits: who asks and for what, nothing of the data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct QuestionNotice {
    /// The task.
    pub task: TaskId,
    /// Its name, as the author has it.
    pub name: String,
    /// Who asks, in words.
    pub author: String,
    /// `statistics`, `regression` or `learning`.
    pub kind: String,
    /// What it would read.
    pub datasets: Vec<DatasetName>,
    /// The digest of what is asked.
    pub question: Digest,
    /// Until when it waits, in unix ms.
    pub until: Timestamp,
}

/// The way to the owner.
#[async_trait]
pub trait OwnerNotice: Send + Sync + 'static {
    /// Tells the owner. Once, and for a bounded time: whoever does not hear it finds the task on the list.
    async fn asks(&self, notice: &QuestionNotice) -> Result<(), PortError>;
}

/// No way to the owner but the list of what waits.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoNotice;

#[async_trait]
impl OwnerNotice for NoNotice {
    async fn asks(&self, _: &QuestionNotice) -> Result<(), PortError> {
        Ok(())
    }
}
