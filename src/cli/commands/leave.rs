//! `leave`: taking this node off the network's list while it does not run.

use crate::bootstrap;
use crate::config::Config;

/// `leave`: tells the connector that this node is gone.
///
/// # Errors
/// The connector's refusal, or that it cannot be reached.
pub(in crate::cli) async fn leave(config: Config) -> anyhow::Result<()> {
    let parts = bootstrap::open(&config, bootstrap::own_program()?).await?;
    let connector = &parts.ports.connector;
    // Joining is how a node learns its address; by url, so it is the same one.
    let joined = connector.join(&config.node.url, &config.node.name).await?;
    connector.leave(&joined.address).await?;
    tracing::info!(address = %joined.address, "this node has left the network");
    Ok(())
}
