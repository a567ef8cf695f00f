//! The tables of the database in memory, and the one transaction that changes machines.

use std::collections::BTreeMap;

use delta_domain::ids::Address;
use delta_ports::storage::{
    KnownIdentity, LocalTaskId, LogRow, MachineChange, MachineKey, NewLog, OutboxEntry,
    StateChange, StoredMachine, TaskRow,
};
use delta_ports::{PortError, PortErrorKind};

/// What the database holds.
#[derive(Debug, Default)]
pub(super) struct State {
    /// The only process whose handles still work.
    pub(super) process: u64,
    pub(super) machines: BTreeMap<MachineKey, Machine>,
    pub(super) tasks: Vec<TaskRow>,
    pub(super) logs: Vec<LogRow>,
    pub(super) settings: BTreeMap<String, Vec<u8>>,
    pub(super) identities: BTreeMap<Address, KnownIdentity>,
}

/// A round machine: a snapshot, and what it was told since.
#[derive(Debug, Clone)]
pub(super) struct Machine {
    version: u64,
    pub(super) snapshot: Vec<u8>,
    pub(super) journal: Vec<(u64, Vec<u8>)>,
    outbox: BTreeMap<u64, Vec<u8>>,
}

impl State {
    /// Makes all changes and log records, or none.
    pub(super) fn commit(
        &mut self,
        op: &'static str,
        changes: Vec<MachineChange>,
        logs: Vec<NewLog>,
    ) -> Result<(), PortError> {
        // Worked out beside the state, put in its place at the end: all or nothing.
        let mut touched: BTreeMap<MachineKey, Option<Machine>> = BTreeMap::new();
        for change in changes {
            let current = match touched.remove(&change.key) {
                Some(machine) => machine,
                None => self.machines.get(&change.key).cloned(),
            };
            let key = change.key.clone();
            touched.insert(key, apply(op, current, change)?);
        }
        for (key, machine) in touched {
            match machine {
                Some(machine) => drop(self.machines.insert(key, machine)),
                None => drop(self.machines.remove(&key)),
            }
        }
        for log in logs {
            let id = self.logs.last().map_or(1, |last| last.id + 1);
            self.logs.push(LogRow { id, log });
        }
        Ok(())
    }

    /// Where a task stands in the list.
    pub(super) fn position(&self, id: LocalTaskId) -> Option<usize> {
        self.tasks.iter().position(|t| t.id == id)
    }
}

/// What a machine becomes by a change; `None` when it is gone.
fn apply(
    op: &'static str,
    current: Option<Machine>,
    change: MachineChange,
) -> Result<Option<Machine>, PortError> {
    let name = format!(
        "{} {} round {}",
        change.key.kind.name(),
        change.key.task,
        change.key.round
    );
    let internal = |why: String| PortError::new(PortErrorKind::Internal, op, why);
    let version = current.as_ref().map_or(0, |m| m.version);
    if version != change.expected {
        let text = format!("{name} is at version {version}, not at {}", change.expected);
        return Err(PortError::new(PortErrorKind::Conflict, op, text));
    }
    let absent = || {
        internal(format!(
            "{name} is not there, and does not begin with a snapshot"
        ))
    };
    let (snapshot, journal, mut outbox) = match (change.state, current) {
        (StateChange::Deleted, _) if !change.enqueue.is_empty() => {
            return Err(internal(format!(
                "{name} is deleted and decides effects at once"
            )));
        }
        (StateChange::Deleted, _) => return Ok(None),
        (StateChange::Snapshot(new), None) => (new, Vec::new(), BTreeMap::new()),
        (StateChange::Snapshot(new), Some(m)) => (new, Vec::new(), m.outbox),
        (StateChange::Entry(entry), Some(mut m)) => {
            m.journal.push((version + 1, entry));
            (m.snapshot, m.journal, m.outbox)
        }
        (StateChange::Same, Some(m)) => (m.snapshot, m.journal, m.outbox),
        (StateChange::Entry(_) | StateChange::Same, None) => return Err(absent()),
    };
    for entry in change.enqueue {
        if entry.id > i64::MAX.unsigned_abs() {
            return Err(internal(format!("effect number {} is too large", entry.id)));
        }
        if outbox.insert(entry.id, entry.effect).is_some() {
            return Err(internal(format!(
                "{name} uses effect number {} twice",
                entry.id
            )));
        }
    }
    for id in change.done {
        outbox.remove(&id);
    }
    Ok(Some(Machine {
        version: version + 1,
        snapshot,
        journal,
        outbox,
    }))
}

/// A machine as the port hands it out.
pub(super) fn stored(key: &MachineKey, machine: &Machine) -> StoredMachine {
    StoredMachine {
        key: key.clone(),
        version: machine.version,
        snapshot: machine.snapshot.clone(),
        journal: machine.journal.clone(),
        outbox: machine
            .outbox
            .iter()
            .map(|(&id, effect)| OutboxEntry {
                id,
                effect: effect.clone(),
            })
            .collect(),
    }
}
