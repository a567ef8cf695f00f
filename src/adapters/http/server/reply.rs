//! Answers: how values and files become HTTP.

use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::Stream;
use serde::Serialize;
use warp::Reply as _;
use warp::http::header::{
    CONTENT_DISPOSITION, CONTENT_TYPE, HeaderName, HeaderValue, InvalidHeaderValue,
};
use warp::http::{Response as HttpResponse, StatusCode};

use crate::wire::headers;
use delta_ports::blob::ByteStream;
use delta_ports::{PortError, report};

/// What every handler makes.
pub(crate) type Response = warp::reply::Response;

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
pub(crate) fn file(
    filename: &str,
    len: Option<u64>,
    content: ByteStream,
) -> Result<Response, InvalidHeaderValue> {
    let disposition = HeaderValue::from_str(&format!("attachment; filename={filename}"))?;
    let mut response = stream(content);
    let headers = response.headers_mut();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("application/octet-stream"),
    );
    headers.insert(CONTENT_DISPOSITION, disposition);
    if let Some(len) = len {
        headers.insert(
            HeaderName::from_static(headers::LENGTH),
            HeaderValue::from(len),
        );
    }
    Ok(response)
}

/// An answer that comes piece by piece.
pub(crate) fn stream(content: ByteStream) -> Response {
    warp::reply::stream(Shareable(Mutex::new(content))).into_response()
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
