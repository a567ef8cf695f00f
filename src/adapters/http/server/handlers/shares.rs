//! Handlers for what members seal for one another: shares, and their word about u3. In JSON, or in the compact form.

use warp::http::header::{ACCEPT, CONTENT_TYPE, HeaderName};
use warp::http::{HeaderMap, StatusCode};

use crate::server::call::{Call, Shared};
use crate::server::extract::body::read_whole;
use crate::server::extract::json::Fields;
use crate::server::extract::validation::{FieldErrors, IntRule};
use crate::server::rejection::Rejection;
use crate::server::reply::{Response, ok, success, with_type};
use crate::server::signed::{canonical_hex, digest, known_task, member, round_number, signed};
use crate::wire::compact::{self, Compact};
use crate::wire::headers::{self, ConfirmationsBody, DeliveryBody};
use delta_domain::ids::{Address, RoundNumber, TaskId};
use delta_domain::round::message::{RequestBody, SealedShares};
use delta_ports::peer::PeerRequest;

/// Who asks, and for which round, as the query names it.
fn asker(
    call: &Call,
    unknown: impl FnOnce(&str) -> String,
) -> Result<(TaskId, RoundNumber, Address), Rejection> {
    let mut errors = FieldErrors::query();
    let address = errors
        .required("address", call.query.get("address"))
        .unwrap_or_default();
    let task = errors.hex("task_id", call.query.owned("task_id"));
    let round = errors.int("round", call.query.get("round"), IntRule::REQUIRED);
    errors.settle()?;
    let (task, round) = (known_task(&task)?, round_number(round)?);
    Ok((task, round, member(address, unknown)?))
}

/// `GET /v1/coord/secret_shares`
pub(crate) async fn fetch_shares(shared: &Shared, call: &mut Call) -> Result<Response, Rejection> {
    let (task, round, sender) = asker(call, |a| format!("member {a} does not exists"))?;
    let request = if call.headers.contains_key(headers::SIGNATURE) {
        PeerRequest::Signed(signed(
            &call.headers,
            task.clone(),
            round,
            sender.clone(),
            RequestBody::FetchShares,
        )?)
    } else {
        PeerRequest::UnsignedShares {
            task: task.clone(),
            round,
            receiver: sender.clone(),
        }
    };
    let delivery = shared.call(request, None).await?.shares()?;
    if wants_compact(&call.headers) {
        let body = compact::encode(&delivery.shares, |s| &s.sender, &[]);
        return Ok(with_type(StatusCode::OK, compact::TYPE, body));
    }
    Ok(ok(&DeliveryBody {
        address: sender,
        task_id: task,
        round,
        shares: delivery.shares,
    }))
}

/// `POST /v1/coord/secret_shares`
pub(crate) async fn shares(shared: &Shared, call: &mut Call) -> Result<Response, Rejection> {
    if is_compact(&call.headers) {
        return compact_shares(shared, call).await;
    }
    let fields = Fields::read(
        &call.headers,
        &mut call.body,
        headers::MAX_SHARES,
        &shared.memory,
    )
    .await?;
    let mut errors = FieldErrors::body();
    let address = fields.text(&mut errors, "address");
    let task = fields.text(&mut errors, "task_id");
    let round = fields.int(&mut errors, "round");
    let raw = fields.objects(&mut errors, "shares", |item, errors| RawShare {
        sender: item.text(errors, "sender"),
        receiver: item.text(errors, "receiver"),
        sealed: item.hex(errors, "sealed"),
    });
    errors.settle()?;
    let (task, round) = (known_task(&task)?, round_number(round)?);
    let sender = member(&address, |a| format!("member ${a} is not allowed"))?;
    if raw.iter().any(|share| share.sender != address) {
        return Err(Rejection::bad(
            "all share senders should be equal to member address",
        ));
    }
    let shares = raw
        .into_iter()
        .enumerate()
        .map(|(index, share)| share.checked(&sender, index))
        .collect::<Result<_, _>>()?;
    let request = signed(
        &call.headers,
        task,
        round,
        sender,
        RequestBody::Shares { shares },
    )?;
    shared.ask(request).await?.done()?;
    Ok(success())
}

/// `POST /v1/coord/secret_shares` in the compact form; who posts, and for which round, is in the query.
async fn compact_shares(shared: &Shared, call: &mut Call) -> Result<Response, Rejection> {
    let (task, round, sender) = asker(call, |a| format!("member ${a} is not allowed"))?;
    let read = read_whole(
        &mut call.body,
        headers::MAX_SHARES,
        &shared.memory,
        compact::decode,
    );
    let shares = match read.await? {
        Some(Compact {
            shares,
            confirmations,
        }) if confirmations.is_empty() => shares,
        _ => return Err(Rejection::bad("the shares are not in the compact form")),
    };
    let shares = shares
        .into_iter()
        .map(|(receiver, sealed)| SealedShares {
            sender: sender.clone(),
            receiver,
            sealed,
        })
        .collect();
    let body = RequestBody::Shares { shares };
    let request = signed(&call.headers, task, round, sender, body)?;
    shared.ask(request).await?.done()?;
    Ok(success())
}

fn is_compact(headers: &HeaderMap) -> bool {
    names_compact(headers, CONTENT_TYPE)
}

fn wants_compact(headers: &HeaderMap) -> bool {
    names_compact(headers, ACCEPT)
}

fn names_compact(headers: &HeaderMap, name: HeaderName) -> bool {
    headers
        .get(name)
        .is_some_and(|value| value.as_bytes() == compact::TYPE.as_bytes())
}

/// `POST /v1/coord/confirm`, in the compact form alone: one confirmation, the sender's, with its tags one after the other.
pub(crate) async fn confirm(shared: &Shared, call: &mut Call) -> Result<Response, Rejection> {
    let (task, round, sender) = asker(call, |a| format!("member {a} is not allowed"))?;
    let statement = digest(&call.headers, headers::DIGEST)?
        .ok_or_else(|| Rejection::bad(format!("{} is missing", headers::DIGEST)))?;
    let read = read_whole(
        &mut call.body,
        headers::MAX_SMALL_JSON,
        &shared.memory,
        compact::decode,
    );
    let own = match read.await? {
        Some(Compact {
            shares,
            confirmations,
        }) if shares.is_empty() => <[_; 1]>::try_from(confirmations).ok(),
        _ => None,
    };
    let tags = match own {
        Some([own]) if own.member == sender => own.tag,
        _ => {
            return Err(Rejection::bad(
                "the body is not one confirmation, the sender's",
            ));
        }
    };
    let body = RequestBody::Confirm { statement, tags };
    let request = signed(&call.headers, task, round, sender, body)?;
    shared.ask(request).await?.done()?;
    Ok(success())
}

/// `GET /v1/coord/confirmations`
pub(crate) async fn confirmations(shared: &Shared, call: &mut Call) -> Result<Response, Rejection> {
    let (task, round, sender) = asker(call, |a| format!("member {a} is not allowed"))?;
    let body = RequestBody::FetchConfirmations;
    let request = signed(&call.headers, task, round, sender, body)?;
    let confirmations = shared.ask(request).await?.confirmations()?;
    if wants_compact(&call.headers) {
        let body = compact::encode(&[], |s| &s.sender, &confirmations);
        return Ok(with_type(StatusCode::OK, compact::TYPE, body));
    }
    Ok(ok(&ConfirmationsBody { confirmations }))
}

struct RawShare {
    sender: String,
    receiver: String,
    sealed: String,
}

impl RawShare {
    fn checked(self, sender: &Address, index: usize) -> Result<SealedShares, Rejection> {
        Ok(SealedShares {
            sender: sender.clone(),
            receiver: member(&self.receiver, |a| {
                format!("share {index}: receiver {a} is not a member")
            })?,
            sealed: canonical_hex(&self.sealed, "sealed")?,
        })
    }
}
