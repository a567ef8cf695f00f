//! SQLite, whose columns are what their cells are.

use super::*;
use delta_ports::PortErrorKind;

fn database(dir: &Path, script: &str) -> QueryForm {
    let path = dir.join("ward.db");
    drop(std::fs::remove_file(&path));
    let made = rusqlite::Connection::open(&path).unwrap();
    made.execute_batch(script).unwrap();
    QueryForm {
        database: format!("sqlite://{}", path.display()),
        ..QueryForm::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn columns_are_what_all_their_cells_are() {
    let folder = Folder::new();
    let home = tempfile::tempdir().unwrap();
    let form = database(
        home.path(),
        "CREATE TABLE t (id INTEGER, a, b, c, d, e);
         INSERT INTO t VALUES (9007199254740993, 1, 1.5, 'x', NULL, x'00'), (2, NULL, 2, 3, NULL, NULL), (3, -4, NULL, 0.5, NULL, NULL);",
    );
    let ask = |sql: &str| {
        folder.take(QueryForm {
            sql: sql.to_owned(),
            ..form.clone()
        })
    };
    ask("SELECT id, a, b, c, d FROM t ORDER BY id")
        .await
        .unwrap();
    assert_eq!(
        lines(&folder.file()),
        [
            "id Int64: 2 | 3 | 9007199254740993",
            "a Int64: - | -4 | 1",
            "b Float64: 2.0 | - | 1.5",
            "c Utf8: 3 | 0.5 | x",
            "d Utf8: - | - | -",
        ]
    );
    for (sql, said) in [
        ("SELECT e FROM t ORDER BY id", "has bytes"),
        (
            "SELECT iif(id > 3, id, 0.5) AS n FROM t ORDER BY n",
            "double does not hold",
        ),
        ("SELECT none FROM t ORDER BY id", "no such column"),
        ("SELECT id FROM t ORDER BY id; SELECT 1", "statement"),
        (
            "WITH n AS (SELECT 1) DELETE FROM t RETURNING id AS a, 'order by'",
            "ORDER BY",
        ),
    ] {
        // A question that is refused before it is asked is none.
        let Ok(_) = (QueryForm {
            sql: sql.to_owned(),
            ..form.clone()
        })
        .check("t.parquet") else {
            assert_eq!(said, "ORDER BY");
            continue;
        };
        let error = ask(sql).await.unwrap_err();
        assert_eq!(error.kind(), PortErrorKind::Rejected, "{sql}: {error}");
        assert!(error.to_string().contains(said), "{sql}: {error}");
    }
    let mut endless = QueryForm {
        sql: "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT sum(i) AS s FROM n ORDER BY s".to_owned(),
        ..form.clone()
    }
    .check("t.parquet")
    .unwrap();
    endless.timeout = Duration::from_secs(1);
    let told = folder
        .databases
        .take(&name(), &endless, &|| true)
        .await
        .unwrap_err();
    assert_eq!(told.kind(), PortErrorKind::Timeout, "{told}");
    let gone = QueryForm {
        database: "sqlite:///nowhere/ward.db".to_owned(),
        sql: "SELECT 1 AS a ORDER BY a".to_owned(),
        ..QueryForm::default()
    };
    let told = folder.take(gone).await.unwrap_err();
    assert_eq!(told.kind(), PortErrorKind::Unavailable, "{told}");
    assert!(folder.left().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_written_to_the_database() {
    let folder = Folder::new();
    let home = tempfile::tempdir().unwrap();
    let form = database(home.path(), "CREATE TABLE t (a); INSERT INTO t VALUES (1);");
    let before = std::fs::read(home.path().join("ward.db")).unwrap();
    for sql in [
        "WITH x AS (SELECT 1) INSERT INTO t SELECT 2 ORDER BY 1",
        "WITH x AS (SELECT 2 AS b) INSERT INTO t SELECT b FROM x ORDER BY b",
    ] {
        let form = QueryForm {
            sql: sql.to_owned(),
            ..form.clone()
        };
        let told = folder.take(form).await.unwrap_err();
        assert_eq!(told.kind(), PortErrorKind::Rejected, "{told}");
    }
    assert_eq!(std::fs::read(home.path().join("ward.db")).unwrap(), before);
}
