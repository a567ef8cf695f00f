//! The long-term key, and the two ways to write its hash: for people, and as an address.

use std::fmt;
use std::str::FromStr;

use crate::ids::{Address, encode_hex};
use crate::round::message::Encoder;
use crate::secagg::kdf::{expand, extract, framed};
use crate::secagg::keys::{Curve, KeyError, KeyPair, PublicKey};
use crate::secagg::pairwise::sorted;
use crate::secret::Secret;

const COMMON: &[u8] = b"delta-node secagg v1 identities";
const BYTES: usize = 20;
/// RFC 4648, in lower case.
const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
/// Characters between two dashes.
const GROUP: usize = 4;

/// A node's long-term key pair, on secp256k1, so that statements of many nodes are verified as one batch. Wiped on drop.
#[derive(Debug, Clone)]
pub struct NodeKey {
    pair: KeyPair,
}

/// Its one field wipes itself.
impl zeroize::ZeroizeOnDrop for NodeKey {}

impl NodeKey {
    /// The curve of all identities.
    pub const CURVE: Curve = Curve::Secp256k1;

    /// The key with this secret: 32 bytes, big-endian.
    ///
    /// # Errors
    /// [`KeyError::SecretRange`] when it is zero or not below the curve's order.
    pub fn new(secret: &Secret<32>) -> Result<Self, KeyError> {
        Ok(Self {
            pair: KeyPair::from_secret_bytes(Self::CURVE, secret.expose())?,
        })
    }

    /// The pair itself, for statements of rounds.
    #[must_use]
    pub fn pair(&self) -> &KeyPair {
        &self.pair
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> &PublicKey {
        self.pair.public_ref()
    }

    /// What this key and `their` agree on, and nobody else knows (docs/protocol/secagg.md, Identities). `None` for this key itself, and for one of
    /// another curve.
    #[must_use]
    pub fn common(&self, their: &PublicKey) -> Option<Secret<32>> {
        if their == self.public() {
            return None;
        }
        let shared = self.pair.agree(their).ok()?;
        let (low, high) = sorted(self.public(), their);
        let context = framed(&[COMMON, low.as_bytes(), high.as_bytes()]);
        Some(Secret::new(*expand(&extract(COMMON, &shared), &context)))
    }

    /// What people compare.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(self.public())
    }

    /// As [`KeyPair::sign`].
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.pair.sign(message)
    }
}

/// The first 20 bytes of SHA-256 over a labelled encoding of the key.
///
/// For people: 32 characters of base32 in groups of four, `abcd-efgh-...`. To find a key with another key's fingerprint takes 2^160 trials.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint([u8; BYTES]);

impl Fingerprint {
    /// The fingerprint of `key`.
    #[must_use]
    pub fn of(key: &PublicKey) -> Self {
        let mut e = Encoder::new("delta identity key 1");
        e.bytes(key.as_bytes());
        let digest = e.digest().0;
        let mut bytes = [0; BYTES];
        bytes.copy_from_slice(&digest[..BYTES]);
        Self(bytes)
    }

    /// The address that the key has on an embedded connector: `0x`, [`ADDRESS_MARK`], and the first 16 bytes of the fingerprint.
    ///
    /// The mark says to everybody that the address belongs to a key: no connector can put another key under it, and nobody can act for it
    /// without a signature. To find a key with another key's address takes 2^128 trials.
    #[must_use]
    pub fn address(&self) -> Address {
        let hash = encode_hex(&self.0[..16]);
        let text = format!("0x{ADDRESS_MARK}{}", &hash[2..]);
        // Invariant: 8 and 32 digits make 40.
        #[expect(clippy::expect_used, reason = "the form is right by construction")]
        text.parse().expect("0x and 40 hex digits are an address")
    }
}

/// The digits with which every address begins that is the hash of a key. An address that a connector made of a url begins so with probability
/// 2^-32.
pub const ADDRESS_MARK: &str = "de17a1d0";

/// Whether an address says that it is the hash of a key, in either case.
#[must_use]
pub fn is_key_address(address: &str) -> bool {
    let mark = address.get(2..2 + ADDRESS_MARK.len());
    mark.is_some_and(|mark| mark.eq_ignore_ascii_case(ADDRESS_MARK))
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::with_capacity(40);
        for five in self.0.chunks(5) {
            let bits = five.iter().fold(0_u64, |all, b| all << 8 | u64::from(*b));
            for i in (0..8).rev() {
                if !text.is_empty() && (text.len() + 1).is_multiple_of(GROUP + 1) {
                    text.push('-');
                }
                let digit = usize::try_from(bits >> (5 * i) & 31).unwrap_or_default();
                text.push(char::from(ALPHABET[digit]));
            }
        }
        f.write_str(&text)
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({self})")
    }
}

/// Why a text is no fingerprint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is no fingerprint: expected 32 letters a to z and digits 2 to 7, in groups of four")]
pub struct FingerprintError;

impl FromStr for Fingerprint {
    type Err = FingerprintError;

    /// Reads either case; dashes and spaces may stand anywhere or be left out.
    fn from_str(text: &str) -> Result<Self, FingerprintError> {
        if text.len() > 128 {
            return Err(FingerprintError);
        }
        let mut digits = Vec::with_capacity(32);
        for c in text.bytes().filter(|c| !matches!(c, b'-' | b' ')) {
            let c = c.to_ascii_lowercase();
            let digit = ALPHABET.iter().position(|known| *known == c);
            digits.push(digit.ok_or(FingerprintError)? as u64);
        }
        if digits.len() != 32 {
            return Err(FingerprintError);
        }
        let mut bytes = [0; BYTES];
        for (five, eight) in bytes.chunks_mut(5).zip(digits.chunks(8)) {
            let bits = eight.iter().fold(0_u64, |all, d| all << 5 | d);
            five.copy_from_slice(&bits.to_be_bytes()[3..]);
        }
        Ok(Self(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> NodeKey {
        NodeKey::new(&Secret::new([byte; 32])).unwrap()
    }

    #[test]
    fn a_fingerprint_is_read_as_it_is_written() {
        for byte in 1..40 {
            let print = key(byte).fingerprint();
            let text = print.to_string();
            assert_eq!(text.len(), 39, "{text}");
            assert_eq!(text.parse(), Ok(print));
            assert_eq!(text.to_uppercase().replace('-', " ").parse(), Ok(print));
        }
        let text = key(1).fingerprint().to_string();
        for bad in [
            "",
            "abcd",
            &text[1..],
            &format!("{text}a"),
            &text.replace('-', "1"),
        ] {
            assert_eq!(bad.parse::<Fingerprint>(), Err(FingerprintError), "{bad}");
        }
    }

    #[test]
    fn two_keys_agree_and_a_third_does_not() {
        let (a, b, c) = (key(1), key(2), key(3));
        let of = |own: &NodeKey, their: &NodeKey| *own.common(their.public()).unwrap().expose();
        assert_eq!(of(&a, &b), of(&b, &a));
        assert!(of(&a, &b) != of(&a, &c) && of(&b, &c) != of(&a, &b));
        assert!(a.common(a.public()).is_none());
        let other = KeyPair::generate(Curve::Secp256r1, &mut crate::secagg::vectors::rng(1));
        assert!(a.common(other.public_ref()).is_none());
    }

    #[test]
    fn keys_have_fingerprints_and_addresses_of_their_own() {
        let (a, b) = (key(1).fingerprint(), key(2).fingerprint());
        assert_ne!(a, b);
        assert_ne!(a.address(), b.address());
        assert!(is_key_address(a.address().as_str()));
        assert!(is_key_address(&a.address().as_str().to_ascii_uppercase()));
        for other in [
            "",
            "0x",
            "0xde17a1d",
            "0x1111111111111111111111111111111111111111",
            "é0de17a1d0",
        ] {
            assert!(!is_key_address(other), "{other}");
        }
    }

    #[test]
    fn debug_shows_no_secret() {
        assert_eq!(
            format!("{:?}", key(0xAB)),
            "NodeKey { pair: KeyPair(secp256k1) }"
        );
    }

    #[test]
    fn a_secret_out_of_range_is_no_key() {
        assert!(NodeKey::new(&Secret::new([0; 32])).is_err());
        assert!(NodeKey::new(&Secret::new([0xFF; 32])).is_err());
    }
}
