//! The one place that names concrete adapters: a configuration becomes a running node.

use std::fs::{File, TryLockError};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use tokio_util::sync::CancellationToken;

use crate::adapters::connector::serve as serve_connector;
use crate::adapters::connector::{Durability, EmbeddedConnector, EmbeddedOptions, Location};
use crate::adapters::grpc::{GrpcConnector, GrpcOptions};
use crate::adapters::http::{HttpOptions, HttpPeers, HttpServer, PeerOptions, UrlPolicy, serve};
use crate::adapters::onnx::{ExecutorConfig, OnnxExecutor};
use crate::adapters::sqlite::SqliteStorage;
use crate::adapters::system::{
    BlockingThreads, FileBlobs, SystemClock, SystemEntropy, load_or_create_node_key,
};
use crate::config::{Config, Sync};
use delta_app::Node;
use delta_app::{Ports, Settings};
use delta_domain::bundle::BundleLimits;
use delta_domain::vault::Vault;
use delta_ports::clock::Clock;
use delta_ports::connector::Connector;

/// How long leaving the network, and ending requests under way, may take at shutdown.
pub(crate) const FAREWELL: Duration = Duration::from_secs(2);

/// Everything a configuration stands for, opened and not yet running.
pub struct Parts {
    /// The ports. A caller may decorate them before [`Running::start`].
    pub ports: Ports,
    /// The node's behaviour.
    pub settings: Settings,
    /// The same executor as in `ports`, for its probe.
    pub executor: Arc<OnnxExecutor>,
    address: SocketAddr,
    embedded: Option<(EmbeddedConnector, SocketAddr)>,
    storage: Arc<SqliteStorage>,
    lock: File,
}

/// A running node with its API.
pub struct Running {
    /// The node.
    pub node: Arc<Node>,
    /// Where the API listens.
    pub address: SocketAddr,
    http: HttpServer,
    stop: CancellationToken,
    embedded: Option<EmbeddedConnector>,
    storage: Arc<SqliteStorage>,
    /// Held, not read: another process must not use the same folders.
    _lock: File,
}

/// Opens what `config` names.
///
/// # Errors
/// The first thing that cannot be opened, with its place.
pub async fn open(config: &Config) -> anyhow::Result<Parts> {
    let lock = lock(&config.task_dir)?;
    let clock = Arc::new(SystemClock::new());
    let entropy = Arc::new(SystemEntropy);
    if let Some(file) = config.db.file() {
        make_folder_of(file)?;
    }
    let storage = Arc::new(
        SqliteStorage::open(&config.db.to_string())
            .await
            .context("the database cannot be opened")?,
    );
    let blobs = FileBlobs::open(&config.task_dir)
        .await
        .context("task_dir cannot be used")?;
    let key = load_or_create_node_key(&config.key_file(), entropy.as_ref())
        .await
        .context("the node key cannot be used")?;
    let executor = Arc::new(executor(config)?);
    let (connector, embedded) = connector(config, clock.clone()).await?;
    let policy = UrlPolicy::new(
        config.policy.allow_private_addresses,
        config.policy.allowed_hosts.iter().cloned(),
    );
    let peers = HttpPeers::new(PeerOptions::new(policy))?;
    let ports = Ports {
        connector,
        storage: storage.clone(),
        blobs: Arc::new(blobs),
        executor: executor.clone(),
        peers: Arc::new(peers),
        clock,
        entropy,
        compute: Arc::new(BlockingThreads),
        vault: Arc::new(Vault::new(key)),
    };
    let bundle_bytes = usize::try_from(config.policy.max_bundle_bytes).unwrap_or(usize::MAX);
    let settings = Settings {
        url: config.node.url.clone(),
        name: config.node.name.clone(),
        min_clients: usize::try_from(config.policy.min_clients).unwrap_or(usize::MAX),
        accept: config.policy.accept,
        max_tasks: config.policy.max_tasks,
        bundle: BundleLimits {
            bytes: bundle_bytes,
            ..BundleLimits::default()
        },
        rejoin: Duration::from_secs(60),
    };
    Ok(Parts {
        ports,
        settings,
        executor,
        address: SocketAddr::new(config.api_host, config.api_port),
        embedded,
        storage,
        lock,
    })
}

impl Running {
    /// Starts the node, then its API.
    ///
    /// # Errors
    /// The database cannot be read, or the port is taken.
    pub async fn start(parts: Parts) -> anyhow::Result<Self> {
        let Parts {
            ports,
            settings,
            address,
            embedded,
            storage,
            lock,
            executor: _,
        } = parts;
        let max_bundle_bytes = settings.bundle.bytes as u64;
        let stop = CancellationToken::new();
        let embedded = match embedded {
            Some((connector, address)) => Some(share(connector, address, stop.clone()).await?),
            None => None,
        };
        let node = Node::start(ports, settings).await?;
        let options = HttpOptions {
            max_bundle_bytes,
            shutdown_grace: FAREWELL,
            ..HttpOptions::default()
        };
        let shutdown = stop.clone().cancelled_owned();
        let http = serve(
            address,
            node.clone(),
            node.coordinator_api(),
            options,
            shutdown,
        )
        .await?;
        let address = http.address();
        Ok(Self {
            node,
            address,
            http,
            stop,
            embedded,
            storage,
            _lock: lock,
        })
    }

    /// Leaves the network, ends requests under way, stops. What was committed goes on at the next start.
    pub async fn stop(self) {
        match tokio::time::timeout(FAREWELL, self.node.leave()).await {
            Ok(Ok(())) => tracing::info!("this node has left the network"),
            Ok(Err(e)) => tracing::warn!(
                "this node could not leave the network: {}",
                delta_ports::report(&e)
            ),
            Err(_) => tracing::warn!("this node could not leave the network in {FAREWELL:?}"),
        }
        self.stop.cancel();
        self.node.stop().await;
        drop(tokio::time::timeout(FAREWELL, self.http.ended()).await);
        if let Some(embedded) = &self.embedded {
            drop(tokio::time::timeout(FAREWELL, embedded.close()).await);
        }
        self.storage.close().await;
    }
}

/// Serves the embedded connector to the other nodes of the network until `stop`.
async fn share(
    connector: EmbeddedConnector,
    address: SocketAddr,
    stop: CancellationToken,
) -> anyhow::Result<EmbeddedConnector> {
    let listener = tokio::net::TcpListener::bind(address)
        .await
        .with_context(|| format!("the embedded connector cannot listen on {address}"))?;
    tracing::info!("the embedded connector listens on {address}");
    let served = connector.clone();
    tokio::spawn(async move {
        if let Err(e) = serve_connector(&served, listener, stop.cancelled_owned()).await {
            tracing::error!(
                "the embedded connector serves nobody any more: {}",
                delta_ports::report(&e)
            );
        }
    });
    Ok(connector)
}

/// The executor of a configuration.
///
/// # Errors
/// This program cannot find itself.
pub fn executor(config: &Config) -> anyhow::Result<OnnxExecutor> {
    let worker = match WORKER.get() {
        Some(worker) => worker.clone(),
        None => std::env::current_exe()
            .context("this program cannot find its own file, which it starts as worker")?,
    };
    let mut settings = ExecutorConfig::new(config.data_dir.clone(), worker);
    settings.library.clone_from(&config.executor.library);
    settings.memory_bytes = config.executor.memory_mb.saturating_mul(1 << 20);
    settings.time_limit = config.executor.time_limit;
    settings.jobs = config.executor.jobs;
    if config.executor.threads > 0 {
        settings.threads = config.executor.threads;
    }
    Ok(OnnxExecutor::new(settings))
}

/// The program to start as worker when it is not this one: for programs that embed the library.
pub static WORKER: std::sync::OnceLock<PathBuf> = std::sync::OnceLock::new();

/// The connector of a configuration; and the embedded one, with the address at which other nodes reach it, if it is that.
async fn connector(
    config: &Config,
    clock: Arc<dyn Clock>,
) -> anyhow::Result<(Arc<dyn Connector>, Option<(EmbeddedConnector, SocketAddr)>)> {
    if config.chain_connector.is_embedded() {
        let embedded = embedded(config, clock).await?;
        let address = SocketAddr::new(config.connector.host, config.connector.port);
        return Ok((Arc::new(embedded.clone()), Some((embedded, address))));
    }
    let options = GrpcOptions {
        heartbeat: config.chain_connector.heartbeat,
        ..GrpcOptions::default()
    };
    let remote = GrpcConnector::new(
        &config.chain_connector.host,
        config.chain_connector.port,
        options,
    )?;
    Ok((Arc::new(remote), None))
}

/// The embedded connector of a configuration.
///
/// # Errors
/// Its database cannot be opened.
pub async fn embedded(config: &Config, clock: Arc<dyn Clock>) -> anyhow::Result<EmbeddedConnector> {
    let durability = match config.connector.sync {
        Sync::Full => Durability::PowerLoss,
        Sync::Normal => Durability::Process,
    };
    let options = EmbeddedOptions {
        durability,
        ..EmbeddedOptions::default()
    };
    make_folder_of(&config.connector.db_file)?;
    let location = Location::File(config.connector.db_file.clone());
    EmbeddedConnector::open(&location, clock, options)
        .await
        .context("the embedded connector's database cannot be opened")
}

/// Whoever did not run `init` still gets a database, as they get a `task_dir` and logs.
fn make_folder_of(file: &Path) -> anyhow::Result<()> {
    match file.parent() {
        Some(folder) => std::fs::create_dir_all(folder)
            .with_context(|| format!("the database's folder {} cannot be made", folder.display())),
        None => Ok(()),
    }
}

/// One process for each `task_dir`.
fn lock(task_dir: &Path) -> anyhow::Result<File> {
    std::fs::create_dir_all(task_dir)
        .with_context(|| format!("task_dir {} cannot be made", task_dir.display()))?;
    let path = task_dir.join(".node.lock");
    let file =
        File::create(&path).with_context(|| format!("{} cannot be written", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => bail!(
            "another delta-node uses task_dir {}; stop it, or give this one folders of its own",
            task_dir.display()
        ),
        Err(TryLockError::Error(e)) => {
            Err(e).with_context(|| format!("{} cannot be locked", path.display()))
        }
    }
}
