//! Arrays as NumPy files: `.npy`, and `.npz` as a zip of them. The form in which values travel and rest.
//!
//! Reads versions 1 to 3, both orders, both byte orders, and every number type that a [`Tensor`] can hold exactly; writes version 1.0,
//! little-endian, row-major. Object arrays hold pickled Python and are never read.
//! Not here: files. Bytes come in, values go out; [`Header::parse`] needs only the beginning, so that large files can be read in parts.
//!
//! Source: the format is NumPy's `lib/format.py` and NEP 1; `.npz` is what `numpy.savez` writes.

mod dictionary;
mod elements;
mod error;
mod header;
mod npz;
mod reader;
mod stored;

use super::hash::HashFunction;
use super::ids::Digest;
#[cfg(test)]
use super::tensor::TensorData;
use super::tensor::half::{Halving, TooLarge};
use super::tensor::{DType, Tensor};

pub use elements::Elements;
pub use error::NpyError;
pub use header::{Header, MAX_PREFIX};
pub use npz::{NpzLimits, NpzWriter, decode_npz, encode_npz};
pub use reader::Reader;

/// `tensor` as an `.npy` file, version 1.0, little-endian, row-major.
#[must_use]
pub fn encode(tensor: &Tensor) -> Vec<u8> {
    let mut out = prefix(tensor.dtype(), tensor.shape());
    out.reserve_exact(tensor.byte_len());
    tensor.extend_le_bytes(0..tensor.len(), &mut out);
    out
}

/// What stands before the elements in the file that [`encode`] makes.
#[must_use]
pub fn prefix(dtype: DType, shape: &[usize]) -> Vec<u8> {
    header::write(dtype, shape)
}

/// What stands before the elements of a file of half precision.
#[must_use]
pub fn half_prefix(shape: &[usize]) -> Vec<u8> {
    header::write_half(shape)
}

/// The digest of the file that [`encode`] makes, without making it.
#[must_use]
pub fn digest(tensor: &Tensor) -> Digest {
    let mut digest = HashFunction::Sha256.start();
    digest.update(&prefix(tensor.dtype(), tensor.shape()));
    let fed: Result<(), std::convert::Infallible> = tensor.for_le_parts(|part| {
        digest.update(part);
        Ok(())
    });
    match fed {
        Ok(()) => digest.finish(),
        Err(never) => match never {},
    }
}

/// The digest of an array's file in half precision, without making it. `digest`: of the file that [`encode`] makes.
///
/// # Errors
/// [`TooLarge`] at the first number that half precision does not have.
pub fn half_digest(tensor: &Tensor, digest: &Digest) -> Result<Digest, TooLarge> {
    let mut halves = HashFunction::Sha256.start();
    halves.update(&half_prefix(tensor.shape()));
    let mut halving = Halving::of(digest);
    let mut out = Vec::new();
    tensor.for_le_parts(|part| {
        out.clear();
        halving.narrow(part.as_chunks().0, &mut out)?;
        halves.update(&out);
        Ok(())
    })?;
    Ok(halves.finish())
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
