//! What [`Connector`] promises: nodes, tasks, rounds, their events, and refusals in the words of the record.
//!
//! There are two kinds of connectors, which follow other rules: those that keep the record of the house, and those that pass it on to the
//! contracts of a blockchain (docs/protocol/connector.md, On a blockchain). What holds on both is in [`absent`] and [`statements`]; the
//! rest here is the first kind's, and the second kind's is in [`super::chain`].

pub mod absent;
pub mod moves;
pub mod network;
pub mod reasons;
pub mod repeats;
pub mod rounds;
pub mod statements;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use delta_domain::time::Timestamp;
use delta_memory::MemoryConnector;
use delta_ports::clock::Clock;
use delta_ports::connector::Connector;

/// A connector whose time is in the test's hand; nothing is on record at first.
pub trait Subject: Send + Sync {
    /// The connector, or a client of it.
    fn connector(&self) -> &dyn Connector;
    /// The connector of the node with this number. Where a connector acts for one node alone, each has its own; at least four.
    fn node(&self, _number: usize) -> &dyn Connector {
        self.connector()
    }
    /// Lets this time pass for the connector.
    fn pass(&self, time: Duration);
}

/// A clock that stands still until it is moved by hand, and on which nobody waits.
#[derive(Debug)]
pub struct HandClock(AtomicU64);

impl HandClock {
    /// At the first moment of every test.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::new(Self(AtomicU64::new(1_700_000_000_000)))
    }

    /// Moves it.
    pub fn pass(&self, time: Duration) {
        let milliseconds = u64::try_from(time.as_millis()).unwrap();
        self.0.fetch_add(milliseconds, Ordering::Relaxed);
    }
}

#[async_trait]
impl Clock for HandClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::Relaxed))
    }

    async fn sleep(&self, _duration: Duration) {}
}

/// The connector in memory.
pub struct Memory {
    connector: MemoryConnector,
    clock: Arc<HandClock>,
}

impl Memory {
    /// With an empty record.
    #[must_use]
    pub fn new() -> Self {
        let clock = HandClock::new();
        let connector = MemoryConnector::new(Arc::<HandClock>::clone(&clock), 7);
        Self { connector, clock }
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self::new()
    }
}

impl Subject for Memory {
    fn connector(&self) -> &dyn Connector {
        &self.connector
    }

    fn pass(&self, time: Duration) {
        self.clock.pass(time);
    }
}
