//! What a file of answers may replace, and who may write it.

use super::*;
use crate::keeping::Place;
use delta_ports::PortErrorKind;

fn form(dir: &Path, rows: u32) -> QueryForm {
    let path = dir.join("ward.db");
    drop(std::fs::remove_file(&path));
    let made = rusqlite::Connection::open(&path).unwrap();
    made.execute_batch("CREATE TABLE t (a)").unwrap();
    for n in 0..rows {
        made.execute("INSERT INTO t VALUES (?1)", [n]).unwrap();
    }
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
    assert_eq!(folder.databases.taken(&name()).await.unwrap(), None);
    for rows in [1, 2, 20_000, 3] {
        let taken = folder.take(form(home.path(), rows)).await.unwrap();
        assert_eq!((taken.rows, taken.changed), (u64::from(rows), true));
        assert_eq!(taken.bytes, std::fs::metadata(folder.file()).unwrap().len());
    }
    assert!(folder.databases.taken(&name()).await.unwrap().is_some());
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
    assert!(format!("{told:?}").contains("another process still writes"));
    let databases = folder.databases.clone();
    let waits = tokio::spawn(async move { databases.take(&name(), &query).await });
    tokio::time::sleep(Duration::from_millis(300)).await;
    drop(place);
    assert_eq!(waits.await.unwrap().unwrap().rows, 1000);
    assert!(folder.left().is_empty());
}
