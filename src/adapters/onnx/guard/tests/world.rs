//! Graphs for tests, built from our own prost types.

pub(super) use prost::Message as _;

pub(super) use crate::failure::{Failure, FailureKind};
pub(super) use crate::guard::{CheckedGraph, GraphLimits, Port, check};
pub(super) use crate::pb::{
    Attribute, Dim, Entry, Graph, Model, Node, Opset, Shape, Tensor, TensorType, Type, ValueInfo,
    element, kind,
};
pub(super) use delta_domain::tensor::DType;

pub(super) fn text(s: &str) -> Option<String> {
    Some(s.to_owned())
}

pub(super) fn value(name: &str, elem: i32, dims: &[i64]) -> ValueInfo {
    let dim = dims
        .iter()
        .map(|d| {
            if *d < 0 {
                Dim {
                    value: None,
                    param: text("n"),
                }
            } else {
                Dim {
                    value: Some(*d),
                    param: None,
                }
            }
        })
        .collect();
    ValueInfo {
        name: text(name),
        ty: Some(Type {
            tensor: Some(TensorType {
                elem: Some(elem),
                shape: Some(Shape { dim }),
            }),
        }),
    }
}

pub(super) fn node(op: &str, inputs: &[&str], outputs: &[&str]) -> Node {
    let owned = |list: &[&str]| list.iter().map(|s| (*s).to_owned()).collect();
    Node {
        op_type: text(op),
        input: owned(inputs),
        output: owned(outputs),
        ..Node::default()
    }
}

pub(super) fn with(mut node: Node, attribute: Attribute) -> Node {
    node.attribute.push(attribute);
    node
}

pub(super) fn int(name: &str, i: i64) -> Attribute {
    Attribute {
        name: text(name),
        kind: Some(kind::INT),
        i: Some(i),
        ..Attribute::default()
    }
}

pub(super) fn whole(name: &str, values: &[i64]) -> Tensor {
    Tensor {
        name: text(name),
        dims: vec![i64::try_from(values.len()).unwrap()],
        data_type: Some(element::INT64),
        raw_data: Some(values.iter().flat_map(|v| v.to_le_bytes()).collect()),
        ..Tensor::default()
    }
}

/// x -> `nodes` -> o, with constants.
pub(super) fn model(nodes: Vec<Node>, initializer: Vec<Tensor>) -> Model {
    Model {
        ir_version: Some(8),
        opset_import: vec![Opset {
            domain: None,
            version: Some(17),
        }],
        graph: Some(Graph {
            node: nodes,
            name: text("g"),
            initializer,
            input: vec![value("x", element::FLOAT, &[-1, 2])],
            output: vec![value("o", element::FLOAT, &[-1, 2])],
            sparse_initializer: vec![],
        }),
        training_info: vec![],
        functions: vec![],
    }
}

pub(super) fn good() -> Model {
    model(
        vec![
            node("Relu", &["x"], &["h"]),
            node("Add", &["h", "x"], &["o"]),
        ],
        vec![],
    )
}

pub(super) fn checked(model: &Model) -> Result<CheckedGraph, Failure> {
    check(&model.encode_to_vec(), &GraphLimits::default())
}

/// The message of a rejection, which must be one and nothing else.
pub(super) fn rejection(model: &Model) -> String {
    let failure = checked(model).expect_err("must be rejected");
    assert_eq!(failure.kind, FailureKind::Rejected);
    failure.message
}

pub(super) fn rejected_nodes(nodes: Vec<Node>, constants: Vec<Tensor>) -> String {
    rejection(&model(nodes, constants))
}
