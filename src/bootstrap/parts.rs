//! A configuration becomes parts: everything it stands for, opened and not yet running.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;

use super::claims::Claims;
use super::connector::{CallSigner, Embedded, connect_wallet, embedded};
use super::databases::databases;
use super::doors::admission;
use super::ends::{clock, entropy, peers};
use super::executor::{LocalExecutor, executor};
use super::identity::{self, accepted_roster, node_key};
use super::owner::{NoRules, journal, notices};
use super::storage::{RESTORED, RESUMED, make_folder_of, open_storage, open_vault};
use crate::adapters::http::{Admission, TlsFiles};
use crate::adapters::metrics::{Build, PrometheusMetrics};
use crate::adapters::system::{BlockingThreads, FileBlobs};
use crate::config::Config;
use delta_app::{Ports, Settings};
use delta_domain::bundle::BundleLimits;
use delta_domain::identity::{NodeKey, VerifiedRoster};
use delta_domain::round::PrivacyFloor;
use delta_ports::board_api::SelfCheck;
use delta_ports::clock::Clock;
use delta_ports::connector::Connector;
use delta_ports::entropy::Entropy;
use delta_ports::operator_api::FixedLog;
use delta_ports::storage::Storage;

/// Everything a configuration stands for, opened and not yet running.
pub struct Parts {
    /// The ports. A caller may decorate them before [`Running::start`](super::Running::start).
    pub ports: Ports,
    /// The node's behaviour.
    pub settings: Settings,
    /// The same executor as in `ports`, for its probe.
    pub executor: LocalExecutor,
    /// What the dashboard says the checks find; nothing of them where a caller puts nothing here.
    pub check: Option<Arc<dyn SelfCheck>>,
    /// Where the API will listen.
    pub(super) address: SocketAddr,
    /// Where it will listen for authors and the owner, where that is another address.
    pub(super) owner_address: Option<SocketAddr>,
    /// The API's certificate and key, where it has them.
    pub(super) tls: Option<TlsFiles>,
    /// Whom the API lets in.
    pub(super) admission: Admission,
    /// The embedded connector, with the address at which other nodes reach it.
    pub(super) embedded: Option<(Embedded, SocketAddr)>,
    /// The same database as in `ports`, to close it at the end.
    pub(super) storage: Arc<dyn Storage>,
    /// What no other process may use.
    pub(super) claims: Claims,
}

/// Opens what `config` names. `worker`: the program that runs graphs when started as `PROGRAM __worker`, usually
/// [`own_program`](super::own_program).
///
/// Every dataset asks, until somebody puts `bootstrap::rules` in `ports.policies`.
///
/// # Errors
/// The first thing that cannot be opened, with its place.
pub async fn open(config: &Config, worker: PathBuf) -> anyhow::Result<Parts> {
    let claims = Claims::of(config)?;
    let (clock, entropy) = (clock(), entropy());
    if let Some(file) = config.db.file() {
        make_folder_of(file)?;
    }
    let storage = open_storage(&config.db)
        .await
        .context("the database cannot be opened")?;
    let blobs = FileBlobs::open(&config.task_dir)
        .await
        .context("task_dir cannot be used")?;
    let vault = open_vault(config, entropy.as_ref()).await?;
    let admission = admission(config, &clock, entropy.as_ref()).await?;
    let executor = executor(config, worker);
    let key = Arc::new(node_key(config, entropy.as_ref()).await?);
    let roster = accepted_roster(config, &storage, clock.now()).await?;
    let (connector, embedded) = connector(config, &key, &clock, &entropy).await?;
    let peers = peers(&config.policy, &config.tls)?;
    let journal = journal(config, &key).await?;
    let ports = Ports {
        connector,
        storage: storage.clone(),
        blobs: Arc::new(blobs),
        executor: executor.port(),
        peers: peers.clone(),
        clock,
        entropy,
        compute: Arc::new(BlockingThreads),
        vault: Arc::new(vault),
        node_key: key,
        documents: peers.clone(),
        catalogues: peers,
        snapshots: databases(config),
        policies: Arc::new(NoRules),
        journal,
        notices: notices(config)?,
        metrics: Arc::new(PrometheusMetrics::new(&BUILD)),
        log: Arc::new(FixedLog),
    };
    let mut settings = settings(config, roster);
    let restored = storage.setting(RESTORED).await?.unwrap_or_default();
    if !restored.is_empty() {
        settings.accept = false;
        tracing::warn!(
            "this node was restored from a backup and takes part in no task: what left it since is in no ledger of it; once budgets allow for that: delta-node restore --resume"
        );
    }
    settings.heard_only = storage.setting(RESUMED).await?.is_some();
    Ok(Parts {
        ports,
        settings,
        executor,
        check: None,
        address: SocketAddr::new(config.api_host, config.api_port),
        owner_address: config.api.owner_listen,
        admission,
        tls: config.api.tls.clone().map(|tls| TlsFiles {
            certificate: tls.certificate,
            key: tls.key,
        }),
        embedded,
        storage,
        claims,
    })
}

/// What `/metrics` says of the program.
const BUILD: Build = Build {
    version: env!("CARGO_PKG_VERSION"),
    revision: match option_env!("DELTA_NODE_REVISION") {
        Some(revision) => revision,
        None => "",
    },
};

fn settings(config: &Config, roster: Option<VerifiedRoster>) -> Settings {
    let policy = &config.policy;
    Settings {
        url: config.node.url.clone(),
        name: config.node.name.clone(),
        min_clients: usize::try_from(policy.min_clients).unwrap_or(usize::MAX),
        privacy: PrivacyFloor {
            colluders: policy.assumed_colluders,
            ..PrivacyFloor::default()
        },
        accept: policy.accept,
        heard_only: false,
        max_tasks: policy.max_tasks,
        bundle: BundleLimits::of_bytes(
            usize::try_from(policy.max_bundle_bytes).unwrap_or(usize::MAX),
        ),
        patience: policy.patience,
        rejoin: Duration::from_secs(60),
        max_list: usize::try_from(config.chain_connector.max_list).unwrap_or(usize::MAX),
        identity: identity::settings(config, roster),
    }
}

/// The connector of a configuration; and the embedded one, with the address at which other nodes reach it, if it is that.
async fn connector(
    config: &Config,
    key: &Arc<NodeKey>,
    clock: &Arc<dyn Clock>,
    entropy: &Arc<dyn Entropy>,
) -> anyhow::Result<(Arc<dyn Connector>, Option<(Embedded, SocketAddr)>)> {
    if config.chain_connector.is_embedded() {
        let embedded = embedded(config, clock.clone()).await?;
        let address = SocketAddr::new(config.connector.host, config.connector.port);
        let port = embedded.port(key.fingerprint().address());
        return Ok((port, Some((embedded, address))));
    }
    let signer = CallSigner::new(key.clone(), clock.clone(), entropy.clone());
    let connector = connect_wallet(&config.chain_connector, signer, clock.clone())?;
    Ok((connector, None))
}
