//! A database in memory, with the semantics of the real one and failures on demand.
//!
//! Clones are the same database. [`MemoryStorage::restart`] is what a new process sees: everything committed, while the old
//! process's handles, which may still sit in unfinished futures, can do nothing any more.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;

use super::faults::{FaultScript, When, lock};
use delta_domain::ids::TaskId;
use delta_domain::task::TaskStatus;
use delta_ports::storage::{
    LocalTaskId, LogRow, MachineChange, MachineKey, MachineKind, NewLog, NewTaskRow, OutboxEntry,
    StateChange, Storage, StoredMachine, TaskPage, TaskRow, TaskUpdate,
};
use delta_ports::{PortError, PortErrorKind};

/// The database of one node of a test.
#[derive(Debug, Clone, Default)]
pub struct MemoryStorage {
    state: Arc<Mutex<State>>,
    faults: FaultScript,
    /// Which process this handle belongs to.
    process: u64,
}

#[derive(Debug, Default)]
struct State {
    process: u64,
    machines: BTreeMap<MachineKey, Machine>,
    tasks: Vec<TaskRow>,
    logs: Vec<LogRow>,
    settings: BTreeMap<String, Vec<u8>>,
}

#[derive(Debug, Clone)]
struct Machine {
    version: u64,
    snapshot: Vec<u8>,
    journal: Vec<(u64, Vec<u8>)>,
    outbox: BTreeMap<u64, Vec<u8>>,
}

impl MemoryStorage {
    /// An empty database.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The database as the node's next process sees it. Every other handle fails with `Unavailable` from now on.
    #[must_use]
    pub fn restart(&self) -> Self {
        let mut state = lock(&self.state);
        state.process += 1;
        Self {
            state: Arc::clone(&self.state),
            faults: self.faults.clone(),
            process: state.process,
        }
    }

    /// The next call of `op` (for example `"storage.commit"`, or `"*"`) fails with `kind`.
    pub fn fail_next(&self, op: impl Into<String>, when: When, kind: PortErrorKind) {
        self.faults.fail_next(op, when, kind);
    }

    /// The planned failures.
    #[must_use]
    pub fn faults(&self) -> &FaultScript {
        &self.faults
    }

    /// For observers: every task's row, whatever failures are planned.
    #[must_use]
    pub fn peek_tasks(&self) -> Vec<TaskRow> {
        lock(&self.state).tasks.clone()
    }

    /// For observers: every log entry, in order.
    #[must_use]
    pub fn peek_logs(&self) -> Vec<LogRow> {
        lock(&self.state).logs.clone()
    }

    /// For observers: the keys of all machines, in order.
    #[must_use]
    pub fn peek_machines(&self) -> Vec<MachineKey> {
        lock(&self.state).machines.keys().cloned().collect()
    }

    /// A disk that lost its mind: changes a byte of every snapshot and journal entry of a kind.
    pub fn damage(&self, kind: MachineKind) {
        let mut state = lock(&self.state);
        let machines = state
            .machines
            .iter_mut()
            .filter(|(key, _)| key.kind == kind);
        for (_, machine) in machines {
            let entries = machine.journal.iter_mut().map(|(_, entry)| entry);
            for bytes in std::iter::once(&mut machine.snapshot).chain(entries) {
                if let Some(byte) = bytes.last_mut() {
                    *byte ^= 1;
                }
            }
        }
    }

    /// For observers: how many entries follow the snapshot of each machine of a kind.
    #[must_use]
    pub fn peek_journals(&self, kind: MachineKind) -> Vec<usize> {
        let state = lock(&self.state);
        let machines = state.machines.iter().filter(|(key, _)| key.kind == kind);
        machines.map(|(_, m)| m.journal.len()).collect()
    }

    /// One call: gives others a turn first, as a real database would.
    async fn call<T>(
        &self,
        op: &'static str,
        work: impl FnOnce(&mut State) -> Result<T, PortError> + Send,
    ) -> Result<T, PortError> {
        tokio::task::yield_now().await;
        self.faults.run(op, || {
            let mut state = lock(&self.state);
            if state.process != self.process {
                return Err(PortError::new(
                    PortErrorKind::Unavailable,
                    op,
                    "the database is closed",
                ));
            }
            work(&mut state)
        })
    }
}

impl State {
    fn commit(
        &mut self,
        op: &'static str,
        changes: Vec<MachineChange>,
        logs: Vec<NewLog>,
    ) -> Result<(), PortError> {
        // Worked out beside the state, put in its place at the end: all or nothing.
        let mut touched: BTreeMap<MachineKey, Option<Machine>> = BTreeMap::new();
        for change in changes {
            let current = match touched.remove(&change.key) {
                Some(machine) => machine,
                None => self.machines.get(&change.key).cloned(),
            };
            let key = change.key.clone();
            touched.insert(key, apply(op, current, change)?);
        }
        for (key, machine) in touched {
            match machine {
                Some(machine) => drop(self.machines.insert(key, machine)),
                None => drop(self.machines.remove(&key)),
            }
        }
        for log in logs {
            let id = self.logs.last().map_or(1, |last| last.id + 1);
            self.logs.push(LogRow { id, log });
        }
        Ok(())
    }

    fn position(&self, id: LocalTaskId) -> Option<usize> {
        self.tasks.iter().position(|t| t.id == id)
    }
}

fn apply(
    op: &'static str,
    current: Option<Machine>,
    change: MachineChange,
) -> Result<Option<Machine>, PortError> {
    let name = format!(
        "{} {} round {}",
        change.key.kind.name(),
        change.key.task,
        change.key.round
    );
    let internal = |why: String| PortError::new(PortErrorKind::Internal, op, why);
    let version = current.as_ref().map_or(0, |m| m.version);
    if version != change.expected {
        let text = format!("{name} is at version {version}, not at {}", change.expected);
        return Err(PortError::new(PortErrorKind::Conflict, op, text));
    }
    let absent = || {
        internal(format!(
            "{name} is not there, and does not begin with a snapshot"
        ))
    };
    let (snapshot, journal, mut outbox) = match (change.state, current) {
        (StateChange::Deleted, _) if !change.enqueue.is_empty() => {
            return Err(internal(format!(
                "{name} is deleted and decides effects at once"
            )));
        }
        (StateChange::Deleted, _) => return Ok(None),
        (StateChange::Snapshot(new), None) => (new, Vec::new(), BTreeMap::new()),
        (StateChange::Snapshot(new), Some(m)) => (new, Vec::new(), m.outbox),
        (StateChange::Entry(entry), Some(mut m)) => {
            m.journal.push((version + 1, entry));
            (m.snapshot, m.journal, m.outbox)
        }
        (StateChange::Same, Some(m)) => (m.snapshot, m.journal, m.outbox),
        (StateChange::Entry(_) | StateChange::Same, None) => return Err(absent()),
    };
    for entry in change.enqueue {
        if entry.id > i64::MAX.unsigned_abs() {
            return Err(internal(format!("effect number {} is too large", entry.id)));
        }
        if outbox.insert(entry.id, entry.effect).is_some() {
            return Err(internal(format!(
                "{name} uses effect number {} twice",
                entry.id
            )));
        }
    }
    for id in change.done {
        outbox.remove(&id);
    }
    Ok(Some(Machine {
        version: version + 1,
        snapshot,
        journal,
        outbox,
    }))
}

fn stored(key: &MachineKey, machine: &Machine) -> StoredMachine {
    StoredMachine {
        key: key.clone(),
        version: machine.version,
        snapshot: machine.snapshot.clone(),
        journal: machine.journal.clone(),
        outbox: machine
            .outbox
            .iter()
            .map(|(&id, effect)| OutboxEntry {
                id,
                effect: effect.clone(),
            })
            .collect(),
    }
}

#[async_trait]
impl Storage for MemoryStorage {
    async fn commit(
        &self,
        changes: Vec<MachineChange>,
        logs: Vec<NewLog>,
    ) -> Result<(), PortError> {
        const OP: &str = "storage.commit";
        self.call(OP, |s| s.commit(OP, changes, logs)).await
    }

    async fn machine(&self, key: &MachineKey) -> Result<Option<StoredMachine>, PortError> {
        self.call("storage.machine", |s| {
            Ok(s.machines.get(key).map(|m| stored(key, m)))
        })
        .await
    }

    async fn machines(&self, kind: MachineKind) -> Result<Vec<StoredMachine>, PortError> {
        self.call("storage.machines", |s| {
            Ok(s.machines
                .iter()
                .filter(|(k, _)| k.kind == kind)
                .map(|(k, m)| stored(k, m))
                .collect())
        })
        .await
    }

    async fn insert_task(&self, task: &NewTaskRow) -> Result<LocalTaskId, PortError> {
        self.call("storage.insert_task", |s| {
            let id = s.tasks.last().map_or(1, |last| last.id + 1);
            s.tasks.push(TaskRow {
                id,
                created_at: task.created_at,
                name: task.name.clone(),
                kind: task.kind,
                enable_verify: task.enable_verify,
                creator: None,
                task: None,
                status: TaskStatus::Pending,
                error: None,
            });
            Ok(id)
        })
        .await
    }

    async fn update_task(&self, id: LocalTaskId, update: &TaskUpdate) -> Result<(), PortError> {
        const OP: &str = "storage.update_task";
        self.call(OP, |s| {
            let at = s.position(id).ok_or_else(|| {
                PortError::new(
                    PortErrorKind::NotFound,
                    OP,
                    format!("task {id} does not exist"),
                )
            })?;
            if update.task.is_some() && s.tasks.iter().any(|t| t.id != id && t.task == update.task)
            {
                return Err(PortError::new(
                    PortErrorKind::Conflict,
                    OP,
                    "another task has this network id already",
                ));
            }
            let row = &mut s.tasks[at];
            let TaskUpdate {
                creator,
                task,
                status,
                error,
            } = update.clone();
            row.creator = creator.or(row.creator.take());
            row.task = task.or(row.task.take());
            row.status = status.unwrap_or(row.status);
            row.error = error.or(row.error.take());
            Ok(())
        })
        .await
    }

    async fn task(&self, id: LocalTaskId) -> Result<Option<TaskRow>, PortError> {
        self.call("storage.task", |s| {
            Ok(s.position(id).map(|at| s.tasks[at].clone()))
        })
        .await
    }

    async fn task_by_network_id(&self, task: &TaskId) -> Result<Option<TaskRow>, PortError> {
        self.call("storage.task_by_network_id", |s| {
            Ok(s.tasks
                .iter()
                .find(|t| t.task.as_ref() == Some(task))
                .cloned())
        })
        .await
    }

    async fn task_page(
        &self,
        page: u32,
        page_size: u32,
        ascending: bool,
    ) -> Result<TaskPage, PortError> {
        self.call("storage.task_page", |s| {
            let skip = usize::try_from(u64::from(page.saturating_sub(1)) * u64::from(page_size))
                .unwrap_or(usize::MAX);
            let take = usize::try_from(page_size).unwrap_or(usize::MAX);
            let tasks = if ascending {
                s.tasks.iter().skip(skip).take(take).cloned().collect()
            } else {
                s.tasks
                    .iter()
                    .rev()
                    .skip(skip)
                    .take(take)
                    .cloned()
                    .collect()
            };
            Ok(TaskPage {
                tasks,
                total: s.tasks.len() as u64,
            })
        })
        .await
    }

    async fn unfinished_tasks(&self) -> Result<Vec<TaskRow>, PortError> {
        self.call("storage.unfinished_tasks", |s| {
            Ok(s.tasks
                .iter()
                .filter(|t| !t.status.is_terminal())
                .cloned()
                .collect())
        })
        .await
    }

    async fn logs(&self, task: &TaskId, start: i64, limit: u32) -> Result<Vec<LogRow>, PortError> {
        self.call("storage.logs", |s| {
            let limit = usize::try_from(limit).unwrap_or(usize::MAX);
            Ok(s.logs
                .iter()
                .filter(|l| l.id >= start && &l.log.task == task)
                .take(limit)
                .cloned()
                .collect())
        })
        .await
    }

    async fn setting(&self, name: &str) -> Result<Option<Vec<u8>>, PortError> {
        self.call("storage.setting", |s| Ok(s.settings.get(name).cloned()))
            .await
    }

    async fn set_setting(&self, name: &str, value: &[u8]) -> Result<(), PortError> {
        self.call("storage.set_setting", |s| {
            s.settings.insert(name.to_owned(), value.to_vec());
            Ok(())
        })
        .await
    }
}
