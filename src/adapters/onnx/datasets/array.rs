//! Arrays, as the readers of formats offer them.

use crate::convert::{Numbers, numbers};
use crate::failure::Failure;
use delta_domain::tensor::{DType, TensorData};

/// One array, whose rows are read where they lie.
pub(super) trait ArrayFile: Send {
    /// Lengths of all dimensions; the first one counts the rows.
    fn shape(&self) -> &[usize];

    /// The type of the elements as they are stored, in NumPy's words.
    fn kind(&self) -> &'static str;

    /// Rows along the first dimension; an array without dimensions is one row.
    fn len(&self) -> usize {
        self.shape().first().copied().unwrap_or(1)
    }

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
/// Names of the array of samples, the first that is there.
pub(super) const SAMPLES: [&str; 2] = ["x", UNNAMED];
/// Names of the array of labels, the first that is there.
pub(super) const LABELS: [&str; 2] = ["y", "arr_1"];

/// Whether an array is one sample of `shape`.
pub(super) fn is_one(array: &dyn ArrayFile, shape: &[usize]) -> Result<(), Failure> {
    if array.shape() == shape {
        return Ok(());
    }
    Err(Failure::corrupt(format!(
        "its shape is {:?}, the task expects {shape:?}",
        array.shape()
    )))
}

/// Appends an array as one sample, which must have exactly `shape`.
pub(super) fn append(
    array: &mut dyn ArrayFile,
    shape: &[usize],
    out: &mut Vec<f32>,
) -> Result<(), Failure> {
    is_one(array, shape)?;
    let all: Vec<usize> = (0..array.len()).collect();
    let TensorData::F32(values) = numbers(array.rows(&all)?, DType::F32)? else {
        return Err(Failure::internal("numbers of another type than asked for"));
    };
    out.extend(values);
    Ok(())
}
