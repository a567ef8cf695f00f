//! Why something is no proof, or cannot be proven.

use std::fmt;

use delta_ports::{PortError, PortErrorKind};

/// A sentence that names the thing and the place. Whether it is the caller's fault or a stranger's is known where it is turned into a
/// [`PortError`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ProofError(String);

impl fmt::Display for ProofError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl ProofError {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The same, said of `thing`.
    pub(crate) fn of(self, thing: impl fmt::Display) -> Self {
        Self(format!("{thing}: {}", self.0))
    }

    /// What the caller asked for cannot be.
    pub(crate) fn rejected(self, op: &'static str) -> PortError {
        PortError::new(PortErrorKind::Rejected, op, self.0)
    }

    /// The bytes of somebody else do not hold.
    pub(crate) fn corrupt(self, op: &'static str) -> PortError {
        PortError::new(PortErrorKind::Corrupt, op, self.0)
    }
}
