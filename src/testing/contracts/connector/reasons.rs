//! Clauses about why the connector says no: every implementation gives the same reasons.

use std::fmt::Debug;
use std::time::Duration;

use delta_domain::ids::{Address, RoundNumber, TaskId};
use delta_domain::task::TaskKind;
use delta_ports::connector::{RejectionReason as Why, RoundKey, ShareKind, Verification};
use delta_ports::{PortError, PortErrorKind};

use super::Subject;
use super::moves::{digest, joined, keys, new_task, nodes, started};

fn why<T: Debug>(outcome: Result<T, PortError>) -> Option<Why> {
    outcome.unwrap_err().reason()
}

fn nobody() -> Address {
    "0x1111111111111111111111111111111111111111"
        .parse()
        .unwrap()
}

/// Nodes, data, tasks, rounds, members, results: each has a reason of its own.
pub async fn who_and_what_is_not_there(subject: impl Subject) {
    let c = subject.connector();
    let [a, b] = nodes(c).await;
    let task: TaskId = format!("0x{}", "0".repeat(64)).parse().unwrap();
    let kind = TaskKind::Horizontal;
    let none = RoundKey {
        kind,
        task: task.clone(),
        round: RoundNumber(3),
    };
    assert_eq!(why(c.leave(&nobody()).await), Some(Why::NoSuchNode));
    assert_eq!(
        why(c.create_task(&new_task(kind, &nobody())).await),
        Some(Why::NoSuchNode)
    );
    assert_eq!(
        why(c.start_round(&a, &none, None).await),
        Some(Why::NoSuchTask)
    );
    assert_eq!(why(c.end_round(&a, &none).await), Some(Why::NoSuchRound));
    let key = joined(c, &a, std::slice::from_ref(&a)).await;
    assert_eq!(
        why(c.finish_task(kind, &b, &key.task).await),
        Some(Why::NoSuchTask),
        "to everybody but its owner"
    );
    assert_eq!(
        why(c.end_round(&b, &key).await),
        Some(Why::NoSuchRound),
        "to everybody but its owner"
    );
    let stranger = [b.clone()];
    assert_eq!(
        why(c.select_candidates(&a, &key, &stranger).await),
        Some(Why::NoSuchMember)
    );
    assert_eq!(
        why(c.public_keys(&key, &stranger).await),
        Some(Why::NoSuchMember)
    );
    c.finish_task(kind, &a, &key.task).await.unwrap();
    assert_eq!(
        why(c.join_round(&b, &key, &keys(&b)).await),
        Some(Why::TaskFinished)
    );
    subject.pass(Duration::from_secs(120));
    assert_eq!(why(c.leave(&a).await), Some(Why::NodeNotAlive));
    assert_eq!(
        why(c.create_task(&new_task(kind, &a)).await),
        Some(Why::NodeNotAlive)
    );
}

/// A phase that is not, a fact that is already there, a list that cannot be.
pub async fn what_comes_at_the_wrong_time_or_twice(subject: impl Subject) {
    let c = subject.connector();
    let [a, b] = nodes(c).await;
    let key = joined(c, &a, std::slice::from_ref(&a)).await;
    let only = [a.clone()];
    assert_eq!(
        why(c.start_calculation(&a, &key, &only).await),
        Some(Why::WrongPhase)
    );
    assert_eq!(why(c.end_round(&a, &key).await), Some(Why::WrongPhase));
    assert_eq!(
        why(c.upload_result_commitment(&a, &key, &digest("y")).await),
        Some(Why::WrongPhase)
    );
    assert_eq!(
        why(c.join_round(&a, &key, &keys(&b)).await),
        Some(Why::AlreadyThere)
    );
    assert_eq!(
        why(c.select_candidates(&a, &key, &[]).await),
        Some(Why::BadList)
    );
    assert_eq!(
        why(c.select_candidates(&a, &key, &[a.clone(), a.clone()]).await),
        Some(Why::BadList)
    );
    c.select_candidates(&a, &key, &only).await.unwrap();
    assert_eq!(
        why(c.start_round(&a, &key, None).await),
        Some(Why::AlreadyThere)
    );
    let seed = async |text: &str| {
        let commitments = [(a.clone(), digest(text))];
        c.upload_share_commitments(&a, &key, ShareKind::SelfMaskSeed, &commitments)
            .await
    };
    seed("one").await.unwrap();
    assert_eq!(why(seed("another").await), Some(Why::AlreadyThere));
    c.start_calculation(&a, &key, &only).await.unwrap();
    c.upload_result_commitment(&a, &key, &digest("y"))
        .await
        .unwrap();
    assert_eq!(
        why(c.upload_result_commitment(&a, &key, &digest("z")).await),
        Some(Why::AlreadyThere)
    );
}

/// What is no business of the record has the reason `Other`, or none.
pub async fn other_failures_have_no_reason(subject: impl Subject) {
    let c = subject.connector();
    let [a] = nodes(c).await;
    let odd = c.data_commitment(&a, "nul \0", 0).await.unwrap_err();
    assert_eq!(
        (odd.kind(), odd.reason()),
        (PortErrorKind::Rejected, Some(Why::Other))
    );
    let all = std::slice::from_ref(&a);
    let key = started(c, TaskKind::Hlr, &a).await;
    c.join_round(&a, &key, &keys(&a)).await.unwrap();
    c.select_candidates(&a, &key, all).await.unwrap();
    c.start_calculation(&a, &key, all).await.unwrap();
    c.start_aggregation(&a, &key, all).await.unwrap();
    let proof = Verification {
        weight_size: 3,
        proof: String::new(),
        pub_signals: ["1", "6", "2", "3"].map(str::to_owned).to_vec(),
        block_index: 0,
        samples: 1,
    };
    assert_eq!(
        why(c.verify(&a, &key.task, &proof).await),
        Some(Why::TaskNotFinished)
    );
    c.end_round(&a, &key).await.unwrap();
    c.finish_task(key.kind, &a, &key.task).await.unwrap();
    assert_eq!(
        why(c.verify(&nobody(), &key.task, &proof).await),
        Some(Why::ProofRefused)
    );
    let unsupported = c.verify(&a, &key.task, &proof).await.unwrap_err();
    assert_eq!(
        (unsupported.kind(), unsupported.reason()),
        (PortErrorKind::Unsupported, None)
    );
}
