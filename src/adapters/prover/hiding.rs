//! Where what hides comes from.

use curve25519_dalek::scalar::Scalar;
use zeroize::Zeroizing;

use crate::transcript::{hash, hash_scalar};

/// Scalars that nobody else knows. The secrets and everything that is proven go in beside the entropy, so that a generator that repeats
/// itself shows nothing: the same scalars hide the same proof.
pub(crate) struct Hiding {
    key: Zeroizing<[u8; 64]>,
    drawn: u64,
}

impl Hiding {
    pub(crate) fn new(entropy: &[u8; 64], table_key: &[u8; 64], part: &[u8; 64]) -> Self {
        let key = Zeroizing::new(hash(
            "delta certificate hiding 1",
            &[entropy, table_key, part],
        ));
        Self { key, drawn: 0 }
    }

    pub(crate) fn scalar(&mut self) -> Scalar {
        self.drawn += 1;
        hash_scalar(
            "delta certificate hidden scalar 1",
            &[&*self.key, &self.drawn.to_be_bytes()],
        )
    }

    pub(crate) fn scalars(&mut self, count: usize) -> Zeroizing<Vec<Scalar>> {
        Zeroizing::new((0..count).map(|_| self.scalar()).collect())
    }
}
