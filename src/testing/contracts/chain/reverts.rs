//! Clauses about transactions that contracts take back.

use std::fmt::Debug;
use std::time::Duration;

use delta_domain::ids::{Address, RoundNumber};
use delta_domain::task::TaskKind;
use delta_ports::connector::{RejectionReason, RoundKey};
use delta_ports::{PortError, PortErrorKind};

use super::Subject;
use crate::contracts::connector::moves::{each, joined_by, keys_of, new_task, task};

/// What is told of a transaction that was taken back: that it was, in one short line, and for no reason.
fn reverted<T: Debug>(outcome: Result<T, PortError>) {
    let error = outcome.unwrap_err();
    assert_eq!(error.kind(), PortErrorKind::Rejected, "{error}");
    assert_eq!(error.reason(), Some(RejectionReason::Other), "{error}");
    let text = error.message();
    assert!(text.contains("revert") && text.len() < 300, "{text}");
    assert!(!text.contains(['\n', '{']), "{text}");
}

/// Rounds are numbered from 1 without gaps, and each is started once.
pub async fn rounds_are_started_in_order(subject: impl Subject) {
    let [a] = each(&subject).await;
    let c = subject.node(0);
    let task = task(c, TaskKind::Horizontal, &a).await;
    let key = |number| RoundKey {
        kind: TaskKind::Horizontal,
        task: task.clone(),
        round: RoundNumber(number),
    };
    reverted(c.start_round(&a, &key(2), None).await);
    c.start_round(&a, &key(1), None).await.unwrap();
    reverted(c.start_round(&a, &key(1), None).await);
    reverted(c.start_round(&a, &key(3), None).await);
    c.start_round(&a, &key(2), None).await.unwrap();
    // Only the latest takes members.
    reverted(c.join_round(&a, &key(1), &keys_of(&a)).await);
    c.join_round(&a, &key(2), &keys_of(&a)).await.unwrap();
    reverted(c.join_round(&a, &key(2), &keys_of(&a)).await);
}

/// A registration that has lapsed takes no new task; all else goes on.
pub async fn who_has_lapsed_creates_no_task(subject: impl Subject) {
    let [a] = each(&subject).await;
    let c = subject.node(0);
    let key = joined_by(&subject, std::slice::from_ref(&a)).await;
    subject.pass(Duration::from_secs(200));
    reverted(c.create_task(&new_task(TaskKind::Horizontal, &a)).await);
    c.end_round(&a, &key).await.unwrap();
    c.finish_task(key.kind, &a, &key.task).await.unwrap();
    c.join("http://n0", "n0").await.unwrap();
    c.create_task(&new_task(TaskKind::Horizontal, &a))
        .await
        .unwrap();
}

/// A connector speaks for its own wallet, as it writes its address.
pub async fn a_connector_speaks_for_its_own_wallet(subject: impl Subject) {
    let [a, b] = each(&subject).await;
    let small: Address = a.as_str().to_ascii_lowercase().parse().unwrap();
    assert_ne!(small, a, "letters of both kinds");
    for other in [&b, &small] {
        let refused = subject.node(0).update_url(other, "http://x").await;
        let error = refused.unwrap_err();
        assert_eq!(error.kind(), PortErrorKind::Rejected);
        // Over the wire it comes with what to do about it.
        let text = format!("chain connector node address is not {other}");
        assert!(error.message().contains(&text), "{error}");
    }
    subject.node(0).update_url(&a, "http://x").await.unwrap();
    let node = subject.node(1).node(&small).await.unwrap().unwrap();
    assert_eq!(node.url, "http://x");
}
