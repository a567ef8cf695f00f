//! What a file of answers may replace, and who may write it.

use super::*;
use crate::keeping::Place;
use delta_ports::PortErrorKind;
use rustix::fs::{CWD, FileType, Mode, mknodat};

fn form(dir: &Path, rows: u32) -> QueryForm {
    let path = dir.join("ward.db");
    drop(std::fs::remove_file(&path));
    let made = rusqlite::Connection::open(&path).unwrap();
    let numbers = format!(
        "CREATE TABLE t (a); WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n)
         INSERT INTO t SELECT i FROM n LIMIT {rows}"
    );
    made.execute_batch(&numbers).unwrap();
    QueryForm {
        database: format!("sqlite://{}", path.display()),
        sql: "SELECT a FROM t ORDER BY a".to_owned(),
        ..QueryForm::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_the_owners_own_is_never_replaced() {
    let (folder, home) = (Folder::new(), tempfile::tempdir().unwrap());
    for own in [&b"PAR1 my own"[..], b""] {
        std::fs::write(folder.file(), own).unwrap();
        let told = folder.take(form(home.path(), 1)).await.unwrap_err();
        assert_eq!(told.kind(), PortErrorKind::Rejected);
        assert!(
            told.to_string().contains("is no answer of a query"),
            "{told}"
        );
        assert_eq!(std::fs::read(folder.file()).unwrap(), own);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_answer_takes_the_place_of_the_one_before() {
    let (folder, home) = (Folder::new(), tempfile::tempdir().unwrap());
    let query = form(home.path(), 0).check("t.parquet").unwrap();
    let kept = async || folder.databases.kept(&name(), &query).await.unwrap();
    assert_eq!(kept().await, Kept::Nothing);
    for rows in [1, 2, 20_000, 3] {
        let taken = folder.take(form(home.path(), rows)).await.unwrap();
        assert_eq!((taken.rows, taken.changed), (u64::from(rows), true));
        assert_eq!(taken.bytes, std::fs::metadata(folder.file()).unwrap().len());
    }
    assert!(matches!(kept().await, Kept::Answer(_)));
    assert_eq!(lines(&folder.file()), ["a Int64: 0 | 1 | 2"]);
    assert!(folder.left().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_process_left_when_it_was_killed_is_in_nobodys_way() {
    let (folder, home) = (Folder::new(), tempfile::tempdir().unwrap());
    std::fs::write(folder.dir.path().join(".t.parquet.part"), vec![7; 1 << 20]).unwrap();
    folder.take(form(home.path(), 2)).await.unwrap();
    assert_eq!(lines(&folder.file()), ["a Int64: 0 | 1"]);
    assert!(folder.left().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn two_that_ask_at_once_ask_one_after_the_other() {
    let (folder, home) = (Folder::new(), tempfile::tempdir().unwrap());
    let form = form(home.path(), 1000);
    let query = form.check("t.parquet").unwrap();
    let soon = Instant::now() + Duration::from_millis(300);
    let place = Place::claim(folder.dir.path(), &name(), soon)
        .await
        .unwrap();
    let soon = Instant::now() + Duration::from_millis(300);
    let told = Place::claim(folder.dir.path(), &name(), soon)
        .await
        .err()
        .unwrap();
    assert!(format!("{told:?}").contains("another process still asks"));
    let databases = folder.databases.clone();
    let waits = tokio::spawn(async move { databases.take(&name(), &query, &|| true).await });
    tokio::time::sleep(Duration::from_millis(300)).await;
    drop(place);
    assert_eq!(waits.await.unwrap().unwrap().rows, 1000);
    assert!(folder.left().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_one_to_its_own_query() {
    let (folder, home) = (Folder::new(), tempfile::tempdir().unwrap());
    let first = form(home.path(), 3);
    folder.take(first.clone()).await.unwrap();
    let other = QueryForm {
        sql: "SELECT a FROM t WHERE a > 1 ORDER BY a".to_owned(),
        ..first
    };
    let query = other.clone().check("t.parquet").unwrap();
    let kept = folder.databases.kept(&name(), &query).await.unwrap();
    assert_eq!(kept, Kept::Another);
    folder.databases.withdraw(&name(), &query).await.unwrap();
    assert!(!folder.file().exists());
    folder.take(other).await.unwrap();
    // It is looked again before anything goes.
    folder.databases.withdraw(&name(), &query).await.unwrap();
    assert_eq!(lines(&folder.file()), ["a Int64: 2"]);
    // What is read meanwhile stays.
    let taken = folder.databases.take(&name(), &query, &|| false).await;
    assert_eq!(taken.unwrap_err().kind(), PortErrorKind::Conflict);
    assert_eq!(lines(&folder.file()), ["a Int64: 2"]);
    assert!(folder.left().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pipe_in_its_place_keeps_nobody_waiting() {
    let (folder, home) = (Folder::new(), tempfile::tempdir().unwrap());
    let (pipe, mode) = (FileType::Fifo, Mode::from_raw_mode(0o600));
    mknodat(CWD, folder.file(), pipe, mode, 0).unwrap();
    let refused = folder.take(form(home.path(), 1)).await.unwrap_err();
    assert_eq!(refused.kind(), PortErrorKind::Rejected, "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn links_are_neither_followed_nor_replaced() {
    let (folder, home) = (Folder::new(), tempfile::tempdir().unwrap());
    let mine = home.path().join("mine");
    std::fs::write(&mine, "mine").unwrap();
    for name in ["t.parquet", ".t.parquet.lock"] {
        let link = folder.dir.path().join(name);
        drop(std::fs::remove_file(&link));
        std::os::unix::fs::symlink(&mine, &link).unwrap();
        folder.take(form(home.path(), 1)).await.unwrap_err();
        std::fs::remove_file(&link).unwrap();
    }
    // Of what a killed process left only the name goes.
    std::os::unix::fs::symlink(&mine, folder.dir.path().join(".t.parquet.part")).unwrap();
    folder.take(form(home.path(), 1)).await.unwrap();
    assert_eq!(std::fs::read(&mine).unwrap(), b"mine");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_that_ask_at_once_are_all_answered() {
    let (folder, home) = (Folder::new(), tempfile::tempdir().unwrap());
    let mut query = form(home.path(), 50).check("t.parquet").unwrap();
    query.sql = "SELECT random() AS a FROM t ORDER BY a".to_owned();
    let mut asking = tokio::task::JoinSet::new();
    for _ in 0..24 {
        let (databases, query) = (folder.databases.clone(), query.clone());
        asking.spawn(async move { databases.take(&name(), &query, &|| true).await });
    }
    while let Some(taken) = asking.join_next().await {
        assert_eq!(taken.unwrap().unwrap().rows, 50);
    }
    assert!(folder.left().is_empty());
}
