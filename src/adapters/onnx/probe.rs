//! The parsers of this folder, fed by hand: for fuzzing, where a worker would be in the way.

use std::path::Path;

use super::datasets::{array_read, picture_read, table_rows, tables_rows};
use super::guard::{GraphLimits, check};

/// Checks a graph; answers the bytes that a runtime would see.
#[must_use]
pub fn graph(file: &[u8]) -> Option<Vec<u8>> {
    let limits = GraphLimits {
        constant_bytes: 1 << 20,
        ..GraphLimits::default()
    };
    check(file, &limits).ok().map(|checked| checked.bytes)
}

/// Reads a table with a header and these columns; answers its rows.
#[must_use]
pub fn table(path: &Path, columns: &[String]) -> Option<usize> {
    table_rows(path, columns)
}

/// Reads a table with a header and these columns, plainly, under noise, and as its owner sees it; answers the rows of each.
#[must_use]
pub fn tables(path: &Path, columns: &[String]) -> [Option<usize>; 3] {
    tables_rows(path, columns)
}

/// Describes a file of arrays, and reads all rows of its first one.
pub fn array(path: &Path) {
    array_read(path);
}

/// Reads a picture as one sample of a shape; answers how many values it has.
#[must_use]
pub fn picture(path: &Path, shape: &[usize]) -> Option<usize> {
    picture_read(path, shape)
}
