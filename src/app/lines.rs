//! Lines of tasks' logs on their way to the database: they go with the next change of a machine, or after a moment by themselves.
//!
//! A transaction waits for the disk. About thirty lines a round, each in one of its own, would make the round wait as often.
//! What is lost when the process is killed are the lines of that moment; whoever asks for a log gets all of it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use delta_ports::clock::Clock;
use delta_ports::report;
use delta_ports::storage::{NewLog, Storage};

/// How long a line waits for a change to go with.
const MOMENT: Duration = Duration::from_millis(100);
/// Lines that wait at most: beyond, the oldest are lost, which a database that takes none for so long has lost anyway.
const MOST: usize = 4096;

/// Lines that are not in the database yet.
#[derive(Default)]
pub(crate) struct Lines {
    waiting: Mutex<Vec<NewLog>>,
    some: Notify,
    /// Held while lines are written by themselves: who asks for them then waits.
    writing: tokio::sync::Mutex<()>,
}

impl Lines {
    fn waiting(&self) -> MutexGuard<'_, Vec<NewLog>> {
        // Nothing that can panic runs under this lock.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn enter(&self, line: NewLog) {
        let mut waiting = self.waiting();
        if waiting.len() >= MOST {
            waiting.remove(0);
        }
        waiting.push(line);
        drop(waiting);
        self.some.notify_one();
    }

    /// All that wait, for a transaction of the caller's.
    pub(crate) fn take(&self) -> Vec<NewLog> {
        std::mem::take(&mut *self.waiting())
    }

    /// Puts lines back whose transaction has failed, before those that have come since.
    pub(crate) fn put_back(&self, mut lines: Vec<NewLog>) {
        if lines.is_empty() {
            return;
        }
        let mut waiting = self.waiting();
        lines.append(&mut waiting);
        let surplus = lines.len().saturating_sub(MOST);
        lines.drain(..surplus);
        *waiting = lines;
        drop(waiting);
        self.some.notify_one();
    }

    /// Writes those that wait. Never fails: a lost line must not cost a round.
    pub(crate) async fn write(&self, storage: &dyn Storage) {
        let _writing = self.writing.lock().await;
        let lines = self.take();
        if lines.is_empty() {
            return;
        }
        if let Err(e) = storage.commit(Vec::new(), lines.clone()).await {
            tracing::warn!("lines of tasks' logs are not written yet: {}", report(&e));
            self.put_back(lines);
        }
    }

    /// Writes lines that no change takes along, for ever.
    pub(crate) async fn keep_writing(
        self: Arc<Self>,
        storage: Arc<dyn Storage>,
        clock: Arc<dyn Clock>,
    ) {
        loop {
            self.some.notified().await;
            clock.sleep(MOMENT).await;
            self.write(&*storage).await;
        }
    }
}
