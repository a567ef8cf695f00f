//! `GET /v1/board/events`: what changes, as server-sent events, for as long as the page is open. Not in the original.
//!
//! A stream says that something has changed, and of one task also how it is now. It holds a connection, so there are few; it looks again
//! whether its caller may still read, and ends when the server stops.

use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use warp::http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use warp::http::{HeaderMap, StatusCode};

use crate::server::admission::{Admission, Caller};
use crate::server::call::{Call, Doors, Shared};
use crate::server::dto::{LogDto, ProgressDto, TaskDto};
use crate::server::extract::validation::{FieldErrors, IntRule, clamp};
use crate::server::rejection::Rejection;
use crate::server::reply::{Response, stream};
use crate::server::routes::Access;
use delta_domain::access::Scope;
use delta_ports::board_api::News;
use delta_ports::storage::LocalTaskId;

/// How often a page hears of changes, at most.
const PACE: Duration = Duration::from_millis(400);
/// How often a task is looked at of which there is no news.
const LOOK: Duration = Duration::from_secs(2);
/// How often something is sent where there is nothing to say, and the caller is looked at again.
const BEAT: Duration = Duration::from_secs(15);
/// Lines of a log in one event.
const LINES: u32 = 200;
/// Events that wait for a slow reader.
const QUEUE: usize = 8;
const ZERO: IntRule = IntRule::or(0).at_least(0);

/// `GET /v1/board/events?task_id=&round=&log=`
pub(crate) async fn events(shared: &Shared, call: &mut Call) -> Result<Response, Rejection> {
    let mut errors = FieldErrors::query();
    let task = errors.int("task_id", call.query.get("task_id"), ZERO);
    let round = errors.int("round", call.query.get("round"), ZERO);
    let log = errors.int("log", call.query.get("log"), ZERO);
    errors.settle()?;
    // Whoever asks everything in turn must not wait for an end that does not come.
    let accepts = call.headers.get_all(ACCEPT).iter();
    let mut accepts = accepts.filter_map(|value| value.to_str().ok());
    if !accepts.any(|kinds| kinds.contains("text/event-stream")) {
        let text = "this is a stream of events: accept text/event-stream";
        return Err(Rejection::Because(StatusCode::NOT_ACCEPTABLE, text.into()));
    }
    let board = shared.board()?;
    let task = LocalTaskId::try_from(task).ok().filter(|id| *id > 0);
    if let Some(id) = task {
        shared.authors()?.task(id).await?;
    }
    let place = shared.watching.clone().try_acquire_owned();
    let place = place.map_err(|_| {
        Rejection::busy("too many pages follow this node already; close one of them")
    })?;
    let (sender, receiver) = mpsc::channel(QUEUE);
    let watch = Watch {
        doors: shared.doors.clone(),
        admission: shared.admission.clone(),
        caller: call.caller,
        headers: call.headers.clone(),
        stopping: shared.stopping.clone(),
        sender,
        task: task.map(|id| Followed {
            id,
            round: clamp(round),
            log: i64::try_from(log).unwrap_or(i64::MAX),
            told: Vec::new(),
        }),
        _place: place,
    };
    tokio::spawn(watch.run(board.news()));
    let body = futures_util::stream::unfold(receiver, |mut receiver| async move {
        receiver.recv().await.map(|event| (Ok(event), receiver))
    });
    let mut response = stream(body.boxed());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // Proxies that collect answers would keep it for ever.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    Ok(response)
}

/// A page that is open.
struct Watch {
    doors: Doors,
    admission: Admission,
    caller: Caller,
    headers: HeaderMap,
    stopping: CancellationToken,
    sender: mpsc::Sender<Bytes>,
    task: Option<Followed>,
    _place: OwnedSemaphorePermit,
}

/// The task that it shows.
struct Followed {
    id: LocalTaskId,
    /// Reports of rounds that it has.
    round: u32,
    /// The first line of the log that it does not have.
    log: i64,
    /// What it was told last of how the task is getting on.
    told: Vec<u8>,
}

/// The page is gone, or may not be told any more.
struct Over;

#[derive(Default)]
struct Changes {
    tasks: bool,
    approvals: bool,
    followed: bool,
}

impl Watch {
    async fn run(mut self, mut news: futures_util::stream::BoxStream<'static, News>) {
        let mut pace = interval(PACE);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut changes = Changes {
            followed: true,
            ..Changes::default()
        };
        let (mut looked, mut beat) = (Instant::now(), Instant::now());
        // So that the page knows that it is heard.
        let mut going_on = self.say(b": hello\n\n".to_vec()).await;
        let (stopping, sender) = (self.stopping.clone(), self.sender.clone());
        while going_on.is_ok() {
            tokio::select! {
                () = stopping.cancelled() => break,
                () = sender.closed() => break,
                told = news.next() => match told {
                    Some(told) => self.note(told, &mut changes),
                    None => break,
                },
                now = pace.tick() => {
                    if now - looked >= LOOK {
                        changes.followed = true;
                    }
                    if changes.followed {
                        looked = now;
                    }
                    going_on = self.tell(std::mem::take(&mut changes)).await;
                    if now - beat >= BEAT && going_on.is_ok() {
                        beat = now;
                        going_on = self.beat().await;
                    }
                }
            }
        }
    }

    fn note(&self, news: News, changes: &mut Changes) {
        let followed = |id| self.task.as_ref().is_some_and(|task| task.id == id);
        match news {
            News::Task(id) => {
                changes.tasks = true;
                changes.followed |= followed(id);
            }
            News::Progress(id) => changes.followed |= followed(id),
            News::Approvals => changes.approvals = true,
            News::Everything => {
                *changes = Changes {
                    tasks: true,
                    approvals: true,
                    followed: true,
                };
            }
        }
    }

    async fn tell(&mut self, changes: Changes) -> Result<(), Over> {
        if changes.tasks {
            self.say(b"event: tasks\ndata: {}\n\n".to_vec()).await?;
        }
        if changes.approvals {
            self.say(b"event: approvals\ndata: {}\n\n".to_vec()).await?;
        }
        if changes.followed
            && let Some(mut task) = self.task.take()
        {
            let told = self.follow(&mut task).await;
            self.task = Some(task);
            told?;
        }
        Ok(())
    }

    /// How the task is getting on, and the lines of its log, where they are news.
    async fn follow(&self, task: &mut Followed) -> Result<(), Over> {
        #[derive(Serialize)]
        struct Progress<'a> {
            task: TaskDto<'a>,
            /// Reports of rounds before these.
            start: u32,
            progress: ProgressDto<'a>,
        }
        let authors = self.doors.authors.as_deref().ok_or(Over)?;
        // What cannot be read now is looked at again.
        let Ok((row, progress)) = authors.task_progress(task.id).await else {
            return Ok(());
        };
        let dto = ProgressDto::new(&row, progress.as_ref(), task.round);
        let reports = dto.reports();
        let event = event(
            "progress",
            &Progress {
                task: TaskDto::from(&row),
                start: task.round,
                progress: dto,
            },
        );
        if event != task.told {
            self.say(event.clone()).await?;
            task.told = event;
            task.round = task.round.saturating_add(reports);
        }
        if let Ok(lines) = authors.task_logs(task.id, task.log, LINES).await
            && let Some(last) = lines.last()
        {
            task.log = last.id.saturating_add(1);
            let lines: Vec<LogDto<'_>> = lines.iter().map(LogDto::from).collect();
            self.say(self::event("logs", &lines)).await?;
        }
        Ok(())
    }

    /// Shows that the stream lives, and looks whether it may: a token that was revoked opens nothing any more.
    async fn beat(&self) -> Result<(), Over> {
        let access = Access::Author(Scope::Read);
        let admitted = self.admission.admit(access, self.caller, &self.headers);
        match admitted.await {
            // What cannot be looked at now is looked at again.
            Ok(_)
            | Err(Rejection::Because(StatusCode::SERVICE_UNAVAILABLE, _) | Rejection::Internal) => {
            }
            Err(_) => return Err(Over),
        }
        self.say(b": beat\n\n".to_vec()).await
    }

    async fn say(&self, event: Vec<u8>) -> Result<(), Over> {
        self.sender.send(event.into()).await.map_err(|_| Over)
    }
}

/// One event. JSON has no line ends but those that are escaped.
fn event<T: Serialize>(name: &str, data: &T) -> Vec<u8> {
    let mut event = format!("event: {name}\ndata: ").into_bytes();
    if serde_json::to_writer(&mut event, data).is_err() {
        event.extend_from_slice(b"null");
    }
    event.extend_from_slice(b"\n\n");
    event
}
