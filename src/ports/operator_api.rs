//! What the node offers to those who operate it: how it is, what it has measured, and how much its log says. Implemented by the app.

use async_trait::async_trait;

use super::metrics::{Exposition, Vitals};
use super::{PortError, PortErrorKind, UserError};

/// What the node offers to its operators.
#[async_trait]
pub trait OperatorApi: Send + Sync + 'static {
    /// How the node is now. Quick: nothing is started or looked for.
    async fn vitals(&self) -> Vitals;
    /// What it has measured, and how it is, as text.
    async fn measurements(&self, form: Exposition) -> Result<String, UserError>;
    /// What this process's log says, as a filter: `info`, or `info,delta_http=debug`.
    async fn log_filter(&self) -> Result<String, UserError>;
    /// Lets the log of this process say more or less, until it ends. `Invalid` for what is no filter.
    async fn set_log_filter(&self, filter: &str) -> Result<(), UserError>;
}

/// How much a process's log says.
///
/// Obligation on implementers: neither call blocks.
pub trait LogFilter: Send + Sync + 'static {
    /// What it says, as a filter.
    ///
    /// # Errors
    /// `Rejected` where nobody can say.
    fn filter(&self) -> Result<String, PortError>;
    /// Lets it say something else from now on.
    ///
    /// # Errors
    /// `Rejected` for what is no filter, or where it cannot be changed.
    fn set_filter(&self, filter: &str) -> Result<(), PortError>;
}

/// A log that says what it says.
#[derive(Debug, Clone, Copy, Default)]
pub struct FixedLog;

impl FixedLog {
    fn error<T>() -> Result<T, PortError> {
        let text = "the log of this process cannot be changed while it runs";
        Err(PortError::new(PortErrorKind::Rejected, "log.filter", text))
    }
}

impl LogFilter for FixedLog {
    fn filter(&self) -> Result<String, PortError> {
        Self::error()
    }

    fn set_filter(&self, _: &str) -> Result<(), PortError> {
        Self::error()
    }
}
