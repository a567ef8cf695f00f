//! Masks that two members share: one adds what the other takes away. Both publish the same commitment to them, so that it can be checked.

use curve25519_dalek::scalar::Scalar;
use delta_domain::ids::Address;
use delta_ports::certifier::Peer;
use zeroize::Zeroizing;

use crate::generators::Generators;
use crate::message::PeerEntry;
use crate::transcript::{hash, hash_scalar};

/// All masks of a member, and what it publishes of them.
pub(crate) struct Masks {
    /// Peers in order, each with the commitment to what is shared with it.
    pub(crate) published: Vec<(Address, [u8; 32])>,
    /// What is added to each sum.
    pub(crate) total: Zeroizing<Vec<Scalar>>,
    /// The blinding of the commitments' own total.
    pub(crate) blinding: Zeroizing<Scalar>,
}

impl Masks {
    /// `claim`: its bytes; they go in so that the same key masks two claims differently. `signals`: how many sums there are.
    pub(crate) fn new(
        generators: &Generators,
        claim: &[u8],
        member: &Address,
        peers: &[&Peer],
        signals: usize,
    ) -> Self {
        let mut masks = Self {
            published: Vec::with_capacity(peers.len()),
            total: Zeroizing::new(vec![Scalar::ZERO; signals]),
            blinding: Zeroizing::new(Scalar::ZERO),
        };
        for peer in peers {
            let (values, blinding) = shared(claim, member, peer, signals);
            let adds = adds(member.as_str(), peer.address.as_str());
            for (sum, value) in masks.total.iter_mut().zip(values.iter()) {
                *sum += with_sign(adds, *value);
            }
            *masks.blinding += with_sign(adds, *blinding);
            let commitment = generators.commit(&values, &blinding).compress().to_bytes();
            masks.published.push((peer.address.clone(), commitment));
        }
        masks
    }

    /// A claim and everything that is published of the pairs.
    pub(crate) fn part(&self, claim: &[u8]) -> [u8; 64] {
        let pairs = self.published.iter();
        let pairs =
            pairs.flat_map(|(peer, commitment)| [peer.as_str().as_bytes(), &commitment[..]]);
        let parts: Vec<&[u8]> = [claim].into_iter().chain(pairs).collect();
        hash("delta certificate hiding part 1", &parts)
    }

    /// As a message names them.
    pub(crate) fn entries(&self) -> impl Iterator<Item = PeerEntry<'_>> {
        self.published
            .iter()
            .map(|(address, commitment)| PeerEntry {
                address: address.as_str(),
                commitment,
            })
    }
}

/// Masks of a pair, one a sum, and the blinding of the commitment to them.
fn shared(
    claim: &[u8],
    member: &Address,
    peer: &Peer,
    signals: usize,
) -> (Zeroizing<Vec<Scalar>>, Zeroizing<Scalar>) {
    let claim = hash("delta certificate pair claim 1", &[claim]);
    let mut both = [member.as_str().as_bytes(), peer.address.as_str().as_bytes()];
    both.sort_unstable();
    let draw = |at: usize| {
        let at = (at as u64).to_be_bytes();
        let parts: [&[u8]; 5] = [peer.key.expose(), &claim, both[0], both[1], &at];
        hash_scalar("delta certificate pair mask 1", &parts)
    };
    (
        Zeroizing::new((0..signals).map(draw).collect()),
        Zeroizing::new(draw(signals)),
    )
}

/// Whether `member` adds the masks that it shares with `peer`: whose address comes first does.
pub(crate) fn adds(member: &str, peer: &str) -> bool {
    member < peer
}

/// `value`, or its negative.
fn with_sign(adds: bool, value: Scalar) -> Scalar {
    if adds { value } else { -value }
}
