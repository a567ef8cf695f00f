//! Why a job ended without its result, in the form that crosses the pipe between the worker and the node.

use std::fmt;
use std::io;

use serde::{Deserialize, Serialize};

use delta_ports::{PortError, PortErrorKind};

/// Who can mend it; the names of [`delta_ports::executor::Executor`]'s obligations, but for one: what the node rejects, its port
/// calls `Rejected`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum FailureKind {
    /// The task's: forbidden or malformed graph, wrong shapes, an operator that fails.
    Rejected,
    /// A limit of this node.
    Exhausted,
    /// The data are not here.
    NotFound,
    /// The data are unreadable or look otherwise than the task says.
    Corrupt,
    /// The runtime library cannot be used.
    Unavailable,
    /// A bug on this side.
    Internal,
}

/// How a job failed: a sentence that stands alone, and whom it is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Failure {
    pub(crate) kind: FailureKind,
    pub(crate) message: String,
}

impl Failure {
    /// A failure of any kind.
    pub(crate) fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
        }
    }

    /// The task cannot be run as it is: its author can mend it.
    pub(crate) fn rejected(message: impl Into<String>) -> Self {
        Self::new(FailureKind::Rejected, message)
    }

    /// The task needs more than this node gives: its author or the node's operator can mend it.
    pub(crate) fn exhausted(message: impl Into<String>) -> Self {
        Self::new(FailureKind::Exhausted, message)
    }

    /// There are no such data here: their owner can mend it.
    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new(FailureKind::NotFound, message)
    }

    /// The data cannot be read as the task says: their owner or the task's author can mend it.
    pub(crate) fn corrupt(message: impl Into<String>) -> Self {
        Self::new(FailureKind::Corrupt, message)
    }

    /// What cannot happen has happened.
    pub(crate) fn internal(message: impl Into<String>) -> Self {
        Self::new(FailureKind::Internal, message)
    }

    /// An I/O error as a sentence about local data: `what` cannot be read.
    pub(crate) fn unreadable(what: &str, error: &io::Error) -> Self {
        Self::corrupt(format!("{what} cannot be read: {error}"))
    }

    /// The same failure with where it happened in front.
    #[must_use]
    pub(crate) fn within(mut self, place: &str) -> Self {
        self.message = format!("{place}: {}", self.message);
        self
    }

    /// As an error of the port, met while doing `op`.
    pub(crate) fn into_port(self, op: &'static str) -> PortError {
        let kind = match self.kind {
            FailureKind::Rejected => PortErrorKind::Rejected,
            FailureKind::Exhausted => PortErrorKind::Exhausted,
            FailureKind::NotFound => PortErrorKind::NotFound,
            FailureKind::Corrupt => PortErrorKind::Corrupt,
            FailureKind::Unavailable => PortErrorKind::Unavailable,
            FailureKind::Internal => PortErrorKind::Internal,
        };
        PortError::new(kind, op, self.message)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}
