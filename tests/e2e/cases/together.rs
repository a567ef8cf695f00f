//! Everybody does what they should, and a person uses the commands.

use std::process::Output;

use crate::task;
use crate::world::World;

fn told(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{}: {text}{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    text
}

/// Fails unless all of `expected` occur in this order, with anything between them.
fn assert_in_order(messages: &[String], expected: &[&str]) {
    let mut rest = messages.iter();
    for wanted in expected {
        assert!(
            rest.any(|m| m.contains(wanted)),
            "{wanted:?} is missing or out of order in {messages:#?}"
        );
    }
}

#[test]
fn a_person_submits_a_task_follows_it_and_gets_the_pooled_means() {
    let world = World::new();
    let bundle = world.home(0).join("wages.delta");
    std::fs::write(&bundle, task::wages(task::endless(3))).unwrap();

    let inspected = told(&world.cli(&["task", "inspect", "wages.delta"]));
    assert!(
        inspected.contains("wages.csv") && inspected.contains("the graphs pass the check"),
        "{inspected}"
    );

    let submitted = told(&world.cli(&["task", "submit", "wages.delta"]));
    assert!(submitted.contains("task 1 is submitted"), "{submitted}");
    let logs = told(&world.cli(&["task", "logs", "1", "--follow"]));
    assert!(logs.contains("[Finish Task]"), "{logs}");
    let status = told(&world.cli(&["task", "status", "1"]));
    assert!(
        status.contains("wages-means") && status.contains("FINISHED"),
        "{status}"
    );
    told(&world.cli(&["task", "result", "1", "--output", "out.npz"]));
    let npz = std::fs::read(world.home(0).join("out.npz")).unwrap();
    assert_eq!(task::members(&npz), [0, 1, 2]);
    assert_eq!(npz, world.result(1));

    let messages = world.messages(1);
    assert_in_order(
        &messages,
        &[
            "start run task",
            "[Create Task]",
            "[Start Round]",
            "[Select Candidates]",
            "[Start Calculation]",
            "upload result",
            "alive members",
            "[Start Aggregation]",
            "[End Round]",
            "round 1 finished with 3 members",
            "[Finish Task]",
        ],
    );
    for expected in ["upload secret shares", "get secret shares", "upload result"] {
        for node in 0..3 {
            let of = format!("{} {expected}", world.address(node));
            assert!(
                messages.iter().any(|m| m.contains(&of)),
                "{of}: {messages:#?}"
            );
        }
    }
}

#[test]
fn a_person_is_told_what_is_wrong() {
    let world = World::of(&[crate::world::Kind::Usual]);
    std::fs::write(world.home(0).join("bad.delta"), "not a task").unwrap();
    for (args, expected) in [
        (&["task", "submit", "bad.delta"][..], "zip"),
        (&["task", "submit", "nothing.delta"], "nothing.delta"),
        (&["task", "inspect", "bad.delta"], "bad.delta"),
        (&["task", "status", "77"], "task 77 does not exist"),
        (&["task", "logs", "77"], "task 77 does not exist"),
        (
            &["task", "result", "77", "-o", "x.npz"],
            "task 77 does not exist",
        ),
        (
            &["task", "status", "1", "--node", "http://127.0.0.1:9"],
            "127.0.0.1:9",
        ),
    ] {
        let output = world.cli(args);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{args:?}: {text}");
        assert!(text.contains(expected), "{args:?}: {text}");
    }
    assert!(!world.home(0).join("x.npz").exists());
}

#[test]
fn tasks_side_by_side_do_not_mix() {
    let world = World::new();
    let ids: Vec<u64> = (0..3)
        .map(|_| world.submit(&task::wages(task::endless(3))))
        .collect();
    for id in ids {
        assert_eq!(task::members(&world.result(id)), [0, 1, 2]);
    }
}

#[test]
fn a_regression_made_in_python_gives_the_pooled_estimates() {
    // Of the network's type hlr, without proofs; a solve in every reduce; ended early, after 8 of 36 rounds.
    let world = World::new();
    let id = world.submit(&task::task("spector-logit.delta", None, task::endless(3)));
    let result = task::arrays(&world.result(id));
    assert_eq!(result["tally"], [32.0, 0.0, 0.0]);
    assert_eq!(
        (&result["converged"][..], result["iterations"][0]),
        (&[1.0][..], 7.0)
    );
    // statsmodels on all rows in one place: sm.Logit(y, sm.add_constant(x)).fit(tol=1e-14).params
    let pooled = [
        -13.021_346_858_115_688,
        2.826_112_594_889_32,
        0.095_157_661_317_909_4,
        2.378_687_655_093_353_6,
    ];
    for (found, expected) in result["params"].iter().zip(pooled) {
        assert!((found / expected - 1.0).abs() < 1e-9, "{found} {expected}");
    }
}
