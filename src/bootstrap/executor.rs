//! The executor of graphs, the program that it starts as worker, and what it says of itself.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;

use crate::adapters::onnx::{self, Containment, ExecutorConfig, OnnxExecutor, Sandbox};
pub use crate::adapters::onnx::{ColumnKind, ColumnProfile, TableProfile};
use crate::config::{self, Config, LoadedPolicies};
use delta_domain::ids::DatasetName;
use delta_domain::query::Query;
use delta_ports::PortError;
use delta_ports::executor::{Executor, RuntimeInfo};

/// The executor of this machine.
#[derive(Clone)]
pub struct LocalExecutor(Arc<OnnxExecutor>);

/// What an executor found when it was tried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probed {
    /// The runtime in use.
    pub info: RuntimeInfo,
    /// Libraries that were found and could not be used, and why.
    pub skipped: Vec<(PathBuf, String)>,
    /// How the walls around the workers stand.
    pub walls: Walls,
}

/// How the walls around the workers stand on this machine.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Walls {
    /// What is missing and how to get it, one sentence each.
    pub gaps: Vec<String>,
    /// What is weaker than it could be though another wall stands there, one sentence each.
    pub notes: Vec<String>,
}

impl From<Containment> for Walls {
    fn from(found: Containment) -> Self {
        Self {
            gaps: found.gaps(),
            notes: found.notes(),
        }
    }
}

/// The executor of a configuration, which starts `worker` as `PROGRAM __worker` for every job.
pub(crate) fn executor(config: &Config, worker: PathBuf) -> LocalExecutor {
    let mut settings = ExecutorConfig::new(config.data_dir.clone(), worker);
    settings.library.clone_from(&config.executor.library);
    settings.memory_bytes = config.executor.memory_mb.saturating_mul(1 << 20);
    settings.time_limit = config.executor.time_limit;
    settings.jobs = config.executor.jobs;
    settings.sandbox = match config.executor.sandbox {
        config::Sandbox::Required => Sandbox::Required,
        config::Sandbox::BestEffort => Sandbox::BestEffort,
    };
    if config.executor.threads > 0 {
        settings.threads = config.executor.threads;
    }
    settings.certificates = super::certifier().is_some();
    LocalExecutor(Arc::new(OnnxExecutor::new(settings)))
}

impl LocalExecutor {
    /// As the node uses it.
    #[must_use]
    pub fn port(&self) -> Arc<dyn Executor> {
        self.0.clone()
    }

    /// What the owner says from now on about datasets.
    pub(crate) fn hear(&self, said: &LoadedPolicies) {
        let ruled = said.policies.written().keys().cloned().collect();
        let digest =
            |(name, query): (&DatasetName, &Query)| (name.clone(), query.digest().to_string());
        let queries = said.queries.iter().map(digest).collect();
        self.0.say(said.dialects.clone(), ruled, queries);
    }

    /// What is in a table, column by column: for its owner alone.
    ///
    /// # Errors
    /// There is no such dataset, or it is no table that can be read.
    pub async fn profile(&self, name: &DatasetName) -> Result<TableProfile, PortError> {
        self.0.profile(name).await
    }

    /// Starts a worker that says how its walls stand. Quick: no runtime is loaded.
    ///
    /// # Errors
    /// The worker cannot be started, or cannot limit itself.
    pub async fn walls(&self) -> Result<Walls, PortError> {
        Ok(self.0.walls().await?.into())
    }

    /// Starts a worker and looks for a runtime; later jobs use what it found.
    ///
    /// # Errors
    /// `Unavailable` when there is no usable runtime, saying what to do.
    pub async fn probe(&self) -> Result<Probed, PortError> {
        let report = self.0.probe().await?;
        Ok(Probed {
            walls: report.containment.into(),
            info: report.info,
            skipped: report.skipped,
        })
    }
}

/// This program's own file: the usual worker.
///
/// # Errors
/// The program cannot find itself.
pub fn own_program() -> anyhow::Result<PathBuf> {
    std::env::current_exe()
        .context("this program cannot find its own file, which it starts as worker")
}

/// `__worker`: the contained process that runs graphs, driven over its standard input and output.
#[must_use]
pub fn worker_main() -> ExitCode {
    onnx::worker_main(super::certifier().as_deref())
}
