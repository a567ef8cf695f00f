//! One secure-aggregation round as two sans-IO state machines: [`coordinator::CoordinatorRound`] and [`runner::RunnerRound`].
//!
//! `handle(now, input)` answers with effects for the caller to carry out, or with a [`Rejection`] that leaves the state as it was.
//! Too few members is not an error: it is a failed round. Protocol: Bonawitz et al., CCS 2017, with the phases of `docs/protocol/secagg.md`;
//! the consistency checks of the paper's round 3 are replaced by seals that are bound to what each member sees, and by tags (see [`transcript`]).

pub mod acquaintances;
mod blocks;
pub mod coordinator;
pub mod decline;
pub mod directory;
pub mod graph;
pub mod message;
pub mod neighbourhood;
pub mod record;
pub mod runner;
pub mod steps;
pub mod transcript;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::ids::Address;

pub use acquaintances::{Acquaintance, Acquaintances};
pub use blocks::Pacing;
pub use decline::DeclineCode;
pub use directory::{Directory, MemberKeys};
pub use graph::NeighbourGraph;
pub use neighbourhood::{Neighbourhood, PrivacyFloor};

/// Members of a round, each once, in address order.
pub type Members = BTreeSet<Address>;

/// An input that does not fit: right form, wrong moment, sender or content. The state is unchanged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// The round is in another phase.
    #[error("the round is in phase {phase}, too {} for {what}", if *.late { "late" } else { "early" })]
    WrongPhase {
        /// The current phase.
        phase: &'static str,
        /// What was attempted.
        what: &'static str,
        /// Whether the moment has passed.
        late: bool,
    },
    /// The sender is not a member, or not one who may say this.
    #[error("{sender} is not a member who may send {what}")]
    NotAMember {
        /// Who sent it.
        sender: Address,
        /// What was attempted.
        what: &'static str,
    },
    /// The signature does not hold under the key on record.
    #[error("the signature of {sender} on {what} does not hold")]
    BadSignature {
        /// The alleged sender.
        sender: Address,
        /// What was signed.
        what: &'static str,
    },
    /// The sender believes in other members or keys than this node.
    #[error("{sender} sees other members or keys in this round than this node")]
    InconsistentView {
        /// The member that sees it differently.
        sender: Address,
    },
    /// The same thing was said before, differently.
    #[error("{what} was already given with other content{}", .sender.as_ref().map(|s| format!(" by {s}")).unwrap_or_default())]
    Conflict {
        /// Who, when it was a member.
        sender: Option<Address>,
        /// What was given twice.
        what: &'static str,
    },
    /// It is not there yet: the sender should ask again.
    #[error("{what} has to wait for {waits_for}")]
    NotYet {
        /// What was attempted.
        what: &'static str,
        /// For what, and for whom.
        waits_for: String,
    },
    /// The content breaks a rule.
    #[error("{what} is refused: {why}")]
    Malformed {
        /// What was sent.
        what: &'static str,
        /// The rule that it breaks.
        why: String,
    },
}

impl Rejection {
    /// Stable name: metric label, log field, test assertion.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::WrongPhase { .. } => "wrong_phase",
            Self::NotAMember { .. } => "not_a_member",
            Self::BadSignature { .. } => "bad_signature",
            Self::InconsistentView { .. } => "inconsistent_view",
            Self::Conflict { .. } => "conflict",
            Self::NotYet { .. } => "not_yet",
            Self::Malformed { .. } => "malformed",
        }
    }
}

/// Why a round, or this node's part in it, ended without a sum.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{reason}")]
pub struct RoundFailure {
    /// Stable name: metric label, test assertion.
    pub code: FailureCode,
    /// One sentence that names who or what.
    pub reason: String,
}

impl RoundFailure {
    pub(crate) fn new(code: FailureCode, reason: impl Into<String>) -> Self {
        Self {
            code,
            reason: reason.into(),
        }
    }
}

/// Classes of failed rounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureCode {
    /// Fewer members than the strategy or the local floor asks for.
    TooFewMembers,
    /// Fewer shares than the threshold.
    TooFewShares,
    /// The other side stayed silent past the deadline.
    DeadlinePassed,
    /// Somebody broke the protocol in a way that honest members cannot.
    ProtocolViolation,
    /// The local computation failed.
    Computation,
    /// A port failed for good.
    Infrastructure,
    /// An owner's rules did not allow what this member had been about to do.
    NotAllowed,
    /// So many nodes refuse the task for good that it cannot have its members.
    Refused,
    /// Members that had come before were away for longer than the coordinator has patience, and there were too few without them.
    StayedAway,
    /// The members' threshold or neighbourhoods protect them less than one of them insists on.
    TooWeak,
    /// The coordinator gave the round up. Also what is read for a word that is not here.
    #[serde(other)]
    Abandoned,
}

impl FailureCode {
    /// Its stable name: as it is stored, and in measurements.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::TooFewMembers => "too_few_members",
            Self::TooFewShares => "too_few_shares",
            Self::DeadlinePassed => "deadline_passed",
            Self::ProtocolViolation => "protocol_violation",
            Self::Computation => "computation",
            Self::Infrastructure => "infrastructure",
            Self::NotAllowed => "not_allowed",
            Self::Refused => "refused",
            Self::StayedAway => "stayed_away",
            Self::TooWeak => "too_weak",
            Self::Abandoned => "abandoned",
        }
    }

    /// What it means, for people who may know no more; a clause without a subject.
    #[must_use]
    pub fn meaning(self) -> &'static str {
        match self {
            Self::TooFewMembers => "had too few members",
            Self::TooFewShares => "had too few shares to unmask the sum",
            Self::DeadlinePassed => "waited too long for somebody",
            Self::ProtocolViolation => "met a broken protocol",
            Self::Computation => "could not be computed by any member",
            Self::Infrastructure => "met trouble of the coordinator's own",
            Self::NotAllowed => "was not allowed by an owner's rules",
            Self::TooWeak => "protected its members too little",
            Self::Refused => "was refused by too many nodes",
            Self::StayedAway => "had too few members for too long",
            Self::Abandoned => "was given up",
        }
    }
}

/// `list` as a set; a member named twice, which no honest list has, is a rejection.
pub(crate) fn unique(list: &[Address], what: &'static str) -> Result<Members, Rejection> {
    let set: Members = list.iter().cloned().collect();
    if set.len() == list.len() {
        Ok(set)
    } else {
        Err(Rejection::Malformed {
            what,
            why: "it lists a member twice".into(),
        })
    }
}

/// The members of a set in one line, for messages.
pub(crate) fn names<'a>(members: impl IntoIterator<Item = &'a Address>) -> String {
    let all: Vec<&str> = members.into_iter().map(Address::as_str).collect();
    match all.len() {
        0 => "nobody".into(),
        n if n > 20 => format!("{}, ... ({n} in all)", all[..20].join(", ")),
        _ => all.join(", "),
    }
}
