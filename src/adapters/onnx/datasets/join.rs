//! What rows of a table look up in another table.
//!
//! Columns of the other table are held once, and for each row of this one where it is found there: nothing is copied for rows.

use std::collections::BTreeMap;

use super::format;
use super::keys::{Keys, NOBODY, Side};
use super::place::Located;
use super::table::{Depth, Opening, Table};
use crate::failure::Failure;
use delta_domain::ids::DatasetName;
use delta_domain::manifest::{DatasetSpec, How, Join};

/// The datasets among which others are looked up.
#[derive(Debug, Clone, Copy)]
pub(super) struct Others<'o> {
    /// As the task declares them.
    pub(super) specs: &'o BTreeMap<DatasetName, DatasetSpec>,
    /// Where they lie.
    pub(super) places: &'o BTreeMap<DatasetName, Located>,
}

/// The rows of another dataset that those of a table have found.
pub(crate) struct LookedUp {
    dataset: DatasetName,
    table: Table,
    found: Vec<u32>,
    inner: bool,
}

impl LookedUp {
    /// One column of this dataset, of so many rows, and which of them each row has found.
    #[cfg(test)]
    pub(crate) fn of(dataset: &str, column: &str, rows: usize, found: &[Option<u32>]) -> Self {
        let columns = BTreeMap::from([(column.to_owned(), vec![0.0; rows])]);
        Self {
            dataset: dataset.parse().unwrap(),
            table: Table::new(columns, rows),
            found: found.iter().map(|found| found.unwrap_or(NOBODY)).collect(),
            inner: false,
        }
    }

    /// The other dataset.
    pub(crate) fn dataset(&self) -> &DatasetName {
        &self.dataset
    }

    /// How many rows it has.
    pub(crate) fn rows(&self) -> usize {
        self.table.rows()
    }

    /// Its row that a row has found.
    pub(crate) fn found(&self, row: usize) -> Option<usize> {
        let found = self.found.get(row).filter(|found| **found != NOBODY)?;
        usize::try_from(*found).ok()
    }

    /// Whether rows that find none are not there.
    pub(crate) fn is_inner(&self) -> bool {
        self.inner
    }

    /// Whether it brings a column of this name.
    pub(crate) fn brings(&self, column: &str) -> bool {
        self.table.own(column).is_some()
    }

    /// The value that a row has found; NaN where it has found none. `None` for a column of another table.
    pub(super) fn value<'t>(&'t self, column: &str) -> Option<impl Fn(usize) -> f64 + use<'t>> {
        let values = self.table.own(column)?;
        Some(move |row| {
            let at = self.found(row).and_then(|found| values.get(found));
            at.copied().unwrap_or(f64::NAN)
        })
    }
}

/// A table whose rows look something up: its file, and how it is opened.
#[derive(Clone, Copy)]
pub(super) struct Looking<'l> {
    pub(super) place: &'l Located,
    pub(super) opening: Opening<'l>,
    pub(super) others: Others<'l>,
}

impl Looking<'_> {
    /// What all rows find. `rows`: how many there are.
    pub(super) fn find(self, join: &Join, rows: usize) -> Result<LookedUp, Failure> {
        let (place, opening) = self.other(join)?;
        let within = |f: Failure| f.within(&format!("joined with {}", join.dataset));
        let (found, count) = self.matched(join).map_err(within)?;
        let table = match join.columns.is_empty() {
            true => Table::new(BTreeMap::new(), count),
            false => format::table(&place.path, opening)
                .and_then(|mut table| table.load(&join.columns))
                .map_err(within)?,
        };
        if table.rows() != count || found.len() != rows {
            return Err(within(Failure::corrupt(
                "a file has changed while it was read; run the task again",
            )));
        }
        Ok(LookedUp {
            dataset: join.dataset.clone(),
            table,
            found,
            inner: join.how == How::Inner,
        })
    }

    /// Looks at the keys of both tables, as deep as asked.
    pub(super) fn inspect(self, join: &Join, depth: Depth) -> Result<(), Failure> {
        let (place, opening) = self.other(join)?;
        let named = |place: &Located, opening: Opening<'_>, key: &str| {
            let mut table = format::table(&place.path, opening)?;
            table.keys(key, Depth::Names, &mut |_| ())
        };
        let look = || match depth {
            Depth::Names => {
                named(self.place, self.opening, &join.key)?;
                named(place, opening, join.other_key())
            }
            Depth::Whole => self.matched(join).map(drop),
        };
        look().map_err(|f| f.within(&format!("joined with {}", join.dataset)))
    }

    /// Which row of the other table each row finds, and how many rows the other has.
    fn matched(self, join: &Join) -> Result<(Vec<u32>, usize), Failure> {
        let (place, opening) = self.other(join)?;
        let (key, other_key) = (join.key.as_str(), join.other_key());
        let own = Keys::read(&self.place.path, self.opening, key)?;
        let others = Keys::read(&place.path, opening, other_key)?;
        let sorted = others.sorted();
        if self.opening.noised {
            return Ok((sorted.find(&own), others.len()));
        }
        if let Some((side, row)) = own.differs(&others) {
            let (texts, numbers) = match side {
                Side::Own => ("here", "there"),
                Side::Other => ("there", "here"),
            };
            return Err(Failure::corrupt(format!(
                "keys are texts {texts} (row {} below the header) and whole numbers {numbers}, by {key:?} here and {other_key:?} there; write both alike",
                row.saturating_add(1)
            )));
        }
        if let Some((later, before)) = sorted.repeated() {
            return Err(Failure::corrupt(format!(
                "row {} below its header has the {other_key:?} of row {}; each may stand once there, so that no row finds two",
                later.saturating_add(1),
                before.saturating_add(1)
            )));
        }
        Ok((sorted.find(&own), others.len()))
    }

    /// The other table's file, and how it is opened.
    fn other<'a>(&'a self, join: &Join) -> Result<(&'a Located, Opening<'a>), Failure> {
        let name = &join.dataset;
        let undeclared =
            || Failure::rejected(format!("{name} is joined, and is no declared table"));
        let Some(DatasetSpec::Table { header, types, .. }) = self.others.specs.get(name) else {
            return Err(undeclared());
        };
        let place = self.others.places.get(name);
        let place =
            place.ok_or_else(|| Failure::not_found(format!("there is no dataset {name}")))?;
        place.is_answered()?;
        let opening = Opening {
            said: &place.dialect,
            header: *header,
            noised: self.opening.noised,
            types,
        };
        Ok((place, opening))
    }
}
