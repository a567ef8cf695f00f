//! Rows of units a block at a time, turned so that each output is contiguous: what the first-level cache and the compiler like.

use super::accumulate::Units;
pub(super) use super::packed::ROWS;
use crate::secagg::exact_number::Steps;

/// Behind each column: from one to the next is no power of two, so that columns do not fall on the same lines of a cache.
const GAP: usize = 8;

/// Columns of some rows of W = [1, V]: the ones first, then each output.
pub(super) struct Block {
    rows: usize,
    stride: usize,
    columns: Vec<i64>,
}

impl Block {
    /// Calls `see` with each block of `units` in turn. A block has at most [`ROWS`] rows.
    pub(super) fn each(units: &Units, mut see: impl FnMut(&Self)) {
        let stride = units.packed().block() + GAP;
        let mut block = Self {
            rows: 0,
            stride,
            columns: vec![1; (units.width() + 1) * stride],
        };
        units.packed().each(|rows, mut packed| {
            block.rows = rows;
            let outputs = block.columns.chunks_mut(stride).skip(1);
            for (column, steps) in outputs.zip(units.steps()) {
                let column = &mut column[..rows];
                packed.next(column);
                scaled(column, steps);
            }
            see(&block);
        });
    }

    /// How many rows it has.
    pub(super) const fn rows(&self) -> usize {
        self.rows
    }

    /// Its columns, each of as many numbers as it has rows.
    pub(super) fn columns(&self) -> impl Iterator<Item = &[i64]> {
        self.columns
            .chunks(self.stride)
            .map(|column| &column[..self.rows])
    }
}

/// The bits of doubles as integers of their scale; where there is none, words are integers already.
pub(super) fn scaled(column: &mut [i64], steps: Option<Steps>) {
    if let Some(steps) = steps {
        for word in column {
            *word = steps.of(f64::from_bits(word.cast_unsigned()));
        }
    }
}
