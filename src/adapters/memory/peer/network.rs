//! Who listens where, and what happens to calls on their way.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rand_chacha::ChaCha20Rng;
use rand_core::{Rng as _, SeedableRng as _};

use super::MemoryPeers;
use crate::faults::lock;
use delta_domain::catalogue::SignedCatalogue;
use delta_domain::identity::Document;
use delta_domain::ids::Address;
use delta_ports::catalogue::CatalogueApi;
use delta_ports::identity::IdentityApi;
use delta_ports::peer::CoordinatorApi;
use delta_ports::{PortError, PortErrorKind};

/// What happens to one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PeerFault {
    /// The request is lost: no effect, `Unavailable`.
    DropRequest,
    /// The answer is lost: the effect happens, `Timeout`.
    LoseResponse,
    /// The request arrives twice.
    Duplicate,
    /// The request arrives this much later.
    Delay(Duration),
}

/// How often chance strikes, each in calls of a thousand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Chaos {
    /// [`PeerFault::DropRequest`].
    pub drop_request: u32,
    /// [`PeerFault::LoseResponse`].
    pub lose_response: u32,
    /// [`PeerFault::Duplicate`].
    pub duplicate: u32,
    /// Every call is late by up to this much.
    pub max_delay: Duration,
}

/// The network of a test. Clones are the same network.
#[derive(Clone)]
pub struct MemoryNetwork(Arc<Mutex<State>>);

struct State {
    rng: ChaCha20Rng,
    chaos: Chaos,
    planned: VecDeque<(String, PeerFault)>,
    listeners: BTreeMap<String, Arc<dyn CoordinatorApi>>,
    identities: BTreeMap<String, Arc<dyn IdentityApi>>,
    catalogues: BTreeMap<String, Arc<dyn CatalogueApi>>,
    cut_off: BTreeSet<String>,
}

/// What happens to one call, decided before it starts.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) delay: Duration,
    pub(super) drop_request: bool,
    pub(super) lose_response: bool,
    pub(super) duplicate: bool,
}

impl MemoryNetwork {
    /// A network without nodes and without faults. `seed` rules what chance does.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(State {
            rng: ChaCha20Rng::seed_from_u64(seed),
            chaos: Chaos::default(),
            planned: VecDeque::new(),
            listeners: BTreeMap::new(),
            identities: BTreeMap::new(),
            catalogues: BTreeMap::new(),
            cut_off: BTreeSet::new(),
        })))
    }

    /// The way into the network of the node whose own url is `own_url`.
    #[must_use]
    pub fn peers(&self, own_url: impl Into<String>) -> MemoryPeers {
        MemoryPeers {
            network: self.clone(),
            own_url: own_url.into(),
        }
    }

    /// `api` listens at `url` from now on, in place of whoever did.
    pub fn register(&self, url: impl Into<String>, api: Arc<dyn CoordinatorApi>) {
        lock(&self.0).listeners.insert(url.into(), api);
    }

    /// Who listens at `url` shows this of itself from now on.
    pub fn introduce(&self, url: impl Into<String>, identity: Arc<dyn IdentityApi>) {
        lock(&self.0).identities.insert(url.into(), identity);
    }

    /// Who listens at `url` publishes this from now on.
    pub fn publish(&self, url: impl Into<String>, catalogue: Arc<dyn CatalogueApi>) {
        lock(&self.0).catalogues.insert(url.into(), catalogue);
    }

    /// Nobody listens at `url` any more.
    pub fn unregister(&self, url: &str) {
        let mut state = lock(&self.0);
        state.listeners.remove(url);
        state.identities.remove(url);
        state.catalogues.remove(url);
    }

    /// Nothing reaches the node at `url`, and nothing leaves it, until [`MemoryNetwork::heal`].
    pub fn partition(&self, url: impl Into<String>) {
        lock(&self.0).cut_off.insert(url.into());
    }

    /// The node at `url` is reachable again.
    pub fn heal(&self, url: &str) {
        lock(&self.0).cut_off.remove(url);
    }

    /// From now on chance strikes this often.
    pub fn set_chaos(&self, chaos: Chaos) {
        lock(&self.0).chaos = chaos;
    }

    /// The next call of `op` (for example `"peer.submit"`, or `"*"`) meets this fault. Faults planned for one op strike one call each.
    pub fn fault_next(&self, op: impl Into<String>, fault: PeerFault) {
        lock(&self.0).planned.push_back((op.into(), fault));
    }

    /// How many planned faults have not struck yet.
    #[must_use]
    pub fn pending_faults(&self) -> usize {
        lock(&self.0).planned.len()
    }

    pub(super) fn plan(&self, op: &'static str) -> Plan {
        let mut state = lock(&self.0);
        // Always as many draws a call, so that changing one rate moves nothing else.
        let draws: [u64; 4] = std::array::from_fn(|_| state.rng.next_u64());
        let strikes = |draw: u64, rate: u32| draw % 1000 < u64::from(rate);
        let max_delay = u64::try_from(state.chaos.max_delay.as_millis()).unwrap_or(u64::MAX);
        let mut plan = Plan {
            drop_request: strikes(draws[0], state.chaos.drop_request),
            lose_response: strikes(draws[1], state.chaos.lose_response),
            duplicate: strikes(draws[2], state.chaos.duplicate),
            delay: Duration::from_millis(draws[3] % max_delay.saturating_add(1).max(1)),
        };
        if let Some(at) = state
            .planned
            .iter()
            .position(|(planned, _)| planned == op || planned == "*")
        {
            match state.planned.remove(at) {
                Some((_, PeerFault::DropRequest)) => plan.drop_request = true,
                Some((_, PeerFault::LoseResponse)) => plan.lose_response = true,
                Some((_, PeerFault::Duplicate)) => plan.duplicate = true,
                Some((_, PeerFault::Delay(by))) => plan.delay = by,
                None => {}
            }
        }
        plan
    }

    pub(super) fn route(
        &self,
        op: &'static str,
        from: &str,
        to: &str,
    ) -> Result<Arc<dyn CoordinatorApi>, PortError> {
        let state = lock(&self.0);
        if state.cut_off.contains(from) || state.cut_off.contains(to) {
            return Err(PortError::new(
                PortErrorKind::Unavailable,
                op,
                format!("there is no way from {from} to {to}"),
            ));
        }
        let api = state.listeners.get(to).cloned();
        api.ok_or_else(|| {
            PortError::new(
                PortErrorKind::Unavailable,
                op,
                format!("nobody listens at {to}"),
            )
        })
    }
}

impl MemoryNetwork {
    /// What the node at `to` shows. Chance has no part in it: it would move everything that comes after.
    pub(super) fn document(&self, from: &str, to: &str) -> Result<Document, PortError> {
        const OP: &str = "peer.identity";
        self.route(OP, from, to)?;
        let shown = lock(&self.0).identities.get(to).cloned();
        shown.and_then(|node| node.document()).ok_or_else(|| {
            PortError::new(PortErrorKind::Rejected, OP, "the node shows no identity")
        })
    }

    /// What the node at `to` publishes.
    pub(super) fn catalogue(&self, from: &str, to: &str) -> Result<SignedCatalogue, PortError> {
        const OP: &str = "peer.catalogue";
        self.route(OP, from, to)?;
        let node = lock(&self.0).catalogues.get(to).cloned();
        let signed = node.and_then(|node| node.catalogue());
        let nothing = || PortError::new(PortErrorKind::Rejected, OP, "the node publishes nothing");
        signed.map(|s| (*s).clone()).ok_or_else(nothing)
    }

    /// What the node at `to` says of its way to another.
    pub(super) fn seen(
        &self,
        from: &str,
        to: &str,
        whom: &Address,
    ) -> Result<Option<bool>, PortError> {
        self.route("peer.identity", from, to)?;
        let asked = lock(&self.0).identities.get(to).cloned();
        Ok(asked.and_then(|node| node.seen(whom)))
    }
}

impl fmt::Debug for MemoryNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = lock(&self.0);
        f.debug_struct("MemoryNetwork")
            .field("listeners", &state.listeners.keys())
            .field("cut_off", &state.cut_off)
            .field("chaos", &state.chaos)
            .finish_non_exhaustive()
    }
}
