//! What a task is to the network and to this node's users: kind, status, record.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Which of the connector's two task services keeps a task. The round is the same in both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum TaskKind {
    /// Learning and analytics.
    Horizontal,
    /// Logistic regression with an optional proof.
    Hlr,
}

impl TaskKind {
    /// Wire form.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Horizontal => "horizontal",
            Self::Hlr => "hlr",
        }
    }
}

impl fmt::Display for TaskKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A task type that this program does not know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown task type {0}")]
pub struct UnknownTaskKind(pub String);

impl FromStr for TaskKind {
    type Err = UnknownTaskKind;
    fn from_str(s: &str) -> Result<Self, UnknownTaskKind> {
        match s {
            "horizontal" => Ok(Self::Horizontal),
            "hlr" => Ok(Self::Hlr),
            other => Err(UnknownTaskKind(other.chars().take(80).collect())),
        }
    }
}

/// Where a task stands, with the numbers and names of the original's API (docs/protocol/http.md, For authors).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum TaskStatus {
    /// Accepted here, not yet on the connector.
    Pending = 0,
    /// Rounds are running.
    Running = 1,
    /// The result is there.
    Finished = 2,
    /// It failed; the log says why.
    Error = 3,
    /// `hlr`: the result is there and proved.
    Confirmed = 4,
}

impl TaskStatus {
    /// Name in the HTTP API.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Running => "RUNNING",
            Self::Finished => "FINISHED",
            Self::Error => "ERROR",
            Self::Confirmed => "CONFIRMED",
        }
    }

    /// Number in the HTTP API and the database.
    #[must_use]
    pub fn code(self) -> u8 {
        self as u8
    }

    /// The status of a number.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        [
            Self::Pending,
            Self::Running,
            Self::Finished,
            Self::Error,
            Self::Confirmed,
        ]
        .into_iter()
        .find(|s| s.code() == code)
    }

    /// Whether nothing more will happen.
    #[must_use]
    pub fn is_terminal(self) -> bool {
        matches!(self, Self::Finished | Self::Error | Self::Confirmed)
    }
}
