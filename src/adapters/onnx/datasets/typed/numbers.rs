//! What the cells of typed columns are as numbers, one by one or many at once.

use super::{Cell, Each};
use crate::datasets::text::cells::{Cells, Column, Unread};
use crate::failure::Failure;
use delta_domain::manifest::CellReader;

/// Characters of a cell that messages show.
const SHOWN: usize = 40;

/// Turns cells into numbers.
pub(super) struct Numbers<'n, V> {
    pub(super) cells: &'n Cells,
    pub(super) decimal: Option<u8>,
    pub(super) noised: bool,
    /// For each column how it is read, if it is declared to be no numbers.
    pub(super) readers: Vec<Option<&'n CellReader>>,
    pub(super) kinds: Vec<Column>,
    pub(super) names: Vec<String>,
    /// Takes the next numbers of a column.
    pub(super) visit: V,
}

impl<V: FnMut(usize, &[f64])> Each for Numbers<'_, V> {
    fn cell(&mut self, which: usize, row: u64, cell: Cell<'_>) -> Result<(), Failure> {
        let mut alone = Column::default();
        // Under noise each cell by itself.
        let kind = match self.kinds.get_mut(which) {
            Some(kind) if !self.noised => kind,
            _ => &mut alone,
        };
        let read = match self.readers.get(which).copied().flatten() {
            Some(reader) => coded(self.cells, self.decimal, &cell, reader, kind),
            None => number(self.cells, self.decimal, &cell, kind),
        };
        let value = match read {
            Ok(value) => value,
            Err(_) if self.noised => f64::NAN,
            Err(why) => {
                let name = self.names.get(which).map_or("", String::as_str);
                let text = format!("row {row}, column {name:?}: {why}");
                return Err(Failure::corrupt(text));
            }
        };
        (self.visit)(which, &[value]);
        Ok(())
    }

    fn numbers(&mut self, which: usize, first: u64, numbers: &[f64]) -> Result<(), Failure> {
        let plain = matches!(self.readers.get(which), Some(None)) && !self.cells.has_markers();
        let kind = match numbers.iter().all(|x| x.is_nan()) {
            true => Column::Empty,
            false => Column::Numbers,
        };
        let known = self.kinds.get_mut(which);
        let both = known.as_ref().and_then(|known| known.and(kind));
        match (known, both) {
            (Some(known), Some(both)) if plain => {
                if !self.noised {
                    *known = both;
                }
                (self.visit)(which, numbers);
                Ok(())
            }
            _ => {
                let mut rows = (first..).zip(numbers);
                rows.try_for_each(|(row, x)| self.cell(which, row, Cell::Number(*x)))
            }
        }
    }
}

/// A cell as a number, or why it is none.
fn number(
    cells: &Cells,
    decimal: Option<u8>,
    cell: &Cell<'_>,
    kind: &mut Column,
) -> Result<f64, String> {
    let (value, is) = match cell {
        Cell::Missing => return Ok(f64::NAN),
        Cell::Number(value) if value.is_nan() || cells.is_marker(*value, decimal) => {
            return Ok(f64::NAN);
        }
        Cell::Number(value) => (*value, Column::Numbers),
        Cell::Truth(value) => (f64::from(u8::from(*value)), Column::Truths),
        Cell::Text(text) | Cell::Fault(text) => {
            let shown: String = text.trim().chars().take(SHOWN).collect();
            return match cells.read(text.as_bytes(), decimal, kind) {
                Ok(value) => Ok(value),
                Err(Unread::Mixed) => Err(mixed(&format!("{shown:?}"))),
                Err(Unread::Text) => {
                    let hint = cells.hint(&shown, decimal);
                    Err(format!("{shown:?} is not a number{hint}"))
                }
            };
        }
        Cell::Date(date) => return Err(format!("{date} is a date, not a number")),
        Cell::Long(value) => return Err(long(*value)),
        Cell::Other(what) => return Err(format!("it is {what}")),
    };
    if *kind == Column::Empty {
        *kind = is;
    }
    match *kind == is {
        true => Ok(value),
        false => Err(mixed(&value.to_string())),
    }
}

/// A cell of a column that is declared to be no numbers, as the number that stands for it.
pub(super) fn coded(
    cells: &Cells,
    decimal: Option<u8>,
    cell: &Cell<'_>,
    reader: &CellReader,
    kind: &mut Column,
) -> Result<f64, String> {
    let read = match cell {
        Cell::Missing => return Ok(f64::NAN),
        Cell::Number(value) if value.is_nan() || cells.is_marker(*value, decimal) => {
            return Ok(f64::NAN);
        }
        Cell::Number(value) => reader.number(*value),
        Cell::Truth(value) => {
            let names = if *value { TRUE } else { FALSE };
            let level = names.into_iter().find(|name| reader.is_level(name));
            reader.text(level.unwrap_or(names[0]))
        }
        Cell::Text(text) => return cells.coded(text, reader, kind),
        Cell::Fault(text) if cells.is_missing(text) => return Ok(f64::NAN),
        Cell::Fault(text) => return Err(format!("{text}, which a formula came to")),
        Cell::Date(date) => kind.coded(date, reader),
        Cell::Long(value) => return Err(long(*value)),
        Cell::Other(what) => return Err(format!("it is {what}")),
    };
    read.map_err(|e| match cell {
        Cell::Date(date) => format!("{date} {e}"),
        _ => format!("it {e}"),
    })
}

/// How levels may name truth values.
pub(super) const TRUE: [&str; 3] = ["True", "true", "TRUE"];
pub(super) const FALSE: [&str; 3] = ["False", "false", "FALSE"];

fn long(value: i128) -> String {
    format!(
        "it is {value}, a whole number that a double does not hold exactly; save it as text if it is no number but a name"
    )
}

fn mixed(shown: &str) -> String {
    format!("{shown}, in a column of both truth values and numbers")
}
