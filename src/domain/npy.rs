//! Arrays as NumPy files: `.npy`, and `.npz` as a zip of them.
//!
//! Being written: the signatures stand.

use std::collections::BTreeMap;

use super::tensor::Tensor;

/// Why bytes are not an array that tasks can use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NpyError(String);

/// How large an `.npz` may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NpzLimits {
    /// Arrays in it.
    pub arrays: usize,
    /// Bytes of all arrays once expanded.
    pub expanded_bytes: usize,
}

impl Default for NpzLimits {
    fn default() -> Self {
        Self {
            arrays: 10_000,
            expanded_bytes: 1 << 30,
        }
    }
}

/// `tensor` as an `.npy` file, version 1.0, little-endian, row-major.
#[must_use]
pub fn encode(_tensor: &Tensor) -> Vec<u8> {
    Vec::new()
}

/// The array in an `.npy` file.
///
/// # Errors
/// [`NpyError`].
pub fn decode(_bytes: &[u8]) -> Result<Tensor, NpyError> {
    Err(NpyError("the reader is being written".to_owned()))
}

/// Named arrays as an `.npz` file. The same arguments always make the same bytes.
///
/// # Errors
/// [`NpyError`] when a name cannot stand in a zip.
pub fn encode_npz(_arrays: &[(&str, &Tensor)]) -> Result<Vec<u8>, NpyError> {
    Err(NpyError("the writer is being written".to_owned()))
}

/// The arrays of an `.npz` file, by name without `.npy`.
///
/// # Errors
/// [`NpyError`].
pub fn decode_npz(
    _bytes: &[u8],
    _limits: &NpzLimits,
) -> Result<BTreeMap<String, Tensor>, NpyError> {
    Err(NpyError("the reader is being written".to_owned()))
}
