//! Clauses about journals: what happened to a machine since its snapshot.

use std::sync::Arc;

use delta_ports::PortErrorKind;
use delta_ports::storage::{MachineChange, MachineKey, StateChange, Storage};

use super::Subject;
use super::moves::{commit, delete, effect, key, outbox, put, state};

fn entry(key: &MachineKey, expected: u64, text: &str) -> MachineChange {
    MachineChange {
        state: StateChange::Entry(text.as_bytes().to_vec()),
        ..put(key, expected, "")
    }
}

fn same(key: &MachineKey, expected: u64) -> MachineChange {
    MachineChange {
        state: StateChange::Same,
        ..put(key, expected, "")
    }
}

async fn journal(storage: &Arc<dyn Storage>, key: &MachineKey) -> Vec<(u64, String)> {
    let machine = storage.machine(key).await.unwrap().unwrap();
    let listed = storage.machines(key.kind).await.unwrap();
    assert!(listed.contains(&machine), "alone and in the list alike");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    machine
        .journal
        .into_iter()
        .map(|(version, entry)| (version, text(entry)))
        .collect()
}

/// Entries come with their versions, in order, until a snapshot replaces them.
pub async fn entries_follow_the_snapshot_until_the_next_one(subject: impl Subject) {
    let (k, other) = (key(1, 1), key(1, 2));
    let s = subject.open().await;
    commit(&s, vec![put(&k, 0, "a"), put(&other, 0, "x")])
        .await
        .unwrap();
    commit(&s, vec![entry(&k, 1, "b")]).await.unwrap();
    let decided = MachineChange {
        enqueue: vec![effect(1)],
        ..entry(&k, 2, "c")
    };
    commit(&s, vec![decided]).await.unwrap();
    let done = MachineChange {
        done: vec![1],
        ..same(&k, 3)
    };
    commit(&s, vec![done, entry(&other, 1, "y")]).await.unwrap();
    commit(&s, vec![entry(&k, 4, "d")]).await.unwrap();
    drop(s);
    let s = subject.open().await;
    assert_eq!(state(&s, &k).await, Some((5, "a".to_owned())));
    let texts = [(2, "b"), (3, "c"), (5, "d")].map(|(v, t)| (v, t.to_owned()));
    assert_eq!(journal(&s, &k).await, texts);
    assert_eq!(outbox(&s, &k).await, vec![]);

    commit(&s, vec![put(&k, 5, "abcd")]).await.unwrap();
    assert_eq!(state(&s, &k).await, Some((6, "abcd".to_owned())));
    assert_eq!(journal(&s, &k).await, vec![]);
    assert_eq!(journal(&s, &other).await, vec![(2, "y".to_owned())]);
}

/// An entry counts versions as a snapshot does, and cannot be the first thing of a machine.
pub async fn a_stale_entry_conflicts_and_a_machine_begins_with_a_snapshot(subject: impl Subject) {
    let s = subject.open().await;
    let k = key(1, 1);
    for change in [entry(&k, 0, "a"), same(&k, 0)] {
        assert_eq!(commit(&s, vec![change]).await, Err(PortErrorKind::Internal));
    }
    assert_eq!(state(&s, &k).await, None);
    commit(&s, vec![put(&k, 0, "a"), entry(&k, 1, "b")])
        .await
        .unwrap();
    for stale in [entry(&k, 1, "c"), same(&k, 1)] {
        assert_eq!(commit(&s, vec![stale]).await, Err(PortErrorKind::Conflict));
    }
    assert_eq!(journal(&s, &k).await, vec![(2, "b".to_owned())]);
}

/// A machine that begins again has no history.
pub async fn a_deleted_machine_leaves_no_journal_behind(subject: impl Subject) {
    let s = subject.open().await;
    let k = key(1, 1);
    commit(&s, vec![put(&k, 0, "a"), entry(&k, 1, "b")])
        .await
        .unwrap();
    commit(&s, vec![delete(&k, 2)]).await.unwrap();
    commit(&s, vec![put(&k, 0, "new")]).await.unwrap();
    assert_eq!(journal(&s, &k).await, vec![]);
}
