//! Why an execution failed, in the form that crosses the pipe between the worker and the node.

use std::fmt;
use std::io;

use serde::{Deserialize, Serialize};

use delta_ports::{PortError, PortErrorKind};

/// Whose trouble it is; see the obligations on [`delta_ports::executor::Executor`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum FailureKind {
    /// The task's: forbidden or malformed graph, wrong shapes, an operator that fails.
    Refused,
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

/// A sentence that stands alone, and its kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Failure {
    pub(crate) kind: FailureKind,
    pub(crate) message: String,
}

impl Failure {
    pub(crate) fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
        }
    }

    pub(crate) fn refused(message: impl Into<String>) -> Self {
        Self::new(FailureKind::Refused, message)
    }

    pub(crate) fn exhausted(message: impl Into<String>) -> Self {
        Self::new(FailureKind::Exhausted, message)
    }

    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new(FailureKind::NotFound, message)
    }

    pub(crate) fn corrupt(message: impl Into<String>) -> Self {
        Self::new(FailureKind::Corrupt, message)
    }

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

    /// As the port speaks.
    pub(crate) fn into_port(self, op: &'static str) -> PortError {
        let kind = match self.kind {
            FailureKind::Refused => PortErrorKind::Refused,
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
