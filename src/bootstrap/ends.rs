//! Single pieces of the world, for commands and the test bed: clock, randomness, and both ends of the API.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::adapters::http::{self, Access, Doors, HttpOptions, HttpPeers, PeerOptions, UrlPolicy};
use crate::adapters::system::{SystemClock, SystemEntropy};
use crate::config::Policy;
use delta_ports::PortError;
use delta_ports::clock::Clock;
use delta_ports::entropy::Entropy;
use delta_ports::identity::IdentitySource;
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
pub(super) fn peers(policy: &Policy) -> Result<Arc<HttpPeers>, PortError> {
    let hosts = policy.allowed_hosts.iter().cloned();
    peers_under(UrlPolicy::new(policy.allow_private_addresses, hosts))
}

/// The way to coordinators wherever they are, as attackers go.
///
/// # Errors
/// `Internal` when TLS or the client cannot be set up.
pub(crate) fn peers_anywhere() -> Result<Arc<dyn PeerTransport>, PortError> {
    Ok(peers_under(UrlPolicy::new(true, Vec::new()))?)
}

/// The way to anybody's identity document: the owner types the url.
///
/// # Errors
/// `Internal` when TLS or the client cannot be set up.
pub(crate) fn documents_anywhere() -> Result<Arc<dyn IdentitySource>, PortError> {
    Ok(peers_under(UrlPolicy::new(true, Vec::new()))?)
}

fn peers_under(policy: UrlPolicy) -> Result<Arc<HttpPeers>, PortError> {
    Ok(Arc::new(HttpPeers::new(PeerOptions::new(policy))?))
}

/// Serves members on `address` until `stop` fires, and nobody else: what an attacker's node says.
///
/// # Errors
/// `Unavailable` when the address cannot be listened on.
pub(crate) async fn serve_api(
    address: SocketAddr,
    members: Arc<dyn CoordinatorApi>,
    stop: CancellationToken,
) -> Result<(), PortError> {
    let doors = Doors {
        authors: None,
        owner: None,
        members,
        identity: None,
    };
    http::serve(
        address,
        doors,
        HttpOptions::default(),
        stop.cancelled_owned(),
    )
    .await?;
    Ok(())
}

/// Every endpoint of a node's API, as `(method, path, access)`.
pub(crate) fn endpoints() -> impl Iterator<Item = (&'static str, &'static str, Access)> {
    http::endpoints()
}
