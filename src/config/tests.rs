//! The configuration file as operators meet it: the original's, ours, wrong ones.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use super::*;
use delta_domain::ids::Digest;

/// The file of the original's all-in-one deployment, as its users have it.
const ORIGINAL: &str = r#"---
# configuration of log
log:
  level: "DEBUG"
  dir: "logs"
db: "sqlite+aiosqlite:///db/delta.db"
chain_connector:
  host: "connector"
  port: 4500
  heartbeat: 30
  retry: 3
node:
  name: "node1"
  url: "http://node1:6700"
zk:
  host: "zk1"
  port: 3400
api_port: 6700
task_dir: "task"
data_dir: "data"
"#;

fn environment(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

fn parse(text: &str) -> Result<Loaded, ConfigError> {
    Config::parse(
        Path::new("c.yaml"),
        text,
        &BTreeMap::new(),
        Purpose::Network,
    )
}

fn errors(text: &str) -> Vec<String> {
    parse(text)
        .unwrap_err()
        .errors
        .iter()
        .map(ToString::to_string)
        .collect()
}

#[test]
fn the_example_states_every_key_with_its_default() {
    let loaded = Config::parse(
        Path::new("c.yaml"),
        EXAMPLE,
        &BTreeMap::new(),
        Purpose::Tool,
    )
    .unwrap();
    assert_eq!(loaded.config, Config::default());
    for key in KEYS {
        let path: Vec<&str> = key.split('.').collect();
        assert!(
            locate::locate(EXAMPLE, &path, locate::Target::Key).is_some(),
            "{key} is not in config.example.yaml"
        );
    }
}

#[test]
fn every_known_key_is_read() {
    let empty = BTreeMap::new();
    let mut reader = Reader::new(Path::new("c.yaml"), EXAMPLE, &empty, KEYS);
    Config::read(&mut reader);
    assert_eq!(reader.unread(), Vec::<&str>::new());
}

#[test]
fn the_originals_file_works_unchanged() {
    let config = parse(ORIGINAL).unwrap().config;
    assert_eq!(config.log.level, Level::Debug);
    assert_eq!(config.db.file(), Some(Path::new("db/delta.db")));
    assert_eq!(
        (
            config.chain_connector.host.as_str(),
            config.chain_connector.port
        ),
        ("connector", 4500)
    );
    assert_eq!(config.chain_connector.heartbeat, Duration::from_secs(30));
    assert_eq!((config.zk.host.as_str(), config.zk.port), ("zk1", 3400));
    assert_eq!(
        (config.node.name.as_str(), config.node.url.as_str()),
        ("node1", "http://node1:6700")
    );
    assert_eq!(config.api_host, IpAddr::V4(Ipv4Addr::UNSPECIFIED));
}

#[test]
fn all_problems_come_at_once_in_file_order_with_line_and_column() {
    let text = "log:\n  levle: INFO\n  format: xml\nchain_connector:\n  host: c\n  port: 70000\nnode: {name: a, url: 'node1:6700'}\napi-port: 1\n";
    assert_eq!(
        errors(text),
        [
            "c.yaml:2:3: unknown key `log.levle`; did you mean `log.level`?",
            "c.yaml:3:11: `log.format` must be one of text, json, not \"xml\"",
            "c.yaml:6:9: `chain_connector.port` must be a whole number from 1 to 65535, not 70000",
            "c.yaml:7:22: `node.url` must begin with http:// or https:// and name a host, for example \"http://node1:6700\", not \"node1:6700\"",
            "c.yaml:8:1: unknown key `api-port`; did you mean `api_port`?",
        ]
    );
}

#[test]
fn a_key_in_the_wrong_section_is_pointed_to_the_right_one() {
    let text = format!("{ORIGINAL}heartbeat: 3\n");
    assert_eq!(
        errors(&text),
        ["c.yaml:21:1: unknown key `heartbeat`; did you mean `chain_connector.heartbeat`?"]
    );
}

#[test]
fn an_unedited_file_is_enough_for_tools_and_refused_by_run() {
    assert!(
        Config::parse(
            Path::new("c.yaml"),
            EXAMPLE,
            &BTreeMap::new(),
            Purpose::Tool
        )
        .is_ok()
    );
    let found = errors(EXAMPLE);
    assert_eq!(found.len(), 1);
    assert!(
        found[0].contains("`chain_connector.host` is required"),
        "{found:?}"
    );
    assert!(
        found[0].starts_with("c.yaml:32:9"),
        "the place of the empty value: {found:?}"
    );
}

#[test]
fn text_that_is_not_yaml_is_refused_with_its_place() {
    let found = errors("log:\n  level: \"INFO\n");
    assert!(
        found.iter().any(|line| line.contains("this is not YAML")),
        "{found:?}"
    );
    assert!(
        errors("log: INFO\n")
            .iter()
            .any(|line| line.starts_with("c.yaml:1:6: `log` is a section"))
    );
    assert!(
        errors("log:\n  level: INFO\nlog:\n  dir: x\n")
            .iter()
            .any(|line| line.contains("duplicate"))
    );
}

#[test]
fn the_environment_wins_and_its_mistakes_name_the_variable() {
    let set = environment(&[
        ("DELTA_NODE__NODE__NAME", "b"),
        ("DELTA_NODE__API_PORT", "7000"),
        ("DELTA_NODE__POLICY__ALLOWED_HOSTS", "a, b"),
        ("DELTA_NODE__POLICY__ACCEPT", "no"),
        ("DELTA_NODE_CONFIG", "elsewhere"),
    ]);
    let config = Config::parse(Path::new("c.yaml"), ORIGINAL, &set, Purpose::Network)
        .unwrap()
        .config;
    assert_eq!((config.node.name.as_str(), config.api_port), ("b", 7000));
    assert_eq!(config.policy.allowed_hosts, ["a", "b"]);
    assert!(!config.policy.accept);

    let wrong = environment(&[
        ("DELTA_NODE__NODE__NAM", "b"),
        ("DELTA_NODE__API_PORT", "many"),
    ]);
    let error = Config::parse(Path::new("c.yaml"), ORIGINAL, &wrong, Purpose::Network).unwrap_err();
    assert_eq!(
        error.to_string(),
        "$DELTA_NODE__API_PORT: `api_port` must be a whole number from 1 to 65535, not \"many\"\n\
         $DELTA_NODE__NODE__NAM: there is no key `node.nam`; did you mean `node.name`?"
    );
}

#[test]
fn database_urls_of_both_kinds_name_the_same_file() {
    for (text, file) in [
        ("sqlite+aiosqlite:///db/delta.db", "db/delta.db"),
        ("sqlite:///db/delta.db", "db/delta.db"),
        ("sqlite://db/delta.db", "db/delta.db"),
        ("sqlite:////var/lib/delta.db", "/var/lib/delta.db"),
    ] {
        let config = parse(&ORIGINAL.replace("sqlite+aiosqlite:///db/delta.db", text))
            .unwrap()
            .config;
        assert_eq!(config.db.file(), Some(Path::new(file)), "{text}");
    }
    for text in [
        "postgresql+asyncpg://u@h/d",
        "sqlite://",
        "sqlite:///:memory:",
        "db/delta.db",
    ] {
        let found = errors(&ORIGINAL.replace("sqlite+aiosqlite:///db/delta.db", text));
        assert!(
            found[0].starts_with("c.yaml:6:5: `db` must"),
            "{text}: {found:?}"
        );
    }
}

#[test]
fn options_of_a_database_are_refused_with_their_place() {
    let found = errors(&ORIGINAL.replace("delta.db", "delta.db?mode=ro"));
    assert_eq!(
        found,
        ["c.yaml:6:5: `db` has options after '?', and there are none to set: remove them"]
    );
}

#[test]
fn the_key_lies_beside_the_database_unless_it_is_set() {
    let config = parse(ORIGINAL).unwrap().config;
    assert_eq!(config.key_file(), Path::new("db/node.key"));
    let text = format!("{ORIGINAL}key_file: /run/secrets/delta.key\n");
    let config = parse(&text).unwrap().config;
    assert_eq!(config.key_file(), Path::new("/run/secrets/delta.key"));
    let set = environment(&[("DELTA_NODE__KEY_FILE", "k")]);
    let config = Config::parse(Path::new("c.yaml"), &text, &set, Purpose::Network)
        .unwrap()
        .config;
    assert_eq!(config.key_file(), Path::new("k"));
}

#[test]
fn doubtful_policies_are_warnings() {
    let text = format!("{ORIGINAL}policy:\n  min_clients: 2\n  allow_private_addresses: true\n");
    let warnings = parse(&text).unwrap().warnings;
    let texts: Vec<String> = warnings.iter().map(ToString::to_string).collect();
    assert_eq!(texts.len(), 4, "{texts:#?}");
    for expected in [
        "c.yaml:22:16: `policy.min_clients` is 2",
        "`policy.allow_private_addresses` is true",
        "`chain_connector.tls_ca` and tls_key are empty",
        "`roster.file` is empty",
    ] {
        let told = texts.iter().any(|text| text.contains(expected));
        assert!(told, "{expected}: {texts:#?}");
    }
    let careful = format!("{ORIGINAL}policy:\n  min_clients: 3\nroster:\n  file: roster.yaml\n");
    let set = environment(&[("DELTA_NODE__CHAIN_CONNECTOR__TLS_CA", "ca.pem")]);
    let loaded = Config::parse(Path::new("c.yaml"), &careful, &set, Purpose::Network).unwrap();
    assert_eq!(loaded.warnings, []);
}

#[test]
fn the_connectors_tls_is_one_of_two_kinds_and_its_files_come_in_pairs() {
    let with = |pairs: &[(&str, &str)]| {
        Config::parse(
            Path::new("c.yaml"),
            ORIGINAL,
            &environment(pairs),
            Purpose::Network,
        )
    };
    const CA: &str = "DELTA_NODE__CHAIN_CONNECTOR__TLS_CA";
    const KEY: &str = "DELTA_NODE__CHAIN_CONNECTOR__TLS_KEY";
    let key = format!("0x{}", "ab".repeat(32));
    let tls = |pairs: &[(&str, &str)]| with(pairs).unwrap().config.chain_connector.tls;
    assert_eq!(tls(&[]), None);
    let known = tls(&[(KEY, &key)]).unwrap();
    assert_eq!(known.trusted, TrustedConnector::Key(Digest([0xab; 32])));
    let known = tls(&[(CA, "ca.pem")]).unwrap();
    let file = TrustedConnector::Authorities("ca.pem".into());
    assert_eq!((known.trusted, known.own), (file, None));
    for wrong in [
        &[(KEY, key.as_str()), (CA, "ca.pem")][..],
        &[(KEY, "0x12")],
        &[("DELTA_NODE__CHAIN_CONNECTOR__TLS_CERTIFICATE", "c.pem")],
        &[("DELTA_NODE__CONNECTOR__TLS_PRIVATE_KEY", "c.key")],
        &[("DELTA_NODE__PINS", "nobody")],
        &[("DELTA_NODE__IDENTITY__NAME", "a\u{202e}b")],
    ] {
        assert!(with(wrong).is_err(), "{wrong:?}");
    }
}

#[test]
fn traces_go_to_a_collector_beside_the_node() {
    let of = |address: &str| errors(&format!("log:\n  otlp: \"{address}\"\n"));
    let far = of("https://collector.example.org");
    assert!(
        far.iter()
            .any(|e| e.contains("`log.otlp` must be the address of a collector")),
        "{far:?}"
    );
    let near = of("http://127.0.0.1:4317");
    let without = near.iter().any(|e| e.contains("--features otlp"));
    assert_eq!(without, cfg!(not(feature = "otlp")), "{near:?}");
    assert!(
        !near.iter().any(|e| e.contains("must be the address")),
        "{near:?}"
    );
}

#[test]
fn numbers_may_be_quoted_and_empty_sections_left_empty() {
    let text = ORIGINAL
        .replace("port: 4500", "port: \"4501\"")
        .replace("zk:\n  host: \"zk1\"\n  port: 3400\n", "zk:\n");
    let config = parse(&text).unwrap().config;
    assert_eq!(config.chain_connector.port, 4501);
    assert_eq!((config.zk.host.as_str(), config.zk.port), ("", 3400));
}
