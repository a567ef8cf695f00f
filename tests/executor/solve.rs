//! The driver `solve` between two graphs: least squares on three members' tables.

use std::collections::BTreeMap;

use delta_node::ports::PortErrorKind;
use delta_node::ports::executor::{Executor as _, Whose};
use serde_json::{Value, json};

use crate::graph::{ANY, Elem, Onnx};
use crate::world::{bundle, each, floats, map_job, reduce_job};

/// Sums of products of one member: `xx = x' x`, `xy = x' y`.
fn products() -> Vec<u8> {
    Onnx::default()
        .input("x", Elem::F64, &[ANY, 2])
        .input("y", Elem::F64, &[ANY, 1])
        .node("Transpose", &["x"], &["t"])
        .node("MatMul", &["t", "x"], &["xx"])
        .node("MatMul", &["t", "y"], &["xy"])
        .output("xx", Elem::F64, &[2, 2])
        .output("xy", Elem::F64, &[2, 1])
        .file()
}

/// Before the equations: both sides divided by the number of members. `rows` is 2, or any.
fn means(rows: i64) -> Vec<u8> {
    Onnx::default()
        .input("xx", Elem::F64, &[2, 2])
        .input("xy", Elem::F64, &[2, 1])
        .input("clients", Elem::F64, &[])
        .node("Div", &["xx", "clients"], &["a"])
        .node("Div", &["xy", "clients"], &["b"])
        .output("a", Elem::F64, &[rows, rows])
        .output("b", Elem::F64, &[rows, 1])
        .file()
}

/// After them: what is left of the equations.
fn residual() -> Vec<u8> {
    Onnx::default()
        .input("a", Elem::F64, &[2, 2])
        .input("x", Elem::F64, &[2, 1])
        .input("b", Elem::F64, &[2, 1])
        .node("MatMul", &["a", "x"], &["ax"])
        .node("Sub", &["ax", "b"], &["d"])
        .node("Abs", &["d"], &["e"])
        .node_with("ReduceSum", &["e"], &["left"], &[("keepdims", 0)])
        .output("left", Elem::F64, &[])
        .file()
}

fn task(ridge: f64) -> Value {
    let field = |columns: &[&str]| json!({ "from": "data", "dataset": "t.csv", "field": { "columns": columns } });
    let value = |name: &str| json!({ "from": "value", "name": name });
    let to = |name: &str| json!({ "to": "value", "name": name });
    json!({
        "datasets": { "t.csv": { "kind": "table", "columns": ["one", "u", "y"] } },
        "variables": { "slope": { "location": "server", "dtype": "f64", "shape": [2, 1] } },
        "rounds": [{
            "map": {
                "steps": [{
                    "graph": "graphs/products.onnx",
                    "inputs": { "x": field(&["one", "u"]), "y": field(&["y"]) },
                    "outputs": { "xx": to("xx"), "xy": to("xy") }
                }],
                "contribute": [
                    { "name": "xx", "dtype": "f64", "shape": [2, 2] },
                    { "name": "xy", "dtype": "f64", "shape": [2, 1] }
                ]
            },
            "reduce": {
                "steps": [
                    {
                        "graph": "graphs/means.onnx",
                        "inputs": {
                            "xx": { "from": "sum", "name": "xx" }, "xy": { "from": "sum", "name": "xy" },
                            "clients": { "from": "clients" }
                        },
                        "outputs": { "a": to("a"), "b": to("b") }
                    },
                    {
                        "driver": { "kind": "solve", "ridge": ridge },
                        "inputs": { "a": value("a"), "b": value("b") },
                        "outputs": { "x": to("slope") }
                    },
                    {
                        "graph": "graphs/residual.onnx",
                        "inputs": { "a": value("a"), "x": value("slope"), "b": value("b") },
                        "outputs": { "left": to("left") }
                    }
                ],
                "assign": { "slope": "slope" },
                "metrics": { "left": "left" }
            }
        }],
        "outputs": ["slope"]
    })
}

fn graphs(rows: i64) -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("graphs/products.onnx", products()),
        ("graphs/means.onnx", means(rows)),
        ("graphs/residual.onnx", residual()),
    ]
}

fn table(rows: &[(f64, f64)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let lines: String = rows.iter().map(|(u, y)| format!("1,{u},{y}\n")).collect();
    std::fs::write(dir.path().join("t.csv"), format!("one,u,y\n{lines}")).unwrap();
    dir
}

#[tokio::test]
async fn a_solve_between_two_graphs_gives_the_line_through_the_points() {
    // y = 2 u - 1, exactly.
    let dir = table(&[(0.0, -1.0), (1.0, 1.0), (2.5, 4.0)]);
    let bundle = bundle(&task(0.0), graphs(2));
    each(dir.path(), async |name, executor| {
        executor.check_graphs(&bundle, Whose::Own).await.unwrap();
        let member = executor.map(map_job(&bundle)).await.unwrap().contributions;
        let job = reduce_job(
            &bundle,
            0,
            BTreeMap::new(),
            &[member.clone(), member.clone(), member],
        );
        let reduced = executor.reduce(job).await.unwrap();
        let slope = &reduced.assigned[&"slope".parse().unwrap()];
        assert_eq!(slope.shape(), [2, 1], "{name}");
        for (found, expected) in floats(slope).iter().zip([-1.0, 2.0]) {
            assert!((found - expected).abs() < 1e-13, "{name}: {found}");
        }
        assert!(reduced.metrics["left"] < 1e-13, "{name}");
    })
    .await;
}

#[tokio::test]
async fn a_singular_matrix_is_an_error_that_names_the_step() {
    let dir = table(&[(3.0, 1.0), (3.0, 2.0)]);
    for (ridge, expected) in [(0.0, Some("singular")), (1e-9, None)] {
        let bundle = bundle(&task(ridge), graphs(2));
        each(dir.path(), async |name, executor| {
            let member = executor.map(map_job(&bundle)).await.unwrap().contributions;
            let job = reduce_job(&bundle, 0, BTreeMap::new(), &[member.clone(), member]);
            let outcome = executor.reduce(job).await;
            if let Some(expected) = expected {
                let error = outcome.unwrap_err();
                assert_eq!(error.kind(), PortErrorKind::Rejected, "{name}");
                for part in ["reduce step 1 (solve): ", expected, "column 1"] {
                    assert!(error.message().contains(part), "{name}: {error}");
                }
            } else {
                let found = floats(&outcome.unwrap().assigned[&"slope".parse().unwrap()]);
                assert!(found.iter().all(|x| x.is_finite()), "{name}: {found:?}");
            }
        })
        .await;
    }
}

#[tokio::test]
async fn the_size_of_a_system_is_known_before_anything_runs() {
    let dir = table(&[(0.0, 0.0)]);
    let unknown = bundle(&task(0.0), graphs(ANY));
    let mut swapped = task(0.0);
    let steps = &mut swapped["rounds"][0]["reduce"]["steps"];
    steps[1]["inputs"]["a"] = json!({ "from": "value", "name": "b" });
    let swapped = bundle(&swapped, graphs(2));
    each(dir.path(), async |name, executor| {
        for (bundle, expected) in [
            (
                &unknown,
                "needs a as f64 [n, n] with a known n of at most 4096, it is f64 [any, any]",
            ),
            (
                &swapped,
                "needs a as f64 [n, n] with a known n of at most 4096, it is f64 [2, 1]",
            ),
        ] {
            let error = executor.check_graphs(bundle, Whose::Own).await.unwrap_err();
            for part in ["rounds[0]: reduce step 1: ", expected] {
                assert!(error.message().contains(part), "{name}: {error}");
            }
        }
    })
    .await;
}
