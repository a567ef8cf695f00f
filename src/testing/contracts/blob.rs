//! What [`BlobStore`] promises: content that is whole or absent, limits, and damage that is noticed.

pub mod content;
pub mod moves;
pub mod names;

use async_trait::async_trait;
use delta_memory::MemoryBlobs;
use delta_ports::blob::{BlobName, BlobStore};

/// A store with somebody behind its back; empty at first.
#[async_trait]
pub trait Subject: Send + Sync {
    /// The store.
    fn store(&self) -> &dyn BlobStore;
    /// Changes a byte of a blob's content, without the store's knowledge.
    fn damage(&self, name: &BlobName);
    /// The store as the next process sees it.
    async fn restart(self) -> Self
    where
        Self: Sized;
}

#[async_trait]
impl Subject for MemoryBlobs {
    fn store(&self) -> &dyn BlobStore {
        self
    }

    fn damage(&self, name: &BlobName) {
        assert!(Self::damage(self, name), "there is no {name}");
    }

    async fn restart(self) -> Self {
        Self::restart(&self)
    }
}
