//! The port's implementation: from a map or a reduce to a worker's job, and back.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{Mutex, Semaphore, SemaphorePermit};

use super::contain::Containment;
use super::datasets::{self};
use super::failure::Failure;
use super::frame;
use super::guard::GraphLimits;
use super::job::{Job, Reply, RuntimeChoice, Setup, Work, WorkerLimits};
use super::process::Launcher;
use super::{library, runtime};
use delta_domain::bundle::Bundle;
use delta_domain::ids::{DatasetName, Name};
use delta_domain::manifest::{Driver, Manifest, RoundSpec, Source, Step};
use delta_domain::tensor::{DType, Tensor, TensorData};
use delta_ports::executor::{
    DatasetSummary, Executor, MapJob, MapOutcome, ReduceJob, ReduceOutcome, RuntimeInfo,
};
use delta_ports::{PortError, PortErrorKind};

/// Which runtime to use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RuntimePreference {
    /// onnxruntime when a library is found, the embedded tract otherwise.
    #[default]
    Auto,
    /// onnxruntime or an error.
    Onnxruntime,
    /// The embedded tract.
    Tract,
}

/// How graphs are executed.
#[derive(Debug, Clone)]
pub struct ExecutorConfig {
    /// Folder of datasets.
    pub data_dir: PathBuf,
    /// `libonnxruntime` to use (`executor.library`); searched for when absent.
    pub library: Option<PathBuf>,
    /// Which runtime.
    pub runtime: RuntimePreference,
    /// The program to start as `PROGRAM __worker`: this program itself.
    pub worker: PathBuf,
    /// Memory of one job on top of what the program and the runtime take.
    pub memory_bytes: u64,
    /// Wall time of one job.
    pub time_limit: Duration,
    /// Threads of one job.
    pub threads: usize,
    /// Jobs at the same time.
    pub jobs: usize,
    /// Jobs that may wait for their turn; more fail at once.
    pub queue: usize,
    /// How large graphs may be.
    pub graphs: GraphLimits,
}

impl ExecutorConfig {
    /// Defaults: 4 GiB and one hour a job, all processors for one job at a time.
    #[must_use]
    pub fn new(data_dir: PathBuf, worker: PathBuf) -> Self {
        Self {
            data_dir,
            library: None,
            runtime: RuntimePreference::Auto,
            worker,
            memory_bytes: 4 << 30,
            time_limit: Duration::from_secs(3600),
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            jobs: 1,
            queue: 64,
            graphs: GraphLimits::default(),
        }
    }
}

/// The runtime that was found, and how it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuntimeReport {
    /// The runtime in use.
    pub info: RuntimeInfo,
    /// The walls around it, tried out.
    pub containment: Containment,
    /// Libraries that were found but could not be used, and why.
    pub skipped: Vec<(PathBuf, String)>,
}

#[derive(Debug, Clone)]
struct Chosen {
    choice: RuntimeChoice,
    report: RuntimeReport,
}

/// Executes graphs in worker processes.
pub struct OnnxExecutor {
    config: ExecutorConfig,
    slots: Semaphore,
    waiting: Semaphore,
    chosen: OnceLock<Chosen>,
    probing: Mutex<()>,
}

/// A library that takes longer to load is not used.
const PROBE_TIME: Duration = Duration::from_secs(30);

impl OnnxExecutor {
    /// An executor; nothing is started yet. Call [`OnnxExecutor::probe`] once to know that it works.
    #[must_use]
    pub fn new(config: ExecutorConfig) -> Self {
        let (jobs, queue) = (config.jobs.max(1), config.queue);
        Self {
            slots: Semaphore::new(jobs),
            waiting: Semaphore::new(jobs.saturating_add(queue)),
            config,
            chosen: OnceLock::new(),
            probing: Mutex::new(()),
        }
    }

    /// Finds the runtime by starting it in a worker, once; later calls return the same.
    ///
    /// # Errors
    /// `Unavailable` when there is no usable runtime (or `executor.library` names one that is not), saying what to do.
    pub async fn probe(&self) -> Result<RuntimeReport, PortError> {
        self.choose().await.map(|c| c.report.clone())
    }

    async fn choose(&self) -> Result<&Chosen, PortError> {
        let _one_at_a_time = self.probing.lock().await;
        if let Some(chosen) = self.chosen.get() {
            return Ok(chosen);
        }
        let found = self.search().await?;
        Ok(self.chosen.get_or_init(|| found))
    }

    async fn search(&self) -> Result<Chosen, PortError> {
        let op = "executor.probe";
        let mut skipped = Vec::new();
        if self.config.runtime != RuntimePreference::Tract {
            for path in library::candidates(
                self.config.library.as_deref(),
                &|name| std::env::var_os(name),
                Some(&self.config.worker),
            ) {
                match self
                    .probe_one(RuntimeChoice::Onnxruntime(path.clone()))
                    .await
                {
                    Ok((info, containment)) => {
                        let report = RuntimeReport {
                            info,
                            containment,
                            skipped,
                        };
                        return Ok(Chosen {
                            choice: RuntimeChoice::Onnxruntime(path),
                            report,
                        });
                    }
                    // An operator who names a library wants that one or an error.
                    Err(error) if self.config.library.is_some() => {
                        return Err(PortError::new(
                            PortErrorKind::Unavailable,
                            op,
                            format!("executor.library: {}", error.message()),
                        ));
                    }
                    Err(error) => skipped.push((path, error.message().to_owned())),
                }
            }
        }
        if self.config.runtime == RuntimePreference::Onnxruntime || !cfg!(feature = "tract") {
            return Err(runtime::no_runtime().into_port(op));
        }
        let (info, containment) = self.probe_one(RuntimeChoice::Tract).await?;
        Ok(Chosen {
            choice: RuntimeChoice::Tract,
            report: RuntimeReport {
                info,
                containment,
                skipped,
            },
        })
    }

    async fn probe_one(
        &self,
        choice: RuntimeChoice,
    ) -> Result<(RuntimeInfo, Containment), PortError> {
        let op = "executor.probe";
        let setup = self.setup(choice, Vec::new());
        let launcher = Launcher {
            time_limit: PROBE_TIME.min(self.config.time_limit),
            ..self.launcher()
        };
        let job = Job {
            work: Work::Probe,
            graphs: Vec::new(),
            variables: Vec::new(),
            sums: Vec::new(),
        };
        match launcher.run(op, &setup, &job, Vec::new()).await? {
            (
                Reply::Probed {
                    runtime,
                    containment,
                },
                _,
            ) => Ok((runtime, containment)),
            _ => Err(wrong_answer(op)),
        }
    }

    fn launcher(&self) -> Launcher {
        Launcher {
            program: self.config.worker.clone(),
            time_limit: self.config.time_limit,
            reply_bytes: self.config.memory_bytes,
        }
    }

    fn setup(&self, runtime: RuntimeChoice, readable: Vec<PathBuf>) -> Setup {
        let threads = self.config.threads.max(1);
        // All threads together may be busy for the whole wall time; the wall clock is the limit that people see.
        let cpu = self
            .config
            .time_limit
            .as_secs()
            .saturating_add(1)
            .saturating_mul(u64::try_from(threads).unwrap_or(1))
            .saturating_add(10);
        Setup {
            runtime,
            threads,
            limits: WorkerLimits {
                memory_bytes: self.config.memory_bytes,
                cpu_seconds: cpu,
                graph: self.config.graphs.clone(),
            },
            readable,
        }
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

    #[expect(
        clippy::too_many_arguments,
        reason = "the parts of one message, put together here and nowhere else"
    )]
    async fn work(
        &self,
        op: &'static str,
        readable: Vec<PathBuf>,
        bundle: &Bundle,
        graphs: Vec<String>,
        work: Work,
        variables: &BTreeMap<Name, Tensor>,
        sums: &BTreeMap<Name, Tensor>,
    ) -> Result<(Reply, Vec<Cow<'static, [u8]>>), PortError> {
        let _turn = self.turn(op).await?;
        let choice = self.choose().await?.choice.clone();
        let mut blobs: Vec<Cow<'_, [u8]>> = Vec::new();
        for name in &graphs {
            let bytes = bundle.graph(name);
            blobs.push(Cow::Borrowed(bytes.ok_or_else(|| {
                Failure::refused(format!("the bundle has no graph {name}")).into_port(op)
            })?));
        }
        blobs.extend(
            variables
                .values()
                .chain(sums.values())
                .map(|t| Cow::Owned(frame::encode(t))),
        );
        let job = Job {
            work,
            graphs,
            variables: variables.keys().cloned().collect(),
            sums: sums.keys().cloned().collect(),
        };
        self.launcher()
            .run(op, &self.setup(choice, readable), &job, blobs)
            .await
    }

    fn root(&self, op: &'static str) -> Result<PathBuf, PortError> {
        self.config.data_dir.canonicalize().map_err(|e| {
            PortError::new(
                PortErrorKind::NotFound,
                op,
                format!(
                    "data_dir {} cannot be opened: {e}",
                    self.config.data_dir.display()
                ),
            )
        })
    }

    fn locate(
        &self,
        op: &'static str,
        names: impl IntoIterator<Item = DatasetName>,
    ) -> Result<BTreeMap<DatasetName, PathBuf>, PortError> {
        let names: Vec<DatasetName> = names.into_iter().collect();
        if names.is_empty() {
            return Ok(BTreeMap::new());
        }
        let root = self.root(op)?;
        names
            .into_iter()
            .map(|n| {
                datasets::locate(&root, &n)
                    .map(|path| (n, path))
                    .map_err(|f| f.into_port(op))
            })
            .collect()
    }

    async fn round<'b>(
        &self,
        op: &'static str,
        bundle: &'b Bundle,
        step: u32,
    ) -> Result<(&'b RoundSpec, String), PortError> {
        let round = bundle.manifest().round_spec(step);
        let round = round.ok_or_else(|| {
            PortError::new(
                PortErrorKind::Refused,
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

    async fn check_graphs(&self, bundle: &Arc<Bundle>) -> Result<(), PortError> {
        let op = "executor.check_graphs";
        let graphs = bundle.graphs().map(|(name, _)| name.to_owned()).collect();
        let work = Work::Check {
            manifest: Box::new(bundle.manifest().clone()),
        };
        match self
            .work(
                op,
                Vec::new(),
                bundle,
                graphs,
                work,
                &BTreeMap::new(),
                &BTreeMap::new(),
            )
            .await?
        {
            (Reply::Checked, _) => Ok(()),
            _ => Err(wrong_answer(op)),
        }
    }

    async fn check_data(&self, bundle: &Arc<Bundle>) -> Result<(), PortError> {
        let op = "executor.check_data";
        let paths = self.locate(op, bundle.manifest().datasets.keys().cloned())?;
        let bundle = Arc::clone(bundle);
        blocking(op, move || {
            paths
                .iter()
                .try_for_each(|(name, path)| datasets::inspect(path, name, bundle.manifest()))
        })
        .await
    }

    async fn map(&self, job: MapJob) -> Result<MapOutcome, PortError> {
        let op = "executor.map";
        let manifest = job.bundle.manifest();
        let (round, runtime) = self.round(op, &job.bundle, job.step).await?;
        let datasets = self.locate(op, datasets_of(&round.map.steps))?;
        let readable = datasets.values().cloned().collect();
        let work = Work::Map {
            manifest: Box::new(manifest.clone()),
            step: job.step,
            iterators: job.iterators,
            datasets,
        };
        let graphs = graphs_of(&round.map.steps, &runtime);
        let (reply, blobs) = self
            .work(
                op,
                readable,
                &job.bundle,
                graphs,
                work,
                &job.variables,
                &BTreeMap::new(),
            )
            .await?;
        let Reply::Mapped {
            contributions,
            assigned,
            iterators,
            rows,
        } = reply
        else {
            return Err(wrong_answer(op));
        };
        let mut tensors = decode_all(op, &blobs)?;
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
        })
    }

    async fn reduce(&self, job: ReduceJob) -> Result<ReduceOutcome, PortError> {
        let op = "executor.reduce";
        let manifest = job.bundle.manifest();
        let (round, runtime) = self.round(op, &job.bundle, job.step).await?;
        let work = Work::Reduce {
            manifest: Box::new(manifest.clone()),
            step: job.step,
            clients: job.clients,
        };
        let graphs = graphs_of(&round.reduce.steps, &runtime);
        let (reply, blobs) = self
            .work(
                op,
                Vec::new(),
                &job.bundle,
                graphs,
                work,
                &job.variables,
                &job.sums,
            )
            .await?;
        let Reply::Reduced {
            assigned,
            metrics,
            stop,
        } = reply
        else {
            return Err(wrong_answer(op));
        };
        let mut tensors = decode_all(op, &blobs)?;
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

    async fn datasets(&self) -> Result<Vec<DatasetSummary>, PortError> {
        let op = "executor.datasets";
        let root = self.root(op)?;
        blocking(op, move || list(&root)).await
    }
}

/// Everything in `data_dir` whose name can be a dataset's, by name.
fn list(root: &Path) -> Result<Vec<DatasetSummary>, Failure> {
    let entries = std::fs::read_dir(root)
        .map_err(|e| Failure::not_found(format!("{}: {e}", root.display())))?;
    let names: BTreeSet<DatasetName> = entries
        .filter_map(|e| e.ok()?.file_name().into_string().ok()?.parse().ok())
        .collect();
    let describe = |name: &DatasetName| {
        datasets::locate(root, name)
            .map_or_else(|f| format!("unusable: {f}"), |p| datasets::describe(&p))
    };
    Ok(names
        .into_iter()
        .map(|name| DatasetSummary {
            description: describe(&name),
            name,
        })
        .collect())
}

/// The datasets that steps read.
fn datasets_of(steps: &[Step]) -> BTreeSet<DatasetName> {
    let mut names = BTreeSet::new();
    for step in steps {
        if let Driver::Batches(batches) = &step.driver {
            names.insert(batches.dataset.clone());
        }
        names.extend(step.inputs.values().filter_map(|s| match s {
            Source::Data { dataset, .. } => Some(dataset.clone()),
            _ => None,
        }));
    }
    names
}

/// The graphs that a runtime executes for some steps.
fn graphs_of(steps: &[Step], runtime: &str) -> Vec<String> {
    let names: BTreeSet<&str> = steps
        .iter()
        .filter_map(|s| super::drivers::graph_of(s, runtime))
        .collect();
    names.into_iter().map(str::to_owned).collect()
}

fn decode_all(op: &'static str, blobs: &[Cow<'static, [u8]>]) -> Result<Vec<Tensor>, PortError> {
    blobs
        .iter()
        .map(|b| frame::decode(b).map_err(|f| f.into_port(op)))
        .collect()
}

/// Assigned variables, with exactly their declared types.
fn named(
    op: &'static str,
    manifest: &Manifest,
    names: Vec<Name>,
    tensors: Vec<Tensor>,
) -> Result<BTreeMap<Name, Tensor>, PortError> {
    let fits = |name: &Name, t: &Tensor| {
        manifest
            .variables
            .get(name)
            .is_some_and(|v| v.dtype == t.dtype() && v.shape == t.shape())
    };
    if names.len() != tensors.len() || !names.iter().zip(&tensors).all(|(n, t)| fits(n, t)) {
        return Err(wrong_answer(op));
    }
    Ok(names.into_iter().zip(tensors).collect())
}

fn wrong_answer(op: &'static str) -> PortError {
    PortError::new(
        PortErrorKind::Internal,
        op,
        "the worker answered something else than it was asked; its result is not used",
    )
}

/// Reads files off the async threads.
async fn blocking<T: Send + 'static>(
    op: &'static str,
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, PortError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result.map_err(|f| f.into_port(op)),
        Err(e) => {
            Err(PortError::new(PortErrorKind::Internal, op, "reading data panicked").with_source(e))
        }
    }
}
