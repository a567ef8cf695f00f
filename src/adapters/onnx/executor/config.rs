//! How graphs are executed, and what that means for a worker.

use std::path::PathBuf;
use std::time::Duration;

use crate::contain::Sandbox;
use crate::guard::GraphLimits;
use crate::job::{RuntimeChoice, Setup, WorkerLimits};
use crate::process::{Launcher, LimitNames};

/// The runtimes that are tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RuntimePreference {
    /// onnxruntime when a library is found, the embedded tract otherwise.
    #[default]
    Auto,
    /// onnxruntime; an error where no library can be used.
    Onnxruntime,
    /// The embedded tract, even where there is a library.
    Tract,
}

/// How graphs are executed: the operator's section `executor`, and where things are.
#[derive(Debug, Clone)]
pub struct ExecutorConfig {
    /// Folder whose files and folders are the datasets (`data_dir`).
    pub data_dir: PathBuf,
    /// `libonnxruntime` to use (`executor.library`); searched for when absent.
    pub library: Option<PathBuf>,
    /// The runtimes that are tried; a node tries all.
    pub runtime: RuntimePreference,
    /// The program to start as `PROGRAM __worker`: this program itself.
    pub worker: PathBuf,
    /// Bytes of memory of one job on top of what the program and the runtime take.
    pub memory_bytes: u64,
    /// Wall time of one job.
    pub time_limit: Duration,
    /// Wall time of the check of a task's graphs, with a second more for every MiB of them; never more than `time_limit`.
    pub check_time: Duration,
    /// Threads that one job computes with; 0 counts as 1.
    pub threads: usize,
    /// Jobs at the same time.
    pub jobs: usize,
    /// Jobs that may wait for their turn; more fail at once.
    pub queue: usize,
    /// How large graphs may be.
    pub graphs: GraphLimits,
    /// What to do where this machine cannot put up every wall around a worker.
    pub sandbox: Sandbox,
    /// Whether the worker can make and check certificates.
    pub certificates: bool,
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
            check_time: Duration::from_secs(20),
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            jobs: 1,
            queue: 64,
            graphs: GraphLimits::default(),
            sandbox: Sandbox::default(),
            certificates: false,
        }
    }

    /// How to start workers.
    pub(super) fn launcher(&self) -> Launcher {
        Launcher {
            program: self.worker.clone(),
            time_limit: self.time_limit,
            reply_bytes: self.memory_bytes,
            limits: LimitNames {
                time: "executor.time",
                memory: "executor.memory",
            },
        }
    }

    /// What a worker is told before its job: `readable` are the files and folders that it may read.
    pub(super) fn setup(&self, runtime: RuntimeChoice, readable: Vec<PathBuf>) -> Setup {
        let threads = self.threads.max(1);
        // All threads together may be busy for the whole wall time; the wall clock is the limit that people see.
        let cpu = self
            .time_limit
            .as_secs()
            .saturating_add(1)
            .saturating_mul(u64::try_from(threads).unwrap_or(1))
            .saturating_add(10);
        Setup {
            runtime,
            threads,
            limits: WorkerLimits {
                memory_bytes: self.memory_bytes,
                cpu_seconds: cpu,
                graph: self.graphs.clone(),
            },
            readable,
            sandbox: self.sandbox,
        }
    }
}
