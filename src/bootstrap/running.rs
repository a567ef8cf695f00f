//! Parts become a running node with its API, and the node stops again.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio_util::sync::CancellationToken;

use super::claims::Claims;
use super::connector::Embedded;
use super::parts::Parts;
use crate::adapters::http::{Admission, Doors, HttpOptions, HttpServer, Serves, serve};
use delta_app::Node;
use delta_ports::storage::Storage;

/// How long leaving the network, and ending requests under way, may take at shutdown.
pub(crate) const FAREWELL: Duration = Duration::from_secs(2);

/// A running node with its API.
pub struct Running {
    /// The node.
    pub node: Arc<Node>,
    /// Where the API listens.
    pub address: SocketAddr,
    /// Where it listens for authors and the owner, where that is another address.
    pub owner_address: Option<SocketAddr>,
    http: Vec<HttpServer>,
    stop: CancellationToken,
    embedded: Option<Embedded>,
    storage: Arc<dyn Storage>,
    /// Held, not read.
    _claims: Claims,
}

impl Running {
    /// Starts the node, then its API.
    ///
    /// # Errors
    /// The database cannot be read, or the port is taken.
    pub async fn start(parts: Parts) -> anyhow::Result<Self> {
        let Parts {
            ports,
            settings,
            address,
            owner_address,
            admission,
            tls,
            embedded,
            storage,
            claims,
            executor: _,
            check,
        } = parts;
        let metrics = ports.metrics.clone();
        let max_bundle_bytes = settings.bundle.bytes as u64;
        let stop = CancellationToken::new();
        let embedded = match embedded {
            Some((connector, address)) => Some(share(connector, address, stop.clone()).await?),
            None => None,
        };
        let node = Node::start(ports, settings).await?;
        let options = HttpOptions {
            max_bundle_bytes,
            shutdown_grace: FAREWELL,
            tls,
            metrics,
            ..HttpOptions::default()
        };
        let doors = Doors {
            authors: Some(node.clone()),
            owner: Some(node.clone()),
            operator: Some(node.clone()),
            members: node.coordinator_api(),
            identity: Some(node.identities()),
            catalogue: Some(node.catalogue()),
            board: Some(node.clone()),
            check,
        };
        let whom = match owner_address {
            Some(_) => Serves::Members,
            None => Serves::All,
        };
        let mut http = Vec::new();
        for (address, serves) in [(Some(address), whom), (owner_address, Serves::Users)] {
            let Some(address) = address else { continue };
            let admission = Admission {
                serves,
                ..admission.clone()
            };
            let shutdown = stop.clone().cancelled_owned();
            let (doors, options) = (doors.clone(), options.clone());
            http.push(serve(address, doors, admission, options, shutdown).await?);
        }
        let mut addresses = http.iter().map(HttpServer::address);
        let address = addresses.next().context("the API listens nowhere")?;
        let owner_address = addresses.next();
        Ok(Self {
            node,
            address,
            owner_address,
            http,
            stop,
            embedded,
            storage,
            _claims: claims,
        })
    }

    /// Leaves the network, ends requests under way, stops. What was committed goes on at the next start.
    pub async fn stop(self) {
        match tokio::time::timeout(FAREWELL, self.node.leave()).await {
            Ok(Ok(true)) => tracing::info!("this node has left the network"),
            Ok(Ok(false)) => {}
            Ok(Err(e)) => tracing::warn!(
                "this node could not leave the network: {}",
                delta_ports::report(&e)
            ),
            Err(_) => tracing::warn!("this node could not leave the network in {FAREWELL:?}"),
        }
        self.stop.cancel();
        self.node.stop().await;
        let ending = async {
            for http in self.http {
                drop(http.ended().await);
            }
        };
        drop(tokio::time::timeout(FAREWELL, ending).await);
        if let Some(embedded) = &self.embedded {
            drop(tokio::time::timeout(FAREWELL, embedded.close()).await);
        }
        self.storage.close().await;
    }
}

/// Serves the embedded connector to the other nodes of the network until `stop`.
async fn share(
    connector: Embedded,
    address: SocketAddr,
    stop: CancellationToken,
) -> anyhow::Result<Embedded> {
    let listener = tokio::net::TcpListener::bind(address)
        .await
        .with_context(|| format!("the embedded connector cannot listen on {address}"))?;
    tracing::info!("the embedded connector listens on {address}");
    let served = connector.clone();
    tokio::spawn(async move {
        if let Err(e) = served.serve(listener, stop.cancelled_owned()).await {
            tracing::error!(
                "the embedded connector serves nobody any more: {}",
                delta_ports::report(&e)
            );
        }
    });
    Ok(connector)
}
