//! Masking a contribution and unmasking a sum: the two long loops of a round, over all cores, without a copy of the vector.
//!
//! A contribution is quantised, masked and turned into bytes block by block, so a member holds its own numbers and a few blocks.
//! Not here: where blocks go (`runner/compute.rs`) and come from (`coordinator/sum.rs`).

use super::parallel;
use delta_domain::ids::{Name, RoundNumber, TaskId};
use delta_domain::round::coordinator::DroppedMember;
use delta_domain::round::runner::MaskStream;
use delta_domain::secagg::encoding::{EncodeError, Encoding, QuantiseError};
use delta_domain::secagg::keys::KeyError;
use delta_domain::secagg::mask::{MaskGenerator, MaskSeed, Masker, Sign};
use delta_domain::secagg::masked_input::{COUNTER_WORDS, le_bytes};
use delta_domain::secagg::word::{Ring, Word};
use delta_domain::tensor::Tensor;
use zeroize::Zeroizing;

/// Values of a block: what one core quantises, masks and writes at a time, 512 KiB to 1 MiB of words.
const BLOCK: usize = 128 * 1024;
/// Bytes of words that are quantised, masked and written before the next ones: they stay in the cache.
const PIECE_BYTES: usize = 64 * 1024;

/// The pairwise streams of members that dropped out: one key agreement each, over all cores.
///
/// # Errors
/// [`KeyError`] when keys do not go together, which keys of one round do.
pub fn streams_of(
    dropped: &[DroppedMember],
    task: &TaskId,
    round: RoundNumber,
) -> Result<Vec<MaskStream>, KeyError> {
    let pairs: Vec<_> = dropped
        .iter()
        .flat_map(|member| member.peers.iter().map(move |peer| (member, peer)))
        .collect();
    parallel::map(&pairs, |(member, peer)| member.stream(peer, task, round))
        .into_iter()
        .collect()
}

/// Adds every stream to a sum, block by block, over all cores.
pub fn unmask<W: Word>(total: &mut [W], masks: &[MaskStream], generator: MaskGenerator) {
    let masker = masker(masks, generator);
    parallel::parts(total, |at, part| masker.apply(at, part));
}

/// The numbers of one member, on their way to become a masked vector; after them, masked like them, whether they are there at all.
pub struct MaskedVector {
    /// In the order in which they stand in the vector; none when the member failed.
    tensors: Vec<(Name, Tensor)>,
    failed: bool,
    /// Whether a failure is counted.
    counted: bool,
    masker: Masker,
    encoding: Encoding,
    /// Numbers in front of the counter.
    numbers: usize,
    /// Added to the numbers in the ring; empty where the task asks for none.
    noise: Zeroizing<Vec<i64>>,
    /// What each number is rounded by, where that is left to chance.
    rounding: Option<Masker>,
}

/// Which number cannot be sent. Never shows it: it is private.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum MaskError {
    /// A number that is not finite or too large.
    #[error("contribution {name}: {error}")]
    Quantise {
        /// The contribution that it is in.
        name: Name,
        /// Where and why.
        error: QuantiseError,
    },
    /// A tensor of whole numbers.
    #[error("contribution {name} is neither f32 nor f64")]
    Type {
        /// The contribution.
        name: Name,
    },
}

impl MaskError {
    fn of(name: &Name, error: EncodeError) -> Self {
        let name = name.clone();
        match error {
            EncodeError::Value(error) => Self::Quantise { name, error },
            EncodeError::Type => Self::Type { name },
        }
    }
}

impl MaskedVector {
    /// `tensors`: in the order in which they stand in the vector.
    #[must_use]
    pub fn new(
        tensors: Vec<(Name, Tensor)>,
        masks: &[MaskStream],
        generator: MaskGenerator,
        encoding: Encoding,
    ) -> Self {
        Self {
            masker: masker(masks, generator),
            numbers: tensors.iter().map(|(_, t)| t.len()).sum(),
            tensors,
            failed: false,
            counted: true,
            encoding,
            noise: Zeroizing::default(),
            rounding: None,
        }
    }

    /// Of a member that could not compute its `numbers` numbers: zeros, and a counter of one. Under its masks it looks like any other.
    #[must_use]
    pub fn failed(
        numbers: usize,
        masks: &[MaskStream],
        generator: MaskGenerator,
        encoding: Encoding,
    ) -> Self {
        Self {
            masker: masker(masks, generator),
            numbers,
            tensors: Vec::new(),
            failed: true,
            counted: true,
            encoding,
            noise: Zeroizing::default(),
            rounding: None,
        }
    }

    /// Without saying that the member failed: the counter stays 0.
    #[must_use]
    pub fn uncounted(self) -> Self {
        Self {
            counted: false,
            ..self
        }
    }

    /// With this noise: one integer of the ring for each number. A member that could not compute adds it too, or the sum would have less
    /// noise than was paid for.
    #[must_use]
    pub fn with_noise(self, noise: Zeroizing<Vec<i64>>) -> Self {
        Self { noise, ..self }
    }

    /// Rounded up or down by this seed, and right on average. Whatever part is made again is the same.
    #[must_use]
    pub fn rounded_at_random(self, seed: &MaskSeed) -> Self {
        let words = Masker::new(MaskGenerator::default(), &[(seed, Sign::Plus)]);
        Self {
            rounding: Some(words),
            ..self
        }
    }

    /// Words in all: the numbers and the counter.
    #[must_use]
    pub fn length(&self) -> usize {
        self.numbers.saturating_add(COUNTER_WORDS)
    }

    /// Numbers, without the counter.
    #[must_use]
    pub fn numbers(&self) -> usize {
        self.numbers
    }

    /// The masked little-endian words of one block from word `at` on, and the word at which the next block begins.
    ///
    /// # Errors
    /// [`MaskError`] names the tensor and the place.
    pub fn block(&self, at: usize) -> Result<(Vec<u8>, usize), MaskError> {
        let end = at.saturating_add(BLOCK).min(self.length());
        let range = at.min(end)..end;
        let bytes = match self.encoding.ring() {
            Ring::Z32 => self.words::<u32>(range),
            Ring::Z64 => self.words::<u64>(range),
        };
        Ok((bytes?, end))
    }

    /// A block for each core from word `at` on, none at the end; and the number at which the next one begins.
    ///
    /// # Errors
    /// As [`Self::block`].
    pub fn blocks(&self, at: usize) -> Result<(Vec<Vec<u8>>, usize), MaskError> {
        let end = at.saturating_add(parallel::cores() * BLOCK);
        let end = end.min(self.length());
        let starts: Vec<usize> = (at..end).step_by(BLOCK).collect();
        let blocks: Result<_, _> = parallel::map(&starts, |start| self.block(*start))
            .into_iter()
            .map(|block| block.map(|(bytes, _)| bytes))
            .collect();
        Ok((blocks?, end))
    }

    /// Quantised, masked and written piece by piece, so that nothing leaves the cache half done.
    fn words<W: Word>(&self, range: std::ops::Range<usize>) -> Result<Vec<u8>, MaskError> {
        let mut bytes = Vec::with_capacity(range.len() * W::BYTES);
        let (mut words, mut encoded): (Vec<W>, Vec<W>) = (Vec::new(), Vec::new());
        let (mut random, mut written) = (Vec::new(), Vec::new());
        let mut at = range.start;
        while at < range.end {
            let end = range.end.min(at + PIECE_BYTES / W::BYTES);
            words.clear();
            if let Some(rounding) = &self.rounding {
                random.clear();
                random.resize(end - at, 0_u32);
                rounding.apply(at, &mut random);
            }
            self.each_tensor(at..end, |name, tensor, part| {
                let random = self.rounding.as_ref().map(|_| {
                    let first = words.len().min(random.len());
                    &random[first..random.len().min(first + part.len())]
                });
                self.encoding
                    .encode_part(tensor, part, random, &mut encoded)
                    .map_err(|error| MaskError::of(name, error))?;
                words.extend_from_slice(&encoded);
                Ok(())
            })?;
            if self.failed {
                words.resize(self.numbers.min(end).saturating_sub(at), W::default());
            }
            // Wraps, if at all, to what is private already.
            let noise = self.noise.get(at.min(self.noise.len())..);
            for (word, noise) in words.iter_mut().zip(noise.unwrap_or_default()) {
                *word = word.plus(W::from_signed(*noise));
            }
            if end == self.length() {
                words.push(W::from_signed(i64::from(self.failed && self.counted)));
            }
            self.masker.apply(at, &mut words);
            le_bytes(&words, &mut written);
            bytes.extend_from_slice(&written);
            at = end;
        }
        Ok(bytes)
    }

    /// The tensors that `range` touches, in their order, each with the part of it that lies in `range`.
    fn each_tensor(
        &self,
        range: std::ops::Range<usize>,
        mut visit: impl FnMut(&Name, &Tensor, std::ops::Range<usize>) -> Result<(), MaskError>,
    ) -> Result<(), MaskError> {
        let mut before = 0;
        for (name, tensor) in &self.tensors {
            let after = before + tensor.len();
            let (from, to) = (range.start.max(before), range.end.min(after));
            if from < to {
                visit(name, tensor, from - before..to - before)?;
            }
            before = after;
        }
        Ok(())
    }
}

fn masker(masks: &[MaskStream], generator: MaskGenerator) -> Masker {
    let streams: Vec<_> = masks.iter().map(|m| (&m.seed, m.sign)).collect();
    Masker::new(generator, &streams)
}
