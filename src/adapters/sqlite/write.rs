//! Everything that writes. Each function works inside the caller's transaction, or is one statement.

use std::collections::BTreeSet;

use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::sqlite::SqlitePool;
use sqlx::{SqlStr, Sqlite, SqliteConnection, Transaction};

use super::error::{corrupt, migration_error, port_error};
use super::rows::stored_time;
use super::{queries, rows};
use delta_domain::ids::Address;
use delta_ports::storage::{
    KnownIdentity, LocalTaskId, MachineChange, NewLog, StateChange, TaskUpdate,
};
use delta_ports::{PortError, PortErrorKind};

/// Takes the write lock at once, so that a transaction never finds out half-way that another handle was faster.
pub(super) async fn begin(
    op: &'static str,
    writer: &SqlitePool,
) -> Result<Transaction<'static, Sqlite>, PortError> {
    writer
        .begin_with("BEGIN IMMEDIATE")
        .await
        .map_err(|e| port_error(op, e))
}

/// Every change of the tables so far, oldest first. A published one is never edited: databases remember its checksum.
fn migrations() -> Vec<Migration> {
    [
        (
            1,
            "init",
            include_str!("../../../migrations/node/0001_init.sql"),
        ),
        (
            2,
            "journal",
            include_str!("../../../migrations/node/0002_journal.sql"),
        ),
        (
            3,
            "identities",
            include_str!("../../../migrations/node/0003_identities.sql"),
        ),
        (
            4,
            "authors",
            include_str!("../../../migrations/node/0004_authors.sql"),
        ),
    ]
    .map(|(version, name, sql)| {
        Migration::new(
            version,
            name.into(),
            MigrationType::Simple,
            SqlStr::from_static(sql),
            false,
        )
    })
    .into()
}

/// Brings the tables up to date, all or nothing. `name` is for the error text.
pub(super) async fn migrate(
    op: &'static str,
    writer: &SqlitePool,
    name: &str,
) -> Result<(), PortError> {
    let mut migrator = Migrator::with_migrations(migrations());
    // Its own table: the original's program or an embedded connector may keep theirs in the same file.
    migrator.dangerous_set_table_name("dn_migrations");
    let newest = migrator.iter().map(|m| m.version).max().unwrap_or(0);
    let mut tx = begin(op, writer).await?;
    migrator
        .run_direct(None, &mut *tx, false)
        .await
        .map_err(|e| migration_error(op, name, newest, e))?;
    tx.commit().await.map_err(|e| port_error(op, e))
}

/// Applies one change of one machine, if it is at the expected version.
pub(super) async fn change(
    op: &'static str,
    tx: &mut SqliteConnection,
    change: &MachineChange,
) -> Result<(), PortError> {
    let (kind, task, round) = (
        change.key.kind.name(),
        change.key.task.as_str(),
        change.key.round,
    );
    let stored = sqlx::query_scalar::<Sqlite, i64>(queries::MACHINE_VERSION)
        .bind(kind)
        .bind(task)
        .bind(round)
        .fetch_optional(&mut *tx)
        .await
        .map_err(|e| port_error(op, e))?
        .unwrap_or(0);
    if u64::try_from(stored) != Ok(change.expected) {
        return Err(PortError::new(
            PortErrorKind::Conflict,
            op,
            format!(
                "{kind} {task} round {round} is at version {stored}, not at {}",
                change.expected
            ),
        ));
    }
    let internal = |why: &str| {
        let text = format!("{kind} {task} round {round} {why}");
        PortError::new(PortErrorKind::Internal, op, text)
    };
    let statement = |sql: &'static str| sqlx::query(sql).bind(kind).bind(task).bind(round);
    let (statements, keeps) = match &change.state {
        StateChange::Snapshot(snapshot) => (
            vec![
                statement(queries::MACHINE_PUT)
                    .bind(stored + 1)
                    .bind(snapshot),
                statement(queries::JOURNAL_CLEAR),
            ],
            true,
        ),
        StateChange::Entry(_) | StateChange::Same if stored == 0 => {
            return Err(internal("is not there, and does not begin with a snapshot"));
        }
        StateChange::Entry(entry) => (
            vec![
                statement(queries::MACHINE_MOVE).bind(stored + 1),
                statement(queries::JOURNAL_PUT).bind(stored + 1).bind(entry),
            ],
            true,
        ),
        StateChange::Same => (
            vec![statement(queries::MACHINE_MOVE).bind(stored + 1)],
            true,
        ),
        StateChange::Deleted => (vec![statement(queries::MACHINE_DELETE)], false),
    };
    if !keeps && !change.enqueue.is_empty() {
        return Err(internal("is deleted and decides effects at once"));
    }
    for statement in statements {
        statement
            .execute(&mut *tx)
            .await
            .map_err(|e| port_error(op, e))?;
    }
    for entry in &change.enqueue {
        let reused = || internal(&format!("uses effect number {} twice", entry.id));
        sqlx::query(queries::OUTBOX_PUT)
            .bind(kind)
            .bind(task)
            .bind(round)
            .bind(effect_id(op, entry.id)?)
            .bind(&entry.effect)
            .execute(&mut *tx)
            .await
            .map_err(|e| {
                if e.as_database_error()
                    .is_some_and(|e| e.is_unique_violation())
                {
                    reused()
                } else {
                    port_error(op, e)
                }
            })?;
    }
    for &id in &change.done {
        sqlx::query(queries::OUTBOX_DONE)
            .bind(kind)
            .bind(task)
            .bind(round)
            .bind(effect_id(op, id)?)
            .execute(&mut *tx)
            .await
            .map_err(|e| port_error(op, e))?;
    }
    Ok(())
}

fn effect_id(op: &'static str, id: u64) -> Result<i64, PortError> {
    i64::try_from(id).map_err(|_| {
        PortError::new(
            PortErrorKind::Internal,
            op,
            format!("effect number {id} is too large"),
        )
    })
}

pub(super) async fn log(
    op: &'static str,
    tx: &mut SqliteConnection,
    log: &NewLog,
) -> Result<(), PortError> {
    sqlx::query(queries::LOG_INSERT)
        .bind(rows::stored_time(log.created_at))
        .bind(log.task.as_str())
        .bind(rows::level_code(log.level))
        .bind(&log.message)
        .bind(log.tx_hash.as_ref().map(|h| h.as_str()))
        .execute(tx)
        .await
        .map_err(|e| port_error(op, e))?;
    Ok(())
}

pub(super) async fn task_update(
    op: &'static str,
    writer: &SqlitePool,
    id: LocalTaskId,
    update: &TaskUpdate,
) -> Result<(), PortError> {
    let done = sqlx::query(queries::TASK_UPDATE)
        .bind(id)
        .bind(update.creator.as_ref().map(|a| a.as_str()))
        .bind(update.task.as_ref().map(|t| t.as_str()))
        .bind(update.status.map(|s| s.code()))
        .bind(update.error.as_deref())
        .execute(writer)
        .await
        .map_err(|e| port_error(op, e))?;
    if done.rows_affected() == 0 {
        return Err(PortError::new(
            PortErrorKind::NotFound,
            op,
            format!("task {id} does not exist"),
        ));
    }
    Ok(())
}

pub(super) async fn setting(
    op: &'static str,
    writer: &SqlitePool,
    name: &str,
    value: &[u8],
) -> Result<(), PortError> {
    sqlx::query(queries::SETTING_PUT)
        .bind(name)
        .bind(value)
        .execute(writer)
        .await
        .map_err(|e| port_error(op, e))?;
    Ok(())
}

pub(super) async fn identity(
    op: &'static str,
    writer: &SqlitePool,
    known: &KnownIdentity,
    most: u32,
) -> Result<bool, PortError> {
    let done = sqlx::query(queries::IDENTITY_PUT)
        .bind(known.address.as_str())
        .bind(&known.document)
        .bind(known.changed.as_deref())
        .bind(stored_time(known.first_seen))
        .bind(stored_time(known.last_seen))
        .bind(most)
        .execute(writer)
        .await
        .map_err(|e| port_error(op, e))?;
    Ok(done.rows_affected() > 0)
}

pub(super) async fn identity_gone(
    op: &'static str,
    writer: &SqlitePool,
    spared: &BTreeSet<Address>,
) -> Result<Option<Address>, PortError> {
    // Addresses are digits and letters: nothing in them needs escaping.
    let quoted: Vec<String> = spared.iter().map(|a| format!("\"{a}\"")).collect();
    let gone = sqlx::query_scalar::<Sqlite, String>(queries::IDENTITY_GO)
        .bind(format!("[{}]", quoted.join(",")))
        .fetch_optional(writer)
        .await
        .map_err(|e| port_error(op, e))?;
    gone.map(|text| Address::try_from(text).map_err(|_| corrupt(op, "node address")))
        .transpose()
}

#[cfg(test)]
mod tests {
    use super::migrations;

    /// What databases in the field have recorded: an edited migration would lock their owners out.
    #[test]
    fn published_migrations_have_the_checksums_that_databases_remember() {
        let published = [
            "9754b9226634c9deb03265877cbcaafbadf04ff90eaebf04b254153a6001423202b893eb34752100c0d20ba6ad9b07de",
            "941e83433f4e77c9749808af07ea4414dbb54b9ff6d385743a835a4ffa666aa5d4bcd2a3e0ea25ca4013a682661bade6",
            "b57f13328eeff2b140ef0ce45ff53fa1fd56905fbd58c6dd26dcbf58a3641b49ad23a1fa87a21334455953495fe87adb",
            "72c695d76b672fff1c45ef95d5d0cf2f91f647b7372488cb606957484f9b865870c9196d44910d37c0edb8a12f0663dc",
        ];
        let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
        let ours: Vec<String> = migrations().iter().map(|m| hex(&m.checksum)).collect();
        assert_eq!(ours, published);
    }
}
