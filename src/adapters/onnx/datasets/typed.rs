//! Tables whose file says of each cell, or of each column, what it is: Parquet, Arrow, workbooks, SQLite.
//!
//! A reader turns what is stored into a [`Cell`], in one function of its own, and shows its cells column by column or row by row ([`Typed`]).
//! What a cell is as a number, and which are refused, is said here, once for all of them.

mod numbers;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::keys::KeyCell;
use super::profile::{CellIs, Seen, TableProfile};
use super::table::{Depth, Opening, Table, TableFile};
use super::text::cells::{Cells, Column};
use super::text::header;
use crate::failure::Failure;
use delta_domain::manifest::CellReader;
use numbers::{FALSE, Numbers, TRUE, coded};

/// What is in a cell.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Cell<'c> {
    Missing,
    Number(f64),
    Truth(bool),
    /// Read as a cell of a text file would be, unless its whole column is of texts.
    Text(Cow<'c, str>),
    /// A day, perhaps with a time of day, as ISO 8601 writes it.
    Date(Cow<'c, str>),
    /// What a formula came to that failed, such as `#DIV/0!`: missing where the owner says so.
    Fault(Cow<'c, str>),
    /// A whole number that a double does not hold exactly.
    Long(i128),
    /// Never a number; in words that stand behind "is".
    Other(Cow<'c, str>),
}

impl Cell<'_> {
    /// The same, for longer than its file lends it.
    pub(super) fn kept(self) -> Cell<'static> {
        let owned = |text: Cow<'_, str>| Cow::Owned(text.into_owned());
        match self {
            Self::Missing => Cell::Missing,
            Self::Number(value) => Cell::Number(value),
            Self::Truth(value) => Cell::Truth(value),
            Self::Text(text) => Cell::Text(owned(text)),
            Self::Date(text) => Cell::Date(owned(text)),
            Self::Fault(text) => Cell::Fault(owned(text)),
            Self::Long(value) => Cell::Long(value),
            Self::Other(text) => Cell::Other(owned(text)),
        }
    }
}

/// Takes the cells of a file.
pub(super) trait Each {
    /// One: the place of its column among those asked for, its row's number, and what is in it.
    fn cell(&mut self, which: usize, row: u64, cell: Cell<'_>) -> Result<(), Failure>;

    /// The next ones of a column, from a row on: what is missing is NaN.
    fn numbers(&mut self, which: usize, first: u64, numbers: &[f64]) -> Result<(), Failure> {
        let mut rows = (first..).zip(numbers);
        rows.try_for_each(|(row, number)| self.cell(which, row, Cell::Number(*number)))
    }
}

impl<F: FnMut(usize, u64, Cell<'_>) -> Result<(), Failure>> Each for F {
    fn cell(&mut self, which: usize, row: u64, cell: Cell<'_>) -> Result<(), Failure> {
        self(which, row, cell)
    }
}

/// A file of typed cells. It is read from top to bottom as often as asked.
pub(super) trait Typed {
    /// The names of its columns, or their places where the task wants those.
    fn names(&self) -> &[String];

    /// What is in a column that can have no numbers, by its type; `None` where only cells tell.
    fn no_numbers(&self, place: usize) -> Option<String>;

    /// Rows, counted up to `bound`.
    fn rows(&mut self, bound: usize) -> Result<usize, Failure>;

    /// Shows all cells of some columns, each column's in the order of its rows; how many rows there are.
    fn read(&mut self, places: &[usize], each: &mut dyn Each) -> Result<u64, Failure>;

    /// What its owner should know of how it is read.
    fn notes(&self) -> Vec<String> {
        Vec::new()
    }
}

/// A table over such a file.
pub(super) struct TypedTable<T> {
    source: T,
    cells: Cells,
    /// What stands before fractions in texts.
    decimal: Option<u8>,
    noised: bool,
    /// Columns that are declared to be no numbers.
    readers: BTreeMap<String, CellReader>,
}

impl<T: Typed> TypedTable<T> {
    pub(super) fn new(source: T, opening: Opening<'_>) -> Self {
        let said = opening.said;
        let decimal = match (said.decimal, said.thousands) {
            (Some(decimal), _) => decimal,
            (None, Some('.')) => b',',
            (None, _) => b'.',
        };
        Self {
            source,
            cells: Cells::new(said.thousands, &said.missing),
            decimal: Some(decimal),
            noised: opening.noised,
            readers: opening.readers(),
        }
    }

    /// Where the wanted columns stand. What has no numbers by its type is refused.
    fn places(&self, columns: &[String]) -> Result<Vec<usize>, Failure> {
        let places = self.named(columns)?;
        for (place, column) in places.iter().zip(columns) {
            if self.readers.contains_key(column) {
                continue;
            }
            if let Some(what) = self.source.no_numbers(*place) {
                return Err(Failure::corrupt(format!(
                    "column {column:?} has no numbers, but {what}"
                )));
            }
        }
        Ok(places)
    }

    /// Where columns stand, whatever they have. What has its name with another is refused.
    fn named(&self, columns: &[String]) -> Result<Vec<usize>, Failure> {
        let names = self.source.names();
        let places = header::places(names, columns)?;
        for (place, column) in places.iter().zip(columns) {
            let name = names.get(*place);
            let same = names.iter().filter(|n| Some(*n) == name).count();
            if same > 1 {
                return Err(Failure::corrupt(format!(
                    "{same} columns have the name {column:?}; name them apart"
                )));
            }
        }
        Ok(places)
    }

    /// Shows `visit` the numbers of some places: which of them, and the next values.
    fn numbers(
        &mut self,
        columns: &[String],
        places: &[usize],
        visit: impl FnMut(usize, &[f64]),
    ) -> Result<u64, Failure> {
        let names = self.source.names();
        let name = |place: &usize| names.get(*place).cloned().unwrap_or_default();
        let mut numbers = Numbers {
            cells: &self.cells,
            decimal: self.decimal,
            noised: self.noised,
            readers: columns.iter().map(|c| self.readers.get(c)).collect(),
            kinds: vec![Column::default(); places.len()],
            names: places.iter().map(name).collect(),
            visit,
        };
        self.source.read(places, &mut numbers)
    }
}

/// A cell as a key. `only_texts`: what its column has by its type are no numbers.
fn key<'c>(
    cells: &Cells,
    decimal: Option<u8>,
    cell: &'c Cell<'_>,
    only_texts: bool,
) -> Result<KeyCell<'c>, String> {
    Ok(match cell {
        Cell::Missing => KeyCell::Missing,
        Cell::Number(value) if value.is_nan() || cells.is_marker(*value, decimal) => {
            KeyCell::Missing
        }
        Cell::Number(value) => KeyCell::number(*value, value.to_string().into()),
        Cell::Truth(value) => KeyCell::Text(if *value { TRUE[0] } else { FALSE[0] }.into()),
        Cell::Text(text) => {
            let text = text.trim();
            match cells.is(text.as_bytes(), decimal) {
                CellIs::Missing => KeyCell::Missing,
                CellIs::Number(value) if !only_texts => KeyCell::written(value, text),
                CellIs::Number(_) | CellIs::Truth | CellIs::Text => KeyCell::Text(text.into()),
            }
        }
        Cell::Date(date) => KeyCell::Text((&**date).into()),
        Cell::Long(value) => KeyCell::Text(value.to_string().into()),
        Cell::Fault(text) if cells.is_missing(text) => KeyCell::Missing,
        Cell::Fault(text) => return Err(format!("{text}, which a formula came to")),
        Cell::Other(what) => return Err(format!("it is {what}")),
    })
}

impl<T: Typed> TableFile for TypedTable<T> {
    fn load(&mut self, columns: &[String]) -> Result<Table, Failure> {
        let places = self.places(columns)?;
        let once: BTreeMap<usize, &String> = places.iter().copied().zip(columns).collect();
        let kinds = |column: &String| self.readers.contains_key(column);
        let alike = |(place, column): (&usize, &String)| {
            once.get(place)
                .is_some_and(|other| *other == column || !kinds(other) && !kinds(column))
        };
        if !places.iter().zip(columns).all(alike) {
            return Err(Failure::rejected("two names of one column have types"));
        }
        let (once, named): (Vec<usize>, Vec<String>) = once
            .into_iter()
            .map(|(place, column)| (place, column.clone()))
            .unzip();
        let mut kept: Vec<Vec<f64>> = vec![Vec::new(); once.len()];
        let rows = self.numbers(&named, &once, |which, values| {
            if let Some(column) = kept.get_mut(which) {
                column.extend_from_slice(values);
            }
        })?;
        let rows = usize::try_from(rows).map_err(|_| Failure::exhausted("it has too many rows"))?;
        if kept.iter().any(|column| column.len() != rows) {
            return Err(damaged("its columns are of different lengths"));
        }
        let mut made = Vec::with_capacity(columns.len());
        for (at, (column, place)) in columns.iter().zip(&places).enumerate() {
            let which = once.binary_search(place).ok();
            let values = which.and_then(|which| kept.get_mut(which));
            let values = values.ok_or_else(|| Failure::internal("a column vanished"))?;
            // Two names may mean one column.
            let again = places.iter().skip(at + 1).any(|later| later == place);
            made.push((
                column.clone(),
                match again {
                    true => values.clone(),
                    false => std::mem::take(values),
                },
            ));
        }
        Ok(Table::new(made.into_iter().collect(), rows))
    }

    fn inspect(&mut self, columns: &[String], depth: Depth) -> Result<(), Failure> {
        let places = self.places(columns)?;
        match depth {
            Depth::Names => Ok(()),
            Depth::Whole => self.numbers(columns, &places, |_, _| ()).map(|_| ()),
        }
    }

    fn keys(
        &mut self,
        column: &str,
        depth: Depth,
        visit: &mut dyn FnMut(KeyCell<'_>),
    ) -> Result<(), Failure> {
        let places = self.named(&[column.to_owned()])?;
        if depth == Depth::Names {
            return Ok(());
        }
        let place = places.first().copied().unwrap_or_default();
        let only_texts = self.source.no_numbers(place).is_some();
        let (cells, decimal, noised) = (&self.cells, self.decimal, self.noised);
        let reader = self.readers.get(column);
        let mut kind = Column::default();
        self.source
            .read(&places, &mut |_: usize, row: u64, cell: Cell<'_>| {
                if noised {
                    // Each cell by itself.
                    kind = Column::default();
                }
                let key = match reader {
                    Some(reader) => coded(cells, decimal, &cell, reader, &mut kind)
                        .map(|x| KeyCell::coded(x, reader)),
                    None => key(cells, decimal, &cell, only_texts),
                };
                match key {
                    Ok(key) => visit(key),
                    Err(_) if noised => visit(KeyCell::Missing),
                    Err(why) => {
                        let text = format!("row {row}, column {column:?}: {why}");
                        return Err(Failure::corrupt(text));
                    }
                }
                Ok(())
            })?;
        Ok(())
    }

    fn size(&mut self, bound: usize) -> Result<(usize, usize), Failure> {
        let rows = self.source.rows(bound)?;
        Ok((self.source.names().len(), rows.min(bound)))
    }

    fn profile(&mut self) -> Result<TableProfile, Failure> {
        let names = self.source.names().to_vec();
        let all: Vec<usize> = (0..names.len()).collect();
        let texts: Vec<bool> = { all.iter() }
            .map(|place| self.source.no_numbers(*place).is_some())
            .collect();
        let mut seen: Vec<Seen> = names.iter().map(|_| Seen::new()).collect();
        let (cells, decimal) = (&self.cells, self.decimal);
        let rows = self
            .source
            .read(&all, &mut |which: usize, row: u64, cell: Cell<'_>| {
                let only_texts = texts.get(which).is_some_and(|t| *t);
                if let Some(seen) = seen.get_mut(which) {
                    let (text, is) = told(cells, decimal, &cell, only_texts);
                    seen.add(row, text.as_bytes(), is);
                }
                Ok(())
            })?;
        let columns = seen.into_iter().zip(names);
        Ok(TableProfile {
            rows,
            columns: columns.map(|(seen, name)| seen.told(name)).collect(),
            notes: self.notes(),
        })
    }

    fn notes(&self) -> Vec<String> {
        self.source.notes()
    }
}

/// A cell as its owner sees it.
fn told<'c>(
    cells: &Cells,
    decimal: Option<u8>,
    cell: &'c Cell<'_>,
    only_texts: bool,
) -> (Cow<'c, str>, CellIs) {
    let (text, is) = match cell {
        Cell::Missing => ("", CellIs::Missing),
        Cell::Number(value) if value.is_nan() || cells.is_marker(*value, decimal) => {
            ("", CellIs::Missing)
        }
        Cell::Number(value) => ("", CellIs::Number(*value)),
        Cell::Truth(true) => ("True", CellIs::Truth),
        Cell::Truth(false) => ("False", CellIs::Truth),
        Cell::Text(text) if only_texts => (&**text, CellIs::Text),
        Cell::Text(text) | Cell::Fault(text) => (&**text, cells.is(text.as_bytes(), decimal)),
        Cell::Long(value) => return (Cow::Owned(value.to_string()), CellIs::Text),
        Cell::Date(text) | Cell::Other(text) => (&**text, CellIs::Text),
    };
    (Cow::Borrowed(text), is)
}

/// A whole number that a double holds exactly; any other is refused where it is asked for.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "it is compared with what it came from"
)]
pub(super) fn whole(value: i128) -> Cell<'static> {
    let double = value as f64;
    match double as i128 == value && double < 1e38 {
        true => Cell::Number(double),
        false => Cell::Long(value),
    }
}

/// The names of columns, or their places where a task takes the file as one without a header.
pub(super) fn named(names: Vec<String>, header: bool) -> Vec<String> {
    match header {
        true => names,
        false => (0..names.len()).map(|at| at.to_string()).collect(),
    }
}

/// A day as ISO 8601 writes it, counted from 1970-01-01.
pub(super) fn day(days: i64) -> Option<String> {
    // Within the years of four digits.
    if !(-719_162..=2_932_896).contains(&days) {
        return None;
    }
    let shifted = days + 719_468;
    let (era, of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    Some(format!("{year:04}-{month:02}-{day:02}"))
}

/// Runs what others have written to decode files: where it panics, the file is damaged.
pub(super) fn contained<T>(work: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|_| Err(damaged("its parts contradict one another")))
}

/// A file that is not what it should be.
pub(super) fn damaged(why: impl std::fmt::Display) -> Failure {
    Failure::corrupt(format!("it is damaged ({why}); copy or save it again"))
}

#[cfg(test)]
mod tests;
