//! One test an attack of ONNX.md section 5, and then some. Graphs are built from our own prost types, and broken on purpose.

use super::*;
use crate::failure::FailureKind;
use crate::pb::{
    Attribute, Dim, Entry, Graph, Model, Node, Opset, Shape, Tensor, TensorType, Type, ValueInfo,
    element, kind,
};

fn text(s: &str) -> Option<String> {
    Some(s.to_owned())
}

fn value(name: &str, elem: i32, dims: &[i64]) -> ValueInfo {
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

fn node(op: &str, inputs: &[&str], outputs: &[&str]) -> Node {
    let owned = |list: &[&str]| list.iter().map(|s| (*s).to_owned()).collect();
    Node {
        op_type: text(op),
        input: owned(inputs),
        output: owned(outputs),
        ..Node::default()
    }
}

fn with(mut node: Node, attribute: Attribute) -> Node {
    node.attribute.push(attribute);
    node
}

fn int(name: &str, i: i64) -> Attribute {
    Attribute {
        name: text(name),
        kind: Some(kind::INT),
        i: Some(i),
        ..Attribute::default()
    }
}

fn whole(name: &str, values: &[i64]) -> Tensor {
    Tensor {
        name: text(name),
        dims: vec![i64::try_from(values.len()).unwrap()],
        data_type: Some(element::INT64),
        raw_data: Some(values.iter().flat_map(|v| v.to_le_bytes()).collect()),
        ..Tensor::default()
    }
}

/// x -> `nodes` -> o, with constants.
fn model(nodes: Vec<Node>, initializer: Vec<Tensor>) -> Model {
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

fn good() -> Model {
    model(
        vec![
            node("Relu", &["x"], &["h"]),
            node("Add", &["h", "x"], &["o"]),
        ],
        vec![],
    )
}

fn checked(model: &Model) -> Result<CheckedGraph, Failure> {
    check(&model.encode_to_vec(), &GraphLimits::default())
}

/// The message of a refusal, which must be a refusal and nothing else.
fn refusal(model: &Model) -> String {
    let failure = checked(model).expect_err("must be refused");
    assert_eq!(failure.kind, FailureKind::Refused);
    failure.message
}

fn refused_nodes(nodes: Vec<Node>, constants: Vec<Tensor>) -> String {
    refusal(&model(nodes, constants))
}

#[test]
fn a_plain_graph_passes_with_its_types() {
    let graph = checked(&good()).unwrap();
    assert_eq!(
        graph.inputs,
        [Port {
            name: "x".into(),
            dtype: DType::F32,
            dims: Some(vec![None, Some(2)])
        }]
    );
    assert_eq!(graph.outputs[0].name, "o");
    assert_eq!(
        check(&graph.bytes, &GraphLimits::default()).unwrap(),
        graph,
        "our own encoding is a fixed point"
    );
}

#[test]
fn terabyte_tensors_from_constants_are_refused_before_anything_is_allocated() {
    let tera = 1i64 << 40;
    let cases = [
        (
            "ConstantOfShape",
            node("ConstantOfShape", &["c"], &["h"]),
            vec![whole("c", &[tera])],
        ),
        (
            "Expand",
            node("Expand", &["x", "c"], &["h"]),
            vec![whole("c", &[1 << 20, 1 << 20])],
        ),
        (
            "Tile",
            node("Tile", &["x", "c"], &["h"]),
            vec![whole("c", &[1 << 20, 1 << 20])],
        ),
        (
            "Pad",
            node("Pad", &["x", "c"], &["h"]),
            vec![whole("c", &[0, 0, tera, 0])],
        ),
        (
            "Range",
            node("Range", &["c", "d", "e"], &["h"]),
            vec![whole("c", &[0]), whole("d", &[tera]), whole("e", &[1])],
        ),
        (
            "Range",
            node("Range", &["c", "d", "e"], &["h"]),
            vec![whole("c", &[0]), whole("d", &[1]), whole("e", &[0])],
        ),
        (
            "OneHot",
            node("OneHot", &["x", "c", "x"], &["h"]),
            vec![whole("c", &[tera])],
        ),
    ];
    for (op, bomb, constants) in cases {
        let message = refused_nodes(vec![bomb, node("Relu", &["x"], &["o"])], constants);
        assert!(
            message.contains(&format!("node 0 ({op})")) && message.contains("smaller constants"),
            "{message}"
        );
    }
}

#[test]
fn a_huge_shape_glued_together_from_small_constants_is_refused() {
    let nodes = vec![
        node("Concat", &["c", "c", "c", "c"], &["s"]),
        node("ConstantOfShape", &["s"], &["h"]),
        node("Relu", &["x"], &["o"]),
    ];
    let nodes: Vec<Node> = nodes
        .into_iter()
        .map(|n| {
            if n.op() == "Concat" {
                with(n, int("axis", 0))
            } else {
                n
            }
        })
        .collect();
    refused_nodes(nodes, vec![whole("c", &[1 << 16])]);
}

#[test]
fn loops_branches_and_other_subgraphs_are_refused() {
    for op in ["Loop", "If", "Scan", "SequenceMap"] {
        assert!(
            refused_nodes(vec![node(op, &["x"], &["o"])], vec![])
                .contains("not on this node's list")
        );
    }
    // A subgraph hidden in an operator that is allowed, nested as deep as bytes go.
    let mut body = vec![0xffu8; 10];
    for _ in 0..1000 {
        body = [vec![0x32, 10], body].concat();
    }
    let hidden = Attribute {
        name: text("body"),
        kind: Some(5),
        g: Some(body),
        ..Attribute::default()
    };
    assert!(
        refused_nodes(vec![with(node("Relu", &["x"], &["o"]), hidden)], vec![])
            .contains("subgraphs")
    );
}

#[test]
fn external_data_is_refused_wherever_it_stands_and_points() {
    for location in [
        "/etc/passwd",
        "../../../etc/passwd",
        "local.bin",
        "link.bin",
    ] {
        let entry = Entry {
            key: text("location"),
            value: text(location),
        };
        let outside = Tensor {
            data_location: Some(1),
            external_data: vec![entry],
            raw_data: None,
            ..whole("w", &[])
        };
        let only_entry = Tensor {
            data_location: None,
            ..outside.clone()
        };
        for tensor in [outside, only_entry] {
            assert!(
                refused_nodes(vec![node("Relu", &["x"], &["o"])], vec![tensor.clone()])
                    .contains("another file")
            );
            let attribute = Attribute {
                name: text("value"),
                kind: Some(kind::TENSOR),
                t: Some(tensor),
                ..Attribute::default()
            };
            let nodes = vec![
                with(node("Constant", &[], &["c"]), attribute),
                node("Relu", &["x"], &["o"]),
            ];
            assert!(refused_nodes(nodes, vec![]).contains("node 0 (Constant)"));
        }
    }
}

#[test]
fn custom_and_contrib_domains_are_refused_in_imports_and_nodes() {
    for domain in ["evil.example", "com.microsoft", "ai.onnx.ml", "ai.onnx"] {
        let mut imported = good();
        imported.opset_import.push(Opset {
            domain: text(domain),
            version: Some(1),
        });
        assert!(refusal(&imported).contains(domain));
        let foreign = Node {
            domain: text(domain),
            ..node("Relu", &["x"], &["o"])
        };
        assert!(refused_nodes(vec![foreign], vec![]).contains("standard domain"));
    }
}

#[test]
fn functions_recursive_or_nested_a_billion_times_are_refused() {
    let mut m = good();
    m.functions = vec![b"anything".to_vec()];
    assert!(refusal(&m).contains("functions"));
    let overload = Node {
        overload: text("f"),
        ..node("Relu", &["x"], &["o"])
    };
    refused_nodes(vec![overload], vec![]);
    let reference = Attribute {
        ref_attr_name: text("alpha"),
        ..int("axis", 0)
    };
    refused_nodes(
        vec![with(node("Softmax", &["x"], &["o"]), reference)],
        vec![],
    );
}

#[test]
fn training_info_sparse_and_string_tensors_are_refused() {
    let mut m = good();
    m.training_info = vec![vec![]];
    assert!(refusal(&m).contains("training"));
    let mut m = good();
    m.graph.as_mut().unwrap().sparse_initializer = vec![vec![]];
    assert!(refusal(&m).contains("sparse"));
    let sparse = Attribute {
        name: text("sparse_value"),
        kind: Some(11),
        sparse_tensor: Some(vec![]),
        ..Attribute::default()
    };
    refused_nodes(vec![with(node("Constant", &[], &["o"]), sparse)], vec![]);
    let strings = Tensor {
        string_data: vec![b"a".to_vec()],
        ..whole("w", &[])
    };
    refused_nodes(vec![node("Relu", &["x"], &["o"])], vec![strings]);
    let text_type = Tensor {
        data_type: Some(8),
        ..whole("w", &[1])
    };
    assert!(
        refused_nodes(vec![node("Relu", &["x"], &["o"])], vec![text_type])
            .contains("element type 8")
    );
}

#[test]
fn randomness_in_the_graph_is_refused() {
    for op in [
        "RandomNormal",
        "RandomUniformLike",
        "Multinomial",
        "Bernoulli",
        "Dropout",
    ] {
        refused_nodes(vec![node(op, &["x"], &["o"])], vec![]);
    }
}

#[test]
fn cycles_and_wrong_order_are_refused() {
    let cycle = vec![
        node("Add", &["x", "b"], &["a"]),
        node("Relu", &["a"], &["b"]),
        node("Relu", &["b"], &["o"]),
    ];
    let message = refused_nodes(cycle, vec![]);
    assert!(
        message.contains("node 0 (Add)") && message.contains("\"b\""),
        "{message}"
    );
    refused_nodes(vec![node("Relu", &["o"], &["o"])], vec![]);
}

#[test]
fn duplicate_missing_and_endless_names_are_refused() {
    assert!(
        refused_nodes(
            vec![node("Relu", &["x"], &["o"]), node("Abs", &["x"], &["o"])],
            vec![]
        )
        .contains("\"o\"")
    );
    assert!(
        refused_nodes(vec![node("Relu", &["x"], &["x"])], vec![]).contains("\"x\""),
        "an input overwritten"
    );
    refused_nodes(vec![node("Relu", &["x"], &["o"])], vec![whole("x", &[1])]);
    refused_nodes(vec![node("Relu", &["x"], &["h"])], vec![]);
    refused_nodes(vec![node("Relu", &["x"], &[""])], vec![]);
    let long = "a".repeat(100_000);
    let message = refused_nodes(vec![node("Relu", &["x"], &[&long])], vec![]);
    assert!(message.len() < 1000, "hostile names are cut in messages");
}

#[test]
fn constants_hold_exactly_as_many_numbers_as_they_say() {
    for dims in [vec![2], vec![-1], vec![i64::MAX, i64::MAX], vec![1; 33]] {
        let liar = Tensor {
            dims,
            ..whole("w", &[1])
        };
        refused_nodes(vec![node("Relu", &["x"], &["o"])], vec![liar]);
    }
    let both = Tensor {
        int64_data: vec![1],
        ..whole("w", &[1])
    };
    refused_nodes(vec![node("Relu", &["x"], &["o"])], vec![both]);
    let other_list = Tensor {
        raw_data: None,
        float_data: vec![1.0],
        ..whole("w", &[1])
    };
    refused_nodes(vec![node("Relu", &["x"], &["o"])], vec![other_list]);
    let listed = Tensor {
        raw_data: None,
        int64_data: vec![1],
        ..whole("w", &[1])
    };
    assert!(checked(&model(vec![node("Relu", &["x"], &["o"])], vec![listed])).is_ok());
}

#[test]
fn attributes_are_what_they_announce_and_windows_are_bounded() {
    let relu = || node("Relu", &["x"], &["o"]);
    let lying = Attribute {
        kind: Some(kind::FLOAT),
        ..int("axis", 0)
    };
    refused_nodes(vec![with(relu(), lying)], vec![]);
    refused_nodes(
        vec![with(with(relu(), int("axis", 0)), int("axis", 1))],
        vec![],
    );
    refused_nodes(vec![with(relu(), int("axis", 1 << 40))], vec![]);
    for name in ["pads", "kernel_shape", "strides", "dilations"] {
        for wild in [-1, 1 << 20] {
            let window = Attribute {
                name: text(name),
                kind: Some(kind::INTS),
                ints: vec![1, wild],
                ..Attribute::default()
            };
            let message =
                refused_nodes(vec![with(node("MaxPool", &["x"], &["o"]), window)], vec![]);
            assert!(message.contains(name), "{message}");
        }
    }
    for to in [8, 10, 16, 14, 99] {
        refused_nodes(
            vec![with(node("Cast", &["x"], &["o"]), int("to", to))],
            vec![],
        );
    }
}

#[test]
fn size_limits_hold() {
    let bytes = good().encode_to_vec();
    let refused = |limits: GraphLimits| check(&bytes, &limits).is_err();
    assert!(refused(GraphLimits {
        file_bytes: bytes.len() - 1,
        ..GraphLimits::default()
    }));
    assert!(refused(GraphLimits {
        nodes: 1,
        ..GraphLimits::default()
    }));
    let constants = model(
        vec![node("Relu", &["x"], &["o"])],
        vec![whole("w", &[1, 2, 3])],
    )
    .encode_to_vec();
    assert!(
        check(
            &constants,
            &GraphLimits {
                constant_bytes: 23,
                ..GraphLimits::default()
            }
        )
        .is_err()
    );
    assert!(
        check(
            &constants,
            &GraphLimits {
                constant_bytes: 24,
                ..GraphLimits::default()
            }
        )
        .is_ok()
    );
    let mut wide = good();
    wide.graph.as_mut().unwrap().output = vec![value("o", element::FLOAT, &[1 << 20, 1 << 20])];
    assert!(refusal(&wide).contains("\"o\""));
}

#[test]
fn foreign_versions_are_refused() {
    for version in [None, Some(6), Some(12), Some(19), Some(-1)] {
        let mut m = good();
        m.opset_import[0].version = version;
        assert!(refusal(&m).contains("13 to 18"));
    }
    for ir in [None, Some(3), Some(11)] {
        let mut m = good();
        m.ir_version = ir;
        refusal(&m);
    }
    let mut none = good();
    none.graph = None;
    refusal(&none);
}

#[test]
fn fields_that_we_do_not_know_never_reach_a_runtime() {
    let mut bytes = good().encode_to_vec();
    // Field 26 of the model (device configurations, newer than this reader) and field 2 (producer's name).
    bytes.extend([0xd2, 0x01, 4]);
    bytes.extend(b"EVIL");
    bytes.extend([0x12, 4]);
    bytes.extend(b"EVIL");
    let graph = check(&bytes, &GraphLimits::default()).unwrap();
    assert!(!graph.bytes.windows(4).any(|w| w == b"EVIL"));
}

#[test]
fn truncated_and_mutated_files_are_refused_or_pass_but_never_panic() {
    let bytes = model(
        vec![
            node("Concat", &["x", "x"], &["h"]),
            node("Relu", &["x"], &["o"]),
        ],
        vec![whole("w", &[1, 2])],
    )
    .encode_to_vec();
    for n in 0..bytes.len() {
        let _outcome = check(&bytes[..n], &GraphLimits::default());
    }
    let mut state = 1u64;
    let mut random = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap()
    };
    let (mut passed, mut refused) = (0, 0);
    for _ in 0..20_000 {
        let mut mutant = bytes.clone();
        for _ in 0..=random() % 3 {
            let at = random() % mutant.len();
            mutant[at] = u8::try_from(random() % 256).unwrap();
        }
        match check(&mutant, &GraphLimits::default()) {
            Ok(_) => passed += 1,
            Err(_) => refused += 1,
        }
    }
    assert!(
        passed > 100 && refused > 1000,
        "{passed} {refused}: the mutations must reach both sides"
    );
}
