//! Rows of units a block at a time, turned so that each output is contiguous: what the first-level cache and the compiler like.

use super::accumulate::Units;

/// Rows of a block.
pub(super) const ROWS: usize = 256;

/// Columns of some rows of W = [1, V]: the ones first, then each output.
pub(super) struct Block {
    rows: usize,
    columns: Vec<i64>,
}

impl Block {
    /// Calls `see` with each block of `units` in turn. A block has at most [`ROWS`] rows.
    pub(super) fn each(units: &Units, mut see: impl FnMut(&Self)) {
        let width = units.width();
        let mut block = Self {
            rows: 0,
            columns: vec![1; (width + 1) * ROWS],
        };
        for chunk in units.vectors().chunks(width * ROWS) {
            block.rows = chunk.len() / width;
            for (i, row) in chunk.chunks(width).enumerate() {
                for (x, column) in row.iter().zip(block.columns.chunks_mut(ROWS).skip(1)) {
                    column[i] = *x;
                }
            }
            see(&block);
        }
    }

    /// Its columns, each of as many numbers as it has rows.
    pub(super) fn columns(&self) -> impl Iterator<Item = &[i64]> {
        self.columns.chunks(ROWS).map(|column| &column[..self.rows])
    }
}
