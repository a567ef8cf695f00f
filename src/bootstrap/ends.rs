//! Single pieces of the world, for commands and the test bed: clock, randomness, and both ends of the API.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::adapters::http::{
    self, Access, Admission, Doors, HttpOptions, HttpPeers, PeerOptions, UrlPolicy,
};
use crate::adapters::system::{SystemClock, SystemEntropy};

/// Keeps this process's memory and files to its owner; lets it have enough of them open.
pub(crate) use crate::adapters::system::{allow_open_files, harden_process};
use crate::config::{Policy, Tls};
use delta_domain::access::TokenSecret;
use delta_ports::PortError;
use delta_ports::clock::Clock;
use delta_ports::entropy::Entropy;
use delta_ports::identity::IdentitySource;
use delta_ports::peer::{CoordinatorApi, PeerTransport};

/// Bytes that are free where a folder lies.
pub(crate) use crate::adapters::system::free_bytes;

/// A client of a node's API for its users, and what its logs look like.
pub(crate) use crate::adapters::http::{LogLine, Trust, UserClient, Way, self_signed};

/// This machine's clock.
#[must_use]
pub fn clock() -> Arc<dyn Clock> {
    Arc::new(SystemClock::new())
}

/// This machine's randomness.
pub(crate) fn entropy() -> Arc<dyn Entropy> {
    Arc::new(SystemEntropy)
}

/// A client of the node at `url`, for its users; it shows `token`, where there is one.
///
/// # Errors
/// `Internal` when TLS or the client cannot be set up.
pub(crate) fn users(
    url: &str,
    token: Option<&TokenSecret>,
    way: &Way,
) -> Result<UserClient, PortError> {
    UserClient::new(url, token, way)
}

/// The way to coordinators that an operator's policy allows.
pub(super) fn peers(policy: &Policy, tls: &Tls) -> Result<Arc<HttpPeers>, PortError> {
    let hosts = policy.allowed_hosts.iter().cloned();
    let policy = UrlPolicy::new(policy.allow_private_addresses, hosts);
    peers_under(policy, trusted(tls))
}

/// The way to coordinators wherever they are, as attackers go.
///
/// # Errors
/// `Internal` when TLS or the client cannot be set up.
pub(crate) fn peers_anywhere() -> Result<Arc<dyn PeerTransport>, PortError> {
    Ok(peers_under(
        UrlPolicy::new(true, Vec::new()),
        Trust::System,
    )?)
}

/// The way to identity documents that an operator's policy allows.
///
/// # Errors
/// `Internal` when TLS or the client cannot be set up.
pub(crate) fn documents(policy: &Policy, tls: &Tls) -> Result<Arc<dyn IdentitySource>, PortError> {
    Ok(peers(policy, tls)?)
}

/// The way to anybody's identity document: the owner types the url. Certificates are trusted as the node trusts them.
///
/// # Errors
/// `Internal` when TLS or the client cannot be set up.
pub(crate) fn documents_anywhere(tls: &Tls) -> Result<Arc<dyn IdentitySource>, PortError> {
    Ok(peers_under(UrlPolicy::new(true, Vec::new()), trusted(tls))?)
}

fn trusted(tls: &Tls) -> Trust {
    tls.ca.clone().map_or(Trust::System, Trust::Only)
}

fn peers_under(policy: UrlPolicy, trust: Trust) -> Result<Arc<HttpPeers>, PortError> {
    let options = PeerOptions {
        trust,
        ..PeerOptions::new(policy)
    };
    Ok(Arc::new(HttpPeers::new(options)?))
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
        operator: None,
        members,
        identity: None,
        catalogue: None,
        board: None,
        check: None,
    };
    http::serve(
        address,
        doors,
        Admission::default(),
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
