//! Two nodes and a connector in one process: both put numbers into a task, and only their sum comes out.
//!
//! `cargo run --example two_nodes` needs no network, no files and hardly any time. It uses `delta-testing` as any crate of yours would
//! that has `delta-testing` and `delta-node` among its dev-dependencies.

#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use std::time::Duration;

use delta_node::domain::tensor::TensorData;
use delta_testing::cluster::{Cluster, Recipe, run};
use delta_testing::memory::EventFault;

/// What each node knows and tells nobody: the weekly hours and the monthly wage of its one employee.
const PRIVATE: [[f64; 2]; 2] = [[38.5, 2900.0], [40.0, 3350.0]];

fn main() {
    print!("{}", play());
}

/// Plays it through; answers what there is to show.
pub(crate) fn play() -> String {
    // Nodes wait for each other: members to join, uploads, deadlines. `run` gives them virtual time, which moves on when everybody
    // waits, so that an hour takes no time at all. Everything happens on one thread and in the same order every time.
    run(two_nodes())
}

async fn two_nodes() -> String {
    // The task: a mean over everybody who takes part, of two numbers a node. `Recipe` has the usual knobs of a strategy; a manifest
    // of your own would say the same in `task.json`.
    let recipe = Recipe {
        min_clients: 2,
        ..Recipe::default()
    };

    // Two whole nodes, the same code that `delta-node run` starts, on adapters in memory. Graphs are not run here: what a node
    // contributes to a step comes from a function. All chance comes from the seed: keys, masks, ids.
    let seed = 42;
    let mut nodes = Cluster::contributing(2, seed, recipe, |node, _step| PRIVATE[node]).await;

    // Every part can fail on demand. Node 1 misses the next event, which will be that there is a task ...
    let deaf = nodes.address(1);
    nodes.connector.disturb(&deaf, [EventFault::Drop]);

    // A user hands the task to node 0, which coordinates it and takes part as well.
    let task = nodes.submit(0).await;

    // ... so it learns of the task a second later, when its subscription breaks, is opened anew, and it reads what it missed.
    tokio::time::sleep(Duration::from_secs(1)).await;
    nodes.connector.cut(&deaf);

    // An hour of virtual time is plenty. While it passes, the laws of a round are checked after every step: this panics when a sum
    // is wrong or a secret leaks (`delta_testing::facts`).
    let row = nodes.wait_for_end(0, task, Duration::from_secs(3600)).await;
    let members = nodes.counted(0, task).await;

    // The result is an archive of arrays, as a user downloads it. This task's is the mean; the sum is what the coordinator saw.
    let result = nodes.result(0, task).await;
    let TensorData::F64(mean) = result["total"].data() else {
        unreachable!("the recipe says f64");
    };
    let sum: Vec<f64> = mean.iter().map(|x| x * PRIVATE.len() as f64).collect();

    let mut shown = format!("task {task}: {:?}, members {members:?}\n", row.status);
    shown += &format!("sum of hours {}, sum of wages {}\n", sum[0], sum[1]);
    shown += "\nWhat the connector has on record: who took part, and no number of anybody.\n";
    shown += &nodes.facts.describe();
    nodes.stop().await;
    shown
}
