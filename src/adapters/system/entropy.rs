//! Randomness from the operating system.

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;
use zeroize::Zeroizing;

use delta_ports::entropy::Entropy;
use delta_ports::{PortError, PortErrorKind};

/// Seeds each generator with 32 fresh bytes of the operating system.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn rng(&self) -> Result<ChaCha20Rng, PortError> {
        let mut seed = Zeroizing::new([0; 32]);
        getrandom::fill(seed.as_mut_slice()).map_err(|e| {
            PortError::new(
                PortErrorKind::Unavailable,
                "entropy.rng",
                "the operating system has no randomness to give",
            )
            .with_source(e)
        })?;
        Ok(ChaCha20Rng::from_seed(*seed))
    }
}

#[cfg(test)]
mod tests {
    use rand_core::Rng as _;

    use super::*;

    #[test]
    fn generators_are_unrelated() {
        let first = SystemEntropy.rng().unwrap().next_u64();
        let second = SystemEntropy.rng().unwrap().next_u64();
        assert_ne!(first, second);
    }
}
