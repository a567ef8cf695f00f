//! Nodes that are killed or stopped, and start again: in each phase, between rounds, at any turn.

use std::time::Duration;

use delta_node::domain::connector_record::RecordEvent;
use delta_node::domain::task::TaskStatus;
use delta_testing::cluster::{Cluster, Recipe, run};

use super::{HOUR, LONG, MOMENTS, at_rest, through, turns, until};

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
            assert_eq!(row.status, TaskStatus::Finished, "{what}");
            let reports = world.reports(0, id).await;
            assert_eq!(reports.len(), 2, "{what}");
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

fn has(world: &Cluster, wanted: impl Fn(&RecordEvent) -> bool) -> bool {
    world.connector.history().iter().any(wanted)
}

#[test]
fn a_member_restarted_in_any_phase_is_counted_when_it_comes_back_in_time() {
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
                assert_eq!(world.counted(0, id).await, [vec![0, 1, 2]], "{what}");
                assert!(world.seconds() < 30.0, "{what}");
                at_rest(&world).await;
                world.stop().await;
            });
        }
    }
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
            world.crash(2).await;
            world.start(2).await;
            let row = world.wait_for_end(0, id, HOUR).await;
            let what = format!("turn {turn}\n{}", world.describe());
            assert_eq!(row.status, TaskStatus::Finished, "{what}");
            assert_eq!(world.counted(0, id).await, [vec![0, 1, 2]], "{what}");
            at_rest(&world).await;
            world.stop().await;
        });
    }
}
