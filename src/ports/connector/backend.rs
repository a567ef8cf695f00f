//! What an adapter of the connector implements: raw commands and raw events.
//!
//! Every implementation of [`RecordBackend`] is a [`Connector`](super::Connector) (`translate.rs`), and every one can be served to
//! other processes, the record itself or something that speaks for it.

use std::pin::Pin;

use async_trait::async_trait;
use futures_core::Stream;

use super::WalletView;
use crate::{PortError, PortErrorKind};
use delta_domain::connector_record::{Answer, Command, RecordEvent, Rejection};

/// A call's answer with its receipt, which is empty for reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// Hash of the transaction; empty for reads.
    pub tx_hash: String,
    /// What the call answers.
    pub answer: Answer,
}

/// A live subscription, unparsed. Events come in publication order; an `Err` item is the last one, and there always is one: a
/// subscription ends only because its listener drops it, or with the reason why no more can come.
pub type RecordEvents = Pin<Box<dyn Stream<Item = Result<RecordEvent, PortError>> + Send>>;

/// Executes the connector's calls.
///
/// Obligations on implementers: those of [`Connector`](super::Connector), which this trait carries.
#[async_trait]
pub trait RecordBackend: Send + Sync + 'static {
    /// Executes one call. `op` names it in errors.
    async fn execute(&self, op: &'static str, command: Command) -> Result<Receipt, PortError>;

    /// Opens a subscription. `listener` says who asks, in its own words: it need not be an address.
    ///
    /// Dropping the stream ends the subscription. Waiting for its next item may be given up and begun again without a loss.
    async fn open(&self, op: &'static str, listener: &str) -> Result<RecordEvents, PortError>;

    /// How the calls of this node's wallet are getting on.
    fn wallet(&self) -> WalletView {
        WalletView::default()
    }
}

/// The failure of a call that the record did not accept.
#[must_use]
pub fn rejected(op: &'static str, rejection: Rejection) -> PortError {
    match rejection {
        Rejection::ByRule(reason, text) => {
            PortError::new(PortErrorKind::Rejected, op, text).with_reason(reason)
        }
        Rejection::Unsupported(text) => PortError::new(PortErrorKind::Unsupported, op, text),
        Rejection::NeedsBody(_) => {
            PortError::new(PortErrorKind::Internal, op, "a round could not be loaded")
        }
    }
}
