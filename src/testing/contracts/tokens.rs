//! What [`TokenStore`] promises: what is acknowledged is seen, by every handle, and changes at once lose nothing.

pub mod book;

use std::sync::Arc;

use delta_memory::MemoryTokens;
use delta_ports::tokens::TokenStore;

/// A store without tokens.
pub trait Subject: Send + Sync {
    /// A handle of its own on the same tokens, as another process has it.
    fn handle(&self) -> Arc<dyn TokenStore>;
}

impl Subject for MemoryTokens {
    fn handle(&self) -> Arc<dyn TokenStore> {
        Arc::new(self.clone())
    }
}
