//! Learning who a node is: from the record to its url and back, and what is kept of it.

use std::time::Duration;

use super::kept::Kept;
use super::own::DATA_INDEX;
use super::{Identities, Known, Trust};
use delta_domain::identity::{
    Card, DATA_NAME, Document, Expected, Fingerprint, IdentityFault, Proof, is_key_address,
};
use delta_domain::ids::{Address, Digest};
use delta_domain::secagg::keys::PublicKey;
use delta_domain::time::Timestamp;
use delta_ports::{PortError, PortErrorKind, report};

/// How long it is not written down that somebody was seen again.
const SEEN_LATELY: Duration = Duration::from_secs(24 * 3600);

/// What is known of an address.
#[derive(Debug, Clone)]
pub(super) struct Learnt {
    /// What proves its key, if anything does.
    pub(super) document: Option<Document>,
    /// The key that it had first, or that the owner accepted; from a document or a claim. `None` where nothing is known.
    pub(super) first_key: Option<PublicKey>,
    /// It proves another key now.
    pub(super) changed: bool,
    /// The last attempt to look failed: look again soon.
    pub(super) doubtful: bool,
}

impl Learnt {
    fn good(document: Document) -> Self {
        Self {
            first_key: Some(document.card.key().clone()),
            document: Some(document),
            changed: false,
            doubtful: false,
        }
    }
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
        let before = kept.as_ref().and_then(|kept| kept.proof.document());
        let looked = self.look(address, before).await;
        let learnt = match (looked, kept) {
            (Ok(document), None) => self.first_seen(address, document).await,
            (Ok(document), Some(kept)) => self.seen_again(kept, document).await,
            (Err(obstacle), kept) => {
                let known = kept.is_some();
                self.say(address, &obstacle, known);
                Self::recalled(kept, true)
            }
        };
        self.cache(address, learnt);
    }

    /// From the record to its url and back. What is kept is taken where the record still says the same.
    async fn look(&self, address: &Address, kept: Option<&Document>) -> Result<Document, Obstacle> {
        let connector = &self.ports.connector;
        let refused_or_away = |e: PortError| match e.kind() {
            PortErrorKind::Rejected => Obstacle::None,
            _ => Obstacle::Away(e),
        };
        let record = connector.node(address).await.map_err(refused_or_away)?;
        let record = record.ok_or(Obstacle::None)?;
        let published = connector
            .data_commitment(address, DATA_NAME, DATA_INDEX)
            .await
            .map_err(refused_or_away)?;
        let published = published.ok_or(Obstacle::None)?;
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
        self.greet(address, &document.card, now);
        let learnt = Learnt::good(document.clone());
        let proof = Proof::Document(Box::new(document));
        self.keep(&Self::new_row(address, &proof, now)).await;
        learnt
    }

    /// Says who is seen for the first time.
    fn greet(&self, address: &Address, card: &Card, now: Timestamp) {
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
    }

    async fn seen_again(&self, kept: Kept, document: Document) -> Learnt {
        let Kept {
            mut row,
            proof: before,
            key,
        } = kept;
        let now = self.ports.clock.now();
        let address = row.address.clone();
        let was = Fingerprint::of(&key);
        let known = Known { key };
        let card = &document.card;
        let trust = self
            .settings
            .anchors
            .judge(card.key(), card.url(), Some(&known), now);
        let new = Proof::Document(Box::new(document.clone())).to_bytes();
        if trust == Trust::Changed {
            if row.changed.as_ref() != Some(&new) {
                tracing::error!(
                    %address,
                    before = %was,
                    now = %card.fingerprint(),
                    claims = card.organisation(),
                    "THE KEY OF A NODE HAS CHANGED. Either its owner made a new one, or somebody stands in between. It counts for nothing until you have asked its owner and run `delta-node identity accept {address}`"
                );
                row.changed = Some(new);
                row.last_seen = now;
                self.keep(&row).await;
            }
            return Learnt {
                document: before.document().cloned(),
                first_key: Some(known.key),
                changed: true,
                doubtful: false,
            };
        }
        if known.key != *card.key() {
            tracing::warn!(
                %address, before = %was, now = %card.fingerprint(),
                "a node has a new key, which roster or pins vouch for"
            );
            self.ports.documents.distrust_key(&known.key);
        } else if before.document().is_none() {
            self.greet(&address, card, now);
        }
        let seen_lately = row.last_seen + SEEN_LATELY > now;
        if row.document != new || row.changed.is_some() || !seen_lately {
            row.document = new;
            row.changed = None;
            row.last_seen = now;
            self.keep(&row).await;
        }
        Learnt::good(document)
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
