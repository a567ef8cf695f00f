//! Tensors and files that are too large.

use super::world::*;

#[test]
fn terabyte_tensors_from_constants_are_rejected_before_anything_is_allocated() {
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
        let message = rejected_nodes(vec![bomb, node("Relu", &["x"], &["o"])], constants);
        assert!(
            message.contains(&format!("node 0 ({op})")) && message.contains("smaller constants"),
            "{message}"
        );
    }
}

#[test]
fn a_huge_shape_glued_together_from_small_constants_is_rejected() {
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
    rejected_nodes(nodes, vec![whole("c", &[1 << 16])]);
}

#[test]
fn size_limits_hold() {
    let bytes = good().encode_to_vec();
    let rejected = |limits: GraphLimits| check(&bytes, &limits).is_err();
    assert!(rejected(GraphLimits {
        file_bytes: bytes.len() - 1,
        ..GraphLimits::default()
    }));
    assert!(rejected(GraphLimits {
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
    assert!(rejection(&wide).contains("\"o\""));
}
