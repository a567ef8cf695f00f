//! The probes that need the node's world: database, connector, executor, datasets.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use super::finding::Finding;
use crate::bootstrap::{
    Dial, LocalExecutor, checked_roster, clock, connect, databases, entropy, executor,
    identity_settings, node_key, open_storage, own_program,
};
use crate::cli::commands::run::WITHOUT_WALLS;
use crate::config::{Config, Sandbox};
use delta_domain::identity::{Trust, minute_of};
use delta_domain::ids::DatasetName;
use delta_domain::query::Query;
use delta_ports::report;
use delta_ports::snapshots::Kept;

/// How long the connector may take for one answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// How to get the faster runtime, for the executor's finding.
const ONNXRUNTIME_HINT: &str = "for a faster one: `pip install onnxruntime` in the active Python environment, or set executor.library to the path of libonnxruntime.so from that package";

/// Tries out database, connector, executor and datasets.
pub(crate) async fn probes(config: &Config, file: &Path) -> Vec<Finding> {
    let mut findings = Vec::new();
    findings.push(match open_storage(&config.db).await {
        Ok(_) => Finding::ok("database", format!("{} can be used", config.db)),
        Err(e) => Finding::fail("database", report(&e)),
    });
    findings.push(reach_connector(config).await);
    findings.push(way_to_connector(config));
    findings.push(roster(config).await);
    match own_program() {
        Err(e) => findings.push(Finding::fail("executor", format!("{e:#}"))),
        Ok(worker) => {
            let executor = executor(config, worker);
            match config.load_policies(file) {
                Ok(loaded) => {
                    executor.hear(&loaded);
                    findings.extend(queries(config, &loaded.queries).await);
                }
                Err(e) => findings.push(Finding::fail("rules", e.to_string())),
            }
            findings.extend(walls(&executor, config.executor.sandbox).await);
            findings.extend(runtime(&executor).await);
            findings.extend(datasets(&executor).await);
        }
    }
    findings
}

/// Datasets that are queries, and whether they are there. Databases are not asked: that is `data refresh`.
async fn queries(config: &Config, queries: &BTreeMap<DatasetName, Query>) -> Vec<Finding> {
    let databases = databases(config);
    let mut findings = Vec::new();
    for (name, query) in queries {
        let server = &query.server;
        findings.push(match databases.kept(name, query).await {
            Ok(Kept::Answer(taken)) => Finding::ok(
                "query",
                format!("{name} is what {server} answered at {}", minute_of(taken)),
            ),
            Ok(Kept::Nothing | Kept::Another) => Finding::warn(
                "query",
                format!("{name} is a query of {server} that was not asked yet; `delta-node data refresh {name}` asks now"),
            ),
            Err(e) => Finding::fail("query", report(&e)),
        });
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
        Err(e) => {
            // TLS 1.3 tells a client only afterwards that its certificate is not taken: all it sees is an end.
            let hint = match config.chain_connector.tls {
                Some(_) => {
                    "; a connector that asks for certificates (connector.tls_client_ca) and does not know this node's breaks off without a reason"
                }
                None => "",
            };
            let place = format!("{host}:{port}");
            let why = e.message();
            let text = match why.strip_prefix(&place) {
                _ if e.trouble().is_some() => format!("{place} answers, but {why}"),
                Some(_) => format!("{why}{hint}"),
                None => format!("{place} does not answer: {why}{hint}"),
            };
            Finding::fail("connector", text)
        }
    }
}

/// What somebody on the way to the connector can do, and a stranger at its port.
fn way_to_connector(config: &Config) -> Finding {
    let name = "connector door";
    let embedded = config.chain_connector.is_embedded();
    let (tls, set) = match embedded {
        true => (
            config.connector.tls.is_some(),
            "connector.tls_certificate and tls_private_key",
        ),
        false => (
            config.chain_connector.tls.is_some(),
            "chain_connector.tls_ca or tls_key",
        ),
    };
    if embedded && config.connector.open {
        return Finding::warn(
            name,
            "connector.open: true serves clients that do not sign, and whoever reaches the port can act in their names; false closes it",
        );
    }
    if !tls {
        return Finding::warn(
            name,
            format!(
                "plain text: who is on the way can show a node another record, and hold calls back; set {set}"
            ),
        );
    }
    if embedded && config.connector.tls_client_ca.is_none() {
        return Finding::warn(
            name,
            "TLS; whoever reaches the port may join the network: connector.tls_client_ca lets in only those whose certificates are in it",
        );
    }
    Finding::ok(name, "TLS")
}

/// Who vouches for others. `run` refuses to start with a roster that does not count.
async fn roster(config: &Config) -> Finding {
    let name = "roster";
    let now = clock().now();
    let roster = match checked_roster(config, now) {
        Ok(Some((roster, _))) => roster,
        Ok(None) if config.pins.is_empty() => {
            return Finding::warn(
                name,
                "none, and no pins: other nodes' keys are believed as they were first seen; set roster.file, or pins",
            );
        }
        Ok(None) => return Finding::ok(name, format!("none; {} pins", config.pins.len())),
        Err(e) => return Finding::fail(name, format!("{e:#}")),
    };
    let signers = Vec::from_iter(roster.signed_by()).join(", ");
    let told = format!(
        "{}, serial {}, signed by {signers}",
        roster.roster().network(),
        roster.roster().serial()
    );
    let key = match node_key(config, entropy().as_ref()).await {
        Ok(key) => key,
        Err(e) => return Finding::fail(name, format!("{e:#}")),
    };
    let anchors = identity_settings(config, Some(roster)).anchors;
    match anchors.judge(key.public(), &config.node.url, None, now) {
        Trust::Rostered { organisation } => {
            Finding::ok(name, format!("{told}; this node is {organisation} in it"))
        }
        _ => Finding::warn(
            name,
            format!(
                "{told}; this node's key is not in it at {}: to others nobody vouches for this node",
                config.node.url
            ),
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
            .map(|d| {
                let text = format!("{}: {}", d.name, d.description);
                match d.is_usable() {
                    true => Finding::ok("data", text),
                    false => Finding::warn("data", text),
                }
            })
            .collect(),
        Err(e) => vec![Finding::fail("data", report(&e))],
    }
}
