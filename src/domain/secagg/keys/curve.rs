//! The elliptic curves: their names, the lengths of what lives on them, and one expression for all of them.

use std::fmt;

use serde::{Deserialize, Serialize};

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

    pub(super) fn from_name(name: &str) -> Option<Self> {
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

/// The curve that a text begins with, and the rest of it: `secp256k1:0x02...`.
pub(super) fn tagged(text: &str) -> Option<(Curve, &str)> {
    let (name, rest) = text.split_once(':')?;
    Some((Curve::from_name(name)?, rest))
}

/// The same expression for each curve, over an enum with one variant a curve; `ec` names the curve's crate in it.
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

pub(super) use on_curve;
