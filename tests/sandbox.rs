//! The walls around workers fail closed, and what a node writes is its owner's alone.

#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

use std::fs;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

const PROGRAM: &str = env!("CARGO_BIN_EXE_delta-node");

/// A folder with a configuration: a network of one node, on free ports.
fn home(sandbox: &str) -> tempfile::TempDir {
    let home = tempfile::tempdir().unwrap();
    let port = || {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().port()
    };
    let (api, connector) = (port(), port());
    fs::write(
        home.path().join("config.yaml"),
        format!(
            "chain_connector: {{host: embedded}}\napi_host: 127.0.0.1\napi_port: {api}\n\
             connector: {{host: 127.0.0.1, port: {connector}}}\nexecutor: {{sandbox: {sandbox}}}\n"
        ),
    )
    .unwrap();
    assert!(
        command(home.path(), "init")
            .output()
            .unwrap()
            .status
            .success()
    );
    home
}

fn command(home: &Path, word: &str) -> Command {
    let mut command = Command::new(PROGRAM);
    command
        .args(["--config", "config.yaml", word])
        .current_dir(home)
        .env_remove("RUST_LOG");
    command
}

/// Runs it, and what it starts, on a machine whose kernel has no Landlock, as far as it can see.
fn without_landlock<T: Send + 'static>(run: impl FnOnce() -> T + Send + 'static) -> T {
    use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, apply_filter};
    let missing = SeccompFilter::new(
        [(444, Vec::new()), (445, Vec::new()), (446, Vec::new())].into(),
        SeccompAction::Allow,
        // ENOSYS
        SeccompAction::Errno(38),
        std::env::consts::ARCH.try_into().unwrap(),
    );
    let program: BpfProgram = missing.unwrap().try_into().unwrap();
    let thread = std::thread::spawn(move || {
        apply_filter(&program).unwrap();
        run()
    });
    thread.join().unwrap()
}

fn text(output: &Output) -> String {
    let both = [output.stdout.as_slice(), &output.stderr].concat();
    String::from_utf8_lossy(&both).into_owned()
}

/// Starts a node, waits for a line that it logs, ends it, and answers all that it logged.
fn run_until(mut command: Command, line: &str) -> String {
    let mut child = command
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut log = String::new();
    let mut chunk = [0; 4096];
    let mut stderr = child.stderr.take().unwrap();
    while !log.contains(line) {
        let n = stderr.read(&mut chunk).unwrap();
        assert!(n > 0, "it ended: {log}");
        log.push_str(&String::from_utf8_lossy(&chunk[..n]));
    }
    let id = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(id, rustix::process::Signal::TERM).unwrap();
    stderr.read_to_string(&mut log).unwrap();
    assert!(child.wait().unwrap().success(), "{log}");
    log
}

#[test]
fn without_landlock_run_refuses_and_check_fails() {
    let home = home("required");
    let path = home.path().to_owned();
    let (run, check) = without_landlock(move || {
        let out = |word| command(&path, word).output().unwrap();
        (out("run"), out("check"))
    });
    for output in [&run, &check] {
        assert_eq!(output.status.code(), Some(1), "{}", text(output));
        for word in ["Landlock", "5.13", "executor.sandbox: best_effort"] {
            assert!(text(output).contains(word), "{word}: {}", text(output));
        }
    }
    assert!(!text(&run).contains("API listens"), "{}", text(&run));
}

#[test]
fn without_landlock_best_effort_runs_and_says_so() {
    let home = home("best_effort");
    let path = home.path().to_owned();
    let (log, check) = without_landlock(move || {
        let log = run_until(command(&path, "run"), "API listens");
        (log, command(&path, "check").output().unwrap())
    });
    assert!(log.contains("executor.sandbox is best_effort"), "{log}");
    assert!(log.contains("Landlock"), "{log}");
    assert!(
        text(&check).contains("warn containment: executor.sandbox is best_effort"),
        "{}",
        text(&check)
    );
}

#[test]
fn a_worker_keeps_no_descriptor_that_the_node_was_started_with() {
    let (mut reader, writer) = std::io::pipe().unwrap();
    let mut worker = Command::new("sh")
        .args(["-c", "exec 9>&2 2>/dev/null; exec \"$0\" __worker", PROGRAM])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(writer)
        .spawn()
        .unwrap();
    // Ends when nobody holds the other end any more, while the worker still waits for its job.
    reader.read_to_end(&mut Vec::new()).unwrap();
    assert!(worker.try_wait().unwrap().is_none());
    drop(worker.stdin.take());
    worker.wait().unwrap();
}

#[test]
fn what_a_node_writes_is_its_owners_alone() {
    let home = home("required");
    // An older version's files, readable by everybody.
    let record = home.path().join("db/connector.db");
    fs::write(&record, "").unwrap();
    fs::set_permissions(&record, fs::Permissions::from_mode(0o644)).unwrap();
    let mut run = command(home.path(), "run");
    run.env("DELTA_NODE__EXECUTOR__SANDBOX", "best_effort");
    run_until(run, "API listens");
    let mut folders = vec![home.path().to_owned()];
    let mut seen = 0;
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let mode = fs::metadata(&path).unwrap().permissions().mode();
            // The configuration was written by this test.
            if !path.ends_with("config.yaml") {
                assert_eq!(mode & 0o077, 0, "{} has mode {mode:o}", path.display());
            }
            if path.is_dir() {
                folders.push(path);
            }
            seen += 1;
        }
    }
    assert!(seen > 8, "{seen}");
}
