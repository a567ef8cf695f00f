//! Handlers for members of a round: `/v1/coord/*`. Shares and signatures are in `shares.rs`, the upload of results in `upload.rs`.
//!
//! A request is taken apart and put together again (`signed.rs`); whether the signature holds is for the app to say.

use crate::server::call::{Call, Shared};
use crate::server::extract::json::Fields;
use crate::server::extract::validation::{FieldErrors, IntRule};
use crate::server::rejection::Rejection;
use crate::server::reply::{Response, file, ok, success};
use crate::server::signed::{beginning, known, known_task, member, round_number, signed};
use crate::wire::headers;
use delta_domain::ids::Name;
use delta_domain::round::DeclineCode;
use delta_domain::round::message::RequestBody;
use delta_ports::peer::PeerRequest;

/// `GET /v1/coord/config`
pub(crate) async fn config(shared: &Shared, call: &mut Call) -> Result<Response, Rejection> {
    let mut errors = FieldErrors::query();
    let task = errors.hex("task_id", call.query.owned("task_id"));
    errors.settle()?;
    let task = known(&task, |id| format!("task {id} does not exist"))?;
    let filename = format!("{task}.config");
    let answer = shared.call(PeerRequest::Bundle { task }, None).await?;
    let (len, content) = answer.content()?;
    Ok(file(&filename, len, content)?)
}

/// `GET /v1/coord/author`: who submitted a task, in this node's word (docs/protocol/identity.md).
pub(crate) async fn author(shared: &Shared, call: &mut Call) -> Result<Response, Rejection> {
    let mut errors = FieldErrors::query();
    let task = errors.hex("task_id", call.query.owned("task_id"));
    errors.settle()?;
    let task = known(&task, |id| format!("task {id} does not exist"))?;
    let filename = format!("{task}.author.json");
    let answer = shared.call(PeerRequest::Author { task }, None).await?;
    let (len, content) = answer.content()?;
    Ok(file(&filename, len, content)?)
}

/// `GET /v1/coord/certificate`: the certificate of a task's answer, for who has the answer (docs/protocol/certificate.md).
pub(crate) async fn certificate(shared: &Shared, call: &mut Call) -> Result<Response, Rejection> {
    let mut errors = FieldErrors::query();
    let task = errors.hex("task_id", call.query.owned("task_id"));
    let key = errors.hex("key", call.query.owned("key"));
    errors.settle()?;
    let key = key
        .parse()
        .map_err(|_| Rejection::bad("key is not a digest of 32 bytes"))?;
    let task = known(&task, |id| format!("task {id} does not exist"))?;
    let filename = format!("{task}.certificate");
    let request = PeerRequest::Certificate { task, key };
    let answer = shared.call(request, None).await?;
    let (len, content) = answer.content()?;
    Ok(file(&filename, len, content)?)
}

/// `GET /v1/coord/context`
pub(crate) async fn context(shared: &Shared, call: &mut Call) -> Result<Response, Rejection> {
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
        return Err(Rejection::forbidden(
            "variables are for members of the round: address, round and a signature are needed",
        ));
    };
    let body = RequestBody::Variable {
        name: name
            .parse::<Name>()
            .map_err(|error| Rejection::bad(error.to_string()))?,
    };
    let sender = member(address, |a| format!("member {a} is not allowed"))?;
    let request = signed(&call.headers, task, round_number(round)?, sender, body)?;
    let filename = format!("{}_{name}.ctx", request.task);
    let (len, content) = shared.ask(request).await?.content()?;
    Ok(file(&filename, len, content)?)
}

/// `GET /v1/coord/round`
pub(crate) async fn round(shared: &Shared, call: &mut Call) -> Result<Response, Rejection> {
    let mut errors = FieldErrors::query();
    let task = errors.hex("task_id", call.query.owned("task_id"));
    let round = errors.int("round", call.query.get("round"), IntRule::REQUIRED);
    errors.settle()?;
    let request = PeerRequest::RoundView {
        task: known_task(&task)?,
        round: round_number(round)?,
    };
    let answer = shared.call(request, None).await?;
    Ok(ok(&answer.round_view()?))
}

/// `POST /v1/coord/joined`
pub(crate) async fn joined(shared: &Shared, call: &mut Call) -> Result<Response, Rejection> {
    notice(shared, call, |_, _| RequestBody::Joined).await
}

/// `POST /v1/coord/attend`: the one request whose breaking off says something.
pub(crate) async fn attend(shared: &Shared, call: &mut Call) -> Result<Response, Rejection> {
    let gone = call.gone.clone();
    tokio::select! {
        answer = notice(shared, call, |_, _| RequestBody::Attend) => answer,
        () = gone.cancelled() => Err(Rejection::busy("nobody is there any more to be answered")),
    }
}

/// `POST /v1/coord/depart`
pub(crate) async fn depart(shared: &Shared, call: &mut Call) -> Result<Response, Rejection> {
    notice(shared, call, |_, _| RequestBody::Depart).await
}

/// `POST /v1/coord/revealed`
pub(crate) async fn revealed(shared: &Shared, call: &mut Call) -> Result<Response, Rejection> {
    notice(shared, call, |_, _| RequestBody::Revealed).await
}

/// `POST /v1/coord/decline`
pub(crate) async fn decline(shared: &Shared, call: &mut Call) -> Result<Response, Rejection> {
    // A word that is not in the list is no reason: what it says is not kept.
    notice(shared, call, |fields, errors| RequestBody::Decline {
        reason: DeclineCode::of_name(&fields.text(errors, "reason"))
            .unwrap_or(DeclineCode::Internal),
    })
    .await
}

/// `POST /v1/coord/metrics`
pub(crate) async fn metrics(_: &Shared, _: &mut Call) -> Result<Response, Rejection> {
    Err(Rejection::bad(
        "metrics of a single node are not taken: they travel inside its masked result",
    ))
}

/// `GET /v1/coord/weight`. Nothing ever wrote what it would serve.
pub(crate) async fn weight(_: &Shared, call: &mut Call) -> Result<Response, Rejection> {
    let mut errors = FieldErrors::query();
    let task = errors.hex("task_id", call.query.owned("task_id"));
    errors.int("round", call.query.get("round"), IntRule::REQUIRED);
    errors.settle()?;
    Err(Rejection::bad(format!(
        "task {} does not exist",
        beginning(&task)
    )))
}

async fn notice(
    shared: &Shared,
    call: &mut Call,
    body: impl FnOnce(&Fields, &mut FieldErrors) -> RequestBody,
) -> Result<Response, Rejection> {
    let fields = call.small_json(&shared.memory).await?;
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
    shared.ask(request).await?.done()?;
    Ok(success())
}
