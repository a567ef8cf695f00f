//! The probes that need the node's world: database, connector, executor, datasets.

use std::time::Duration;

use super::finding::Finding;
use crate::bootstrap::{Dial, LocalExecutor, connect, executor, open_storage, own_program};
use crate::cli::commands::run::WITHOUT_WALLS;
use crate::config::{Config, Sandbox};
use delta_ports::report;

/// How long the connector may take for one answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// How to get the faster runtime, for the executor's finding.
const ONNXRUNTIME_HINT: &str = "for a faster one: `pip install onnxruntime` in the active Python environment, or set executor.library to the path of libonnxruntime.so from that package";

/// Tries out database, connector, executor and datasets.
pub(crate) async fn probes(config: &Config) -> Vec<Finding> {
    let mut findings = Vec::new();
    findings.push(match open_storage(&config.db).await {
        Ok(_) => Finding::ok("database", format!("{} can be used", config.db)),
        Err(e) => Finding::fail("database", report(&e)),
    });
    findings.push(reach_connector(config).await);
    match own_program() {
        Err(e) => findings.push(Finding::fail("executor", format!("{e:#}"))),
        Ok(worker) => {
            let executor = executor(config, worker);
            findings.extend(walls(&executor, config.executor.sandbox).await);
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
    let dial = Dial {
        call_timeout: Some(PATIENCE),
        ..Dial::default()
    };
    let connector = match connect(host, port, dial, None, config.chain_connector.tls.as_ref()) {
        Ok(connector) => connector,
        Err(e) => return Finding::fail("connector", format!("{e:#}")),
    };
    match connector.nodes(1, 1).await {
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

async fn runtime(executor: &LocalExecutor) -> Vec<Finding> {
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
    vec![Finding::ok("executor", detail)]
}

async fn walls(executor: &LocalExecutor, sandbox: Sandbox) -> Vec<Finding> {
    const NAME: &str = "containment";
    let walls = match executor.walls().await {
        Ok(walls) => walls,
        Err(e) => return vec![Finding::fail(NAME, report(&e))],
    };
    let found = match (walls.gaps.is_empty(), sandbox) {
        (true, _) => Finding::ok(
            NAME,
            "workers are limited in memory, time and files, and cannot open sockets or other files",
        ),
        (false, Sandbox::Required) => {
            Finding::fail(NAME, format!("{}; {WITHOUT_WALLS}", walls.gaps.join("; ")))
        }
        (false, Sandbox::BestEffort) => Finding::warn(
            NAME,
            format!(
                "executor.sandbox is best_effort, and {}",
                walls.gaps.join("; ")
            ),
        ),
    };
    let notes = walls.notes.into_iter().map(|n| Finding::warn(NAME, n));
    std::iter::once(found).chain(notes).collect()
}

async fn datasets(executor: &LocalExecutor) -> Vec<Finding> {
    match executor.port().datasets().await {
        // An empty folder is a finding of the local probes already.
        Ok(found) => found
            .into_iter()
            .map(|d| Finding::ok("data", format!("{}: {}", d.name, d.description)))
            .collect(),
        Err(e) => vec![Finding::fail("data", report(&e))],
    }
}
