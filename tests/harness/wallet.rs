//! What a coordinator owes the record: farewells that nobody waits for, and numbers of rounds without a gap.

use std::time::Duration;

use delta_node::domain::connector_record::Command;
use delta_node::domain::round::message::RoundEnd;
use delta_node::domain::task::{TaskKind, TaskStatus};
use delta_node::ports::PortErrorKind;
use delta_node::ports::connector::Connector as _;
use delta_testing::cluster::{Cluster, Recipe, run};
use delta_testing::memory::When;

use super::{HOUR, at_rest};

/// Whether the record knows that the task is over.
async fn is_finished_on_record(world: &Cluster, id: i64) -> bool {
    let task = world.task_id(0, id).await.unwrap();
    let record = world.connector.task(TaskKind::Horizontal, &task).await;
    record.unwrap().finished
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
        let mut world = Cluster::new(3, 32, Recipe::default()).await;
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
