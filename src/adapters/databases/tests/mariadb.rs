//! MariaDB, whose session has another time zone than the answers.

use super::servers::{PASSWORD, Running, absent, mariadb};
use super::*;
use delta_domain::query::Tls;
use delta_ports::PortErrorKind;

const TABLES: &str = "
SET SESSION sql_mode = '';
CREATE TABLE t (
    id bigint unsigned PRIMARY KEY, tiny tinyint, yes boolean, medium mediumint, year year, x float, y double, num decimal(20,3),
    name varchar(20), long_text text, sex enum('f','m'), day date, at datetime(6), stamp timestamp NULL, span time, bits bit(10), raw blob,
    doc json, word varchar(9) COLLATE utf8mb4_bin, flag tinyint(1) unsigned
);
SET time_zone = '+00:00';
INSERT INTO t VALUES
    (18446744073709551615, -5, true, -8388608, 2026, 16777217, 0.1, 12.340, 'Zoë', 'lang', 'f', '2026-11-29',
     '2026-11-29 13:05:07.25', '2026-11-29 12:05:07', '-25:30:00', b'1000000001', x'00', '[1]', 'ab', 200),
    (1, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 1),
    (2, 1, false, 3, 1901, 0.1, -1e300, 9007199254740993, '', '', 'm', '0000-00-00', '1000-01-01', NULL, '00:00:00', b'0', NULL, NULL, 'AB', 0);
CREATE TABLE many AS SELECT seq AS n, seq / 7 AS x, REPEAT('x', seq MOD 50) AS text FROM seq_1_to_100000;
";

fn form(server: &Running, sql: &str) -> QueryForm {
    QueryForm {
        database: format!("mariadb://delta@localhost:{}/omop", server.port),
        password_file: Some(server.password_file()),
        sql: sql.to_owned(),
        ..QueryForm::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_mariadb_has_is_what_is_kept() {
    let Some(server) = mariadb(TABLES) else {
        return absent("MariaDB");
    };
    let folder = Folder::new();
    let all = "SELECT id, tiny, yes, medium, year, x, y, name, long_text, sex, day, at, stamp, span, bits, doc, word FROM t ORDER BY id DESC";
    let taken = folder.take(form(&server, all)).await.unwrap();
    assert_eq!(taken.rows, 3);
    assert_eq!(
        lines(&folder.file()),
        [
            "id UInt64: 18446744073709551615 | 2 | 1",
            "tiny Int64: -5 | 1 | -",
            "yes Int64: 1 | 0 | -",
            "medium Int64: -8388608 | 3 | -",
            "year UInt64: 2026 | 1901 | -",
            "x Float32: 16777216.0 | 0.1 | -",
            "y Float64: 0.1 | -1e300 | -",
            "name Utf8: Zoë |  | -",
            "long_text Utf8: lang |  | -",
            "sex Utf8: f | m | -",
            "day Date32: 20786 | - | -",
            "at Timestamp(µs): 1795957507250000 | -30610224000000000 | -",
            "stamp Timestamp(µs): 1795953907000000 | - | -",
            "span Utf8: -25:30:00 | 00:00:00 | -",
            "bits UInt64: 513 | 0 | -",
            "doc Utf8: [1] | - | -",
            "word Utf8: ab | AB | -",
        ]
    );
    let many = folder
        .take(form(&server, "SELECT * FROM many ORDER BY n"))
        .await
        .unwrap();
    assert_eq!(many.rows, 100_000);
    assert_eq!(lines(&folder.file()).len(), 3);
    for (sql, said) in [
        ("SELECT raw FROM t ORDER BY id", "it has bytes and no text"),
        (
            "SELECT flag FROM t ORDER BY id",
            "TINYINT(1) below 0 or above 127",
        ),
        ("SELECT num FROM t ORDER BY id", "does not hold"),
        (
            "SELECT id FROM t ORDER BY id; DROP TABLE many",
            "SQL syntax",
        ),
        ("SELECT none FROM t ORDER BY id", "Unknown column"),
        (
            "WITH d AS (SELECT 1 AS a) SELECT a, a FROM d ORDER BY a",
            "two columns",
        ),
    ] {
        let error = folder.take(form(&server, sql)).await.unwrap_err();
        let told = error.to_string();
        assert_eq!(error.kind(), PortErrorKind::Rejected, "{sql}: {told}");
        assert!(told.contains(said), "{sql}: {told}");
    }
    assert!(folder.left().is_empty());

    let verified = QueryForm {
        tls: Some(Tls::Verified),
        ca: Some(server.certificate()),
        ..form(&server, all)
    };
    folder.take(verified.clone()).await.unwrap();
    let strange = QueryForm {
        ca: None,
        ..verified
    };
    folder.take(strange).await.unwrap_err();
    let nobody = QueryForm {
        password_file: None,
        ..form(&server, all)
    };
    let told = format!("{:?}", folder.take(nobody).await.unwrap_err());
    assert!(
        told.contains("Access denied") && !told.contains(PASSWORD),
        "{told}"
    );
}
