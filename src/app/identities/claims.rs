//! Whom a round knows: by the claims on the connector's record, which every member can read, and by what was learnt before.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::try_join_all;

use super::kept::Kept;
use super::learning::Learnt;
use super::{AT_ONCE, FRESH, Identities, Known, MOST_CACHED, Trust, held, lower};
use delta_domain::identity::{
    CLAIM_INDEX, CLAIM_PIECES, DATA_NAME, Fingerprint, Proof, claim_of_pieces, claimed_key,
    is_claim_piece,
};
use delta_domain::ids::Address;
use delta_domain::round::{Acquaintance, Acquaintances};
use delta_domain::secagg::keys::PublicKey;
use delta_domain::secret::Secret;
use delta_domain::time::Timestamp;
use delta_ports::{PortError, PortErrorKind};

/// Keys that claims proved, and until when nobody asks again.
pub(super) type Claims = BTreeMap<Address, (PublicKey, Timestamp)>;

/// What the record claims.
struct Claimed {
    key: PublicKey,
    /// The claim itself, where it was read just now.
    text: Option<String>,
}

/// Whose voice a member is. Roster and owner vouch for organisations, and one of them may have many keys and machines.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Voice {
    Organisation(String),
    Key(PublicKey),
}

impl Voice {
    /// `None` for whom nobody vouches for.
    fn of(key: &PublicKey, trust: &Trust) -> Option<Self> {
        match trust {
            Trust::Rostered { organisation } => Some(Self::Organisation(organisation.clone())),
            Trust::Pinned { .. } => Some(Self::Key(key.clone())),
            _ => None,
        }
    }
}

impl Identities {
    /// What a round of `members` may know of them, as the node at `me` does.
    ///
    /// # Errors
    /// The connector's, when it cannot be asked.
    pub(crate) async fn acquaintances(
        &self,
        me: &Address,
        members: &[Address],
    ) -> Result<Acquaintances, PortError> {
        let asked: Vec<&Address> = members.iter().filter(|member| *member != me).collect();
        let mut found = Vec::with_capacity(asked.len());
        for some in asked.chunks(AT_ONCE) {
            let proofs = some.iter().map(|member| self.proved(member));
            found.extend(try_join_all(proofs).await?);
        }
        let mut others = Acquaintances {
            anchored: self.has_anchors(),
            ..Acquaintances::default()
        };
        // An organisation counts once, whatever number of keys it has, and a key once, whatever number of addresses; this node's own are its own.
        let own = self.key().public();
        let mut counted = BTreeSet::from([Voice::Key(own.clone())]);
        counted.extend(Voice::of(own, &self.own_voice()));
        for (member, proved) in asked.into_iter().zip(found) {
            let member = member.clone();
            let Some((key, trust)) = proved else {
                continue;
            };
            if trust == Trust::Changed {
                others.changed.insert(member);
            } else if let Some(common) = self.common(&key) {
                let vouched = Voice::of(&key, &trust).is_some_and(|voice| counted.insert(voice));
                others
                    .known
                    .insert(member, Acquaintance { common, vouched });
            }
        }
        Ok(others)
    }

    /// The key that the record proves for an address, or that it proved before, and what it counts for.
    async fn proved(&self, member: &Address) -> Result<Option<(PublicKey, Trust)>, PortError> {
        let address = lower(member);
        let claimed = self.claimed(&address).await?;
        let before = match self.remembered(&address).await {
            // Nothing is written down, or it cannot be read.
            Learnt {
                first_key: None, ..
            } => self.cached(&address, Timestamp(0)),
            learnt => Some(learnt),
        };
        let first_key = before.as_ref().and_then(|learnt| learnt.first_key.clone());
        let Some(Claimed { key, text }) = claimed else {
            let Some(key) = first_key else {
                return Ok(None);
            };
            // Whoever keeps the record could else make a stranger of a node that is known.
            tracing::warn!(
                %address, fingerprint = %Fingerprint::of(&key),
                "the record has no claim of a node that proved its key before: it is taken for that node"
            );
            if before.is_some_and(|learnt| learnt.changed) {
                return Ok(Some((key, Trust::Changed)));
            }
            let trust = self.trust_in(&address, &key, Some(&key)).await?;
            return Ok(Some((key, trust)));
        };
        let trust = self.trust_in(&address, &key, first_key.as_ref()).await?;
        if let Some(text) = text {
            self.remember_claim(&address, &trust, Proof::Claim(text))
                .await;
        }
        Ok(Some((key, trust)))
    }

    /// Writes a claim down: the first of its address, or one of another key, which waits for the owner's word.
    async fn remember_claim(&self, address: &Address, trust: &Trust, claim: Proof) {
        let now = self.ports.clock.now();
        match (self.kept(address).await, trust) {
            (None, _) => self.keep(&Self::new_row(address, &claim, now)).await,
            (Some(Kept { mut row, .. }), Trust::Changed) if row.changed.is_none() => {
                row.changed = Some(claim.to_bytes());
                self.keep(&row).await;
            }
            _ => {}
        }
    }

    /// The key that the record proves for an address: from memory while it is fresh. `None`: it proves none.
    async fn claimed(&self, address: &Address) -> Result<Option<Claimed>, PortError> {
        let now = self.ports.clock.now();
        let known = held(&self.claims).get(address).cloned();
        if let Some((key, until)) = known
            && until > now
        {
            return Ok(Some(Claimed { key, text: None }));
        }
        let Some(mut text) = self.said_at(address, CLAIM_INDEX).await? else {
            return Ok(None);
        };
        if is_claim_piece(&text) {
            let mut pieces = vec![Some(text)];
            for index in (CLAIM_INDEX..).take(CLAIM_PIECES).skip(1) {
                pieces.push(self.said_at(address, index).await?);
            }
            text = claim_of_pieces(&pieces);
        }
        match claimed_key(address, &text) {
            Ok(key) => {
                let mut claims = held(&self.claims);
                if claims.len() >= MOST_CACHED {
                    claims.clear();
                }
                claims.insert(address.clone(), (key.clone(), now + FRESH));
                let text = Some(text);
                Ok(Some(Claimed { key, text }))
            }
            Err(fault) => {
                tracing::warn!(%address, "who this node is is not proved: {fault}");
                Ok(None)
            }
        }
    }

    /// What the record says at a place of a claim. One that gives no answer shows none: rounds go on without.
    async fn said_at(&self, address: &Address, index: i32) -> Result<Option<String>, PortError> {
        let connector = &self.ports.connector;
        match connector.data_commitment(address, DATA_NAME, index).await {
            Err(e) if e.kind() == PortErrorKind::Rejected => Ok(None),
            said => said,
        }
    }

    /// What the key counts for, given the one that the address proved before.
    async fn trust_in(
        &self,
        address: &Address,
        key: &PublicKey,
        first_key: Option<&PublicKey>,
    ) -> Result<Trust, PortError> {
        let now = self.ports.clock.now();
        let known = first_key.map(|key| Known { key: key.clone() });
        let anchors = &self.settings.anchors;
        let url = if anchors.url_of(key, now).is_some() {
            let node = self.ports.connector.node(address).await?;
            node.map_or_else(String::new, |node| node.url)
        } else {
            String::new()
        };
        let trust = anchors.judge(key, url.trim_end_matches('/'), known.as_ref(), now);
        if trust == Trust::Changed {
            tracing::error!(
                %address,
                "THE KEY OF A NODE HAS CHANGED: this node takes part in no round with it until you have asked its owner and run `delta-node identity accept {address}`"
            );
        }
        Ok(trust)
    }

    /// What this node's key and another's agree on; computed once for each pair.
    fn common(&self, key: &PublicKey) -> Option<Secret<32>> {
        let mut agreed = held(&self.agreed);
        if let Some(common) = agreed.get(key) {
            return Some(common.clone());
        }
        let common = self.key().common(key)?;
        if agreed.len() >= MOST_CACHED {
            agreed.clear();
        }
        agreed.insert(key.clone(), common.clone());
        Some(common)
    }
}
