//! Node to node: what a member asks of a coordinator, as seen from both ends.
//!
//! [`CoordinatorApi`] is what the app offers; [`PeerTransport`] is the same thing seen from far away, by url.

use async_trait::async_trait;

use super::PortError;
use super::blob::ByteStream;
use delta_domain::ids::{Address, RoundNumber, TaskId};
use delta_domain::round::message::{RoundView, ShareDelivery, SignedRequest, TranscriptSignature};

/// Why a coordinator does not do what a member asks. The text goes back to the caller: no secrets, no internals.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct PeerRefusal {
    /// What went wrong.
    pub kind: RefusalKind,
    /// One sentence for the caller.
    pub detail: String,
}

/// Classes of refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusalKind {
    /// Unknown task or round, wrong phase, wrong content (HTTP 400, as the original).
    Invalid,
    /// The signature does not hold, or the sender is not a member (HTTP 403).
    Forbidden,
    /// Larger than the task allows (HTTP 413).
    TooLarge,
    /// This node cannot answer now (HTTP 503).
    Unavailable,
    /// A bug (HTTP 500).
    Internal,
}

impl PeerRefusal {
    /// A refusal of `kind`.
    #[must_use]
    pub fn new(kind: RefusalKind, detail: impl Into<String>) -> Self {
        Self {
            kind,
            detail: detail.into(),
        }
    }
}

/// What a coordinator offers to members. Implemented by the app.
///
/// Obligations on implementers: every call returns in bounded time; a POST that is repeated with the same content is answered as the first.
#[async_trait]
pub trait CoordinatorApi: Send + Sync + 'static {
    /// A task's bundle with its length. For everybody: its SHA-256 is on the connector.
    async fn bundle(&self, task: &TaskId) -> Result<(u64, ByteStream), PeerRefusal>;
    /// Where a round stands, and what it computes. For everybody: it repeats what the connector publishes, and digests.
    async fn round_view(&self, task: &TaskId, round: RoundNumber)
    -> Result<RoundView, PeerRefusal>;
    /// A server variable (`RequestBody::Variable`), with its length, as `.npy`. For members of u1.
    async fn variable(&self, request: SignedRequest) -> Result<(u64, ByteStream), PeerRefusal>;
    /// A message without an answer: `Joined`, `Decline`, `Shares`, `Confirm`, `Revealed`.
    async fn submit(&self, request: SignedRequest) -> Result<(), PeerRefusal>;
    /// The shares sealed for the sender (`RequestBody::FetchShares`).
    async fn fetch_shares(&self, request: SignedRequest) -> Result<ShareDelivery, PeerRefusal>;
    /// What the sender's neighbours signed about u3 (`RequestBody::FetchConfirmations`); `Unavailable` until there is a threshold of them.
    async fn confirmations(
        &self,
        request: SignedRequest,
    ) -> Result<Vec<TranscriptSignature>, PeerRefusal>;
    /// The sender's masked result (`RequestBody::Result`), streamed. Read no further than the announced length.
    async fn result(&self, request: SignedRequest, content: ByteStream) -> Result<(), PeerRefusal>;
    /// The sealed shares addressed to `receiver`, without a signature: always refused; kept so that old clients get a clear text.
    async fn unsigned_shares(
        &self,
        task: &TaskId,
        round: RoundNumber,
        receiver: &Address,
    ) -> PeerRefusal;
}

/// A member's way to a coordinator.
///
/// Obligations on implementers:
/// - A refusal by the coordinator fails with `Refused` and its sentence in `PortError::message`; a coordinator that cannot be reached
///   fails with `Unavailable` or `Timeout`.
/// - `url` is checked against the node's policy first (`Denied`): only http and https; loopback, private and link-local targets only where
///   the configuration allows them; redirects are not followed.
/// - Every answer is bounded by `limit` bytes, or by the length of a known message; more is `Corrupt`.
#[async_trait]
pub trait PeerTransport: Send + Sync + 'static {
    /// Downloads a bundle of at most `limit` bytes.
    async fn bundle(&self, url: &str, task: &TaskId, limit: u64) -> Result<ByteStream, PortError>;
    /// Asks where a round stands.
    async fn round_view(
        &self,
        url: &str,
        task: &TaskId,
        round: RoundNumber,
    ) -> Result<RoundView, PortError>;
    /// Downloads a server variable of at most `limit` bytes.
    async fn variable(
        &self,
        url: &str,
        request: &SignedRequest,
        limit: u64,
    ) -> Result<ByteStream, PortError>;
    /// Sends a message without an answer.
    async fn submit(&self, url: &str, request: &SignedRequest) -> Result<(), PortError>;
    /// Fetches the shares sealed for this node.
    async fn fetch_shares(
        &self,
        url: &str,
        request: &SignedRequest,
    ) -> Result<ShareDelivery, PortError>;
    /// Fetches what this node's neighbours signed about u3.
    async fn confirmations(
        &self,
        url: &str,
        request: &SignedRequest,
    ) -> Result<Vec<TranscriptSignature>, PortError>;
    /// Uploads a masked result of `len` bytes.
    async fn result(
        &self,
        url: &str,
        request: &SignedRequest,
        len: u64,
        content: ByteStream,
    ) -> Result<(), PortError>;
}
