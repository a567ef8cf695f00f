//! Who would gain by it: members that are killed between two rounds whose sums are combined, and budgets of rounds for which nothing was
//! read.

use std::time::Duration;

use super::approvals::rules;
use super::{HOUR, Moment, until};
use delta_node::domain::policy::{ApprovalMode, Policy, Privacy, Renewal, Role, Unit};
use delta_node::domain::task::TaskStatus;
use delta_node::ports::PortErrorKind;
use delta_testing::cluster::{Cluster, Recipe, run};

/// Deadlines that nobody waits for.
fn patient(rounds: u32) -> Recipe {
    Recipe {
        rounds,
        connection_timeout: 600.0,
        wait_timeout: 600.0,
        threshold: Some(2),
        ..Recipe::default()
    }
}

/// Zeros in one round are zeros in those that are combined with it, also where the member never heard of the sum.
#[test]
fn who_could_not_compute_and_was_killed_stays_out_of_all_combined_rounds() {
    run(async {
        let recipe = Recipe {
            bound: true,
            retries: 2,
            ..patient(3)
        };
        let mut world = Cluster::new(3, 33, recipe).await;
        let fault = &world.hosts[1].executor;
        fault.fail_next("executor.map", PortErrorKind::Corrupt);
        let id = world.submit(0).await;
        until(&world, 1, Moment::Confirmed).await;
        world.crash(1).await;
        let one_done = |w: &Cluster| !w.facts.reduces().is_empty();
        world.until("a round is done", HOUR, one_done).await;
        world.start(1).await;
        let row = world.wait_for_end(0, id, HOUR).await;
        assert_eq!(row.status, TaskStatus::Finished, "{:?}", row.error);
        let reports = world.reports(0, id).await;
        let failed: Vec<_> = reports
            .iter()
            .map(|r| (r.clients.len(), r.failed))
            .collect();
        assert_eq!(failed, [(3, 1); 3]);
        world.stop().await;
    });
}

/// That they are zeros is a fact about the data of the round before.
#[test]
fn zeros_under_noise_are_paid_for_in_every_combined_round() {
    run(async {
        let recipe = Recipe {
            bound: true,
            noise: true,
            min_clients: 3,
            ..patient(3)
        };
        let mut world = Cluster::new(3, 34, recipe).await;
        let private = Policy {
            columns: Some([("a".to_owned(), Role::Value)].into()),
            approval: ApprovalMode::Private,
            privacy: Some(Privacy {
                unit: Unit::Record,
                epsilon: 50.0,
                delta: 1e-6,
                renew: Renewal::Never,
            }),
            ..Policy::default()
        };
        for host in &world.hosts {
            host.policies.set(rules(private.clone()));
        }
        let fault = &world.hosts[1].executor;
        fault.fail_next("executor.map", PortErrorKind::Corrupt);
        let id = world.submit(0).await;
        let row = world.wait_for_end(0, id, HOUR).await;
        assert_eq!(row.status, TaskStatus::Finished, "{:?}", row.error);
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!(world.hosts[1].executor.faults().pending(), 0);
        let paid: Vec<usize> = (0..3)
            .map(|index| world.ledger(index).unwrap().charged().count())
            .collect();
        assert_eq!(paid, [3, 3, 3]);
        world.stop().await;
    });
}
