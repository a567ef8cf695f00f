//! What a graph may not contain: subgraphs, files, functions, randomness, foreign domains and versions.

use super::world::*;

#[test]
fn loops_branches_and_other_subgraphs_are_rejected() {
    for op in ["Loop", "If", "Scan", "SequenceMap"] {
        assert!(
            rejected_nodes(vec![node(op, &["x"], &["o"])], vec![])
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
        rejected_nodes(vec![with(node("Relu", &["x"], &["o"]), hidden)], vec![])
            .contains("subgraphs")
    );
}

#[test]
fn external_data_is_rejected_wherever_it_stands_and_points() {
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
                rejected_nodes(vec![node("Relu", &["x"], &["o"])], vec![tensor.clone()])
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
            assert!(rejected_nodes(nodes, vec![]).contains("node 0 (Constant)"));
        }
    }
}

#[test]
fn custom_and_contrib_domains_are_rejected_in_imports_and_nodes() {
    for domain in ["evil.example", "com.microsoft", "ai.onnx.ml", "ai.onnx"] {
        let mut imported = good();
        imported.opset_import.push(Opset {
            domain: text(domain),
            version: Some(1),
        });
        assert!(rejection(&imported).contains(domain));
        let foreign = Node {
            domain: text(domain),
            ..node("Relu", &["x"], &["o"])
        };
        assert!(rejected_nodes(vec![foreign], vec![]).contains("standard domain"));
    }
}

#[test]
fn functions_recursive_or_nested_a_billion_times_are_rejected() {
    let mut m = good();
    m.functions = vec![b"anything".to_vec()];
    assert!(rejection(&m).contains("functions"));
    let overload = Node {
        overload: text("f"),
        ..node("Relu", &["x"], &["o"])
    };
    rejected_nodes(vec![overload], vec![]);
    let reference = Attribute {
        ref_attr_name: text("alpha"),
        ..int("axis", 0)
    };
    rejected_nodes(
        vec![with(node("Softmax", &["x"], &["o"]), reference)],
        vec![],
    );
}

#[test]
fn training_info_sparse_and_string_tensors_are_rejected() {
    let mut m = good();
    m.training_info = vec![vec![]];
    assert!(rejection(&m).contains("training"));
    let mut m = good();
    m.graph.as_mut().unwrap().sparse_initializer = vec![vec![]];
    assert!(rejection(&m).contains("sparse"));
    let sparse = Attribute {
        name: text("sparse_value"),
        kind: Some(11),
        sparse_tensor: Some(vec![]),
        ..Attribute::default()
    };
    rejected_nodes(vec![with(node("Constant", &[], &["o"]), sparse)], vec![]);
    let strings = Tensor {
        string_data: vec![b"a".to_vec()],
        ..whole("w", &[])
    };
    rejected_nodes(vec![node("Relu", &["x"], &["o"])], vec![strings]);
    let text_type = Tensor {
        data_type: Some(8),
        ..whole("w", &[1])
    };
    assert!(
        rejected_nodes(vec![node("Relu", &["x"], &["o"])], vec![text_type])
            .contains("element type 8")
    );
}

#[test]
fn randomness_in_the_graph_is_rejected() {
    for op in [
        "RandomNormal",
        "RandomUniformLike",
        "Multinomial",
        "Bernoulli",
        "Dropout",
    ] {
        rejected_nodes(vec![node(op, &["x"], &["o"])], vec![]);
    }
}

#[test]
fn foreign_versions_are_rejected() {
    for version in [None, Some(6), Some(12), Some(19), Some(-1)] {
        let mut m = good();
        m.opset_import[0].version = version;
        assert!(rejection(&m).contains("13 to 18"));
    }
    for ir in [None, Some(3), Some(11)] {
        let mut m = good();
        m.ir_version = ir;
        rejection(&m);
    }
    let mut none = good();
    none.graph = None;
    rejection(&none);
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
