//! Fiat-Shamir: challenges are hashes of everything that was said before, in SHA-512.
//!
//! A state of 64 bytes takes in labelled byte strings and gives out scalars; taking in and giving out are told apart by a byte, lengths
//! come before what they measure.

use curve25519_dalek::scalar::Scalar;
use sha2::{Digest as _, Sha512};

const ABSORB: u8 = 0;
const CHALLENGE: u8 = 1;
const RATCHET: u8 = 2;

/// What was said so far.
#[derive(Debug, Clone)]
pub(crate) struct Transcript([u8; 64]);

impl Transcript {
    pub(crate) fn new(label: &str) -> Self {
        Self(hash(label, &[]))
    }

    /// Takes in `data`.
    pub(crate) fn absorb(&mut self, label: &str, data: &[u8]) {
        self.0 = self.step(ABSORB, label, data);
    }

    /// A scalar that nobody could know before now.
    pub(crate) fn challenge(&mut self, label: &str) -> Scalar {
        let scalar = Scalar::from_bytes_mod_order_wide(&self.step(CHALLENGE, label, &[]));
        self.0 = self.step(RATCHET, label, &[]);
        scalar
    }

    fn step(&self, kind: u8, label: &str, data: &[u8]) -> [u8; 64] {
        let mut hash = Sha512::new();
        hash.update(self.0);
        hash.update([kind]);
        update(&mut hash, label.as_bytes());
        update(&mut hash, data);
        hash.finalize().into()
    }
}

fn update(hash: &mut Sha512, part: &[u8]) {
    hash.update((part.len() as u64).to_be_bytes());
    hash.update(part);
}

/// SHA-512 of a label and parts, each with its length before it.
pub(crate) fn hash(label: &str, parts: &[&[u8]]) -> [u8; 64] {
    let mut hash = Sha512::new();
    update(&mut hash, label.as_bytes());
    for part in parts {
        update(&mut hash, part);
    }
    hash.finalize().into()
}

/// The same as a scalar.
pub(crate) fn hash_scalar(label: &str, parts: &[&[u8]]) -> Scalar {
    let mut wide = hash(label, parts);
    let scalar = Scalar::from_bytes_mod_order_wide(&wide);
    zeroize::Zeroize::zeroize(&mut wide);
    scalar
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_counts_and_so_does_where_it_ends() {
        let after = |parts: &[(&str, &[u8])]| {
            let mut transcript = Transcript::new("test");
            for (label, data) in parts {
                transcript.absorb(label, data);
            }
            transcript.challenge("c")
        };
        let all = [
            after(&[]),
            after(&[("a", b"bc")]),
            after(&[("ab", b"c")]),
            after(&[("a", b"b"), ("a", b"c")]),
            after(&[("a", b"")]),
        ];
        for (at, one) in all.iter().enumerate() {
            assert!(all[at + 1..].iter().all(|other| other != one), "{at}");
        }
    }

    #[test]
    fn a_challenge_changes_those_after_it() {
        let mut transcript = Transcript::new("test");
        assert_ne!(transcript.challenge("c"), transcript.challenge("c"));
    }
}
