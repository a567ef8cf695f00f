//! Operators that pick, cut or join along an axis.
//!
//! An index that the data chose may lie outside, which ends the run; the driver then runs the records one by one, so that such a record is
//! left out by itself.

use std::collections::BTreeSet;

use super::call::{Call, one, places};
use super::value::{Dim, Taint, Value};

const ALONG: &str = "picks or joins along the axis of the records, by their place in the batch";

/// `Gather`: whole slices of the first input along `axis`, by the indices in the second.
pub(super) fn gather(call: &Call<'_>) -> Result<Vec<Value>, String> {
    let (data, indices) = (call.input(0)?, call.input(1)?);
    let (dims, places) = (data.shape()?, indices.shape()?);
    let axis = call.axis("axis", 0, dims.len())?;
    if data.rows() == Some(axis) {
        return Err(ALONG.to_owned());
    }
    if data.rows().is_some() && indices.rows().is_some() {
        return Err("each record's indices would pick from every record; use GatherElements along another axis".to_owned());
    }
    let (front, back) = dims.split_at_checked(axis).ok_or("no such axis")?;
    let made = front.iter().chain(places).chain(back.iter().skip(1));
    let mut made = one(made.copied().collect())?;
    if let (Some(value), Some(labels), 1) = (made.first_mut(), &data.labels, axis) {
        *value = labelled(value.clone(), labels, indices);
    }
    Ok(made)
}

/// The columns that constant indices pick of a table's.
fn labelled(mut value: Value, labels: &[usize], indices: &Value) -> Value {
    let Ok(numbers) = indices.numbers("") else {
        return value;
    };
    let picked = super::call::places(&numbers, labels.len());
    let picked = picked.map(|all| {
        all.iter()
            .filter_map(|i| labels.get(*i).copied())
            .collect::<Vec<_>>()
    });
    if let Ok(picked) = picked {
        value.taint = Taint::of(&picked);
        // Else the last axis is no longer that of the columns.
        value.labels = indices
            .dims
            .as_ref()
            .is_some_and(|d| d.len() == 1)
            .then(|| picked.into());
    }
    value
}

/// `GatherElements`: for each element of the indices one of the data, along `axis`; all other places stay.
pub(super) fn gather_elements(call: &Call<'_>) -> Result<Vec<Value>, String> {
    let (data, indices) = (call.input(0)?, call.input(1)?);
    let dims = data.shape()?;
    let axis = call.axis("axis", 0, dims.len())?;
    along(&[data, indices], axis)?;
    one(indices.shape()?.to_vec())
}

/// `ScatterElements`: the data, with some elements along `axis` replaced; all other places stay.
pub(super) fn scatter_elements(call: &Call<'_>) -> Result<Vec<Value>, String> {
    let data = call.input(0)?;
    let dims = data.shape()?;
    let axis = call.axis("axis", 0, dims.len())?;
    along(&[data, call.input(1)?, call.input(2)?], axis)?;
    one(dims.to_vec())
}

/// Values of one rank whose records stand on one and the same axis, which is not `axis`.
fn along(values: &[&Value], axis: usize) -> Result<(), String> {
    let rows = values.iter().find_map(|v| v.rows());
    let rank = values.first().map(|v| v.shape().map(<[Dim]>::len));
    for value in values {
        if Some(value.shape().map(<[Dim]>::len)) != rank {
            return Err("its inputs have different ranks".to_owned());
        }
        if value.rows() != rows {
            return Err(
                "some of its inputs have no block for each record on the same axis".to_owned(),
            );
        }
    }
    if rows == Some(axis) {
        return Err(ALONG.to_owned());
    }
    Ok(())
}

/// `Concat`: along another axis than the records'.
pub(super) fn concat(call: &Call<'_>) -> Result<Vec<Value>, String> {
    let all = call.present();
    let mut made = call.input(0)?.shape()?.to_vec();
    let axis = call
        .int("axis", 0)
        .and_then(|a| super::call::place(a, made.len()))?;
    along(&all, axis)?;
    let mut length = Some(0_i64);
    for value in &all {
        let dim = value.shape()?.get(axis).copied();
        length = length.and_then(|n| n.checked_add(dim?.known()?));
        // The other axes are as long in all; one that is known says it for all.
        for (dim, other) in made.iter_mut().zip(value.shape()?) {
            if *dim == Dim::Other {
                *dim = *other;
            }
        }
    }
    if let Some(dim) = made.get_mut(axis) {
        *dim = length.map_or(Dim::Other, Dim::Known);
    }
    one(made)
}

/// `Slice`: stretches of axes; along the records only all of them.
pub(super) fn slice(call: &Call<'_>) -> Result<Vec<Value>, String> {
    let input = call.input(0)?;
    let dims = input.shape()?;
    for (index, what) in [
        (1, "where it starts"),
        (3, "which axes are cut"),
        (4, "its step"),
    ] {
        call.fixed(index, what)?;
    }
    let starts = call.input(1)?;
    let axes = match call.optional(3) {
        Some(axes) => places(&axes.numbers("the list of axes")?, dims.len())?,
        None => match starts.dims.as_deref() {
            Some([Dim::Known(n)]) => (0..usize::try_from(*n).unwrap_or(0)).collect(),
            _ => return Err("which axes are cut is not known".to_owned()),
        },
    };
    let part = |index: usize, k: usize| call.optional(index)?.whole.as_ref()?.get(k).copied();
    if axes.iter().collect::<BTreeSet<_>>().len() != axes.len() {
        return Err("an axis is cut twice".to_owned());
    }
    let mut made = one(dims.to_vec())?;
    let Some(value) = made.first_mut() else {
        return Ok(made);
    };
    value.labels.clone_from(&input.labels);
    for (k, axis) in axes.iter().enumerate() {
        let step = match call.optional(4) {
            Some(_) => part(4, k),
            None => Some(Dim::Known(1)),
        };
        let (start, end) = (part(1, k), part(2, k));
        let Some(dim) = value.dims.as_mut().and_then(|d| d.get_mut(*axis)) else {
            return Err("no such axis".to_owned());
        };
        match *dim {
            Dim::Rows => whole_axis(start, end, step)?,
            Dim::Known(n) => {
                let picked = stretch(n, start, end, step);
                *dim = picked.as_ref().map_or(Dim::Other, |p| {
                    Dim::Known(i64::try_from(p.len()).unwrap_or(0))
                });
                if *axis == 1 {
                    value.labels = input.labels.as_ref().zip(picked).map(|(labels, picked)| {
                        picked
                            .iter()
                            .filter_map(|i| labels.get(*i).copied())
                            .collect()
                    });
                }
            }
            Dim::Other => {}
        }
    }
    Ok(made)
}

/// Along the records a slice may only be all of them: from 0 to their number, or to more than anybody has.
fn whole_axis(start: Option<Dim>, end: Option<Dim>, step: Option<Dim>) -> Result<(), String> {
    let to_the_end = match end {
        Some(Dim::Rows) => true,
        Some(Dim::Known(n)) => n >= i64::from(i32::MAX),
        Some(Dim::Other) | None => false,
    };
    if start == Some(Dim::Known(0)) && step == Some(Dim::Known(1)) && to_the_end {
        return Ok(());
    }
    Err(ALONG.to_owned())
}

/// The places of a known stretch of an axis of length `n`; only forwards, and of lengths that somebody may count.
fn stretch(n: i64, start: Option<Dim>, end: Option<Dim>, step: Option<Dim>) -> Option<Vec<usize>> {
    let (start, end, step) = (start?.known()?, end?.known()?, step?.known()?);
    if step < 1 || n > 1 << 20 {
        return None;
    }
    let inside = |at: i64| if at < 0 { at.saturating_add(n) } else { at }.clamp(0, n);
    let step = usize::try_from(step).ok()?;
    let (start, end) = (
        usize::try_from(inside(start)).ok()?,
        usize::try_from(inside(end)).ok()?,
    );
    Some((start..end.max(start)).step_by(step).collect())
}

/// `Split`: along another axis than the records'.
pub(super) fn split(call: &Call<'_>) -> Result<Vec<Value>, String> {
    let input = call.input(0)?;
    let dims = input.shape()?;
    let axis = call.axis("axis", 0, dims.len())?;
    if input.rows() == Some(axis) {
        return Err(ALONG.to_owned());
    }
    let outputs = call.outputs();
    let sizes = match call.fixed(1, "the sizes of the parts")? {
        Some(sizes) => Some(sizes.numbers("the list of sizes")?),
        None => equal_parts(
            dims.get(axis).and_then(|d| d.known()),
            call.node.output.len(),
        ),
    };
    let mut from = 0_usize;
    let part = |k: usize| {
        let size = sizes.as_ref().and_then(|s| s.get(k).copied());
        let mut dims = dims.to_vec();
        if let Some(dim) = dims.get_mut(axis) {
            *dim = size.map_or(Dim::Other, Dim::Known);
        }
        let mut value = Value::shaped(dims);
        if let (1, Some(labels), Some(size)) = (axis, &input.labels, size) {
            let to = from.saturating_add(usize::try_from(size).unwrap_or(0));
            value.labels = labels.get(from..to).map(Into::into);
            from = to;
        }
        value
    };
    Ok((0..outputs).map(part).collect())
}

/// Sizes of equal parts; `None` where they would not be equal, or are not known.
fn equal_parts(length: Option<i64>, parts: usize) -> Option<Vec<i64>> {
    let (length, count) = (length?, i64::try_from(parts).ok().filter(|n| *n > 0)?);
    (length % count == 0).then(|| vec![length / count; parts])
}

/// `OneHot`: one more axis, of known width and the same two values for all records.
pub(super) fn one_hot(call: &Call<'_>) -> Result<Vec<Value>, String> {
    let indices = call.input(0)?.shape()?;
    let depth = call.fixed(1, "the width")?;
    let depth = depth.and_then(|v| v.whole.as_ref()?.first().copied());
    call.fixed(2, "what it is filled with")?;
    let axis = call.axis("axis", -1, indices.len() + 1)?;
    let mut made = indices.to_vec();
    made.insert(axis, depth.unwrap_or(Dim::Other));
    one(made)
}

/// `Trilu`: which elements stay depends on their place on the last two axes.
pub(super) fn triangle(call: &Call<'_>) -> Result<Vec<Value>, String> {
    let input = call.input(0)?;
    let dims = input.shape()?;
    call.fixed(1, "which diagonal")?;
    if input.rows().is_some_and(|rows| rows + 2 >= dims.len()) {
        return Err(
            "what it keeps of a record depends on the record's place in the batch".to_owned(),
        );
    }
    one(dims.to_vec())
}
