//! A connector and nodes as processes: started, watched through their logs, killed, and never left behind.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use crate::{http, task};

/// How long anything may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// Worlds at the same time: more would only wait for the processors.
const WORLDS: usize = 3;
/// Log lines of each process that a failed test shows.
const SHOWN: usize = 60;

static BUSY: (Mutex<usize>, Condvar) = (Mutex::new(0), Condvar::new());
static PORTS: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());

/// A failed test must not fail the others.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A port that nobody listens on and that no other test was given.
pub(crate) fn free_port() -> u16 {
    loop {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        if lock(&PORTS).insert(port) {
            return port;
        }
    }
}

/// Asks until the answer is yes.
pub(crate) fn wait_until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(
            Instant::now() < end,
            "waited {PATIENCE:?} in vain for: {what}"
        );
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

/// What is special about a node.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Usual,
    /// `policy.accept: false`
    Refusing,
    /// An empty data folder.
    WithoutData,
}

/// The original's configuration file, and what loopback needs.
pub(crate) fn config(name: &str, connector: u16, port: u16, accept: bool) -> String {
    format!(
        r#"---
log:
  level: "INFO"
  dir: "logs"

db: "sqlite+aiosqlite:///db/delta.db"

chain_connector:
  host: "127.0.0.1"
  port: {connector}
  heartbeat: 2
  retry: 3

node:
  name: "{name}"
  url: "http://127.0.0.1:{port}"

zk:
  host: ""
  port: 3400

api_port: {port}

task_dir: "task"

data_dir: "data"

api_host: "127.0.0.1"
policy:
  allow_private_addresses: true
  accept: {accept}
executor:
  threads: 1
"#
    )
}

/// One place on the machine for one more world, given back when dropped.
pub(crate) struct Turn(());

impl Turn {
    pub(crate) fn take() -> Self {
        let (count, freed) = &BUSY;
        let mut count = lock(count);
        while *count >= WORLDS {
            count = freed.wait(count).unwrap_or_else(PoisonError::into_inner);
        }
        *count += 1;
        Self(())
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        *lock(&BUSY.0) -= 1;
        BUSY.1.notify_one();
    }
}

/// A network. Node 0 is the coordinator of every task.
pub(crate) struct World {
    pub(crate) nodes: Vec<Daemon>,
    pub(crate) ports: Vec<u16>,
    pub(crate) connector: Daemon,
    pub(crate) connector_port: u16,
    pub(crate) folder: tempfile::TempDir,
    _turn: Turn,
}

impl World {
    /// Three usual nodes, ready.
    pub(crate) fn new() -> Self {
        Self::of(&[Kind::Usual; 3])
    }

    pub(crate) fn of(kinds: &[Kind]) -> Self {
        let turn = Turn::take();
        let folder = tempfile::tempdir().unwrap();
        let connector_port = free_port();
        let home = folder.path().join("connector");
        std::fs::create_dir_all(&home).unwrap();
        let text = format!("connector:\n  host: 127.0.0.1\n  port: {connector_port}\n");
        std::fs::write(home.join("config.yaml"), text).unwrap();
        let connector = Daemon::start("connector", &home, "connector");
        connector.wait_for(0, &["the connector listens"]);
        let ports: Vec<u16> = kinds.iter().map(|_| free_port()).collect();
        let mut nodes = Vec::new();
        for (index, kind) in kinds.iter().enumerate() {
            let name = format!("node-{index}");
            let home = folder.path().join(&name);
            std::fs::create_dir_all(home.join("data")).unwrap();
            if *kind != Kind::WithoutData {
                for (file, text) in task::data(index) {
                    std::fs::write(home.join("data").join(file), text).unwrap();
                }
            }
            let accept = *kind != Kind::Refusing;
            let text = config(&name, connector_port, ports[index], accept);
            std::fs::write(home.join("config.yaml"), text).unwrap();
            nodes.push(Daemon::start(&name, &home, "run"));
        }
        let world = Self {
            nodes,
            ports,
            connector,
            connector_port,
            folder,
            _turn: turn,
        };
        for index in 0..kinds.len() {
            world.wait_ready(index);
        }
        world
    }

    pub(crate) fn home(&self, node: usize) -> PathBuf {
        self.folder.path().join(format!("node-{node}"))
    }

    pub(crate) fn wait_ready(&self, node: usize) {
        wait_until(&format!("node {node} to be ready"), || {
            http::get(self.ports[node], "/readyz")
                .ok()
                .filter(|reply| reply.status == 200)
        });
    }

    pub(crate) fn get(&self, node: usize, path: &str) -> http::Reply {
        http::get(self.ports[node], path)
            .unwrap_or_else(|e| panic!("node {node} does not answer {path}: {e}"))
    }

    /// Submits to the coordinator.
    pub(crate) fn submit(&self, bundle: &[u8]) -> u64 {
        let reply = http::upload(self.ports[0], "/v1/task", bundle).unwrap();
        assert_eq!(reply.status, 200, "{}", reply.text());
        reply.json()["task_id"].as_u64().unwrap()
    }

    /// The network's address of a node.
    pub(crate) fn address(&self, node: usize) -> String {
        let url = format!("http://127.0.0.1:{}", self.ports[node]);
        let page = self.get(0, "/v1/nodes?page=1&page_size=100").json();
        let nodes = page["nodes"].as_array().unwrap();
        let found = nodes.iter().find(|n| n["url"] == url.as_str());
        found.unwrap_or_else(|| panic!("{url} is not in {page}"))["id"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    pub(crate) fn is_listed(&self, asked: usize, node: usize) -> bool {
        let page = self.get(asked, "/v1/nodes?page=1&page_size=100").text();
        page.contains(&format!("http://127.0.0.1:{}\"", self.ports[node]))
    }

    pub(crate) fn messages(&self, id: u64) -> Vec<String> {
        let page = self.get(0, &format!("/v1/task/logs?task_id={id}&start=0&limit=1000"));
        page.json()
            .as_array()
            .unwrap()
            .iter()
            .map(|line| line["message"].as_str().unwrap().to_owned())
            .collect()
    }

    /// Waits for the task to finish and fetches what came out.
    pub(crate) fn result(&self, id: u64) -> Vec<u8> {
        wait_until(&format!("task {id} to finish"), || {
            // The coordinator may be starting.
            let reply = http::get(self.ports[0], &format!("/v1/task/status?task_id={id}")).ok()?;
            let status = reply.json()["status"].as_u64();
            assert_ne!(
                status,
                Some(3),
                "task {id} failed: {:#?}",
                self.messages(id)
            );
            (status == Some(2)).then_some(())
        });
        let reply = self.get(0, &format!("/v1/task/result?task_id={id}"));
        assert_eq!(reply.status, 200, "{}", reply.text());
        reply.body
    }

    /// Runs `delta-node ARGS` to its end, as a person beside node 0 would.
    pub(crate) fn cli(&self, args: &[&str]) -> Output {
        run(&self.home(0), args)
    }
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
        std::thread::sleep(Duration::from_millis(10));
    }
    daemon.wait_with_output().unwrap()
}
