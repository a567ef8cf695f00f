//! What the clauses begin with; also for the tests that are one database's own.

use std::sync::Arc;

use delta_domain::ids::TaskId;
use delta_domain::task::TaskKind;
use delta_domain::time::Timestamp;
use delta_ports::PortErrorKind;
use delta_ports::storage::{
    LogLevel, MachineChange, MachineKey, MachineKind, NewLog, NewTaskRow, OutboxEntry, StateChange,
    Storage,
};

/// A task by number.
pub fn task(n: u8) -> TaskId {
    format!("0x{}", format!("{n:02x}").repeat(32))
        .parse()
        .unwrap()
}

/// A member's machine of a round, by task and round.
pub fn key(n: u8, round: u32) -> MachineKey {
    MachineKey {
        kind: MachineKind::RunnerRound,
        task: task(n),
        round,
    }
}

/// An effect by number.
pub fn effect(id: u64) -> OutboxEntry {
    OutboxEntry {
        id,
        effect: format!("effect {id}").into_bytes(),
    }
}

/// Replaces the snapshot of a machine that has version `expected`.
pub fn put(key: &MachineKey, expected: u64, snapshot: &str) -> MachineChange {
    let state = StateChange::Snapshot(snapshot.as_bytes().to_vec());
    MachineChange {
        key: key.clone(),
        expected,
        state,
        enqueue: vec![],
        done: vec![],
    }
}

/// Deletes a machine that has version `expected`.
pub fn delete(key: &MachineKey, expected: u64) -> MachineChange {
    MachineChange {
        key: key.clone(),
        expected,
        state: StateChange::Deleted,
        enqueue: vec![],
        done: vec![],
    }
}

/// A log record of a task.
pub fn log(n: u8, message: &str) -> NewLog {
    NewLog {
        created_at: Timestamp(1_700_000_000_000),
        task: task(n),
        level: LogLevel::Info,
        message: message.to_owned(),
        tx_hash: None,
    }
}

/// A task as a user submits it.
pub fn new_task(name: &str) -> NewTaskRow {
    NewTaskRow {
        created_at: Timestamp(5),
        name: name.to_owned(),
        kind: TaskKind::Hlr,
        enable_verify: true,
        author: Some(format!("author of {name}")),
    }
}

/// Commits changes of machines alone; answers the kind of failure.
pub async fn commit(
    storage: &Arc<dyn Storage>,
    changes: Vec<MachineChange>,
) -> Result<(), PortErrorKind> {
    storage.commit(changes, vec![]).await.map_err(|e| e.kind())
}

/// Version and snapshot of a machine.
pub async fn state(storage: &Arc<dyn Storage>, key: &MachineKey) -> Option<(u64, String)> {
    let machine = storage.machine(key).await.unwrap()?;
    assert_eq!(&machine.key, key);
    Some((
        machine.version,
        String::from_utf8(machine.snapshot).unwrap(),
    ))
}

/// What a machine that exists owes.
pub async fn outbox(storage: &Arc<dyn Storage>, key: &MachineKey) -> Vec<OutboxEntry> {
    storage.machine(key).await.unwrap().unwrap().outbox
}
