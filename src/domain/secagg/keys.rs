//! Key pairs of a round: ECDH for masks and seals, ECDSA for signed requests (docs/protocol/secagg.md, Keys).
//!
//! A runner has two pairs a round: `pk1` (cipher and signatures) and `pk2` (masks). Both are of this one type; which is which
//! is known where they are kept. Not here: what is signed, and which keys belong to whom.
//!
//! What must stay true: a [`PublicKey`] is a point of its curve, never the identity, and has exactly one wire form.

mod error;
mod statement;

use std::cmp::Ordering;
use std::fmt;

use k256::ecdsa::signature::{Signer as _, Verifier as _};
use k256::elliptic_curve::sec1::ToSec1Point as _;
use rand_core::CryptoRng;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::{ZeroizeOnDrop, Zeroizing};

use crate::ids::{decode_hex, encode_hex};

pub use error::KeyError;
pub use statement::all_signed;

/// An elliptic curve that a strategy may ask for.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Curve {
    /// SEC 2 secp256k1, the original's default.
    #[default]
    Secp256k1,
    /// NIST P-256.
    Secp256r1,
    /// NIST P-384.
    Secp384r1,
}

impl Curve {
    /// The name in strategies and configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Secp256k1 => "secp256k1",
            Self::Secp256r1 => "secp256r1",
            Self::Secp384r1 => "secp384r1",
        }
    }

    /// Bytes of a secret key, and of a coordinate.
    #[must_use]
    pub const fn secret_bytes(self) -> usize {
        match self {
            Self::Secp256k1 | Self::Secp256r1 => 32,
            Self::Secp384r1 => 48,
        }
    }

    /// Bytes of a compressed public key.
    #[must_use]
    pub const fn public_bytes(self) -> usize {
        self.secret_bytes() + 1
    }

    /// Bytes of a signature: r and s.
    #[must_use]
    pub const fn signature_bytes(self) -> usize {
        2 * self.secret_bytes()
    }

    fn from_name(name: &str) -> Option<Self> {
        [Self::Secp256k1, Self::Secp256r1, Self::Secp384r1]
            .into_iter()
            .find(|c| c.name() == name)
    }
}

impl fmt::Display for Curve {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A secret key and its public key. The secret is wiped on drop; `Debug` shows the curve only.
#[derive(Clone)]
pub struct KeyPair {
    secret: SecretKey,
    public: PublicKey,
}

/// Its one secret is a key of the curve's crate, which wipes itself; checked at compile time below.
impl ZeroizeOnDrop for KeyPair {}

const _: fn() = || {
    fn wipes<T: ZeroizeOnDrop>() {}
    wipes::<k256::ecdsa::SigningKey>();
    wipes::<p256::ecdsa::SigningKey>();
    wipes::<p384::ecdsa::SigningKey>();
};

/// Kept as signing keys, which know their public key: it is not computed again for every signature.
#[derive(Clone)]
enum SecretKey {
    K256(k256::ecdsa::SigningKey),
    P256(p256::ecdsa::SigningKey),
    P384(Box<p384::ecdsa::SigningKey>),
}

/// The other half: a validated point in SEC1 compressed form.
#[derive(Clone)]
pub struct PublicKey {
    point: Point,
    bytes: Vec<u8>,
}

#[derive(Clone)]
enum Point {
    K256(k256::PublicKey),
    P256(p256::PublicKey),
    P384(Box<p384::PublicKey>),
}

/// The same expression for each curve; `ec` names the curve's crate in it.
macro_rules! on_curve {
    ($value:expr, $kind:ident, $key:ident => $body:expr) => {
        match $value {
            $kind::K256($key) => {
                #[allow(unused_imports)]
                use k256 as ec;
                $body
            }
            $kind::P256($key) => {
                #[allow(unused_imports)]
                use p256 as ec;
                $body
            }
            $kind::P384($key) => {
                #[allow(unused_imports)]
                use p384 as ec;
                $body
            }
        }
    };
}

impl KeyPair {
    /// Draws a fresh pair: uniform below the curve's order, never zero.
    pub fn generate(curve: Curve, rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        let mut bytes = Zeroizing::new(vec![0; curve.secret_bytes()]);
        loop {
            rng.fill_bytes(&mut bytes);
            // Out of range with probability below 2^-31 (secp256r1) and 2^-127 (the others).
            if let Ok(pair) = Self::from_secret_bytes(curve, &bytes) {
                return pair;
            }
        }
    }

    /// The pair with this secret: big-endian, exactly [`Curve::secret_bytes`] long.
    ///
    /// # Errors
    /// [`KeyError::SecretLength`] or, when it is zero or not below the curve's order, [`KeyError::SecretRange`].
    pub fn from_secret_bytes(curve: Curve, secret: &[u8]) -> Result<Self, KeyError> {
        if secret.len() != curve.secret_bytes() {
            return Err(KeyError::SecretLength {
                curve,
                bytes: secret.len(),
            });
        }
        let range = |_| KeyError::SecretRange { curve };
        let (secret, point) = match curve {
            Curve::Secp256k1 => {
                let key = k256::ecdsa::SigningKey::from_slice(secret).map_err(range)?;
                let point = Point::K256(key.verifying_key().into());
                (SecretKey::K256(key), point)
            }
            Curve::Secp256r1 => {
                let key = p256::ecdsa::SigningKey::from_slice(secret).map_err(range)?;
                let point = Point::P256(key.verifying_key().into());
                (SecretKey::P256(key), point)
            }
            Curve::Secp384r1 => {
                let key = p384::ecdsa::SigningKey::from_slice(secret).map_err(range)?;
                let point = Point::P384(Box::new(key.verifying_key().into()));
                (SecretKey::P384(Box::new(key)), point)
            }
        };
        Ok(Self {
            secret,
            public: PublicKey::from_point(point),
        })
    }

    /// The pair's curve.
    #[must_use]
    pub fn curve(&self) -> Curve {
        self.public.curve()
    }

    /// The public half, to publish.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        self.public.clone()
    }

    /// The public half, to look at.
    #[must_use]
    pub fn public_ref(&self) -> &PublicKey {
        &self.public
    }

    /// The secret: big-endian, always [`Curve::secret_bytes`] long. What is split into shares.
    #[must_use]
    pub fn secret_bytes(&self) -> Zeroizing<Vec<u8>> {
        on_curve!(&self.secret, SecretKey, key => {
            let bytes = Zeroizing::new(key.to_bytes());
            Zeroizing::new(bytes.to_vec())
        })
    }

    /// ECDH: the x coordinate of the common point, left-padded to the curve's field length. Only ever the input of a hash.
    ///
    /// # Errors
    /// [`KeyError::CurveMismatch`] when the other key is of another curve.
    pub fn agree(&self, their: &PublicKey) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        macro_rules! x_of {
            ($ec:ident, $secret:expr, $point:expr) => {{
                let shared =
                    $ec::ecdh::diffie_hellman($secret.as_nonzero_scalar(), $point.as_affine());
                Zeroizing::new(shared.raw_secret_bytes().to_vec())
            }};
        }
        match (&self.secret, &their.point) {
            (SecretKey::K256(s), Point::K256(p)) => Ok(x_of!(k256, s, p)),
            (SecretKey::P256(s), Point::P256(p)) => Ok(x_of!(p256, s, p)),
            (SecretKey::P384(s), Point::P384(p)) => Ok(x_of!(p384, s, p)),
            _ => Err(KeyError::CurveMismatch {
                own: self.curve(),
                their: their.curve(),
            }),
        }
    }

    /// Signs `message`: deterministic ECDSA (RFC 6979) over its SHA-256 (SHA-384 on secp384r1), r and s at fixed length, s in
    /// the lower half.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        on_curve!(&self.secret, SecretKey, key => {
            let signature: ec::ecdsa::Signature = key.sign(message);
            signature.normalize_s().to_vec()
        })
    }
}

impl PublicKey {
    /// Reads the wire form: `0x` (may be absent) and the hex digits, either case, of the compressed point.
    ///
    /// # Errors
    /// [`KeyError::NotHex`], [`KeyError::PublicLength`], [`KeyError::NotCompressed`] or [`KeyError::NotOnCurve`].
    pub fn parse(curve: Curve, wire: &str) -> Result<Self, KeyError> {
        let digits = wire.strip_prefix("0x").unwrap_or(wire);
        // The length first: a hostile string may be a megabyte long.
        if digits.len() != 2 * curve.public_bytes() {
            return Err(KeyError::PublicLength {
                curve,
                digits: digits.len(),
            });
        }
        let bytes = decode_hex(digits).map_err(|_| KeyError::NotHex { curve })?;
        Self::from_bytes(curve, &bytes)
    }

    /// Reads a compressed point.
    ///
    /// # Errors
    /// As [`PublicKey::parse`].
    pub fn from_bytes(curve: Curve, bytes: &[u8]) -> Result<Self, KeyError> {
        if bytes.len() != curve.public_bytes() {
            return Err(KeyError::PublicLength {
                curve,
                digits: 2 * bytes.len(),
            });
        }
        // SEC1 has other tags of this length (5, "compact"); one point must have one form.
        if !matches!(bytes[0], 2 | 3) {
            return Err(KeyError::NotCompressed { curve });
        }
        let off = |_| KeyError::NotOnCurve { curve };
        let point = match curve {
            Curve::Secp256k1 => Point::K256(k256::PublicKey::from_sec1_bytes(bytes).map_err(off)?),
            Curve::Secp256r1 => Point::P256(p256::PublicKey::from_sec1_bytes(bytes).map_err(off)?),
            Curve::Secp384r1 => Point::P384(Box::new(
                p384::PublicKey::from_sec1_bytes(bytes).map_err(off)?,
            )),
        };
        let key = Self::from_point(point);
        if key.bytes == bytes {
            Ok(key)
        } else {
            Err(KeyError::NotCompressed { curve })
        }
    }

    /// The wire form: `0x` and lower-case hex.
    #[must_use]
    pub fn to_wire(&self) -> String {
        encode_hex(&self.bytes)
    }

    /// The compressed point, [`Curve::public_bytes`] long.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The key's curve.
    #[must_use]
    pub fn curve(&self) -> Curve {
        match &self.point {
            Point::K256(_) => Curve::Secp256k1,
            Point::P256(_) => Curve::Secp256r1,
            Point::P384(_) => Curve::Secp384r1,
        }
    }

    /// Checks a signature of [`KeyPair::sign`]. Strict: the fixed length, and s in the lower half, so that a signature cannot be
    /// turned into a second valid one.
    ///
    /// # Errors
    /// [`KeyError::BadSignature`], whatever is wrong.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), KeyError> {
        on_curve!(&self.point, Point, key => {
            let signature = ec::ecdsa::Signature::from_slice(signature).map_err(|_| KeyError::BadSignature)?;
            if signature.normalize_s() != signature {
                return Err(KeyError::BadSignature);
            }
            let verifier = ec::ecdsa::VerifyingKey::from_affine(*key.as_affine()).map_err(|_| KeyError::BadSignature)?;
            verifier.verify(message, &signature).map_err(|_| KeyError::BadSignature)
        })
    }

    fn from_point(point: Point) -> Self {
        let bytes = match &point {
            Point::K256(key) => key.to_sec1_point(true).as_bytes().to_vec(),
            Point::P256(key) => key.to_sec1_point(true).as_bytes().to_vec(),
            Point::P384(key) => key.to_sec1_point(true).as_bytes().to_vec(),
        };
        Self { point, bytes }
    }
}

impl PartialEq for PublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for PublicKey {}

impl PartialOrd for PublicKey {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for PublicKey {
    fn cmp(&self, other: &Self) -> Ordering {
        self.curve()
            .cmp(&other.curve())
            .then_with(|| self.bytes.cmp(&other.bytes))
    }
}

impl std::hash::Hash for PublicKey {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.curve().hash(state);
        self.bytes.hash(state);
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({}:{})", self.curve(), self.to_wire())
    }
}

impl fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyPair({})", self.curve())
    }
}

/// In snapshots a key carries its curve (`secp256k1:0x02...`), because 33 bytes may be a point of two curves.
impl Serialize for PublicKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{}:{}", self.curve(), self.to_wire()))
    }
}

impl<'de> Deserialize<'de> for PublicKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let (curve, wire) =
            tagged(&text).ok_or_else(|| serde::de::Error::custom("a public key has no curve"))?;
        Self::parse(curve, wire).map_err(serde::de::Error::custom)
    }
}

/// For snapshots of a round, which are sealed before they reach a disk.
impl Serialize for KeyPair {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let hex = Zeroizing::new(encode_hex(&self.secret_bytes()));
        let text = Zeroizing::new([self.curve().name(), ":", &*hex].concat());
        serializer.serialize_str(&text)
    }
}

impl<'de> Deserialize<'de> for KeyPair {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Zeroizing::new(String::deserialize(deserializer)?);
        let (curve, hex) =
            tagged(&text).ok_or_else(|| serde::de::Error::custom("a key pair has no curve"))?;
        let secret = Zeroizing::new(
            decode_hex(hex).map_err(|_| serde::de::Error::custom("a secret key is not hex"))?,
        );
        Self::from_secret_bytes(curve, &secret).map_err(serde::de::Error::custom)
    }
}

fn tagged(text: &str) -> Option<(Curve, &str)> {
    let (name, rest) = text.split_once(':')?;
    Some((Curve::from_name(name)?, rest))
}

#[cfg(test)]
mod tests;
