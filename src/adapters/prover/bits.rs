//! A matrix of bits, column after column, rows from the lowest bit of a byte up: rows that a sum-check binds first are neighbours.

use zeroize::Zeroize as _;

use crate::layout::{FEATURE_BITS, Layout, OFFSET, aux};
use crate::sigmoid::Position;
use crate::table::Table;
use delta_ports::certifier::Model;

/// Wiped on drop.
pub(crate) struct Bits {
    rows: usize,
    columns: usize,
    bytes: Vec<u8>,
}

impl Drop for Bits {
    fn drop(&mut self) {
        self.bytes.zeroize();
    }
}

impl Bits {
    fn new(rows: usize, columns: usize) -> Self {
        let bytes = vec![0; rows / 8 * columns];
        Self {
            rows,
            columns,
            bytes,
        }
    }

    /// Of a table: features, label, and which rows are real.
    pub(crate) fn of_table(layout: &Layout, table: &Table) -> Self {
        let mut bits = Self::new(layout.rows(), layout.data_columns());
        for row in 0..table.rows() {
            for j in 0..layout.features {
                bits.put(
                    row,
                    j * FEATURE_BITS,
                    FEATURE_BITS,
                    (table.feature(row, j) + OFFSET).unsigned_abs(),
                );
            }
            let shift = if layout.model == Model::Linear {
                OFFSET
            } else {
                0
            };
            let label = (table.label(row) + shift).unsigned_abs();
            bits.put(row, layout.label(), layout.label_bits(), label);
            bits.put(row, layout.real(), 1, 1);
        }
        bits
    }

    /// Of where rows lie on the sigmoid.
    pub(crate) fn of_positions(positions: &[Position]) -> Self {
        let mut bits = Self::new(positions.len(), aux::BITS);
        for (row, p) in positions.iter().enumerate() {
            bits.put(row, aux::NEGATIVE, 1, u64::from(p.negative));
            bits.put(row, aux::SATURATED, 1, u64::from(p.saturated));
            bits.put(row, aux::EXCESS, aux::EXCESS_BITS, p.excess);
            if !p.saturated {
                bits.put(row, aux::GROUP + p.segment / aux::SEGMENTS, 1, 1);
            }
            bits.put(row, aux::SEGMENT + p.segment % aux::SEGMENTS, 1, 1);
            bits.put(row, aux::LOW, aux::LOW_BITS, p.low);
        }
        bits
    }

    fn put(&mut self, row: usize, column: usize, count: usize, value: u64) {
        for bit in 0..count {
            let at = (column + bit) * (self.rows / 8) + row / 8;
            let set = u8::from(value >> bit & 1 == 1);
            self.bytes[at] |= set << (row % 8);
        }
    }

    pub(crate) fn columns(&self) -> usize {
        self.columns
    }

    /// 0 or 1; 0 beyond the last column.
    pub(crate) fn get(&self, row: usize, column: usize) -> u8 {
        if column >= self.columns {
            return 0;
        }
        self.bytes[column * (self.rows / 8) + row / 8] >> (row % 8) & 1
    }

    /// Eight rows of a column.
    pub(crate) fn column(&self, column: usize) -> &[u8] {
        let length = self.rows / 8;
        &self.bytes[column * length..][..length]
    }

    /// All of it, to be hashed.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// For tests of what a dishonest member might do.
    #[cfg(test)]
    pub(crate) fn flip(&mut self, row: usize, column: usize) {
        self.bytes[column * (self.rows / 8) + row / 8] ^= 1 << (row % 8);
    }
}

/// Numbers below 2^56, one a row. Wiped on drop.
pub(crate) struct Heights(pub(crate) Vec<u64>);

impl Drop for Heights {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}
