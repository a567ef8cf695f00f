//! `demo`: a whole network on this machine, with real gRPC, HTTP and databases, that trains a model and loses a member on the way;
//! with `--privacy` one whose owners have rules.
//!
//! Every node has an async runtime of its own; killing a member is stopping its runtime between two instructions.

mod args;
mod follow;
mod keep;
mod plot;
mod privacy;
mod screen;
mod summary;
mod training;

use std::io::IsTerminal as _;

use anyhow::Context as _;

use super::log;
use screen::Screen;

pub(crate) use args::DemoArgs;

/// Runs the demonstration. `stop` is called when the network shall run until something ends it; its future gives that thing's name.
///
/// # Errors
/// Whatever did not go as it should: the exit code is then not zero.
pub(crate) async fn run<F: Future<Output = &'static str>>(
    args: DemoArgs,
    stop: impl FnOnce() -> anyhow::Result<F>,
) -> anyhow::Result<()> {
    let mut folder = tempfile::Builder::new()
        .prefix("delta-demo-")
        .tempdir()
        .context("no temporary directory")?;
    folder.disable_cleanup(args.keep || args.keep_files);
    log::into_file(&folder.path().join("demo.log"))?;
    let show = Screen {
        json: args.json,
        live: std::io::stdout().is_terminal() && !args.json,
    };
    if args.keep {
        return keep::run(&args, folder.path(), &show, stop()?).await;
    }
    if args.privacy {
        return privacy::run(&args, folder.path(), &show).await;
    }
    training::run(&args, folder.path(), &show).await
}
