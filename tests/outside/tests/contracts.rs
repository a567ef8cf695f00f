//! The house's contract suites on adapters that the house does not know.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use delta_ports::blob::{BlobName, BlobStore};
use delta_ports::connector::Connector;
use delta_ports::peer::{CoordinatorApi, PeerTransport};
use delta_ports::storage::Storage;
use delta_testing::contract_tests;
use delta_testing::contracts::{blob, connector, peer, storage};
use delta_testing::memory::MemoryConnector;
use outside_adapters::{Audited, Ledger, Shelf, Switchboard};

/// A database that the suite opens again and again; it must have written something in the end.
#[derive(Default)]
struct Database {
    inner: storage::Memory,
    writes: Arc<AtomicU64>,
}

#[async_trait]
impl storage::Subject for Database {
    async fn open(&self) -> Arc<dyn Storage> {
        let inner = storage::Subject::open(&self.inner).await;
        Arc::new(Audited::new(inner, self.writes.clone()))
    }

    async fn restart(&self) -> Arc<dyn Storage> {
        let inner = storage::Subject::restart(&self.inner).await;
        Arc::new(Audited::new(inner, self.writes.clone()))
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        assert!(self.writes.load(Ordering::Relaxed) > 0 || std::thread::panicking());
    }
}

contract_tests!(storage, audited, Database::default());

struct Shelved(Shelf);

#[async_trait]
impl blob::Subject for Shelved {
    fn store(&self) -> &dyn BlobStore {
        &self.0
    }

    fn damage(&self, name: &BlobName) {
        self.0.scratch(name);
    }

    async fn restart(self) -> Self {
        Self(self.0.clone())
    }
}

contract_tests!(blob, shelf, Shelved(Shelf::default()));

struct Recorded {
    connector: Ledger<MemoryConnector>,
    clock: Arc<connector::HandClock>,
}

impl Recorded {
    fn new() -> Self {
        let clock = connector::HandClock::new();
        let inner = MemoryConnector::new(clock.clone(), 1);
        Self {
            connector: Ledger::new(inner),
            clock,
        }
    }
}

impl connector::Subject for Recorded {
    fn connector(&self) -> &dyn Connector {
        &self.connector
    }

    fn pass(&self, time: Duration) {
        self.clock.pass(time);
    }
}

impl Drop for Recorded {
    fn drop(&mut self) {
        assert!(self.connector.calls().contains(&"connector.join") || std::thread::panicking());
    }
}

contract_tests!(connector, ledger, Recorded::new());

#[derive(Default)]
struct Plugged(Switchboard);

#[async_trait]
impl peer::Subject for Plugged {
    async fn serve(&self, coordinator: Arc<dyn CoordinatorApi>) -> String {
        self.0.plug(coordinator)
    }

    fn peers(&self) -> &dyn PeerTransport {
        &self.0
    }
}

contract_tests!(peer, switchboard, Plugged::default());
