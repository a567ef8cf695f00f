//! Planned failures: which call fails next, how, and whether it had its effect first.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use delta_ports::{PortError, PortErrorKind};

/// When a planned failure strikes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// Instead of the effect: the request was lost.
    Before,
    /// After the effect: the answer was lost.
    After,
}

#[derive(Debug)]
struct Planned {
    op: String,
    when: When,
    kind: PortErrorKind,
}

/// A list of planned failures, shared by all clones. Each one strikes once.
#[derive(Debug, Clone, Default)]
pub struct FaultScript(Arc<Mutex<VecDeque<Planned>>>);

impl FaultScript {
    /// The next call of `op` (as in [`PortError::op`], for example `"storage.commit"`; `"*"` for any) fails.
    pub fn fail_next(&self, op: impl Into<String>, when: When, kind: PortErrorKind) {
        lock(&self.0).push_back(Planned {
            op: op.into(),
            when,
            kind,
        });
    }

    /// How many planned failures have not struck yet. A test that planned one checks this, or a misspelt `op` goes unnoticed.
    #[must_use]
    pub fn pending(&self) -> usize {
        lock(&self.0).len()
    }

    /// Forgets the failures that have not struck yet.
    pub fn clear(&self) {
        lock(&self.0).clear();
    }

    /// Does `work` as call `op`, unless a failure is planned for it.
    pub(crate) fn run<T>(
        &self,
        op: &'static str,
        work: impl FnOnce() -> Result<T, PortError>,
    ) -> Result<T, PortError> {
        let planned = {
            let mut script = lock(&self.0);
            let at = script.iter().position(|p| p.op == op || p.op == "*");
            at.and_then(|at| script.remove(at))
        };
        match planned {
            None => work(),
            Some(Planned { when, kind, .. }) => {
                if when == When::After {
                    work()?;
                }
                Err(PortError::new(kind, op, "planned failure"))
            }
        }
    }
}

/// Locks without a thought for poison: a panicking test has failed already.
pub(crate) fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
