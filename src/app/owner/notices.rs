//! Telling the owner that a task waits: in the log, and by the way that is configured for it. Nobody waits for that.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::Case;
use delta_domain::identity::minute_of;
use delta_domain::ids::TaskId;
use delta_domain::time::Timestamp;
use delta_ports::owner_notice::{OwnerNotice, QuestionNotice};
use delta_ports::report;

/// Most notices to the owner within [`NOTICES_WITHIN`]: strangers' tasks must not become a flood at the owner's door.
const NOTICES: usize = 30;
const NOTICES_WITHIN: Duration = Duration::from_secs(3600);

/// The way to the owner, and what was sent on it lately.
pub(super) struct Notices {
    way: Arc<dyn OwnerNotice>,
    told: Mutex<Vec<Timestamp>>,
}

impl Notices {
    pub(super) fn new(way: Arc<dyn OwnerNotice>) -> Self {
        Self {
            way,
            told: Mutex::default(),
        }
    }

    /// Tells the owner, in the background: a way that does not answer must not keep a round waiting.
    pub(super) fn tell(&self, task: &TaskId, case: &Case, now: Timestamp, until: Timestamp) {
        let author = case.question.author.to_string();
        tracing::warn!(
            %task,
            "{author} asks to run {:?} on your data; `delta-node approvals show {task}` says what it would do, and it waits until {}",
            case.name,
            minute_of(until)
        );
        if !self.has_room(now) {
            return;
        }
        let notice = QuestionNotice {
            task: task.clone(),
            name: case.name.clone(),
            author,
            kind: case.question.kind.name().to_owned(),
            datasets: case.question.reads.keys().cloned().collect(),
            question: case.question.digest,
            until,
        };
        let way = self.way.clone();
        // It ends by itself: the way is bounded in time.
        drop(tokio::spawn(async move {
            if let Err(e) = way.asks(&notice).await {
                tracing::warn!(task = %notice.task, "the owner could not be told of the question: {}", report(&e));
            }
        }));
    }

    fn has_room(&self, now: Timestamp) -> bool {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.retain(|at| *at + NOTICES_WITHIN > now);
        let room = told.len() < NOTICES;
        if room {
            told.push(now);
        }
        room
    }
}
