//! The commands that need the whole node. The command line calls these and nothing deeper.

pub(crate) mod task;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio_util::sync::CancellationToken;

use super::check::{Finding, ONNXRUNTIME_HINT};
use super::signals::StopSignals;
use crate::adapters::connector::serve;
use crate::adapters::sqlite::SqliteStorage;
use crate::adapters::system::SystemClock;
use crate::bootstrap::{self, Running};
use crate::config::Config;
use crate::testbed::attack::AttackArgs;
use crate::testbed::demo::DemoArgs;
use delta_ports::executor::Executor as _;
use delta_ports::report;

/// `run`: takes part in the network until SIGTERM or SIGINT.
///
/// # Errors
/// What stopped the node.
pub(crate) async fn run(config: Config) -> anyhow::Result<()> {
    let mut stop = StopSignals::listen()?;
    let parts = bootstrap::open(&config).await?;
    let executor = parts.executor.clone();
    let running = Running::start(parts).await?;
    tracing::info!("the API listens on http://{}", running.address);
    tokio::spawn(async move {
        // In the background: the API must not wait for a runtime to load.
        match executor.probe().await {
            Ok(report) => {
                tracing::info!("graphs run on {} {}", report.info.name, report.info.version)
            }
            Err(e) => tracing::error!("graphs cannot run here: {}", report(&e)),
        }
    });
    let signal = stop.wait().await;
    tracing::info!("{signal} received, shutting down");
    running.stop().await;
    Ok(())
}

/// `leave`: tells the connector that this node is gone.
///
/// # Errors
/// The connector's refusal, or that it cannot be reached.
pub(crate) async fn leave(config: Config) -> anyhow::Result<()> {
    let parts = bootstrap::open(&config).await?;
    let connector = &parts.ports.connector;
    // Joining is how a node learns its address; by url, so it is the same one.
    let joined = connector.join(&config.node.url, &config.node.name).await?;
    connector.leave(&joined.address).await?;
    tracing::info!(address = %joined.address, "this node has left the network");
    Ok(())
}

/// `connector`: serves the embedded connector until SIGTERM or SIGINT.
///
/// # Errors
/// What stopped it.
pub(crate) async fn connector(config: Config) -> anyhow::Result<()> {
    let mut stop = StopSignals::listen()?;
    let embedded = bootstrap::embedded(&config, Arc::new(SystemClock::new())).await?;
    let address = (config.connector.host, config.connector.port);
    let listener = tokio::net::TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {}:{}", address.0, address.1))?;
    tracing::info!("the connector listens on {}", listener.local_addr()?);
    let stopping = CancellationToken::new();
    let stopped = stopping.clone();
    let shutdown = async move {
        let signal = stop.wait().await;
        tracing::info!("{signal} received, shutting down");
        stopping.cancel();
    };
    // A peer that has stopped reading must not keep this process alive.
    let farewell = async move {
        stopped.cancelled().await;
        tokio::time::sleep(bootstrap::FAREWELL).await;
    };
    tokio::select! {
        served = serve(&embedded, listener, shutdown) => served?,
        () = farewell => tracing::warn!("some calls did not end in {:?} and were cut", bootstrap::FAREWELL),
    }
    embedded.close().await;
    Ok(())
}

/// `demo`: a whole network on this machine.
///
/// # Errors
/// What went wrong in it.
pub(crate) async fn demo(args: DemoArgs) -> anyhow::Result<()> {
    crate::testbed::demo::run(args).await
}

/// `attack`: hostile members, coordinators, connectors and strangers against a network of one's own.
///
/// # Errors
/// Some attack got through, or the network could not be reached.
pub(crate) async fn attack(args: AttackArgs) -> anyhow::Result<()> {
    crate::testbed::attack::run(args).await
}

/// The part of `check` that needs adapters: connector, database, executor, datasets.
pub(crate) async fn probes(config: &Config) -> Vec<Finding> {
    let mut findings = Vec::new();
    findings.push(match SqliteStorage::open(&config.db.to_string()).await {
        Ok(_) => Finding::ok("database", format!("{} can be used", config.db)),
        Err(e) => Finding::fail("database", report(&e)),
    });
    findings.push(reach_connector(config).await);
    match bootstrap::executor(config) {
        Err(e) => findings.push(Finding::fail("executor", format!("{e:#}"))),
        Ok(executor) => {
            findings.extend(runtime(&executor).await);
            findings.extend(datasets(&executor).await);
        }
    }
    findings
}

async fn reach_connector(config: &Config) -> Finding {
    if config.chain_connector.is_embedded() {
        return Finding::ok("connector", "embedded in this node");
    }
    let (host, port) = (&config.chain_connector.host, config.chain_connector.port);
    let options = crate::adapters::grpc::GrpcOptions {
        call_timeout: Duration::from_secs(5),
        ..crate::adapters::grpc::GrpcOptions::default()
    };
    use delta_ports::connector::Connector as _;
    let nodes = match crate::adapters::grpc::GrpcConnector::new(host, port, options) {
        Ok(connector) => connector.nodes(1, 1).await,
        Err(e) => Err(e),
    };
    match nodes {
        Ok(page) => Finding::ok(
            "connector",
            format!(
                "{host}:{port} answers and knows {} living nodes",
                page.total
            ),
        ),
        Err(e) => Finding::fail(
            "connector",
            format!("{host}:{port} does not answer: {}", report(&e)),
        ),
    }
}

async fn runtime(executor: &crate::adapters::onnx::OnnxExecutor) -> Vec<Finding> {
    let found = match executor.probe().await {
        Ok(found) => found,
        Err(e) => return vec![Finding::fail("executor", report(&e))],
    };
    let place = found
        .info
        .library
        .as_ref()
        .map(|l| format!(" from {l}"))
        .unwrap_or_default();
    let mut detail = format!(
        "graphs run on {} {}{place}",
        found.info.name, found.info.version
    );
    for (path, why) in &found.skipped {
        detail.push_str(&format!("; {} is not used: {why}", path.display()));
    }
    if found.info.name != "onnxruntime" {
        detail.push_str("; ");
        detail.push_str(ONNXRUNTIME_HINT);
    }
    let gaps = found.containment.gaps();
    let walls = if gaps.is_empty() {
        Finding::ok(
            "containment",
            "workers are limited in memory, time and files, and cannot open sockets or other files",
        )
    } else {
        Finding::warn("containment", gaps.join("; "))
    };
    vec![Finding::ok("executor", detail), walls]
}

async fn datasets(executor: &crate::adapters::onnx::OnnxExecutor) -> Vec<Finding> {
    match executor.datasets().await {
        // An empty folder is a finding of the local probes already.
        Ok(found) => found
            .into_iter()
            .map(|d| Finding::ok("data", format!("{}: {}", d.name, d.description)))
            .collect(),
        Err(e) => vec![Finding::fail("data", report(&e))],
    }
}

/// `__worker`: the contained process that runs graphs, driven over its standard input and output.
pub(crate) fn worker() -> ExitCode {
    crate::adapters::onnx::worker_main()
}
