//! Operators along axes: reductions, softmax, normalisations, running sums, the largest few. All are fine along axes other than the records'.

use super::call::{Call, one, places};
use super::value::{Dim, Value};

const ACROSS: &str = "works along the axis of the records, over all of them; leave sums over records to the node, and give out a block for each";

/// `Reduce*`: axes are an input since version 18 of the operator set, of `ReduceSum` since 13.
pub(super) fn reduce(call: &Call<'_>) -> Result<Vec<Value>, String> {
    let input = call.input(0)?;
    let dims = input.shape()?;
    let as_input = call.opset >= 18 || call.node.op() == "ReduceSum";
    let axes: Option<Vec<i64>> = if as_input {
        if call.ints("axes")?.is_some() {
            return Err("axes are an input in this version, not an attribute".to_owned());
        }
        let axes = call.optional(1).map(|v| v.numbers("the list of axes"));
        axes.transpose()?
    } else {
        if call.optional(1).is_some() {
            return Err("axes are an attribute in this version, not an input".to_owned());
        }
        call.ints("axes")?.map(<[i64]>::to_vec)
    };
    let axes = axes.filter(|a| !a.is_empty());
    if axes.is_none() && call.int("noop_with_empty_axes", 0)? != 0 {
        return one(dims.to_vec());
    }
    let axes = match axes {
        Some(axes) => places(&axes, dims.len())?,
        None => (0..dims.len()).collect(),
    };
    one(without(dims, &axes, call.int("keepdims", 1)? != 0)?)
}

/// `ArgMax`, `ArgMin`.
pub(super) fn arg(call: &Call<'_>) -> Result<Vec<Value>, String> {
    let dims = call.input(0)?.shape()?;
    let axis = call.axis("axis", 0, dims.len())?;
    one(without(dims, &[axis], call.int("keepdims", 1)? != 0)?)
}

/// The shape once `axes` are reduced.
fn without(dims: &[Dim], axes: &[usize], keep: bool) -> Result<Vec<Dim>, String> {
    let mut left = Vec::with_capacity(dims.len());
    for (axis, dim) in dims.iter().enumerate() {
        match (axes.contains(&axis), dim) {
            (true, Dim::Rows) => return Err(ACROSS.to_owned()),
            (true, _) if keep => left.push(Dim::Known(1)),
            (true, _) => {}
            (false, dim) => left.push(*dim),
        }
    }
    Ok(left)
}

/// `Softmax`, `LogSoftmax`.
pub(super) fn softmax(call: &Call<'_>) -> Result<Vec<Value>, String> {
    let input = call.input(0)?;
    let dims = input.shape()?;
    let axis = call.axis("axis", -1, dims.len())?;
    not_along(input, axis)?;
    one(dims.to_vec())
}

/// `CumSum`: the axis is an input.
pub(super) fn running(call: &Call<'_>) -> Result<Vec<Value>, String> {
    let input = call.input(0)?;
    let dims = input.shape()?;
    let axes = call.input(1)?.numbers("the axis")?;
    for axis in places(&axes, dims.len())? {
        not_along(input, axis)?;
    }
    one(dims.to_vec())
}

/// `TopK`: values and where they stood.
pub(super) fn largest(call: &Call<'_>) -> Result<Vec<Value>, String> {
    let input = call.input(0)?;
    let dims = input.shape()?;
    let axis = call.axis("axis", -1, dims.len())?;
    not_along(input, axis)?;
    let count = call.fixed(1, "how many are taken")?;
    let count = count.and_then(|v| v.whole.as_ref()?.first().copied());
    let mut dims = dims.to_vec();
    if let Some(dim) = dims.get_mut(axis) {
        *dim = count.unwrap_or(Dim::Other);
    }
    let value = Value::shaped(dims);
    Ok(vec![value.clone(), value])
}

/// `LayerNormalization`: over `axis` and all behind it.
pub(super) fn layer(call: &Call<'_>) -> Result<Vec<Value>, String> {
    single_output(call)?;
    let input = call.input(0)?;
    let dims = input.shape()?;
    let axis = call.axis("axis", -1, dims.len())?;
    if input.rows().is_some_and(|rows| rows >= axis) {
        return Err(ACROSS.to_owned());
    }
    for (index, what) in [(1, "the scale"), (2, "the offset")] {
        let rank = call
            .fixed(index, what)?
            .map(|v| v.shape().map(<[Dim]>::len));
        if rank
            .transpose()?
            .is_some_and(|rank| rank > dims.len() - axis)
        {
            return Err(format!("{what} has more axes than are normalised"));
        }
    }
    one(dims.to_vec())
}

/// `BatchNormalization` and `InstanceNormalization`: with constants that every record has alike, and records on the first axis.
pub(super) fn channels(call: &Call<'_>) -> Result<Vec<Value>, String> {
    single_output(call)?;
    if call.int("training_mode", 0)? != 0 {
        return Err("normalises by means over the batch (training mode)".to_owned());
    }
    let input = call.input(0)?;
    first_axis(input)?;
    for index in 1..call.inputs.len() {
        call.fixed(index, "a constant of the normalisation")?;
    }
    one(input.shape()?.to_vec())
}

/// Records, if any, must stand on the first axis, where images have theirs.
pub(super) fn first_axis(value: &Value) -> Result<(), String> {
    match value.rows() {
        None | Some(0) => Ok(()),
        Some(axis) => Err(format!(
            "the records stand on axis {axis} and are mixed there; this operator keeps the first axis apart only"
        )),
    }
}

/// Further outputs of an operator tell of the whole batch.
pub(super) fn single_output(call: &Call<'_>) -> Result<(), String> {
    match call.outputs() {
        0 | 1 => Ok(()),
        _ => Err("only its first output is followed".to_owned()),
    }
}

fn not_along(value: &Value, axis: usize) -> Result<(), String> {
    match value.rows() {
        Some(rows) if rows == axis => Err(ACROSS.to_owned()),
        _ => Ok(()),
    }
}
