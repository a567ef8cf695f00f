//! What comes back from a coordinator: read within its limit, and every failure turned into a [`PortError`].
//!
//! Sentences that a coordinator sends are cut to a length that fits in a log record.

use std::error::Error as StdError;

use futures_util::{StreamExt as _, stream};
use reqwest::{Response, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::wire::headers;
use delta_ports::blob::ByteStream;
use delta_ports::peer::PeerAnswer;
use delta_ports::{PortError, PortErrorKind};

/// An answer with status 2xx, or what the coordinator says instead.
pub(crate) async fn good(
    op: &'static str,
    answer: Result<Response, reqwest::Error>,
) -> Result<Response, PortError> {
    let response = answer.map_err(|error| transport(op, error))?;
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let kind = match status {
        _ if status.is_redirection() => {
            return Err(PortError::new(
                PortErrorKind::Denied,
                op,
                "the coordinator redirects, which is not followed",
            ));
        }
        StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::TOO_MANY_REQUESTS
        | StatusCode::BAD_GATEWAY => PortErrorKind::Unavailable,
        StatusCode::REQUEST_TIMEOUT | StatusCode::GATEWAY_TIMEOUT => PortErrorKind::Timeout,
        _ => PortErrorKind::Rejected,
    };
    let detail = detail(op, response)
        .await
        .unwrap_or_else(|| format!("the coordinator answers with status {}", status.as_u16()));
    Err(PortError::new(kind, op, detail))
}

/// The sentence in an answer `{"detail": ...}`, cut to 1 KiB and cleaned of control characters.
async fn detail(op: &'static str, response: Response) -> Option<String> {
    let body = whole(op, response, 64 << 10).await.ok()?;
    let Value::Object(mut fields) = serde_json::from_slice(&body).ok()? else {
        return None;
    };
    let text = match fields.remove("detail")? {
        Value::String(text) => text,
        other => other.to_string(),
    };
    let mut text: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    text.truncate(text.floor_char_boundary(1024));
    Some(text)
}

/// The answer to a POST: `{"success":true}`.
pub(crate) async fn done(op: &'static str, response: Response) -> Result<PeerAnswer, PortError> {
    #[derive(serde::Deserialize)]
    struct Success {
        success: bool,
    }
    let answer: Success = parsed(op, response, 4 << 10).await?;
    if answer.success {
        Ok(PeerAnswer::Done)
    } else {
        Err(PortError::new(
            PortErrorKind::Rejected,
            op,
            "the coordinator answers that it did not succeed",
        ))
    }
}

/// A JSON answer of at most `limit` bytes.
pub(crate) async fn parsed<T: DeserializeOwned>(
    op: &'static str,
    response: Response,
    limit: usize,
) -> Result<T, PortError> {
    let body = whole(op, response, limit).await?;
    serde_json::from_slice(&body).map_err(|error| {
        PortError::new(
            PortErrorKind::Corrupt,
            op,
            "the coordinator's answer cannot be read",
        )
        .with_source(error)
    })
}

/// An answer of at most `limit` bytes, whole.
pub(crate) async fn whole(
    op: &'static str,
    response: Response,
    limit: usize,
) -> Result<Vec<u8>, PortError> {
    let (_, mut content) = bounded(op, response, limit as u64)?;
    let mut out = Vec::new();
    while let Some(piece) = content.next().await {
        out.extend_from_slice(&piece?);
    }
    Ok(out)
}

/// The body of an answer, cut with an error at the first byte beyond `limit`; and its length, where it was announced.
pub(crate) fn bounded(
    op: &'static str,
    response: Response,
    limit: u64,
) -> Result<(Option<u64>, ByteStream), PortError> {
    let too_long = move || {
        PortError::new(
            PortErrorKind::Corrupt,
            op,
            format!("the answer is longer than {limit} bytes"),
        )
    };
    let said: Option<u64> = response
        .headers()
        .get(headers::LENGTH)
        .and_then(|value| value.to_str().ok()?.parse().ok())
        .or(response.content_length());
    if said.is_some_and(|len| len > limit) {
        return Err(too_long());
    }
    let content = Box::pin(response.bytes_stream());
    let content: ByteStream = Box::pin(stream::unfold(
        Some((content, 0_u64)),
        move |state| async move {
            let (mut content, seen) = state?;
            match content.next().await? {
                Ok(piece) => {
                    let seen = seen + piece.len() as u64;
                    if seen > limit {
                        Some((Err(too_long()), None))
                    } else {
                        Some((Ok(piece), Some((content, seen))))
                    }
                }
                Err(error) => Some((Err(transport(op, error)), None)),
            }
        },
    ));
    Ok((said, content))
}

/// What a failure of reqwest means. An error of our own inside it (the policy's, the content's) keeps its kind.
fn transport(op: &'static str, error: reqwest::Error) -> PortError {
    let error = error.without_url();
    let mut cause: Option<&(dyn StdError + 'static)> = Some(&error);
    while let Some(inner) = cause {
        if let Some(own) = inner.downcast_ref::<PortError>() {
            return PortError::new(own.kind(), op, own.message().to_owned()).with_source(error);
        }
        cause = inner.source();
    }
    let (kind, message) = if error.is_timeout() {
        (
            PortErrorKind::Timeout,
            "the coordinator does not answer in time",
        )
    } else if error.is_connect() {
        (
            PortErrorKind::Unavailable,
            "the coordinator cannot be reached",
        )
    } else if error.is_builder() {
        (PortErrorKind::Internal, "the request cannot be made")
    } else {
        (
            PortErrorKind::Unavailable,
            "the connection to the coordinator broke",
        )
    };
    PortError::new(kind, op, message).with_source(error)
}
