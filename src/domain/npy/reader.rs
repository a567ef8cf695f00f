//! An `.npy` file that arrives piece by piece: its elements are put in their place as they come, and held once.

use super::error::NpyError;
use super::header::{Header, MAX_PREFIX};
use crate::tensor::{Filling, Tensor};

/// Reads one array from pieces of a file, cut anywhere.
///
/// Files in another byte order, in Fortran's order or of types that are widened are collected first; nobody here writes such.
#[derive(Debug)]
pub struct Reader {
    limit: usize,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Up to the end of the header.
    Before(Vec<u8>),
    Plain(Header, Filling),
    Collected(Header, Vec<u8>),
}

impl Reader {
    /// A file of at most `limit` bytes of elements.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            state: State::Before(Vec::new()),
        }
    }

    /// Takes the next piece.
    ///
    /// # Errors
    /// [`NpyError`], as soon as it is known that this is no such file, or one of more elements than were allowed.
    pub fn push(&mut self, piece: &[u8]) -> Result<(), NpyError> {
        match &mut self.state {
            State::Before(begun) => {
                let room = MAX_PREFIX - begun.len().min(MAX_PREFIX);
                let (head, rest) = piece.split_at(room.min(piece.len()));
                begun.extend_from_slice(head);
                let header = match Header::parse(begun) {
                    Ok(header) => header,
                    // The rest of the header may be on its way.
                    Err(_) if begun.len() < MAX_PREFIX && !begun.is_empty() => return Ok(()),
                    Err(e) => return Err(e),
                };
                let elements = begun
                    .get(header.data_start()..)
                    .unwrap_or_default()
                    .to_vec();
                self.state = begin(header, self.limit)?;
                self.push(&elements)?;
                self.push(rest)
            }
            State::Plain(header, filling) => filling
                .push(piece)
                .map_err(|e| wrong_size(header, e.needed, e.got)),
            State::Collected(header, bytes) => {
                let (needed, got) = (header.data_bytes(), bytes.len() + piece.len());
                if got > needed {
                    return Err(wrong_size(header, needed, got));
                }
                bytes.extend_from_slice(piece);
                Ok(())
            }
        }
    }

    /// The array, at the end of the file.
    ///
    /// # Errors
    /// [`NpyError`] when the file ended early.
    pub fn finish(self) -> Result<Tensor, NpyError> {
        match self.state {
            State::Before(begun) => super::decode(&begun),
            State::Plain(header, filling) => filling
                .finish()
                .map_err(|e| wrong_size(&header, e.needed, e.got)),
            State::Collected(header, bytes) => header.decode(&bytes),
        }
    }
}

fn begin(header: Header, limit: usize) -> Result<State, NpyError> {
    let needed = header.data_bytes();
    if needed > limit {
        return Err(NpyError::Header(format!(
            "{needed} bytes of elements, more than the {limit} allowed"
        )));
    }
    if !header.is_plain() {
        return Ok(State::Collected(header, Vec::new()));
    }
    let filling = Filling::new(header.dtype(), header.shape().to_vec());
    match filling {
        Some(filling) => Ok(State::Plain(header, filling)),
        None => Err(wrong_size(&header, needed, 0)),
    }
}

fn wrong_size(header: &Header, needed: usize, found: usize) -> NpyError {
    NpyError::Size {
        shape: header.shape().to_vec(),
        needed,
        found,
    }
}
