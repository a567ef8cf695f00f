//! New shapes, joins and cuts: where the records keep their axis, and where that cannot be told.

use super::world::{Sketch, axis, filled, to};
use super::{proven, unproven};
use crate::pb::element;

const TWO: &[&str] = &["wage", "age"];

/// The table `[n, 2]`, and what is made of it.
fn drawn(make: impl FnOnce(&mut Sketch, &str) -> String) -> (Sketch, String) {
    let mut g = Sketch::new();
    let x = g.table(TWO);
    let y = make(&mut g, &x);
    (g, y)
}

fn reshaped(shape: &[i64]) -> (Sketch, String) {
    drawn(|g, x| g.op("Reshape", &[x, &g.ints(shape)]))
}

#[test]
fn a_new_shape_must_keep_the_records_by_themselves() {
    for shape in [
        &[0, 2][..],
        &[-1, 2],
        &[0, -1],
        &[0, 2, 1],
        &[-1, 1, 2],
        &[0, 1, -1],
    ] {
        let (g, y) = reshaped(shape);
        proven(&g, &y, TWO);
    }
    for shape in [
        &[-1][..],
        &[2, -1],
        &[-1, 1],
        &[1, -1],
        &[-1, 4],
        &[6, 2],
        &[1, 0, -1],
        &[7, -1],
    ] {
        let (g, y) = reshaped(shape);
        unproven(&g, &y, "keep an axis of their own");
    }
    // Kept, but not in front.
    let (g, y) = reshaped(&[1, -1, 2]);
    unproven(&g, &y, "stand on axis 1");
    let (g, y) = drawn(|g, x| {
        let r = g.op("Reshape", &[x, &g.ints(&[1, -1, 2])]);
        g.op("Reshape", &[&r, &g.ints(&[-1, 2])])
    });
    proven(&g, &y, TWO);
    // Turned first, then read row by row: the records are mixed.
    let (g, y) = drawn(|g, x| {
        let t = g.op("Transpose", &[x]);
        g.op("Reshape", &[&t, &g.ints(&[-1, 2])])
    });
    unproven(&g, &y, "keep an axis of their own");
    let (g, y) = drawn(|g, x| g.op("Reshape", &[x, &g.variable_ints("s", &[2])]));
    unproven(&g, &y, "the new shape is not known");
}

#[test]
fn flat_squeezed_and_unsqueezed() {
    let (g, y) = drawn(|g, x| g.op_with("Flatten", &[x], vec![axis(1)]));
    proven(&g, &y, TWO);
    for at in [0, 2] {
        let (g, y) = drawn(|g, x| g.op_with("Flatten", &[x], vec![axis(at)]));
        unproven(&g, &y, "Flatten");
    }
    let (g, y) = drawn(|g, x| {
        let u = g.op("Unsqueeze", &[x, &g.ints(&[-1, 1])]);
        g.op("Squeeze", &[&u, &g.ints(&[1, 3])])
    });
    proven(&g, &y, TWO);
    let (g, y) = drawn(|g, x| g.op("Unsqueeze", &[x, &g.ints(&[0])]));
    unproven(&g, &y, "stand on axis 1");
    let (g, y) = drawn(|g, x| g.op("Squeeze", &[x]));
    unproven(&g, &y, "a batch of one record would lose its own");
    let (g, y) = drawn(|g, x| g.op("Squeeze", &[x, &g.ints(&[0])]));
    unproven(&g, &y, "would be removed");
}

/// `[n]` out of a shape, as exporters write it.
fn count(g: &mut Sketch, x: &str) -> String {
    let shape = g.op("Shape", &[x]);
    let n = g.op_with("Gather", &[&shape, &g.single(0)], vec![axis(0)]);
    g.op("Unsqueeze", &[&n, &g.ints(&[0])])
}

#[test]
fn shapes_that_exporters_compute_are_followed() {
    let (g, y) = drawn(|g, x| {
        let n = count(g, x);
        let shape = g.op_with("Concat", &[&n, &g.ints(&[-1])], vec![axis(0)]);
        g.op("Reshape", &[x, &shape])
    });
    proven(&g, &y, TWO);
    // x.expand: where the wanted length is -1, the own one.
    let (g, y) = drawn(|g, x| {
        let n = count(g, x);
        let wanted = g.op_with("Concat", &[&n, &g.ints(&[-1])], vec![axis(0)]);
        let ones = g.op_with(
            "ConstantOfShape",
            &[&g.ints(&[2])],
            vec![filled(element::INT64, 1_i64.to_le_bytes().to_vec())],
        );
        let minus = g.op("Mul", &[&ones, &g.single(-1)]);
        let open = g.op("Equal", &[&wanted, &minus]);
        let shape = g.op("Where", &[&open, &ones, &wanted]);
        g.op("Expand", &[x, &shape])
    });
    proven(&g, &y, TWO);
    // zeros_like, then something of the record.
    let (g, y) = drawn(|g, x| {
        let shape = g.op("Shape", &[x]);
        let zeros = g.op_with(
            "ConstantOfShape",
            &[&shape],
            vec![filled(element::DOUBLE, vec![0; 8])],
        );
        g.op("Add", &[&zeros, x])
    });
    proven(&g, &y, TWO);
    let (g, y) = drawn(|g, x| {
        let n = count(g, x);
        let cut = g.op("Slice", &[x, &g.ints(&[0]), &n, &g.ints(&[0])]);
        g.op(
            "Slice",
            &[&cut, &g.ints(&[0]), &g.ints(&[i64::MAX]), &g.ints(&[0])],
        )
    });
    proven(&g, &y, TWO);
}

#[test]
fn the_number_of_records_is_no_number_to_compute_with() {
    let words = "the number of records in a batch goes into numbers";
    let (g, y) = drawn(|g, x| {
        let n = count(g, x);
        let n = g.op_with("Cast", &[&n], to(element::DOUBLE));
        g.op("Div", &[x, &n])
    });
    unproven(&g, &y, words);
    let (g, y) = drawn(|g, x| {
        let n = count(g, x);
        let last = g.op("Sub", &[&n, &g.ints(&[1])]);
        g.op("Slice", &[x, &last, &n, &g.ints(&[0])])
    });
    unproven(&g, &y, words);
    let (g, y) = drawn(|g, x| {
        let n = g.op("Size", &[x]);
        let n = g.op_with("Cast", &[&n], to(element::DOUBLE));
        g.op("Div", &[x, &n])
    });
    unproven(&g, &y, "a multiple of the number of records");
    // n x n.
    let (g, y) = drawn(|g, x| {
        let n = count(g, x);
        let shape = g.op_with("Concat", &[&n, &n], vec![axis(0)]);
        g.op_with("ConstantOfShape", &[&shape], vec![])
    });
    unproven(&g, &y, "every record with every other");
    // Hidden in a table of two axes, where numbers are not followed.
    let (g, y) = drawn(|g, x| {
        let shape = g.op("Shape", &[x]);
        let table = g.op("Unsqueeze", &[&shape, &g.ints(&[0])]);
        let f = g.op_with("Cast", &[&table], to(element::DOUBLE));
        g.op("Mul", &[x, &f])
    });
    unproven(&g, &y, words);
}

#[test]
fn repeated_and_padded() {
    let (g, y) = drawn(|g, x| g.op("Tile", &[x, &g.ints(&[1, 3])]));
    proven(&g, &y, TWO);
    let (g, y) = drawn(|g, x| g.op("Tile", &[x, &g.ints(&[2, 1])]));
    unproven(&g, &y, "repeated along their axis");
    let (g, y) = drawn(|g, x| g.op("Pad", &[x, &g.ints(&[0, 1, 0, 1])]));
    proven(&g, &y, TWO);
    // Slots behind the records: the padded rows of everybody, one after the other.
    let (g, y) = drawn(|g, x| g.op("Pad", &[x, &g.ints(&[0, 0, 90, 0])]));
    unproven(&g, &y, "would be padded");
    let (g, y) = drawn(|g, x| g.op("Expand", &[x, &g.ints(&[4, 1, 2])]));
    unproven(&g, &y, "stand on axis 1");
    let (g, y) = drawn(|g, x| g.op("Expand", &[x, &g.ints(&[4, 2])]));
    unproven(&g, &y, "depends on the record's place");
}

#[test]
fn joined_and_cut_along_other_axes() {
    let (g, y) = drawn(|g, x| g.op_with("Concat", &[x, x], vec![axis(1)]));
    proven(&g, &y, TWO);
    let (g, y) = drawn(|g, x| g.op_with("Concat", &[x, x], vec![axis(0)]));
    unproven(&g, &y, "by their place in the batch");
    let (g, y) = drawn(|g, x| g.op_with("Concat", &[x, &g.variable("w", &[7, 2])], vec![axis(1)]));
    unproven(&g, &y, "no block for each record");
    for (start, end) in [(0, 1), (1, 9), (-1, 9), (0, -1)] {
        let (g, y) = drawn(|g, x| {
            g.op(
                "Slice",
                &[x, &g.ints(&[start]), &g.ints(&[end]), &g.ints(&[0])],
            )
        });
        unproven(&g, &y, "by their place in the batch");
    }
    let (g, y) = drawn(|g, x| {
        let back = g.ints(&[-1]);
        g.op(
            "Slice",
            &[x, &back, &g.ints(&[i64::MIN]), &g.ints(&[0]), &back],
        )
    });
    unproven(&g, &y, "by their place in the batch");
    // No axes: the first ones.
    let (g, y) = drawn(|g, x| g.op("Slice", &[x, &g.ints(&[0]), &g.ints(&[3])]));
    unproven(&g, &y, "by their place in the batch");
    let (g, y) = drawn(|g, x| g.op_with("Gather", &[x, &g.single(0)], vec![axis(0)]));
    unproven(&g, &y, "by their place in the batch");
    let (g, y) = drawn(|g, x| g.many("Split", &[x], vec![axis(0)], 2).remove(0));
    unproven(&g, &y, "by their place in the batch");
}

#[test]
fn indices_that_the_record_chose_pick_of_what_all_have_or_of_itself() {
    let mut g = Sketch::new();
    let sex = g.column("sex");
    let y = g.op_with(
        "Gather",
        &[&g.variable("table", &[4, 2]), &sex],
        vec![axis(0)],
    );
    proven(&g, &y, &["sex"]);
    // Of all records.
    let mut g = Sketch::new();
    let (x, sex) = (g.table(TWO), g.column("sex"));
    let y = g.op_with("Gather", &[&x, &sex], vec![axis(0)]);
    unproven(&g, &y, "by their place in the batch");
    let mut g = Sketch::new();
    let (x, sex) = (g.table(TWO), g.column("sex"));
    let y = g.op_with("Gather", &[&x, &sex], vec![axis(1)]);
    unproven(&g, &y, "would pick from every record");
    for (at, fine) in [(1, true), (0, false)] {
        let mut g = Sketch::new();
        let (x, sex) = (g.table(TWO), g.column("sex"));
        let sex = g.op("Unsqueeze", &[&sex, &g.ints(&[1])]);
        let y = g.op_with("GatherElements", &[&x, &sex], vec![axis(at)]);
        let mut h = Sketch::new();
        let (x, sex) = (h.table(TWO), h.column("sex"));
        let sex = h.op("Unsqueeze", &[&sex, &h.ints(&[1])]);
        let one = h.op_with("Cast", &[&sex], to(element::DOUBLE));
        let z = h.op_with("ScatterElements", &[&x, &sex, &one], vec![axis(at)]);
        if fine {
            proven(&g, &y, &["wage", "age", "sex"]);
            proven(&h, &z, &["wage", "age", "sex"]);
        } else {
            unproven(&g, &y, "by their place in the batch");
            unproven(&h, &z, "by their place in the batch");
        }
    }
    let mut g = Sketch::new();
    let sex = g.column("sex");
    let y = g.op_with(
        "OneHot",
        &[&sex, &g.ints(&[4]), &g.floats(&[2], &[0.0, 1.0])],
        vec![],
    );
    proven(&g, &y, &["sex"]);
    let mut g = Sketch::new();
    let sex = g.column("sex");
    let y = g.op_with(
        "OneHot",
        &[&sex, &g.ints(&[4]), &g.floats(&[2], &[0.0, 1.0])],
        vec![axis(0)],
    );
    unproven(&g, &y, "stand on axis 1");
}
