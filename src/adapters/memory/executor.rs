//! An executor without graphs: contributions come from a closure, the reduce is a closure or the plain average.
//!
//! What it hands out is checked against the manifest, so that a test's mistake shows here and not three phases later.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use super::faults::{FaultScript, When};
use delta_domain::bundle::{Bundle, BundleLimits};
use delta_domain::catalogue::Outline;
use delta_domain::ids::{DatasetName, Digest, Name};
use delta_domain::records::proof::ReleaseProof;
use delta_domain::tensor::{Tensor, TensorData};
use delta_ports::executor::{
    DatasetSummary, Executor, MapJob, MapOutcome, ReduceJob, ReduceOutcome, RuntimeInfo, Whose,
};
use delta_ports::{PortError, PortErrorKind, report};

/// What a node contributes: one tensor a contribution of the step, in the manifest's order.
pub type Contribute = dyn Fn(&str, u32) -> Vec<Tensor> + Send + Sync;

/// What a reduce makes of a job.
pub type Reduce = dyn Fn(&ReduceJob) -> Result<ReduceOutcome, PortError> + Send + Sync;

/// The executor of one node of a test.
#[derive(Clone)]
pub struct ScriptedExecutor {
    node: String,
    contribute: Arc<Contribute>,
    reduce: Arc<Reduce>,
    duration: Duration,
    versions: Arc<Mutex<BTreeMap<DatasetName, Digest>>>,
    faults: FaultScript,
}

impl ScriptedExecutor {
    /// For the node called `node`, which contributes `contribute(node, step)`. Its reduce is [`average_into_variables`].
    #[must_use]
    pub fn new(
        node: impl Into<String>,
        contribute: impl Fn(&str, u32) -> Vec<Tensor> + Send + Sync + 'static,
    ) -> Self {
        Self {
            node: node.into(),
            contribute: Arc::new(contribute),
            reduce: Arc::new(average_into_variables),
            duration: Duration::ZERO,
            versions: Arc::default(),
            faults: FaultScript::default(),
        }
    }

    /// With another reduce in place of the average.
    #[must_use]
    pub fn with_reduce(
        mut self,
        reduce: impl Fn(&ReduceJob) -> Result<ReduceOutcome, PortError> + Send + Sync + 'static,
    ) -> Self {
        self.reduce = Arc::new(reduce);
        self
    }

    /// Every map and reduce takes this long.
    #[must_use]
    pub fn with_duration(mut self, duration: Duration) -> Self {
        self.duration = duration;
        self
    }

    /// A dataset holds this content from now on.
    pub fn hold(&self, dataset: DatasetName, version: Digest) {
        let mut versions = self.versions.lock().unwrap_or_else(PoisonError::into_inner);
        versions.insert(dataset, version);
    }

    /// The next call of `op` (`"executor.map"`, `"executor.reduce"`, `"executor.open_bundle"`, `"executor.check_graphs"`, `"executor.check_data"`, `"*"`) fails.
    pub fn fail_next(&self, op: impl Into<String>, kind: PortErrorKind) {
        self.faults.fail_next(op, When::Before, kind);
    }

    /// The script of planned failures, to count or forget them.
    #[must_use]
    pub fn faults(&self) -> &FaultScript {
        &self.faults
    }
}

impl fmt::Debug for ScriptedExecutor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScriptedExecutor")
            .field("node", &self.node)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Executor for ScriptedExecutor {
    async fn runtime(&self) -> RuntimeInfo {
        RuntimeInfo {
            name: "scripted".to_owned(),
            version: "1".to_owned(),
            library: None,
        }
    }

    async fn open_bundle(
        &self,
        bytes: Vec<u8>,
        limits: &BundleLimits,
        _whose: Whose,
    ) -> Result<Arc<Bundle>, PortError> {
        const OP: &str = "executor.open_bundle";
        self.faults.run(OP, || {
            Bundle::open(&bytes, limits)
                .map(Arc::new)
                .map_err(|e| PortError::new(PortErrorKind::Rejected, OP, report(&e)))
        })
    }

    /// Looks at no graph: what is proven is what needs none.
    async fn check_graphs(
        &self,
        bundle: &Arc<Bundle>,
        _whose: Whose,
    ) -> Result<ReleaseProof, PortError> {
        self.faults.run("executor.check_graphs", || {
            Ok(ReleaseProof::of(bundle.manifest(), |_| Ok(BTreeSet::new())))
        })
    }

    async fn check_data(&self, _bundle: &Arc<Bundle>) -> Result<(), PortError> {
        self.faults.run("executor.check_data", || Ok(()))
    }

    async fn map(&self, job: MapJob) -> Result<MapOutcome, PortError> {
        const OP: &str = "executor.map";
        tokio::time::sleep(self.duration).await;
        self.faults.run(OP, || {
            let contributions = (self.contribute)(&self.node, job.step);
            let round = job.bundle.manifest().round_spec(job.step);
            let expected = round
                .map(|r| r.map.contribute.as_slice())
                .unwrap_or_default();
            let fits = expected.len() == contributions.len()
                && expected
                    .iter()
                    .zip(&contributions)
                    .all(|(e, c)| e.dtype == c.dtype() && e.shape == c.shape());
            if !fits {
                let text = format!(
                    "the script of {} does not fit the contributions of step {}",
                    self.node, job.step
                );
                return Err(PortError::new(PortErrorKind::Internal, OP, text));
            }
            Ok(MapOutcome {
                contributions,
                assigned: BTreeMap::new(),
                iterators: job.iterators,
                rows: 1,
                released: Vec::new(),
            })
        })
    }

    async fn reduce(&self, job: ReduceJob) -> Result<ReduceOutcome, PortError> {
        tokio::time::sleep(self.duration).await;
        self.faults.run("executor.reduce", || (self.reduce)(&job))
    }

    async fn describe(
        &self,
        _names: &BTreeSet<DatasetName>,
    ) -> Result<Vec<DatasetSummary>, PortError> {
        self.datasets().await
    }

    /// No dataset has a column.
    async fn outline(&self, _name: &DatasetName) -> Result<Outline, PortError> {
        Ok(Outline::default())
    }

    async fn version(&self, name: &DatasetName) -> Result<Digest, PortError> {
        const OP: &str = "executor.version";
        let versions = self.versions.lock().unwrap_or_else(PoisonError::into_inner);
        let version = versions.get(name).copied();
        version.ok_or_else(|| {
            let text = format!("there is no dataset {name}");
            PortError::new(PortErrorKind::NotFound, OP, text)
        })
    }

    async fn datasets(&self) -> Result<Vec<DatasetSummary>, PortError> {
        Ok(Vec::new())
    }
}

/// Every sum whose name is a server variable's becomes that variable's value, divided by the number of members (floats; integers
/// are kept as sums). Every sum of one number is shown as a metric under its name.
///
/// # Errors
/// `Internal` when a sum does not fit its variable: the test's bundle and script disagree.
pub fn average_into_variables(job: &ReduceJob) -> Result<ReduceOutcome, PortError> {
    let variables = &job.bundle.manifest().variables;
    let mut assigned: BTreeMap<Name, Tensor> = BTreeMap::new();
    let mut metrics = BTreeMap::new();
    for (name, sum) in &job.sums {
        let mean = divided(sum, job.clients);
        if let Some(number) = mean.as_scalar() {
            metrics.insert(name.to_string(), number);
        }
        if let Some(spec) = variables.get(name) {
            if spec.dtype != mean.dtype() || spec.shape != mean.shape() {
                let text = format!("the sum {name} does not fit the variable of that name");
                return Err(PortError::new(
                    PortErrorKind::Internal,
                    "executor.reduce",
                    text,
                ));
            }
            assigned.insert(name.clone(), mean);
        }
    }
    Ok(ReduceOutcome {
        assigned,
        metrics,
        stop: false,
    })
}

#[expect(clippy::cast_precision_loss, reason = "a test has few members")]
fn divided(sum: &Tensor, clients: u32) -> Tensor {
    let data = match sum.data() {
        TensorData::F32(v) => TensorData::F32(v.iter().map(|x| x / clients as f32).collect()),
        TensorData::F64(v) => TensorData::F64(v.iter().map(|x| x / f64::from(clients)).collect()),
        other => other.clone(),
    };
    // The number of elements has not changed, so neither can the fit.
    Tensor::new(sum.shape().to_vec(), data).unwrap_or_else(|_| sum.clone())
}
