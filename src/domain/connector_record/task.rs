//! Tasks: created, read, finished (docs/protocol/connector.md, Tasks). Only the owner finishes a task.

use rand_core::CryptoRng;

use super::change::Change;
use super::command::NewTaskEntry;
use super::decision::{Answer, Decision, TaskEntry, fresh_hex};
use super::event::RecordEvent;
use super::rejection::{Rejection, RejectionReason as Why, refuse};
use super::state::{Record, Task};
use super::status::TaskIndex;
use crate::task::TaskKind;

impl Record {
    pub(super) fn create_task(
        &self,
        now: u64,
        rng: &mut impl CryptoRng,
        entry: &NewTaskEntry,
    ) -> Result<Decision, Rejection> {
        let (_, owner) = self.alive(now, &entry.address)?;
        let oldest = self.room_for_task(&entry.address)?;
        let id = fresh_hex(rng);
        let event = RecordEvent::TaskCreated {
            address: entry.address.clone(),
            task: id.clone(),
            dataset: entry.dataset.clone(),
            url: owner.url.clone(),
            commitment: entry.commitment.clone(),
            task_type: entry.task_type.clone(),
            enable_verify: entry.enable_verify,
            tolerance: entry.tolerance,
        };
        let answer = Answer::Created(id.clone());
        let change = Change::Task {
            index: self.next_task(),
            id,
            entry: entry.clone(),
            at: now,
        };
        Ok(Decision {
            answer,
            changes: oldest.into_iter().chain([change]).collect(),
            event: Some(event),
        })
    }

    pub(super) fn finish_task(
        &self,
        now: u64,
        kind: TaskKind,
        address: &str,
        id: &str,
    ) -> Result<Decision, Rejection> {
        self.alive(now, address)?;
        let (index, task) = self.task_of(kind, id, Some(address))?;
        if task.finished {
            return Ok(Decision::repeated());
        }
        Ok(
            Decision::done(Change::TaskFinished { index }).and_publish(RecordEvent::TaskFinished {
                task: id.to_owned(),
            }),
        )
    }

    pub(super) fn task(&self, now: u64, kind: TaskKind, id: &str) -> Result<Decision, Rejection> {
        let (_, task) = self.task_of(kind, id, None)?;
        let (_, owner) = self.alive(now, &task.entry.address)?;
        let entry = task.entry.clone();
        Ok(Decision::read(Answer::Task(TaskEntry {
            address: entry.address,
            url: owner.url.clone(),
            task: task.id.clone(),
            dataset: entry.dataset,
            commitment: entry.commitment,
            task_type: entry.task_type,
            finished: task.finished,
            enable_verify: entry.enable_verify,
            tolerance: entry.tolerance,
        })))
    }

    /// A task; with `owner`, only if it is that node's. To anybody else it does not exist, as the reference puts it.
    pub(super) fn task_of(
        &self,
        kind: TaskKind,
        id: &str,
        owner: Option<&str>,
    ) -> Result<(TaskIndex, &Task), Rejection> {
        match self.find_task(kind, id) {
            Some((index, task)) if owner.is_none_or(|o| o == task.entry.address) => {
                Ok((index, task))
            }
            _ => refuse(Why::NoSuchTask, format!("task {id} doesn't exist")),
        }
    }
}
