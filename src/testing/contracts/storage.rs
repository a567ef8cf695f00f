//! What [`Storage`] promises: versions, commits that are whole or nothing, an outbox, journals, and what people read.

pub mod effects;
pub mod identities;
pub mod journal;
pub mod machines;
pub mod moves;
pub mod processes;
pub mod rows;

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use delta_memory::MemoryStorage;
use delta_ports::storage::Storage;

/// A database that can be opened again and again; empty at first.
#[async_trait]
pub trait Subject: Send + Sync {
    /// Another handle of the same process.
    async fn open(&self) -> Arc<dyn Storage>;
    /// What the next process sees. Handles of the process before are not used any more.
    async fn restart(&self) -> Arc<dyn Storage>;
}

/// The database in memory.
#[derive(Debug, Default)]
pub struct Memory(Mutex<MemoryStorage>);

#[async_trait]
impl Subject for Memory {
    async fn open(&self) -> Arc<dyn Storage> {
        Arc::new(self.0.lock().unwrap().clone())
    }

    async fn restart(&self) -> Arc<dyn Storage> {
        let mut current = self.0.lock().unwrap();
        *current = current.restart();
        Arc::new(current.clone())
    }
}
