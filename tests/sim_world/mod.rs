//! Whole nodes in one process: the real application on the adapters in memory, in virtual time.
//!
//! Node *i* contributes `4^i`, so each base-4 digit of a sum says how often that node was counted. What the connector, the coordinators
//! and the reduces see is collected in [`facts`] and held against the laws of a round. Not here: the faults themselves, which the
//! adapters in memory provide, and the schedules, which are the tests'.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::cast_possible_truncation,
    reason = "two test programs use different parts of this model; a failed step is a failed test"
)]

pub mod bundle;
pub mod facts;
pub mod watched;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use delta_node::adapters::memory::{
    InPlace, MemoryBlobs, MemoryConnector, MemoryNetwork, MemoryStorage, PausedClock,
    ScriptedExecutor, SeededEntropy, average_into_variables,
};
use delta_node::app::{Node, Ports, Settings};
use delta_node::domain::bundle::BundleLimits;
use delta_node::domain::ids::{Address, Digest, TaskId};
use delta_node::domain::secret::Secret;
use delta_node::domain::task::TaskStatus;
use delta_node::domain::tensor::{Tensor, TensorData};
use delta_node::domain::time::Timestamp;
use delta_node::domain::vault::Vault;
use delta_node::ports::author_api::AuthorApi as _;
use delta_node::ports::clock::Clock as _;
use delta_node::ports::storage::{LocalTaskId, MachineKind, TaskRow};

pub use bundle::Recipe;
use facts::Facts;
use watched::WatchedPeers;

/// The first moment of every world.
const EPOCH: Timestamp = Timestamp(1_700_000_000_000);

/// One machine on which a node runs, or does not run at the moment.
pub struct Host {
    pub index: usize,
    pub url: String,
    pub storage: MemoryStorage,
    pub blobs: MemoryBlobs,
    /// This node's own handle on the record, with its own faults.
    pub connector: MemoryConnector,
    pub executor: ScriptedExecutor,
    pub settings: Settings,
    entropy: SeededEntropy,
    vault: Arc<Vault>,
    node: Option<Arc<Node>>,
}

/// Everything.
pub struct World {
    pub clock: PausedClock,
    /// A handle without faults.
    pub connector: MemoryConnector,
    pub network: MemoryNetwork,
    pub hosts: Vec<Host>,
    pub facts: Arc<Facts>,
    pub recipe: Recipe,
}

impl World {
    /// `n` nodes that run and know their connector.
    pub async fn new(n: usize, seed: u64, recipe: Recipe) -> Self {
        let clock = PausedClock::new(EPOCH);
        let connector = MemoryConnector::new(Arc::new(clock.clone()), seed);
        let network = MemoryNetwork::new(seed);
        let facts = Arc::new(Facts::new(connector.clone(), recipe.strategy()));
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
            let executor = ScriptedExecutor::new(format!("{index}"), contribution)
                .with_duration(Duration::from_millis(100))
                .with_reduce(move |job| {
                    facts.reduced(job);
                    let mut outcome = average_into_variables(job)?;
                    outcome.stop = stop_after == Some(job.step);
                    Ok(outcome)
                });
            let key = Digest::of(format!("node key {index}").as_bytes()).0;
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
        let host = &mut self.hosts[index];
        if host.node.is_some() {
            return;
        }
        let ports = Ports {
            connector: Arc::new(host.connector.clone()),
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
        };
        // A start that finds its database busy is repeated by whoever starts programs.
        let node = loop {
            match Node::start(ports.clone(), host.settings.clone()).await {
                Ok(node) => break node,
                Err(e) if e.is_transient() => tokio::time::sleep(Duration::from_secs(1)).await,
                Err(e) => panic!("node {index} does not start: {e}"),
            }
        };
        self.network
            .register(host.url.clone(), node.coordinator_api());
        host.node = Some(node);
    }

    /// Inputs that stand in the journal of the round that a node coordinates now.
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
            host.storage = host.storage.restart();
            host.blobs = host.blobs.restart();
            self.network.unregister(&host.url);
        }
    }

    /// Spoils what a node that does not run has on disk about the round that it coordinates.
    pub fn damage_round(&self, index: usize) {
        self.hosts[index]
            .storage
            .damage(MachineKind::CoordinatorRound);
    }

    /// Ends a node's process without any warning; its machine keeps what was written.
    pub async fn crash(&mut self, index: usize) {
        let host = &mut self.hosts[index];
        if let Some(node) = host.node.take() {
            // From here on nothing that is still under way leaves a trace.
            host.storage = host.storage.restart();
            host.blobs = host.blobs.restart();
            self.network.unregister(&host.url);
            node.stop().await;
        }
    }

    pub fn runs(&self, index: usize) -> bool {
        self.hosts[index].node.is_some()
    }

    pub fn node(&self, index: usize) -> Arc<Node> {
        self.hosts[index]
            .node
            .clone()
            .unwrap_or_else(|| panic!("node {index} does not run"))
    }

    pub fn address(&self, index: usize) -> Address {
        self.facts.address(index)
    }

    /// Submits the recipe's task to a node.
    pub async fn submit(&self, index: usize) -> LocalTaskId {
        let bytes = self.recipe.bundle();
        self.node(index)
            .submit_task(Box::pin(futures_util::stream::iter([Ok(bytes.into())])))
            .await
            .unwrap()
    }

    /// A task as its coordinator's database has it.
    pub async fn row(&self, index: usize, id: LocalTaskId) -> TaskRow {
        // Faults are for the nodes, not for the observer.
        let rows = self.hosts[index].storage.peek_tasks();
        rows.into_iter().find(|row| row.id == id).unwrap()
    }

    /// Lets the world go on until `done`; panics with `what` after `limit` of virtual time.
    pub async fn until(&self, what: &str, limit: Duration, mut done: impl FnMut(&Self) -> bool) {
        let started = self.clock.now();
        let mut turns = 0u32;
        while !done(self) {
            turns += 1;
            // Virtual time stands still while somebody has something to do, so turns come first.
            if turns.is_multiple_of(500) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            } else {
                tokio::task::yield_now().await;
            }
            self.facts.check();
            assert!(
                self.clock.now() - started < limit,
                "after {limit:?} still waiting for {what}\n{}",
                self.describe()
            );
        }
    }

    /// Waits in large steps: for ends, not for moments.
    pub async fn wait_for_end(&self, index: usize, id: LocalTaskId, limit: Duration) -> TaskRow {
        let started = self.clock.now();
        loop {
            let row = self.row(index, id).await;
            self.facts.check();
            if row.status.is_terminal() {
                return row;
            }
            assert!(
                self.clock.now() - started < limit,
                "after {limit:?} the task is still {:?}\n{}",
                row.status,
                self.describe()
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Seconds since the world began.
    pub fn seconds(&self) -> f64 {
        (self.clock.now() - EPOCH).as_secs_f64()
    }

    /// What is still under way on running or stopped nodes, in words; nothing when all have come to rest.
    pub fn unfinished_business(&self) -> Vec<String> {
        let mut found = Vec::new();
        for host in &self.hosts {
            let i = host.index;
            for key in host.storage.peek_machines() {
                match key.kind {
                    MachineKind::CoordinatorRound | MachineKind::RunnerRound => {
                        found.push(format!(
                            "node {i}: {} {} round {}",
                            key.kind.name(),
                            key.task,
                            key.round
                        ))
                    }
                    MachineKind::CoordinatorTask | MachineKind::RunnerTask => {}
                }
            }
            for row in host.storage.peek_tasks() {
                if !row.status.is_terminal() {
                    found.push(format!("node {i}: task {} is {:?}", row.id, row.status));
                }
                if row.status == TaskStatus::Error && row.error.is_none() {
                    found.push(format!("node {i}: task {} failed without a reason", row.id));
                }
            }
            if let Some(node) = &host.node
                && node.running_tasks() > 0
            {
                found.push(format!("node {i}: {} tasks run", node.running_tasks()));
            }
        }
        found
    }

    /// Where everything stands: logs, open machines, the record. For people and for comparing runs.
    pub fn describe(&self) -> String {
        let mut text = String::new();
        for host in &self.hosts {
            let runs = if host.node.is_some() { "" } else { " (down)" };
            text.push_str(&format!("--- node {}{runs}\n", host.index));
            for log in host.storage.peek_logs() {
                text.push_str(&format!(
                    "{:10.3} {:?} {}\n",
                    (log.log.created_at - EPOCH).as_secs_f64(),
                    log.log.level,
                    log.log.message
                ));
            }
            for row in host.storage.peek_tasks() {
                text.push_str(&format!(
                    "task {}: {:?} {:?}\n",
                    row.id, row.status, row.error
                ));
            }
        }
        text.push_str(&format!(
            "--- unfinished: {:#?}\n",
            self.unfinished_business()
        ));
        text.push_str(&format!("--- record\n{}", self.facts.describe()));
        for host in &self.hosts {
            let address = self.facts.address(host.index);
            text = text.replace(address.as_str(), &format!("<{}>", host.index));
        }
        text
    }

    /// Stops all nodes.
    pub async fn stop(&mut self) {
        for host in &mut self.hosts {
            if let Some(node) = host.node.take() {
                node.stop().await;
            }
        }
    }

    /// The task on the network of a local id.
    pub async fn task_id(&self, index: usize, id: LocalTaskId) -> Option<TaskId> {
        self.row(index, id).await.task
    }

    /// Metrics of the last reduce, which is where a result shows.
    pub async fn reports(
        &self,
        index: usize,
        id: LocalTaskId,
    ) -> Vec<delta_node::ports::author_api::RoundReport> {
        let progress = self.node(index).task_progress(id).await;
        progress
            .ok()
            .and_then(|(_, p)| p)
            .map(|p| p.rounds)
            .unwrap_or_default()
    }

    /// The members, by index, whose contributions are in each finished round.
    pub async fn counted(&self, index: usize, id: LocalTaskId) -> Vec<Vec<usize>> {
        let by_address: BTreeMap<Address, usize> = self
            .hosts
            .iter()
            .map(|h| (self.address(h.index), h.index))
            .collect();
        self.reports(index, id)
            .await
            .into_iter()
            .filter(|r| r.end == delta_node::domain::round::message::RoundEnd::Finished)
            .map(|r| {
                let mut list: Vec<usize> = r.clients.iter().map(|a| by_address[a]).collect();
                list.sort_unstable();
                list
            })
            .collect()
    }
}

/// What a node contributes to a step: its digit, and its digit times the step's number from 1.
fn contribution(node: &str, step: u32) -> Vec<Tensor> {
    let digit = f64::from(4u32.pow(node.parse().unwrap()));
    let values = vec![digit, digit * f64::from(step + 1)];
    vec![Tensor::new(vec![2], TensorData::F64(values)).unwrap()]
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
