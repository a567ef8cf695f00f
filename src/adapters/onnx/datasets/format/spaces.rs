//! Tables of white space: `.tsv` and `.txt`. Any run of blanks and tabs separates two cells.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;

use crate::datasets::lines::{Lines, MARK};
use crate::datasets::table::TableFile;
use crate::failure::Failure;

/// A longer line is no line of a table.
const LINE_BYTES: u64 = 16 << 20;

/// Opens a table of white space.
pub(super) fn open(path: &Path) -> Result<Box<dyn TableFile>, Failure> {
    let file = File::open(path).map_err(|e| Failure::unreadable("it", &e))?;
    Ok(Box::new(Spaces {
        reader: BufReader::new(file),
        cells: Vec::new(),
        number: 0,
    }))
}

struct Spaces {
    reader: BufReader<File>,
    cells: Vec<String>,
    /// Of the line last read, from 1.
    number: u64,
}

impl Lines for Spaces {
    fn next(&mut self) -> Result<Option<(u64, &[String])>, Failure> {
        loop {
            let mut line = Vec::new();
            let read = self
                .reader
                .by_ref()
                .take(LINE_BYTES)
                .read_until(b'\n', &mut line)
                .map_err(|e| Failure::unreadable("it", &e))?;
            if read == 0 {
                return Ok(None);
            }
            self.number += 1;
            if !line.ends_with(b"\n") && u64::try_from(read) == Ok(LINE_BYTES) {
                return Err(Failure::corrupt(format!(
                    "line {} is longer than {LINE_BYTES} bytes",
                    self.number
                )));
            }
            self.cells = String::from_utf8_lossy(&line)
                .trim_start_matches(MARK)
                .split_whitespace()
                .map(str::to_owned)
                .collect();
            if !self.cells.is_empty() {
                return Ok(Some((self.number, &self.cells)));
            }
        }
    }
}
