//! Masks: pseudorandom vectors over Z_2^w that hide a contribution and cancel in the sum (docs/protocol/secagg.md, Masks).
//!
//! A [`Masker`] holds the keyed streams of one contribution and adds them all to a vector, block by block: every stream over one
//! cache-sized block before the next block, so the vector crosses memory once whatever the number of streams, and no mask is
//! ever expanded. Any part of the vector can be processed alone, in any order, by any number of threads of the caller.
//! Not here: where seeds come from (`pairwise`, `shamir`), how the cipher's blocks become words (`keystream`).
//!
//! The bytes are part of the protocol and pinned by tests. Key material is HKDF-SHA256 of the seed under the generator's name;
//! AES-128 takes 16 bytes of it as key and 8 as nonce, ChaCha20 all 32 as key. Words are little-endian.

use serde::{Deserialize, Serialize};

use crate::secret::Secret;

use super::kdf::{expand, extract};
use super::keystream::{Keystream, Scratch};
pub use super::word::{Ring, Word};

const LABEL: &[u8] = b"delta-node secagg v1 mask";

/// Bytes of a vector that all streams are added to before the next ones: fits the first-level cache beside the keystream.
const BLOCK_BYTES: usize = 64 * 1024;

/// What expands a seed into a mask. Stated in the strategy; all members of a round use one.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum MaskGenerator {
    /// AES-128 in counter mode: the fastest where the CPU has AES instructions, slow and still constant-time elsewhere.
    #[default]
    #[serde(rename = "aes128-ctr")]
    Aes128Ctr,
    /// ChaCha20: fast enough everywhere.
    #[serde(rename = "chacha20")]
    ChaCha20,
}

impl MaskGenerator {
    /// The name in strategies and configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Aes128Ctr => "aes128-ctr",
            Self::ChaCha20 => "chacha20",
        }
    }
}

/// The seed of one mask: a runner's own (b_u) or one shared by two (s_uv).
pub type MaskSeed = Secret<32>;

/// Whether a mask is added or subtracted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sign {
    /// The mask is added to the values.
    Plus,
    /// The mask is taken from the values.
    Minus,
}

impl Sign {
    /// The other one: what takes a mask away again.
    #[must_use]
    pub const fn opposite(self) -> Self {
        match self {
            Self::Plus => Self::Minus,
            Self::Minus => Self::Plus,
        }
    }
}

/// The keyed streams of several masks, ready to be added to any part of a vector.
pub struct Masker {
    streams: Vec<(Keystream, Sign)>,
}

impl Masker {
    /// Keys one stream for each seed.
    #[must_use]
    pub fn new(generator: MaskGenerator, masks: &[(&MaskSeed, Sign)]) -> Self {
        let streams = masks
            .iter()
            .map(|(seed, sign)| (keystream(generator, seed), *sign))
            .collect();
        Self { streams }
    }

    /// How many masks.
    #[must_use]
    pub fn len(&self) -> usize {
        self.streams.len()
    }

    /// Whether there is no mask at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.streams.is_empty()
    }

    /// Adds every mask, with its sign, to `values`, which begin at position `offset` of the whole vector.
    ///
    /// `offset`: in values, not bytes. Two calls on neighbouring parts give what one call on both gives.
    pub fn apply<W: Word>(&self, offset: usize, values: &mut [W]) {
        // A vector has fewer than 2^64 values on every platform.
        let mut at = offset as u64;
        let mut scratch = Scratch::new();
        for block in values.chunks_mut(BLOCK_BYTES / W::BYTES) {
            for (stream, sign) in &self.streams {
                stream.add_to(at, block, *sign == Sign::Minus, &mut scratch);
            }
            at += block.len() as u64;
        }
    }
}

impl std::fmt::Debug for Masker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Masker({} streams)", self.streams.len())
    }
}

fn keystream(generator: MaskGenerator, seed: &MaskSeed) -> Keystream {
    let material = expand(&extract(LABEL, seed.expose()), generator.name().as_bytes());
    match generator {
        MaskGenerator::Aes128Ctr => Keystream::aes128(&material),
        MaskGenerator::ChaCha20 => Keystream::chacha20(&material),
    }
}

#[cfg(test)]
mod tests;
