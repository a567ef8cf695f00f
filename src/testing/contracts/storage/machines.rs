//! Clauses about machines: versions, snapshots, and commits that happen whole or not at all.

use delta_ports::PortErrorKind;
use delta_ports::storage::{MachineChange, MachineKey, MachineKind, OutboxEntry, StateChange};

use super::Subject;
use super::moves::{commit, delete, effect, key, log, outbox, put, state, task};

/// An absent machine has version 0; each commit counts one up.
pub async fn versions_count_from_one(subject: impl Subject) {
    let s = subject.open().await;
    assert_eq!(state(&s, &key(1, 1)).await, None);
    commit(&s, vec![put(&key(1, 1), 0, "a")]).await.unwrap();
    assert_eq!(state(&s, &key(1, 1)).await, Some((1, "a".to_owned())));
    commit(&s, vec![put(&key(1, 1), 1, "b")]).await.unwrap();
    assert_eq!(state(&s, &key(1, 1)).await, Some((2, "b".to_owned())));
}

/// A change against any version but the present one is a `Conflict`.
pub async fn a_stale_version_conflicts_and_changes_nothing(subject: impl Subject) {
    let s = subject.open().await;
    commit(&s, vec![put(&key(1, 1), 0, "a")]).await.unwrap();
    for wrong in [0, 2, u64::MAX] {
        assert_eq!(
            commit(&s, vec![put(&key(1, 1), wrong, "b")]).await,
            Err(PortErrorKind::Conflict),
            "{wrong}"
        );
        assert_eq!(
            commit(&s, vec![delete(&key(1, 1), wrong)]).await,
            Err(PortErrorKind::Conflict),
            "{wrong}"
        );
    }
    assert_eq!(
        commit(&s, vec![put(&key(1, 2), 1, "b")]).await,
        Err(PortErrorKind::Conflict),
        "absent is version 0"
    );
    assert_eq!(state(&s, &key(1, 1)).await, Some((1, "a".to_owned())));
    assert_eq!(state(&s, &key(1, 2)).await, None);
}

/// One stale change undoes the other changes of its commit, deletions and log records included.
pub async fn a_commit_is_all_or_nothing(subject: impl Subject) {
    let s = subject.open().await;
    let setup = MachineChange {
        enqueue: vec![effect(1)],
        ..put(&key(1, 1), 0, "a")
    };
    s.commit(vec![setup], vec![log(1, "first")]).await.unwrap();
    let good = MachineChange {
        enqueue: vec![effect(2)],
        done: vec![1],
        ..put(&key(1, 1), 1, "b")
    };
    // The last of three is stale: the first two and the log record must not happen either.
    let changes = vec![good, put(&key(2, 1), 0, "new"), put(&key(3, 1), 9, "stale")];
    let error = s.commit(changes, vec![log(1, "second")]).await.unwrap_err();
    assert_eq!(error.kind(), PortErrorKind::Conflict);
    assert_eq!(state(&s, &key(1, 1)).await, Some((1, "a".to_owned())));
    assert_eq!(outbox(&s, &key(1, 1)).await, vec![effect(1)]);
    assert_eq!(state(&s, &key(2, 1)).await, None);
    assert_eq!(s.logs(&task(1), 0, 10).await.unwrap().len(), 1);
    // And a deletion that came before the failure.
    assert_eq!(
        commit(&s, vec![delete(&key(1, 1), 1), put(&key(3, 1), 9, "stale")]).await,
        Err(PortErrorKind::Conflict)
    );
    assert_eq!(outbox(&s, &key(1, 1)).await, vec![effect(1)]);
}

/// A commit may write, delete and begin machines at once.
pub async fn several_machines_change_together(subject: impl Subject) {
    let s = subject.open().await;
    commit(&s, vec![put(&key(1, 1), 0, "a"), put(&key(1, 2), 0, "b")])
        .await
        .unwrap();
    commit(
        &s,
        vec![
            delete(&key(1, 1), 1),
            put(&key(1, 2), 1, "c"),
            put(&key(1, 3), 0, "d"),
        ],
    )
    .await
    .unwrap();
    assert_eq!(state(&s, &key(1, 1)).await, None);
    assert_eq!(state(&s, &key(1, 2)).await, Some((2, "c".to_owned())));
    assert_eq!(state(&s, &key(1, 3)).await, Some((1, "d".to_owned())));
}

/// Changes of one commit follow each other, each against the version that the one before left.
pub async fn one_machine_may_change_twice_in_a_commit(subject: impl Subject) {
    let s = subject.open().await;
    commit(&s, vec![put(&key(1, 1), 0, "a"), put(&key(1, 1), 1, "b")])
        .await
        .unwrap();
    assert_eq!(state(&s, &key(1, 1)).await, Some((2, "b".to_owned())));
    assert_eq!(
        commit(&s, vec![put(&key(1, 1), 2, "c"), put(&key(1, 1), 2, "d")]).await,
        Err(PortErrorKind::Conflict)
    );
    commit(&s, vec![delete(&key(1, 1), 2), put(&key(1, 1), 0, "e")])
        .await
        .unwrap();
    assert_eq!(state(&s, &key(1, 1)).await, Some((1, "e".to_owned())));
}

/// All machines of one kind and no others, by task and round as numbers.
pub async fn machines_of_a_kind_come_in_key_order(subject: impl Subject) {
    let s = subject.open().await;
    let mut changes: Vec<_> = [(2, 1), (1, 10), (1, 9), (10, 1)]
        .into_iter()
        .map(|(n, round)| MachineChange {
            enqueue: vec![effect(2), effect(1)],
            ..put(&key(n, round), 0, "x")
        })
        .collect();
    let other = MachineKey {
        kind: MachineKind::CoordinatorRound,
        ..key(1, 9)
    };
    changes.push(put(&other, 0, "other"));
    commit(&s, changes).await.unwrap();
    let found = s.machines(MachineKind::RunnerRound).await.unwrap();
    let keys: Vec<_> = found.iter().map(|m| m.key.clone()).collect();
    assert_eq!(keys, vec![key(1, 9), key(1, 10), key(2, 1), key(10, 1)]);
    assert!(keys.is_sorted());
    assert!(
        found
            .iter()
            .all(|m| m.version == 1 && m.outbox == vec![effect(1), effect(2)])
    );
    let found = s.machines(MachineKind::CoordinatorRound).await.unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!((&found[0].key, found[0].outbox.len()), (&other, 0));
    assert_eq!(s.machines(MachineKind::RunnerTask).await.unwrap(), vec![]);
    assert_eq!(state(&s, &other).await, Some((1, "other".to_owned())));
}

/// Three megabytes, empty ones, and bytes that are no text.
pub async fn large_and_binary_snapshots_come_back_whole(subject: impl Subject) {
    let s = subject.open().await;
    let bytes: Vec<u8> = (0..3_000_000u32).map(|i| (i * 7 + i / 256) as u8).collect();
    let change = MachineChange {
        state: StateChange::Snapshot(bytes.clone()),
        enqueue: vec![OutboxEntry {
            id: 0,
            effect: vec![0, 255],
        }],
        ..put(&key(1, u32::MAX), 0, "")
    };
    commit(&s, vec![change]).await.unwrap();
    let found = s.machine(&key(1, u32::MAX)).await.unwrap().unwrap();
    assert!(found.snapshot == bytes);
    assert_eq!(found.outbox[0].effect, vec![0, 255]);
    commit(&s, vec![put(&key(1, u32::MAX), 1, "")])
        .await
        .unwrap();
    assert_eq!(state(&s, &key(1, u32::MAX)).await, Some((2, String::new())));
}
