//! Workers that are started before their jobs.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use delta_node::adapters::onnx::ExecutorConfig;
use delta_node::domain::bundle::Bundle;
use delta_node::ports::executor::{Executor as _, Part};
use serde_json::json;

use crate::graph::{ANY, Elem, Onnx};
use crate::world::{WORKER, bundle, each_with, floats, map_job, reduce_job};

/// Sums a column of `t.csv`.
fn summing() -> Arc<Bundle> {
    let graph = Onnx::default()
        .input("x", Elem::F64, &[ANY, 1])
        .ints("axis", &[0])
        .node_with("ReduceSum", &["x", "axis"], &["o"], &[("keepdims", 0)])
        .output("o", Elem::F64, &[1])
        .file();
    let identity = Onnx::default()
        .input("a", Elem::F64, &[1])
        .node("Identity", &["a"], &["b"])
        .output("b", Elem::F64, &[1])
        .file();
    let task = json!({
        "datasets": { "t.csv": { "kind": "table", "columns": ["x"] } },
        "variables": { "out": { "location": "server", "dtype": "f64", "shape": [1] } },
        "rounds": [{
            "map": {
                "steps": [{ "graph": "graphs/g.onnx",
                            "inputs": { "x": { "from": "data", "dataset": "t.csv", "field": { "columns": ["x"] } } },
                            "outputs": { "o": { "to": "value", "name": "o" } } }],
                "contribute": [{ "name": "o", "dtype": "f64", "shape": [1] }]
            },
            "reduce": { "steps": [{ "graph": "graphs/id.onnx",
                                    "inputs": { "a": { "from": "sum", "name": "o" } },
                                    "outputs": { "b": { "to": "value", "name": "b" } } }],
                        "assign": { "out": "b" } }
        }],
        "outputs": ["out"]
    });
    bundle(
        &task,
        vec![("graphs/g.onnx", graph), ("graphs/id.onnx", identity)],
    )
}

/// A worker that notes each of its starts.
fn noting(folder: &Path) -> (PathBuf, PathBuf) {
    let (program, notes) = (folder.join("worker"), folder.join("starts"));
    let script = format!(
        "#!/bin/sh\necho started >>'{}'\nexec '{WORKER}' \"$@\"\n",
        notes.display()
    );
    std::fs::write(&program, script).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o700)).unwrap();
    (program, notes)
}

fn starts(notes: &Path) -> usize {
    std::fs::read_to_string(notes).map_or(0, |all| all.lines().count())
}

/// Waits for the start of another worker, and until it can be taken.
async fn one_more(notes: &Path, before: usize) {
    for _ in 0..600 {
        if starts(notes) > before {
            return tokio::time::sleep(Duration::from_millis(100)).await;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("no worker was started");
}

#[tokio::test]
async fn a_job_is_done_by_the_worker_that_was_prepared_for_it() {
    let (data, programs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    std::fs::write(data.path().join("t.csv"), "x\n1\n2\n4\n").unwrap();
    let task = summing();
    let (worker, notes) = noting(programs.path());
    let with = |config| ExecutorConfig {
        worker: worker.clone(),
        ..config
    };
    each_with(data.path(), with, async |_, executor| {
        // The search for a runtime is over.
        executor.probe().await.unwrap();
        let before = starts(&notes);
        executor.prepare(&task, 0, Part::Map);
        one_more(&notes, before).await;
        let made = executor.map(map_job(&task)).await.unwrap();
        assert_eq!(floats(&made.contributions[0]), [7.0]);
        assert_eq!(starts(&notes), before + 1, "the prepared one did it");
        executor.prepare(&task, 0, Part::Reduce);
        one_more(&notes, before + 1).await;
        let sums = reduce_job(
            &task,
            0,
            map_job(&task).variables,
            std::slice::from_ref(&made.contributions),
        );
        let reduced = executor.reduce(sums).await.unwrap();
        assert_eq!(
            reduced.assigned.values().map(floats).collect::<Vec<_>>(),
            [[7.0]]
        );
        assert_eq!(starts(&notes), before + 2);
        // A worker runs one job.
        executor.map(map_job(&task)).await.unwrap();
        assert_eq!(starts(&notes), before + 3);
    })
    .await;
}

/// Its walls stand around the file that was there when it was started.
#[tokio::test]
async fn a_file_that_was_replaced_is_read_by_another_worker() {
    let (data, programs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let table = data.path().join("t.csv");
    let task = summing();
    let (worker, notes) = noting(programs.path());
    let with = |config| ExecutorConfig {
        worker: worker.clone(),
        ..config
    };
    each_with(data.path(), with, async |_, executor| {
        std::fs::write(&table, "x\n1\n2\n4\n").unwrap();
        executor.probe().await.unwrap();
        let before = starts(&notes);
        executor.prepare(&task, 0, Part::Map);
        one_more(&notes, before).await;
        let next = data.path().join("next.csv");
        std::fs::write(&next, "x\n10\n20\n").unwrap();
        std::fs::rename(&next, &table).unwrap();
        let made = executor.map(map_job(&task)).await.unwrap();
        assert_eq!(floats(&made.contributions[0]), [30.0]);
        assert_eq!(starts(&notes), before + 2);
    })
    .await;
}

/// Nobody waits for a job that does not come.
#[tokio::test]
async fn a_worker_without_a_job_ends() {
    let (data, programs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    std::fs::write(data.path().join("t.csv"), "x\n1\n2\n4\n").unwrap();
    let task = summing();
    let (worker, notes) = noting(programs.path());
    let with = |config| ExecutorConfig {
        worker: worker.clone(),
        ..config
    };
    each_with(data.path(), with, async |_, executor| {
        executor.probe().await.unwrap();
        let before = starts(&notes);
        // No more of them than jobs may come.
        for _ in 0..5 {
            executor.prepare(&task, 0, Part::Map);
        }
        one_more(&notes, before + 1).await;
        tokio::time::pause();
        tokio::time::sleep(Duration::from_secs(11)).await;
        tokio::time::resume();
        assert_eq!(starts(&notes), before + 2);
        executor.map(map_job(&task)).await.unwrap();
        assert_eq!(starts(&notes), before + 3);
    })
    .await;
}
