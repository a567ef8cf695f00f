//! The record itself: its rows, how they are found, and how a new one gets its place. What is dead or old leaves it (`limits.rs`).
//!
//! A round's members, keys, commitments and shares are its *body*. Only bodies can grow large, so only bodies may be out of
//! memory; whoever keeps the record elsewhere drops and restores them. Not here: what each change means (`apply.rs`).

use std::collections::{BTreeMap, BTreeSet};

use super::body::Body;
use super::change::ChangeError;
use super::command::NewTaskEntry;
use super::status::{RoundId, Status, TaskIndex};
use crate::identity::is_key_address;
use crate::task::TaskKind;

/// How long a node lives after its last `Join`.
pub const LIFE_SECONDS: u64 = 120;

/// The connector's record.
#[derive(Debug, Clone, Default)]
pub struct Record {
    pub(super) nodes: BTreeMap<usize, Node>,
    by_url: BTreeMap<String, BTreeSet<usize>>,
    by_address: BTreeMap<String, BTreeSet<usize>>,
    /// When nodes die or died, and which.
    pub(super) deaths: BTreeSet<(u64, usize)>,
    data: BTreeMap<String, BTreeMap<(String, i32), String>>,
    tasks: BTreeMap<TaskIndex, Task>,
    by_task: BTreeMap<TaskKind, BTreeMap<String, TaskIndex>>,
    by_owner: BTreeMap<String, BTreeSet<TaskIndex>>,
    /// Whether tasks are finished, when something last began in them, and which they are.
    pub(super) ages: BTreeSet<(bool, u64, TaskIndex)>,
    rounds: BTreeMap<RoundId, Round>,
}

#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) url: String,
    pub(super) name: String,
    pub(super) address: String,
    /// Dead from this second on.
    pub(super) alive_until: u64,
}

#[derive(Debug, Clone)]
pub(super) struct Task {
    pub(super) id: String,
    pub(super) entry: NewTaskEntry,
    pub(super) finished: bool,
    /// Second in which it was created, or its last round started.
    pub(super) touched: u64,
    pub(super) rounds: BTreeMap<i32, RoundId>,
    pub(super) proofs: BTreeMap<String, bool>,
    pub(super) confirmed: bool,
}

#[derive(Debug, Clone)]
pub(super) struct Round {
    pub(super) task: TaskIndex,
    pub(super) status: Status,
    pub(super) weight_commitment: String,
    body: Option<Body>,
}

impl Record {
    /// The first row of `url` that is no key's: those are found by address, and nobody keeps them alive who does not sign.
    pub(super) fn node_by_url(&self, url: &str) -> Option<(usize, &Node)> {
        let of_url = self.by_url.get(url)?.iter();
        let mut rows = of_url.filter_map(|id| Some((*id, self.nodes.get(id)?)));
        rows.find(|(_, node)| !is_key_address(&node.address))
    }

    pub(super) fn node_by_address(&self, address: &str) -> Option<(usize, &Node)> {
        // The first row of an address answers for it.
        let id = *self.by_address.get(address)?.first()?;
        Some((id, self.nodes.get(&id)?))
    }

    pub(super) fn data(&self, owner: &str, name: &str, index: i32) -> Option<&str> {
        let blocks = self.data.get(owner)?;
        blocks.get(&(name.to_owned(), index)).map(String::as_str)
    }

    /// How many data blocks an address has registered.
    pub(super) fn data_blocks(&self, owner: &str) -> usize {
        self.data.get(owner).map_or(0, BTreeMap::len)
    }

    /// The tasks of an address, oldest first.
    pub(super) fn tasks_of(&self, owner: &str) -> impl Iterator<Item = (TaskIndex, &Task)> {
        let indices = self.by_owner.get(owner).into_iter().flatten();
        indices.filter_map(|&index| Some((index, self.tasks.get(&index)?)))
    }

    pub(super) fn task_count(&self) -> usize {
        self.tasks.len()
    }

    pub(super) fn find_task(&self, kind: TaskKind, id: &str) -> Option<(TaskIndex, &Task)> {
        let index = *self.by_task.get(&kind)?.get(id)?;
        Some((index, self.tasks.get(&index)?))
    }

    pub(super) fn task_at(&self, index: TaskIndex) -> Option<&Task> {
        self.tasks.get(&index)
    }

    pub(super) fn round_at(&self, id: RoundId) -> Option<&Round> {
        self.rounds.get(&id)
    }

    pub(super) fn next_node(&self) -> usize {
        after_last(&self.nodes)
    }

    pub(super) fn next_task(&self) -> TaskIndex {
        after_last(&self.tasks)
    }

    pub(super) fn next_round(&self) -> RoundId {
        after_last(&self.rounds)
    }

    pub(super) fn body(&self, id: RoundId) -> Option<&Body> {
        self.rounds.get(&id)?.body.as_ref()
    }

    /// Roughly how many bytes of text a round's body holds; 0 when it is not in memory.
    #[must_use]
    pub fn body_bytes(&self, id: RoundId) -> usize {
        self.body(id).map_or(0, Body::bytes)
    }

    /// Forgets a round's body. Only for whoever can restore it.
    pub fn drop_body(&mut self, id: RoundId) {
        if let Some(round) = self.rounds.get_mut(&id) {
            round.body = None;
        }
    }

    /// Puts an empty body in the place of a round's.
    pub(super) fn empty_body(&mut self, id: RoundId) -> Result<(), ChangeError> {
        self.rounds
            .get_mut(&id)
            .ok_or(ChangeError("unknown round"))?
            .body = Some(Body::default());
        Ok(())
    }

    /// Writes a node's row: one that is there, or one behind all others.
    pub(super) fn put_node(&mut self, id: usize, node: Node) -> Result<(), ChangeError> {
        match self.nodes.get(&id) {
            Some(old) => {
                let (url, until) = (old.url.clone(), old.alive_until);
                self.deaths.remove(&(until, id));
                unlist(&mut self.by_url, &url, id);
            }
            None if id < self.next_node() => return Err(ChangeError("node out of order")),
            None => {
                let rows = self.by_address.entry(node.address.clone()).or_default();
                rows.insert(id);
            }
        }
        self.by_url.entry(node.url.clone()).or_default().insert(id);
        self.deaths.insert((node.alive_until, id));
        self.nodes.insert(id, node);
        Ok(())
    }

    /// Takes a node's row off the record.
    pub(super) fn remove_node(&mut self, id: usize) -> Result<(), ChangeError> {
        let node = self.nodes.remove(&id).ok_or(ChangeError("unknown node"))?;
        self.deaths.remove(&(node.alive_until, id));
        unlist(&mut self.by_url, &node.url, id);
        unlist(&mut self.by_address, &node.address, id);
        Ok(())
    }

    /// Takes a task off the record, with all its rounds.
    pub(super) fn remove_task(&mut self, index: TaskIndex) -> Result<(), ChangeError> {
        let task = self
            .tasks
            .remove(&index)
            .ok_or(ChangeError("unknown task"))?;
        self.ages.remove(&(task.finished, task.touched, index));
        unlist(&mut self.by_owner, &task.entry.address, index);
        if let Some(ids) = self.by_task.get_mut(&task.entry.kind) {
            ids.remove(&task.id);
        }
        for round in task.rounds.values() {
            self.rounds.remove(round);
        }
        Ok(())
    }

    /// Registers a data block, or registers it anew.
    pub(super) fn put_data(&mut self, owner: String, block: (String, i32), commitment: String) {
        self.data
            .entry(owner)
            .or_default()
            .insert(block, commitment);
    }

    /// Takes all data blocks of an address off the record.
    pub(super) fn remove_data(&mut self, owner: &str) {
        self.data.remove(owner);
    }

    /// Writes a task, created or last touched in the second `at`, into the place `index`, which must be behind all others.
    pub(super) fn push_task(
        &mut self,
        index: TaskIndex,
        id: String,
        entry: NewTaskEntry,
        at: u64,
    ) -> Result<(), ChangeError> {
        if index < self.next_task() {
            return Err(ChangeError("task out of order"));
        }
        let of_owner = self.by_owner.entry(entry.address.clone()).or_default();
        of_owner.insert(index);
        self.ages.insert((false, at, index));
        self.by_task
            .entry(entry.kind)
            .or_default()
            .insert(id.clone(), index);
        let task = Task {
            id,
            entry,
            finished: false,
            touched: at,
            rounds: BTreeMap::new(),
            proofs: BTreeMap::new(),
            confirmed: false,
        };
        self.tasks.insert(index, task);
        Ok(())
    }

    /// Ends a task.
    pub(super) fn finish(&mut self, index: TaskIndex) -> Result<(), ChangeError> {
        self.age(index, |task| task.finished = true)
    }

    /// Changes what the age of a task is counted from.
    fn age(&mut self, index: TaskIndex, change: impl FnOnce(&mut Task)) -> Result<(), ChangeError> {
        let task = self.task_mut(index)?;
        let before = (task.finished, task.touched, index);
        change(task);
        let after = (task.finished, task.touched, index);
        self.ages.remove(&before);
        self.ages.insert(after);
        Ok(())
    }

    /// Writes a round without members, begun in the second `at`, into the place `id`, which must be behind all others.
    pub(super) fn push_round(
        &mut self,
        id: RoundId,
        task: TaskIndex,
        number: i32,
        weight_commitment: String,
        at: u64,
    ) -> Result<(), ChangeError> {
        if id < self.next_round() {
            return Err(ChangeError("round out of order"));
        }
        self.age(task, |task| {
            task.rounds.insert(number, id);
            task.touched = task.touched.max(at);
        })?;
        let round = Round {
            task,
            status: Status::Started,
            weight_commitment,
            body: Some(Body::default()),
        };
        self.rounds.insert(id, round);
        Ok(())
    }

    /// Moves a round to a status, and the members in these places with it.
    pub(super) fn move_round(
        &mut self,
        id: RoundId,
        status: Status,
        members: Vec<u32>,
    ) -> Result<(), ChangeError> {
        let round = self
            .rounds
            .get_mut(&id)
            .ok_or(ChangeError("unknown round"))?;
        for place in members {
            round
                .body
                .as_mut()
                .ok_or(ChangeError("no body"))?
                .set_status(place, status)?;
        }
        round.status = status;
        Ok(())
    }

    pub(super) fn task_mut(&mut self, index: TaskIndex) -> Result<&mut Task, ChangeError> {
        self.tasks
            .get_mut(&index)
            .ok_or(ChangeError("unknown task"))
    }

    pub(super) fn body_mut(&mut self, id: RoundId) -> Result<&mut Body, ChangeError> {
        self.rounds
            .get_mut(&id)
            .and_then(|r| r.body.as_mut())
            .ok_or(ChangeError("no body"))
    }
}

/// The first free number behind all rows.
fn after_last<T>(rows: &BTreeMap<usize, T>) -> usize {
    rows.last_key_value()
        .map_or(0, |(last, _)| last.saturating_add(1))
}

/// Takes a row out of an index.
fn unlist(index: &mut BTreeMap<String, BTreeSet<usize>>, key: &str, row: usize) {
    if let Some(rows) = index.get_mut(key) {
        rows.remove(&row);
        if rows.is_empty() {
            index.remove(key);
        }
    }
}
