//! `.npz`: named arrays in a zip archive, each one an `.npy`.

use std::fs::File;
use std::io::{BufReader, Read as _};
use std::path::Path;

use super::npy::Npy;
use crate::datasets::array::Found;
use crate::failure::Failure;

/// Most bytes of an array, which has to be expanded in memory.
const EXPANDED: u64 = 16 << 30;
/// Arrays that a description names.
const NAMED: usize = 4;

/// Opens the first array of `names`.
pub(super) fn find(file: File, names: &[&str]) -> Result<Found, Failure> {
    let mut archive = zip::ZipArchive::new(BufReader::new(file)).map_err(no_archive)?;
    let entry_of = |name: &str| format!("{name}.npy");
    let found = names
        .iter()
        .find(|n| archive.index_for_name(&entry_of(n)).is_some());
    let Some(name) = found else {
        return Ok(Found::Others(array_names(&archive)));
    };
    let entry = archive.by_name(&entry_of(name)).map_err(no_archive)?;
    let mut bytes = Vec::new();
    entry
        .take(EXPANDED)
        .read_to_end(&mut bytes)
        .map_err(|e| Failure::unreadable("it", &e))?;
    let array = Npy::in_memory(bytes).map_err(|f| f.within(name))?;
    Ok(Found::Array(Box::new(array)))
}

/// The names of the first arrays. Expanding an archive only to show their shapes is not worth it.
pub(super) fn describe(path: &Path) -> Result<String, Failure> {
    let file = File::open(path).map_err(|e| Failure::unreadable("it", &e))?;
    let archive = zip::ZipArchive::new(BufReader::new(file)).map_err(no_archive)?;
    let mut names = array_names(&archive);
    if names.is_empty() {
        return Err(Failure::corrupt("it holds no arrays"));
    }
    names.truncate(NAMED);
    let what = if names.len() == 1 { "array" } else { "arrays" };
    Ok(format!("{what}, {}", names.join(", ")))
}

fn no_archive(error: zip::result::ZipError) -> Failure {
    Failure::corrupt(format!("it is not an .npz file: {error}"))
}

fn array_names(archive: &zip::ZipArchive<BufReader<File>>) -> Vec<String> {
    archive
        .file_names()
        .filter_map(|n| n.ok().map(|n| n.trim_end_matches(".npy").to_owned()))
        .collect()
}
