//! The search for a runtime: candidates are tried in a worker until one works, once.

use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

use tokio::sync::Mutex;

use super::answer::wrong_answer;
use super::config::{ExecutorConfig, RuntimePreference};
use crate::contain::{Containment, Sandbox};
use crate::job::{Job, Reply, RuntimeChoice, Setup};
use crate::process::Launcher;
use crate::{library, runtime};
use delta_ports::executor::RuntimeInfo;
use delta_ports::{PortError, PortErrorKind};

/// A library that takes longer to load is not used.
const PROBE_TIME: Duration = Duration::from_secs(30);
const OP: &str = "executor.probe";

/// The runtime that was found, and how it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuntimeReport {
    /// Its name, version and library.
    pub info: RuntimeInfo,
    /// The walls around it, tried out.
    pub containment: Containment,
    /// Libraries that were found but could not be used, and why.
    pub skipped: Vec<(PathBuf, String)>,
}

/// A runtime that has worked in a probe, and how to start it again.
#[derive(Debug, Clone)]
pub(super) struct Chosen {
    pub(super) choice: RuntimeChoice,
    pub(super) report: RuntimeReport,
}

/// What the search has found so far. Searches wait for each other; one that finds nothing is repeated by whoever comes next.
#[derive(Default)]
pub(super) struct Search {
    chosen: OnceLock<Chosen>,
    probing: Mutex<()>,
}

impl Search {
    /// The runtime, if it was found before.
    pub(super) fn chosen(&self) -> Option<&Chosen> {
        self.chosen.get()
    }

    /// The runtime to use.
    ///
    /// # Errors
    /// `Unavailable` when none is usable, or the one that the configuration names is not.
    pub(super) async fn choose(&self, config: &ExecutorConfig) -> Result<&Chosen, PortError> {
        let _one_at_a_time = self.probing.lock().await;
        if let Some(chosen) = self.chosen.get() {
            return Ok(chosen);
        }
        let found = search(config).await?;
        Ok(self.chosen.get_or_init(|| found))
    }
}

async fn search(config: &ExecutorConfig) -> Result<Chosen, PortError> {
    let mut skipped = Vec::new();
    if config.runtime != RuntimePreference::Tract {
        for path in candidates(config) {
            let choice = RuntimeChoice::Onnxruntime(path.clone());
            match probe(config, choice, &skipped).await {
                Ok(chosen) => return Ok(chosen),
                // An operator who names a library wants that one or an error.
                Err(error) if config.library.is_some() => {
                    return Err(PortError::new(
                        PortErrorKind::Unavailable,
                        OP,
                        format!("executor.library: {}", error.message()),
                    ));
                }
                Err(error) => skipped.push((path, error.message().to_owned())),
            }
        }
    }
    if config.runtime == RuntimePreference::Onnxruntime || !cfg!(feature = "tract") {
        return Err(runtime::no_runtime().into_port(OP));
    }
    probe(config, RuntimeChoice::Tract, &skipped).await
}

/// How the walls of a worker stand on this machine. Loads no runtime, so it is quick.
///
/// # Errors
/// The worker cannot be started, or cannot limit itself.
pub(super) async fn walls(config: &ExecutorConfig) -> Result<Containment, PortError> {
    let setup = Setup {
        // It tells what is missing, whatever the operator thinks of that.
        sandbox: Sandbox::BestEffort,
        ..config.setup(RuntimeChoice::None, Vec::new())
    };
    let launcher = Launcher {
        time_limit: PROBE_TIME.min(config.time_limit),
        ..config.launcher()
    };
    match launcher.run(OP, &setup, &Job::probe(), Vec::new()).await? {
        (Reply::Walls(containment), _) => Ok(containment),
        _ => Err(wrong_answer(OP)),
    }
}

fn candidates(config: &ExecutorConfig) -> Vec<PathBuf> {
    library::candidates(
        config.library.as_deref(),
        &|name| std::env::var_os(name),
        Some(&config.worker),
    )
}

/// Starts a worker with this runtime. `skipped` are the libraries that were tried before.
async fn probe(
    config: &ExecutorConfig,
    choice: RuntimeChoice,
    skipped: &[(PathBuf, String)],
) -> Result<Chosen, PortError> {
    let setup = config.setup(choice.clone(), Vec::new());
    let launcher = Launcher {
        time_limit: PROBE_TIME.min(config.time_limit),
        ..config.launcher()
    };
    let (reply, _) = launcher.run(OP, &setup, &Job::probe(), Vec::new()).await?;
    let Reply::Probed {
        runtime,
        containment,
    } = reply
    else {
        return Err(wrong_answer(OP));
    };
    Ok(Chosen {
        choice,
        report: RuntimeReport {
            info: runtime,
            containment,
            skipped: skipped.to_vec(),
        },
    })
}
