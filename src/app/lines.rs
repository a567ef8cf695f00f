//! Lines of tasks' logs on their way to the database: they go with the next change of a machine, or after a moment by themselves.
//!
//! A transaction waits for the disk. About thirty lines a round, each in one of its own, would make the round wait as often.
//! What is lost when the process is killed are the lines of that moment; whoever asks for a log gets all of it.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};

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
    /// Transactions under way that carry lines: who asks for a log waits for them.
    carrying: watch::Sender<Carrying>,
}

#[derive(Default)]
struct Carrying {
    next: u64,
    under_way: BTreeSet<u64>,
}

impl Lines {
    fn waiting(&self) -> MutexGuard<'_, Vec<NewLog>> {
        // Nothing that can panic runs under this lock.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many wait.
    pub(crate) fn count(&self) -> usize {
        self.waiting().len()
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

    /// All that wait, for a transaction of the caller's. They wait again unless they are said to be written, also when nobody waits for
    /// the transaction any more.
    pub(crate) fn take(&self) -> Taken<'_> {
        let mut number = 0;
        // One step for whoever looks at both: a line waits or is under way.
        let mut waiting = self.waiting();
        self.carrying.send_modify(|carrying| {
            number = carrying.next;
            carrying.next += 1;
            carrying.under_way.insert(number);
        });
        let lines = std::mem::take(&mut *waiting);
        drop(waiting);
        Taken {
            of: self,
            number,
            lines,
        }
    }

    /// Puts lines back whose transaction has failed, before those that have come since.
    fn put_back(&self, mut lines: Vec<NewLog>) {
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

    /// Writes those that wait, and waits for those that are under way with others. Never fails: a lost line must not cost a round.
    pub(crate) async fn write(&self, storage: &dyn Storage) {
        let taken = self.take();
        let mine = taken.number;
        let written = match taken.lines.is_empty() {
            true => Ok(()),
            false => storage.commit(Vec::new(), taken.lines.clone()).await,
        };
        match written {
            Ok(()) => taken.are_written(),
            Err(e) => {
                drop(taken);
                tracing::warn!("lines of tasks' logs are not written yet: {}", report(&e));
            }
        }
        let mut carrying = self.carrying.subscribe();
        // Errors mean that there are no lines any more.
        drop(
            carrying
                .wait_for(|c| c.under_way.range(..mine).next().is_none())
                .await,
        );
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

/// Lines on their way into a transaction.
pub(crate) struct Taken<'a> {
    of: &'a Lines,
    number: u64,
    lines: Vec<NewLog>,
}

impl Taken<'_> {
    pub(crate) fn lines(&self) -> &[NewLog] {
        &self.lines
    }

    /// They are in the database.
    pub(crate) fn are_written(mut self) {
        self.lines.clear();
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        self.of.put_back(std::mem::take(&mut self.lines));
        self.of.carrying.send_modify(|carrying| {
            carrying.under_way.remove(&self.number);
        });
    }
}

#[cfg(test)]
mod tests {
    use delta_domain::ids::TaskId;
    use delta_domain::time::Timestamp;
    use delta_memory::{MemoryStorage, PausedClock, When};
    use delta_ports::PortErrorKind;
    use delta_ports::storage::LogLevel;

    use super::*;

    fn line(text: &str) -> NewLog {
        NewLog {
            created_at: Timestamp(1),
            task: task(),
            level: LogLevel::Info,
            message: text.to_owned(),
            tx_hash: None,
        }
    }

    fn task() -> TaskId {
        format!("0x{}", "ab".repeat(32)).parse().unwrap()
    }

    async fn written(storage: &MemoryStorage) -> Vec<String> {
        let rows = storage.logs(&task(), 0, 10_000).await.unwrap();
        rows.into_iter().map(|row| row.log.message).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn lines_are_written_after_a_moment_in_their_order() {
        let storage = MemoryStorage::new();
        let lines = Arc::new(Lines::default());
        let clock = Arc::new(PausedClock::new(Timestamp(1)));
        let writing = lines.clone().keep_writing(Arc::new(storage.clone()), clock);
        let writing = tokio::spawn(writing);
        for text in ["a", "b", "c"] {
            lines.enter(line(text));
        }
        tokio::time::sleep(MOMENT * 3).await;
        assert_eq!(written(&storage).await, ["a", "b", "c"]);
        lines.enter(line("d"));
        tokio::time::sleep(MOMENT * 3).await;
        assert_eq!(written(&storage).await, ["a", "b", "c", "d"]);
        writing.abort();
    }

    #[tokio::test]
    async fn what_could_not_be_written_comes_before_what_came_since() {
        let storage = MemoryStorage::new();
        let lines = Lines::default();
        lines.enter(line("a"));
        storage.fail_next("storage.commit", When::Before, PortErrorKind::Unavailable);
        lines.write(&storage).await;
        lines.enter(line("b"));
        assert!(written(&storage).await.is_empty());
        lines.write(&storage).await;
        assert_eq!(written(&storage).await, ["a", "b"]);
        assert!(lines.take().lines().is_empty());
    }

    #[test]
    fn lines_whose_transaction_nobody_waits_for_any_more_are_not_lost() {
        let lines = Lines::default();
        lines.enter(line("a"));
        drop(lines.take());
        lines.enter(line("b"));
        let taken = lines.take();
        let told: Vec<_> = taken.lines().iter().map(|l| l.message.as_str()).collect();
        assert_eq!(told, ["a", "b"]);
        taken.are_written();
        assert!(lines.take().lines().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn who_asks_waits_for_lines_that_are_under_way_with_a_change() {
        let storage = MemoryStorage::new();
        let lines = Arc::new(Lines::default());
        lines.enter(line("a"));
        let taken = lines.take();
        let asking = {
            let (lines, storage) = (lines.clone(), storage.clone());
            tokio::spawn(async move {
                lines.write(&storage).await;
                written(&storage).await
            })
        };
        tokio::time::sleep(MOMENT).await;
        assert!(!asking.is_finished());
        // Later ones are not waited for.
        let later = lines.take();
        let carried = taken.lines().to_vec();
        storage.commit(Vec::new(), carried).await.unwrap();
        taken.are_written();
        assert_eq!(asking.await.unwrap(), ["a"]);
        drop(later);
    }

    #[test]
    fn they_are_bounded() {
        let lines = Lines::default();
        for i in 0..2 * MOST {
            lines.enter(line(&i.to_string()));
        }
        let taken = lines.take();
        assert_eq!(taken.lines().len(), MOST);
        lines.enter(line("last"));
        drop(taken);
        let waiting = lines.take();
        assert_eq!(waiting.lines().len(), MOST);
        assert_eq!(waiting.lines().last().unwrap().message, "last");
    }
}
