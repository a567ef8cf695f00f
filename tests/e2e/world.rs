//! A network: a connector and nodes on free loopback ports, and what their API says.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Output;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use crate::process::{Daemon, lock, run, wait_until};
use crate::{http, task};

/// Worlds at the same time: more would only wait for the processors.
const WORLDS: usize = 3;
static BUSY: (Mutex<usize>, Condvar) = (Mutex::new(0), Condvar::new());
static PORTS: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());

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
  level: "DEBUG"
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
    _owners: Owners,
    _turn: Turn,
}

/// Whoever answers for the nodes' data: allows every task that waits, as with `approvals allow`.
struct Owners(Arc<AtomicBool>);

impl Owners {
    /// Of the nodes at these ports, for as long as this value lives.
    fn agreeing(ports: Vec<u16>) -> Self {
        let gone = Arc::new(AtomicBool::new(false));
        let left = gone.clone();
        drop(std::thread::spawn(move || {
            while !left.load(Ordering::Relaxed) {
                // A node may be down: that is what these tests are about.
                ports.iter().for_each(|port| drop(allow_all(*port)));
                #[expect(clippy::disallowed_methods, reason = "a pause on a thread of its own")]
                std::thread::sleep(Duration::from_millis(50));
            }
        }));
        Self(gone)
    }
}

impl Drop for Owners {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn allow_all(port: u16) -> std::io::Result<()> {
    let list = http::get(port, "/v1/approvals")?;
    let list: serde_json::Value = serde_json::from_slice(&list.body)?;
    let tasks = list["tasks"].as_array().into_iter().flatten();
    for task in tasks.filter(|task| task["waits"] == true) {
        let word = serde_json::json!({
            "task_id": task["task"], "decision": "allow", "scope": "once",
        });
        let word = word.to_string();
        http::send(
            port,
            "POST",
            "/v1/approvals",
            "application/json",
            word.as_bytes(),
        )?;
    }
    Ok(())
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
        let owners = Owners::agreeing(ports.clone());
        let world = Self {
            nodes,
            ports,
            connector,
            connector_port,
            folder,
            _owners: owners,
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
            // Finished, or certified as well.
            matches!(status, Some(2 | 4)).then_some(())
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
