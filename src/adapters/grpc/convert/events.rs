//! Events as wire messages, both ways: each is declared once.

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

/// Declares events: `WireName(Message { .. }) = EventName { .. };`. A declaration is a pattern one way and an expression the other.
macro_rules! events {
    ($($wire:ident($message:ident $fields:tt) = $name:ident $parts:tt;)*) => {
        /// What a message says.
        pub(crate) fn incoming(message: Event) -> Incoming {
            Incoming::Event(match message.event {
                None => return Incoming::Unknown,
                Some(event::Event::Heartbeat(_)) => return Incoming::Heartbeat,
                $(Some(event::Event::$wire($message $fields)) => RecordEvent::$name $parts,)*
            })
        }

        /// An event as it goes on the wire.
        pub(crate) fn outgoing(event: RecordEvent) -> Event {
            let event = match event {
                $(RecordEvent::$name $parts => event::Event::$wire($message $fields),)*
            };
            Event { event: Some(event) }
        }
    };
}

events! {
    TaskCreated(TaskCreateEvent {
        address, task_id: task, dataset, url, commitment, task_type, enable_verify, tolerance,
    }) = TaskCreated { address, task, dataset, url, commitment, task_type, enable_verify, tolerance };
    RoundStarted(RoundStartedEvent { task_id: task, round }) = RoundStarted { task, round };
    PartnerSelected(PartnerSelectedEvent { task_id: task, round, addrs }) = PartnerSelected { task, round, addrs };
    CalculationStarted(CalculationStartedEvent { task_id: task, round, addrs }) = CalculationStarted { task, round, addrs };
    AggregationStarted(AggregationStartedEvent { task_id: task, round, addrs }) = AggregationStarted { task, round, addrs };
    RoundEnded(RoundEndedEvent { task_id: task, round }) = RoundEnded { task, round };
    TaskFinished(TaskFinishEvent { task_id: task }) = TaskFinished { task };
    TaskMemberVerified(TaskMemberVerifiedEvent { task_id: task, address, verified })
        = MemberVerified { task, address, verified };
    TaskVerificationConfirmed(TaskVerificationConfirmedEvent { task_id: task }) = VerificationConfirmed { task };
    DataRegistered(DataRegisteredEvent { owner, name, index, commitment })
        = DataRegistered { owner, name, index, commitment };
}
