//! Changes of machines put on disk, with a few tries.

use super::MachinePorts;
use crate::backoff::Backoff;
use delta_ports::storage::{MachineChange, MachineKey, NewLog, StateChange, StoredMachine};
use delta_ports::{PortError, PortErrorKind, report};

/// How often a change is tried again.
const COMMIT_TRIES: usize = 5;

/// Commits with a few tries: a database that is busy for a moment must not cost a round. Lines of logs that wait go along.
///
/// # Errors
/// [`PortError`]; as far as anybody can tell, nothing has changed.
pub(crate) async fn commit(
    ports: &MachinePorts,
    changes: Vec<MachineChange>,
) -> Result<(), PortError> {
    let lines = ports.lines.take();
    commit_with(ports, &changes, lines.lines()).await?;
    lines.are_written();
    Ok(())
}

async fn commit_with(
    ports: &MachinePorts,
    changes: &[MachineChange],
    lines: &[NewLog],
) -> Result<(), PortError> {
    let once = || ports.storage.commit(changes.to_vec(), lines.to_vec());
    let mut backoff = Backoff::QUICK;
    let mut tried = false;
    for _ in 0..COMMIT_TRIES {
        let error = match once().await {
            Err(e) if e.is_transient() || (tried && e.kind() == PortErrorKind::Conflict) => e,
            other => return other,
        };
        tried = true;
        tracing::warn!("a change is not recorded yet: {}", report(&error));
        ports.clock.sleep(backoff.pause()).await;
        // The answer may have been lost after the change was made; the next try would run into it.
        let Some(first) = changes.first() else {
            continue;
        };
        match ports.storage.machine(&first.key).await {
            Ok(now) if is_made(first, now.as_ref()) => return Ok(()),
            Ok(_) if error.kind() == PortErrorKind::Conflict => return Err(error),
            _ => {}
        }
    }
    once().await
}

/// Deletes a stored machine, with every secret in it. Fine when there is none.
///
/// # Errors
/// [`PortError`]; it may still be there.
pub(crate) async fn erase(ports: &MachinePorts, key: &MachineKey) -> Result<(), PortError> {
    let mut backoff = Backoff::QUICK;
    for _ in 0..COMMIT_TRIES {
        match try_to_erase(ports, key).await {
            // Somebody else's last change came between.
            Err(e) if e.is_transient() || e.kind() == PortErrorKind::Conflict => {
                tracing::warn!(task = %key.task, round = key.round, "not erased yet: {}", report(&e));
                ports.clock.sleep(backoff.pause()).await;
            }
            other => return other,
        }
    }
    try_to_erase(ports, key).await
}

async fn try_to_erase(ports: &MachinePorts, key: &MachineKey) -> Result<(), PortError> {
    let Some(stored) = ports.storage.machine(key).await? else {
        return Ok(());
    };
    let change = MachineChange {
        key: key.clone(),
        expected: stored.version,
        state: StateChange::Deleted,
        enqueue: Vec::new(),
        done: Vec::new(),
    };
    ports.storage.commit(vec![change], Vec::new()).await
}

/// Whether the database shows this change: one of a transaction stands for all.
fn is_made(change: &MachineChange, now: Option<&StoredMachine>) -> bool {
    let Some(now) = now else {
        return change.state == StateChange::Deleted && change.expected > 0;
    };
    now.version == change.expected + 1
        && match &change.state {
            StateChange::Snapshot(wanted) => now.snapshot == *wanted,
            StateChange::Entry(wanted) => {
                now.journal.last().is_some_and(|(_, entry)| entry == wanted)
            }
            // Only the caller moves the machine on.
            StateChange::Same => true,
            StateChange::Deleted => false,
        }
}
