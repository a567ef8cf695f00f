//! Operators that work element by element, with broadcasting: axes are matched from the last one backwards.

use super::call::{Call, one};
use super::value::{Dim, Value};
use delta_domain::tensor::DType;

/// One input, one output of the same shape; what stands where on the last axis stays there.
pub(super) fn unary(call: &Call<'_>) -> Result<Vec<Value>, String> {
    let input = call.input(0)?;
    let mut made = one(input.shape()?.to_vec())?;
    if let Some(value) = made.first_mut() {
        value.labels.clone_from(&input.labels);
    }
    Ok(made)
}

/// Any number of inputs, one output of their common shape.
pub(super) fn many(call: &Call<'_>) -> Result<Vec<Value>, String> {
    one(broadcast(&call.present())?)
}

/// `Clip`: the bounds are single numbers that every record has alike.
pub(super) fn clip(call: &Call<'_>) -> Result<Vec<Value>, String> {
    call.fixed(1, "the lower bound")?;
    call.fixed(2, "the upper bound")?;
    unary(call)
}

/// `Div` and `Mod`: of whole numbers, a divisor of 0 (or -1 of the least number) kills the process that divides, so that one record
/// could end the work on all others.
pub(super) fn divide(call: &Call<'_>) -> Result<Vec<Value>, String> {
    let (above, below) = (call.input(0)?, call.input(1)?);
    let float = |v: &Value| matches!(v.dtype, Some(DType::F32 | DType::F64));
    let harmless = || {
        below
            .numbers("")
            .is_ok_and(|all| all.iter().all(|n| *n >= 1))
    };
    if (float(above) && float(below)) || (above.is_fixed() && below.is_fixed()) || harmless() {
        return many(call);
    }
    Err("whole numbers are divided by what is no constant of at least 1, which stops a whole batch when it is 0; divide floats".to_owned())
}

/// The common shape of values that work element by element.
///
/// # Errors
/// Records meet on different axes, or a value that has no records has an axis where they have theirs: what a record becomes would then
/// depend on its place in the batch, or on the others in it.
pub(super) fn broadcast(values: &[&Value]) -> Result<Vec<Dim>, String> {
    let shapes = values.iter().map(|v| v.shape());
    let shapes = shapes.collect::<Result<Vec<_>, _>>()?;
    let rank = shapes.iter().map(|s| s.len()).max().unwrap_or(0);
    let mut rows = None;
    for (value, shape) in values.iter().zip(&shapes) {
        let Some(axis) = value.rows() else { continue };
        let from_end = shape.len() - 1 - axis;
        if rows.is_some_and(|r| r != from_end) {
            return Err("the records stand on different axes, counted from the last: each would meet every other".to_owned());
        }
        rows = Some(from_end);
    }
    (0..rank)
        .rev()
        .map(|from_end| {
            let here = shapes.iter().filter_map(|s| {
                let axis = s.len().checked_sub(from_end + 1)?;
                s.get(axis).copied()
            });
            common(here, rows == Some(from_end))
        })
        .collect()
}

/// The common length of one axis.
fn common(here: impl Iterator<Item = Dim>, rows: bool) -> Result<Dim, String> {
    let mut length = Dim::Known(1);
    for dim in here {
        match dim {
            Dim::Known(1) => {}
            Dim::Rows => length = Dim::Rows,
            Dim::Known(_) | Dim::Other if rows => {
                return Err("a value that is the same for all records is longer than 1 on their axis: what it does to a record depends on the record's place".to_owned());
            }
            Dim::Known(n) => length = Dim::Known(n),
            Dim::Other if length == Dim::Known(1) => length = Dim::Other,
            Dim::Other => {}
        }
    }
    Ok(length)
}
