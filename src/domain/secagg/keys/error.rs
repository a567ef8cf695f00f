//! What can be wrong with a key or a signature. Never shows a secret.

use super::curve::Curve;

/// Why bytes are not a key, or a key does not do what was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The secret has another length than the curve's.
    #[error("a secret key of {bytes} bytes is not one of {curve}")]
    SecretLength {
        /// The curve of the task.
        curve: Curve,
        /// The length found.
        bytes: usize,
    },
    /// The secret is zero or not below the order.
    #[error("a secret key is out of range for {curve}")]
    SecretRange {
        /// The curve of the task.
        curve: Curve,
    },
    /// The public key has another length than the curve's compressed form.
    #[error("a public key of {digits} hex digits is not a compressed point of {curve}")]
    PublicLength {
        /// The curve of the task.
        curve: Curve,
        /// Hex digits found.
        digits: usize,
    },
    /// The public key is not hex.
    #[error("a public key of {curve} is not hex")]
    NotHex {
        /// The curve of the task.
        curve: Curve,
    },
    /// The public key does not start with 02 or 03.
    #[error("a public key of {curve} is not in compressed form")]
    NotCompressed {
        /// The curve of the task.
        curve: Curve,
    },
    /// The x coordinate belongs to no point of the curve.
    #[error("a public key is not a point of {curve}")]
    NotOnCurve {
        /// The curve of the task.
        curve: Curve,
    },
    /// Keys of two curves.
    #[error("a key of {their} does not go with one of {own}")]
    CurveMismatch {
        /// The curve of the own key.
        own: Curve,
        /// The curve of the other's.
        their: Curve,
    },
    /// The signature is not the key's on this message, or not in its canonical form.
    #[error("a signature does not hold")]
    BadSignature,
}
