//! The commands that need the whole node. The command line calls these and nothing deeper.

use std::process::ExitCode;

use anyhow::bail;

use super::check::Finding;
use super::cli::DemoArgs;
use super::config::Config;

const NOT_YET: &str = "this command is not built into this program yet";

/// `run`: takes part in the network until SIGTERM or SIGINT.
///
/// # Errors
/// What stopped the node.
pub async fn run(_config: Config) -> anyhow::Result<()> {
    bail!(NOT_YET)
}

/// `leave`: tells the connector that this node is gone.
///
/// # Errors
/// The connector's refusal, or that it cannot be reached.
pub async fn leave(_config: Config) -> anyhow::Result<()> {
    bail!(NOT_YET)
}

/// `connector`: serves the embedded connector until SIGTERM or SIGINT.
///
/// # Errors
/// What stopped it.
pub async fn connector(_config: Config) -> anyhow::Result<()> {
    bail!(NOT_YET)
}

/// `demo`: a whole network on this machine.
///
/// # Errors
/// What went wrong in it.
pub async fn demo(_args: DemoArgs) -> anyhow::Result<()> {
    bail!(NOT_YET)
}

/// The part of `check` that needs adapters: connector, database, executor, datasets.
pub async fn probes(_config: &Config) -> Vec<Finding> {
    Vec::new()
}

/// `__worker`: the contained process that runs graphs, driven over its standard input and output.
#[cfg(feature = "adapter-onnx")]
#[must_use]
pub fn worker() -> ExitCode {
    crate::adapters::onnx::worker_main()
}

/// `__worker`, where the executor is not part of the program.
#[cfg(not(feature = "adapter-onnx"))]
#[must_use]
pub fn worker() -> ExitCode {
    ExitCode::FAILURE
}

/// `task ...`: a client of a node's HTTP API. `node` is its URL without a slash at the end.
pub mod task {
    use std::path::Path;

    use anyhow::bail;

    use super::NOT_YET;

    /// `task submit`
    ///
    /// # Errors
    /// The node's refusal, or that it cannot be reached.
    pub async fn submit(_node: &str, _bundle: &Path) -> anyhow::Result<()> {
        bail!(NOT_YET)
    }

    /// `task status`
    ///
    /// # Errors
    /// The node's refusal, or that it cannot be reached.
    pub async fn status(_node: &str, _id: u64) -> anyhow::Result<()> {
        bail!(NOT_YET)
    }

    /// `task logs`
    ///
    /// # Errors
    /// The node's refusal, or that it cannot be reached.
    pub async fn logs(_node: &str, _id: u64, _follow: bool) -> anyhow::Result<()> {
        bail!(NOT_YET)
    }

    /// `task result`
    ///
    /// # Errors
    /// The node's refusal, that it cannot be reached, or that the file cannot be written.
    pub async fn result(_node: &str, _id: u64, _output: &Path) -> anyhow::Result<()> {
        bail!(NOT_YET)
    }

    /// `task inspect`
    ///
    /// # Errors
    /// What is wrong with the bundle.
    pub fn inspect(_bundle: &Path) -> anyhow::Result<()> {
        bail!(NOT_YET)
    }
}
