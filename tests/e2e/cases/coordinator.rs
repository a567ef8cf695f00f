//! The coordinator, or the connector, dies after each phase and comes back.

use crate::task;
use crate::world::World;

fn the_task_goes_on_after(line: &str) {
    let mut world = World::new();
    let id = world.submit(&task::wages(task::short(3)));
    world.nodes[0].wait_for(0, &[line]);
    world.nodes[0].kill();
    world.nodes[0].restart();
    assert_eq!(task::members(&world.result(id)), [0, 1, 2]);
}

macro_rules! phases {
    ($($name:ident: $line:expr;)*) => {
        mod killed_and_restarted {
            use super::*;
            $(#[test] fn $name() { the_task_goes_on_after($line); })*
        }
    };
}

phases! {
    after_the_task_was_created: "[Create Task]";
    after_the_round_began: "[Start Round]";
    after_the_selection: "[Select Candidates]";
    after_the_shares: "upload secret shares";
    after_the_calculation_began: "[Start Calculation]";
    after_a_contribution: " upload result";
    after_the_aggregation_began: "[Start Aggregation]";
    after_the_round: "[End Round]";
    after_the_task: "[Finish Task]";
}

/// Training in several rounds: the weights that come out are the same bits, whatever happened on the way.
#[test]
fn interrupted_training_ends_with_the_same_weights() {
    let mut world = World::new();
    let bundle = task::task("iris-logistic.delta", Some(4), task::short(3));
    let undisturbed = world.result(world.submit(&bundle));
    assert_eq!(task::arrays(&undisturbed).len(), 2);

    let from = world.nodes[0].log().len();
    let id = world.submit(&bundle);
    let at = world.nodes[0].wait_for(from, &["round 1 finished with 3 members"]);
    world.nodes[0].kill();
    world.nodes[0].restart();
    let at = world.nodes[0].wait_for(at, &["[Start Calculation]"]);
    world.nodes[1].kill();
    world.nodes[1].restart();
    world.nodes[0].wait_for(at, &["[Start Aggregation]"]);
    world.connector.kill();
    world.connector.restart();
    let result = world.result(id);
    assert_eq!(task::arrays(&result), task::arrays(&undisturbed));
}

#[test]
fn a_connector_that_restarts_costs_nothing_but_time() {
    for line in [
        "[Start Round]",
        "[Select Candidates]",
        "[Start Calculation]",
    ] {
        let mut world = World::new();
        let id = world.submit(&task::wages(task::short(3)));
        world.nodes[0].wait_for(0, &[line]);
        world.connector.kill();
        world.connector.restart();
        assert_eq!(task::members(&world.result(id)), [0, 1, 2], "{line}");
        // The network is whole again.
        for node in 0..3 {
            world.wait_ready(node);
        }
        let id = world.submit(&task::wages(task::short(3)));
        assert_eq!(task::members(&world.result(id)), [0, 1, 2], "{line}");
    }
}

#[test]
fn a_task_that_is_submitted_without_a_connector_waits_for_it() {
    let mut world = World::new();
    world.connector.kill();
    let id = world.submit(&task::wages(task::short(3)));
    world.nodes[0].wait_for(0, &["cannot be created on the connector yet"]);
    world.connector.restart();
    assert_eq!(task::members(&world.result(id)), [0, 1, 2]);
}
