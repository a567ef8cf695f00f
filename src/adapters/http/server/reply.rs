//! Answers: how values and errors become HTTP. The only place where an error gets a status.

use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::Stream;
use serde::Serialize;
use warp::Reply as _;
use warp::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE, HeaderName, HeaderValue};
use warp::http::{Response as HttpResponse, StatusCode};

use crate::server::extract::body::BodyFault;
use crate::server::extract::validation::FieldError;
use crate::wire::headers;
use delta_ports::blob::ByteStream;
use delta_ports::node_api::UserError;
use delta_ports::peer::{PeerRefusal, RefusalKind};
use delta_ports::{PortError, PortErrorKind, report};

/// What every handler makes.
pub(crate) type Response = warp::reply::Response;

/// Why a request is not answered with what it asked for.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// Parameters or fields are missing or wrong: 422 and the list.
    Unprocessable(Vec<FieldError>),
    /// A status and one sentence.
    Because(StatusCode, String),
    /// A bug or a broken port: 500 and a fixed text. The cause is in the log already.
    Internal,
}

impl Refusal {
    /// The request is understood and wrong (400).
    pub(crate) fn bad(detail: impl Into<String>) -> Self {
        Self::Because(StatusCode::BAD_REQUEST, detail.into())
    }

    /// The caller has not shown who it is (403).
    pub(crate) fn forbidden(detail: impl Into<String>) -> Self {
        Self::Because(StatusCode::FORBIDDEN, detail.into())
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
            Self::Internal => json(
                StatusCode::INTERNAL_SERVER_ERROR,
                &Detail {
                    detail: "internal error",
                },
            ),
        }
    }
}

impl From<PeerRefusal> for Refusal {
    fn from(refusal: PeerRefusal) -> Self {
        match refusal.kind {
            RefusalKind::Invalid => Self::bad(refusal.detail),
            RefusalKind::Forbidden => Self::forbidden(refusal.detail),
            RefusalKind::TooLarge => Self::too_large(refusal.detail),
            RefusalKind::Unavailable => Self::busy(refusal.detail),
            RefusalKind::Internal => {
                tracing::error!(detail = refusal.detail, "a member's request failed");
                Self::Internal
            }
        }
    }
}

impl From<UserError> for Refusal {
    fn from(error: UserError) -> Self {
        match error {
            UserError::Invalid(detail) => Self::bad(detail),
            UserError::TooLarge(detail) => Self::too_large(detail),
            UserError::Unavailable(detail) => Self::busy(detail),
            UserError::Port(error) => error.into(),
        }
    }
}

impl From<PortError> for Refusal {
    fn from(error: PortError) -> Self {
        match error.kind() {
            PortErrorKind::Unavailable | PortErrorKind::Timeout | PortErrorKind::Exhausted => {
                tracing::warn!(error = report(&error), "a user's request failed");
                Self::busy("the node cannot do this now; try again later")
            }
            PortErrorKind::Conflict
            | PortErrorKind::NotFound
            | PortErrorKind::Refused
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

impl From<BodyFault> for Refusal {
    fn from(error: BodyFault) -> Self {
        let text = error.to_string();
        match error {
            BodyFault::TooLarge { .. } => Self::too_large(text),
            BodyFault::TooSlow => Self::Because(StatusCode::REQUEST_TIMEOUT, text),
            BodyFault::Broken | BodyFault::Malformed | BodyFault::Short { .. } => Self::bad(text),
            BodyFault::NoMemory => Self::busy(text),
        }
    }
}

/// A JSON answer in the original's form: compact, UTF-8.
pub(crate) fn json<T: Serialize + ?Sized>(status: StatusCode, value: &T) -> Response {
    match serde_json::to_vec(value) {
        Ok(bytes) => with_type(status, "application/json", bytes),
        Err(error) => {
            tracing::error!(%error, "an answer cannot be written as JSON");
            with_type(
                StatusCode::INTERNAL_SERVER_ERROR,
                "application/json",
                br#"{"detail":"internal error"}"#.to_vec(),
            )
        }
    }
}

/// A 200 answer in JSON.
pub(crate) fn ok<T: Serialize + ?Sized>(value: &T) -> Response {
    json(StatusCode::OK, value)
}

/// `{"success":true}`, the answer to every POST of a member.
pub(crate) fn success() -> Response {
    #[derive(Serialize)]
    struct Success {
        success: bool,
    }
    ok(&Success { success: true })
}

/// An answer of a given content type.
pub(crate) fn with_type(
    status: StatusCode,
    content_type: &'static str,
    content: impl Into<Bytes>,
) -> Response {
    let mut response = HttpResponse::new(content.into().into());
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// A file: chunked, as in the original, with its length in a header of our own. `filename` is made of checked parts only.
pub(crate) fn file(filename: &str, len: u64, content: ByteStream) -> Result<Response, Refusal> {
    let disposition =
        HeaderValue::from_str(&format!("attachment; filename={filename}")).map_err(|error| {
            tracing::error!(%error, "a file name does not fit in a header");
            Refusal::Internal
        })?;
    let mut response = warp::reply::stream(Shareable(Mutex::new(content))).into_response();
    let headers = response.headers_mut();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("application/octet-stream"),
    );
    headers.insert(CONTENT_DISPOSITION, disposition);
    headers.insert(
        HeaderName::from_static(headers::LENGTH),
        HeaderValue::from(len),
    );
    Ok(response)
}

/// Makes a stream `Sync`, which warp asks for although nobody shares it: there is only ever one owner, so the lock is never taken.
struct Shareable(Mutex<ByteStream>);

impl Stream for Shareable {
    type Item = Result<Bytes, PortError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let stream = self
            .get_mut()
            .0
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner);
        let polled = stream.as_mut().poll_next(cx);
        if let Poll::Ready(Some(Err(error))) = &polled {
            // The head is out: all that is left is to cut the connection, which the client sees as an incomplete answer.
            tracing::warn!(error = report(error), "an answer was cut short");
        }
        polled
    }
}
