//! The formats of local data: the one place that knows endings and first bytes, and who reads what.
//!
//! A new format is a variant of [`Format`] with its [`Profile`], and a file beside the other readers below. Nothing else changes.

mod arrow;
mod columns;
mod excel;
mod npy;
mod npz;
mod parquet;
mod picture;
mod pt;
mod sqlite;
mod zipped;

#[cfg(test)]
pub(super) use npy::bytes as npy_bytes;

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use super::array::{ArrayFile, Found};
use super::table::{self, Opening, TableFile, UNTYPED};
use super::text;
use crate::failure::Failure;
use delta_domain::dialect::Dialect;

/// Endings of compressed files; what is in them has its own ending before.
const COMPRESSED: [&str; 3] = ["gz", "zst", "zstd"];

/// First bytes that tell a format.
const START: u64 = 16;

/// A kind of file that datasets are made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// A table whose cells are separated by commas.
    Commas,
    /// A table whose cells are separated by tabs.
    Tabs,
    /// A table of text whose name says nothing more.
    Text,
    /// A table of columns.
    Parquet,
    /// A table of columns, as Arrow has them in memory.
    Arrow,
    /// Sheets of a workbook.
    Excel,
    /// Tables of a database in one file.
    Sqlite,
    /// An image in any format that is decoded here.
    Picture,
    /// One array, as NumPy saves it.
    Npy,
    /// Named arrays, as NumPy saves them in a zip archive.
    Npz,
    /// One tensor or named tensors, as torch saves them.
    Pt,
}

type OpenTable = fn(&Path, Opening<'_>) -> Result<Box<dyn TableFile>, Failure>;
type FindArray = fn(File, &[&str]) -> Result<Found, Failure>;
type AppendSample = fn(&Path, &[usize], &mut Vec<f32>) -> Result<(), Failure>;
type FitSample = fn(&Path, &[usize]) -> Result<Option<Scale>, Failure>;

/// The largest value that a file's numbers can have, where its format bounds them.
pub(super) type Scale = u16;

/// Settings about a text.
const OF_TEXT: &[&str] = &[
    "delimiter",
    "decimal",
    "thousands",
    "quote",
    "encoding",
    "skip",
    "comment",
    "missing",
    "dates",
];

/// How a format is known, and what it can be read as.
struct Profile {
    /// Endings, in lower case, as messages suggest them.
    endings: &'static [&'static str],
    /// Endings that are read, but not suggested.
    spellings: &'static [&'static str],
    /// Whether a file begins so; that decides where a name has no ending.
    begins: fn(&[u8]) -> bool,
    /// Settings of an owner that say something about it.
    settings: &'static [&'static str],
    /// Opens it as a table.
    table: Option<OpenTable>,
    /// Finds the first array of some names in it.
    array: Option<FindArray>,
    /// Appends it as one sample of a shape.
    sample: Option<AppendSample>,
    /// Whether it is one whole sample of a shape, as far as that is seen without decoding it.
    fits: Option<FitSample>,
    /// Says in plain words what the file holds.
    describe: fn(&Path, &Dialect) -> Result<String, Failure>,
}

impl Format {
    /// In the order in which messages suggest them.
    const ALL: [Self; 11] = [
        Self::Commas,
        Self::Tabs,
        Self::Text,
        Self::Parquet,
        Self::Arrow,
        Self::Excel,
        Self::Sqlite,
        Self::Picture,
        Self::Npy,
        Self::Npz,
        Self::Pt,
    ];

    /// The format of a file: by the ending of its name or, where that says nothing, by its first bytes.
    ///
    /// Where an ending is there, but none of those below, first bytes find pictures only: other programs store in archives, too.
    pub(super) fn of(path: &Path) -> Option<Self> {
        let ending = ending(path);
        let named = Self::ALL.into_iter().find(|f| {
            let Profile {
                endings, spellings, ..
            } = f.profile();
            let mut all = endings.iter().chain(spellings);
            ending
                .as_ref()
                .is_some_and(|ending| all.any(|e| e == ending))
        });
        if named.is_some() {
            return named;
        }
        let mut start = Vec::new();
        File::open(path)
            .and_then(|f| f.take(START).read_to_end(&mut start))
            .ok()?;
        let begun = Self::ALL.into_iter();
        let begun = { begun }.find(|f| (f.profile().begins)(&start))?;
        match begun {
            Self::Npz if ending.is_none() && pt::is_torch(path) => Some(Self::Pt),
            format if ending.is_none() || format == Self::Picture => Some(format),
            _ => None,
        }
    }

    /// Whether columns have their names beside the rows, and not in the first of them.
    pub(super) const fn has_schema(self) -> bool {
        matches!(self, Self::Parquet | Self::Arrow | Self::Sqlite)
    }

    fn profile(self) -> Profile {
        match self {
            Self::Commas => Profile {
                endings: &["csv"],
                spellings: &[],
                begins: |_| false,
                settings: OF_TEXT,
                table: Some(text::commas),
                array: None,
                sample: None,
                fits: None,
                describe: |path, said| table::describe(&mut *text::commas(path, plainly(said))?),
            },
            Self::Tabs => Profile {
                endings: &["tsv"],
                spellings: &["tab"],
                begins: |_| false,
                settings: OF_TEXT,
                table: Some(text::tabs),
                array: None,
                sample: None,
                fits: None,
                describe: |path, said| table::describe(&mut *text::tabs(path, plainly(said))?),
            },
            Self::Text => Profile {
                endings: &["txt"],
                spellings: &["dat"],
                begins: |_| false,
                settings: OF_TEXT,
                table: Some(text::plain),
                array: None,
                sample: None,
                fits: None,
                describe: |path, said| table::describe(&mut *text::plain(path, plainly(said))?),
            },
            Self::Parquet => Profile {
                endings: &["parquet"],
                spellings: &["pq", "parq"],
                begins: parquet::begins,
                settings: &["missing", "dates"],
                table: Some(parquet::open),
                array: None,
                sample: None,
                fits: None,
                describe: |path, said| table::describe(&mut *parquet::open(path, plainly(said))?),
            },
            Self::Arrow => Profile {
                endings: &["arrow", "feather"],
                spellings: &["arrows", "ipc"],
                begins: arrow::begins,
                settings: &["missing", "dates"],
                table: Some(arrow::open),
                array: None,
                sample: None,
                fits: None,
                describe: |path, said| table::describe(&mut *arrow::open(path, plainly(said))?),
            },
            Self::Excel => Profile {
                endings: &["xlsx", "xls", "ods"],
                spellings: &["xlsm", "xlsb"],
                begins: excel::begins,
                settings: &["sheet", "skip", "decimal", "thousands", "missing", "dates"],
                table: Some(excel::open),
                array: None,
                sample: None,
                fits: None,
                describe: |path, said| table::describe(&mut *excel::open(path, plainly(said))?),
            },
            Self::Sqlite => Profile {
                endings: &["sqlite"],
                spellings: &["sqlite3", "db", "db3"],
                begins: sqlite::begins,
                settings: &["table", "decimal", "thousands", "missing", "dates"],
                table: Some(sqlite::open),
                array: None,
                sample: None,
                fits: None,
                describe: |path, said| table::describe(&mut *sqlite::open(path, plainly(said))?),
            },
            Self::Picture => Profile {
                endings: &["png", "jpg", "bmp", "tif"],
                spellings: &["jpeg", "jpe", "jfif", "dib", "tiff"],
                begins: picture::begins,
                settings: &[],
                table: None,
                array: None,
                sample: Some(picture::append),
                fits: Some(|path, shape| picture::fits(path, shape).map(Some)),
                describe: |_, _| Ok("image".to_owned()),
            },
            Self::Npy => Profile {
                endings: &["npy"],
                spellings: &[],
                begins: |start| start.starts_with(b"\x93NUM"),
                settings: &[],
                table: None,
                array: Some(npy::find),
                sample: Some(npy::append),
                fits: Some(|path, shape| npy::fits(path, shape).map(|()| None)),
                describe: |path, _| npy::describe(path),
            },
            Self::Npz => Profile {
                endings: &["npz"],
                spellings: &[],
                begins: |start| start.starts_with(b"PK\x03\x04"),
                settings: &[],
                table: None,
                array: Some(npz::find),
                sample: None,
                fits: None,
                describe: |path, _| npz::describe(path),
            },
            Self::Pt => Profile {
                endings: &["pt"],
                spellings: &["pth"],
                // An archive like NumPy's; `of` looks into it.
                begins: |_| false,
                settings: &[],
                table: None,
                array: Some(pt::find),
                sample: Some(pt::append),
                fits: Some(|path, shape| pt::fits(path, shape).map(|()| None)),
                describe: |path, _| pt::describe(path),
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

/// For the eyes of its owner: with a header, and every row counts.
pub(super) fn plainly(said: &Dialect) -> Opening<'_> {
    Opening {
        said,
        header: true,
        noised: false,
        types: &UNTYPED,
    }
}

/// Whether all that its owner says about a file or folder can be said about one of its format.
pub(super) fn suits(path: &Path, said: &Dialect) -> Result<(), Failure> {
    let (settings, what) = match Format::of(path) {
        _ if path.is_dir() => (&[][..], "a folder".to_owned()),
        Some(format) => {
            let profile = format.profile();
            let ending = profile.endings.first().copied().unwrap_or_default();
            (profile.settings, format!("a file like .{ending}"))
        }
        None => return Ok(()),
    };
    let packed = path.extension().and_then(|e| e.to_str());
    let packed = packed.is_some_and(|e| COMPRESSED.contains(&e.to_ascii_lowercase().as_str()));
    if packed && settings != OF_TEXT && path.is_file() {
        return Err(Failure::corrupt(
            "it is compressed as a whole; only texts are read so, so unpack it",
        ));
    }
    let of_others = said.said().into_iter().find(|key| !settings.contains(key));
    of_others.map_or(Ok(()), |key| {
        Err(Failure::corrupt(format!(
            "the setting `{key}` says nothing about {what}; take it out"
        )))
    })
}

/// The digest of the query that a file is the answer to; `None` for any other.
pub(super) fn answered(path: &Path) -> Result<Option<String>, Failure> {
    match Format::of(path) {
        Some(Format::Parquet) => parquet::answered(path),
        _ => Ok(None),
    }
}

/// Opens a file as a table.
pub(super) fn table(path: &Path, opening: Opening<'_>) -> Result<Box<dyn TableFile>, Failure> {
    suits(path, opening.said)?;
    match Format::of(path).and_then(|f| f.profile().table) {
        Some(open) => open(path, opening),
        None => Err(Failure::corrupt(format!(
            "the task expects a table: a file whose name ends in {}",
            suggested(|p| p.table.is_some())
        ))),
    }
}

/// Whether a file can hold arrays.
pub(super) fn is_array(path: &Path) -> bool {
    Format::of(path).is_some_and(|f| f.profile().array.is_some())
}

/// Endings of tables, of arrays and of samples, as messages suggest them.
pub(super) fn suggested_endings() -> [String; 3] {
    [
        suggested(|p| p.table.is_some()),
        suggested(|p| p.array.is_some()),
        suggested(|p| p.sample.is_some()),
    ]
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

/// Whether a file is one whole sample of `shape`, as far as that is seen without decoding it.
pub(super) fn fits(path: &Path, shape: &[usize]) -> Result<Option<Scale>, Failure> {
    match Format::of(path).and_then(|f| f.profile().fits) {
        Some(fits) => fits(path, shape),
        None => Err(no_sample()),
    }
}

/// Whether a file is of a format that can be a sample.
pub(super) fn is_sample(path: &Path) -> Result<(), Failure> {
    sample_reader(path).map(drop)
}

fn sample_reader(path: &Path) -> Result<AppendSample, Failure> {
    match Format::of(path).and_then(|f| f.profile().sample) {
        Some(read) => Ok(read),
        None => Err(no_sample()),
    }
}

fn no_sample() -> Failure {
    Failure::corrupt(format!(
        "it is no sample: use {}, and move other files out of the dataset",
        suggested(|p| p.sample.is_some())
    ))
}

/// An array as descriptions name it.
fn told(name: &str, shape: &[usize], kind: &str) -> String {
    let short: String = name.chars().take(80).collect();
    format!("{short}, shape {shape:?}, {kind}")
}

/// Some of a file's arrays, and how many more there are.
fn arrays(told: &[String], all: usize) -> String {
    let more = all.saturating_sub(told.len());
    let mut text = format!("arrays: {}", told.join("; "));
    if more > 0 {
        text.push_str(&format!("; and {more} more"));
    }
    text
}

/// What a file holds, in plain words.
pub(super) fn describe(path: &Path, said: &Dialect) -> Result<String, Failure> {
    suits(path, said)?;
    match Format::of(path) {
        Some(format) => (format.profile().describe)(path, said),
        None => Err(Failure::corrupt(format!(
            "files ending in {:?} are not read by tasks",
            ending(path).unwrap_or_default()
        ))),
    }
}

/// The ending of a name, in lower case; of a compressed file's name the one before.
fn ending(path: &Path) -> Option<String> {
    let lower = |path: &Path| {
        let ending = path.extension().and_then(|e| e.to_str());
        ending.map(str::to_ascii_lowercase)
    };
    let last = lower(path)?;
    match COMPRESSED.contains(&last.as_str()) {
        true => path
            .file_stem()
            .and_then(|stem| lower(Path::new(stem)))
            .or(Some(last)),
        false => Some(last),
    }
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

/// Writes an archive of these files.
#[cfg(test)]
pub(super) fn zip_of(path: &Path, entries: &[(&str, &[u8])], compressed: bool) {
    use std::io::Write as _;
    let method = match compressed {
        true => zip::CompressionMethod::Deflated,
        false => zip::CompressionMethod::Stored,
    };
    let options = zip::write::SimpleFileOptions::default().compression_method(method);
    let mut zip = zip::ZipWriter::new(File::create(path).unwrap());
    for (name, data) in entries {
        zip.start_file(*name, options).unwrap();
        zip.write_all(data).unwrap();
    }
    zip.finish().unwrap();
}

#[cfg(test)]
mod tests;
