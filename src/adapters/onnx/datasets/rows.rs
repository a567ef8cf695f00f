//! What the drivers see of a dataset, whatever file it came from.

use crate::failure::Failure;
use delta_domain::manifest::DataField;
use delta_domain::tensor::Tensor;

/// A dataset, or a part of it, as numbered rows.
pub(crate) trait Rows: Send {
    /// Number of rows.
    fn len(&self) -> usize;

    /// Where its first row stands in the whole dataset, when this is a part of one.
    fn first(&self) -> usize {
        0
    }

    /// A field of some rows, in the given order; the first dimension counts them.
    fn read(&mut self, field: &DataField, rows: &[usize]) -> Result<Tensor, Failure>;

    /// A field of all rows, in the dataset's order.
    fn whole(&mut self, field: &DataField) -> Result<Tensor, Failure> {
        let all: Vec<usize> = (0..self.len()).collect();
        self.read(field, &all)
    }
}
