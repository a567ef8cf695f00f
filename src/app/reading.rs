//! Which datasets the tasks read in which this node takes part: those are not exchanged below them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use delta_domain::ids::{DatasetName, TaskId};

/// The datasets of running tasks.
#[derive(Debug, Default)]
pub(crate) struct Reading {
    tasks: Mutex<BTreeMap<TaskId, BTreeSet<DatasetName>>>,
}

/// Says of a task's datasets that they are read, as long as it is held.
#[derive(Debug)]
pub(crate) struct Held {
    reading: Arc<Reading>,
    task: TaskId,
}

impl Reading {
    /// From now on `task` reads these.
    pub(crate) fn hold(self: &Arc<Self>, task: &TaskId, reads: BTreeSet<DatasetName>) -> Held {
        self.tasks().insert(task.clone(), reads);
        Held {
            reading: self.clone(),
            task: task.clone(),
        }
    }

    /// A task that reads the dataset, with or without the ending of its name.
    pub(crate) fn reader(&self, dataset: &DatasetName) -> Option<TaskId> {
        let name = dataset.as_str();
        let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
        let reads = |all: &BTreeSet<DatasetName>| {
            all.iter()
                .any(|read| read.as_str() == name || read.as_str() == stem)
        };
        let tasks = self.tasks();
        let found = tasks.iter().find(|(_, all)| reads(all));
        found.map(|(task, _)| task.clone())
    }

    fn tasks(&self) -> MutexGuard<'_, BTreeMap<TaskId, BTreeSet<DatasetName>>> {
        // Nothing that can panic runs under this lock.
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.reading.tasks().remove(&self.task);
    }
}
