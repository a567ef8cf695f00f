//! The fixture tasks, whole, on every runtime, which must agree.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use delta_node::domain::bundle::Bundle;
use delta_node::domain::ids::Name;
use delta_node::domain::manifest::Location;
use delta_node::domain::tensor::Tensor;
use delta_node::ports::executor::{Executor, IteratorStates, MapJob, Whose};

use crate::world::{each, fixture, floats, initial, reduce_job};

/// Server variables at the end, and the metrics of every round.
type End = (BTreeMap<Name, Tensor>, Vec<BTreeMap<String, f64>>);

/// Runs a task with `members` members that all have the same data, as coordinator and members would.
async fn run(executor: &dyn Executor, bundle: &Arc<Bundle>, members: usize, rounds: u32) -> End {
    executor.check_graphs(bundle, Whose::Own).await.unwrap();
    executor.check_data(bundle).await.unwrap();
    let at = |location| {
        let manifest = bundle.manifest();
        initial(bundle)
            .into_iter()
            .filter(|(n, _)| manifest.variables[n].location == location)
            .collect::<BTreeMap<_, _>>()
    };
    let mut server = at(Location::Server);
    let mut clients = vec![(at(Location::Client), IteratorStates::default()); members];
    let mut metrics = Vec::new();
    for step in 0..rounds.min(bundle.manifest().total_rounds()) {
        let mut contributions = Vec::new();
        for (private, iterators) in &mut clients {
            let mut variables = server.clone();
            variables.extend(private.clone());
            let job = MapJob {
                bundle: Arc::clone(bundle),
                step,
                variables,
                iterators: iterators.clone(),
                rules: None,
                noise_seed: None,
            };
            let outcome = executor.map(job).await.unwrap();
            private.extend(outcome.assigned);
            *iterators = outcome.iterators;
            contributions.push(outcome.contributions);
        }
        let reduced = executor
            .reduce(reduce_job(bundle, step, server.clone(), &contributions))
            .await
            .unwrap();
        server.extend(reduced.assigned);
        metrics.push(reduced.metrics);
        if reduced.stop {
            break;
        }
    }
    (server, metrics)
}

/// Runs a fixture on every runtime, compares them within `tolerance`, and returns one of the ends.
async fn everywhere(name: &str, data: &Path, members: usize, rounds: u32, tolerance: f64) -> End {
    let bundle = fixture(name);
    let mut ends: Vec<(&str, End)> = Vec::new();
    each(data, async |runtime, executor| {
        ends.push((runtime, run(&executor, &bundle, members, rounds).await))
    })
    .await;
    for pair in ends.windows(2) {
        let ((a, (va, ma)), (b, (vb, mb))) = (&pair[0], &pair[1]);
        assert_eq!(ma.len(), mb.len(), "{a} and {b} stop in the same round");
        for (variable, tensor) in va {
            let worst = floats(tensor)
                .iter()
                .zip(floats(&vb[variable]))
                .map(|(x, y)| (x - y).abs() / x.abs().max(1.0))
                .fold(0.0, f64::max);
            assert!(
                worst <= tolerance,
                "{name}: {variable} differs by {worst:e} between {a} and {b}"
            );
        }
    }
    ends.swap_remove(0).1
}

fn data(files: &[&str]) -> tempfile::TempDir {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let dir = tempfile::tempdir().unwrap();
    for file in files {
        let from = root.join(file);
        std::fs::copy(&from, dir.path().join(from.file_name().unwrap())).unwrap();
    }
    dir
}

#[tokio::test]
async fn wages_means_is_the_mean_of_all_members_rows() {
    let dir = data(&["assets/wages.csv"]);
    let (server, metrics) = everywhere("wages-means.delta", dir.path(), 2, 1, 1e-12).await;
    let text = std::fs::read_to_string(dir.path().join("wages.csv")).unwrap();
    let wages: Vec<f64> = text.lines().skip(1).map(|l| l.parse().unwrap()).collect();
    let mean = wages.iter().sum::<f64>() / wages.len() as f64;
    assert!((floats(&server[&"mean".parse().unwrap()])[0] - mean).abs() < 1e-9);
    assert_eq!(
        floats(&server[&"rows".parse().unwrap()]),
        [2.0 * wages.len() as f64]
    );
    assert!((metrics[0]["mean wage"] - mean).abs() < 1e-9);
}

#[tokio::test]
async fn iris_logistic_learns_and_its_loss_falls() {
    let dir = data(&["assets/iris.csv"]);
    let (_, metrics) = everywhere("iris-logistic.delta", dir.path(), 1, 12, 1e-9).await;
    // Nothing is known at first: ln 3.
    assert!(
        (metrics[0]["loss"] - 3f64.ln()).abs() < 1e-9,
        "{:?}",
        metrics[0]
    );
    let last = &metrics[metrics.len() - 1];
    assert!(last["loss"] < 0.8 && last["accuracy"] > 0.6, "{last:?}");
}

#[tokio::test]
async fn digits_cnn_trains_over_batches_and_gets_better() {
    let dir = data(&["assets/digits.npz"]);
    let (server, metrics) = everywhere("digits-cnn.delta", dir.path(), 2, 3, 1e-4).await;
    let accuracy: Vec<f64> = metrics.iter().map(|m| m["accuracy"]).collect();
    assert!(accuracy[0] < 0.4 && accuracy[2] > 0.7, "{accuracy:?}");
    assert!(
        floats(&server[&"conv.bias".parse().unwrap()])
            .iter()
            .any(|x| *x != 0.0),
        "biases moved from their initial zeros"
    );
}

#[tokio::test]
async fn spector_logit_finds_what_statsmodels_finds() {
    let dir = data(&["assets/spector.csv"]);
    // Twice the same rows: the same estimates, twice the information.
    let (server, metrics) = everywhere("spector-logit.delta", dir.path(), 2, 36, 1e-9).await;
    let end = |name: &str| floats(&server[&name.parse().unwrap()]);
    // statsmodels 0.14: sm.Logit(y, sm.add_constant(x)).fit(tol=1e-14).params, and .llf below
    let expected = [
        -13.021_346_858_115_688,
        2.826_112_594_889_32,
        0.095_157_661_317_909_4,
        2.378_687_655_093_353_6,
    ];
    for (found, expected) in end("params").iter().zip(expected) {
        assert!((found / expected - 1.0).abs() < 1e-9, "{found} {expected}");
    }
    assert_eq!(end("converged"), [1.0]);
    assert_eq!((end("iterations"), metrics.len()), (vec![7.0], 8));
    assert_eq!(end("tally"), [64.0, 0.0, 0.0], "rows, missing, invalid");
    assert_eq!(end("counts"), [42.0, 22.0]);
    assert!((metrics[7]["log-likelihood"] / 2.0 + 12.889_634_222_131_415).abs() < 1e-10);
}
