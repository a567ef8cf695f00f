//! From `sqlx::Error` to [`PortError`]: the only place where both are known.

use std::borrow::Cow;

use sqlx::error::DatabaseError;
use sqlx::migrate::MigrateError;

use delta_ports::{PortError, PortErrorKind};

/// A failed statement in operation `op`.
pub(super) fn port_error(op: &'static str, error: sqlx::Error) -> PortError {
    let (kind, message) = classify(&error);
    PortError::new(kind, op, message).with_source(error)
}

/// Stored content that this program cannot have written.
pub(super) fn corrupt(op: &'static str, what: &'static str) -> PortError {
    PortError::new(
        PortErrorKind::Corrupt,
        op,
        format!("the database holds a {what} that is not valid"),
    )
}

/// A failed migration of the database `name`; `newest` is the newest schema version that this program knows.
pub(super) fn migration_error(
    op: &'static str,
    name: &str,
    newest: i64,
    error: MigrateError,
) -> PortError {
    match error {
        MigrateError::VersionMissing(found) if found > newest => PortError::new(
            PortErrorKind::Rejected,
            op,
            format!(
                "the database {name} was written by a newer delta-node (schema {found}, this program knows up to {newest}): \
                 run the newer program, or name another file in `db`"
            ),
        ),
        MigrateError::VersionMissing(found)
        | MigrateError::VersionMismatch(found)
        | MigrateError::Dirty(found) => PortError::new(
            PortErrorKind::Corrupt,
            op,
            format!(
                "schema {found} of the database {name} is not the one that this program would have made: restore a backup, or name another file in `db`"
            ),
        ),
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => {
            port_error(op, error)
        }
        other => PortError::new(
            PortErrorKind::Internal,
            op,
            format!("the tables of the database {name} could not be made"),
        )
        .with_source(other),
    }
}

fn classify(error: &sqlx::Error) -> (PortErrorKind, &'static str) {
    match error {
        sqlx::Error::Database(e) => classify_code(&**e),
        sqlx::Error::Io(_) | sqlx::Error::WorkerCrashed => {
            (PortErrorKind::Unavailable, "the database cannot be reached")
        }
        sqlx::Error::PoolTimedOut => (PortErrorKind::Timeout, "the database is busy"),
        sqlx::Error::PoolClosed => (PortErrorKind::Unavailable, "the database is closed"),
        sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => (
            PortErrorKind::Corrupt,
            "the database holds a value of the wrong type",
        ),
        // The rest cannot come from fixed statements on tables that the migrations made.
        _ => (PortErrorKind::Internal, "the database refused a statement"),
    }
}

/// Result codes: <https://www.sqlite.org/rescode.html>. The low byte is the primary one.
fn classify_code(error: &dyn DatabaseError) -> (PortErrorKind, &'static str) {
    if error.is_unique_violation() {
        return (
            PortErrorKind::Conflict,
            "the database has such an entry already",
        );
    }
    let code = error
        .code()
        .map(Cow::into_owned)
        .and_then(|c| c.parse::<u32>().ok())
        .map(|c| c & 0xff);
    match code {
        Some(5 | 6) => (
            PortErrorKind::Unavailable,
            "the database is locked by another process",
        ),
        Some(7) => (
            PortErrorKind::Exhausted,
            "there is no memory left for the database",
        ),
        Some(13) => (PortErrorKind::Exhausted, "the disk of the database is full"),
        Some(3 | 8 | 14 | 23) => (
            PortErrorKind::Denied,
            "the database file cannot be opened or written",
        ),
        Some(10) => (
            PortErrorKind::Unavailable,
            "the disk of the database failed",
        ),
        Some(11 | 26) => (
            PortErrorKind::Corrupt,
            "the database file is damaged or is no database",
        ),
        _ => (PortErrorKind::Internal, "the database refused a statement"),
    }
}
