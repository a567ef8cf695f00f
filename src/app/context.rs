//! What every part of the running node shares: ports, settings, identity, the task journal.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::backoff::Backoff;
use super::board::NewsDesk;
use super::bundles::Bundles;
use super::catalogues::Catalogues;
use super::contact::Contact;
use super::coordinator::creating::Announced;
use super::home::{Home, Watched};
use super::identities::{Identities, IdentityPorts, IdentitySettings};
use super::lines::Lines;
use super::machine::MachinePorts;
use super::measured::{MeasuredExecutor, MeasuredPeers};
use super::owner::Owner;
use super::reading::Reading;
use super::registrations::Registrations;
use delta_domain::bundle::{Bundle, BundleLimits};
use delta_domain::chain_cost::MAX_LIST;
use delta_domain::identity::NodeKey;
use delta_domain::ids::{Address, Digest, TaskId, TxHash};
use delta_domain::round::PrivacyFloor;
use delta_domain::secret::Secret;
use delta_domain::time::Timestamp;
use delta_domain::vault::Vault;
use delta_ports::blob::{BlobName, BlobStore};
use delta_ports::catalogue::CatalogueSource;
use delta_ports::clock::Clock;
use delta_ports::compute::Compute;
use delta_ports::connector::Connector;
use delta_ports::entropy::Entropy;
use delta_ports::executor::{Executor, Whose};
use delta_ports::identity::IdentitySource;
use delta_ports::journal::Journal;
use delta_ports::metrics::Metrics;
use delta_ports::operator_api::LogFilter;
use delta_ports::owner_notice::OwnerNotice;
use delta_ports::peer::PeerTransport;
use delta_ports::policy::PolicySource;
use delta_ports::snapshots::Snapshots;
use delta_ports::storage::{LogLevel, NewLog, Storage};
use delta_ports::{PortError, PortErrorKind, report};

/// How long this node's own trouble may last before something is given up for it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(300);

/// How long nodes that were started together may take until the connector knows them all.
const FINDING_EACH_OTHER: Duration = Duration::from_secs(3);

/// Bytes of an initial value that stays with an open bundle; a larger one is read again when it is needed.
const HELD_VALUE: usize = 64 << 10;

/// The world, as this node sees it.
#[derive(Clone)]
pub struct Ports {
    /// The network's record.
    pub connector: Arc<dyn Connector>,
    /// The database: tasks, machines, logs.
    pub storage: Arc<dyn Storage>,
    /// Bundles, variables, masked inputs and results, as files.
    pub blobs: Arc<dyn BlobStore>,
    /// Runs maps and reduces on local data.
    pub executor: Arc<dyn Executor>,
    /// The way to coordinators.
    pub peers: Arc<dyn PeerTransport>,
    /// What deadlines and pauses are measured with.
    pub clock: Arc<dyn Clock>,
    /// Seeds of rounds, and nonces.
    pub entropy: Arc<dyn Entropy>,
    /// Where CPU-bound work runs.
    pub compute: Arc<dyn Compute>,
    /// The node key at work.
    pub vault: Arc<Vault>,
    /// The long-term key that this node is known by.
    pub node_key: Arc<NodeKey>,
    /// The way to other nodes' identity documents.
    pub documents: Arc<dyn IdentitySource>,
    /// The way to what other nodes publish about their data.
    pub catalogues: Arc<dyn CatalogueSource>,
    /// The way to the owner's databases.
    pub snapshots: Arc<dyn Snapshots>,
    /// The owner's rules for data.
    pub policies: Arc<dyn PolicySource>,
    /// The owner's journal.
    pub journal: Arc<dyn Journal>,
    /// How the owner hears that a task waits.
    pub notices: Arc<dyn OwnerNotice>,
    /// Where measurements go.
    pub metrics: Arc<dyn Metrics>,
    /// How much this process's log says.
    pub log: Arc<dyn LogFilter>,
}

/// How this node behaves.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where the other nodes reach this one.
    pub url: String,
    /// Its display name.
    pub name: String,
    /// The smallest cohort in which it takes part, or which it coordinates.
    pub min_clients: usize,
    /// What it asks of thresholds and neighbourhoods.
    pub privacy: PrivacyFloor,
    /// Whether it takes part in others' tasks at all.
    pub accept: bool,
    /// Whether it takes part only in tasks of whose creation it has heard itself: it was restored from a backup, and does not know in
    /// which steps of older ones it has taken part.
    pub heard_only: bool,
    /// The most tasks of its own that run at the same time.
    pub max_tasks: usize,
    /// Limits of a bundle.
    pub bundle: BundleLimits,
    /// For how long a question to the owner stays open, a task of this node's own waits for others' owners, and a round stands still for
    /// a connector or a coordinator that is away.
    pub patience: Duration,
    /// How often it renews its registration. The connector forgets it after 120 s.
    pub rejoin: Duration,
    /// The most commitments or shares that it puts on record in one call.
    pub max_list: usize,
    /// How it presents itself, and whom it believes.
    pub identity: IdentitySettings,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            url: String::new(),
            name: String::new(),
            min_clients: 2,
            privacy: PrivacyFloor::default(),
            accept: true,
            heard_only: false,
            max_tasks: 16,
            bundle: BundleLimits::default(),
            patience: Duration::from_secs(24 * 3600),
            rejoin: Duration::from_secs(60),
            max_list: MAX_LIST as usize,
            identity: IdentitySettings {
                organisation: "unnamed".to_owned(),
                name: "unnamed".to_owned(),
                ..IdentitySettings::default()
            },
        }
    }
}

/// What every part of the running node shares.
pub(crate) struct Context {
    pub(crate) ports: Ports,
    pub(crate) settings: Settings,
    /// Who the nodes of the network are.
    pub(crate) identities: Arc<Identities>,
    /// What the owner says to tasks.
    pub(crate) owner: Arc<Owner>,
    /// What this node publishes about its data, and what others do.
    pub(crate) catalogues: Arc<Catalogues>,
    /// What this node has on the data hub.
    pub(crate) registrations: Arc<Registrations>,
    /// Which datasets the running tasks read.
    pub(crate) reading: Arc<Reading>,
    /// This node's address, once the connector has told it.
    pub(crate) address: watch::Sender<Option<Address>>,
    /// Tasks of this node that the network was told of.
    pub(crate) announced: Arc<Announced>,
    /// Whether the connector knows this node and is heard.
    pub(crate) contact: Arc<Contact>,
    /// Whether this machine has what a node takes.
    pub(crate) home: Arc<Home>,
    /// Fires when the node stops.
    pub(crate) cancel: CancellationToken,
    /// Everything that runs in the background.
    pub(crate) tracker: TaskTracker,
    /// Bundles that are open, and turns to open more.
    pub(crate) bundles: Arc<Bundles>,
    /// Lines of tasks' logs that are not in the database yet.
    pub(crate) lines: Arc<Lines>,
    /// Tells pages that are open what has changed.
    pub(crate) news: Arc<NewsDesk>,
    /// When this node was started.
    pub(crate) since: Timestamp,
}

impl Context {
    pub(crate) fn new(mut ports: Ports, settings: Settings) -> Self {
        let home = Arc::<Home>::default();
        ports.blobs = Arc::new(Watched {
            blobs: ports.blobs,
            home: home.clone(),
            clock: ports.clock.clone(),
            metrics: ports.metrics.clone(),
        });
        ports.executor = Arc::new(MeasuredExecutor {
            executor: ports.executor,
            metrics: ports.metrics.clone(),
        });
        ports.peers = Arc::new(MeasuredPeers {
            peers: ports.peers,
            metrics: ports.metrics.clone(),
        });
        let identities = Identities::new(
            IdentityPorts::of(&ports),
            settings.identity.clone(),
            &settings.url,
        );
        let news = Arc::<NewsDesk>::default();
        let owner = Owner::new(&ports, settings.patience, news.clone());
        let catalogues = Catalogues::new(&ports, identities.clone());
        let registrations = Arc::new(Registrations::new(&ports));
        let since = ports.clock.now();
        let contact = Contact::sought(since);
        Self {
            ports,
            settings,
            identities,
            owner,
            catalogues,
            registrations,
            reading: Arc::default(),
            address: watch::Sender::new(None),
            announced: Arc::default(),
            contact,
            home,
            cancel: CancellationToken::new(),
            tracker: TaskTracker::new(),
            bundles: Arc::default(),
            lines: Arc::default(),
            news,
            since,
        }
    }

    /// The same node with another way to coordinators.
    pub(crate) fn with_peers(&self, peers: Arc<dyn PeerTransport>) -> Self {
        Self {
            ports: Ports {
                peers,
                ..self.ports.clone()
            },
            settings: self.settings.clone(),
            identities: self.identities.clone(),
            owner: self.owner.clone(),
            catalogues: self.catalogues.clone(),
            registrations: self.registrations.clone(),
            reading: self.reading.clone(),
            address: self.address.clone(),
            announced: self.announced.clone(),
            contact: self.contact.clone(),
            home: self.home.clone(),
            cancel: self.cancel.clone(),
            tracker: self.tracker.clone(),
            bundles: self.bundles.clone(),
            lines: self.lines.clone(),
            news: self.news.clone(),
            since: self.since,
        }
    }

    pub(crate) fn machine_ports(&self) -> MachinePorts {
        MachinePorts {
            storage: self.ports.storage.clone(),
            clock: self.ports.clock.clone(),
            entropy: self.ports.entropy.clone(),
            vault: self.ports.vault.clone(),
            lines: self.lines.clone(),
            connector: self.ports.connector.clone(),
            metrics: self.ports.metrics.clone(),
        }
    }

    /// This node's address; waits until the connector has told it.
    pub(crate) async fn own_address(&self) -> Result<Address, PortError> {
        let mut address = self.address.subscribe();
        let stopped = || {
            PortError::new(
                PortErrorKind::Unavailable,
                "node.address",
                "the node is stopping",
            )
        };
        tokio::select! {
            biased;
            known = address.wait_for(Option::is_some) => known.ok().and_then(|a| a.clone()).ok_or_else(stopped),
            () = self.cancel.cancelled() => Err(stopped()),
        }
    }

    /// Runs `future` until it ends or the node stops.
    pub(crate) fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        let cancel = self.cancel.clone();
        drop(self.tracker.spawn(async move {
            tokio::select! {
                biased;
                () = cancel.cancelled() => {}
                () = future => {}
            }
        }));
    }

    /// Runs a future that watches [`Self::cancel`] itself and ends soon after it fires: what it does last is waited for.
    pub(crate) fn spawn_to_its_end(&self, future: impl Future<Output = ()> + Send + 'static) {
        drop(self.tracker.spawn(future));
    }

    /// A fresh seed for a round.
    pub(crate) fn seed(&self) -> Result<Secret<32>, PortError> {
        Ok(Secret::draw(&mut self.ports.entropy.rng()?))
    }

    /// Writes an entry to a task's log and to the program's own. Never fails: a lost log line must not cost a round.
    pub(crate) async fn log(
        &self,
        level: LogLevel,
        task: &TaskId,
        message: String,
        tx_hash: Option<TxHash>,
    ) {
        // The original's texts name the task; what others say is told which one it is of.
        let of = (!message.contains(task.as_str())).then(|| tracing::field::display(task));
        match level {
            LogLevel::Info => tracing::info!(task = of, "{message}"),
            LogLevel::Warn => tracing::warn!(task = of, "{message}"),
            LogLevel::Error => tracing::error!(task = of, "{message}"),
        }
        self.enter(level, task, message, tx_hash);
    }

    /// Writes a step of a round to a task's log. The program's own log has it at DEBUG: there are about thirty a round.
    pub(crate) async fn step(&self, task: &TaskId, message: String, tx_hash: Option<TxHash>) {
        tracing::debug!(tx = tx_hash.as_ref().map(TxHash::as_str), "{message}");
        self.enter(LogLevel::Info, task, message, tx_hash);
    }

    fn enter(&self, level: LogLevel, task: &TaskId, message: String, tx_hash: Option<TxHash>) {
        let entry = NewLog {
            created_at: self.ports.clock.now(),
            task: task.clone(),
            level,
            message,
            tx_hash,
        };
        self.lines.enter(entry);
    }

    /// Tries again while `call` fails in a way that may mend itself: a database that is busy, a disk that is full. Gives up after some
    /// minutes. Only for calls that may be repeated after a lost answer.
    pub(crate) async fn retry_transient<T, F: Future<Output = Result<T, PortError>>>(
        &self,
        call: impl Fn() -> F,
    ) -> Result<T, PortError> {
        let mut backoff = Backoff::PATIENT;
        let until = self.ports.clock.now() + PATIENCE;
        loop {
            match call().await {
                Err(e) if e.is_transient() && self.ports.clock.now() < until => {
                    tracing::warn!("will try again: {}", report(&e));
                    self.ports.clock.sleep(backoff.pause()).await;
                }
                other => return other,
            }
        }
    }

    /// As [`Self::too_few_nodes`], but nodes that start together get a moment to find each other.
    pub(crate) async fn too_few_nodes_for_long(&self, min_clients: u32) -> Option<String> {
        let until = self.ports.clock.now() + FINDING_EACH_OTHER;
        loop {
            let text = self.too_few_nodes(min_clients).await?;
            if self.ports.clock.now() >= until {
                return Some(text);
            }
            self.ports.clock.sleep(Duration::from_millis(300)).await;
        }
    }

    /// Why a cohort of this size cannot come together: the network has fewer nodes. `None` also where the connector cannot be asked.
    pub(crate) async fn too_few_nodes(&self, min_clients: u32) -> Option<String> {
        let wanted = usize::try_from(min_clients).unwrap_or(usize::MAX);
        let wanted = u64::try_from(wanted.max(self.settings.min_clients)).unwrap_or(u64::MAX);
        let nodes = self.ports.connector.nodes(1, 1).await.ok()?.total;
        (wanted > nodes).then(|| {
            format!("the task wants at least {wanted} members, the network has {nodes} nodes")
        })
    }

    /// Opens a bundle that is kept under `name`; it must have this digest. One at a time is in memory for each of those whose it can be.
    /// Large initial values are let go.
    pub(crate) async fn open_bundle(
        &self,
        name: &BlobName,
        commitment: Option<&Digest>,
        whose: Whose,
    ) -> Result<Arc<Bundle>, PortError> {
        if let Some(open) = commitment.and_then(|digest| self.bundles.get(digest)) {
            return Ok(open);
        }
        let _turn = self.bundles.turn(whose).await;
        let bundle = self.open_whole(name, commitment, whose).await?;
        self.keep_open(bundle).await
    }

    /// Opens a bundle with all its initial values, for as long as the caller holds it.
    pub(crate) async fn open_with_values(
        &self,
        name: &BlobName,
        commitment: Option<&Digest>,
        whose: Whose,
    ) -> Result<Arc<Bundle>, PortError> {
        let _turn = self.bundles.turn(whose).await;
        self.open_whole(name, commitment, whose).await
    }

    /// Keeps a bundle open without its large initial values.
    pub(crate) async fn keep_open(&self, bundle: Arc<Bundle>) -> Result<Arc<Bundle>, PortError> {
        let work = move || Ok(Arc::new(Arc::unwrap_or_clone(bundle).let_go(HELD_VALUE)));
        let bundle = self.ports.compute.blocking("bundle.open", work).await?;
        self.bundles.keep(&bundle);
        Ok(bundle)
    }

    async fn open_whole(
        &self,
        name: &BlobName,
        commitment: Option<&Digest>,
        whose: Whose,
    ) -> Result<Arc<Bundle>, PortError> {
        let limits = &self.settings.bundle;
        let bytes = self.ports.blobs.read(name, limits.bytes as u64).await?;
        let bytes = self.compare(bytes, commitment).await?;
        let executor = &self.ports.executor;
        executor.open_bundle(bytes, limits, whose).await
    }

    /// Gives bytes back if they have this digest. CPU-bound work leaves the async threads.
    async fn compare(
        &self,
        bytes: Vec<u8>,
        commitment: Option<&Digest>,
    ) -> Result<Vec<u8>, PortError> {
        let Some(expected) = commitment.copied() else {
            return Ok(bytes);
        };
        let work = move || {
            if Digest::of(&bytes) == expected {
                return Ok(bytes);
            }
            let text = "the bundle is not the one that was committed to: its SHA-256 differs";
            Err(PortError::new(PortErrorKind::Rejected, "bundle.open", text))
        };
        self.ports.compute.blocking("bundle.open", work).await
    }
}
