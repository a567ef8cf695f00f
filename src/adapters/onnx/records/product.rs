//! Products and windows: sums over axes that are not the records', with weights that every record has alike.

use super::call::{Call, one, place};
use super::elementwise::broadcast;
use super::reduce::{first_axis, single_output};
use super::value::{Dim, Value};

const OVER: &str = "sums products over the axis of the records; leave sums over records to the node: give out each record's product";

/// `MatMul`: sums over the last axis of the first and the last but one of the second, the axes before are broadcast.
pub(super) fn matmul(call: &Call<'_>) -> Result<Vec<Value>, String> {
    let (a, b) = (call.input(0)?, call.input(1)?);
    let (left, right) = (a.shape()?, b.shape()?);
    if left.is_empty() || right.is_empty() {
        return Err("a single number is no matrix".to_owned());
    }
    let (row, column) = (left.len() == 1, right.len() == 1);
    // A vector on the left is one row, on the right one column, for the time of the product.
    let left = [if row { &[Dim::Known(1)][..] } else { &[] }, left].concat();
    let right = [right, if column { &[Dim::Known(1)][..] } else { &[] }].concat();
    let (left_batch, left) = left.split_at_checked(left.len() - 2).ok_or("no matrix")?;
    let (right_batch, right) = right.split_at_checked(right.len() - 2).ok_or("no matrix")?;
    let (Some((m, k)), Some((l, n))) = (pair(left), pair(right)) else {
        return Err("no matrix".to_owned());
    };
    if k == Dim::Rows || l == Dim::Rows {
        return Err(OVER.to_owned());
    }
    let batch = broadcast(&[
        &Value::shaped(left_batch.to_vec()),
        &Value::shaped(right_batch.to_vec()),
    ])?;
    let mut made = batch;
    if !row {
        made.push(m);
    }
    if !column {
        made.push(n);
    }
    one(made)
}

fn pair(dims: &[Dim]) -> Option<(Dim, Dim)> {
    match dims {
        [a, b] => Some((*a, *b)),
        _ => None,
    }
}

/// `Gemm`: a product of two matrices, each turned or not, plus a third value.
pub(super) fn gemm(call: &Call<'_>) -> Result<Vec<Value>, String> {
    let matrix = |index: usize, turned: &str| -> Result<(Dim, Dim), String> {
        let (a, b) = pair(call.input(index)?.shape()?).ok_or("no matrix")?;
        Ok(if call.int(turned, 0)? == 0 {
            (a, b)
        } else {
            (b, a)
        })
    };
    let (m, k) = matrix(0, "transA")?;
    let (l, n) = matrix(1, "transB")?;
    if k == Dim::Rows || l == Dim::Rows {
        return Err(OVER.to_owned());
    }
    let made = one(vec![m, n])?;
    let Some(offset) = call.optional(2) else {
        return Ok(made);
    };
    let product = made.first().ok_or("no product")?;
    one(broadcast(&[product, offset])?)
}

/// `Conv` and `ConvTranspose`: records on the first axis, weights alike for all.
pub(super) fn conv(call: &Call<'_>) -> Result<Vec<Value>, String> {
    let dims = windows(call)?;
    let weights = call.fixed(1, "the weights")?.ok_or("no weights")?.shape()?;
    call.fixed(2, "the offset")?;
    let turned = call.node.op() == "ConvTranspose";
    let channels = match (turned, weights.get(usize::from(turned)).copied()) {
        (false, Some(dim)) => dim,
        (true, Some(Dim::Known(n))) => n
            .checked_mul(call.int("group", 1)?)
            .map_or(Dim::Other, Dim::Known),
        _ => Dim::Other,
    };
    let kernel: Vec<Dim> = weights.iter().skip(2).copied().collect();
    let mut made = vec![*dims.first().ok_or("no axis")?, channels];
    made.extend(match turned {
        true => vec![Dim::Other; dims.len() - 2],
        false => spatial(call, dims, &kernel)?,
    });
    one(made)
}

/// `MaxPool`, `AveragePool`.
pub(super) fn pool(call: &Call<'_>) -> Result<Vec<Value>, String> {
    single_output(call)?;
    let dims = windows(call)?;
    let kernel = call.ints("kernel_shape")?.unwrap_or_default();
    let kernel: Vec<Dim> = kernel.iter().map(|k| Dim::Known(*k)).collect();
    let mut made: Vec<Dim> = dims.iter().take(2).copied().collect();
    made.extend(spatial(call, dims, &kernel)?);
    one(made)
}

/// `GlobalAveragePool`, `GlobalMaxPool`.
pub(super) fn global_pool(call: &Call<'_>) -> Result<Vec<Value>, String> {
    let dims = windows(call)?;
    let kept = |(axis, dim): (usize, &Dim)| if axis < 2 { *dim } else { Dim::Known(1) };
    one(dims.iter().enumerate().map(kept).collect())
}

/// `DepthToSpace`, `SpaceToDepth`: within each record, when they are on the first axis.
pub(super) fn blocks(call: &Call<'_>) -> Result<Vec<Value>, String> {
    let dims = windows(call)?;
    let made = dims.iter().take(1).copied();
    one(made
        .chain(dims.iter().skip(1).map(|_| Dim::Other))
        .collect())
}

/// The shape of what windows go over: records, channels, and at least one more axis.
fn windows<'a>(call: &'a Call<'_>) -> Result<&'a [Dim], String> {
    let input = call.input(0)?;
    first_axis(input)?;
    let dims = input.shape()?;
    if dims.len() < 3 {
        return Err("windows need at least three axes".to_owned());
    }
    Ok(dims)
}

/// Lengths behind windows; those that are not plain to see are left open.
fn spatial(call: &Call<'_>, dims: &[Dim], kernel: &[Dim]) -> Result<Vec<Dim>, String> {
    let count = dims.len() - 2;
    let plain = call.text("auto_pad", "NOTSET")? == "NOTSET" && call.int("ceil_mode", 0)? == 0;
    let (pads, strides, steps) = (
        call.ints("pads")?,
        call.ints("strides")?,
        call.ints("dilations")?,
    );
    let at = |list: Option<&[i64]>, i: usize, default: i64| match list {
        None => Some(default),
        Some(list) => list.get(i).copied(),
    };
    let length = |i: usize| {
        let n = dims
            .get(place(i64::try_from(i + 2).ok()?, dims.len()).ok()?)?
            .known()?;
        let window = kernel.get(i)?.known()?.checked_sub(1)?;
        let reach = window.checked_mul(at(steps, i, 1)?)?.checked_add(1)?;
        let padded = n
            .checked_add(at(pads, i, 0)?)?
            .checked_add(at(pads, i + count, 0)?)?;
        let stride = at(strides, i, 1).filter(|s| *s >= 1)?;
        let room = padded.checked_sub(reach).filter(|r| *r >= 0)?;
        Some(Dim::Known(room / stride + 1))
    };
    let open = |i: usize| if plain { length(i) } else { None };
    Ok((0..count).map(|i| open(i).unwrap_or(Dim::Other)).collect())
}
