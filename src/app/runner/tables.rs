//! Tables of certified tasks: this member's, committed to before its first round, and what the others' are committed to.
//!
//! Persist, then speak: salt and commitment are in the database, sealed, before the data hub hears of the commitment, so that a node that
//! was killed says the same again. What the others say counts as it was first seen.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::context::Context;
use crate::machine::{commit, open_value, seal};
use crate::once::{Call, OnRecord, once};
use delta_domain::ids::{Address, Digest, TaskId};
use delta_domain::secret::Secret;
use delta_ports::storage::{MachineChange, MachineKey, MachineKind, StateChange};
use delta_ports::{PortError, PortErrorKind};

/// The index on the data hub under which a table's commitment stands; its name there is the task's.
pub(crate) const TABLE_INDEX: i32 = 0;
/// Beside the task's pair, whose place is round 0.
const PLACE: u32 = 1;
/// Others' commitments lie in the database under this and the task.
const PREFIX: &str = "tables/";

/// This member's table as it was committed to.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::runner) struct OwnTable {
    pub(in crate::runner) salt: Secret<32>,
    pub(in crate::runner) commitment: Digest,
    pub(in crate::runner) capacity: u32,
    pub(in crate::runner) rows: u64,
    /// The answer that it is proven for, once there is one.
    #[serde(default)]
    pub(in crate::runner) answer: Option<ProvenAnswer>,
}

/// An answer as a member has seen it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::runner) struct ProvenAnswer {
    /// SHA-256 of its `.npy` form: what is on record.
    pub(in crate::runner) digest: Digest,
    /// What opens the door to its certificate.
    pub(in crate::runner) key: Digest,
    /// Whom it is proven with.
    pub(in crate::runner) cohort: Digest,
}

impl OwnTable {
    /// Whether an answer may be proven: the first one, and that one again with the same members. Each proof tells the sum of all members'
    /// gradients at its answer; answers that are chosen one after the other would tell the table, and cohorts the part of whoever is in one.
    fn may_prove(&self, answer: ProvenAnswer) -> bool {
        self.answer.is_none_or(|first| first == answer)
    }
}

pub(in crate::runner) fn table_key(task: &TaskId) -> MachineKey {
    MachineKey {
        kind: MachineKind::RunnerKeys,
        task: task.clone(),
        round: PLACE,
    }
}

/// What this node committed to in a task, if it has.
///
/// # Errors
/// The database's; `Corrupt` when the value cannot be opened: nothing takes its place, since the commitment is on the hub.
pub(in crate::runner) async fn own_table(
    context: &Context,
    task: &TaskId,
) -> Result<Option<OwnTable>, PortError> {
    let stored = context.ports.storage.machine(&table_key(task)).await?;
    let open = |stored| open_value(&context.machine_ports(), stored);
    stored.as_ref().map(open).transpose()
}

/// Keeps it, before anybody hears of it.
pub(in crate::runner) async fn keep_own_table(
    context: &Context,
    task: &TaskId,
    table: &OwnTable,
) -> Result<(), PortError> {
    let (ports, key) = (context.machine_ports(), table_key(task));
    let change = MachineChange {
        state: StateChange::Snapshot(seal(&ports, &key, table)?),
        expected: 0,
        key,
        enqueue: Vec::new(),
        done: Vec::new(),
    };
    commit(&ports, vec![change]).await
}

/// Settles for which answer the table is proven, before it is.
///
/// # Errors
/// `Rejected` when it was another one.
pub(in crate::runner) async fn settle_answer(
    context: &Context,
    task: &TaskId,
    answer: ProvenAnswer,
) -> Result<OwnTable, PortError> {
    let (ports, key) = (context.machine_ports(), table_key(task));
    let rejected = |text: &str| PortError::new(PortErrorKind::Rejected, "runner.table", text);
    let stored = ports.storage.machine(&key).await?;
    let stored = stored.ok_or_else(|| rejected("this node has committed to no table"))?;
    let mut table: OwnTable = open_value(&ports, &stored)?;
    if !table.may_prove(answer) {
        return Err(rejected(
            "this node has proven another answer of the task, or with other members, and proves one alone",
        ));
    }
    if table.answer.is_none() {
        table.answer = Some(answer);
        let change = MachineChange {
            state: StateChange::Snapshot(seal(&ports, &key, &table)?),
            expected: stored.version,
            key,
            enqueue: Vec::new(),
            done: Vec::new(),
        };
        commit(&ports, vec![change]).await?;
    }
    Ok(table)
}

/// Puts it on the data hub, where it is not there yet.
///
/// # Errors
/// `Rejected` when the hub shows another one under this node's address: the others have seen that, and it is not this table's.
pub(in crate::runner) async fn publish_table(
    context: &Context,
    task: &TaskId,
    table: &OwnTable,
) -> Result<(), PortError> {
    let me = context.own_address().await?;
    let connector = &*context.ports.connector;
    let text = table.commitment.to_string();
    let shown = connector
        .data_commitment(&me, task.as_str(), TABLE_INDEX)
        .await?;
    match shown {
        Some(shown) if shown.eq_ignore_ascii_case(&text) => return Ok(()),
        Some(_) => {
            let text = "the data hub shows another commitment of this node for the task: it was made by an earlier life of it that is lost";
            return Err(PortError::new(
                PortErrorKind::Rejected,
                "runner.table",
                text,
            ));
        }
        None => {}
    }
    let mut registering = OnRecord {
        connector,
        clock: &*context.ports.clock,
        call: Call::Register(&me, task.as_str(), TABLE_INDEX, &text),
    };
    let put = once(&mut registering, true).await?;
    let message =
        format!("[Data Commitment] task {task}: the commitment to this node's table is on record");
    context.step(task, message, put.now()).await;
    Ok(())
}

/// Reads what members' tables are committed to, and keeps what is new of it. Of those whose word is known nothing is read again.
pub(in crate::runner) async fn note_tables(
    context: &Context,
    task: &TaskId,
    members: &[Address],
) -> Result<(), PortError> {
    let mut known = noted_tables(context, task).await?;
    let before = known.len();
    for member in members {
        if known.contains_key(member) {
            continue;
        }
        if let Some(table) = shown_table(context, task, member).await? {
            known.insert(member.clone(), table);
        }
    }
    if known.len() == before {
        return Ok(());
    }
    let bytes = serde_json::to_vec(&known).map_err(|e| {
        let text = "commitments cannot be written";
        PortError::new(PortErrorKind::Internal, "runner.tables", text).with_source(e)
    })?;
    let storage = &context.ports.storage;
    storage.set_setting(&setting(task), &bytes).await
}

/// What members' tables are committed to, as this node has first seen it.
pub(in crate::runner) async fn noted_tables(
    context: &Context,
    task: &TaskId,
) -> Result<BTreeMap<Address, Digest>, PortError> {
    let kept = context.ports.storage.setting(&setting(task)).await?;
    let Some(bytes) = kept.filter(|bytes| !bytes.is_empty()) else {
        return Ok(BTreeMap::new());
    };
    serde_json::from_slice(&bytes).map_err(|e| {
        let text = "the kept commitments cannot be read";
        PortError::new(PortErrorKind::Corrupt, "runner.tables", text).with_source(e)
    })
}

/// Forgets them with their task.
pub(in crate::runner) async fn forget_tables(
    context: &Context,
    task: &TaskId,
) -> Result<(), PortError> {
    if noted_tables(context, task).await?.is_empty() {
        return Ok(());
    }
    context.ports.storage.set_setting(&setting(task), &[]).await
}

/// What a member's table is committed to, as the hub shows it now; `None` for a text that is no digest, too.
pub(crate) async fn shown_table(
    context: &Context,
    task: &TaskId,
    member: &Address,
) -> Result<Option<Digest>, PortError> {
    let connector = &context.ports.connector;
    let shown = connector
        .data_commitment(member, task.as_str(), TABLE_INDEX)
        .await?;
    Ok(shown.and_then(|text| text.parse().ok()))
}

fn setting(task: &TaskId) -> String {
    format!("{PREFIX}{task}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_answer_is_proven_and_no_other() {
        let answer = |byte: u8| ProvenAnswer {
            digest: Digest([byte; 32]),
            key: Digest([byte; 32]),
            cohort: Digest([9; 32]),
        };
        let mut table = OwnTable {
            salt: Secret::new([1; 32]),
            commitment: Digest([2; 32]),
            capacity: 16,
            rows: 9,
            answer: None,
        };
        assert!(table.may_prove(answer(3)) && table.may_prove(answer(4)));
        table.answer = Some(answer(3));
        assert!(table.may_prove(answer(3)) && !table.may_prove(answer(4)));
        let with_others = ProvenAnswer {
            cohort: Digest([8; 32]),
            ..answer(3)
        };
        assert!(!table.may_prove(with_others));
    }
}
