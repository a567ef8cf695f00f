//! SQLite files that no fixture can be: with others beside them, of odd names, or made to mislead.

use super::*;
use crate::datasets::table::Depth;
use delta_domain::dialect::Dialect;

fn made(path: &Path, script: &str) {
    let connection = Connection::open(path).unwrap();
    connection.execute_batch(script).unwrap();
}

fn inspected(path: &Path, column: &str) -> Result<(), String> {
    let said = Dialect::default();
    let opening = Opening {
        said: &said,
        header: true,
        noised: false,
        types: &crate::datasets::table::UNTYPED,
    };
    let table = open(path, opening).map_err(|f| f.message);
    let inspected = table?.inspect(&[column.to_owned()], Depth::Whole);
    inspected.map_err(|f| f.message)
}

#[test]
fn what_is_not_in_the_file_yet_is_not_passed_over() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.sqlite");
    made(&path, "create table p (x); insert into p values (1);");
    for ending in ["-wal", "-journal"] {
        let beside = dir.path().join(format!("a.sqlite{ending}"));
        std::fs::write(&beside, b"").unwrap();
        assert_eq!(inspected(&path, "x"), Ok(()));
        std::fs::write(&beside, b"changes").unwrap();
        let said = inspected(&path, "x").unwrap_err();
        assert!(said.contains(ending) && said.contains("close"), "{said}");
        std::fs::remove_file(&beside).unwrap();
    }
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn names_of_files_are_no_settings_of_sqlite() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a?mode=rwc&immutable=0#% ä.sqlite");
    let plain = dir.path().join("plain.sqlite");
    made(&plain, "create table p (x); insert into p values (1);");
    std::fs::rename(&plain, &path).unwrap();
    assert_eq!(inspected(&path, "x"), Ok(()));
}

#[test]
fn what_programs_add_to_a_file_is_not_run() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.sqlite");
    made(
        &path,
        "create table p (x); insert into p values (1);
         create table q (y); drop table q;
         create view v as with recursive r(n) as (select 1 union all select n + 1 from r) select n as x from r;",
    );
    assert_eq!(inspected(&path, "x"), Ok(()), "the only table");
    let connection = connect(&path).unwrap();
    assert!(connection.execute("insert into p values (2)", []).is_err());
    assert!(
        connection
            .query_row("select x from v", [], |_| Ok(()))
            .is_err()
    );
    assert!(
        connection
            .query_row("select load_extension('x')", [], |_| Ok(()))
            .is_err()
    );
}

#[test]
fn what_is_too_long_for_a_number_is_not_even_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.sqlite");
    made(
        &path,
        "create table p (x, y, z); insert into p values (1, zeroblob(20000000), printf('%.*c', 70000, '1'));",
    );
    assert_eq!(inspected(&path, "x"), Ok(()));
    for column in ["y", "z"] {
        let said = inspected(&path, column).unwrap_err();
        assert!(said.contains("too long"), "{said}");
    }
}
