//! Handlers for operators: is it alive, can it work, what does it offer.

use std::time::Duration;

use warp::http::StatusCode;
use warp::http::header::{CONTENT_SECURITY_POLICY, HeaderValue, X_CONTENT_TYPE_OPTIONS};

use crate::server::call::{Call, Shared};
use crate::server::dto::ReadyDto;
use crate::server::rejection::Rejection;
use crate::server::reply::{Response, json, ok, with_type};

/// The document is written by hand; a test holds it against the table of endpoints.
const OPENAPI: &str = include_str!("../openapi.json");
const INDEX: &str = include_str!("../index.html");
/// A check that hangs is a check that fails.
const READY_WITHIN: Duration = Duration::from_secs(5);

/// `GET /healthz`: the process answers.
pub(crate) async fn healthz(_: &Shared, _: &mut Call) -> Result<Response, Rejection> {
    #[derive(serde::Serialize)]
    struct Health {
        status: &'static str,
    }
    Ok(ok(&Health { status: "ok" }))
}

/// `GET /readyz`: what it needs is there.
pub(crate) async fn readyz(shared: &Shared, _: &mut Call) -> Result<Response, Rejection> {
    let checks = tokio::time::timeout(READY_WITHIN, shared.node.ready())
        .await
        .map_err(|_| Rejection::busy("the node's checks did not end in time"))?;
    let status = if checks.iter().all(|c| c.ok) {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    Ok(json(status, &ReadyDto::new(&checks)))
}

/// `GET /openapi.json`
pub(crate) async fn openapi(_: &Shared, _: &mut Call) -> Result<Response, Rejection> {
    Ok(with_type(StatusCode::OK, "application/json", OPENAPI))
}

/// `GET /`
pub(crate) async fn index(_: &Shared, _: &mut Call) -> Result<Response, Rejection> {
    let mut response = with_type(StatusCode::OK, "text/html; charset=utf-8", INDEX);
    let headers = response.headers_mut();
    headers.insert(
        CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(
            "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
        ),
    );
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    Ok(response)
}
