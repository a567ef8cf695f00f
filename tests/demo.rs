//! The demonstration as a script runs it: it must end well, and say so in its last line.
//!
//! What it proves is in the object it prints: a model got better, a killed member was missed and the round finished without it,
//! and every unmasked sum is the plain sum bit for bit.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

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

/// The object that `demo --privacy` prints, and what it tells people.
fn privacy(budget: &str) -> (serde_json::Value, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_delta-node"))
        .args(["demo", "--privacy", "--budget", budget, "--json"])
        .output()
        .unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{told}");
    let stdout = String::from_utf8(output.stdout).unwrap();
    let summary = serde_json::from_str(stdout.lines().last().unwrap()).unwrap();
    (summary, told)
}

#[test]
fn owners_rules_budgets_and_words_are_those_of_the_nodes() {
    let (summary, told) = privacy("1.1");
    assert_eq!(summary["ok"], true, "{summary}");

    // What is shown of the budget is what the nodes' own journal and ledger say.
    let charged = summary["charged"].as_array().unwrap();
    assert!(charged.len() >= 6, "{summary}");
    for charge in charged {
        let epsilon = charge["epsilon"].as_f64().unwrap();
        let shown = format!("epsilon {:.3}  [", (epsilon * 1000.0).ceil() / 1000.0);
        assert!(told.contains(&shown), "{shown} in {told}");
        assert!(epsilon <= 1.1);
    }
    let spent = &summary["spent"];
    assert_eq!(charged.last().unwrap()["epsilon"], spent["ledger"]);
    assert_eq!(spent["open"], 0);
    assert_eq!(spent["code"], "over_budget");
    assert_eq!(spent["rules"], json!(["policy.privacy.budget"]));
    let hospitals = json!(["hospital-1", "hospital-2", "hospital-3"]);
    assert_eq!(spent["declined"], hospitals);

    // Both regressions ran unasked, each by its own rule, and noise is what they differ by.
    assert_eq!(
        summary["rules"]["controlled"],
        json!(["policy.approval.controlled"])
    );
    assert_eq!(
        summary["rules"]["private"],
        json!(["policy.approval.private"])
    );
    let found = &summary["coefficients"];
    let off = |name: &str, place: usize| {
        let of = |name: &str| found[name][place].as_f64().unwrap();
        (of(name) - of("pooled")).abs()
    };
    assert!(
        (0..3).all(|place| off("controlled", place) < 1e-6),
        "{found}"
    );
    assert!((0..3).any(|place| off("private", place) > 1e-6), "{found}");

    // Who asks for one patient gets a word of the closed list, or none at all; the owner gets the rule.
    let number = &summary["selecting"]["by_number"];
    assert_eq!(number["class"], "free");
    assert!(
        number["unproven"]
            .to_string()
            .contains("records.identifier")
    );
    assert_eq!(number["asked_by"], json!(["policy.approval.ask"]));
    assert_eq!(number["decided_by"], json!(["policy.approval.denied"]));
    assert_eq!(number["declined"]["not_allowed"], hospitals);
    let age = &summary["selecting"]["by_age"];
    assert!(age["rules"].to_string().contains("records.cells"), "{age}");
    assert_eq!(
        (&age["silent"], &age["allowed"]),
        (&json!(true), &json!(true))
    );
    assert_eq!(
        (&age["code"], &age["logs"]),
        (&json!("computation"), &json!(3))
    );
    assert!(told.contains("3 of 3 members could not compute"), "{told}");

    // A free task waits for all owners, and runs by their word.
    let waiting = &summary["waiting"];
    assert_eq!(waiting["task"]["asking"], hospitals);
    assert_eq!(
        waiting["task"]["decided_by"],
        json!(["policy.approval.given"])
    );
    let (result, pooled) = (&waiting["result"], &waiting["pooled"]);
    assert!((result.as_f64().unwrap() - pooled.as_f64().unwrap()).abs() < 1e-6);

    let picture = std::fs::read_to_string(summary["plot_file"].as_str().unwrap()).unwrap();
    assert!(picture.starts_with("<svg") && picture.contains("budget 1.1"));
}

#[test]
fn a_budget_that_pays_for_no_run_is_no_demonstration() {
    for budget in ["0.5", "much", "1e9"] {
        let output = Command::new(env!("CARGO_BIN_EXE_delta-node"))
            .args(["demo", "--privacy", "--budget", budget])
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(2), "{budget}");
    }
}
