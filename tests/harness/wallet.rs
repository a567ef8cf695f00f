//! What a coordinator owes the record: farewells that nobody waits for, and numbers of rounds without a gap.

use std::time::Duration;

use delta_node::domain::connector_record::Command;
use delta_node::domain::round::message::RoundEnd;
use delta_node::domain::task::{TaskKind, TaskStatus};
use delta_node::ports::PortErrorKind;
use delta_node::ports::connector::Connector as _;
use delta_testing::cluster::{Cluster, Recipe, run};
use delta_testing::memory::{ChainOptions, When};

use super::{HOUR, at_rest};

/// Whether the record knows that the task is over.
async fn is_finished_on_record(world: &Cluster, id: i64) -> bool {
    let task = world.task_id(0, id).await.unwrap();
    let record = world.connector.task(TaskKind::Horizontal, &task).await;
    record.unwrap().unwrap().finished
}

#[test]
fn a_task_is_over_before_the_record_has_heard_of_it_which_it_does_after_a_restart() {
    run(async {
        let mut world = Cluster::new(3, 31, Recipe::default()).await;
        let connector = world.hosts[0].connector.clone();
        for _ in 0..200 {
            let kind = PortErrorKind::Unavailable;
            connector.fail_next("connector.finish_task", When::Before, kind);
        }
        let id = world.submit(0).await;
        let began = world.seconds();
        let row = world.wait_for_end(0, id, HOUR).await;
        assert_eq!(row.status, TaskStatus::Finished, "{}", world.describe());
        assert!(world.seconds() - began < 5.0, "{}", world.describe());
        assert_eq!(world.node(0).running_tasks(), 0, "it counts no more");
        tokio::time::sleep(Duration::from_secs(30)).await;
        assert!(!is_finished_on_record(&world, id).await);
        world.crash(0).await;
        connector.faults().clear();
        world.start(0).await;
        tokio::time::sleep(Duration::from_secs(30)).await;
        assert!(
            is_finished_on_record(&world, id).await,
            "{}",
            world.describe()
        );
        let ends = |w: &Cluster| {
            let writes = w.connector.writes(0);
            let finishes = |c: &Command| matches!(c, Command::FinishTask { .. });
            writes.iter().filter(|w| finishes(&w.command)).count()
        };
        assert_eq!(ends(&world), 1);
        world.crash(0).await;
        world.start(0).await;
        tokio::time::sleep(Duration::from_secs(30)).await;
        assert_eq!(ends(&world), 1, "it is remembered that it was said");
        at_rest(&world).await;
        world.stop().await;
    });
}

#[test]
fn a_round_that_never_got_on_record_gives_its_number_back() {
    run(async {
        let recipe = Recipe {
            retries: 5,
            ..Recipe::default()
        };
        let mut world = Cluster::new(3, 32, recipe).await;
        let connector = world.hosts[0].connector.clone();
        // Refused twice, and then lost in a way that leaves nobody sure until the record is looked at.
        for _ in 0..2 {
            let kind = PortErrorKind::Rejected;
            connector.fail_next("connector.start_round", When::Before, kind);
        }
        let id = world.submit(0).await;
        let row = world.wait_for_end(0, id, HOUR).await;
        assert_eq!(row.status, TaskStatus::Finished, "{}", world.describe());
        let reports = world.reports(0, id).await;
        let found: Vec<(u32, bool)> = reports
            .iter()
            .map(|r| (r.round, r.end == RoundEnd::Finished))
            .collect();
        assert_eq!(
            found,
            [(1, false), (1, false), (1, true)],
            "{}",
            world.describe()
        );
        at_rest(&world).await;
        world.stop().await;
    });
}

#[test]
fn five_tasks_at_once_share_a_wallet() {
    run(async {
        let recipe = Recipe {
            rounds: 2,
            ..Recipe::default()
        };
        let mut world = Cluster::on_chain(3, 33, recipe, ChainOptions::every(5)).await;
        let mut ids = Vec::new();
        for _ in 0..5 {
            ids.push(world.submit(0).await);
        }
        for id in ids {
            let row = world.wait_for_end(0, id, HOUR).await;
            let story = world.describe();
            assert_eq!(row.status, TaskStatus::Finished, "{:?} {story}", row.error);
            assert_eq!(
                world.counted(0, id).await,
                [[0, 1, 2], [0, 1, 2]],
                "{story}"
            );
            assert_eq!(
                world.reports(0, id).await.len(),
                2,
                "no round failed: {story}"
            );
        }
        at_rest(&world).await;
        // One creation, and one start of each round: nothing was sent twice, or taken back.
        let sent = world.connector.mined();
        let of = |what: fn(&Command) -> bool| sent.iter().filter(|m| what(&m.command)).count();
        assert_eq!(of(|c| matches!(c, Command::CreateTask(_))), 5);
        assert_eq!(of(|c| matches!(c, Command::StartRound { .. })), 10);
        assert_eq!(of(|c| matches!(c, Command::FinishTask { .. })), 5);
        let reverts = world.reverts();
        assert!(reverts.is_empty(), "{reverts:#?}");
        world.stop().await;
    });
}

#[test]
fn an_older_contract_is_not_paid_for_taking_registrations_back() {
    run(async {
        let chain = ChainOptions {
            older_identity: true,
            ..ChainOptions::every(5)
        };
        let mut world = Cluster::on_chain(3, 34, Recipe::default(), chain).await;
        tokio::time::sleep(HOUR).await;
        // Each node finds out once.
        assert!(world.reverts().len() <= 3, "{:#?}", world.reverts());
        let id = world.submit(0).await;
        let row = world.wait_for_end(0, id, HOUR).await;
        assert_eq!(row.status, TaskStatus::Finished, "{}", world.describe());
        world.stop().await;
    });
}
