//! Arrays as NumPy files: `.npy`, and `.npz` as a zip of them. The form in which values travel and rest.
//!
//! Reads versions 1 to 3, both orders, both byte orders, and every number type that a [`Tensor`] can hold exactly; writes version 1.0,
//! little-endian, row-major. Object arrays hold pickled Python and are never read.
//! Not here: files. Bytes come in, values go out; [`Header::parse`] needs only the beginning, so that large files can be read in parts.
//!
//! Source: the format is NumPy's `lib/format.py` and NEP 1; `.npz` is what `numpy.savez` writes.

mod dictionary;
mod error;
mod header;
mod npz;
mod stored;

use super::tensor::{Tensor, TensorData};

pub use error::NpyError;
pub use header::{Header, MAX_PREFIX};
pub use npz::{NpzLimits, decode_npz, encode_npz};

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
