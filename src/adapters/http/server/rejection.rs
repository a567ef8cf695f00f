//! What is said instead of an answer. The only place where an error gets a status.

use serde::Serialize;
use warp::http::StatusCode;
use warp::http::header::{HeaderValue, InvalidHeaderValue, WWW_AUTHENTICATE};

use super::extract::body::BodyError;
use super::extract::json::NoFields;
use super::extract::validation::{FieldError, FieldErrors};
use super::reply::{Response, json};
use delta_ports::peer::{PeerRejection, RejectionKind, WrongAnswer};
use delta_ports::{PortError, PortErrorKind, UserError, report};

/// Why a request is not answered with what it asked for.
#[derive(Debug)]
pub(crate) enum Rejection {
    /// Parameters or fields are missing or wrong: 422 and the list.
    Unprocessable(Vec<FieldError>),
    /// A status and one sentence.
    Because(StatusCode, String),
    /// Nobody has been shown who may do this: 401 and one sentence.
    Unauthorized(String),
    /// A bug or a broken port: 500 and a fixed text. The cause is in the log already.
    Internal,
}

impl Rejection {
    /// The request is understood and wrong (400).
    pub(crate) fn bad(detail: impl Into<String>) -> Self {
        Self::Because(StatusCode::BAD_REQUEST, detail.into())
    }

    /// The caller has not shown who it is (403).
    pub(crate) fn forbidden(detail: impl Into<String>) -> Self {
        Self::Because(StatusCode::FORBIDDEN, detail.into())
    }

    /// Nobody is behind this door (404).
    pub(crate) fn absent() -> Self {
        Self::Because(StatusCode::NOT_FOUND, "Not Found".into())
    }

    /// The body is too long (413).
    pub(crate) fn too_large(detail: impl Into<String>) -> Self {
        Self::Because(StatusCode::PAYLOAD_TOO_LARGE, detail.into())
    }

    /// Not now (503).
    pub(crate) fn busy(detail: impl Into<String>) -> Self {
        Self::Because(StatusCode::SERVICE_UNAVAILABLE, detail.into())
    }

    /// The answer.
    pub(crate) fn into_response(self) -> Response {
        #[derive(Serialize)]
        struct Detail<T> {
            detail: T,
        }
        match self {
            Self::Unprocessable(list) => {
                json(StatusCode::UNPROCESSABLE_ENTITY, &Detail { detail: list })
            }
            Self::Because(status, text) => json(status, &Detail { detail: text }),
            Self::Unauthorized(text) => {
                let mut response = json(StatusCode::UNAUTHORIZED, &Detail { detail: text });
                response.headers_mut().insert(
                    WWW_AUTHENTICATE,
                    HeaderValue::from_static("Bearer realm=\"delta-node\""),
                );
                response
            }
            Self::Internal => json(
                StatusCode::INTERNAL_SERVER_ERROR,
                &Detail {
                    detail: "internal error",
                },
            ),
        }
    }
}

impl From<PeerRejection> for Rejection {
    fn from(rejection: PeerRejection) -> Self {
        match rejection.kind {
            RejectionKind::Invalid => Self::bad(rejection.detail),
            RejectionKind::Forbidden => Self::forbidden(rejection.detail),
            RejectionKind::TooLarge => Self::too_large(rejection.detail),
            RejectionKind::Unavailable => Self::busy(rejection.detail),
            RejectionKind::Internal => {
                tracing::error!(detail = rejection.detail, "a member's request failed");
                Self::Internal
            }
        }
    }
}

impl From<WrongAnswer> for Rejection {
    fn from(error: WrongAnswer) -> Self {
        tracing::error!(%error, "a member's request failed");
        Self::Internal
    }
}

impl From<UserError> for Rejection {
    fn from(error: UserError) -> Self {
        match error {
            UserError::Invalid(detail) => Self::bad(detail),
            UserError::TooLarge(detail) => Self::too_large(detail),
            UserError::Unavailable(detail) => Self::busy(detail),
            UserError::Port(error) => error.into(),
        }
    }
}

impl From<PortError> for Rejection {
    fn from(error: PortError) -> Self {
        match error.kind() {
            PortErrorKind::Unavailable | PortErrorKind::Timeout | PortErrorKind::Exhausted => {
                tracing::warn!(error = report(&error), "a user's request failed");
                Self::busy("the node cannot do this now; try again later")
            }
            PortErrorKind::Conflict
            | PortErrorKind::NotFound
            | PortErrorKind::Rejected
            | PortErrorKind::Corrupt
            | PortErrorKind::Denied
            | PortErrorKind::Unsupported
            | PortErrorKind::Internal => {
                tracing::error!(error = report(&error), "a user's request failed");
                Self::Internal
            }
        }
    }
}

impl From<BodyError> for Rejection {
    fn from(error: BodyError) -> Self {
        let text = error.to_string();
        match error {
            BodyError::TooLarge { .. } => Self::too_large(text),
            BodyError::TooSlow => Self::Because(StatusCode::REQUEST_TIMEOUT, text),
            BodyError::Broken | BodyError::Malformed | BodyError::Short { .. } => Self::bad(text),
            BodyError::NoMemory => Self::busy(text),
        }
    }
}

impl From<FieldErrors> for Rejection {
    fn from(errors: FieldErrors) -> Self {
        Self::Unprocessable(errors.into_list())
    }
}

impl From<NoFields> for Rejection {
    fn from(error: NoFields) -> Self {
        match error {
            NoFields::Body(error) => error.into(),
            NoFields::TooMany => Self::too_large(error.to_string()),
            NoFields::Other(errors) => errors.into(),
        }
    }
}

impl From<InvalidHeaderValue> for Rejection {
    fn from(error: InvalidHeaderValue) -> Self {
        tracing::error!(%error, "a file name does not fit in a header");
        Self::Internal
    }
}
