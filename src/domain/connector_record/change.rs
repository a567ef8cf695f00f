//! What a decision puts on record. Changes are stored, then applied; loading a stored record applies them too.

use super::command::{NewTaskEntry, SecretKind};
use super::status::{RoundId, Status, TaskIndex};

/// What one upload between members holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UploadKind {
    /// The uploader is the sender; entries are keyed by receiver.
    Commitment(SecretKind),
    /// The uploader is the receiver; entries are keyed by sender.
    Share(SecretKind),
}

/// One fact that joins the record.
#[expect(missing_docs, reason = "fields say what they are")]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A node appears (`id` is behind all others) or its row changes.
    Node {
        id: usize,
        url: String,
        name: String,
        address: String,
        alive_until: u64,
    },
    /// A data block is registered, or registered anew.
    Data {
        owner: String,
        name: String,
        index: i32,
        commitment: String,
    },
    /// A node that has been dead for long leaves the record.
    NodeGone { id: usize },
    /// The data blocks of an address leave the record, after its last node.
    DataGone { owner: String },
    /// A task appears; `index` is behind all others. `at` is the second in which it was created or last touched.
    Task {
        index: TaskIndex,
        id: String,
        entry: NewTaskEntry,
        at: u64,
    },
    /// An old task leaves the record with all its rounds.
    TaskGone { index: TaskIndex },
    /// A task is finished.
    TaskFinished { index: TaskIndex },
    /// A round appears in STARTED, in the second `at`; `id` is behind all others.
    Round {
        id: RoundId,
        task: TaskIndex,
        number: i32,
        weight_commitment: String,
        at: u64,
    },
    /// A round moves to a status, and the listed members with it.
    RoundStatus {
        id: RoundId,
        status: Status,
        members: Vec<u32>,
    },
    /// A member joins; its place is the next free one.
    Member {
        round: RoundId,
        address: String,
        status: Status,
        pk1: String,
        pk2: String,
    },
    /// A member commits to its masked result.
    Result {
        round: RoundId,
        member: u32,
        commitment: String,
    },
    /// A member uploads commitments or shares: `(the other member's place, text)`.
    Upload {
        round: RoundId,
        kind: UploadKind,
        member: u32,
        entries: Vec<(u32, String)>,
    },
    /// A member's proof was judged.
    Proof {
        task: TaskIndex,
        member: String,
        valid: bool,
    },
    /// The owner confirmed the verification.
    Confirmed { index: TaskIndex },
}

/// A change that does not fit the record it is applied to: the stored record is damaged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the connector's record is damaged: {0}")]
pub struct ChangeError(pub &'static str);
