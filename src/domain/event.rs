//! What the connector tells all nodes, parsed.
//!
//! Every subscriber hears every event of every task; duplicates, gaps and foreign tasks are normal.

use super::ids::{Address, RoundNumber, TaskId};
use super::task::TaskKind;

/// One event of the network. Lists are as published: check them against what is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NetworkEvent {
    /// A coordinator created a task.
    TaskCreated {
        /// The task.
        task: TaskId,
        /// Its coordinator.
        owner: Address,
        /// The coordinator's url, unchecked.
        url: String,
        /// Dataset names, joined by `,`.
        dataset: String,
        /// SHA-256 of the bundle, unparsed.
        commitment: String,
        /// Which service keeps it.
        kind: TaskKind,
        /// `hlr` only.
        enable_verify: bool,
        /// `hlr` only.
        tolerance: i32,
    },
    /// Joins are taken.
    RoundStarted {
        /// The task.
        task: TaskId,
        /// The round.
        round: RoundNumber,
    },
    /// u1 is published.
    PartnerSelected {
        /// The task.
        task: TaskId,
        /// The round.
        round: RoundNumber,
        /// u1.
        members: Vec<Address>,
    },
    /// u2 is published.
    CalculationStarted {
        /// The task.
        task: TaskId,
        /// The round.
        round: RoundNumber,
        /// u2.
        members: Vec<Address>,
    },
    /// u3 is published.
    AggregationStarted {
        /// The task.
        task: TaskId,
        /// The round.
        round: RoundNumber,
        /// u3.
        members: Vec<Address>,
    },
    /// The coordinator has its sum.
    RoundEnded {
        /// The task.
        task: TaskId,
        /// The round.
        round: RoundNumber,
    },
    /// No further round will come.
    TaskFinished {
        /// The task.
        task: TaskId,
    },
    /// `hlr`: a member's proof was judged.
    MemberVerified {
        /// The task.
        task: TaskId,
        /// The member.
        member: Address,
        /// Whether the proof holds.
        verified: bool,
    },
    /// `hlr`: the coordinator confirmed the task.
    VerificationConfirmed {
        /// The task.
        task: TaskId,
    },
    /// A data block was put on record.
    DataRegistered {
        /// Whose.
        owner: Address,
        /// Dataset name, unchecked.
        name: String,
        /// Block index.
        index: i32,
        /// Commitment, unparsed.
        commitment: String,
    },
}

impl NetworkEvent {
    /// The task that the event is about, if any.
    #[must_use]
    pub fn task(&self) -> Option<&TaskId> {
        match self {
            Self::TaskCreated { task, .. }
            | Self::RoundStarted { task, .. }
            | Self::PartnerSelected { task, .. }
            | Self::CalculationStarted { task, .. }
            | Self::AggregationStarted { task, .. }
            | Self::RoundEnded { task, .. }
            | Self::TaskFinished { task }
            | Self::MemberVerified { task, .. }
            | Self::VerificationConfirmed { task } => Some(task),
            Self::DataRegistered { .. } => None,
        }
    }
}
