//! The table of endpoints, and how a request finds its handler.
//!
//! Every endpoint is one line of [`ENDPOINTS`] and one warp filter made from it. The last filter answers what no endpoint takes:
//! 307 for a trailing slash, 405 for a known path, 404 for everything else. Handlers never pass a request on to the next
//! filter, so nothing needs to be recovered.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;
use warp::Filter;
use warp::filters::BoxedFilter;
use warp::http::header::{ALLOW, HeaderValue, LOCATION};
use warp::http::{HeaderMap, StatusCode};
use warp::path::FullPath;

use super::admission::Caller;
use super::call::{Call, Shared};
use super::extract::body::{Pace, drain, paced};
use super::extract::query::Query;
use super::handlers::{
    approvals, board, catalogue, dashboard, events, identity, operating, ops, privacy,
    registrations, rounds, shares, tasks, upload,
};
use super::rejection::Rejection;
use super::reply::{Response, json};
use super::request_id::RequestId;
use delta_domain::access::Scope;
use delta_ports::TRACES;

use Access::{Author, Member, Owner, Public};
use Scope::{Admin, Approve, Metrics, Read, Result as Results, Submit};

type Answer<'a> = Pin<Box<dyn Future<Output = Result<Response, Rejection>> + Send + 'a>>;
type Handler = for<'a> fn(&'a Shared, &'a mut Call) -> Answer<'a>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verb {
    Get,
    Post,
}

impl Verb {
    fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
        }
    }
}

/// Whom an endpoint is for, and the scope of the token that opens it. `admission.rs` acts on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Access {
    /// Anybody.
    Public,
    /// Who submits tasks to this node.
    Author(Scope),
    /// Who answers for this node.
    Owner(Scope),
    /// Members of a round, who sign what they ask.
    Member,
}

impl Access {
    /// Its name, as `x-access` in the OpenAPI document.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Author(_) => "author",
            Self::Owner(_) => "owner",
            Self::Member => "member",
        }
    }

    /// The scope of the token that opens it, as `x-scope` in the OpenAPI document.
    #[must_use]
    pub fn scope(self) -> Option<Scope> {
        match self {
            Self::Author(scope) | Self::Owner(scope) => Some(scope),
            Self::Public | Self::Member => None,
        }
    }
}

struct Endpoint {
    verb: Verb,
    path: &'static str,
    access: Access,
    handler: Handler,
}

const fn get(path: &'static str, access: Access, handler: Handler) -> Endpoint {
    Endpoint {
        verb: Verb::Get,
        path,
        access,
        handler,
    }
}

const fn post(path: &'static str, access: Access, handler: Handler) -> Endpoint {
    Endpoint {
        verb: Verb::Post,
        path,
        access,
        handler,
    }
}

// A line an endpoint.
#[rustfmt::skip]
const ENDPOINTS: &[Endpoint] = &[
    get("/", Public, |s, c| Box::pin(dashboard::page(s, c))),
    get("/dashboard.js", Public, |s, c| Box::pin(dashboard::script(s, c))),
    get("/dashboard.css", Public, |s, c| Box::pin(dashboard::style(s, c))),
    get("/icon.svg", Public, |s, c| Box::pin(dashboard::icon(s, c))),
    get("/healthz", Public, |s, c| Box::pin(ops::healthz(s, c))),
    get("/readyz", Public, |s, c| Box::pin(ops::readyz(s, c))),
    get("/openapi.json", Public, |s, c| Box::pin(ops::openapi(s, c))),
    get("/v1/identity", Public, |s, c| Box::pin(identity::identity(s, c))),
    get("/v1/identity/seen", Public, |s, c| Box::pin(identity::seen(s, c))),
    get("/v1/catalogue", Public, |s, c| Box::pin(catalogue::catalogue(s, c))),
    post("/v1/task", Author(Submit), |s, c| Box::pin(upload::submit(s, c))),
    post("/v1/task/cancel", Author(Submit), |s, c| Box::pin(tasks::cancel(s, c))),
    get("/v1/task/metadata", Author(Read), |s, c| Box::pin(tasks::metadata(s, c))),
    get("/v1/task/status", Author(Read), |s, c| Box::pin(tasks::status(s, c))),
    get("/v1/task/list", Author(Read), |s, c| Box::pin(tasks::list(s, c))),
    get("/v1/task/logs", Author(Read), |s, c| Box::pin(tasks::logs(s, c))),
    get("/v1/task/result", Author(Results), |s, c| Box::pin(tasks::result(s, c))),
    get("/v1/task/certificate", Author(Results), |s, c| Box::pin(tasks::certificate(s, c))),
    get("/v1/task/checkpoint", Author(Results), |s, c| Box::pin(tasks::checkpoint(s, c))),
    get("/v1/task/progress", Author(Read), |s, c| Box::pin(tasks::progress(s, c))),
    get("/v1/task/limits", Author(Submit), |s, c| Box::pin(tasks::limits(s, c))),
    get("/v1/task/bundle", Author(Read), |s, c| Box::pin(tasks::bundle(s, c))),
    get("/v1/tasks", Author(Read), |s, c| Box::pin(tasks::page(s, c))),
    post("/v1/task/again", Author(Submit), |s, c| Box::pin(board::again(s, c))),
    get("/v1/board/session", Public, |s, c| Box::pin(board::session(s, c))),
    get("/v1/board/events", Author(Read), |s, c| Box::pin(events::events(s, c))),
    get("/v1/board/tasks", Author(Read), |s, c| Box::pin(board::tasks(s, c))),
    get("/v1/board/task", Author(Read), |s, c| Box::pin(board::task(s, c))),
    get("/v1/board/task/graph", Author(Read), |s, c| Box::pin(board::task_graph(s, c))),
    get("/v1/board/question", Owner(Approve), |s, c| Box::pin(board::question(s, c))),
    get("/v1/board/question/graph", Owner(Approve), |s, c| Box::pin(board::question_graph(s, c))),
    get("/v1/board/journal", Owner(Approve), |s, c| Box::pin(board::journal(s, c))),
    get("/v1/board/dataset", Owner(Read), |s, c| Box::pin(board::dataset(s, c))),
    get("/v1/board/dataset/version", Owner(Read), |s, c| Box::pin(board::version(s, c))),
    get("/v1/board/network", Owner(Read), |s, c| Box::pin(board::network(s, c))),
    get("/v1/board/node", Owner(Read), |s, c| Box::pin(board::node(s, c))),
    get("/v1/board/check", Owner(Admin), |s, c| Box::pin(board::check(s, c))),
    get("/v1/network/datasets", Author(Read), |s, c| Box::pin(catalogue::network(s, c))),
    post("/v1/task/leave", Owner(Admin), |s, c| Box::pin(ops::leave(s, c))),
    get("/v1/approvals", Owner(Approve), |s, c| Box::pin(approvals::list(s, c))),
    post("/v1/approvals", Owner(Approve), |s, c| Box::pin(approvals::decide(s, c))),
    post("/v1/approvals/revoke", Owner(Approve), |s, c| Box::pin(approvals::revoke(s, c))),
    get("/v1/audit", Owner(Approve), |s, c| Box::pin(approvals::audit(s, c))),
    get("/v1/privacy", Owner(Read), |s, c| Box::pin(privacy::privacy(s, c))),
    get("/v1/datasets/registered", Owner(Read), |s, c| Box::pin(registrations::registered(s, c))),
    get("/v1/datasets/history", Owner(Read), |s, c| Box::pin(registrations::history(s, c))),
    post("/v1/datasets/register", Owner(Admin), |s, c| Box::pin(registrations::register(s, c))),
    get("/v1/datasets", Owner(Read), |s, c| Box::pin(catalogue::datasets(s, c))),
    get("/v1/nodes", Owner(Read), |s, c| Box::pin(ops::nodes(s, c))),
    get("/metrics", Owner(Metrics), |s, c| Box::pin(operating::metrics(s, c))),
    get("/v1/vitals", Owner(Read), |s, c| Box::pin(operating::vitals(s, c))),
    get("/v1/log/filter", Owner(Admin), |s, c| Box::pin(operating::log_filter(s, c))),
    post("/v1/log/filter", Owner(Admin), |s, c| Box::pin(operating::set_log_filter(s, c))),
    get("/v1/coord/config", Public, |s, c| Box::pin(rounds::config(s, c))),
    get("/v1/coord/author", Public, |s, c| Box::pin(rounds::author(s, c))),
    get("/v1/coord/certificate", Public, |s, c| Box::pin(rounds::certificate(s, c))),
    get("/v1/coord/context", Member, |s, c| Box::pin(rounds::context(s, c))),
    get("/v1/coord/round", Public, |s, c| Box::pin(rounds::round(s, c))),
    get("/v1/coord/secret_shares", Member, |s, c| Box::pin(shares::fetch_shares(s, c))),
    post("/v1/coord/secret_shares", Member, |s, c| Box::pin(shares::shares(s, c))),
    post("/v1/coord/result", Member, |s, c| Box::pin(upload::result(s, c))),
    post("/v1/coord/joined", Member, |s, c| Box::pin(rounds::joined(s, c))),
    post("/v1/coord/attend", Member, |s, c| Box::pin(rounds::attend(s, c))),
    post("/v1/coord/depart", Member, |s, c| Box::pin(rounds::depart(s, c))),
    post("/v1/coord/confirm", Member, |s, c| Box::pin(shares::confirm(s, c))),
    get("/v1/coord/confirmations", Member, |s, c| Box::pin(shares::confirmations(s, c))),
    post("/v1/coord/revealed", Member, |s, c| Box::pin(rounds::revealed(s, c))),
    post("/v1/coord/decline", Member, |s, c| Box::pin(rounds::decline(s, c))),
    post("/v1/coord/metrics", Member, |s, c| Box::pin(rounds::metrics(s, c))),
    get("/v1/coord/weight", Member, |s, c| Box::pin(rounds::weight(s, c))),
];

/// Every endpoint of the server, as `(method, path, access)`.
pub fn endpoints() -> impl Iterator<Item = (&'static str, &'static str, Access)> {
    ENDPOINTS.iter().map(|e| (e.verb.name(), e.path, e.access))
}

/// All filters as one.
pub(crate) fn routes(shared: &Arc<Shared>) -> BoxedFilter<(Response,)> {
    ENDPOINTS
        .iter()
        .map(|e| route(e, shared.clone()))
        .rev()
        .fold(elsewhere(), |rest, route| route.or(rest).unify().boxed())
}

fn route(endpoint: &'static Endpoint, shared: Arc<Shared>) -> BoxedFilter<(Response,)> {
    let method = match endpoint.verb {
        Verb::Get => warp::get().boxed(),
        Verb::Post => warp::post().boxed(),
    };
    at(endpoint.path)
        .and(method)
        .and(warp::ext::get::<Caller>())
        .and(warp::header::headers_cloned())
        .and(raw_query())
        .and(warp::body::stream())
        .then(
            move |caller: Caller, headers: HeaderMap, query: String, body| {
                let shared = shared.clone();
                async move {
                    let pace = Pace {
                        idle: shared.options.body_idle,
                        grace: shared.options.body_grace,
                    };
                    // Fires when the client goes away, or has its answer.
                    let gone = CancellationToken::new();
                    let _watch = gone.clone().drop_guard();
                    let id = RequestId::of(&headers);
                    let span = tracing::info_span!("request", %id);
                    let call = Call {
                        gone,
                        caller,
                        admitted: None,
                        headers,
                        query: Query::parse(&query),
                        body: paced(body, pace),
                    };
                    // In a task of its own: a client that goes away must not stop a handler halfway, between two writes.
                    let traced = tracing::info_span!(target: TRACES, parent: &span, "answer", path = endpoint.path);
                    let handling = async move { answer(endpoint, &shared, call).await };
                    let handling = handling.instrument(traced);
                    let handled = tokio::spawn(handling.instrument(span)).await;
                    let mut response = handled.unwrap_or_else(|_| {
                        Rejection::busy("the node could not finish the request").into_response()
                    });
                    id.mark(&mut response);
                    response
                }
            },
        )
        .boxed()
}

async fn answer(endpoint: &Endpoint, shared: &Shared, mut call: Call) -> Response {
    // Uploads take as long as they take, at a pace that `body.rs` watches.
    let patience = match endpoint.verb {
        Verb::Get => shared.options.answer_within,
        Verb::Post => Duration::MAX,
    };
    let handling = async {
        let admission = &shared.admission;
        call.admitted = admission
            .admit(endpoint.access, call.caller, &call.headers)
            .await?;
        (endpoint.handler)(shared, &mut call).await
    };
    let handled = tokio::time::timeout(patience, handling).await;
    let response = handled
        .unwrap_or_else(|_| Err(Rejection::busy("the node did not find an answer in time")))
        .unwrap_or_else(|rejection| {
            tracing::debug!(path = endpoint.path, ?rejection, "a request is rejected");
            rejection.into_response()
        });
    if response.status().is_client_error() && endpoint.verb == Verb::Post {
        drain(&mut call.body).await;
    }
    response
}

fn at(path: &'static str) -> impl Filter<Extract = (), Error = warp::Rejection> + Clone {
    warp::path::full()
        .and_then(move |full: FullPath| async move {
            if full.as_str() == path {
                Ok(())
            } else {
                Err(warp::reject::not_found())
            }
        })
        .untuple_one()
}

fn raw_query() -> impl Filter<Extract = (String,), Error = std::convert::Infallible> + Clone {
    warp::query::raw().or_else(|_| async { Ok::<_, std::convert::Infallible>((String::new(),)) })
}

fn elsewhere() -> BoxedFilter<(Response,)> {
    warp::path::full()
        .and(raw_query())
        .map(|path: FullPath, query: String| no_endpoint(path.as_str(), &query))
        .boxed()
}

fn no_endpoint(path: &str, query: &str) -> Response {
    #[derive(Serialize)]
    struct Detail {
        detail: &'static str,
    }
    let verbs = |path: &str| {
        ENDPOINTS
            .iter()
            .filter(|e| e.path == path)
            .map(|e| e.verb.name())
            .collect::<Vec<_>>()
    };
    let without_slash = path.strip_suffix('/').filter(|p| !verbs(p).is_empty());
    if let Some(path) = without_slash {
        let target = if query.is_empty() {
            path.to_owned()
        } else {
            format!("{path}?{query}")
        };
        if let Ok(location) = HeaderValue::from_str(&target) {
            let mut response = Response::default();
            *response.status_mut() = StatusCode::TEMPORARY_REDIRECT;
            response.headers_mut().insert(LOCATION, location);
            return response;
        }
    }
    let verbs = verbs(path);
    if verbs.is_empty() {
        return json(
            StatusCode::NOT_FOUND,
            &Detail {
                detail: "Not Found",
            },
        );
    }
    let mut response = json(
        StatusCode::METHOD_NOT_ALLOWED,
        &Detail {
            detail: "Method Not Allowed",
        },
    );
    if let Ok(allow) = HeaderValue::from_str(&verbs.join(", ")) {
        response.headers_mut().insert(ALLOW, allow);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_endpoint_is_listed_twice() {
        let mut all: Vec<_> = endpoints().map(|(verb, path, _)| (verb, path)).collect();
        all.sort_unstable();
        let count = all.len();
        all.dedup();
        assert_eq!(all.len(), count);
    }

    #[test]
    fn only_known_paths_are_redirected() {
        for path in ["//evil.example/", "/nowhere/", "/v1/tasks//"] {
            assert_eq!(no_endpoint(path, "").status(), 404, "{path}");
        }
        let response = no_endpoint("/v1/tasks/", "page=2");
        assert_eq!(
            (response.status(), &response.headers()[LOCATION]),
            (
                StatusCode::TEMPORARY_REDIRECT,
                &HeaderValue::from_static("/v1/tasks?page=2")
            )
        );
    }
}
