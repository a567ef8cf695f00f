//! A database that is any other one, with its writes counted.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use delta_domain::ids::{Address, TaskId};
use delta_ports::PortError;
use delta_ports::storage::{
    KnownIdentity, LocalTaskId, LogRow, MachineChange, MachineKey, MachineKind, NewLog, NewTaskRow,
    Storage, StoredMachine, TaskPage, TaskRow, TaskUpdate,
};

/// Passes every call on, and counts those that write.
pub struct Audited {
    inner: Arc<dyn Storage>,
    writes: Arc<AtomicU64>,
}

impl Audited {
    /// Counts the writes to `inner` in `writes`.
    pub fn new(inner: Arc<dyn Storage>, writes: Arc<AtomicU64>) -> Self {
        Self { inner, writes }
    }

    fn write(&self) -> &dyn Storage {
        self.writes.fetch_add(1, Ordering::Relaxed);
        self.inner.as_ref()
    }
}

#[async_trait]
impl Storage for Audited {
    async fn commit(
        &self,
        changes: Vec<MachineChange>,
        logs: Vec<NewLog>,
    ) -> Result<(), PortError> {
        self.write().commit(changes, logs).await
    }

    async fn machine(&self, key: &MachineKey) -> Result<Option<StoredMachine>, PortError> {
        self.inner.machine(key).await
    }

    async fn machines(&self, kind: MachineKind) -> Result<Vec<StoredMachine>, PortError> {
        self.inner.machines(kind).await
    }

    async fn insert_task(&self, task: &NewTaskRow) -> Result<LocalTaskId, PortError> {
        self.write().insert_task(task).await
    }

    async fn update_task(&self, id: LocalTaskId, update: &TaskUpdate) -> Result<(), PortError> {
        self.write().update_task(id, update).await
    }

    async fn task(&self, id: LocalTaskId) -> Result<Option<TaskRow>, PortError> {
        self.inner.task(id).await
    }

    async fn task_by_network_id(&self, task: &TaskId) -> Result<Option<TaskRow>, PortError> {
        self.inner.task_by_network_id(task).await
    }

    async fn task_page(
        &self,
        page: u32,
        page_size: u32,
        ascending: bool,
    ) -> Result<TaskPage, PortError> {
        self.inner.task_page(page, page_size, ascending).await
    }

    async fn unfinished_tasks(&self) -> Result<Vec<TaskRow>, PortError> {
        self.inner.unfinished_tasks().await
    }

    async fn logs(&self, task: &TaskId, start: i64, limit: u32) -> Result<Vec<LogRow>, PortError> {
        self.inner.logs(task, start, limit).await
    }

    async fn setting(&self, name: &str) -> Result<Option<Vec<u8>>, PortError> {
        self.inner.setting(name).await
    }

    async fn settings(&self, prefix: &str) -> Result<Vec<(String, Vec<u8>)>, PortError> {
        self.inner.settings(prefix).await
    }

    async fn set_setting(&self, name: &str, value: &[u8]) -> Result<(), PortError> {
        self.write().set_setting(name, value).await
    }

    async fn identity(&self, address: &Address) -> Result<Option<KnownIdentity>, PortError> {
        self.inner.identity(address).await
    }

    async fn identities(&self, limit: u32) -> Result<Vec<KnownIdentity>, PortError> {
        self.inner.identities(limit).await
    }

    async fn keep_identity(&self, known: &KnownIdentity, most: u32) -> Result<bool, PortError> {
        self.write().keep_identity(known, most).await
    }

    async fn let_identity_go(
        &self,
        spared: &BTreeSet<Address>,
    ) -> Result<Option<Address>, PortError> {
        self.write().let_identity_go(spared).await
    }
}
