//! The parsers of this folder, fed by hand: for fuzzing, where a worker would be in the way.

use std::path::Path;

use super::datasets::table_rows;
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
