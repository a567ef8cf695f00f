//! Node to node: what a member asks of a coordinator and what it is answered, through one method at each end.
//!
//! [`CoordinatorApi`] is what the app offers; [`PeerTransport`] is the same thing seen from far away, by url. [`PeerCalls`] are the members'
//! calls, one for each answer, written once over any transport.

mod rejection;
#[cfg(test)]
mod tests;

use std::fmt;

use async_trait::async_trait;

use super::blob::{ByteStream, collect};
use super::{PortError, PortErrorKind};
use delta_domain::identity::AuthorWord;
use delta_domain::ids::{Address, Digest, RoundNumber, TaskId};
use delta_domain::round::message::{
    Confirmation, RequestBody, RoundView, ShareDelivery, SignedRequest,
};

pub use rejection::{PeerRejection, RejectionKind};

/// What a member, or anybody, asks of a coordinator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PeerRequest {
    /// A task's bundle; answered with [`PeerAnswer::Content`]. For everybody: its SHA-256 is on the connector.
    Bundle {
        /// The task.
        task: TaskId,
    },
    /// Who submitted a task, in the coordinator's word; answered with [`PeerAnswer::Content`], an `AuthorWord` in JSON. For everybody.
    Author {
        /// The task.
        task: TaskId,
    },
    /// The certificate of a task's answer; answered with [`PeerAnswer::Content`]. For whoever has the answer: it says what that is.
    Certificate {
        /// The task.
        task: TaskId,
        /// What only they can compute.
        key: Digest,
    },
    /// Where a round stands, and what it computes; answered with [`PeerAnswer::RoundView`]. For everybody: it repeats what the connector
    /// publishes, and digests.
    RoundView {
        /// The task.
        task: TaskId,
        /// The round.
        round: RoundNumber,
    },
    /// What its body says, under the sender's signature:
    ///
    /// - `Variable` (members of u1): a server variable as `.npy`, [`PeerAnswer::Content`];
    /// - `FetchShares`: the shares sealed for the sender, [`PeerAnswer::Shares`];
    /// - `FetchConfirmations`: what the sender's neighbours say to it about u3, [`PeerAnswer::Confirmations`]; `Unavailable` until there is a
    ///   threshold of them;
    /// - `Attend` (members of a round of the task, before or now): [`PeerAnswer::Done`] after a while; who gives the call up before is gone;
    /// - `Result`: the sender's masked result, which comes as content of the announced length, [`PeerAnswer::Done`];
    /// - all others: messages without an answer, [`PeerAnswer::Done`].
    Signed(SignedRequest),
    /// The sealed shares addressed to `receiver`, without a signature: always rejected; kept so that old clients get a clear text.
    UnsignedShares {
        /// The task.
        task: TaskId,
        /// The round.
        round: RoundNumber,
        /// Whose shares.
        receiver: Address,
    },
}

impl PeerRequest {
    /// Stable name of the call: in errors, and where faults are planned.
    #[must_use]
    pub fn op(&self) -> &'static str {
        match self {
            Self::Bundle { .. } => "peer.bundle",
            Self::Author { .. } => "peer.author",
            Self::Certificate { .. } => "peer.certificate",
            Self::RoundView { .. } => "peer.round_view",
            Self::UnsignedShares { .. } => "peer.unsigned_shares",
            Self::Signed(request) => match request.body {
                RequestBody::Variable { .. } => "peer.variable",
                RequestBody::FetchShares => "peer.fetch_shares",
                RequestBody::FetchConfirmations => "peer.confirmations",
                RequestBody::Result { .. } => "peer.result",
                RequestBody::Attend => "peer.attend",
                RequestBody::Joined
                | RequestBody::Depart
                | RequestBody::Decline { .. }
                | RequestBody::Shares { .. }
                | RequestBody::Confirm { .. }
                | RequestBody::Revealed => "peer.submit",
            },
        }
    }

    /// What a member signed, if it is that.
    #[must_use]
    pub fn signed(&self) -> Option<&SignedRequest> {
        match self {
            Self::Signed(request) => Some(request),
            Self::Bundle { .. }
            | Self::Author { .. }
            | Self::Certificate { .. }
            | Self::RoundView { .. }
            | Self::UnsignedShares { .. } => None,
        }
    }

    /// The content with the length that this request announces for it, in bytes.
    ///
    /// # Errors
    /// `Internal` when a `Result` comes without content, or content with anything else.
    pub fn with_content(
        &self,
        content: Option<ByteStream>,
    ) -> Result<Option<(u64, ByteStream)>, PortError> {
        let announced = match self.signed().map(|request| &request.body) {
            Some(RequestBody::Result { len, .. }) => Some(*len),
            _ => None,
        };
        match (announced, content) {
            (Some(len), Some(content)) => Ok(Some((len, content))),
            (None, None) => Ok(None),
            (Some(_), None) | (None, Some(_)) => Err(PortError::new(
                PortErrorKind::Internal,
                self.op(),
                "content comes with a result, and with nothing else",
            )),
        }
    }
}

/// What a coordinator answers.
pub enum PeerAnswer {
    /// It is done; there is nothing more to say.
    Done,
    /// A file.
    Content {
        /// Its length in bytes. A coordinator gives it; a transport may not have been told.
        len: Option<u64>,
        /// The file.
        content: ByteStream,
    },
    /// Where a round stands.
    RoundView(RoundView),
    /// The shares sealed for the sender.
    Shares(ShareDelivery),
    /// What the sender's neighbours signed about u3.
    Confirmations(Vec<Confirmation>),
}

impl PeerAnswer {
    /// A file of `len` bytes.
    #[must_use]
    pub fn file((len, content): (u64, ByteStream)) -> Self {
        Self::Content {
            len: Some(len),
            content,
        }
    }

    /// Nothing more.
    ///
    /// # Errors
    /// [`WrongAnswer`] when it is anything else; the same holds for the methods below.
    pub fn done(self) -> Result<(), WrongAnswer> {
        match self {
            Self::Done => Ok(()),
            other => Err(other.instead_of("nothing")),
        }
    }

    /// A file, and its length where it is known.
    ///
    /// # Errors
    /// [`WrongAnswer`].
    pub fn content(self) -> Result<(Option<u64>, ByteStream), WrongAnswer> {
        match self {
            Self::Content { len, content } => Ok((len, content)),
            other => Err(other.instead_of("a file")),
        }
    }

    /// Where a round stands.
    ///
    /// # Errors
    /// [`WrongAnswer`].
    pub fn round_view(self) -> Result<RoundView, WrongAnswer> {
        match self {
            Self::RoundView(view) => Ok(view),
            other => Err(other.instead_of("a view of a round")),
        }
    }

    /// Shares.
    ///
    /// # Errors
    /// [`WrongAnswer`].
    pub fn shares(self) -> Result<ShareDelivery, WrongAnswer> {
        match self {
            Self::Shares(delivery) => Ok(delivery),
            other => Err(other.instead_of("shares")),
        }
    }

    /// Signatures of u3.
    ///
    /// # Errors
    /// [`WrongAnswer`].
    pub fn confirmations(self) -> Result<Vec<Confirmation>, WrongAnswer> {
        match self {
            Self::Confirmations(list) => Ok(list),
            other => Err(other.instead_of("confirmations")),
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Done => "nothing",
            Self::Content { .. } => "a file",
            Self::RoundView(_) => "a view of a round",
            Self::Shares(_) => "shares",
            Self::Confirmations(_) => "confirmations",
        }
    }

    fn instead_of(&self, expected: &'static str) -> WrongAnswer {
        WrongAnswer {
            expected,
            got: self.name(),
        }
    }
}

impl fmt::Debug for PeerAnswer {
    /// The kind alone: files cannot be shown, and shares should not be.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// An answer of another kind than its request asks for: a bug of whoever made it, since every end chooses the kind itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected}, got {got}")]
pub struct WrongAnswer {
    expected: &'static str,
    got: &'static str,
}

impl From<WrongAnswer> for PortError {
    fn from(error: WrongAnswer) -> Self {
        Self::new(PortErrorKind::Internal, "peer.answer", error.to_string())
    }
}

/// What a coordinator offers to members. Implemented by the app.
///
/// Obligations on implementers:
/// - Every call returns in bounded time, and is answered with the kind that [`PeerRequest`] names.
/// - Content is read no further than its announced length.
/// - A message that is repeated with the same content is answered as the first.
#[async_trait]
pub trait CoordinatorApi: Send + Sync + 'static {
    /// Answers `request`; `content` comes with a `Result` alone.
    ///
    /// # Errors
    /// [`PeerRejection`], for the caller to read.
    async fn call(
        &self,
        request: PeerRequest,
        content: Option<ByteStream>,
    ) -> Result<PeerAnswer, PeerRejection>;
}

/// A member's way to a coordinator.
///
/// Obligations on implementers:
/// - A rejection by the coordinator fails with `Rejected` and its sentence in `PortError::message`; a coordinator that cannot be reached
///   fails with `Unavailable` or `Timeout`.
/// - `url` is checked against the node's policy first (`Denied`): only http and https; loopback, private and link-local targets only where
///   the configuration allows them; redirects are not followed.
/// - Every answer is bounded: a file by `limit` bytes, all others by the length of a known message; more is `Corrupt`.
/// - Content is sent only if it has exactly the announced length ([`PeerRequest::with_content`]); anything else is `Internal`.
#[async_trait]
pub trait PeerTransport: Send + Sync + 'static {
    /// Asks the coordinator at `url`; `content` comes with a `Result` alone, `limit` bounds a [`PeerAnswer::Content`] in bytes.
    ///
    /// # Errors
    /// [`PortError`] as above; it names the operation [`PeerRequest::op`].
    async fn call(
        &self,
        url: &str,
        request: PeerRequest,
        content: Option<ByteStream>,
        limit: u64,
    ) -> Result<PeerAnswer, PortError>;
}

/// A member's calls, typed. Every transport has them.
///
/// They fail as [`PeerTransport::call`] does, and with `Internal` when the request is of another kind than the call.
#[async_trait]
pub trait PeerCalls: PeerTransport {
    /// Downloads a bundle of at most `limit` bytes.
    async fn bundle(&self, url: &str, task: &TaskId, limit: u64) -> Result<ByteStream, PortError> {
        let request = PeerRequest::Bundle { task: task.clone() };
        Ok(self.call(url, request, None, limit).await?.content()?.1)
    }

    /// Asks who submitted a task.
    async fn author(&self, url: &str, task: &TaskId) -> Result<AuthorWord, PortError> {
        let request = PeerRequest::Author { task: task.clone() };
        let (op, limit) = (request.op(), AuthorWord::MAX_BYTES);
        let (_, content) = self.call(url, request, None, limit).await?.content()?;
        let bytes = collect(content, limit, op).await?;
        let corrupt = || PortError::new(PortErrorKind::Corrupt, op, "it is no word of an author");
        AuthorWord::of_bytes(&bytes).ok_or_else(corrupt)
    }

    /// Downloads the certificate of a task's answer, of at most `limit` bytes.
    async fn certificate(
        &self,
        url: &str,
        task: &TaskId,
        key: Digest,
        limit: u64,
    ) -> Result<Vec<u8>, PortError> {
        let request = PeerRequest::Certificate {
            task: task.clone(),
            key,
        };
        let op = request.op();
        let (_, content) = self.call(url, request, None, limit).await?.content()?;
        collect(content, limit, op).await
    }

    /// Asks where a round stands.
    async fn round_view(
        &self,
        url: &str,
        task: &TaskId,
        round: RoundNumber,
    ) -> Result<RoundView, PortError> {
        let request = PeerRequest::RoundView {
            task: task.clone(),
            round,
        };
        Ok(self.call(url, request, None, 0).await?.round_view()?)
    }

    /// Downloads a server variable of at most `limit` bytes.
    async fn variable(
        &self,
        url: &str,
        request: &SignedRequest,
        limit: u64,
    ) -> Result<ByteStream, PortError> {
        let request = PeerRequest::Signed(request.clone());
        Ok(self.call(url, request, None, limit).await?.content()?.1)
    }

    /// Sends a message without an answer.
    async fn submit(&self, url: &str, request: &SignedRequest) -> Result<(), PortError> {
        let request = PeerRequest::Signed(request.clone());
        Ok(self.call(url, request, None, 0).await?.done()?)
    }

    /// Says that this member is there; answered after a while.
    async fn attend(&self, url: &str, request: &SignedRequest) -> Result<(), PortError> {
        let request = PeerRequest::Signed(request.clone());
        Ok(self.call(url, request, None, 0).await?.done()?)
    }

    /// Fetches the shares sealed for this node.
    async fn fetch_shares(
        &self,
        url: &str,
        request: &SignedRequest,
    ) -> Result<ShareDelivery, PortError> {
        let request = PeerRequest::Signed(request.clone());
        Ok(self.call(url, request, None, 0).await?.shares()?)
    }

    /// Fetches what this node's neighbours signed about u3.
    async fn confirmations(
        &self,
        url: &str,
        request: &SignedRequest,
    ) -> Result<Vec<Confirmation>, PortError> {
        let request = PeerRequest::Signed(request.clone());
        Ok(self.call(url, request, None, 0).await?.confirmations()?)
    }

    /// Uploads a masked result of the length that the request announces.
    async fn result(
        &self,
        url: &str,
        request: &SignedRequest,
        content: ByteStream,
    ) -> Result<(), PortError> {
        let request = PeerRequest::Signed(request.clone());
        Ok(self.call(url, request, Some(content), 0).await?.done()?)
    }
}

impl<T: PeerTransport + ?Sized> PeerCalls for T {}
