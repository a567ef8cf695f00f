//! The two hash functions by which a node knows bytes.
//!
//! SHA-256 where somebody else fixes it or bytes are few: commitments of bundles and shares, digests of variables, transcripts. BLAKE3
//! (<https://github.com/BLAKE3-team/BLAKE3-specs>) for masked results: as hard to find two inputs for, and three times as fast, which a
//! member notices whose vector is millions of words long (docs/protocol/secagg.md, Commitments).

use sha2::{Digest as _, Sha256};

use crate::ids::Digest;

/// One of the two; both have 256 bits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HashFunction {
    /// FIPS 180-4.
    #[default]
    Sha256,
    /// BLAKE3 in its plain mode, without a key.
    Blake3,
}

impl HashFunction {
    /// Of bytes that come piece by piece.
    #[must_use]
    pub fn start(self) -> RunningDigest {
        RunningDigest(match self {
            Self::Sha256 => State::Sha256(Sha256::new()),
            Self::Blake3 => State::Blake3(Box::default()),
        })
    }

    /// Of bytes that are there.
    #[must_use]
    pub fn of(self, bytes: &[u8]) -> Digest {
        let mut digest = self.start();
        digest.update(bytes);
        digest.finish()
    }
}

/// A digest of the bytes so far.
#[derive(Debug, Clone)]
pub struct RunningDigest(State);

#[derive(Debug, Clone)]
enum State {
    Sha256(Sha256),
    /// Two kilobytes.
    Blake3(Box<blake3::Hasher>),
}

impl RunningDigest {
    /// Takes in more bytes. BLAKE3 is fast for pieces of 16 KiB and more.
    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.0 {
            State::Sha256(state) => state.update(bytes),
            State::Blake3(state) => drop(state.update(bytes)),
        }
    }

    /// The digest of all of them.
    #[must_use]
    pub fn finish(self) -> Digest {
        Digest(match self.0 {
            State::Sha256(state) => state.finalize().into(),
            State::Blake3(state) => *state.finalize().as_bytes(),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// From the test vectors of either's authors: of nothing, and of the bytes 0, 1, 2.
    #[test]
    fn the_functions_are_the_published_ones() {
        for (function, bytes, digest) in [
            (
                HashFunction::Sha256,
                &b"abc"[..],
                "0xba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
            ),
            (
                HashFunction::Blake3,
                b"",
                "0xaf1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262",
            ),
            (
                HashFunction::Blake3,
                &[0, 1, 2],
                "0xe1be4d7a8ab5560aa4199eea339849ba8e293d55ca0a81006726d184519e647f",
            ),
        ] {
            assert_eq!(function.of(bytes).to_string(), digest);
        }
        assert_eq!(HashFunction::default().of(b"x"), Digest::of(b"x"));
    }

    proptest! {
        #[test]
        fn pieces_make_no_difference(bytes in prop::collection::vec(any::<u8>(), 0..5000), cut in any::<prop::sample::Index>()) {
            let (head, tail) = bytes.split_at(cut.index(bytes.len() + 1));
            for function in [HashFunction::Sha256, HashFunction::Blake3] {
                let mut digest = function.start();
                digest.update(head);
                digest.update(tail);
                prop_assert_eq!(digest.finish(), function.of(&bytes));
            }
            prop_assert_ne!(HashFunction::Sha256.of(&bytes), HashFunction::Blake3.of(&bytes));
        }
    }
}
