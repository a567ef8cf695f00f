//! The one error of all ports: what kind of trouble, in which operation, caused by what. And what users are told.

use std::error::Error as StdError;
use std::sync::Arc;

use delta_domain::connector_record::RejectionReason;

/// What a caller can do about a failed port call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PortErrorKind {
    /// The other side cannot be reached now. Retry later; the call may have taken effect.
    Unavailable,
    /// No answer in time. Retry later; the call may have taken effect.
    Timeout,
    /// Somebody else changed the same thing first. Reload, then decide.
    Conflict,
    /// The thing asked for does not exist.
    NotFound,
    /// The other side understood and said no. Retrying the same call is pointless.
    Rejected,
    /// The answer breaks the rules: undecodable, too large, wrong checksum.
    Corrupt,
    /// This node's own policy or permissions forbid it.
    Denied,
    /// A local resource is used up: disk, memory, file handles.
    Exhausted,
    /// The other side does not offer this operation.
    Unsupported,
    /// A bug on this side.
    Internal,
}

impl PortErrorKind {
    /// Stable name: metric label, log field, test assertion.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Unavailable => "unavailable",
            Self::Timeout => "timeout",
            Self::Conflict => "conflict",
            Self::NotFound => "not_found",
            Self::Rejected => "refused",
            Self::Corrupt => "corrupt",
            Self::Denied => "denied",
            Self::Exhausted => "exhausted",
            Self::Unsupported => "unsupported",
            Self::Internal => "internal",
        }
    }

    /// Whether the same call may succeed later without anybody changing it.
    #[must_use]
    pub fn is_transient(self) -> bool {
        matches!(self, Self::Unavailable | Self::Timeout | Self::Exhausted)
    }
}

/// Why a record that is kept on a blockchain did not take a call, where the chain is the trouble and not the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ChainTrouble {
    /// The connector does not reach its chain.
    LinkDown,
    /// Another transaction of the wallet came first, or is still on its way.
    Nonce,
    /// It was sent, and nobody knows whether it is on the chain.
    ReceiptUnknown,
    /// The wallet cannot pay.
    EmptyWallet,
    /// More work than a block, or the connector, allows.
    OutOfGas,
    /// The contract took it back: the call does not fit what is on record.
    Reverted,
    /// The connector acts for another address than the caller's, or writes the same in other letters.
    OtherAddress,
}

impl ChainTrouble {
    /// What a caller can do about it: what passes is waited out as an outage is.
    #[must_use]
    pub fn kind(self) -> PortErrorKind {
        match self {
            Self::LinkDown | Self::Nonce | Self::EmptyWallet => PortErrorKind::Unavailable,
            Self::ReceiptUnknown => PortErrorKind::Timeout,
            Self::OutOfGas | Self::Reverted | Self::OtherAddress => PortErrorKind::Rejected,
        }
    }

    /// In words that stand alone, for people.
    #[must_use]
    pub fn told(self) -> &'static str {
        match self {
            Self::LinkDown => "the connector does not reach its chain",
            Self::Nonce => "another transaction of the connector's wallet is on its way",
            Self::ReceiptUnknown => "it is not known yet whether the transaction is on the chain",
            Self::EmptyWallet => "the connector's wallet cannot pay for transactions",
            Self::OutOfGas => "the transaction takes more gas than it may",
            Self::Reverted => "the contract reverted the transaction",
            Self::OtherAddress => {
                "the connector registers this node and refuses everything else that it does: nodeAddress in the connector's configuration must be the address of its wallet in the letters, large and small, that the registration is answered with"
            }
        }
    }
}

/// A port call that failed.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{op}: {message}")]
pub struct PortError {
    kind: PortErrorKind,
    op: &'static str,
    message: String,
    reason: Option<RejectionReason>,
    trouble: Option<ChainTrouble>,
    #[source]
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

impl PortError {
    /// An error of `kind` in operation `op` (for example `"connector.join_round"`), with a sentence that stands alone.
    #[must_use]
    pub fn new(kind: PortErrorKind, op: &'static str, message: impl Into<String>) -> Self {
        Self {
            kind,
            op,
            message: message.into(),
            reason: None,
            trouble: None,
            source: None,
        }
    }

    /// Adds the cause. `message` must not repeat it.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(Arc::from(source.into()));
        self
    }

    /// Adds why the connector said no.
    #[must_use]
    pub fn with_reason(mut self, reason: RejectionReason) -> Self {
        self.reason = Some(reason);
        self
    }

    /// Adds what is wrong with the chain behind the connector.
    #[must_use]
    pub fn with_trouble(mut self, trouble: ChainTrouble) -> Self {
        self.trouble = Some(trouble);
        self
    }

    /// What can be done about it.
    #[must_use]
    pub fn kind(&self) -> PortErrorKind {
        self.kind
    }

    /// The operation that failed.
    #[must_use]
    pub fn op(&self) -> &'static str {
        self.op
    }

    /// Why the connector said no: what a program may steer by, as it may by [`Self::kind`]. `None` for every other error.
    #[must_use]
    pub fn reason(&self) -> Option<RejectionReason> {
        self.reason
    }

    /// What is wrong with the chain behind the connector, where that is the trouble: what a program may steer by, too.
    #[must_use]
    pub fn trouble(&self) -> Option<ChainTrouble> {
        self.trouble
    }

    /// The sentence without the operation's name, for people: when the connector said no, its own text.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Whether this machine lacks what keeping something takes: room on a disk, or file descriptors. Says nothing of data.
    #[must_use]
    pub fn is_lack_at_home(&self) -> bool {
        let keeps = ["blob.", "storage."].iter().any(|s| self.op.starts_with(s));
        self.kind == PortErrorKind::Exhausted && keeps
    }

    /// Shorthand for `self.kind().is_transient()`.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        self.kind.is_transient()
    }
}

/// Why the request of a user, author or owner, is not done. The text is for the user.
#[derive(Debug, thiserror::Error)]
pub enum UserError {
    /// The request is wrong; the sentence says what and how to mend it (HTTP 400).
    #[error("{0}")]
    Invalid(String),
    /// The body is larger than this node takes (HTTP 413).
    #[error("{0}")]
    TooLarge(String),
    /// The node, or the connector behind it, cannot do it now (HTTP 503).
    #[error("{0}")]
    Unavailable(String),
    /// A port failed in a way that waiting does not mend (HTTP 500, fixed text; the log has the cause).
    #[error(transparent)]
    Port(#[from] PortError),
}

/// The whole chain of causes in one line, for a log record.
#[must_use]
pub fn report(error: &(dyn StdError + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}
