//! Zip archives, as NumPy and torch make them: what is stored as it is, is read where it lies, what is compressed, in memory.

use std::fs::File;
use std::io::{BufReader, Read as _};
use std::path::Path;

use zip::result::ZipError;
use zip::{CompressionMethod, ZipArchive};

use crate::datasets::strided::Bytes;
use crate::failure::Failure;

/// Most bytes of an entry that has to be expanded in memory.
const EXPANDED: u64 = 16 << 30;
/// Most entries of an archive.
const ENTRIES: usize = 100_000;

/// An archive that is being read.
pub(super) struct Zipped(ZipArchive<BufReader<File>>);

impl Zipped {
    /// # Errors
    /// What is no archive, has two entries of one name, or one with a password.
    pub(super) fn open(path: &Path) -> Result<Self, Failure> {
        Self::of(File::open(path).map_err(|e| Failure::unreadable("it", &e))?)
    }

    /// The same for an open file.
    pub(super) fn of(file: File) -> Result<Self, Failure> {
        let archive = ZipArchive::new(BufReader::new(file)).map_err(unreadable)?;
        if archive.len() > ENTRIES {
            return Err(Failure::corrupt(format!(
                "it holds {} files, more than the {ENTRIES} that are read; save fewer arrays",
                archive.len()
            )));
        }
        if archive.has_duplicate_names() {
            return Err(Failure::corrupt(
                "two arrays in it have the same name; save it again",
            ));
        }
        for index in 0..archive.len() {
            let entry = archive.by_index_data(index).map_err(unreadable)?;
            if entry.encrypted() {
                return Err(Failure::corrupt(
                    "it is encrypted with a password; save it without one",
                ));
            }
        }
        Ok(Self(archive))
    }

    /// Names of all files in it; of folders, and of what macOS adds, none.
    pub(super) fn names(&self) -> Result<Vec<String>, Failure> {
        let names: Result<Vec<String>, ZipError> = self
            .0
            .file_names()
            .map(|name| name.map(std::borrow::Cow::into_owned))
            .collect();
        let mut names = names.map_err(unreadable)?;
        names.retain(|n| !n.ends_with('/') && !n.starts_with("__MACOSX/"));
        Ok(names)
    }

    /// The first bytes of an entry, at most `limit`.
    pub(super) fn start(&mut self, name: &str, limit: usize) -> Result<Vec<u8>, Failure> {
        let entry = self.0.by_name(name).map_err(unreadable)?;
        let mut bytes = Vec::new();
        let limit = u64::try_from(limit).unwrap_or(u64::MAX);
        let read = entry.take(limit).read_to_end(&mut bytes);
        read.map_err(|e| damaged(&e))?;
        Ok(bytes)
    }

    /// Bytes of an entry, once expanded.
    pub(super) fn size(&mut self, name: &str) -> Result<u64, Failure> {
        Ok(self.0.by_name(name).map_err(unreadable)?.size())
    }

    /// An entry's bytes, and where they begin. Read through once, so that a wrong checksum is found.
    ///
    /// # Errors
    /// What is damaged, or expands too far.
    pub(super) fn bytes(mut self, name: &str) -> Result<(Bytes, u64), Failure> {
        let mut entry = self.0.by_name(name).map_err(unreadable)?;
        let (size, place) = (entry.size(), entry.data_start());
        if let (CompressionMethod::Stored, Some(start)) = (entry.compression(), place) {
            std::io::copy(&mut entry, &mut std::io::sink()).map_err(|e| damaged(&e))?;
            drop(entry);
            return Ok((Bytes::File(self.0.into_inner().into_inner()), start));
        }
        let too_large = || {
            Failure::exhausted(format!(
                "{name:?} expands to more than {EXPANDED} bytes; save it without compression"
            ))
        };
        if size > EXPANDED {
            return Err(too_large());
        }
        let mut bytes = Vec::new();
        let read = (&mut entry).take(EXPANDED + 1).read_to_end(&mut bytes);
        read.map_err(|e| damaged(&e))?;
        match u64::try_from(bytes.len()).is_ok_and(|n| n <= EXPANDED) {
            true => Ok((Bytes::Memory(bytes), 0)),
            false => Err(too_large()),
        }
    }
}

fn damaged(error: &std::io::Error) -> Failure {
    Failure::corrupt(format!("it is damaged ({error}); copy or save it again"))
}

fn unreadable(error: ZipError) -> Failure {
    match error {
        ZipError::CompressionMethodNotSupported(_) => Failure::corrupt(
            "it is compressed in a way that is not read here; save it with numpy.savez_compressed",
        ),
        ZipError::Io(e) => damaged(&e),
        error => Failure::corrupt(format!(
            "it is no zip archive that can be read, as .npz and .pt files are: {error}"
        )),
    }
}
