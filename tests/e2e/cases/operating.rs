//! What operators do to a node in trouble, with the commands of docs/operating.md: backups while it works, another machine, damage, tokens.

use std::path::Path;

use crate::process::{Daemon, run, wait_until};
use crate::task;
use crate::world::{Kind, World};

/// What a command says on both its outputs, and whether it succeeded.
fn said(home: &Path, args: &[&str]) -> (bool, String) {
    let output = run(home, args);
    let text = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    (output.status.success(), text)
}

fn done(home: &Path, args: &[&str]) -> String {
    let (ok, text) = said(home, args);
    assert!(ok, "{args:?}: {text}");
    text
}

/// The commands of a drill in docs/operating.md, with `words` for those of the page.
fn drill(name: &str, words: &[(&str, &str)]) -> Vec<Vec<String>> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/operating.md");
    let page = std::fs::read_to_string(page).unwrap();
    let section = page.split("\n### ").find(|s| s.starts_with(name));
    let section = section.unwrap_or_else(|| panic!("docs/operating.md has no drill {name:?}"));
    let mut commands = Vec::new();
    for block in section.split("```sh\n").skip(1) {
        for line in block.split("```").next().unwrap().lines() {
            let line = line.split(" #").next().unwrap().trim();
            let Some(args) = line.strip_prefix("delta-node ") else {
                continue;
            };
            let mut args: Vec<String> = args.split_whitespace().map(str::to_owned).collect();
            for arg in &mut args {
                for (word, value) in words {
                    if arg == word {
                        (*value).clone_into(arg);
                    }
                }
            }
            commands.push(args);
        }
    }
    assert!(!commands.is_empty(), "{name}: no commands");
    commands
}

fn all_done(home: &Path, commands: &[Vec<String>]) -> Vec<String> {
    let run = |args: &Vec<String>| {
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        done(home, &args)
    };
    commands.iter().map(run).collect()
}

fn copy_data(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

#[test]
fn a_lost_machine_is_replaced_from_its_backup() {
    let mut world = World::new();
    let first = world.submit(&task::wages(task::endless(3)));
    world.result(first);
    let backup = world.folder.path().join("backup");
    let commands = drill(
        "The machine is lost",
        &[("/backup/node-1", backup.to_str().unwrap())],
    );
    // The first is what was done in time, while the node runs and a task with it; the others are for the new machine.
    let (before, after) = commands.split_at(1);
    let second = world.submit(&task::wages(task::short(2)));
    world.nodes[2].wait_for(0, &["wages-means"]);
    let told = all_done(&world.home(2), before);
    assert!(told[0].contains("its keys are in it"), "{told:?}");
    let address = world.address(2);
    world.result(second);
    world.nodes[2].kill();

    let home = world.folder.path().join("another");
    std::fs::create_dir(&home).unwrap();
    copy_data(&world.home(2).join("data"), &home.join("data"));
    let told = all_done(&home, &after[..1]);
    assert!(
        told[0].contains("takes part in no task for now"),
        "{told:?}"
    );
    let daemon = Daemon::start("another", &home, "run");
    daemon.wait_for(0, &["restored from a backup and takes part in no task"]);
    world.nodes[2] = daemon;
    world.wait_ready(2);
    assert_eq!(world.address(2), address, "it is the same node");
    let doctor = said(&home, &["doctor"]).1;
    assert!(doctor.contains("warn restored: "), "{doctor}");
    world.nodes[2].terminate();

    all_done(&home, &after[1..]);
    world.nodes[2].restart();
    world.wait_ready(2);
    let third = world.submit(&task::wages(task::endless(3)));
    assert_eq!(task::members(&world.result(third)), [0, 1, 2]);
    // Once is enough.
    assert!(!said(&home, &["restore", "--resume"]).0);
}

#[test]
fn a_backup_is_whole_or_is_none_and_overwrites_nothing() {
    let world = World::of(&[Kind::Usual]);
    let backup = world.folder.path().join("backup");
    let at = backup.to_str().unwrap();
    done(&world.home(0), &["backup", at]);
    // Into a folder with something in it.
    let (ok, text) = said(&world.home(0), &["backup", at]);
    assert!(!ok && text.contains("not empty"), "{text}");
    // Over a node.
    let (ok, text) = said(&world.home(0), &["restore", at]);
    assert!(!ok && text.contains("nothing is overwritten"), "{text}");
    let home = world.folder.path().join("another");
    std::fs::create_dir(&home).unwrap();
    let untouched = |home: &Path| std::fs::read_dir(home).unwrap().count() == 0;
    // Damaged.
    let database = backup.join("database.sqlite");
    let whole = std::fs::read(&database).unwrap();
    let mut damaged = whole.clone();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    std::fs::write(&database, damaged).unwrap();
    let (ok, text) = said(&home, &["restore", at]);
    assert!(
        !ok && text.contains("not as it was") && untouched(&home),
        "{text}"
    );
    std::fs::write(&database, whole).unwrap();
    // With a file for a place that its configuration has not.
    let list = backup.join("backup.json");
    let text = std::fs::read_to_string(&list).unwrap();
    let changed = text.replacen("db/node.key", "../outside.key", 1);
    assert_ne!(text, changed, "{text}");
    std::fs::write(&list, changed).unwrap();
    let (ok, told) = said(&home, &["restore", at]);
    assert!(
        !ok && told.contains("nothing of the kind") && untouched(&home),
        "{told}"
    );
    std::fs::write(&list, &text).unwrap();
    // Half of it.
    std::fs::remove_file(backup.join("journal/0.jsonl")).ok();
    std::fs::remove_file(backup.join("config.yaml")).unwrap();
    let (ok, told) = said(&home, &["restore", at]);
    assert!(!ok && untouched(&home), "{told}");
}

#[test]
fn a_restored_node_whose_owner_knows_that_nothing_left_goes_on_at_once() {
    let mut world = World::new();
    let commands = drill("A node moves", &[("/backup/node-1", "../backup")]);
    world.nodes[2].terminate();
    all_done(&world.home(2), &commands[..1]);
    let home = world.folder.path().join("another");
    std::fs::create_dir(&home).unwrap();
    copy_data(&world.home(2).join("data"), &home.join("data"));
    all_done(&home, &commands[1..]);
    world.nodes[2] = Daemon::start("another", &home, "run");
    world.wait_ready(2);
    let id = world.submit(&task::wages(task::endless(3)));
    assert_eq!(task::members(&world.result(id)), [0, 1, 2]);
}

#[test]
fn damage_is_found_by_doctor() {
    let mut world = World::of(&[Kind::Usual]);
    let doctor = drill(
        "The database is damaged",
        &[("/backup/node-1", "../backup")],
    );
    let home = world.home(0);
    assert_eq!(doctor[0], ["doctor"]);
    let healthy = done(&home, &["doctor"]);
    for line in [
        "ok   database file: ",
        "ok   running node: says that it can work",
        "ok   private files: ",
    ] {
        assert!(healthy.contains(line), "{line} in\n{healthy}");
    }
    world.nodes[0].terminate();
    let database = home.join("db/delta.db");
    let mut bytes = std::fs::read(&database).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..].fill(0xff);
    std::fs::write(&database, bytes).unwrap();
    let (ok, text) = said(&home, &["doctor"]);
    assert!(!ok && text.contains("FAIL database file: "), "{text}");
}

#[test]
fn a_token_that_leaked_opens_nothing_any_more() {
    let world = World::of(&[Kind::Usual]);
    let home = world.home(0);
    let made = done(&home, &["token", "create", "notebook", "--scope", "read"]);
    let token = made.lines().next().unwrap().to_owned();
    let asked = |token: &str| {
        // Passed on by somebody, so that this machine is not trusted for itself.
        let port = world.ports[0];
        let request = format!(
            "GET /v1/tasks?page=1&page_size=1 HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nvia: 1.1 proxy\r\nconnection: close\r\nauthorization: Bearer {token}\r\n\r\n"
        );
        let answer = crate::http::raw(port, request.as_bytes()).unwrap();
        String::from_utf8_lossy(&answer)[9..12].to_owned()
    };
    wait_until("the token to be good", || {
        (asked(&token) == "200").then_some(())
    });
    let told = all_done(&home, &drill("A token has leaked", &[]));
    wait_until("the token to be good for nothing", || {
        (asked(&token) == "401").then_some(())
    });
    let new = told
        .iter()
        .find_map(|t| t.lines().find(|l| l.starts_with("delta_")));
    assert_eq!(asked(new.unwrap()), "200");
}

#[test]
fn a_terminal_shows_what_runs() {
    let world = World::new();
    world.nodes[2].freeze();
    let id = world.submit(&task::wages(task::endless(3)));
    let shown = wait_until("the task to be shown", || {
        let text = done(&world.home(0), &["top", "--once"]);
        let begun = text.contains("wages-means") && text.contains("tasks 1 of 16 run");
        begun.then_some(text)
    });
    assert!(
        shown.lines().all(|line| line.chars().count() <= 80),
        "{shown}"
    );
    for part in ["connector there", "tasks 1 of 16 run", "ready"] {
        assert!(shown.contains(part), "{part} in\n{shown}");
    }
    world.nodes[2].thaw();
    world.result(id);
    let over = done(&world.home(0), &["top", "--once", "--width", "100"]);
    assert!(
        over.contains("FINISHED") && over.contains("no task of this node's authors runs"),
        "{over}"
    );
}

#[test]
fn a_supervisor_hears_that_the_node_is_ready_lives_and_stops() {
    use rustix::process::{Pid, Signal, kill_process};
    use std::os::unix::net::UnixDatagram;
    use std::process::{Command, Stdio};

    let world = World::of(&[Kind::Usual]);
    let home = world.folder.path().join("supervised");
    std::fs::create_dir_all(home.join("data")).unwrap();
    let text = crate::world::config(
        "supervised",
        world.connector_port,
        crate::world::free_port(),
        true,
    );
    std::fs::write(home.join("config.yaml"), text).unwrap();
    let socket = UnixDatagram::bind(home.join("notify")).unwrap();
    socket
        .set_read_timeout(Some(crate::process::PATIENCE))
        .unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_delta-node"))
        .args(["--config", "config.yaml", "run"])
        .current_dir(&home)
        .env("NOTIFY_SOCKET", home.join("notify"))
        .env("WATCHDOG_USEC", "200000")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let hear = || {
        let mut word = [0; 64];
        let length = socket.recv(&mut word).unwrap();
        String::from_utf8(word[..length].to_vec()).unwrap()
    };
    assert_eq!(hear(), "READY=1");
    assert_eq!(hear(), "WATCHDOG=1");
    assert_eq!(hear(), "WATCHDOG=1");
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    let last = std::iter::repeat_with(hear).find(|word| word != "WATCHDOG=1");
    assert_eq!(last.as_deref(), Some("STOPPING=1"));
    assert!(child.wait().unwrap().success());
}
