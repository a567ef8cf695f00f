//! The record itself and how changes alter it. Rows are never deleted.
//!
//! A round's members, keys, commitments and shares are its *body*. Only bodies can grow large, so only bodies may be out of
//! memory; whoever keeps the record elsewhere drops and restores them.

use std::collections::{BTreeMap, BTreeSet};

use super::change::{Change, ChangeError, UploadKind};
use super::command::{NewTaskEntry, SecretKind};
use crate::task::TaskKind;

/// How long a node lives after its last `Join`.
pub const LIFE_SECONDS: u64 = 120;

/// Place of a task on the record.
pub type TaskIndex = usize;

/// Place of a round on the record.
pub type RoundId = usize;

/// Where a round or one of its members stands. The numbers are those of the wire.
#[expect(
    missing_docs,
    reason = "docs/protocol/connector.md (Encodings) tells them"
)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    Started = 0,
    Running = 1,
    Calculating = 2,
    Aggregating = 3,
    Finished = 4,
}

impl Status {
    /// Its number.
    #[must_use]
    pub fn code(self) -> i32 {
        self as i32
    }

    /// The status of a number.
    #[must_use]
    pub fn from_code(code: i32) -> Option<Self> {
        [
            Self::Started,
            Self::Running,
            Self::Calculating,
            Self::Aggregating,
            Self::Finished,
        ]
        .into_iter()
        .find(|s| s.code() == code)
    }
}

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

#[derive(Debug, Clone, Default)]
pub(super) struct Body {
    pub(super) members: Vec<Member>,
    places: BTreeMap<String, u32>,
    /// Keyed by places of sender and receiver.
    pairs: BTreeMap<(u32, u32), Pair>,
    bytes: usize,
}

#[derive(Debug, Clone)]
pub(super) struct Member {
    pub(super) address: String,
    pub(super) status: Status,
    pub(super) pk1: String,
    pub(super) pk2: String,
    pub(super) result: Option<String>,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Pair {
    pub(super) seed: Option<String>,
    pub(super) seed_commitment: Option<String>,
    pub(super) secret_key: Option<String>,
    pub(super) secret_key_commitment: Option<String>,
}

impl Pair {
    pub(super) fn slot(&self, kind: UploadKind) -> Option<&String> {
        match kind {
            UploadKind::Commitment(SecretKind::Seed) => self.seed_commitment.as_ref(),
            UploadKind::Commitment(SecretKind::SecretKey) => self.secret_key_commitment.as_ref(),
            UploadKind::Share(SecretKind::Seed) => self.seed.as_ref(),
            UploadKind::Share(SecretKind::SecretKey) => self.secret_key.as_ref(),
        }
    }

    fn slot_mut(&mut self, kind: UploadKind) -> &mut Option<String> {
        match kind {
            UploadKind::Commitment(SecretKind::Seed) => &mut self.seed_commitment,
            UploadKind::Commitment(SecretKind::SecretKey) => &mut self.secret_key_commitment,
            UploadKind::Share(SecretKind::Seed) => &mut self.seed,
            UploadKind::Share(SecretKind::SecretKey) => &mut self.secret_key,
        }
    }
}

impl Body {
    pub(super) fn place(&self, address: &str) -> Option<u32> {
        self.places.get(address).copied()
    }

    pub(super) fn member(&self, address: &str) -> Option<(u32, &Member)> {
        let place = self.place(address)?;
        Some((place, self.members.get(usize::try_from(place).ok()?)?))
    }

    pub(super) fn pair(&self, sender: u32, receiver: u32) -> Option<&Pair> {
        self.pairs.get(&(sender, receiver))
    }

    /// Places of the members that stand exactly at `status`.
    pub(super) fn at(&self, status: Status) -> impl Iterator<Item = (&str, u32)> {
        self.members
            .iter()
            .filter(move |m| m.status == status)
            .filter_map(|m| Some((m.address.as_str(), self.place(&m.address)?)))
    }

    fn member_mut(&mut self, place: u32) -> Result<&mut Member, ChangeError> {
        usize::try_from(place)
            .ok()
            .and_then(|p| self.members.get_mut(p))
            .ok_or(ChangeError("unknown member"))
    }
}

impl Record {
    pub(super) fn node_by_url(&self, url: &str) -> Option<(usize, &Node)> {
        let id = *self.by_url.get(url)?.first()?;
        Some((id, self.nodes.get(id)?))
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
        self.body(id).map_or(0, |b| b.bytes)
    }

    /// Forgets a round's body. Only for whoever can restore it.
    pub fn drop_body(&mut self, id: RoundId) {
        if let Some(round) = self.rounds.get_mut(id) {
            round.body = None;
        }
    }

    /// Restores a round's body from its `Member`, `Result` and `Upload` changes in their order.
    ///
    /// # Errors
    /// [`ChangeError`] when they do not fit; the body stays out of memory.
    pub fn restore_body(&mut self, id: RoundId, changes: Vec<Change>) -> Result<(), ChangeError> {
        self.rounds
            .get_mut(id)
            .ok_or(ChangeError("unknown round"))?
            .body = Some(Body::default());
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
                return self.put_node(
                    id,
                    Node {
                        url,
                        name,
                        address,
                        alive_until,
                    },
                );
            }
            Change::Data {
                owner,
                name,
                index,
                commitment,
            } => {
                self.data.insert((owner, name, index), commitment);
            }
            Change::Task { index, id, entry } => {
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
            }
            Change::TaskFinished { index } => self.task_mut(index)?.finished = true,
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
            } => {
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
            }
            Change::RoundStatus {
                id,
                status,
                members,
            } => {
                let round = self
                    .rounds
                    .get_mut(id)
                    .ok_or(ChangeError("unknown round"))?;
                for place in members {
                    round
                        .body
                        .as_mut()
                        .ok_or(ChangeError("no body"))?
                        .member_mut(place)?
                        .status = status;
                }
                round.status = status;
            }
            Change::Member {
                round,
                address,
                status,
                pk1,
                pk2,
            } => {
                let body = self.body_mut(round)?;
                let place = u32::try_from(body.members.len())
                    .map_err(|_| ChangeError("too many members"))?;
                body.bytes += address.len() * 2 + pk1.len() + pk2.len() + 200;
                body.places.insert(address.clone(), place);
                body.members.push(Member {
                    address,
                    status,
                    pk1,
                    pk2,
                    result: None,
                });
            }
            Change::Result {
                round,
                member,
                commitment,
            } => {
                let body = self.body_mut(round)?;
                body.bytes += commitment.len();
                body.member_mut(member)?.result = Some(commitment);
            }
            Change::Upload {
                round,
                kind,
                member,
                entries,
            } => {
                let body = self.body_mut(round)?;
                for (other, text) in entries {
                    let key = match kind {
                        UploadKind::Commitment(_) => (member, other),
                        UploadKind::Share(_) => (other, member),
                    };
                    body.bytes += text.len() + 64;
                    *body.pairs.entry(key).or_default().slot_mut(kind) = Some(text);
                }
            }
        }
        Ok(())
    }

    fn put_node(&mut self, id: usize, node: Node) -> Result<(), ChangeError> {
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

    fn task_mut(&mut self, index: TaskIndex) -> Result<&mut Task, ChangeError> {
        self.tasks.get_mut(index).ok_or(ChangeError("unknown task"))
    }

    fn body_mut(&mut self, id: RoundId) -> Result<&mut Body, ChangeError> {
        self.rounds
            .get_mut(id)
            .and_then(|r| r.body.as_mut())
            .ok_or(ChangeError("no body"))
    }
}
