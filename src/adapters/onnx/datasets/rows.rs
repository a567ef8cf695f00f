//! What the drivers see of a dataset, whatever file it came from.

use super::join::LookedUp;
use crate::failure::Failure;
use delta_domain::manifest::DataField;
use delta_domain::tensor::Tensor;

/// How much of a dataset is looked at before a task is run on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Depth {
    /// Its form: whether a single row can be read is nothing that may decide over a task under noise.
    Names,
    /// Everything that the task reads.
    Whole,
}

/// A dataset, or a part of it, as numbered rows.
pub(crate) trait Rows: Send {
    /// Number of rows.
    fn len(&self) -> usize;

    /// Where its first row stands in the whole dataset, when this is a part of one.
    fn first(&self) -> usize {
        0
    }

    /// Whether a row is there: one that finds no partner in an inner join is not, and keeps its place.
    fn holds(&self, _row: usize) -> bool {
        true
    }

    /// What its rows look up in other datasets.
    fn looked_up(&self) -> &[LookedUp] {
        &[]
    }

    /// A field of some rows, in the given order; the first dimension counts them.
    fn read(&mut self, field: &DataField, rows: &[usize]) -> Result<Tensor, Failure>;

    /// Looks at it before a task is run on it, as deep as asked: what is wrong with it is said now, and not in the middle of a round.
    ///
    /// The first row shows whether the form is right.
    fn inspect(&mut self, _depth: Depth) -> Result<(), Failure> {
        self.read(&DataField::X, &[0]).map(drop)
    }

    /// A field of all rows that are there, in the dataset's order.
    fn whole(&mut self, field: &DataField) -> Result<Tensor, Failure> {
        let all: Vec<usize> = (0..self.len()).filter(|row| self.holds(*row)).collect();
        self.read(field, &all)
    }
}
