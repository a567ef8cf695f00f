//! A member's pk1 with what it has read and agreed under it: two members agree once for a task, not once for each of its rounds.
//!
//! What is remembered is a function of the pair and its arguments, so it makes nothing different but the time, and is no part of a
//! snapshot: after a restart it is computed again. That one seal key serves many rounds is safe because a round's transcript is in the key
//! of each message ([`SealContext`](super::seal::SealContext)), and the transcript has the round and every member's pk2, which is new in it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use rand_core::CryptoRng;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use subtle::ConstantTimeEq as _;

use super::keys::{Curve, KeyError, KeyPair, PublicKey};
use super::seal::SealKey;
use crate::ids::decode_hex;
use crate::secret::Secret;

/// Keys of others that are remembered of either kind: as many as a cohort has at most. Beyond them it starts afresh.
const MOST: usize = 10_000;

/// A pk1 pair and what was made with it. Clones share what they remember; the last one wipes it.
#[derive(Clone)]
pub struct SealingPair {
    pair: KeyPair,
    memory: Arc<Mutex<Memory>>,
}

#[derive(Default)]
struct Memory {
    /// Points, by their compressed form.
    read: BTreeMap<Vec<u8>, PublicKey>,
    /// By the other's compressed pk1.
    agreed: BTreeMap<Vec<u8>, Agreed>,
}

/// What was agreed with one pk1, and with which identity behind it.
struct Agreed {
    common: Option<Secret<32>>,
    key: Arc<SealKey>,
}

impl SealingPair {
    /// A pair that has agreed nothing yet.
    #[must_use]
    pub fn new(pair: KeyPair) -> Self {
        Self {
            pair,
            memory: Arc::default(),
        }
    }

    /// Draws a fresh pair.
    pub fn generate(curve: Curve, rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        Self::new(KeyPair::generate(curve, rng))
    }

    /// The pair, to sign with and to publish.
    #[must_use]
    pub fn pair(&self) -> &KeyPair {
        &self.pair
    }

    /// Remembers together with `other` from now on, if that is the same pair.
    pub fn remember_with(&mut self, other: &Self) {
        if self.pair.public_ref() == other.pair.public_ref() {
            self.memory = other.memory.clone();
        }
    }

    /// [`PublicKey::parse`] of another member's pk1 on the curve of this one; what was read before costs no arithmetic.
    ///
    /// # Errors
    /// As [`PublicKey::parse`].
    pub fn read(&self, wire: &str) -> Result<PublicKey, KeyError> {
        let curve = self.pair.curve();
        let digits = wire.strip_prefix("0x").unwrap_or(wire);
        if digits.len() != 2 * curve.public_bytes() {
            return PublicKey::parse(curve, wire);
        }
        let bytes = decode_hex(digits).map_err(|_| KeyError::NotHex { curve })?;
        if let Some(known) = self.with(|memory| memory.read.get(&bytes).cloned()) {
            return Ok(known);
        }
        let key = PublicKey::from_bytes(curve, &bytes)?;
        self.with(|memory| remember(&mut memory.read, bytes, key.clone()));
        Ok(key)
    }

    /// [`SealKey::new`] with `their` pk1 and what the two identities agree on; a second time it is the same key and costs nothing.
    ///
    /// # Errors
    /// As [`SealKey::new`].
    pub fn seal_key(
        &self,
        their: &PublicKey,
        common: Option<&Secret<32>>,
    ) -> Result<Arc<SealKey>, KeyError> {
        let same = |agreed: &&Agreed| match (&agreed.common, common) {
            (None, None) => true,
            (Some(before), Some(now)) => before.ct_eq(now).into(),
            _ => false,
        };
        let known = self.with(|memory| {
            let agreed = memory.agreed.get(their.as_bytes()).filter(same);
            agreed.map(|agreed| agreed.key.clone())
        });
        // A key of another curve is never among them: none has been agreed.
        if let Some(key) = known.filter(|_| their.curve() == self.pair.curve()) {
            return Ok(key);
        }
        let key = Arc::new(SealKey::new(&self.pair, their, common)?);
        let agreed = Agreed {
            common: common.cloned(),
            key: key.clone(),
        };
        self.with(|memory| remember(&mut memory.agreed, their.as_bytes().to_vec(), agreed));
        Ok(key)
    }

    fn with<T>(&self, look: impl FnOnce(&mut Memory) -> T) -> T {
        // Nothing that can panic runs under this lock.
        look(&mut self.memory.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn remember<T>(known: &mut BTreeMap<Vec<u8>, T>, key: Vec<u8>, value: T) {
    if known.len() >= MOST {
        known.clear();
    }
    known.insert(key, value);
}

impl fmt::Debug for SealingPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealingPair({})", self.pair.curve())
    }
}

/// The pair alone, for snapshots, which are sealed before they reach a disk.
impl Serialize for SealingPair {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.pair.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for SealingPair {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        KeyPair::deserialize(deserializer).map(Self::new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Digest;
    use crate::secagg::seal::SealContext;
    use crate::secagg::vectors::{self, address};

    /// A tag shows which key it was made with.
    fn tag(key: &SealKey) -> [u8; 16] {
        let context = SealContext {
            transcript: &Digest([1; 32]),
            sender: &address(1),
            receiver: &address(2),
        };
        key.tag(context, &Digest([2; 32]))
    }

    #[test]
    fn what_is_remembered_is_what_would_be_computed() {
        let mut rng = vectors::rng(11);
        for curve in [Curve::Secp256k1, Curve::Secp256r1, Curve::Secp384r1] {
            let own = SealingPair::generate(curve, &mut rng);
            let theirs = [(); 3].map(|()| KeyPair::generate(curve, &mut rng).public());
            let commons = [None, Some(Secret::new([1; 32])), Some(Secret::new([2; 32]))];
            for _ in 0..2 {
                for their in &theirs {
                    assert_eq!(&own.read(&their.to_wire()).unwrap(), their);
                    for common in &commons {
                        let fresh = SealKey::new(own.pair(), their, common.as_ref()).unwrap();
                        let kept = own.seal_key(their, common.as_ref()).unwrap();
                        assert_eq!(tag(&kept), tag(&fresh));
                    }
                }
            }
        }
    }

    #[test]
    fn two_agree_once_and_clones_know_it() {
        let mut rng = vectors::rng(12);
        let own = SealingPair::generate(Curve::Secp256k1, &mut rng);
        let their = KeyPair::generate(Curve::Secp256k1, &mut rng).public();
        let first = own.seal_key(&their, None).unwrap();
        let again = own.clone().seal_key(&their, None).unwrap();
        assert!(Arc::ptr_eq(&first, &again));
        // Nor does a restart part them, if they have the same secret.
        let snapshot = serde_json::to_string(&own).unwrap();
        let mut back: SealingPair = serde_json::from_str(&snapshot).unwrap();
        assert!(!Arc::ptr_eq(&first, &back.seal_key(&their, None).unwrap()));
        back.remember_with(&own);
        assert!(Arc::ptr_eq(&first, &back.seal_key(&their, None).unwrap()));
        back.remember_with(&SealingPair::generate(Curve::Secp256k1, &mut rng));
        assert!(Arc::ptr_eq(&first, &back.seal_key(&their, None).unwrap()));
        // Somebody whose identity is another now is agreed with anew.
        let common = Secret::new([3; 32]);
        let other = own.seal_key(&their, Some(&common)).unwrap();
        assert!(!Arc::ptr_eq(&first, &other) && tag(&first) != tag(&other));
    }

    #[test]
    fn what_is_no_key_is_refused_every_time() {
        let mut rng = vectors::rng(13);
        let own = SealingPair::generate(Curve::Secp256k1, &mut rng);
        let good = KeyPair::generate(Curve::Secp256k1, &mut rng)
            .public()
            .to_wire();
        let r1 = KeyPair::generate(Curve::Secp256r1, &mut rng).public();
        own.read(&good).unwrap();
        for _ in 0..2 {
            for bad in ["", "0x", &good[..60], &good.replace("0x0", "0x1"), "zz"] {
                assert_eq!(
                    own.read(bad).unwrap_err(),
                    PublicKey::parse(Curve::Secp256k1, bad).unwrap_err(),
                    "{bad}"
                );
            }
            assert!(own.seal_key(&r1, None).is_err());
        }
    }

    #[test]
    fn it_remembers_no_more_than_a_cohort() {
        let mut known = BTreeMap::new();
        for n in 0..=MOST {
            remember(&mut known, n.to_be_bytes().to_vec(), n);
            assert!(known.len() <= MOST);
        }
        assert_eq!(known.len(), 1);
    }

    #[test]
    fn a_snapshot_is_the_pair_and_debug_shows_nothing() {
        let pair = KeyPair::generate(Curve::Secp256k1, &mut vectors::rng(14));
        let own = SealingPair::new(pair.clone());
        let snapshot = serde_json::to_string(&own).unwrap();
        assert_eq!(snapshot, serde_json::to_string(&pair).unwrap());
        let back: SealingPair = serde_json::from_str(&snapshot).unwrap();
        assert_eq!(back.pair().public(), pair.public());
        assert_eq!(format!("{own:?}"), "SealingPair(secp256k1)");
    }
}
