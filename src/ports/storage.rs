//! The node's database: machines with their outboxes, tasks for users, their logs.
//!
//! A *machine* is a state that survives restarts: a round as coordinator or member, a task run. Its snapshot and effects are opaque
//! bytes here (sealed by the app when they hold secrets); what this port guarantees is that they change together.

use std::collections::BTreeSet;

use async_trait::async_trait;

use super::PortError;
use delta_domain::ids::{Address, TaskId, TxHash};
use delta_domain::task::{TaskKind, TaskStatus};
use delta_domain::time::Timestamp;

/// The id of a task in this node's own database, from 1: what users and Deltaboard know it by.
pub type LocalTaskId = i64;

/// A task as submitted to this node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTaskRow {
    /// When it was submitted.
    pub created_at: Timestamp,
    /// Display name, as the manifest has it.
    pub name: String,
    /// Which of the connector's services keeps it.
    pub kind: TaskKind,
    /// Whether results are proved.
    pub enable_verify: bool,
    /// The name of the token that it was submitted with.
    pub author: Option<String>,
}

/// A task of this node's users.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskRow {
    /// Its id at this node, not on the network.
    pub id: LocalTaskId,
    /// When it was submitted.
    pub created_at: Timestamp,
    /// Display name, as the manifest has it.
    pub name: String,
    /// Which of the connector's services keeps it.
    pub kind: TaskKind,
    /// Whether results are proved.
    pub enable_verify: bool,
    /// The name of the token that it was submitted with.
    pub author: Option<String>,
    /// The coordinator's address; `None` until the connector answered.
    pub creator: Option<Address>,
    /// The network's id; `None` until the connector answered.
    pub task: Option<TaskId>,
    /// Where it stands.
    pub status: TaskStatus,
    /// Why it failed, in one sentence.
    pub error: Option<String>,
}

/// What may change about a task. `None` leaves a field as it is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TaskUpdate {
    /// The coordinator's address.
    pub creator: Option<Address>,
    /// The network's id.
    pub task: Option<TaskId>,
    /// Where it stands.
    pub status: Option<TaskStatus>,
    /// Why it failed.
    pub error: Option<String>,
}

/// One page of tasks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskPage {
    /// Those of this page, in the order asked for.
    pub tasks: Vec<TaskRow>,
    /// How many there are on all pages.
    pub total: u64,
}

/// Which tasks are looked for: all whose words have `text`, of these statuses, of this kind, submitted before one of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskQuery {
    /// Part of the name, of the author's name or of the id on the network, without regard to the case of ASCII letters; or the whole
    /// local id. Empty: any.
    pub text: String,
    /// Empty: any.
    pub statuses: Vec<TaskStatus>,
    /// `None`: any.
    pub kind: Option<TaskKind>,
    /// Only those with a smaller local id: where the page before ended.
    pub before: Option<LocalTaskId>,
    /// The most that are answered.
    pub limit: u32,
}

impl TaskQuery {
    /// Whether the words of a task have the text, and it is of the kind.
    #[must_use]
    pub fn is_about(&self, row: &TaskRow) -> bool {
        let text = self.text.to_ascii_lowercase();
        let has = |words: &str| words.to_ascii_lowercase().contains(&text);
        let found = has(&row.name)
            || row.author.as_deref().is_some_and(has)
            || row.task.as_ref().is_some_and(|task| has(task.as_str()))
            || row.id.to_string() == self.text;
        found && self.kind.is_none_or(|kind| kind == row.kind)
    }
}

/// Tasks that were found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TaskMatches {
    /// The newest first.
    pub tasks: Vec<TaskRow>,
    /// How many there are of each status, whatever statuses and which page were asked for, in the order of their numbers.
    pub counts: Vec<(TaskStatus, u64)>,
}

/// How serious an entry of a log is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// A step went as planned.
    Info,
    /// Something was lost or rejected, the task goes on.
    Warn,
    /// The task, or this node's part in it, failed.
    Error,
}

/// An entry of a task's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewLog {
    /// When it happened, by this node's clock.
    pub created_at: Timestamp,
    /// The task on the network.
    pub task: TaskId,
    /// How serious it is for the task.
    pub level: LogLevel,
    /// One plain sentence without secrets.
    pub message: String,
    /// The transaction it speaks of.
    pub tx_hash: Option<TxHash>,
}

/// A stored entry of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogRow {
    /// Position in this node's log of all tasks, ascending.
    pub id: i64,
    /// What was written.
    pub log: NewLog,
}

/// What kind of machine a key belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum MachineKind {
    /// A task that this node coordinates.
    CoordinatorTask,
    /// A round that this node coordinates.
    CoordinatorRound,
    /// A task in which this node is a member.
    RunnerTask,
    /// A round in which this node is a member.
    RunnerRound,
    /// What a member keeps secret for all rounds of a task. No machine: it is written once, and deleted.
    RunnerKeys,
}

impl MachineKind {
    /// Stable name in the database.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::CoordinatorTask => "coordinator_task",
            Self::CoordinatorRound => "coordinator_round",
            Self::RunnerTask => "runner_task",
            Self::RunnerRound => "runner_round",
            Self::RunnerKeys => "runner_keys",
        }
    }
}

/// A machine's key: its kind, task, and round (0 for a task run).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct MachineKey {
    /// What kind of machine.
    pub kind: MachineKind,
    /// The task that it belongs to.
    pub task: TaskId,
    /// Round on the connector, or 0.
    pub round: u32,
}

/// An effect that was decided and not yet done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxEntry {
    /// Number within its machine, given by the machine's owner, never reused.
    pub id: u64,
    /// The effect, opaque.
    pub effect: Vec<u8>,
}

/// What a change leaves of a machine's state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StateChange {
    /// The whole state; the journal before it goes.
    Snapshot(Vec<u8>),
    /// What happened to it: appended to the journal that follows the snapshot.
    Entry(Vec<u8>),
    /// Nothing has happened to it; effects are done.
    Same,
    /// The machine goes, with its journal and its outbox.
    Deleted,
}

/// A change of one machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MachineChange {
    /// The machine that changes.
    pub key: MachineKey,
    /// The version it was loaded at; 0 for a new one.
    pub expected: u64,
    /// What it leaves of the state. A new machine begins with a snapshot.
    pub state: StateChange,
    /// Effects decided: they join the outbox.
    pub enqueue: Vec<OutboxEntry>,
    /// Ids of effects done: they leave the outbox.
    pub done: Vec<u64>,
}

/// A machine as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredMachine {
    /// The key that it is stored under.
    pub key: MachineKey,
    /// Its version, from 1.
    pub version: u64,
    /// Its last snapshot.
    pub snapshot: Vec<u8>,
    /// What has happened since: the version that each entry led to, and the entry, in order.
    pub journal: Vec<(u64, Vec<u8>)>,
    /// Effects decided and not done, in order.
    pub outbox: Vec<OutboxEntry>,
}

/// Who was seen at an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownIdentity {
    /// The address, in lower case.
    pub address: Address,
    /// The document that proved its key, opaque here.
    pub document: Vec<u8>,
    /// A later document with another key: it waits for the owner's word.
    pub changed: Option<Vec<u8>>,
    /// When the address was first seen.
    pub first_seen: Timestamp,
    /// When its document was last fetched.
    pub last_seen: Timestamp,
}

/// The database.
///
/// Obligations on implementers:
/// - `commit` is one transaction over all changes and log entries: all or nothing, durable against kill -9 after `Ok`.
/// - It fails with `Conflict`, and changes nothing, when any `expected` is not the stored version (0 = absent).
/// - On success each kept machine's version is `expected + 1`.
/// - An entry or nothing for a machine that is not there is `Internal`, and so are effects of one that is deleted.
/// - Deleted secrets do not stay behind in the file (SQLite: `secure_delete`).
#[async_trait]
pub trait Storage: Send + Sync + 'static {
    /// Changes machines and appends log entries, together.
    async fn commit(&self, changes: Vec<MachineChange>, logs: Vec<NewLog>)
    -> Result<(), PortError>;
    /// One machine, with its journal and outbox; `None` when there is none under this key.
    async fn machine(&self, key: &MachineKey) -> Result<Option<StoredMachine>, PortError>;
    /// All machines of a kind, ordered by key.
    async fn machines(&self, kind: MachineKind) -> Result<Vec<StoredMachine>, PortError>;

    /// Keeps a submitted task as PENDING.
    async fn insert_task(&self, task: &NewTaskRow) -> Result<LocalTaskId, PortError>;
    /// Changes a task. `NotFound` when there is none.
    async fn update_task(&self, id: LocalTaskId, update: &TaskUpdate) -> Result<(), PortError>;
    /// One task by its local id.
    async fn task(&self, id: LocalTaskId) -> Result<Option<TaskRow>, PortError>;
    /// The task with this network id.
    async fn task_by_network_id(&self, task: &TaskId) -> Result<Option<TaskRow>, PortError>;
    /// A page of tasks by id; `page` from 1.
    async fn task_page(
        &self,
        page: u32,
        page_size: u32,
        ascending: bool,
    ) -> Result<TaskPage, PortError>;
    /// Looks for tasks. As it stands here it reads every row; a database does better.
    async fn find_tasks(&self, query: &TaskQuery) -> Result<TaskMatches, PortError> {
        const AT_ONCE: u32 = 1000;
        let mut found = TaskMatches::default();
        let most = usize::try_from(query.limit).unwrap_or(usize::MAX);
        for page in 1.. {
            let rows = self.task_page(page, AT_ONCE, false).await?.tasks;
            let last = rows.len() < AT_ONCE as usize;
            for row in rows.into_iter().filter(|row| query.is_about(row)) {
                match found.counts.iter_mut().find(|(s, _)| *s == row.status) {
                    Some((_, count)) => *count += 1,
                    None => found.counts.push((row.status, 1)),
                }
                let wanted = query.statuses.is_empty() || query.statuses.contains(&row.status);
                let here = query.before.is_none_or(|before| row.id < before);
                if wanted && here && found.tasks.len() < most {
                    found.tasks.push(row);
                }
            }
            if last {
                break;
            }
        }
        found.counts.sort_by_key(|(status, _)| status.code());
        Ok(found)
    }
    /// Every task that is PENDING or RUNNING, ascending.
    async fn unfinished_tasks(&self) -> Result<Vec<TaskRow>, PortError>;

    /// Log entries of a task with id >= `start`, ascending, at most `limit`.
    async fn logs(&self, task: &TaskId, start: i64, limit: u32) -> Result<Vec<LogRow>, PortError>;

    /// A small value kept by name (the node's address, its key check).
    async fn setting(&self, name: &str) -> Result<Option<Vec<u8>>, PortError>;
    /// All of them whose names begin with `prefix`, by name, ascending.
    async fn settings(&self, prefix: &str) -> Result<Vec<(String, Vec<u8>)>, PortError>;
    /// Keeps a small value by name.
    async fn set_setting(&self, name: &str, value: &[u8]) -> Result<(), PortError>;

    /// Who was seen at an address, which is in lower case.
    async fn identity(&self, address: &Address) -> Result<Option<KnownIdentity>, PortError>;
    /// At most `limit` of those that were seen, by address.
    async fn identities(&self, limit: u32) -> Result<Vec<KnownIdentity>, PortError>;
    /// Keeps who was seen, in place of what was kept for the address. `false`, and nothing is kept, when the address is new and `most`
    /// others are there.
    async fn keep_identity(&self, known: &KnownIdentity, most: u32) -> Result<bool, PortError>;
    /// Lets go of the one whose `last_seen` is the earliest, of equals the first by address, but of none in `spared`; answers which. `None` when there
    /// is no other.
    async fn let_identity_go(
        &self,
        spared: &BTreeSet<Address>,
    ) -> Result<Option<Address>, PortError>;

    /// Waits for what runs and lets go of the database. Later calls may fail with `Unavailable`.
    async fn close(&self) {}
}
