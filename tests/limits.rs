//! Floods of strangers against whole nodes, counted: an honest task ends right, soon, and nothing of the flood stays.
//!
//! Virtual time, one thread. What each single limit does is tested beside its code; docs/limits.md lists all.

#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

use std::time::Duration;

use delta_node::domain::ids::{Address, Digest, RoundNumber, TaskId};
use delta_node::domain::task::{TaskKind, TaskStatus};
use delta_node::ports::blob::{BlobName, BlobStore as _, pieces};
use delta_node::ports::connector::{Connector as _, NewTask, RoundKey};
use delta_node::ports::{UserError, author_api::AuthorApi as _};
use delta_testing::cluster::{Cluster, Recipe, run};

const HOUR: Duration = Duration::from_secs(3600);

/// A task of three steps.
fn three_steps() -> Recipe {
    Recipe {
        rounds: 3,
        ..Recipe::default()
    }
}

/// How long three honest nodes take for a task of three steps, by which all three are counted in each.
async fn honest_task(world: &mut Cluster) -> f64 {
    let began = world.seconds();
    let id = world.submit(0).await;
    let row = world.wait_for_end(0, id, HOUR).await;
    assert_eq!(row.status, TaskStatus::Finished, "{}", world.describe());
    assert_eq!(world.counted(0, id).await, vec![vec![0, 1, 2]; 3]);
    world.seconds() - began
}

async fn usual(seed: u64) -> f64 {
    let mut world = Cluster::new(3, seed, three_steps()).await;
    let took = honest_task(&mut world).await;
    world.stop().await;
    took
}

/// A stranger that is on record and nowhere else.
async fn ghost(world: &Cluster, number: u32) -> Address {
    let url = format!("http://ghost-{number}.test:6700");
    world.connector.join(&url, "ghost").await.unwrap().address
}

async fn create(world: &Cluster, owner: &Address, commitment: Digest) -> TaskId {
    let new = NewTask {
        owner: owner.clone(),
        dataset: "any.csv".into(),
        commitment,
        kind: TaskKind::Horizontal,
        enable_verify: false,
        tolerance: 0,
    };
    world.connector.create_task(&new).await.unwrap().task
}

#[test]
fn ghosts_cost_a_task_no_more_than_its_own_time_again() {
    for seed in 0..4 {
        let took = run(async {
            let mut world = Cluster::new(3, seed, three_steps()).await;
            for number in 0..50 {
                ghost(&world, number).await;
            }
            let took = honest_task(&mut world).await;
            world.stop().await;
            took
        });
        let usual = run(usual(seed));
        assert!(took <= usual * 2.0 + 1.6, "{took} s, usually {usual} s");
    }
}

#[test]
fn a_thousand_tasks_of_one_stranger_do_not_keep_an_honest_one_waiting() {
    let usual = run(usual(7));
    run(async {
        let mut world = Cluster::new(3, 7, three_steps()).await;
        let stranger = ghost(&world, 1).await;
        for number in 0u32..1000 {
            create(&world, &stranger, Digest::of(&number.to_le_bytes())).await;
        }
        let took = honest_task(&mut world).await;
        assert!(took <= usual * 2.0 + 1.6, "{took} s, usually {usual} s");
        world.stop().await;
    });
}

#[test]
fn a_bundle_whose_digest_is_wrong_is_never_kept() {
    run(async {
        let mut world = Cluster::new(3, 1, Recipe::default()).await;
        // The members hear of the task when its bundle lies at the coordinator already.
        for member in [1, 2] {
            world.crash(member).await;
        }
        let (owner, other) = (world.address(0), Digest::of(b"something else"));
        let task = create(&world, &owner, other).await;
        let name = BlobName::coordinator_bundle(&task);
        let (junk, len) = (vec![7; 1 << 20], 1 << 20);
        let served = world.hosts[0].blobs.put(&name, pieces(junk), len).await;
        served.unwrap();
        for member in [1, 2] {
            world.start(member).await;
            world.node(member).connected().await;
        }
        let round = RoundKey {
            kind: TaskKind::Horizontal,
            task: task.clone(),
            round: RoundNumber(1),
        };
        let started = world.connector.start_round(&owner, &round, None).await;
        started.unwrap();
        tokio::time::sleep(Duration::from_secs(60)).await;
        let kept = BlobName::runner_bundle(&task);
        for host in &world.hosts {
            for name in [&kept, &kept.incoming(&other)] {
                assert!(!host.blobs.exists(name).await.unwrap(), "{name}");
            }
        }
        world.stop().await;
    });
}

#[test]
fn a_task_that_wants_more_members_than_there_are_is_refused_at_once() {
    run(async {
        let recipe = Recipe {
            min_clients: 9_999,
            max_clients: 9_999,
            ..Recipe::default()
        };
        let mut world = Cluster::new(3, 1, recipe).await;
        let began = world.seconds();
        for _ in 0..17 {
            let bytes = world.recipe.bundle();
            let refused = world.node(0).submit_task(pieces(bytes), None).await;
            let Err(UserError::Invalid(why)) = refused else {
                panic!("{refused:?}")
            };
            assert!(
                why.contains("9999 members") && why.contains("3 nodes"),
                "{why}"
            );
        }
        assert!(world.seconds() - began < 60.0);
        world.stop().await;
    });
}

#[test]
fn a_task_that_its_own_coordinator_would_leave_is_refused_at_once() {
    run(async {
        let recipe = Recipe {
            min_clients: 2,
            max_clients: 3,
            ..Recipe::default()
        };
        let mut world = Cluster::new(3, 1, recipe).await;
        world.crash(0).await;
        // One of three may collude, this owner thinks: the strategy's threshold of two is too low then.
        world.hosts[0].settings.privacy.colluders = Some(1);
        world.hosts[0].settings.min_clients = 3;
        world.start(0).await;
        world.node(0).connected().await;
        let bytes = world.recipe.bundle();
        let refused = world.node(0).submit_task(pieces(bytes), None).await;
        let Err(UserError::Invalid(why)) = refused else {
            panic!("{refused:?}")
        };
        assert!(why.contains("set colluders"), "{why}");
        world.stop().await;
    });
}

#[test]
fn what_is_left_of_a_submission_goes_when_it_is_refused() {
    run(async {
        let mut world = Cluster::new(3, 1, Recipe::default()).await;
        let refused = world.node(0).submit_task(pieces(vec![1; 4096]), None).await;
        assert!(matches!(refused, Err(UserError::Invalid(_))));
        let left = world.hosts[0].blobs.exists(&BlobName::submission(0)).await;
        assert!(!left.unwrap());
        world.stop().await;
    });
}
