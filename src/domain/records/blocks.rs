//! Rows of units a block at a time, turned so that each output is contiguous: what the first-level cache and the compiler like.

use super::accumulate::Units;

/// Rows of a block.
pub(super) const ROWS: usize = 256;
/// From one column to the next: no power of two, so that columns do not fall on the same lines of a cache.
const STRIDE: usize = ROWS + 8;

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
            columns: vec![1; (width + 1) * STRIDE],
        };
        for chunk in units.vectors().chunks(width * ROWS) {
            block.rows = chunk.len() / width;
            for (i, row) in chunk.chunks(width).enumerate() {
                for (x, column) in row.iter().zip(block.columns.chunks_mut(STRIDE).skip(1)) {
                    column[i] = *x;
                }
            }
            see(&block);
        }
    }

    /// Its columns, each of as many numbers as it has rows.
    pub(super) fn columns(&self) -> impl Iterator<Item = &[i64]> {
        self.columns
            .chunks(STRIDE)
            .map(|column| &column[..self.rows])
    }
}
