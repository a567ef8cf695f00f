//! What is proven and what is not: each family of operators, random graphs that are run, and attempts to pick one person out.

mod batches;
mod operators;
mod selections;
mod shapes;
mod world;

pub(crate) use batches::runtimes;
use world::columns;
pub(crate) use world::{Sketch, axis, int, ints};

/// Expects a proof that names exactly these columns.
#[track_caller]
fn proven(sketch: &Sketch, output: &str, expected: &[&str]) {
    match sketch.proof(&[output]) {
        Ok(found) => assert_eq!(found, columns(expected)),
        Err(reasons) => panic!("unproven: {reasons:#?}"),
    }
}

/// Expects that there is no proof, for a reason that holds these words.
#[track_caller]
fn unproven(sketch: &Sketch, output: &str, words: &str) {
    match sketch.proof(&[output]) {
        Ok(found) => panic!("proven, with {found:?}"),
        Err(reasons) => {
            let text: Vec<String> = reasons.iter().map(ToString::to_string).collect();
            assert!(
                text.iter().any(|t| t.contains(words)),
                "{words:?} is not in {text:#?}"
            );
        }
    }
}

#[test]
fn a_refusal_names_the_graph_the_node_and_the_operator() {
    let mut g = Sketch::new();
    let x = g.table(&["wage"]);
    let s = g.op_with("Softmax", &[&x], vec![axis(0)]);
    let y = g.op("Relu", &[&s]);
    let reasons = g.proof(&[&y]).unwrap_err();
    assert_eq!(reasons.len(), 1, "one reason for one cause: {reasons:#?}");
    assert_eq!(reasons[0].operator.as_deref(), Some("Softmax"));
    assert!(
        reasons[0]
            .place
            .starts_with("rounds[0].map.steps[0], graphs/map.onnx, node 0"),
        "{}",
        reasons[0].place
    );
    assert_eq!(reasons[0].rule.name(), "records.rows_mixed");
}

#[test]
fn an_output_must_have_the_records_first() {
    let mut g = Sketch::new();
    let x = g.table(&["wage", "age"]);
    proven(&g, &x, &["wage", "age"]);
    let t = g.op("Transpose", &[&x]);
    unproven(&g, &t, "the records stand on axis 1 of it");
    let mut g = Sketch::new();
    let x = g.table(&["wage"]);
    let c = g.floats(&[2], &[1.0, 2.0]);
    let fixed = g.op("Neg", &[&c]);
    let _used = g.op("Neg", &[&x]);
    unproven(&g, &fixed, "it has no axis for the records");
}

#[test]
fn a_node_that_nobody_reads_counts_as_the_others_do() {
    let mut g = Sketch::new();
    let (x, id) = (g.table(&["wage"]), g.column("id"));
    let y = g.op("Relu", &[&x]);
    proven(&g, &y, &["wage"]);
    // It may end the run of a record, and so tell of its id.
    let table = g.floats(&[2], &[0.0, 0.0]);
    g.op("Gather", &[&table, &id]);
    proven(&g, &y, &["wage", "id"]);
    g.op("NonZero", &[&x]);
    unproven(&g, &y, "NonZero");
}

#[test]
fn both_forms_of_a_graph_are_followed() {
    let mut first = Sketch::new();
    let x = first.table(&["wage"]);
    let y = first.op("Relu", &[&x]);
    let mut second = Sketch::new();
    let x = second.table(&["wage"]);
    let s = second.op_with("CumSum", &[&x, &second.single(0)], vec![]);
    let z = second.op("Relu", &[&s]);
    assert_eq!(y, "v1");
    second.rename(&z, &y);
    let reasons = first.proof_with(&[&y], Some(&second)).unwrap_err();
    assert!(
        reasons[0].place.contains("graphs/second.onnx"),
        "{reasons:#?}"
    );
    assert!(first.proof_with(&[&y], Some(&first)).is_ok());
}

#[test]
fn a_column_that_is_read_and_left_aside_reaches_nothing() {
    let mut g = Sketch::new();
    let x = g.table(&["wage", "id", "age"]);
    let picked = g.op_with("Gather", &[&x, &g.ints(&[0, 2])], vec![axis(1)]);
    proven(&g, &picked, &["wage", "age"]);
    let single = g.op_with("Gather", &[&picked, &g.single(-1)], vec![axis(1)]);
    let mut h = Sketch::new();
    let x = h.table(&["wage", "id", "age"]);
    let cut = h.op("Slice", &[&x, &h.ints(&[2]), &h.ints(&[9]), &h.ints(&[1])]);
    proven(&h, &cut, &["age"]);
    let mut s = Sketch::new();
    let x = s.table(&["wage", "id", "age"]);
    let parts = s.many("Split", &[&x, &s.ints(&[1, 1, 1])], vec![axis(1)], 3);
    // All parts are made, and all are counted.
    proven(&s, &parts[0], &["wage", "id", "age"]);
    proven(&g, &single, &["wage", "age"]);
    // An index that nobody knows may pick any.
    let mut u = Sketch::new();
    let x = u.table(&["wage", "id"]);
    let any = u.op_with(
        "Gather",
        &[&x, &u.variable_ints("which", &[1])],
        vec![axis(1)],
    );
    proven(&u, &any, &["wage", "id"]);
}
