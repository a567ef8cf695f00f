//! Key pairs: drawn, agreed with, signed with, and written to snapshots. The one type that holds a secret key.

use std::fmt;

use k256::ecdsa::signature::Signer as _;
use k256::elliptic_curve::BatchNormalize;
use k256::elliptic_curve::point::AffineCoordinates as _;
use rand_core::CryptoRng;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::{ZeroizeOnDrop, Zeroizing};

use super::curve::{Curve, on_curve, tagged};
use super::error::KeyError;
use super::public::{Point, PublicKey};
use crate::ids::{decode_hex, encode_hex};

/// Points that are divided by their last coordinate together.
const TOGETHER: usize = 16;

/// A secret key and its public key. The secret is wiped on drop; `Debug` shows the curve only.
#[derive(Clone)]
pub struct KeyPair {
    pub(super) secret: SecretKey,
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
pub(super) enum SecretKey {
    K256(k256::ecdsa::SigningKey),
    P256(p256::ecdsa::SigningKey),
    P384(Box<p384::ecdsa::SigningKey>),
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
            _ => Err(self.mismatch(their)),
        }
    }

    /// [`KeyPair::agree`] with each of `theirs`, in their order. The division at the end of each is done for some together.
    ///
    /// # Errors
    /// As [`KeyPair::agree`], for the first whose curve is another.
    pub fn agree_each(&self, theirs: &[&PublicKey]) -> Result<Vec<Zeroizing<Vec<u8>>>, KeyError> {
        let mut xs = Vec::with_capacity(theirs.len());
        macro_rules! xs_with {
            ($ec:ident, $kind:ident, $secret:expr) => {
                for some in theirs.chunks(TOGETHER) {
                    // Places behind the last one are computed with the rest, and not looked at.
                    let mut products = Zeroizing::new([$ec::ProjectivePoint::GENERATOR; TOGETHER]);
                    for (product, their) in products.iter_mut().zip(some) {
                        let Point::$kind(point) = &their.point else {
                            return Err(self.mismatch(their));
                        };
                        *product = point.to_projective() * $secret.as_nonzero_scalar().as_ref();
                    }
                    let points = Zeroizing::new($ec::ProjectivePoint::batch_normalize(&*products));
                    for point in points.iter().take(some.len()) {
                        let x = Zeroizing::new(point.x());
                        xs.push(Zeroizing::new(x.to_vec()));
                    }
                }
            };
        }
        match &self.secret {
            SecretKey::K256(s) => xs_with!(k256, K256, s),
            SecretKey::P256(s) => xs_with!(p256, P256, s),
            SecretKey::P384(s) => xs_with!(p384, P384, s),
        }
        Ok(xs)
    }

    fn mismatch(&self, their: &PublicKey) -> KeyError {
        KeyError::CurveMismatch {
            own: self.curve(),
            their: their.curve(),
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

impl fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyPair({})", self.curve())
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
