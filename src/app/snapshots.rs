//! Datasets that are queries: when their databases are asked anew.
//!
//! A task reads one answer from its first round to its last: while one runs that this node takes part in, its datasets wait, but not for ever.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use super::backoff::Backoff;
use super::context::{Context, Ports};
use super::reading::Reading;
use delta_domain::ids::DatasetName;
use delta_domain::query::Query;
use delta_domain::time::Timestamp;
use delta_ports::clock::Clock;
use delta_ports::policy::PolicySource;
use delta_ports::snapshots::{Snapshot, Snapshots};
use delta_ports::{PortError, report};

/// How often it is looked whether it is time.
const LOOK: Duration = Duration::from_secs(2);
/// Pauses after a database that did not answer.
const RETRIES: Backoff = Backoff::new(Duration::from_secs(30), 2, Duration::from_secs(3600));

/// Follows the owner's queries for as long as the node runs.
pub(crate) async fn keep_fresh(context: Arc<Context>) {
    let mut keeper = Keeper::new(
        &context.ports,
        context.reading.clone(),
        context.settings.patience,
    );
    let mut asking = JoinSet::new();
    loop {
        for (name, query) in keeper.due().await {
            let snapshots = context.ports.snapshots.clone();
            asking.spawn(async move {
                let answer = snapshots.take(&name, &query).await;
                (name, query, answer)
            });
        }
        tokio::select! {
            () = context.ports.clock.sleep(LOOK) => {}
            Some(asked) = asking.join_next() => match asked {
                Ok((name, query, answer)) => keeper.answered(&name, &query, answer),
                Err(e) => tracing::error!("asking a database broke off: {e}"),
            },
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
            let taken = match self.snapshots.taken(name).await {
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
    fn answered(&mut self, name: &DatasetName, query: &Query, answer: Result<Snapshot, PortError>) {
        let now = self.clock.now();
        let Some(course) = self.of.get_mut(name) else {
            return;
        };
        course.since = None;
        match answer {
            Ok(snapshot) => {
                course.pauses.reset();
                course.next = Some(now);
                tracing::info!("{}", told(name, query, &snapshot));
            }
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
