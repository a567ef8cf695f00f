//! Handlers for those who operate the node: what it measures, how much its log says. Not in the original.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::json;
use warp::http::header::ACCEPT;
use warp::http::{HeaderMap, StatusCode};

use crate::server::call::{Call, Shared};
use crate::server::extract::validation::FieldErrors;
use crate::server::rejection::Rejection;
use crate::server::reply::{Response, ok, with_type};
use delta_ports::metrics::Exposition;

/// Longest filter of a log.
const MAX_FILTER: usize = 1024;

/// `GET /metrics`
pub(crate) async fn metrics(shared: &Shared, call: &mut Call) -> Result<Response, Rejection> {
    let form = wanted(&call.headers);
    let text = shared.operator()?.measurements(form).await?;
    Ok(with_type(StatusCode::OK, form.media_type(), text))
}

/// OpenMetrics where it is asked for by name, as Prometheus does; the plain text format for everybody else.
fn wanted(headers: &HeaderMap) -> Exposition {
    let asked = headers
        .get_all(ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|one| {
            let mut parts = one.split(';').map(str::trim);
            let version = |part: &str| part.strip_prefix("version=").map(str::to_owned);
            parts.next() == Some("application/openmetrics-text")
                && parts.find_map(version).is_none_or(|v| v == "1.0.0")
        });
    match asked {
        true => Exposition::OpenMetrics,
        false => Exposition::Prometheus,
    }
}

/// `GET /v1/vitals`: in seconds and bytes.
pub(crate) async fn vitals(shared: &Shared, _: &mut Call) -> Result<Response, Rejection> {
    let vitals = shared.operator()?.vitals().await;
    let checks: BTreeMap<&str, bool> = vitals.checks.iter().copied().collect();
    let budgets: Vec<_> = vitals
        .budgets
        .iter()
        .map(|b| json!({ "dataset": b.dataset, "epsilon": b.epsilon, "left": b.left() }))
        .collect();
    Ok(ok(&json!({
        "tasks": {
            "running": vitals.tasks_running,
            "limit": vitals.tasks_most,
            "followed": vitals.tasks_followed,
        },
        "approvals_waiting": vitals.approvals_waiting,
        "checks": checks,
        "connector_away": vitals.connector_away.map(|away| away.as_secs_f64()),
        "queues": {
            "workers": vitals.workers.waiting,
            "connector": vitals.connector_calls,
            "log": vitals.log_lines,
        },
        "workers": { "running": vitals.workers.running, "limit": vitals.workers.most },
        "disk_free": vitals.disk_free,
        "memory": vitals.memory,
        "budgets": budgets,
    })))
}

#[derive(Serialize)]
struct FilterDto {
    filter: String,
}

/// `GET /v1/log/filter`
pub(crate) async fn log_filter(shared: &Shared, _: &mut Call) -> Result<Response, Rejection> {
    let filter = shared.operator()?.log_filter().await?;
    Ok(ok(&FilterDto { filter }))
}

/// `POST /v1/log/filter`
pub(crate) async fn set_log_filter(
    shared: &Shared,
    call: &mut Call,
) -> Result<Response, Rejection> {
    let fields = call.small_json(&shared.memory).await?;
    let mut errors = FieldErrors::body();
    let filter = fields.text(&mut errors, "filter");
    errors.settle()?;
    if filter.is_empty() || filter.len() > MAX_FILTER {
        return Err(Rejection::bad(format!(
            "a filter has 1 to {MAX_FILTER} bytes, such as info, or info,delta_http=debug"
        )));
    }
    let operator = shared.operator()?;
    operator.set_log_filter(&filter).await?;
    let filter = operator.log_filter().await?;
    Ok(ok(&FilterDto { filter }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use warp::http::header::HeaderValue;

    #[test]
    fn the_form_is_what_was_asked_for() {
        let prometheus = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        for (accept, form) in [
            (prometheus, Exposition::OpenMetrics),
            ("application/openmetrics-text", Exposition::OpenMetrics),
            (
                "application/openmetrics-text; version=2.0.0",
                Exposition::Prometheus,
            ),
            ("text/plain, */*", Exposition::Prometheus),
            ("", Exposition::Prometheus),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT, HeaderValue::from_str(accept).unwrap());
            assert_eq!(wanted(&headers), form, "{accept}");
        }
        assert_eq!(wanted(&HeaderMap::new()), Exposition::Prometheus);
    }
}
