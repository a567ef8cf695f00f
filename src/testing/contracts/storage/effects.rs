//! Clauses about the outbox: what a machine has decided and not done yet.

use delta_ports::PortErrorKind;
use delta_ports::storage::MachineChange;

use super::Subject;
use super::moves::{commit, delete, effect, key, outbox, put, state};

/// The outbox is sorted by number; what is done leaves it, and may be done twice.
pub async fn effects_come_in_the_order_of_their_numbers(subject: impl Subject) {
    let s = subject.open().await;
    let k = key(1, 1);
    commit(
        &s,
        vec![MachineChange {
            enqueue: vec![effect(10), effect(2)],
            ..put(&k, 0, "a")
        }],
    )
    .await
    .unwrap();
    commit(
        &s,
        vec![MachineChange {
            enqueue: vec![effect(9), effect(100)],
            done: vec![2],
            ..put(&k, 1, "b")
        }],
    )
    .await
    .unwrap();
    assert_eq!(
        outbox(&s, &k).await,
        vec![effect(9), effect(10), effect(100)]
    );
    // Done twice, or never decided: nothing to do.
    commit(
        &s,
        vec![MachineChange {
            done: vec![2, 9, 77],
            ..put(&k, 2, "c")
        }],
    )
    .await
    .unwrap();
    assert_eq!(outbox(&s, &k).await, vec![effect(10), effect(100)]);
    assert_eq!(state(&s, &k).await, Some((3, "c".to_owned())));
}

/// A number that is taken or too large, and an effect of a deleted machine, are `Internal`, and nothing changes.
pub async fn a_number_used_twice_is_a_bug(subject: impl Subject) {
    let s = subject.open().await;
    let k = key(1, 1);
    commit(
        &s,
        vec![MachineChange {
            enqueue: vec![effect(1)],
            ..put(&k, 0, "a")
        }],
    )
    .await
    .unwrap();
    let again = MachineChange {
        enqueue: vec![effect(1)],
        ..put(&k, 1, "b")
    };
    assert_eq!(commit(&s, vec![again]).await, Err(PortErrorKind::Internal));
    let too_large = MachineChange {
        enqueue: vec![effect(u64::MAX)],
        ..put(&k, 1, "b")
    };
    assert_eq!(
        commit(&s, vec![too_large]).await,
        Err(PortErrorKind::Internal)
    );
    let lost = MachineChange {
        enqueue: vec![effect(2)],
        ..delete(&k, 1)
    };
    assert_eq!(
        commit(&s, vec![lost]).await,
        Err(PortErrorKind::Internal),
        "an effect of a deleted machine would be lost"
    );
    assert_eq!(state(&s, &k).await, Some((1, "a".to_owned())));
    // Another machine has numbers of its own.
    commit(
        &s,
        vec![MachineChange {
            enqueue: vec![effect(1)],
            ..put(&key(1, 2), 0, "a")
        }],
    )
    .await
    .unwrap();
}

/// A machine that begins again after its deletion owes nothing; deleting what is absent is fine.
pub async fn deleting_a_machine_deletes_its_outbox(subject: impl Subject) {
    let s = subject.open().await;
    let k = key(1, 1);
    commit(
        &s,
        vec![MachineChange {
            enqueue: vec![effect(1), effect(2)],
            ..put(&k, 0, "a")
        }],
    )
    .await
    .unwrap();
    commit(&s, vec![delete(&k, 1)]).await.unwrap();
    assert_eq!(state(&s, &k).await, None);
    commit(&s, vec![delete(&k, 0)])
        .await
        .expect("deleting what is absent is fine");
    commit(&s, vec![put(&k, 0, "again")]).await.unwrap();
    assert_eq!(state(&s, &k).await, Some((1, "again".to_owned())));
    assert_eq!(outbox(&s, &k).await, vec![]);
}
