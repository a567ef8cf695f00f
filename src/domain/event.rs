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
        /// Its id on the record.
        task: TaskId,
        /// The address of its coordinator.
        owner: Address,
        /// The coordinator's url, unchecked.
        url: String,
        /// Dataset names, joined by `,`.
        dataset: String,
        /// SHA-256 of the bundle, unparsed.
        commitment: String,
        /// Which service keeps it.
        kind: TaskKind,
        /// `hlr`: whether members prove what they computed.
        enable_verify: bool,
        /// `hlr`: the least precision that a proof must have.
        tolerance: i32,
    },
    /// Joins are taken.
    RoundStarted {
        /// Its id on the record.
        task: TaskId,
        /// Its number within the task.
        round: RoundNumber,
    },
    /// u1 is published.
    PartnerSelected {
        /// Its id on the record.
        task: TaskId,
        /// Its number within the task.
        round: RoundNumber,
        /// Who was selected, u1.
        members: Vec<Address>,
    },
    /// u2 is published.
    CalculationStarted {
        /// Its id on the record.
        task: TaskId,
        /// Its number within the task.
        round: RoundNumber,
        /// Whose shares arrived, u2.
        members: Vec<Address>,
    },
    /// u3 is published.
    AggregationStarted {
        /// Its id on the record.
        task: TaskId,
        /// Its number within the task.
        round: RoundNumber,
        /// Whose masked input arrived, u3.
        members: Vec<Address>,
    },
    /// The coordinator has its sum.
    RoundEnded {
        /// Its id on the record.
        task: TaskId,
        /// Its number within the task.
        round: RoundNumber,
    },
    /// No further round will come.
    TaskFinished {
        /// Its id on the record.
        task: TaskId,
    },
    /// `hlr`: a member's proof was judged.
    MemberVerified {
        /// Its id on the record.
        task: TaskId,
        /// Whose proof.
        member: Address,
        /// Whether the proof holds.
        verified: bool,
    },
    /// `hlr`: the coordinator confirmed the task.
    VerificationConfirmed {
        /// Its id on the record.
        task: TaskId,
    },
    /// A data block was put on record.
    DataRegistered {
        /// The address that registered it.
        owner: Address,
        /// Dataset name, unchecked.
        name: String,
        /// Which block of the dataset, from 0.
        index: i32,
        /// The commitment to the block's content, unparsed.
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
