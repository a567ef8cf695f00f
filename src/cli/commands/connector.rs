//! `connector`: the embedded connector as a server.

use anyhow::Context as _;
use tokio_util::sync::CancellationToken;

use crate::bootstrap::{self, FAREWELL};
use crate::cli::signals;
use crate::config::Config;

/// `connector`: serves the embedded connector until SIGTERM or SIGINT.
///
/// # Errors
/// What stopped it.
pub(in crate::cli) async fn connector(config: Config) -> anyhow::Result<()> {
    let stop = signals::listen()?;
    if config.connector.open {
        tracing::warn!(
            "connector.open is true: whoever reaches this port may act for nodes that do not sign their calls"
        );
    }
    let embedded = bootstrap::embedded(&config, bootstrap::clock()).await?;
    let address = (config.connector.host, config.connector.port);
    let listener = tokio::net::TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {}:{}", address.0, address.1))?;
    tracing::info!("the connector listens on {}", listener.local_addr()?);
    let stopping = CancellationToken::new();
    let stopped = stopping.clone();
    let shutdown = async move {
        let signal = stop.await;
        tracing::info!("{signal} received, shutting down");
        stopping.cancel();
    };
    // A peer that has stopped reading must not keep this process alive.
    let farewell = async move {
        stopped.cancelled().await;
        tokio::time::sleep(FAREWELL).await;
    };
    tokio::select! {
        served = embedded.serve(listener, shutdown) => served?,
        () = farewell => tracing::warn!("some calls did not end in {:?} and were cut", FAREWELL),
    }
    embedded.close().await;
    Ok(())
}
