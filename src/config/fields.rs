//! Which key holds what: type, bounds and default of every field, in the order of the file.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use super::database::{Database, Unusable};
use super::reader::Reader;
use super::types::{
    Api, ApiTls, CertificateFiles, ChainConnector, Config, ConnectorTls, EmbeddedConnector,
    Executor, Identity, Level, Log, LogFormat, Node, Policy, Roster, Rotation, Sandbox, Sync, Tls,
    TrustedConnector, Zk,
};
use delta_domain::chain_cost::MAX_LIST;
use delta_domain::identity::{MAX_WORD_BYTES, Pin, presentable};
use delta_domain::ids::Digest;

impl Config {
    /// Reads every known key once.
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        Self {
            log: read_log(reader),
            db: read_database(reader),
            chain_connector: ChainConnector {
                host: read_connector_host(reader),
                port: port(reader, "chain_connector.port", 4500),
                heartbeat: Duration::from_secs(reader.number(
                    "chain_connector.heartbeat",
                    1..=86_400,
                    30,
                )),
                retry: number(reader, "chain_connector.retry", 0..=u64::from(u32::MAX), 3),
                max_list: number(reader, "chain_connector.max_list", 1..=100_000, MAX_LIST),
                tls: read_connector_tls(reader),
            },
            node: Node {
                name: reader.text("node.name", "node1").trim().to_owned(),
                url: super::node_url::read(reader),
            },
            zk: Zk {
                host: reader.text("zk.host", "").trim().to_owned(),
                port: port(reader, "zk.port", 3400),
            },
            api_host: address(reader, "api_host"),
            api_port: port(reader, "api_port", 6700),
            api: read_api(reader),
            tls: Tls {
                ca: optional_path(reader, "tls.ca"),
            },
            task_dir: reader.path("task_dir", "task"),
            data_dir: reader.path("data_dir", "data"),
            key_file: optional_path(reader, "key_file"),
            identity: Identity {
                organisation: read_word(reader, "identity.organisation"),
                name: read_word(reader, "identity.name"),
                key_file: optional_path(reader, "identity.key_file"),
            },
            roster: Roster {
                file: optional_path(reader, "roster.file"),
                signatures: number(reader, "roster.signatures", 0..=1024, 0),
            },
            pins: read_pins(reader),
            policy: Policy {
                accept: reader.switch("policy.accept", true),
                min_clients: number(reader, "policy.min_clients", 2..=u64::from(u32::MAX), 2),
                assumed_colluders: optional_number(reader, "policy.assumed_colluders", 0..=10_000),
                allow_private_addresses: reader.switch("policy.allow_private_addresses", false),
                allowed_hosts: reader.list("policy.allowed_hosts"),
                max_bundle_bytes: reader.number(
                    "policy.max_bundle_bytes",
                    1024..=u64::MAX,
                    1 << 30,
                ),
                max_tasks: number(reader, "policy.max_tasks", 1..=10_000, 16),
                patience: Duration::from_secs(reader.number(
                    "policy.patience",
                    60..=31_536_000,
                    86_400,
                )),
                webhook: read_webhook(reader),
                dir: optional_path(reader, "policy.dir"),
            },
            executor: read_executor(reader),
            connector: read_connector(reader),
        }
    }
}

fn read_webhook(reader: &mut Reader<'_>) -> Option<String> {
    let url = reader.text("policy.webhook", "").trim().to_owned();
    let fits = ["http://", "https://"].iter().any(|s| url.starts_with(s));
    if !url.is_empty() && !fits {
        reader.wrong(
            "policy.webhook",
            "must be a url that begins with http:// or https://",
        );
    }
    fits.then_some(url)
}

fn read_log(reader: &mut Reader<'_>) -> Log {
    // Python's names first, since those are in the files of the original's users.
    let levels = [
        ("DEBUG", Level::Debug),
        ("INFO", Level::Info),
        ("WARNING", Level::Warn),
        ("ERROR", Level::Error),
        ("CRITICAL", Level::Error),
        ("TRACE", Level::Trace),
        ("WARN", Level::Warn),
        ("FATAL", Level::Error),
    ];
    let rotations = [
        ("daily", Rotation::Daily),
        ("hourly", Rotation::Hourly),
        ("never", Rotation::Never),
    ];
    Log {
        level: reader.word("log.level", &levels, Level::Info),
        dir: reader.path("log.dir", "logs"),
        format: reader.word(
            "log.format",
            &[("text", LogFormat::Text), ("json", LogFormat::Json)],
            LogFormat::Text,
        ),
        rotation: reader.word("log.rotation", &rotations, Rotation::Daily),
        keep: number(reader, "log.keep", 1..=10_000, 14),
        max_mb: reader.number("log.max_mb", 1..=(1 << 20), 256),
        otlp: read_otlp(reader),
    }
}

fn read_otlp(reader: &mut Reader<'_>) -> Option<String> {
    let address = reader.text("log.otlp", "");
    if address.is_empty() {
        return None;
    }
    if !cfg!(feature = "otlp") {
        reader.wrong(
            "log.otlp",
            "needs a program that is built with --features otlp",
        );
    }
    if !address.starts_with("http://") {
        // A collector beside the node passes on whatever leaves the machine.
        reader.wrong(
            "log.otlp",
            "must be the address of a collector beside the node, such as http://127.0.0.1:4317",
        );
    }
    Some(address)
}

fn read_api(reader: &mut Reader<'_>) -> Api {
    let trust = [("auto", None), ("true", Some(true)), ("false", Some(false))];
    Api {
        trusted_networks: reader.parsed_list("api.trusted_networks"),
        trust_loopback: reader.word("api.trust_loopback", &trust, None),
        hosts: read_hosts(reader),
        owner_listen: read_owner_listen(reader),
        token_file: optional_path(reader, "api.token_file"),
        tls: read_api_tls(reader),
    }
}

fn read_api_tls(reader: &mut Reader<'_>) -> Option<ApiTls> {
    let certificate = optional_path(reader, "api.tls.certificate");
    let key = optional_path(reader, "api.tls.key");
    match (certificate, key) {
        (Some(certificate), Some(key)) => Some(ApiTls { certificate, key }),
        (Some(_), None) => {
            reader.wrong("api.tls.key", "is required beside api.tls.certificate");
            None
        }
        (None, Some(_)) => {
            reader.wrong("api.tls.certificate", "is required beside api.tls.key");
            None
        }
        (None, None) => None,
    }
}

fn read_hosts(reader: &mut Reader<'_>) -> Vec<String> {
    let mut hosts = Vec::new();
    for host in reader.list("api.hosts") {
        let host = host.trim().trim_end_matches('.').to_ascii_lowercase();
        let plain = !host.is_empty()
            && host
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'));
        if plain {
            hosts.push(host);
        } else {
            reader.wrong(
                "api.hosts",
                &format!("must be names such as \"node1.example.org\", without scheme and port, not \"{host}\""),
            );
        }
    }
    hosts
}

fn read_owner_listen(reader: &mut Reader<'_>) -> Option<SocketAddr> {
    let text = reader.text("api.owner_listen", "");
    let text = text.trim();
    if text.is_empty() {
        return None;
    }
    let address = text.parse().ok();
    if address.is_none() {
        reader.wrong(
            "api.owner_listen",
            &format!(
                "must be an IP address and a port, for example \"127.0.0.1:6701\", not \"{text}\""
            ),
        );
    }
    address
}

fn read_executor(reader: &mut Reader<'_>) -> Executor {
    Executor {
        library: optional_path(reader, "executor.library"),
        memory_mb: reader.number("executor.memory_mb", 64..=(1 << 30), 4096),
        time_limit: Duration::from_secs(reader.number("executor.time_limit", 1..=2_592_000, 3600)),
        threads: number(reader, "executor.threads", 0..=1024, 0),
        jobs: number(reader, "executor.jobs", 1..=1024, 1),
        sandbox: reader.word(
            "executor.sandbox",
            &[
                ("required", Sandbox::Required),
                ("best_effort", Sandbox::BestEffort),
            ],
            Sandbox::Required,
        ),
    }
}

fn read_connector(reader: &mut Reader<'_>) -> EmbeddedConnector {
    let db = reader.text("connector.db", "sqlite:///db/connector.db");
    let db_file = sqlite_file(reader, "connector.db", &db);
    EmbeddedConnector {
        host: address(reader, "connector.host"),
        port: port(reader, "connector.port", 4500),
        db_file,
        sync: reader.word(
            "connector.sync",
            &[("full", Sync::Full), ("normal", Sync::Normal)],
            Sync::Full,
        ),
        open: reader.switch("connector.open", false),
        tls: certificate(
            reader,
            ["connector.tls_certificate", "connector.tls_private_key"],
        ),
        tls_client_ca: read_client_ca(reader),
    }
}

fn read_connector_tls(reader: &mut Reader<'_>) -> Option<ConnectorTls> {
    const CA: &str = "chain_connector.tls_ca";
    const KEY: &str = "chain_connector.tls_key";
    let own = [
        "chain_connector.tls_certificate",
        "chain_connector.tls_private_key",
    ];
    let (ca, key) = (optional_path(reader, CA), reader.text(KEY, ""));
    let own = certificate(reader, own);
    let key = key.trim();
    let trusted = match (ca, key.is_empty()) {
        (Some(_), false) => {
            reader.wrong(KEY, "goes without tls_ca: the connector is known by its key or by an authority, not by both");
            return None;
        }
        (Some(file), true) => TrustedConnector::Authorities(file),
        (None, false) => match key.parse::<Digest>() {
            Ok(digest) if key.len() >= 64 => TrustedConnector::Key(digest),
            _ => {
                reader.wrong(KEY, "must be 0x and 64 hex digits: the SHA-256 of the connector's public key, which it logs at its start");
                return None;
            }
        },
        (None, true) => {
            if own.is_some() {
                reader.wrong(CA, "or chain_connector.tls_key is required beside tls_certificate: a node shows its certificate to a connector that it knows");
            }
            return None;
        }
    };
    Some(ConnectorTls { trusted, own })
}

fn read_client_ca(reader: &mut Reader<'_>) -> Option<PathBuf> {
    optional_path(reader, "connector.tls_client_ca")
}

/// The files of a certificate and its private key: both or none.
fn certificate(reader: &mut Reader<'_>, keys: [&str; 2]) -> Option<CertificateFiles> {
    let files = keys.map(|key| optional_path(reader, key));
    match files {
        [Some(certificate), Some(private_key)] => Some(CertificateFiles {
            certificate,
            private_key,
        }),
        [None, None] => None,
        [Some(_), None] => {
            reader.wrong(keys[1], "is required beside the certificate");
            None
        }
        [None, Some(_)] => {
            reader.wrong(keys[0], "is required beside the private key");
            None
        }
    }
}

/// A word for the identity card; empty when there is none.
fn read_word(reader: &mut Reader<'_>, key: &str) -> String {
    let word = reader.text(key, "").trim().to_owned();
    if !word.is_empty() && presentable(&word).as_ref() != Some(&word) {
        reader.wrong(key, &format!("must have at most {MAX_WORD_BYTES} bytes, and no control characters or invisible ones: other organisations read it in their logs"));
    }
    word
}

fn read_pins(reader: &mut Reader<'_>) -> Vec<Pin> {
    let mut pins = Vec::new();
    for text in reader.list("pins") {
        match text.parse() {
            Ok(pin) => pins.push(pin),
            Err(error) => reader.wrong("pins", &format!("are wrong: {error}")),
        }
    }
    pins
}

/// A name or an address, with what belongs elsewhere told apart.
fn read_connector_host(reader: &mut Reader<'_>) -> String {
    const KEY: &str = "chain_connector.host";
    let given = reader.text(KEY, "").trim().to_owned();
    let bare = given.split_once("://").map_or(&*given, |(_, rest)| rest);
    let bare = bare.split(['/', '?', '#']).next().unwrap_or_default();
    // More than one colon: an IPv6 address.
    let (host, port) = match bare.split_once(':') {
        Some((host, port)) if !port.contains(':') => (host, Some(port)),
        _ => (bare, None),
    };
    if host == given {
        return given;
    }
    let port = port
        .filter(|port| port.parse::<u16>().is_ok())
        .map(|port| format!(", and `chain_connector.port: {port}`"))
        .unwrap_or_default();
    reader.wrong(
        KEY,
        &format!("must be a host only, not \"{given}\": write \"{host}\"{port}"),
    );
    given
}

/// The node's database.
fn read_database(reader: &mut Reader<'_>) -> Database {
    let text = reader.text("db", "sqlite+aiosqlite:///db/delta.db");
    let file = sqlite_file(reader, "db", &text);
    if text.contains('?') && text.starts_with("sqlite") {
        reader.wrong(
            "db",
            "has options after '?', and there are none to set: remove them",
        );
    }
    Database::Sqlite(file)
}

/// The file that `text` names. Nothing but SQLite can be used so far; a wrong text gives an empty path and a problem.
fn sqlite_file(reader: &mut Reader<'_>, key: &str, text: &str) -> PathBuf {
    match Database::parse(text) {
        Ok(Database::Sqlite(file)) => return file,
        Ok(Database::Postgres(_)) | Err(Unusable::Kind) => reader.wrong(
            key,
            &format!(
                "must be an SQLite database such as \"sqlite:///db/delta.db\", not \"{text}\""
            ),
        ),
        Err(Unusable::NoFile) => reader.wrong(key, "must name a file, for example \"sqlite:///db/delta.db\": the node keeps its state there over restarts"),
    }
    PathBuf::new()
}

/// A path that may be left empty.
fn optional_path(reader: &mut Reader<'_>, key: &str) -> Option<PathBuf> {
    let text = reader.text(key, "");
    (!text.trim().is_empty()).then(|| PathBuf::from(text.trim()))
}

/// A whole number within `range`; nothing where the text is empty.
fn optional_number(
    reader: &mut Reader<'_>,
    key: &str,
    range: std::ops::RangeInclusive<u32>,
) -> Option<u32> {
    let text = reader.text(key, "");
    let text = text.trim();
    if text.is_empty() {
        return None;
    }
    let number = text.parse().ok().filter(|n| range.contains(n));
    if number.is_none() {
        let (low, high) = range.into_inner();
        reader.wrong(
            key,
            &format!("must be a whole number from {low} to {high}, or empty"),
        );
    }
    number
}

fn address(reader: &mut Reader<'_>, key: &str) -> IpAddr {
    reader.parsed(
        key,
        IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        "an IP address of this machine, for example \"0.0.0.0\" (all) or \"127.0.0.1\"",
    )
}

fn port(reader: &mut Reader<'_>, key: &str, default: u16) -> u16 {
    number(reader, key, 1..=u64::from(u16::MAX), default)
}

/// A number of a narrower type; `range` must fit into it.
fn number<T>(
    reader: &mut Reader<'_>,
    key: &str,
    range: std::ops::RangeInclusive<u64>,
    default: T,
) -> T
where
    T: TryFrom<u64> + Copy,
    u64: TryFrom<T>,
{
    let wide = reader.number(key, range, u64::try_from(default).unwrap_or_default());
    T::try_from(wide).unwrap_or(default)
}
