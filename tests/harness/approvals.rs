//! Tasks that wait for owners: both sides know, the word counts when it is given, is kept through kills, and can be taken back.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use delta_node::domain::ids::{Digest, TaskId};
use delta_node::domain::policy::audit::{AuditEvent, Head, follow, verify};
use delta_node::domain::policy::{
    ApprovalMode, Decision, OwnerDecision, Policies, Policy, Rule, Who,
};
use delta_node::domain::task::TaskStatus;
use delta_node::ports::author_api::{AuthorApi as _, TaskProgress};
use delta_node::ports::journal::Journal as _;
use delta_node::ports::owner_api::{AskedTask, Decided, DecisionScope, OwnerApi as _};
use delta_node::ports::policy::OwnerRules;
use delta_testing::cluster::{Cluster, Recipe, run};

use super::{HOUR, at_rest};

/// Node 0 coordinates; the owners of the others say what the test says.
async fn world(nodes: usize, recipe: Recipe) -> Cluster {
    let mut world = Cluster::new(nodes, 6, recipe).await;
    for index in 1..nodes {
        world.crash(index).await;
        world.hosts[index].agreeable = false;
        world.start(index).await;
        world.node(index).connected().await;
    }
    world
}

fn of(nodes: u32, rounds: u32) -> Recipe {
    Recipe {
        rounds,
        min_clients: nodes,
        max_clients: 8,
        connection_timeout: 30.0,
        ..Recipe::default()
    }
}

async fn asked(world: &Cluster, index: usize) -> Option<AskedTask> {
    world.node(index).asked_tasks().await.into_iter().next()
}

/// The task that waits at a node, once it does.
async fn waits(world: &Cluster, index: usize) -> TaskId {
    for _ in 0..3_000 {
        if let Some(asked) = asked(world, index).await.filter(|a| a.waits) {
            return asked.task;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("nothing waits at node {index}\n{}", world.describe());
}

async fn say(
    world: &Cluster,
    index: usize,
    decision: OwnerDecision,
    scope: DecisionScope,
) -> Decided {
    let task = waits(world, index).await;
    let with = "token test".to_owned();
    let node = world.node(index);
    node.decide(&task, decision, scope, with).await.unwrap()
}

async fn progress(world: &Cluster, id: i64) -> Option<TaskProgress> {
    world.node(0).task_progress(id).await.unwrap().1
}

/// Waits until the coordinator knows that so many owners are asked.
async fn asking(world: &Cluster, id: i64, owners: usize) -> TaskProgress {
    for _ in 0..3_000 {
        let progress = progress(world, id).await;
        if let Some(progress) = progress.filter(|p| p.asking.len() == owners) {
            return progress;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the coordinator does not hear of it\n{}", world.describe());
}

/// What a node's journal tells, every line checked.
async fn journal(world: &Cluster, index: usize) -> Vec<AuditEvent> {
    let host = &world.hosts[index];
    let lines = host.journal.read(0, 10_000).await.unwrap();
    let key = host.node_key.public();
    verify(lines.iter().map(String::as_str), key).unwrap();
    let mut head = Head::EMPTY;
    let entries = lines.iter().map(|line| {
        let (entry, next) = follow(head, line, key).unwrap();
        head = next;
        entry.event
    });
    entries.collect()
}

#[test]
fn a_task_waits_for_an_owner_for_hours_and_both_sides_know_it() {
    run(async {
        let mut world = world(2, of(2, 1)).await;
        let id = world.submit(0).await;
        let seen = asking(&world, id, 1).await;
        assert_eq!(seen.asking, [world.address(1)]);
        let at_owner = asked(&world, 1).await.unwrap();
        assert_eq!(at_owner.verdict.by(), [Rule::Asks]);
        assert!(at_owner.until > at_owner.asked_at + HOUR);
        // Longer than any deadline of the round.
        tokio::time::sleep(3 * HOUR).await;
        assert_eq!(world.row(0, id).await.status, TaskStatus::Running);
        assert!(
            asked(&world, 1).await.unwrap().waits,
            "{}",
            world.describe()
        );
        say(&world, 1, OwnerDecision::Allow, DecisionScope::Once).await;
        let row = world.wait_for_end(0, id, HOUR).await;
        assert_eq!(row.status, TaskStatus::Finished, "{}", world.describe());
        assert_eq!(world.counted(0, id).await, [[0, 1]]);
        // It was one round: no attempt failed while it waited.
        assert_eq!(world.reports(0, id).await.len(), 1);
        let told = journal(&world, 1).await;
        let kinds: Vec<&str> = told
            .iter()
            .map(|event| match event {
                AuditEvent::Policy { .. } => "policy",
                AuditEvent::Judged {
                    decision: Decision::Asks,
                    ..
                } => "asks",
                AuditEvent::Judged { .. } => "judged",
                AuditEvent::Decided(_) => "decided",
                AuditEvent::Revoked { .. } => "revoked",
                AuditEvent::Released { .. } => "released",
            })
            .collect();
        assert_eq!(kinds, ["policy", "asks", "decided", "judged", "released"]);
        world.stop().await;
    });
}

#[test]
fn enough_go_on_and_who_is_allowed_later_joins_the_next_round() {
    run(async {
        let mut world = world(
            3,
            Recipe {
                min_clients: 2,
                ..of(2, 3)
            },
        )
        .await;
        let id = world.submit(0).await;
        say(&world, 1, OwnerDecision::Allow, DecisionScope::Once).await;
        world
            .until("the first round to end", HOUR, |w| {
                w.hosts[0]
                    .storage
                    .peek_logs()
                    .iter()
                    .any(|l| l.log.message.contains("round 2"))
            })
            .await;
        say(&world, 2, OwnerDecision::Allow, DecisionScope::Once).await;
        let row = world.wait_for_end(0, id, HOUR).await;
        assert_eq!(row.status, TaskStatus::Finished, "{}", world.describe());
        let counted = world.counted(0, id).await;
        assert_eq!(counted[0], [0, 1]);
        assert_eq!(counted[2], [0, 1, 2], "{counted:?}");
        world.stop().await;
    });
}

#[test]
fn a_no_ends_the_waiting_and_the_author_is_told_the_code() {
    run(async {
        let recipe = Recipe {
            retries: 0,
            ..of(2, 1)
        };
        let mut world = world(2, recipe).await;
        let id = world.submit(0).await;
        asking(&world, id, 1).await;
        say(&world, 1, OwnerDecision::Deny, DecisionScope::Once).await;
        let row = world.wait_for_end(0, id, HOUR).await;
        assert_eq!(row.status, TaskStatus::Error);
        let why = row.error.unwrap();
        assert!(why.contains("is not allowed to by its owner"), "{why}");
        let nothing = world.facts.computations_of(1);
        assert_eq!(nothing, 0, "{}", world.describe());
        world.stop().await;
    });
}

#[test]
fn a_word_that_is_taken_back_stops_a_running_task_at_its_next_round() {
    run(async {
        let recipe = Recipe {
            retries: 0,
            ..of(2, 200)
        };
        let mut world = world(2, recipe).await;
        let id = world.submit(0).await;
        let decided = say(&world, 1, OwnerDecision::Allow, DecisionScope::Once).await;
        world
            .until("a few rounds", HOUR, |w| w.facts.computations_of(1) >= 3)
            .await;
        let node = world.node(1);
        node.revoke(&decided.id, "token test".to_owned())
            .await
            .unwrap();
        let before = world.facts.computations_of(1);
        let again = node.revoke(&decided.id, "token test".to_owned()).await;
        assert!(again.is_err());
        asking(&world, id, 1).await;
        let after = world.facts.computations_of(1);
        assert!(after <= before + 1, "{before} {after}");
        say(&world, 1, OwnerDecision::Deny, DecisionScope::Once).await;
        assert_eq!(
            world.wait_for_end(0, id, HOUR).await.status,
            TaskStatus::Error
        );
        world.stop().await;
    });
}

#[test]
fn a_decision_for_the_author_holds_for_the_same_question_only() {
    run(async {
        let mut world = world(2, of(2, 1)).await;
        let first = world.submit(0).await;
        say(&world, 1, OwnerDecision::Allow, DecisionScope::Always).await;
        world.wait_for_end(0, first, HOUR).await;
        let second = world.submit(0).await;
        let row = world.wait_for_end(0, second, HOUR).await;
        assert_eq!(row.status, TaskStatus::Finished, "{}", world.describe());
        // One round more is another question.
        world.recipe.rounds = 2;
        let third = world.submit(0).await;
        asking(&world, third, 1).await;
        world.stop().await;
    });
}

#[test]
fn kills_lose_neither_questions_nor_decisions() {
    for lag in [0, 1, 3, 10, 40] {
        run(async {
            let mut world = world(2, of(2, 3)).await;
            let id = world.submit(0).await;
            asking(&world, id, 1).await;
            world.crash(1).await;
            world.start(1).await;
            say(&world, 1, OwnerDecision::Allow, DecisionScope::Once).await;
            for _ in 0..lag {
                tokio::task::yield_now().await;
            }
            world.crash(1).await;
            world.start(1).await;
            let row = world.wait_for_end(0, id, HOUR).await;
            assert_eq!(
                row.status,
                TaskStatus::Finished,
                "{lag}\n{}",
                world.describe()
            );
            let decided = world.node(1).decisions().await;
            assert_eq!(decided.len(), 1);
            journal(&world, 1).await;
            at_rest(&world).await;
            world.stop().await;
        });
    }
}

#[test]
fn the_coordinator_may_be_killed_while_owners_are_asked() {
    run(async {
        let mut world = world(2, of(2, 1)).await;
        let id = world.submit(0).await;
        asking(&world, id, 1).await;
        world.crash(0).await;
        tokio::time::sleep(Duration::from_secs(10)).await;
        world.start(0).await;
        tokio::time::sleep(HOUR).await;
        say(&world, 1, OwnerDecision::Allow, DecisionScope::Once).await;
        let row = world.wait_for_end(0, id, HOUR).await;
        assert_eq!(row.status, TaskStatus::Finished, "{}", world.describe());
        world.stop().await;
    });
}

pub(super) fn rules(policy: Policy) -> OwnerRules {
    let digest = Digest::of(format!("{policy:?}").as_bytes());
    let datasets = BTreeMap::from([("any.csv".parse().unwrap(), policy)]);
    OwnerRules {
        policies: Arc::new(Policies::new(datasets)),
        digest,
        ..OwnerRules::default()
    }
}

#[test]
fn rules_take_effect_without_a_restart_and_count_the_rounds_of_a_day() {
    run(async {
        let recipe = Recipe {
            retries: 0,
            ..of(2, 5)
        };
        let mut world = world(2, recipe).await;
        let id = world.submit(0).await;
        world.hosts[1].policies.set(rules(Policy {
            rounds_per_day: Some(2),
            ..Policy::default()
        }));
        say(&world, 1, OwnerDecision::Allow, DecisionScope::Once).await;
        let row = world.wait_for_end(0, id, HOUR).await;
        assert_eq!(row.status, TaskStatus::Error);
        let why = row.error.unwrap();
        assert!(why.contains("has spent the budget"), "{why}");
        assert_eq!(world.facts.computations_of(1), 2);
        world.stop().await;
    });
}

#[test]
fn a_rule_for_an_author_takes_the_word_of_the_authors_node() {
    run(async {
        let recipe = Recipe {
            retries: 0,
            ..of(2, 1)
        };
        let mut world = world(2, recipe).await;
        let home = world.hosts[0].node_key.fingerprint();
        let anna: Who = format!("author:anna@{home}").parse().unwrap();
        world.hosts[1].policies.set(rules(Policy {
            who: Some([anna].into()),
            ..Policy::default()
        }));
        for author in [Some("bob"), None] {
            let id = world.submit_as(0, author).await;
            let row = world.wait_for_end(0, id, HOUR).await;
            let why = row.error.unwrap();
            assert!(why.contains("is not allowed to by its owner"), "{why}");
        }
        let id = world.submit_as(0, Some("anna")).await;
        let task = waits(&world, 1).await;
        let asked = world.node(1).asked_tasks().await;
        let hers = asked.iter().find(|a| a.task == task).unwrap();
        assert_eq!(hers.question.author.name.as_deref(), Some("anna"));
        say(&world, 1, OwnerDecision::Allow, DecisionScope::Once).await;
        let row = world.wait_for_end(0, id, HOUR).await;
        assert_eq!(row.status, TaskStatus::Finished, "{:?}", row.error);
        world.stop().await;
    });
}

#[test]
fn who_may_not_ask_is_refused_whatever_was_allowed() {
    run(async {
        let recipe = Recipe {
            retries: 0,
            ..of(2, 1)
        };
        let mut world = world(2, recipe).await;
        let somebody: Who = "org:Somebody else".parse().unwrap();
        world.hosts[1].policies.set(rules(Policy {
            who: Some([somebody].into()),
            approval: ApprovalMode::Controlled,
            ..Policy::default()
        }));
        let id = world.submit(0).await;
        let row = world.wait_for_end(0, id, HOUR).await;
        assert_eq!(row.status, TaskStatus::Error);
        assert!(
            row.error
                .unwrap()
                .contains("is not allowed to by its owner")
        );
        assert_eq!(world.facts.computations_of(1), 0);
        world.stop().await;
    });
}

#[test]
fn what_depends_on_data_is_not_seen_from_outside() {
    run(async {
        let mut world = world(3, of(2, 1)).await;
        // The rule on a hidden column: the task reads "a".
        let hidden = BTreeMap::from([("a".to_owned(), delta_node::domain::policy::Role::Hidden)]);
        world.hosts[1].policies.set(rules(Policy {
            columns: Some(hidden),
            ..Policy::default()
        }));
        let id = world.submit(0).await;
        say(&world, 2, OwnerDecision::Allow, DecisionScope::Once).await;
        let row = world.wait_for_end(0, id, HOUR).await;
        assert_eq!(row.status, TaskStatus::Finished, "{}", world.describe());
        let reports = world.reports(0, id).await;
        assert_eq!((reports[0].clients.len(), reports[0].failed), (3, 1));
        assert_eq!(world.facts.computations_of(1), 0);
        world.stop().await;
    });
}
