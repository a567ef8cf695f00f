//! Asking the nodes on record what they publish: all at the same time, each for a little while, and each answer against the key that its
//! node has proved.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream;

use super::{Catalogues, held};
use crate::identities::Identity;
use delta_domain::catalogue::SignedCatalogue;
use delta_domain::identity::{Trust, same_address};
use delta_domain::ids::Address;
use delta_domain::secagg::keys::PublicKey;
use delta_domain::time::Timestamp;
use delta_ports::catalogue::{CatalogueApi as _, Found, NetworkListing, NodeListing};
use delta_ports::connector::NodeRecord;
use delta_ports::{PortError, PortErrorKind, report};

/// How long one node is waited for, and all of them together.
const EACH: Duration = Duration::from_secs(3);
const ALL: Duration = Duration::from_secs(5);
/// How many are asked at the same time, and how many at all.
const AT_ONCE: usize = 32;
const MOST: usize = 256;
/// How long an answer is taken without asking again.
const FRESH: Duration = Duration::from_secs(20);
/// The most keys whose newest catalogue is remembered.
const MOST_KEYS: usize = 10_000;

/// What became of asking a node, and until when that is taken.
pub(super) struct Kept {
    listing: NodeListing,
    until: Timestamp,
}

impl Catalogues {
    /// What the nodes on record publish.
    ///
    /// # Errors
    /// The connector's.
    pub(crate) async fn gather(&self, own: Option<&Address>) -> Result<NetworkListing, PortError> {
        let _turn = self.asking.lock().await;
        let mut nodes = self.connector.all_nodes().await?;
        let unasked = nodes.len().saturating_sub(MOST) as u64;
        nodes.truncate(MOST);
        let now = self.clock.now();
        {
            let mut kept = held(&self.kept);
            kept.retain(|_, kept| kept.until > now);
            let there =
                |n: &NodeRecord| kept.get(&n.address).is_some_and(|k| k.listing.url == n.url);
            let gone: Vec<Address> = kept
                .keys()
                .filter(|address| !nodes.iter().any(|n| n.address == **address && there(n)))
                .cloned()
                .collect();
            kept.retain(|address, _| !gone.contains(address));
        }
        let is_own = |n: &NodeRecord| own.is_some_and(|own| same_address(own, &n.address));
        let due: Vec<NodeRecord> = {
            let kept = held(&self.kept);
            let due = |n: &&NodeRecord| !is_own(n) && !kept.contains_key(&n.address);
            nodes.iter().filter(due).cloned().collect()
        };
        let asking = stream::iter(due)
            .map(|node| self.ask_and_keep(node))
            .buffer_unordered(AT_ONCE)
            .for_each(|()| std::future::ready(()));
        tokio::select! {
            () = asking => {}
            () = self.clock.sleep(ALL) => {}
        }
        let mut listed = Vec::with_capacity(nodes.len());
        for node in nodes {
            if is_own(&node) {
                listed.push(self.own_listing(node).await);
                continue;
            }
            let known = held(&self.kept)
                .get(&node.address)
                .map(|k| k.listing.clone());
            let late = || Found::Away("there was no time to ask it".to_owned());
            listed.push(known.unwrap_or_else(|| listing(node, None, late())));
        }
        Ok(NetworkListing {
            nodes: listed,
            unasked,
        })
    }

    async fn own_listing(&self, node: NodeRecord) -> NodeListing {
        let found = match self.catalogue() {
            Some(signed) => Found::Published(Arc::new(signed.catalogue.clone())),
            None => Found::Nothing,
        };
        let identity = self.identity(&node.address).await;
        NodeListing {
            own: true,
            ..listing(node, identity, found)
        }
    }

    async fn identity(&self, address: &Address) -> Option<Identity> {
        let found = self.identities.of(std::slice::from_ref(address)).await;
        found.into_iter().next()
    }

    async fn ask_and_keep(&self, node: NodeRecord) {
        let address = node.address.clone();
        let asked = tokio::select! {
            asked = self.ask(node.clone()) => asked,
            () = self.clock.sleep(EACH) => {
                listing(node, None, Found::Away(format!("it did not answer within {} s", EACH.as_secs())))
            }
        };
        let kept = Kept {
            listing: asked,
            until: self.clock.now() + FRESH,
        };
        held(&self.kept).insert(address, kept);
    }

    /// Who it is, and what it publishes. Nothing of a node that proves no key is looked at.
    async fn ask(&self, node: NodeRecord) -> NodeListing {
        let identity = self.identity(&node.address).await;
        let key = identity.as_ref().and_then(|identity| identity.key.clone());
        let Some(key) = key else {
            let changed = identity.as_ref().is_some_and(|i| i.trust == Trust::Changed);
            let found = match changed {
                true => Found::Doubted(
                    "its key has changed, and its owner has not been asked why".to_owned(),
                ),
                false => Found::Doubted("it does not prove who it is".to_owned()),
            };
            return listing(node, identity, found);
        };
        let found = match self.source.catalogue_of(&node.url).await {
            Ok(signed) => self.judged(&signed, &key),
            Err(e) => refused(&node, &e),
        };
        listing(node, identity, found)
    }

    fn judged(&self, signed: &SignedCatalogue, key: &PublicKey) -> Found {
        let mut newest = held(&self.newest);
        let seen = newest.get(key).copied();
        match signed.verify(key, seen, self.clock.now()) {
            Ok(()) => {
                if newest.len() >= MOST_KEYS && !newest.contains_key(key) {
                    // What was signed longest ago is soonest believed by nobody.
                    let oldest = newest.iter().min_by_key(|(_, at)| **at);
                    if let Some(oldest) = oldest.map(|(key, _)| key.clone()) {
                        newest.remove(&oldest);
                    }
                }
                newest.insert(key.clone(), signed.catalogue.issued_at());
                Found::Published(Arc::new(signed.catalogue.clone()))
            }
            Err(fault) => Found::Doubted(fault.to_string()),
        }
    }
}

/// What a failure to ask means. What the other side says in words is not passed on.
fn refused(node: &NodeRecord, error: &PortError) -> Found {
    tracing::debug!(address = %node.address, "no catalogue: {}", report(error));
    match error.kind() {
        PortErrorKind::Rejected => Found::Nothing,
        PortErrorKind::Corrupt => Found::Doubted("what it shows is no catalogue".to_owned()),
        PortErrorKind::Denied => {
            Found::Away("its url is one that this node may not call".to_owned())
        }
        PortErrorKind::Timeout => Found::Away("it did not answer in time".to_owned()),
        PortErrorKind::Unavailable
        | PortErrorKind::Conflict
        | PortErrorKind::NotFound
        | PortErrorKind::Exhausted
        | PortErrorKind::Unsupported
        | PortErrorKind::Internal => Found::Away("it cannot be reached".to_owned()),
    }
}

fn listing(node: NodeRecord, identity: Option<Identity>, found: Found) -> NodeListing {
    let (trust, card) = match identity {
        Some(identity) => (identity.trust, identity.card),
        None => (Trust::Unknown, None),
    };
    let vouched = trust.is_vouched();
    let organisation = match trust {
        Trust::Rostered { organisation } => Some(organisation),
        _ => card.map(|card| card.organisation().to_owned()),
    };
    NodeListing {
        address: node.address,
        name: node.name,
        url: node.url,
        organisation,
        vouched,
        own: false,
        found,
    }
}
