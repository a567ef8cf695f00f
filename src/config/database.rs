//! What a `db` key names: which kind of database, and where.
//!
//! The forms are SQLAlchemy's, as the original reads them: `sqlite+aiosqlite:///db/delta.db` is the relative path `db/delta.db`, four
//! slashes begin an absolute one, and two slashes before a path are taken too.

use std::fmt;
use std::path::{Path, PathBuf};

/// A database.
#[derive(Clone, PartialEq, Eq)]
pub enum Database {
    /// An SQLite file.
    Sqlite(PathBuf),
    /// A PostgreSQL server: its URL as written, credentials included. Understood, and not usable yet.
    Postgres(String),
}

/// Why a text names no database; it completes "`db` ...".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unusable {
    /// Another kind of database, or none.
    Kind,
    /// SQLite, but no file that would last.
    NoFile,
}

impl Database {
    /// Reads a URL. What follows a `?` is not part of an SQLite file's name.
    pub(super) fn parse(text: &str) -> Result<Self, Unusable> {
        let (scheme, rest) = text.split_once("://").ok_or(Unusable::Kind)?;
        match scheme {
            "sqlite" | "sqlite+aiosqlite" | "sqlite+pysqlite" => {
                let file = rest.strip_prefix('/').unwrap_or(rest);
                match file.split('?').next().unwrap_or(file) {
                    "" | ":memory:" => Err(Unusable::NoFile),
                    file => Ok(Self::Sqlite(PathBuf::from(file))),
                }
            }
            "postgres" | "postgresql" => Ok(Self::Postgres(text.to_owned())),
            driver if driver.starts_with("postgresql+") => Ok(Self::Postgres(text.to_owned())),
            _ => Err(Unusable::Kind),
        }
    }

    /// The file, for a database that is one.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::Sqlite(file) => Some(file),
            Self::Postgres(_) => None,
        }
    }
}

/// A URL without user and password.
impl fmt::Display for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(file) => write!(f, "sqlite:///{}", file.display()),
            Self::Postgres(url) => {
                let (_, rest) = url.split_once("://").unwrap_or(("", url));
                let place = rest.rsplit_once('@').map_or(rest, |(_, place)| place);
                write!(f, "postgresql://{place}")
            }
        }
    }
}

/// As [`fmt::Display`]: a password must not come into a log by way of a configuration that is printed.
impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Database({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kinds_are_told_apart_in_all_their_spellings() {
        for (text, shown) in [
            ("sqlite+aiosqlite:///db/delta.db", "sqlite:///db/delta.db"),
            ("sqlite+pysqlite://db/delta.db", "sqlite:///db/delta.db"),
            ("sqlite:////var/delta.db?x=1", "sqlite:////var/delta.db"),
            ("postgres://h/d", "postgresql://h/d"),
            ("postgresql://h:5432/d", "postgresql://h:5432/d"),
            ("postgresql+asyncpg://h/d", "postgresql://h/d"),
        ] {
            assert_eq!(Database::parse(text).unwrap().to_string(), shown, "{text}");
        }
        assert_eq!(Database::parse("db/delta.db"), Err(Unusable::Kind));
        assert_eq!(Database::parse("mysql://h/d"), Err(Unusable::Kind));
        assert_eq!(Database::parse("sqlite://"), Err(Unusable::NoFile));
        assert_eq!(Database::parse("sqlite:///:memory:"), Err(Unusable::NoFile));
    }

    #[test]
    fn credentials_are_kept_and_never_shown() {
        let url = "postgresql+asyncpg://delta:s3cr3t@h/d";
        let database = Database::parse(url).unwrap();
        assert_eq!(database, Database::Postgres(url.to_owned()));
        let shown = format!("{database} {database:?}");
        assert!(
            !shown.contains("s3cr3t") && !shown.contains("delta:"),
            "{shown}"
        );
        assert_eq!(database.file(), None);
    }
}
