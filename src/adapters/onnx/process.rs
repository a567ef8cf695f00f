//! The node's side of a worker: start, feed, wait, end, and say in plain words what went wrong.
//!
//! Dropping the future kills the process. Everything the worker says is bounded and may be a lie: it ran somebody else's graph.

use std::convert::Infallible;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::task::JoinError;

use super::failure::{Failure, FailureKind};
use super::frame::{self, Blob, Blobs, Message};
use super::job::{Job, Reply, Setup};
use delta_ports::{PortError, PortErrorKind};

/// Starts workers: what to start, how long it may take (wall time), how long its answer may be.
#[derive(Debug, Clone)]
pub(crate) struct Launcher {
    pub(crate) program: PathBuf,
    pub(crate) time_limit: Duration,
    pub(crate) reply_bytes: u64,
    /// Which limits these are, in messages.
    pub(crate) limits: LimitNames,
}

/// What the limits of a job are called where its author reads of them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LimitNames {
    pub(crate) time: &'static str,
    pub(crate) memory: &'static str,
}

/// How much a pipe holds, in bytes: the most that the kernel gives to anybody.
const PIPE_BYTES: usize = 1 << 20;

/// Elements that are written in one go.
const PART: usize = 64 << 10;

/// Bytes of the standard error kept: its end.
const STDERR_BYTES: usize = 8 << 10;

impl Launcher {
    /// Runs one job in a worker of its own. `blobs` stand in the order that [`Job`] says.
    ///
    /// # Errors
    /// What the worker answers; `Timeout`, `Exhausted` or `Rejected` when it was stopped or crashed, and `Internal` for our own errors.
    pub(crate) async fn run(
        &self,
        op: &'static str,
        setup: &Setup,
        job: &Job,
        blobs: Vec<Blob<'_>>,
    ) -> Result<(Reply, Blobs), PortError> {
        let worker = self.start(op, setup)?;
        self.run_in(op, worker, setup, job, blobs).await
    }

    /// Starts a worker, which is told its setup with its first job, or by [`Worker::ready`].
    ///
    /// # Errors
    /// `Internal`: there is no room or no process for it.
    pub(crate) fn start(&self, op: &'static str, setup: &Setup) -> Result<Worker, PortError> {
        let setup = Message::new(setup, Vec::new()).map_err(|f| f.into_port(op))?;
        // Private (mode 0700), empty, and removed with everything in it when the job is over.
        let folder = tempfile::Builder::new()
            .prefix("delta-worker-")
            .tempdir()
            .map_err(|e| io_error(op, "no folder for a worker", e))?;
        let mut child = self.spawn(folder.path()).map_err(|e| {
            let what = format!("the worker {} cannot be started", self.program.display());
            io_error(op, &what, e)
        })?;
        let (Some(stdin), Some(stdout), Some(stderr)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(internal(op, "a worker without pipes"));
        };
        // Smaller ones carry as well, only slower.
        let _smaller = rustix::pipe::fcntl_setpipe_size(&stdin, PIPE_BYTES);
        let _smaller = rustix::pipe::fcntl_setpipe_size(&stdout, PIPE_BYTES);
        Ok(Worker {
            child,
            stdin,
            stdout,
            stderr,
            setup: Some(setup),
            _folder: folder,
        })
    }

    /// Runs one job in a worker that was started with this setup.
    ///
    /// # Errors
    /// As [`Launcher::run`].
    pub(crate) async fn run_in(
        &self,
        op: &'static str,
        worker: Worker,
        setup: &Setup,
        job: &Job,
        blobs: Vec<Blob<'_>>,
    ) -> Result<(Reply, Blobs), PortError> {
        let Worker {
            mut child,
            stdin,
            stdout,
            stderr,
            setup: untold,
            _folder,
        } = worker;
        let job_message = Message::new(job, blobs).map_err(|f| f.into_port(op))?;
        let messages = untold.into_iter().chain([job_message]);
        let answer = async { tokio::join!(read(stdout, self.reply_bytes), tail(stderr)) };
        let conversation = converse(stdin, messages, answer);
        let Ok((answer, stderr)) = tokio::time::timeout(self.time_limit, conversation).await else {
            // Errors here mean that it ended by itself in the meantime.
            let _gone = child.kill().await;
            return Err(PortError::new(
                PortErrorKind::Timeout,
                op,
                format!(
                    "the task needed more than {} (limit {}); it was stopped",
                    seconds(self.time_limit),
                    self.limits.time
                ),
            ));
        };
        let status = end(op, &mut child).await?;
        match answer.map_err(io::Error::other).flatten() {
            Ok((Reply::Failed(failure), _)) => Err(with_tail(failure, &stderr).into_port(op)),
            Ok(answer) if status.success() => Ok(answer),
            _ => Err(ended(status, &stderr, setup, self.limits).into_port(op)),
        }
    }

    /// Starts the program in `folder`, with three pipes and hardly any environment.
    fn spawn(&self, folder: &Path) -> io::Result<Child> {
        Command::new(&self.program)
            .arg("__worker")
            .env_clear()
            // onnxruntime from 1.31 on reports to its maker unless told not to; the walls stop it too.
            .env("ORT_DISABLE_TELEMETRY", "1")
            // A step frees what the next one allocates: glibc should keep it instead of giving it back and taking it again, page by page.
            .env("MALLOC_MMAP_THRESHOLD_", "33554432")
            .env("MALLOC_TRIM_THRESHOLD_", "268435456")
            // An arena takes address space, which the memory limit counts.
            .env("MALLOC_ARENA_MAX", "2")
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
    }
}

/// A worker without a job. Dropping it kills the process.
pub(crate) struct Worker {
    child: Child,
    stdin: ChildStdin,
    stdout: ChildStdout,
    stderr: ChildStderr,
    /// What it was not told yet.
    setup: Option<Message<'static>>,
    /// Removed with the worker.
    _folder: TempDir,
}

impl Worker {
    /// Tells it its setup, so that it walls itself in and loads the runtime while there is no job.
    ///
    /// # Errors
    /// It has ended.
    pub(crate) async fn ready(&mut self) -> io::Result<()> {
        match self.setup.take() {
            Some(setup) => send(&mut self.stdin, setup).await,
            None => Ok(()),
        }
    }

    /// Whether it still runs.
    pub(crate) fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }
}

/// Sends the messages while the answer is awaited.
async fn converse<'m, T>(
    mut stdin: ChildStdin,
    messages: impl Iterator<Item = Message<'m>>,
    answer: impl Future<Output = T>,
) -> T {
    let feeding = async {
        for message in messages {
            // A worker that ends early closes its end; its answer or its status says why.
            if send(&mut stdin, message).await.is_err() {
                break;
            }
        }
        // Held open until the answer is complete: the worker ends when it closes.
        std::future::pending::<Infallible>().await
    };
    tokio::select! {
        never = feeding => match never {},
        answer = answer => answer,
    }
}

/// Waits for a worker that has answered, a little.
async fn end(op: &'static str, child: &mut Child) -> Result<ExitStatus, PortError> {
    match tokio::time::timeout(Duration::from_secs(5), child.wait()).await {
        Ok(status) => status.map_err(|e| io_error(op, "a worker cannot be waited for", e)),
        Err(_) => {
            let _gone = child.kill().await;
            Err(internal(op, "a worker answered but did not end"))
        }
    }
}

fn internal(op: &'static str, message: &str) -> PortError {
    PortError::new(PortErrorKind::Internal, op, message)
}

/// An I/O error of the node's own.
fn io_error(op: &'static str, what: &str, error: io::Error) -> PortError {
    internal(op, &format!("{what}: {error}")).with_source(error)
}

/// Sends a message; each blob is let go once it has left.
async fn send(to: &mut ChildStdin, message: Message<'_>) -> io::Result<()> {
    to.write_all(&message.start()?).await?;
    let mut part = Vec::new();
    for blob in message.blobs {
        match blob {
            Blob::Bytes(bytes) => to.write_all(&bytes).await?,
            Blob::Tensor(tensor) => {
                to.write_all(&frame::head(&tensor)).await?;
                for at in (0..tensor.len()).step_by(PART) {
                    part.clear();
                    tensor.extend_le_bytes(at..at.saturating_add(PART), &mut part);
                    to.write_all(&part).await?;
                }
            }
        }
    }
    to.flush().await
}

/// The answer, read on a thread for such work: a worker that is killed ends it.
async fn read(from: ChildStdout, max_bytes: u64) -> Result<io::Result<(Reply, Blobs)>, JoinError> {
    tokio::task::spawn_blocking(move || {
        let mut from = File::from(from.into_owned_fd()?);
        frame::read(&mut from, max_bytes)
    })
    .await
}

/// The end of what the worker wrote to its standard error.
async fn tail(mut from: impl AsyncRead + Unpin) -> String {
    let mut kept: Vec<u8> = Vec::new();
    let mut chunk = [0u8; 4096];
    while let Ok(n) = from.read(&mut chunk).await {
        if n == 0 {
            break;
        }
        kept.extend_from_slice(chunk.get(..n).unwrap_or_default());
        let surplus = kept.len().saturating_sub(STDERR_BYTES);
        kept.drain(..surplus);
    }
    String::from_utf8_lossy(&kept).into_owned()
}

/// Internal failures need the panic's text; the others say everything themselves.
fn with_tail(mut failure: Failure, stderr: &str) -> Failure {
    if failure.kind == FailureKind::Internal && !stderr.trim().is_empty() {
        failure.message = format!("{}: {}", failure.message, one_line(stderr));
    }
    failure
}

/// Why a worker ended without an answer.
fn ended(status: ExitStatus, stderr: &str, setup: &Setup, names: LimitNames) -> Failure {
    let memory = || {
        Failure::exhausted(format!(
            "the task needed more than {} of memory (limit {}); it was stopped",
            bytes(setup.limits.memory_bytes),
            names.memory
        ))
    };
    if [
        "memory allocation of",
        "bad_alloc",
        "out of memory",
        "Cannot allocate memory",
    ]
    .iter()
    .any(|m| stderr.contains(m))
    {
        return memory();
    }
    let detail = if stderr.trim().is_empty() {
        String::new()
    } else {
        format!(": {}", one_line(stderr))
    };
    match signal(status) {
        Some(SIGXCPU) => Failure::exhausted(format!(
            "the task needed more than {} s of processor time (limit {}); it was stopped",
            setup.limits.cpu_seconds, names.time
        )),
        // Not ours: the deadline is handled before. The kernel kills so when the machine is out of memory or the hard limit on time is hit.
        Some(SIGKILL) => memory(),
        Some(number) => Failure::rejected(format!(
            "the runtime crashed on the task's graph (signal {number}); nothing else was harmed{detail}"
        )),
        None => Failure::internal(format!(
            "the worker ended without an answer ({status}){detail}"
        )),
    }
}

#[cfg(unix)]
fn signal(status: ExitStatus) -> Option<i32> {
    std::os::unix::process::ExitStatusExt::signal(&status)
}

#[cfg(not(unix))]
fn signal(_: ExitStatus) -> Option<i32> {
    None
}

const SIGKILL: i32 = 9;
const SIGXCPU: i32 = libc::SIGXCPU;

fn one_line(text: &str) -> String {
    let lines: Vec<&str> = text
        .lines()
        .map(str::trim)
        .filter(|l| !l.is_empty())
        .collect();
    let start = lines.len().saturating_sub(6);
    lines
        .get(start..)
        .unwrap_or_default()
        .join(" | ")
        .chars()
        .filter(|c| !c.is_control())
        .take(1500)
        .collect()
}

/// A duration as people say it.
fn seconds(limit: Duration) -> String {
    if limit.as_millis().is_multiple_of(1000) {
        format!("{} s", limit.as_secs())
    } else {
        format!("{} ms", limit.as_millis())
    }
}

/// A size as people say it.
fn bytes(n: u64) -> String {
    match n {
        n if n >= 1 << 30 && n.is_multiple_of(1 << 30) => format!("{} GiB", n >> 30),
        n if n >= 1 << 20 => format!("{} MiB", n >> 20),
        n => format!("{n} bytes"),
    }
}
