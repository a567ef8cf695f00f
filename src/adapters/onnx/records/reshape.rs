//! Operators that give the same elements another shape, or repeat them.

use super::call::{Call, one, places};
use super::value::{Dim, Value, product};

const LOST: &str = "it cannot be told that the records keep an axis of their own; write 0 or -1 where they stand, and known lengths elsewhere";

/// `Transpose`.
pub(super) fn transpose(call: &Call<'_>) -> Result<Vec<Value>, String> {
    let dims = call.input(0)?.shape()?;
    let order = match call.ints("perm")? {
        Some(order) => places(order, dims.len())?,
        None => (0..dims.len()).rev().collect(),
    };
    let distinct: std::collections::BTreeSet<_> = order.iter().collect();
    if order.len() != dims.len() || distinct.len() != dims.len() {
        return Err("perm is no order of the axes".to_owned());
    }
    one(order
        .iter()
        .filter_map(|axis| dims.get(*axis).copied())
        .collect())
}

/// `Reshape`.
pub(super) fn reshape(call: &Call<'_>) -> Result<Vec<Value>, String> {
    let dims = call.input(0)?.shape()?;
    let wanted = call.input(1)?.whole.as_ref();
    let wanted = wanted.ok_or("the new shape is not known")?;
    let zero = call.int("allowzero", 0)? != 0;
    if zero && wanted.contains(&Dim::Known(0)) {
        return Err("a shape of length 0".to_owned());
    }
    one(reshaped(dims, wanted)?)
}

/// The new shape, with the records where they have an axis of their own.
///
/// Elements keep their order, so records at axis a go to axis b, and nowhere else, when axis b is as long as they are many and as many
/// elements stand before it as before (row by row: those of axes 0 to a - 1).
fn reshaped(dims: &[Dim], wanted: &[Dim]) -> Result<Vec<Dim>, String> {
    let copied = |(axis, dim): (usize, &Dim)| match dim {
        Dim::Known(0) => dims.get(axis).copied().ok_or("a 0 behind the last axis"),
        other => Ok(*other),
    };
    let mut made = wanted
        .iter()
        .enumerate()
        .map(copied)
        .collect::<Result<Vec<Dim>, _>>()?;
    let open: Vec<usize> = (0..made.len())
        .filter(|axis| made.get(*axis) == Some(&Dim::Known(-1)))
        .collect();
    let rows = dims.iter().position(|d| *d == Dim::Rows);
    match (open.as_slice(), rows) {
        ([], _) => {}
        ([axis], rows) => {
            let length = rest(dims, &made, *axis, rows);
            if let Some(dim) = made.get_mut(*axis) {
                *dim = length;
            }
        }
        _ => return Err("two lengths are left open".to_owned()),
    }
    let Some(from) = rows else {
        let open = made.contains(&Dim::Rows);
        return if open { Err(LOST.to_owned()) } else { Ok(made) };
    };
    let to = made.iter().position(|d| *d == Dim::Rows).ok_or(LOST)?;
    let before = |dims: &[Dim], axis: usize| dims.get(..axis).and_then(product);
    match (before(dims, from), before(&made, to)) {
        (Some(a), Some(b)) if a == b => Ok(made),
        // The same axes in front, whatever their lengths.
        _ if from == to
            && wanted
                .get(..to)
                .is_some_and(|w| w.iter().all(|d| *d == Dim::Known(0))) =>
        {
            Ok(made)
        }
        _ => Err(LOST.to_owned()),
    }
}

/// What a single open length at `axis` comes to.
fn rest(dims: &[Dim], made: &[Dim], axis: usize, rows: Option<usize>) -> Dim {
    let others: Vec<Dim> = made
        .iter()
        .enumerate()
        .filter(|(i, _)| *i != axis)
        .map(|(_, d)| *d)
        .collect();
    let own: Vec<Dim> = dims.iter().copied().filter(|d| *d != Dim::Rows).collect();
    let elsewhere = others.contains(&Dim::Rows);
    let others: Vec<Dim> = others.into_iter().filter(|d| *d != Dim::Rows).collect();
    match (product(&own), product(&others), rows) {
        // The records stand elsewhere, or there are none.
        (Some(a), Some(b), rows) if (elsewhere || rows.is_none()) && b > 0 && a % b == 0 => {
            Dim::Known(a / b)
        }
        (Some(a), Some(b), Some(_)) if !elsewhere && a == b => Dim::Rows,
        _ => Dim::Other,
    }
}

/// `Flatten`: all axes before `axis` into one, the others into another.
pub(super) fn flatten(call: &Call<'_>) -> Result<Vec<Value>, String> {
    let dims = call.input(0)?.shape()?;
    let rank = i64::try_from(dims.len()).unwrap_or(i64::MAX);
    let axis = match call.int("axis", 1)? {
        axis if axis == rank => dims.len(),
        axis => super::call::place(axis, dims.len())?,
    };
    let (front, back) = dims.split_at_checked(axis).ok_or("no such axis")?;
    one(vec![merged(front)?, merged(back)?])
}

/// The length of axes that become one; records among them must be alone there.
fn merged(dims: &[Dim]) -> Result<Dim, String> {
    if !dims.contains(&Dim::Rows) {
        return Ok(product(dims).map_or(Dim::Other, Dim::Known));
    }
    let others = dims.iter().copied().filter(|d| *d != Dim::Rows);
    match product(&others.collect::<Vec<_>>()) {
        Some(1) => Ok(Dim::Rows),
        _ => Err(LOST.to_owned()),
    }
}

/// `Squeeze`: which axes are removed must be said, as a batch of one record has one more of length 1.
pub(super) fn squeeze(call: &Call<'_>) -> Result<Vec<Value>, String> {
    let dims = call.input(0)?.shape()?;
    let axes = call
        .optional(1)
        .ok_or("axes are not given: a batch of one record would lose its own")?;
    let axes = places(&axes.numbers("the list of axes")?, dims.len())?;
    if axes.iter().any(|axis| dims.get(*axis) == Some(&Dim::Rows)) {
        return Err("the axis of the records would be removed".to_owned());
    }
    let kept = dims.iter().enumerate().filter(|(i, _)| !axes.contains(i));
    one(kept.map(|(_, d)| *d).collect())
}

/// `Unsqueeze`: axes are those of the output.
pub(super) fn unsqueeze(call: &Call<'_>) -> Result<Vec<Value>, String> {
    let dims = call.input(0)?.shape()?;
    let axes = call.input(1)?.numbers("the list of axes")?;
    let rank = dims.len().saturating_add(axes.len());
    let axes: std::collections::BTreeSet<usize> = places(&axes, rank)?.into_iter().collect();
    let mut left = dims.iter();
    let made = (0..dims.len() + axes.len()).map(|axis| {
        if axes.contains(&axis) {
            Some(Dim::Known(1))
        } else {
            left.next().copied()
        }
    });
    one(made.collect::<Option<Vec<_>>>().ok_or("axes stand twice")?)
}

/// `Expand`: a value of the common shape of both.
pub(super) fn expand(call: &Call<'_>) -> Result<Vec<Value>, String> {
    let input = call.input(0)?;
    let wanted = call.input(1)?.whole.clone();
    let wanted = Value::shaped(lengths(wanted.ok_or("the new shape is not known")?)?);
    one(super::elementwise::broadcast(&[input, &wanted])?)
}

/// `Tile`: how often each axis is repeated.
pub(super) fn tile(call: &Call<'_>) -> Result<Vec<Value>, String> {
    let dims = call.input(0)?.shape()?;
    let times = call.input(1)?.whole.as_ref();
    let times = times.ok_or("how often axes are repeated is not known")?;
    if times.len() != dims.len() {
        return Err("another number of repeats than axes".to_owned());
    }
    let made = dims.iter().zip(times).map(|pair| match pair {
        (dim, Dim::Known(1)) => Ok(*dim),
        (Dim::Known(1), times) => Ok(*times),
        (Dim::Rows, _) | (_, Dim::Rows) => {
            Err("records would be repeated along their axis".to_owned())
        }
        (Dim::Known(a), Dim::Known(b)) => Ok(a.checked_mul(*b).map_or(Dim::Other, Dim::Known)),
        (Dim::Other, _) | (_, Dim::Other) => Ok(Dim::Other),
    });
    one(made.collect::<Result<_, _>>()?)
}

/// `ConstantOfShape`: the same number everywhere, so a block for each record is no more than that.
pub(super) fn constant_of_shape(call: &Call<'_>) -> Result<Vec<Value>, String> {
    let wanted = call.input(0)?.whole.clone();
    one(lengths(wanted.ok_or("the shape is not known")?)?)
}

/// Numbers that are lengths.
fn lengths(numbers: Vec<Dim>) -> Result<Vec<Dim>, String> {
    let negative = |d: &Dim| d.known().is_some_and(|n| n < 0);
    if numbers.iter().any(negative) {
        return Err("a length below 0".to_owned());
    }
    Ok(numbers)
}

/// `Pad`: not along the records.
pub(super) fn pad(call: &Call<'_>) -> Result<Vec<Value>, String> {
    let input = call.input(0)?;
    let dims = input.shape()?;
    call.fixed(2, "what is padded with")?;
    let axes = match call.optional(3) {
        Some(axes) => places(&axes.numbers("the list of axes")?, dims.len())?,
        None => (0..dims.len()).collect(),
    };
    let pads = call.input(1)?.numbers("the widths of the padding")?;
    if pads.len() != 2 * axes.len() {
        return Err("another number of pads than axes".to_owned());
    }
    let (begin, end) = pads.split_at(axes.len());
    let mut made = dims.to_vec();
    for (axis, (begin, end)) in axes.iter().zip(begin.iter().zip(end)) {
        let Some(dim) = made.get_mut(*axis) else {
            continue;
        };
        *dim = match *dim {
            dim if (*begin, *end) == (0, 0) => dim,
            Dim::Rows => return Err("the axis of the records would be padded".to_owned()),
            Dim::Known(n) => n
                .checked_add(*begin)
                .and_then(|n| n.checked_add(*end))
                .map_or(Dim::Other, Dim::Known),
            Dim::Other => Dim::Other,
        };
    }
    one(made)
}

/// `Shape`: the numbers are found in `numbers.rs`.
pub(super) fn shape(call: &Call<'_>) -> Result<Vec<Value>, String> {
    let numbers = super::numbers::shape(call)?;
    let length = i64::try_from(numbers.len()).map_err(|_| "too many axes")?;
    one(vec![Dim::Known(length)])
}

/// `Size`: a single number, which must be known when it counts records.
pub(super) fn size(call: &Call<'_>) -> Result<Vec<Value>, String> {
    if call.input(0)?.is_fixed() || super::numbers::fold(call).is_some() {
        return one(Vec::new());
    }
    Err(
        "a multiple of the number of records in the batch is no length of an axis; use Shape"
            .to_owned(),
    )
}
