//! The owner's journal and rules, in memory.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;

use delta_ports::PortError;
use delta_ports::journal::Journal;
use delta_ports::policy::{OwnerRules, PolicySource};

/// [`Journal`] in memory. Clones share the lines.
#[derive(Debug, Clone, Default)]
pub struct MemoryJournal(Arc<Mutex<Vec<String>>>);

#[async_trait]
impl Journal for MemoryJournal {
    async fn append(&self, line: String) -> Result<(), PortError> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(line);
        Ok(())
    }

    async fn read(&self, skip: u64, most: usize) -> Result<Vec<String>, PortError> {
        let skip = usize::try_from(skip).unwrap_or(usize::MAX);
        let lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(lines.iter().skip(skip).take(most).cloned().collect())
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
