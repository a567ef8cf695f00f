//! The port's implementation: from a map or a reduce to a worker's job, and back.

mod answer;
mod certificates;
mod config;
mod data;
mod judge;
mod look;
mod search;
mod spares;
mod steps;
mod versions;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::contain::Containment;
use super::failure::Failure;
use super::frame::{Blob, Blobs};
use super::job::{Job, Reply, RuntimeChoice, Work};
use super::process::Launcher;
use super::records;
use delta_domain::bundle::{Bundle, BundleLimits};
use delta_domain::catalogue::Outline;
use delta_domain::dialect::Dialect;
use delta_domain::ids::{DatasetName, Digest, Name};
use delta_domain::manifest::RoundSpec;
use delta_domain::records::proof::ReleaseProof;
use delta_domain::tensor::{DType, Tensor, TensorData};
use delta_ports::certificates::Certificates;
use delta_ports::executor::{
    DatasetSummary, Executor, MapJob, MapOutcome, Part, ReduceJob, ReduceOutcome, RuntimeInfo,
    Whose,
};
use delta_ports::metrics::Load;
use delta_ports::{PortError, PortErrorKind};

use crate::datasets::Said;
use answer::{named, rows_of, tensors_of, wrong_answer};
pub use config::{ExecutorConfig, RuntimePreference};
use data::Places;
use judge::Turn;
pub use search::RuntimeReport;
use search::{Chosen, Search};
use spares::Spares;
use steps::graphs_of;
use versions::{Told, Versions};

/// Workers at a time that look at data before a task runs.
const LOOKING: usize = 2;

/// Executes graphs in worker processes.
pub struct OnnxExecutor {
    config: ExecutorConfig,
    slots: Semaphore,
    waiting: Semaphore,
    judging: judge::Turns,
    search: Search,
    versions: Versions,
    told: Told,
    /// Workers that look at data before a task runs.
    looking: Semaphore,
    /// Workers that wait for maps and reduces.
    spares: Arc<Spares>,
    places: Places,
}

/// What a worker is to do, and all that it gets for it.
struct Order<'a> {
    work: Work,
    bundle: &'a Bundle,
    /// Names of the graphs to send along.
    graphs: Vec<String>,
    /// Files and folders that the worker may read.
    readable: Vec<PathBuf>,
    variables: BTreeMap<Name, Tensor>,
    sums: BTreeMap<Name, Tensor>,
}

impl OnnxExecutor {
    /// An executor; nothing is started yet. Call [`OnnxExecutor::probe`] once to know that it works.
    #[must_use]
    pub fn new(config: ExecutorConfig) -> Self {
        let (jobs, queue) = (config.jobs.max(1), config.queue);
        Self {
            slots: Semaphore::new(jobs),
            waiting: Semaphore::new(jobs.saturating_add(queue)),
            places: Places::new(config.data_dir.clone()),
            config,
            judging: judge::Turns::default(),
            search: Search::default(),
            versions: Versions::default(),
            told: Told::default(),
            looking: Semaphore::new(LOOKING),
            spares: Arc::default(),
        }
    }

    /// What the owner says from now on: how files of datasets are written, which datasets have rules, and which are queries, each with the
    /// digest of its query.
    pub fn say(
        &self,
        dialects: BTreeMap<DatasetName, Dialect>,
        ruled: BTreeSet<DatasetName>,
        queries: BTreeMap<DatasetName, String>,
    ) {
        self.places.say(Said {
            dialects,
            ruled,
            queries,
        });
    }

    /// Finds the runtime by starting it in a worker, once; later calls return the same.
    ///
    /// # Errors
    /// `Unavailable` when there is no usable runtime (or `executor.library` names one that is not), saying what to do.
    pub async fn probe(&self) -> Result<RuntimeReport, PortError> {
        self.choose().await.map(|c| c.report.clone())
    }

    /// How the walls around a worker stand on this machine, tried out. Quick: no runtime is loaded.
    ///
    /// # Errors
    /// The worker cannot be started, or cannot limit itself.
    pub async fn walls(&self) -> Result<Containment, PortError> {
        search::walls(&self.config).await
    }

    async fn choose(&self) -> Result<&Chosen, PortError> {
        self.search.choose(&self.config).await
    }

    /// A turn; fails at once when too many wait already.
    async fn turn(
        &self,
        op: &'static str,
    ) -> Result<(SemaphorePermit<'_>, SemaphorePermit<'_>), PortError> {
        let waiting = self.waiting.try_acquire().map_err(|_| {
            PortError::new(
                PortErrorKind::Exhausted,
                op,
                format!(
                    "{} jobs wait for this node's processors already",
                    self.config.queue
                ),
            )
        })?;
        let slot =
            self.slots.acquire().await.map_err(|_| {
                PortError::new(PortErrorKind::Internal, op, "the executor is closed")
            })?;
        Ok((waiting, slot))
    }

    /// Runs a worker when it is this job's turn.
    async fn work(&self, op: &'static str, order: Order<'_>) -> Result<(Reply, Blobs), PortError> {
        let _turn = self.turn(op).await?;
        let choice = &self.choose().await?.choice;
        let (launcher, memory) = (self.config.launcher(), self.config.memory_bytes);
        self.order(op, order, choice, &launcher, memory).await
    }

    /// Runs a worker now, with so much memory.
    async fn order(
        &self,
        op: &'static str,
        order: Order<'_>,
        choice: &RuntimeChoice,
        launcher: &Launcher,
        memory: u64,
    ) -> Result<(Reply, Blobs), PortError> {
        let mut blobs: Vec<Blob<'_>> = Vec::new();
        for name in &order.graphs {
            let bytes = order.bundle.graph(name);
            blobs.push(Blob::Bytes(Cow::Borrowed(bytes.ok_or_else(|| {
                Failure::rejected(format!("the bundle has no graph {name}")).into_port(op)
            })?)));
        }
        let job = Job {
            work: order.work,
            graphs: order.graphs,
            variables: order.variables.keys().cloned().collect(),
            sums: order.sums.keys().cloned().collect(),
        };
        // They leave this process as they are sent.
        let tensors = order
            .variables
            .into_values()
            .chain(order.sums.into_values());
        blobs.extend(tensors.map(|t| Blob::Tensor(Cow::Owned(t))));
        let budget = ExecutorConfig {
            memory_bytes: memory,
            time_limit: launcher.time_limit,
            ..self.config.clone()
        };
        let setup = budget.setup(choice.clone(), order.readable);
        match self.spares.take(&setup) {
            Some(worker) => launcher.run_in(op, worker, &setup, &job, blobs).await,
            None => launcher.run(op, &setup, &job, blobs).await,
        }
    }

    /// Runs a worker that judges a stranger's graphs: in the turns and within the budget of such work, briefly at first.
    async fn judged<'b>(
        &self,
        op: &'static str,
        order: impl Fn() -> Order<'b>,
        choice: &RuntimeChoice,
        whose: Whose,
    ) -> Result<(Reply, Blobs), PortError> {
        let bundle = order().bundle;
        let bytes = bundle.graphs().map(|(_, g)| g.len()).sum::<usize>();
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        let (memory, launcher) = judge::checking(&self.config, bytes);
        if let Some(quick) = judge::quick(&launcher, whose) {
            let _turn = self.judging.take(op, Turn::Brief).await?;
            match self.order(op, order(), choice, &quick, memory).await {
                // It needs more: behind others that do.
                Err(e) if e.kind() == PortErrorKind::Timeout => {}
                done => return done.map_err(judge::beyond),
            }
        }
        let _turn = self.judging.take(op, whose.into()).await?;
        let answer = self.order(op, order(), choice, &launcher, memory).await;
        answer.map_err(judge::beyond)
    }

    /// Follows the graphs of `records` steps, in a worker that has no runtime: what reads a stranger's graph and then says that it is
    /// harmless must not have loaded it before.
    async fn prove(&self, bundle: &Arc<Bundle>, whose: Whose) -> Result<ReleaseProof, PortError> {
        let op = "executor.prove";
        let manifest = bundle.manifest();
        let graphs = records::graphs_of(manifest);
        if graphs.is_empty() {
            // No graph decides.
            return Ok(ReleaseProof::of(manifest, |_| Ok(BTreeSet::new())));
        }
        let order = || Order {
            work: Work::Prove {
                manifest: Box::new(manifest.clone()),
            },
            bundle,
            graphs: graphs.iter().map(|name| (*name).to_owned()).collect(),
            readable: Vec::new(),
            variables: BTreeMap::new(),
            sums: BTreeMap::new(),
        };
        match self.judged(op, order, &RuntimeChoice::None, whose).await? {
            (Reply::Proved(proof), _) => Ok(proof),
            _ => Err(wrong_answer(op)),
        }
    }

    /// The round of a step, and the name of the runtime that will execute it.
    async fn round<'b>(
        &self,
        op: &'static str,
        bundle: &'b Bundle,
        step: u32,
    ) -> Result<(&'b RoundSpec, String), PortError> {
        let round = bundle.manifest().round_spec(step);
        let round = round.ok_or_else(|| {
            PortError::new(
                PortErrorKind::Rejected,
                op,
                format!("the task has no step {step}"),
            )
        })?;
        Ok((round, self.choose().await?.report.info.name.clone()))
    }
}

#[async_trait]
impl Executor for OnnxExecutor {
    /// Probes on first use; a search that found nothing is repeated by the next call.
    async fn runtime(&self) -> RuntimeInfo {
        match self.choose().await {
            Ok(chosen) => chosen.report.info.clone(),
            Err(_) => RuntimeInfo {
                name: "none".to_owned(),
                version: String::new(),
                library: None,
            },
        }
    }

    fn certificates(&self) -> Option<&dyn Certificates> {
        self.config
            .certificates
            .then_some(self as &dyn Certificates)
    }

    fn load(&self) -> Load {
        let most = self.config.jobs.max(1);
        let running = most.saturating_sub(self.slots.available_permits());
        let all = most.saturating_add(self.config.queue);
        let taken = all.saturating_sub(self.waiting.available_permits());
        Load {
            running,
            waiting: taken.saturating_sub(running),
            most,
        }
    }

    async fn open_bundle(
        &self,
        bytes: Vec<u8>,
        limits: &BundleLimits,
        whose: Whose,
    ) -> Result<Arc<Bundle>, PortError> {
        let turn = match whose {
            Whose::Own => Turn::Own,
            Whose::Others => Turn::Brief,
        };
        let _turn = self.judging.take("executor.open_bundle", turn).await?;
        judge::open(&self.config, bytes, limits).await
    }

    async fn check_graphs(
        &self,
        bundle: &Arc<Bundle>,
        whose: Whose,
    ) -> Result<ReleaseProof, PortError> {
        let proof = self.prove(bundle, whose).await?;
        let op = "executor.check_graphs";
        let order = || Order {
            work: Work::Check {
                manifest: Box::new(bundle.manifest().clone()),
            },
            bundle,
            graphs: bundle.graphs().map(|(name, _)| name.to_owned()).collect(),
            readable: Vec::new(),
            variables: BTreeMap::new(),
            sums: BTreeMap::new(),
        };
        let choice = &self.choose().await?.choice;
        match self.judged(op, order, choice, whose).await? {
            (Reply::Checked, _) => Ok(proof),
            _ => Err(wrong_answer(op)),
        }
    }

    async fn check_data(&self, bundle: &Arc<Bundle>) -> Result<(), PortError> {
        self.inspect(bundle).await
    }

    fn prepare(&self, bundle: &Arc<Bundle>, step: u32, part: Part) {
        let (Some(chosen), Some(round)) =
            (self.search.chosen(), bundle.manifest().round_spec(step))
        else {
            return;
        };
        let datasets = match part {
            Part::Map => bundle.manifest().datasets_of(&round.map.steps),
            Part::Reduce => BTreeSet::new(),
        };
        let Ok(datasets) = self.places.locate("executor.prepare", datasets) else {
            return;
        };
        let readable = datasets.into_values().map(|place| place.path).collect();
        let setup = self.config.setup(chosen.choice.clone(), readable);
        let most = self.config.jobs.max(1).saturating_mul(2);
        self.spares.prepare(self.config.launcher(), setup, most);
    }

    async fn map(&self, job: MapJob) -> Result<MapOutcome, PortError> {
        let op = "executor.map";
        let manifest = job.bundle.manifest();
        let (round, runtime) = self.round(op, &job.bundle, job.step).await?;
        let datasets = self
            .places
            .locate(op, manifest.datasets_of(&round.map.steps))?;
        // Before the map: what is written while it runs is another version.
        let versions = match job.rules {
            Some(_) => self.versions.of(op, &datasets).await?,
            None => BTreeMap::new(),
        };
        let order = Order {
            readable: datasets.values().map(|place| place.path.clone()).collect(),
            work: Work::Map {
                manifest: Box::new(manifest.clone()),
                step: job.step,
                iterators: job.iterators,
                rules: job.rules,
                noise: job.noise_seed,
                datasets,
            },
            bundle: &job.bundle,
            graphs: graphs_of(&round.map.steps, &runtime),
            variables: job.variables,
            sums: BTreeMap::new(),
        };
        let (reply, mut blobs) = self.work(op, order).await?;
        let Reply::Mapped {
            contributions,
            assigned,
            iterators,
            rows,
            released,
        } = reply
        else {
            return Err(wrong_answer(op));
        };
        let values = contributions.saturating_add(assigned.len());
        if blobs.len() < values {
            return Err(wrong_answer(op));
        }
        let sets = blobs.split_off(values);
        let mut tensors = tensors_of(op, blobs)?;
        let rest = tensors.split_off(contributions.min(tensors.len()));
        let fits = tensors.len() == round.map.contribute.len()
            && tensors
                .iter()
                .zip(&round.map.contribute)
                .all(|(t, c)| t.dtype() == c.dtype && t.shape() == c.shape);
        if !fits {
            return Err(wrong_answer(op));
        }
        Ok(MapOutcome {
            contributions: tensors,
            assigned: named(op, manifest, assigned, rest)?,
            iterators,
            rows,
            released: rows_of(op, released, sets, &versions)?,
        })
    }

    async fn reduce(&self, job: ReduceJob) -> Result<ReduceOutcome, PortError> {
        let op = "executor.reduce";
        let manifest = job.bundle.manifest();
        let (round, runtime) = self.round(op, &job.bundle, job.step).await?;
        let order = Order {
            work: Work::Reduce {
                manifest: Box::new(manifest.clone()),
                step: job.step,
                clients: job.clients,
            },
            bundle: &job.bundle,
            graphs: graphs_of(&round.reduce.steps, &runtime),
            readable: Vec::new(),
            variables: job.variables,
            sums: job.sums,
        };
        let (reply, blobs) = self.work(op, order).await?;
        let Reply::Reduced {
            assigned,
            metrics,
            stop,
        } = reply
        else {
            return Err(wrong_answer(op));
        };
        let mut tensors = tensors_of(op, blobs)?;
        let numbers = tensors.pop().map(Tensor::into_data);
        let Some(TensorData::F64(numbers)) =
            numbers.filter(|n| n.dtype() == DType::F64 && n.len() == metrics.len())
        else {
            return Err(wrong_answer(op));
        };
        Ok(ReduceOutcome {
            assigned: named(op, manifest, assigned, tensors)?,
            metrics: metrics.into_iter().zip(numbers).collect(),
            stop,
        })
    }

    async fn describe(
        &self,
        names: &BTreeSet<DatasetName>,
    ) -> Result<Vec<DatasetSummary>, PortError> {
        self.told_of("executor.describe", names.clone(), false)
            .await
    }

    async fn outline(&self, name: &DatasetName) -> Result<Outline, PortError> {
        self.outlined(name).await
    }

    async fn version(&self, name: &DatasetName) -> Result<Digest, PortError> {
        let op = "executor.version";
        let place = self.places.locate(op, BTreeSet::from([name.clone()]))?;
        let mut versions = self.versions.of(op, &place).await?;
        versions.remove(name).ok_or_else(|| wrong_answer(op))
    }

    async fn datasets(&self) -> Result<Vec<DatasetSummary>, PortError> {
        let op = "executor.datasets";
        let names = self.places.names(op)?;
        self.told_of(op, names, true).await
    }
}
