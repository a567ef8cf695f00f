//! Where a node's tokens are kept: a running node reads them, the command line changes them, both at the same time.

use std::sync::Arc;

use async_trait::async_trait;

use super::PortError;
use delta_domain::access::{Token, TokenBook, TokenName};

/// The tokens of this node.
///
/// Obligations on implementers:
/// - What `add` and `revoke` acknowledge, every later `tokens` sees, in this process and in others that use the same place.
/// - Changes that happen at once lose nothing.
/// - What cannot be read is an error, never an empty book.
/// - Of a token only its digest is kept.
#[async_trait]
pub trait TokenStore: Send + Sync + 'static {
    /// All tokens as of now, those that have expired too.
    async fn tokens(&self) -> Result<Arc<TokenBook>, PortError>;
    /// Keeps one more. `Rejected` with the sentence of [`BookError`](delta_domain::access::BookError) when it cannot be.
    async fn add(&self, token: Token) -> Result<(), PortError>;
    /// Forgets one; whether it was there.
    async fn revoke(&self, name: &TokenName) -> Result<bool, PortError>;
}
