//! The zero-knowledge prover: proves that a gradient was computed from committed data (`hlr` tasks).

use async_trait::async_trait;

use super::PortError;

/// One proof, for one data block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockProof {
    /// Index of the data block.
    pub index: u32,
    /// PLONK proof, snarkjs JSON.
    pub proof: String,
    /// Public signals, decimal strings.
    pub pub_signals: Vec<String>,
}

/// The prover.
///
/// Obligations on implementers: proofs come in block order; one block that cannot be proved fails the call as `Rejected`
/// with the prover's reason; answers are bounded in number and size.
#[async_trait]
pub trait Prover: Send + Sync + 'static {
    /// Proves the gradient of `weights` over `samples`: one row a sample, features first, label last.
    async fn prove(
        &self,
        weights: &[f64],
        samples: &[Vec<f64>],
    ) -> Result<Vec<BlockProof>, PortError>;
}
