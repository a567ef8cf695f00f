//! The node's data, as graphs read them: rows of a table, of samples or of an array (docs/protocol/graphs.md, Datasets).
//!
//! Only what a task declares is kept: declared columns of a table, the rows of the batch from arrays and folders.
//! Values are converted, never scaled: a pixel is what is stored, 0 to 255 or 65535, unless the graph divides it.
//! Links inside a dataset that lead out of it are an error. Which file is of which format, and who reads it, only `format.rs` knows.

mod array;
mod folder;
mod format;
mod join;
mod keys;
mod place;
mod profile;
mod rows;
mod samples;
mod strided;
mod summary;
mod table;
mod text;
mod typed;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::failure::Failure;
#[cfg(feature = "testing")]
use delta_domain::dialect::Dialect;
use delta_domain::ids::DatasetName;
use delta_domain::manifest::{DatasetSpec, Driver, Manifest, Part, Source, Step};
use join::{Looking, Others};
use rows::Depth;
use table::Opening;

pub(crate) use join::LookedUp;
pub(crate) use place::{Located, Said, locate};
pub use profile::{ColumnKind, ColumnProfile, TableProfile};
pub(crate) use rows::Rows;
pub(crate) use summary::describe;
pub(crate) use text::pieces::read_with;

/// The rows of a table with a header, when it can be read.
#[cfg(feature = "testing")]
pub(super) fn table_rows(path: &Path, columns: &[String]) -> Option<usize> {
    let said = Dialect::default();
    let mut table = format::table(path, format::plainly(&said)).ok()?;
    let table = table.load(columns).ok()?;
    Some(table.len())
}

/// Rows that a file may say it has, when it is read for fuzzing.
#[cfg(feature = "testing")]
const FUZZED: usize = 100_000;

/// The rows of a table with a header: read plainly, under noise, and told of.
#[cfg(feature = "testing")]
pub(super) fn tables_rows(path: &Path, columns: &[String]) -> [Option<usize>; 3] {
    let said = Dialect::default();
    let few = |table: &mut dyn table::TableFile| {
        let size = table.size(FUZZED);
        size.is_ok_and(|(columns, rows)| rows < FUZZED && columns < FUZZED)
    };
    let open = |noised| {
        let opening = Opening {
            noised,
            ..format::plainly(&said)
        };
        format::table(path, opening).ok()
    };
    // A text is read once from top to bottom.
    let fresh = |noised| open(noised).filter(|_| open(noised).is_some_and(|mut t| few(&mut *t)));
    let loaded = |noised| Some(fresh(noised)?.load(columns).ok()?.len());
    let told = || usize::try_from(fresh(false)?.profile().ok()?.rows).ok();
    [loaded(false), loaded(true), told()]
}

/// Reads all of the first array of a file.
#[cfg(feature = "testing")]
pub(super) fn array_read(path: &Path) {
    let _told = format::describe(path, &Dialect::default());
    if let Ok(mut array) = format::array(path, &[array::UNNAMED, "x"]) {
        let elements: usize = array
            .shape()
            .iter()
            .fold(1, |n, len| n.saturating_mul(*len));
        if elements < FUZZED {
            let all: Vec<usize> = (0..array.len()).collect();
            let _numbers = array.rows(&all);
        }
    }
}

/// Reads a picture as one sample; the number of its values.
#[cfg(feature = "testing")]
pub(super) fn picture_read(path: &Path, shape: &[usize]) -> Option<usize> {
    let _fits = format::fits(path, shape);
    let mut values = Vec::new();
    format::sample(path, shape, &mut values).ok()?;
    Some(values.len())
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
    places: BTreeMap<DatasetName, Located>,
    open: BTreeMap<DataPart, Box<dyn Rows>>,
}

impl<'a> Datasets<'a> {
    /// The datasets that a task declares, at the paths where they lie.
    pub(crate) fn new(
        specs: &'a BTreeMap<DatasetName, DatasetSpec>,
        places: BTreeMap<DatasetName, Located>,
    ) -> Self {
        Self {
            specs: Some(specs),
            places,
            open: BTreeMap::new(),
        }
    }

    /// For reduces, which see no data.
    pub(crate) fn none() -> Self {
        Self {
            specs: None,
            places: BTreeMap::new(),
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
            let place = self
                .places
                .get(name)
                .ok_or_else(|| Failure::not_found(format!("there is no dataset {name}")))?;
            let none = BTreeMap::new();
            let others = Others {
                specs: self.specs.unwrap_or(&none),
                places: &self.places,
            };
            let rows = open(place, spec, part, lenient, others)
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
    place: &Located,
    spec: &DatasetSpec,
    part: Option<Part>,
    lenient: bool,
    others: Others<'_>,
) -> Result<Box<dyn Rows>, Failure> {
    let path = place.path.as_path();
    if part.is_some() && !path.is_dir() {
        return Err(Failure::corrupt(
            "the task reads its train/ or val/ part, but it is one file",
        ));
    }
    is_of_kind(path, spec)?;
    place.is_answered()?;
    format::suits(path, &place.dialect)?;
    match spec {
        DatasetSpec::Table {
            columns,
            header,
            types,
            joins,
        } => {
            let opening = Opening {
                said: &place.dialect,
                header: *header,
                noised: lenient,
                types,
            };
            let table = format::table(path, opening)?.load(columns)?;
            let looking = Looking {
                place,
                opening,
                others,
            };
            let joined = joins.iter().map(|join| looking.find(join, table.rows()));
            let joined = joined.collect::<Result<Vec<_>, _>>()?;
            Ok(Box::new(table.with(joined)))
        }
        DatasetSpec::Samples { shape, classes } if path.is_dir() => {
            Ok(Box::new(folder::Folder::open(path, shape, classes, part)?))
        }
        DatasetSpec::Samples { shape, classes } => Ok(Box::new(samples::Samples::open(
            path,
            shape,
            classes.len(),
        )?)),
        DatasetSpec::Array { shape, dtype } => {
            Ok(Box::new(samples::Array::open(path, shape, *dtype)?))
        }
    }
}

/// A folder where a file is expected, and the other way round.
fn is_of_kind(path: &Path, spec: &DatasetSpec) -> Result<(), Failure> {
    let [tables, arrays, samples] = format::suggested_endings();
    let wrong = match (spec, path.is_dir()) {
        (DatasetSpec::Table { .. }, true) => format!(
            "it is a folder, and the task expects a table: one file whose name ends in {tables}"
        ),
        (DatasetSpec::Array { .. }, true) => format!(
            "it is a folder, and the task expects one array: a file whose name ends in {arrays}"
        ),
        (DatasetSpec::Samples { .. }, false) if !format::is_array(path) => format!(
            "it is one file, and the task expects samples: a folder of files whose names end in {samples}, or all samples as one file that ends in {arrays}"
        ),
        _ => return Ok(()),
    };
    Err(Failure::corrupt(wrong))
}

/// Compares a dataset with what the task expects of it, reading as little as that takes. `places`: at least its own, and those of what is joined.
pub(crate) fn inspect(
    places: &BTreeMap<DatasetName, Located>,
    name: &DatasetName,
    manifest: &Manifest,
) -> Result<(), Failure> {
    let place = places.get(name);
    let place = place.ok_or_else(|| Failure::not_found(format!("there is no dataset {name}")))?;
    let spec = manifest
        .datasets
        .get(name)
        .ok_or_else(|| Failure::internal(format!("{name} is not declared")))?;
    let mut parts = parts_read(manifest, name);
    // All of it in any case.
    parts.insert(None);
    let noised = is_noised(manifest, name);
    let others = Others {
        specs: &manifest.datasets,
        places,
    };
    judge(place, spec, parts, noised, others).map_err(|f| f.within(&format!("dataset {name}")))
}

/// Compares a dataset with what is declared. `noised`: no single row may decide.
fn judge(
    place: &Located,
    spec: &DatasetSpec,
    parts: impl IntoIterator<Item = Option<Part>>,
    noised: bool,
    others: Others<'_>,
) -> Result<(), Failure> {
    let depth = if noised { Depth::Names } else { Depth::Whole };
    is_of_kind(&place.path, spec)?;
    place.is_answered()?;
    if let DatasetSpec::Table {
        columns,
        header,
        types,
        joins,
    } = spec
    {
        let opening = Opening {
            said: &place.dialect,
            header: *header,
            noised,
            types,
        };
        format::table(&place.path, opening)?.inspect(columns, depth)?;
        let looking = Looking {
            place,
            opening,
            others,
        };
        let mut joins = joins.iter();
        return joins.try_for_each(|join| looking.inspect(join, depth));
    }
    parts.into_iter().try_for_each(|part| {
        let mut rows = open(place, spec, part, false, others)?;
        // An array that is declared as empty may be.
        match spec {
            _ if noised => return Ok(()),
            _ if rows.len() > 0 => {}
            DatasetSpec::Array { shape, .. } if shape.first() == Some(&Some(0)) => return Ok(()),
            _ => return Err(Failure::corrupt("it has no sample")),
        }
        // All of it has its parts in it.
        match part {
            None => rows.inspect(depth),
            Some(_) => Ok(()),
        }
    })
}

/// Whether a file names its columns beside its rows, whatever stands in them.
pub(crate) fn has_schema(path: &Path) -> bool {
    format::Format::of(path).is_some_and(format::Format::has_schema)
}

/// What is in a table, column by column. The first line has its names.
pub(crate) fn profile(place: &Located) -> Result<TableProfile, Failure> {
    place.is_answered()?;
    format::table(&place.path, format::plainly(&place.dialect))?.profile()
}

/// Whether sums of this dataset's single records have noise: then no single row may decide over the task.
fn is_noised(manifest: &Manifest, name: &DatasetName) -> bool {
    let rounds = manifest.rounds.iter();
    let reads = |step: &Step| {
        manifest
            .datasets_of(std::slice::from_ref(step))
            .contains(name)
    };
    rounds.into_iter().any(|round| {
        round.map.steps.iter().any(|step| {
            matches!(&step.driver, Driver::Records(r) if r.noise.is_some()) && reads(step)
        })
    })
}

/// All of what a task asks of a dataset before it runs, as one text.
pub(crate) fn asked_of(manifest: &Manifest, name: &DatasetName) -> String {
    let spec = manifest.datasets.get(name);
    let (parts, noised) = (parts_read(manifest, name), is_noised(manifest, name));
    let joins = manifest.joins_of(name).iter();
    let others: Vec<_> = joins
        .map(|join| manifest.datasets.get(&join.dataset))
        .collect();
    format!("{name} {spec:?} {parts:?} {noised} {others:?}")
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

#[cfg(test)]
mod tests;
