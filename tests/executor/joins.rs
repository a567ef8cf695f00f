//! Tables that look up columns of others, through worker processes: what drivers get of them, and what a release counts.

use std::path::Path;
use std::sync::Arc;

use delta_node::domain::bundle::Bundle;
use delta_node::domain::records::proof::ReleaseProof;
use delta_node::domain::records::{ReleaseRules, RowSet};
use delta_node::domain::tensor::TensorData;
use delta_node::ports::PortErrorKind;
use delta_node::ports::executor::{Executor as _, Whose};
use serde_json::{Value, json};

use crate::graph::{ANY, Elem, Onnx};
use crate::world::{bundle, each, map_job};

/// Forty visits, one of each patient but for the last five, who are unknown; and the patients backwards, two of whom nobody visits.
fn files(folder: &Path) {
    let rows = (0..40).map(|i| format!("{i},{}\n", 100 + i));
    let text = format!("id,pressure\n{}", rows.collect::<String>());
    std::fs::write(folder.join("visits.csv"), text).unwrap();
    let rows = (0..35).rev().map(|i| format!("{i}.0\t{}\n", 20 + i));
    let text = format!("patient\tage\n90\t1\n91\t2\n{}", rows.collect::<String>());
    std::fs::write(folder.join("patients.tsv"), text).unwrap();
}

fn datasets(how: &str) -> Value {
    json!({
        "visits.csv": {"kind": "table", "columns": ["pressure", "id"],
                       "joins": [{"dataset": "patients.tsv", "key": "id", "right_key": "patient", "how": how, "columns": ["age"]}]},
        "patients.tsv": {"kind": "table", "columns": ["age"]}
    })
}

/// Sums `o` of the columns `pressure` and `age`, a missing one counted as nothing.
fn summing(driver: &Value, how: &str) -> Arc<Bundle> {
    let records = driver["kind"] == "records";
    let graph = Onnx::default()
        .input("x", Elem::F64, &[ANY, 2])
        .doubles("zero", &[0.0])
        // What is missing is nothing's equal.
        .node("Equal", &["x", "x"], &["there"])
        .node("Where", &["there", "x", "zero"], &["numbers"]);
    let graph = match records {
        true => graph
            .node("Identity", &["numbers"], &["o"])
            .output("o", Elem::F64, &[ANY, 2]),
        false => graph
            .ints("axis", &[0])
            .node_with(
                "ReduceSum",
                &["numbers", "axis"],
                &["o"],
                &[("keepdims", 0)],
            )
            .output("o", Elem::F64, &[2]),
    };
    let identity = Onnx::default()
        .input("a", Elem::F64, &[2])
        .node("Identity", &["a"], &["b"])
        .output("b", Elem::F64, &[2]);
    let to = if driver["kind"] == "once" {
        "value"
    } else {
        "sum"
    };
    let task = json!({
        "datasets": datasets(how),
        "variables": { "out": { "location": "server", "dtype": "f64", "shape": [2] } },
        "rounds": [{
            "map": {
                "steps": [{
                    "graph": "graphs/g.onnx", "driver": driver,
                    "inputs": { "x": { "from": "data", "dataset": "visits.csv", "field": { "columns": ["pressure", "age"] } } },
                    "outputs": { "o": { "to": to, "name": "o" } }
                }],
                "contribute": [{ "name": "o", "dtype": "f64", "shape": [2] }]
            },
            "reduce": {
                "steps": [{ "graph": "graphs/id.onnx", "inputs": { "a": { "from": "sum", "name": "o" } },
                            "outputs": { "b": { "to": "value", "name": "b" } } }],
                "assign": { "out": "b" }
            }
        }],
        "outputs": ["out"]
    });
    bundle(
        &task,
        vec![
            ("graphs/g.onnx", graph.file()),
            ("graphs/id.onnx", identity.file()),
        ],
    )
}

fn sum(rows: impl Iterator<Item = u32>, of: impl Fn(u32) -> u32) -> f64 {
    rows.map(|row| f64::from(of(row))).sum()
}

#[tokio::test]
async fn every_driver_reads_what_is_looked_up() {
    let folder = tempfile::tempdir().unwrap();
    files(folder.path());
    let ages = sum(0..35, |i| 20 + i);
    let batches = json!({"kind": "batches", "dataset": "visits.csv", "batch_size": 7, "length": {"epochs": 1}});
    let records = json!({"kind": "records", "dataset": "visits.csv"});
    for driver in [json!({"kind": "once"}), batches, records] {
        for (how, visits) in [("left", 40), ("inner", 35)] {
            let expected = vec![sum(0..visits, |i| 100 + i), ages];
            each(folder.path(), async |name, executor| {
                let bundle = summing(&driver, how);
                executor.check_data(&bundle).await.unwrap();
                let outcome = executor.map(map_job(&bundle)).await.unwrap();
                let found = outcome.contributions[0].data();
                assert_eq!(
                    *found,
                    TensorData::F64(expected.clone()),
                    "{name} {driver} {how}"
                );
            })
            .await;
        }
    }
}

#[tokio::test]
async fn parts_of_the_rows_are_parts_of_all() {
    let folder = tempfile::tempdir().unwrap();
    files(folder.path());
    let driver =
        json!({"kind": "records", "dataset": "visits.csv", "subset": {"from": 0.75, "to": 1.0}});
    each(folder.path(), async |name, executor| {
        let outcome = executor
            .map(map_job(&summing(&driver, "inner")))
            .await
            .unwrap();
        let expected = vec![sum(30..35, |i| 100 + i), sum(30..35, |i| 20 + i)];
        assert_eq!(
            *outcome.contributions[0].data(),
            TensorData::F64(expected),
            "{name}"
        );
        assert_eq!(outcome.rows, 5, "{name}");
    })
    .await;
}

#[tokio::test]
async fn a_release_counts_rows_of_both_datasets() {
    let folder = tempfile::tempdir().unwrap();
    files(folder.path());
    let driver = json!({"kind": "records", "dataset": "visits.csv"});
    each(folder.path(), async |name, executor| {
        let bundle = summing(&driver, "left");
        let proof = executor.check_graphs(&bundle, Whose::Others).await.unwrap();
        let ReleaseProof::Proven(steps) = proof else {
            panic!("{name}: {proof:?}");
        };
        assert_eq!(steps[0].columns, ["pressure".to_owned()].into(), "{name}");
        assert_eq!(
            steps[0].joined[0].columns,
            ["age".to_owned()].into(),
            "{name}"
        );
        let mut job = map_job(&bundle);
        job.rules = Some(ReleaseRules::default());
        let outcome = executor.map(job).await.unwrap();
        let [own, other] = outcome.released.as_slice() else {
            panic!("{name}: {:?}", outcome.released);
        };
        assert_eq!(own.dataset.as_str(), "visits.csv");
        assert_eq!(own.sets, [RowSet::new(40, |_| true)], "{name}");
        assert_eq!(other.dataset.as_str(), "patients.tsv");
        // By their places in the other file, where two are known to nobody.
        assert_eq!(other.sets, [RowSet::new(37, |i| i > 1)], "{name}");
        assert_ne!(own.version, other.version, "{name}");
    })
    .await;
}

#[tokio::test]
async fn one_row_is_not_in_the_numbers_of_two_units() {
    let folder = tempfile::tempdir().unwrap();
    files(folder.path());
    let visits = std::fs::read_to_string(folder.path().join("visits.csv")).unwrap();
    std::fs::write(folder.path().join("visits.csv"), format!("{visits}3,200\n")).unwrap();
    let records = json!({"kind": "records", "dataset": "visits.csv"});
    let persons = json!({"kind": "records", "dataset": "visits.csv", "unit": {"key": "id"}});
    each(folder.path(), async |name, executor| {
        for (driver, rules, leaves) in [
            (&records, true, false),
            (&records, false, true),
            (&persons, true, true),
        ] {
            let mut job = map_job(&summing(driver, "left"));
            job.rules = rules.then(ReleaseRules::default);
            let outcome = executor.map(job).await;
            assert_eq!(
                outcome.is_ok(),
                leaves,
                "{name} {driver} {rules}: {outcome:?}"
            );
            if let Err(error) = outcome {
                assert!(
                    error.message().contains("row 34 of patients.tsv"),
                    "{name}: {error}"
                );
            }
        }
    })
    .await;
}

#[tokio::test]
async fn what_cannot_be_joined_is_found_before_a_task_runs_and_when_either_file_changes() {
    let folder = tempfile::tempdir().unwrap();
    files(folder.path());
    let driver = json!({"kind": "once"});
    each(folder.path(), async |name, executor| {
        files(folder.path());
        let bundle = summing(&driver, "left");
        executor.check_data(&bundle).await.unwrap();
        executor.check_data(&bundle).await.unwrap();
        let other = folder.path().join("patients.tsv");
        let text = std::fs::read_to_string(&other).unwrap();
        std::fs::write(&other, format!("{text}7\t60\n")).unwrap();
        let error = executor.check_data(&bundle).await.unwrap_err();
        assert_eq!(error.kind(), PortErrorKind::Corrupt, "{name}: {error}");
        assert!(
            error.message().contains("row 38 below its header has"),
            "{name}: {error}"
        );
        std::fs::write(&other, text).unwrap();
        executor.check_data(&bundle).await.unwrap();
        std::fs::write(&other, "patient\tage\nA\t1\n").unwrap();
        let error = executor.check_data(&bundle).await.unwrap_err();
        assert!(
            error.message().contains("write both alike"),
            "{name}: {error}"
        );
        std::fs::remove_file(&other).unwrap();
        let error = executor.check_data(&bundle).await.unwrap_err();
        assert_eq!(error.kind(), PortErrorKind::NotFound, "{name}: {error}");
    })
    .await;
}
