//! A whole round of three nodes on loopback: a million f32, real gRPC, HTTP and SQLite, the embedded connector.
//!
//! Prints the time of each round beyond the slowest member's own computation and the reduce, and the size of the process.
//! `cargo bench --bench round`

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a benchmark: a failure is a panic, and time is what it measures"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use delta_node::adapters::http::{UserClient, Way};
use delta_node::bootstrap::{self, Running};
use delta_node::config::{Config, Database};
use delta_node::domain::bundle::{Bundle, BundleLimits};
use delta_node::domain::catalogue::Outline;
use delta_node::domain::ids::{DatasetName, Digest};
use delta_node::domain::records::proof::ReleaseProof;
use delta_node::ports::PortError;
use delta_node::ports::author_api::AuthorApi as _;
use delta_node::ports::executor::{
    DatasetSummary, Executor, MapJob, MapOutcome, ReduceJob, ReduceOutcome, RuntimeInfo, Whose,
};

const TASK: &[u8] = include_bytes!("../tests/fixtures/wide-round.delta");
const WORKER: &str = env!("CARGO_BIN_EXE_delta-node");
const NODES: usize = 3;

/// Time spent in executors, by step: the slowest map, and the reduce.
#[derive(Default)]
struct Spent(Mutex<BTreeMap<u32, (Duration, Duration)>>);

struct Timed {
    inner: Arc<dyn Executor>,
    spent: Arc<Spent>,
}

#[async_trait]
impl Executor for Timed {
    async fn runtime(&self) -> RuntimeInfo {
        self.inner.runtime().await
    }
    async fn open_bundle(
        &self,
        bytes: Vec<u8>,
        limits: &BundleLimits,
        whose: Whose,
    ) -> Result<Arc<Bundle>, PortError> {
        self.inner.open_bundle(bytes, limits, whose).await
    }
    async fn check_graphs(
        &self,
        bundle: &Arc<Bundle>,
        whose: Whose,
    ) -> Result<ReleaseProof, PortError> {
        self.inner.check_graphs(bundle, whose).await
    }
    async fn check_data(&self, bundle: &Arc<Bundle>) -> Result<(), PortError> {
        self.inner.check_data(bundle).await
    }
    async fn map(&self, job: MapJob) -> Result<MapOutcome, PortError> {
        let (step, begin) = (job.step, Instant::now());
        let outcome = self.inner.map(job).await;
        let mut spent = self.spent.0.lock().unwrap();
        let entry = spent.entry(step).or_default();
        entry.0 = entry.0.max(begin.elapsed());
        outcome
    }
    async fn reduce(&self, job: ReduceJob) -> Result<ReduceOutcome, PortError> {
        let (step, begin) = (job.step, Instant::now());
        let outcome = self.inner.reduce(job).await;
        self.spent.0.lock().unwrap().entry(step).or_default().1 = begin.elapsed();
        outcome
    }
    async fn describe(
        &self,
        names: &BTreeSet<DatasetName>,
    ) -> Result<Vec<DatasetSummary>, PortError> {
        self.inner.describe(names).await
    }

    async fn outline(&self, name: &DatasetName) -> Result<Outline, PortError> {
        self.inner.outline(name).await
    }

    async fn version(&self, name: &DatasetName) -> Result<Digest, PortError> {
        self.inner.version(name).await
    }

    async fn datasets(&self) -> Result<Vec<DatasetSummary>, PortError> {
        self.inner.datasets().await
    }
}

fn main() {
    tokio::runtime::Runtime::new().unwrap().block_on(bench());
}

async fn bench() {
    let folder = tempfile::tempdir().unwrap();
    let port = connector(folder.path()).await;
    let spent = Arc::new(Spent::default());
    let mut nodes = Vec::new();
    for i in 0..NODES {
        let config = config(&folder.path().join(format!("node-{i}")), i, port);
        let begin = Instant::now();
        start(&config, &spent).await.stop().await; // makes the database
        let fresh = begin.elapsed();
        let begin = Instant::now();
        let running = start(&config, &spent).await;
        println!(
            "node {i}: first start and stop {:.0} ms, API ready on an existing database after {:.1} ms",
            fresh.as_secs_f64() * 1e3,
            begin.elapsed().as_secs_f64() * 1e3
        );
        running.node.connected().await;
        nodes.push(running);
    }
    let client = UserClient::new(
        &format!("http://{}", nodes[0].address),
        None,
        &Way::default(),
    )
    .unwrap();
    let id = client.submit(TASK).await.unwrap();
    while client.task(id.try_into().unwrap()).await.unwrap().status != "FINISHED" {
        let status = client.task(id.try_into().unwrap()).await.unwrap().status;
        assert_ne!(
            status,
            "ERROR",
            "{:?}",
            client.logs(id.try_into().unwrap(), 0).await
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let progress = nodes[0].node.task_progress(id).await.unwrap().1.unwrap();
    let spent = spent.0.lock().unwrap().clone();
    let mut beyond = Vec::new();
    for report in &progress.rounds {
        let (map, reduce) = spent.get(&report.step).copied().unwrap_or_default();
        let rest = report.seconds - map.as_secs_f64() - reduce.as_secs_f64();
        println!(
            "round {:>2}: {:.3} s, of it graphs {:.3} s (slowest map {:.3}, reduce {:.3}), beyond them {rest:.3} s, {} members",
            report.round,
            report.seconds,
            (map + reduce).as_secs_f64(),
            map.as_secs_f64(),
            reduce.as_secs_f64(),
            report.clients.len()
        );
        beyond.push(rest);
    }
    beyond.sort_by(f64::total_cmp);
    println!(
        "median beyond the graphs: {:.3} s (bar: 1 s)",
        beyond[beyond.len() / 2]
    );
}

async fn start(config: &Config, spent: &Arc<Spent>) -> Running {
    let mut parts = bootstrap::open(config, WORKER.into()).await.unwrap();
    let inner = parts.ports.executor.clone();
    parts.ports.executor = Arc::new(Timed {
        inner,
        spent: spent.clone(),
    });
    let running = Running::start(parts).await.unwrap();
    running.node.agree_to_everything(true);
    running
}

async fn connector(folder: &Path) -> u16 {
    let mut config = Config::default();
    config.connector.db_file = folder.join("connector.db");
    let embedded = bootstrap::embedded(&config, bootstrap::clock())
        .await
        .unwrap();
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .await
        .unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move { embedded.serve(listener, std::future::pending()).await });
    port
}

fn config(home: &Path, index: usize, connector_port: u16) -> Config {
    std::fs::create_dir_all(home.join("data")).unwrap();
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let mut config = Config::default();
    config.chain_connector.host = Ipv4Addr::LOCALHOST.to_string();
    config.chain_connector.port = connector_port;
    config.node.name = format!("node-{index}");
    config.node.url = format!("http://127.0.0.1:{port}");
    config.api_host = Ipv4Addr::LOCALHOST.into();
    config.api_port = port;
    config.db = Database::Sqlite(home.join("node.db"));
    config.task_dir = home.join("task");
    config.data_dir = home.join("data");
    config.policy.allow_private_addresses = true;
    config.executor.threads = 1;
    config
}
