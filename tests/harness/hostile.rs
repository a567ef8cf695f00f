//! Who would gain by it: strangers that decline in others' names, refusals that come early, members that are killed between two rounds
//! whose sums are combined, and budgets of rounds for which nothing was read.

use std::time::Duration;

use super::approvals::rules;
use super::{HOUR, Moment, until};
use delta_node::domain::ids::{Digest, RoundNumber};
use delta_node::domain::policy::{ApprovalMode, Policy, Privacy, Renewal, Role, Unit};
use delta_node::domain::round::message::{RequestBody, RoundEnd, SignedRequest};
use delta_node::domain::round::{DeclineCode, FailureCode};
use delta_node::domain::task::TaskStatus;
use delta_node::ports::PortErrorKind;
use delta_node::ports::author_api::AuthorApi as _;
use delta_node::ports::peer::PeerRequest;
use delta_testing::cluster::{Cluster, Recipe, run};
use delta_testing::memory::When;

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

/// Members hear of a round before the coordinator's own call returns, which here takes another try.
#[test]
fn a_refusal_counts_that_overtakes_the_coordinators_own_call() {
    run(async {
        let mut world = Cluster::new(3, 31, patient(1)).await;
        for host in &world.hosts[1..] {
            let never = Policy {
                approval: ApprovalMode::Never,
                ..Policy::default()
            };
            host.policies.set(rules(never));
        }
        let faults = &world.hosts[0].connector;
        faults.fail_next(
            "connector.start_round",
            When::After,
            PortErrorKind::Unavailable,
        );
        let id = world.submit(0).await;
        let began = world.seconds();
        let row = world.wait_for_end(0, id, HOUR).await;
        assert_eq!(row.status, TaskStatus::Error);
        let took = world.seconds() - began;
        assert!(took < 15.0, "{took} s, {}", world.describe());
        let reports = world.reports(0, id).await;
        assert_eq!(reports.len(), 1, "{}", world.describe());
        assert_eq!(reports[0].end, RoundEnd::Failed(FailureCode::Refused));
        world.stop().await;
    });
}

/// A name costs whoever makes it up nothing: nobody is asked who that is.
#[test]
fn a_decline_in_a_name_that_nobody_has_makes_nobody_look_for_it() {
    run(async {
        let mut world = Cluster::new(3, 32, patient(1)).await;
        // Two wait for the third, which has nothing to say yet.
        world.network.partition(world.hosts[2].url.clone());
        let id = world.submit(0).await;
        until(&world, 1, Moment::Joined).await;
        let row = world.node(0).task(id).await.unwrap();
        let look_up = &world.hosts[0].connector;
        look_up.fail_next("connector.node", When::Before, PortErrorKind::Unavailable);
        let pending = look_up.faults().pending();
        let forged = SignedRequest {
            task: row.task.unwrap(),
            round: RoundNumber(1),
            sender: format!("0x{}", "5e".repeat(20)).parse().unwrap(),
            view: Digest([0; 32]),
            body: RequestBody::Decline {
                reason: DeclineCode::NotAllowed,
            },
            signature: vec![7; 64],
        };
        let api = world.node(0).coordinator_api();
        drop(api.call(PeerRequest::Signed(forged), None).await);
        assert_eq!(look_up.faults().pending(), pending, "it was looked for");
        world.stop().await;
    });
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
