//! What can be asked of databases, and when.

use super::*;

const SQL: &str = "SELECT person_id, value FROM measurement ORDER BY measurement_id;";

fn form(database: &str) -> QueryForm {
    QueryForm {
        database: database.to_owned(),
        sql: SQL.to_owned(),
        ..QueryForm::default()
    }
}

fn faults(form: QueryForm) -> Vec<String> {
    let faults = form.check("m.parquet").unwrap_err();
    let told = faults
        .into_iter()
        .map(|f| format!("{} {}", f.path.join("."), f.fault));
    told.collect()
}

#[test]
fn a_query_is_what_was_written() {
    let query = QueryForm {
        password_file: Some("/run/secrets/omop".to_owned()),
        refresh: Some("daily 03:30".to_owned()),
        timeout: Some("10m".to_owned()),
        ..form("postgresql://delta@db.ward.example:5433/omop")
    };
    let query = query.check("m.parquet").unwrap();
    assert_eq!(
        query.server,
        Server::Network(NetworkServer {
            engine: Engine::Postgres,
            host: "db.ward.example".to_owned(),
            port: 5433,
            user: "delta".to_owned(),
            name: "omop".to_owned(),
        })
    );
    assert_eq!(query.secret, Secret::File("/run/secrets/omop".into()));
    assert_eq!(query.tls, Tls::Verified);
    assert_eq!(query.refresh, Refresh::Daily(210));
    assert_eq!(query.timeout, Duration::from_secs(600));
    assert_eq!(query.sql, SQL.trim_end_matches(';'));
}

#[test]
fn only_the_way_within_a_machine_is_open() {
    let tls = |line: &str| form(line).check("m.parquet").unwrap().tls;
    assert_eq!(tls("mariadb://a@localhost/b"), Tls::Off);
    assert_eq!(tls("mysql://a@127.0.0.1/b"), Tls::Off);
    assert_eq!(tls("postgres://a@[::1]:5432/b"), Tls::Off);
    assert_eq!(tls("sqlite:///var/lib/a.db"), Tls::Off);
    assert_eq!(tls("mysql://a@localhost.example/b"), Tls::Verified);
}

#[test]
fn what_cannot_be_asked_is_told_by_its_key() {
    for (line, said) in [
        ("", "must begin with"),
        ("oracle://a@b/c", "must begin with"),
        ("postgresql://a:secret@b/c", "has a password in it"),
        (
            "postgresql://a@b/c?sslmode=disable",
            "must end with the name",
        ),
        ("postgresql://b/c", "must be like"),
        ("postgresql://a@b", "must be like"),
        ("postgresql://a@b/", "must be like"),
        ("postgresql://a@b/c/d", "must be like"),
        ("postgresql://a@b:0/c", "must have a port"),
        ("postgresql://a@b:65536/c", "must have a port"),
        ("postgresql://a@[::1/c", "must be like"),
        ("sqlite://ward.db", "must be like sqlite:///"),
    ] {
        let told = faults(form(line));
        assert!(
            told.len() == 1 && told[0].starts_with(&format!("query.database {said}")),
            "{line}: {told:?}"
        );
        assert!(!told[0].contains("secret"));
    }
    let mut all = form("sqlite:///a.db");
    all.sql = "DELETE FROM t".to_owned();
    all.refresh = Some("daily 24:00".to_owned());
    all.timeout = Some("1s".to_owned());
    all.password_file = Some("secret".to_owned());
    all.ca = Some("ca.pem".to_owned());
    let keys: Vec<String> = faults(all)
        .iter()
        .map(|told| told.split(' ').next().unwrap_or_default().to_owned())
        .collect();
    assert_eq!(
        keys,
        [
            "query.sql",
            "query.refresh",
            "query.timeout",
            "query.password_file",
            "query.ca"
        ]
    );
    let mut two = form("sqlite:///a.db");
    two.password_file = Some("/a".to_owned());
    two.password_env = Some("A".to_owned());
    assert!(faults(two)[0].starts_with("query.password_env"));
    let mut unordered = form("sqlite:///a.db");
    unordered.sql = "select a from border".to_owned();
    assert!(faults(unordered)[0].contains("ORDER BY"));
    assert!(form("sqlite:///a.db").check("m.csv").is_err());
}

#[test]
fn a_question_is_read_as_its_database_reads_it() {
    for (sql, whose) in [
        (
            "SELECT '\\' AS a FROM t ORDER BY a -- '",
            ["postgresql", "sqlite"],
        ),
        (
            "SELECT 'it\\'s' AS a FROM t ORDER BY a",
            ["mysql", "mariadb"],
        ),
    ] {
        for database in [
            "postgresql://a@b/c",
            "mysql://a@b/c",
            "mariadb://a@b/c",
            "sqlite:///a.db",
        ] {
            let asked = QueryForm {
                sql: sql.to_owned(),
                ..form(database)
            };
            let ordered = whose.iter().any(|kind| database.starts_with(kind));
            assert_eq!(asked.check("m.parquet").is_ok(), ordered, "{database}");
        }
    }
}

#[test]
fn times_between_answers_are_short_words() {
    let every = |seconds| Some(Refresh::Every(Duration::from_secs(seconds)));
    for (text, refresh) in [
        ("90s", every(90)),
        ("30m", every(1800)),
        ("24h", every(86_400)),
        ("7d", every(604_800)),
        ("daily 00:00", Some(Refresh::Daily(0))),
        ("daily 23:59", Some(Refresh::Daily(1439))),
        ("59s", None),
        ("367d", None),
        ("99999999999999999999d", None),
        ("1.5h", None),
        ("+5h", None),
        ("", None),
        ("h", None),
        ("5µ", None),
        ("daily 3", None),
        ("daily 12:60", None),
        ("daily -1:00", None),
        ("hourly", None),
    ] {
        assert_eq!(Refresh::of(text), refresh, "{text}");
    }
}

#[test]
fn it_is_time_once_a_day() {
    let at =
        |day: u64, hour: u64, minute: u64| Timestamp(((day * 24 + hour) * 60 + minute) * 60_000);
    let daily = Refresh::Daily(180);
    assert!(daily.is_due(None, at(0, 1, 0)));
    assert!(!daily.is_due(Some(at(9, 3, 0)), at(9, 3, 0)));
    assert!(!daily.is_due(Some(at(9, 3, 1)), at(10, 2, 59)));
    assert!(daily.is_due(Some(at(9, 3, 1)), at(10, 3, 0)));
    // Missed by a node that was off.
    assert!(daily.is_due(Some(at(9, 3, 1)), at(14, 1, 0)));
    // Taken by hand before the time of the day.
    assert!(daily.is_due(Some(at(10, 1, 0)), at(10, 3, 0)));
    // A clock that was set back.
    assert!(daily.is_due(Some(at(20, 0, 0)), at(10, 4, 0)));
    let every = Refresh::Every(Duration::from_secs(3600));
    assert!(!every.is_due(Some(at(1, 0, 0)), at(1, 0, 59)));
    assert!(every.is_due(Some(at(1, 0, 0)), at(1, 1, 0)));
    assert!(!Refresh::ByHand.is_due(None, at(1, 0, 0)));
}
