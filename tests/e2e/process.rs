//! One `delta-node` process: started, watched through its log, signalled, and never left behind.

use std::io::{BufRead as _, BufReader};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

/// How long anything may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// Log lines of each process that a failed test shows.
const SHOWN: usize = 60;

/// A failed test must not fail the others.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Asks until the answer is yes.
pub(crate) fn wait_until<T>(what: &str, ask: impl FnMut() -> Option<T>) -> T {
    wait_until_or(what, ask, String::new)
}

/// The same; `told` says what there was instead.
pub(crate) fn wait_until_or<T>(
    what: &str,
    mut ask: impl FnMut() -> Option<T>,
    told: impl Fn() -> String,
) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(
            Instant::now() < end,
            "waited {PATIENCE:?} in vain for: {what} {}",
            told()
        );
        #[expect(
            clippy::disallowed_methods,
            reason = "a bounded wait for another process, which says what it waits for"
        )]
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// What a process has said, over all its lives.
#[derive(Default)]
struct Said {
    words: Mutex<Words>,
    more: Condvar,
}

#[derive(Default)]
struct Words {
    lines: Vec<String>,
    life: u32,
    /// The process of this life has closed its output.
    over: bool,
}

/// `delta-node` with a command that goes on until it is stopped.
pub(crate) struct Daemon {
    pub(crate) name: String,
    home: PathBuf,
    command: &'static str,
    said: Arc<Said>,
    child: Option<Child>,
}

impl Daemon {
    pub(crate) fn start(name: &str, home: &Path, command: &'static str) -> Self {
        let mut daemon = Self {
            name: name.into(),
            home: home.into(),
            command,
            said: Arc::default(),
            child: None,
        };
        daemon.restart();
        daemon
    }

    pub(crate) fn restart(&mut self) {
        assert!(self.child.is_none(), "{} runs", self.name);
        let mut child = program(&self.home)
            .args(["--config", "config.yaml", self.command])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let said = self.said.clone();
        let life = {
            let mut words = lock(&said.words);
            words.life += 1;
            words.over = false;
            words.life
        };
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                lock(&said.words).lines.push(line);
                said.more.notify_all();
            }
            let mut words = lock(&said.words);
            words.over |= words.life == life;
            said.more.notify_all();
        });
        self.child = Some(child);
    }

    fn pid(&self) -> Pid {
        Pid::from_child(self.child.as_ref().unwrap())
    }

    /// SIGKILL, to the daemon alone: its workers must notice by themselves. Gives its process group.
    pub(crate) fn kill(&mut self) -> u32 {
        let mut child = self.child.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        lock(&self.said.words).lines.push("-- killed --".into());
        child.id()
    }

    /// The process group of the daemon and its workers.
    pub(crate) fn group(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    pub(crate) fn freeze(&self) {
        kill_process(self.pid(), Signal::STOP).unwrap();
    }

    pub(crate) fn thaw(&self) {
        kill_process(self.pid(), Signal::CONT).unwrap();
    }

    /// SIGTERM, and how it went.
    pub(crate) fn terminate(&mut self) -> (ExitStatus, Duration) {
        let since = Instant::now();
        kill_process(self.pid(), Signal::TERM).unwrap();
        let status = self.ended();
        (status, since.elapsed())
    }

    /// Waits for the process to end by itself.
    pub(crate) fn ended(&mut self) -> ExitStatus {
        let what = format!("the end of {}", self.name);
        let mut child = self.child.take().unwrap();
        let status = wait_until(&what, || child.try_wait().unwrap());
        lock(&self.said.words).lines.push(format!("-- {status} --"));
        status
    }

    pub(crate) fn is_alive(&mut self) -> bool {
        self.child
            .as_mut()
            .is_some_and(|c| c.try_wait().unwrap().is_none())
    }

    pub(crate) fn log(&self) -> Vec<String> {
        lock(&self.said.words).lines.clone()
    }

    /// Returns as soon as a line has all of `words`, looking from line `from` on; gives the number of the line after it.
    pub(crate) fn wait_for(&self, from: usize, words: &[&str]) -> usize {
        let end = Instant::now() + PATIENCE;
        let mut said = lock(&self.said.words);
        let mut next = from;
        loop {
            while let Some(line) = said.lines.get(next) {
                next += 1;
                if words.iter().all(|w| line.contains(w)) {
                    return next;
                }
            }
            let left = end.saturating_duration_since(Instant::now());
            if said.over || left.is_zero() {
                let why = if said.over {
                    "it has ended"
                } else {
                    "time is up"
                };
                drop(said);
                panic!("waited in vain for {words:?} from {}: {why}", self.name);
            }
            said = self
                .said
                .more
                .wait_timeout(said, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // With its workers, frozen or not. It may have ended by itself.
            kill_process_group(Pid::from_child(&child), Signal::KILL).ok();
            child.wait().ok();
        }
        if std::thread::panicking() {
            let log = self.log();
            let from = log.len().saturating_sub(SHOWN);
            eprintln!(
                "--- the last of {} ---\n{}",
                self.name,
                log[from..].join("\n")
            );
        }
    }
}

/// Processes of a group that are not yet dead.
pub(crate) fn living(group: u32) -> usize {
    std::fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| std::fs::read_to_string(entry.ok()?.path().join("stat")).ok())
        .filter(|stat| {
            // After the name, which may contain anything: state, parent, group.
            let mut fields = stat.rsplit(')').next().unwrap_or("").split_whitespace();
            let state = fields.next();
            state != Some("Z") && fields.nth(1) == Some(&group.to_string())
        })
        .count()
}

/// `delta-node`, free of this process's own settings.
fn program(home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_delta-node"));
    command.current_dir(home).env_remove("RUST_LOG");
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("DELTA_NODE_") {
            command.env_remove(name);
        }
    }
    command
}

/// Runs `delta-node ARGS` in a folder.
pub(crate) fn run(home: &Path, args: &[&str]) -> Output {
    let mut daemon = program(home)
        .env("DELTA_NODE_CONFIG", "config.yaml")
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let end = Instant::now() + PATIENCE;
    // What these commands print fits into a pipe.
    while daemon.try_wait().unwrap().is_none() {
        if Instant::now() > end {
            daemon.kill().unwrap();
            panic!("waited {PATIENCE:?} in vain for the end of {args:?}");
        }
        #[expect(
            clippy::disallowed_methods,
            reason = "a bounded wait for another process, which says what it waits for"
        )]
        std::thread::sleep(Duration::from_millis(10));
    }
    daemon.wait_with_output().unwrap()
}
