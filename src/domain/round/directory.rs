//! The public keys of u1, judged once and alike by everybody.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::message::Encoder;
use super::record::RawPublicKeys;
use crate::ids::{Address, Digest};
use crate::secagg::keys::{Curve, KeyError, PublicKey};

/// A member's two public keys, valid points both.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberKeys {
    /// `pk1`: seals shares and signs messages.
    pub cipher: PublicKey,
    /// `pk2`: makes pairwise masks.
    pub mask: PublicKey,
}

/// The keys of all members of u1 whose keys can be used.
///
/// Who is excluded follows from the public record alone, so honest nodes that read the same record exclude the same members:
/// a key that is no canonical point of the curve, a `pk1` equal to the own `pk2`, or a key that two members claim.
///
/// Clones share the keys: a round of a thousand members is copied with every change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Directory {
    members: Arc<BTreeMap<Address, MemberKeys>>,
    excluded: BTreeMap<Address, String>,
    digest: Digest,
}

impl Directory {
    /// Judges the keys on record of `u1`, given in the same order.
    #[must_use]
    pub fn judge(curve: Curve, u1: &[Address], raw: &[RawPublicKeys]) -> Self {
        Self::judge_with(curve, u1, raw, |pk1| PublicKey::parse(curve, pk1))
    }

    /// The same, where `read` reads a `pk1` as [`PublicKey::parse`] does: a member has read most of them in earlier rounds.
    #[must_use]
    pub fn judge_with(
        curve: Curve,
        u1: &[Address],
        raw: &[RawPublicKeys],
        read: impl Fn(&str) -> Result<PublicKey, KeyError>,
    ) -> Self {
        let mut members = BTreeMap::new();
        let mut excluded = BTreeMap::new();
        for (address, keys) in u1.iter().zip(raw) {
            match (read(&keys.pk1), PublicKey::parse(curve, &keys.pk2)) {
                (Ok(cipher), Ok(mask)) => {
                    members.insert(address.clone(), MemberKeys { cipher, mask });
                }
                (Err(e), _) => drop(excluded.insert(address.clone(), format!("pk1: {e}"))),
                (_, Err(e)) => drop(excluded.insert(address.clone(), format!("pk2: {e}"))),
            }
        }
        for address in u1.iter().skip(raw.len()) {
            excluded.insert(address.clone(), "no keys on record".into());
        }
        for address in used_twice(&members) {
            members.remove(&address);
            excluded.insert(address, "a key is used twice".into());
        }
        let digest = Self::digest_of(u1, &members);
        Self {
            members: Arc::new(members),
            excluded,
            digest,
        }
    }

    /// Keys of the usable members, in address order.
    #[must_use]
    pub fn members(&self) -> &BTreeMap<Address, MemberKeys> {
        &self.members
    }

    /// Members of u1 whose keys cannot be used, and why.
    #[must_use]
    pub fn excluded(&self) -> &BTreeMap<Address, String> {
        &self.excluded
    }

    /// Keys of one usable member.
    #[must_use]
    pub fn keys(&self, address: &Address) -> Option<&MemberKeys> {
        self.members.get(address)
    }

    /// Digest over u1 and all usable keys.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.digest
    }

    fn digest_of(u1: &[Address], members: &BTreeMap<Address, MemberKeys>) -> Digest {
        let mut e = Encoder::new("delta directory 1");
        let listed: BTreeSet<&Address> = u1.iter().collect();
        e.number(listed.len() as u64);
        for address in listed {
            e.text(address.as_str());
        }
        e.number(members.len() as u64);
        for (address, keys) in members {
            e.text(address.as_str());
            e.bytes(keys.cipher.as_bytes());
            e.bytes(keys.mask.as_bytes());
        }
        e.digest()
    }
}

/// Those who claim a key that somebody claims already, be it themselves.
fn used_twice(members: &BTreeMap<Address, MemberKeys>) -> BTreeSet<Address> {
    let mut claims: Vec<(&[u8], &Address)> = members
        .iter()
        .flat_map(|(a, keys)| [(keys.cipher.as_bytes(), a), (keys.mask.as_bytes(), a)])
        .collect();
    claims.sort_unstable();
    claims
        .windows(2)
        .filter(|pair| pair.iter().all(|claim| claim.0 == pair[0].0))
        .flatten()
        .map(|(_, address)| Address::clone(address))
        .collect()
}
