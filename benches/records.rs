//! What safe releases cost, in one run: `cargo bench --bench records [-- --rows N] [--runs N]`.
//!
//! The means of twenty columns, by one graph over the whole table and by the driver `records` with all its rules: the node bounds, counts,
//! audits and sums. Whole jobs, as a node runs them: the worker's start, reading the table, the graph, the answer. Then the noise of a
//! million values at several deviations. The ratio is the median over rounds of two jobs back to back.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::expect_used,
    missing_docs
)]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use delta_node::adapters::onnx::{ExecutorConfig, OnnxExecutor};
use delta_node::domain::bundle::{Bundle, BundleLimits};
use delta_node::domain::privacy::discrete_gaussian::{DiscreteGaussian, Variance};
use delta_node::domain::records::ReleaseRules;
use delta_node::domain::tensor::TensorData;
use delta_node::ports::executor::{Executor as _, IteratorStates, MapJob, MapOutcome};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;

const COLUMNS: usize = 20;
const VALUES: usize = 1_000_000;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    // `cargo test --benches` must not spend a minute here.
    if arguments.iter().any(|a| a == "--test" || a == "--list") {
        return;
    }
    let number = |name: &str, default: usize| {
        let at = arguments.iter().position(|a| a == name);
        at.map_or(default, |at| arguments[at + 1].parse().expect(name))
    };
    noise();
    driver(number("--rows", 1_000_000), number("--runs", 5)).await;
}

fn noise() {
    for (name, variance) in [
        ("1/2", (1, 4)),
        ("3", (9, 1)),
        ("2^26", (1_u128 << 52, 1)),
        ("2^39", (1 << 78, 1)),
    ] {
        let sampler = DiscreteGaussian::new(Variance::new(variance.0, variance.1).unwrap());
        let mut out = vec![0; VALUES];
        let mut times: Vec<f64> = (0..7)
            .map(|seed| {
                let mut rng = ChaCha20Rng::from_seed([seed; 32]);
                let start = Instant::now();
                sampler.fill(&mut rng, &mut out);
                start.elapsed().as_secs_f64()
            })
            .collect();
        #[expect(clippy::cast_precision_loss, reason = "a count")]
        let each = median(&mut times) * 1e6 / VALUES as f64;
        println!("noise of deviation {name}: {each:.3} us a value");
    }
}

async fn driver(rows: usize, runs: usize) {
    let folder = tempfile::tempdir().unwrap();
    write_table(&folder.path().join("wide.csv"), rows);
    let executor = OnnxExecutor::new(ExecutorConfig::new(
        folder.path().to_owned(),
        PathBuf::from(env!("CARGO_BIN_EXE_delta-node-worker")),
    ));
    let runtime = executor.probe().await.unwrap().info;
    let (plain, records) = (bundle("wide-means"), bundle("wide-records"));
    let (mut ratios, mut times) = (Vec::new(), Vec::new());
    for _ in 0..runs {
        let (expected, one) = job(&executor, &plain, None).await;
        let (outcome, other) = job(&executor, &records, Some(ReleaseRules::default())).await;
        assert_eq!(outcome.released.len(), 1);
        agree(&expected, &outcome);
        ratios.push(other / one);
        times.push(one);
    }
    println!(
        "{rows} rows of {COLUMNS} columns on {} {}: {:.2} s by a plain graph, records {:.2} times that",
        runtime.name,
        runtime.version,
        median(&mut times),
        median(&mut ratios),
    );
}

/// Numbers with four digits, so that each is exact in fixed point.
fn write_table(path: &Path, rows: usize) {
    let names: Vec<String> = (0..COLUMNS).map(|i| format!("c{i}")).collect();
    let mut text = names.join(",") + "\n";
    let mut state = 1_u32;
    for _ in 0..rows {
        for column in 0..COLUMNS {
            // A linear congruential generator: any numbers will do.
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let end = if column + 1 == COLUMNS { '\n' } else { ',' };
            write!(
                text,
                "{}.{:04}{end}",
                (state >> 24) % 10,
                (state >> 8) % 10_000
            )
            .unwrap();
        }
    }
    std::fs::write(path, text).unwrap();
}

fn bundle(name: &str) -> Arc<Bundle> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let bytes = std::fs::read(path.join(format!("{name}.delta"))).unwrap();
    Arc::new(Bundle::open(&bytes, &BundleLimits::default()).unwrap())
}

async fn job(
    executor: &OnnxExecutor,
    bundle: &Arc<Bundle>,
    rules: Option<ReleaseRules>,
) -> (MapOutcome, f64) {
    let job = MapJob {
        bundle: Arc::clone(bundle),
        step: 0,
        variables: BTreeMap::new(),
        iterators: IteratorStates::default(),
        rules,
        noise_seed: None,
    };
    let start = Instant::now();
    let outcome = executor.map(job).await.unwrap();
    (outcome, start.elapsed().as_secs_f64())
}

fn agree(one: &MapOutcome, other: &MapOutcome) {
    for (a, b) in one.contributions.iter().zip(&other.contributions) {
        let (TensorData::F64(a), TensorData::F64(b)) = (a.data(), b.data()) else {
            panic!("sums are f64")
        };
        assert!(
            a.iter()
                .zip(b)
                .all(|(a, b)| (a - b).abs() <= 1e-9 * a.abs())
        );
    }
}

fn median(numbers: &mut [f64]) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}
