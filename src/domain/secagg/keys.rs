//! Key pairs of a round: ECDH for masks and seals, ECDSA for signed requests (docs/protocol/secagg.md, Keys).
//!
//! A runner has two pairs in a round: `pk1` (cipher and signatures), the same in all rounds of a task, and `pk2` (masks). Both are of this one type; which is which
//! is known where they are kept. Not here: what is signed, and which keys belong to whom.
//!
//! What must stay true: a [`PublicKey`] is a point of its curve, never the identity, and has exactly one wire form.

mod curve;
mod error;
mod pair;
mod public;

pub use curve::Curve;
pub use error::KeyError;
pub use pair::KeyPair;
pub use public::PublicKey;

#[cfg(test)]
mod tests;
