//! What only a file can do wrong.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;

use delta_node::adapters::sqlite::SqliteStorage;
use delta_node::ports::PortErrorKind;
use delta_node::ports::storage::{MachineChange, OutboxEntry, StateChange, Storage};
use delta_testing::contracts::storage::Subject as _;
use delta_testing::contracts::storage::moves::{commit, delete, key, new_task, put, state};

use super::Sqlite;

/// Every file of the database.
fn files(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = fs::read_dir(dir).unwrap().map(|e| e.unwrap());
    entries
        .map(|e| {
            (
                e.file_name().into_string().unwrap(),
                fs::read(e.path()).unwrap(),
            )
        })
        .collect()
}

fn holds(files: &[(String, Vec<u8>)], needle: &[u8]) -> bool {
    files
        .iter()
        .any(|(_, bytes)| bytes.windows(needle.len()).any(|w| w == needle))
}

#[tokio::test]
async fn deleted_secrets_are_in_no_file() {
    const SECRET: &str = "the seed of the self mask";
    let backend = Sqlite::new();
    let dir = backend.0.path().join("db");
    let s: Arc<dyn Storage> = Arc::new(backend.storage().await);
    // One small, one on overflow pages; in a snapshot that is replaced, one that is deleted, in entries, and an effect.
    let long = format!("{}{SECRET}", "x".repeat(50_000));
    let secret_effect = OutboxEntry {
        id: 1,
        effect: SECRET.as_bytes().to_vec(),
    };
    commit(
        &s,
        vec![
            MachineChange {
                enqueue: vec![secret_effect],
                ..put(&key(1, 1), 0, SECRET)
            },
            put(&key(1, 2), 0, &long),
            MachineChange {
                state: StateChange::Entry(SECRET.as_bytes().to_vec()),
                ..put(&key(1, 2), 1, "")
            },
        ],
    )
    .await
    .unwrap();
    assert!(
        holds(&files(&dir), SECRET.as_bytes()),
        "this test would see it"
    );
    commit(
        &s,
        vec![
            put(&key(1, 1), 1, "short"),
            put(&key(1, 2), 2, "short"),
            MachineChange {
                state: StateChange::Entry(long.as_bytes().to_vec()),
                ..put(&key(1, 2), 3, "")
            },
            put(&key(1, 3), 0, "keeps"),
        ],
    )
    .await
    .unwrap();
    commit(&s, vec![delete(&key(1, 1), 2), delete(&key(1, 2), 4)])
        .await
        .unwrap();
    let found = files(&dir);
    assert!(
        !holds(&found, SECRET.as_bytes()),
        "{:?}",
        found.iter().map(|(name, _)| name).collect::<Vec<_>>()
    );
    assert_eq!(state(&s, &key(1, 3)).await, Some((1, "keeps".to_owned())));
}

#[tokio::test]
async fn the_files_are_private() {
    let backend = Sqlite::new();
    let s = backend.storage().await;
    s.set_setting("k", b"v").await.unwrap();
    let dir = backend.0.path().join("db");
    assert_eq!(
        fs::metadata(&dir).unwrap().permissions().mode() & 0o777,
        0o700
    );
    let mut seen = 0;
    for entry in fs::read_dir(&dir).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(
            entry.metadata().unwrap().permissions().mode() & 0o777,
            0o600,
            "{:?}",
            entry.file_name()
        );
        seen += 1;
    }
    assert!(seen >= 2, "the file and its log");
}

#[tokio::test]
async fn the_originals_file_is_taken_over_beside_its_tables() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("delta.db");
    // Made by another program, readable by all, with tables and migrations of its own.
    let pool = sqlx::SqlitePool::connect_with(
        sqlx::sqlite::SqliteConnectOptions::new()
            .filename(&path)
            .create_if_missing(true),
    )
    .await
    .unwrap();
    for sql in [
        "CREATE TABLE task (id INTEGER PRIMARY KEY, name TEXT)",
        "INSERT INTO task (name) VALUES ('old')",
        "CREATE TABLE _sqlx_migrations (version BIGINT PRIMARY KEY, anything TEXT)",
    ] {
        sqlx::query(sql).execute(&pool).await.unwrap();
    }
    pool.close().await;
    fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();

    let s = SqliteStorage::open(path.to_str().unwrap()).await.unwrap();
    assert_eq!(s.insert_task(&new_task("new")).await.unwrap(), 1);
    assert_eq!(
        fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );
    s.close().await;
    let pool =
        sqlx::SqlitePool::connect_with(sqlx::sqlite::SqliteConnectOptions::new().filename(&path))
            .await
            .unwrap();
    let name: String = sqlx::query_scalar("SELECT name FROM task")
        .fetch_one(&pool)
        .await
        .unwrap();
    assert_eq!(name, "old");
}

#[tokio::test]
async fn a_database_of_a_newer_program_is_refused_and_left_alone() {
    let backend = Sqlite::new();
    backend.storage().await.close().await;
    let path = backend.0.path().join("db/delta.db");
    let pool =
        sqlx::SqlitePool::connect_with(sqlx::sqlite::SqliteConnectOptions::new().filename(&path))
            .await
            .unwrap();
    sqlx::query("INSERT INTO dn_migrations (version, description, success, checksum, execution_time) VALUES (99, 'later', TRUE, x'00', 0)")
        .execute(&pool)
        .await
        .unwrap();
    pool.close().await;
    let error = SqliteStorage::open(&backend.url()).await.unwrap_err();
    assert_eq!(error.kind(), PortErrorKind::Rejected);
    assert!(
        error.message().contains("newer delta-node (schema 99"),
        "{error}"
    );
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("delta.db");
    let text = "this is a letter, not a database. ".repeat(100);
    fs::write(&path, &text).unwrap();
    let error = SqliteStorage::open(path.to_str().unwrap())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), PortErrorKind::Corrupt, "{error}");
    assert_eq!(fs::read_to_string(&path).unwrap(), text);
}

#[tokio::test]
async fn rows_that_nobody_could_have_written_are_corrupt() {
    let backend = Sqlite::new();
    let s = backend.storage().await;
    s.insert_task(&new_task("t")).await.unwrap();
    let path = backend.0.path().join("db/delta.db");
    let pool =
        sqlx::SqlitePool::connect_with(sqlx::sqlite::SqliteConnectOptions::new().filename(&path))
            .await
            .unwrap();
    sqlx::query("UPDATE dn_tasks SET status = 9")
        .execute(&pool)
        .await
        .unwrap();
    let error = s.task(1).await.unwrap_err();
    assert_eq!(error.kind(), PortErrorKind::Corrupt);
    assert!(error.message().contains("task status"), "{error}");
}

/// SQLite ends a transaction by itself when the disk is full, as it does for this trigger.
#[tokio::test]
async fn a_transaction_that_sqlite_has_ended_is_the_last_to_fail() {
    let backend = Sqlite::new();
    let s = backend.storage().await;
    let path = backend.0.path().join("db/delta.db");
    let pool =
        sqlx::SqlitePool::connect_with(sqlx::sqlite::SqliteConnectOptions::new().filename(&path))
            .await
            .unwrap();
    let full = "CREATE TRIGGER full BEFORE INSERT ON dn_machines BEGIN SELECT RAISE(ROLLBACK, 'full'); END";
    sqlx::query(full).execute(&pool).await.unwrap();
    let s: Arc<dyn Storage> = Arc::new(s);
    for _ in 0..3 {
        commit(&s, vec![put(&key(1, 1), 0, "a")]).await.unwrap_err();
    }
    let freed = sqlx::query("DROP TRIGGER full").execute(&pool);
    freed.await.unwrap();
    commit(&s, vec![put(&key(1, 1), 0, "a")]).await.unwrap();
    assert!(state(&s, &key(1, 1)).await.is_some());
}

#[tokio::test]
async fn a_database_in_memory_works_the_same() {
    let s: Arc<dyn Storage> = Arc::new(SqliteStorage::open(":memory:").await.unwrap());
    commit(&s, vec![put(&key(1, 1), 0, "a")]).await.unwrap();
    commit(&s, vec![delete(&key(1, 1), 1)]).await.unwrap();
    assert_eq!(s.task_page(1, 10, true).await.unwrap().total, 0);
    assert_eq!(state(&s, &key(1, 1)).await, None);
}

#[tokio::test]
async fn a_closed_database_is_unavailable() {
    let backend = Sqlite::new();
    let s = backend.storage().await;
    s.close().await;
    assert_eq!(
        s.setting("k").await.unwrap_err().kind(),
        PortErrorKind::Unavailable
    );
    assert_eq!(
        s.set_setting("k", b"v").await.unwrap_err().kind(),
        PortErrorKind::Unavailable
    );
}

/// A commit that is dropped half-way leaves the database as it was or as it will be, and does not keep it locked.
#[tokio::test]
async fn a_dropped_commit_blocks_nobody() {
    let backend = Sqlite::new();
    let (first, second): (Arc<dyn Storage>, Arc<dyn Storage>) =
        (backend.open().await, backend.open().await);
    for polls in 0..40 {
        let k = key(1, polls);
        let mut dropped =
            Box::pin(first.commit(vec![put(&k, 0, "a"), put(&key(2, polls), 0, "b")], vec![]));
        for _ in 0..polls {
            if futures_util::poll!(&mut dropped).is_ready() {
                break;
            }
            tokio::task::yield_now().await;
        }
        drop(dropped);
        second
            .set_setting("n", polls.to_string().as_bytes())
            .await
            .expect("the lock is free");
        assert_eq!(
            state(&second, &k).await.is_some(),
            state(&second, &key(2, polls)).await.is_some()
        );
    }
}
