//! Steps a second of a training step on both runtimes, and what a job costs on top of its steps.
//!
//! The same step runs for few and for many batches; the slope is the step, the intercept is the worker: start, walls, loading the
//! runtime and the graph, reading the data. Minimum of several runs. Without arguments: the digits fixture.
//!
//!     cargo bench --bench executor [-- --runs N] [--threads N] [--bundle FILE --data DIR]
//!
//! Of a task whose first step goes record by record a step is 64 records: it runs for an eighth of the dataset, and for all of it.
//!
//! `python/benches/node.py` compares with onnxruntime from Python on the same graphs.

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
use delta_node::ports::executor::{Executor as _, IteratorStates, MapJob, Whose};

const FEW: u32 = 20;
/// Steps of the longer job, at least; short steps are repeated until they take a second.
const MANY: u32 = 80;
const MOST: u32 = 20_000;
/// Records that are a step.
const ROWS: u64 = 64;

/// The bundle with another number of batches in its first step.
fn with_batches(bundle: &Bundle, count: u32) -> Arc<Bundle> {
    let mut manifest = bundle.manifest().clone();
    if let Some(step) = manifest
        .rounds
        .first_mut()
        .and_then(|r| r.map.steps.first_mut())
    {
        match &mut step.driver {
            Driver::Batches(batches) => batches.length = Length::Iterations(count),
            Driver::Records(records) => records.subset.to = if count == FEW { 0.125 } else { 1.0 },
            Driver::Once | Driver::Solve(_) => {}
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
            rules: None,
            noise_seed: None,
        };
        let start = Instant::now();
        let outcome = executor.map(job).await.unwrap();
        best = best.min(start.elapsed());
        steps = outcome.iterators.0.values().map(|s| s.batches).sum();
        if steps == 0 {
            steps = outcome.rows / ROWS;
        }
    }
    (best, steps)
}

/// What was asked for on the command line.
struct Asked {
    runs: u32,
    threads: u16,
    bundle: PathBuf,
    data: PathBuf,
}

impl Asked {
    fn new() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets");
        let mut asked = Self {
            runs: 5,
            threads: 1,
            bundle: root.join("digits-cnn.delta"),
            data: root,
        };
        let mut arguments = std::env::args().skip(1);
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().expect("a value");
            match argument.as_str() {
                "--runs" => asked.runs = value().parse().expect("--runs N"),
                "--threads" => asked.threads = value().parse().expect("--threads N"),
                "--bundle" => asked.bundle = value().into(),
                "--data" => asked.data = value().into(),
                // What cargo adds.
                _ => {}
            }
        }
        asked
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let asked = Asked::new();
    let bytes = std::fs::read(&asked.bundle).unwrap();
    let bundle = Bundle::open(&bytes, &BundleLimits::default()).unwrap();
    let (less, more) = (with_batches(&bundle, FEW), with_batches(&bundle, MANY));
    let slope = |less: (Duration, u64), more: (Duration, u64)| {
        #[expect(clippy::cast_precision_loss, reason = "counts of steps")]
        let steps = (more.1 - less.1) as f64;
        (more.0.as_secs_f64() - less.0.as_secs_f64()) / steps
    };
    for runtime in [RuntimePreference::Onnxruntime, RuntimePreference::Tract] {
        let mut config = ExecutorConfig::new(
            asked.data.clone(),
            PathBuf::from(env!("CARGO_BIN_EXE_delta-node-worker")),
        );
        config.runtime = runtime;
        config.threads = asked.threads.into();
        let executor = OnnxExecutor::new(config);
        let Ok(report) = executor.probe().await else {
            println!("{runtime:?}: not on this machine, or not in this build");
            continue;
        };
        let start = Instant::now();
        executor.check_graphs(&less, Whose::Own).await.unwrap();
        let check = start.elapsed();
        let few = best(&executor, &less, asked.runs).await;
        let rough = slope(few, best(&executor, &more, 1).await).max(1e-6);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "positive, and clamped"
        )]
        let many = with_batches(&bundle, ((1.0 / rough) as u32).clamp(MANY, MOST));
        let step = slope(few, best(&executor, &many, asked.runs).await);
        #[expect(clippy::cast_precision_loss, reason = "a count of steps")]
        let few_n = few.1 as f64;
        println!(
            "{} {}: {:.4} ms a step ({:.0} steps/s), {:.0} ms a job on top, check_graphs {:.0} ms",
            report.info.name,
            report.info.version,
            step * 1e3,
            1.0 / step,
            (few.0.as_secs_f64() - step * few_n) * 1e3,
            check.as_secs_f64() * 1e3,
        );
    }
}
