//! What the dashboard shows beyond what authors and the owner are offered one by one. Implemented by the app.
//!
//! Nothing here decides or changes anything: what people do on a page goes through [`AuthorApi`](super::author_api::AuthorApi) and
//! [`OwnerApi`](super::owner_api::OwnerApi), as it does from the command line.

use std::sync::Arc;

use async_trait::async_trait;
use futures_core::stream::BoxStream;

use super::UserError;
use super::executor::RuntimeInfo;
use super::storage::{LocalTaskId, TaskMatches, TaskQuery};
use delta_domain::bundle::Bundle;
use delta_domain::catalogue::Outline;
use delta_domain::identity::{Fingerprint, Trust};
use delta_domain::ids::{Address, DatasetName, Digest, TaskId};
use delta_domain::policy::Policy;
use delta_domain::time::Timestamp;

/// Something has changed; what it is now is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum News {
    /// One of this node's own tasks: it is new, or stands elsewhere.
    Task(LocalTaskId),
    /// How one of them is getting on.
    Progress(LocalTaskId),
    /// What the owner is asked, or has said.
    Approvals,
    /// Some news did not arrive: anything may have changed.
    Everything,
}

/// What a task under noise would leave of the budget of one dataset. All epsilons at the budget's delta, when as many collude as are
/// assumed; `None` where none can be proven.
#[derive(Debug, Clone, PartialEq)]
pub struct Prospect {
    /// Whose budget.
    pub dataset: DatasetName,
    /// What the owner's rules allow; `None` where they set no budget.
    pub budget: Option<f64>,
    /// At which delta.
    pub delta: f64,
    /// What is spent and reserved now.
    pub before: Option<f64>,
    /// The same after one round of the task.
    pub after_round: Option<f64>,
    /// The same after all its rounds.
    pub after_all: Option<f64>,
}

/// What a dataset holds, and what its owner allows.
#[derive(Debug, Clone, PartialEq)]
pub struct DatasetView {
    /// Names and plain types of its columns; why not, where it has none or cannot be read.
    pub outline: Result<Outline, String>,
    /// The rules that hold for it.
    pub policy: Policy,
    /// Whether they are its own; else those of every dataset without rules.
    pub ruled: bool,
    /// Whether a running task reads it now.
    pub in_use: bool,
}

/// A node on the record, as this one knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownNode {
    /// Where it stands on the record.
    pub address: Address,
    /// Its name there.
    pub name: String,
    /// Its url there.
    pub url: String,
    /// Whether it is this node itself.
    pub own: bool,
    /// Why its key is believed, if it is.
    pub trust: Trust,
    /// Who runs it: as roster or pin say, or else as its card claims.
    pub organisation: Option<String>,
    /// Of its long-term key, where it proves one.
    pub fingerprint: Option<Fingerprint>,
    /// Until when its card holds.
    pub card_until: Option<Timestamp>,
    /// Whether its card names a TLS key.
    pub tls: bool,
    /// Whether it showed its card when this node last looked; `None` where that was not lately.
    pub seen: Option<bool>,
}

/// The network around this node.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NetworkView {
    /// The first of those on the record.
    pub nodes: Vec<KnownNode>,
    /// How many there are on the record.
    pub total: u64,
    /// Whether roster or pins vouch for anybody: only then is anybody more than first come.
    pub anchored: bool,
}

/// This node at work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeStatus {
    /// Where it stands on the record, once that is known.
    pub address: Option<Address>,
    /// Its name there.
    pub name: String,
    /// Where others reach it.
    pub url: String,
    /// Who runs it, as its card says.
    pub organisation: String,
    /// Of its long-term key.
    pub fingerprint: Fingerprint,
    /// Since when it runs.
    pub since: Timestamp,
    /// What graphs run on.
    pub runtime: RuntimeInfo,
    /// Bytes that are left where it keeps its files.
    pub room: Option<u64>,
    /// Own tasks that run, and the most that may.
    pub own_tasks: (usize, usize),
    /// Tasks of the network that it follows as a member.
    pub followed: usize,
    /// Questions that wait for the owner.
    pub waiting: usize,
    /// Since when the connector is away.
    pub connector_away: Option<Timestamp>,
}

/// How good or bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FindingLevel {
    /// As it should be.
    Ok,
    /// Works, and the operator should know.
    Warn,
    /// The node cannot work like this.
    Fail,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckFinding {
    /// How it is.
    pub level: FindingLevel,
    /// What was looked at, in one or two words.
    pub name: String,
    /// One sentence: what was found, and what to do about it.
    pub detail: String,
}

/// The findings of `delta-node check`, made while the node runs.
#[async_trait]
pub trait SelfCheck: Send + Sync + 'static {
    /// Looks at everything. Takes seconds, and a worker of the executor.
    async fn findings(&self) -> Vec<CheckFinding>;
}

/// What the dashboard shows.
#[async_trait]
pub trait BoardApi: Send + Sync + 'static {
    /// Looks for own tasks.
    async fn find_tasks(&self, query: &TaskQuery) -> Result<TaskMatches, UserError>;
    /// The bundle of an own task, opened: its manifest and graphs. `Invalid` where it is too large to be looked at.
    async fn open_own(&self, id: LocalTaskId) -> Result<Arc<Bundle>, UserError>;
    /// The same of a task that the owner is asked about.
    async fn open_asked(&self, task: &TaskId) -> Result<Arc<Bundle>, UserError>;
    /// What a task that the owner is asked about would leave of budgets: of each dataset whose data it releases under noise.
    async fn prospects(&self, task: &TaskId) -> Result<Vec<Prospect>, UserError>;
    /// One dataset of this node.
    async fn dataset(&self, name: &DatasetName) -> Result<DatasetView, UserError>;
    /// What tells its content from any other, earlier or later. May read the whole of it.
    async fn dataset_version(&self, name: &DatasetName) -> Result<Digest, UserError>;
    /// The last `most` lines of the journal that come before line number `before` (from 1; `None`: the last of all), and how many lines
    /// are before them.
    async fn last_of_journal(
        &self,
        before: Option<u64>,
        most: usize,
    ) -> Result<(u64, Vec<String>), UserError>;
    /// The network, from what is known of it: nobody is asked but the connector.
    async fn network(&self) -> Result<NetworkView, UserError>;
    /// This node at work.
    async fn status(&self) -> NodeStatus;
    /// What changes from now on, for as long as somebody listens. What is missed is [`News::Everything`].
    fn news(&self) -> BoxStream<'static, News>;
}
