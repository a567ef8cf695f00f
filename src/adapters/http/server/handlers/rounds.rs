//! Handlers for members of a round: `/v1/coord/*`. Shares and signatures are in `shares.rs`, the upload of results in `upload.rs`.
//!
//! A request is taken apart and put together again as the [`SignedRequest`] that its sender signed; whether the signature holds is for
//! the app to say. Ids that cannot exist (too short, say) are answered with the text for unknown ones.

use warp::http::HeaderMap;

use crate::server::extract::json::Fields;
use crate::server::extract::validation::{FieldErrors, HEX_PATTERN, IntRule};
use crate::server::reply::{Refusal, Response, file, ok, success};
use crate::server::routes::{Call, Shared};
use crate::wire::headers;
use delta_domain::ids::{Address, Digest, Name, RoundNumber, TaskId, decode_hex};
use delta_domain::round::message::{RequestBody, SignedRequest};

/// `GET /v1/coord/config`
pub(crate) async fn config(shared: &Shared, call: &mut Call) -> Result<Response, Refusal> {
    let mut errors = FieldErrors::query();
    let task = errors.hex("task_id", call.query.owned("task_id"));
    errors.settle()?;
    let task = known(&task, |id| format!("task {id} does not exist"))?;
    let (len, content) = shared.coordinator.bundle(&task).await?;
    file(&format!("{task}.config"), len, content)
}

/// `GET /v1/coord/context`
pub(crate) async fn context(shared: &Shared, call: &mut Call) -> Result<Response, Refusal> {
    let mut errors = FieldErrors::query();
    let task = errors.hex("task_id", call.query.owned("task_id"));
    let name = errors
        .required("name", call.query.get("name"))
        .unwrap_or_default();
    let round = errors.int("round", call.query.get("round"), IntRule::or(0));
    errors.settle()?;
    let task = known(&task, |id| {
        format!("task {id} has not started or has finished")
    })?;
    // The original asks for neither; its runners get a sentence rather than a list of errors.
    let (Some(address), Some(_), Some(_)) = (
        call.query.get("address"),
        call.query.get("round"),
        call.headers.get(headers::SIGNATURE),
    ) else {
        return Err(Refusal::forbidden(
            "variables are for members of the round: address, round and a signature are needed",
        ));
    };
    let body = RequestBody::Variable {
        name: name
            .parse::<Name>()
            .map_err(|error| Refusal::bad(error.to_string()))?,
    };
    let sender = member(address, |a| format!("member {a} is not allowed"))?;
    let request = signed(&call.headers, task, round_number(round)?, sender, body)?;
    let filename = format!("{}_{name}.ctx", request.task);
    let (len, content) = shared.coordinator.variable(request).await?;
    file(&filename, len, content)
}

/// `GET /v1/coord/round`
pub(crate) async fn round(shared: &Shared, call: &mut Call) -> Result<Response, Refusal> {
    let mut errors = FieldErrors::query();
    let task = errors.hex("task_id", call.query.owned("task_id"));
    let round = errors.int("round", call.query.get("round"), IntRule::REQUIRED);
    errors.settle()?;
    let view = shared
        .coordinator
        .round_view(&known_task(&task)?, round_number(round)?)
        .await?;
    Ok(ok(&view))
}

/// `POST /v1/coord/joined`
pub(crate) async fn joined(shared: &Shared, call: &mut Call) -> Result<Response, Refusal> {
    notice(shared, call, |_, _| RequestBody::Joined).await
}

/// `POST /v1/coord/revealed`
pub(crate) async fn revealed(shared: &Shared, call: &mut Call) -> Result<Response, Refusal> {
    notice(shared, call, |_, _| RequestBody::Revealed).await
}

/// `POST /v1/coord/decline`
pub(crate) async fn decline(shared: &Shared, call: &mut Call) -> Result<Response, Refusal> {
    notice(shared, call, |fields, errors| RequestBody::Decline {
        reason: fields.text(errors, "reason"),
    })
    .await
}

/// `POST /v1/coord/metrics`
pub(crate) async fn metrics(_: &Shared, _: &mut Call) -> Result<Response, Refusal> {
    Err(Refusal::bad(
        "metrics of a single node are not taken: they travel inside its masked result",
    ))
}

/// `GET /v1/coord/weight`. Nothing ever wrote what it would serve.
pub(crate) async fn weight(_: &Shared, call: &mut Call) -> Result<Response, Refusal> {
    let mut errors = FieldErrors::query();
    let task = errors.hex("task_id", call.query.owned("task_id"));
    errors.int("round", call.query.get("round"), IntRule::REQUIRED);
    errors.settle()?;
    Err(Refusal::bad(format!(
        "task {} does not exist",
        beginning(&task)
    )))
}

async fn notice(
    shared: &Shared,
    call: &mut Call,
    body: impl FnOnce(&Fields, &mut FieldErrors) -> RequestBody,
) -> Result<Response, Refusal> {
    let fields = Fields::read(
        &call.headers,
        &mut call.body,
        headers::MAX_SMALL_JSON,
        &shared.memory,
    )
    .await?;
    let mut errors = FieldErrors::body();
    let address = fields.text(&mut errors, "address");
    let task = fields.text(&mut errors, "task_id");
    let round = fields.int(&mut errors, "round");
    let body = body(&fields, &mut errors);
    errors.settle()?;
    let sender = member(&address, |a| format!("member {a} is not allowed"))?;
    let request = signed(
        &call.headers,
        known_task(&task)?,
        round_number(round)?,
        sender,
        body,
    )?;
    shared.coordinator.submit(request).await?;
    Ok(success())
}

/// Puts a request together with what its headers say about its signature.
pub(crate) fn signed(
    headers: &HeaderMap,
    task: TaskId,
    round: RoundNumber,
    sender: Address,
    body: RequestBody,
) -> Result<SignedRequest, Refusal> {
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
pub(crate) fn digest(headers: &HeaderMap, name: &'static str) -> Result<Option<Digest>, Refusal> {
    let Some(text) = header(headers, name)? else {
        return Ok(None);
    };
    let wrong = || Refusal::bad(format!("{name} is not 0x and 64 hex digits"));
    if text.len() != 66 {
        return Err(wrong());
    }
    text.parse().map(Some).map_err(|_| wrong())
}

/// A header as text.
pub(crate) fn header<'a>(
    headers: &'a HeaderMap,
    name: &'static str,
) -> Result<Option<&'a str>, Refusal> {
    headers
        .get(name)
        .map(|value| {
            value
                .to_str()
                .map_err(|_| Refusal::bad(format!("{name} is not plain text")))
        })
        .transpose()
}

/// A task id, or the answer for an unknown task.
pub(crate) fn known_task(text: &str) -> Result<TaskId, Refusal> {
    known(text, |_| "task does not exist".to_owned())
}

/// A round number. Beyond the type there is no round.
pub(crate) fn round_number(number: i128) -> Result<RoundNumber, Refusal> {
    u32::try_from(number)
        .map(RoundNumber)
        .map_err(|_| Refusal::bad("task round does not exist"))
}

/// An address, or the answer for a stranger.
pub(crate) fn member(text: &str, unknown: impl FnOnce(&str) -> String) -> Result<Address, Refusal> {
    text.parse()
        .map_err(|_| Refusal::bad(unknown(&beginning(text))))
}

fn known(text: &str, unknown: impl FnOnce(&str) -> String) -> Result<TaskId, Refusal> {
    text.parse()
        .map_err(|_| Refusal::bad(unknown(&beginning(text))))
}

/// Hex of whole bytes: two texts never stand for the same bytes but for the case of their letters.
pub(crate) fn canonical_hex(text: &str, what: &str) -> Result<Vec<u8>, Refusal> {
    let wrong = || {
        Refusal::bad(format!(
            "{what} is not {HEX_PATTERN} with an even number of digits"
        ))
    };
    if !text.starts_with("0x") || !text.len().is_multiple_of(2) {
        return Err(wrong());
    }
    decode_hex(text).map_err(|_| wrong())
}

/// Enough of a hostile text to recognise it.
fn beginning(text: &str) -> String {
    text.chars().take(80).collect()
}
