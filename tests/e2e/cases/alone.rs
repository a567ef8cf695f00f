//! One process and its surroundings: signals, folders, ports, configuration.

use std::net::TcpListener;
use std::path::Path;
use std::time::Duration;

use crate::process::{run, wait_until};
use crate::task;
use crate::world::{Kind, Turn, World, config, free_port};

/// Spec: SIGTERM drains and exits within 5 s.
const FAREWELL: Duration = Duration::from_secs(5);

#[test]
fn sigterm_ends_every_process_in_time_while_a_task_runs() {
    let mut world = World::new();
    world.submit(&task::wages(task::endless(3)));
    world.nodes[0].wait_for(0, &["[Select Candidates]"]);
    // Keeps the round from ending.
    world.nodes[2].freeze();
    for node in [1, 0] {
        let (status, took) = world.nodes[node].terminate();
        assert_eq!(status.code(), Some(0), "node {node}");
        assert!(took < FAREWELL, "node {node} took {took:?}");
        if node == 1 {
            assert!(!world.is_listed(0, 1), "node 1 has not left");
        }
    }
    let (status, took) = world.connector.terminate();
    assert_eq!(status.code(), Some(0));
    assert!(took < FAREWELL, "the connector took {took:?}");
}

#[test]
fn a_task_goes_on_after_a_proper_stop() {
    let mut world = World::new();
    let id = world.submit(&task::wages(task::short(3)));
    world.nodes[0].wait_for(0, &["[Start Round]"]);
    world.nodes[0].terminate();
    world.nodes[0].restart();
    assert_eq!(task::members(&world.result(id)), [0, 1, 2]);
}

#[test]
fn sigterm_ends_a_node_that_cannot_reach_its_connector() {
    let mut world = World::of(&[Kind::Usual]);
    world.connector.kill();
    let (status, took) = world.nodes[0].terminate();
    assert_eq!(status.code(), Some(0));
    assert!(took < FAREWELL, "{took:?}");
}

#[test]
fn a_second_node_on_the_same_folders_is_refused() {
    let mut world = World::of(&[Kind::Usual]);
    let home = world.home(0);
    // Another port, so that nothing but the folders are shared.
    let text = config("again", world.connector_port, free_port(), true);
    std::fs::write(home.join("second.yaml"), text).unwrap();
    let output = run(&home, &["--config", "second.yaml", "run"]);
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(
        text.contains("another delta-node uses task_dir task"),
        "{text}"
    );
    assert!(world.nodes[0].is_alive());
    world.wait_ready(0);
    // A crash leaves no lock behind.
    world.nodes[0].kill();
    world.nodes[0].restart();
    world.wait_ready(0);
}

fn refused(home: &Path, command: &str, port: u16) {
    let output = run(home, &[command]);
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(
        text.contains(&format!("127.0.0.1:{port}")) && text.contains("in use"),
        "{text}"
    );
}

#[test]
fn a_taken_port_is_named() {
    let _turn = Turn::take();
    let home = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let mut text = config("node", free_port(), port, true);
    text.push_str(&format!("connector:\n  host: 127.0.0.1\n  port: {port}\n"));
    std::fs::write(home.path().join("config.yaml"), text).unwrap();
    refused(home.path(), "run", port);
    refused(home.path(), "connector", port);
}

#[test]
fn a_wrong_configuration_is_told_whole_and_with_places() {
    let home = tempfile::tempdir().unwrap();
    let text = "log:\n  level: LOUD\nchain_connector:\n  host: c\n  prot: 4500\nnode:\n  url: ftp://x\napi_port: 99999\n";
    std::fs::write(home.path().join("config.yaml"), text).unwrap();
    let output = run(home.path(), &["run"]);
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{text}");
    for place in ["2:10", "5:3", "7:8", "8:11"] {
        assert!(
            text.contains(&format!("config.yaml:{place}: ")),
            "{place}: {text}"
        );
    }
}

/// The node starts, says what is missing and becomes ready when it is there.
#[test]
fn a_node_waits_for_its_connector() {
    let mut world = World::of(&[Kind::Usual]);
    let id = world.address(0);
    world.nodes[0].kill();
    world.connector.kill();
    world.nodes[0].restart();
    let reply = wait_until("the node's API", || {
        crate::http::get(world.ports[0], "/readyz").ok()
    });
    assert_eq!(reply.status, 503, "{}", reply.text());
    assert!(reply.text().contains("connector"), "{}", reply.text());
    world.connector.restart();
    world.wait_ready(0);
    assert_eq!(world.address(0), id, "the node kept its address");
}
