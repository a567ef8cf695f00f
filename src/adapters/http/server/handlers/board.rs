//! What the dashboard asks that nobody else does: `/v1/board/*`. None of it is in the original.

use std::collections::BTreeMap;

use serde::Serialize;
use warp::http::StatusCode;

use crate::server::board_dto::{
    DatasetDto, FindingDto, MatchesDto, NetworkDto, ProspectDto, StatusDto, manifest,
};
use crate::server::call::{Call, Shared};
use crate::server::dto::{ProgressDto, TaskDto};
use crate::server::extract::validation::{FieldErrors, IntRule, clamp};
use crate::server::rejection::Rejection;
use crate::server::reply::{Response, ok, with_type};
use crate::server::routes::Access;
use crate::server::signed::known;
use delta_domain::access::Scope;
use delta_domain::bundle::Bundle;
use delta_domain::ids::{DatasetName, TaskId};
use delta_domain::task::{TaskKind, TaskStatus};
use delta_ports::storage::{LocalTaskId, TaskQuery, TaskRow};

const ID: IntRule = IntRule::REQUIRED.at_least(1);
const LIMIT: IntRule = IntRule::or(50).more_than(0).at_most(200);
const BEFORE: IntRule = IntRule::or(i64::MAX).at_least(1);
const LINES: IntRule = IntRule::or(100).more_than(0).at_most(1000);
/// The longest text that is looked for, in bytes.
const LONGEST_TEXT: usize = 200;
/// The largest graph that is shown, in bytes.
const LARGEST_GRAPH: usize = 8 << 20;

/// `GET /v1/board/session`: what whoever asks may do here.
pub(crate) async fn session(shared: &Shared, call: &mut Call) -> Result<Response, Rejection> {
    #[derive(Serialize)]
    struct Session {
        scopes: Vec<&'static str>,
        /// Whether a token was shown, and is not good.
        refused: Option<String>,
        version: &'static str,
    }
    let (admission, headers) = (&shared.admission, &call.headers);
    let mut session = Session {
        scopes: Vec::new(),
        refused: None,
        version: env!("CARGO_PKG_VERSION"),
    };
    let shown = headers.contains_key(warp::http::header::AUTHORIZATION);
    for scope in Scope::ALL {
        match admission
            .admit(Access::Owner(scope), call.caller, headers)
            .await
        {
            Ok(_) => session.scopes.push(scope.name()),
            Err(Rejection::Unauthorized(why)) if shown => session.refused = Some(why),
            // This address is not for users at all.
            Err(Rejection::Because(StatusCode::FORBIDDEN, why)) if !shown => {
                session.refused = Some(why);
            }
            Err(busy @ Rejection::Because(StatusCode::SERVICE_UNAVAILABLE, _)) => return Err(busy),
            Err(_) => {}
        }
    }
    Ok(ok(&session))
}

/// `GET /v1/board/tasks?text=&status=&type=&before=&limit=`
pub(crate) async fn tasks(shared: &Shared, call: &mut Call) -> Result<Response, Rejection> {
    let mut errors = FieldErrors::query();
    let before = errors.int("before", call.query.get("before"), BEFORE);
    let limit = errors.int("limit", call.query.get("limit"), LIMIT);
    let statuses = (0..=u8::MAX).map_while(TaskStatus::from_code);
    let statuses: BTreeMap<&str, TaskStatus> = statuses.map(|s| (s.name(), s)).collect();
    let asked: Vec<Option<TaskStatus>> = call
        .query
        .all("status")
        .map(|name| statuses.get(name).copied())
        .collect();
    if asked.contains(&None) {
        let names: Vec<&str> = statuses.keys().copied().collect();
        let text = format!("must be one of {}", names.join(", "));
        errors.report(["status".into()], text, "value_error.const");
    }
    let kind = call.query.get("type").filter(|kind| !kind.is_empty());
    let kind = kind.map(str::parse::<TaskKind>);
    if let Some(Err(_)) = kind {
        let text = "must be one of horizontal, hlr".to_owned();
        errors.report(["type".into()], text, "value_error.const");
    }
    errors.settle()?;
    let text = call.query.get("text").unwrap_or_default().trim();
    if text.len() > LONGEST_TEXT {
        let text = format!("a text of at most {LONGEST_TEXT} bytes can be looked for");
        return Err(Rejection::bad(text));
    }
    let query = TaskQuery {
        text: text.to_owned(),
        statuses: asked.into_iter().flatten().collect(),
        kind: kind.and_then(Result::ok),
        before: i64::try_from(before).ok().filter(|id| *id < i64::MAX),
        limit: clamp(limit),
    };
    let found = shared.board()?.find_tasks(&query).await?;
    Ok(ok(&MatchesDto::from(&found)))
}

/// `GET /v1/board/task?task_id=`: the task, how it is getting on, what it asks for.
pub(crate) async fn task(shared: &Shared, call: &mut Call) -> Result<Response, Rejection> {
    #[derive(Serialize)]
    struct Whole<'a> {
        #[serde(flatten)]
        task: TaskDto<'a>,
        task_id: Option<&'a TaskId>,
        author: Option<&'a str>,
        progress: ProgressDto<'a>,
        manifest: Option<serde_json::Value>,
        disclosure: Vec<String>,
        /// Files of its graphs, and their lengths.
        graphs: BTreeMap<String, usize>,
        /// Why manifest and graphs are missing.
        unread: Option<String>,
    }
    let id = task_id(call)?;
    let (row, progress) = shared.authors()?.task_progress(id).await?;
    let opened = match shared.board()?.open_own(id).await {
        Ok(bundle) => Ok(bundle),
        Err(delta_ports::UserError::Invalid(why)) => Err(why),
        Err(error) => return Err(error.into()),
    };
    let bundle = opened.as_ref().ok();
    let row: &TaskRow = &row;
    Ok(ok(&Whole {
        task: TaskDto::from(row),
        task_id: row.task.as_ref(),
        author: row.author.as_deref(),
        progress: ProgressDto::new(row, progress.as_ref(), 0),
        manifest: bundle.and_then(|bundle| manifest(bundle)),
        disclosure: bundle.map_or_else(Vec::new, |bundle| bundle.manifest().disclosure()),
        graphs: bundle.map_or_else(BTreeMap::new, |bundle| graphs(bundle)),
        unread: opened.as_ref().err().cloned(),
    }))
}

/// `GET /v1/board/task/graph?task_id=&file=`: one graph of an own task, as it is.
pub(crate) async fn task_graph(shared: &Shared, call: &mut Call) -> Result<Response, Rejection> {
    let id = task_id(call)?;
    let bundle = shared.board()?.open_own(id).await?;
    graph(&bundle, call.query.get("file"))
}

/// `POST /v1/task/again`: the same bundle once more, as a new task.
pub(crate) async fn again(shared: &Shared, call: &mut Call) -> Result<Response, Rejection> {
    #[derive(Serialize)]
    struct Submitted {
        task_id: LocalTaskId,
    }
    let fields = call.small_json(&shared.memory).await?;
    let mut errors = FieldErrors::body();
    let id = fields.int(&mut errors, "task_id");
    errors.settle()?;
    let authors = shared.authors()?;
    let (_, bundle) = authors.task_bundle(existing(id)?).await?;
    let task_id = authors.submit_task(bundle, call.author()).await?;
    Ok(ok(&Submitted { task_id }))
}

/// `GET /v1/board/question?task_id=`: what the list of approvals does not say of one task.
pub(crate) async fn question(shared: &Shared, call: &mut Call) -> Result<Response, Rejection> {
    #[derive(Serialize)]
    struct Question {
        manifest: Option<serde_json::Value>,
        graphs: BTreeMap<String, usize>,
        prospects: Vec<ProspectDto>,
        unread: Option<String>,
    }
    let (board, task) = (shared.board()?, asked(call)?);
    let prospects = board.prospects(&task).await?;
    let opened = match board.open_asked(&task).await {
        Ok(bundle) => Ok(bundle),
        Err(delta_ports::UserError::Invalid(why)) => Err(why),
        Err(error) => return Err(error.into()),
    };
    let bundle = opened.as_ref().ok();
    Ok(ok(&Question {
        manifest: bundle.and_then(|bundle| manifest(bundle)),
        graphs: bundle.map_or_else(BTreeMap::new, |bundle| graphs(bundle)),
        prospects: prospects.iter().map(ProspectDto::from).collect(),
        unread: opened.as_ref().err().cloned(),
    }))
}

/// `GET /v1/board/question/graph?task_id=&file=`
pub(crate) async fn question_graph(
    shared: &Shared,
    call: &mut Call,
) -> Result<Response, Rejection> {
    let task = asked(call)?;
    let bundle = shared.board()?.open_asked(&task).await?;
    graph(&bundle, call.query.get("file"))
}

/// `GET /v1/board/dataset?name=`
pub(crate) async fn dataset(shared: &Shared, call: &mut Call) -> Result<Response, Rejection> {
    let view = shared.board()?.dataset(&dataset_name(call)?).await?;
    Ok(ok(&DatasetDto::from(&view)))
}

/// `GET /v1/board/dataset/version?name=`: what tells this content from any other. One file is read at a time.
pub(crate) async fn version(shared: &Shared, call: &mut Call) -> Result<Response, Rejection> {
    #[derive(Serialize)]
    struct Version {
        version: String,
    }
    let name = dataset_name(call)?;
    let Ok(_turn) = shared.hashing.acquire().await else {
        return Err(Rejection::busy("this node is stopping"));
    };
    let version = shared.board()?.dataset_version(&name).await?;
    Ok(ok(&Version {
        version: version.to_string(),
    }))
}

fn dataset_name(call: &Call) -> Result<DatasetName, Rejection> {
    let name = call.query.get("name").unwrap_or_default();
    name.parse()
        .map_err(|_| Rejection::bad("name must be the name of a dataset"))
}

/// `GET /v1/board/journal?before=&limit=`: the last lines, newest last, each as it stands in the journal.
pub(crate) async fn journal(shared: &Shared, call: &mut Call) -> Result<Response, Rejection> {
    #[derive(Serialize)]
    struct Journal {
        /// Lines before these.
        earlier: u64,
        lines: Vec<serde_json::Value>,
    }
    let mut errors = FieldErrors::query();
    let before = errors.int("before", call.query.get("before"), BEFORE);
    let most = errors.int("limit", call.query.get("limit"), LINES);
    errors.settle()?;
    let before = u64::try_from(before).ok();
    let most = usize::try_from(clamp(most)).unwrap_or(usize::MAX);
    let (earlier, lines) = shared.board()?.last_of_journal(before, most).await?;
    let lines = lines
        .iter()
        .filter_map(|line| serde_json::from_str(line).ok());
    Ok(ok(&Journal {
        earlier,
        lines: lines.collect(),
    }))
}

/// `GET /v1/board/network`
pub(crate) async fn network(shared: &Shared, _: &mut Call) -> Result<Response, Rejection> {
    let view = shared.board()?.network().await?;
    Ok(ok(&NetworkDto::from(&view)))
}

/// `GET /v1/board/node`
pub(crate) async fn node(shared: &Shared, _: &mut Call) -> Result<Response, Rejection> {
    let (status, checks) = (
        shared.board()?.status().await,
        shared.owner()?.ready().await,
    );
    Ok(ok(&StatusDto::new(&status, &checks)))
}

/// `GET /v1/board/check`: what `delta-node check` finds.
pub(crate) async fn check(shared: &Shared, _: &mut Call) -> Result<Response, Rejection> {
    #[derive(Serialize)]
    struct Findings<'a> {
        findings: Vec<FindingDto<'a>>,
    }
    let check = shared.doors.check.as_ref().ok_or_else(Rejection::absent)?;
    let Ok(_turn) = shared.checking.try_acquire() else {
        return Err(Rejection::busy(
            "the checks are being made; ask again in a moment",
        ));
    };
    let found = check.findings().await;
    Ok(ok(&Findings {
        findings: found.iter().map(FindingDto::from).collect(),
    }))
}

/// The files of a bundle's graphs, and their lengths in bytes.
fn graphs(bundle: &Bundle) -> BTreeMap<String, usize> {
    let all = bundle.graphs();
    all.map(|(file, bytes)| (file.to_owned(), bytes.len()))
        .collect()
}

/// One graph as it stands in the bundle. Nothing here reads it: it is a stranger's, and the page that draws it is its own cage.
fn graph(bundle: &Bundle, file: Option<&str>) -> Result<Response, Rejection> {
    let bytes = file.and_then(|file| bundle.graph(file));
    let bytes = bytes.ok_or_else(|| Rejection::bad("the bundle has no such graph"))?;
    if bytes.len() > LARGEST_GRAPH {
        let text = format!(
            "the graph has {} bytes: it is too large to be shown",
            bytes.len()
        );
        return Err(Rejection::bad(text));
    }
    let bytes = bytes.to_vec();
    Ok(with_type(StatusCode::OK, "application/octet-stream", bytes))
}

fn asked(call: &Call) -> Result<TaskId, Rejection> {
    let mut errors = FieldErrors::query();
    let task = errors.hex("task_id", call.query.owned("task_id"));
    errors.settle()?;
    known(&task, |id| format!("this node follows no task {id}"))
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
