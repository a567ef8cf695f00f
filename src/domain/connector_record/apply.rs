//! How changes alter the record: each change is one thing that happens to one row.

use super::body::Member;
use super::change::{Change, ChangeError};
use super::state::{Node, Record};
use super::status::RoundId;

impl Record {
    /// Restores a round's body from its `Member`, `Result` and `Upload` changes in their order.
    ///
    /// # Errors
    /// [`ChangeError`] when they do not fit; the body stays out of memory.
    pub fn restore_body(&mut self, id: RoundId, changes: Vec<Change>) -> Result<(), ChangeError> {
        self.empty_body(id)?;
        for change in changes {
            if let Err(bad) = self.apply(change) {
                self.drop_body(id);
                return Err(bad);
            }
        }
        Ok(())
    }

    /// Applies one change of an accepted decision, or of a stored record.
    ///
    /// # Errors
    /// [`ChangeError`] when it does not fit, which no decision made against this record can cause.
    pub fn apply(&mut self, change: Change) -> Result<(), ChangeError> {
        match change {
            Change::Node {
                id,
                url,
                name,
                address,
                alive_until,
            } => {
                let node = Node {
                    url,
                    name,
                    address,
                    alive_until,
                };
                self.put_node(id, node)?;
            }
            Change::Data {
                owner,
                name,
                index,
                commitment,
            } => self.put_data(owner, (name, index), commitment),
            Change::NodeGone { id } => self.remove_node(id)?,
            Change::DataGone { owner } => self.remove_data(&owner),
            Change::TaskGone { index } => self.remove_task(index)?,
            Change::Task {
                index,
                id,
                entry,
                at,
            } => self.push_task(index, id, entry, at)?,
            Change::TaskFinished { index } => self.finish(index)?,
            Change::Confirmed { index } => self.task_mut(index)?.confirmed = true,
            Change::Proof {
                task,
                member,
                valid,
            } => {
                self.task_mut(task)?.proofs.insert(member, valid);
            }
            Change::Round {
                id,
                task,
                number,
                weight_commitment,
                at,
            } => self.push_round(id, task, number, weight_commitment, at)?,
            Change::RoundStatus {
                id,
                status,
                members,
            } => self.move_round(id, status, members)?,
            Change::Member {
                round,
                address,
                status,
                pk1,
                pk2,
            } => self
                .body_mut(round)?
                .join(Member::new(address, status, pk1, pk2))?,
            Change::Result {
                round,
                member,
                commitment,
            } => self.body_mut(round)?.set_result(member, commitment)?,
            Change::Upload {
                round,
                kind,
                member,
                entries,
            } => self.body_mut(round)?.upload(kind, member, entries),
        }
        Ok(())
    }
}
