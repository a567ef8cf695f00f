//! The storage port over the two pools.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use sqlx::pool::PoolOptions;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool, SqliteSynchronous,
};
use sqlx::{Connection as _, Sqlite};

use super::database_url::DatabaseUrl;
use super::error::{corrupt, port_error};
use super::rows::{
    JournalRow, MachineRow, OutboxRow, StoredIdentity, StoredLog, StoredTask, stored_time,
};
use super::{file, find, queries, write};
use delta_domain::ids::{Address, TaskId};
use delta_domain::task::TaskStatus;
use delta_ports::PortError;
use delta_ports::storage::{
    KnownIdentity, LocalTaskId, LogRow, MachineChange, MachineKey, MachineKind, NewLog, NewTaskRow,
    StateChange, Storage, StoredMachine, TaskMatches, TaskPage, TaskQuery, TaskRow, TaskUpdate,
};

/// How many statements may read at the same time.
const READERS: u32 = 4;

/// How long a statement waits for another process or handle that holds the file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// The database. Cheap to share behind an `Arc`; two handles on one file see each other's commits.
#[derive(Debug)]
pub struct SqliteStorage {
    writer: SqlitePool,
    readers: SqlitePool,
    in_file: bool,
    /// A machine was deleted and the write-ahead log may still hold its bytes.
    scrub_due: AtomicBool,
}

impl SqliteStorage {
    /// Opens the database that `url_or_path` names, and makes or updates its tables.
    ///
    /// Takes the original's `sqlite+aiosqlite:///db/delta.db`, `sqlite:///...`, a plain path, and `:memory:`. Missing folders are made.
    ///
    /// # Errors
    /// `Rejected` when the name is none of these, or when a newer program wrote the file; `Denied` without permission;
    /// `Corrupt` when the file is damaged or is no database.
    pub async fn open(url_or_path: &str) -> Result<Self, PortError> {
        const OP: &str = "storage.open";
        let url = DatabaseUrl::parse(OP, url_or_path)?;
        let options = match &url {
            DatabaseUrl::Memory => SqliteConnectOptions::new().in_memory(true),
            DatabaseUrl::File(path) => {
                file::prepare(OP, path).await?;
                SqliteConnectOptions::new()
                    .filename(path)
                    .create_if_missing(true)
            }
        };
        let options = options
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(BUSY_TIMEOUT)
            .pragma("secure_delete", "ON");
        let writer = pool(1)
            .connect_with(options.clone())
            .await
            .map_err(|e| port_error(OP, e))?;
        write::migrate(OP, &writer, url_or_path).await?;
        let in_file = url != DatabaseUrl::Memory;
        // A database in memory belongs to its one connection.
        let readers = if in_file {
            pool(READERS).connect_lazy_with(options.pragma("query_only", "ON"))
        } else {
            writer.clone()
        };
        // A crash may have come between a deletion and its scrub.
        let storage = Self {
            writer,
            readers,
            in_file,
            scrub_due: AtomicBool::new(in_file),
        };
        storage.scrub().await;
        Ok(storage)
    }

    /// Empties the write-ahead log if a deletion asks for it. Best effort: a reader of another process may be in the way, and the
    /// next commit tries again.
    async fn scrub(&self) {
        if !self.in_file || !self.scrub_due.swap(false, Ordering::AcqRel) {
            return;
        }
        // The answer's first column says whether somebody was in the way.
        let outcome = sqlx::query_scalar::<Sqlite, i64>(queries::CHECKPOINT)
            .fetch_one(&self.writer)
            .await;
        if !matches!(outcome, Ok(0)) {
            self.scrub_due.store(true, Ordering::Release);
            tracing::debug!(?outcome, "the write-ahead log could not be emptied now");
        }
    }
}

fn pool(connections: u32) -> PoolOptions<Sqlite> {
    PoolOptions::new()
        .max_connections(connections)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
        // SQLite ends a transaction by itself when the disk is full. The connection then counts one that it cannot roll back, and
        // would begin no other: it is replaced.
        .before_acquire(|connection: &mut SqliteConnection, _| {
            let ended = !connection.is_in_transaction();
            Box::pin(async move { Ok(ended) })
        })
}

#[async_trait]
impl Storage for SqliteStorage {
    async fn commit(
        &self,
        changes: Vec<MachineChange>,
        logs: Vec<NewLog>,
    ) -> Result<(), PortError> {
        const OP: &str = "storage.commit";
        let mut tx = write::begin(OP, &self.writer).await?;
        for change in &changes {
            write::change(OP, &mut tx, change).await?;
        }
        for log in &logs {
            write::log(OP, &mut tx, log).await?;
        }
        // Before the commit: if this future is dropped after it, the next one scrubs.
        if changes.iter().any(|c| c.state == StateChange::Deleted) {
            self.scrub_due.store(true, Ordering::Release);
        }
        tx.commit().await.map_err(|e| port_error(OP, e))?;
        self.scrub().await;
        Ok(())
    }

    async fn machine(&self, key: &MachineKey) -> Result<Option<StoredMachine>, PortError> {
        const OP: &str = "storage.machine";
        let mut tx = self.readers.begin().await.map_err(|e| port_error(OP, e))?;
        let row = sqlx::query_as::<Sqlite, MachineRow>(queries::MACHINE_GET)
            .bind(key.kind.name())
            .bind(key.task.as_str())
            .bind(key.round)
            .fetch_optional(&mut *tx)
            .await
            .map_err(|e| port_error(OP, e))?;
        let Some(row) = row else { return Ok(None) };
        let mut machine = row.into_machine(OP, key.kind)?;
        let journal = sqlx::query_as::<Sqlite, JournalRow>(queries::JOURNAL_GET)
            .bind(key.kind.name())
            .bind(key.task.as_str())
            .bind(key.round)
            .fetch_all(&mut *tx)
            .await
            .map_err(|e| port_error(OP, e))?;
        for entry in journal {
            machine.journal.push(entry.into_entry(OP, key.kind)?.1);
        }
        let effects = sqlx::query_as::<Sqlite, OutboxRow>(queries::OUTBOX_GET)
            .bind(key.kind.name())
            .bind(key.task.as_str())
            .bind(key.round)
            .fetch_all(&mut *tx)
            .await
            .map_err(|e| port_error(OP, e))?;
        for effect in effects {
            machine.outbox.push(effect.into_entry(OP, key.kind)?.1);
        }
        Ok(Some(machine))
    }

    async fn machines(&self, kind: MachineKind) -> Result<Vec<StoredMachine>, PortError> {
        const OP: &str = "storage.machines";
        // All three lists have the same order, and foreign keys say that the machines are there.
        fn owner<'a>(
            machines: &'a mut [StoredMachine],
            key: &MachineKey,
        ) -> Result<&'a mut StoredMachine, PortError> {
            let at = machines.binary_search_by(|m| m.key.cmp(key));
            let found = at.ok().and_then(|i| machines.get_mut(i));
            found.ok_or_else(|| corrupt(OP, "entry or effect without a machine"))
        }
        let mut tx = self.readers.begin().await.map_err(|e| port_error(OP, e))?;
        let rows = sqlx::query_as::<Sqlite, MachineRow>(queries::MACHINE_LIST)
            .bind(kind.name())
            .fetch_all(&mut *tx)
            .await
            .map_err(|e| port_error(OP, e))?;
        let effects = sqlx::query_as::<Sqlite, OutboxRow>(queries::OUTBOX_LIST)
            .bind(kind.name())
            .fetch_all(&mut *tx)
            .await
            .map_err(|e| port_error(OP, e))?;
        let journals = sqlx::query_as::<Sqlite, JournalRow>(queries::JOURNAL_LIST)
            .bind(kind.name())
            .fetch_all(&mut *tx)
            .await
            .map_err(|e| port_error(OP, e))?;
        let mut machines = rows
            .into_iter()
            .map(|r| r.into_machine(OP, kind))
            .collect::<Result<Vec<_>, _>>()?;
        for entry in journals {
            let (key, entry) = entry.into_entry(OP, kind)?;
            owner(&mut machines, &key)?.journal.push(entry);
        }
        for effect in effects {
            let (key, entry) = effect.into_entry(OP, kind)?;
            owner(&mut machines, &key)?.outbox.push(entry);
        }
        Ok(machines)
    }

    async fn insert_task(&self, task: &NewTaskRow) -> Result<LocalTaskId, PortError> {
        const OP: &str = "storage.insert_task";
        sqlx::query_scalar::<Sqlite, i64>(queries::TASK_INSERT)
            .bind(stored_time(task.created_at))
            .bind(&task.name)
            .bind(task.kind.as_str())
            .bind(task.enable_verify)
            .bind(&task.author)
            .bind(TaskStatus::Pending.code())
            .fetch_one(&self.writer)
            .await
            .map_err(|e| port_error(OP, e))
    }

    async fn update_task(&self, id: LocalTaskId, update: &TaskUpdate) -> Result<(), PortError> {
        const OP: &str = "storage.update_task";
        write::task_update(OP, &self.writer, id, update).await
    }

    async fn task(&self, id: LocalTaskId) -> Result<Option<TaskRow>, PortError> {
        const OP: &str = "storage.task";
        let row = sqlx::query_as::<Sqlite, StoredTask>(queries::TASK_GET)
            .bind(id)
            .fetch_optional(&self.readers)
            .await
            .map_err(|e| port_error(OP, e))?;
        row.map(|r| r.into_row(OP)).transpose()
    }

    async fn task_by_network_id(&self, task: &TaskId) -> Result<Option<TaskRow>, PortError> {
        const OP: &str = "storage.task_by_network_id";
        let row = sqlx::query_as::<Sqlite, StoredTask>(queries::TASK_BY_NETWORK_ID)
            .bind(task.as_str())
            .fetch_optional(&self.readers)
            .await
            .map_err(|e| port_error(OP, e))?;
        row.map(|r| r.into_row(OP)).transpose()
    }

    async fn task_page(
        &self,
        page: u32,
        page_size: u32,
        ascending: bool,
    ) -> Result<TaskPage, PortError> {
        const OP: &str = "storage.task_page";
        let offset = i64::from(page.saturating_sub(1)).saturating_mul(i64::from(page_size));
        let mut tx = self.readers.begin().await.map_err(|e| port_error(OP, e))?;
        let total = sqlx::query_scalar::<Sqlite, i64>(queries::TASK_COUNT)
            .fetch_one(&mut *tx)
            .await
            .map_err(|e| port_error(OP, e))?;
        let rows = sqlx::query_as::<Sqlite, StoredTask>(if ascending {
            queries::TASK_PAGE_ASCENDING
        } else {
            queries::TASK_PAGE_DESCENDING
        })
        .bind(page_size)
        .bind(offset)
        .fetch_all(&mut *tx)
        .await
        .map_err(|e| port_error(OP, e))?;
        let tasks = rows
            .into_iter()
            .map(|r| r.into_row(OP))
            .collect::<Result<_, _>>()?;
        Ok(TaskPage {
            tasks,
            total: total.unsigned_abs(),
        })
    }

    async fn find_tasks(&self, query: &TaskQuery) -> Result<TaskMatches, PortError> {
        find::tasks(&self.readers, query).await
    }

    async fn unfinished_tasks(&self) -> Result<Vec<TaskRow>, PortError> {
        const OP: &str = "storage.unfinished_tasks";
        let rows = sqlx::query_as::<Sqlite, StoredTask>(queries::TASK_UNFINISHED)
            .bind(TaskStatus::Pending.code())
            .bind(TaskStatus::Running.code())
            .fetch_all(&self.readers)
            .await
            .map_err(|e| port_error(OP, e))?;
        rows.into_iter().map(|r| r.into_row(OP)).collect()
    }

    async fn logs(&self, task: &TaskId, start: i64, limit: u32) -> Result<Vec<LogRow>, PortError> {
        const OP: &str = "storage.logs";
        let rows = sqlx::query_as::<Sqlite, StoredLog>(queries::LOG_PAGE)
            .bind(task.as_str())
            .bind(start)
            .bind(limit)
            .fetch_all(&self.readers)
            .await
            .map_err(|e| port_error(OP, e))?;
        rows.into_iter().map(|r| r.into_row(OP)).collect()
    }

    async fn setting(&self, name: &str) -> Result<Option<Vec<u8>>, PortError> {
        const OP: &str = "storage.setting";
        sqlx::query_scalar::<Sqlite, Vec<u8>>(queries::SETTING_GET)
            .bind(name)
            .fetch_optional(&self.readers)
            .await
            .map_err(|e| port_error(OP, e))
    }

    async fn settings(&self, prefix: &str) -> Result<Vec<(String, Vec<u8>)>, PortError> {
        const OP: &str = "storage.settings";
        sqlx::query_as::<Sqlite, (String, Vec<u8>)>(queries::SETTINGS_UNDER)
            .bind(prefix)
            .fetch_all(&self.readers)
            .await
            .map_err(|e| port_error(OP, e))
    }

    async fn set_setting(&self, name: &str, value: &[u8]) -> Result<(), PortError> {
        const OP: &str = "storage.set_setting";
        write::setting(OP, &self.writer, name, value).await
    }

    async fn identity(&self, address: &Address) -> Result<Option<KnownIdentity>, PortError> {
        const OP: &str = "storage.identity";
        let row = sqlx::query_as::<Sqlite, StoredIdentity>(queries::IDENTITY_GET)
            .bind(address.as_str())
            .fetch_optional(&self.readers)
            .await
            .map_err(|e| port_error(OP, e))?;
        row.map(|r| r.into_known(OP)).transpose()
    }

    async fn identities(&self, limit: u32) -> Result<Vec<KnownIdentity>, PortError> {
        const OP: &str = "storage.identities";
        let rows = sqlx::query_as::<Sqlite, StoredIdentity>(queries::IDENTITY_LIST)
            .bind(limit)
            .fetch_all(&self.readers)
            .await
            .map_err(|e| port_error(OP, e))?;
        rows.into_iter().map(|r| r.into_known(OP)).collect()
    }

    async fn keep_identity(&self, known: &KnownIdentity, most: u32) -> Result<bool, PortError> {
        const OP: &str = "storage.keep_identity";
        write::identity(OP, &self.writer, known, most).await
    }

    async fn let_identity_go(
        &self,
        spared: &BTreeSet<Address>,
    ) -> Result<Option<Address>, PortError> {
        const OP: &str = "storage.let_identity_go";
        write::identity_gone(OP, &self.writer, spared).await
    }

    async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}
