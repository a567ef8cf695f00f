//! Whole nodes in named situations: the happy path, members and coordinators that vanish or come back in each phase, lost events and
//! lost answers, stop. Virtual time, one thread; random schedules are in `simulation.rs`.

#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

#[path = "harness/approvals.rs"]
mod approvals;
#[path = "harness/cancel.rs"]
mod cancel;
#[path = "harness/chain.rs"]
mod chain;
#[path = "harness/home.rs"]
mod home;
#[path = "harness/hostile.rs"]
mod hostile;
#[path = "harness/members.rs"]
mod members;
#[path = "harness/outages.rs"]
mod outages;
#[path = "harness/restarts.rs"]
mod restarts;
#[path = "harness/wallet.rs"]
mod wallet;

use std::time::Duration;

use delta_node::domain::round::FailureCode;
use delta_node::domain::round::message::RoundEnd;
use delta_node::domain::task::TaskStatus;
use delta_node::ports::PortErrorKind;
use delta_testing::cluster::{Cluster, Recipe, heavy, run};
use delta_testing::memory::{EventFault, When};

/// More than any number of deadlines in a row.
const LONG: Duration = Duration::from_secs(3600);
const HOUR: Duration = LONG;

/// A moment in a round that can be seen from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Moment {
    Joined,
    Selected,
    Shared,
    Calculating,
    Uploaded,
    Aggregating,
    Confirmed,
    Revealed,
}

const MOMENTS: [Moment; 8] = [
    Moment::Joined,
    Moment::Selected,
    Moment::Shared,
    Moment::Calculating,
    Moment::Uploaded,
    Moment::Aggregating,
    Moment::Confirmed,
    Moment::Revealed,
];

/// Pairs of two lists: each of either list, but not each with each, which takes ten minutes of two processors.
/// `DELTA_HARNESS=whole cargo test --test harness` takes them all.
fn pairs<A: Copy, B: Copy>(first: &[A], second: &[B]) -> Vec<(A, B)> {
    let whole = std::env::var("DELTA_HARNESS").is_ok_and(|form| form == "whole");
    let stride = second.len().min(3);
    let all = first.iter().enumerate().flat_map(|(i, a)| {
        let pair = move |(j, b): (usize, &B)| (whole || (i + j) % stride == 0).then_some((*a, *b));
        second.iter().enumerate().filter_map(pair)
    });
    all.collect()
}

/// A task whose rounds pass through `moment` in every node. A round ends as soon as a threshold has revealed, whoever they are: nobody
/// has to sign u3 or reveal after that, unless everybody is needed.
fn through(moment: Moment, nodes: u32) -> Recipe {
    Recipe {
        threshold: matches!(moment, Moment::Confirmed | Moment::Revealed).then_some(nodes),
        ..Recipe::default()
    }
}

fn come(world: &Cluster, member: usize, moment: Moment) -> bool {
    match moment {
        Moment::Joined => world.facts.on_record(member, "join"),
        Moment::Selected => world.facts.on_record(member, "u1"),
        Moment::Shared => world.facts.has_arrived(member, "shares"),
        Moment::Calculating => world.facts.on_record(member, "u2"),
        Moment::Uploaded => world.facts.has_arrived(member, "result"),
        Moment::Aggregating => world.facts.on_record(member, "u3"),
        Moment::Confirmed => world.facts.has_arrived(member, "confirm"),
        Moment::Revealed => world.facts.on_record(member, "reveal"),
    }
}

async fn until(world: &Cluster, member: usize, moment: Moment) {
    let what = format!("node {member} at {moment:?}");
    let within = Duration::from_secs(60);
    world
        .until(&what, within, |w| come(w, member, moment))
        .await;
}

/// Sets how long the coordinator waits for members without whom there is no round.
async fn wait_no_longer_than(world: &mut Cluster, patience: Duration) {
    world.crash(0).await;
    world.hosts[0].settings.patience = patience;
    world.start(0).await;
}

/// A turn of everybody; now and then the time to the next alarm.
async fn turns(number: u32) {
    for turn in 0..number {
        if turn % 20 == 19 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        } else {
            tokio::task::yield_now().await;
        }
    }
}

/// Nothing is left over a while after the end.
async fn at_rest(world: &Cluster) {
    tokio::time::sleep(Duration::from_secs(200)).await;
    world.facts.check();
    let left = world.unfinished_business();
    assert!(left.is_empty(), "{left:#?}\n{}", world.describe());
}

#[test]
fn a_phase_ends_when_everybody_has_answered() {
    run(async {
        let mut world = Cluster::new(3, 1, Recipe::default()).await;
        let began = world.seconds();
        let id = world.submit(0).await;
        let row = world.wait_for_end(0, id, HOUR).await;
        assert_eq!(row.status, TaskStatus::Finished, "{}", world.describe());
        let took = world.seconds() - began;
        assert!(took < 3.0, "{took} s\n{}", world.describe());
        assert_eq!(world.counted(0, id).await, [vec![0, 1, 2]]);
        assert_eq!(world.facts.reduces(), [(0, vec![0, 1, 2])]);
        // (1 + 4 + 16) / 3, twice: this is the first step.
        let found = world.result(0, id).await;
        let expected = delta_node::domain::tensor::TensorData::F64(vec![7.0, 7.0]);
        assert_eq!(found["total"].data(), &expected);
        at_rest(&world).await;
        world.stop().await;
    });
}

/// What a member's failure looks like to everybody else: nothing. Only that one of three has failed is known.
#[test]
fn a_member_whose_data_do_not_fit_contributes_zeros_and_is_counted() {
    run(async {
        let mut world = Cluster::new(3, 4, Recipe::default()).await;
        let trouble = PortErrorKind::Corrupt;
        world.hosts[1].executor.fail_next("executor.map", trouble);
        let id = world.submit(0).await;
        let row = world.wait_for_end(0, id, HOUR).await;
        assert_eq!(row.status, TaskStatus::Finished, "{}", world.describe());
        let reports = world.reports(0, id).await;
        assert_eq!(reports.len(), 1, "the round was not repeated");
        assert_eq!((reports[0].clients.len(), reports[0].failed), (3, 1));
        assert!(reports[0].dropped.is_empty());
        assert_eq!(world.facts.reduces(), [(0, vec![0, 2])]);
        for what in ["result", "confirm"] {
            assert!(world.facts.has_arrived(1, what), "{what}");
        }
        assert!(!world.facts.has_arrived(1, "decline"));
        world.stop().await;
    });
}

/// Too few have computed: that is no sum over as many members as the task asks for.
#[test]
fn a_round_that_most_could_not_compute_has_no_sum() {
    run(async {
        let mut world = Cluster::new(3, 5, Recipe::default()).await;
        for host in &world.hosts[1..] {
            for _ in 0..20 {
                let trouble = PortErrorKind::Timeout;
                host.executor.fail_next("executor.map", trouble);
            }
        }
        let id = world.submit(0).await;
        let row = world.wait_for_end(0, id, HOUR).await;
        assert_eq!(row.status, TaskStatus::Error, "{}", world.describe());
        let why = row.error.unwrap_or_default();
        assert!(why.contains("2 of 3 members could not compute"), "{why}");
        assert!(world.facts.reduces().is_empty());
        world.stop().await;
    });
}

#[test]
fn a_task_of_three_steps_runs_three_rounds() {
    run(async {
        let recipe = Recipe {
            rounds: 3,
            ..Recipe::default()
        };
        let mut world = Cluster::new(3, 2, recipe).await;
        let id = world.submit(1).await;
        let row = world.wait_for_end(1, id, HOUR).await;
        assert_eq!(row.status, TaskStatus::Finished);
        assert!(world.seconds() < 10.0, "{}", world.describe());
        let all = vec![0, 1, 2];
        assert_eq!(
            world.facts.reduces(),
            [(0, all.clone()), (1, all.clone()), (2, all)]
        );
        at_rest(&world).await;
        world.stop().await;
    });
}

/// Initial values that no open bundle holds are there for the first round, for a member that is restarted, and in the result.
#[test]
fn a_large_initial_value_is_held_by_nobody_and_lost_by_nobody() {
    run(async {
        let recipe = Recipe {
            rounds: 2,
            heavy: true,
            ..Recipe::default()
        };
        let mut world = Cluster::new(3, 6, recipe).await;
        let id = world.submit(0).await;
        until(&world, 1, Moment::Calculating).await;
        world.crash(1).await;
        world.start(1).await;
        let row = world.wait_for_end(0, id, HOUR).await;
        assert_eq!(row.status, TaskStatus::Finished, "{}", world.describe());
        let reports = world.reports(0, id).await;
        let failed: Vec<u32> = reports.iter().map(|r| r.failed).collect();
        assert_eq!(failed, vec![0; reports.len()], "{}", world.describe());
        assert_eq!(world.result(0, id).await["model"], heavy());
        at_rest(&world).await;
        world.stop().await;
    });
}

#[test]
fn a_reduce_may_end_the_task_early() {
    run(async {
        let recipe = Recipe {
            rounds: 5,
            stop_after: Some(1),
            ..Recipe::default()
        };
        let mut world = Cluster::new(3, 3, recipe).await;
        let id = world.submit(0).await;
        let row = world.wait_for_end(0, id, HOUR).await;
        assert_eq!(row.status, TaskStatus::Finished);
        assert_eq!(world.counted(0, id).await.len(), 2);
        at_rest(&world).await;
        world.stop().await;
    });
}

#[test]
fn a_member_that_vanishes_in_any_phase_costs_only_itself() {
    for moment in MOMENTS {
        run(async {
            let recipe = match moment {
                // The other three are enough.
                Moment::Confirmed => Recipe::default(),
                _ => through(moment, 4),
            };
            let mut world = Cluster::new(4, 4, recipe).await;
            let id = world.submit(0).await;
            until(&world, 3, moment).await;
            world.crash(3).await;
            let row = world.wait_for_end(0, id, HOUR).await;
            assert_eq!(
                row.status,
                TaskStatus::Finished,
                "{moment:?}\n{}",
                world.describe()
            );
            let counted = world.counted(0, id).await;
            let three = vec![vec![0, 1, 2]];
            let four = vec![vec![0, 1, 2, 3]];
            match moment {
                // Its result is there, and the other three can unmask it.
                Moment::Uploaded | Moment::Aggregating | Moment::Confirmed | Moment::Revealed => {
                    assert_eq!(counted, four, "{moment:?}")
                }
                _ => assert_eq!(counted, three, "{moment:?}"),
            }
            world.start(3).await;
            at_rest(&world).await;
            world.stop().await;
        });
    }
}

#[test]
fn below_the_threshold_the_round_is_tried_again_and_then_the_task_names_the_silent() {
    for moment in [Moment::Joined, Moment::Shared, Moment::Calculating] {
        run(async {
            let recipe = Recipe {
                min_clients: 3,
                ..Recipe::default()
            };
            let mut world = Cluster::new(3, 5, recipe).await;
            wait_no_longer_than(&mut world, Duration::from_secs(300)).await;
            let id = world.submit(0).await;
            until(&world, 2, moment).await;
            world.crash(2).await;
            let row = world.wait_for_end(0, id, HOUR).await;
            assert_eq!(row.status, TaskStatus::Error, "{}", world.describe());
            let rounds = world.reports(0, id).await;
            assert_eq!(rounds.len(), 2, "{moment:?}: {rounds:#?}");
            assert!(world.facts.reduces().is_empty());
            let first = rounds[0].reason.clone().unwrap_or_default();
            let silent = world.address(2);
            assert!(first.contains(silent.as_str()), "{moment:?}: {first}");
            // Who has only joined is not known to be away before the connector misses it.
            if moment != Moment::Joined {
                let end = RoundEnd::Failed(FailureCode::StayedAway);
                assert_eq!(rounds[1].end, end, "{moment:?}: {rounds:#?}");
                let why = row.error.unwrap_or_default();
                assert!(why.contains(silent.as_str()), "{moment:?}: {why}");
            }
            world.start(2).await;
            at_rest(&world).await;
            world.stop().await;
        });
    }
}

#[test]
fn a_connector_that_goes_away_for_a_while_only_delays() {
    for moment in MOMENTS {
        run(async {
            let mut world = Cluster::new(3, 9, through(moment, 3)).await;
            let id = world.submit(0).await;
            until(&world, 1, moment).await;
            world.connector.set_down(true);
            tokio::time::sleep(Duration::from_secs(8)).await;
            world.connector.set_down(false);
            let row = world.wait_for_end(0, id, HOUR).await;
            let what = format!("{moment:?}\n{}", world.describe());
            assert_eq!(row.status, TaskStatus::Finished, "{what}");
            assert_eq!(world.counted(0, id).await, [vec![0, 1, 2]], "{what}");
            assert!(world.seconds() < 60.0, "{what}");
            at_rest(&world).await;
            world.stop().await;
        });
    }
}

#[test]
fn a_member_that_hears_no_events_of_a_round_catches_up_by_asking() {
    run(async {
        let mut world = Cluster::new(3, 10, Recipe::default()).await;
        let id = world.submit(0).await;
        until(&world, 2, Moment::Joined).await;
        let deaf = vec![EventFault::Drop; 50];
        world.connector.disturb(&world.address(2), deaf);
        let row = world.wait_for_end(0, id, HOUR).await;
        assert_eq!(row.status, TaskStatus::Finished, "{}", world.describe());
        assert_eq!(world.counted(0, id).await, [vec![0, 1, 2]]);
        assert!(world.seconds() < 20.0, "{}", world.describe());
        // The end of the task was lost too; the next subscription tells.
        world.connector.cut(&world.address(2));
        at_rest(&world).await;
        world.stop().await;
    });
}

#[test]
fn a_member_whose_subscription_broke_while_the_task_was_created_takes_part() {
    run(async {
        let mut world = Cluster::new(3, 11, Recipe::default()).await;
        let lost = vec![EventFault::Drop; 2];
        world.connector.disturb(&world.address(2), lost);
        let id = world.submit(0).await;
        until(&world, 1, Moment::Joined).await;
        world.connector.cut(&world.address(2));
        let row = world.wait_for_end(0, id, HOUR).await;
        assert_eq!(row.status, TaskStatus::Finished, "{}", world.describe());
        // It knows nothing of the task and nobody tells it: the round goes on without it at its deadline.
        let counted = world.counted(0, id).await;
        assert!(
            counted == [vec![0, 1]] || counted == [vec![0, 1, 2]],
            "{counted:?}"
        );
        at_rest(&world).await;
        world.stop().await;
    });
}

#[test]
fn events_that_come_twice_or_in_the_wrong_order_change_nothing() {
    run(async {
        let recipe = Recipe {
            rounds: 2,
            ..Recipe::default()
        };
        let mut world = Cluster::new(3, 12, recipe).await;
        for index in 0..3 {
            let pair = [EventFault::Duplicate, EventFault::Swap];
            let faults: Vec<EventFault> = pair.into_iter().cycle().take(40).collect();
            world.connector.disturb(&world.address(index), faults);
        }
        let id = world.submit(0).await;
        let row = world.wait_for_end(0, id, HOUR).await;
        assert_eq!(row.status, TaskStatus::Finished, "{}", world.describe());
        assert_eq!(world.counted(0, id).await, [vec![0, 1, 2], vec![0, 1, 2]]);
        for index in 0..3 {
            world.connector.cut(&world.address(index));
        }
        at_rest(&world).await;
        world.stop().await;
    });
}

#[test]
fn nobody_waits_for_a_node_without_data() {
    run(async {
        let mut world = Cluster::new(3, 13, Recipe::default()).await;
        world.hosts[2]
            .executor
            .fail_next("executor.check_data", PortErrorKind::NotFound);
        let id = world.submit(0).await;
        let row = world.wait_for_end(0, id, HOUR).await;
        assert_eq!(row.status, TaskStatus::Finished, "{}", world.describe());
        assert_eq!(world.counted(0, id).await, [vec![0, 1]]);
        assert!(world.seconds() < 5.0, "{}", world.describe());
        at_rest(&world).await;
        world.stop().await;
    });
}

#[test]
fn nobody_waits_for_a_member_whose_computation_fails() {
    run(async {
        let mut world = Cluster::new(4, 14, Recipe::default()).await;
        world.hosts[3]
            .executor
            .fail_next("executor.map", PortErrorKind::Corrupt);
        let id = world.submit(0).await;
        let row = world.wait_for_end(0, id, HOUR).await;
        assert_eq!(row.status, TaskStatus::Finished, "{}", world.describe());
        // It is a member of the sum like any other, with zeros.
        assert_eq!(world.counted(0, id).await, [vec![0, 1, 2, 3]]);
        assert_eq!(world.facts.reduces(), [(0, vec![0, 1, 2])]);
        assert!(world.seconds() < 5.0, "{}", world.describe());
        at_rest(&world).await;
        world.stop().await;
    });
}

/// Calls of a member to the record whose repetition could do harm.
const MEMBER_CALLS: [&str; 4] = [
    "connector.join_round",
    "connector.upload_share_commitments",
    "connector.upload_result_commitment",
    "connector.reveal_shares",
];
/// Those of a coordinator.
const OWNER_CALLS: [&str; 7] = [
    "connector.create_task",
    "connector.start_round",
    "connector.select_candidates",
    "connector.start_calculation",
    "connector.start_aggregation",
    "connector.end_round",
    "connector.finish_task",
];

#[test]
fn a_lost_request_or_a_lost_answer_of_the_record_is_made_up_for() {
    for when in [When::Before, When::After] {
        for kind in [PortErrorKind::Timeout, PortErrorKind::Unavailable] {
            for op in MEMBER_CALLS.into_iter().chain(OWNER_CALLS) {
                run(async {
                    let mut world = Cluster::new(3, 15, Recipe::default()).await;
                    for host in &world.hosts {
                        host.connector.fail_next(op, when, kind);
                    }
                    let id = world.submit(0).await;
                    let row = world.wait_for_end(0, id, HOUR).await;
                    let what = format!("{op} {when:?} {kind:?}\n{}", world.describe());
                    assert_eq!(row.status, TaskStatus::Finished, "{what}");
                    assert_eq!(world.counted(0, id).await, [vec![0, 1, 2]], "{what}");
                    assert_eq!(world.hosts[0].connector.faults().pending(), 0, "{what}");
                    assert!(world.facts.joins().values().all(|n| *n == 1), "{what}");
                    assert!(world.seconds() < 20.0, "{what}");
                    at_rest(&world).await;
                    world.stop().await;
                });
            }
        }
    }
}

#[test]
fn a_database_that_fails_for_a_moment_costs_no_round() {
    for when in [When::Before, When::After] {
        for skip in 0..40 {
            run(async {
                let mut world = Cluster::new(3, 16, Recipe::default()).await;
                let id = world.submit(0).await;
                // Somewhere along the way of the coordinator and of a member.
                turns(skip * 20).await;
                for index in [0, 2] {
                    let storage = &world.hosts[index].storage;
                    storage.fail_next("storage.commit", when, PortErrorKind::Unavailable);
                }
                let row = world.wait_for_end(0, id, HOUR).await;
                let what = format!("{when:?} after {skip}\n{}", world.describe());
                assert_eq!(row.status, TaskStatus::Finished, "{what}");
                assert_eq!(world.counted(0, id).await, [vec![0, 1, 2]], "{what}");
                for host in &world.hosts {
                    host.storage.faults().clear();
                }
                at_rest(&world).await;
                world.stop().await;
            });
        }
    }
}

#[test]
fn the_end_of_a_task_is_recorded_even_when_the_database_is_busy() {
    run(async {
        let mut world = Cluster::new(3, 17, Recipe::default()).await;
        let id = world.submit(0).await;
        world
            .until("the reduce", LONG, |w| !w.facts.reduces().is_empty())
            .await;
        for _ in 0..3 {
            world.hosts[0].storage.fail_next(
                "storage.update_task",
                When::Before,
                PortErrorKind::Unavailable,
            );
        }
        let row = world.wait_for_end(0, id, HOUR).await;
        assert_eq!(row.status, TaskStatus::Finished, "{}", world.describe());
        at_rest(&world).await;
        world.stop().await;
    });
}

#[test]
fn stopping_in_any_phase_leaves_nothing_behind() {
    for moment in MOMENTS {
        run(async {
            let mut world = Cluster::new(3, 18, through(moment, 3)).await;
            world.submit(0).await;
            until(&world, 1, moment).await;
            let metrics = tokio::runtime::Handle::current().metrics();
            world.stop().await;
            // What was aborted is dropped at its next turn.
            for _ in 0..20 {
                tokio::task::yield_now().await;
            }
            assert_eq!(metrics.num_alive_tasks(), 0, "{moment:?}");
            assert_eq!(world.connector.subscriptions(), 0, "{moment:?}");
        });
    }
}
