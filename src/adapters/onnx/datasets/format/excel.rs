//! Workbooks: `.xlsx`, `.xls` and `.ods`. One sheet of it is a table, whose first row has the names.
//!
//! Here: which sheet, where its header is, and rows from cells. `excel/book.rs` has the trait that readers of the three formats have, and
//! Excel's own two of them; `biff.rs` looks at the old one before it is decoded, `packed.rs` at archives; `ods.rs` reads OpenDocument.

mod biff;
mod book;
mod ods;
mod packed;

use std::path::Path;

use crate::datasets::table::{Opening, TableFile};
use crate::datasets::text::header::unlike;
use crate::datasets::typed::{Cell, Each, Typed, TypedTable, contained};
use crate::failure::Failure;
use book::{Book, Region};

/// Columns that a sheet can have.
const COLUMNS: u32 = 16_384;
/// Rows in which it shows whether the first one has the names.
const SAMPLE: usize = 2000;
/// Sheets whose names a message lists.
const LISTED: usize = 20;

/// Whether a file begins as an old workbook; new ones are archives like others.
pub(super) fn begins(start: &[u8]) -> bool {
    start.starts_with(biff::MAGIC)
}

/// A sheet of a workbook.
struct Sheet {
    book: Box<dyn Book>,
    name: String,
    names: Vec<String>,
    /// The first row with values, from 0.
    first: u32,
    merged: Vec<Region>,
    noised: bool,
    notes: Vec<String>,
}

/// Opens a sheet of a workbook: the only one with something in it, or the one that its owner names.
pub(super) fn open(path: &Path, opening: Opening<'_>) -> Result<Box<dyn TableFile>, Failure> {
    let sheet = contained(|| {
        let mut book = book::open(path)?;
        let (name, notes) = chosen(&mut *book, opening.said.sheet.as_deref())?;
        Sheet::found(book, name, notes, opening)
    })?;
    Ok(Box::new(TypedTable::new(sheet, opening)))
}

/// Which sheet is meant, and what its owner should know of the choice.
fn chosen(book: &mut dyn Book, said: Option<&str>) -> Result<(String, Vec<String>), Failure> {
    let all = book.sheets();
    let listed = |names: &[&String]| -> String {
        let some: Vec<&&String> = names.iter().take(LISTED).collect();
        format!("{some:?}")
    };
    if let Some(said) = said {
        let names: Vec<&String> = all.iter().map(|(name, _)| name).collect();
        return match names.iter().any(|name| *name == said) {
            true => Ok((said.to_owned(), vec![format!("its sheet {said:?}")])),
            false => Err(Failure::corrupt(format!(
                "it has no sheet {said:?}, which the setting `sheet` names; it has {}",
                listed(&names)
            ))),
        };
    }
    let mut filled = Vec::new();
    for (name, hidden) in &all {
        let mut found = false;
        book.walk(name, &mut |_, _, cell| {
            found |= !is_blank(&cell);
            Ok(!found)
        })?;
        if found {
            filled.push((name, *hidden));
        }
    }
    match filled.as_slice() {
        [] => Err(Failure::corrupt("there is nothing in it")),
        [(only, hidden)] => {
            let mut notes = Vec::new();
            if *hidden {
                notes.push(format!("its sheet {only:?}, which is hidden"));
            } else if all.len() > 1 {
                notes.push(format!("its sheet {only:?}"));
            }
            Ok(((*only).clone(), notes))
        }
        several => {
            let names: Vec<&String> = several.iter().map(|(name, _)| *name).collect();
            Err(Failure::corrupt(format!(
                "it has the sheets {}; say which one is meant: `sheet: NAME`",
                listed(&names)
            )))
        }
    }
}

/// Whether there is nothing in a cell that anybody sees.
fn is_blank(cell: &Cell<'_>) -> bool {
    match cell {
        Cell::Missing => true,
        Cell::Text(text) => text.trim().is_empty(),
        _ => false,
    }
}

/// The beginning of a sheet: its first row, and how far others reach.
#[derive(Default)]
struct Beginning {
    /// The first row that has something in it, from 0.
    first: Option<u32>,
    /// Its cells, by their columns.
    header: Vec<String>,
    /// Rows below, and the number of columns up to their last cell.
    below: Vec<(u32, u32)>,
}

impl Beginning {
    fn of(book: &mut dyn Book, sheet: &str, skip: u32) -> Result<Self, Failure> {
        let mut found = Self::default();
        book.walk(sheet, &mut |row, column, cell| {
            if row < skip || is_blank(&cell) {
                return Ok(true);
            }
            let first = *found.first.get_or_insert(row);
            if row == first {
                let at = usize::try_from(column).unwrap_or(0);
                found.header.resize(at, String::new());
                found.header.push(as_name(&cell));
                return Ok(true);
            }
            match found.below.last_mut() {
                Some((last, width)) if *last == row => *width = column + 1,
                _ => found.below.push((row, column + 1)),
            }
            Ok(found.below.len() <= SAMPLE)
        })?;
        Ok(found)
    }

    /// A first row that others reach beyond may stand above the header.
    fn no_preamble(&self, first: u32) -> Result<(), Failure> {
        let width = u32::try_from(self.header.len()).unwrap_or(u32::MAX);
        let widest = self.below.iter().map(|(_, width)| *width).max();
        let Some(widest) = widest.filter(|widest| *widest > width) else {
            return Ok(());
        };
        let header = self.below.iter().find(|(_, width)| *width == widest);
        let header = header.map_or(first, |(row, _)| *row);
        Err(Failure::corrupt(format!(
            "row {} ends at column {}, row {} at column {}; if the header is there, set `skip: {header}`; if it is in row {}, name all columns, or empty those without a name",
            first + 1,
            letters(width.saturating_sub(1)),
            header + 1,
            letters(widest - 1),
            first + 1,
        )))
    }
}

/// A cell of the header, as pandas names the column.
fn as_name(cell: &Cell<'_>) -> String {
    match cell {
        Cell::Text(text) | Cell::Date(text) => text.clone().into_owned(),
        Cell::Number(value) => value.to_string(),
        Cell::Truth(true) => "True".to_owned(),
        Cell::Truth(false) => "False".to_owned(),
        Cell::Long(value) => value.to_string(),
        Cell::Missing | Cell::Fault(_) | Cell::Other(_) => String::new(),
    }
}

/// Columns without names.
fn places(width: usize) -> Vec<String> {
    (0..width).map(|at| at.to_string()).collect()
}

/// A column as workbooks call it.
fn letters(mut column: u32) -> String {
    let mut name = Vec::new();
    loop {
        name.push(b'A' + u8::try_from(column % 26).unwrap_or(0));
        match (column / 26).checked_sub(1) {
            Some(left) => column = left,
            None => break,
        }
    }
    name.iter()
        .rev()
        .map(|letter| char::from(*letter))
        .collect()
}

impl Sheet {
    fn found(
        mut book: Box<dyn Book>,
        name: String,
        mut notes: Vec<String>,
        opening: Opening<'_>,
    ) -> Result<Self, Failure> {
        let skip = opening.said.skip;
        let beginning = Beginning::of(&mut *book, &name, skip.unwrap_or(0))?;
        let first = beginning.first;
        let first = first.ok_or_else(|| Failure::corrupt("there is nothing in its sheet"))?;
        if skip.is_none() && !opening.noised {
            beginning.no_preamble(first)?;
        }
        if first > 0 && opening.header {
            notes.push(format!("the header is row {}", first + 1));
        }
        let width = beginning.header.len();
        let (first, names) = match (opening.header, opening.noised) {
            (true, _) => (first, unlike(beginning.header.iter().map(String::as_str))),
            (false, false) => (first, places(width)),
            // Not even the first row decides.
            (false, true) => {
                let all = usize::try_from(COLUMNS).unwrap_or(width);
                (skip.unwrap_or(0), places(all))
            }
        };
        let first = first + u32::from(opening.header);
        let merged = book.merged(&name)?;
        Ok(Self {
            merged: merged.into_iter().filter(|m| m.rows.1 >= first).collect(),
            book,
            name,
            names,
            first,
            noised: opening.noised,
            notes,
        })
    }

    /// Only one of merged cells has a value: which rows it stands for, nobody knows.
    fn not_merged(&self, columns: &[u32]) -> Result<(), Failure> {
        let asked = |region: &&Region| {
            let (from, to) = region.columns;
            columns.iter().any(|column| (from..=to).contains(column))
        };
        match self.merged.iter().find(asked) {
            Some(region) if !self.noised => Err(Failure::corrupt(format!(
                "the cells {}{} to {}{} are merged; split them, and fill in each",
                letters(region.columns.0),
                region.rows.0 + 1,
                letters(region.columns.1),
                region.rows.1 + 1
            ))),
            _ => Ok(()),
        }
    }
}

impl Typed for Sheet {
    fn names(&self) -> &[String] {
        &self.names
    }

    /// Only cells have types.
    fn no_numbers(&self, _place: usize) -> Option<String> {
        None
    }

    fn rows(&mut self, bound: usize) -> Result<usize, Failure> {
        let (first, mut rows) = (self.first, 0);
        let bound = u32::try_from(bound).unwrap_or(u32::MAX);
        contained(|| {
            self.book.walk(&self.name, &mut |row, _, cell| {
                if row >= first && !is_blank(&cell) {
                    rows = row - first + 1;
                }
                Ok(rows < bound)
            })
        })?;
        Ok(usize::try_from(rows).unwrap_or(0))
    }

    fn read(&mut self, places: &[usize], each: &mut dyn Each) -> Result<u64, Failure> {
        let columns: Vec<u32> = { places.iter() }
            .map(|place| u32::try_from(*place).unwrap_or(u32::MAX))
            .collect();
        self.not_merged(&columns)?;
        let width = u32::try_from(self.names.len()).unwrap_or(u32::MAX);
        let mut rows = Rows::new(self.first, &columns, each);
        let noised = self.noised;
        contained(|| {
            self.book.walk(&self.name, &mut |row, column, cell| {
                if is_blank(&cell) {
                    return Ok(true);
                }
                if column >= width && row >= rows.next && !noised {
                    return Err(Failure::corrupt(format!(
                        "row {} has a cell in column {}, where the header has none",
                        row + 1,
                        letters(column)
                    )));
                }
                rows.take(row, column, cell).map(|()| true)
            })
        })?;
        rows.end()
    }

    fn notes(&self) -> Vec<String> {
        self.notes.clone()
    }
}

/// Rows, put together from cells.
struct Rows<'r, 'e> {
    columns: &'r [u32],
    each: &'r mut (dyn Each + 'e),
    /// The row that is put together, from 0.
    next: u32,
    row: Vec<Cell<'static>>,
    /// Whether it has any cell, in whichever column.
    begun: bool,
    count: u64,
}

impl<'r, 'e> Rows<'r, 'e> {
    fn new(first: u32, columns: &'r [u32], each: &'r mut (dyn Each + 'e)) -> Self {
        Self {
            columns,
            each,
            next: first,
            row: vec![Cell::Missing; columns.len()],
            begun: false,
            count: 0,
        }
    }

    /// A row without a cell is one of missing values, if others follow.
    fn take(&mut self, row: u32, column: u32, cell: Cell<'_>) -> Result<(), Failure> {
        if row < self.next {
            return Ok(());
        }
        while self.next < row {
            self.show()?;
        }
        self.begun = true;
        for (asked, place) in self.columns.iter().zip(&mut self.row) {
            if *asked == column {
                *place = cell.clone().kept();
            }
        }
        Ok(())
    }

    fn show(&mut self) -> Result<(), Failure> {
        for (which, cell) in self.row.iter_mut().enumerate() {
            let cell = std::mem::replace(cell, Cell::Missing);
            self.each.cell(which, u64::from(self.next) + 1, cell)?;
        }
        self.next += 1;
        self.count += 1;
        self.begun = false;
        Ok(())
    }

    fn end(mut self) -> Result<u64, Failure> {
        if self.begun {
            self.show()?;
        }
        Ok(self.count)
    }
}

#[cfg(test)]
mod tests;
