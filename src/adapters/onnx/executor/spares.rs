//! Workers that were started before their jobs: walled in, with the runtime loaded, and told nothing of any task but which files it may
//! read. Each still runs one job and ends.

use std::os::unix::fs::MetadataExt as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::job::Setup;
use crate::process::{Launcher, Worker};

/// How long one waits for its job.
const IDLE: Duration = Duration::from_secs(10);
const OP: &str = "executor.prepare";

/// The workers that wait.
#[derive(Default)]
pub(super) struct Spares {
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    /// Counts those that were ever started.
    last: u64,
    /// Those that are being started.
    coming: usize,
    spares: Vec<Spare>,
}

struct Spare {
    number: u64,
    setup: Setup,
    files: Vec<Option<FileId>>,
    worker: Worker,
}

/// Device and number of a file: the walls stand around these, whatever the path leads to later.
type FileId = (u64, u64);

impl Spares {
    /// Starts a worker with this setup in the background, where fewer than `most` wait. It ends when no job has come in time.
    pub(super) fn prepare(self: &Arc<Self>, launcher: Launcher, setup: Setup, most: usize) {
        {
            let mut waiting = self.waiting();
            if waiting.spares.len().saturating_add(waiting.coming) >= most {
                return;
            }
            waiting.coming = waiting.coming.saturating_add(1);
        }
        let spares = self.clone();
        tokio::spawn(async move {
            let files = files(&setup);
            let started = start(&launcher, &setup).await;
            let number = spares.came(setup, files, started);
            // With its executor a worker that waits ends at once.
            let spares = Arc::downgrade(&{ spares });
            tokio::time::sleep(IDLE).await;
            if let (Some(number), Some(spares)) = (number, spares.upgrade()) {
                spares.drop_one(number);
            }
        });
    }

    /// A worker that was started with this setup, still runs, and may read what is there now.
    pub(super) fn take(&self, setup: &Setup) -> Option<Worker> {
        let mut waiting = self.waiting();
        while let Some(place) = waiting.spares.iter().position(|s| s.setup == *setup) {
            let mut spare = waiting.spares.swap_remove(place);
            if spare.worker.is_alive() && spare.files == files(setup) {
                return Some(spare.worker);
            }
        }
        None
    }

    fn came(
        &self,
        setup: Setup,
        files: Vec<Option<FileId>>,
        started: Option<Worker>,
    ) -> Option<u64> {
        let mut waiting = self.waiting();
        waiting.coming = waiting.coming.saturating_sub(1);
        let worker = started?;
        waiting.last = waiting.last.wrapping_add(1);
        let number = waiting.last;
        waiting.spares.push(Spare {
            number,
            setup,
            files,
            worker,
        });
        Some(number)
    }

    fn drop_one(&self, number: u64) {
        self.waiting().spares.retain(|s| s.number != number);
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        // Nothing that can panic runs under this lock.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Errors are nobody's: the job will start a worker of its own, and say what is wrong.
async fn start(launcher: &Launcher, setup: &Setup) -> Option<Worker> {
    let mut worker = launcher.start(OP, setup).ok()?;
    worker.ready().await.ok()?;
    Some(worker)
}

/// Which files a setup's paths lead to now.
fn files(setup: &Setup) -> Vec<Option<FileId>> {
    let of = |path: &std::path::PathBuf| {
        let found = std::fs::metadata(path).ok()?;
        Some((found.dev(), found.ino()))
    };
    setup.readable.iter().map(of).collect()
}
