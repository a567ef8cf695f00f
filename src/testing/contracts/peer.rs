//! What [`PeerTransport`] promises: requests arrive as they were signed, refusals keep their sentences, answers keep their limits.

pub mod messages;
pub mod moves;
pub mod recorder;

use std::sync::Arc;

use async_trait::async_trait;
use delta_memory::{MemoryNetwork, MemoryPeers};
use delta_ports::peer::{CoordinatorApi, PeerTransport};

/// Both ends of a transport: a member's, and the one at which a coordinator is served.
#[async_trait]
pub trait Subject: Send + Sync {
    /// Makes a coordinator reachable as long as the subject lives; answers its url.
    async fn serve(&self, coordinator: Arc<dyn CoordinatorApi>) -> String;
    /// A member's way to it.
    fn peers(&self) -> &dyn PeerTransport;
}

/// The network in memory.
pub struct Memory {
    network: MemoryNetwork,
    peers: MemoryPeers,
}

impl Memory {
    /// Nobody listens yet.
    #[must_use]
    pub fn new() -> Self {
        let network = MemoryNetwork::new(1);
        let peers = network.peers("http://member");
        Self { network, peers }
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Subject for Memory {
    async fn serve(&self, coordinator: Arc<dyn CoordinatorApi>) -> String {
        let url = "http://coordinator";
        self.network.register(url, coordinator);
        url.to_owned()
    }

    fn peers(&self) -> &dyn PeerTransport {
        &self.peers
    }
}
