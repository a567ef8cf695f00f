//! Tables of commas: `.csv`, with quotes as usual.

use std::fs::File;
use std::path::Path;

use crate::datasets::lines::{Lines, MARK};
use crate::datasets::table::TableFile;
use crate::failure::Failure;

/// Opens a table of commas.
pub(super) fn open(path: &Path) -> Result<Box<dyn TableFile>, Failure> {
    let file = File::open(path).map_err(|e| Failure::unreadable("it", &e))?;
    let reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .from_reader(file);
    Ok(Box::new(Commas {
        reader,
        cells: Vec::new(),
    }))
}

struct Commas {
    reader: csv::Reader<File>,
    cells: Vec<String>,
}

impl Lines for Commas {
    fn next(&mut self) -> Result<Option<(u64, &[String])>, Failure> {
        let mut record = csv::ByteRecord::new();
        let more = self
            .reader
            .read_byte_record(&mut record)
            .map_err(|e| Failure::corrupt(format!("it is not a table of commas: {e}")))?;
        if !more {
            return Ok(None);
        }
        self.cells = record
            .iter()
            .map(|c| {
                String::from_utf8_lossy(c)
                    .trim_start_matches(MARK)
                    .to_owned()
            })
            .collect();
        let number = record.position().map_or(0, csv::Position::line);
        Ok(Some((number, &self.cells)))
    }
}
