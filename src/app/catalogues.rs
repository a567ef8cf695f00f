//! Catalogues: what this node publishes about its data (`publishing.rs`), and what the others do (`gathering.rs`).

mod gathering;
mod publishing;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Mutex as Turn;

use super::context::Ports;
use super::identities::Identities;
use delta_domain::catalogue::SignedCatalogue;
use delta_domain::identity::NodeKey;
use delta_domain::ids::Address;
use delta_domain::secagg::keys::PublicKey;
use delta_domain::time::Timestamp;
use delta_ports::catalogue::{CatalogueApi, CatalogueSource};
use delta_ports::clock::Clock;
use delta_ports::connector::Connector;
use delta_ports::executor::Executor;
use delta_ports::policy::{OwnerRules, PolicySource};
use gathering::Kept;

/// What this node publishes, and what it knows of others.
pub(crate) struct Catalogues {
    connector: Arc<dyn Connector>,
    source: Arc<dyn CatalogueSource>,
    executor: Arc<dyn Executor>,
    policies: Arc<dyn PolicySource>,
    clock: Arc<dyn Clock>,
    key: Arc<NodeKey>,
    identities: Arc<Identities>,
    own: Mutex<Own>,
    /// What became of asking lately.
    kept: Mutex<BTreeMap<Address, Kept>>,
    /// When the newest catalogue of each key was signed, of those that were believed.
    newest: Mutex<BTreeMap<PublicKey, Timestamp>>,
    /// Nodes are asked for one user at a time: the next finds the answers.
    asking: Turn<()>,
}

#[derive(Default)]
struct Own {
    signed: Option<Arc<SignedCatalogue>>,
    /// What it was made of, and when.
    made_of: Option<(OwnerRules, Timestamp)>,
    /// Whether everything could be looked at that was asked for.
    whole: bool,
}

impl Catalogues {
    pub(crate) fn new(ports: &Ports, identities: Arc<Identities>) -> Arc<Self> {
        Arc::new(Self {
            connector: ports.connector.clone(),
            source: ports.catalogues.clone(),
            executor: ports.executor.clone(),
            policies: ports.policies.clone(),
            clock: ports.clock.clone(),
            key: ports.node_key.clone(),
            identities,
            own: Mutex::default(),
            kept: Mutex::default(),
            newest: Mutex::default(),
            asking: Turn::default(),
        })
    }
}

impl CatalogueApi for Catalogues {
    fn catalogue(&self) -> Option<Arc<SignedCatalogue>> {
        let signed = held(&self.own).signed.clone()?;
        // Its time is over where this node could not sign again: nobody would believe it.
        (signed.catalogue.not_after() >= self.clock.now()).then_some(signed)
    }
}

/// What is behind a lock under which nothing that can panic runs.
fn held<T>(behind: &Mutex<T>) -> MutexGuard<'_, T> {
    behind.lock().unwrap_or_else(PoisonError::into_inner)
}
