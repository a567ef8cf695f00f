//! How a failed gRPC call becomes a [`PortError`]: one mapping, every code named.

use std::error::Error as _;

use tonic::{Code, Status};

use delta_ports::{PortError, PortErrorKind};

/// The port's view of a failed call.
///
/// A status that this side made up because the connection broke has a source; one that the connector sent has none.
pub(super) fn port_error(op: &'static str, status: Status) -> PortError {
    let kind = kind_of(status.code(), status.source().is_some());
    let message = match status.message() {
        "" => format!("the connector answered {:?} without a text", status.code()),
        text => text.to_owned(),
    };
    let error = PortError::new(kind, op, message);
    if kind == PortErrorKind::Refused {
        error
    } else {
        error.with_source(status)
    }
}

fn kind_of(code: Code, local: bool) -> PortErrorKind {
    match code {
        // The connector's one code for "no". Broken connections are reported under it as well.
        Code::Unknown | Code::Internal | Code::Cancelled | Code::ResourceExhausted if local => {
            PortErrorKind::Unavailable
        }
        Code::Unknown
        | Code::InvalidArgument
        | Code::PermissionDenied
        | Code::Unauthenticated
        | Code::FailedPrecondition
        | Code::ResourceExhausted => PortErrorKind::Refused,
        Code::Cancelled | Code::Unavailable => PortErrorKind::Unavailable,
        Code::DeadlineExceeded => PortErrorKind::Timeout,
        Code::NotFound => PortErrorKind::NotFound,
        Code::AlreadyExists | Code::Aborted => PortErrorKind::Conflict,
        // Too large or undecodable answers.
        Code::OutOfRange | Code::Internal | Code::DataLoss => PortErrorKind::Corrupt,
        Code::Unimplemented => PortErrorKind::Unsupported,
        Code::Ok => PortErrorKind::Internal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_application_error_keeps_its_bare_text() {
        let error = port_error(
            "connector.leave",
            Status::unknown("node of address 0x doesn't exist"),
        );
        assert_eq!(error.kind(), PortErrorKind::Refused);
        assert_eq!(error.message(), "node of address 0x doesn't exist");
    }

    #[test]
    fn a_broken_connection_is_not_a_refusal() {
        let status = Status::from_error(Box::new(std::io::Error::other("reset")));
        assert_eq!(status.code(), Code::Unknown);
        assert_eq!(
            port_error("connector.leave", status).kind(),
            PortErrorKind::Unavailable
        );
    }
}
