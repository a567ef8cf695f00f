//! Where randomness enters the node.

use rand_chacha::ChaCha20Rng;

use super::PortError;

/// Seeds the cryptographic generators that the domain takes as arguments.
///
/// Obligation on implementers: outside tests every seed comes from the operating system, and no two are related.
pub trait Entropy: Send + Sync + 'static {
    /// A fresh generator.
    ///
    /// # Errors
    /// `Unavailable` when the system has no randomness to give.
    fn rng(&self) -> Result<ChaCha20Rng, PortError>;
}
