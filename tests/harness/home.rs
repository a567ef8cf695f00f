//! Trouble at home: a disk that is full costs the member its part at once, nobody his time, and is said.

use std::time::Duration;

use super::{HOUR, Moment, through, until};
use delta_node::domain::connector_record::RecordEvent;
use delta_node::domain::task::TaskStatus;
use delta_node::ports::owner_api::{OwnerApi as _, ReadyCheck};
use delta_testing::cluster::{Cluster, Recipe, run};

/// Deadlines that a node whose disk is full may not cost.
fn patient(moment: Moment) -> Recipe {
    Recipe {
        rounds: 4,
        connection_timeout: 600.0,
        wait_timeout: 600.0,
        threshold: Some(2),
        ..through(moment, 3)
    }
}

async fn disk(world: &Cluster, member: usize) -> ReadyCheck {
    let checks = world.node(member).ready().await;
    checks.into_iter().find(|c| c.name == "disk").unwrap()
}

#[test]
fn a_full_disk_costs_a_member_its_part_and_the_others_nothing() {
    for moment in [Moment::Joined, Moment::Shared, Moment::Calculating] {
        run(async {
            let mut world = Cluster::new(3, 31, patient(moment)).await;
            let id = world.submit(0).await;
            until(&world, 2, moment).await;
            world.hosts[2].blobs.holds_at_most(Some(0));
            let row = world.wait_for_end(0, id, HOUR).await;
            assert_eq!(row.status, TaskStatus::Finished, "{}", world.describe());
            let counted = world.counted(0, id).await;
            assert!(counted.contains(&vec![0, 1]), "{moment:?}: {counted:?}");
            for report in world.reports(0, id).await {
                assert!(
                    report.seconds < 20.0,
                    "{moment:?}: round {} took {} s: {}",
                    report.round,
                    report.seconds,
                    world.describe()
                );
            }
            let found = disk(&world, 2).await;
            assert!(!found.ok && found.detail.starts_with("since "), "{found:?}");
            world.stop().await;
        });
    }
}

#[test]
fn with_room_again_it_takes_part_again() {
    run(async {
        let recipe = Recipe {
            rounds: 12,
            ..patient(Moment::Joined)
        };
        let mut world = Cluster::new(3, 32, recipe).await;
        world.hosts[2].blobs.holds_at_most(Some(0));
        let id = world.submit(0).await;
        let two = |w: &Cluster| w.facts.reduces().iter().any(|(_, who)| who.len() == 2);
        world.until("a round without it", HOUR, two).await;
        assert!(!disk(&world, 2).await.ok);
        world.hosts[2].blobs.holds_at_most(None);
        world.wait_for_end(0, id, Duration::from_secs(600)).await;
        let counted = world.counted(0, id).await;
        assert_eq!(counted.last(), Some(&vec![0, 1, 2]), "{counted:?}");
        assert!(disk(&world, 2).await.ok);
        world.stop().await;
    });
}

#[test]
fn a_coordinator_without_room_is_waited_for() {
    for moment in [Moment::Joined, Moment::Shared, Moment::Calculating] {
        run(async {
            let mut world = Cluster::new(3, 34, patient(moment)).await;
            let id = world.submit(0).await;
            until(&world, 1, moment).await;
            world.hosts[0].blobs.holds_at_most(Some(0));
            tokio::time::sleep(Duration::from_secs(600)).await;
            assert!(!disk(&world, 0).await.ok);
            world.hosts[0].blobs.holds_at_most(None);
            let row = world.wait_for_end(0, id, HOUR).await;
            assert_eq!(
                row.status,
                TaskStatus::Finished,
                "{moment:?}: {}",
                world.describe()
            );
            world.stop().await;
        });
    }
}

#[test]
fn a_task_is_on_no_record_before_what_members_ask_for_is_on_disk() {
    run(async {
        let mut world = Cluster::new(3, 33, Recipe::default()).await;
        let created = |w: &Cluster| {
            let history = w.connector.history();
            history
                .iter()
                .any(|e| matches!(e, RecordEvent::TaskCreated { .. }))
        };
        let id = world.submit(0).await;
        // Its bundle has been kept; its variables find no room.
        world.hosts[0].blobs.holds_at_most(Some(0));
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert!(!created(&world), "{}", world.describe());
        world.hosts[0].blobs.holds_at_most(None);
        world.until("the task", HOUR, created).await;
        let row = world.wait_for_end(0, id, HOUR).await;
        assert_eq!(row.status, TaskStatus::Finished, "{}", world.describe());
        let left = world.hosts[0].blobs.names();
        assert!(
            !left.iter().any(|name| name.starts_with("submitted")),
            "{left:?}"
        );
        world.stop().await;
    });
}
