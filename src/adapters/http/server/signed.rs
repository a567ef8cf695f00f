//! A member's request, put together again as it was signed: the parts that all handlers for members read.
//!
//! Ids that cannot exist (too short, say) are answered with the text for unknown ones.

use warp::http::HeaderMap;

use super::extract::validation::HEX_PATTERN;
use super::rejection::Rejection;
use crate::wire::headers;
use delta_domain::ids::{Address, Digest, RoundNumber, TaskId, decode_hex};
use delta_domain::round::message::{RequestBody, SignedRequest};

/// Puts a request together with what its headers say about its signature.
pub(crate) fn signed(
    headers: &HeaderMap,
    task: TaskId,
    round: RoundNumber,
    sender: Address,
    body: RequestBody,
) -> Result<SignedRequest, Rejection> {
    let view = digest(headers, headers::VIEW)?.unwrap_or(Digest([0; 32]));
    let signature = header(headers, headers::SIGNATURE)?.map_or_else(
        || Ok(Vec::new()),
        |text| canonical_hex(text, headers::SIGNATURE),
    )?;
    Ok(SignedRequest {
        task,
        round,
        sender,
        view,
        body,
        signature,
    })
}

/// A header that holds a digest.
pub(crate) fn digest(headers: &HeaderMap, name: &'static str) -> Result<Option<Digest>, Rejection> {
    let Some(text) = header(headers, name)? else {
        return Ok(None);
    };
    let wrong = || Rejection::bad(format!("{name} is not 0x and 64 hex digits"));
    if text.len() != 66 {
        return Err(wrong());
    }
    text.parse().map(Some).map_err(|_| wrong())
}

/// A header as text.
pub(crate) fn header<'a>(
    headers: &'a HeaderMap,
    name: &'static str,
) -> Result<Option<&'a str>, Rejection> {
    headers
        .get(name)
        .map(|value| {
            value
                .to_str()
                .map_err(|_| Rejection::bad(format!("{name} is not plain text")))
        })
        .transpose()
}

/// A task id, or the answer for an unknown task.
pub(crate) fn known_task(text: &str) -> Result<TaskId, Rejection> {
    known(text, |_| "task does not exist".to_owned())
}

/// A round number. Beyond the type there is no round.
pub(crate) fn round_number(number: i128) -> Result<RoundNumber, Rejection> {
    u32::try_from(number)
        .map(RoundNumber)
        .map_err(|_| Rejection::bad("task round does not exist"))
}

/// An address, or the answer for a stranger.
pub(crate) fn member(
    text: &str,
    unknown: impl FnOnce(&str) -> String,
) -> Result<Address, Rejection> {
    text.parse()
        .map_err(|_| Rejection::bad(unknown(&beginning(text))))
}

/// A task id, or what `unknown` says of it.
pub(crate) fn known(text: &str, unknown: impl FnOnce(&str) -> String) -> Result<TaskId, Rejection> {
    text.parse()
        .map_err(|_| Rejection::bad(unknown(&beginning(text))))
}

/// Hex of whole bytes: two texts never stand for the same bytes but for the case of their letters.
pub(crate) fn canonical_hex(text: &str, what: &str) -> Result<Vec<u8>, Rejection> {
    let wrong = || {
        Rejection::bad(format!(
            "{what} is not {HEX_PATTERN} with an even number of digits"
        ))
    };
    if !text.starts_with("0x") || !text.len().is_multiple_of(2) {
        return Err(wrong());
    }
    decode_hex(text).map_err(|_| wrong())
}

/// Enough of a hostile text to recognise it.
pub(crate) fn beginning(text: &str) -> String {
    text.chars().take(80).collect()
}
