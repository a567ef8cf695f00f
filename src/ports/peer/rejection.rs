//! Why a coordinator says no to a member, in the coordinator's own words. Not here: that it cannot be reached, which is a `PortError`.

/// Why a coordinator does not do what a member asks. The text goes back to the caller: no secrets, no internals.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct PeerRejection {
    /// What went wrong.
    pub kind: RejectionKind,
    /// One sentence for the caller.
    pub detail: String,
}

/// Classes of rejection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RejectionKind {
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

impl PeerRejection {
    /// A rejection of `kind`.
    #[must_use]
    pub fn new(kind: RejectionKind, detail: impl Into<String>) -> Self {
        Self {
            kind,
            detail: detail.into(),
        }
    }
}
