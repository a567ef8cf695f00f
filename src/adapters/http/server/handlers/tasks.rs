//! Handlers for authors of tasks, and for Deltaboard on their behalf: `/v1/task*`. Submission is in `upload.rs`.

use serde::Serialize;
use warp::http::header::{HeaderName, HeaderValue};

use crate::server::call::{Call, Shared};
use crate::server::dto::{LogDto, ProgressDto, TaskDto, TaskPageDto};
use crate::server::extract::validation::{FieldErrors, IntRule, ORDER_PATTERN, PAGE_SIZE, clamp};
use crate::server::rejection::Rejection;
use crate::server::reply::{Response, file, ok};
use crate::wire::headers;
use delta_ports::storage::LocalTaskId;

const ID: IntRule = IntRule::REQUIRED.at_least(1);

/// `GET /v1/task/limits`: not in the original. What a task may be, before it is sent.
pub(crate) async fn limits(shared: &Shared, _: &mut Call) -> Result<Response, Rejection> {
    #[derive(Serialize)]
    struct Limits {
        bundle_bytes: u64,
        by_disk: bool,
    }
    let limits = shared.authors()?.limits().await?;
    Ok(ok(&Limits {
        bundle_bytes: limits.bundle_bytes.min(shared.options.max_bundle_bytes),
        by_disk: limits.by_disk,
    }))
}

/// `GET /v1/task/metadata`
pub(crate) async fn metadata(shared: &Shared, call: &mut Call) -> Result<Response, Rejection> {
    let row = shared.authors()?.task(task_id(call)?).await?;
    Ok(ok(&TaskDto::from(&row)))
}

/// `GET /v1/task/status`
pub(crate) async fn status(shared: &Shared, call: &mut Call) -> Result<Response, Rejection> {
    #[derive(Serialize)]
    struct Status {
        status: u8,
    }
    let row = shared.authors()?.task(task_id(call)?).await?;
    Ok(ok(&Status {
        status: row.status.code(),
    }))
}

/// `GET /v1/task/list`
pub(crate) async fn list(shared: &Shared, call: &mut Call) -> Result<Response, Rejection> {
    let mut errors = FieldErrors::query();
    let ids = errors.ints("task_ids", call.query.all("task_ids"));
    errors.settle()?;
    // No task has an id outside of this type: such ids are unknown, and unknown ids are left out.
    let ids: Vec<LocalTaskId> = ids
        .into_iter()
        .filter_map(|id| LocalTaskId::try_from(id).ok())
        .collect();
    let rows = shared.authors()?.tasks(&ids).await?;
    Ok(ok(&rows.iter().map(TaskDto::from).collect::<Vec<_>>()))
}

/// `GET /v1/tasks`
pub(crate) async fn page(shared: &Shared, call: &mut Call) -> Result<Response, Rejection> {
    let mut errors = FieldErrors::query();
    let page = errors.int("page", call.query.get("page"), IntRule::or(1).at_least(1));
    let size = errors.int("page_size", call.query.get("page_size"), PAGE_SIZE);
    let order = call.query.get("order").unwrap_or("desc");
    if !matches!(order, "asc" | "desc") {
        errors.not_matching(["order".into()], ORDER_PATTERN);
    }
    errors.settle()?;
    let size = clamp(size);
    let page = shared
        .authors()?
        .task_page(clamp(page), size, order == "asc")
        .await?;
    Ok(ok(&TaskPageDto::new(&page, size)))
}

/// `GET /v1/task/logs`
pub(crate) async fn logs(shared: &Shared, call: &mut Call) -> Result<Response, Rejection> {
    let mut errors = FieldErrors::query();
    let id = errors.int("task_id", call.query.get("task_id"), ID);
    let start = errors.int("start", call.query.get("start"), IntRule::or(0).at_least(0));
    let limit = errors.int("limit", call.query.get("limit"), PAGE_SIZE);
    errors.settle()?;
    let start = i64::try_from(start).unwrap_or(i64::MAX);
    let rows = shared
        .authors()?
        .task_logs(existing(id)?, start, clamp(limit))
        .await?;
    Ok(ok(&rows.iter().map(LogDto::from).collect::<Vec<_>>()))
}

/// `POST /v1/task/cancel`: not in the original.
pub(crate) async fn cancel(shared: &Shared, call: &mut Call) -> Result<Response, Rejection> {
    let fields = call.small_json(&shared.memory).await?;
    let mut errors = FieldErrors::body();
    let id = fields.int(&mut errors, "task_id");
    errors.settle()?;
    let row = shared.authors()?.cancel_task(existing(id)?).await?;
    Ok(ok(&TaskDto::from(&row)))
}

/// `GET /v1/task/result`
pub(crate) async fn result(shared: &Shared, call: &mut Call) -> Result<Response, Rejection> {
    let id = task_id(call)?;
    let (len, content) = shared.authors()?.task_result(id).await?;
    Ok(file(&format!("{id}.result"), Some(len), content)?)
}

/// `GET /v1/task/certificate`: not in the original.
pub(crate) async fn certificate(shared: &Shared, call: &mut Call) -> Result<Response, Rejection> {
    let id = task_id(call)?;
    let (len, content) = shared.authors()?.task_certificate(id).await?;
    Ok(file(&format!("{id}.certificate"), Some(len), content)?)
}

/// `GET /v1/task/checkpoint`: not in the original.
pub(crate) async fn checkpoint(shared: &Shared, call: &mut Call) -> Result<Response, Rejection> {
    let id = task_id(call)?;
    let found = shared.authors()?.task_checkpoint(id).await?;
    let mut response = file(&format!("{id}.checkpoint"), None, found.variables)?;
    let steps = HeaderValue::from(found.steps);
    let name = HeaderName::from_static(headers::STEPS);
    response.headers_mut().insert(name, steps);
    Ok(response)
}

/// `GET /v1/task/progress`: not in the original.
pub(crate) async fn progress(shared: &Shared, call: &mut Call) -> Result<Response, Rejection> {
    let mut errors = FieldErrors::query();
    let id = errors.int("task_id", call.query.get("task_id"), ID);
    let start = errors.int("start", call.query.get("start"), IntRule::or(0).at_least(0));
    errors.settle()?;
    let (row, progress) = shared.authors()?.task_progress(existing(id)?).await?;
    Ok(ok(&ProgressDto::new(&row, progress.as_ref(), clamp(start))))
}

/// `GET /v1/task/bundle`: not in the original.
pub(crate) async fn bundle(shared: &Shared, call: &mut Call) -> Result<Response, Rejection> {
    let id = task_id(call)?;
    let (len, content) = shared.authors()?.task_bundle(id).await?;
    Ok(file(&format!("{id}.delta"), Some(len), content)?)
}

fn task_id(call: &Call) -> Result<LocalTaskId, Rejection> {
    let mut errors = FieldErrors::query();
    let id = errors.int("task_id", call.query.get("task_id"), ID);
    errors.settle()?;
    existing(id)
}

/// An id too large for the database is the id of no task.
fn existing(id: i128) -> Result<LocalTaskId, Rejection> {
    LocalTaskId::try_from(id).map_err(|_| Rejection::bad(format!("task {id} does not exist")))
}
