//! Sealing shares for one receiver on their way through the coordinator, and the tags by which two members tell each other what they see
//! (docs/protocol/secagg.md, Sealing and Confirming u3).
//!
//! ChaCha20-Poly1305 (RFC 8439) and HKDF-SHA256 (RFC 5869), under a key of two agreements: of both `pk1`, which are gone when the task is over,
//! and, where each of the two knows the other's identity, of both identity keys. The first keeps what was sealed shut when an identity key is lost
//! later; the second keeps out whoever put a `pk1` of his own on record, and tells either side at once.
//! Key and associated data are bound to the transcript (task, round, members, keys, what is computed) and the direction, so that what was sealed
//! elsewhere, or under another view of the round, does not open.
//! Not here: whether a share inside is the one committed to.

use chacha20poly1305::aead::{Aead as _, Payload};
use chacha20poly1305::{ChaCha20Poly1305, KeyInit as _};
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use crate::ids::{Address, Digest};
use crate::secret::Secret;

use super::kdf::{expand, extract, framed};
use super::keys::{KeyError, KeyPair, PublicKey};
use super::pairwise::sorted;

const LABEL: &[u8] = b"delta-node secagg v2 seal";
const TAG_LABEL: &[u8] = b"delta-node secagg v2 tag";
const PROOF_LABEL: &[u8] = b"delta-node secagg v2 proof";
const SEAL_TAG_BYTES: usize = 16;

/// Bytes of a [`SealKey::tag`].
pub const TAG_BYTES: usize = 16;
/// The longest plaintext that is sealed or opened. Two shares take at most 142 bytes.
pub const MAX_PLAINTEXT_BYTES: usize = 1024;
/// What a seal adds to the length: the authentication tag behind.
pub const OVERHEAD_BYTES: usize = SEAL_TAG_BYTES;

/// What the secret behind a share is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ShareKind {
    /// The seed of the sender's self mask; revealed when the sender finished.
    SelfMaskSeed,
    /// The sender's `pk2` secret; revealed when the sender dropped out.
    MaskKey,
}

/// The one direction that a seal or a tag is good for, in one round as its maker sees it.
#[derive(Debug, Clone, Copy)]
pub struct SealContext<'a> {
    /// SHA-256 of the round's transcript ([`transcript_bytes`](crate::round::transcript::transcript_bytes)): task, round, members and
    /// their keys, what is computed.
    pub transcript: &'a Digest,
    /// Who speaks.
    pub sender: &'a Address,
    /// For whom.
    pub receiver: &'a Address,
}

impl SealContext<'_> {
    /// Unambiguous, because every part has its length in front.
    fn encode(&self, label: &[u8], statement: &[u8]) -> Vec<u8> {
        framed(&[
            label,
            &self.transcript.0,
            self.sender.as_str().as_bytes(),
            self.receiver.as_str().as_bytes(),
            statement,
        ])
    }
}

/// The secret that two members share in one task: seals and tags in both directions, in each round under its own transcript. Wiped on drop.
pub struct SealKey {
    root: Zeroizing<[u8; 32]>,
}

/// Its one field wipes itself.
impl zeroize::ZeroizeOnDrop for SealKey {}

impl SealKey {
    /// One key agreement between `own` and `their`, both `pk1`, together with what the two identities agree on (`common`, if each knows the
    /// other's). The other side derives the same; who knows less derives something else.
    ///
    /// # Errors
    /// [`KeyError::CurveMismatch`] when the keys are of two curves.
    pub fn new(
        own: &KeyPair,
        their: &PublicKey,
        common: Option<&Secret<32>>,
    ) -> Result<Self, KeyError> {
        let shared = own.agree(their)?;
        let (low, high) = sorted(own.public_ref(), their);
        let (identified, common): (&[u8], &[u8]) = match common {
            Some(common) => (b"identified", common.expose()),
            None => (b"unidentified", &[]),
        };
        let context = framed(&[
            LABEL,
            own.curve().name().as_bytes(),
            identified,
            low.as_bytes(),
            high.as_bytes(),
        ]);
        // Both parts have fixed lengths, and the context says whether there are two.
        let mut input = Zeroizing::new(Vec::with_capacity(shared.len() + common.len()));
        input.extend_from_slice(&shared);
        input.extend_from_slice(common);
        Ok(Self {
            root: expand(&extract(LABEL, &input), &context),
        })
    }

    /// Seals `plaintext` for the receiver in `context`. Once: the key of a context seals one message, so that it needs no nonce
    /// ([`RunnerRound`](crate::round::runner::RunnerRound) derives all that it seals from one seed, so that a repeat is the same message).
    ///
    /// # Errors
    /// [`SealError::TooLong`] above [`MAX_PLAINTEXT_BYTES`].
    pub fn seal(&self, context: SealContext<'_>, plaintext: &[u8]) -> Result<Vec<u8>, SealError> {
        let too_long = || SealError::TooLong {
            bytes: plaintext.len(),
        };
        if plaintext.len() > MAX_PLAINTEXT_BYTES {
            return Err(too_long());
        }
        let aad = context.encode(LABEL, &[]);
        let message = Payload {
            msg: plaintext,
            aad: &aad,
        };
        self.cipher(&aad)
            .encrypt(&[0; 12].into(), message)
            .map_err(|_| too_long())
    }

    /// Opens what [`SealKey::seal`] made under the same context.
    ///
    /// # Errors
    /// [`SealError::Length`] before anything is computed; [`SealError::DoesNotOpen`] when one bit, the context or the key is wrong.
    pub fn open(
        &self,
        context: SealContext<'_>,
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, SealError> {
        if !(SEAL_TAG_BYTES..=MAX_PLAINTEXT_BYTES + SEAL_TAG_BYTES).contains(&sealed.len()) {
            return Err(SealError::Length {
                bytes: sealed.len(),
            });
        }
        let aad = context.encode(LABEL, &[]);
        let message = Payload {
            msg: sealed,
            aad: &aad,
        };
        self.cipher(&aad)
            .decrypt(&[0; 12].into(), message)
            .map(Zeroizing::new)
            .map_err(|_| SealError::DoesNotOpen)
    }

    /// The sender's word for `statement`, which the receiver alone can check: the first 16 bytes of Expand, which is HMAC-SHA256.
    #[must_use]
    pub fn tag(&self, context: SealContext<'_>, statement: &Digest) -> [u8; TAG_BYTES] {
        let whole = expand(&self.root, &context.encode(TAG_LABEL, &statement.0));
        let mut tag = [0; TAG_BYTES];
        tag.copy_from_slice(&whole[..TAG_BYTES]);
        tag
    }

    /// Whether `tag` is what the sender in `context` made for `statement`. In constant time.
    #[must_use]
    pub fn says(&self, context: SealContext<'_>, statement: &Digest, tag: &[u8]) -> bool {
        self.tag(context, statement).ct_eq(tag).into()
    }

    /// What two members' proofs are masked with in one round: the same for both, whoever is first. Bound to the transcript, so that members
    /// who are shown other keys, or another task, mask with something else and their proofs do not fit together.
    #[must_use]
    pub fn proof_key(&self, transcript: &Digest, one: &Address, other: &Address) -> Secret<32> {
        let (low, high) = if one <= other {
            (one, other)
        } else {
            (other, one)
        };
        let context = framed(&[
            PROOF_LABEL,
            &transcript.0,
            low.as_str().as_bytes(),
            high.as_str().as_bytes(),
        ]);
        Secret::new(*expand(&self.root, &context))
    }

    /// The key of one context: each direction has its own.
    fn cipher(&self, context: &[u8]) -> ChaCha20Poly1305 {
        ChaCha20Poly1305::new((&*expand(&self.root, context)).into())
    }
}

impl std::fmt::Debug for SealKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SealKey")
    }
}

/// Why something was not sealed or opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// The plaintext is above the bound.
    #[error("{bytes} bytes are too many to seal")]
    TooLong {
        /// Length of the plaintext.
        bytes: usize,
    },
    /// No sealed message has this length.
    #[error("a sealed message cannot have {bytes} bytes")]
    Length {
        /// Length found.
        bytes: usize,
    },
    /// Forged, damaged, or sealed for another place.
    #[error("a sealed message does not open here")]
    DoesNotOpen,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::NodeKey;
    use crate::ids::encode_hex;
    use crate::secagg::keys::Curve;
    use crate::secagg::vectors::{self, address};

    /// Two pairs of one curve, what their owners' identities agree on, and who they are.
    struct Two {
        a: KeyPair,
        b: KeyPair,
        common: Secret<32>,
        alice: Address,
        bob: Address,
        transcript: Digest,
    }

    impl Two {
        fn new(curve: Curve, seed: u64) -> Self {
            let mut rng = vectors::rng(seed);
            Self {
                a: KeyPair::generate(curve, &mut rng),
                b: KeyPair::generate(curve, &mut rng),
                common: Secret::new([9; 32]),
                alice: address(1),
                bob: address(2),
                transcript: Digest([5; 32]),
            }
        }

        fn forth(&self) -> SealContext<'_> {
            SealContext {
                transcript: &self.transcript,
                sender: &self.alice,
                receiver: &self.bob,
            }
        }

        fn keys(&self, identified: bool) -> [SealKey; 2] {
            let common = identified.then_some(&self.common);
            [
                SealKey::new(&self.a, self.b.public_ref(), common).unwrap(),
                SealKey::new(&self.b, self.a.public_ref(), common).unwrap(),
            ]
        }
    }

    #[test]
    fn opens_and_speaks_in_its_own_place_only() {
        for curve in [Curve::Secp256k1, Curve::Secp256r1, Curve::Secp384r1] {
            let two = Two::new(curve, 2);
            let (other, statement) = (Digest([6; 32]), Digest([7; 32]));
            for identified in [false, true] {
                let [a, b] = two.keys(identified);
                let right = two.forth();
                let sealed = a.seal(right, b"share").unwrap();
                let tag = a.tag(right, &statement);
                assert_eq!(sealed.len(), 5 + OVERHEAD_BYTES);
                assert_eq!(*b.open(right, &sealed).unwrap(), b"share");
                assert!(b.says(right, &statement, &tag) && !b.says(right, &other, &tag));
                let wrong = [
                    SealContext {
                        transcript: &other,
                        ..right
                    },
                    SealContext {
                        sender: &two.bob,
                        receiver: &two.alice,
                        ..right
                    },
                    SealContext {
                        receiver: &two.alice,
                        ..right
                    },
                ];
                for context in wrong {
                    let opened = b.open(context, &sealed).unwrap_err();
                    assert_eq!(opened, SealError::DoesNotOpen, "{context:?}");
                    assert!(!b.says(context, &statement, &tag), "{context:?}");
                }
            }
        }
    }

    #[test]
    fn a_proof_key_is_of_one_pair_in_one_transcript() {
        let two = Two::new(Curve::Secp256k1, 4);
        let (one, another) = (two.transcript, Digest([6; 32]));
        let (alice, bob, carol) = (&two.alice, &two.bob, &address(3));
        let of = |key: &SealKey, transcript, me, peer| {
            let made = key.proof_key(transcript, me, peer);
            *made.expose()
        };
        let [a, b] = two.keys(true);
        let key = of(&a, &one, alice, bob);
        assert_eq!(key, of(&b, &one, bob, alice));
        assert_ne!(key, of(&a, &another, alice, bob));
        assert_ne!(key, of(&a, &one, alice, carol));
        // Who put a key of his own in a member's place, and lacks its identity's.
        let [unidentified, _] = two.keys(false);
        assert_ne!(key, of(&unidentified, &one, alice, bob));
    }

    /// Computed by another implementation, from docs/protocol/secagg.md alone.
    #[test]
    fn the_examples_of_the_protocol() {
        let pair = |byte: u8| KeyPair::from_secret_bytes(Curve::Secp256k1, &[byte; 32]).unwrap();
        let identity = |byte| NodeKey::new(&Secret::new([byte; 32])).unwrap();
        let common = identity(5).common(identity(6).public()).unwrap();
        let digest = |hex: &str| -> Digest { format!("0x{hex}").parse().unwrap() };
        let transcript = digest("d0d766fa0b097388a4e628f493502c08465e576d26cfec820e495961bb70d362");
        let statement = digest("43dd33cf17a27d616db42e2ed0868a792039dc0478e6b2a97f7a8d1f14de8617");
        let (alice, bob) = (address(0x11), address(0x22));
        let place = SealContext {
            transcript: &transcript,
            sender: &alice,
            receiver: &bob,
        };
        for (common, sealed, tag) in [
            (
                None,
                "0x1068b942f171ebed5ddf1321134a4a06ccedfd60137e6c",
                "0xceaa8074920ec59d2dd91a3c1c09a8a6",
            ),
            (
                Some(&common),
                "0xce3a6bf3a004eeeb6fc3120187b87a186f25ca30eab7e7",
                "0xd04d61b19ebd1cbab54352fdb7507060",
            ),
        ] {
            let key = SealKey::new(&pair(1), pair(3).public_ref(), common).unwrap();
            let made = key.seal(place, &[3, 1, 1, 5, 1, 1, 7]).unwrap();
            assert_eq!(encode_hex(&made), sealed);
            assert_eq!(encode_hex(&key.tag(place, &statement)), tag);
        }
    }

    #[test]
    fn neither_another_pk1_nor_another_identity_opens_it() {
        let two = Two::new(Curve::Secp256k1, 6);
        let stranger = KeyPair::generate(Curve::Secp256k1, &mut vectors::rng(7));
        let [a, _] = two.keys(true);
        let sealed = a.seal(two.forth(), b"share").unwrap();
        let (strange, common) = (Secret::new([8; 32]), Some(&two.common));
        let others = [
            // Knows the round's keys and not the identities: who put a pk1 of his own on record.
            SealKey::new(&two.b, two.a.public_ref(), None),
            SealKey::new(&two.b, two.a.public_ref(), Some(&strange)),
            // Knows the identities and not the round's keys: who found an identity key later.
            SealKey::new(&stranger, two.a.public_ref(), common),
            SealKey::new(&two.b, stranger.public_ref(), common),
        ];
        for other in others {
            let opened = other.unwrap().open(two.forth(), &sealed);
            assert_eq!(opened.unwrap_err(), SealError::DoesNotOpen);
        }
    }

    #[test]
    fn any_changed_bit_and_any_cut_keeps_it_shut() {
        let two = Two::new(Curve::Secp256r1, 3);
        let [key, _] = two.keys(false);
        let context = two.forth();
        let sealed = key.seal(context, &[7; 142]).unwrap();
        for bit in 0..sealed.len() * 8 {
            let mut bad = sealed.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(key.open(context, &bad).unwrap_err(), SealError::DoesNotOpen);
        }
        for cut in 0..sealed.len() {
            assert!(key.open(context, &sealed[..cut]).is_err());
        }
        let statement = Digest([7; 32]);
        let tag = key.tag(context, &statement);
        for bit in 0..TAG_BYTES * 8 {
            let mut bad = tag;
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(!key.says(context, &statement, &bad));
        }
        assert!((0..TAG_BYTES).all(|cut| !key.says(context, &statement, &tag[..cut])));
        assert!(matches!(
            key.open(context, &vec![0; 1 << 20]),
            Err(SealError::Length { .. })
        ));
        assert!(matches!(
            key.seal(context, &[0; MAX_PLAINTEXT_BYTES + 1]),
            Err(SealError::TooLong { .. })
        ));
    }

    #[test]
    fn keys_of_two_curves_have_no_seal() {
        let mut rng = vectors::rng(5);
        let a = KeyPair::generate(Curve::Secp256k1, &mut rng);
        let b = KeyPair::generate(Curve::Secp256r1, &mut rng);
        assert!(matches!(
            SealKey::new(&a, b.public_ref(), None),
            Err(KeyError::CurveMismatch { .. })
        ));
    }

    #[test]
    fn debug_shows_nothing() {
        let two = Two::new(Curve::Secp256k1, 6);
        let [key, _] = two.keys(true);
        assert_eq!(format!("{key:?} {:?}", two.a), "SealKey KeyPair(secp256k1)");
    }
}
