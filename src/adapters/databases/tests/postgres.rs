//! PostgreSQL, whose session says all dates and times in its own way.

use super::servers::{PASSWORD, Running, absent, postgres};
use super::*;
use delta_domain::query::Tls;
use delta_ports::PortErrorKind;

const TABLES: &str = "
CREATE TYPE sex AS ENUM ('f', 'm');
CREATE TABLE t (
    id bigint PRIMARY KEY, small smallint, real real, double double precision, num numeric(30,3), yes boolean,
    name text, kind char(3), sex sex, day date, at timestamp, stamp timestamptz, span interval, doc jsonb, raw bytea, many int[]
);
INSERT INTO t VALUES
    (9007199254740993, -5, 0.1, 0.1, 12.340, true, 'Zoë', 'ab', 'f', '2026-11-29', '2026-11-29 13:05:07.25',
     '2026-11-29 13:05:07.25+01', '1 day 2 hours', '{\"a\": 1}', '\\x00', '{1,2}'),
    (-1, NULL, 'NaN', '-Infinity', NULL, false, NULL, NULL, NULL, '0001-01-01', NULL, NULL, NULL, NULL, NULL, NULL),
    (7, 1, 16777217, 1e300, 9007199254740993, NULL, '', '   ', 'm', NULL, '1969-12-31 23:59:59.999999', NULL, NULL, NULL, NULL, NULL);
CREATE TABLE empty (a int, b text);
CREATE TABLE many AS SELECT n, repeat('x', (n % 50)::int) AS text, n / 7.0::float8 AS x FROM generate_series(1, 100000) n;
CREATE TABLE counter (n int);
INSERT INTO counter VALUES (0);
CREATE FUNCTION changes() RETURNS int LANGUAGE sql AS 'UPDATE counter SET n = n + 1 RETURNING n';
";

fn form(server: &Running, sql: &str) -> QueryForm {
    QueryForm {
        database: format!("postgresql://delta@localhost:{}/omop", server.port),
        password_file: Some(server.password_file()),
        sql: sql.to_owned(),
        ..QueryForm::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_postgresql_has_is_what_is_kept() {
    let Some(server) = postgres(TABLES) else {
        return absent("PostgreSQL");
    };
    let folder = Folder::new();
    let all = "SELECT id, small, real, double, yes, name, kind, sex, day, at, stamp, span, doc FROM t ORDER BY id DESC";
    let taken = folder.take(form(&server, all)).await.unwrap();
    assert_eq!((taken.rows, taken.changed), (3, true));
    assert_eq!(
        lines(&folder.file()),
        [
            "id Int64: 9007199254740993 | 7 | -1",
            "small Int64: -5 | 1 | -",
            "real Float32: 0.1 | 16777216.0 | NaN",
            "double Float64: 0.1 | 1e300 | -inf",
            "yes Boolean: true | - | false",
            "name Utf8: Zoë |  | -",
            "kind Utf8: ab  |     | -",
            "sex Utf8: f | m | -",
            "day Date32: 20786 | - | -719162",
            "at Timestamp(µs): 1795957507250000 | -1 | -",
            "stamp Timestamp(µs, \"UTC\"): 1795953907250000 | - | -",
            "span Utf8: P1DT2H | - | -",
            "doc Utf8: {\"a\": 1} | - | -",
        ]
    );
    // Asked again it is the same file, asked now.
    let before = std::fs::metadata(folder.file()).unwrap();
    tokio::time::sleep(Duration::from_millis(20)).await;
    let again = folder.take(form(&server, all)).await.unwrap();
    let after = std::fs::metadata(folder.file()).unwrap();
    assert!(!again.changed && after.modified().unwrap() > before.modified().unwrap());
    assert!(folder.left().is_empty());

    let empty = folder
        .take(form(&server, "SELECT a, b FROM empty ORDER BY a"))
        .await;
    assert_eq!(empty.unwrap().rows, 0);
    assert_eq!(lines(&folder.file()), ["a Int64: ", "b Utf8: "]);
    let many = folder
        .take(form(&server, "SELECT * FROM many ORDER BY n"))
        .await;
    assert_eq!(many.unwrap().rows, 100_000);
    let sum: usize = lines(&folder.file())[0]
        .split(": ")
        .nth(1)
        .unwrap()
        .split(" | ")
        .map(|n| n.parse::<usize>().unwrap())
        .sum();
    assert_eq!(sum, 100_000 * 100_001 / 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_kept_is_refused_and_nothing_changes() {
    let Some(server) = postgres(TABLES) else {
        return absent("PostgreSQL");
    };
    let folder = Folder::new();
    folder
        .take(form(&server, "SELECT a FROM empty ORDER BY a"))
        .await
        .unwrap();
    let before = std::fs::read(folder.file()).unwrap();
    for (sql, said) in [
        ("SELECT raw FROM t ORDER BY id", "BYTEA"),
        ("SELECT many FROM t ORDER BY id", "INT4[]"),
        ("SELECT '(1,2)'::point AS p FROM t ORDER BY id", "POINT"),
        ("SELECT B'0101' AS b FROM t ORDER BY id", "BIT"),
        (
            "SELECT 10::numeric ^ 400 AS n FROM t ORDER BY id",
            "larger than any double",
        ),
        (
            "SELECT repeat('x', 20000000) AS n FROM t ORDER BY id",
            "longer than 16 MiB",
        ),
        (
            "SELECT id, id FROM t ORDER BY 1",
            "two columns are called \"id\"",
        ),
        ("SELECT id + 1 FROM t ORDER BY 1", "column 1 has no name"),
        (
            "SELECT num FROM t ORDER BY id",
            "9007199254740993 is a whole number that a double does not hold",
        ),
        ("SELECT none FROM t ORDER BY 1", "\"none\" does not exist"),
        (
            "SELECT id FROM t ORDER BY id; DROP TABLE empty",
            "multiple commands",
        ),
        (
            "WITH d AS (DELETE FROM t RETURNING id) SELECT id FROM d ORDER BY id",
            "DECLARE CURSOR must not contain data-modifying",
        ),
        ("SELECT changes() AS n ORDER BY n", "read-only transaction"),
        (
            "SELECT pg_sleep(1)::text AS s, setval('s', 1) AS n ORDER BY n",
            "does not exist",
        ),
        (
            "SELECT 1 / (id - id) AS n FROM t ORDER BY n",
            "division by zero",
        ),
    ] {
        let error = folder.take(form(&server, sql)).await.unwrap_err();
        let told = error.to_string();
        assert_eq!(error.kind(), PortErrorKind::Rejected, "{sql}: {told}");
        assert!(told.contains(said), "{sql}: {told}");
        assert!(
            told.contains("t.parquet") && told.contains("omop"),
            "{told}"
        );
    }
    assert_eq!(std::fs::read(folder.file()).unwrap(), before);
    assert!(folder.left().is_empty(), "{:?}", folder.left());
}

/// The example of docs/data.md.
#[tokio::test(flavor = "multi_thread")]
async fn tables_of_omop_become_one() {
    let tables = "
CREATE TABLE person (person_id bigint PRIMARY KEY, gender_concept_id int NOT NULL, year_of_birth int NOT NULL);
CREATE TABLE measurement (measurement_id bigint PRIMARY KEY, person_id bigint REFERENCES person, measurement_concept_id int,
    measurement_date date, value_as_number numeric, unit_concept_id int);
INSERT INTO person VALUES (1, 8507, 1950), (2, 8532, 1980);
INSERT INTO measurement VALUES (12, 2, 3004410, '2026-03-01', 5.4, 8554), (11, 1, 3004410, '2026-02-01', 7.25, 8554),
    (13, 1, 3004410, '2026-04-01', NULL, 8554), (14, 1, 3000963, '2026-04-01', 13.1, 8713);";
    let Some(server) = postgres(tables) else {
        return absent("PostgreSQL");
    };
    let docs = include_str!("../../../../docs/data.md");
    let sql = docs.split("      sql: |\n").nth(1).unwrap();
    let sql = sql.split("    columns:").next().unwrap();
    let folder = Folder::new();
    folder.take(form(&server, sql)).await.unwrap();
    assert_eq!(
        lines(&folder.file()),
        [
            "person_id Int64: 1 | 2 | 1",
            "age Int64: 76 | 46 | 76",
            "male Int64: 1 | 0 | 1",
            "hba1c Float64: 7.25 | 5.4 | -",
            "measurement_date Date32: 20485 | 20513 | 20544",
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_way_to_it_is_the_owners_word() {
    let Some(server) = postgres(TABLES) else {
        return absent("PostgreSQL");
    };
    let folder = Folder::new();
    let sql = "SELECT a FROM empty ORDER BY a";
    let verified = QueryForm {
        tls: Some(Tls::Verified),
        ca: Some(server.certificate()),
        ..form(&server, sql)
    };
    folder.take(verified.clone()).await.unwrap();
    let strange = QueryForm {
        ca: None,
        ..verified.clone()
    };
    let told = folder.take(strange).await.unwrap_err();
    assert_eq!(told.kind(), PortErrorKind::Unavailable, "{told}");
    let other_name = QueryForm {
        database: format!("postgresql://delta@127.0.0.1:{}/omop", server.port),
        ..verified
    };
    folder.take(other_name).await.unwrap_err();
    let required = QueryForm {
        tls: Some(Tls::Required),
        ..form(&server, sql)
    };
    folder.take(required).await.unwrap();

    std::fs::write(folder.dir.path().join("wrong"), "wrong-and-secret").unwrap();
    let wrong = QueryForm {
        password_file: Some(folder.dir.path().join("wrong").display().to_string()),
        ..form(&server, sql)
    };
    let told = format!("{:?}", folder.take(wrong).await.unwrap_err());
    assert!(told.contains("password authentication failed"), "{told}");
    assert!(!told.contains("wrong-and-secret") && !told.contains(PASSWORD));

    let slow = QueryForm {
        timeout: Some("60s".to_owned()),
        ..form(&server, "SELECT pg_sleep(1000)::text AS s ORDER BY s")
    };
    let mut slow = slow.check("t.parquet").unwrap();
    slow.timeout = Duration::from_secs(1);
    let told = folder
        .databases
        .take(&name(), &slow, &|| true)
        .await
        .unwrap_err();
    assert_eq!(told.kind(), PortErrorKind::Timeout, "{told}");

    let port = server.port;
    drop(server);
    let gone = QueryForm {
        database: format!("postgresql://delta@localhost:{port}/omop"),
        sql: sql.to_owned(),
        ..QueryForm::default()
    };
    let told = folder.take(gone).await.unwrap_err();
    assert_eq!(told.kind(), PortErrorKind::Unavailable, "{told}");
}
