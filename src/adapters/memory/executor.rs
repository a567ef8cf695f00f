//! An executor without graphs: contributions come from a closure, the reduce is a closure or the plain average.
//!
//! What it hands out is checked against the manifest, so that a test's mistake shows here and not three phases later.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;

use super::faults::{FaultScript, When};
use delta_domain::bundle::{Bundle, BundleLimits};
use delta_domain::catalogue::Outline;
use delta_domain::ids::{Address, DatasetName, Digest, Name};
use delta_domain::records::proof::ReleaseProof;
use delta_domain::tensor::{Tensor, TensorData};
use delta_ports::certificates::{
    Certificates, CertifiedRows, CommittedTable, Proof, ProveJob, TableJob, capacity_for,
    certified, schema_of,
};
use delta_ports::certifier::{Certifier, Claim, Owner, Rows, Verdict, Witness};
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
    tables: Option<Tables>,
    faults: FaultScript,
}

/// The rows of a node's certified tasks, as it commits to them and as it proves about them.
pub type CertifiedTable = dyn Fn(&str, Use) -> CertifiedRows + Send + Sync;

/// What rows are made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// Before the first round.
    Commit,
    /// In the last one.
    Prove,
}

#[derive(Clone)]
struct Tables {
    certifier: Arc<dyn Certifier>,
    rows: Arc<CertifiedTable>,
    /// Proves whatever the rows are, under a commitment of their own.
    forges: bool,
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
            tables: None,
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

    /// Makes and checks certificates of these rows.
    #[must_use]
    pub fn with_tables(
        mut self,
        certifier: Arc<dyn Certifier>,
        rows: impl Fn(&str, Use) -> CertifiedRows + Send + Sync + 'static,
    ) -> Self {
        self.tables = Some(Tables {
            certifier,
            rows: Arc::new(rows),
            forges: false,
        });
        self
    }

    /// Proves whatever its rows are then, although it has committed to others.
    #[must_use]
    pub fn forging(mut self) -> Self {
        if let Some(tables) = &mut self.tables {
            tables.forges = true;
        }
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

    fn certificates(&self) -> Option<&dyn Certificates> {
        self.tables.as_ref().map(|_| self as &dyn Certificates)
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

impl ScriptedExecutor {
    fn tables(&self) -> Result<&Tables, PortError> {
        self.tables.as_ref().ok_or_else(|| {
            let text = "this executor makes no certificates";
            PortError::new(PortErrorKind::Unsupported, "executor.certificates", text)
        })
    }

    /// The commitment to rows of a table, with so much room.
    fn committed(
        &self,
        job: &TableJob,
        rows: &CertifiedRows,
        capacity: u32,
    ) -> Result<Digest, PortError> {
        let certify = job.bundle.manifest().certified().ok_or_else(|| {
            let text = "the task has no certified round";
            PortError::new(PortErrorKind::Rejected, "executor.certificates", text)
        })?;
        let owner = Owner {
            task: job.task.clone(),
            member: job.member.clone(),
        };
        let rows = Rows {
            features: &rows.features,
            labels: &rows.labels,
        };
        let (schema, salt) = (schema_of(certify), &job.salt);
        self.tables()?
            .certifier
            .commit(&schema, &owner, rows, capacity, salt)
            .map_err(|e| PortError::new(PortErrorKind::Corrupt, e.op(), e.message()))
    }
}

#[async_trait]
impl Certificates for ScriptedExecutor {
    async fn commit(&self, job: TableJob) -> Result<CommittedTable, PortError> {
        self.faults.run("executor.commit", || {
            let rows = (self.tables()?.rows)(&self.node, Use::Commit);
            let count = rows.labels.len();
            let capacity = capacity_for(count);
            Ok(CommittedTable {
                commitment: self.committed(&job, &rows, capacity)?,
                capacity,
                rows: u64::try_from(count).unwrap_or(u64::MAX),
            })
        })
    }

    async fn prove(&self, job: ProveJob) -> Result<Proof, PortError> {
        const OP: &str = "executor.prove_table";
        self.faults.run(OP, || {
            let tables = self.tables()?;
            let rows = (tables.rows)(&self.node, Use::Prove);
            let same = self.committed(&job.table, &rows, job.capacity)? == job.commitment;
            if !same && !tables.forges {
                let text = "the table is not the one that was committed to";
                return Err(PortError::new(PortErrorKind::Corrupt, OP, text));
            }
            let witness = Witness {
                member: &job.table.member,
                rows: Rows {
                    features: &rows.features,
                    labels: &rows.labels,
                },
                capacity: job.capacity,
                salt: &job.table.salt,
                peers: &job.peers,
            };
            let mut rng = ChaCha20Rng::from_seed(*job.seed.expose());
            Ok(Proof {
                message: tables.certifier.prove(&job.claim, &witness, &mut rng)?,
                released: Vec::new(),
            })
        })
    }

    async fn assemble(
        &self,
        claim: &Claim,
        tolerance: f64,
        messages: Vec<(Address, Vec<u8>)>,
    ) -> Result<(Vec<u8>, Verdict), PortError> {
        let (members, messages): (Vec<_>, Vec<_>) = messages.into_iter().unzip();
        self.faults.run("executor.assemble", || {
            let certifier = &*self.tables()?.certifier;
            certified(certifier, claim, tolerance, &members, &messages)
        })
    }

    async fn judge(&self, certificate: Vec<u8>) -> Result<Verdict, PortError> {
        self.faults.run("executor.judge_certificate", || {
            self.tables()?.certifier.judge(&certificate)
        })
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
