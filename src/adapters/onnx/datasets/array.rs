//! Arrays, as the readers of formats offer them.

use crate::convert::Numbers;
use crate::failure::Failure;

/// One array, whose rows are read where they lie.
pub(super) trait ArrayFile: Send {
    /// Lengths of all dimensions; the first one counts the rows.
    fn shape(&self) -> &[usize];

    /// Rows along the first dimension; an array without dimensions is one row.
    fn len(&self) -> usize {
        self.shape().first().copied().unwrap_or(1)
    }

    /// Whether the elements are whole numbers or truth values.
    fn is_whole(&self) -> bool;

    /// The elements of some rows, one row after the other, in the given order.
    fn rows(&mut self, rows: &[usize]) -> Result<Numbers, Failure>;
}

/// What came of looking for an array by its names.
pub(super) enum Found {
    /// The first of the names that the file has.
    Array(Box<dyn ArrayFile>),
    /// None of them; these are the arrays that it has.
    Others(Vec<String>),
}

/// The name of an array that its file gives no name, as NumPy counts them.
pub(super) const UNNAMED: &str = "arr_0";
