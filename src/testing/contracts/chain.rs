//! What a connector on a blockchain does otherwise than those that keep the record of the house, and what nodes rely on all the same.

pub mod reverts;
pub mod views;

use std::sync::Arc;
use std::time::Duration;

use delta_memory::{ChainOptions, MemoryConnector};
use delta_ports::connector::Connector;

use super::connector::HandClock;
pub use super::connector::Subject;

/// Connectors on the chain in memory, whose blocks come at once.
pub struct Memory {
    nodes: Vec<MemoryConnector>,
    clock: Arc<HandClock>,
}

impl Memory {
    /// Four connectors, with nothing on record.
    #[must_use]
    pub fn new() -> Self {
        let clock = HandClock::new();
        let options = ChainOptions::every(0);
        let chain = MemoryConnector::on_chain(Arc::<HandClock>::clone(&clock), 7, options);
        let nodes = (0..4).map(|_| chain.handle()).collect();
        Self { nodes, clock }
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self::new()
    }
}

impl Subject for Memory {
    fn connector(&self) -> &dyn Connector {
        &self.nodes[0]
    }

    fn node(&self, number: usize) -> &dyn Connector {
        &self.nodes[number]
    }

    fn pass(&self, time: Duration) {
        self.clock.pass(time);
    }
}
