//! The numbers of one row, and what is wrong with it.

use csv::ByteRecord;

use super::cells::{Cells, Column};
use super::dialect::Found;
use super::pieces::Columns;
use crate::failure::Failure;
use delta_domain::manifest::CellReader;

/// How the rows of a file are read.
pub(super) struct Row<'r> {
    pub(super) found: &'r Found,
    pub(super) cells: &'r Cells,
    pub(super) noised: bool,
    /// Cells of the first line.
    pub(super) width: usize,
    pub(super) columns: &'r [String],
    /// Where they stand.
    pub(super) places: &'r [usize],
    /// How those are read that are declared to be no numbers.
    pub(super) readers: &'r [Option<&'r CellReader>],
}

impl Row<'_> {
    /// Appends the numbers of the row that stands at `line`.
    pub(super) fn read(
        &self,
        record: &ByteRecord,
        line: u64,
        to: &mut Columns,
    ) -> Result<(), Failure> {
        let whole = record.len() == self.width;
        if !whole && !self.noised {
            return Err(self.found.ragged(line, record.len(), self.width));
        }
        let of_column = self.places.iter().zip(self.columns).zip(self.readers);
        let kept = to.kinds.iter_mut().zip(&mut to.values);
        for (((place, name), reader), (kind, values)) in of_column.zip(kept) {
            let cell = record.get(*place).filter(|_| whole).unwrap_or_default();
            if self.noised {
                // Each cell by itself.
                *kind = Column::default();
            }
            let value = match reader {
                Some(reader) => self.coded(cell, reader, kind, (line, name)),
                None => {
                    let decimal = self.found.decimal(*place);
                    self.cells.read(cell, decimal, kind).map_err(|unread| {
                        let of = (*place, name.as_str());
                        self.cells.failure(unread, cell, line, of, self.found)
                    })
                }
            };
            values.push(match value {
                Ok(value) => value,
                Err(_) if self.noised => f64::NAN,
                Err(failure) => return Err(failure),
            });
        }
        to.rows += 1;
        Ok(())
    }

    /// The number of a cell that is declared to be none.
    fn coded(
        &self,
        cell: &[u8],
        reader: &CellReader,
        kind: &mut Column,
        (line, name): (u64, &str),
    ) -> Result<f64, Failure> {
        let at = || format!("line {line}, column {name:?}");
        let text = std::str::from_utf8(cell).map_err(|_| self.found.not_utf8(&at()))?;
        let coded = self.cells.coded(text, reader, kind);
        coded.map_err(|why| Failure::corrupt(format!("{}: {why}", at())))
    }
}
