//! The formats of local data: the one place that knows endings and first bytes, and who reads what.
//!
//! A new format is a variant of [`Format`] with its [`Profile`], and a file beside the other readers below. Nothing else changes.

mod commas;
mod npy;
mod npz;
mod picture;
mod spaces;

#[cfg(test)]
pub(super) use npy::bytes as npy_bytes;

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use super::array::{ArrayFile, Found};
use super::table::{self, TableFile};
use crate::failure::Failure;

/// A kind of file that datasets are made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// A table whose cells are separated by commas.
    Commas,
    /// A table whose cells are separated by white space.
    Spaces,
    /// An image in any format that is decoded here.
    Picture,
    /// One array, as NumPy saves it.
    Npy,
    /// Named arrays, as NumPy saves them in a zip archive.
    Npz,
}

type OpenTable = fn(&Path) -> Result<Box<dyn TableFile>, Failure>;
type FindArray = fn(File, &[&str]) -> Result<Found, Failure>;
type AppendSample = fn(&Path, &[usize], &mut Vec<f32>) -> Result<(), Failure>;

/// How a format is known, and what it can be read as.
struct Profile {
    /// Endings, in lower case, as messages suggest them.
    endings: &'static [&'static str],
    /// Endings that are read, but not suggested.
    spellings: &'static [&'static str],
    /// First bytes; they decide where a name has no ending.
    magic: Option<[u8; 4]>,
    /// Opens it as a table.
    table: Option<OpenTable>,
    /// Finds the first array of some names in it.
    array: Option<FindArray>,
    /// Appends it as one sample of a shape.
    sample: Option<AppendSample>,
    /// Says in plain words what the file holds.
    describe: fn(&Path) -> Result<String, Failure>,
}

impl Format {
    /// In the order in which messages suggest them.
    const ALL: [Self; 5] = [
        Self::Commas,
        Self::Spaces,
        Self::Picture,
        Self::Npy,
        Self::Npz,
    ];

    /// The format of a file: by the ending of its name or, where the name has none, by its first bytes.
    pub(super) fn of(path: &Path) -> Option<Self> {
        let Some(ending) = ending(path) else {
            let mut start = [0u8; 4];
            File::open(path)
                .and_then(|mut f| f.read_exact(&mut start))
                .ok()?;
            return Self::ALL
                .into_iter()
                .find(|f| f.profile().magic == Some(start));
        };
        Self::ALL.into_iter().find(|f| {
            let Profile {
                endings, spellings, ..
            } = f.profile();
            endings.iter().chain(spellings).any(|e| *e == ending)
        })
    }

    fn profile(self) -> Profile {
        match self {
            Self::Commas => Profile {
                endings: &["csv"],
                spellings: &[],
                magic: None,
                table: Some(commas::open),
                array: None,
                sample: None,
                describe: |path| table::describe(&mut *commas::open(path)?),
            },
            Self::Spaces => Profile {
                endings: &["tsv", "txt"],
                spellings: &[],
                magic: None,
                table: Some(spaces::open),
                array: None,
                sample: None,
                describe: |path| table::describe(&mut *spaces::open(path)?),
            },
            Self::Picture => Profile {
                endings: &["png", "jpg", "bmp"],
                spellings: &["jpeg"],
                magic: None,
                table: None,
                array: None,
                sample: Some(picture::append),
                describe: |_| Ok("image".to_owned()),
            },
            Self::Npy => Profile {
                endings: &["npy"],
                spellings: &[],
                magic: Some(*b"\x93NUM"),
                table: None,
                array: Some(npy::find),
                sample: Some(npy::append),
                describe: npy::describe,
            },
            Self::Npz => Profile {
                endings: &["npz"],
                spellings: &[],
                magic: Some(*b"PK\x03\x04"),
                table: None,
                array: Some(npz::find),
                sample: None,
                describe: npz::describe,
            },
        }
    }
}

/// Endings that a task may leave out of a dataset's name: those of formats that are a dataset in one file.
pub(super) fn dataset_endings() -> impl Iterator<Item = &'static str> {
    let profiles = Format::ALL.into_iter().map(Format::profile);
    profiles
        .filter(|p| p.table.is_some() || p.array.is_some())
        .flat_map(|p| p.endings)
        .copied()
}

/// Opens a file as a table.
pub(super) fn table(path: &Path) -> Result<Box<dyn TableFile>, Failure> {
    match Format::of(path).and_then(|f| f.profile().table) {
        Some(open) => open(path),
        None => Err(Failure::corrupt(format!(
            "the task expects a table: a file whose name ends in {}",
            suggested(|p| p.table.is_some())
        ))),
    }
}

/// Opens the first array of these names; a file of one array answers to [`UNNAMED`](super::array::UNNAMED).
pub(super) fn array(path: &Path, names: &[&str]) -> Result<Box<dyn ArrayFile>, Failure> {
    match find(path, names)? {
        Found::Array(array) => Ok(array),
        Found::Others(others) => Err(Failure::corrupt(format!(
            "it holds no array {}, only {others:?}",
            names.join(" or ")
        ))),
    }
}

/// The same, `None` when the file has no array of these names.
pub(super) fn optional_array(
    path: &Path,
    names: &[&str],
) -> Result<Option<Box<dyn ArrayFile>>, Failure> {
    Ok(match find(path, names)? {
        Found::Array(array) => Some(array),
        Found::Others(_) => None,
    })
}

fn find(path: &Path, names: &[&str]) -> Result<Found, Failure> {
    let file = File::open(path).map_err(|e| Failure::unreadable("it", &e))?;
    match Format::of(path).and_then(|f| f.profile().array) {
        Some(find) => find(file, names),
        None => Err(Failure::corrupt(format!(
            "files ending in {:?} are not read here; use {}",
            ending(path).unwrap_or_default(),
            suggested(|p| p.array.is_some())
        ))),
    }
}

/// Appends one sample, which must have exactly `shape`.
pub(super) fn sample(path: &Path, shape: &[usize], out: &mut Vec<f32>) -> Result<(), Failure> {
    (sample_reader(path)?)(path, shape, out)
}

/// Whether a file is of a format that can be a sample.
pub(super) fn is_sample(path: &Path) -> Result<(), Failure> {
    sample_reader(path).map(drop)
}

fn sample_reader(path: &Path) -> Result<AppendSample, Failure> {
    match Format::of(path).and_then(|f| f.profile().sample) {
        Some(read) => Ok(read),
        None => Err(Failure::corrupt(format!(
            "it is no sample: use {}, and move other files out of the dataset",
            suggested(|p| p.sample.is_some())
        ))),
    }
}

/// What a file holds, in plain words.
pub(super) fn describe(path: &Path) -> Result<String, Failure> {
    match Format::of(path) {
        Some(format) => (format.profile().describe)(path),
        None => Err(Failure::corrupt(format!(
            "files ending in {:?} are not read by tasks",
            ending(path).unwrap_or_default()
        ))),
    }
}

/// The ending of a name, in lower case.
fn ending(path: &Path) -> Option<String> {
    let ending = path.extension().and_then(|e| e.to_str());
    ending.map(str::to_ascii_lowercase)
}

/// The endings of some formats as a message lists them: `.a, .b or .c`.
fn suggested(which: impl Fn(&Profile) -> bool) -> String {
    let endings: Vec<String> = Format::ALL
        .into_iter()
        .map(Format::profile)
        .filter(which)
        .flat_map(|p| p.endings)
        .map(|e| format!(".{e}"))
        .collect();
    match endings.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} or {last}", others.join(", ")),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_an_ending_is_known_by_its_first_bytes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("digits");
        std::fs::write(&path, b"PK\x03\x04rest").unwrap();
        assert_eq!(Format::of(&path), Some(Format::Npz));
        std::fs::write(&path, b"1,2").unwrap();
        assert_eq!(Format::of(&path), None);
    }

    #[test]
    fn an_ending_belongs_to_one_format_and_comes_before_first_bytes() {
        let mut endings: Vec<&str> = Format::ALL
            .into_iter()
            .map(Format::profile)
            .flat_map(|p| p.endings.iter().chain(p.spellings))
            .copied()
            .collect();
        let all = endings.len();
        endings.sort_unstable();
        endings.dedup();
        assert_eq!(endings.len(), all);
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("digits.CSV");
        std::fs::write(&path, b"PK\x03\x04rest").unwrap();
        assert_eq!(Format::of(&path), Some(Format::Commas));
    }

    #[test]
    fn messages_suggest_what_would_be_read() {
        let message = |f: Failure| f.message;
        let path = Path::new("/data/notes.doc");
        assert_eq!(
            table(path).err().map(message).unwrap(),
            "the task expects a table: a file whose name ends in .csv, .tsv or .txt"
        );
        assert_eq!(
            sample(path, &[1], &mut Vec::new()).map_err(message),
            Err("it is no sample: use .png, .jpg, .bmp or .npy, and move other files out of the dataset".to_owned())
        );
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notes.DOC");
        std::fs::write(&path, b"").unwrap();
        assert_eq!(
            array(&path, &["x"]).err().map(message).unwrap(),
            "files ending in \"doc\" are not read here; use .npy or .npz"
        );
        assert_eq!(
            describe(&path).map_err(message),
            Err("files ending in \"doc\" are not read by tasks".to_owned())
        );
    }
}
