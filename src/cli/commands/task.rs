//! `task ...`, `cancel` and `leave TASK`: a client of a node's HTTP API.

use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use futures_util::StreamExt as _;

use crate::bootstrap::{self, LogLine, UserClient};
use crate::config::Config;
use delta_domain::bundle::{Bundle, BundleLimits};
use delta_domain::ids::TaskId;
use delta_ports::PortError;
use delta_ports::executor::Whose;

/// How often `logs --follow` asks for more.
const FOLLOW_EVERY: Duration = Duration::from_millis(500);

/// `task submit`
///
/// # Errors
/// The node's refusal, or that it cannot be reached.
pub(in crate::cli) async fn submit(node: &UserClient, bundle: &Path) -> anyhow::Result<()> {
    let bytes =
        std::fs::read(bundle).with_context(|| format!("{} cannot be read", bundle.display()))?;
    let id = node.submit(&bytes).await.map_err(plain)?;
    say(&format!(
        "task {id} is submitted; follow it with: delta-node task logs {id} --follow"
    ))
}

/// `task status`
///
/// # Errors
/// The node's refusal, or that it cannot be reached.
pub(in crate::cli) async fn status(node: &UserClient, id: u64) -> anyhow::Result<()> {
    let task = node.task(id).await.map_err(plain)?;
    say(&format!(
        "task {} ({}, {}): {}",
        task.id, task.name, task.kind, task.status
    ))
}

/// `cancel`
///
/// # Errors
/// The node's refusal, or that it cannot be reached.
pub(in crate::cli) async fn cancel(node: &UserClient, id: u64) -> anyhow::Result<()> {
    let task = node.cancel(id).await.map_err(plain)?;
    say(&format!("task {} ({}) is cancelled", task.id, task.name))
}

/// `leave TASK`
///
/// # Errors
/// The node's refusal, or that it cannot be reached.
pub(in crate::cli) async fn leave(node: &UserClient, task: &TaskId) -> anyhow::Result<()> {
    node.leave_task(task).await.map_err(plain)?;
    say(&format!("this node has left task {task}"))
}

/// `task logs`
///
/// # Errors
/// The node's refusal, or that it cannot be reached.
pub(in crate::cli) async fn logs(node: &UserClient, id: u64, follow: bool) -> anyhow::Result<()> {
    let mut next = 0;
    loop {
        // The status first: what is logged before the end is then certainly read below.
        let ended = !matches!(
            node.task(id).await.map_err(plain)?.status.as_str(),
            "PENDING" | "RUNNING"
        );
        loop {
            let lines = node.logs(id, next).await.map_err(plain)?;
            for line in &lines {
                say(&show(line))?;
                next = line.id + 1;
            }
            if lines.is_empty() {
                break;
            }
        }
        if !follow || ended {
            return Ok(());
        }
        tokio::time::sleep(FOLLOW_EVERY).await;
    }
}

/// `task result`
///
/// # Errors
/// The node's refusal, that it cannot be reached, or that the file cannot be written.
pub(in crate::cli) async fn result(
    node: &UserClient,
    id: u64,
    output: &Path,
) -> anyhow::Result<()> {
    let mut content = Box::pin(node.result(id).await.map_err(plain)?);
    let folder = output
        .parent()
        .filter(|p| !p.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder)
        .with_context(|| format!("{} cannot be written", folder.display()))?;
    let mut bytes = 0;
    while let Some(piece) = content.next().await {
        let piece = piece?;
        bytes += piece.len();
        file.write_all(&piece)
            .with_context(|| format!("{} cannot be written", output.display()))?;
    }
    file.persist(output)
        .with_context(|| format!("{} cannot be written", output.display()))?;
    say(&format!(
        "{bytes} bytes written to {} (numpy.load reads it)",
        output.display()
    ))
}

/// `task inspect`
///
/// # Errors
/// What is wrong with the bundle.
pub(in crate::cli) fn inspect(bundle: &Path) -> anyhow::Result<()> {
    let bytes =
        std::fs::read(bundle).with_context(|| format!("{} cannot be read", bundle.display()))?;
    let opened = Bundle::open(&bytes, &BundleLimits::default())
        .with_context(|| format!("{} is no task", bundle.display()))?;
    for line in opened.manifest().disclosure() {
        say(&line)?;
    }
    say(&format!("commitment: {}", opened.commitment()))?;
    let mut problems: Vec<String> = opened
        .manifest()
        .errors()
        .iter()
        .map(ToString::to_string)
        .collect();
    let executor = bootstrap::executor(&Config::default(), bootstrap::own_program()?);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    if let Err(e) = runtime.block_on(executor.port().check_graphs(&Arc::new(opened), Whose::Own)) {
        problems.push(e.message().to_owned());
    }
    if problems.is_empty() {
        return say("the graphs pass the check that every node makes");
    }
    bail!("nodes will refuse this task:\n  {}", problems.join("\n  "))
}

/// The node's own sentence, without the names of our calls and libraries.
pub(super) fn plain(error: PortError) -> anyhow::Error {
    anyhow::Error::msg(error.message().to_owned())
}

fn show(line: &LogLine) -> String {
    let tx = line
        .tx_hash
        .as_ref()
        .map(|tx| format!("  tx {tx}"))
        .unwrap_or_default();
    format!(
        "{:>6}  {}  {}{tx}",
        line.id,
        utc(line.created_at),
        line.message
    )
}

/// Unix milliseconds as `HH:MM:SS.mmm` UTC.
fn utc(ms: u64) -> String {
    let seconds = ms / 1000 % 86_400;
    format!(
        "{:02}:{:02}:{:02}.{:03}",
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60,
        ms % 1000
    )
}

pub(super) fn say(line: &str) -> anyhow::Result<()> {
    writeln!(std::io::stdout(), "{line}").context("the output is closed")
}
