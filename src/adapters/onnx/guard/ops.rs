//! The operators that tasks may use, and what their attributes may hold.
//!
//! Every one is a pure function of its inputs. Left out on purpose: `If`, `Loop`, `Scan` (subgraphs), `Random*` and `Dropout`'s training
//! mode (randomness is an input of the graph), sequences, optionals, strings, `Einsum` and everything that reads an encoding.

use crate::failure::Failure;
use crate::pb::{self, element, kind};

/// Sorted, for the binary search.
const ALLOWED: &[&str] = &[
    "Abs",
    "Acos",
    "Acosh",
    "Add",
    "And",
    "ArgMax",
    "ArgMin",
    "Asin",
    "Asinh",
    "Atan",
    "Atanh",
    "AveragePool",
    "BatchNormalization",
    "BitShift",
    "Cast",
    "Ceil",
    "Clip",
    "Compress",
    "Concat",
    "Constant",
    "ConstantOfShape",
    "Conv",
    "ConvTranspose",
    "Cos",
    "Cosh",
    "CumSum",
    "DepthToSpace",
    "Div",
    "Elu",
    "Equal",
    "Erf",
    "Exp",
    "Expand",
    "EyeLike",
    "Flatten",
    "Floor",
    "Gather",
    "GatherElements",
    "GatherND",
    "Gemm",
    "GlobalAveragePool",
    "GlobalMaxPool",
    "Greater",
    "GreaterOrEqual",
    "HardSigmoid",
    "HardSwish",
    "Identity",
    "InstanceNormalization",
    "IsInf",
    "IsNaN",
    "LayerNormalization",
    "LeakyRelu",
    "Less",
    "LessOrEqual",
    "Log",
    "LogSoftmax",
    "MatMul",
    "Max",
    "MaxPool",
    "Mean",
    "Min",
    "Mod",
    "Mul",
    "Neg",
    "NonZero",
    "Not",
    "OneHot",
    "Or",
    "PRelu",
    "Pad",
    "Pow",
    "Range",
    "Reciprocal",
    "ReduceL1",
    "ReduceL2",
    "ReduceLogSum",
    "ReduceLogSumExp",
    "ReduceMax",
    "ReduceMean",
    "ReduceMin",
    "ReduceProd",
    "ReduceSum",
    "ReduceSumSquare",
    "Relu",
    "Reshape",
    "Round",
    "ScatterElements",
    "ScatterND",
    "Selu",
    "Shape",
    "Sigmoid",
    "Sign",
    "Sin",
    "Sinh",
    "Size",
    "Slice",
    "Softmax",
    "Softplus",
    "Softsign",
    "SpaceToDepth",
    "Split",
    "Sqrt",
    "Squeeze",
    "Sub",
    "Sum",
    "Tan",
    "Tanh",
    "ThresholdedRelu",
    "Tile",
    "TopK",
    "Transpose",
    "Trilu",
    "Unsqueeze",
    "Where",
    "Xor",
];

/// Attributes that count elements of windows: larger values make tensors or loops that no task needs.
const WINDOWS: &[&str] = &[
    "kernel_shape",
    "pads",
    "strides",
    "dilations",
    "output_padding",
    "output_shape",
    "blocksize",
];
const WINDOW_MAX: i64 = 4096;
/// Attributes that name an element type.
const TYPES: &[&str] = &["to", "dtype"];

pub(super) fn is_allowed(op: &str) -> bool {
    ALLOWED.binary_search(&op).is_ok()
}

/// Checks all attributes of a node: one value each, of the declared kind, within bounds.
pub(super) fn attributes(node: &pb::Node) -> Result<(), Failure> {
    for (index, attribute) in node.attribute.iter().enumerate() {
        let name = attribute.name.as_deref().unwrap_or_default();
        let here = |f: Failure| {
            f.within(&format!(
                "attribute {:?}",
                name.chars().take(80).collect::<String>()
            ))
        };
        if name.is_empty()
            || node
                .attribute
                .iter()
                .take(index)
                .any(|a| a.name.as_deref() == Some(name))
        {
            return Err(here(Failure::rejected(
                "the attribute has no name or stands twice",
            )));
        }
        one_value(attribute).map_err(here)?;
        let mut whole = attribute.i.iter().chain(&attribute.ints);
        if TYPES.contains(&name) {
            let allowed = [
                element::FLOAT,
                element::DOUBLE,
                element::INT32,
                element::INT64,
                element::UINT8,
                element::BOOL,
            ];
            if !whole.all(|v| allowed.iter().any(|a| i64::from(*a) == *v)) {
                return Err(here(Failure::rejected(
                    "the element type is not allowed; use float32, float64, int32, int64, uint8 or bool",
                )));
            }
        } else if WINDOWS.contains(&name) {
            if !whole.all(|v| (0..=WINDOW_MAX).contains(v)) {
                return Err(here(Failure::rejected(format!(
                    "values must lie between 0 and {WINDOW_MAX}"
                ))));
            }
        } else if node.op() != "Constant" && !whole.all(|v| i32::try_from(*v).is_ok()) {
            return Err(here(Failure::rejected("the value does not fit 32 bits")));
        }
    }
    if node.op() == "Constant" && node.attribute.len() != 1 {
        return Err(Failure::rejected("a Constant has exactly one value"));
    }
    Ok(())
}

/// Exactly the field that `type` announces is set, and it is not a graph, a sparse tensor, a type or a reference.
fn one_value(a: &pb::Attribute) -> Result<(), Failure> {
    let graphs = a.g.is_some() || !a.graphs.is_empty();
    if graphs {
        return Err(Failure::rejected(
            "subgraphs are not allowed; unroll the loop or branch before exporting",
        ));
    }
    let foreign = a.sparse_tensor.is_some()
        || !a.sparse_tensors.is_empty()
        || !a.tensors.is_empty()
        || a.tp.is_some()
        || !a.type_protos.is_empty()
        || !a.strings.is_empty()
        || a.ref_attr_name.as_deref().is_some_and(|r| !r.is_empty());
    if foreign {
        return Err(Failure::rejected(
            "only numbers, short texts and dense tensors are allowed in attributes",
        ));
    }
    let set = [
        (kind::FLOAT, a.f.is_some()),
        (kind::INT, a.i.is_some()),
        (kind::STRING, a.s.is_some()),
        (kind::TENSOR, a.t.is_some()),
        (kind::FLOATS, !a.floats.is_empty()),
        (kind::INTS, !a.ints.is_empty()),
    ];
    let declared = a.kind.unwrap_or(0);
    let known = set.iter().any(|(k, _)| *k == declared);
    // A list may be empty, and writers leave a zero out; what is set must be what is announced.
    if !known || set.iter().any(|(k, is_set)| *is_set && *k != declared) {
        return Err(Failure::rejected(
            "the value is not of the kind that the attribute announces; export the graph again",
        ));
    }
    if a.s.as_ref().is_some_and(|s| s.len() > 64) {
        return Err(Failure::rejected("a text of more than 64 bytes"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn list_is_sorted_and_free_of_subgraphs() {
        assert!(ALLOWED.is_sorted());
        for op in [
            "If",
            "Loop",
            "Scan",
            "RandomNormal",
            "Dropout",
            "SequenceMap",
            "Einsum",
            "",
        ] {
            assert!(!is_allowed(op), "{op}");
        }
        assert!(is_allowed("MatMul"));
    }
}
