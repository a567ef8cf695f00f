//! `run`: the node at work.

use crate::bootstrap::{self, Running};
use crate::cli::signals;
use crate::config::Config;
use delta_ports::report;

/// `run`: takes part in the network until SIGTERM or SIGINT.
///
/// # Errors
/// What stopped the node.
pub(in crate::cli) async fn run(config: Config) -> anyhow::Result<()> {
    let stop = signals::listen()?;
    let parts = bootstrap::open(&config, bootstrap::own_program()?).await?;
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
    let signal = stop.await;
    tracing::info!("{signal} received, shutting down");
    running.stop().await;
    Ok(())
}
