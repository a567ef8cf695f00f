//! What a failed call is on both sides of the wire: a status becomes a [`PortError`], and a [`PortError`] a status. Every code and kind is named.

use std::error::Error as _;

use tonic::{Code, Status};

use super::chain::{self, told, trouble_of};
use super::rejections::reason_of;
use delta_domain::connector_record::RejectionReason;
use delta_ports::{PortError, PortErrorKind};

/// Longest error text sent. It echoes the request's strings, and clients refuse large headers.
const MAX_TEXT: usize = 2048;

/// The port's view of a failed call of the connector: a refusal has its reason.
pub(super) fn connector_error(op: &'static str, status: Status) -> PortError {
    let error = port_error(op, status);
    if error.kind() != PortErrorKind::Rejected {
        return error;
    }
    let reason = reason_of(error.message());
    // The connector's own words repeat what callers wrote.
    let trouble = match reason {
        RejectionReason::Other => trouble_of(error.message()),
        _ => None,
    };
    match trouble {
        None => error.with_reason(reason),
        Some(trouble) => {
            let text = told(trouble, error.message());
            let told = PortError::new(trouble.kind(), op, text).with_trouble(trouble);
            match trouble.kind() {
                PortErrorKind::Rejected => told.with_reason(chain::reason_of(error.message())),
                _ => told,
            }
        }
    }
}

/// The port's view of a failed call.
///
/// A status that this side made up because the connection broke has a source; one that the connector sent has none.
pub(super) fn port_error(op: &'static str, status: Status) -> PortError {
    let kind = kind_of(status.code(), status.source().is_some());
    if let (PortErrorKind::Unavailable, Some(cause)) = (kind, status.source()) {
        // What the libraries in between say of it is about themselves.
        return PortError::new(kind, op, format!("the connection failed: {}", last(cause)));
    }
    let message = match status.message() {
        "" => format!("the connector answered {:?} without a text", status.code()),
        text => text.to_owned(),
    };
    let error = PortError::new(kind, op, message);
    if kind == PortErrorKind::Rejected {
        error
    } else {
        error.with_source(status)
    }
}

/// The innermost cause: what the operating system or TLS says.
fn last(mut cause: &(dyn std::error::Error + 'static)) -> String {
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
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
        | Code::ResourceExhausted => PortErrorKind::Rejected,
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

/// The code and text of a call that failed inside the connector.
pub(super) fn status_of(error: &PortError) -> Status {
    let text = error.message();
    match error.kind() {
        PortErrorKind::Rejected => Status::unknown(shortened(text)),
        PortErrorKind::Unsupported => Status::unimplemented(text),
        PortErrorKind::Unavailable | PortErrorKind::Timeout | PortErrorKind::Conflict => {
            Status::unavailable(text)
        }
        PortErrorKind::Exhausted => Status::resource_exhausted(text),
        PortErrorKind::NotFound
        | PortErrorKind::Corrupt
        | PortErrorKind::Denied
        | PortErrorKind::Internal => {
            tracing::error!(
                error = delta_ports::report(error),
                "a call failed inside the connector"
            );
            Status::internal("internal error")
        }
    }
}

fn shortened(text: &str) -> &str {
    let mut end = text.len().min(MAX_TEXT);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
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
        assert_eq!(error.kind(), PortErrorKind::Rejected);
        assert_eq!(error.message(), "node of address 0x doesn't exist");
    }

    #[test]
    fn a_chain_that_is_away_is_an_outage_and_a_name_like_it_is_not() {
        let of = |text: &str| connector_error("connector.join_round", Status::unknown(text));
        let away = of("connection not open on send()");
        assert_eq!(away.kind(), PortErrorKind::Unavailable);
        assert_eq!(away.reason(), None);
        assert_eq!(away.trouble(), Some(delta_ports::ChainTrouble::LinkDown));
        let named = of("0x1 doesn't have dataset connection not open");
        assert_eq!(named.kind(), PortErrorKind::Rejected);
        assert_eq!(named.reason(), Some(RejectionReason::NoSuchData));
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        let text = "é".repeat(MAX_TEXT);
        let cut = shortened(&text);
        assert!(cut.len() <= MAX_TEXT && text.starts_with(cut));
        assert_eq!(shortened("short"), "short");
    }

    #[test]
    fn a_broken_connection_is_not_a_refusal() {
        let status = Status::from_error(Box::new(std::io::Error::other("reset")));
        assert_eq!(status.code(), Code::Unknown);
        let error = port_error("connector.leave", status);
        assert_eq!(error.kind(), PortErrorKind::Unavailable);
        assert_eq!(
            delta_ports::report(&error),
            "connector.leave: the connection failed: reset"
        );
    }
}
