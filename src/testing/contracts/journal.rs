//! What [`Journal`] promises: lines stay, in order, whole.

pub mod lines;

use std::sync::Arc;

use async_trait::async_trait;

use delta_memory::MemoryJournal;
use delta_ports::journal::Journal;

/// A journal without lines.
#[async_trait]
pub trait Subject: Send + Sync {
    /// The journal as a process has it after its start.
    async fn open(&self) -> Arc<dyn Journal>;
}

#[async_trait]
impl Subject for MemoryJournal {
    async fn open(&self) -> Arc<dyn Journal> {
        Arc::new(self.clone())
    }
}
