//! The demonstration as a script runs it: it must end well, and say so in its last line.
//!
//! What it proves is in the object it prints: a model got better, a killed member was missed and the round finished without it,
//! and every unmasked sum is the plain sum bit for bit.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

#[test]
fn the_demo_survives_a_killed_node_and_reports_exact_sums() {
    let output = Command::new(env!("CARGO_BIN_EXE_delta-node"))
        .args(["demo", "--json", "--rounds", "3"])
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
    let stdout = String::from_utf8(output.stdout).unwrap();
    let summary: serde_json::Value = serde_json::from_str(stdout.lines().last().unwrap()).unwrap();
    assert_eq!(summary["ok"], true);
    assert_eq!(summary["exact_sum"], true);
    let (before, after) = (
        summary["accuracy_before"].as_f64(),
        summary["accuracy_after"].as_f64(),
    );
    assert!(before.unwrap() < after.unwrap(), "{summary}");
    let rounds = summary["rounds"].as_array().unwrap();
    assert_eq!(
        rounds.iter().filter(|r| r["finished"] == true).count(),
        4,
        "{summary}"
    );
    assert!(
        rounds
            .iter()
            .any(|r| r["dropped"] == serde_json::json!(["node-3"])),
        "{summary}"
    );
    let result = std::fs::read(summary["result_file"].as_str().unwrap()).unwrap();
    assert!(result.starts_with(b"PK"), "the result is no npz file");
    assert!(
        std::fs::read_to_string(summary["plot_file"].as_str().unwrap())
            .unwrap()
            .starts_with("<svg")
    );
}

#[test]
fn a_kept_network_is_ready_when_it_says_so_and_ends_on_a_signal() {
    let mut running = Command::new(env!("CARGO_BIN_EXE_delta-node"))
        .args(["demo", "--keep", "--port", "0", "--json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(running.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    let network: serde_json::Value = serde_json::from_str(&line).unwrap();
    let nodes = network["nodes"].as_array().unwrap();
    assert_eq!(nodes.len(), 3);
    for node in nodes {
        let data = std::path::Path::new(node["data"].as_str().unwrap());
        for file in ["digits", "wages.csv", "iris.csv", "spector.csv"] {
            assert!(data.join(file).is_file(), "{file}");
        }
    }
    let url = nodes[0]["url"].as_str().unwrap();
    let status = Command::new(env!("CARGO_BIN_EXE_delta-node"))
        .args([
            "task",
            "submit",
            "--node",
            url,
            "tests/fixtures/wages-means.delta",
        ])
        .status()
        .unwrap();
    assert!(status.success());
    kill_process(Pid::from_child(&running), Signal::TERM).unwrap();
    assert!(running.wait().unwrap().success());
    let folder = std::path::Path::new(nodes[0]["data"].as_str().unwrap())
        .ancestors()
        .nth(2)
        .unwrap();
    std::fs::remove_dir_all(folder).unwrap();
}
