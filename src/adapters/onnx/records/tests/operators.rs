//! Element by element, along axes, products and windows: what keeps records apart, and what does not.

use super::world::{Sketch, axis, int, ints, to};
use super::{proven, unproven};
use crate::pb::element;

/// One node over the table `[n, 3]`, with constants that the closure draws.
fn over(
    op: &str,
    more: impl Fn(&mut Sketch) -> Vec<String>,
    attributes: Vec<crate::pb::Attribute>,
) -> (Sketch, String) {
    let mut g = Sketch::new();
    let x = g.table(&["wage", "age", "a"]);
    let more = more(&mut g);
    let mut inputs = vec![x.as_str()];
    inputs.extend(more.iter().map(String::as_str));
    let y = g.op_with(op, &inputs, attributes);
    (g, y)
}

const ALL: &[&str] = &["wage", "age", "a"];

#[test]
fn each_element_by_itself_is_fine() {
    for op in [
        "Abs", "Exp", "Relu", "Sigmoid", "Sqrt", "Sign", "Floor", "Identity", "Erf", "Softplus",
    ] {
        let (g, y) = over(op, |_| vec![], vec![]);
        proven(&g, &y, ALL);
    }
    let (g, y) = over("Cast", |_| vec![], to(element::FLOAT));
    proven(&g, &y, ALL);
    let (g, y) = over(
        "Clip",
        |g| vec![g.floats(&[], &[0.0]), g.floats(&[], &[1.0])],
        vec![],
    );
    proven(&g, &y, ALL);
    // An attribute that nobody knows may mean anything.
    let (g, y) = over("Relu", |_| vec![], vec![int("along", 0)]);
    unproven(&g, &y, "attribute \"along\" is not known");
}

#[test]
fn axes_are_matched_from_the_last() {
    for dims in [&[][..], &[3], &[1], &[1, 3], &[1, 1], &[2, 1, 3]] {
        let count = dims.iter().product::<i64>();
        let count = usize::try_from(count).unwrap();
        let (g, y) = over("Mul", |g| vec![g.floats(dims, &vec![1.0; count])], vec![]);
        if dims.len() > 2 {
            unproven(&g, &y, "stand on axis 1");
        } else {
            proven(&g, &y, ALL);
        }
    }
    // As long as the records: what it does depends on their place.
    let (g, y) = over("Mul", |g| vec![g.floats(&[7, 1], &[1.0; 7])], vec![]);
    unproven(&g, &y, "depends on the record's place");
    let (g, y) = over("Mul", |g| vec![g.variable("w", &[7, 3])], vec![]);
    unproven(&g, &y, "depends on the record's place");
    // [n, 3] and [n]: the records of one meet the columns of the other.
    let mut g = Sketch::new();
    let (x, id) = (g.table(&["wage", "age", "a"]), g.column("id"));
    let id = g.op_with("Cast", &[&id], to(element::DOUBLE));
    let y = g.op("Add", &[&x, &id]);
    unproven(&g, &y, "stand on different axes");
    let mut g = Sketch::new();
    let (x, id) = (g.table(&["wage", "age", "a"]), g.column("id"));
    let id = g.op_with("Cast", &[&id], to(element::DOUBLE));
    let id = g.op("Unsqueeze", &[&id, &g.ints(&[1])]);
    let y = g.op("Add", &[&x, &id]);
    proven(&g, &y, &["wage", "age", "a", "id"]);
}

#[test]
fn choices_are_followed_through_all_their_parts() {
    let mut g = Sketch::new();
    let (x, id) = (g.table(&["wage"]), g.table(&["id"]));
    let c = g.floats(&[], &[4711.0]);
    let which = g.op("Equal", &[&id, &c]);
    let y = g.op("Where", &[&which, &x, &c]);
    proven(&g, &y, &["wage", "id"]);
}

#[test]
fn whole_numbers_are_divided_by_constants_only() {
    for (divisor, fine) in [(3, true), (1, true), (0, false), (-1, false)] {
        for op in ["Div", "Mod"] {
            let mut g = Sketch::new();
            let (id, d) = (g.column("id"), g.single(divisor));
            let y = g.op(op, &[&id, &d]);
            if fine {
                proven(&g, &y, &["id"]);
            } else {
                unproven(&g, &y, "stops a whole batch");
            }
        }
    }
    let mut g = Sketch::new();
    let (id, age) = (g.column("id"), g.column("age"));
    let y = g.op("Div", &[&id, &age]);
    unproven(&g, &y, "stops a whole batch");
    let mut g = Sketch::new();
    let (id, age) = (g.table(&["id"]), g.table(&["age"]));
    let y = g.op("Div", &[&id, &age]);
    proven(&g, &y, &["id", "age"]);
}

#[test]
fn along_other_axes_is_fine_and_along_the_records_is_not() {
    for (along, fine) in [(1, true), (-1, true), (0, false), (-2, false)] {
        let single = |g: &mut Sketch| vec![g.single(along)];
        let count = |g: &mut Sketch| vec![g.ints(&[2])];
        let keep = || vec![axis(along), int("keepdims", 0)];
        for (op, (g, y)) in [
            ("Softmax", over("Softmax", |_| vec![], vec![axis(along)])),
            (
                "LogSoftmax",
                over("LogSoftmax", |_| vec![], vec![axis(along)]),
            ),
            ("CumSum", over("CumSum", single, vec![])),
            ("ArgMax", over("ArgMax", |_| vec![], keep())),
            ("ArgMin", over("ArgMin", |_| vec![], keep())),
            ("TopK", over("TopK", count, vec![axis(along)])),
            (
                "ReduceMean",
                over("ReduceMean", |_| vec![], vec![ints("axes", &[along])]),
            ),
            (
                "ReduceSum",
                over("ReduceSum", |g| vec![g.ints(&[along])], vec![]),
            ),
            (
                "ReduceMax",
                over(
                    "ReduceMax",
                    |_| vec![],
                    vec![ints("axes", &[along]), int("keepdims", 0)],
                ),
            ),
        ] {
            if fine {
                proven(&g, &y, ALL);
            } else {
                unproven(&g, &y, op);
            }
        }
    }
}

#[test]
fn a_reduction_over_everything_is_over_the_records() {
    for op in ["ReduceSum", "ReduceMean", "ReduceL2", "ReduceProd"] {
        let (g, y) = over(op, |_| vec![], vec![]);
        unproven(&g, &y, "leave sums over records to the node");
    }
    let (g, y) = over(
        "ReduceSum",
        |_| vec![],
        vec![int("noop_with_empty_axes", 1)],
    );
    proven(&g, &y, ALL);
    // Axes that another version of the operators would read.
    let (g, y) = over("ReduceSum", |_| vec![], vec![ints("axes", &[1])]);
    unproven(&g, &y, "axes are an input in this version");
    let mut g = Sketch::new().opset(18);
    let x = g.table(ALL);
    let y = g.op_with("ReduceMean", &[&x], vec![ints("axes", &[1])]);
    unproven(&g, &y, "axes are an input in this version");
    let mut g = Sketch::new().opset(18);
    let x = g.table(ALL);
    let y = g.op("ReduceMean", &[&x, &g.ints(&[1])]);
    proven(&g, &y, ALL);
}

#[test]
fn products_with_what_all_have_alike_are_fine() {
    let (g, y) = over("MatMul", |g| vec![g.variable("w", &[3, 2])], vec![]);
    proven(&g, &y, ALL);
    let (g, y) = over("MatMul", |g| vec![g.variable("w", &[3])], vec![]);
    proven(&g, &y, ALL);
    let (g, y) = over(
        "Gemm",
        |g| vec![g.variable("w", &[2, 3]), g.variable("b", &[2])],
        vec![int("transB", 1)],
    );
    proven(&g, &y, ALL);
    let (g, y) = over(
        "Gemm",
        |g| vec![g.variable("w", &[2, 3]), g.variable("b", &[7, 2])],
        vec![int("transB", 1)],
    );
    unproven(&g, &y, "depends on the record's place");
    let (g, y) = over(
        "Gemm",
        |g| vec![g.variable("w", &[7, 2])],
        vec![int("transA", 1)],
    );
    unproven(&g, &y, "sums products over the axis of the records");
}

#[test]
fn products_of_records_with_records_are_not() {
    // X^T X, the sum over records that the node is to make.
    let mut g = Sketch::new();
    let x = g.table(&["wage", "age"]);
    let t = g.op("Transpose", &[&x]);
    let y = g.op("MatMul", &[&t, &x]);
    unproven(&g, &y, "give out each record's product");
    // Every record with every other.
    let mut g = Sketch::new();
    let x = g.table(&["wage", "age"]);
    let t = g.op("Transpose", &[&x]);
    let y = g.op("MatMul", &[&x, &t]);
    unproven(&g, &y, "every record with every other");
    // A selection that is a product from the left.
    let mut g = Sketch::new();
    let x = g.table(&["wage", "age"]);
    let y = g.op("MatMul", &[&g.variable("w", &[1, 7]), &x]);
    unproven(&g, &y, "sums products over the axis of the records");
    // The product of each record with itself, as the node wants it.
    let mut g = Sketch::new();
    let x = g.table(&["wage", "age"]);
    let column = g.op("Unsqueeze", &[&x, &g.ints(&[2])]);
    let row = g.op("Unsqueeze", &[&x, &g.ints(&[1])]);
    let y = g.op("MatMul", &[&column, &row]);
    proven(&g, &y, &["wage", "age"]);
}

#[test]
fn windows_go_over_axes_behind_the_records() {
    let image = |g: &mut Sketch| {
        let x = g.table(&["wage", "age", "sex", "a"]);
        g.op("Reshape", &[&x, &g.ints(&[-1, 1, 2, 2])])
    };
    let mut g = Sketch::new();
    let x = image(&mut g);
    let conv = g.op_with(
        "Conv",
        &[&x, &g.variable("w", &[4, 1, 2, 2]), &g.variable("b", &[4])],
        vec![ints("pads", &[1, 1, 1, 1])],
    );
    let norm = g.op(
        "BatchNormalization",
        &[
            &conv,
            &g.variable("s", &[4]),
            &g.variable("o", &[4]),
            &g.variable("m", &[4]),
            &g.variable("v", &[4]),
        ],
    );
    let pool = g.op_with("MaxPool", &[&norm], vec![ints("kernel_shape", &[2, 2])]);
    let mean = g.op("GlobalAveragePool", &[&pool]);
    let flat = g.op_with("Flatten", &[&pool], vec![]);
    // 3 x 3 after the padding, 2 x 2 after the pool: known, so the weights fit.
    let y = g.op("MatMul", &[&flat, &g.variable("f", &[16, 2])]);
    proven(&g, &y, &["wage", "age", "sex", "a"]);
    proven(&g, &mean, &["wage", "age", "sex", "a"]);
    // The places of the largest count through the whole batch.
    let both = g.many("MaxPool", &[&norm], vec![ints("kernel_shape", &[2, 2])], 2);
    unproven(&g, &both[0], "only its first output is followed");
    // Records as channels, or as weights.
    let mut g = Sketch::new();
    let x = image(&mut g);
    let t = g.op_with("Transpose", &[&x], vec![ints("perm", &[1, 0, 2, 3])]);
    let y = g.op("Conv", &[&t, &g.variable("w", &[4, 7, 2, 2])]);
    unproven(&g, &y, "the records stand on axis 1");
    let mut g = Sketch::new();
    let x = image(&mut g);
    let y = g.op("Conv", &[&g.variable("w", &[1, 1, 4, 4]), &x]);
    unproven(&g, &y, "the weights depends on the records");
    // Means over the batch.
    let mut g = Sketch::new();
    let x = image(&mut g);
    let four = [
        &g.variable("s", &[1]),
        &g.variable("o", &[1]),
        &g.variable("m", &[1]),
        &g.variable("v", &[1]),
    ]
    .map(String::clone);
    let y = g.op_with(
        "BatchNormalization",
        &[&x, &four[0], &four[1], &four[2], &four[3]],
        vec![int("training_mode", 1)],
    );
    unproven(&g, &y, "means over the batch");
}

#[test]
fn layers_are_normalised_behind_the_records() {
    let (g, y) = over(
        "LayerNormalization",
        |g| vec![g.variable("s", &[3]), g.variable("o", &[3])],
        vec![],
    );
    proven(&g, &y, ALL);
    let (g, y) = over(
        "LayerNormalization",
        |g| vec![g.variable("s", &[3])],
        vec![axis(0)],
    );
    unproven(&g, &y, "LayerNormalization");
    let (g, y) = over(
        "LayerNormalization",
        |g| vec![g.variable("s", &[7, 3])],
        vec![],
    );
    unproven(&g, &y, "more axes than are normalised");
}

#[test]
fn what_numbers_the_records_is_not_followed() {
    for op in ["NonZero", "EyeLike"] {
        let (g, y) = over(op, |_| vec![], vec![]);
        unproven(&g, &y, op);
    }
    let (g, y) = over("Trilu", |_| vec![], vec![]);
    unproven(&g, &y, "depends on the record's place");
    let mut g = Sketch::new();
    let x = g.table(&["wage"]);
    let shape = g.op("Shape", &[&x]);
    let n = g.op_with("Gather", &[&shape, &g.single(0)], vec![]);
    let y = g.op("Range", &[&g.single(0), &n, &g.single(1)]);
    unproven(&g, &y, "Range");
}
