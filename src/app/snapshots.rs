//! Datasets that are queries: when their databases are asked anew.
//!
//! A task reads one answer from its first round to its last: while one runs that this node takes part in, its datasets wait, but not for ever.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::{AbortHandle, Id, JoinError, JoinSet};

use super::backoff::Backoff;
use super::context::{Context, Ports};
use super::reading::Reading;
use delta_domain::ids::DatasetName;
use delta_domain::query::{Query, Refresh};
use delta_domain::time::Timestamp;
use delta_ports::clock::Clock;
use delta_ports::policy::PolicySource;
use delta_ports::snapshots::{Kept, Snapshot, Snapshots};
use delta_ports::{PortError, PortErrorKind, report};

/// How often it is looked whether it is time.
const LOOK: Duration = Duration::from_secs(2);
/// Most databases that are asked at once.
const AT_ONCE: usize = 2;
/// Pauses after a database that did not answer.
const RETRIES: Backoff = Backoff::new(Duration::from_secs(30), 2, Duration::from_secs(3600));

/// Follows the owner's queries for as long as the node runs.
pub(crate) async fn keep_fresh(context: Arc<Context>) {
    let mut keeper = Keeper::new(
        &context.ports,
        context.reading.clone(),
        context.settings.patience,
    );
    // The owner's machine and databases have other work as well.
    let turns = Arc::new(Semaphore::new(AT_ONCE));
    let mut asking = JoinSet::new();
    let mut asked_of: BTreeMap<Id, Asked> = BTreeMap::new();
    loop {
        while let Some(done) = asking.try_join_next_with_id() {
            let (id, answer) = outcome(done);
            if let Some(asked) = asked_of.remove(&id) {
                keeper.answered(&asked.name, answer);
            }
        }
        let queries = context.ports.policies.rules().queries;
        let outdated = |asked: &&Asked| queries.get(&asked.name) != Some(&asked.query);
        for asked in asked_of.values().filter(outdated) {
            asked.handle.abort();
        }
        for Due {
            name,
            query,
            overdue,
        } in keeper.due().await
        {
            let (snapshots, reading) = (context.ports.snapshots.clone(), context.reading.clone());
            let (turns, of) = (turns.clone(), (name.clone(), query.clone()));
            let handle = asking.spawn(async move {
                let (name, query) = of;
                let _turn = turns.acquire().await;
                let may_replace = || overdue || reading.reader(&name).is_none();
                snapshots.take(&name, &query, &may_replace).await
            });
            let asked = Asked {
                name,
                query,
                handle,
            };
            asked_of.insert(asked.handle.id(), asked);
        }
        context.ports.clock.sleep(LOOK).await;
    }
}

/// What became of a task that asked.
fn outcome(
    done: Result<(Id, Result<Snapshot, PortError>), JoinError>,
) -> (Id, Result<Snapshot, PortError>) {
    done.unwrap_or_else(|e| {
        let (kind, what) = match e.is_cancelled() {
            true => (PortErrorKind::Conflict, "its owner asks another query now"),
            false => (PortErrorKind::Internal, "asking broke off"),
        };
        let error = PortError::new(kind, "snapshots.take", what);
        (e.id(), Err(error))
    })
}

/// A database that is being asked. When its owner says another query, nobody waits for this answer.
struct Asked {
    name: DatasetName,
    query: Query,
    handle: AbortHandle,
}

/// A database that is to be asked.
#[derive(Debug, PartialEq, Eq)]
struct Due {
    name: DatasetName,
    query: Query,
    /// Whether a task has kept it waiting for as long as it may: none does any longer.
    overdue: bool,
}

/// Who knows when databases are to be asked.
struct Keeper {
    policies: Arc<dyn PolicySource>,
    snapshots: Arc<dyn Snapshots>,
    clock: Arc<dyn Clock>,
    reading: Arc<Reading>,
    /// How long an answer that is due waits for tasks.
    patience: Duration,
    of: BTreeMap<DatasetName, Course>,
}

/// How it goes with one dataset.
struct Course {
    /// The query that it went so with.
    query: Query,
    pauses: Backoff,
    /// Not before; `None` while it is asked.
    next: Option<Timestamp>,
    /// When it was asked with success, by this node's clock.
    last: Option<Timestamp>,
    /// The time that the file had when it was looked at: another one says that `data refresh` has asked. The clock of a file system need
    /// not be this node's.
    seen: Option<Timestamp>,
    /// Since when a task keeps it from being asked.
    since: Option<Timestamp>,
}

/// Whose turn it is with a dataset that is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    /// A task's that reads what is there.
    Task,
    /// The database's. `overdue`: though a task reads.
    Database { overdue: bool },
}

impl Course {
    fn new(query: &Query) -> Self {
        Self {
            query: query.clone(),
            pauses: RETRIES,
            next: Some(Timestamp(0)),
            last: None,
            seen: None,
            since: None,
        }
    }

    /// Notes what is kept; when it was asked.
    fn look(&mut self, kept: Option<Timestamp>, now: Timestamp) -> Option<Timestamp> {
        self.last = match (kept, self.last) {
            (None, _) => None,
            // One from the future, after a clock was set back, was taken now at the latest.
            (Some(kept), None) => Some(kept.min(now)),
            (Some(kept), Some(_)) if self.seen.is_some_and(|seen| seen != kept) => Some(now),
            (Some(_), last) => last.map(|last| last.min(now)),
        };
        self.seen = kept;
        self.last
    }

    /// Whose turn it is. `there`: whether there is something to read.
    fn turn(
        &mut self,
        name: &DatasetName,
        reading: &Reading,
        there: bool,
        now: Timestamp,
        patience: Duration,
    ) -> Turn {
        let Some(task) = reading.reader(name).filter(|_| there) else {
            return Turn::Database { overdue: false };
        };
        let until = self.since.unwrap_or(now) + patience;
        if self.since.is_none() {
            tracing::info!(
                "{name} is due to be asked anew, and waits for task {task}, which reads it, until {} UTC at the latest",
                until.time_of_day()
            );
            self.since = Some(now);
        }
        match now < until {
            true => Turn::Task,
            false => Turn::Database { overdue: true },
        }
    }
}

impl Keeper {
    fn new(ports: &Ports, reading: Arc<Reading>, patience: Duration) -> Self {
        Self {
            policies: ports.policies.clone(),
            snapshots: ports.snapshots.clone(),
            clock: ports.clock.clone(),
            reading,
            patience,
            of: BTreeMap::new(),
        }
    }

    /// What is to be asked now. Each is being asked until [`Self::answered`] hears what became of it.
    async fn due(&mut self) -> Vec<Due> {
        let queries = self.policies.rules().queries;
        // One that is being asked is known until it has answered.
        self.of
            .retain(|name, course| course.next.is_none() || queries.contains_key(name));
        let mut due = Vec::new();
        for (name, query) in queries.iter() {
            let course = self
                .of
                .entry(name.clone())
                .or_insert_with(|| Course::new(query));
            if course.next.is_some() && course.query != *query {
                *course = Course::new(query);
            }
            let now = self.clock.now();
            if course.next.is_none_or(|next| now < next) {
                continue;
            }
            let kept = match standing(&*self.snapshots, name, query).await {
                Ok(kept) => kept,
                Err(e) => {
                    course.next = Some(now + course.pauses.pause());
                    tracing::error!(
                        "{name} is a query, and its file cannot be looked at: {}",
                        report(&e)
                    );
                    continue;
                }
            };
            if !query.refresh.is_due(course.look(kept, now), now) {
                // Somebody has asked by hand.
                course.since = None;
                continue;
            }
            let turn = course.turn(name, &self.reading, kept.is_some(), now, self.patience);
            if let Turn::Database { overdue } = turn {
                course.next = None;
                due.push(Due {
                    name: name.clone(),
                    query: query.clone(),
                    overdue,
                });
            }
        }
        due
    }

    /// What became of asking.
    fn answered(&mut self, name: &DatasetName, answer: Result<Snapshot, PortError>) {
        let now = self.clock.now();
        let Some(course) = self.of.get_mut(name) else {
            return;
        };
        match answer {
            Ok(snapshot) => {
                course.pauses.reset();
                (course.next, course.last) = (Some(now), Some(now));
                (course.seen, course.since) = (None, None);
                tracing::info!("{}", told(name, &course.query, &snapshot));
            }
            // Its turn comes when the task is done, or now where the query is another one.
            Err(e) if e.kind() == PortErrorKind::Conflict => course.next = Some(now),
            Err(e) => {
                let pause = course.pauses.pause();
                course.next = Some(now + pause);
                tracing::error!(
                    "{name} could not be asked anew, and stays as it was; again in {} s: {}",
                    pause.as_secs(),
                    report(&e)
                );
            }
        }
    }
}

/// When the answer that is kept was taken; one to another query is removed. (No task would read it: executors look whose answer it is.)
async fn standing(
    snapshots: &dyn Snapshots,
    name: &DatasetName,
    query: &Query,
) -> Result<Option<Timestamp>, PortError> {
    match snapshots.kept(name, query).await? {
        Kept::Nothing => Ok(None),
        Kept::Answer(taken) => Ok(Some(taken)),
        Kept::Another => {
            snapshots.withdraw(name, query).await?;
            let next = match query.refresh {
                Refresh::ByHand => "`delta-node data refresh` asks this one",
                Refresh::Every(_) | Refresh::Daily(_) => "this one is asked now",
            };
            tracing::warn!(
                "{name} is another query than before: the old answer is removed, and {next}"
            );
            Ok(None)
        }
    }
}

/// What to say of an answer.
#[must_use]
pub fn told(name: &DatasetName, query: &Query, snapshot: &Snapshot) -> String {
    let what = match snapshot.changed {
        true => "as of now",
        false => "the same as before",
    };
    let columns = snapshot.columns.len();
    let rows = snapshot.rows;
    format!(
        "{name}: {rows} rows in {columns} columns from {}, {what}",
        query.server
    )
}
