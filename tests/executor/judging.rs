//! What a stranger's bundle may cost before anything of it runs: a bounded memory and time, in a turn that nobody else waits for.

use std::path::Path;
use std::time::Duration;

use delta_node::adapters::onnx::ExecutorConfig;
use delta_node::domain::bundle::{Bundle, BundleLimits};
use delta_node::ports::PortErrorKind;
use delta_node::ports::executor::{Executor as _, Whose};

use crate::graph::{ANY, Elem, Onnx};
use crate::walls::{on_column, square};
use crate::world::{bundle_bytes, each, each_with};

/// A chain of products of constants, which both runtimes compute when they load it: hours in a few kilobytes of nodes.
///
/// Each product is so large (64 MiB, seconds of one core) that the time for the check is over long before the memory is, however fast the machine.
fn folds_for_ever() -> Onnx {
    const SIDE: i64 = 4096;
    const PRODUCTS: usize = 2_000;
    let mut graph = Onnx::default()
        .ints("one", &[1])
        .ints("square", &[SIDE, SIDE])
        .node_with("Cast", &["one"], &["flat"], &[("to", 1)])
        .node("Expand", &["flat", "square"], &["m0"]);
    for i in 0..PRODUCTS {
        let (from, to) = (format!("m{i}"), format!("m{}", i + 1));
        graph = graph.node("MatMul", &[&from, "m0"], &[&to]);
    }
    graph
        .node_with(
            "ReduceSum",
            &[&format!("m{PRODUCTS}")],
            &["s"],
            &[("keepdims", 0)],
        )
        .node_with("ReduceSum", &["x"], &["t"], &[("keepdims", 0)])
        .node("Add", &["s", "t"], &["o"])
}

#[tokio::test]
async fn a_graph_that_folds_for_ever_is_refused_for_good_and_blocks_nobody() {
    let limit = |c: ExecutorConfig| ExecutorConfig {
        check_time: Duration::from_secs(3),
        ..c
    };
    each_with(Path::new("."), limit, async |name, executor| {
        executor.probe().await.unwrap();
        let hostile = on_column(folds_for_ever(), 1).bundle;
        let honest = on_column(square(), 1);
        let mine = honest.bundle.clone();
        let judged = executor.check_graphs(&hostile, Whose::Others);
        let meanwhile = async {
            // The node's own submission, and a map: both are done before the stranger's time is up.
            executor.check_graphs(&mine, Whose::Own).await.unwrap();
            executor.map(honest).await.unwrap();
        };
        tokio::pin!(judged, meanwhile);
        let early = tokio::select! {
            biased;
            () = &mut meanwhile => None,
            end = &mut judged => Some(end),
        };
        let end = match early {
            None => judged.await,
            // A runtime that does not fold has nothing to do here, and may be done at once.
            Some(Ok(_)) => {
                meanwhile.await;
                return;
            }
            Some(Err(e)) => panic!("{name}: the honest ones waited for {e}"),
        };
        let Err(error) = end else {
            return;
        };
        // Another try would cost as much: it is no error that passes.
        assert_eq!(error.kind(), PortErrorKind::Rejected, "{name}: {error}");
        assert!(
            error.message().contains("limit for the check of a task"),
            "{name}: {error}"
        );
    })
    .await;
}

#[tokio::test]
async fn a_bundle_is_unpacked_in_a_worker_to_the_same_that_is_packed() {
    each(Path::new("."), async |name, executor| {
        for file in [
            "wages-means.delta",
            "iris-logistic.delta",
            "spector-logit.delta",
        ] {
            let bytes = bundle_bytes(file);
            let limits = BundleLimits::default();
            let here = Bundle::open(&bytes, &limits).unwrap();
            let there = executor
                .open_bundle(bytes, &limits, Whose::Others)
                .await
                .unwrap();
            assert!(*there == here, "{name}: {file}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_bundle_that_expands_too_far_is_refused_before_it_is_expanded() {
    each(Path::new("."), async |name, executor| {
        let limits = BundleLimits::default();
        // Two million zeros for each kilobyte.
        let zeros = Onnx::default()
            .input("x", Elem::F32, &[ANY, 1])
            .ints("z", &vec![0; 9 << 20])
            .file();
        let bomb = crate::world::packed(vec![("graphs/g.onnx", zeros)]);
        assert!(bomb.len() < 1 << 20, "{}", bomb.len());
        let error = executor
            .open_bundle(bomb, &limits, Whose::Others)
            .await
            .unwrap_err();
        assert_eq!(error.kind(), PortErrorKind::Rejected, "{name}: {error}");
        assert!(error.message().contains("expand"), "{name}: {error}");
        let garbage = executor
            .open_bundle(vec![7; 4096], &limits, Whose::Own)
            .await;
        assert_eq!(
            garbage.unwrap_err().kind(),
            PortErrorKind::Rejected,
            "{name}"
        );
    })
    .await;
}
