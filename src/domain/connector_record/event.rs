//! What the record publishes, raw; and its reading as the node's own [`NetworkEvent`].

use crate::event::NetworkEvent;
use crate::ids::{Address, IdError, RoundNumber, TaskId};
use crate::task::UnknownTaskKind;

/// One event with the strings as they stand on the wire.
#[expect(
    missing_docs,
    reason = "fields are those of the wire messages, named alike"
)]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecordEvent {
    /// `task_created`
    TaskCreated {
        address: String,
        task: String,
        dataset: String,
        url: String,
        commitment: String,
        task_type: String,
        enable_verify: bool,
        tolerance: i32,
    },
    /// `round_started`
    RoundStarted { task: String, round: i32 },
    /// `partner_selected`
    PartnerSelected {
        task: String,
        round: i32,
        addrs: Vec<String>,
    },
    /// `calculation_started`
    CalculationStarted {
        task: String,
        round: i32,
        addrs: Vec<String>,
    },
    /// `aggregation_started`
    AggregationStarted {
        task: String,
        round: i32,
        addrs: Vec<String>,
    },
    /// `round_ended`
    RoundEnded { task: String, round: i32 },
    /// `task_finished`
    TaskFinished { task: String },
    /// `task_member_verified`
    MemberVerified {
        task: String,
        address: String,
        verified: bool,
    },
    /// `task_verification_confirmed`
    VerificationConfirmed { task: String },
    /// `data_registered`
    DataRegistered {
        owner: String,
        name: String,
        index: i32,
        commitment: String,
    },
}

/// Why an event cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnreadableEvent {
    /// An id in it is no id.
    #[error("it holds an invalid id")]
    Id(#[from] IdError),
    /// Its task type is unknown.
    #[error("it is about another kind of task")]
    Kind(#[from] UnknownTaskKind),
    /// Its round number is negative.
    #[error("round number {0} is negative")]
    Round(i32),
}

impl RecordEvent {
    /// Reads the event as the node sees it.
    ///
    /// # Errors
    /// [`UnreadableEvent`]: one bad id spoils the whole event, because a shortened member list would be a lie.
    pub fn parse(self) -> Result<NetworkEvent, UnreadableEvent> {
        Ok(match self {
            Self::TaskCreated {
                address,
                task,
                dataset,
                url,
                commitment,
                task_type,
                enable_verify,
                tolerance,
            } => NetworkEvent::TaskCreated {
                task: TaskId::try_from(task)?,
                owner: Address::try_from(address)?,
                url,
                dataset,
                commitment,
                kind: task_type.parse()?,
                enable_verify,
                tolerance,
            },
            Self::RoundStarted { task, round } => NetworkEvent::RoundStarted {
                task: TaskId::try_from(task)?,
                round: number(round)?,
            },
            Self::PartnerSelected { task, round, addrs } => NetworkEvent::PartnerSelected {
                task: TaskId::try_from(task)?,
                round: number(round)?,
                members: members(addrs)?,
            },
            Self::CalculationStarted { task, round, addrs } => NetworkEvent::CalculationStarted {
                task: TaskId::try_from(task)?,
                round: number(round)?,
                members: members(addrs)?,
            },
            Self::AggregationStarted { task, round, addrs } => NetworkEvent::AggregationStarted {
                task: TaskId::try_from(task)?,
                round: number(round)?,
                members: members(addrs)?,
            },
            Self::RoundEnded { task, round } => NetworkEvent::RoundEnded {
                task: TaskId::try_from(task)?,
                round: number(round)?,
            },
            Self::TaskFinished { task } => NetworkEvent::TaskFinished {
                task: TaskId::try_from(task)?,
            },
            Self::MemberVerified {
                task,
                address,
                verified,
            } => NetworkEvent::MemberVerified {
                task: TaskId::try_from(task)?,
                member: Address::try_from(address)?,
                verified,
            },
            Self::VerificationConfirmed { task } => NetworkEvent::VerificationConfirmed {
                task: TaskId::try_from(task)?,
            },
            Self::DataRegistered {
                owner,
                name,
                index,
                commitment,
            } => NetworkEvent::DataRegistered {
                owner: Address::try_from(owner)?,
                name,
                index,
                commitment,
            },
        })
    }
}

fn number(round: i32) -> Result<RoundNumber, UnreadableEvent> {
    u32::try_from(round)
        .map(RoundNumber)
        .map_err(|_| UnreadableEvent::Round(round))
}

fn members(addrs: Vec<String>) -> Result<Vec<Address>, UnreadableEvent> {
    Ok(addrs
        .into_iter()
        .map(Address::try_from)
        .collect::<Result<_, _>>()?)
}
