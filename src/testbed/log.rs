//! Logs of whole networks are long: they go into a file, where someone may look.

use std::path::Path;
use std::sync::Mutex;

use anyhow::Context as _;

/// From now on this process logs into `file`, from INFO up.
pub(super) fn into_file(file: &Path) -> anyhow::Result<()> {
    let log = std::fs::File::create(file).context("the log cannot be written")?;
    // A second initialisation (in tests) keeps the first: nothing is lost but the place of the log.
    drop(
        tracing_subscriber::fmt()
            .with_writer(Mutex::new(log))
            .with_ansi(false)
            .with_env_filter("info")
            .try_init(),
    );
    Ok(())
}
