//! Handlers for operators and the owner: is it alive, can it work, what does it offer, which nodes are there, what it leaves.

use std::time::Duration;

use warp::http::StatusCode;

use crate::server::call::{Call, Shared};
use crate::server::dto::{NodePageDto, ReadyDto};
use crate::server::extract::validation::{FieldErrors, IntRule, PAGE_SIZE, clamp};
use crate::server::rejection::Rejection;
use crate::server::reply::{Response, json, ok, success, with_type};
use crate::server::signed::known;
use delta_domain::access::Scope;

/// The document is written by hand; a test holds it against the table of endpoints.
const OPENAPI: &str = include_str!("../openapi.json");
/// A check that hangs is a check that fails.
const READY_WITHIN: Duration = Duration::from_secs(5);
const PAGE: IntRule = IntRule::REQUIRED.at_least(1);

/// `GET /healthz`: the process answers.
pub(crate) async fn healthz(_: &Shared, _: &mut Call) -> Result<Response, Rejection> {
    #[derive(serde::Serialize)]
    struct Health {
        status: &'static str,
    }
    Ok(ok(&Health { status: "ok" }))
}

/// `GET /readyz`: what it needs is there. Only who may read is told what is wrong.
pub(crate) async fn readyz(shared: &Shared, call: &mut Call) -> Result<Response, Rejection> {
    let checks = tokio::time::timeout(READY_WITHIN, shared.owner()?.ready())
        .await
        .map_err(|_| Rejection::busy("the node's checks did not end in time"))?;
    let status = if checks.iter().all(|c| c.ok) {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let admission = &shared.admission;
    let told = admission.may(Scope::Read, call.caller, &call.headers).await;
    Ok(json(status, &ReadyDto::new(&checks, told.is_ok())))
}

/// `GET /openapi.json`
pub(crate) async fn openapi(_: &Shared, _: &mut Call) -> Result<Response, Rejection> {
    Ok(with_type(StatusCode::OK, "application/json", OPENAPI))
}

/// `POST /v1/task/leave`: not in the original.
pub(crate) async fn leave(shared: &Shared, call: &mut Call) -> Result<Response, Rejection> {
    let fields = call.small_json(&shared.memory).await?;
    let mut errors = FieldErrors::body();
    let task = fields.hex(&mut errors, "task_id");
    errors.settle()?;
    let task = known(&task, |id| format!("this node follows no task {id}"))?;
    shared.owner()?.leave_task(&task).await?;
    Ok(success())
}

/// `GET /v1/nodes`
pub(crate) async fn nodes(shared: &Shared, call: &mut Call) -> Result<Response, Rejection> {
    let mut errors = FieldErrors::query();
    let page = errors.int("page", call.query.get("page"), PAGE);
    let size = errors.int("page_size", call.query.get("page_size"), PAGE_SIZE);
    errors.settle()?;
    let size = clamp(size);
    let page = shared.owner()?.nodes(clamp(page), size).await?;
    Ok(ok(&NodePageDto::new(&page, size)))
}
