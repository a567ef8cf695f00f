//! Randomness that repeats: the same seed gives the same generators in the same order.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;

use delta_domain::ids::Digest;
use delta_ports::PortError;
use delta_ports::entropy::Entropy;

/// Generators from a seed. Clones share the count, so that a restarted node does not draw the same secrets again.
#[derive(Debug, Clone)]
pub struct SeededEntropy {
    seed: Digest,
    drawn: Arc<AtomicU64>,
}

impl SeededEntropy {
    /// From one number, as a failing test prints it.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self::from_digest(Digest::of(format!("seeded entropy {seed}").as_bytes()))
    }

    /// Another, unrelated source, for example one a node.
    #[must_use]
    pub fn derive(&self, name: &str) -> Self {
        Self::from_digest(Digest::of(format!("{} {name}", self.seed).as_bytes()))
    }

    fn from_digest(seed: Digest) -> Self {
        Self {
            seed,
            drawn: Arc::default(),
        }
    }
}

impl Entropy for SeededEntropy {
    fn rng(&self) -> Result<ChaCha20Rng, PortError> {
        let number = self.drawn.fetch_add(1, Ordering::Relaxed);
        Ok(ChaCha20Rng::from_seed(
            Digest::of(format!("{} generator {number}", self.seed).as_bytes()).0,
        ))
    }
}

#[cfg(test)]
mod tests {
    use rand_core::Rng as _;

    use super::*;

    fn draw(entropy: &SeededEntropy) -> u64 {
        entropy.rng().unwrap().next_u64()
    }

    #[test]
    fn a_seed_repeats_and_a_generator_does_not() {
        let (a, b) = (SeededEntropy::new(1), SeededEntropy::new(1));
        let first = draw(&a);
        assert_eq!(first, draw(&b));
        assert_ne!(first, draw(&a));
        assert_ne!(first, draw(&SeededEntropy::new(2)));
        assert_ne!(draw(&a.derive("x")), draw(&a.derive("y")));
    }

    #[test]
    fn a_restarted_node_draws_on() {
        let before = SeededEntropy::new(1);
        let after = before.clone();
        assert_ne!(draw(&before), draw(&after));
    }
}
