//! Members that are lost, slow, or back again; nodes that refuse; and sums that must be over the same members.

use std::time::Duration;

use super::approvals::rules;
use super::{HOUR, Moment, pairs, until, wait_no_longer_than};
use delta_node::domain::policy::{ApprovalMode, Policy};
use delta_node::domain::round::FailureCode;
use delta_node::domain::round::message::RoundEnd;
use delta_node::domain::task::TaskStatus;
use delta_node::ports::PortErrorKind;
use delta_node::ports::author_api::AuthorApi as _;
use delta_testing::cluster::{Cluster, Recipe, run};

/// Deadlines that nobody who is not there may cost.
fn patient(rounds: u32) -> Recipe {
    Recipe {
        rounds,
        connection_timeout: 600.0,
        wait_timeout: 600.0,
        threshold: Some(2),
        ..Recipe::default()
    }
}

/// How a member is lost.
#[derive(Debug, Clone, Copy)]
enum Loss {
    /// Its process ends: its connections do as well.
    Ends,
    /// Its machine, or the way to it, is gone without a word.
    Vanishes,
}

async fn lose(world: &mut Cluster, member: usize, loss: Loss) {
    match loss {
        Loss::Ends => world.crash(member).await,
        Loss::Vanishes => world.network.partition(world.hosts[member].url.clone()),
    }
}

/// What a member's loss costs its round, at most, and later ones.
#[test]
fn a_lost_member_is_noticed_and_not_waited_for() {
    const BEFORE: [Moment; 4] = [
        Moment::Selected,
        Moment::Shared,
        Moment::Calculating,
        Moment::Uploaded,
    ];
    for (loss, most) in [(Loss::Ends, 1.0), (Loss::Vanishes, 3.0)] {
        for moment in BEFORE {
            run(async {
                let mut world = Cluster::new(3, 21, patient(6)).await;
                let id = world.submit(0).await;
                // In the second round: the first has shown who is there.
                let one_done = |w: &Cluster| !w.facts.reduces().is_empty();
                world.until("a round is done", HOUR, one_done).await;
                until(&world, 2, moment).await;
                lose(&mut world, 2, loss).await;
                let row = world.wait_for_end(0, id, HOUR).await;
                assert_eq!(row.status, TaskStatus::Finished, "{}", world.describe());
                let reports = world.reports(0, id).await;
                let usual = reports[0].seconds;
                let of_loss = reports.iter().find(|r| r.clients.len() == 2).unwrap();
                let what = format!("{loss:?} at {moment:?}: {}", world.describe());
                assert!(
                    of_loss.seconds <= usual + most,
                    "{} s, {what}",
                    of_loss.seconds
                );
                let after = reports.iter().skip_while(|r| r.round <= of_loss.round);
                for report in after {
                    assert!(
                        report.seconds <= usual + 0.1,
                        "{} s, {what}",
                        report.seconds
                    );
                    assert_eq!(report.clients.len(), 2, "{what}");
                }
                world.stop().await;
            });
        }
    }
}

#[test]
fn a_member_that_comes_back_is_in_the_next_round() {
    run(async {
        let mut world = Cluster::new(3, 22, patient(8)).await;
        let id = world.submit(0).await;
        until(&world, 2, Moment::Uploaded).await;
        world.crash(2).await;
        let two = |w: &Cluster| w.facts.reduces().iter().any(|(_, who)| who.len() == 2);
        world.until("a round without it", HOUR, two).await;
        world.start(2).await;
        world.wait_for_end(0, id, HOUR).await;
        let sizes: Vec<usize> = world.counted(0, id).await.iter().map(Vec::len).collect();
        let first = sizes.iter().position(|n| *n == 2).unwrap();
        let without = sizes.iter().filter(|n| **n == 2).count();
        assert!(sizes[first..].contains(&3) && without <= 2, "{sizes:?}");
        world.stop().await;
    });
}

#[test]
fn a_slow_member_is_waited_for_and_a_ghost_costs_nothing() {
    run(async {
        let mut world = Cluster::new(4, 23, patient(2)).await;
        // A ghost: on the record, and nowhere else, before the task begins.
        world.crash(3).await;
        let slow = world.hosts[1].executor.clone();
        world.hosts[1].executor = slow.with_duration(Duration::from_secs(300));
        world.crash(1).await;
        world.start(1).await;
        world.node(1).connected().await;
        let id = world.submit(0).await;
        let row = world.wait_for_end(0, id, HOUR).await;
        assert_eq!(row.status, TaskStatus::Finished, "{}", world.describe());
        assert_eq!(world.counted(0, id).await, [vec![0, 1, 2], vec![0, 1, 2]]);
        for report in world.reports(0, id).await {
            assert!(report.seconds < 303.0, "{} s", report.seconds);
        }
        world.stop().await;
    });
}

/// A task that cannot have its members ends at once, with their words for it.
#[test]
fn a_task_that_too_many_refuse_ends_at_once() {
    run(async {
        let mut world = Cluster::new(3, 24, patient(1)).await;
        for host in &world.hosts[1..] {
            let never = Policy {
                approval: ApprovalMode::Never,
                ..Policy::default()
            };
            host.policies.set(rules(never));
        }
        let id = world.submit(0).await;
        let began = world.seconds();
        let row = world.wait_for_end(0, id, HOUR).await;
        assert_eq!(row.status, TaskStatus::Error);
        let why = row.error.unwrap_or_default();
        assert!(
            why.contains("2 of the 3 nodes") && why.contains("is not allowed to by its owner"),
            "{why}"
        );
        assert!(world.seconds() - began < 5.0, "{}", world.describe());
        let reports = world.reports(0, id).await;
        assert_eq!(reports.len(), 1, "it was not tried again");
        assert_eq!(reports[0].end, RoundEnd::Failed(FailureCode::Refused));
        world.stop().await;
    });
}

fn bound() -> Recipe {
    Recipe {
        bound: true,
        connection_timeout: 10.0,
        wait_timeout: 10.0,
        retries: 2,
        ..patient(3)
    }
}

#[test]
fn rounds_that_are_combined_have_the_same_members_or_the_task_says_who_is_missing() {
    run(async {
        let mut world = Cluster::new(3, 25, bound()).await;
        wait_no_longer_than(&mut world, Duration::from_secs(120)).await;
        let id = world.submit(0).await;
        let one_done = |w: &Cluster| !w.facts.reduces().is_empty();
        world.until("a round is done", HOUR, one_done).await;
        world.crash(2).await;
        let lost = world.address(2);
        let row = world.wait_for_end(0, id, HOUR).await;
        assert_eq!(row.status, TaskStatus::Error);
        let why = row.error.unwrap_or_default();
        assert!(
            why.contains("members of the round before") && why.contains(lost.as_str()),
            "{why}"
        );
        assert_eq!(world.facts.reduces().len(), 1);
        world.stop().await;
    });
}

/// In combined rounds, and where nobody can be spared: for as long as the coordinator has patience, and no attempt is spent on it.
#[test]
fn a_member_without_whom_there_is_no_round_is_waited_for() {
    let nobody_spared = Recipe {
        bound: false,
        min_clients: 3,
        ..bound()
    };
    let recipes = [bound(), nobody_spared];
    let lengths = [15, 2 * 3600].map(Duration::from_secs);
    for (recipe, away) in pairs(&[0, 1], &lengths) {
        run(async {
            let mut world = Cluster::new(3, 26, recipes[recipe].clone()).await;
            let id = world.submit(0).await;
            let one_done = |w: &Cluster| !w.facts.reduces().is_empty();
            world.until("a round is done", HOUR, one_done).await;
            world.crash(2).await;
            tokio::time::sleep(away).await;
            let (_, progress) = world.node(0).task_progress(id).await.unwrap();
            let waits = progress.map(|p| p.waiting_for).unwrap_or_default();
            assert_eq!(waits, [world.address(2)], "{away:?}");
            world.start(2).await;
            let row = world.wait_for_end(0, id, HOUR).await;
            assert_eq!(
                row.status,
                TaskStatus::Finished,
                "{:?}\n{}",
                row.error,
                world.describe()
            );
            let all = vec![0, 1, 2];
            let steps: Vec<_> = (0..3).map(|step| (step, all.clone())).collect();
            assert_eq!(world.facts.reduces(), steps);
            let reports = world.reports(0, id).await;
            let failed = reports.iter().filter(|r| r.reason.is_some()).count();
            assert!(failed <= 1, "{away:?}: {failed} rounds failed");
            world.stop().await;
        });
    }
}

/// Zeros in one round and numbers in the next are sums over different members.
#[test]
fn who_could_not_compute_stays_out_of_all_combined_rounds() {
    run(async {
        let mut world = Cluster::new(3, 27, bound()).await;
        world.hosts[1]
            .executor
            .fail_next("executor.map", PortErrorKind::Corrupt);
        let id = world.submit(0).await;
        let row = world.wait_for_end(0, id, HOUR).await;
        assert_eq!(row.status, TaskStatus::Finished, "{}", world.describe());
        let reports = world.reports(0, id).await;
        let failed: Vec<_> = reports
            .iter()
            .map(|r| (r.clients.len(), r.failed))
            .collect();
        assert_eq!(failed, [(3, 1); 3]);
        world.stop().await;
    });
    run(async {
        let mut world = Cluster::new(3, 28, bound()).await;
        let id = world.submit(0).await;
        let one_done = |w: &Cluster| !w.facts.reduces().is_empty();
        world.until("a round is done", HOUR, one_done).await;
        world.hosts[1]
            .executor
            .fail_next("executor.map", PortErrorKind::Corrupt);
        let row = world.wait_for_end(0, id, HOUR).await;
        let why = row.error.unwrap_or_default();
        assert!(why.contains("and 0 in the round before"), "{why}");
        world.stop().await;
    });
}
