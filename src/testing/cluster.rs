//! Whole nodes in one process: the real application on the adapters in memory, in virtual time.
//!
//! A world of nodes runs on one thread, from one seed, and takes no real time; graphs are not run, what nodes contribute is a function.
//! What the connector, the coordinators and the reduces see is collected in [`Facts`] and held against the laws of a round. Faults come
//! from the adapters in memory: see [`Host`]'s parts, [`Cluster::connector`] and [`Cluster::network`]. Schedules are the tests' own.
//!
//! ```
//! use std::time::Duration;
//!
//! use delta_testing::cluster::{Cluster, Recipe, run};
//!
//! run(async {
//!     let mut cluster = Cluster::new(3, 1, Recipe::default()).await;
//!     let id = cluster.submit(0).await;
//!     cluster.crash(2).await;
//!     cluster.start(2).await;
//!     cluster.wait_for_end(0, id, Duration::from_secs(3600)).await;
//!     assert_eq!(cluster.counted(0, id).await, [[0, 1, 2]]);
//!     cluster.stop().await;
//! });
//! ```

mod progress;
mod recipe;
mod watched;

use std::sync::Arc;
use std::time::Duration;

use delta_app::{Node, Ports, Settings, Wallet};
use delta_domain::bundle::BundleLimits;
use delta_domain::identity::NodeKey;
use delta_domain::ids::{Address, Digest};
use delta_domain::privacy::accountant::Ledger;
use delta_domain::secret::Secret;
use delta_domain::tensor::{Tensor, TensorData};
use delta_domain::time::Timestamp;
use delta_domain::vault::Vault;
use delta_memory::{
    ChainOptions, InPlace, MemoryBlobs, MemoryConnector, MemoryJournal, MemoryNetwork,
    MemoryPolicies, MemoryStorage, PausedClock, ScriptedExecutor, SeededEntropy,
    average_into_variables,
};
use delta_ports::author_api::AuthorApi as _;
use delta_ports::metrics::NoMetrics;
use delta_ports::operator_api::FixedLog;
use delta_ports::owner_notice::NoNotice;
use delta_ports::snapshots::NoDatabases;
use delta_ports::storage::{LocalTaskId, MachineKind};

pub use crate::facts::Contribution;
use crate::facts::Facts;
pub use recipe::{HEAVY, NOISE, Recipe, heavy};
use watched::WatchedPeers;

/// The first moment of every world.
const EPOCH: Timestamp = Timestamp(1_700_000_000_000);

/// One machine on which a node runs, or does not run at the moment.
pub struct Host {
    /// Its number in the world.
    pub index: usize,
    /// Where the node listens.
    pub url: String,
    /// The node's database, with faults of its own.
    pub storage: MemoryStorage,
    /// The node's files, with faults of their own.
    pub blobs: MemoryBlobs,
    /// This node's own handle on the record, with its own faults.
    pub connector: MemoryConnector,
    /// What it contributes, with faults of its own.
    pub executor: ScriptedExecutor,
    /// The node's settings, from its next start on.
    pub settings: Settings,
    entropy: SeededEntropy,
    vault: Arc<Vault>,
    /// Its long-term key, from its next start on.
    pub node_key: Arc<NodeKey>,
    /// Its owner's rules. At first every dataset asks.
    pub policies: MemoryPolicies,
    /// Its owner's journal.
    pub journal: MemoryJournal,
    /// Whether its owner allows whatever asks, from its next start on.
    pub agreeable: bool,
    node: Option<Arc<Node>>,
}

impl Host {
    /// From here on nothing that its process still does leaves a trace.
    fn process_ends(&mut self) {
        self.storage = self.storage.restart();
        self.blobs = self.blobs.restart();
        self.journal = self.journal.restart();
    }
}

/// All machines, their network and their connector.
pub struct Cluster {
    /// Virtual time.
    pub clock: PausedClock,
    /// A handle without faults.
    pub connector: MemoryConnector,
    /// Between the nodes, with faults of its own.
    pub network: MemoryNetwork,
    /// The machines, by number.
    pub hosts: Vec<Host>,
    /// What was seen so far.
    pub facts: Arc<Facts>,
    /// The task that is submitted.
    pub recipe: Recipe,
}

impl Cluster {
    /// `n` nodes that run and know their connector, and contribute [`digits`].
    pub async fn new(n: usize, seed: u64, recipe: Recipe) -> Self {
        Self::contributing(n, seed, recipe, digits).await
    }

    /// `n` nodes that run and know their connector; node `i` contributes `contribution(i, step)`.
    pub async fn contributing(
        n: usize,
        seed: u64,
        recipe: Recipe,
        contribution: Contribution,
    ) -> Self {
        let clock = PausedClock::new(EPOCH);
        let connector = MemoryConnector::new(Arc::new(clock.clone()), seed);
        Self::on(connector, clock, n, seed, recipe, contribution).await
    }

    /// `n` nodes on a chain, each with a connector and a wallet of its own, that run and know their connectors, and contribute [`digits`].
    pub async fn on_chain(n: usize, seed: u64, recipe: Recipe, chain: ChainOptions) -> Self {
        let clock = PausedClock::new(EPOCH);
        let connector = MemoryConnector::on_chain(Arc::new(clock.clone()), seed, chain);
        Self::on(connector, clock, n, seed, recipe, digits).await
    }

    async fn on(
        connector: MemoryConnector,
        clock: PausedClock,
        n: usize,
        seed: u64,
        recipe: Recipe,
        contribution: Contribution,
    ) -> Self {
        let network = MemoryNetwork::new(seed);
        let facts = Facts::new(connector.clone(), recipe.strategy(), contribution);
        // Sixty deviations of the noise at its smallest cohort, in steps of the precision; members differ by a whole number.
        let slack = if recipe.noise { 0.05 } else { 0.0 };
        let facts = Arc::new(facts.with_slack(slack));
        let entropy = SeededEntropy::new(seed);
        let mut world = Self {
            clock,
            connector,
            network,
            hosts: Vec::new(),
            facts,
            recipe,
        };
        for index in 0..n {
            let url = format!("http://node-{index}.test:6700");
            let facts = world.facts.clone();
            let stop_after = world.recipe.stop_after;
            let seen = world.facts.clone();
            let values = move |_: &str, step| {
                seen.computed(index);
                let values = contribution(index, step).to_vec();
                vec![Tensor::new(vec![2], TensorData::F64(values)).unwrap()]
            };
            let executor = ScriptedExecutor::new(format!("{index}"), values)
                .with_duration(Duration::from_millis(100))
                .with_reduce(move |job| {
                    facts.reduced(job);
                    let mut outcome = average_into_variables(job)?;
                    outcome.stop = stop_after == Some(job.step);
                    Ok(outcome)
                });
            let key = Digest::of(format!("node key {index}").as_bytes()).0;
            let identity = Digest::of(format!("identity {index}").as_bytes()).0;
            world.hosts.push(Host {
                index,
                settings: Settings {
                    url: url.clone(),
                    name: format!("node {index}"),
                    bundle: BundleLimits::default(),
                    ..Settings::default()
                },
                url,
                storage: MemoryStorage::new(),
                blobs: MemoryBlobs::new(),
                connector: world.connector.handle(),
                executor,
                entropy: entropy.derive(&format!("node {index}")),
                vault: Arc::new(Vault::new(Secret::new(key))),
                node_key: Arc::new(NodeKey::new(&Secret::new(identity)).unwrap()),
                policies: MemoryPolicies::default(),
                journal: MemoryJournal::default(),
                agreeable: true,
                node: None,
            });
        }
        for index in 0..n {
            world.start(index).await;
            world.node(index).connected().await;
            let address = world.node(index).address().unwrap();
            world.facts.introduce(index, address);
        }
        world
    }

    /// Starts a node on what its machine keeps. Fine when it runs.
    pub async fn start(&mut self, index: usize) {
        if self.hosts[index].node.is_some() {
            return;
        }
        // A start that finds its database busy is repeated by whoever starts programs, in another process.
        let node = loop {
            let clock = Arc::new(self.clock.clone());
            let host = &mut self.hosts[index];
            let ports = Ports {
                connector: Arc::new(Wallet::new(host.connector.clone(), clock)),
                storage: Arc::new(host.storage.clone()),
                blobs: Arc::new(host.blobs.clone()),
                executor: Arc::new(host.executor.clone()),
                peers: Arc::new(WatchedPeers::new(
                    self.network.peers(host.url.clone()),
                    self.facts.clone(),
                )),
                clock: Arc::new(self.clock.clone()),
                entropy: Arc::new(host.entropy.clone()),
                compute: Arc::new(InPlace),
                vault: host.vault.clone(),
                node_key: host.node_key.clone(),
                documents: Arc::new(self.network.peers(host.url.clone())),
                catalogues: Arc::new(self.network.peers(host.url.clone())),
                snapshots: Arc::new(NoDatabases),
                policies: Arc::new(host.policies.clone()),
                journal: Arc::new(host.journal.clone()),
                notices: Arc::new(NoNotice),
                metrics: Arc::new(NoMetrics),
                log: Arc::new(FixedLog),
            };
            match Node::start(ports, host.settings.clone()).await {
                Ok(node) => break node,
                Err(e) if e.is_transient() => {
                    host.process_ends();
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
                Err(e) => panic!("node {index} does not start: {e}"),
            }
        };
        let host = &mut self.hosts[index];
        self.network
            .register(host.url.clone(), node.coordinator_api());
        self.network.introduce(host.url.clone(), node.identities());
        self.network.publish(host.url.clone(), node.catalogue());
        if host.agreeable {
            node.agree_to_everything(true);
        }
        host.node = Some(node);
    }

    /// Inputs that stand in the journal of the round that a node coordinates now.
    #[must_use]
    pub fn journal(&self, index: usize) -> usize {
        let storage = &self.hosts[index].storage;
        let journals = storage.peek_journals(MachineKind::CoordinatorRound);
        journals.into_iter().sum()
    }

    /// Stops a node as an operator would.
    pub async fn stop_one(&mut self, index: usize) {
        let host = &mut self.hosts[index];
        if let Some(node) = host.node.take() {
            node.stop().await;
            host.process_ends();
            self.network.unregister(&host.url);
        }
    }

    /// Spoils what a node that does not run has on disk about the round that it coordinates.
    pub fn damage_round(&self, index: usize) {
        self.hosts[index]
            .storage
            .damage(MachineKind::CoordinatorRound);
    }

    /// Transactions on the chain that were taken back, in words.
    #[must_use]
    pub fn reverts(&self) -> Vec<String> {
        let mined = self.connector.mined().into_iter();
        let taken_back = mined.filter(|one| !one.accepted);
        let told = taken_back.map(|one| {
            let mut call = format!("{:?}", one.command);
            call.truncate(call.find(" {").unwrap_or(call.len()));
            format!("block {}: node {} {call}", one.block, one.wallet)
        });
        told.collect()
    }

    /// Ends a node's process without any warning; its machine keeps what was written.
    pub async fn crash(&mut self, index: usize) {
        let host = &mut self.hosts[index];
        if let Some(node) = host.node.take() {
            // From here on nothing that is still under way leaves a trace.
            host.process_ends();
            self.network.unregister(&host.url);
            node.stop().await;
        }
    }

    /// Whether a node runs now.
    #[must_use]
    pub fn runs(&self, index: usize) -> bool {
        self.hosts[index].node.is_some()
    }

    /// A node that runs.
    #[must_use]
    pub fn node(&self, index: usize) -> Arc<Node> {
        self.hosts[index]
            .node
            .clone()
            .unwrap_or_else(|| panic!("node {index} does not run"))
    }

    /// The address of a node.
    #[must_use]
    pub fn address(&self, index: usize) -> Address {
        self.facts.address(index)
    }

    /// What a node has written down of the privacy of its data, whether it runs or not.
    #[must_use]
    pub fn ledger(&self, index: usize) -> Option<Ledger> {
        let stored = self.hosts[index].storage.peek_setting("privacy/any.csv")?;
        Some(serde_json::from_slice(&stored).unwrap())
    }

    /// Submits the recipe's task to a node.
    pub async fn submit(&self, index: usize) -> LocalTaskId {
        self.submit_as(index, None).await
    }

    /// The same with the token of an author.
    pub async fn submit_as(&self, index: usize, author: Option<&str>) -> LocalTaskId {
        let bytes = self.recipe.bundle();
        self.node(index)
            .submit_task(
                Box::pin(futures_util::stream::iter([Ok(bytes.into())])),
                author.map(str::to_owned),
            )
            .await
            .unwrap()
    }

    /// Stops all nodes.
    pub async fn stop(&mut self) {
        for host in &mut self.hosts {
            if let Some(node) = host.node.take() {
                node.stop().await;
            }
        }
    }
}

/// `4^node`, so that each base-4 digit of a sum says how often that node was counted; and that times the step's number from 1.
#[must_use]
pub fn digits(node: usize, step: u32) -> [f64; 2] {
    let digit = f64::from(4u32.pow(node.try_into().unwrap()));
    [digit, digit * f64::from(step + 1)]
}

/// Runs a test in virtual time on one thread.
pub fn run<F: Future>(test: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap()
        .block_on(test)
}
