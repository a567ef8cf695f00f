//! Drivers on graphs small enough to compute by hand.

use std::path::Path;

use delta_node::domain::tensor::{Tensor, TensorData};
use delta_node::ports::PortErrorKind;
use delta_node::ports::executor::{Executor as _, IteratorState, Whose};
use serde_json::{Value, json};

use crate::graph::{ANY, Elem, Onnx};
use crate::world::{bundle, each, floats, map_job, reduce_job};

/// `w.next = 2 w + sum(x)`, so that the order of batches shows; `xs = sum(x)`, `b` the batch size.
fn fold() -> Vec<u8> {
    Onnx::default()
        .input("w", Elem::F64, &[1])
        .input("x", Elem::F64, &[ANY, 1])
        .input("b", Elem::F64, &[])
        .ints("axis", &[0])
        .node_with("ReduceSum", &["x", "axis"], &["s"], &[("keepdims", 0)])
        .node("Add", &["w", "w"], &["ww"])
        .node("Add", &["ww", "s"], &["w.next"])
        .node("Identity", &["s"], &["xs"])
        .node("Identity", &["s"], &["last"])
        .node("Identity", &["b"], &["n"])
        .output("w.next", Elem::F64, &[1])
        .output("xs", Elem::F64, &[1])
        .output("last", Elem::F64, &[1])
        .output("n", Elem::F64, &[])
        .file()
}

/// `mean = total / clients`, and a stop when it is above 10.
fn mean() -> Vec<u8> {
    Onnx::default()
        .input("total", Elem::F64, &[1])
        .input("clients", Elem::F64, &[])
        .node("Div", &["total", "clients"], &["mean"])
        .node_with("Cast", &["mean"], &["stop"], &[("to", 7)])
        .output("mean", Elem::F64, &[1])
        .output("stop", Elem::I64, &[1])
        .file()
}

fn task(driver: &Value) -> Value {
    json!({
        "datasets": { "t.csv": { "kind": "table", "columns": ["a"] } },
        "variables": {
            "w": { "location": "client", "dtype": "f64", "shape": [1] },
            "result": { "location": "server", "dtype": "f32", "shape": [1] }
        },
        "rounds": [{
            "map": {
                "steps": [{
                    "graph": "graphs/fold.onnx",
                    "driver": driver,
                    "inputs": {
                        "w": { "from": "variable", "name": "w" },
                        "x": { "from": "data", "dataset": "t.csv", "field": { "columns": ["a"] } },
                        "b": { "from": "batch_size" }
                    },
                    "outputs": {
                        "w.next": { "to": "carry", "input": "w", "name": "w.next" },
                        "xs": { "to": "sum", "name": "total" },
                        "last": { "to": "value", "name": "last" },
                        "n": { "to": "sum", "name": "rows" }
                    }
                }],
                "assign": { "w": "w.next" },
                "contribute": [
                    { "name": "total", "dtype": "f64", "shape": [1] },
                    { "name": "last", "dtype": "f32", "shape": [1] },
                    { "name": "rows", "dtype": "f64", "shape": [1] },
                    { "name": "w.next", "dtype": "f64", "shape": [] }
                ]
            },
            "reduce": {
                "steps": [{
                    "graph": "graphs/mean.onnx",
                    "inputs": { "total": { "from": "sum", "name": "total" }, "clients": { "from": "clients" } },
                    "outputs": { "mean": { "to": "value", "name": "mean" }, "stop": { "to": "value", "name": "stop" } }
                }],
                "assign": { "result": "mean" },
                "metrics": { "mean": "mean" },
                "stop": "stop"
            }
        }],
        "outputs": ["result"]
    })
}

fn batches(extra: &Value) -> Value {
    let mut driver = json!({ "kind": "batches", "dataset": "t.csv", "batch_size": 2, "length": { "epochs": 1 } });
    driver
        .as_object_mut()
        .unwrap()
        .extend(extra.as_object().unwrap().clone());
    driver
}

fn graphs() -> Vec<(&'static str, Vec<u8>)> {
    vec![("graphs/fold.onnx", fold()), ("graphs/mean.onnx", mean())]
}

fn table(text: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("t.csv"), text).unwrap();
    dir
}

const FIVE: &str = "b,a\nx,1\n,2\ny,3\nz,4\n,5\n";

#[tokio::test]
async fn batches_carry_sum_and_keep_the_last_as_computed_by_hand() {
    let dir = table(FIVE);
    let bundle = bundle(&task(&batches(&json!({}))), graphs());
    each(dir.path(), async |name, executor| {
        executor.check_graphs(&bundle, Whose::Own).await.unwrap();
        executor.check_data(&bundle).await.unwrap();
        let outcome = executor.map(map_job(&bundle)).await.unwrap();
        let values: Vec<f64> = outcome.contributions.iter().flat_map(floats).collect();
        // Batches [1, 2], [3, 4], [5]: w goes 0, 3, 13, 31.
        assert_eq!(values, [15.0, 5.0, 5.0, 31.0], "{name}");
        assert_eq!(
            outcome.contributions[1].dtype().name(),
            "f32",
            "{name}: exactly the declared type"
        );
        assert_eq!(
            outcome.contributions[3].shape(),
            [0usize; 0],
            "{name}: exactly the declared shape"
        );
        assert_eq!(
            floats(&outcome.assigned[&"w".parse().unwrap()]),
            [31.0],
            "{name}"
        );
        assert_eq!((outcome.rows, outcome.iterators.0.len()), (5, 0), "{name}");

        let job = reduce_job(
            &bundle,
            0,
            std::collections::BTreeMap::new(),
            &[outcome.contributions.clone(), outcome.contributions],
        );
        let reduced = executor.reduce(job).await.unwrap();
        assert_eq!(
            floats(&reduced.assigned[&"result".parse().unwrap()]),
            [15.0],
            "{name}"
        );
        assert_eq!(
            (reduced.metrics["mean"], reduced.stop),
            (15.0, true),
            "{name}"
        );
    })
    .await;
}

/// A runtime may hand an input on without copying it, and the input is gone when the next batch reads what was carried.
#[tokio::test]
async fn an_input_that_is_an_output_as_well_can_be_carried() {
    let dir = table(FIVE);
    let graph = Onnx::default()
        .input("x", Elem::F64, &[1, 1])
        .input("p", Elem::F64, &[1, 1])
        .node("Identity", &["p"], &["before"])
        .output("x", Elem::F64, &[1, 1])
        .output("before", Elem::F64, &[1, 1])
        .file();
    let task = json!({
        "datasets": { "t.csv": { "kind": "table", "columns": ["a"] } },
        "variables": {
            "p": { "location": "client", "dtype": "f64", "shape": [1, 1] },
            "result": { "location": "server", "dtype": "f32", "shape": [1] }
        },
        "rounds": [{
            "map": {
                "steps": [{
                    "graph": "graphs/on.onnx",
                    "driver": batches(&json!({ "batch_size": 1 })),
                    "inputs": {
                        "p": { "from": "variable", "name": "p" },
                        "x": { "from": "data", "dataset": "t.csv", "field": { "columns": ["a"] } }
                    },
                    "outputs": {
                        "x": { "to": "carry", "input": "p", "name": "p.next" },
                        "before": { "to": "sum", "name": "total" }
                    }
                }],
                "assign": { "p": "p.next" },
                "contribute": [
                    { "name": "total", "dtype": "f64", "shape": [1] },
                    { "name": "p.next", "dtype": "f64", "shape": [1, 1] }
                ]
            },
            "reduce": task(&json!({}))["rounds"][0]["reduce"]
        }],
        "outputs": ["result"]
    });
    let bundle = bundle(
        &task,
        vec![("graphs/on.onnx", graph), ("graphs/mean.onnx", mean())],
    );
    each(dir.path(), async |name, executor| {
        let outcome = executor.map(map_job(&bundle)).await.unwrap();
        let values: Vec<f64> = outcome.contributions.iter().flat_map(floats).collect();
        // 0, 1, 2, 3, 4 were carried in, 5 is carried out.
        assert_eq!(values, [10.0, 5.0], "{name}");
    })
    .await;
}

#[tokio::test]
async fn iterations_resume_where_the_last_round_stopped() {
    let dir = table(FIVE);
    let bundle = bundle(
        &task(&batches(
            &json!({ "length": { "iterations": 2 }, "resume": true }),
        )),
        graphs(),
    );
    each(dir.path(), async |name, executor| {
        let first = executor.map(map_job(&bundle)).await.unwrap();
        assert_eq!(
            first.iterators.0[&0],
            IteratorState {
                epoch: 0,
                position: 4,
                batches: 2
            },
            "{name}"
        );
        let mut job = map_job(&bundle);
        job.variables.extend(first.assigned);
        job.iterators = first.iterators;
        let second = executor.map(job).await.unwrap();
        // [5], then the next pass's [1, 2]: w goes 13, 31, 65.
        assert_eq!(floats(&second.contributions[3]), [65.0], "{name}");
        assert_eq!(
            second.iterators.0[&0],
            IteratorState {
                epoch: 1,
                position: 2,
                batches: 4
            },
            "{name}"
        );
    })
    .await;
}

#[tokio::test]
async fn drop_last_subsets_and_shuffles_take_the_rows_that_they_say() {
    let dir = table(FIVE);
    let run = async |extra: Value| {
        let bundle = bundle(&task(&batches(&extra)), graphs());
        let mut all = Vec::new();
        each(dir.path(), async |_, executor| {
            let outcome = executor.map(map_job(&bundle)).await.unwrap();
            all.push(
                outcome
                    .contributions
                    .iter()
                    .map(floats)
                    .collect::<Vec<_>>()
                    .concat(),
            );
        })
        .await;
        assert!(
            all.windows(2).all(|w| w[0] == w[1]),
            "runtimes agree: {all:?}"
        );
        all.swap_remove(0)
    };
    assert_eq!(
        run(json!({ "drop_last": true })).await,
        [10.0, 7.0, 4.0, 13.0]
    );
    assert_eq!(
        run(json!({ "subset": { "from": 0.4, "to": 1.0 } })).await,
        [12.0, 5.0, 3.0, 19.0]
    );
    let (a, b) = (
        run(json!({ "subset": { "to": 0.6, "seed": 3 } })).await,
        run(json!({ "subset": { "from": 0.6, "seed": 3 } })).await,
    );
    assert_eq!(
        (a[0] + b[0], a[2] + b[2]),
        (15.0, 5.0),
        "two parts make the whole"
    );
    let shuffled = run(json!({ "shuffle": true, "seed": 5, "length": { "epochs": 3 } })).await;
    assert_eq!((shuffled[0], shuffled[2]), (45.0, 15.0));
    assert_eq!(
        shuffled,
        run(json!({ "shuffle": true, "seed": 5, "length": { "epochs": 3 } })).await,
        "a function of the seed"
    );
}

#[tokio::test]
async fn noise_is_the_same_on_every_runtime_and_new_in_every_batch() {
    let graph = Onnx::default()
        .input("u", Elem::F32, &[ANY, 3])
        .ints("axes", &[0, 1])
        .node_with("ReduceSum", &["u", "axes"], &["s"], &[("keepdims", 0)])
        .node("Identity", &["s"], &["last"])
        .output("s", Elem::F32, &[])
        .output("last", Elem::F32, &[])
        .file();
    let mut task = task(&batches(&json!({ "seed": 11, "resume": true })));
    task["rounds"][0]["map"]["steps"][0]["inputs"] =
        json!({ "u": { "from": "noise", "distribution": "uniform", "shape": [3] } });
    task["rounds"][0]["map"]["steps"][0]["outputs"] =
        json!({ "s": { "to": "sum", "name": "total" }, "last": { "to": "value", "name": "last" } });
    task["rounds"][0]["map"]["contribute"] = json!([{ "name": "total", "dtype": "f64", "shape": [1] }, { "name": "last", "dtype": "f64", "shape": [] }]);
    task["rounds"][0]["map"]["assign"] = json!({});
    task["variables"].as_object_mut().unwrap().remove("w");
    let dir = table(FIVE);
    let bundle = bundle(
        &task,
        vec![("graphs/fold.onnx", graph), ("graphs/mean.onnx", mean())],
    );
    let mut seen = Vec::new();
    each(dir.path(), async |_, executor| {
        let first = executor.map(map_job(&bundle)).await.unwrap();
        let again = executor.map(map_job(&bundle)).await.unwrap();
        assert_eq!(first, again);
        let mut job = map_job(&bundle);
        job.iterators = first.iterators;
        let next = executor.map(job).await.unwrap();
        assert_ne!(first.contributions, next.contributions);
        let sum = floats(&first.contributions[0])[0];
        assert!((0.0..15.0).contains(&sum) && sum > floats(&first.contributions[1])[0]);
        seen.push(floats(&first.contributions[0])[0]);
    })
    .await;
    assert!(
        seen.windows(2).all(|w| (w[0] - w[1]).abs() < 1e-5),
        "{seen:?}"
    );
}

#[tokio::test]
async fn data_that_are_missing_or_different_are_named() {
    let bundle = bundle(&task(&batches(&json!({}))), graphs());
    let cases = [
        (None, PortErrorKind::NotFound, "t.csv"),
        (
            Some("b,c\n1,2\n"),
            PortErrorKind::Corrupt,
            "[\"a\"] are missing; the file has [\"b\", \"c\"]",
        ),
        (Some(""), PortErrorKind::Corrupt, "empty"),
    ];
    for (text, kind, words) in cases {
        let dir = text.map_or_else(|| tempfile::tempdir().unwrap(), table);
        each(dir.path(), async |_, executor| {
            for error in [
                executor.check_data(&bundle).await.unwrap_err(),
                executor.map(map_job(&bundle)).await.unwrap_err(),
            ] {
                assert_eq!(error.kind(), kind, "{error}");
                assert!(error.message().contains(words), "{error}");
            }
        })
        .await;
    }
    // Found only when it is read: a cell that is no number, and a table without rows.
    for (text, words) in [("a\n1\ntwo\n", "line 3, column \"a\""), ("a\n", "no row")] {
        let dir = table(text);
        each(dir.path(), async |_, executor| {
            let error = executor.map(map_job(&bundle)).await.unwrap_err();
            assert_eq!(error.kind(), PortErrorKind::Corrupt, "{error}");
            assert!(error.message().contains(words), "{error}");
        })
        .await;
    }
}

#[tokio::test]
async fn graphs_that_do_not_fit_the_task_are_refused_before_any_data_is_read() {
    let refused = async |change: &dyn Fn(&mut Value), words: &str| {
        let mut task = task(&batches(&json!({})));
        change(&mut task);
        let bundle = bundle(&task, graphs());
        each(Path::new("/nonexistent"), async |name, executor| {
            let error = executor
                .check_graphs(&bundle, Whose::Own)
                .await
                .unwrap_err();
            assert_eq!(error.kind(), PortErrorKind::Rejected, "{name}: {error}");
            assert!(error.message().contains(words), "{name}: {error}");
        })
        .await;
    };
    refused(
        &|t| {
            t["rounds"][0]["map"]["steps"][0]["inputs"]
                .as_object_mut()
                .unwrap()
                .remove("b");
        },
        "graph input \"b\" has no source",
    )
    .await;
    refused(
        &|t| t["rounds"][0]["map"]["steps"][0]["inputs"]["zz"] = json!({ "from": "batch_size" }),
        "\"zz\"",
    )
    .await;
    refused(
        &|t| {
            t["rounds"][0]["map"]["steps"][0]["outputs"]["zz"] =
                json!({ "to": "value", "name": "zz" })
        },
        "\"zz\"",
    )
    .await;
    refused(
        &|t| {
            t["rounds"][0]["map"]["steps"][0]["inputs"]["x"]["field"] =
                json!({ "columns_f32": ["a"] })
        },
        "takes f64 [any, 1], the task gives f32",
    )
    .await;
    refused(
        &|t| t["rounds"][0]["map"]["contribute"][0]["shape"] = json!([2]),
        "contribution total",
    )
    .await;
}

#[tokio::test]
async fn datasets_are_listed_in_plain_words() {
    let dir = table(FIVE);
    std::fs::write(dir.path().join("notes.md"), "x").unwrap();
    std::fs::create_dir_all(dir.path().join("pets/cat")).unwrap();
    std::fs::write(dir.path().join("pets/cat/1.png"), "x").unwrap();
    std::fs::write(dir.path().join(".hidden.csv"), "x").unwrap();
    each(dir.path(), async |_, executor| {
        let all = executor.datasets().await.unwrap();
        let all: Vec<(&str, &str)> = all
            .iter()
            .map(|d| (d.name.as_str(), d.description.as_str()))
            .collect();
        assert_eq!(
            all[1..],
            [
                ("pets", "1 samples in 1 classes"),
                ("t.csv", "table, 5 rows, 2 columns")
            ]
        );
        assert!(all[0].0 == "notes.md" && all[0].1.starts_with("unusable"));
    })
    .await;
}

/// A variable of another shape than the graph's input is caught at run time too: members' variables come from their own disks.
#[tokio::test]
async fn a_stored_variable_of_another_shape_is_refused() {
    let dir = table(FIVE);
    let bundle = bundle(&task(&batches(&json!({}))), graphs());
    each(dir.path(), async |name, executor| {
        let mut job = map_job(&bundle);
        job.variables.insert(
            "w".parse().unwrap(),
            Tensor::new(vec![2], TensorData::F64(vec![0.0; 2])).unwrap(),
        );
        let error = executor.map(job).await.unwrap_err();
        assert_eq!(error.kind(), PortErrorKind::Rejected, "{name}: {error}");
    })
    .await;
}
