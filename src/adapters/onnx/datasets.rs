//! The node's data, as graphs read them: rows of a table, of samples or of an array (DESIGN.md section 5).
//!
//! One file a format. Only what a task declares is kept: declared columns of a table, the rows of the batch from arrays and folders.
//! Values are converted, never scaled: a pixel is 0 to 255 unless the graph divides it.
//! Links inside a dataset that lead out of it are refused.

mod folder;
mod npy;
mod samples;
mod summary;
mod table;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::failure::Failure;
use delta_domain::ids::DatasetName;
use delta_domain::manifest::{DataField, DatasetSpec, Driver, Manifest, Part, Source};
use delta_domain::tensor::Tensor;

pub(crate) use summary::describe;

/// The rows of a table with a header, when it can be read.
#[cfg(feature = "testing")]
pub(super) fn table_rows(path: &Path, columns: &[String]) -> Option<usize> {
    table::Table::load(path, columns, true)
        .ok()
        .map(|t| t.len())
}

/// Something with rows.
pub(crate) trait Rows: Send {
    /// Number of rows.
    fn len(&self) -> usize;

    /// A field of some rows, in the given order.
    fn read(&mut self, field: &DataField, rows: &[usize]) -> Result<Tensor, Failure>;

    /// A field of all rows.
    fn whole(&mut self, field: &DataField) -> Result<Tensor, Failure> {
        let all: Vec<usize> = (0..self.len()).collect();
        self.read(field, &all)
    }
}

/// The datasets of a job, opened when first read.
pub(crate) struct Datasets<'a> {
    specs: Option<&'a BTreeMap<DatasetName, DatasetSpec>>,
    paths: BTreeMap<DatasetName, PathBuf>,
    open: BTreeMap<(DatasetName, bool, bool), Box<dyn Rows>>,
}

impl<'a> Datasets<'a> {
    pub(crate) fn new(
        specs: &'a BTreeMap<DatasetName, DatasetSpec>,
        paths: BTreeMap<DatasetName, PathBuf>,
    ) -> Self {
        Self {
            specs: Some(specs),
            paths,
            open: BTreeMap::new(),
        }
    }

    /// For reduces, which see no data.
    pub(crate) fn none() -> Self {
        Self {
            specs: None,
            paths: BTreeMap::new(),
            open: BTreeMap::new(),
        }
    }

    /// A dataset, or one part of it.
    pub(crate) fn open(
        &mut self,
        name: &DatasetName,
        part: Option<Part>,
    ) -> Result<&mut dyn Rows, Failure> {
        let key = (
            name.clone(),
            part == Some(Part::Train),
            part == Some(Part::Val),
        );
        if !self.open.contains_key(&key) {
            let spec = self.specs.and_then(|s| s.get(name));
            let spec = spec.ok_or_else(|| {
                Failure::refused(format!("the task does not declare the dataset {name}"))
            })?;
            let path = self
                .paths
                .get(name)
                .ok_or_else(|| Failure::not_found(format!("there is no dataset {name}")))?;
            let rows = open(path, spec, part).map_err(|f| f.within(&format!("dataset {name}")))?;
            self.open.insert(key.clone(), rows);
        }
        let rows = self
            .open
            .get_mut(&key)
            .ok_or_else(|| Failure::internal("an opened dataset vanished"))?;
        Ok(&mut **rows)
    }
}

fn open(path: &Path, spec: &DatasetSpec, part: Option<Part>) -> Result<Box<dyn Rows>, Failure> {
    if part.is_some() && !path.is_dir() {
        return Err(Failure::corrupt(
            "the task reads its train/ or val/ part, but it is one file",
        ));
    }
    match spec {
        DatasetSpec::Table { columns, header } => {
            Ok(Box::new(table::Table::load(path, columns, *header)?))
        }
        DatasetSpec::Samples { shape, classes } if path.is_dir() => {
            Ok(Box::new(folder::Folder::open(path, shape, classes, part)?))
        }
        DatasetSpec::Samples { shape, classes } => Ok(Box::new(samples::Samples::open(
            path,
            shape,
            !classes.is_empty(),
        )?)),
        DatasetSpec::Array { shape, dtype } => {
            Ok(Box::new(samples::Array::open(path, shape, *dtype)?))
        }
    }
}

/// Endings that a task may leave out of a dataset's name.
const ENDINGS: [&str; 5] = ["npz", "npy", "csv", "tsv", "txt"];

/// The path of a dataset inside `root`, which must be canonical: the file or folder of that name, or else the one file that has it
/// before its ending (`digits` finds `digits.npz`).
pub(crate) fn locate(root: &Path, name: &DatasetName) -> Result<PathBuf, Failure> {
    let mut path = root.join(name.as_str());
    if path.symlink_metadata().is_err() {
        let mut longer = ENDINGS
            .iter()
            .map(|e| root.join(format!("{name}.{e}")))
            .filter(|p| p.is_file());
        if let (Some(only), None) = (longer.next(), longer.next()) {
            path = only;
        }
    }
    let real = path.canonicalize().map_err(|_| {
        Failure::not_found(format!(
            "there is no dataset {name} in {}; put the file or folder there",
            root.display()
        ))
    })?;
    if !real.starts_with(root) || real == root {
        return Err(Failure::not_found(format!(
            "dataset {name} is a link that leads out of {}; copy the data or change data_dir",
            root.display()
        )));
    }
    Ok(real)
}

/// Compares a dataset with what the task expects of it, reading as little as that takes.
pub(crate) fn inspect(path: &Path, name: &DatasetName, manifest: &Manifest) -> Result<(), Failure> {
    let spec = manifest
        .datasets
        .get(name)
        .ok_or_else(|| Failure::internal(format!("{name} is not declared")))?;
    let checked = match spec {
        DatasetSpec::Table { columns, header } => table::inspect(path, columns, *header),
        DatasetSpec::Samples { .. } | DatasetSpec::Array { .. } => {
            let mut parts: BTreeSet<(bool, bool)> = parts_read(manifest, name);
            parts.insert((false, false));
            parts.into_iter().try_for_each(|(train, val)| {
                let part = if train {
                    Some(Part::Train)
                } else {
                    val.then_some(Part::Val)
                };
                let mut rows = open(path, spec, part)?;
                if rows.len() == 0 {
                    return Err(Failure::corrupt("it has no sample"));
                }
                // The first row shows whether the shape is right; folders only list the rest.
                rows.read(&DataField::X, &[0]).map(|_| ())
            })
        }
    };
    checked.map_err(|f| f.within(&format!("dataset {name}")))
}

/// Which parts of a folder dataset the task reads, as (train, val).
fn parts_read(manifest: &Manifest, name: &DatasetName) -> BTreeSet<(bool, bool)> {
    let mut parts = BTreeSet::new();
    for step in manifest.rounds.iter().flat_map(|r| &r.map.steps) {
        let mut add =
            |part: Option<Part>| parts.extend(part.map(|p| (p == Part::Train, p == Part::Val)));
        if let Driver::Batches(b) = &step.driver
            && b.dataset == *name
        {
            add(b.subset.part);
        }
        for source in step.inputs.values() {
            if let Source::Data {
                dataset,
                subset: Some(subset),
                ..
            } = source
                && dataset == name
            {
                add(subset.part);
            }
        }
    }
    parts
}

/// The lower-case extension of a file; of a file without one, the extension that its first bytes call for.
fn extension(path: &Path) -> String {
    if let Some(extension) = path.extension().and_then(|e| e.to_str()) {
        return extension.to_ascii_lowercase();
    }
    let mut start = [0u8; 4];
    let read =
        std::fs::File::open(path).and_then(|mut f| std::io::Read::read_exact(&mut f, &mut start));
    match (read, &start) {
        (Ok(()), b"\x93NUM") => "npy".to_owned(),
        (Ok(()), b"PK\x03\x04") => "npz".to_owned(),
        _ => String::new(),
    }
}

/// An I/O error as a sentence about local data.
fn unreadable(what: &str, error: &std::io::Error) -> Failure {
    Failure::corrupt(format!("{what} cannot be read: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_find_files_inside_the_data_folder_only() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        let find = |name: &str| {
            locate(&root, &name.parse().unwrap()).map(|p| p.file_name().unwrap().to_owned())
        };
        std::fs::write(root.join("a.npz"), b"").unwrap();
        assert_eq!(find("a.npz").unwrap(), "a.npz");
        assert_eq!(find("a").unwrap(), "a.npz");
        std::fs::write(root.join("a.csv"), b"").unwrap();
        assert!(find("a").is_err(), "two files could be meant");
        std::fs::create_dir(root.join("a")).unwrap();
        assert_eq!(find("a").unwrap(), "a", "the exact name comes first");
        assert!(find("b").is_err());
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink("/etc/passwd", root.join("passwd.csv")).unwrap();
            assert!(
                find("passwd.csv")
                    .unwrap_err()
                    .message
                    .contains("leads out")
            );
            std::os::unix::fs::symlink("a.csv", root.join("alias.csv")).unwrap();
            assert_eq!(find("alias.csv").unwrap(), "a.csv");
        }
    }

    #[test]
    fn a_file_without_an_ending_is_known_by_its_first_bytes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("digits");
        std::fs::write(&path, b"PK\x03\x04rest").unwrap();
        assert_eq!(extension(&path), "npz");
        std::fs::write(&path, b"1,2").unwrap();
        assert_eq!(extension(&path), "");
    }
}
