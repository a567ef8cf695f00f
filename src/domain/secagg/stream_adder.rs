//! Adding an upload to a sum while it arrives, wherever the network cuts it.
//!
//! Bounded memory: the sum, and at most one word's bytes. Not here: the header, and the upload's digest, which the caller
//! computes over the same chunks.

use super::mask::Sign;
use super::word::Word;

/// Adds (or takes back) a stream of little-endian words.
#[derive(Debug, Clone)]
pub struct StreamAdder {
    /// Whole words seen.
    at: usize,
    partial: [u8; 8],
    filled: usize,
    sign: Sign,
}

impl StreamAdder {
    /// Starts at the first word. `Sign::Minus` takes back an upload that was added before.
    #[must_use]
    pub const fn new(sign: Sign) -> Self {
        Self {
            at: 0,
            partial: [0; 8],
            filled: 0,
            sign,
        }
    }

    /// Adds the next bytes of the stream to `sum`, which is the same vector in every call.
    ///
    /// # Errors
    /// [`StreamError::TooLong`] when the stream has more bytes than the sum; nothing of this chunk was added then.
    pub fn push<W: Word>(&mut self, sum: &mut [W], bytes: &[u8]) -> Result<(), StreamError> {
        let room = (sum.len() - self.at.min(sum.len())) * W::BYTES - self.filled.min(W::BYTES);
        if bytes.len() > room {
            return Err(StreamError::TooLong {
                expected: sum.len() * W::BYTES,
            });
        }
        let mut bytes = bytes;
        if self.filled > 0 {
            let (head, rest) = bytes.split_at((W::BYTES - self.filled).min(bytes.len()));
            self.partial[self.filled..self.filled + head.len()].copy_from_slice(head);
            self.filled += head.len();
            bytes = rest;
            if self.filled < W::BYTES {
                return Ok(());
            }
            let mut word = W::Bytes::default();
            word.as_mut().copy_from_slice(&self.partial[..W::BYTES]);
            self.add(sum, &[word]);
            self.filled = 0;
        }
        let (words, rest) = W::chunks(bytes);
        self.add(sum, words);
        self.partial[..rest.len()].copy_from_slice(rest);
        self.filled = rest.len();
        Ok(())
    }

    /// Checks that the stream filled the sum exactly.
    ///
    /// # Errors
    /// [`StreamError::TooShort`] otherwise.
    pub fn finish<W: Word>(self, sum: &[W]) -> Result<(), StreamError> {
        if self.at == sum.len() && self.filled == 0 {
            Ok(())
        } else {
            Err(StreamError::TooShort {
                expected: sum.len() * W::BYTES,
                got: self.at * W::BYTES + self.filled,
            })
        }
    }

    fn add<W: Word>(&mut self, sum: &mut [W], words: &[W::Bytes]) {
        let part = sum.get_mut(self.at..).unwrap_or_default();
        match self.sign {
            Sign::Plus => part
                .iter_mut()
                .zip(words)
                .for_each(|(s, w)| *s = s.plus(W::from_le(*w))),
            Sign::Minus => part
                .iter_mut()
                .zip(words)
                .for_each(|(s, w)| *s = s.minus(W::from_le(*w))),
        }
        self.at += words.len();
    }
}

/// Adds whole little-endian words to `sum` from word `at` on. For streams cut anywhere, use [`StreamAdder`].
///
/// # Errors
/// [`StreamError::TooLong`] when they reach beyond the sum, [`StreamError::Ragged`] when the bytes end inside a word;
/// nothing was added then.
pub fn add_le_bytes_into<W: Word>(
    sum: &mut [W],
    at: usize,
    bytes: &[u8],
) -> Result<(), StreamError> {
    let (words, rest) = W::chunks(bytes);
    if !rest.is_empty() {
        return Err(StreamError::Ragged { bytes: bytes.len() });
    }
    let expected = sum.len() * W::BYTES;
    let part = sum
        .get_mut(at..)
        .filter(|part| words.len() <= part.len())
        .ok_or(StreamError::TooLong { expected })?;
    part.iter_mut()
        .zip(words)
        .for_each(|(s, w)| *s = s.plus(W::from_le(*w)));
    Ok(())
}

/// Why a stream of words does not fit a sum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StreamError {
    /// More bytes than the sum has room for.
    #[error("a masked result is longer than {expected} bytes")]
    TooLong {
        /// Bytes of a right one.
        expected: usize,
    },
    /// The stream ended early.
    #[error("a masked result has {got} bytes instead of {expected}")]
    TooShort {
        /// Bytes of a right one.
        expected: usize,
        /// Bytes seen.
        got: usize,
    },
    /// The bytes end inside a word.
    #[error("{bytes} bytes are not whole words")]
    Ragged {
        /// Bytes given.
        bytes: usize,
    },
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn whole_words_only_and_inside_the_sum() {
        let mut sum = [1_u32, 2, 3];
        add_le_bytes_into(&mut sum, 1, &[1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]).unwrap();
        assert_eq!(sum, [1, 3, 2]);
        assert_eq!(
            add_le_bytes_into(&mut sum, 2, &[0; 8]),
            Err(StreamError::TooLong { expected: 12 })
        );
        assert_eq!(
            add_le_bytes_into(&mut sum, usize::MAX, &[0; 4]),
            Err(StreamError::TooLong { expected: 12 })
        );
        assert_eq!(
            add_le_bytes_into(&mut sum, 0, &[0; 5]),
            Err(StreamError::Ragged { bytes: 5 })
        );
        assert_eq!(sum, [1, 3, 2]);
    }

    #[test]
    fn an_endless_stream_is_stopped_and_a_short_one_noticed() {
        let mut sum = [0_u64; 2];
        let mut adder = StreamAdder::new(Sign::Plus);
        adder.push(&mut sum, &[1; 15]).unwrap();
        assert_eq!(
            adder.clone().finish(&sum),
            Err(StreamError::TooShort {
                expected: 16,
                got: 15
            })
        );
        assert_eq!(
            adder.push(&mut sum, &[1; 2]),
            Err(StreamError::TooLong { expected: 16 })
        );
        adder.push(&mut sum, &[1]).unwrap();
        assert_eq!(
            adder.push(&mut sum, &[1]),
            Err(StreamError::TooLong { expected: 16 })
        );
        adder.finish(&sum).unwrap();
        assert_eq!(sum, [0x0101_0101_0101_0101; 2]);
    }

    fn cut<W: Word>(words: &[u64], cuts: &[usize]) -> Vec<W> {
        let values: Vec<W> = words
            .iter()
            .map(|w| W::from_signed(w.cast_signed()))
            .collect();
        let bytes: Vec<u8> = values
            .iter()
            .flat_map(|w| w.to_le().as_ref().to_vec())
            .collect();
        let mut sum = vec![W::from_signed(7); values.len()];
        for sign in [Sign::Plus, Sign::Plus, Sign::Minus] {
            let mut adder = StreamAdder::new(sign);
            let mut rest = &bytes[..];
            for &n in cuts.iter().cycle() {
                let (head, tail) = rest.split_at(n.min(rest.len()));
                adder.push(&mut sum, head).unwrap();
                rest = tail;
                if rest.is_empty() {
                    break;
                }
            }
            adder.finish(&sum).unwrap();
        }
        sum
    }

    proptest! {
        #[test]
        fn any_chunk_boundaries_give_the_same_sum(words in prop::collection::vec(any::<u64>(), 0..40), cuts in prop::collection::vec(1_usize..30, 1..8)) {
            let wide: Vec<u64> = words.iter().map(|w| w.wrapping_add(7)).collect();
            prop_assert_eq!(cut::<u64>(&words, &cuts), wide);
            let narrow: Vec<u32> = words.iter().map(|w| (*w as u32).wrapping_add(7)).collect();
            prop_assert_eq!(cut::<u32>(&words, &cuts), narrow);
        }
    }
}
