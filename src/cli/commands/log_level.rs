//! `log-level`: how much the log of a running node says.

use super::task::{plain, say};
use crate::bootstrap::UserClient;

/// Shows the filter of the node's log; with `level`, sets it first.
///
/// # Errors
/// The node's refusal, or that it cannot be reached.
pub(in crate::cli) async fn log_level(
    node: &UserClient,
    level: Option<&str>,
) -> anyhow::Result<()> {
    let filter = match level {
        Some(level) => node.set_log_filter(level).await.map_err(plain)?,
        None => node.log_filter().await.map_err(plain)?,
    };
    say(&filter)
}
