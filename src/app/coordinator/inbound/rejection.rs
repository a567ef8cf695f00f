//! What a member is told when its request is not done: one word for each cause, and nothing of this node's inside.

use crate::coordinator::round_machine::RoundMachine;
use crate::machine::{Handle, HandleError};
use delta_domain::round::Rejection;
use delta_domain::round::coordinator::CoordinatorInput;
use delta_ports::peer::{PeerRejection, RejectionKind};
use delta_ports::{PortError, report};

/// Gives the round what a member sent.
pub(super) async fn give(
    round: &Handle<RoundMachine>,
    input: CoordinatorInput,
) -> Result<(), PeerRejection> {
    match round.give(input).await {
        Ok(()) => Ok(()),
        Err(HandleError::Rejected(rejection)) => Err(rejected(rejection)),
        Err(HandleError::Stopped) if round.state().0.is_over() => Err(invalid("the round is over")),
        // A member that took this for a no would leave the round that this node goes on with after its restart.
        Err(HandleError::Stopped) => Err(unavailable("this node is stopping")),
        Err(HandleError::Port(e)) => Err(failed(&e)),
    }
}

/// The round's own rejection, in the words of the HTTP API.
pub(super) fn rejected(rejection: Rejection) -> PeerRejection {
    let kind = match &rejection {
        // Our own call to the connector has not returned yet: the caller should come again.
        Rejection::WrongPhase { late: false, .. } | Rejection::NotYet { .. } => {
            RejectionKind::Unavailable
        }
        Rejection::WrongPhase { .. } | Rejection::Conflict { .. } | Rejection::Malformed { .. } => {
            RejectionKind::Invalid
        }
        Rejection::NotAMember { .. }
        | Rejection::BadSignature { .. }
        | Rejection::InconsistentView { .. } => RejectionKind::Forbidden,
    };
    PeerRejection::new(kind, rejection.to_string())
}

/// The request names something that is not there, or brings something else than it says.
pub(super) fn invalid(detail: impl Into<String>) -> PeerRejection {
    PeerRejection::new(RejectionKind::Invalid, detail)
}

/// The request may be right, but not now: the caller should come again.
pub(super) fn unavailable(detail: impl Into<String>) -> PeerRejection {
    PeerRejection::new(RejectionKind::Unavailable, detail)
}

/// A port's failure, told to a stranger: no internals.
pub(super) fn failed(error: &PortError) -> PeerRejection {
    tracing::warn!("a member's request failed here: {}", report(error));
    if error.is_transient() {
        unavailable("this node cannot do it now")
    } else {
        PeerRejection::new(RejectionKind::Internal, "internal error")
    }
}
