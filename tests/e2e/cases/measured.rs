//! What a node measures of itself while a task runs, and a log that says more when it is asked to.

use std::io::Write as _;
use std::process::{Command, Stdio};

use crate::process::wait_until;
use crate::task;
use crate::world::World;

/// The value of a sample in Prometheus' text format.
fn sample(text: &str, name: &str) -> Option<f64> {
    text.lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
}

/// Judged by Prometheus' own program where that is installed; `.ci/run` says whether it must be.
fn judged_by_promtool(text: &str) {
    let command = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut promtool = match command {
        Ok(child) => child,
        Err(e) => {
            let required = std::env::var_os("DELTA_REQUIRE_PROMTOOL").is_some();
            assert!(!required, "promtool does not start: {e}");
            return;
        }
    };
    let mut stdin = promtool.stdin.take().unwrap();
    stdin.write_all(text.as_bytes()).unwrap();
    drop(stdin);
    let judged = promtool.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&judged.stdout).into_owned()
        + &String::from_utf8_lossy(&judged.stderr);
    assert!(judged.status.success() && said.trim().is_empty(), "{said}");
}

#[test]
fn what_a_round_was_like_is_measured() {
    let world = World::new();
    let before = world.get(0, "/metrics").text();
    judged_by_promtool(&before);
    assert_eq!(
        sample(
            &before,
            r#"delta_rounds_total{role="coordinator",outcome="aggregated"}"#
        ),
        Some(0.0)
    );
    let id = world.submit(&task::wages(task::endless(3)));
    world.result(id);
    for node in 0..3 {
        let text = wait_until("the member's round to be counted", || {
            let text = world.get(node, "/metrics").text();
            let rounds = r#"delta_rounds_total{role="member",outcome="contributed"}"#;
            (sample(&text, rounds) == Some(1.0)).then_some(text)
        });
        judged_by_promtool(&text);
        let led = f64::from(u8::from(node == 0));
        for (name, value) in [
            (
                r#"delta_rounds_total{role="coordinator",outcome="aggregated"}"#,
                led,
            ),
            (r#"delta_tasks_total{outcome="finished"}"#, led),
            (
                r#"delta_round_duration_seconds_count{role="member",outcome="contributed"}"#,
                1.0,
            ),
            (
                r#"delta_phase_duration_seconds_count{role="member",phase="MaskedInput"}"#,
                1.0,
            ),
            (r#"delta_ready{check="disk"}"#, 1.0),
            (r#"delta_ready{check="connector"}"#, 1.0),
            ("delta_connector_up", 1.0),
            ("delta_tasks_running", 0.0),
            ("delta_approvals_waiting", 0.0),
            ("delta_tasks_limit", 16.0),
        ] {
            assert_eq!(
                sample(&text, name),
                Some(value),
                "node {node}: {name}\n{text}"
            );
        }
        for name in [
            "delta_disk_free_bytes",
            "process_resident_memory_bytes",
            "process_open_fds",
            "process_start_time_seconds",
            r#"delta_network_bytes_total{link="api",direction="received"}"#,
            r#"delta_network_bytes_total{link="api",direction="sent"}"#,
            r#"delta_http_requests_total{status="2xx"}"#,
        ] {
            let value = sample(&text, name);
            assert!(
                value.is_some_and(|v| v > 0.0),
                "node {node}: {name}: {value:?}"
            );
        }
        let phases = r#"delta_phase_duration_seconds_count{role="coordinator",phase="Unmasking"}"#;
        assert_eq!(sample(&text, phases), (node == 0).then_some(1.0));
        // Members fetch the bundle from another node and send their vectors there; node 0 is its own coordinator.
        let sent = r#"delta_network_bytes_total{link="coordinators",direction="sent"}"#;
        let received = r#"delta_network_bytes_total{link="coordinators",direction="received"}"#;
        for name in [sent, received] {
            let bytes = sample(&text, name).unwrap();
            assert_eq!(bytes > 0.0, node != 0, "node {node}: {name} {bytes}");
        }
        // Another's task waited for the owner; a node's own does not.
        let waited = sample(&text, r#"delta_wait_seconds_total{cause="owner"}"#).unwrap();
        assert_eq!(waited > 0.0, node != 0, "node {node}: {waited}");
    }
}

#[test]
fn a_running_nodes_log_says_more_and_less() {
    let world = World::of(&[crate::world::Kind::Usual]);
    let said = |args: &[&str]| {
        let output = world.cli(args);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        (
            output.status.code(),
            String::from_utf8_lossy(&output.stdout).into_owned() + &text,
        )
    };
    assert_eq!(said(&["log-level"]), (Some(0), "debug\n".to_owned()));
    assert_eq!(said(&["log-level", "info,delta_http=trace"]).0, Some(0));
    let from = world.nodes[0].log().len();
    world.get(0, "/v1/task/status?task_id=77");
    assert_eq!(said(&["log-level", "warn"]), (Some(0), "warn\n".to_owned()));
    world.get(0, "/v1/task/status?task_id=78");
    let log = world.nodes[0].log().split_off(from);
    let rejected = log
        .iter()
        .filter(|l| l.contains("a request is rejected"))
        .count();
    assert_eq!(rejected, 1, "{log:#?}");
    let (code, text) = said(&["log-level", "loud"]);
    assert_eq!(code, Some(1));
    assert!(text.contains("is no filter"), "{text}");
}

#[test]
fn a_round_is_a_few_lines_of_the_log_and_no_warning() {
    let world = World::new();
    let lines_of = |rounds: u32| {
        let from: Vec<usize> = world.nodes.iter().map(|node| node.log().len()).collect();
        let bundle = task::task("iris-logistic.delta", Some(rounds), task::endless(3));
        world.result(world.submit(&bundle));
        let nodes = world.nodes.iter().zip(from);
        nodes
            .map(|(node, from)| {
                let last = format!("round {rounds} this node's contribution is in the sum");
                node.wait_for(from, &[&last]);
                let log = node.log().split_off(from);
                // That an owner is asked, once a task, is worth one.
                let loud = |l: &&String| l.contains(" WARN ") && !l.contains(" asks ");
                let info = log.iter().filter(|l| l.contains(" INFO ")).count();
                (info, log.iter().filter(loud).count())
            })
            .collect::<Vec<_>>()
    };
    let (few, more) = (lines_of(2), lines_of(8));
    for (node, ((few, _), (more, loud))) in few.iter().zip(more).enumerate() {
        // In the first task nodes meet for the first time, which is worth a warning.
        assert_eq!(loud, 0, "node {node}");
        let a_round = more.saturating_sub(*few) as f64 / 6.0;
        // Node 0 coordinates and is a member.
        let most = if node == 0 { 6.0 } else { 3.0 };
        assert!(
            (0.5..=most).contains(&a_round),
            "node {node}: {a_round} lines a round"
        );
    }
}
