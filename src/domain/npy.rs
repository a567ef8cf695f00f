//! Arrays as NumPy files: `.npy`, and `.npz` as a zip of them. The form in which values travel and rest.
//!
//! Reads versions 1 to 3, both orders, both byte orders, and every number type that a [`Tensor`] can hold exactly; writes version 1.0,
//! little-endian, row-major. Object arrays hold pickled Python and are never read.
//! Not here: files. Bytes come in, values go out; [`Header::parse`] needs only the beginning, so that large files can be read in parts.
//!
//! Source: the format is NumPy's `lib/format.py` and NEP 1; `.npz` is what `numpy.savez` writes.

mod header;
mod npz;

use super::tensor::{Tensor, TensorData};

pub use header::{Header, MAX_PREFIX};
pub use npz::{NpzLimits, decode_npz, encode_npz};

/// Why bytes are not an array that tasks can use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NpyError {
    /// The beginning is not that of an `.npy` file.
    #[error("not an .npy file: {0}")]
    Header(String),
    /// The element type has no place in a task.
    #[error("elements of type {0:?}: {1}")]
    Type(String, &'static str),
    /// More or fewer bytes than the shape needs.
    #[error(
        "shape {shape:?} needs {needed} bytes of elements, {found} are there: the file is damaged"
    )]
    Size {
        /// The shape in the header.
        shape: Vec<usize>,
        /// Bytes that it needs.
        needed: usize,
        /// Bytes after the header.
        found: usize,
    },
    /// An unsigned number that `i64` cannot hold.
    #[error("the number {0} is too large: numbers above 2^63 - 1 cannot be used")]
    TooLarge(u64),
    /// Not an `.npz`, or one that must not be opened.
    #[error("not an .npz file that can be read: {0}")]
    Npz(String),
    /// One array of an `.npz`.
    #[error("array {name:?}")]
    Inside {
        /// The array's name in the archive.
        name: String,
        /// What is wrong with it.
        source: Box<NpyError>,
    },
}

/// `tensor` as an `.npy` file, version 1.0, little-endian, row-major.
#[must_use]
pub fn encode(tensor: &Tensor) -> Vec<u8> {
    let mut out = header::write(tensor.dtype(), tensor.shape());
    out.reserve_exact(tensor.len() * tensor.dtype().size());
    match tensor.data() {
        TensorData::F32(v) => v
            .iter()
            .for_each(|x| out.extend_from_slice(&x.to_le_bytes())),
        TensorData::F64(v) => v
            .iter()
            .for_each(|x| out.extend_from_slice(&x.to_le_bytes())),
        TensorData::I32(v) => v
            .iter()
            .for_each(|x| out.extend_from_slice(&x.to_le_bytes())),
        TensorData::I64(v) => v
            .iter()
            .for_each(|x| out.extend_from_slice(&x.to_le_bytes())),
        TensorData::U8(v) => out.extend_from_slice(v),
        TensorData::Bool(v) => out.extend(v.iter().map(|&x| u8::from(x))),
    }
    out
}

/// The array in an `.npy` file. `bytes` must end where the array ends.
///
/// # Errors
/// [`NpyError`]; nothing is allocated before the size of `bytes` has been compared with the header.
pub fn decode(bytes: &[u8]) -> Result<Tensor, NpyError> {
    let header = Header::parse(bytes)?;
    header.decode(bytes.get(header.data_start()..).unwrap_or_default())
}

#[cfg(test)]
mod tests;
