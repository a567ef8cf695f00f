//! Who the nodes at addresses are: learnt from their documents, remembered, judged by roster and pins (docs/protocol/identity.md).
//!
//! A node publishes the digest of its card on the connector's data hub; whoever wants to know it fetches its document from the url on
//! record and checks it against digest, url, address and signatures. What was learnt is kept in the database, so that a key that changes is
//! noticed, and in memory, so that a round does not wait for the network. What an answer counts for is the caller's to decide:
//! [`Trust::is_vouched`] is what no sybil can have.

mod claims;
mod kept;
mod learning;
mod own;

pub(crate) use own::AtOwnUrl;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream;

use delta_domain::identity::{Card, Document, Known, NodeKey, Trust, TrustAnchors, same_address};
use delta_domain::ids::{Address, Digest};
use delta_domain::secagg::keys::PublicKey;
use delta_domain::secret::Secret;
use delta_domain::time::Timestamp;

use super::context::Ports;
use delta_ports::clock::Clock;
use delta_ports::connector::Connector;
use delta_ports::identity::IdentitySource;
use delta_ports::report;
use delta_ports::storage::Storage;
use learning::Learnt;

/// How long an answer may take altogether, where nothing is known yet.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long what was learnt is taken without asking again.
const FRESH: Duration = Duration::from_secs(600);
/// How long nothing is asked about an address that proved nothing, or another key than before.
const DOUBTFUL: Duration = Duration::from_secs(30);
/// How long nobody looks on his own account at an address that proved nothing. A url on record may be anybody's: each node asks there
/// once in this time, unless a round needs to know.
const STRANGER: Duration = Duration::from_secs(3600);
/// How many documents are fetched at the same time.
const AT_ONCE: usize = 16;
/// The most addresses that are held in memory.
const MOST_CACHED: usize = 10_000;

/// How this node presents itself, and whom it believes.
#[derive(Debug, Clone, Default)]
pub struct IdentitySettings {
    /// Who runs this node, as its card says.
    pub organisation: String,
    /// This node's name on its card.
    pub name: String,
    /// SHA-256 of the SubjectPublicKeyInfo that its API proves over TLS.
    pub tls_key: Option<Digest>,
    /// Roster and pins.
    pub anchors: TrustAnchors,
}

/// Who the node at an address is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Why it is believed, if it is.
    pub trust: Trust,
    /// The long-term key that it proved; `None` for [`Trust::Changed`] and [`Trust::Unknown`].
    pub key: Option<PublicKey>,
    /// What it says of itself. Its organisation is only a claim, unless roster or pin name it.
    pub card: Option<Card>,
}

impl Identity {
    const UNKNOWN: Self = Self {
        trust: Trust::Unknown,
        key: None,
        card: None,
    };
}

/// The parts of the world that identities need.
pub(crate) struct IdentityPorts {
    pub(crate) connector: Arc<dyn Connector>,
    pub(crate) storage: Arc<dyn Storage>,
    pub(crate) documents: Arc<dyn IdentitySource>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) node_key: Arc<NodeKey>,
}

impl IdentityPorts {
    pub(crate) fn of(ports: &Ports) -> Self {
        Self {
            connector: ports.connector.clone(),
            storage: ports.storage.clone(),
            documents: ports.documents.clone(),
            clock: ports.clock.clone(),
            node_key: ports.node_key.clone(),
        }
    }
}

/// The keys among these that roster or pins vouch for: what a floor counts. A key counts once, whatever number of addresses it has.
#[must_use]
pub fn vouched(identities: &[Identity]) -> BTreeSet<PublicKey> {
    let vouched = identities.iter().filter(|i| i.trust.is_vouched());
    vouched.filter_map(|i| i.key.clone()).collect()
}

/// What this node knows of others, and shows of itself.
pub struct Identities {
    ports: IdentityPorts,
    settings: IdentitySettings,
    url: String,
    own: Mutex<own::Own>,
    /// Whether the record takes this node's claim in pieces only.
    in_pieces: AtomicBool,
    cache: Mutex<BTreeMap<Address, Cached>>,
    /// Whose key the record proved.
    claims: Mutex<claims::Claims>,
    /// Whom roster or pins vouch for, of those that are remembered; `None` until it matters.
    spared: Mutex<Option<BTreeSet<Address>>>,
    /// What this node's key agrees on with others.
    agreed: Mutex<BTreeMap<PublicKey, Secret<32>>>,
}

#[derive(Debug, Clone)]
struct Cached {
    learnt: Learnt,
    until: Timestamp,
    /// When nobody needs to know.
    unasked: Timestamp,
}

impl Identities {
    /// `url`: where other nodes reach this one.
    pub(crate) fn new(ports: IdentityPorts, settings: IdentitySettings, url: &str) -> Arc<Self> {
        Arc::new(Self {
            ports,
            settings,
            url: url.to_owned(),
            own: Mutex::default(),
            in_pieces: AtomicBool::new(false),
            cache: Mutex::default(),
            claims: Mutex::default(),
            spared: Mutex::default(),
            agreed: Mutex::default(),
        })
    }

    /// Whether roster or pins vouch for anybody: only then floors can count who is vouched for.
    #[must_use]
    pub fn has_anchors(&self) -> bool {
        !self.settings.anchors.is_empty()
    }

    /// Who the nodes at `addresses` are, in this order.
    ///
    /// From memory where it is fresh; else asked for, all at the same time, for at most five seconds together. Who does not answer
    /// in time is what was known of it before. Cancellation safe.
    pub async fn of(&self, addresses: &[Address]) -> Vec<Identity> {
        let now = self.ports.clock.now();
        let missing: Vec<Address> = addresses
            .iter()
            .map(lower)
            .filter(|a| !self.is_own(a) && self.cached(a, now).is_none())
            .collect();
        if !missing.is_empty() {
            let learning = stream::iter(missing)
                .map(|address| async move { self.learn(&address).await })
                .buffer_unordered(AT_ONCE)
                .for_each(|()| std::future::ready(()));
            tokio::select! {
                () = learning => {}
                () = self.ports.clock.sleep(PATIENCE) => {
                    tracing::warn!("some nodes did not show who they are within {PATIENCE:?}");
                }
            }
        }
        let mut found = Vec::with_capacity(addresses.len());
        for address in addresses.iter().map(lower) {
            found.push(self.judge(&address).await);
        }
        found
    }

    /// Learns who these are, for later: some at the same time, and nobody holds up the others for longer than a round would wait.
    pub(crate) async fn prepare(&self, addresses: Vec<Address>) {
        let now = self.ports.clock.now();
        let unknown: Vec<Address> = addresses
            .iter()
            .map(lower)
            .filter(|address| !self.is_own(address) && !self.looked(address, now))
            .collect();
        stream::iter(unknown)
            .map(|address| async move {
                tokio::select! {
                    () = self.learn(&address) => {}
                    () = self.ports.clock.sleep(PATIENCE) => {
                        tracing::debug!(%address, "this node did not show who it is within {PATIENCE:?}");
                        // Not asked again at once by whoever looks next.
                        let learnt = self.remembered(&address).await;
                        self.cache(&address, learnt);
                    }
                }
            })
            .buffer_unordered(AT_ONCE)
            .for_each(|()| std::future::ready(()))
            .await;
    }

    /// Who the node at an address is, as far as that is known without asking anybody.
    pub(crate) async fn known(&self, address: &Address) -> Identity {
        self.judge(&lower(address)).await
    }

    async fn judge(&self, address: &Address) -> Identity {
        let now = self.ports.clock.now();
        if let Some(own) = self.own_identity(address, now) {
            return own;
        }
        let learnt = match self.cached(address, Timestamp(0)) {
            Some(learnt) => learnt,
            None => self.remembered(address).await,
        };
        self.judged(&learnt, now)
    }

    /// What something learnt is worth `now`: rosters and cards end while they lie in memory.
    fn judged(&self, learnt: &Learnt, now: Timestamp) -> Identity {
        if learnt.changed {
            return Identity {
                trust: Trust::Changed,
                ..Identity::UNKNOWN
            };
        }
        let Some(document) = &learnt.document else {
            return Identity::UNKNOWN;
        };
        // Its signatures were checked when it was learnt.
        if document.card.not_after() < now {
            return Identity::UNKNOWN;
        }
        let trust = self.trust(document, learnt.first_key.as_ref(), now);
        let key = (trust != Trust::Changed).then(|| document.card.key().clone());
        Identity {
            trust,
            key,
            card: Some(document.card.clone()),
        }
    }

    fn trust(&self, document: &Document, first_key: Option<&PublicKey>, now: Timestamp) -> Trust {
        let known = first_key.map(|key| Known { key: key.clone() });
        let card = &document.card;
        let anchors = &self.settings.anchors;
        anchors.judge(card.key(), card.url(), known.as_ref(), now)
    }

    /// A node that roster or pins vouch for is known over TLS by the key that its card names, and for as long as they do; where the roster
    /// says where it is, only there.
    fn open_the_way(&self, address: &Address, learnt: &Learnt) {
        let now = self.ports.clock.now();
        let Identity { trust, key, card } = self.judged(learnt, now);
        let documents = &self.ports.documents;
        self.spare(address, trust.is_vouched());
        let (true, Some(key), Some(card)) = (trust.is_vouched(), key, card) else {
            if let Some(key) = &learnt.first_key {
                documents.distrust_key(key);
            }
            return;
        };
        let listed = self.settings.anchors.url_of(&key, now);
        let there = listed.is_none_or(|listed| listed == card.url());
        match card.tls_key() {
            Some(tls_key) if there && card.url().starts_with("https://") => {
                if let Err(e) = documents.trust_key(&key, card.url(), tls_key) {
                    tracing::error!(
                        %address, url = card.url(),
                        "this node is not known over TLS by the key on its card: {}", report(&e)
                    );
                }
            }
            _ => documents.distrust_key(&key),
        }
    }

    /// What is in memory and fresh at `now`.
    fn cached(&self, address: &Address, now: Timestamp) -> Option<Learnt> {
        let cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        let found = cache.get(address).filter(|c| c.until > now)?;
        Some(found.learnt.clone())
    }

    /// Whether an address was looked at lately enough for nobody to ask about it.
    fn looked(&self, address: &Address, now: Timestamp) -> bool {
        let cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        cache.get(address).is_some_and(|c| c.unasked > now)
    }

    fn cache(&self, address: &Address, learnt: Learnt) {
        self.open_the_way(address, &learnt);
        let good = learnt.document.is_some() && !learnt.changed && !learnt.doubtful;
        let lasts = if good { FRESH } else { DOUBTFUL };
        let now = self.ports.clock.now();
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        if cache.len() >= MOST_CACHED {
            cache.retain(|_, c| c.unasked > now);
            if cache.len() >= MOST_CACHED {
                cache.clear();
            }
        }
        let stranger = learnt.document.is_none();
        let cached = Cached {
            learnt,
            until: now + lasts,
            unasked: now + if stranger { STRANGER } else { lasts },
        };
        cache.insert(address.clone(), cached);
    }
}

/// What is behind a lock under which nothing that can panic runs.
fn held<T>(behind: &Mutex<T>) -> MutexGuard<'_, T> {
    behind.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One address, whatever the case of its digits.
fn lower(address: &Address) -> Address {
    let lower = address.as_str().to_ascii_lowercase();
    lower.parse().unwrap_or_else(|_| address.clone())
}

#[cfg(test)]
mod tests;
