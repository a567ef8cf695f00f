//! How nodes see each other's identity documents (docs/protocol/identity.md): what a node shows of itself, and the way to others'.

use async_trait::async_trait;

use super::PortError;
use delta_domain::identity::Document;
use delta_domain::ids::{Address, Digest};
use delta_domain::secagg::keys::PublicKey;

/// What a node shows of itself. Implemented by the app.
pub trait IdentityApi: Send + Sync + 'static {
    /// This node's document: its card, and the address once the connector has told it. `None` where the node shows none.
    fn document(&self) -> Option<Document>;

    /// Whether another node showed its document at its url on record when this one last looked; `None` where that was not lately.
    fn seen(&self, address: &Address) -> Option<bool>;
}

/// The way to other nodes' documents.
///
/// Obligations on implementers:
/// - `url` is checked against the node's policy first (`Denied`), as by [`PeerTransport`](super::peer::PeerTransport).
/// - An answer has at most [`MAX_DOCUMENT_BYTES`](delta_domain::identity::MAX_DOCUMENT_BYTES); more, or anything that is no document, is `Corrupt`.
/// - A node that shows no document fails with `Rejected`; one that cannot be reached with `Unavailable` or `Timeout`.
/// - Nothing that the document says is checked: that is the caller's.
#[async_trait]
pub trait IdentitySource: Send + Sync + 'static {
    /// The document of the node at `url`. Whoever answers there may have any certificate: the document proves itself.
    async fn document_of(&self, url: &str) -> Result<Document, PortError>;

    /// What the node at `url` says of its way to `address`: [`IdentityApi::seen`] there. Somebody else's word.
    async fn seen_by(&self, url: &str, address: &Address) -> Result<Option<bool>, PortError>;

    /// Calls to `url`, which is https, may from now on be answered by whoever has this TLS key (SHA-256 of a SubjectPublicKeyInfo), as the card
    /// of the node with the identity key `who` says, for which roster or pins vouch. What was said of `who` before is no longer true. For
    /// transports without TLS nothing.
    ///
    /// # Errors
    /// `Conflict` when another identity is known there by another TLS key; `Denied` for a url that is not https; `Exhausted` when there is no room.
    /// Then `who` is known by no TLS key.
    fn trust_key(&self, who: &PublicKey, url: &str, key: &Digest) -> Result<(), PortError> {
        let _ = (who, url, key);
        Ok(())
    }

    /// No TLS key of the node with this identity key is trusted any more.
    fn distrust_key(&self, who: &PublicKey) {
        let _ = who;
    }
}
