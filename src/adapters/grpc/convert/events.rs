//! Events as wire messages, both ways.

use crate::pb::subscribe::{
    AggregationStartedEvent, CalculationStartedEvent, DataRegisteredEvent, Event,
    PartnerSelectedEvent, RoundEndedEvent, RoundStartedEvent, TaskCreateEvent, TaskFinishEvent,
    TaskMemberVerifiedEvent, TaskVerificationConfirmedEvent, event,
};
use delta_domain::connector_record::RecordEvent;

/// What a message of the event stream is.
pub(crate) enum Incoming {
    /// Only a sign of life.
    Heartbeat,
    /// An event, not yet parsed.
    Event(RecordEvent),
    /// Something newer than this program.
    Unknown,
}

pub(crate) fn incoming(message: Event) -> Incoming {
    use event::Event as E;
    Incoming::Event(match message.event {
        None => return Incoming::Unknown,
        Some(E::Heartbeat(_)) => return Incoming::Heartbeat,
        Some(E::TaskCreated(e)) => RecordEvent::TaskCreated {
            address: e.address,
            task: e.task_id,
            dataset: e.dataset,
            url: e.url,
            commitment: e.commitment,
            task_type: e.task_type,
            enable_verify: e.enable_verify,
            tolerance: e.tolerance,
        },
        Some(E::RoundStarted(e)) => RecordEvent::RoundStarted {
            task: e.task_id,
            round: e.round,
        },
        Some(E::PartnerSelected(e)) => RecordEvent::PartnerSelected {
            task: e.task_id,
            round: e.round,
            addrs: e.addrs,
        },
        Some(E::CalculationStarted(e)) => RecordEvent::CalculationStarted {
            task: e.task_id,
            round: e.round,
            addrs: e.addrs,
        },
        Some(E::AggregationStarted(e)) => RecordEvent::AggregationStarted {
            task: e.task_id,
            round: e.round,
            addrs: e.addrs,
        },
        Some(E::RoundEnded(e)) => RecordEvent::RoundEnded {
            task: e.task_id,
            round: e.round,
        },
        Some(E::TaskFinished(e)) => RecordEvent::TaskFinished { task: e.task_id },
        Some(E::TaskMemberVerified(e)) => RecordEvent::MemberVerified {
            task: e.task_id,
            address: e.address,
            verified: e.verified,
        },
        Some(E::TaskVerificationConfirmed(e)) => {
            RecordEvent::VerificationConfirmed { task: e.task_id }
        }
        Some(E::DataRegistered(e)) => RecordEvent::DataRegistered {
            owner: e.owner,
            name: e.name,
            index: e.index,
            commitment: e.commitment,
        },
    })
}

/// An event as it goes on the wire.
pub(crate) fn outgoing(event: RecordEvent) -> Event {
    use event::Event as E;
    let event = match event {
        RecordEvent::TaskCreated {
            address,
            task: task_id,
            dataset,
            url,
            commitment,
            task_type,
            enable_verify,
            tolerance,
        } => E::TaskCreated(TaskCreateEvent {
            address,
            task_id,
            dataset,
            url,
            commitment,
            task_type,
            enable_verify,
            tolerance,
        }),
        RecordEvent::RoundStarted {
            task: task_id,
            round,
        } => E::RoundStarted(RoundStartedEvent { task_id, round }),
        RecordEvent::PartnerSelected {
            task: task_id,
            round,
            addrs,
        } => E::PartnerSelected(PartnerSelectedEvent {
            task_id,
            round,
            addrs,
        }),
        RecordEvent::CalculationStarted {
            task: task_id,
            round,
            addrs,
        } => E::CalculationStarted(CalculationStartedEvent {
            task_id,
            round,
            addrs,
        }),
        RecordEvent::AggregationStarted {
            task: task_id,
            round,
            addrs,
        } => E::AggregationStarted(AggregationStartedEvent {
            task_id,
            round,
            addrs,
        }),
        RecordEvent::RoundEnded {
            task: task_id,
            round,
        } => E::RoundEnded(RoundEndedEvent { task_id, round }),
        RecordEvent::TaskFinished { task: task_id } => E::TaskFinished(TaskFinishEvent { task_id }),
        RecordEvent::MemberVerified {
            task: task_id,
            address,
            verified,
        } => E::TaskMemberVerified(TaskMemberVerifiedEvent {
            task_id,
            address,
            verified,
        }),
        RecordEvent::VerificationConfirmed { task: task_id } => {
            E::TaskVerificationConfirmed(TaskVerificationConfirmedEvent { task_id })
        }
        RecordEvent::DataRegistered {
            owner,
            name,
            index,
            commitment,
        } => E::DataRegistered(DataRegisteredEvent {
            owner,
            name,
            index,
            commitment,
        }),
    };
    Event { event: Some(event) }
}
