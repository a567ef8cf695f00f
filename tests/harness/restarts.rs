//! Nodes that are killed or stopped, and start again: in each phase, between rounds, at any turn.

use std::collections::BTreeSet;
use std::time::Duration;

use delta_node::domain::connector_record::{Command, RecordEvent};
use delta_node::domain::task::TaskStatus;
use delta_node::ports::PortErrorKind;
use delta_node::ports::author_api::AuthorApi as _;
use delta_node::ports::storage::{LocalTaskId, MachineKind};
use delta_testing::cluster::{Cluster, Recipe, run};
use delta_testing::memory::When;

use super::{HOUR, LONG, MOMENTS, Moment, at_rest, through, turns, until};

#[test]
fn a_coordinator_restarted_in_any_phase_finishes_its_task() {
    for moment in MOMENTS {
        for pause in [0, 5] {
            run(async {
                let mut world = Cluster::new(3, 6, through(moment, 3)).await;
                let id = world.submit(0).await;
                until(&world, 1, moment).await;
                assert!(world.journal(0) > 0, "it is its journal that is read");
                world.crash(0).await;
                tokio::time::sleep(Duration::from_secs(pause)).await;
                world.start(0).await;
                let row = world.wait_for_end(0, id, HOUR).await;
                let what = format!("{moment:?} {pause} s\n{}", world.describe());
                assert_eq!(row.status, TaskStatus::Finished, "{what}");
                assert_eq!(world.counted(0, id).await, [vec![0, 1, 2]], "{what}");
                assert_eq!(world.reports(0, id).await.len(), 1, "{what}");
                assert!(world.seconds() < 40.0, "{what}");
                at_rest(&world).await;
                world.stop().await;
            });
        }
    }
}

#[test]
fn a_coordinator_that_is_stopped_leaves_a_snapshot_and_finishes_later() {
    for moment in MOMENTS {
        run(async {
            let mut world = Cluster::new(3, 6, through(moment, 3)).await;
            let id = world.submit(0).await;
            until(&world, 1, moment).await;
            world.stop_one(0).await;
            assert_eq!(world.journal(0), 0, "{moment:?}");
            world.start(0).await;
            let row = world.wait_for_end(0, id, HOUR).await;
            let what = format!("{moment:?}\n{}", world.describe());
            assert_eq!(row.status, TaskStatus::Finished, "{what}");
            assert_eq!(world.reports(0, id).await.len(), 1, "{what}");
            at_rest(&world).await;
            world.stop().await;
        });
    }
}

/// A round is told of once it is kept: what an author has heard of is there after a crash at that moment, with what it came to.
#[test]
fn a_round_that_was_told_of_outlives_a_crash() {
    run(async {
        let recipe = Recipe {
            rounds: 3,
            ..Recipe::default()
        };
        let mut world = Cluster::new(3, 2, recipe).await;
        let id = world.submit(1).await;
        for number in 1..=3 {
            let mut turns = 0_u32;
            while rounds_told(&world, id).await < number {
                turns += 1;
                match turns.is_multiple_of(500) {
                    true => tokio::time::sleep(Duration::from_millis(5)).await,
                    false => tokio::task::yield_now().await,
                }
            }
            world.crash(1).await;
            world.start(1).await;
            assert!(rounds_told(&world, id).await >= number);
            let kept = world.node(1).task_checkpoint(id).await.unwrap();
            assert!(usize::try_from(kept.steps).unwrap() >= number);
        }
        let row = world.wait_for_end(1, id, HOUR).await;
        assert_eq!(row.status, TaskStatus::Finished);
        world.stop().await;
    });
}

/// How many rounds the coordinator shows of a task.
async fn rounds_told(world: &Cluster, id: LocalTaskId) -> usize {
    let (_, progress) = world.node(1).task_progress(id).await.unwrap();
    progress.map_or(0, |p| p.rounds.len())
}

#[test]
fn a_round_that_cannot_be_read_back_costs_the_round_and_not_the_task() {
    for moment in MOMENTS {
        run(async {
            let mut world = Cluster::new(3, 6, through(moment, 3)).await;
            let id = world.submit(0).await;
            until(&world, 1, moment).await;
            world.crash(0).await;
            world.damage_round(0);
            world.start(0).await;
            let row = world.wait_for_end(0, id, HOUR).await;
            let what = format!("{moment:?}\n{}", world.describe());
            let reports = world.reports(0, id).await;
            if moment == Moment::Revealed {
                // Shares are out: there may be a sum, and a second one over other members would give away the difference.
                assert_eq!(row.status, TaskStatus::Error, "{what}");
            } else {
                assert_eq!(row.status, TaskStatus::Finished, "{what}");
                assert_eq!(reports.len(), 2, "{what}");
            }
            let first = reports[0].reason.clone().unwrap_or_default();
            assert!(first.contains("cannot be taken up again"), "{first}");
            at_rest(&world).await;
            world.stop().await;
        });
    }
}

#[test]
fn a_coordinator_restarted_before_its_first_round_or_after_its_last_finishes_its_task() {
    type Moment = (&'static str, fn(&Cluster) -> bool);
    let moments: [Moment; 5] = [
        ("submitted", |_| true),
        ("created", |w| {
            has(w, |e| matches!(e, RecordEvent::TaskCreated { .. }))
        }),
        ("started", |w| {
            has(w, |e| matches!(e, RecordEvent::RoundStarted { .. }))
        }),
        ("ended", |w| {
            has(w, |e| matches!(e, RecordEvent::RoundEnded { .. }))
        }),
        ("reduced", |w| !w.facts.reduces().is_empty()),
    ];
    for (name, moment) in moments {
        run(async {
            let mut world = Cluster::new(3, 7, Recipe::default()).await;
            let id = world.submit(0).await;
            world.until(name, LONG, moment).await;
            world.crash(0).await;
            world.start(0).await;
            let row = world.wait_for_end(0, id, HOUR).await;
            let what = format!("{name}\n{}", world.describe());
            assert_eq!(row.status, TaskStatus::Finished, "{what}");
            assert_eq!(world.counted(0, id).await, [vec![0, 1, 2]], "{what}");
            at_rest(&world).await;
            world.stop().await;
        });
    }
}

#[test]
fn a_coordinator_killed_while_a_tasks_files_get_their_names_finishes_the_task() {
    for (renamed, killed) in [
        (When::Before, true),
        (When::After, true),
        (When::After, false),
    ] {
        run(async {
            let mut world = Cluster::new(3, 7, Recipe::default()).await;
            let id = world.submit(0).await;
            let blobs = &world.hosts[0].blobs;
            blobs.fail_next("blob.rename", renamed, PortErrorKind::Unavailable);
            let created = |w: &Cluster| has(w, |e| matches!(e, RecordEvent::TaskCreated { .. }));
            world.until("created", LONG, created).await;
            if killed {
                // It waits before it tries again.
                tokio::time::sleep(Duration::from_millis(10)).await;
                world.crash(0).await;
                world.start(0).await;
            }
            let row = world.wait_for_end(0, id, HOUR).await;
            let what = format!("{renamed:?} {killed}\n{}", world.describe());
            assert_eq!(row.status, TaskStatus::Finished, "{what}");
            assert_eq!(world.counted(0, id).await, [vec![0, 1, 2]], "{what}");
            let left = world.hosts[0].blobs.names();
            assert!(!left.iter().any(|n| n.starts_with("submitted")), "{left:?}");
            at_rest(&world).await;
            world.stop().await;
        });
    }
}

fn has(world: &Cluster, wanted: impl Fn(&RecordEvent) -> bool) -> bool {
    world.connector.history().iter().any(wanted)
}

#[test]
fn a_member_restarted_in_any_phase_is_counted_when_it_comes_back_at_once() {
    for moment in MOMENTS {
        for pause in [0, 5] {
            run(async {
                let mut world = Cluster::new(3, 8, through(moment, 3)).await;
                let id = world.submit(0).await;
                until(&world, 2, moment).await;
                world.crash(2).await;
                tokio::time::sleep(Duration::from_secs(pause)).await;
                world.start(2).await;
                let row = world.wait_for_end(0, id, HOUR).await;
                let what = format!("{moment:?} {pause} s\n{}", world.describe());
                assert_eq!(row.status, TaskStatus::Finished, "{what}");
                let counted = world.counted(0, id).await;
                // One that is away for long is not waited for where the others are enough.
                let without = pause > 0 && counted == [vec![0, 1]];
                assert!(counted == [vec![0, 1, 2]] || without, "{counted:?}, {what}");
                assert!(world.seconds() < 30.0, "{what}");
                at_rest(&world).await;
                world.stop().await;
            });
        }
    }
}

/// What a member has put on record when it joined rounds of a task: pk1 and pk2.
async fn joined_with(world: &Cluster, member: usize, id: LocalTaskId) -> Vec<(String, String)> {
    let (task, me) = (world.task_id(0, id).await.unwrap(), world.address(member));
    let joins = world.connector.writes(0).into_iter().filter(|w| w.accepted);
    joins
        .filter_map(|write| match write.command {
            Command::JoinRound {
                at,
                address,
                pk1,
                pk2,
            } if address == me.as_str() && at.task == task.as_str() => Some((pk1, pk2)),
            _ => None,
        })
        .collect()
}

#[test]
fn a_member_killed_between_rounds_keeps_its_pk1_until_the_task_is_over() {
    run(async {
        let recipe = Recipe {
            rounds: 3,
            ..Recipe::default()
        };
        let mut world = Cluster::new(3, 8, recipe).await;
        let id = world.submit(0).await;
        let first = |w: &Cluster| !w.facts.reduces().is_empty();
        world.until("the first sum", LONG, first).await;
        let kept = |w: &Cluster| {
            let keys = w.hosts[2].storage.peek_machines();
            keys.into_iter()
                .any(|key| key.kind == MachineKind::RunnerKeys)
        };
        assert!(kept(&world), "{}", world.describe());
        world.crash(2).await;
        world.start(2).await;
        let row = world.wait_for_end(0, id, HOUR).await;
        assert_eq!(row.status, TaskStatus::Finished, "{}", world.describe());
        // Nothing of it is left (`unfinished_business`), and another task has another.
        at_rest(&world).await;
        assert!(!kept(&world));
        let other = world.submit(0).await;
        world.wait_for_end(0, other, HOUR).await;
        at_rest(&world).await;
        let (one, two) = (
            joined_with(&world, 2, id).await,
            joined_with(&world, 2, other).await,
        );
        assert!(one.len() >= 2 && two.len() >= 2, "{}", world.describe());
        assert!(one.iter().all(|(pk1, _)| *pk1 == one[0].0));
        assert!(two.iter().all(|(pk1, _)| *pk1 == two[0].0));
        assert_ne!(one[0].0, two[0].0);
        let fresh: BTreeSet<&String> = one.iter().chain(&two).map(|(_, pk2)| pk2).collect();
        assert_eq!(fresh.len(), one.len() + two.len());
        world.stop().await;
    });
}

/// From the submission past the end of a task of one round.
const TURNS: u32 = 900;

#[test]
fn a_coordinator_killed_at_any_turn_finishes_its_task() {
    for turn in (0..TURNS).step_by(9) {
        run(async {
            let mut world = Cluster::new(3, 19, Recipe::default()).await;
            let id = world.submit(0).await;
            turns(turn).await;
            world.crash(0).await;
            world.start(0).await;
            let row = world.wait_for_end(0, id, HOUR).await;
            let what = format!("turn {turn}\n{}", world.describe());
            assert_eq!(row.status, TaskStatus::Finished, "{what}");
            assert_eq!(world.counted(0, id).await, [vec![0, 1, 2]], "{what}");
            at_rest(&world).await;
            world.stop().await;
        });
    }
}

#[test]
fn a_member_killed_at_any_turn_is_counted() {
    for turn in (0..TURNS).step_by(9) {
        run(async {
            let mut world = Cluster::new(3, 20, Recipe::default()).await;
            let id = world.submit(0).await;
            turns(turn).await;
            // What is said of a task before a node knows it, while its process is away, nobody says again.
            let known = world.hosts[2].storage.peek_machines();
            let created = world.connector.writes(0).into_iter();
            let missed = known.is_empty()
                && created
                    .map(|w| w.command)
                    .any(|c| matches!(c, Command::CreateTask(_)));
            world.crash(2).await;
            world.start(2).await;
            if missed {
                world.wait_for_end(0, id, HOUR).await;
                world.stop().await;
                return;
            }
            let row = world.wait_for_end(0, id, HOUR).await;
            let what = format!("turn {turn}\n{}", world.describe());
            assert_eq!(row.status, TaskStatus::Finished, "{what}");
            assert_eq!(world.counted(0, id).await, [vec![0, 1, 2]], "{what}");
            at_rest(&world).await;
            world.stop().await;
        });
    }
}

/// As after a restore: what was accepted before is taken part in no more than what is new.
#[test]
fn a_node_that_takes_part_in_nothing_leaves_what_it_had_accepted() {
    run(async {
        let recipe = Recipe {
            rounds: 3,
            ..Recipe::default()
        };
        let mut world = Cluster::new(3, 41, recipe).await;
        let id = world.submit(0).await;
        let one_done = |w: &Cluster| !w.facts.reduces().is_empty();
        world.until("a round is done", HOUR, one_done).await;
        world.crash(1).await;
        world.hosts[1].settings.accept = false;
        world.start(1).await;
        let row = world.wait_for_end(0, id, HOUR).await;
        assert_eq!(row.status, TaskStatus::Finished, "{}", world.describe());
        let cohorts = world.counted(0, id).await;
        assert_eq!(cohorts.first(), Some(&vec![0, 1, 2]));
        assert_eq!(cohorts.last(), Some(&vec![0, 2]));
        world.stop().await;
    });
}

/// A node that was restored and goes on does not know what it has revealed in tasks of whose creation it has not heard.
#[test]
fn a_node_without_memory_takes_part_in_what_is_new_only() {
    for heard_only in [false, true] {
        run(async {
            let recipe = Recipe {
                rounds: 4,
                ..Recipe::default()
            };
            let mut world = Cluster::new(3, 42, recipe).await;
            world.crash(1).await;
            let id = world.submit(0).await;
            let one_done = |w: &Cluster| !w.facts.reduces().is_empty();
            world.until("a round is done", HOUR, one_done).await;
            world.hosts[1].settings.heard_only = heard_only;
            world.start(1).await;
            world.wait_for_end(0, id, HOUR).await;
            let last = world.counted(0, id).await.pop();
            assert_eq!(last.is_some_and(|c| c.contains(&1)), !heard_only);
            world.stop().await;
        });
    }
    run(async {
        let mut world = Cluster::new(3, 43, Recipe::default()).await;
        world.crash(1).await;
        world.hosts[1].settings.heard_only = true;
        world.start(1).await;
        let id = world.submit(0).await;
        world.wait_for_end(0, id, HOUR).await;
        assert_eq!(world.counted(0, id).await, [vec![0, 1, 2]]);
        world.stop().await;
    });
}
