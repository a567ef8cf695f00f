//! What the database remembers of other nodes, and what it lets go of when there are too many.

use std::collections::BTreeSet;

use super::learning::Learnt;
use super::{Identities, Known};
use delta_domain::identity::Proof;
use delta_domain::ids::Address;
use delta_domain::secagg::keys::PublicKey;
use delta_domain::time::Timestamp;
use delta_ports::report;
use delta_ports::storage::KnownIdentity;

/// The most addresses that are remembered.
pub(super) const MOST_KEPT: u32 = 10_000;

/// What was remembered of an address.
pub(super) struct Kept {
    pub(super) row: KnownIdentity,
    pub(super) proof: Proof,
    /// What the proof proves.
    pub(super) key: PublicKey,
}

impl Identities {
    /// What the database says of an address that was not looked at.
    pub(super) async fn remembered(&self, address: &Address) -> Learnt {
        let kept = self.kept(address).await;
        Self::recalled(kept, true)
    }

    pub(super) fn recalled(kept: Option<Kept>, doubtful: bool) -> Learnt {
        match kept {
            Some(Kept { row, proof, key }) => Learnt {
                document: proof.document().cloned(),
                first_key: Some(key),
                changed: row.changed.is_some(),
                doubtful,
            },
            None => Learnt {
                document: None,
                first_key: None,
                changed: false,
                doubtful,
            },
        }
    }

    pub(super) async fn kept(&self, address: &Address) -> Option<Kept> {
        match self.ports.storage.identity(address).await {
            Ok(row) => {
                let row = row?;
                let proof = Proof::from_bytes(&row.document)?;
                let key = proof.key(address)?;
                Some(Kept { row, proof, key })
            }
            Err(e) => {
                tracing::warn!(%address, "what was known of this node cannot be read: {}", report(&e));
                None
            }
        }
    }

    /// Keeps what was learnt. Where there is no room, who was not seen for the longest time is let go, but nobody for whom roster or pins vouch.
    pub(super) async fn keep(&self, row: &KnownIdentity) {
        let (storage, address) = (&self.ports.storage, &row.address);
        let mut kept = storage.keep_identity(row, MOST_KEPT).await;
        if let Ok(false) = kept {
            let spared = self.spared().await;
            kept = match storage.let_identity_go(&spared).await {
                Ok(Some(gone)) => {
                    tracing::info!(%gone, "{MOST_KEPT} nodes are remembered; this one, which was not seen for the longest time, no more");
                    storage.keep_identity(row, MOST_KEPT).await
                }
                Ok(None) => Ok(false),
                Err(e) => Err(e),
            };
        }
        match kept {
            Ok(true) => {}
            Ok(false) => {
                tracing::warn!(%address, "{MOST_KEPT} nodes are remembered, this one is not: a change of its key will not be noticed");
            }
            Err(e) => {
                tracing::warn!(%address, "who this node is could not be kept: {}", report(&e));
            }
        }
    }

    /// Whom roster or pins vouch for, of those that are remembered. Read once: afterwards [`Self::spare`] keeps it up.
    async fn spared(&self) -> BTreeSet<Address> {
        if let Some(spared) = self.spared_now() {
            return spared;
        }
        let now = self.ports.clock.now();
        let rows = self.ports.storage.identities(MOST_KEPT).await;
        let rows = rows.unwrap_or_else(|e| {
            tracing::warn!("who is remembered cannot be read: {}", report(&e));
            Vec::new()
        });
        let vouched = |row: &KnownIdentity| {
            let Some(Proof::Document(document)) = Proof::from_bytes(&row.document) else {
                return false;
            };
            let (key, url) = (document.card.key(), document.card.url());
            let known = Known { key: key.clone() };
            let trust = self.settings.anchors.judge(key, url, Some(&known), now);
            trust.is_vouched()
        };
        let found: BTreeSet<Address> = rows
            .into_iter()
            .filter(vouched)
            .map(|row| row.address)
            .collect();
        let mut spared = super::held(&self.spared);
        spared.get_or_insert(found).clone()
    }

    fn spared_now(&self) -> Option<BTreeSet<Address>> {
        super::held(&self.spared).clone()
    }

    /// Whether this address is to be spared from now on.
    pub(super) fn spare(&self, address: &Address, vouched: bool) {
        if let Some(spared) = super::held(&self.spared).as_mut() {
            if vouched {
                spared.insert(address.clone());
            } else {
                spared.remove(address);
            }
        }
    }

    /// A row of somebody that is seen for the first time.
    pub(super) fn new_row(address: &Address, proof: &Proof, now: Timestamp) -> KnownIdentity {
        KnownIdentity {
            address: address.clone(),
            document: proof.to_bytes(),
            changed: None,
            first_seen: now,
            last_seen: now,
        }
    }
}
