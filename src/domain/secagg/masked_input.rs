//! The wire of a masked result: a fixed header, then the words (docs/protocol/secagg.md, The masked input; y_u in the paper).
//!
//! ```text
//! offset  0  magic "DLTM"                      4 bytes
//!         4  version, 1                        1 byte
//!         5  bytes per word, 4 or 8            1 byte
//!         6  reserved, zero                    2 bytes
//!         8  round                             4 bytes, little-endian
//!        12  number of words                   8 bytes, little-endian
//!        20  task id                          66 ASCII characters
//!        86  sender's address                 42 ASCII characters
//!       128  the words, little-endian
//! ```
//!
//! Identifiers stand as on the connector, character for character, because they are compared so. A reader decodes the header,
//! compares it with what it expects, and only then reads or allocates anything else. Not here: adding the words up
//! (`stream_adder`), and the commitment to the whole upload, which is [`commit_upload`](super::commitment::commit_upload) of it.

use crate::ids::{Address, RoundNumber, TaskId};

use super::word::{Ring, Word};

pub use super::stream_adder::{StreamAdder, StreamError, add_le_bytes_into};

/// Bytes of the header.
pub const HEADER_BYTES: usize = 128;
/// Words after a member's numbers: one, which is 1 when the member could not compute them, and 0 otherwise. Masked as all others, so
/// that only the number of failed members is ever known.
pub const COUNTER_WORDS: usize = 1;
const MAGIC: &[u8; 4] = b"DLTM";
const VERSION: u8 = 1;
const TASK_AT: usize = 20;
const SENDER_AT: usize = 86;

/// Words turned into bytes at a time by [`write_le_words`].
const BLOCK_WORDS: usize = 8 * 1024;

/// What stands before the words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MaskedInputHeader {
    /// The task on the record.
    pub task: TaskId,
    /// The round of the task.
    pub round: RoundNumber,
    /// The member whose contribution follows.
    pub sender: Address,
    /// The ring of the words.
    pub ring: Ring,
    /// How many words follow.
    pub length: u64,
}

impl MaskedInputHeader {
    /// The 128 bytes.
    #[must_use]
    pub fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut out = [0; HEADER_BYTES];
        out[..4].copy_from_slice(MAGIC);
        out[4] = VERSION;
        out[5] = match self.ring {
            Ring::Z32 => 4,
            Ring::Z64 => 8,
        };
        out[8..12].copy_from_slice(&self.round.0.to_le_bytes());
        out[12..20].copy_from_slice(&self.length.to_le_bytes());
        // The lengths are those of the identifier types: 66 and 42 characters.
        out[TASK_AT..SENDER_AT].copy_from_slice(self.task.as_str().as_bytes());
        out[SENDER_AT..].copy_from_slice(self.sender.as_str().as_bytes());
        out
    }

    /// Reads a header from the front of an upload. Exactly one byte string decodes to each header.
    ///
    /// # Errors
    /// [`HeaderError::Truncated`] under 128 bytes, [`HeaderError::Malformed`] with the name of the wrong field.
    pub fn decode(bytes: &[u8]) -> Result<Self, HeaderError> {
        let header = bytes
            .first_chunk::<HEADER_BYTES>()
            .ok_or(HeaderError::Truncated { bytes: bytes.len() })?;
        let malformed = |field| HeaderError::Malformed { field };
        if &header[..4] != MAGIC {
            return Err(malformed("magic"));
        }
        if header[4] != VERSION {
            return Err(HeaderError::Version { got: header[4] });
        }
        let ring = match header[5] {
            4 => Ring::Z32,
            8 => Ring::Z64,
            _ => return Err(malformed("width")),
        };
        if header[6..8] != [0, 0] {
            return Err(malformed("reserved"));
        }
        let mut round = [0; 4];
        round.copy_from_slice(&header[8..12]);
        let mut length = [0; 8];
        length.copy_from_slice(&header[12..20]);
        let text = |range: &[u8], field| {
            std::str::from_utf8(range)
                .map(str::to_owned)
                .map_err(|_| malformed(field))
        };
        Ok(Self {
            task: text(&header[TASK_AT..SENDER_AT], "task")?
                .try_into()
                .map_err(|_| malformed("task"))?,
            round: RoundNumber(u32::from_le_bytes(round)),
            sender: text(&header[SENDER_AT..], "sender")?
                .try_into()
                .map_err(|_| malformed("sender"))?,
            ring,
            length: u64::from_le_bytes(length),
        })
    }

    /// Reads a header and compares every field with the only acceptable one. Nothing is allocated for what follows before this.
    ///
    /// # Errors
    /// As [`MaskedInputHeader::decode`]; [`HeaderError::Unexpected`] with the name of the first field that differs.
    pub fn decode_expecting(bytes: &[u8], expected: &Self) -> Result<(), HeaderError> {
        let got = Self::decode(bytes)?;
        let differs = [
            ("task", got.task != expected.task),
            ("round", got.round != expected.round),
            ("sender", got.sender != expected.sender),
            ("width", got.ring != expected.ring),
            ("length", got.length != expected.length),
        ];
        match differs.into_iter().find(|(_, differs)| *differs) {
            Some((field, _)) => Err(HeaderError::Unexpected { field }),
            None => Ok(()),
        }
    }

    /// Bytes of the whole upload, header included; `None` when they do not fit a `u64`.
    #[must_use]
    pub fn total_bytes(&self) -> Option<u64> {
        self.length
            .checked_mul(self.ring.bytes_per_value() as u64)?
            .checked_add(HEADER_BYTES as u64)
    }
}

/// Hands the little-endian bytes of `words` to `write`, 64 KiB at most at a time: no second copy of the vector.
///
/// # Errors
/// The first error of `write`.
pub fn write_le_words<W: Word, E>(
    words: &[W],
    mut write: impl FnMut(&[u8]) -> Result<(), E>,
) -> Result<(), E> {
    let mut buffer = Vec::with_capacity(BLOCK_WORDS.min(words.len()) * W::BYTES);
    for block in words.chunks(BLOCK_WORDS) {
        le_bytes(block, &mut buffer);
        write(&buffer)?;
    }
    Ok(())
}

/// Replaces `out` with the little-endian bytes of `words`. For callers that cut the vector themselves.
pub fn le_bytes<W: Word>(words: &[W], out: &mut Vec<u8>) {
    out.resize(words.len() * W::BYTES, 0);
    for (bytes, word) in W::chunks_mut(out).0.iter_mut().zip(words) {
        *bytes = word.to_le();
    }
}

/// What is wrong with a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// Fewer bytes than a header.
    #[error("a masked result of {bytes} bytes has no header")]
    Truncated {
        /// Bytes found.
        bytes: usize,
    },
    /// Another version of the format.
    #[error("a masked result has version {got} instead of 1")]
    Version {
        /// The version found.
        got: u8,
    },
    /// A field has a value that no header has.
    #[error("the {field} of a masked result is malformed")]
    Malformed {
        /// The field's name, as in the table above.
        field: &'static str,
    },
    /// A field has another value than this round wants from this sender.
    #[error("the {field} of a masked result is not the expected one")]
    Unexpected {
        /// The field's name, as in the table above.
        field: &'static str,
    },
}

#[cfg(test)]
mod tests;
