//! One person picked out of the sum, in all ways that we could think of: each must stay unproven, or be proven with the column that
//! points at the person, so that the owner's policy sees it.
//!
//! The first audit's two bundles came from here: `sum(wage * (id == 4711))`, and every row in a slot of its own.

use std::collections::BTreeMap;

use serde_json::json;

use super::world::{Sketch, axis, int, ints, to};
use crate::pb::element;
use crate::records::prove;
use delta_domain::records::proof::{ProofRule, ReleaseProof};

/// How the id is read: `[n, 1]` of `f64`.
const READ: usize = 5;

fn read_id(g: &mut Sketch, way: usize) -> String {
    match way {
        0 => g.table(&["id"]),
        1 => {
            let id = g.column("id");
            let id = g.op_with("Cast", &[&id], to(element::DOUBLE));
            g.op("Unsqueeze", &[&id, &g.ints(&[1])])
        }
        2 => {
            let x = g.table(&["age", "id"]);
            g.op_with("Gather", &[&x, &g.ints(&[1])], vec![axis(1)])
        }
        3 => {
            let x = g.table(&["age", "id", "sex"]);
            g.op("Slice", &[&x, &g.ints(&[1]), &g.ints(&[2]), &g.ints(&[1])])
        }
        _ => {
            // A product that picks the column.
            let x = g.table(&["age", "id"]);
            g.op("MatMul", &[&x, &g.floats(&[2, 1], &[0.0, 1.0])])
        }
    }
}

/// How the id becomes 1 for one person and 0 for the others, `[n, 1]`.
const SELECT: usize = 16;

fn select(g: &mut Sketch, id: &str, way: usize) -> String {
    let c = g.floats(&[], &[4711.0]);
    let (zero, one) = (g.floats(&[], &[0.0]), g.floats(&[], &[1.0]));
    let away = |g: &mut Sketch| {
        let d = g.op("Sub", &[id, &c]);
        g.op("Abs", &[&d])
    };
    let float = |g: &mut Sketch, which: &str| g.op_with("Cast", &[which], to(element::DOUBLE));
    match way {
        0 => {
            let which = g.op("Equal", &[id, &c]);
            float(g, &which)
        }
        1 => {
            let d = away(g);
            let near = g.op("Min", &[&d, &one]);
            g.op("Sub", &[&one, &near])
        }
        2 => {
            let d = away(g);
            let near = g.op("Sub", &[&one, &d]);
            g.op("Relu", &[&near])
        }
        3 => {
            let d = away(g);
            let sign = g.op("Sign", &[&d]);
            g.op("Sub", &[&one, &sign])
        }
        4 => {
            let d = away(g);
            let steep = g.op("Mul", &[&d, &g.floats(&[], &[-1e9])]);
            g.op("Exp", &[&steep])
        }
        5 => {
            // Large weights: a softmax of two that is 1 for one.
            let d = away(g);
            let steep = g.op("Mul", &[&d, &g.floats(&[1, 2], &[-1e9, 0.0])]);
            let lifted = g.op("Add", &[&steep, &g.floats(&[1, 2], &[0.5e9, 0.0])]);
            let soft = g.op_with("Softmax", &[&lifted], vec![axis(1)]);
            g.op_with("Gather", &[&soft, &g.ints(&[0])], vec![axis(1)])
        }
        6 => {
            let (low, high) = (g.op("Less", &[id, &c]), g.op("Greater", &[id, &c]));
            let neither = g.op("Or", &[&low, &high]);
            let neither = g.op("Not", &[&neither]);
            float(g, &neither)
        }
        7 => {
            let rest = g.op_with("Mod", &[id, &c], vec![int("fmod", 1)]);
            let which = g.op("Equal", &[&rest, &zero]);
            float(g, &which)
        }
        8 => {
            // Bits of a float: how far rounding moves it.
            let big = g.op("Add", &[id, &g.floats(&[], &[1e16])]);
            let back = g.op("Sub", &[&big, &g.floats(&[], &[1e16])]);
            let lost = g.op("Sub", &[id, &back]);
            let bit = g.op("Abs", &[&lost]);
            g.op("Min", &[&bit, &one])
        }
        9 => {
            let whole = g.op_with("Cast", &[id], to(element::INT64));
            let high = g.op_with("BitShift", &[&whole, &g.single(3)], vec![]);
            float(g, &high)
        }
        10 => {
            let whole = g.op_with("Cast", &[id], to(element::INT64));
            let flat = g.op("Squeeze", &[&whole, &g.ints(&[1])]);
            let hot = g.op_with(
                "OneHot",
                &[&flat, &g.ints(&[5000]), &g.floats(&[2], &[0.0, 1.0])],
                vec![],
            );
            g.op_with("Gather", &[&hot, &g.ints(&[4711])], vec![axis(1)])
        }
        11 => {
            let whole = g.op_with("Cast", &[id], to(element::INT64));
            let flat = g.op("Squeeze", &[&whole, &g.ints(&[1])]);
            g.op_with(
                "Gather",
                &[&g.variable("table", &[5000, 1]), &flat],
                vec![axis(0)],
            )
        }
        12 => {
            let narrow = g.op_with("Cast", &[id], to(element::UINT8));
            float(g, &narrow)
        }
        13 => {
            let d = away(g);
            let huge = g.op("Div", &[&one, &d]);
            let which = g.op("IsInf", &[&huge]);
            float(g, &which)
        }
        14 => {
            // The value comes from the server, so the graph alone names nobody.
            let d = g.op("Sub", &[id, &g.variable("wanted", &[])]);
            let square = g.op("Mul", &[&d, &d]);
            let near = g.op("Min", &[&square, &one]);
            g.op("Sub", &[&one, &near])
        }
        _ => {
            let pair = g.op_with("Concat", &[id, id], vec![axis(1)]);
            let d = g.op("Sub", &[&pair, &c]);
            let norm = g.op_with("ReduceL1", &[&d], vec![ints("axes", &[1])]);
            let near = g.op("Clip", &[&norm, &zero, &one]);
            g.op("Sub", &[&one, &near])
        }
    }
}

/// How the wage is given the weight.
const WEIGH: usize = 4;

fn weigh(g: &mut Sketch, weight: &str, way: usize) -> String {
    let wage = g.table(&["wage"]);
    match way {
        0 => g.op("Mul", &[&wage, weight]),
        1 => {
            let half = g.floats(&[], &[0.5]);
            let which = g.op("Greater", &[weight, &half]);
            let zero = g.floats(&[], &[0.0]);
            g.op("Where", &[&which, &wage, &zero])
        }
        2 => {
            let both = g.op_with("Concat", &[&wage, weight], vec![axis(1)]);
            g.op_with("ReduceProd", &[&both], vec![ints("axes", &[1])])
        }
        _ => {
            let (a, b) = (
                g.op("Unsqueeze", &[&wage, &g.ints(&[2])]),
                g.op("Unsqueeze", &[weight, &g.ints(&[1])]),
            );
            let product = g.op("MatMul", &[&a, &b]);
            g.op("Reshape", &[&product, &g.ints(&[0, 1])])
        }
    }
}

#[test]
fn whoever_is_selected_by_id_is_selected_by_id() {
    let mut tried = 0;
    for read in 0..READ {
        for chosen in 0..SELECT {
            for weighed in 0..WEIGH {
                let mut g = Sketch::new();
                let id = read_id(&mut g, read);
                let weight = select(&mut g, &id, chosen);
                let y = weigh(&mut g, &weight, weighed);
                if let Ok(found) = g.proof(&[&y]) {
                    assert!(
                        found.contains("id") && found.contains("wage"),
                        "{read} {chosen} {weighed}: {found:?}"
                    );
                }
                tried += 1;
            }
        }
    }
    assert!(tried >= 200, "{tried}");
}

#[test]
fn selections_are_followed_and_not_only_refused() {
    // Else the test above would hold of a proof that proves nothing.
    let proven = (0..SELECT).filter(|way| {
        let mut g = Sketch::new();
        let id = read_id(&mut g, 2);
        let weight = select(&mut g, &id, *way);
        let y = weigh(&mut g, &weight, 0);
        g.proof(&[&y]).is_ok()
    });
    assert!(proven.count() >= 14);
    // And a sum that has nothing to do with the id does not name it.
    let mut g = Sketch::new();
    let x = g.table(&["wage", "id"]);
    let wage = g.op_with("Gather", &[&x, &g.ints(&[0])], vec![axis(1)]);
    let y = g.op("Log", &[&wage]);
    assert_eq!(g.proof(&[&y]).unwrap(), super::columns(&["wage"]));
}

/// A graph that picks by a record's place in the batch, or by comparing it with the others.
type Place = fn(&mut Sketch, &str) -> String;

const PLACES: [(&str, Place); 14] = [
    ("sorted", |g, x| {
        g.many("TopK", &[x, &g.ints(&[1])], vec![axis(0)], 2)
            .remove(0)
    }),
    ("sorted and gathered", |g, x| {
        let at = g
            .many("TopK", &[x, &g.ints(&[1])], vec![axis(0)], 2)
            .remove(1);
        let at = g.op("Squeeze", &[&at, &g.ints(&[1])]);
        g.op_with("Gather", &[x, &at], vec![axis(0)])
    }),
    ("turned and sorted", |g, x| {
        let t = g.op("Transpose", &[x]);
        let best = g
            .many("TopK", &[&t, &g.ints(&[1])], vec![axis(1)], 2)
            .remove(0);
        g.op("Transpose", &[&best])
    }),
    ("the largest", |g, x| {
        let most = g.op_with("ReduceMax", &[x], vec![ints("axes", &[0])]);
        let which = g.op("Equal", &[x, &most]);
        g.op_with("Cast", &[&which], to(element::DOUBLE))
    }),
    ("an index by running sums", |g, x| {
        let zero = g.op("Mul", &[x, &g.floats(&[], &[0.0])]);
        let one = g.op("Add", &[&zero, &g.floats(&[], &[1.0])]);
        let index = g.op("CumSum", &[&one, &g.single(0)]);
        let which = g.op("Equal", &[&index, &g.floats(&[], &[1.0])]);
        g.op_with("Cast", &[&which], to(element::DOUBLE))
    }),
    ("an index by a triangle", |g, x| {
        let t = g.op("Transpose", &[x]);
        let all = g.op("MatMul", &[x, &t]);
        let low = g.op_with("Trilu", &[&all], vec![int("upper", 0)]);
        g.op("MatMul", &[&low, x])
    }),
    ("an index by Range", |g, x| {
        let shape = g.op("Shape", &[x]);
        let n = g.op("Gather", &[&shape, &g.single(0)]);
        let index = g.op("Range", &[&g.single(0), &n, &g.single(1)]);
        g.op_with("Cast", &[&index], to(element::DOUBLE))
    }),
    ("slots by padding", |g, x| {
        let t = g.op("Transpose", &[x]);
        g.op("Pad", &[&t, &g.ints(&[0, 0, 0, 50])])
    }),
    ("slots by a new shape", |g, x| {
        g.op("Reshape", &[x, &g.ints(&[1, -1])])
    }),
    ("slots by scattering", |g, x| {
        let shape = g.op("Shape", &[x]);
        let zeros = g.op_with("ConstantOfShape", &[&shape], vec![]);
        let index = g.op_with("Cast", &[&zeros], to(element::INT64));
        g.op_with(
            "ScatterElements",
            &[&g.variable("slots", &[90, 1]), &index, x],
            vec![axis(0)],
        )
    }),
    ("softmax over all", |g, x| {
        let steep = g.op("Mul", &[x, &g.floats(&[], &[1e9])]);
        g.op_with("Softmax", &[&steep], vec![axis(0)])
    }),
    ("those that are not zero", |g, x| {
        let at = g.op("NonZero", &[x]);
        g.op("GatherND", &[x, &at])
    }),
    ("compressed", |g, x| {
        let flat = g.op("Squeeze", &[x, &g.ints(&[1])]);
        let which = g.op("Greater", &[&flat, &g.floats(&[], &[0.0])]);
        g.op_with("Compress", &[x, &which], vec![axis(0)])
    }),
    ("weights for places", |g, x| {
        g.op("Mul", &[x, &g.variable("weights", &[50, 1])])
    }),
];

#[test]
fn nobody_is_selected_by_place() {
    for (name, make) in PLACES {
        for columns in [&["wage"][..], &["a"]] {
            for before in ["Identity", "Relu", "Neg"] {
                let mut g = Sketch::new();
                let x = g.table(columns);
                let x = g.op(before, &[&x]);
                let y = make(&mut g, &x);
                let z = g.op("Identity", &[&y]);
                let reasons = g.proof(&[&z]).expect_err(name);
                assert!(
                    reasons.iter().all(|r| r.rule == ProofRule::RowsMixed),
                    "{name}"
                );
            }
        }
    }
}

/// The rules that a task with a map of these steps is refused by.
fn refused(
    g: &Sketch,
    outputs: &[&str],
    change: impl FnOnce(&mut serde_json::Value),
) -> Vec<ProofRule> {
    let task = g.task(g.step(outputs), outputs);
    let mut json = serde_json::to_value(&task).unwrap();
    change(&mut json);
    let task = serde_json::from_value(json).unwrap();
    let graphs = BTreeMap::from([("graphs/map.onnx".to_owned(), g.checked(outputs))]);
    match prove(&task, &graphs).unwrap() {
        ReleaseProof::Proven(_) => Vec::new(),
        ReleaseProof::Unproven(reasons) => reasons.iter().map(|r| r.rule).collect(),
    }
}

#[test]
fn two_steps_through_a_server_variable_name_the_id_in_one_of_them() {
    // First the sum of ids, then those whose id is the sum; or an id that the author knows, as the variable's first value.
    let mut g = Sketch::new();
    let x = g.table(&["wage", "id"]);
    let d = g.op("Sub", &[&x, &g.variable("found", &[2])]);
    let square = g.op("Mul", &[&d, &d]);
    let y = g.op("Mul", &[&square, &x]);
    assert!(refused(&g, &[&y], |_| ()).is_empty());
    assert!(g.proof(&[&y]).unwrap().contains("id"));
}

#[test]
fn two_steps_through_a_value_kept_on_the_node_are_refused() {
    let mut g = Sketch::new();
    let x = g.table(&["wage"]);
    let y = g.op("Relu", &[&x]);
    let kept = json!({"location": "client", "dtype": "f64", "shape": []});
    let assigned = refused(&g, &[&y], |task| {
        task["variables"]["own"] = kept.clone();
        task["rounds"][0]["map"]["assign"] = json!({"own": y});
    });
    assert_eq!(assigned, [ProofRule::KeepsState]);
    // Beside the records: the rows as they are, into a value that is kept.
    let beside = refused(&g, &[&y], |task| {
        let mut once = task["rounds"][0]["map"]["steps"][0].clone();
        once["driver"] = json!({"kind": "once"});
        once["outputs"] = json!({"v1": {"to": "value", "name": "rows"}});
        task["rounds"][0]["map"]["steps"]
            .as_array_mut()
            .unwrap()
            .push(once);
    });
    assert_eq!(beside, [ProofRule::ReadsBeside]);
}
