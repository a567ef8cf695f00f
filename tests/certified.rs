//! Certified tasks over whole nodes in memory, with the real proofs: what is confirmed, who is named, and kills at every step.

#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use delta_node::adapters::prover::RistrettoCertifier;
use delta_node::domain::connector_record::RecordEvent;
use delta_node::domain::ids::Digest;
use delta_node::domain::policy::{Policies, Policy, Role};
use delta_node::domain::task::TaskStatus;
use delta_node::ports::author_api::AuthorApi as _;
use delta_node::ports::blob::collect;
use delta_node::ports::certificates::CertifiedRows;
use delta_node::ports::certifier::{Certifier, Verdict};
use delta_node::ports::connector::{Connector as _, RawPublicKeys, RoundKey};
use delta_node::ports::policy::OwnerRules;
use delta_node::ports::storage::{LocalTaskId, TaskRow};
use delta_testing::cluster::{Cluster, Contribution, Recipe, run};
use delta_testing::memory::Use;

const HOUR: Duration = Duration::from_secs(3600);

/// The answer for [`table`]: of every four rows with x = 1 three have the label 1, of those with x = -1 one.
fn optimum(_: usize, _: u32) -> [f64; 2] {
    [3.0_f64.ln(), 0.0]
}

/// A member's rows, eight for each of so many times.
fn table(times: usize) -> CertifiedRows {
    let x = [1.0, 1.0, 1.0, 1.0, -1.0, -1.0, -1.0, -1.0];
    let y = [1.0, 1.0, 1.0, 0.0, 1.0, 0.0, 0.0, 0.0];
    CertifiedRows {
        features: x.repeat(times),
        labels: y.repeat(times),
    }
}

/// Other labels.
fn flipped(times: usize) -> CertifiedRows {
    let mut rows = table(times);
    rows.labels.iter_mut().for_each(|y| *y = 1.0 - *y);
    rows
}

fn honest(node: &str, _: Use) -> CertifiedRows {
    table(1 + node.parse::<usize>().unwrap())
}

fn recipe() -> Recipe {
    Recipe {
        rounds: 2,
        bound: true,
        min_clients: 3,
        max_clients: 3,
        connection_timeout: 10.0,
        wait_timeout: 10.0,
        certified: true,
        ..Recipe::default()
    }
}

/// Nodes that train as told and have these rows; those of `forgers` prove whatever their rows are then.
async fn world(
    n: usize,
    recipe: Recipe,
    trained: Contribution,
    rows: fn(&str, Use) -> CertifiedRows,
    forgers: &[usize],
) -> Cluster {
    let mut world = Cluster::contributing(n, 5, recipe, trained).await;
    let certifier: Arc<dyn Certifier> = Arc::new(RistrettoCertifier::default());
    for index in 0..n {
        world.stop_one(index).await;
        let host = &mut world.hosts[index];
        let mut executor = host.executor.clone().with_tables(certifier.clone(), rows);
        if forgers.contains(&index) {
            executor = executor.forging();
        }
        host.executor = executor;
        world.start(index).await;
        world.node(index).connected().await;
    }
    world
}

async fn certificate(world: &Cluster, id: LocalTaskId) -> Result<Verdict, String> {
    let file = world.node(0).task_certificate(id).await;
    let (len, content) = file.map_err(|e| e.to_string())?;
    let bytes = collect(content, len, "test").await.unwrap();
    let verdict = RistrettoCertifier::default().judge(&bytes);
    Ok(verdict.unwrap())
}

fn logged(world: &Cluster, index: usize, words: &str) -> usize {
    let logs = world.hosts[index].storage.peek_logs();
    logs.iter()
        .filter(|log| log.log.message.contains(words))
        .count()
}

/// What each node has registered for the task, as often as the record says so.
fn registered(world: &Cluster, row: &TaskRow) -> Vec<(String, String)> {
    let task = row.task.clone().unwrap();
    let events = world.connector.history().into_iter();
    events
        .filter_map(|event| match event {
            RecordEvent::DataRegistered {
                owner,
                name,
                index: 0,
                commitment,
            } if name == task.as_str() => Some((owner, commitment)),
            _ => None,
        })
        .collect()
}

/// Nothing is left over a while after the end, no salt either.
async fn at_rest(world: &Cluster) {
    tokio::time::sleep(Duration::from_secs(200)).await;
    let left = world.unfinished_business();
    assert!(left.is_empty(), "{left:#?}\n{}", world.describe());
    for host in &world.hosts {
        let kept = host.storage.peek_machines();
        assert!(kept.iter().all(|key| key.kind.name() != "runner_keys"));
    }
}

#[test]
fn an_honest_answer_is_confirmed_and_every_member_has_checked_it() {
    run(async {
        let mut world = world(3, recipe(), optimum, honest, &[]).await;
        let id = world.submit(0).await;
        let row = world.wait_for_end(0, id, HOUR).await;
        assert_eq!(row.status, TaskStatus::Confirmed, "{}", world.describe());
        let verdict = certificate(&world, id).await.unwrap();
        assert!(verdict.holds());
        assert_eq!((verdict.rows, verdict.members.len()), (8 + 16 + 24, 3));
        let coefficients = verdict.claim.coefficients();
        assert!(
            (coefficients[0] - 3.0_f64.ln()).abs() < 1e-3,
            "{coefficients:?}"
        );
        // Two rounds have sums, one has proofs; and what was proven is what was committed to before the first.
        assert_eq!(world.reports(0, id).await.len(), 3);
        let on_record: BTreeSet<String> =
            registered(&world, &row).into_iter().map(|r| r.1).collect();
        let proven: BTreeSet<String> = verdict
            .members
            .iter()
            .map(|m| m.commitment.to_string())
            .collect();
        assert_eq!(proven, on_record);
        at_rest(&world).await;
        for index in 0..3 {
            let words = "this node has checked the certificate";
            assert_eq!(logged(&world, index, words), 1, "{}", world.describe());
        }
        world.stop().await;
    });
}

#[test]
fn training_that_stops_early_is_certified_at_once() {
    run(async {
        let recipe = Recipe {
            rounds: 30,
            stop_after: Some(1),
            ..recipe()
        };
        let mut world = world(3, recipe, optimum, honest, &[]).await;
        let id = world.submit(0).await;
        let row = world.wait_for_end(0, id, HOUR).await;
        assert_eq!(row.status, TaskStatus::Confirmed, "{}", world.describe());
        let reports = world.reports(0, id).await;
        let steps: Vec<u32> = reports.iter().map(|r| r.step).collect();
        assert_eq!(steps, [0, 1, 30]);
        at_rest(&world).await;
        world.stop().await;
    });
}

/// One member moves the answer by a fraction: all proofs hold, too much remains, and nobody is named.
#[test]
fn a_member_that_lies_while_training_is_not_confirmed_and_nobody_is_blamed() {
    fn lied(node: usize, step: u32) -> [f64; 2] {
        let [slope, intercept] = optimum(node, step);
        match node {
            1 => [slope + 0.6, intercept],
            _ => [slope, intercept],
        }
    }
    run(async {
        let mut world = world(3, recipe(), lied, honest, &[]).await;
        let id = world.submit(0).await;
        let row = world.wait_for_end(0, id, HOUR).await;
        assert_eq!(row.status, TaskStatus::Finished, "{}", world.describe());
        let verdict = certificate(&world, id).await.unwrap();
        assert!(!verdict.holds() && verdict.norm > 1e-2, "{verdict:?}");
        assert_eq!(logged(&world, 0, "nobody can be blamed from this alone"), 1);
        at_rest(&world).await;
        assert_eq!(
            logged(&world, 2, "all proofs hold, and too much remains"),
            1
        );
        world.stop().await;
    });
}

#[test]
fn a_member_that_proves_another_table_than_it_committed_to_is_named() {
    fn rows(node: &str, used: Use) -> CertifiedRows {
        match (node, used) {
            ("1", Use::Prove) => flipped(2),
            _ => honest(node, used),
        }
    }
    run(async {
        let mut world = world(3, recipe(), optimum, rows, &[1]).await;
        let id = world.submit(0).await;
        let row = world.wait_for_end(0, id, HOUR).await;
        assert_eq!(row.status, TaskStatus::Finished, "{}", world.describe());
        let why = certificate(&world, id).await.unwrap_err();
        let words = format!(
            "{} proves another table than it committed to",
            world.address(1)
        );
        assert!(why.contains(&words), "{why}");
        at_rest(&world).await;
        world.stop().await;
    });
}

/// Its data have changed: its own node notices, and proves nothing. The proofs are asked for once more, and then the answer stands alone.
#[test]
fn a_missing_proof_repeats_the_round_once_and_is_named_then() {
    fn rows(node: &str, used: Use) -> CertifiedRows {
        match (node, used) {
            ("2", Use::Prove) => flipped(3),
            _ => honest(node, used),
        }
    }
    run(async {
        let mut world = world(3, recipe(), optimum, rows, &[]).await;
        let id = world.submit(0).await;
        let row = world.wait_for_end(0, id, HOUR).await;
        assert_eq!(row.status, TaskStatus::Finished, "{}", world.describe());
        let reports = world.reports(0, id).await;
        let steps: Vec<u32> = reports.iter().map(|r| r.step).collect();
        assert_eq!(steps, [0, 1, 2, 2], "{}", world.describe());
        let why = certificate(&world, id).await.unwrap_err();
        assert!(
            why.contains("there are not the proofs of all members"),
            "{why}"
        );
        assert!(why.contains(world.address(2).as_str()), "{why}");
        at_rest(&world).await;
        world.stop().await;
    });
}

/// What fails once is not the end of it.
#[test]
fn a_proof_that_fails_once_is_made_in_the_second_round() {
    run(async {
        let mut world = world(3, recipe(), optimum, honest, &[]).await;
        let trouble = delta_node::ports::PortErrorKind::Corrupt;
        world.hosts[1]
            .executor
            .fail_next("executor.prove_table", trouble);
        let id = world.submit(0).await;
        let row = world.wait_for_end(0, id, HOUR).await;
        assert_eq!(row.status, TaskStatus::Confirmed, "{}", world.describe());
        let steps: Vec<u32> = world.reports(0, id).await.iter().map(|r| r.step).collect();
        assert_eq!(steps, [0, 1, 2, 2]);
        at_rest(&world).await;
        world.stop().await;
    });
}

/// Who has joined and committed to nothing is said so in the log, and others are selected.
#[test]
fn a_member_without_a_commitment_is_not_selected() {
    run(async {
        let recipe = Recipe {
            max_clients: 4,
            ..recipe()
        };
        let mut world = world(3, recipe, optimum, honest, &[]).await;
        let connector = world.connector.clone();
        let ghost = connector
            .join("http://ghost.test:6700", "ghost")
            .await
            .unwrap()
            .address;
        let id = world.submit(0).await;
        world
            .until("the first round", HOUR, |w| started(w, 1))
            .await;
        let task = world.row(0, id).await.task.unwrap();
        let key = RoundKey {
            kind: delta_node::domain::task::TaskKind::Hlr,
            task,
            round: delta_node::domain::ids::RoundNumber(1),
        };
        let keys = RawPublicKeys {
            pk1: "0x02".to_owned(),
            pk2: "0x02".to_owned(),
        };
        connector.join_round(&ghost, &key, &keys).await.unwrap();
        let row = world.wait_for_end(0, id, HOUR).await;
        assert_eq!(row.status, TaskStatus::Confirmed, "{}", world.describe());
        let words = format!("{ghost} has joined without a commitment to its table");
        assert_eq!(logged(&world, 0, &words), 1, "{}", world.describe());
        assert!(
            world
                .reports(0, id)
                .await
                .iter()
                .all(|r| r.clients.len() == 3)
        );
        world.stop().await;
    });
}

/// A node whose rows are outside their bounds takes no part, and says why to its owner alone.
#[test]
fn rows_outside_their_bounds_are_refused_and_not_clipped() {
    fn rows(node: &str, used: Use) -> CertifiedRows {
        let mut rows = honest(node, used);
        if node == "2" {
            rows.features[0] = 1.5;
        }
        rows
    }
    run(async {
        let recipe = Recipe {
            min_clients: 2,
            ..recipe()
        };
        let mut world = world(3, recipe, optimum, rows, &[]).await;
        let id = world.submit(0).await;
        let row = world.wait_for_end(0, id, HOUR).await;
        assert_eq!(row.status, TaskStatus::Confirmed, "{}", world.describe());
        assert_eq!(world.counted(0, id).await[0], [0, 1]);
        assert_eq!(registered(&world, &row).len(), 2);
        at_rest(&world).await;
        world.stop().await;
    });
}

/// A rule that answers other tasks with zeros keeps a node out of a certified one, before its rows are read: zeros prove nothing.
#[test]
fn a_rule_on_what_is_read_keeps_a_node_out() {
    fn rows(node: &str, used: Use) -> CertifiedRows {
        assert_ne!(node, "2", "its owner does not allow the task");
        honest(node, used)
    }
    run(async {
        let recipe = Recipe {
            min_clients: 2,
            ..recipe()
        };
        let mut world = world(3, recipe, optimum, rows, &[]).await;
        let hidden = BTreeMap::from([("a".to_owned(), Role::Hidden)]);
        let policy = Policy {
            columns: Some(hidden),
            ..Policy::default()
        };
        let datasets = BTreeMap::from([("any.csv".parse().unwrap(), policy)]);
        world.hosts[2].policies.set(OwnerRules {
            policies: Arc::new(Policies::new(datasets)),
            ..OwnerRules::default()
        });
        let id = world.submit(0).await;
        let row = world.wait_for_end(0, id, HOUR).await;
        assert_eq!(row.status, TaskStatus::Confirmed, "{}", world.describe());
        assert_eq!(world.counted(0, id).await[0], [0, 1]);
        assert_eq!(registered(&world, &row).len(), 2);
        world.stop().await;
    });
}

/// A coordinator that shows members another answer than it put on record gets no proof of it: it could choose one after the other.
#[test]
fn an_answer_that_is_not_on_record_is_not_proven() {
    run(async {
        let mut world = world(3, recipe(), optimum, honest, &[]).await;
        let id = world.submit(0).await;
        world
            .until("the first round", HOUR, |w| started(w, 1))
            .await;
        world.connector.lie_about_weights(Digest([7; 32]));
        let row = world.wait_for_end(0, id, HOUR).await;
        assert_eq!(row.status, TaskStatus::Finished, "{}", world.describe());
        let why = certificate(&world, id).await.unwrap_err();
        assert!(
            why.contains("there are not the proofs of all members"),
            "{why}"
        );
        let proofs = |w: &Cluster| {
            has(
                w,
                |e| matches!(e, RecordEvent::AggregationStarted { round, .. } if *round > 2),
            )
        };
        assert!(!proofs(&world), "{}", world.describe());
        at_rest(&world).await;
        world.stop().await;
    });
}

/// Where the coordinator's worker cannot look at the proofs, the answer stands without a certificate.
#[test]
fn proofs_that_cannot_be_checked_take_the_certificate_and_not_the_answer() {
    run(async {
        let mut world = world(3, recipe(), optimum, honest, &[]).await;
        let trouble = delta_node::ports::PortErrorKind::Exhausted;
        for _ in 0..3 {
            world.hosts[0]
                .executor
                .fail_next("executor.assemble", trouble);
        }
        let id = world.submit(0).await;
        let row = world.wait_for_end(0, id, HOUR).await;
        assert_eq!(row.status, TaskStatus::Finished, "{}", world.describe());
        let why = certificate(&world, id).await.unwrap_err();
        assert!(why.contains("could not check the proofs"), "{why}");
        assert_eq!(logged(&world, 0, "could not check the proofs"), 1);
        at_rest(&world).await;
        world.stop().await;
    });
}

#[test]
fn a_program_without_certificates_takes_no_certified_task() {
    run(async {
        let mut world = Cluster::contributing(3, 5, recipe(), optimum).await;
        let bytes = world.recipe.bundle();
        let content = futures_util::stream::iter([Ok(bytes.into())]);
        let refused = world.node(0).submit_task(Box::pin(content), None).await;
        let why = refused.unwrap_err().to_string();
        assert!(why.contains("built without certificates"), "{why}");
        world.stop().await;
    });
}

type Moment = (&'static str, fn(&Cluster) -> bool);

fn has(world: &Cluster, wanted: impl Fn(&RecordEvent) -> bool) -> bool {
    world.connector.history().iter().any(wanted)
}

fn started(world: &Cluster, number: i32) -> bool {
    has(
        world,
        |e| matches!(e, RecordEvent::RoundStarted { round, .. } if *round == number),
    )
}

/// The proof round is the third.
const MOMENTS: [Moment; 7] = [
    ("committed", |w| {
        has(
            w,
            |e| matches!(e, RecordEvent::DataRegistered { index: 0, name, .. } if name.starts_with("0x")),
        )
    }),
    ("proof round started", |w| started(w, 3)),
    ("provers selected", |w| {
        has(w, |e| {
            matches!(e, RecordEvent::PartnerSelected { round: 3, .. })
        })
    }),
    ("proving", |w| {
        has(w, |e| {
            matches!(e, RecordEvent::CalculationStarted { round: 3, .. })
        })
    }),
    ("all proofs there", |w| {
        has(w, |e| {
            matches!(e, RecordEvent::AggregationStarted { round: 3, .. })
        })
    }),
    ("proof round ended", |w| {
        has(w, |e| matches!(e, RecordEvent::RoundEnded { round: 3, .. }))
    }),
    ("task finished", |w| {
        has(w, |e| matches!(e, RecordEvent::TaskFinished { .. }))
    }),
];

/// Whoever is killed comes back with the commitment that it made, and the answer is certified.
#[test]
fn nodes_that_are_killed_at_any_step_end_with_a_certificate() {
    for (name, moment) in MOMENTS {
        for victim in [0, 1] {
            run(async {
                let mut world = world(3, recipe(), optimum, honest, &[]).await;
                let id = world.submit(0).await;
                world.until(name, HOUR, moment).await;
                world.crash(victim).await;
                world.start(victim).await;
                let row = world.wait_for_end(0, id, HOUR).await;
                let what = format!("{name}, node {victim}\n{}", world.describe());
                assert_eq!(row.status, TaskStatus::Confirmed, "{what}");
                assert!(certificate(&world, id).await.unwrap().holds(), "{what}");
                let said: BTreeSet<(String, String)> =
                    registered(&world, &row).into_iter().collect();
                assert_eq!(said.len(), 3, "one commitment a node: {what}");
                at_rest(&world).await;
                world.stop().await;
            });
        }
    }
}
