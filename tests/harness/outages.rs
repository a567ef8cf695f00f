//! Outages are nobody's failure: whoever is away, in whichever phase, for a moment or for hours, the task finishes in its rounds.

use std::time::Duration;

use super::{MOMENTS, Moment, pairs, through, until};
use delta_node::domain::task::TaskStatus;
use delta_node::ports::author_api::AuthorApi as _;
use delta_node::ports::storage::LocalTaskId;
use delta_testing::cluster::{Cluster, Recipe, run};

const SECOND: Duration = Duration::from_secs(1);
/// From a hiccup to more than any deadline.
const LENGTHS: [Duration; 3] = [
    Duration::from_millis(300),
    Duration::from_secs(20),
    Duration::from_secs(75),
];
/// A night.
const NIGHT: Duration = Duration::from_secs(8 * 3600);

/// What must hold after an outage: the task is finished, and every round of it had a sum over all members.
async fn sound(world: &Cluster, id: LocalTaskId, what: &str) {
    world.wait_for_end(0, id, SECOND * 600).await;
    let row = world.node(0).task(id).await.unwrap();
    assert_eq!(row.status, TaskStatus::Finished, "{what}: {:?}", row.error);
    let reports = world.reports(0, id).await;
    let failed: Vec<_> = reports.iter().filter_map(|r| r.reason.as_ref()).collect();
    assert!(
        failed.is_empty(),
        "{what}: an outage cost a round: {failed:?}"
    );
    let all = [0, 1, 2];
    for cohort in world.counted(0, id).await {
        assert_eq!(cohort, all, "{what}: an outage cost a member");
    }
}

#[test]
fn the_connector_may_be_away_in_any_phase_for_any_time() {
    let cases = pairs(&MOMENTS, &LENGTHS);
    for (moment, length) in cases.into_iter().chain([(Moment::Calculating, NIGHT)]) {
        run(async {
            let mut world = Cluster::new(3, 7, through(moment, 3)).await;
            let id = world.submit(0).await;
            until(&world, 1, moment).await;
            world.connector.set_down(true);
            tokio::time::sleep(length).await;
            world.connector.set_down(false);
            sound(&world, id, &format!("{moment:?}, {length:?}")).await;
            world.stop().await;
        });
    }
}

#[test]
fn a_coordinator_may_be_away_in_any_phase_for_any_time() {
    for moment in MOMENTS {
        let night = (moment == Moment::Uploaded).then_some(NIGHT);
        for length in LENGTHS.into_iter().chain(night) {
            run(async {
                let mut world = Cluster::new(3, 8, through(moment, 3)).await;
                let id = world.submit(0).await;
                until(&world, 1, moment).await;
                world.crash(0).await;
                tokio::time::sleep(length).await;
                world.start(0).await;
                sound(&world, id, &format!("{moment:?}, {length:?}")).await;
                world.stop().await;
            });
        }
    }
}

/// Without its shares there is no sum, and what the others have revealed is out: long after the phase's deadline it is waited for.
#[test]
fn a_holder_of_shares_may_be_away_while_they_are_revealed() {
    let moments = [Moment::Aggregating, Moment::Confirmed];
    for (moment, length) in pairs(&moments, &[SECOND * 20, NIGHT, SECOND * 75]) {
        run(async {
            let recipe = Recipe {
                min_clients: 3,
                ..through(Moment::Revealed, 3)
            };
            let mut world = Cluster::new(3, 11, recipe).await;
            let id = world.submit(0).await;
            until(&world, 1, moment).await;
            world.crash(1).await;
            tokio::time::sleep(length).await;
            let row = world.node(0).task(id).await.unwrap();
            assert_eq!(row.status, TaskStatus::Running, "{moment:?}, {length:?}");
            world.start(1).await;
            sound(&world, id, &format!("{moment:?}, {length:?}")).await;
            world.stop().await;
        });
    }
}

#[test]
fn everything_may_be_away_at_once() {
    for moment in MOMENTS {
        run(async {
            let mut world = Cluster::new(3, 9, through(moment, 3)).await;
            let id = world.submit(0).await;
            until(&world, 1, moment).await;
            world.connector.set_down(true);
            for index in 0..3 {
                world.crash(index).await;
            }
            tokio::time::sleep(SECOND * 3600).await;
            for index in [1, 0, 2] {
                world.start(index).await;
            }
            tokio::time::sleep(SECOND * 90).await;
            world.connector.set_down(false);
            sound(&world, id, &format!("{moment:?}")).await;
            world.stop().await;
        });
    }
}

#[test]
fn a_wait_for_the_connector_is_said_and_a_task_submitted_before_it_runs_after_it() {
    run(async {
        let mut world = Cluster::new(3, 10, Recipe::default()).await;
        let id = world.submit(0).await;
        world.connector.set_down(true);
        tokio::time::sleep(SECOND * 100).await;
        let (_, progress) = world.node(0).task_progress(id).await.unwrap();
        let away = progress.and_then(|p| p.connector_away);
        assert!(away.is_some(), "nobody is told what the task waits for");
        world.connector.set_down(false);
        sound(&world, id, "submitted before").await;
        let (_, progress) = world.node(0).task_progress(id).await.unwrap();
        assert!(progress.is_none_or(|p| p.connector_away.is_none()));
        world.stop().await;
    });
}
