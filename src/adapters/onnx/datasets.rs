//! The node's data, as graphs read them: rows of a table, of samples or of an array (docs/protocol/graphs.md, Datasets).
//!
//! Only what a task declares is kept: declared columns of a table, the rows of the batch from arrays and folders.
//! Values are converted, never scaled: a pixel is 0 to 255 unless the graph divides it.
//! Links inside a dataset that lead out of it are an error. Which file is of which format, and who reads it, only `format.rs` knows.

mod array;
mod folder;
mod format;
mod lines;
mod place;
mod rows;
mod samples;
mod summary;
mod table;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::failure::Failure;
use delta_domain::ids::DatasetName;
use delta_domain::manifest::{DataField, DatasetSpec, Manifest, Part, Source};

pub(crate) use place::locate;
pub(crate) use rows::Rows;
pub(crate) use summary::describe;

/// The rows of a table with a header, when it can be read.
#[cfg(feature = "testing")]
pub(super) fn table_rows(path: &Path, columns: &[String]) -> Option<usize> {
    let table = format::table(path).ok()?.load(columns, true, false).ok()?;
    Some(table.len())
}

/// What is opened once for a job: a dataset, whole or one part of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct DataPart {
    dataset: DatasetName,
    /// `None` for all of it.
    part: Option<Part>,
    /// Whether what cannot be read is left out.
    lenient: bool,
}

/// The datasets of a job, opened when first read.
pub(crate) struct Datasets<'a> {
    specs: Option<&'a BTreeMap<DatasetName, DatasetSpec>>,
    paths: BTreeMap<DatasetName, PathBuf>,
    open: BTreeMap<DataPart, Box<dyn Rows>>,
}

impl<'a> Datasets<'a> {
    /// The datasets that a task declares, at the paths where they lie.
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

    /// A dataset, or one part of it. `lenient`: a cell of a table that is no number is NaN.
    pub(crate) fn open(
        &mut self,
        name: &DatasetName,
        part: Option<Part>,
        lenient: bool,
    ) -> Result<&mut dyn Rows, Failure> {
        let wanted = DataPart {
            dataset: name.clone(),
            part,
            lenient,
        };
        if !self.open.contains_key(&wanted) {
            let spec = self.specs.and_then(|s| s.get(name));
            let spec = spec.ok_or_else(|| {
                Failure::rejected(format!("the task does not declare the dataset {name}"))
            })?;
            let path = self
                .paths
                .get(name)
                .ok_or_else(|| Failure::not_found(format!("there is no dataset {name}")))?;
            let rows = open(path, spec, part, lenient)
                .map_err(|f| f.within(&format!("dataset {name}")))?;
            self.open.insert(wanted.clone(), rows);
        }
        let rows = self
            .open
            .get_mut(&wanted)
            .ok_or_else(|| Failure::internal("an opened dataset vanished"))?;
        Ok(&mut **rows)
    }
}

fn open(
    path: &Path,
    spec: &DatasetSpec,
    part: Option<Part>,
    lenient: bool,
) -> Result<Box<dyn Rows>, Failure> {
    if part.is_some() && !path.is_dir() {
        return Err(Failure::corrupt(
            "the task reads its train/ or val/ part, but it is one file",
        ));
    }
    match spec {
        DatasetSpec::Table { columns, header } => Ok(Box::new(
            format::table(path)?.load(columns, *header, lenient)?,
        )),
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

/// Compares a dataset with what the task expects of it, reading as little as that takes.
pub(crate) fn inspect(path: &Path, name: &DatasetName, manifest: &Manifest) -> Result<(), Failure> {
    let spec = manifest
        .datasets
        .get(name)
        .ok_or_else(|| Failure::internal(format!("{name} is not declared")))?;
    let checked = match spec {
        DatasetSpec::Table { columns, header } => {
            format::table(path).and_then(|mut table| table.inspect(columns, *header))
        }
        DatasetSpec::Samples { .. } | DatasetSpec::Array { .. } => {
            let mut parts = parts_read(manifest, name);
            // All of it in any case.
            parts.insert(None);
            parts.into_iter().try_for_each(|part| {
                let mut rows = open(path, spec, part, false)?;
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

/// Which parts of a dataset the task reads by themselves; `None` stands for all of it.
fn parts_read(manifest: &Manifest, name: &DatasetName) -> BTreeSet<Option<Part>> {
    let mut parts = BTreeSet::new();
    for step in manifest.rounds.iter().flat_map(|r| &r.map.steps) {
        if let Some((walked, subset)) = step.driver.walks()
            && walked == name
        {
            parts.insert(subset.part);
        }
        for source in step.inputs.values() {
            if let Source::Data {
                dataset,
                subset: Some(subset),
                ..
            } = source
                && dataset == name
            {
                parts.insert(subset.part);
            }
        }
    }
    parts
}
