//! `run`: the node at work.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, bail};

use crate::bootstrap::{self, LocalExecutor, Running};
use crate::cli::check::{Level, Live, doors};
use crate::cli::signals;
use crate::cli::supervisor::Supervisor;
use crate::config::{Config, Sandbox};
use delta_ports::operator_api::LogFilter;
use delta_ports::report;

/// Files and connections that a node with a thousand members may have open, and so few that it should be said.
const OPEN_FILES: u64 = 65_536;
const FEW_FILES: u64 = 4_096;

/// How to go on where walls are missing.
pub(in crate::cli) const WITHOUT_WALLS: &str = "tasks are programs of other people and would run without them, so `run` refuses; to run with the walls that there are, set executor.sandbox: best_effort";

/// `run`: takes part in the network until SIGTERM or SIGINT. `file`: the configuration's; `log`: how much its log says.
///
/// # Errors
/// What stopped the node.
pub(in crate::cli) async fn run(
    config: Config,
    file: &Path,
    log: Arc<dyn LogFilter>,
) -> anyhow::Result<()> {
    let stop = signals::listen()?;
    for open in doors(&config).iter().filter(|f| f.level == Level::Warn) {
        tracing::warn!("{}: {}", open.name, open.detail);
    }
    let scheme = if config.api.tls.is_some() {
        "https"
    } else {
        "http"
    };
    let files = bootstrap::allow_open_files(OPEN_FILES);
    if files < FEW_FILES {
        tracing::warn!(
            "this process may have {files} files and connections open, a busy node needs more: raise the limit (LimitNOFILE= of systemd, `ulimit -n`)"
        );
    }
    let mut parts = bootstrap::open(&config, bootstrap::own_program()?).await?;
    parts.ports.policies = bootstrap::rules(&config, file, &parts.executor)?;
    parts.ports.log = log;
    parts.check = Some(Arc::new(Live::new(config.clone(), file)));
    let executor = parts.executor.clone();
    look_at_walls(&executor, config.executor.sandbox).await?;
    let supervisor = Supervisor::of_this_process();
    let running = Running::start(parts).await?;
    supervisor.tell("READY=1");
    let _until_it_stops = supervisor.keep_alive(&config);
    tracing::info!("the API listens on {scheme}://{}", running.address);
    if let Some(address) = running.owner_address {
        tracing::info!("it listens for authors and the owner on {scheme}://{address}");
    }
    tokio::spawn(async move {
        // In the background: the API must not wait for a runtime to load.
        match executor.probe().await {
            Ok(report) => {
                tracing::info!("graphs run on {} {}", report.info.name, report.info.version)
            }
            Err(e) => tracing::error!("graphs cannot run here: {}", report(&e)),
        }
    });
    let signal = stop.await;
    tracing::info!("{signal} received, shutting down");
    supervisor.tell("STOPPING=1");
    running.stop().await;
    Ok(())
}

/// Refuses to go on where a wall around the workers is missing, or says so where the operator wants to go on.
async fn look_at_walls(executor: &LocalExecutor, sandbox: Sandbox) -> anyhow::Result<()> {
    let walls = executor
        .walls()
        .await
        .context("the walls around workers cannot be tried out")?;
    if sandbox == Sandbox::Required && !walls.gaps.is_empty() {
        bail!("{}; {WITHOUT_WALLS}", walls.gaps.join("; "));
    }
    for gap in &walls.gaps {
        tracing::warn!("executor.sandbox is best_effort: {gap}");
    }
    for note in &walls.notes {
        tracing::warn!("{note}");
    }
    Ok(())
}
