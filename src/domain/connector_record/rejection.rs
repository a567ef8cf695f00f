//! Why a call is not accepted: a reason for programs, and the connector's own words for people.
//!
//! The words are part of the wire: clients of the reference connector read them, so they stay byte for byte, misspellings included
//! (docs/protocol/connector.md). Programs steer by the [`RejectionReason`].

use super::status::RoundId;

/// A call that was not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// The connector says no, for this reason and in these words.
    #[error("{1}")]
    ByRule(RejectionReason, String),
    /// The connector cannot do this.
    #[error("{0}")]
    Unsupported(&'static str),
    /// The members of this round are not in memory: load them and ask again.
    #[error("the members of a round are not in memory")]
    NeedsBody(RoundId),
}

/// Why the connector says no.
///
/// What somebody else owns does not exist for a caller who wants to move it: then the reason is that there is no such task or round.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RejectionReason {
    /// Nobody has joined the network under this address.
    NoSuchNode,
    /// The node has left, or has not prolonged its life in time.
    NodeNotAlive,
    /// This data block is not registered.
    NoSuchData,
    /// There is no such task, or it is not the caller's.
    NoSuchTask,
    /// The task takes nothing more.
    TaskFinished,
    /// The task must be finished first.
    TaskNotFinished,
    /// There is no such round, or its task is not the caller's.
    NoSuchRound,
    /// The round, or the caller in it, is not in the phase that the call belongs to.
    WrongPhase,
    /// A node that the call names, or that calls, is not a member of the round, or not one at this phase; or is named twice where
    /// the reference counts members.
    NoSuchMember,
    /// Something else stands in this place already and may not be replaced: a round, a member's keys, a commitment, a proof.
    AlreadyThere,
    /// A member has no public keys on record.
    KeysMissing,
    /// A pair of members has no commitment to a share of the self-mask's seed, or more than one.
    SeedCommitmentMissing,
    /// A pair of members has no commitment to a share of the mask key, or more than one. Seed commitments are looked for first: they are there.
    KeyCommitmentMissing,
    /// The member has put no commitment to its result on record.
    ResultMissing,
    /// A list is empty, holds something twice, or is not as long as its counterpart.
    BadList,
    /// `hlr`: the proof, or the confirmation, is not taken.
    ProofRefused,
    /// Anything else.
    Other,
}

pub(super) fn refuse<T>(reason: RejectionReason, text: impl Into<String>) -> Result<T, Rejection> {
    Err(Rejection::ByRule(reason, text.into()))
}
