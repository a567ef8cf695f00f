//! Tokens in memory.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;

use delta_domain::access::{Token, TokenBook, TokenName};
use delta_ports::tokens::TokenStore;
use delta_ports::{PortError, PortErrorKind};

/// [`TokenStore`] in memory. Clones share one book.
#[derive(Debug, Clone, Default)]
pub struct MemoryTokens(Arc<Mutex<TokenBook>>);

impl MemoryTokens {
    fn change<T>(&self, change: impl FnOnce(&mut TokenBook) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[async_trait]
impl TokenStore for MemoryTokens {
    async fn tokens(&self) -> Result<Arc<TokenBook>, PortError> {
        Ok(Arc::new(self.change(|book| book.clone())))
    }

    async fn add(&self, token: Token) -> Result<(), PortError> {
        self.change(|book| book.add(token))
            .map_err(|e| PortError::new(PortErrorKind::Rejected, "tokens.add", e.to_string()))
    }

    async fn revoke(&self, name: &TokenName) -> Result<bool, PortError> {
        Ok(self.change(|book| book.revoke(name)))
    }
}
