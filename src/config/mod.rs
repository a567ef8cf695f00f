//! The configuration: the original's `config/config.yaml`, unchanged, and optional keys of our own.
//!
//! The file is read into plain typed fields. Unknown keys and bad values are errors with file, line and column, all told at once;
//! environment variables `DELTA_NODE__SECTION__KEY` win over the file. Relative paths are taken from the working directory,
//! as the original takes them.
//!
//! Source: the keys and defaults are those of `delta_node/config.py`.

mod database;
mod error;
mod fields;
mod locate;
mod node_url;
mod policies;
mod reader;
#[cfg(test)]
mod tests;
mod types;

use std::collections::BTreeMap;
use std::path::Path;

pub use database::Database;
pub use error::{ConfigError, Place, SettingError};
pub use locate::Position;
pub use policies::LoadedPolicies;
pub use reader::ENVIRONMENT_PREFIX;
pub use types::{
    Api, ApiTls, CertificateFiles, ChainConnector, Config, ConnectorTls, EMBEDDED,
    EmbeddedConnector, Executor, Identity, Level, Log, LogFormat, Node, Policy, Roster, Rotation,
    Sandbox, Sync, Tls, TrustedConnector, Zk,
};

use reader::Reader;

/// What `init` writes: every key with its default and a comment.
pub const EXAMPLE: &str = include_str!("../../config/config.example.yaml");

/// Where the file is when neither `--config` nor `DELTA_NODE_CONFIG` says otherwise.
pub const DEFAULT_PATH: &str = "config/config.yaml";

const KEYS: &[&str] = &[
    "log.level",
    "log.dir",
    "log.format",
    "log.rotation",
    "log.keep",
    "log.max_mb",
    "log.otlp",
    "db",
    "chain_connector.host",
    "chain_connector.port",
    "chain_connector.heartbeat",
    "chain_connector.retry",
    "chain_connector.max_list",
    "chain_connector.tls_ca",
    "chain_connector.tls_key",
    "chain_connector.tls_certificate",
    "chain_connector.tls_private_key",
    "node.name",
    "node.url",
    "zk.host",
    "zk.port",
    "api_host",
    "api_port",
    "api.trusted_networks",
    "api.trust_loopback",
    "api.hosts",
    "api.owner_listen",
    "api.token_file",
    "api.tls.certificate",
    "api.tls.key",
    "tls.ca",
    "task_dir",
    "data_dir",
    "key_file",
    "identity.organisation",
    "identity.name",
    "identity.key_file",
    "roster.file",
    "roster.signatures",
    "pins",
    "policy.accept",
    "policy.min_clients",
    "policy.assumed_colluders",
    "policy.allow_private_addresses",
    "policy.allowed_hosts",
    "policy.max_bundle_bytes",
    "policy.max_tasks",
    "policy.patience",
    "policy.webhook",
    "policy.dir",
    "executor.library",
    "executor.memory_mb",
    "executor.time_limit",
    "executor.threads",
    "executor.jobs",
    "executor.sandbox",
    "connector.host",
    "connector.port",
    "connector.db",
    "connector.sync",
    "connector.open",
    "connector.tls_certificate",
    "connector.tls_private_key",
    "connector.tls_client_ca",
];

/// Where the value of a key stands in a text, lines and columns from 1.
pub(crate) fn position(text: &str, key: &str) -> Option<Position> {
    let path: Vec<&str> = key.split('.').collect();
    locate::locate(text, &path, locate::Target::Value)
}

/// What a command needs from its configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Folders and ports only.
    Tool,
    /// Taking part in the network: a connector, a name and a URL as well.
    Network,
}

/// A configuration that was read, and what is doubtful about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// Doubtful settings, to be logged once.
    pub warnings: Vec<SettingError>,
}

impl Config {
    /// Reads `file` and applies the overrides of `environment` (name to value; names without the prefix are passed over).
    ///
    /// # Errors
    /// [`ConfigError`] with everything that is wrong.
    pub fn load(
        file: &Path,
        environment: &BTreeMap<String, String>,
        purpose: Purpose,
    ) -> Result<Loaded, ConfigError> {
        let text = std::fs::read_to_string(file).map_err(|error| {
            let message = if error.kind() == std::io::ErrorKind::NotFound {
                "there is no such file; `delta-node init` writes it, --config or DELTA_NODE_CONFIG names another one".to_owned()
            } else {
                format!("cannot be read: {error}")
            };
            let place = Place::File(file.to_owned(), None);
            ConfigError { errors: vec![SettingError { place, message }] }
        })?;
        Self::parse(file, &text, environment, purpose)
    }

    /// As [`Config::load`], from a text; `file` only names it in messages.
    ///
    /// # Errors
    /// [`ConfigError`] with everything that is wrong.
    pub fn parse(
        file: &Path,
        text: &str,
        environment: &BTreeMap<String, String>,
        purpose: Purpose,
    ) -> Result<Loaded, ConfigError> {
        let mut reader = Reader::new(file, text, environment, KEYS);
        let config = Self::read(&mut reader);
        if purpose == Purpose::Network {
            config.require_network(&mut reader);
        }
        config.doubts(&mut reader);
        let Reader {
            mut errors,
            mut warnings,
            ..
        } = reader;
        errors.extend(policies::errors_of(file, text));
        if !errors.is_empty() {
            errors.sort();
            return Err(ConfigError { errors });
        }
        warnings.sort();
        Ok(Loaded { config, warnings })
    }

    fn require_network(&self, reader: &mut Reader<'_>) {
        if self.chain_connector.host.is_empty() {
            reader.wrong(
                "chain_connector.host",
                "is required: the host of the network's connector, or \"embedded\" to run one inside this node",
            );
        }
        if self.node.name.is_empty() {
            reader.wrong("node.name", "is required: the name that other nodes see");
        }
        if self.node.url.is_empty() {
            reader.wrong("node.url", "is required: the URL under which other nodes reach this one, for example \"http://node1.example.org:6700\"");
        }
    }

    fn doubts(&self, reader: &mut Reader<'_>) {
        self.doubt_connector(reader);
        self.doubt_url(reader);
        if self.roster.file.is_none() && self.pins.is_empty() {
            reader.warn(
                "roster.file",
                "is empty and there are no pins: nobody vouches for the keys of other nodes, they are believed as they are first seen",
            );
        }
        if self.policy.min_clients < 3 {
            reader.warn(
                "policy.min_clients",
                "is 2: in a sum of two members each can compute the other's contribution; 3 or more is safer",
            );
        }
        if self.policy.allow_private_addresses {
            reader.warn(
                "policy.allow_private_addresses",
                "is true: tasks may make this node send requests to services in its own network",
            );
        }
    }
}

impl Config {
    /// What is open on the way to the connector, or at the connector in this process, and how to close it.
    fn doubt_connector(&self, reader: &mut Reader<'_>) {
        let of_others =
            !self.chain_connector.is_embedded() && !self.chain_connector.host.is_empty();
        if of_others && self.chain_connector.tls.is_none() {
            reader.warn(
                "chain_connector.tls_ca",
                "and tls_key are empty: the connection to the connector is plain text; whoever is on the way reads and changes what the two say to each other",
            );
        }
        if !self.chain_connector.is_embedded() {
            return;
        }
        if self.connector.tls.is_none() && !self.connector.host.is_loopback() {
            reader.warn(
                "connector.tls_certificate",
                "is empty: other nodes reach the embedded connector in plain text; whoever is on the way reads and changes what is said",
            );
        }
        if self.connector.open {
            reader.warn(
                "connector.open",
                "is true: whoever reaches the embedded connector's port may act for nodes that do not sign their calls",
            );
        }
    }
}

/// The configuration that an empty file gives.
impl Default for Config {
    fn default() -> Self {
        Self::read(&mut Reader::new(
            Path::new(DEFAULT_PATH),
            "",
            &BTreeMap::new(),
            KEYS,
        ))
    }
}
