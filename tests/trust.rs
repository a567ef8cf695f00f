//! `docs/trust.md`, typed: every command of the page, in its order, on real processes.
//!
//! A block ```` ```sh WHO ```` runs in WHO's folder (`each`: in all three; nobody: in the folder above). `background` starts what goes on
//! until the end; a second one of the same WHO first ends the one before, as Ctrl-C does, and so does `stop`. A ```` ```text ```` block
//! after it is what its output must contain: these lines, in this order, `...` standing for anything. Ports are replaced by free ones.

#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]
#![allow(
    clippy::print_stderr,
    reason = "a failed test shows what its nodes logged"
)]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::net::TcpListener;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

const PAGE: &str = include_str!("../docs/trust.md");
const PORTS: [&str; 7] = ["4500", "6701", "6702", "6703", "6711", "6712", "6713"];
const THREE: [&str; 3] = ["st-mary", "st-john", "university"];
/// How long a block, or the end of a node, may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// Log lines of each node that a failed test shows.
const SHOWN: usize = 30;

#[test]
fn every_command_of_the_page_does_what_the_page_says() {
    let blocks = blocks(&with_free_ports(PAGE));
    assert!(blocks.len() > 40, "the page is read: {}", blocks.len());
    let mut stage = Stage {
        home: tempfile::tempdir().unwrap(),
        running: BTreeMap::new(),
    };
    for block in &blocks {
        stage.play(block);
    }
}

/// Commands of the page, and what they print.
struct Block {
    line: usize,
    who: String,
    background: bool,
    stop: bool,
    text: String,
    expected: Vec<String>,
}

fn blocks(page: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut lines = page.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        let Some(info) = line.strip_prefix("```") else {
            continue;
        };
        let content: Vec<&str> = lines
            .by_ref()
            .map(|(_, line)| line)
            .take_while(|line| *line != "```")
            .collect();
        let mut words = info.split(' ');
        match words.next() {
            Some("sh") => {
                let words: Vec<&str> = words.collect();
                let is = |word| words.contains(&word);
                blocks.push(Block {
                    line: number + 1,
                    who: words.first().copied().unwrap_or(".").to_owned(),
                    background: is("background"),
                    stop: is("stop"),
                    text: content.join("\n"),
                    expected: Vec::new(),
                });
            }
            Some("text") => {
                let before = blocks.last_mut().unwrap();
                assert!(
                    before.expected.is_empty() && !before.background,
                    "line {}: this text is nobody's output",
                    number + 1
                );
                before.expected = content.iter().map(|l| l.trim().to_owned()).collect();
            }
            _ => panic!("line {}: what is ```{info}?", number + 1),
        }
    }
    blocks
}

/// Numbers that are ports of the page become ports that are free.
fn with_free_ports(page: &str) -> String {
    let listeners = PORTS.map(|_| TcpListener::bind("127.0.0.1:0").unwrap());
    let free: BTreeMap<&str, u16> = PORTS
        .into_iter()
        .zip(listeners.iter().map(|l| l.local_addr().unwrap().port()))
        .collect();
    let mut out = String::new();
    let mut rest = page;
    while let Some(start) = rest.find(|c: char| c.is_ascii_digit()) {
        let (before, from) = rest.split_at(start);
        let end = from.find(|c: char| !c.is_ascii_digit());
        let (number, after) = from.split_at(end.unwrap_or(from.len()));
        out.push_str(before);
        match free.get(number) {
            Some(port) => write!(out, "{port}").unwrap(),
            None => out.push_str(number),
        }
        rest = after;
    }
    out + rest
}

/// Whether `line` is `pattern`, in which `...` stands for anything.
fn fits(line: &str, pattern: &str) -> bool {
    let mut pieces = pattern.split("...");
    let Some(mut rest) = line.strip_prefix(pieces.next().unwrap_or_default()) else {
        return false;
    };
    let mut last = None;
    for piece in pieces {
        let Some(at) = rest.find(piece) else {
            return false;
        };
        rest = &rest[at + piece.len()..];
        last = Some(piece);
    }
    // After a last `...` anything may come; a last piece is the end of the line.
    rest.is_empty() || last == Some("") || last.is_some_and(|piece| rest.ends_with(piece))
}

/// The first of `expected` that `output` does not have, in this order.
fn missing<'a>(output: &str, expected: &'a [String]) -> Option<&'a str> {
    let mut lines = output.lines().map(str::trim);
    expected
        .iter()
        .map(String::as_str)
        .find(|pattern| !lines.any(|line| fits(line, pattern)))
}

/// Three folders, and the nodes that run in them.
struct Stage {
    home: tempfile::TempDir,
    running: BTreeMap<String, Child>,
}

impl Stage {
    fn play(&mut self, block: &Block) {
        if block.background || block.stop {
            self.end(block);
        }
        if block.background {
            let log = File::options()
                .create(true)
                .append(true)
                .open(self.folder(&block.who).join("run.log"))
                .unwrap();
            let child = self
                .bash(&block.who, &format!("exec {}", block.text))
                .process_group(0)
                .stdout(log.try_clone().unwrap())
                .stderr(log)
                .spawn()
                .unwrap();
            self.running.insert(block.who.clone(), child);
            return;
        }
        let everybody = match block.who.as_str() {
            "each" => THREE.to_vec(),
            who => vec![who],
        };
        for who in everybody {
            let output = self
                .bash(who, &format!("exec 2>&1\n{}", block.text))
                .output()
                .unwrap();
            let said = String::from_utf8_lossy(&output.stdout);
            let wrong = match missing(&said, &block.expected) {
                _ if !output.status.success() => output.status.to_string(),
                Some(line) => format!("it does not say: {line}"),
                None => continue,
            };
            panic!(
                "docs/trust.md:{}, {who}: {wrong}\n{}\n--- it said ---\n{said}",
                block.line, block.text
            );
        }
    }

    fn folder(&self, who: &str) -> PathBuf {
        self.home.path().join(who)
    }

    /// bash with `delta-node` on its path, which stops at the first command that fails, and after a while in any case.
    fn bash(&self, who: &str, text: &str) -> Command {
        let program = Path::new(env!("CARGO_BIN_EXE_delta-node"));
        let mut path = vec![program.parent().unwrap().to_owned()];
        path.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap()));
        let mut command = match text.starts_with("exec delta-node") {
            true => Command::new("bash"),
            false => {
                let mut bounded = Command::new("timeout");
                bounded.arg(PATIENCE.as_secs().to_string()).arg("bash");
                bounded
            }
        };
        command
            .args(["-e", "-u", "-o", "pipefail", "-c", text])
            .current_dir(self.folder(who))
            .stdin(Stdio::null())
            .env("PATH", std::env::join_paths(path).unwrap())
            .env("DELTA_SOURCE", env!("CARGO_MANIFEST_DIR"))
            .env_remove("RUST_LOG");
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("DELTA_NODE_") {
                command.env_remove(name);
            }
        }
        command
    }

    /// Ctrl-C for the node that runs there, if one does; it must end well.
    fn end(&mut self, block: &Block) {
        let Some(child) = self.running.get_mut(&block.who) else {
            assert!(!block.stop, "docs/trust.md:{}: nothing runs", block.line);
            return;
        };
        kill_process(Pid::from_child(child), Signal::INT).unwrap();
        let status = ended(child);
        self.running.remove(&block.who);
        assert!(
            status.is_some_and(|s| s.success()),
            "docs/trust.md:{}, {}: {status:?} after Ctrl-C",
            block.line,
            block.who
        );
    }
}

fn ended(child: &mut Child) -> Option<ExitStatus> {
    let end = Instant::now() + PATIENCE;
    while Instant::now() < end {
        if let Some(status) = child.try_wait().unwrap() {
            return Some(status);
        }
        #[expect(
            clippy::disallowed_methods,
            reason = "a bounded wait for another process"
        )]
        std::thread::sleep(Duration::from_millis(10));
    }
    None
}

impl Drop for Stage {
    fn drop(&mut self) {
        for child in self.running.values_mut() {
            // With its workers. It may have ended by itself.
            kill_process_group(Pid::from_child(child), Signal::KILL).ok();
            child.wait().ok();
        }
        if std::thread::panicking() {
            for who in THREE {
                let log = fs::read_to_string(self.folder(who).join("run.log"));
                let log = log.unwrap_or_default();
                let lines: Vec<&str> = log.lines().collect();
                let from = lines.len().saturating_sub(SHOWN);
                eprintln!("--- the last of {who} ---\n{}", lines[from..].join("\n"));
            }
        }
    }
}

#[test]
fn patterns_are_lines_with_gaps() {
    assert!(fits("ok   tls: x", "ok   tls: x"));
    assert!(!fits("ok   tls: x", "ok   tls"));
    assert!(fits("made a (b); c", "made ... (b); ..."));
    assert!(fits("1 said mean 5 and 7", "... mean ... 7"));
    assert!(!fits("mean 5", "... mean ... 7"));
    assert!(!fits("wait", "...no"));
    let expected = ["b".to_owned(), "a".to_owned()];
    assert_eq!(missing("a\n b\nx\na", &expected), None);
    assert_eq!(missing("a\nb", &expected), Some("a"));
}
