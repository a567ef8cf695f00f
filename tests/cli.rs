//! The program from the outside: help, exit codes, files. What needs a network of nodes is tested elsewhere.

#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

const HELP: &str = include_str!("cli/help.txt");

fn program(name: &str, home: &Path, args: &[&str]) -> Output {
    let path = match name {
        "delta-node" => env!("CARGO_BIN_EXE_delta-node"),
        "delta_node_start" => env!("CARGO_BIN_EXE_delta_node_start"),
        other => panic!("no program {other}"),
    };
    Command::new(path)
        .args(args)
        .current_dir(home)
        .env_remove("DELTA_NODE_CONFIG")
        .env_remove("RUST_LOG")
        .output()
        .unwrap()
}

fn delta_node(home: &Path, args: &[&str]) -> (i32, String, String) {
    let output = program("delta-node", home, args);
    (
        output.status.code().unwrap(),
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8(output.stderr).unwrap(),
    )
}

fn home() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

/// To accept a change: `cargo run -- --help > tests/cli/help.txt`.
#[test]
fn help_is_as_pinned_under_both_names() {
    let home = home();
    for name in ["delta-node", "delta_node_start"] {
        let output = program(name, home.path(), &["--help"]);
        assert!(output.status.success());
        assert_eq!(
            String::from_utf8(output.stdout).unwrap(),
            HELP.replace("Usage: delta-node ", &format!("Usage: {name} "))
        );
    }
}

#[test]
fn an_owner_sees_what_is_in_the_data() {
    let home = home();
    let (code, _, said) = delta_node(home.path(), &["init"]);
    assert_eq!(code, 0, "{said}");
    let data = home.path().join("data");
    fs::write(data.join("a.csv"), "id;bmi;ward\n1;20,5;A\n2;;B\n").unwrap();
    fs::write(data.join("b.csv"), b"gr\xf6\xdfe,x\n1,2\n").unwrap();
    let (code, out, said) = delta_node(home.path(), &["data", "list"]);
    assert_eq!(code, 0, "{said}");
    assert!(
        out.contains("a.csv: table, 2 rows, 3 columns, separated by \";\", decimal commas"),
        "{out}"
    );
    assert!(
        out.contains("b.csv: unusable: ") && out.contains("`encoding`"),
        "{out}"
    );
    let (code, out, _) = delta_node(home.path(), &["data", "describe", "a.csv"]);
    assert_eq!(code, 0);
    for word in [
        "\"id\"",
        "whole numbers",
        "1 missing",
        "20.5 to 20.5",
        "\"A\" 1, \"B\" 1",
    ] {
        assert!(out.contains(word), "{word}: {out}");
    }
    let (code, _, said) = delta_node(home.path(), &["data", "check"]);
    assert!(code == 1 && said.contains("b.csv"), "{said}");
    let config = home.path().join("config/config.yaml");
    let settings = "\ndatasets:\n  b.csv:\n    encoding: latin1\n";
    let text = fs::read_to_string(&config).unwrap() + settings;
    fs::write(&config, text).unwrap();
    let (code, out, said) = delta_node(home.path(), &["data", "check", "b.csv"]);
    assert_eq!(code, 0, "{said}");
    assert!(
        out.contains("b.csv: table, 1 rows, 2 columns, windows-1252"),
        "{out}"
    );
}

/// Each format behind the walls of a real worker.
#[test]
fn an_owner_sees_files_of_every_format() {
    let home = home();
    let (code, _, said) = delta_node(home.path(), &["init"]);
    assert_eq!(code, 0, "{said}");
    let files = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/dialects/files");
    let all = [
        ("packed-zstd.parquet", "table, 3 rows, 2 columns"),
        ("packed-lz4.feather", "table, 3 rows, 2 columns"),
        ("stream.arrows", "table, 3 rows, 2 columns"),
        ("plain.xlsx", "table, 3 rows, 2 columns"),
        ("plain.xls", "table, 3 rows, 2 columns"),
        ("plain.ods", "table, 3 rows, 2 columns"),
        ("wal.sqlite", "table, 3 rows, 2 columns"),
        ("two-sheets.xlsx", "say which one is meant: `sheet: NAME`"),
        ("two-tables.sqlite", "say which one is meant: `table: NAME`"),
        ("cut.parquet", "its end is missing"),
    ];
    for (name, _) in all {
        fs::copy(files.join(name), home.path().join("data").join(name)).unwrap();
    }
    let (code, out, said) = delta_node(home.path(), &["data", "list"]);
    assert_eq!(code, 0, "{said}");
    for (name, what) in all {
        let line = out.lines().find(|line| line.contains(name));
        assert!(
            line.is_some_and(|line| line.contains(what)),
            "{name}: {out}"
        );
    }
    for (name, what) in all {
        let (code, out, said) = delta_node(home.path(), &["data", "describe", name]);
        match what.starts_with("table") {
            true => assert!(
                code == 0 && out.contains("20.5 to 41.25"),
                "{name}: {out}{said}"
            ),
            false => assert!(code != 0 && said.contains(what), "{name}: {out}{said}"),
        }
    }
}

/// A query of the owner's, asked on this machine, told of, and in nobody else's way.
#[test]
fn an_owner_asks_a_database_for_a_dataset() {
    let home = home();
    let (code, _, said) = delta_node(home.path(), &["init"]);
    assert_eq!(code, 0, "{said}");
    let files = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/dialects/files");
    let config = home.path().join("config/config.yaml");
    let before = fs::read_to_string(&config).unwrap();
    let write = |query: &str| fs::write(&config, format!("{before}{query}")).unwrap();
    let ward = |sql: &str| {
        format!(
            "\ndatasets:\n  ward.parquet:\n    query:\n      database: sqlite://{}\n      refresh: 24h\n      sql: {sql}\n",
            files.join("names.sqlite").display()
        )
    };
    let (code, _, said) = delta_node(home.path(), &["data", "refresh"]);
    assert!(
        code == 1 && said.contains("no dataset is a query"),
        "{said}"
    );

    write(&ward(
        "SELECT 1.5 AS bmi, 'A' AS ward UNION ALL SELECT 20.5, NULL ORDER BY bmi",
    ));
    let (code, out, said) = delta_node(home.path(), &["data", "list"]);
    assert_eq!(code, 0, "{said}");
    assert!(
        out.contains("not asked yet") && out.contains("every 86400 s"),
        "{out}"
    );
    let (code, out, said) = delta_node(home.path(), &["data", "refresh", "ward.parquet"]);
    assert_eq!(code, 0, "{said}");
    assert!(
        out.contains("ward.parquet: 2 rows in 2 columns from /") && out.contains("\"bmi\"  float"),
        "{out}"
    );
    let (_, out, _) = delta_node(home.path(), &["data", "refresh"]);
    assert!(out.contains("the same as before"), "{out}");
    let (code, out, said) = delta_node(home.path(), &["data", "describe", "ward.parquet"]);
    assert!(code == 0 && out.contains("1.5 to 20.5"), "{out}{said}");
    let (_, out, _) = delta_node(home.path(), &["data", "list"]);
    assert!(
        out.contains("ward.parquet: table, 2 rows, 2 columns"),
        "{out}"
    );
    assert!(
        out.contains("ward.parquet: a query of /") && out.contains(" UTC, every"),
        "{out}"
    );
    let left = fs::read_dir(home.path().join("data")).unwrap().count();
    assert_eq!(left, 2, "the answer, and its lock");

    write(&ward("SELECT none FROM elsewhere ORDER BY none"));
    let (code, _, said) = delta_node(home.path(), &["data", "refresh"]);
    assert!(
        code == 1 && said.contains("no such table: elsewhere"),
        "{said}"
    );
    write(
        "\ndatasets:\n  ward.parquet:\n    query:\n      database: postgresql://me:geheim@db/omop\n      sql: DELETE FROM a\n",
    );
    let (code, _, said) = delta_node(home.path(), &["data", "refresh"]);
    assert_eq!(code, 2, "{said}");
    for words in [
        "`query.database` has a password in it",
        "`query.sql` must be one SELECT",
        "config.yaml:",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    assert!(!said.contains("geheim"), "{said}");
}

#[test]
fn the_version_is_the_crates() {
    let (code, out, _) = delta_node(home().path(), &["--version"]);
    assert_eq!(code, 0);
    assert!(
        out.starts_with(&format!("delta-node {}", env!("CARGO_PKG_VERSION"))),
        "{out}"
    );
}

#[test]
fn wrong_usage_is_exit_code_2_with_a_suggestion() {
    let (code, _, err) = delta_node(home().path(), &["get-irs"]);
    assert_eq!(code, 2);
    assert!(err.contains("get-iris"), "{err}");
    assert_eq!(delta_node(home().path(), &[]).0, 2);
}

#[test]
fn init_writes_the_example_once_and_makes_the_directories() {
    let home = home();
    let (code, out, err) = delta_node(home.path(), &["init"]);
    assert_eq!(code, 0, "{err}");
    assert!(
        out.contains("wrote config/config.yaml") && out.contains("chain_connector.host"),
        "{out}"
    );
    let example = fs::read_to_string(
        Path::new(env!("CARGO_MANIFEST_DIR")).join("config/config.example.yaml"),
    )
    .unwrap();
    let file = home.path().join("config/config.yaml");
    assert_eq!(fs::read_to_string(&file).unwrap(), example);
    for directory in ["task", "data", "db", "logs"] {
        assert!(home.path().join(directory).is_dir(), "{directory}");
    }
    fs::write(&file, "api_port: 7000\n").unwrap();
    assert_eq!(delta_node(home.path(), &["init"]).0, 0);
    assert_eq!(fs::read_to_string(&file).unwrap(), "api_port: 7000\n");
}

#[test]
fn run_refuses_an_unedited_configuration_and_says_what_to_edit() {
    let home = home();
    let (code, _, err) = delta_node(home.path(), &["run"]);
    assert_eq!(code, 2);
    assert!(
        err.contains("config/config.yaml") && err.contains("delta-node init"),
        "{err}"
    );
    delta_node(home.path(), &["init"]);
    let (code, _, err) = delta_node(home.path(), &["run"]);
    assert_eq!(code, 2);
    assert!(
        err.contains("config/config.yaml:") && err.contains("`chain_connector.host` is required"),
        "{err}"
    );
}

#[test]
fn example_datasets_are_written_and_kept() {
    let home = home();
    delta_node(home.path(), &["init"]);
    for (command, file) in [
        ("get-iris", "iris.csv"),
        ("get-spector", "spector.csv"),
        ("get-wages", "wages.csv"),
    ] {
        let (code, out, _) = delta_node(home.path(), &[command]);
        assert!(code == 0 && out.contains("wrote"), "{out}");
        fs::write(home.path().join("data").join(file), "mine").unwrap();
        assert_eq!(delta_node(home.path(), &[command]).0, 0);
        assert_eq!(
            fs::read_to_string(home.path().join("data").join(file)).unwrap(),
            "mine"
        );
    }
}

#[test]
fn check_tells_every_problem_of_the_configuration_as_json() {
    let home = home();
    let file = home.path().join("c.yaml");
    fs::write(
        &file,
        "log:\n  levle: INFO\nchain_connector:\n  host: c\n  port: 0\n",
    )
    .unwrap();
    let (code, out, _) = delta_node(home.path(), &["--config", "c.yaml", "check", "--json"]);
    assert_eq!(code, 2);
    let object: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(object["ok"], false);
    let details: Vec<&str> = object["findings"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|finding| finding["detail"].as_str())
        .collect();
    assert_eq!(details.len(), 2, "{details:?}");
    assert!(
        details[0].starts_with("c.yaml:2:3:") && details[1].starts_with("c.yaml:5:9:"),
        "{details:?}"
    );
}

#[test]
fn healthcheck_fails_when_nothing_listens() {
    let home = home();
    // Port 1 belongs to a service that no machine runs any more.
    fs::write(
        home.path().join("c.yaml"),
        "api_host: 127.0.0.1\napi_port: 1\n",
    )
    .unwrap();
    let (code, _, err) = delta_node(home.path(), &["--config", "c.yaml", "healthcheck"]);
    assert_eq!(code, 1);
    assert!(err.contains("no node answers"), "{err}");
}

/// Three organisations set up a roster with nothing but the command line.
#[test]
fn a_roster_is_written_signed_and_checked_by_hand() {
    let homes = [home(), home(), home()];
    let mut roster = String::from(
        "# who is in\nformat: 1\nnetwork: \"A study\"\nserial: 1\nuntil: \"2999-12-31\"\norganisations:\n",
    );
    for (home, name) in homes.iter().zip(["Hospital A", "Hospital B", "University"]) {
        let (code, out, err) = delta_node(home.path(), &["init"]);
        assert!(code == 0 && out.contains("fingerprint"), "{out}{err}");
        let key = home.path().join("db/identity.key");
        let mode =
            std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&key).unwrap().permissions());
        assert_eq!(mode & 0o777, 0o600);
        let config =
            format!("identity: {{organisation: \"{name}\"}}\nroster: {{file: roster.yaml}}\n");
        fs::write(home.path().join("config/config.yaml"), config).unwrap();
        fs::write(home.path().join("roster.yaml"), "").unwrap();
        let (code, _, err) = delta_node(home.path(), &["identity"]);
        assert!(code == 1 && err.contains("is no roster"), "{err}");
        fs::remove_file(home.path().join("roster.yaml")).unwrap();
        let config = format!("identity: {{organisation: \"{name}\"}}\n");
        fs::write(home.path().join("config/config.yaml"), config).unwrap();
        let (code, out, err) = delta_node(home.path(), &["identity"]);
        assert!(code == 0 && out.contains(name), "{out}{err}");
        let entry = out.split("entry for a roster:\n").nth(1).unwrap();
        roster.push_str(entry);
    }
    let file = homes[0].path().join("roster.yaml");
    fs::write(&file, &roster).unwrap();
    let path = file.to_str().unwrap();
    let sign =
        |home: &tempfile::TempDir| delta_node(home.path(), &["identity", "sign-roster", path]);
    let (code, out, err) = sign(&homes[0]);
    assert!(
        code == 0 && out.contains("not yet enough: signed by 1"),
        "{out}{err}"
    );
    assert!(sign(&homes[0]).1.contains("already"));
    let (code, out, err) = sign(&homes[1]);
    assert!(
        code == 0 && out.contains("it counts: signed by Hospital A, Hospital B"),
        "{out}{err}"
    );
    let text = fs::read_to_string(&file).unwrap();
    assert!(text.starts_with("# who is in\n"), "comments stay: {text}");
    // Whoever is not in it cannot sign, and what was signed cannot be changed.
    let stranger = home();
    delta_node(stranger.path(), &["init"]);
    let (code, _, err) = sign(&stranger);
    assert!(
        code == 1 && err.contains("does not list this node's key"),
        "{err}"
    );
    let config = format!("identity: {{organisation: University}}\nroster: {{file: {path}}}\n");
    fs::write(homes[2].path().join("config/config.yaml"), config).unwrap();
    let (code, out, err) = delta_node(homes[2].path(), &["identity", "show"]);
    assert!(
        code == 0 && out.contains("by the roster, as University"),
        "{out}{err}"
    );
    fs::write(&file, text.replace("Hospital B", "Hospital X")).unwrap();
    let (code, _, err) = delta_node(homes[2].path(), &["identity", "show"]);
    assert!(
        code == 1 && err.contains("signatures[0]: does not hold"),
        "{err}"
    );
    let (code, out, err) = delta_node(homes[2].path(), &["identity", "known"]);
    assert!(code == 1 || out.contains("no node was seen"), "{out}{err}");
    let (code, _, err) = delta_node(
        homes[1].path(),
        &["identity", "accept", &format!("0x{}", "1".repeat(40))],
    );
    assert!(code == 1 && err.contains("no node was seen at"), "{err}");
}

/// What the compose files set is what the program knows: a wrong name would be refused.
#[test]
fn compose_files_set_what_there_is_to_set() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut seen = 0;
    for file in ["deploy/compose.yaml", "deploy/compose.deltaboard.yaml"] {
        let text = fs::read_to_string(root.join(file)).unwrap();
        for line in text.lines() {
            let Some((name, value)) = line.trim().split_once(": ") else {
                continue;
            };
            if !name.starts_with("DELTA_NODE__") {
                continue;
            }
            seen += 1;
            let home = home();
            let output = Command::new(env!("CARGO_BIN_EXE_delta-node"))
                .arg("init")
                .current_dir(home.path())
                .env_remove("DELTA_NODE_CONFIG")
                .env(name, value.trim_matches(['\'', '"']))
                .output()
                .unwrap();
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{file}: {line}: {said}");
        }
        // What is mounted is there.
        for line in text.lines().filter(|line| line.trim().starts_with("- ./")) {
            let place = line
                .trim()
                .trim_start_matches("- ")
                .split(':')
                .next()
                .unwrap();
            assert!(root.join("deploy").join(place).exists(), "{file}: {line}");
        }
    }
    assert!(seen >= 11, "{seen}");
}
