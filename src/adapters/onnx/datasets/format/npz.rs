//! `.npz`: named arrays in a zip archive, each one an `.npy`.

use std::fs::File;
use std::path::Path;

use super::npy;
use super::zipped::Zipped;
use crate::datasets::array::{Found, LABELS, SAMPLES};
use crate::failure::Failure;
use delta_domain::npy::{Header, MAX_PREFIX};

/// Arrays that a description names.
const NAMED: usize = 8;

/// Opens the first array of `names`. Entries may lack the `.npy` that NumPy gives them.
pub(super) fn find(file: File, names: &[&str]) -> Result<Found, Failure> {
    let mut archive = Zipped::of(file)?;
    let entries = archive.names()?;
    let Some((name, entry)) = names
        .iter()
        .find_map(|name| Some((*name, entry_of(&entries, name)?)))
    else {
        nested(&entries)?;
        return Ok(Found::Others(
            entries.iter().map(|e| array_name(e).to_owned()).collect(),
        ));
    };
    let within = |f: Failure| f.within(&format!("array {name}"));
    let header = header(&mut archive, entry).map_err(within)?;
    let size = archive.size(entry).map_err(within)?;
    let needed = header.data_start().saturating_add(header.data_bytes());
    if u64::try_from(needed).is_ok_and(|needed| needed > size) {
        return Err(within(Failure::corrupt("it ends before its last number")));
    }
    let (bytes, start) = archive.bytes(entry).map_err(within)?;
    let array = npy::within(bytes, start, &header).map_err(within)?;
    Ok(Found::Array(Box::new(array)))
}

/// Its arrays with their shapes and types, those first that tasks read.
///
/// # Errors
/// What no task could read.
pub(super) fn describe(path: &Path) -> Result<String, Failure> {
    let mut archive = Zipped::open(path)?;
    let entries = archive.names()?;
    let read: Vec<&String> = [SAMPLES, LABELS]
        .iter()
        .filter_map(|names| names.iter().find_map(|name| entry_of(&entries, name)))
        .collect();
    if entries.is_empty() {
        return Err(Failure::corrupt("it holds no arrays"));
    }
    if SAMPLES.iter().all(|n| entry_of(&entries, n).is_none()) {
        nested(&entries)?;
        let names: Vec<&str> = entries.iter().take(NAMED).map(|e| array_name(e)).collect();
        return Err(Failure::corrupt(no_samples(&names)));
    }
    let mut told = Vec::new();
    let others = entries.iter().filter(|e| !read.contains(e));
    for entry in read.iter().copied().chain(others).take(NAMED) {
        let name = array_name(entry);
        match header(&mut archive, entry) {
            Ok(header) => told.push(super::told(name, header.shape(), header.form().name())),
            Err(f) if read.contains(&entry) => return Err(f.within(&format!("array {name}"))),
            Err(_) => told.push(format!("{name} (not read)")),
        }
    }
    Ok(super::arrays(&told, entries.len()))
}

/// That none of a file's arrays is one that tasks read.
pub(super) fn no_samples(names: &[&str]) -> String {
    format!(
        "it holds {}; tasks read {} and, for labels, {}: rename the arrays",
        names.join(", "),
        SAMPLES.join(" or "),
        LABELS.join(" or ")
    )
}

fn header(archive: &mut Zipped, entry: &str) -> Result<Header, Failure> {
    npy::header(archive.start(entry, MAX_PREFIX)?.as_slice())
}

fn entry_of<'e>(entries: &'e [String], name: &str) -> Option<&'e String> {
    let full = format!("{name}.npy");
    let find = |wanted: &str| entries.iter().find(|e| *e == wanted);
    find(&full).or_else(|| find(name))
}

fn array_name(entry: &str) -> &str {
    entry.strip_suffix(".npy").unwrap_or(entry)
}

/// Says so where the arrays lie deeper.
fn nested(entries: &[String]) -> Result<(), Failure> {
    let deep = |e: &&String| {
        e.contains('/')
            || [".npz", ".zip"]
                .iter()
                .any(|ending| e.to_ascii_lowercase().ends_with(ending))
    };
    match entries.iter().find(deep) {
        Some(entry) => Err(Failure::corrupt(format!(
            "{entry:?} lies in a folder or an archive inside of it; put x.npy and y.npy at the top of the archive, as numpy.savez does"
        ))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::convert::Numbers;
    use crate::datasets::format::{npy_bytes, zip_of};

    fn array(path: &Path, name: &str) -> Result<Numbers, Failure> {
        match find(File::open(path).unwrap(), &[name])? {
            Found::Array(mut array) => array.rows(&[0]),
            Found::Others(others) => Err(Failure::corrupt(others.join(" "))),
        }
    }

    #[test]
    fn stored_and_compressed_entries_are_read_and_described() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.npz");
        let x = npy_bytes("|u1", "(1, 2)", &[7, 255]);
        let y = npy_bytes("<f4", "(1,)", &1f32.to_le_bytes());
        for compressed in [false, true] {
            for entry in ["x.npy", "x"] {
                zip_of(&path, &[("y.npy", &y), (entry, &x)], compressed);
                assert_eq!(array(&path, "x").unwrap(), Numbers::Whole(vec![7, 255]));
                assert_eq!(array(&path, "y").unwrap(), Numbers::Single(vec![1.0]));
                assert_eq!(
                    describe(&path).unwrap(),
                    "arrays: x, shape [1, 2], uint8; y, shape [1], float32"
                );
            }
        }
        let mut bytes = std::fs::read(&path).unwrap();
        zip_of(&path, &[("x.npy", &x)], false);
        let sound = std::fs::read(&path).unwrap();
        let at = sound.windows(2).position(|w| w == [7, 255]).unwrap();
        bytes.clone_from(&sound);
        bytes[at] = 8;
        std::fs::write(&path, bytes).unwrap();
        let message = array(&path, "x").unwrap_err().message;
        assert!(message.contains("damaged"), "{message}");
    }

    #[test]
    fn what_tasks_cannot_read_is_said() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.npz");
        let x = npy_bytes("|u1", "(1,)", &[7]);
        for (entry, said) in [
            (
                "images.npy",
                "it holds images; tasks read x or arr_0 and, for labels, y or arr_1",
            ),
            ("data/x.npy", "\"data/x.npy\" lies in a folder"),
            ("x.npz", "\"x.npz\" lies in a folder or an archive"),
        ] {
            zip_of(&path, &[(entry, &x)], false);
            let message = describe(&path).unwrap_err().message;
            assert!(message.contains(said), "{message}");
        }
        // The flag of encryption, in both headers.
        zip_of(&path, &[("x.npy", &x)], false);
        let mut bytes = std::fs::read(&path).unwrap();
        let central = bytes.windows(4).position(|w| w == *b"PK\x01\x02").unwrap();
        bytes[6] |= 1;
        bytes[central + 8] |= 1;
        std::fs::write(&path, bytes).unwrap();
        let message = array(&path, "x").unwrap_err().message;
        assert!(message.contains("encrypted with a password"), "{message}");
    }
}
