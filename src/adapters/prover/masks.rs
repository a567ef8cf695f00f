//! Masks that two members share: one adds what the other takes away. Both publish the same commitment to them, so that it can be checked.

use curve25519_dalek::ristretto::RistrettoPoint;
use curve25519_dalek::scalar::Scalar;
use delta_domain::ids::Address;
use delta_ports::certifier::Peer;
use zeroize::Zeroizing;

use crate::generators::Generators;
use crate::transcript::{hash, hash_scalar};

/// What a pair shares, for one claim.
pub(crate) struct PairMask {
    /// One a signal.
    pub(crate) values: Zeroizing<Vec<Scalar>>,
    pub(crate) blinding: Zeroizing<Scalar>,
}

impl PairMask {
    /// The claim goes in, so that the same key masks two claims differently.
    pub(crate) fn new(claim: &[u8], member: &Address, peer: &Peer, signals: usize) -> Self {
        let claim = hash("delta certificate pair claim 1", &[claim]);
        let mut both = [member.as_str().as_bytes(), peer.address.as_str().as_bytes()];
        both.sort_unstable();
        let draw = |at: usize| {
            let at = (at as u64).to_be_bytes();
            hash_scalar(
                "delta certificate pair mask 1",
                &[peer.key.expose(), &claim, both[0], both[1], &at],
            )
        };
        Self {
            values: Zeroizing::new((0..signals).map(draw).collect()),
            blinding: Zeroizing::new(draw(signals)),
        }
    }

    /// What both members publish.
    pub(crate) fn commitment(&self, generators: &Generators) -> RistrettoPoint {
        generators.commit(&self.values, &self.blinding)
    }
}

/// Whether `member` adds the masks that it shares with `peer`: whose address comes first does.
pub(crate) fn adds(member: &str, peer: &str) -> bool {
    member < peer
}

/// `value`, or its negative.
pub(crate) fn with_sign(adds: bool, value: Scalar) -> Scalar {
    if adds { value } else { -value }
}
