//! Certified answers over ristretto255: [`RistrettoCertifier`] is [`delta_ports::certifier::Certifier`].
//!
//! A table is committed to bit by bit (Pedersen). When the answer is known, one sum-check over the rows shows that bits are bits, that every
//! row's prediction, sigmoid and residual follow from its bits and the published weights, and that the sums over rows are the published
//! ones but for masks. Rows that the sum-check ends at are opened under a veil, its messages are padded, and one linear equation links pads,
//! masks and opened rows. Transparent, no trusted setup; sound as long as discrete logarithms are hard; zero-knowledge in the random-oracle
//! model. What is proven, the argument and every byte are in `docs/protocol/certificate.md`. Experimental: nobody outside has reviewed it.
//!
//! `layout` (columns, sizes), `table`, `bits`, `sigmoid` and `witness` are what is proven about, `circuit` what must hold of it;
//! `generators`, `commitment`, `transcript`, `field`, `masks` and `relation` are the means; `committed`, `hiding`, `sumcheck` and `prove` are
//! the member's side,
//! `verify` everybody's; `encoding`, `message` and `certificate` are the bytes.

#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::cast_possible_truncation,
        clippy::print_stderr
    )
)]

mod bits;
mod certificate;
mod circuit;
mod commitment;
mod committed;
mod encoding;
mod error;
mod field;
mod generators;
mod hiding;
mod layout;
mod masks;
mod message;
mod prove;
mod relation;
mod sigmoid;
mod sumcheck;
mod table;
mod transcript;
mod verify;
mod witness;

use delta_domain::ids::Digest;
use delta_domain::secret::Secret;
use delta_ports::PortError;
use delta_ports::certifier::{Certifier, Claim, Owner, Proven, Rows, Schema, Verdict, Witness};
use rand_chacha::ChaCha20Rng;
use rand_core::Rng as _;
use zeroize::Zeroizing;

use committed::Committed;
use generators::Cache;

/// [`Certifier`]. Keeps the generators that it has made.
#[derive(Default)]
pub struct RistrettoCertifier(Cache);

impl std::fmt::Debug for RistrettoCertifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RistrettoCertifier")
    }
}

impl Certifier for RistrettoCertifier {
    fn commit(
        &self,
        schema: &Schema,
        owner: &Owner,
        rows: Rows<'_>,
        capacity: u32,
        salt: &Secret<32>,
    ) -> Result<Digest, PortError> {
        let of = (&owner.task, &owner.member);
        let committed = Committed::new(&self.0, schema, of, rows, capacity, salt);
        let committed = committed.map_err(|e| e.rejected("certifier.commit"))?;
        Ok(committed.digest(schema, &owner.task, &owner.member))
    }

    fn prove(
        &self,
        claim: &Claim,
        witness: &Witness<'_>,
        rng: &mut ChaCha20Rng,
    ) -> Result<Vec<u8>, PortError> {
        let mut entropy = Zeroizing::new([0; 64]);
        rng.fill_bytes(&mut *entropy);
        prove::prove(&self.0, claim, witness, &entropy).map_err(|e| e.rejected("certifier.prove"))
    }

    fn verify(&self, claim: &Claim, message: &[u8]) -> Result<Proven, PortError> {
        let message =
            verify::verify(&self.0, claim, message).map_err(|e| e.corrupt("certifier.verify"))?;
        Ok(certificate::proven(claim, &message))
    }

    fn assemble(
        &self,
        claim: &Claim,
        tolerance: f64,
        messages: &[Vec<u8>],
    ) -> Result<Vec<u8>, PortError> {
        certificate::assemble(claim, tolerance, messages)
            .map_err(|e| e.rejected("certifier.assemble"))
    }

    fn judge(&self, certificate: &[u8]) -> Result<Verdict, PortError> {
        certificate::judge(&self.0, certificate).map_err(|e| e.corrupt("certifier.judge"))
    }
}

#[cfg(test)]
mod tests;
