//! Public keys: read strictly, written in one form, compared, and asked whether a signature holds.

use std::cmp::Ordering;
use std::fmt;

use k256::ecdsa::signature::Verifier as _;
use k256::elliptic_curve::sec1::ToSec1Point as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::curve::{Curve, on_curve, tagged};
use super::error::KeyError;
use crate::ids::{decode_hex, encode_hex};

/// The public half of a pair: a validated point, and its SEC1 compressed form.
#[derive(Clone)]
pub struct PublicKey {
    pub(super) point: Point,
    bytes: Vec<u8>,
}

/// The point in the type of its curve's crate.
#[derive(Clone)]
pub(super) enum Point {
    K256(k256::PublicKey),
    P256(p256::PublicKey),
    P384(Box<p384::PublicKey>),
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

    /// Checks a signature of [`KeyPair::sign`](super::KeyPair::sign). Strict: the fixed length, and s in the lower half, so that a
    /// signature cannot be turned into a second valid one.
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

    /// The key of a point that is on its curve and not the identity.
    pub(super) fn from_point(point: Point) -> Self {
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
