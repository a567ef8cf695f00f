//! What the configuration key `db` names: a file, or memory.
//!
//! The original's values work as they are; the rule about slashes is SQLAlchemy's, for every scheme:
//! `sqlite+aiosqlite:///db/delta.db` is the relative path `db/delta.db`, four slashes begin an absolute path.

use std::path::PathBuf;

use delta_ports::{PortError, PortErrorKind};

/// Where a database is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum DatabaseUrl {
    /// Nowhere: it is gone when the handle is.
    Memory,
    /// In this file.
    File(PathBuf),
}

impl DatabaseUrl {
    pub(super) fn parse(op: &'static str, text: &str) -> Result<Self, PortError> {
        let refused = |why: String| Err(PortError::new(PortErrorKind::Rejected, op, why));
        let path = match text.split_once("://") {
            None => text,
            Some((scheme, rest)) => {
                if !(scheme == "sqlite" || scheme.starts_with("sqlite+")) {
                    return refused(format!(
                        "the database {text:?} is not SQLite: use a path, or sqlite:///PATH"
                    ));
                }
                if rest.contains('?') {
                    return refused(format!(
                        "the database {text:?} has options after '?', and there are none to set: remove them"
                    ));
                }
                match rest.strip_prefix('/').unwrap_or(rest) {
                    "" => ":memory:",
                    path => path,
                }
            }
        };
        match path {
            "" => refused(
                "the database has no name: use a path, sqlite:///PATH or :memory:".to_owned(),
            ),
            ":memory:" => Ok(Self::Memory),
            path if path.ends_with('/') => refused(format!(
                "the database {text:?} is a folder: name a file in it"
            )),
            path => Ok(Self::File(PathBuf::from(path))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slashes_count_as_the_original_counts_them() {
        for (text, path) in [
            ("sqlite+aiosqlite:///db/delta.db", "db/delta.db"),
            ("sqlite+aiosqlite:////var/lib/delta.db", "/var/lib/delta.db"),
            ("sqlite:///db/delta.db", "db/delta.db"),
            ("sqlite:////var/lib/delta.db", "/var/lib/delta.db"),
            ("sqlite://delta.db", "delta.db"),
            ("db/delta.db", "db/delta.db"),
            ("/var/lib/delta.db", "/var/lib/delta.db"),
        ] {
            assert_eq!(
                DatabaseUrl::parse("test", text).unwrap(),
                DatabaseUrl::File(path.into()),
                "{text}"
            );
        }
    }

    #[test]
    fn memory_has_the_names_that_sqlalchemy_gives_it() {
        for text in [
            ":memory:",
            "sqlite://",
            "sqlite:///",
            "sqlite:///:memory:",
            "sqlite+aiosqlite://",
        ] {
            assert_eq!(
                DatabaseUrl::parse("test", text).unwrap(),
                DatabaseUrl::Memory,
                "{text}"
            );
        }
    }

    #[test]
    fn other_databases_and_nonsense_are_refused() {
        for text in [
            "",
            "postgresql://host/db",
            "sqlitefoo:///x",
            "sqlite:///x?mode=ro",
            "db/",
        ] {
            assert_eq!(
                DatabaseUrl::parse("test", text).unwrap_err().kind(),
                PortErrorKind::Rejected,
                "{text}"
            );
        }
    }
}
