//! Single pieces of the world, for commands and the test bed: clock, randomness, and both ends of the API.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::adapters::http::{self, HttpOptions, HttpPeers, PeerOptions, UrlPolicy};
use crate::adapters::system::{SystemClock, SystemEntropy};
use crate::config::Policy;
use delta_ports::PortError;
use delta_ports::clock::Clock;
use delta_ports::entropy::Entropy;
use delta_ports::node_api::NodeApi;
use delta_ports::peer::{CoordinatorApi, PeerTransport};

/// A client of a node's API for its users, and what its logs look like.
pub(crate) use crate::adapters::http::{LogLine, UserClient};

/// This machine's clock.
#[must_use]
pub fn clock() -> Arc<dyn Clock> {
    Arc::new(SystemClock::new())
}

/// This machine's randomness.
pub(crate) fn entropy() -> Arc<dyn Entropy> {
    Arc::new(SystemEntropy)
}

/// A client of the node at `url`, for its users.
///
/// # Errors
/// `Internal` when TLS or the client cannot be set up.
pub(crate) fn users(url: &str) -> Result<UserClient, PortError> {
    UserClient::new(url)
}

/// The way to coordinators that an operator's policy allows.
pub(super) fn peers(policy: &Policy) -> Result<Arc<dyn PeerTransport>, PortError> {
    let hosts = policy.allowed_hosts.iter().cloned();
    peers_under(UrlPolicy::new(policy.allow_private_addresses, hosts))
}

/// The way to coordinators wherever they are, as attackers go.
///
/// # Errors
/// `Internal` when TLS or the client cannot be set up.
pub(crate) fn peers_anywhere() -> Result<Arc<dyn PeerTransport>, PortError> {
    peers_under(UrlPolicy::new(true, Vec::new()))
}

fn peers_under(policy: UrlPolicy) -> Result<Arc<dyn PeerTransport>, PortError> {
    Ok(Arc::new(HttpPeers::new(PeerOptions::new(policy))?))
}

/// Serves an API of somebody's own on `address` until `stop` fires: what an attacker's node says.
///
/// # Errors
/// `Unavailable` when the address cannot be listened on.
pub(crate) async fn serve_api(
    address: SocketAddr,
    users: Arc<dyn NodeApi>,
    members: Arc<dyn CoordinatorApi>,
    stop: CancellationToken,
) -> Result<(), PortError> {
    let options = HttpOptions::default();
    http::serve(address, users, members, options, stop.cancelled_owned()).await?;
    Ok(())
}

/// Every endpoint of a node's API, as `(method, path)`.
pub(crate) fn endpoints() -> impl Iterator<Item = (&'static str, &'static str)> {
    http::endpoints()
}
