//! Datasets that are queries: when their databases are asked anew.
//!
//! A task reads one answer from its first round to its last: while one runs that this node takes part in, its datasets wait, but not for ever.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

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
    let mut asked_of = BTreeMap::new();
    loop {
        for (name, query) in keeper.due().await {
            let (snapshots, reading) = (context.ports.snapshots.clone(), context.reading.clone());
            let (turns, dataset) = (turns.clone(), name.clone());
            // Where a task has kept it waiting for as long as it may, none does any longer.
            let overdue = reading.reader(&name).is_some();
            let asked = asking.spawn(async move {
                let _turn = turns.acquire().await;
                let may_replace = || overdue || reading.reader(&name).is_none();
                snapshots.take(&name, &query, &may_replace).await
            });
            asked_of.insert(asked.id(), dataset);
        }
        let done = tokio::select! {
            () = context.ports.clock.sleep(LOOK) => continue,
            Some(done) = asking.join_next_with_id() => done,
        };
        let (id, answer) = match done {
            Ok((id, answer)) => (id, answer),
            Err(e) => {
                let text = format!("asking broke off: {e}");
                let error = PortError::new(PortErrorKind::Internal, "snapshots.take", text);
                (e.id(), Err(error))
            }
        };
        if let Some(name) = asked_of.remove(&id) {
            keeper.answered(&name, answer);
        }
    }
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
    /// Since when a task keeps it from being asked.
    since: Option<Timestamp>,
}

impl Course {
    fn new(query: &Query) -> Self {
        Self {
            query: query.clone(),
            pauses: RETRIES,
            next: Some(Timestamp(0)),
            since: None,
        }
    }

    /// Whether a task is to read on what is there.
    fn waits(
        &mut self,
        name: &DatasetName,
        reading: &Reading,
        there: bool,
        now: Timestamp,
        patience: Duration,
    ) -> bool {
        let Some(task) = reading.reader(name).filter(|_| there) else {
            self.since = None;
            return false;
        };
        let until = self.since.unwrap_or(now) + patience;
        if self.since.is_none() {
            tracing::info!(
                "{name} is due to be asked anew, and waits for task {task}, which reads it, until {} UTC at the latest",
                until.time_of_day()
            );
            self.since = Some(now);
        }
        now < until
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
    async fn due(&mut self) -> Vec<(DatasetName, Query)> {
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
            let taken = match standing(&*self.snapshots, name, query).await {
                Ok(taken) => taken,
                Err(e) => {
                    course.next = Some(now + course.pauses.pause());
                    tracing::error!(
                        "{name} is a query, and its file cannot be looked at: {}",
                        report(&e)
                    );
                    continue;
                }
            };
            let wanted = query.refresh.is_due(taken, now);
            if wanted && !course.waits(name, &self.reading, taken.is_some(), now, self.patience) {
                course.next = None;
                due.push((name.clone(), query.clone()));
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
        course.since = None;
        match answer {
            Ok(snapshot) => {
                course.pauses.reset();
                course.next = Some(now);
                tracing::info!("{}", told(name, &course.query, &snapshot));
            }
            // Its turn comes when the task is done.
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

/// When the answer that is kept was taken; one to another query is removed, so that no task reads it for one to this.
async fn standing(
    snapshots: &dyn Snapshots,
    name: &DatasetName,
    query: &Query,
) -> Result<Option<Timestamp>, PortError> {
    match snapshots.kept(name, query).await? {
        Kept::Nothing => Ok(None),
        Kept::Answer(taken) => Ok(Some(taken)),
        Kept::Another => {
            snapshots.withdraw(name).await?;
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
