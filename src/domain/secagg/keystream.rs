//! Adding a cipher's keystream to a vector of words, a block at a time, without ever holding the keystream as a whole.
//!
//! The trick that makes this fast without `unsafe` of ours: the cipher crates choose a CPU backend at run time and then call a
//! closure from inside it. The addition below is that closure, so it is compiled once for each backend, with that backend's
//! vector instructions, and the keystream goes from registers to the sum through the first-level cache.
//! Not here: which streams, which signs, in which order (`mask`).

use ctr::CtrCore;
use ctr::cipher::array::{Array, ArraySize};
use ctr::cipher::common::ParBlocks;
use ctr::cipher::typenum::Unsigned as _;
use ctr::cipher::{
    Block, BlockSizeUser, InnerIvInit as _, KeyInit as _, KeyIvInit as _, StreamCipherBackend,
    StreamCipherClosure, StreamCipherSeekCore,
};
use zeroize::Zeroizing;

use super::word::Word;

/// AES-128 in counter mode, 64-bit little-endian counter in the first half of the block.
type Aes128Ctr<'a> = CtrCore<&'a aes::Aes128, ctr::flavors::Ctr64LE>;

/// A keyed generator of one mask.
pub(super) enum Keystream {
    /// Key schedule, and the half of the counter block that does not count.
    Aes128 {
        cipher: Box<aes::Aes128>,
        nonce: Zeroizing<[u8; 8]>,
    },
    /// The original ChaCha20: 64-bit counter, stream zero; what `rand_chacha::ChaCha20Rng` of this seed gives.
    ChaCha20 { key: Zeroizing<[u8; 32]> },
}

impl Keystream {
    /// AES-128-CTR: the first 16 bytes are the key, the next 8 the nonce.
    pub(super) fn aes128(material: &[u8; 32]) -> Self {
        let mut key = Zeroizing::new([0; 16]);
        key.copy_from_slice(&material[..16]);
        let mut nonce = Zeroizing::new([0; 8]);
        nonce.copy_from_slice(&material[16..24]);
        Self::Aes128 {
            cipher: Box::new(aes::Aes128::new((&*key).into())),
            nonce,
        }
    }

    /// ChaCha20 under this key.
    pub(super) fn chacha20(material: &[u8; 32]) -> Self {
        Self::ChaCha20 {
            key: Zeroizing::new(*material),
        }
    }

    /// Adds (or subtracts) the words of the keystream from word `offset` on to `values`.
    ///
    /// Word i is made of the keystream's bytes `i * W::BYTES ..`, little-endian, on every platform.
    pub(super) fn add_to<W: Word>(
        &self,
        offset: u64,
        values: &mut [W],
        minus: bool,
        scratch: &mut Scratch,
    ) {
        match self {
            Self::Aes128 { cipher, nonce } => {
                let mut iv = [0; 16];
                iv[8..].copy_from_slice(&**nonce);
                add_stream(
                    Aes128Ctr::inner_iv_init(cipher, &iv.into()),
                    offset,
                    values,
                    minus,
                    &mut *scratch.0,
                );
            }
            Self::ChaCha20 { key } => {
                let core = chacha20::ChaCha20LegacyCore::new((&**key).into(), &[0; 8].into());
                add_stream(core, offset, values, minus, &mut *scratch.0);
            }
        }
    }
}

/// Room for one batch of keystream, shared by all streams, so that it is wiped once and not for every stream and block.
pub(super) struct Scratch(Zeroizing<[u8; SCRATCH_BYTES]>);

/// The largest batch of any backend: 64 blocks of AES, or 4 of ChaCha20.
const SCRATCH_BYTES: usize = 1024;

impl Scratch {
    pub(super) fn new() -> Self {
        Self(Zeroizing::new([0; SCRATCH_BYTES]))
    }
}

fn add_stream<W: Word, C: StreamCipherSeekCore<Counter = u64>>(
    mut core: C,
    offset: u64,
    values: &mut [W],
    minus: bool,
    scratch: &mut [u8],
) {
    let words_per_block = (C::BlockSize::USIZE / W::BYTES) as u64;
    core.set_block_pos(offset / words_per_block);
    // Below 16: a block has at most 16 words.
    let skip = usize::try_from(offset % words_per_block).unwrap_or(0);
    if minus {
        core.process_with_backend(Add::<W, C::BlockSize, true> {
            values,
            skip,
            scratch,
            size: std::marker::PhantomData,
        });
    } else {
        core.process_with_backend(Add::<W, C::BlockSize, false> {
            values,
            skip,
            scratch,
            size: std::marker::PhantomData,
        });
    }
}

/// The closure that runs inside the cipher's backend.
struct Add<'a, W, BS, const MINUS: bool> {
    values: &'a mut [W],
    /// Words of the first block that lie before the vector.
    skip: usize,
    scratch: &'a mut [u8],
    size: std::marker::PhantomData<BS>,
}

impl<W, BS: ArraySize, const MINUS: bool> BlockSizeUser for Add<'_, W, BS, MINUS> {
    type BlockSize = BS;
}

impl<W: Word, BS: ArraySize, const MINUS: bool> StreamCipherClosure for Add<'_, W, BS, MINUS> {
    #[inline(always)]
    fn call<B: StreamCipherBackend<BlockSize = BS>>(self, backend: &mut B) {
        let mut values = self.values;
        let (blocks, _) = Array::slice_as_chunks_mut(self.scratch);
        let Some(block): Option<&mut Block<B>> = blocks.first_mut() else {
            return;
        };
        if self.skip > 0 {
            backend.gen_ks_block(block);
            let words = W::chunks(block).0;
            let (head, rest) = values.split_at_mut((words.len() - self.skip).min(values.len()));
            add_words::<W, MINUS>(head, &words[self.skip..]);
            values = rest;
        }
        // Invariant: no backend has a larger batch than the scratch holds; one that had would go block by block below.
        let batches: &mut [ParBlocks<B>] = Array::slice_as_chunks_mut(blocks).0;
        if let Some(batch) = batches.first_mut() {
            let mut parts = values.chunks_exact_mut(B::ParBlocksSize::USIZE * BS::USIZE / W::BYTES);
            for part in &mut parts {
                backend.gen_par_ks_blocks(batch);
                add_words::<W, MINUS>(part, W::chunks(Array::slice_as_flattened(batch)).0);
            }
            values = parts.into_remainder();
        }
        let Some(block) = blocks.first_mut() else {
            return;
        };
        for tail in values.chunks_mut(BS::USIZE / W::BYTES) {
            backend.gen_ks_block(block);
            add_words::<W, MINUS>(tail, W::chunks(block).0);
        }
    }
}

#[inline(always)]
fn add_words<W: Word, const MINUS: bool>(values: &mut [W], words: &[W::Bytes]) {
    for (value, word) in values.iter_mut().zip(words) {
        let word = W::from_le(*word);
        *value = if MINUS {
            value.minus(word)
        } else {
            value.plus(word)
        };
    }
}
