//! Values: where they come from, what they are called, and that constants and attributes are what they say.

use super::world::*;

#[test]
fn cycles_and_wrong_order_are_rejected() {
    let cycle = vec![
        node("Add", &["x", "b"], &["a"]),
        node("Relu", &["a"], &["b"]),
        node("Relu", &["b"], &["o"]),
    ];
    let message = rejected_nodes(cycle, vec![]);
    assert!(
        message.contains("node 0 (Add)") && message.contains("\"b\""),
        "{message}"
    );
    rejected_nodes(vec![node("Relu", &["o"], &["o"])], vec![]);
}

#[test]
fn duplicate_missing_and_endless_names_are_rejected() {
    assert!(
        rejected_nodes(
            vec![node("Relu", &["x"], &["o"]), node("Abs", &["x"], &["o"])],
            vec![]
        )
        .contains("\"o\"")
    );
    assert!(
        rejected_nodes(vec![node("Relu", &["x"], &["x"])], vec![]).contains("\"x\""),
        "an input overwritten"
    );
    rejected_nodes(vec![node("Relu", &["x"], &["o"])], vec![whole("x", &[1])]);
    rejected_nodes(vec![node("Relu", &["x"], &["h"])], vec![]);
    rejected_nodes(vec![node("Relu", &["x"], &[""])], vec![]);
    let long = "a".repeat(100_000);
    let message = rejected_nodes(vec![node("Relu", &["x"], &[&long])], vec![]);
    assert!(message.len() < 1000, "hostile names are cut in messages");
}

#[test]
fn constants_hold_exactly_as_many_numbers_as_they_say() {
    for dims in [vec![2], vec![-1], vec![i64::MAX, i64::MAX], vec![1; 33]] {
        let liar = Tensor {
            dims,
            ..whole("w", &[1])
        };
        rejected_nodes(vec![node("Relu", &["x"], &["o"])], vec![liar]);
    }
    let both = Tensor {
        int64_data: vec![1],
        ..whole("w", &[1])
    };
    rejected_nodes(vec![node("Relu", &["x"], &["o"])], vec![both]);
    let other_list = Tensor {
        raw_data: None,
        float_data: vec![1.0],
        ..whole("w", &[1])
    };
    rejected_nodes(vec![node("Relu", &["x"], &["o"])], vec![other_list]);
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
    rejected_nodes(vec![with(relu(), lying)], vec![]);
    rejected_nodes(
        vec![with(with(relu(), int("axis", 0)), int("axis", 1))],
        vec![],
    );
    rejected_nodes(vec![with(relu(), int("axis", 1 << 40))], vec![]);
    for name in ["pads", "kernel_shape", "strides", "dilations"] {
        for wild in [-1, 1 << 20] {
            let window = Attribute {
                name: text(name),
                kind: Some(kind::INTS),
                ints: vec![1, wild],
                ..Attribute::default()
            };
            let message =
                rejected_nodes(vec![with(node("MaxPool", &["x"], &["o"]), window)], vec![]);
            assert!(message.contains(name), "{message}");
        }
    }
    for to in [8, 10, 16, 14, 99] {
        rejected_nodes(
            vec![with(node("Cast", &["x"], &["o"]), int("to", to))],
            vec![],
        );
    }
}
