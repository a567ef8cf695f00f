//! What goes wrong between a database and a file, in words for the owner.

use std::fmt::Display;
use std::io;
use std::path::Path;
use std::time::Duration;

use delta_domain::ids::DatasetName;
use delta_domain::query::Query;
use delta_ports::{PortError, PortErrorKind};

const TAKE: &str = "snapshots.take";

/// Why there is no answer.
#[derive(Debug)]
pub(crate) struct Failure {
    kind: PortErrorKind,
    /// Whether the database says so, and not this node.
    theirs: bool,
    what: String,
}

impl Failure {
    fn new(kind: PortErrorKind, what: impl Into<String>) -> Self {
        Self {
            kind,
            theirs: false,
            what: what.into(),
        }
    }

    /// The owner must change something.
    pub(crate) fn rejected(what: impl Into<String>) -> Self {
        Self::new(PortErrorKind::Rejected, what)
    }

    pub(crate) fn internal(what: impl Into<String>) -> Self {
        Self::new(PortErrorKind::Internal, what)
    }

    pub(crate) fn unreachable(what: impl Into<String>) -> Self {
        Self::new(PortErrorKind::Unavailable, what)
    }

    /// A task began to read what was to be replaced.
    pub(crate) fn held() -> Self {
        Self::new(
            PortErrorKind::Conflict,
            "a task has begun to read what is there; it stays until that one is done",
        )
    }

    /// The whole answer took too long.
    pub(crate) fn slow(timeout: Duration) -> Self {
        Self::new(
            PortErrorKind::Timeout,
            format!(
                "there is no whole answer after {} s; ask for less, or set `timeout` of the query",
                timeout.as_secs()
            ),
        )
    }

    /// What a database says of a query.
    pub(crate) fn said(message: impl Display) -> Self {
        Self {
            theirs: true,
            ..Self::rejected(message.to_string())
        }
    }

    /// A cell that cannot be kept as it is.
    pub(crate) fn cell(column: &str, row: u64, what: impl Display) -> Self {
        Self::rejected(format!(
            "row {row} of the answer, column {column:?}: {what}"
        ))
    }

    pub(crate) fn io(act: &str, path: &Path, error: &io::Error) -> Self {
        let kind = match error.kind() {
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                PortErrorKind::Denied
            }
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => PortErrorKind::Exhausted,
            _ => PortErrorKind::Unavailable,
        };
        Self::new(kind, format!("cannot {act} {}: {error}", path.display()))
    }

    /// In the port's words.
    pub(crate) fn into_port(self, name: &DatasetName, query: &Query) -> PortError {
        let what = match self.theirs {
            true => format!("{name}: {} says: {}", query.server, self.what),
            false => format!("{name}, from {}: {}", query.server, self.what),
        };
        PortError::new(self.kind, TAKE, what)
    }

    /// The same, where no database was asked.
    pub(crate) fn into_port_of_file(self, name: &DatasetName) -> PortError {
        PortError::new(
            self.kind,
            "snapshots.kept",
            format!("{name}: {}", self.what),
        )
    }
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        match error {
            sqlx::Error::Database(said) => match said.code().as_deref() {
                // PostgreSQL that starts, stops, or has no connection left; MySQL that has none left.
                Some("57P01" | "57P02" | "57P03" | "53300" | "08004") => {
                    Self::unreachable(said.message().to_owned())
                }
                Some("57014") => Self::new(
                    PortErrorKind::Timeout,
                    "the database has given the query up; ask for less, or set `timeout` of the query",
                ),
                _ => Self::said(said.message()),
            },
            sqlx::Error::Io(e) => Self::unreachable(format!("it cannot be reached: {e}")),
            sqlx::Error::Tls(e) => Self::unreachable(format!(
                "the way to it cannot be protected: {e}; `ca` names who vouches for it, and `tls` what is asked for"
            )),
            other => Self::rejected(other.to_string()),
        }
    }
}
