//! The record itself: its rows, how they are found, and how a new one gets its place. Rows are never deleted.
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
    pub(super) nodes: Vec<Node>,
    by_url: BTreeMap<String, BTreeSet<usize>>,
    by_address: BTreeMap<String, usize>,
    data: BTreeMap<(String, String, i32), String>,
    tasks: Vec<Task>,
    by_task: BTreeMap<TaskKind, BTreeMap<String, TaskIndex>>,
    rounds: Vec<Round>,
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
        let mut rows = of_url.filter_map(|id| Some((*id, self.nodes.get(*id)?)));
        rows.find(|(_, node)| !is_key_address(&node.address))
    }

    pub(super) fn node_by_address(&self, address: &str) -> Option<(usize, &Node)> {
        let id = *self.by_address.get(address)?;
        Some((id, self.nodes.get(id)?))
    }

    pub(super) fn data(&self, owner: &str, name: &str, index: i32) -> Option<&str> {
        self.data
            .get(&(owner.to_owned(), name.to_owned(), index))
            .map(String::as_str)
    }

    pub(super) fn find_task(&self, kind: TaskKind, id: &str) -> Option<(TaskIndex, &Task)> {
        let index = *self.by_task.get(&kind)?.get(id)?;
        Some((index, self.tasks.get(index)?))
    }

    pub(super) fn task_at(&self, index: TaskIndex) -> Option<&Task> {
        self.tasks.get(index)
    }

    pub(super) fn round_at(&self, id: RoundId) -> Option<&Round> {
        self.rounds.get(id)
    }

    pub(super) fn next_task(&self) -> TaskIndex {
        self.tasks.len()
    }

    pub(super) fn next_round(&self) -> RoundId {
        self.rounds.len()
    }

    pub(super) fn body(&self, id: RoundId) -> Option<&Body> {
        self.rounds.get(id)?.body.as_ref()
    }

    /// Roughly how many bytes of text a round's body holds; 0 when it is not in memory.
    #[must_use]
    pub fn body_bytes(&self, id: RoundId) -> usize {
        self.body(id).map_or(0, Body::bytes)
    }

    /// Forgets a round's body. Only for whoever can restore it.
    pub fn drop_body(&mut self, id: RoundId) {
        if let Some(round) = self.rounds.get_mut(id) {
            round.body = None;
        }
    }

    /// Puts an empty body in the place of a round's.
    pub(super) fn empty_body(&mut self, id: RoundId) -> Result<(), ChangeError> {
        self.rounds
            .get_mut(id)
            .ok_or(ChangeError("unknown round"))?
            .body = Some(Body::default());
        Ok(())
    }

    /// Writes a node's row: one that is there, or the next free one.
    pub(super) fn put_node(&mut self, id: usize, node: Node) -> Result<(), ChangeError> {
        let free = self.nodes.len();
        match self.nodes.get_mut(id) {
            Some(old) => {
                if old.url != node.url {
                    if let Some(ids) = self.by_url.get_mut(&old.url) {
                        ids.remove(&id);
                        if ids.is_empty() {
                            self.by_url.remove(&old.url);
                        }
                    }
                    self.by_url.entry(node.url.clone()).or_default().insert(id);
                }
                *old = node;
            }
            None if id == free => {
                self.by_url.entry(node.url.clone()).or_default().insert(id);
                // The first row of an address answers for it.
                self.by_address.entry(node.address.clone()).or_insert(id);
                self.nodes.push(node);
            }
            None => return Err(ChangeError("node out of order")),
        }
        Ok(())
    }

    /// Registers a data block, or registers it anew.
    pub(super) fn put_data(&mut self, place: (String, String, i32), commitment: String) {
        self.data.insert(place, commitment);
    }

    /// Writes a task into the next free place, which `index` must be.
    pub(super) fn push_task(
        &mut self,
        index: TaskIndex,
        id: String,
        entry: NewTaskEntry,
    ) -> Result<(), ChangeError> {
        if index != self.tasks.len() {
            return Err(ChangeError("task out of order"));
        }
        self.by_task
            .entry(entry.kind)
            .or_default()
            .insert(id.clone(), index);
        let (rounds, proofs) = (BTreeMap::new(), BTreeMap::new());
        self.tasks.push(Task {
            id,
            entry,
            finished: false,
            rounds,
            proofs,
            confirmed: false,
        });
        Ok(())
    }

    /// Writes a round without members into the next free place, which `id` must be.
    pub(super) fn push_round(
        &mut self,
        id: RoundId,
        task: TaskIndex,
        number: i32,
        weight_commitment: String,
    ) -> Result<(), ChangeError> {
        if id != self.rounds.len() {
            return Err(ChangeError("round out of order"));
        }
        self.task_mut(task)?.rounds.insert(number, id);
        let body = Some(Body::default());
        self.rounds.push(Round {
            task,
            status: Status::Started,
            weight_commitment,
            body,
        });
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
            .get_mut(id)
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
        self.tasks.get_mut(index).ok_or(ChangeError("unknown task"))
    }

    pub(super) fn body_mut(&mut self, id: RoundId) -> Result<&mut Body, ChangeError> {
        self.rounds
            .get_mut(id)
            .and_then(|r| r.body.as_mut())
            .ok_or(ChangeError("no body"))
    }
}
