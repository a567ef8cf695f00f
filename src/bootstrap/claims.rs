//! What a process has for itself while it runs: two nodes on one database would act on each other's tasks, two on the same data would
//! each count releases and budgets without the other's.
//!
//! A claim is a lock of the operating system (`flock`), which ends with the process, however that ends.

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use crate::config::Config;

/// Held, not read: as long as they are, no other process has these places.
#[derive(Debug, Default)]
pub(crate) struct Claims {
    _held: Vec<File>,
}

impl Claims {
    /// Claims task directory, database and data of a configuration.
    ///
    /// # Errors
    /// Another process has one of them, or a place cannot be written to.
    pub(super) fn of(config: &Config) -> anyhow::Result<Self> {
        let task_dir = &config.task_dir;
        std::fs::create_dir_all(task_dir)
            .with_context(|| format!("task_dir {} cannot be made", task_dir.display()))?;
        let mut held = vec![by_file(&task_dir.join(".node.lock"), "task_dir", task_dir)?];
        if let Some(file) = config.db.file() {
            held.push(beside(file, "db")?);
        }
        held.extend(data(&config.data_dir)?);
        Ok(Self { _held: held })
    }

    /// Claims the file of the embedded connector.
    ///
    /// # Errors
    /// As of [`Self::of`].
    pub(super) fn of_connector(config: &Config) -> anyhow::Result<Self> {
        let file = beside(&config.connector.db_file, "connector.db_file")?;
        Ok(Self { _held: vec![file] })
    }
}

/// The claim on a database: SQLite's own locks come and go with each transaction.
fn beside(database: &Path, setting: &str) -> anyhow::Result<File> {
    let name = database.file_name().unwrap_or_default();
    let lock = PathBuf::from(format!(".{}.lock", name.to_string_lossy()));
    let lock = database.with_file_name(lock);
    if let Some(folder) = lock.parent() {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("the folder {} cannot be made", folder.display()))?;
    }
    by_file(&lock, setting, database)
}

/// The claim on a folder that may be read-only. `None` where its file system has no locks, or it is not there yet.
fn data(folder: &Path) -> anyhow::Result<Option<File>> {
    let Ok(open) = File::open(folder) else {
        return Ok(None);
    };
    match open.try_lock() {
        Ok(()) => Ok(Some(open)),
        Err(TryLockError::WouldBlock) => bail!(
            "another delta-node uses data_dir {}: each would count releases and budgets without the other's; stop it, or give this one data of its own",
            folder.display()
        ),
        Err(TryLockError::Error(e)) => {
            tracing::warn!(
                "data_dir {} cannot be locked, so that a second node on the same data would not be noticed: {e}",
                folder.display()
            );
            Ok(None)
        }
    }
}

fn by_file(lock: &Path, setting: &str, what: &Path) -> anyhow::Result<File> {
    let cannot = |e: io::Error, verb: &str| {
        anyhow::Error::new(e).context(format!("{} cannot be {verb}", lock.display()))
    };
    let file = File::create(lock).map_err(|e| cannot(e, "written"))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => bail!(
            "another delta-node uses {setting} {}; stop it, or give this one a place of its own",
            what.display()
        ),
        Err(TryLockError::Error(e)) => Err(cannot(e, "locked")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(home: &Path, task: &str, db: &str, data: &str) -> Config {
        let mut config = Config::default();
        config.task_dir = home.join(task);
        config.db = crate::config::Database::Sqlite(home.join(db));
        config.data_dir = home.join(data);
        std::fs::create_dir_all(&config.data_dir).unwrap();
        config
    }

    #[test]
    fn no_two_processes_have_one_place() {
        let home = tempfile::tempdir().unwrap();
        let at = |task, db, data| config(home.path(), task, db, data);
        let first = Claims::of(&at("t", "d/x.db", "data")).unwrap();
        for (second, setting) in [
            (at("t", "d/y.db", "other"), "task_dir"),
            (at("u", "d/x.db", "other"), "db"),
            (at("u", "d/y.db", "data"), "data_dir"),
        ] {
            let refused = Claims::of(&second).unwrap_err().to_string();
            assert!(refused.contains(&format!("uses {setting} ")), "{refused}");
        }
        Claims::of(&at("u", "d/y.db", "other")).unwrap();
        drop(first);
        Claims::of(&at("t", "d/x.db", "data")).unwrap();
    }

    #[test]
    fn a_connector_has_its_file_alone() {
        let home = tempfile::tempdir().unwrap();
        let mut config = Config::default();
        config.connector.db_file = home.path().join("c.db");
        let _first = Claims::of_connector(&config).unwrap();
        let refused = Claims::of_connector(&config).unwrap_err().to_string();
        assert!(refused.contains("connector.db_file"), "{refused}");
    }
}
