//! Rows as they stand in the tables, and the way from them to the port's types.
//!
//! What comes back is checked like remote input: an operator may have edited the file.

use sqlx::sqlite::SqliteRow;
use sqlx::{FromRow, Row as _};

use super::error::corrupt;
use delta_domain::ids::{Address, TaskId, TxHash};
use delta_domain::task::{TaskKind, TaskStatus};
use delta_domain::time::Timestamp;
use delta_ports::PortError;
use delta_ports::storage::{
    KnownIdentity, LogLevel, LogRow, MachineKey, MachineKind, NewLog, OutboxEntry, StoredMachine,
    TaskRow,
};

/// Declares a row, and reads it by the names of its columns.
macro_rules! row {
    ($name:ident { $($column:ident: $kind:ty,)+ }) => {
        pub(super) struct $name {
            $($column: $kind,)+
        }

        impl FromRow<'_, SqliteRow> for $name {
            fn from_row(row: &SqliteRow) -> Result<Self, sqlx::Error> {
                Ok(Self { $($column: row.try_get(stringify!($column))?,)+ })
            }
        }
    };
}

row! { MachineRow {
    task: String,
    round: i64,
    version: i64,
    snapshot: Vec<u8>,
} }

impl MachineRow {
    /// The machine with a journal and an outbox that are still empty.
    pub(super) fn into_machine(
        self,
        op: &'static str,
        kind: MachineKind,
    ) -> Result<StoredMachine, PortError> {
        Ok(StoredMachine {
            key: key(op, kind, self.task, self.round)?,
            version: u64::try_from(self.version).map_err(|_| corrupt(op, "version"))?,
            snapshot: self.snapshot,
            journal: Vec::new(),
            outbox: Vec::new(),
        })
    }
}

row! { JournalRow {
    task: String,
    round: i64,
    version: i64,
    entry: Vec<u8>,
} }

impl JournalRow {
    pub(super) fn into_entry(
        self,
        op: &'static str,
        kind: MachineKind,
    ) -> Result<(MachineKey, (u64, Vec<u8>)), PortError> {
        let key = key(op, kind, self.task, self.round)?;
        let version = u64::try_from(self.version).map_err(|_| corrupt(op, "version"))?;
        Ok((key, (version, self.entry)))
    }
}

row! { OutboxRow {
    task: String,
    round: i64,
    id: i64,
    effect: Vec<u8>,
} }

impl OutboxRow {
    pub(super) fn into_entry(
        self,
        op: &'static str,
        kind: MachineKind,
    ) -> Result<(MachineKey, OutboxEntry), PortError> {
        let key = key(op, kind, self.task, self.round)?;
        let id = u64::try_from(self.id).map_err(|_| corrupt(op, "effect number"))?;
        Ok((
            key,
            OutboxEntry {
                id,
                effect: self.effect,
            },
        ))
    }
}

fn key(
    op: &'static str,
    kind: MachineKind,
    task: String,
    round: i64,
) -> Result<MachineKey, PortError> {
    Ok(MachineKey {
        kind,
        task: task.try_into().map_err(|_| corrupt(op, "task id"))?,
        round: u32::try_from(round).map_err(|_| corrupt(op, "round number"))?,
    })
}

row! { StoredTask {
    id: i64,
    created_at: i64,
    name: String,
    kind: String,
    enable_verify: bool,
    author: Option<String>,
    creator: Option<String>,
    task: Option<String>,
    status: i64,
    error: Option<String>,
} }

impl StoredTask {
    pub(super) fn into_row(self, op: &'static str) -> Result<TaskRow, PortError> {
        Ok(TaskRow {
            id: self.id,
            created_at: timestamp(op, self.created_at)?,
            name: self.name,
            kind: self
                .kind
                .parse::<TaskKind>()
                .map_err(|_| corrupt(op, "task kind"))?,
            enable_verify: self.enable_verify,
            author: self.author,
            creator: self
                .creator
                .map(Address::try_from)
                .transpose()
                .map_err(|_| corrupt(op, "node address"))?,
            task: self
                .task
                .map(TaskId::try_from)
                .transpose()
                .map_err(|_| corrupt(op, "task id"))?,
            status: u8::try_from(self.status)
                .ok()
                .and_then(TaskStatus::from_code)
                .ok_or_else(|| corrupt(op, "task status"))?,
            error: self.error,
        })
    }
}

row! { StoredLog {
    id: i64,
    created_at: i64,
    task: String,
    level: i64,
    message: String,
    tx_hash: Option<String>,
} }

impl StoredLog {
    pub(super) fn into_row(self, op: &'static str) -> Result<LogRow, PortError> {
        Ok(LogRow {
            id: self.id,
            log: NewLog {
                created_at: timestamp(op, self.created_at)?,
                task: self.task.try_into().map_err(|_| corrupt(op, "task id"))?,
                level: match self.level {
                    0 => LogLevel::Info,
                    1 => LogLevel::Warn,
                    2 => LogLevel::Error,
                    _ => return Err(corrupt(op, "log level")),
                },
                message: self.message,
                tx_hash: self
                    .tx_hash
                    .map(TxHash::try_from)
                    .transpose()
                    .map_err(|_| corrupt(op, "transaction hash"))?,
            },
        })
    }
}

row! { StoredIdentity {
    address: String,
    document: Vec<u8>,
    changed: Option<Vec<u8>>,
    first_seen: i64,
    last_seen: i64,
} }

impl StoredIdentity {
    pub(super) fn into_known(self, op: &'static str) -> Result<KnownIdentity, PortError> {
        Ok(KnownIdentity {
            address: Address::try_from(self.address).map_err(|_| corrupt(op, "node address"))?,
            document: self.document,
            changed: self.changed,
            first_seen: timestamp(op, self.first_seen)?,
            last_seen: timestamp(op, self.last_seen)?,
        })
    }
}

pub(super) fn level_code(level: LogLevel) -> i64 {
    match level {
        LogLevel::Info => 0,
        LogLevel::Warn => 1,
        LogLevel::Error => 2,
    }
}

/// SQLite's integers are signed: times after the year 292 million are stored as that.
pub(super) fn stored_time(time: Timestamp) -> i64 {
    i64::try_from(time.0).unwrap_or(i64::MAX)
}

fn timestamp(op: &'static str, stored: i64) -> Result<Timestamp, PortError> {
    u64::try_from(stored)
        .map(Timestamp)
        .map_err(|_| corrupt(op, "time"))
}
