//! What a hostile or broken task can do to a node: fail, and nothing else.

use std::path::Path;
use std::time::Duration;

use delta_node::adapters::onnx::{ExecutorConfig, OnnxExecutor};
use delta_node::domain::tensor::{Tensor, TensorData};
use delta_node::ports::PortErrorKind;
use delta_node::ports::executor::{Executor as _, MapJob, Whose};
use serde_json::json;

use crate::graph::{ANY, Elem, Onnx};
use crate::world::{bundle, config, each, each_with, map_job};

/// A task that runs one graph on a variable `x` (f32, `[k, 1]`, all ones), and contributes its output `o` (f32, `[]`).
///
/// Sizes come from a variable, so that no runtime can fold or foresee them.
pub(crate) fn on_column(graph: Onnx, k: usize) -> MapJob {
    let graph = graph
        .input("x", Elem::F32, &[ANY, 1])
        .output("o", Elem::F32, &[])
        .file();
    let task = json!({
        "variables": {
            "x": { "location": "server", "dtype": "f32", "shape": [k, 1] },
            "out": { "location": "server", "dtype": "f32", "shape": [] }
        },
        "rounds": [{
            "map": {
                "steps": [{ "graph": "graphs/g.onnx",
                            "inputs": { "x": { "from": "variable", "name": "x" } },
                            "outputs": { "o": { "to": "value", "name": "o" } } }],
                "contribute": [{ "name": "o", "dtype": "f32", "shape": [] }]
            },
            "reduce": { "steps": [{ "graph": "graphs/id.onnx",
                                    "inputs": { "a": { "from": "sum", "name": "o" } },
                                    "outputs": { "b": { "to": "value", "name": "b" } } }],
                        "assign": { "out": "b" } }
        }],
        "outputs": ["out"]
    });
    let identity = Onnx::default()
        .input("a", Elem::F32, &[])
        .node("Identity", &["a"], &["b"])
        .output("b", Elem::F32, &[])
        .file();
    let bundle = bundle(
        &task,
        vec![("graphs/g.onnx", graph), ("graphs/id.onnx", identity)],
    );
    let mut job = map_job(&bundle);
    job.variables
        .insert("x".parse().unwrap(), column(vec![k, 1]));
    job
}

fn column(shape: Vec<usize>) -> Tensor {
    let n = shape.iter().product();
    Tensor::new(shape, TensorData::F32(vec![1.0; n])).unwrap()
}

/// The product of every pair of rows, a `k` by `k` tensor, summed.
pub(crate) fn square() -> Onnx {
    Onnx::default()
        .node("Transpose", &["x"], &["y"])
        .node("Mul", &["x", "y"], &["z"])
        .node_with("ReduceSum", &["z"], &["o"], &[("keepdims", 0)])
}

/// A product of `k` by `k` matrices, again and again.
fn endless() -> Onnx {
    let mut graph =
        Onnx::default()
            .node("Transpose", &["x"], &["y"])
            .node("Mul", &["x", "y"], &["m0"]);
    for i in 0..200 {
        graph = graph.node(
            "MatMul",
            &[&format!("m{i}"), &format!("m{i}")],
            &[&format!("m{}", i + 1)],
        );
    }
    graph.node_with("ReduceSum", &["m200"], &["o"], &[("keepdims", 0)])
}

#[tokio::test]
async fn probe_reports_walls_that_a_worker_could_not_climb() {
    each(Path::new("."), async |name, executor| {
        let report = executor.probe().await.unwrap();
        assert_eq!(report.info.name, name);
        assert_eq!(executor.runtime().await, report.info);
        assert_eq!(report.containment.attempts.len(), 9);
        // Every gap would be printed by `check`; a kernel that has Landlock and seccomp leaves none.
        assert!(
            report.containment.gaps().is_empty(),
            "{name}: {:#?}",
            report.containment.gaps()
        );
    })
    .await;
}

#[tokio::test]
async fn a_memory_bomb_is_stopped_at_the_limit_and_named_so() {
    let limit = |c: ExecutorConfig| ExecutorConfig {
        memory_bytes: 512 << 20,
        ..c
    };
    each_with(Path::new("."), limit, async |name, executor| {
        assert!(
            executor.map(on_column(square(), 1000)).await.is_ok(),
            "{name}: the graph itself is fine"
        );
        let error = executor
            .map(on_column(square(), 1 << 15))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), PortErrorKind::Exhausted, "{name}: {error}");
        assert!(
            error.message().contains("executor.memory"),
            "{name}: {error}"
        );
        // A quarter of a terabyte is refused by the allocator itself.
        let error = executor
            .map(on_column(square(), 1 << 18))
            .await
            .unwrap_err();
        assert!(
            matches!(
                error.kind(),
                PortErrorKind::Exhausted | PortErrorKind::Rejected
            ),
            "{name}: {error}"
        );
    })
    .await;
}

#[tokio::test]
async fn endless_work_is_killed_at_the_deadline() {
    let limit = |c: ExecutorConfig| ExecutorConfig {
        time_limit: Duration::from_secs(2),
        ..c
    };
    each_with(Path::new("."), limit, async |name, executor| {
        executor.probe().await.unwrap();
        let error = executor.map(on_column(endless(), 2000)).await.unwrap_err();
        assert_eq!(error.kind(), PortErrorKind::Timeout, "{name}: {error}");
        assert!(
            error.message().contains("2 s (limit executor.time)"),
            "{name}: {error}"
        );
    })
    .await;
}

#[tokio::test]
async fn dropping_the_future_ends_the_worker_and_frees_its_turn() {
    each(Path::new("."), async |name, executor| {
        executor.probe().await.unwrap();
        let abandoned = tokio::time::timeout(
            Duration::from_millis(300),
            executor.map(on_column(endless(), 2000)),
        )
        .await;
        assert!(abandoned.is_err(), "{name}");
        assert!(
            executor.map(on_column(square(), 1)).await.is_ok(),
            "{name}: the only slot is free again"
        );
    })
    .await;
}

#[tokio::test]
async fn a_queue_that_is_full_refuses_at_once() {
    each_with(
        Path::new("."),
        |c| ExecutorConfig { queue: 0, ..c },
        async |name, executor| {
            executor.probe().await.unwrap();
            let (a, b) = tokio::join!(
                executor.map(on_column(square(), 1)),
                executor.map(on_column(square(), 1))
            );
            assert!(a.is_ok(), "{name}");
            assert_eq!(b.unwrap_err().kind(), PortErrorKind::Exhausted, "{name}");
        },
    )
    .await;
}

#[tokio::test]
async fn an_operator_that_fails_at_run_time_is_the_tasks_fault() {
    each(Path::new("."), async |name, executor| {
        let graph = Onnx::default()
            .ints("five", &[5])
            .node("Reshape", &["x", "five"], &["r"])
            .node_with("ReduceSum", &["r"], &["o"], &[("keepdims", 0)]);
        let error = executor.map(on_column(graph, 3)).await.unwrap_err();
        assert_eq!(error.kind(), PortErrorKind::Rejected, "{name}: {error}");
        assert!(error.message().contains("graphs/g.onnx"), "{name}: {error}");
    })
    .await;
}

#[tokio::test]
async fn forbidden_graphs_are_refused_by_check_and_by_map() {
    each(Path::new("."), async |name, executor| {
        let job = on_column(Onnx::default().node("RandomNormal", &[], &["o"]), 1);
        for error in [
            executor
                .check_graphs(&job.bundle, Whose::Own)
                .await
                .unwrap_err(),
            executor.map(job).await.unwrap_err(),
        ] {
            assert_eq!(error.kind(), PortErrorKind::Rejected, "{name}: {error}");
            assert!(
                error
                    .message()
                    .contains("graphs/g.onnx: node 0 (RandomNormal)"),
                "{name}: {error}"
            );
        }
    })
    .await;
}

#[cfg(feature = "tract")]
#[tokio::test]
async fn a_worker_that_aborts_or_lies_fails_one_job_only() {
    let dir = tempfile::tempdir().unwrap();
    let script = |text: &str| -> std::path::PathBuf {
        use std::os::unix::fs::PermissionsExt as _;
        let path = dir.path().join(format!("worker-{}", text.len()));
        std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).unwrap();
        path
    };
    let cases = [
        ("kill -ABRT $$", PortErrorKind::Rejected, "signal 6"),
        (
            "kill -SEGV $$ ; sleep 5",
            PortErrorKind::Rejected,
            "signal 11",
        ),
        (
            "kill -KILL $$ # by the kernel",
            PortErrorKind::Exhausted,
            "executor.memory",
        ),
        (
            "echo 'memory allocation of 99 bytes failed' >&2; kill -ABRT $$",
            PortErrorKind::Exhausted,
            "executor.memory",
        ),
        (
            "echo HTTP/1.1 200 OK; echo why >&2; exit 0",
            PortErrorKind::Internal,
            "why",
        ),
        // It is told not to report to its maker, and nothing about this node.
        (
            "test -z \"$HOME$USER$CARGO_MANIFEST_DIR\" && echo telemetry off: $ORT_DISABLE_TELEMETRY >&2; exit 4",
            PortErrorKind::Internal,
            "telemetry off: 1",
        ),
        ("exit 3", PortErrorKind::Internal, "without an answer"),
        (
            "printf 'DLT1\\377\\377\\377\\377\\377\\377\\377\\377'",
            PortErrorKind::Internal,
            "without an answer",
        ),
    ];
    for (text, kind, words) in cases {
        let error = OnnxExecutor::new(ExecutorConfig {
            worker: script(text),
            runtime: delta_node::adapters::onnx::RuntimePreference::Tract,
            ..config(Path::new("."))
        })
        .probe()
        .await
        .unwrap_err();
        assert_eq!(error.kind(), kind, "{text}: {error}");
        assert!(error.message().contains(words), "{text}: {error}");
    }
}

#[test]
fn a_worker_given_garbage_says_so_and_fails() {
    use std::io::Write as _;
    use std::process::{Command, Stdio};
    let mut half = b"DLT1".to_vec();
    half.extend(u32::MAX.to_le_bytes());
    for garbage in [
        b"".to_vec(),
        b"GET / HTTP/1.1\r\n\r\n".to_vec(),
        half,
        vec![0; 1 << 16],
        vec![0xff; 1 << 16],
    ] {
        let mut child = Command::new(crate::world::WORKER)
            .arg("__worker")
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        // The worker may have given up before it is all written.
        let _broken_pipe = stdin.write_all(&garbage);
        drop(stdin);
        let output = child.wait_with_output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            text.contains("workers are started by delta-node"),
            "{text:?}"
        );
    }
}

#[tokio::test]
async fn a_library_that_is_none_is_an_error_when_named_and_skipped_when_found() {
    let dir = tempfile::tempdir().unwrap();
    let fake = dir.path().join("libonnxruntime.so");
    std::fs::write(&fake, b"not a library").unwrap();
    let executor = OnnxExecutor::new(ExecutorConfig {
        library: Some(fake.clone()),
        ..config(Path::new("."))
    });
    let error = executor.probe().await.unwrap_err();
    assert_eq!(error.kind(), PortErrorKind::Unavailable);
    assert!(
        error.message().contains("executor.library")
            && error.message().contains("libonnxruntime.so"),
        "{error}"
    );
    assert_eq!(executor.runtime().await.name, "none");
}

#[tokio::test]
async fn values_of_another_shape_are_refused_before_the_runtime_sees_them() {
    each(Path::new("."), async |name, executor| {
        let mut job = on_column(square(), 1);
        job.variables
            .insert("x".parse().unwrap(), column(vec![1, 2]));
        let error = executor.map(job).await.unwrap_err();
        assert_eq!(error.kind(), PortErrorKind::Rejected, "{name}");
        assert!(
            error
                .message()
                .contains("takes shape [any, 1], the value has [1, 2]"),
            "{name}: {error}"
        );
    })
    .await;
}
