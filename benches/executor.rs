//! Steps a second of the digits fixture on both runtimes, and what a job costs on top of its steps.
//!
//! The same training step runs for few and for many passes; the slope is the step, the intercept is the worker: start, walls, loading the
//! runtime and the graph, reading the data. Minimum of several runs. `cargo bench --bench executor [-- RUNS]`.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::expect_used,
    missing_docs
)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use delta_node::adapters::onnx::{ExecutorConfig, OnnxExecutor, RuntimePreference};
use delta_node::domain::bundle::{Bundle, BundleLimits, write_bundle};
use delta_node::domain::manifest::{Driver, Length};
use delta_node::ports::executor::{Executor as _, IteratorStates, MapJob};

const FEW: u32 = 1;
const MANY: u32 = 21;

/// The fixture with another number of passes over the training rows.
fn digits(epochs: u32) -> Arc<Bundle> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/digits-cnn.delta");
    let bundle = Bundle::open(&std::fs::read(path).unwrap(), &BundleLimits::default()).unwrap();
    let mut manifest = bundle.manifest().clone();
    for step in manifest.rounds.iter_mut().flat_map(|r| &mut r.map.steps) {
        if let Driver::Batches(batches) = &mut step.driver
            && batches.shuffle
        {
            batches.length = Length::Epochs(epochs);
        }
    }
    let graphs = bundle
        .graphs()
        .map(|(name, bytes)| (name.to_owned(), bytes.to_vec()))
        .collect();
    let arrays = manifest
        .variables
        .iter()
        .filter_map(|(name, spec)| Some((spec.init.clone()?, bundle.initial(name)?.clone())))
        .collect::<BTreeMap<_, _>>();
    Arc::new(
        Bundle::open(
            &write_bundle(&manifest, &graphs, &arrays).unwrap(),
            &BundleLimits::default(),
        )
        .unwrap(),
    )
}

async fn best(executor: &OnnxExecutor, bundle: &Arc<Bundle>, runs: u32) -> (Duration, u64) {
    let variables: BTreeMap<_, _> = bundle
        .manifest()
        .variables
        .keys()
        .map(|n| (n.clone(), bundle.initial(n).unwrap().clone()))
        .collect();
    let mut best = Duration::MAX;
    let mut steps = 0;
    for _ in 0..runs {
        let job = MapJob {
            bundle: Arc::clone(bundle),
            step: 0,
            variables: variables.clone(),
            iterators: IteratorStates::default(),
        };
        let start = Instant::now();
        let outcome = executor.map(job).await.unwrap();
        best = best.min(start.elapsed());
        steps = outcome.iterators.0.values().map(|s| s.batches).sum();
    }
    (best, steps)
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let runs = std::env::args()
        .skip(1)
        .find_map(|a| a.parse().ok())
        .unwrap_or(5);
    let data = tempfile::tempdir().unwrap();
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/data/digits.npz");
    std::fs::copy(from, data.path().join("digits.npz")).unwrap();
    for runtime in [RuntimePreference::Onnxruntime, RuntimePreference::Tract] {
        let mut config = ExecutorConfig::new(
            data.path().to_owned(),
            PathBuf::from(env!("CARGO_BIN_EXE_delta-node-worker")),
        );
        config.runtime = runtime;
        config.threads = 1;
        let executor = OnnxExecutor::new(config);
        let Ok(report) = executor.probe().await else {
            println!("{runtime:?}: not on this machine");
            continue;
        };
        let start = Instant::now();
        executor.check_graphs(&digits(FEW)).await.unwrap();
        let check = start.elapsed();
        let (few, few_steps) = best(&executor, &digits(FEW), runs).await;
        let (many, many_steps) = best(&executor, &digits(MANY), runs).await;
        #[expect(clippy::cast_precision_loss, reason = "counts of steps")]
        let (few_n, more) = (few_steps as f64, (many_steps - few_steps) as f64);
        let step = (many.as_secs_f64() - few.as_secs_f64()) / more;
        println!(
            "{} {}: {:.3} ms a step of 32 rows ({:.0} steps/s), {:.0} ms a job on top, check_graphs {:.0} ms",
            report.info.name,
            report.info.version,
            step * 1e3,
            1.0 / step,
            (few.as_secs_f64() - step * few_n) * 1e3,
            check.as_secs_f64() * 1e3,
        );
    }
}
