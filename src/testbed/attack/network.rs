//! The network that is attacked when none is named: three nodes and a connector on loopback, each node with a connector port of its own.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

use super::data;
use super::middle::Middle;
use super::rogue_connector::RogueConnector;
use crate::bootstrap::{Running, clock, entropy, node_key, tokens};
use crate::testbed::network::{config, free_port, launch, name, record};
use delta_domain::identity::Pin;
use delta_domain::ids::Address;
use delta_ports::tokens::TokenStore;

/// What the network is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Terrain {
    /// As an owner would have it.
    Sound,
    /// Two walls are down: urls may point into private networks, and a cohort of one is accepted.
    Weakened,
    /// Somebody is between the nodes, who speak plain HTTP, and the connector knows no signatures, as the original's; the nodes pin each
    /// other's keys.
    Between,
}

/// Members of the network.
pub(super) const NODES: usize = 3;

/// One node.
pub(super) struct Node {
    pub(super) url: String,
    pub(super) address: Address,
    /// What speaks to this node as its connector.
    pub(super) rogue: Arc<RogueConnector>,
    /// The tokens that its owner makes.
    pub(super) tokens: Arc<dyn TokenStore>,
    /// Where its files are.
    pub(super) home: PathBuf,
    /// Who is on the way to it, where somebody is.
    pub(super) middle: Option<Arc<Middle>>,
    runtime: Option<Runtime>,
    pub(super) running: Option<Running>,
}

impl Drop for Node {
    fn drop(&mut self) {
        // A runtime must not be waited for on an async thread.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// The whole network.
pub(super) struct Network {
    pub(super) nodes: Vec<Node>,
    /// The connector's honest port, for the attackers.
    pub(super) connector_port: u16,
    stop: CancellationToken,
}

impl Network {
    /// Starts everything.
    pub(super) async fn start(folder: &Path, terrain: Terrain) -> anyhow::Result<Self> {
        let stop = CancellationToken::new();
        let embedded = match terrain {
            Terrain::Between => record(folder, false).await?.like_the_original(clock()),
            Terrain::Sound | Terrain::Weakened => record(folder, false).await?,
        };
        let pins = match terrain {
            Terrain::Between => pins(folder).await?,
            Terrain::Sound | Terrain::Weakened => Vec::new(),
        };
        let weaken = terrain == Terrain::Weakened;
        let (listener, connector_port) = port().await?;
        let (honest, stopped) = (embedded.clone(), stop.clone());
        tokio::spawn(async move { honest.serve(listener, stopped.cancelled_owned()).await });
        let mut nodes = Vec::new();
        for index in 0..NODES {
            let rogue = Arc::new(RogueConnector::default());
            let (listener, port) = port().await?;
            let (record, between, stopped) = (embedded.clone(), rogue.clone(), stop.clone());
            tokio::spawn(async move {
                record
                    .serve_intercepted(between, listener, stopped.cancelled_owned())
                    .await
            });
            let home = folder.join(name(index));
            std::fs::create_dir_all(home.join("data"))?;
            data::put(&home.join("data"), index)?;
            let mut config = config(&home, index, free_port()?, port);
            // Nothing but the nodes' own address is allowed, so that every other loopback address is forbidden ground.
            config.policy.allow_private_addresses = weaken;
            config.policy.allowed_hosts = vec!["127.0.0.1".into()];
            // One address of this machine is trusted, so that the others can be strangers'.
            config.api.trust_loopback = Some(false);
            config.api.trusted_networks = vec!["127.0.0.1".parse()?];
            if weaken {
                config.policy.min_clients = 1;
            }
            let url = config.node.url.clone();
            let mut middle = None;
            if terrain == Terrain::Between {
                let between = Arc::new(Middle::default());
                let port = between.serve(config.api_port, stop.clone()).await?;
                config.node.url = format!("http://127.0.0.1:{port}");
                config.pins.clone_from(&pins);
                middle = Some(between);
            }
            let tokens = tokens(&config);
            let (runtime, running) = launch(config, |_| Ok(())).await?;
            // The data are the test bed's own.
            running.node.agree_to_everything(true);
            let address = running
                .node
                .address()
                .with_context(|| format!("the connector gave {} no address", name(index)))?;
            nodes.push(Node {
                url,
                address,
                rogue,
                tokens,
                home,
                middle,
                runtime: Some(runtime),
                running: Some(running),
            });
        }
        Ok(Self {
            nodes,
            connector_port,
            stop,
        })
    }

    pub(super) async fn stop(mut self) {
        for node in &mut self.nodes {
            if let (Some(runtime), Some(running)) = (node.runtime.take(), node.running.take()) {
                let stopping = tokio::task::spawn_blocking(move || {
                    runtime.block_on(running.stop());
                    runtime.shutdown_background();
                });
                drop(stopping.await);
            }
        }
        self.stop.cancel();
    }
}

/// The keys of all nodes, which are made now.
async fn pins(folder: &Path) -> anyhow::Result<Vec<Pin>> {
    let mut pins = Vec::new();
    for index in 0..NODES {
        let home = folder.join(name(index));
        std::fs::create_dir_all(&home)?;
        let key = node_key(&config(&home, index, 1, 1), entropy().as_ref()).await?;
        pins.push(key.fingerprint().to_string().parse()?);
    }
    Ok(pins)
}

async fn port() -> anyhow::Result<(tokio::net::TcpListener, u16)> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let port = listener.local_addr()?.port();
    Ok((listener, port))
}
