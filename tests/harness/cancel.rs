//! Tasks that their author cancels, and tasks that a member's owner leaves: in each phase, and with a kill right after the answer.

use std::time::Duration;

use delta_node::domain::round::message::RoundEnd;
use delta_node::domain::task::{TaskKind, TaskStatus};
use delta_node::ports::UserError;
use delta_node::ports::author_api::AuthorApi as _;
use delta_node::ports::connector::Connector as _;
use delta_node::ports::owner_api::OwnerApi as _;
use delta_testing::cluster::{Cluster, Recipe, run};

use super::{HOUR, LONG, MOMENTS, at_rest, through, turns, until};

const REASON: Option<&str> = Some("the task was cancelled");

/// The row of a cancelled task, which is the same for ever.
async fn is_cancelled(world: &Cluster, id: i64, what: &str) {
    let row = world.row(0, id).await;
    let found = (row.status, row.error.as_deref());
    assert_eq!(
        found,
        (TaskStatus::Error, REASON),
        "{what}\n{}",
        world.describe()
    );
}

/// Everybody has heard: the record says it, and no round is open anywhere.
async fn everybody_knows(world: &Cluster, id: i64, what: &str) {
    at_rest(world).await;
    is_cancelled(world, id, what).await;
    if let Some(task) = world.task_id(0, id).await {
        let record = world.connector.task(TaskKind::Horizontal, &task).await;
        let finished = record.unwrap().is_some_and(|task| task.finished);
        assert!(finished, "{what}\n{}", world.describe());
    }
    let open = world.reports(0, id).await;
    assert!(
        open.iter().all(|r| matches!(r.end, RoundEnd::Failed(_))),
        "{what}"
    );
}

#[test]
fn a_task_cancelled_in_any_phase_ends_at_once_for_everybody() {
    for moment in MOMENTS {
        run(async {
            let mut world = Cluster::new(3, 6, through(moment, 3)).await;
            let id = world.submit(0).await;
            until(&world, 1, moment).await;
            let began = world.seconds();
            let row = world.node(0).cancel_task(id).await.unwrap();
            let what = format!("{moment:?}");
            assert_eq!(
                (row.status, row.error.as_deref()),
                (TaskStatus::Error, REASON)
            );
            let quiet = |w: &Cluster| w.unfinished_business().is_empty();
            world
                .until("everybody to stop", Duration::from_secs(10), quiet)
                .await;
            assert!(
                world.seconds() - began < 3.0,
                "{what}\n{}",
                world.describe()
            );
            everybody_knows(&world, id, &what).await;
            // Again is answered in the same way.
            let again = world.node(0).cancel_task(id).await.unwrap();
            assert_eq!(again, world.row(0, id).await);
            world.stop().await;
        });
    }
}

#[test]
fn a_cancelled_task_stays_cancelled_when_its_node_is_killed_right_after_the_answer() {
    for moment in MOMENTS {
        for lag in [0, 1, 5, 30] {
            run(async {
                let mut world = Cluster::new(3, 6, through(moment, 3)).await;
                let id = world.submit(0).await;
                until(&world, 1, moment).await;
                world.node(0).cancel_task(id).await.unwrap();
                turns(lag).await;
                world.crash(0).await;
                let what = format!("{moment:?} {lag}");
                is_cancelled(&world, id, &what).await;
                tokio::time::sleep(Duration::from_secs(2)).await;
                world.start(0).await;
                everybody_knows(&world, id, &what).await;
                world.stop().await;
            });
        }
    }
}

#[test]
fn a_task_cancelled_while_it_is_created_leaves_nothing_behind() {
    for lag in 0..40 {
        run(async {
            let mut world = Cluster::new(3, 6, Recipe::default()).await;
            let id = world.submit(0).await;
            turns(lag).await;
            let cancelled = world.node(0).cancel_task(id).await;
            let what = format!("{lag}");
            assert!(cancelled.is_ok(), "{what}: {cancelled:?}");
            tokio::time::sleep(LONG).await;
            everybody_knows(&world, id, &what).await;
            assert_eq!(world.node(0).running_tasks(), 0);
            // The node takes the next one.
            let next = world.submit(0).await;
            let row = world.wait_for_end(0, next, HOUR).await;
            assert_eq!(row.status, TaskStatus::Finished, "{}", world.describe());
            world.stop().await;
        });
    }
}

#[test]
fn of_an_end_and_a_cancellation_the_first_counts() {
    for turn in 0..60 {
        run(async {
            let mut world = Cluster::new(2, 3, Recipe::default()).await;
            let id = world.submit(0).await;
            until(&world, 1, super::Moment::Aggregating).await;
            turns(turn * 5).await;
            let answered = world.node(0).cancel_task(id).await;
            tokio::time::sleep(LONG).await;
            let row = world.row(0, id).await;
            match answered {
                Ok(_) => is_cancelled(&world, id, "cancelled").await,
                Err(UserError::Invalid(why)) => {
                    assert!(why.ends_with("is over"), "{why}");
                    assert_eq!(row.status, TaskStatus::Finished, "{}", world.describe());
                }
                Err(other) => panic!("{other}"),
            }
            at_rest(&world).await;
            world.stop().await;
        });
    }
}

#[test]
fn what_is_over_or_unknown_cannot_be_cancelled() {
    run(async {
        let mut world = Cluster::new(2, 3, Recipe::default()).await;
        let id = world.submit(0).await;
        world.wait_for_end(0, id, HOUR).await;
        for (id, why) in [(id, "is over"), (99, "does not exist")] {
            let refused = world.node(0).cancel_task(id).await.unwrap_err();
            assert!(refused.to_string().contains(why), "{refused}");
        }
        assert_eq!(world.row(0, id).await.status, TaskStatus::Finished);
        world.stop().await;
    });
}

#[test]
fn a_member_whose_owner_leaves_is_out_of_this_round_and_of_those_that_follow() {
    // Which two of three reveal, and so end the round, is chance.
    let moments = MOMENTS
        .into_iter()
        .filter(|m| *m != super::Moment::Revealed);
    for moment in moments {
        for restarted in [false, true] {
            run(async {
                let recipe = Recipe {
                    rounds: 3,
                    retries: 3,
                    threshold: None,
                    ..through(moment, 3)
                };
                let mut world = Cluster::new(3, 6, recipe).await;
                let id = world.submit(0).await;
                until(&world, 2, moment).await;
                let task = world.task_id(0, id).await.unwrap();
                world.node(2).leave_task(&task).await.unwrap();
                let what = format!("{moment:?} {restarted}");
                if restarted {
                    world.crash(2).await;
                    world.start(2).await;
                }
                let row = world.wait_for_end(0, id, HOUR).await;
                assert_eq!(
                    row.status,
                    TaskStatus::Finished,
                    "{what}\n{}",
                    world.describe()
                );
                let counted = world.counted(0, id).await;
                assert_eq!(counted.len(), 3, "{what}");
                assert!(
                    counted[1..].iter().all(|c| *c == [0, 1]),
                    "{what} {counted:?}"
                );
                at_rest(&world).await;
                let gone = world.node(2).leave_task(&task).await.unwrap_err();
                assert!(gone.to_string().contains("follows no task"), "{gone}");
                world.stop().await;
            });
        }
    }
}
