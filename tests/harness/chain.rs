//! Whole tasks on a blockchain: at any block time, through lost links and processes that are killed.

use std::time::Duration;

use super::{HOUR, MOMENTS, Moment, at_rest, come, pairs, through};
use delta_node::domain::connector_record::Command;
use delta_node::domain::task::TaskStatus;
use delta_node::ports::PortErrorKind;
use delta_node::ports::connector::Connector as _;
use delta_node::ports::storage::LocalTaskId;
use delta_testing::cluster::{Cluster, Recipe, run};
use delta_testing::memory::{ChainOptions, ChainTrouble, Subscriptions, When};

const SECOND: Duration = Duration::from_secs(1);
const BLOCKS: [u64; 4] = [0, 1, 5, 12];

async fn world(seed: u64, block: u64, recipe: Recipe) -> Cluster {
    Cluster::on_chain(3, seed, recipe, ChainOptions::every(block)).await
}

/// The task is finished, and every round of it had a sum over all members.
async fn sound(world: &Cluster, id: LocalTaskId, what: &str) {
    let row = world.wait_for_end(0, id, HOUR).await;
    let story = || format!("{what}\n{}\n{:#?}", world.describe(), world.reverts());
    assert_eq!(row.status, TaskStatus::Finished, "{}", story());
    let counted = world.counted(0, id).await;
    assert!(counted.iter().all(|c| *c == [0, 1, 2]), "{}", story());
    let failed = world
        .reports(0, id)
        .await
        .into_iter()
        .filter_map(|r| r.reason);
    let failed: Vec<String> = failed.collect();
    assert!(failed.is_empty(), "{failed:?} {}", story());
}

async fn until(world: &Cluster, member: usize, moment: Moment) {
    let what = format!("node {member} at {moment:?}");
    let within = Duration::from_secs(900);
    world
        .until(&what, within, |w| come(w, member, moment))
        .await;
}

#[test]
fn a_task_ends_right_at_any_block_time_and_nothing_is_taken_back() {
    for block in BLOCKS {
        run(async {
            let recipe = Recipe {
                rounds: 2,
                ..Recipe::default()
            };
            let mut world = world(1, block, recipe).await;
            let id = world.submit(0).await;
            sound(&world, id, &format!("blocks of {block} s")).await;
            assert_eq!(world.counted(0, id).await.len(), 2);
            let reverts = world.reverts();
            assert!(reverts.is_empty(), "blocks of {block} s: {reverts:#?}");
            at_rest(&world).await;
            world.stop().await;
        });
    }
}

#[test]
fn a_round_takes_at_most_twelve_blocks() {
    for block in [1, 5, 12] {
        run(async {
            let mut world = world(2, block, Recipe::default()).await;
            let id = world.submit(0).await;
            sound(&world, id, &format!("blocks of {block} s")).await;
            let mined = world.connector.mined();
            let of = |wanted: fn(&Command) -> bool| {
                let found = mined.iter().find(|one| wanted(&one.command));
                found.map(|one| one.block).unwrap()
            };
            let begun = of(|command| matches!(command, Command::StartRound { .. }));
            let ended = of(|command| matches!(command, Command::EndRound { .. }));
            let blocks = ended - begun;
            assert!(blocks <= 12, "{blocks} blocks of {block} s");
            world.stop().await;
        });
    }
}

/// An answer that is lost makes no second task, whoever waits how long.
#[test]
fn a_creation_whose_answer_is_lost_makes_one_task() {
    for block in BLOCKS {
        run(async {
            let mut world = world(3, block, Recipe::default()).await;
            let lost = PortErrorKind::Timeout;
            let connector = &world.hosts[0].connector;
            connector.fail_next("connector.create_task", When::After, lost);
            let id = world.submit(0).await;
            // Members that heard of the task long before its coordinator knew of it may miss its first round.
            let row = world.wait_for_end(0, id, HOUR).await;
            assert_eq!(row.status, TaskStatus::Finished, "{}", world.describe());
            let mined = world.connector.mined();
            let created = mined
                .iter()
                .filter(|one| matches!(one.command, Command::CreateTask(_)) && one.accepted);
            assert_eq!(created.count(), 1, "blocks of {block} s");
            world.stop().await;
        });
    }
}

/// What a connector says for a moment costs nothing but time.
#[test]
fn trouble_of_any_kind_in_any_call_is_waited_out() {
    const CALLS: [&str; 9] = [
        "start_round",
        "join_round",
        "select_candidates",
        "upload_share_commitments",
        "start_calculation",
        "upload_result_commitment",
        "start_aggregation",
        "reveal_shares",
        "end_round",
    ];
    for call in CALLS {
        for trouble in [
            ChainTrouble::LinkDown,
            ChainTrouble::Nonce,
            ChainTrouble::ReceiptUnknown,
            ChainTrouble::EmptyWallet,
        ] {
            run(async {
                let mut world = world(4, 1, through(Moment::Revealed, 3)).await;
                for host in &world.hosts[..2] {
                    let op = format!("connector.{call}");
                    host.connector.trouble_next(op, trouble);
                }
                let id = world.submit(0).await;
                sound(&world, id, &format!("{call}: {trouble:?}")).await;
                world.stop().await;
            });
        }
    }
}

/// For a moment, and for longer than a connector looks for its chain: then somebody starts it anew.
#[test]
fn a_link_that_is_cut_in_any_phase_loses_nobody() {
    for (moment, (node, length)) in pairs(&MOMENTS, &[(0, 4), (1, 4), (0, 60), (1, 60)]) {
        run(async {
            let mut world = world(5, 5, through(moment, 3)).await;
            let id = world.submit(0).await;
            until(&world, 1, moment).await;
            let connector = world.hosts[node].connector.clone();
            connector.cut_link(Subscriptions::FallSilent);
            tokio::time::sleep(SECOND * length).await;
            connector.mend_link();
            if length > 7 {
                connector.restart_connector();
            }
            let what = format!("node {node} without a link for {length} s at {moment:?}");
            sound(&world, id, &what).await;
            let reverts = world.reverts();
            assert!(reverts.len() <= 1, "{what}: {reverts:#?}");
            world.stop().await;
        });
    }
}

/// Ten minutes are more than any phase. For a coordinator its rounds stand still; a member's may go on without it, and it is back after.
#[test]
fn ten_minutes_without_a_link_or_a_node_in_any_phase_lose_no_task() {
    let cases = [(0, false), (1, false), (0, true), (1, true)];
    for (moment, (node, killed)) in pairs(&MOMENTS, &cases) {
        run(async {
            let mut world = world(8, 5, through(moment, 3)).await;
            let id = world.submit(0).await;
            until(&world, 1, moment).await;
            let connector = world.hosts[node].connector.clone();
            match killed {
                true => world.crash(node).await,
                false => connector.cut_link(Subscriptions::FallSilent),
            }
            tokio::time::sleep(SECOND * 600).await;
            if killed {
                world.start(node).await;
            } else {
                connector.mend_link();
                connector.restart_connector();
            }
            let what = format!("node {node} at {moment:?}, killed: {killed}");
            if node == 0 {
                sound(&world, id, &what).await;
            }
            let row = world.wait_for_end(0, id, HOUR).await;
            assert_eq!(row.status, TaskStatus::Finished, "{what}: {:?}", row.error);
            let reverts = world.reverts();
            assert!(reverts.len() <= 1, "{what}: {reverts:#?}");
            // The node is back, and nothing of the round is left anywhere.
            at_rest(&world).await;
            let nodes = world.connector.all_nodes().await.unwrap();
            let back = world.address(node);
            assert!(nodes.iter().any(|n| n.address == back), "{what}");
            world.stop().await;
        });
    }
}

#[test]
fn a_connector_that_is_killed_in_any_phase_loses_nobody() {
    for (moment, node) in pairs(&MOMENTS, &[0, 1]) {
        run(async {
            let mut world = world(6, 5, through(moment, 3)).await;
            let id = world.submit(0).await;
            until(&world, 1, moment).await;
            world.hosts[node].connector.restart_connector();
            let what = format!("the connector of node {node} at {moment:?}");
            sound(&world, id, &what).await;
            let reverts = world.reverts();
            assert!(reverts.len() <= 1, "{what}: {reverts:#?}");
            world.stop().await;
        });
    }
}

#[test]
fn a_node_that_is_killed_in_any_phase_comes_back_into_its_round() {
    for (moment, node) in pairs(&MOMENTS, &[0, 1]) {
        run(async {
            let mut world = world(7, 5, through(moment, 3)).await;
            let id = world.submit(0).await;
            until(&world, 1, moment).await;
            world.crash(node).await;
            tokio::time::sleep(SECOND * 2).await;
            world.start(node).await;
            let what = format!("node {node} at {moment:?}");
            sound(&world, id, &what).await;
            let reverts = world.reverts();
            assert!(reverts.len() <= 1, "{what}: {reverts:#?}");
            world.stop().await;
        });
    }
}
