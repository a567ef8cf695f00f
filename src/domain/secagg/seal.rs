//! Sealing a share for one receiver on its way through the coordinator (docs/protocol/secagg.md, Sealing).
//!
//! ChaCha20-Poly1305 (RFC 8439) under HKDF-SHA256 of the ECDH secret of both `pk1`. Key and associated data are bound to the
//! task, the round, the direction and the kind of share, so that a sealed share moved anywhere else does not open.
//! Not here: whether the share inside is the one committed to.

use chacha20poly1305::aead::{Aead as _, Payload};
use chacha20poly1305::{ChaCha20Poly1305, KeyInit as _};
use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::ids::{Address, RoundNumber, TaskId};

use super::kdf::{expand, extract, framed};
use super::keys::{KeyError, KeyPair, PublicKey};
use super::pairwise::sorted;

const LABEL: &[u8] = b"delta-node secagg v1 seal";
const NONCE_BYTES: usize = 12;
const TAG_BYTES: usize = 16;

/// The longest plaintext that is sealed or opened. A share takes at most 69 bytes.
pub const MAX_PLAINTEXT_BYTES: usize = 1024;
/// What a seal adds to the length: the nonce in front and the tag behind.
pub const OVERHEAD_BYTES: usize = NONCE_BYTES + TAG_BYTES;

/// What the secret behind a share is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ShareKind {
    /// The seed of the sender's self mask; revealed when the sender finished.
    SelfMaskSeed,
    /// The sender's `pk2` secret; revealed when the sender dropped out.
    MaskKey,
}

impl ShareKind {
    const fn label(self) -> &'static [u8] {
        match self {
            Self::SelfMaskSeed => b"self-mask-seed",
            Self::MaskKey => b"mask-key",
        }
    }
}

/// The one place and direction a seal is good for.
#[derive(Debug, Clone, Copy)]
pub struct SealContext<'a> {
    /// The task on the record.
    pub task: &'a TaskId,
    /// The round of the task.
    pub round: RoundNumber,
    /// Who splits the secret.
    pub sender: &'a Address,
    /// Who holds the share.
    pub receiver: &'a Address,
    /// Which of the sender's two secrets.
    pub kind: ShareKind,
}

impl SealContext<'_> {
    /// Associated data: unambiguous, because every part has its length in front.
    fn encode(&self) -> Vec<u8> {
        framed(&[
            LABEL,
            self.task.as_str().as_bytes(),
            &self.round.0.to_be_bytes(),
            self.sender.as_str().as_bytes(),
            self.receiver.as_str().as_bytes(),
            self.kind.label(),
        ])
    }
}

/// The secret that two runners share, after one ECDH: seals and opens both kinds in both directions. Wiped on drop.
pub struct SealKey {
    root: Zeroizing<[u8; 32]>,
}

/// Its one field wipes itself.
impl zeroize::ZeroizeOnDrop for SealKey {}

impl SealKey {
    /// One key agreement between `own` and `their`, both `pk1`. The other side derives the same.
    ///
    /// # Errors
    /// [`KeyError::CurveMismatch`] when the keys are of two curves.
    pub fn new(own: &KeyPair, their: &PublicKey) -> Result<Self, KeyError> {
        let shared = own.agree(their)?;
        let (low, high) = sorted(own.public_ref(), their);
        let context = framed(&[
            LABEL,
            own.curve().name().as_bytes(),
            low.as_bytes(),
            high.as_bytes(),
        ]);
        Ok(Self {
            root: expand(&extract(LABEL, &shared), &context),
        })
    }

    /// Seals `plaintext` for the receiver in `context`: a fresh nonce, then ciphertext and tag.
    ///
    /// # Errors
    /// [`SealError::TooLong`] above [`MAX_PLAINTEXT_BYTES`].
    pub fn seal(
        &self,
        context: SealContext<'_>,
        plaintext: &[u8],
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<Vec<u8>, SealError> {
        if plaintext.len() > MAX_PLAINTEXT_BYTES {
            return Err(SealError::TooLong {
                bytes: plaintext.len(),
            });
        }
        let aad = context.encode();
        let mut nonce = [0; NONCE_BYTES];
        rng.fill_bytes(&mut nonce);
        let sealed = self
            .cipher(&aad)
            .encrypt(
                &nonce.into(),
                Payload {
                    msg: plaintext,
                    aad: &aad,
                },
            )
            .map_err(|_| SealError::TooLong {
                bytes: plaintext.len(),
            })?;
        Ok([&nonce[..], &sealed].concat())
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
        let Some((nonce, body)) = sealed.split_first_chunk::<NONCE_BYTES>() else {
            return Err(SealError::Length {
                bytes: sealed.len(),
            });
        };
        if !(TAG_BYTES..=MAX_PLAINTEXT_BYTES + TAG_BYTES).contains(&body.len()) {
            return Err(SealError::Length {
                bytes: sealed.len(),
            });
        }
        let aad = context.encode();
        self.cipher(&aad)
            .decrypt(
                &(*nonce).into(),
                Payload {
                    msg: body,
                    aad: &aad,
                },
            )
            .map(Zeroizing::new)
            .map_err(|_| SealError::DoesNotOpen)
    }

    /// The key of one context. Each direction and kind has its own, so a nonce never meets a key twice by design.
    fn cipher(&self, context: &[u8]) -> ChaCha20Poly1305 {
        ChaCha20Poly1305::new((&*expand(&self.root, context)).into())
    }
}

impl std::fmt::Debug for SealKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SealKey")
    }
}

/// Seals one message. For both kinds of share to one receiver, make the [`SealKey`] once.
///
/// # Errors
/// As [`SealKey::new`] and [`SealKey::seal`].
pub fn seal(
    own: &KeyPair,
    their: &PublicKey,
    context: SealContext<'_>,
    plaintext: &[u8],
    rng: &mut (impl CryptoRng + ?Sized),
) -> Result<Vec<u8>, SealError> {
    SealKey::new(own, their)?.seal(context, plaintext, rng)
}

/// Opens one message.
///
/// # Errors
/// As [`SealKey::new`] and [`SealKey::open`].
pub fn open(
    own: &KeyPair,
    their: &PublicKey,
    context: SealContext<'_>,
    sealed: &[u8],
) -> Result<Zeroizing<Vec<u8>>, SealError> {
    SealKey::new(own, their)?.open(context, sealed)
}

/// Why something was not sealed or opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// The keys do not go together.
    #[error("no common key")]
    Key(#[from] KeyError),
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
    use crate::secagg::keys::Curve;
    use crate::secagg::vectors;

    fn address(n: u8) -> Address {
        format!("0x{}", format!("{n:02x}").repeat(20))
            .parse()
            .unwrap()
    }

    fn task(n: u8) -> TaskId {
        format!("0x{}", format!("{n:02x}").repeat(32))
            .parse()
            .unwrap()
    }

    #[test]
    fn opens_in_its_own_place_only() {
        let mut rng = vectors::rng(2);
        let (a, b) = (
            KeyPair::generate(Curve::Secp256k1, &mut rng),
            KeyPair::generate(Curve::Secp256k1, &mut rng),
        );
        let (ta, tb, alice, bob) = (task(1), task(2), address(1), address(2));
        let right = SealContext {
            task: &ta,
            round: RoundNumber(5),
            sender: &alice,
            receiver: &bob,
            kind: ShareKind::MaskKey,
        };
        let sealed = seal(&a, b.public_ref(), right, b"share", &mut rng).unwrap();
        assert_eq!(sealed.len(), 5 + OVERHEAD_BYTES);
        assert_eq!(*open(&b, a.public_ref(), right, &sealed).unwrap(), b"share");
        let wrong = [
            SealContext { task: &tb, ..right },
            SealContext {
                round: RoundNumber(6),
                ..right
            },
            SealContext {
                sender: &bob,
                receiver: &alice,
                ..right
            },
            SealContext {
                receiver: &alice,
                ..right
            },
            SealContext {
                kind: ShareKind::SelfMaskSeed,
                ..right
            },
        ];
        for context in wrong {
            assert_eq!(
                open(&b, a.public_ref(), context, &sealed).unwrap_err(),
                SealError::DoesNotOpen,
                "{context:?}"
            );
        }
        let stranger = KeyPair::generate(Curve::Secp256k1, &mut rng);
        assert_eq!(
            open(&b, stranger.public_ref(), right, &sealed).unwrap_err(),
            SealError::DoesNotOpen
        );
        assert_eq!(
            open(&stranger, a.public_ref(), right, &sealed).unwrap_err(),
            SealError::DoesNotOpen
        );
    }

    #[test]
    fn any_changed_bit_and_any_cut_keeps_it_shut() {
        let mut rng = vectors::rng(3);
        let (a, b) = (
            KeyPair::generate(Curve::Secp256r1, &mut rng),
            KeyPair::generate(Curve::Secp256r1, &mut rng),
        );
        let (t, alice, bob) = (task(1), address(1), address(2));
        let context = SealContext {
            task: &t,
            round: RoundNumber(1),
            sender: &alice,
            receiver: &bob,
            kind: ShareKind::MaskKey,
        };
        let key = SealKey::new(&a, b.public_ref()).unwrap();
        let sealed = key.seal(context, &[7; 69], &mut rng).unwrap();
        for bit in 0..sealed.len() * 8 {
            let mut bad = sealed.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(key.open(context, &bad).unwrap_err(), SealError::DoesNotOpen);
        }
        for cut in 0..sealed.len() {
            assert!(key.open(context, &sealed[..cut]).is_err());
        }
        assert!(matches!(
            key.open(context, &vec![0; 1 << 20]),
            Err(SealError::Length { .. })
        ));
        assert!(matches!(
            key.seal(context, &[0; MAX_PLAINTEXT_BYTES + 1], &mut rng),
            Err(SealError::TooLong { .. })
        ));
    }

    #[test]
    fn two_seals_of_one_share_differ() {
        let mut rng = vectors::rng(4);
        let a = KeyPair::generate(Curve::Secp384r1, &mut rng);
        let b = KeyPair::generate(Curve::Secp384r1, &mut rng);
        let (t, alice, bob) = (task(1), address(1), address(2));
        let context = SealContext {
            task: &t,
            round: RoundNumber(1),
            sender: &alice,
            receiver: &bob,
            kind: ShareKind::MaskKey,
        };
        let key = SealKey::new(&a, b.public_ref()).unwrap();
        assert_ne!(
            key.seal(context, b"x", &mut rng).unwrap(),
            key.seal(context, b"x", &mut rng).unwrap()
        );
    }

    #[test]
    fn keys_of_two_curves_have_no_seal() {
        let mut rng = vectors::rng(5);
        let a = KeyPair::generate(Curve::Secp256k1, &mut rng);
        let b = KeyPair::generate(Curve::Secp256r1, &mut rng);
        assert!(matches!(
            SealKey::new(&a, b.public_ref()),
            Err(KeyError::CurveMismatch { .. })
        ));
    }

    #[test]
    fn debug_shows_nothing() {
        let mut rng = vectors::rng(6);
        let a = KeyPair::generate(Curve::Secp256k1, &mut rng);
        assert_eq!(
            format!("{:?} {:?}", SealKey::new(&a, a.public_ref()).unwrap(), a),
            "SealKey KeyPair(secp256k1)"
        );
    }
}
