//! The owner's journal and rules, in memory.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use delta_ports::journal::Journal;
use delta_ports::policy::{OwnerRules, PolicySource};
use delta_ports::{PortError, PortErrorKind};

/// [`Journal`] in memory. Clones share the lines.
#[derive(Debug, Clone, Default)]
pub struct MemoryJournal {
    state: Arc<Mutex<State>>,
    process: u64,
}

#[derive(Debug, Default)]
struct State {
    lines: Vec<String>,
    /// The process that may write.
    process: u64,
}

impl MemoryJournal {
    /// The journal as the node's next process sees it. Every other handle fails with `Unavailable` from now on.
    #[must_use]
    pub fn restart(&self) -> Self {
        let mut state = self.lock();
        state.process += 1;
        Self {
            state: Arc::clone(&self.state),
            process: state.process,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn living(&self, op: &'static str) -> Result<MutexGuard<'_, State>, PortError> {
        let state = self.lock();
        if state.process == self.process {
            return Ok(state);
        }
        let text = "the process that had this journal is gone";
        Err(PortError::new(PortErrorKind::Unavailable, op, text))
    }
}

#[async_trait]
impl Journal for MemoryJournal {
    async fn append(&self, line: String) -> Result<(), PortError> {
        self.living("journal.append")?.lines.push(line);
        Ok(())
    }

    async fn read(&self, skip: u64, most: usize) -> Result<Vec<String>, PortError> {
        let skip = usize::try_from(skip).unwrap_or(usize::MAX);
        let state = self.living("journal.read")?;
        let lines = state.lines.iter().skip(skip).take(most);
        Ok(lines.cloned().collect())
    }
}

/// [`PolicySource`] in memory: rules that a test sets. Clones share them. At first every dataset asks.
#[derive(Debug, Clone, Default)]
pub struct MemoryPolicies(Arc<Mutex<OwnerRules>>);

impl MemoryPolicies {
    /// From now on these rules hold.
    pub fn set(&self, rules: OwnerRules) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = rules;
    }
}

impl PolicySource for MemoryPolicies {
    fn rules(&self) -> OwnerRules {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}
