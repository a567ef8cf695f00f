//! The configuration as plain typed fields, one struct a section of the file.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use super::database::Database;
use delta_domain::access::Network;
use delta_domain::identity::Pin;
use delta_domain::ids::Digest;

/// The node's configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Terminal and file logs.
    pub log: Log,
    /// The node's database.
    pub db: Database,
    /// The connector to work through.
    pub chain_connector: ChainConnector,
    /// How this node presents itself to the network.
    pub node: Node,
    /// The zero-knowledge prover.
    pub zk: Zk,
    /// The address that the HTTP API listens on.
    pub api_host: IpAddr,
    /// The port that the HTTP API listens on.
    pub api_port: u16,
    /// Who may call the HTTP API, and how.
    pub api: Api,
    /// Whose certificates this node trusts.
    pub tls: Tls,
    /// Task bundles, rounds and results.
    pub task_dir: PathBuf,
    /// The datasets: every file or folder in it is one.
    pub data_dir: PathBuf,
    /// The key that seals this node's secrets at rest; `None` means [`Config::key_file`]'s default.
    pub key_file: Option<PathBuf>,
    /// Who this node says it is.
    pub identity: Identity,
    /// The network's roster.
    pub roster: Roster,
    /// Keys that count without a roster.
    pub pins: Vec<Pin>,
    /// What this node agrees to.
    pub policy: Policy,
    /// How graphs are run.
    pub executor: Executor,
    /// The embedded connector.
    pub connector: EmbeddedConnector,
}

impl Config {
    /// The file of the node's key: as set, else `node.key` beside the database, or in the working directory where that is no file.
    #[must_use]
    pub fn key_file(&self) -> PathBuf {
        self.beside_database(self.key_file.as_ref(), "node.key")
    }

    /// The file of the long-term key that this node is known by: as set, else `identity.key` beside the database.
    #[must_use]
    pub fn identity_key_file(&self) -> PathBuf {
        self.beside_database(self.identity.key_file.as_ref(), "identity.key")
    }

    /// The owner's journal: `audit.jsonl` beside the database.
    #[must_use]
    pub fn journal_file(&self) -> PathBuf {
        self.beside_database(None, "audit.jsonl")
    }

    fn beside_database(&self, set: Option<&PathBuf>, name: &str) -> PathBuf {
        match (set, self.db.file()) {
            (Some(file), _) => file.clone(),
            (None, Some(database)) => database.with_file_name(name),
            (None, None) => PathBuf::from(name),
        }
    }

    /// The list of tokens: as set, else `tokens.json` beside the database.
    #[must_use]
    pub fn token_file(&self) -> PathBuf {
        self.beside_database(self.api.token_file.as_ref(), "tokens.json")
    }

    /// The token that the node makes for itself, in the folder of the list of tokens.
    #[must_use]
    pub fn own_token_file(&self) -> PathBuf {
        self.token_file().with_file_name("node.token")
    }

    /// Whether calls from this machine need no token. Unless it is said, not when the node's url is https and the node itself has no
    /// certificate: then a proxy in front of it passes on the calls of everybody.
    #[must_use]
    pub fn trusts_loopback(&self) -> bool {
        let proxied = self.node.url.starts_with("https://") && self.api.tls.is_none();
        self.api.trust_loopback.unwrap_or(!proxied)
    }
}

/// `api`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Api {
    /// Networks whose calls as author or owner need no token.
    pub trusted_networks: Vec<Network>,
    /// Whether calls from this machine need none; `None`: see [`Config::trusts_loopback`].
    pub trust_loopback: Option<bool>,
    /// Names under which the API is called, beside that in `node.url`, `localhost` and IP addresses. Lower case, no port.
    pub hosts: Vec<String>,
    /// An address of their own for authors and the owner, who are then not answered at `api_host` and `api_port`.
    pub owner_listen: Option<SocketAddr>,
    /// The list of tokens; `None` means [`Config::token_file`]'s default.
    pub token_file: Option<PathBuf>,
    /// The API's certificate and key; `None`: it speaks plain HTTP.
    pub tls: Option<ApiTls>,
}

/// `api.tls`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiTls {
    /// PEM file of the certificate, with those between it and one that others trust.
    pub certificate: PathBuf,
    /// PEM file of its private key.
    pub key: PathBuf,
}

/// `tls`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// PEM file of the certificates that this node trusts when it calls others by https; `None`: those that the system trusts.
    pub ca: Option<PathBuf>,
}

/// `log`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// The least important level that is written.
    pub level: Level,
    /// The folder of the log files.
    pub dir: PathBuf,
    /// How a record is written.
    pub format: LogFormat,
    /// When a new file begins.
    pub rotation: Rotation,
    /// How many files are kept.
    pub keep: usize,
    /// The most that all files together may take, in MiB.
    pub max_mb: u64,
    /// Where traces go: the address of an OTLP collector that speaks gRPC.
    pub otlp: Option<String>,
}

/// A log level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the usual names")]
pub enum Level {
    Trace,
    Debug,
    Info,
    Warn,
    Error,
}

/// How a log record is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// One line for people.
    Text,
    /// One JSON object a line.
    Json,
}

/// When a new log file begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the usual names")]
pub enum Rotation {
    Hourly,
    Daily,
    Never,
}

/// The value of `chain_connector.host` that asks for the embedded connector.
pub const EMBEDDED: &str = "embedded";

/// `chain_connector`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainConnector {
    /// Host name or address; `embedded` starts the embedded connector in this process; empty means "not configured yet".
    pub host: String,
    /// Port.
    pub port: u16,
    /// How often the event stream must show a sign of life.
    pub heartbeat: Duration,
    /// The original's limit on reconnections. Accepted and ignored: this node reconnects for ever, with growing pauses.
    pub retry: u32,
    /// The most commitments or shares that this node puts on record in one call.
    pub max_list: u32,
    /// How it is known over TLS; `None` means plain text.
    pub tls: Option<ConnectorTls>,
}

/// `chain_connector.tls_*`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectorTls {
    /// What the connector must show.
    pub trusted: TrustedConnector,
    /// This node's certificate and its private key, where the connector asks for one.
    pub own: Option<CertificateFiles>,
}

/// What a connector must show over TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TrustedConnector {
    /// A certificate of an authority in this file.
    Authorities(PathBuf),
    /// The key with this SHA-256 of its SubjectPublicKeyInfo.
    Key(Digest),
}

/// A certificate and its private key, in PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFiles {
    /// The certificate, and those above it.
    pub certificate: PathBuf,
    /// Its private key.
    pub private_key: PathBuf,
}

impl ChainConnector {
    /// Whether the connector runs in this process.
    #[must_use]
    pub fn is_embedded(&self) -> bool {
        self.host == EMBEDDED
    }
}

/// `node`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Name shown to the network.
    pub name: String,
    /// URL under which other nodes reach this one. The node's address on the network follows from it.
    pub url: String,
}

/// `identity`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Who runs this node, as its card says; empty means the node's name.
    pub organisation: String,
    /// This node's name on its card; empty means the node's name.
    pub name: String,
    /// The long-term key that this node is known by; `None` means [`Config::identity_key_file`]'s default.
    pub key_file: Option<PathBuf>,
}

/// `roster`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Roster {
    /// The file; `None` means that there is none.
    pub file: Option<PathBuf>,
    /// Organisations that must have signed it; 0 means "a majority of them".
    pub signatures: usize,
}

impl Node {
    /// The host of the url: a name, or an address without brackets.
    #[must_use]
    pub fn host(&self) -> Option<&str> {
        let (_, rest) = self.url.split_once("://")?;
        let authority = rest.split(['/', '?', '#']).next()?;
        if let Some(rest) = authority.strip_prefix('[') {
            return rest.split_once(']').map(|(address, _)| address);
        }
        let host = authority.split(':').next()?;
        (!host.is_empty()).then_some(host)
    }
}

/// `zk`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zk {
    /// Host of the prover; empty means there is none.
    pub host: String,
    /// Port.
    pub port: u16,
}

/// `policy`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Whether this node takes part in other nodes' tasks.
    pub accept: bool,
    /// The fewest members of a sum this node contributes to (docs/protocol/secagg.md, Rules that a member enforces alone, 1).
    pub min_clients: u32,
    /// Members of a round that may collude with its coordinator and the connector; `None`: as many as
    /// [`assumed_colluders`](delta_domain::strategy::assumed_colluders) says.
    pub assumed_colluders: Option<u32>,
    /// Whether other nodes may be at loopback, private and link-local addresses.
    pub allow_private_addresses: bool,
    /// Hosts that are allowed in spite of `allow_private_addresses: false`.
    pub allowed_hosts: Vec<String>,
    /// The largest task bundle that is taken, in bytes.
    pub max_bundle_bytes: u64,
    /// How many tasks may run at the same time.
    pub max_tasks: usize,
    /// For how long a question to the owner stays open, and a task of this node waits for the owners of others.
    pub patience: Duration,
    /// Where a question to the owner is announced; `None`: on the list only.
    pub webhook: Option<String>,
    /// The folder of the rules for datasets; `None`: [`Config::policy_dir`]'s default.
    pub dir: Option<PathBuf>,
}

/// `executor`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Executor {
    /// The onnxruntime library; `None` means "look for it".
    pub library: Option<PathBuf>,
    /// Memory that one worker process may use, in MiB.
    pub memory_mb: u64,
    /// Time that one map or reduce may take.
    pub time_limit: Duration,
    /// Threads of one worker; 0 means "one for each processor".
    pub threads: usize,
    /// Workers at the same time.
    pub jobs: usize,
    /// What to do where this machine cannot put up every wall around a worker.
    pub sandbox: Sandbox,
}

/// What to do where this machine cannot put up every wall around a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sandbox {
    /// `run` refuses to start.
    Required,
    /// Tasks run within the walls that there are.
    BestEffort,
}

/// `connector`: the embedded connector, inside `run` or as `delta-node connector`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmbeddedConnector {
    /// The address that it listens on.
    pub host: IpAddr,
    /// The port that it listens on.
    pub port: u16,
    /// Its database, an SQLite file: `connector.db`.
    pub db_file: PathBuf,
    /// How hard each write is pressed to the disk.
    pub sync: Sync,
    /// Whether clients that do not sign their calls are served.
    pub open: bool,
    /// What it shows over TLS; `None` means plain text.
    pub tls: Option<CertificateFiles>,
    /// Authorities of its clients' certificates; `None` means that clients need none.
    pub tls_client_ca: Option<PathBuf>,
}

/// SQLite's `synchronous` setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sync {
    /// Nothing acknowledged is lost, even when the machine loses power.
    Full,
    /// Nothing is lost when the process dies; the last writes may be lost when the machine loses power. Faster.
    Normal,
}
