//! Tables of text: `.csv`, `.tsv` and `.txt`, plain or compressed, in whatever dialect they are written.
//!
//! What is certain is read as it is, and said where the owner looks (`check`, the list of datasets); what could be meant in two ways is an
//! error that names the setting which decides it. Nothing is guessed.
//! Here: opening a file and reading rows of numbers. `text/source.rs` has bytes and encodings, `dialect.rs` what is found out about a file from
//! its `sample.rs`, `records.rs` rows of cells, `row.rs` the numbers of one, `pieces.rs` those of many, `header.rs` names, `cells.rs` what a cell is.

pub(super) mod cells;
mod dialect;
mod frames;
pub(super) mod header;
pub(super) mod pieces;
mod records;
mod row;
mod sample;
mod source;

use std::collections::BTreeMap;
use std::io::{BufRead as _, Read as _};
use std::path::Path;

use csv::ByteRecord;

use super::keys::KeyCell;
use super::profile::{CellIs, Seen, TableProfile};
use super::table::{Depth, Opening, Table, TableFile};
use crate::failure::Failure;
use cells::{Cells, Column};
use delta_domain::manifest::CellReader;
use dialect::{Found, Kind, Sample};
use pieces::{Columns, Wanted};
use records::Records;
use row::Row;

/// Bytes at the beginning of a file in which its dialect shows.
const SAMPLE: u64 = 256 << 10;

/// Opens a table of commas.
pub(super) fn commas(path: &Path, opening: Opening<'_>) -> Result<Box<dyn TableFile>, Failure> {
    open(path, opening, Kind::Commas)
}

/// Opens a table of tabs.
pub(super) fn tabs(path: &Path, opening: Opening<'_>) -> Result<Box<dyn TableFile>, Failure> {
    open(path, opening, Kind::Tabs)
}

/// Opens a table whose name says nothing.
pub(super) fn plain(path: &Path, opening: Opening<'_>) -> Result<Box<dyn TableFile>, Failure> {
    open(path, opening, Kind::Plain)
}

fn open(path: &Path, opening: Opening<'_>, kind: Kind) -> Result<Box<dyn TableFile>, Failure> {
    Ok(Box::new(opened(path, opening, kind)?))
}

fn opened(path: &Path, opening: Opening<'_>, kind: Kind) -> Result<TextTable, Failure> {
    let (mut text, coded) = source::open(path, opening.said, opening.noised)?;
    let before = opening.said.skip.unwrap_or(0);
    for _ in 0..before {
        text.skip_until(b'\n').map_err(|e| source::unreadable(&e))?;
    }
    let mut sample = Vec::new();
    let read = text
        .by_ref()
        .take(SAMPLE)
        .read_to_end(&mut sample)
        .map_err(|e| source::unreadable(&e))?;
    let found = Sample {
        text: &String::from_utf8_lossy(&sample),
        whole: u64::try_from(read).is_ok_and(|read| read < SAMPLE),
        before: u64::from(before),
        kind,
        coded,
    };
    let found = found.found(opening)?;
    let rest = std::io::Cursor::new(sample).chain(text);
    Ok(TextTable {
        records: Records::new(Box::new(rest), u64::from(before), &found, opening.noised)?,
        cells: Cells::of(&found),
        found,
        header: opening.header,
        noised: opening.noised,
        readers: opening.readers(),
    })
}

/// A table of text, read once from top to bottom.
struct TextTable {
    records: Records,
    cells: Cells,
    found: Found,
    header: bool,
    noised: bool,
    /// Columns that are declared to be no numbers.
    readers: BTreeMap<String, CellReader>,
}

impl TextTable {
    /// Reads the numbers of `columns` of all rows. `keep`: whether they are kept, or only looked at.
    fn rows(&mut self, columns: &[String], keep: bool, threads: usize) -> Result<Columns, Failure> {
        let readers: Vec<Option<&CellReader>> =
            columns.iter().map(|c| self.readers.get(c)).collect();
        let mut record = ByteRecord::new();
        let mut read = Columns::new(columns.len());
        let first = self.records.next(&mut record)?;
        let first = first.ok_or_else(|| Failure::corrupt("the file is empty"))?;
        let names = header::names(&record, self.header, &self.found)?;
        let places = header::places(&names, columns)?;
        let row = Row {
            found: &self.found,
            cells: &self.cells,
            noised: self.noised,
            width: names.len(),
            columns,
            places: &places,
            readers: &readers,
        };
        if !self.header {
            row.read(&record, first, &mut read)?;
        }
        let how = (&self.found, &self.cells, self.noised);
        let wanted = Wanted::new(how, names.len(), &places, &readers).filter(|_| threads > 0);
        // Pieces side by side are worth it where no row needs care.
        let mut plain = true;
        loop {
            if let Some(wanted) = &wanted {
                let ahead = self.records.ahead()?;
                let extent = wanted.take(ahead, if plain { threads } else { 1 }, &mut read);
                plain = extent.whole;
                self.records.pass(extent);
            }
            let Some(line) = self.records.next(&mut record)? else {
                return Ok(read);
            };
            row.read(&record, line, &mut read)?;
            if !keep {
                read.values.iter_mut().for_each(Vec::clear);
            }
        }
    }

    /// A cell as a key.
    fn key<'c>(
        &self,
        cell: &'c [u8],
        place: usize,
        (column, kind): (&str, &mut Column),
        line: u64,
    ) -> Result<KeyCell<'c>, Failure> {
        let at = || format!("line {line}, column {column:?}");
        let text = std::str::from_utf8(cell).map_err(|_| self.found.not_utf8(&at()))?;
        if let Some(reader) = self.readers.get(column) {
            let coded = self.cells.coded(text, reader, kind);
            let coded = coded.map_err(|why| Failure::corrupt(format!("{}: {why}", at())))?;
            return Ok(KeyCell::coded(coded, reader));
        }
        let text = text.trim();
        Ok(
            match self.cells.is(text.as_bytes(), self.found.decimal(place)) {
                CellIs::Missing => KeyCell::Missing,
                CellIs::Number(value) => KeyCell::written(value, text),
                CellIs::Truth | CellIs::Text => KeyCell::Text(text.into()),
            },
        )
    }

    /// The names of the first line.
    fn names(&mut self, record: &mut ByteRecord) -> Result<Vec<String>, Failure> {
        let first = self.records.next(record)?;
        first.ok_or_else(|| Failure::corrupt("the file is empty"))?;
        header::names(record, self.header, &self.found)
    }
}

impl TableFile for TextTable {
    fn load(&mut self, columns: &[String]) -> Result<Table, Failure> {
        let read = self.rows(columns, true, pieces::threads())?;
        let columns = columns.iter().cloned().zip(read.values).collect();
        Ok(Table::new(columns, read.rows))
    }

    fn inspect(&mut self, columns: &[String], depth: Depth) -> Result<(), Failure> {
        match depth {
            Depth::Whole => self.rows(columns, false, pieces::threads()).map(|_| ()),
            Depth::Names => {
                let names = self.names(&mut ByteRecord::new())?;
                header::places(&names, columns).map(|_| ())
            }
        }
    }

    fn keys(
        &mut self,
        column: &str,
        depth: Depth,
        visit: &mut dyn FnMut(KeyCell<'_>),
    ) -> Result<(), Failure> {
        if !self.header {
            return Err(Failure::rejected("a table without header line has no keys"));
        }
        let mut record = ByteRecord::new();
        let names = self.names(&mut record)?;
        let places = header::places(&names, &[column.to_owned()])?;
        let (Some(place), Depth::Whole) = (places.first(), depth) else {
            return Ok(());
        };
        let mut kind = Column::default();
        while let Some(line) = self.records.next(&mut record)? {
            let whole = record.len() == names.len();
            if !whole && !self.noised {
                return Err(self.found.ragged(line, record.len(), names.len()));
            }
            let cell = record.get(*place).filter(|_| whole).unwrap_or_default();
            if self.noised {
                // Each cell by itself.
                kind = Column::default();
            }
            match self.key(cell, *place, (column, &mut kind), line) {
                Ok(key) => visit(key),
                Err(_) if self.noised => visit(KeyCell::Missing),
                Err(failure) => return Err(failure),
            }
        }
        Ok(())
    }

    fn size(&mut self, bound: usize) -> Result<(usize, usize), Failure> {
        let mut record = ByteRecord::new();
        let Some(_) = self.records.next(&mut record)? else {
            return Ok((0, 0));
        };
        let width = header::names(&record, true, &self.found)?.len();
        let mut rows = 0;
        // Blank lines are none, and take time all the same.
        let lines = u64::try_from(bound).unwrap_or(u64::MAX).saturating_mul(2);
        while rows < bound && self.records.lines() < lines {
            let Some(line) = self.records.next(&mut record)? else {
                break;
            };
            if record.len() != width {
                return Err(self.found.ragged(line, record.len(), width));
            }
            rows += 1;
        }
        Ok((width, rows))
    }

    fn profile(&mut self) -> Result<TableProfile, Failure> {
        let mut record = ByteRecord::new();
        let names = self.names(&mut record)?;
        let mut seen: Vec<Seen> = names.iter().map(|_| Seen::new()).collect();
        let mut rows = 0;
        while let Some(line) = self.records.next(&mut record)? {
            if record.len() != names.len() {
                return Err(self.found.ragged(line, record.len(), names.len()));
            }
            for ((place, cell), seen) in record.iter().enumerate().zip(&mut seen) {
                seen.add(line, cell, self.cells.is(cell, self.found.decimal(place)));
            }
            rows += 1;
        }
        let columns = seen.into_iter().zip(names);
        Ok(TableProfile {
            rows,
            columns: columns.map(|(seen, name)| seen.told(name)).collect(),
            notes: self.notes(),
        })
    }

    fn notes(&self) -> Vec<String> {
        let mut notes = self.found.notes();
        notes.extend(self.records.note());
        notes
    }
}

#[cfg(test)]
mod tests;
