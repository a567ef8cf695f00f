//! What is done to a database file beside the node's work: copying it while it is in use, looking whether it is sound, and taking from a
//! copy what must not be used twice.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode};
use sqlx::{ConnectOptions as _, Connection as _, Sqlite};

use super::error::port_error;
use delta_ports::{PortError, PortErrorKind};

/// How long another process that holds the file is waited for.
const BUSY_TIMEOUT: Duration = Duration::from_secs(3);
/// How often files that their process holds are copied again because they have changed meanwhile, and the pause between two tries.
const TRIES: u32 = 50;
const PAUSE: Duration = Duration::from_millis(100);
/// Faults of a file that are told.
const FAULTS: u32 = 10;

async fn open(
    op: &'static str,
    file: &Path,
    read_only: bool,
) -> Result<SqliteConnection, PortError> {
    if !file.is_file() {
        let text = format!("there is no database {}", file.display());
        return Err(PortError::new(PortErrorKind::NotFound, op, text));
    }
    let mut options = SqliteConnectOptions::new()
        .filename(file)
        .read_only(read_only)
        .foreign_keys(true)
        .busy_timeout(BUSY_TIMEOUT)
        .pragma("secure_delete", "ON");
    if !read_only {
        // What is deleted is not in a file beside it either.
        options = options.journal_mode(SqliteJournalMode::Memory);
    }
    options.connect().await.map_err(|e| port_error(op, e))
}

async fn close(op: &'static str, connection: SqliteConnection) -> Result<(), PortError> {
    connection.close().await.map_err(|e| port_error(op, e))
}

/// Writes `from` as it is at one moment into the new file `to`, without what was deleted. Whoever works with it goes on to.
///
/// # Errors
/// `NotFound` where there is none; `Corrupt` for one that is damaged; `Exhausted` without room; `Rejected` where `to` is there already.
pub async fn copy(from: &Path, to: &Path) -> Result<(), PortError> {
    match written_anew(from, to, true).await {
        // Its process has it for itself, as an embedded connector has.
        Err(e) if e.kind() == PortErrorKind::Unavailable => copy_of_held(from, to).await,
        copied => copied,
    }
}

async fn written_anew(from: &Path, to: &Path, read_only: bool) -> Result<(), PortError> {
    const OP: &str = "database.copy";
    let mut connection = open(OP, from, read_only).await?;
    let target = to.to_str().ok_or_else(|| {
        let text = format!("{} is no name in UTF-8", to.display());
        PortError::new(PortErrorKind::Rejected, OP, text)
    })?;
    let copied = sqlx::query::<Sqlite>("VACUUM INTO ?")
        .bind(target)
        .execute(&mut connection)
        .await
        .map_err(|e| port_error(OP, e));
    close(OP, connection).await?;
    copied.map(drop)
}

/// Copies the files of a database that nobody else may open. What is committed stands in the write-ahead log, frame by frame with a
/// checksum, and the database itself changes only when that log is worked into it: where it has not changed while both were copied, in
/// this order, they are the database at the last whole commit of the copied log.
async fn copy_of_held(from: &Path, to: &Path) -> Result<(), PortError> {
    const OP: &str = "database.copy";
    let failed = |e: std::io::Error| {
        let text = format!("{} cannot be copied", from.display());
        PortError::new(PortErrorKind::Unavailable, OP, text).with_source(e)
    };
    let beside = |file: &Path, end: &str| {
        let mut name = file.as_os_str().to_owned();
        name.push(end);
        PathBuf::from(name)
    };
    let (raw, log) = (beside(to, ".raw"), beside(from, "-wal"));
    let mut outcome = Err(PortError::new(
        PortErrorKind::Unavailable,
        OP,
        format!(
            "{} changes all the time; stop its process first",
            from.display()
        ),
    ));
    for _ in 0..TRIES {
        let before = state(from, &log).map_err(failed)?;
        tokio::fs::copy(from, &raw).await.map_err(failed)?;
        if log.is_file() {
            let target = beside(&raw, "-wal");
            tokio::fs::copy(&log, target).await.map_err(failed)?;
        }
        if state(from, &log).map_err(failed)? == before {
            outcome = written_anew(&raw, to, false).await;
            break;
        }
        tokio::time::sleep(PAUSE).await;
    }
    for end in ["", "-wal", "-shm"] {
        // The last two may not be there.
        drop(tokio::fs::remove_file(beside(&raw, end)).await);
    }
    outcome?;
    match examine(to).await?.as_slice() {
        [] => Ok(()),
        faults => Err(PortError::new(
            PortErrorKind::Corrupt,
            OP,
            faults.join("; "),
        )),
    }
}

/// What changes whenever the log is worked into the database: when the database was written, how long it is, the log's head.
fn state(file: &Path, log: &Path) -> std::io::Result<(SystemTime, u64, Vec<u8>)> {
    let about = std::fs::metadata(file)?;
    let mut head = Vec::new();
    match std::fs::File::open(log) {
        Ok(log) => drop(log.take(32).read_to_end(&mut head)?),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
        Err(e) => return Err(e),
    }
    Ok((about.modified()?, about.len(), head))
}

/// What is wrong with a database file; empty when nothing is. Whoever works with it goes on to.
///
/// # Errors
/// `NotFound` where there is none; `Corrupt` for what cannot even be opened.
pub async fn examine(file: &Path) -> Result<Vec<String>, PortError> {
    const OP: &str = "database.examine";
    let mut connection = open(OP, file, true).await?;
    let query = format!("PRAGMA quick_check({FAULTS})");
    let found: Result<Vec<String>, _> =
        sqlx::query_scalar::<Sqlite, String>(sqlx::AssertSqlSafe(query))
            .fetch_all(&mut connection)
            .await;
    let found = found.map_err(|e| port_error(OP, e));
    close(OP, connection).await?;
    Ok(found?.into_iter().filter(|line| line != "ok").collect())
}

/// Takes open rounds and members' keys out of a copy of a node's database, and sets a setting. A node that took a round up again from an
/// older state could mask two vectors alike, or reveal what it must not; and who has them together with the node's key, which may be long
/// after the task's end, opens what was sealed for this node.
///
/// # Errors
/// The database's.
pub async fn forget_rounds(file: &Path, setting: &str, value: &[u8]) -> Result<u64, PortError> {
    const OP: &str = "database.forget_rounds";
    let mut connection = open(OP, file, false).await?;
    let query = "DELETE FROM dn_machines WHERE kind IN ('coordinator_round', 'runner_round', 'runner_keys')";
    let forgotten = deleted(&mut connection, query, setting, value).await;
    let forgotten = forgotten.map_err(|e| port_error(OP, e));
    close(OP, connection).await?;
    forgotten
}

/// Runs a deletion and sets a setting, both or neither.
async fn deleted(
    connection: &mut SqliteConnection,
    deletion: &'static str,
    setting: &str,
    value: &[u8],
) -> Result<u64, sqlx::Error> {
    let mut change = connection.begin().await?;
    let forgotten = sqlx::query::<Sqlite>(deletion)
        .execute(&mut *change)
        .await?;
    let query = "INSERT INTO dn_settings (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value";
    sqlx::query::<Sqlite>(query)
        .bind(setting)
        .bind(value)
        .execute(&mut *change)
        .await?;
    change.commit().await?;
    Ok(forgotten.rows_affected())
}

/// Takes all tasks of others, and what was known of their rounds, out of a node's database, and sets a setting.
///
/// # Errors
/// The database's.
pub async fn forget_tasks(file: &Path, setting: &str) -> Result<u64, PortError> {
    const OP: &str = "database.forget_tasks";
    let mut connection = open(OP, file, false).await?;
    let query =
        "DELETE FROM dn_machines WHERE kind IN ('runner_task', 'runner_round', 'runner_keys')";
    let forgotten = deleted(&mut connection, query, setting, b"1").await;
    let forgotten = forgotten.map_err(|e| port_error(OP, e));
    close(OP, connection).await?;
    forgotten
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SqliteStorage;
    use delta_domain::ids::TaskId;
    use delta_ports::storage::{MachineChange, MachineKey, MachineKind, StateChange, Storage as _};

    fn key(kind: MachineKind, round: u32) -> MachineKey {
        let task: TaskId = format!("0x{}", "ab".repeat(32)).parse().unwrap();
        MachineKey { kind, task, round }
    }

    fn machine(kind: MachineKind, round: u32) -> MachineChange {
        MachineChange {
            key: key(kind, round),
            expected: 0,
            state: StateChange::Snapshot(match kind {
                MachineKind::CoordinatorTask | MachineKind::RunnerTask => b"state".to_vec(),
                _ => b"what a round keeps secret".to_vec(),
            }),
            enqueue: Vec::new(),
            done: Vec::new(),
        }
    }

    #[tokio::test]
    async fn a_copy_is_whole_while_the_original_is_in_use_and_forgets_rounds() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("a.db"), folder.path().join("b.db"));
        let storage = SqliteStorage::open(from.to_str().unwrap()).await.unwrap();
        storage.set_setting("address", b"0x1").await.unwrap();
        let kinds = [
            (MachineKind::CoordinatorTask, 0),
            (MachineKind::CoordinatorRound, 3),
            (MachineKind::RunnerTask, 0),
            (MachineKind::RunnerRound, 4),
            (MachineKind::RunnerKeys, 0),
        ];
        let changes = kinds.iter().map(|(kind, round)| machine(*kind, *round));
        storage.commit(changes.collect(), Vec::new()).await.unwrap();
        copy(&from, &to).await.unwrap();
        assert_eq!(examine(&to).await.unwrap(), Vec::<String>::new());
        // The original is still whole, and still the node's.
        storage.set_setting("address", b"0x2").await.unwrap();
        assert_eq!(forget_rounds(&to, "restored", b"1").await.unwrap(), 3);
        let bytes = std::fs::read(&to).unwrap();
        let secret = b"what a round keeps secret";
        assert!(!bytes.windows(secret.len()).any(|w| w == secret));
        assert_eq!(
            std::fs::read_dir(folder.path())
                .unwrap()
                .filter(|e| {
                    let name = e.as_ref().unwrap().file_name();
                    name.to_string_lossy().starts_with("b.db")
                })
                .count(),
            1
        );
        let copied = SqliteStorage::open(to.to_str().unwrap()).await.unwrap();
        assert_eq!(copied.setting("address").await.unwrap().unwrap(), b"0x1");
        assert_eq!(copied.setting("restored").await.unwrap().unwrap(), b"1");
        for (kind, round) in kinds {
            let kept = matches!(kind, MachineKind::CoordinatorTask | MachineKind::RunnerTask);
            let there = copied.machine(&key(kind, round)).await.unwrap();
            assert_eq!(there.is_some(), kept, "{kind:?}");
            let there = storage.machine(&key(kind, round)).await.unwrap();
            assert!(there.is_some(), "{kind:?}");
        }
        copied.close().await;
        assert_eq!(forget_tasks(&to, "resumed").await.unwrap(), 1);
        let copied = SqliteStorage::open(to.to_str().unwrap()).await.unwrap();
        assert_eq!(copied.setting("resumed").await.unwrap().unwrap(), b"1");
        for (kind, round) in kinds {
            let kept = kind == MachineKind::CoordinatorTask;
            let there = copied.machine(&key(kind, round)).await.unwrap();
            assert_eq!(there.is_some(), kept, "{kind:?}");
        }
    }

    #[tokio::test]
    async fn a_database_that_its_process_has_for_itself_is_copied_too() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("a.db"), folder.path().join("b.db"));
        let mut held = SqliteConnectOptions::new()
            .filename(&from)
            .create_if_missing(true)
            .pragma("locking_mode", "EXCLUSIVE")
            .journal_mode(SqliteJournalMode::Wal)
            .connect()
            .await
            .unwrap();
        let write = |n: i64| sqlx::query::<Sqlite>("INSERT INTO t VALUES (?)").bind(n);
        let query = sqlx::query::<Sqlite>("CREATE TABLE t (n INTEGER) STRICT");
        query.execute(&mut held).await.unwrap();
        for n in 0..10 {
            write(n).execute(&mut held).await.unwrap();
        }
        copy(&from, &to).await.unwrap();
        // It goes on, and the copy is the ten rows.
        write(10).execute(&mut held).await.unwrap();
        let mut copied = open("test", &to, true).await.unwrap();
        let count = sqlx::query_scalar::<Sqlite, i64>("SELECT count(*) FROM t");
        assert_eq!(count.fetch_one(&mut copied).await.unwrap(), 10);
        let names: Vec<_> = std::fs::read_dir(folder.path())
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.contains("raw"))
            .collect();
        assert!(names.is_empty(), "{names:?}");
    }

    #[tokio::test]
    async fn nothing_is_overwritten_and_damage_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("a.db"), folder.path().join("b.db"));
        let missing = copy(&from, &to).await.unwrap_err();
        assert_eq!(missing.kind(), PortErrorKind::NotFound);
        let storage = SqliteStorage::open(from.to_str().unwrap()).await.unwrap();
        for n in 0..200 {
            let value = vec![7; 1000];
            storage.set_setting(&format!("s{n}"), &value).await.unwrap();
        }
        storage.close().await;
        std::fs::write(&to, "somebody's").unwrap();
        assert!(copy(&from, &to).await.is_err());
        assert_eq!(std::fs::read(&to).unwrap(), b"somebody's");
        let mut bytes = std::fs::read(&from).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle..middle + 8192].fill(0xff);
        std::fs::write(&from, bytes).unwrap();
        match examine(&from).await {
            Ok(found) => assert!(!found.is_empty()),
            Err(e) => assert_eq!(e.kind(), PortErrorKind::Corrupt, "{e}"),
        }
    }
}
