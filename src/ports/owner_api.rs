//! What the node offers to its owner, who answers for the machine and its data: whether it can work, and which nodes there are.
//! Implemented by the app.

use async_trait::async_trait;

use super::UserError;
use super::catalogue::OwnDataset;
use super::connector::NodePage;
use delta_domain::ids::{DatasetName, Digest, TaskId};
use delta_domain::policy::{Approval, OwnerDecision, Question, Verdict};
use delta_domain::privacy::report::LedgerReport;
use delta_domain::time::Timestamp;

/// One thing that must hold before the node can work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadyCheck {
    /// What: `disk`, `url`, `database`, `connector`, `executor`.
    pub name: &'static str,
    /// Whether it holds.
    pub ok: bool,
    /// One sentence.
    pub detail: String,
}

/// A task of the network, as this node's owner is asked about it. For the owner only: it names data.
#[derive(Debug, Clone, PartialEq)]
pub struct AskedTask {
    /// Its id on the network.
    pub task: TaskId,
    /// Its name, as the author has it.
    pub name: String,
    /// What it asks, and who.
    pub question: Question,
    /// What becomes of it, and by which rules.
    pub verdict: Verdict,
    /// Why it is not safe by construction; empty when it is.
    pub unproven: Vec<String>,
    /// What it takes and what leaves, in plain words; see `Manifest::disclosure`.
    pub disclosure: Vec<String>,
    /// Whether it waits for the owner.
    pub waits: bool,
    /// Since when it is on the list.
    pub asked_at: Timestamp,
    /// Until when it would wait.
    pub until: Timestamp,
}

/// A decision of the owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decided {
    /// What names it: [`Approval::id`].
    pub id: Digest,
    /// What was decided.
    pub approval: Approval,
    /// When it was taken back.
    pub revoked: Option<Timestamp>,
}

/// For which tasks a decision is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DecisionScope {
    /// This one.
    Once,
    /// All of this author that ask the same.
    Always,
    /// The same, before this moment.
    Until(Timestamp),
}

/// What the data hub shows under a version's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnHub {
    /// This version's commitment.
    Same,
    /// Nothing.
    Nothing,
    /// Another one: the node that owns it was restored from a backup, or the hub was written over.
    Another,
}

/// A version of a dataset, as it was registered on the data hub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegisteredVersion {
    /// The dataset.
    pub dataset: DatasetName,
    /// The number of the version, from 0.
    pub index: u32,
    /// What tells its content from any other; not published.
    pub version: Digest,
    /// What is published.
    pub commitment: Digest,
    /// When it was registered.
    pub at: Timestamp,
    /// Whether the hub has shown it.
    pub confirmed: bool,
    /// Whether the dataset holds it now; `None` where that was not looked at, or cannot be.
    pub current: Option<bool>,
    /// What the hub shows now; `None` where it was not asked.
    pub on_hub: Option<OnHub>,
}

/// What the node offers to its owner.
#[async_trait]
pub trait OwnerApi: Send + Sync + 'static {
    /// The nodes of the network; `page` from 1.
    async fn nodes(&self, page: u32, page_size: u32) -> Result<NodePage, UserError>;
    /// Takes no further part in a task of the network, whoever coordinates it: open rounds are declined, and those that follow. That is
    /// on disk before it is answered. `Invalid` when this node follows no such task.
    async fn leave_task(&self, task: &TaskId) -> Result<(), UserError>;
    /// The tasks that this node follows, as its owner is asked about them.
    async fn asked_tasks(&self) -> Vec<AskedTask>;
    /// Everything that the owner has decided, oldest first.
    async fn decisions(&self) -> Vec<Decided>;
    /// Decides about a task. That is on disk before it is answered; `with`: who decides, for the journal. `Invalid` when this node follows
    /// no such task, or when its author proves no key and the decision is for more than this task.
    async fn decide(
        &self,
        task: &TaskId,
        decision: OwnerDecision,
        scope: DecisionScope,
        with: String,
    ) -> Result<Decided, UserError>;
    /// Takes a decision back: tasks that run by it stop at their next round. `Invalid` when there is none of this id that still stands.
    async fn revoke(&self, id: &Digest, with: String) -> Result<(), UserError>;
    /// At most `most` lines of the journal after the first `skip`.
    async fn journal(&self, skip: u64, most: usize) -> Result<Vec<String>, UserError>;
    /// What tasks under noise have cost each dataset, by its name: of all that have an account or a budget.
    async fn privacy(&self) -> Result<Vec<LedgerReport>, UserError>;
    /// The datasets of this node: what they are, when their owner is asked, and whether they are published.
    async fn datasets(&self) -> Result<Vec<OwnDataset>, UserError>;
    /// Registers on the data hub what a dataset holds now, as its next version; where that is the last one already, gives that.
    async fn register_dataset(&self, name: &DatasetName) -> Result<RegisteredVersion, UserError>;
    /// The last registered version of each dataset, compared with what it holds now.
    async fn registered_datasets(&self) -> Result<Vec<RegisteredVersion>, UserError>;
    /// All registered versions of a dataset, oldest first, compared with what the hub shows.
    async fn dataset_history(
        &self,
        name: &DatasetName,
    ) -> Result<Vec<RegisteredVersion>, UserError>;
    /// Whether the node can work.
    async fn ready(&self) -> Vec<ReadyCheck>;
}
