//! A database in memory, with the semantics of the real one and failures on demand.
//!
//! Clones are the same database. [`MemoryStorage::restart`] is what a new process sees: everything committed, while the old
//! process's handles, which may still sit in unfinished futures, can do nothing any more.

mod state;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;

use super::faults::{FaultScript, When, lock};
use delta_domain::ids::{Address, TaskId};
use delta_domain::task::TaskStatus;
use delta_ports::storage::{
    KnownIdentity, LocalTaskId, LogRow, MachineChange, MachineKey, MachineKind, NewLog, NewTaskRow,
    Storage, StoredMachine, TaskPage, TaskRow, TaskUpdate,
};
use delta_ports::{PortError, PortErrorKind};

use state::{State, stored};

/// The database of one node of a test.
#[derive(Debug, Clone, Default)]
pub struct MemoryStorage {
    state: Arc<Mutex<State>>,
    faults: FaultScript,
    /// Which process this handle belongs to.
    process: u64,
}

impl MemoryStorage {
    /// A database without tasks, machines, log records and settings.
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

    /// The script of planned failures, to count or forget them.
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

    /// For observers: a setting, without faults and without giving others a turn.
    #[must_use]
    pub fn peek_setting(&self, name: &str) -> Option<Vec<u8>> {
        lock(&self.state).settings.get(name).cloned()
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
                author: task.author.clone(),
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

    async fn settings(&self, prefix: &str) -> Result<Vec<(String, Vec<u8>)>, PortError> {
        self.call("storage.settings", |s| {
            let under = s.settings.range(prefix.to_owned()..);
            let under = under.take_while(|(name, _)| name.starts_with(prefix));
            Ok(under.map(|(n, v)| (n.clone(), v.clone())).collect())
        })
        .await
    }

    async fn set_setting(&self, name: &str, value: &[u8]) -> Result<(), PortError> {
        self.call("storage.set_setting", |s| {
            s.settings.insert(name.to_owned(), value.to_vec());
            Ok(())
        })
        .await
    }

    async fn identity(&self, address: &Address) -> Result<Option<KnownIdentity>, PortError> {
        self.call("storage.identity", |s| {
            Ok(s.identities.get(address).cloned())
        })
        .await
    }

    async fn identities(&self, limit: u32) -> Result<Vec<KnownIdentity>, PortError> {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        self.call("storage.identities", |s| {
            Ok(s.identities.values().take(limit).cloned().collect())
        })
        .await
    }

    async fn keep_identity(&self, known: &KnownIdentity, most: u32) -> Result<bool, PortError> {
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        self.call("storage.keep_identity", |s| {
            if s.identities.len() >= most && !s.identities.contains_key(&known.address) {
                return Ok(false);
            }
            s.identities.insert(known.address.clone(), known.clone());
            Ok(true)
        })
        .await
    }

    async fn let_identity_go(
        &self,
        spared: &BTreeSet<Address>,
    ) -> Result<Option<Address>, PortError> {
        self.call("storage.let_identity_go", |s| {
            let others = s
                .identities
                .values()
                .filter(|k| !spared.contains(&k.address));
            let oldest = others.min_by_key(|k| (k.last_seen, k.address.clone()));
            let gone = oldest.map(|k| k.address.clone());
            if let Some(gone) = &gone {
                s.identities.remove(gone);
            }
            Ok(gone)
        })
        .await
    }
}
