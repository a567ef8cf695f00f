//! Which operator follows which rule, and the attributes that the rule knows. What is not in this table cannot be followed.

use super::call::Call;
use super::value::Value;
use super::{elementwise, numbers, pick, product, reduce, reshape};
use crate::pb::element;
use delta_domain::tensor::DType;

/// How shapes and records go through one operator. One value for each output that is followed.
pub(super) type Rule = fn(&Call<'_>) -> Result<Vec<Value>, String>;

/// The rule of an operator, and the attributes that it may have.
pub(super) fn rule(op: &str) -> Option<(Rule, &'static [&'static str])> {
    elementary(op)
        .or_else(|| along_axes(op))
        .or_else(|| windows(op))
}

fn elementary(op: &str) -> Option<(Rule, &'static [&'static str])> {
    let found: (Rule, &'static [&'static str]) = match op {
        "Abs" | "Acos" | "Acosh" | "Asin" | "Asinh" | "Atan" | "Atanh" | "Ceil" | "Cos"
        | "Cosh" | "Erf" | "Exp" | "Floor" | "HardSwish" | "Identity" | "IsNaN" | "Log" | "Neg"
        | "Not" | "Reciprocal" | "Relu" | "Round" | "Sigmoid" | "Sign" | "Sin" | "Sinh"
        | "Softplus" | "Softsign" | "Sqrt" | "Tan" | "Tanh" => (elementwise::unary, &[]),
        "Cast" => (elementwise::unary, &["to"]),
        "Elu" | "LeakyRelu" | "ThresholdedRelu" => (elementwise::unary, &["alpha"]),
        "HardSigmoid" => (elementwise::unary, &["alpha", "beta"]),
        "Selu" => (elementwise::unary, &["alpha", "gamma"]),
        "IsInf" => (elementwise::unary, &["detect_negative", "detect_positive"]),
        "Add" | "And" | "Equal" | "Greater" | "GreaterOrEqual" | "Less" | "LessOrEqual" | "Max"
        | "Mean" | "Min" | "Mul" | "Or" | "PRelu" | "Pow" | "Sub" | "Sum" | "Where" | "Xor" => {
            (elementwise::many, &[])
        }
        "BitShift" => (elementwise::many, &["direction"]),
        "Clip" => (elementwise::clip, &[]),
        "Div" => (elementwise::divide, &[]),
        "Mod" => (elementwise::divide, &["fmod"]),
        _ => return None,
    };
    Some(found)
}

fn along_axes(op: &str) -> Option<(Rule, &'static [&'static str])> {
    let found: (Rule, &'static [&'static str]) = match op {
        "ReduceL1" | "ReduceL2" | "ReduceLogSum" | "ReduceLogSumExp" | "ReduceMax"
        | "ReduceMean" | "ReduceMin" | "ReduceProd" | "ReduceSum" | "ReduceSumSquare" => (
            reduce::reduce,
            &["axes", "keepdims", "noop_with_empty_axes"],
        ),
        "ArgMax" | "ArgMin" => (reduce::arg, &["axis", "keepdims", "select_last_index"]),
        "Softmax" | "LogSoftmax" => (reduce::softmax, &["axis"]),
        "CumSum" => (reduce::running, &["exclusive", "reverse"]),
        "TopK" => (reduce::largest, &["axis", "largest", "sorted"]),
        "LayerNormalization" => (reduce::layer, &["axis", "epsilon", "stash_type"]),
        "Transpose" => (reshape::transpose, &["perm"]),
        "Reshape" => (reshape::reshape, &["allowzero"]),
        "Flatten" => (reshape::flatten, &["axis"]),
        "Squeeze" => (reshape::squeeze, &[]),
        "Unsqueeze" => (reshape::unsqueeze, &[]),
        "Expand" => (reshape::expand, &[]),
        "Tile" => (reshape::tile, &[]),
        "ConstantOfShape" => (reshape::constant_of_shape, &["value"]),
        "Pad" => (reshape::pad, &["mode"]),
        "Shape" => (reshape::shape, &["start", "end"]),
        "Size" => (reshape::size, &[]),
        "Gather" => (pick::gather, &["axis"]),
        "GatherElements" => (pick::gather_elements, &["axis"]),
        "ScatterElements" => (pick::scatter_elements, &["axis", "reduction"]),
        "Concat" => (pick::concat, &["axis"]),
        "Slice" => (pick::slice, &[]),
        "Split" => (pick::split, &["axis", "num_outputs"]),
        "OneHot" => (pick::one_hot, &["axis"]),
        "Trilu" => (pick::triangle, &["upper"]),
        _ => return None,
    };
    Some(found)
}

fn windows(op: &str) -> Option<(Rule, &'static [&'static str])> {
    const CONV: &[&str] = &[
        "auto_pad",
        "dilations",
        "group",
        "kernel_shape",
        "output_padding",
        "output_shape",
        "pads",
        "strides",
    ];
    const POOL: &[&str] = &[
        "auto_pad",
        "ceil_mode",
        "count_include_pad",
        "dilations",
        "kernel_shape",
        "pads",
        "storage_order",
        "strides",
    ];
    let found: (Rule, &'static [&'static str]) = match op {
        "MatMul" => (product::matmul, &[]),
        "Gemm" => (product::gemm, &["alpha", "beta", "transA", "transB"]),
        "Conv" | "ConvTranspose" => (product::conv, CONV),
        "MaxPool" | "AveragePool" => (product::pool, POOL),
        "GlobalAveragePool" | "GlobalMaxPool" => (product::global_pool, &[]),
        "DepthToSpace" => (product::blocks, &["blocksize", "mode"]),
        "SpaceToDepth" => (product::blocks, &["blocksize"]),
        "BatchNormalization" => (reduce::channels, &["epsilon", "momentum", "training_mode"]),
        "InstanceNormalization" => (reduce::channels, &["epsilon"]),
        "Constant" => (
            constant,
            &[
                "value",
                "value_int",
                "value_ints",
                "value_float",
                "value_floats",
            ],
        ),
        _ => return None,
    };
    Some(found)
}

/// `Constant`: its numbers are found in `numbers.rs`.
fn constant(call: &Call<'_>) -> Result<Vec<Value>, String> {
    use super::value::Dim;
    let list = |n: usize| i64::try_from(n).map_or(Dim::Other, Dim::Known);
    let only = call.node.attribute.first().ok_or("no value")?;
    let dims = match only.name.as_deref().unwrap_or_default() {
        "value" => {
            let tensor = only.t.as_ref().ok_or("no value")?;
            tensor.dims.iter().map(|n| Dim::Known(*n)).collect()
        }
        "value_ints" => vec![list(only.ints.len())],
        "value_floats" => vec![list(only.floats.len())],
        _ => Vec::new(),
    };
    super::call::one(dims)
}

/// Inputs that take lengths: there, and nowhere else, may the number of records go.
pub(super) fn takes_lengths(op: &str, input: usize) -> bool {
    matches!(
        (op, input),
        ("Reshape" | "Expand" | "Tile", 1) | ("ConstantOfShape", 0) | ("Slice", 2)
    )
}

/// Whether an operator tells only how long axes are.
pub(super) fn tells_lengths(op: &str) -> bool {
    matches!(op, "Shape" | "Size")
}

/// The element type of an output; `None` where it is not known.
pub(super) fn dtype(call: &Call<'_>, output: usize) -> Option<DType> {
    let of = |i: usize| call.optional(i).and_then(|v| v.dtype);
    match (call.node.op(), output) {
        ("Cast", _) => numbers::dtype(call.int("to", 0).ok()?),
        ("Shape" | "Size" | "ArgMax" | "ArgMin" | "NonZero", _) | ("TopK" | "MaxPool", 1) => {
            Some(DType::I64)
        }
        (
            "And" | "Or" | "Xor" | "Not" | "Equal" | "Greater" | "GreaterOrEqual" | "Less"
            | "LessOrEqual" | "IsNaN" | "IsInf",
            _,
        ) => Some(DType::Bool),
        ("Where", _) => of(1),
        ("OneHot", _) => of(2),
        ("EyeLike", _) => match call.int("dtype", 0).ok()? {
            0 => of(0),
            code => numbers::dtype(code),
        },
        ("Constant" | "ConstantOfShape", _) => constant_dtype(call),
        _ => of(0),
    }
}

fn constant_dtype(call: &Call<'_>) -> Option<DType> {
    if let Some(tensor) = call.tensor("value") {
        return numbers::dtype(i64::from(tensor.data_type?));
    }
    let name = call.node.attribute.first().and_then(|a| a.name.as_deref());
    let code = match name {
        Some("value_int" | "value_ints") => element::INT64,
        _ => element::FLOAT,
    };
    numbers::dtype(i64::from(code))
}
