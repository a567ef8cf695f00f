//! What most clauses begin with.

use std::fmt::Debug;
use std::time::Duration;

use delta_domain::event::NetworkEvent;
use delta_domain::ids::{Address, Digest, RoundNumber, TaskId};
use delta_domain::task::TaskKind;
use delta_ports::connector::{
    Connector, EventStream, NewTask, RawPublicKeys, RejectionReason, RoundKey,
};
use delta_ports::{PortError, PortErrorKind};
use futures_util::StreamExt as _;

use super::Subject;

/// The node called `name` joins.
pub async fn node(connector: &dyn Connector, name: &str) -> Address {
    let joined = connector.join(&format!("http://{name}"), name).await;
    joined.unwrap().address
}

/// The nodes `n0`, `n1` and so on join, in this order.
pub async fn nodes<const N: usize>(connector: &dyn Connector) -> [Address; N] {
    let mut nodes = Vec::new();
    for i in 0..N {
        nodes.push(node(connector, &format!("n{i}")).await);
    }
    nodes.try_into().unwrap()
}

/// A node joins on each of the subject's first connectors, in this order.
pub async fn each<const N: usize>(subject: &impl Subject) -> [Address; N] {
    let mut nodes = Vec::new();
    for i in 0..N {
        nodes.push(node(subject.node(i), &format!("n{i}")).await);
    }
    nodes.try_into().unwrap()
}

/// A round of the first node that all `members` have joined, node `i` on its own connector.
pub async fn joined_by(subject: &impl Subject, members: &[Address]) -> RoundKey {
    let key = started(subject.node(0), TaskKind::Horizontal, &members[0]).await;
    for (i, member) in members.iter().enumerate() {
        let keys = keys_of(member);
        let join = subject.node(i).join_round(member, &key, &keys);
        join.await.unwrap();
    }
    key
}

/// Keys as contracts take them, too: hex.
#[must_use]
pub fn keys_of(member: &Address) -> RawPublicKeys {
    RawPublicKeys {
        pk1: digest(&format!("pk1 of {member}")).to_string(),
        pk2: digest(&format!("pk2 of {member}")).to_string(),
    }
}

/// Creates a task of `owner`.
pub async fn task(connector: &dyn Connector, kind: TaskKind, owner: &Address) -> TaskId {
    let created = connector.create_task(&new_task(kind, owner)).await;
    created.unwrap().task
}

/// A new task of `owner` with round 1 started.
pub async fn started(connector: &dyn Connector, kind: TaskKind, owner: &Address) -> RoundKey {
    let key = RoundKey {
        kind,
        task: task(connector, kind, owner).await,
        round: RoundNumber(1),
    };
    connector.start_round(owner, &key, None).await.unwrap();
    key
}

/// A round of `owner` that all `members` have joined.
pub async fn joined(connector: &dyn Connector, owner: &Address, members: &[Address]) -> RoundKey {
    let key = started(connector, TaskKind::Horizontal, owner).await;
    for member in members {
        connector
            .join_round(member, &key, &keys(member))
            .await
            .unwrap();
    }
    key
}

/// What [`task`] creates.
#[must_use]
pub fn new_task(kind: TaskKind, owner: &Address) -> NewTask {
    let (owner, commitment) = (owner.clone(), digest("task"));
    NewTask {
        owner,
        dataset: "wages.csv".to_owned(),
        commitment,
        kind,
        enable_verify: kind == TaskKind::Hlr,
        tolerance: 6,
    }
}

/// The keys with which a member joins: texts that no connector looks into.
#[must_use]
pub fn keys(member: &Address) -> RawPublicKeys {
    RawPublicKeys {
        pk1: format!("pk1 of {member}"),
        pk2: format!("pk2 of {member}"),
    }
}

/// The digest of a text.
#[must_use]
pub fn digest(text: &str) -> Digest {
    Digest::of(text.as_bytes())
}

/// The text of a refusal, which must have a reason that is known.
pub fn refused<T: Debug>(outcome: Result<T, PortError>) -> String {
    let error = outcome.unwrap_err();
    assert_eq!(error.kind(), PortErrorKind::Rejected, "{error}");
    // Every text that the suite provokes is recognised.
    let known = error.reason().is_some_and(|r| r != RejectionReason::Other);
    assert!(known, "{error}: {:?}", error.reason());
    error.message().to_owned()
}

/// The next event. A stream that is silent for 20 seconds fails the test.
pub async fn next(stream: &mut EventStream) -> NetworkEvent {
    tokio::time::timeout(Duration::from_secs(20), stream.next())
        .await
        .expect("an event")
        .expect("a live stream")
        .unwrap()
}
