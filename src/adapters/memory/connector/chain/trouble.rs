//! What a connector on a chain says when it does not do what it was asked, in its own words, and what those mean to a node.

use delta_domain::connector_record::RejectionReason;
use delta_ports::{PortError, PortErrorKind};

use super::contracts::No;

/// Trouble that tests may plan for a call, beside what the contracts say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChainTrouble {
    /// The connector does not reach its chain: nothing was sent.
    LinkDown,
    /// Another transaction of the wallet is on its way: this one is not taken.
    Nonce,
    /// It was sent, and the connector does not hear what became of it.
    ReceiptUnknown,
    /// The wallet cannot pay: nothing was sent.
    EmptyWallet,
}

/// Why a call fails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Trouble {
    /// What was planned, or a link that is cut.
    Of(ChainTrouble),
    /// The transaction is in a block, and did nothing: the contract took it back, or it ran out of gas.
    Reverted(Receipt),
    /// The connector has looked for its chain long enough, and looks no more.
    GivesUp,
    /// A question that the contract does not answer, for this reason.
    NoAnswer(&'static str),
    /// The connector, or its library, refuses by itself.
    Said(String),
    /// The connector's process is gone.
    Gone,
}

/// What is shown of a transaction that is in a block and did nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Receipt {
    pub(super) hash: String,
    pub(super) block: u64,
    pub(super) from: String,
    pub(super) gas: u64,
}

impl Receipt {
    /// As the library prints it: many lines of JSON.
    fn text(&self) -> String {
        let Self {
            hash,
            block,
            from,
            gas,
        } = self;
        let bloom = "0".repeat(512);
        format!(
            "{{\n  \"transactionHash\": \"{hash}\",\n  \"transactionIndex\": 0,\n  \"blockNumber\": {block},\n  \"blockHash\": \"{hash}\",\n  \"from\": \"{from}\",\n  \"to\": \"{from}\",\n  \"cumulativeGasUsed\": {gas},\n  \"gasUsed\": {gas},\n  \"contractAddress\": null,\n  \"logs\": [],\n  \"logsBloom\": \"0x{bloom}\",\n  \"status\": false,\n  \"effectiveGasPrice\": 1,\n  \"type\": \"0x0\"\n}}"
        )
    }
}

impl From<ChainTrouble> for Trouble {
    fn from(trouble: ChainTrouble) -> Self {
        Self::Of(trouble)
    }
}

/// Of a question; a transaction's is [`Trouble::Reverted`].
impl From<No> for Trouble {
    fn from(no: No) -> Self {
        match no {
            No::Reverted(reason) => Self::NoAnswer(reason),
            No::Invalid(text) => Self::Said(text),
        }
    }
}

impl Trouble {
    /// The connector's words.
    pub(super) fn text(&self) -> String {
        match self {
            Self::Of(ChainTrouble::LinkDown) => "connection not open on send()".to_owned(),
            Self::Of(ChainTrouble::Nonce) => {
                "Returned error: the tx doesn't have the correct nonce. account has nonce of: 8 tx has nonce of: 7".to_owned()
            }
            Self::Of(ChainTrouble::ReceiptUnknown) => {
                "Failed to check for transaction receipt:\n{}".to_owned()
            }
            Self::Of(ChainTrouble::EmptyWallet) => {
                "Returned error: insufficient funds for gas * price + value".to_owned()
            }
            Self::Reverted(receipt) => format!(
                "Transaction has been reverted by the EVM:\n{}",
                receipt.text()
            ),
            Self::GivesUp => "Maximum number of reconnect attempts reached!".to_owned(),
            Self::NoAnswer(reason) => {
                let text =
                    format!("Returned error: VM Exception while processing transaction: revert {reason}");
                text.trim_end().to_owned()
            }
            Self::Said(text) => text.clone(),
            Self::Gone => "the connection to the connector is lost".to_owned(),
        }
    }

    /// As the node's own adapter reads it.
    pub(super) fn typed(&self, op: &'static str) -> PortError {
        let kind = match self {
            Self::Of(ChainTrouble::ReceiptUnknown) => PortErrorKind::Timeout,
            Self::Of(_) | Self::GivesUp | Self::Gone => PortErrorKind::Unavailable,
            _ => PortErrorKind::Rejected,
        };
        let text = self.text();
        let line = text.lines().next().unwrap_or_default();
        let error = PortError::new(kind, op, line.trim_end_matches(':'));
        let error = match kind {
            PortErrorKind::Rejected => error.with_reason(self.reason()),
            _ => error,
        };
        match self.trouble() {
            Some(trouble) => error.with_trouble(trouble),
            None => error,
        }
    }

    fn trouble(&self) -> Option<delta_ports::ChainTrouble> {
        use delta_ports::ChainTrouble as Typed;
        match self {
            Self::Of(ChainTrouble::LinkDown) | Self::GivesUp => Some(Typed::LinkDown),
            Self::Of(ChainTrouble::Nonce) => Some(Typed::Nonce),
            Self::Of(ChainTrouble::ReceiptUnknown) => Some(Typed::ReceiptUnknown),
            Self::Of(ChainTrouble::EmptyWallet) => Some(Typed::EmptyWallet),
            Self::Reverted(_) | Self::NoAnswer(_) => Some(Typed::Reverted),
            Self::Said(_) | Self::Gone => None,
        }
    }

    /// As the connector's own process answers: every word of its is a refusal.
    pub(super) fn raw(&self, op: &'static str) -> PortError {
        let kind = match self {
            Self::Gone => PortErrorKind::Unavailable,
            _ => PortErrorKind::Rejected,
        };
        PortError::new(kind, op, self.text())
    }

    fn reason(&self) -> RejectionReason {
        match self {
            Self::NoAnswer("node has not joined in") => RejectionReason::NodeNotAlive,
            Self::NoAnswer("Task not exists") => RejectionReason::NoSuchTask,
            Self::NoAnswer("this round does not exist") => RejectionReason::NoSuchRound,
            Self::NoAnswer("") => RejectionReason::NoSuchData,
            Self::Said(text) if text == super::contracts::NO_RESULT => {
                RejectionReason::ResultMissing
            }
            _ => RejectionReason::Other,
        }
    }
}
