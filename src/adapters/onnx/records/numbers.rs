//! Whole numbers that are known before anything runs: constants, lengths of axes, and what exporters compute of them to make shapes.
//!
//! Among them may be the number of records in the batch. It may become a length again; any other use of it is refused.

use super::call::{Call, place};
use super::value::{Dim, Value};
use crate::pb::{self, element};
use delta_domain::tensor::DType;

/// More elements than any shape or list of columns that is worth following.
const MOST: usize = 256;

/// The elements of a node's first output, when they are few whole numbers that are known.
pub(super) fn fold(call: &Call<'_>) -> Option<Vec<Dim>> {
    let whole = |i: usize| call.optional(i)?.whole.as_ref();
    let made = match call.node.op() {
        "Constant" => constant(call)?,
        "Shape" => shape(call).ok()?,
        "Size" => vec![total(call.optional(0)?)?],
        "Identity" | "Reshape" | "Flatten" | "Squeeze" | "Unsqueeze" => whole(0)?.clone(),
        "Cast" => cast(call)?,
        "Concat" => concat(call)?,
        "Gather" => gather(call)?,
        "Slice" => slice(call)?,
        "ConstantOfShape" => constant_of_shape(call)?,
        "Add" => pairs(whole(0)?, whole(1)?, sum)?,
        "Sub" => pairs(whole(0)?, whole(1)?, difference)?,
        "Mul" => pairs(whole(0)?, whole(1)?, times)?,
        "Equal" => pairs(whole(0)?, whole(1)?, equal)?,
        "Where" => choose(whole(0)?, whole(1)?, whole(2)?)?,
        _ => return None,
    };
    (made.len() <= MOST).then_some(made)
}

/// The lengths that `Shape` gives.
pub(super) fn shape(call: &Call<'_>) -> Result<Vec<Dim>, String> {
    let dims = call.input(0)?.shape()?;
    let length = i64::try_from(dims.len()).unwrap_or(i64::MAX);
    let (start, end) = (call.int("start", 0)?, call.int("end", length)?);
    if call.opset < 15 && (start, end) != (0, length) {
        return Err("start and end exist since version 15 only".to_owned());
    }
    let inside = |at: i64| {
        if at < 0 {
            at.saturating_add(length)
        } else {
            at
        }
        .clamp(0, length)
    };
    let (start, end) = (inside(start), inside(end).max(inside(start)));
    let range = usize::try_from(start).ok().zip(usize::try_from(end).ok());
    let part = range.and_then(|(start, end)| dims.get(start..end));
    part.map(<[Dim]>::to_vec)
        .ok_or_else(|| "no such axes".to_owned())
}

/// How many elements a value has.
fn total(value: &Value) -> Option<Dim> {
    let dims = value.dims.as_ref()?;
    dims.iter().try_fold(Dim::Known(1), |n, d| times(n, *d))
}

/// The value of a `Constant`.
fn constant(call: &Call<'_>) -> Option<Vec<Dim>> {
    if let Some(tensor) = call.tensor("value") {
        return elements(tensor);
    }
    if call.foreign(&["value_int"]).is_none() {
        return Some(vec![Dim::Known(call.int("value_int", 0).ok()?)]);
    }
    let list = call.ints("value_ints").ok()??;
    (list.len() <= MOST).then(|| list.iter().map(|n| Dim::Known(*n)).collect())
}

/// The elements of a constant of whole numbers.
pub(super) fn elements(tensor: &pb::Tensor) -> Option<Vec<Dim>> {
    let count = tensor
        .dims
        .iter()
        .try_fold(1_i64, |n, d| n.checked_mul(*d))?;
    if usize::try_from(count).ok()? > MOST {
        return None;
    }
    let known = |all: Vec<i64>| Some(all.into_iter().map(Dim::Known).collect());
    match (tensor.data_type?, &tensor.raw_data) {
        (element::INT64, None) => known(tensor.int64_data.clone()),
        (element::INT64, Some(raw)) => known(
            raw.as_chunks::<8>()
                .0
                .iter()
                .map(|b| i64::from_le_bytes(*b))
                .collect(),
        ),
        (element::INT32, Some(raw)) => known(
            raw.as_chunks::<4>()
                .0
                .iter()
                .map(|b| i64::from(i32::from_le_bytes(*b)))
                .collect(),
        ),
        (element::BOOL, Some(raw)) => known(raw.iter().map(|b| i64::from(*b != 0)).collect()),
        (element::INT32, None) => known(tensor.int32_data.iter().map(|n| i64::from(*n)).collect()),
        (element::BOOL, None) => known(
            tensor
                .int32_data
                .iter()
                .map(|n| i64::from(*n != 0))
                .collect(),
        ),
        _ => None,
    }
}

/// Only to types that hold every length.
fn cast(call: &Call<'_>) -> Option<Vec<Dim>> {
    let whole = call.optional(0)?.whole.clone()?;
    let to = call.int("to", 0).ok()?;
    let small = |d: &Dim| d.known().is_none_or(|n| i32::try_from(n).is_ok());
    let fits = to == i64::from(element::INT64)
        || (to == i64::from(element::INT32) && whole.iter().all(small));
    fits.then_some(whole)
}

/// Lists one after the other.
fn concat(call: &Call<'_>) -> Option<Vec<Dim>> {
    let mut all = Vec::new();
    for value in &call.inputs {
        all.extend_from_slice((*value)?.whole.as_ref()?);
        if all.len() > MOST {
            return None;
        }
    }
    Some(all)
}

/// Elements of a list.
fn gather(call: &Call<'_>) -> Option<Vec<Dim>> {
    let (list, indices) = (call.optional(0)?, call.optional(1)?);
    if list.dims.as_ref()?.len() != 1 || call.int("axis", 0).ok()? > 0 {
        return None;
    }
    let all = list.whole.as_ref()?;
    let numbers = indices.numbers("").ok()?;
    let place = |i: &i64| all.get(place(*i, all.len()).ok()?).copied();
    numbers.iter().map(place).collect()
}

/// A stretch of a list.
fn slice(call: &Call<'_>) -> Option<Vec<Dim>> {
    let list = call.optional(0)?;
    if list.dims.as_ref()?.len() != 1 {
        return None;
    }
    let all = list.whole.as_ref()?;
    let single = |i: usize, default: Option<i64>| match call.optional(i) {
        None => default,
        Some(value) => match value.numbers("").ok()?.as_slice() {
            [one] => Some(*one),
            _ => None,
        },
    };
    let length = i64::try_from(all.len()).ok()?;
    let inside = |at: i64| {
        if at < 0 {
            at.saturating_add(length)
        } else {
            at
        }
        .clamp(0, length)
    };
    let (start, end) = (inside(single(1, None)?), inside(single(2, None)?));
    if !matches!(single(3, Some(0))?, 0 | -1) || single(4, Some(1))? != 1 {
        return None;
    }
    let (start, end) = (
        usize::try_from(start).ok()?,
        usize::try_from(end.max(start)).ok()?,
    );
    all.get(start..end).map(<[Dim]>::to_vec)
}

/// The same number as often as a list of one length says.
fn constant_of_shape(call: &Call<'_>) -> Option<Vec<Dim>> {
    let count = match call.optional(0)?.whole.as_deref()? {
        [] => 1,
        [Dim::Known(n)] => usize::try_from(*n).ok().filter(|n| *n <= MOST)?,
        _ => return None,
    };
    match elements(call.tensor("value")?)?.as_slice() {
        [one] => Some(vec![*one; count]),
        _ => None,
    }
}

/// Element by element, a single number with each.
fn pairs(a: &[Dim], b: &[Dim], each: fn(Dim, Dim) -> Option<Dim>) -> Option<Vec<Dim>> {
    let length = common(&[a, b])?;
    let at = |list: &[Dim], i: usize| list.get(if list.len() == 1 { 0 } else { i }).copied();
    (0..length).map(|i| each(at(a, i)?, at(b, i)?)).collect()
}

fn choose(which: &[Dim], a: &[Dim], b: &[Dim]) -> Option<Vec<Dim>> {
    let length = common(&[which, a, b])?;
    let at = |list: &[Dim], i: usize| list.get(if list.len() == 1 { 0 } else { i }).copied();
    let each = |i: usize| match at(which, i)?.known()? {
        0 => at(b, i),
        _ => at(a, i),
    };
    (0..length).map(each).collect()
}

/// The length of lists that are as long as each other, or 1.
fn common(lists: &[&[Dim]]) -> Option<usize> {
    let longest = lists.iter().map(|l| l.len()).max()?;
    let fit = lists.iter().all(|l| l.len() == longest || l.len() == 1);
    fit.then_some(longest)
}

fn sum(a: Dim, b: Dim) -> Option<Dim> {
    match (a, b) {
        (Dim::Rows, Dim::Known(0)) | (Dim::Known(0), Dim::Rows) => Some(Dim::Rows),
        (Dim::Known(a), Dim::Known(b)) => Some(Dim::Known(a.checked_add(b)?)),
        (Dim::Rows, _) | (_, Dim::Rows) => None,
        _ => Some(Dim::Other),
    }
}

fn difference(a: Dim, b: Dim) -> Option<Dim> {
    match (a, b) {
        (a, Dim::Known(b)) => sum(a, Dim::Known(b.checked_neg()?)),
        (Dim::Rows, _) | (_, Dim::Rows) => None,
        _ => Some(Dim::Other),
    }
}

fn times(a: Dim, b: Dim) -> Option<Dim> {
    match (a, b) {
        (Dim::Rows, Dim::Known(1)) | (Dim::Known(1), Dim::Rows) => Some(Dim::Rows),
        (Dim::Known(a), Dim::Known(b)) => Some(Dim::Known(a.checked_mul(b)?)),
        (Dim::Rows, _) | (_, Dim::Rows) => None,
        _ => Some(Dim::Other),
    }
}

/// There is at least one record, and some number that is not known of them.
fn equal(a: Dim, b: Dim) -> Option<Dim> {
    match (a, b) {
        (Dim::Known(a), Dim::Known(b)) => Some(Dim::Known(i64::from(a == b))),
        (Dim::Rows, Dim::Known(n)) | (Dim::Known(n), Dim::Rows) if n < 1 => Some(Dim::Known(0)),
        (Dim::Rows, _) | (_, Dim::Rows) => None,
        _ => Some(Dim::Other),
    }
}

/// The element type of an ONNX code.
pub(super) fn dtype(code: i64) -> Option<DType> {
    let code = i32::try_from(code).ok()?;
    Some(match code {
        element::FLOAT => DType::F32,
        element::DOUBLE => DType::F64,
        element::INT32 => DType::I32,
        element::INT64 => DType::I64,
        element::UINT8 => DType::U8,
        element::BOOL => DType::Bool,
        _ => return None,
    })
}
