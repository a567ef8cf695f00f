//! What this node shows of itself, and how it gets onto the record.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use super::{Identities, Identity, lower, same_address};
use crate::once::{Call, OnRecord, Standing, Statement as _, once};
use delta_domain::identity::{
    CLAIM_INDEX, Card, CardError, DATA_NAME, Document, Fingerprint, NodeKey, Trust, claim,
    claim_in_pieces,
};
use delta_domain::ids::Address;
use delta_domain::time::Timestamp;
use delta_ports::PortError;
use delta_ports::connector::RejectionReason;
use delta_ports::identity::IdentityApi;

/// Where the card stands on the data hub.
pub(super) const DATA_INDEX: i32 = 0;

/// This node's address, and the document that was signed last.
#[derive(Debug, Default)]
pub(super) struct Own {
    address: Option<Address>,
    document: Option<Document>,
}

/// Who answers at this node's own url.
#[derive(Debug)]
pub(crate) enum AtOwnUrl {
    /// This node.
    This,
    /// One with this fingerprint.
    Another(Fingerprint),
    /// Nobody who shows an identity, as seen from here: others may find a way.
    Nobody(PortError),
}

impl Identities {
    /// This node's long-term key: what it signs with where its word must count for more than one round.
    #[must_use]
    pub fn key(&self) -> &NodeKey {
        &self.ports.node_key
    }

    /// This node's card as it would be made now.
    ///
    /// # Errors
    /// [`CardError`] when the configuration has words or a url that may not be on a card.
    pub fn card(&self, now: Timestamp) -> Result<Card, CardError> {
        let settings = &self.settings;
        let key = self.key().public();
        let (organisation, name) = (&settings.organisation, &settings.name);
        Card::new(organisation, name, &self.url, key, settings.tls_key, now)
    }

    pub(super) fn is_own(&self, address: &Address) -> bool {
        let own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        own.address
            .as_ref()
            .is_some_and(|own| same_address(own, address))
    }

    /// This node itself needs no proof: it is pinned, unless the roster names it.
    pub(super) fn own_identity(&self, address: &Address, now: Timestamp) -> Option<Identity> {
        if !self.is_own(address) {
            return None;
        }
        Some(Identity {
            trust: self.own_trust(self.url.trim_end_matches('/'), now),
            key: Some(self.key().public().clone()),
            card: self.card(now).ok(),
        })
    }

    /// As whom this node counts in its own rounds: as the roster names it, wherever it is now, else by its key.
    pub(super) fn own_voice(&self) -> Trust {
        let now = self.ports.clock.now();
        let listed = self.settings.anchors.url_of(self.key().public(), now);
        self.own_trust(listed.unwrap_or(""), now)
    }

    fn own_trust(&self, url: &str, now: Timestamp) -> Trust {
        let key = self.key().public();
        match self.settings.anchors.judge(key, url, None, now) {
            rostered @ Trust::Rostered { .. } => rostered,
            _ => Trust::Pinned {
                name: "this node".to_owned(),
            },
        }
    }

    /// The connector knows this node under `address`: from now on the document says so, and the record has the card's digest.
    ///
    /// # Errors
    /// The connector's.
    pub(crate) async fn publish(&self, address: &Address) -> Result<(), PortError> {
        {
            let mut own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
            if own.address.as_ref() != Some(address) {
                own.address = Some(address.clone());
                own.document = None;
            }
        }
        let Ok(card) = self.card(self.ports.clock.now()) else {
            return Ok(());
        };
        let digest = card.digest();
        // The claim first: rounds need it, and whoever reads the card wants to see both.
        self.put_claim(address).await?;
        if self.put(address, DATA_INDEX, &digest.to_string()).await? {
            tracing::info!(
                card = %digest,
                fingerprint = %self.key().fingerprint(),
                "this node's identity card is on the connector's record"
            );
        }
        Ok(())
    }

    /// Puts this node's claim on record: whole where a place of the record takes it, in pieces where it does not, as on a blockchain.
    async fn put_claim(&self, address: &Address) -> Result<(), PortError> {
        let whole = claim(self.key(), address);
        if !self.in_pieces.load(Ordering::Relaxed) {
            match self.put(address, CLAIM_INDEX, &whole).await {
                Err(e) if e.reason() == Some(RejectionReason::Other) => {}
                put => return put.map(drop),
            }
        }
        for (index, piece) in (CLAIM_INDEX..).zip(claim_in_pieces(&whole)) {
            self.put(address, index, &piece).await?;
        }
        self.in_pieces.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Puts a text on the record under this node's address, unless it is there. Whether it was not.
    async fn put(&self, address: &Address, index: i32, text: &str) -> Result<bool, PortError> {
        let mut registering = OnRecord {
            connector: &*self.ports.connector,
            clock: &*self.ports.clock,
            call: Call::Register(address, DATA_NAME, index, text),
        };
        if registering.look().await? == Standing::There {
            return Ok(false);
        }
        once(&mut registering, false).await.map(|_| true)
    }

    /// Whether the record has this node's card as it would be made now.
    pub async fn is_published(&self, address: &Address) -> bool {
        let Ok(card) = self.card(self.ports.clock.now()) else {
            return false;
        };
        let connector = &self.ports.connector;
        let published = connector.data_commitment(address, DATA_NAME, DATA_INDEX);
        let published = published.await;
        published.is_ok_and(|p| p.is_some_and(|p| p.parse() == Ok(card.digest())))
    }

    /// Who answers at this node's own url. A url that leads to another node is one that two nodes have, or a wrong one.
    pub(crate) async fn at_own_url(&self) -> AtOwnUrl {
        match self.ports.documents.document_of(&self.url).await {
            Ok(document) if document.card.key() == self.key().public() => AtOwnUrl::This,
            Ok(document) => AtOwnUrl::Another(document.card.fingerprint()),
            Err(e) => AtOwnUrl::Nobody(e),
        }
    }

    /// Whether the url on record is this node's; it is put right if it is not.
    ///
    /// # Errors
    /// The connector's.
    pub(crate) async fn hold_url(&self, address: &Address) -> Result<(), PortError> {
        let Some(record) = self.ports.connector.node(address).await? else {
            return Ok(());
        };
        if record.url == self.url {
            return Ok(());
        }
        tracing::error!(
            on_record = record.url,
            own = self.url,
            "somebody has moved this node's url on the connector's record: another node with this node's key, or a stranger where the connector takes unsigned calls; it is put right"
        );
        let moved = self.ports.connector.update_url(address, &self.url).await;
        moved.map(drop)
    }
}

impl IdentityApi for Identities {
    fn document(&self) -> Option<Document> {
        let card = self.card(self.ports.clock.now()).ok()?;
        let mut own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(document) = own.document.as_ref().filter(|d| d.card == card) {
            return Some(document.clone());
        }
        let address = own.address.as_ref().map(lower);
        let document = Document::issue(self.key(), card, address.as_ref());
        own.document.clone_from(&document);
        document
    }

    fn seen(&self, address: &Address) -> Option<bool> {
        let address = lower(address);
        if self.is_own(&address) || !self.looked(&address, self.ports.clock.now()) {
            return None;
        }
        let learnt = self.cached(&address, Timestamp(0))?;
        Some(learnt.document.is_some() && !learnt.changed && !learnt.doubtful)
    }
}
