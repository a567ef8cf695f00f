//! Learning who a node is: from the record to its url and back, and what is kept of it.

use super::own::DATA_INDEX;
use super::{Identities, Known, Trust};
use delta_domain::identity::{DATA_NAME, Document, Expected, IdentityFault, is_key_address};
use delta_domain::ids::{Address, Digest};
use delta_domain::secagg::keys::PublicKey;
use delta_ports::storage::KnownIdentity;
use delta_ports::{PortError, PortErrorKind, report};

/// The most addresses that are remembered.
const MOST_KEPT: u32 = 10_000;

/// What is known of an address.
#[derive(Debug, Clone)]
pub(super) struct Learnt {
    /// What proves its key, if anything does.
    pub(super) document: Option<Document>,
    /// The key that it had first, or that the owner accepted.
    pub(super) first_key: PublicKey,
    /// It proves another key now.
    pub(super) changed: bool,
    /// The last attempt to look failed: look again soon.
    pub(super) doubtful: bool,
}

/// Why nothing was learnt.
enum Obstacle {
    /// It publishes no identity.
    None,
    /// It cannot be reached, or the connector cannot.
    Away(PortError),
    /// What it shows does not prove what the record says.
    Fault(IdentityFault),
}

impl Identities {
    /// Looks who is at `address`, and remembers it.
    pub(super) async fn learn(&self, address: &Address) {
        let kept = self.kept(address).await;
        let looked = self.look(address, kept.as_ref().map(|(_, d)| d)).await;
        let learnt = match (looked, kept) {
            (Ok(document), None) => self.first_seen(address, document).await,
            (Ok(document), Some((row, before))) => self.seen_again(row, before, document).await,
            (Err(obstacle), kept) => {
                let known = kept.is_some();
                self.say(address, &obstacle, known);
                self.recalled(kept, true)
            }
        };
        self.cache(address, learnt);
    }

    /// What the database says of an address that was not looked at.
    pub(super) async fn remembered(&self, address: &Address) -> Learnt {
        let kept = self.kept(address).await;
        self.recalled(kept, true)
    }

    fn recalled(&self, kept: Option<(KnownIdentity, Document)>, doubtful: bool) -> Learnt {
        match kept {
            Some((row, document)) => Learnt {
                first_key: document.card.key().clone(),
                document: Some(document),
                changed: row.changed.is_some(),
                doubtful,
            },
            None => Learnt {
                document: None,
                first_key: self.key().public().clone(),
                changed: false,
                doubtful,
            },
        }
    }

    async fn kept(&self, address: &Address) -> Option<(KnownIdentity, Document)> {
        match self.ports.storage.identity(address).await {
            Ok(row) => {
                let row = row?;
                let document = serde_json::from_slice(&row.document).ok()?;
                Some((row, document))
            }
            Err(e) => {
                tracing::warn!(%address, "what was known of this node cannot be read: {}", report(&e));
                None
            }
        }
    }

    /// From the record to its url and back. What is kept is taken where the record still says the same.
    async fn look(&self, address: &Address, kept: Option<&Document>) -> Result<Document, Obstacle> {
        let connector = &self.ports.connector;
        let refused_or_away = |e: PortError| match e.kind() {
            PortErrorKind::Rejected => Obstacle::None,
            _ => Obstacle::Away(e),
        };
        let record = connector.node(address).await.map_err(refused_or_away)?;
        let published = connector
            .data_commitment(address, DATA_NAME, DATA_INDEX)
            .await
            .map_err(refused_or_away)?;
        let published: Digest = published.parse().map_err(|_| Obstacle::None)?;
        let expected = Expected {
            address,
            url: &record.url,
            published: &published,
        };
        let now = self.ports.clock.now();
        if let Some(kept) = kept.filter(|kept| kept.verify(&expected, now).is_ok()) {
            return Ok(kept.clone());
        }
        let fetched = self.ports.documents.document_of(&record.url).await;
        let document = fetched.map_err(Obstacle::Away)?;
        document.verify(&expected, now).map_err(Obstacle::Fault)?;
        Ok(document)
    }

    async fn first_seen(&self, address: &Address, document: Document) -> Learnt {
        let now = self.ports.clock.now();
        let row = KnownIdentity {
            address: address.clone(),
            document: bytes_of(&document),
            changed: None,
            first_seen: now,
            last_seen: now,
        };
        let card = &document.card;
        let (fingerprint, organisation) = (card.fingerprint(), card.organisation());
        match self
            .settings
            .anchors
            .judge(card.key(), card.url(), None, now)
        {
            Trust::Rostered { organisation } => {
                tracing::info!(%address, organisation, %fingerprint, "a node of the roster");
            }
            Trust::Pinned { name } => tracing::info!(%address, name, %fingerprint, "a pinned node"),
            _ if is_key_address(address.as_str()) => tracing::warn!(
                %address, claims = organisation, %fingerprint,
                "a node is seen for the first time: its address is the hash of its key, but nobody vouches for who it says it is. Compare its fingerprint with its owner and pin it, or use a roster"
            ),
            _ => tracing::warn!(
                %address, claims = organisation, %fingerprint,
                "a node is seen for the first time, and nobody vouches for its key: whoever stood in between, the connector for one, could have put another one there. Compare its fingerprint with its owner and pin it, or use a roster"
            ),
        }
        self.keep(&row).await;
        Learnt {
            first_key: card.key().clone(),
            document: Some(document),
            changed: false,
            doubtful: false,
        }
    }

    async fn seen_again(
        &self,
        mut row: KnownIdentity,
        before: Document,
        document: Document,
    ) -> Learnt {
        let now = self.ports.clock.now();
        let address = row.address.clone();
        let known = Known {
            key: before.card.key().clone(),
        };
        let card = &document.card;
        let trust = self
            .settings
            .anchors
            .judge(card.key(), card.url(), Some(&known), now);
        let new = bytes_of(&document);
        if trust == Trust::Changed {
            if row.changed.as_ref() != Some(&new) {
                tracing::error!(
                    %address,
                    before = %before.card.fingerprint(),
                    now = %card.fingerprint(),
                    claims = card.organisation(),
                    "THE KEY OF A NODE HAS CHANGED. Either its owner made a new one, or somebody stands in between. It counts for nothing until you have asked its owner and run `delta-node identity accept {address}`"
                );
                row.changed = Some(new);
                row.last_seen = now;
                self.keep(&row).await;
            }
            return Learnt {
                document: Some(before),
                first_key: known.key,
                changed: true,
                doubtful: false,
            };
        }
        if known.key != *card.key() {
            tracing::warn!(
                %address, before = %before.card.fingerprint(), now = %card.fingerprint(),
                "a node has a new key, which roster or pins vouch for"
            );
        }
        if row.document != new || row.changed.is_some() {
            row.document = new;
            row.changed = None;
            row.last_seen = now;
            self.keep(&row).await;
        }
        Learnt {
            first_key: card.key().clone(),
            document: Some(document),
            changed: false,
            doubtful: false,
        }
    }

    async fn keep(&self, row: &KnownIdentity) {
        let address = &row.address;
        match self.ports.storage.keep_identity(row, MOST_KEPT).await {
            Ok(true) => {}
            Ok(false) => {
                tracing::warn!(%address, "{MOST_KEPT} nodes are remembered, this one is not: a change of its key will not be noticed")
            }
            Err(e) => {
                tracing::warn!(%address, "who this node is could not be kept: {}", report(&e))
            }
        }
    }

    fn say(&self, address: &Address, obstacle: &Obstacle, known: bool) {
        match obstacle {
            Obstacle::None if known => {
                tracing::warn!(%address, "a node that had an identity publishes none any more")
            }
            Obstacle::None => tracing::debug!(%address, "this node publishes no identity"),
            Obstacle::Away(e) => {
                tracing::debug!(%address, "who this node is cannot be learnt now: {}", report(e))
            }
            Obstacle::Fault(fault) => {
                tracing::warn!(%address, "who this node is is not proved: {fault}")
            }
        }
    }
}

fn bytes_of(document: &Document) -> Vec<u8> {
    // Never empty: a document is strings and numbers.
    serde_json::to_vec(document).unwrap_or_default()
}
