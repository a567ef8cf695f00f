//! What the node offers to authors of tasks: to submit them, to follow them, to fetch their results. Implemented by the app.

use std::collections::BTreeMap;
use std::fmt;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::UserError;
use super::blob::ByteStream;
use super::catalogue::NetworkListing;
use super::storage::{LocalTaskId, LogRow, TaskPage, TaskRow};
use delta_domain::ids::Address;
use delta_domain::round::message::RoundEnd;
use delta_domain::time::Timestamp;

/// A phase of a round, as its coordinator spent it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PhaseSpan {
    /// Its name; `Reduce` is what the coordinator computes of the sum.
    pub phase: String,
    /// From its beginning to the next one's.
    pub seconds: f64,
    /// Members that were waited for last, at most three: whoever came when nobody else was missing.
    pub last: Vec<Address>,
}

/// A finished round in numbers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RoundReport {
    /// Its number on the connector.
    pub round: u32,
    /// The step of the task that it attempted, from 0.
    pub step: u32,
    /// How it ended.
    pub end: RoundEnd,
    /// Why there is no sum, when there is none: which phase, which members, the words of their declines. For the task's author.
    #[serde(default)]
    pub reason: Option<String>,
    /// Members in the sum that could not compute their part and have contributed zeros: how many, nobody knows which.
    #[serde(default)]
    pub failed: u32,
    /// From start to end.
    pub seconds: f64,
    /// Members whose contributions are in the sum.
    pub clients: Vec<Address>,
    /// Members of u1 that are not.
    pub dropped: Vec<Address>,
    /// What the reduce shows.
    pub metrics: BTreeMap<String, f64>,
    /// Where the time went, in order. Empty for rounds of an earlier version; of a round that was taken up again after a restart, what
    /// came after it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub phases: Vec<PhaseSpan>,
}

/// How a task is getting on, for its user.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaskProgress {
    /// The step that is being attempted, from 0: as many steps are done.
    pub step: u32,
    /// Steps when nothing stops the task early.
    pub total: u32,
    /// The round on the connector.
    pub round: u32,
    /// Phase of that round.
    pub phase: String,
    /// Members that the phase waits for.
    pub waiting_for: Vec<Address>,
    /// Nodes that ask their owner whether they may take part. Waited for where the round is too small without them.
    pub asking: Vec<Address>,
    /// When the phase gives up on them.
    pub deadline: Timestamp,
    /// Phases of the running round that are over.
    pub phases: Vec<PhaseSpan>,
    /// When the phase began.
    pub phase_since: Timestamp,
    /// Since when the connector is away, which everything waits for; `None` while it is there.
    pub connector_away: Option<Timestamp>,
    /// Rounds that are over, failed ones included.
    pub rounds: Vec<RoundReport>,
}

impl TaskProgress {
    /// Of a task that is not on record yet, because the connector is away since then.
    #[must_use]
    pub fn not_begun(connector_away: Timestamp) -> Self {
        Self {
            step: 0,
            total: 0,
            round: 0,
            phase: "Starting".to_owned(),
            waiting_for: Vec::new(),
            asking: Vec::new(),
            deadline: connector_away,
            phases: Vec::new(),
            phase_since: connector_away,
            connector_away: Some(connector_away),
            rounds: Vec::new(),
        }
    }
}

/// Where a task stands between two steps.
pub struct Checkpoint {
    /// Steps that are done.
    pub steps: u32,
    /// The server's variables by their names, as an `.npz` file.
    pub variables: ByteStream,
}

/// What a task may be at this node now, so that an author knows it before a large one is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SubmissionLimits {
    /// Bytes of a bundle: what the node's owner has set, or less where its disk has less room.
    pub bundle_bytes: u64,
    /// Whether it is the disk that sets it.
    pub by_disk: bool,
}

impl fmt::Display for SubmissionLimits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a task may have at most {} bytes", self.bundle_bytes)?;
        match self.by_disk {
            true => f.write_str(": the node's disk has no room for a larger one"),
            false => Ok(()),
        }
    }
}

/// What the node offers to authors of tasks.
#[async_trait]
pub trait AuthorApi: Send + Sync + 'static {
    /// Takes a bundle, checks it, records it; the rounds run in the background.
    /// `author`: the name of the token that it comes with, which owners of data may ask this node for.
    async fn submit_task(
        &self,
        bundle: ByteStream,
        author: Option<String>,
    ) -> Result<LocalTaskId, UserError>;
    /// What a bundle may be now.
    async fn limits(&self) -> Result<SubmissionLimits, UserError>;
    /// What the nodes of the network publish about their data: asked all at the same time, for some seconds together, and remembered for
    /// a short while.
    async fn network_datasets(&self) -> Result<NetworkListing, UserError>;
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
    /// Cancels a task, and answers with it as it is then: its status is ERROR, and the reason says so. That is on disk before it is
    /// answered, members hear of it afterwards. A task that is cancelled already is answered in the same way; `Invalid` for one that is
    /// over otherwise.
    async fn cancel_task(&self, id: LocalTaskId) -> Result<TaskRow, UserError>;
    /// Log records of a task from record id `start` on.
    async fn task_logs(
        &self,
        id: LocalTaskId,
        start: i64,
        limit: u32,
    ) -> Result<Vec<LogRow>, UserError>;
    /// The result file of a finished task, with its length; `Invalid("task N is not finished")` before.
    async fn task_result(&self, id: LocalTaskId) -> Result<(u64, ByteStream), UserError>;
    /// The certificate of a finished task's result, with its length; `Invalid` says why there is none. Where its proofs hold and too much
    /// remains it is there, too, and says so.
    async fn task_certificate(&self, id: LocalTaskId) -> Result<(u64, ByteStream), UserError>;
    /// A task's server variables as its last finished step left them, and how many steps are done: while it runs, and after it has
    /// ended in whatever way. `Invalid` when none has finished.
    async fn task_checkpoint(&self, id: LocalTaskId) -> Result<Checkpoint, UserError>;
    /// How a task is getting on, or how it went; no progress before it has an id on the network.
    async fn task_progress(
        &self,
        id: LocalTaskId,
    ) -> Result<(TaskRow, Option<TaskProgress>), UserError>;
    /// The bundle of a task, byte for byte as submitted, with its length.
    async fn task_bundle(&self, id: LocalTaskId) -> Result<(u64, ByteStream), UserError>;
}
