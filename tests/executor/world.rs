//! Executors to test: one for each runtime that this machine has, and bundles made on the spot.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use delta_node::adapters::onnx::{ExecutorConfig, OnnxExecutor, RuntimePreference};
use delta_node::domain::bundle::{Bundle, BundleLimits, write_bundle};
use delta_node::domain::ids::Name;
use delta_node::domain::manifest::Manifest;
use delta_node::domain::tensor::Tensor;
use delta_node::ports::executor::{IteratorStates, MapJob, ReduceJob};

/// The worker that is under test.
pub(crate) const WORKER: &str = env!("CARGO_BIN_EXE_delta-node-worker");

pub(crate) fn config(data_dir: &Path) -> ExecutorConfig {
    let mut config = ExecutorConfig::new(data_dir.to_owned(), PathBuf::from(WORKER));
    config.threads = 1;
    config.time_limit = std::time::Duration::from_secs(120);
    config
}

/// The runtimes of this machine, found once; says which ones the suite runs on.
///
/// `DELTA_REQUIRE_ONNXRUNTIME=1` turns a missing library from a note into a failure.
pub(crate) fn runtimes() -> &'static [RuntimePreference] {
    static FOUND: OnceLock<Vec<RuntimePreference>> = OnceLock::new();
    FOUND.get_or_init(|| {
        let mut found = Vec::new();
        let tokio = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let wanted = [RuntimePreference::Onnxruntime]
            .into_iter()
            .chain(cfg!(feature = "tract").then_some(RuntimePreference::Tract));
        for runtime in wanted {
            let executor = OnnxExecutor::new(ExecutorConfig {
                runtime,
                ..config(Path::new("."))
            });
            match tokio.block_on(executor.probe()) {
                Ok(report) => {
                    eprintln!(
                        "executor suite: runs on {} {}",
                        report.info.name, report.info.version
                    );
                    found.push(runtime);
                }
                Err(error) => eprintln!("executor suite: DOES NOT RUN on {runtime:?}: {error}"),
            }
        }
        let required = std::env::var_os("DELTA_REQUIRE_ONNXRUNTIME").is_some_and(|v| v == "1");
        assert!(
            !required || found.contains(&RuntimePreference::Onnxruntime),
            "DELTA_REQUIRE_ONNXRUNTIME=1, but no libonnxruntime works here"
        );
        assert!(!found.is_empty(), "no runtime at all");
        found
    })
}

/// Runs `test` with an executor of each runtime.
pub(crate) async fn each<F: AsyncFnMut(&'static str, OnnxExecutor)>(data_dir: &Path, test: F) {
    each_with(data_dir, |c| c, test).await;
}

pub(crate) async fn each_with<F>(
    data_dir: &Path,
    change: impl Fn(ExecutorConfig) -> ExecutorConfig,
    mut test: F,
) where
    F: AsyncFnMut(&'static str, OnnxExecutor),
{
    let found = std::thread::scope(|s| s.spawn(runtimes).join().unwrap());
    for &runtime in found {
        let name = if runtime == RuntimePreference::Tract {
            "tract"
        } else {
            "onnxruntime"
        };
        let executor = OnnxExecutor::new(change(ExecutorConfig {
            runtime,
            ..config(data_dir)
        }));
        test(name, executor).await;
    }
}

pub(crate) fn bundle_bytes(name: &str) -> Vec<u8> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let path = ["tests/fixtures", "assets"]
        .map(|folder| root.join(folder).join(name))
        .into_iter()
        .find(|path| path.exists());
    std::fs::read(path.unwrap()).unwrap()
}

pub(crate) fn fixture(name: &str) -> Arc<Bundle> {
    Arc::new(Bundle::open(&bundle_bytes(name), &BundleLimits::default()).unwrap())
}

/// Graphs packed with a manifest that is nobody's.
pub(crate) fn packed(graphs: Vec<(&str, Vec<u8>)>) -> Vec<u8> {
    let manifest = fixture("wages-means.delta").manifest().clone();
    let graphs = graphs
        .into_iter()
        .map(|(name, bytes)| (name.to_owned(), bytes))
        .collect();
    write_bundle(&manifest, &graphs, &BTreeMap::new()).unwrap()
}

/// A bundle of one round from JSON parts and graphs.
pub(crate) fn bundle(task: &serde_json::Value, graphs: Vec<(&str, Vec<u8>)>) -> Arc<Bundle> {
    let mut full =
        serde_json::json!({ "format": "delta-task/1", "name": "test", "type": "horizontal" });
    full.as_object_mut()
        .unwrap()
        .extend(task.as_object().unwrap().clone());
    let manifest: Manifest = serde_json::from_value(full).unwrap();
    let graphs = graphs
        .into_iter()
        .map(|(name, bytes)| (name.to_owned(), bytes))
        .collect();
    let bytes = write_bundle(&manifest, &graphs, &BTreeMap::new()).unwrap();
    Arc::new(Bundle::open(&bytes, &BundleLimits::default()).unwrap())
}

pub(crate) fn initial(bundle: &Bundle) -> BTreeMap<Name, Tensor> {
    bundle
        .manifest()
        .variables
        .keys()
        .map(|n| (n.clone(), bundle.initial(n).unwrap().clone()))
        .collect()
}

pub(crate) fn map_job(bundle: &Arc<Bundle>) -> MapJob {
    MapJob {
        bundle: Arc::clone(bundle),
        step: 0,
        variables: initial(bundle),
        iterators: IteratorStates::default(),
        rules: None,
        noise_seed: None,
    }
}

/// The reduce on the sum of some contributions.
pub(crate) fn reduce_job(
    bundle: &Arc<Bundle>,
    step: u32,
    variables: BTreeMap<Name, Tensor>,
    contributions: &[Vec<Tensor>],
) -> ReduceJob {
    use delta_node::domain::tensor::TensorData;
    let spec = bundle.manifest().round_spec(step).unwrap();
    let sums = spec
        .map
        .contribute
        .iter()
        .enumerate()
        .map(|(i, c)| {
            let total = |at: usize| contributions.iter().map(|m| floats(&m[i])[at]).sum::<f64>();
            let n = contributions[0][i].len();
            let data = match c.dtype {
                delta_node::domain::tensor::DType::F32 => {
                    TensorData::F32((0..n).map(|at| total(at) as f32).collect())
                }
                _ => TensorData::F64((0..n).map(total).collect()),
            };
            (c.name.clone(), Tensor::new(c.shape.clone(), data).unwrap())
        })
        .collect();
    let clients = u32::try_from(contributions.len()).unwrap();
    ReduceJob {
        bundle: Arc::clone(bundle),
        step,
        variables,
        sums,
        clients,
    }
}

/// The elements as `f64`.
pub(crate) fn floats(tensor: &Tensor) -> Vec<f64> {
    use delta_node::domain::tensor::TensorData;
    match tensor.data() {
        TensorData::F32(v) => v.iter().map(|x| f64::from(*x)).collect(),
        TensorData::F64(v) => v.clone(),
        TensorData::I64(v) => v.iter().map(|x| *x as f64).collect(),
        other => panic!("{:?}", other.dtype()),
    }
}
