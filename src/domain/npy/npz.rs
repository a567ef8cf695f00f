//! Several named arrays in one file, as `numpy.savez` and `numpy.savez_compressed` write them.

use std::collections::BTreeMap;
use std::io::{Cursor, Read as _, Write};
use std::sync::{Arc, Mutex, PoisonError};

use zip::write::{SimpleFileOptions, StreamWriter};
use zip::{CompressionMethod, DateTime, ZipArchive, ZipWriter};

use super::error::NpyError;
use super::{decode, encode};
use crate::tensor::Tensor;

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

/// Named arrays as an `.npz` file, uncompressed. The same arguments always make the same bytes.
///
/// # Errors
/// [`NpyError::Npz`] when a name is empty, too long, stands twice or is a path.
pub fn encode_npz(arrays: &[(&str, &Tensor)]) -> Result<Vec<u8>, NpyError> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, tensor) in arrays {
        check_name(name)?;
        let content = encode(tensor);
        zip.start_file(format!("{name}.npy"), options(content.len() as u64))
            .map_err(unreadable)?;
        zip.write_all(&content)
            .map_err(|e| NpyError::Npz(e.to_string()))?;
    }
    Ok(zip.finish().map_err(unreadable)?.into_inner())
}

/// An `.npz` file of arrays whose `.npy` files come piece by piece, uncompressed. Nothing is held but what was not taken yet.
pub struct NpzWriter {
    zip: ZipWriter<StreamWriter<Pending>>,
    pending: Pending,
}

/// What was written and not taken yet: the writer of the zip has one end of it, and who takes the other.
#[derive(Clone, Default)]
struct Pending(Arc<Mutex<Vec<u8>>>);

impl Write for Pending {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        held.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Default for NpzWriter {
    fn default() -> Self {
        let pending = Pending::default();
        Self {
            zip: ZipWriter::new_stream(pending.clone()),
            pending,
        }
    }
}

impl NpzWriter {
    /// Begins the next array, whose `.npy` file has `len` bytes.
    ///
    /// # Errors
    /// As [`encode_npz`].
    pub fn begin(&mut self, name: &str, len: u64) -> Result<(), NpyError> {
        check_name(name)?;
        self.zip
            .start_file(format!("{name}.npy"), options(len))
            .map_err(unreadable)
    }

    /// Takes the next bytes of the array's file.
    ///
    /// # Errors
    /// [`NpyError::Npz`] when no array has begun.
    pub fn write(&mut self, piece: &[u8]) -> Result<(), NpyError> {
        let written = self.zip.write_all(piece);
        written.map_err(|e| NpyError::Npz(e.to_string()))
    }

    /// The bytes of the file that were made since the last call.
    pub fn take(&mut self) -> Vec<u8> {
        let held = self.pending.0.lock();
        std::mem::take(&mut *held.unwrap_or_else(PoisonError::into_inner))
    }

    /// Ends the file; gives its last bytes.
    ///
    /// # Errors
    /// [`NpyError::Npz`] when the arrays cannot stand in one file.
    pub fn finish(self) -> Result<Vec<u8>, NpyError> {
        let Self { zip, pending } = self;
        zip.finish().map_err(unreadable)?;
        let mut held = pending.0.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(std::mem::take(&mut *held))
    }
}

fn options(len: u64) -> SimpleFileOptions {
    SimpleFileOptions::default()
        .compression_method(CompressionMethod::Stored)
        .last_modified_time(DateTime::default())
        .unix_permissions(0o644)
        .large_file(u32::try_from(len).is_err())
}

/// The arrays of an `.npz` file, by name without `.npy`.
///
/// # Errors
/// [`NpyError::Npz`] when it is no such file or passes a limit; [`NpyError::Inside`] names the array that is wrong.
pub fn decode_npz(bytes: &[u8], limits: &NpzLimits) -> Result<BTreeMap<String, Tensor>, NpyError> {
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(unreadable)?;
    if archive.len() > limits.arrays {
        return Err(NpyError::Npz(format!(
            "{} arrays, more than the {} allowed",
            archive.len(),
            limits.arrays
        )));
    }
    if archive.has_duplicate_names() {
        return Err(NpyError::Npz("two arrays have the same name".to_owned()));
    }
    let mut arrays = BTreeMap::new();
    let mut left = limits.expanded_bytes;
    for index in 0..archive.len() {
        let file = archive.by_index(index).map_err(unreadable)?;
        let name = file.name().map_err(unreadable)?.into_owned();
        let Some(name) = name.strip_suffix(".npy").map(str::to_owned) else {
            return Err(NpyError::Npz(format!(
                "{:?} is not an array",
                shortened(&name)
            )));
        };
        check_name(&name)?;
        let too_much =
            || NpyError::Npz(format!("it expands beyond {} bytes", limits.expanded_bytes));
        let bound = u64::try_from(left).unwrap_or(u64::MAX).saturating_add(1);
        if file.size() >= bound {
            return Err(too_much());
        }
        let mut content = Vec::new();
        file.take(bound)
            .read_to_end(&mut content)
            .map_err(|e| NpyError::Npz(e.to_string()))?;
        left = left.checked_sub(content.len()).ok_or_else(too_much)?;
        let tensor = decode(&content).map_err(|source| NpyError::Inside {
            name: shortened(&name),
            source: Box::new(source),
        })?;
        arrays.insert(name, tensor);
    }
    Ok(arrays)
}

fn check_name(name: &str) -> Result<(), NpyError> {
    let plain = !name.is_empty()
        && name.len() <= 255
        && name != ".."
        && !name
            .chars()
            .any(|c| c == '/' || c == '\\' || c.is_control());
    if plain {
        Ok(())
    } else {
        Err(NpyError::Npz(format!(
            "the name {:?} is not plain",
            shortened(name)
        )))
    }
}

fn shortened(name: &str) -> String {
    name.chars().take(80).collect()
}

fn unreadable(error: zip::result::ZipError) -> NpyError {
    NpyError::Npz(error.to_string())
}
