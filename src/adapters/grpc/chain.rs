//! What a connector that keeps its record on a blockchain says when the chain is the trouble, and not the call.
//!
//! It passes on the texts of its library (web3.js), of the chain's node and of the contracts, all under the one code that it has for every
//! refusal. Recognised here once; what is an answer of the connector itself (`rejections.rs`) is looked for first, since those texts repeat
//! what callers wrote.

use delta_domain::connector_record::RejectionReason;
use delta_ports::PortErrorKind;

/// Trouble with the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ChainTrouble {
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
}

use ChainTrouble::{EmptyWallet, LinkDown, Nonce, OutOfGas, ReceiptUnknown, Reverted};

/// Parts of texts in small letters, the first that fits counts.
const TEXTS: [(ChainTrouble, &[&str]); 6] = [
    (
        Reverted,
        &[
            "reverted by the evm",
            "vm exception while processing transaction",
            "execution reverted",
            "is reverted",
        ],
    ),
    (
        OutOfGas,
        &[
            "out of gas",
            "exceeds block gas limit",
            "intrinsic gas too low",
        ],
    ),
    (EmptyWallet, &["insufficient funds"]),
    (ReceiptUnknown, &["not mined within", "transaction receipt"]),
    (
        Nonce,
        &[
            "nonce",
            "already known",
            "replacement transaction underpriced",
        ],
    ),
    (
        LinkDown,
        &[
            "connection not open",
            "connection error",
            "connection dropped",
            "connection timeout",
            "couldn't connect to node",
            "invalid json rpc response",
            "maximum number of reconnect attempts",
            "econnrefused",
            "econnreset",
            "socket hang up",
        ],
    ),
];

impl ChainTrouble {
    /// The trouble that a refusal's text tells of.
    pub(crate) fn of(text: &str) -> Option<Self> {
        let small = text.to_ascii_lowercase();
        let fits = |(_, parts): &&(Self, &[&str])| parts.iter().any(|part| small.contains(part));
        TEXTS.iter().find(fits).map(|(trouble, _)| *trouble)
    }

    /// What a caller can do about it: what passes is waited out as an outage is.
    pub(crate) fn kind(self) -> PortErrorKind {
        match self {
            Self::LinkDown | Self::Nonce | Self::EmptyWallet => PortErrorKind::Unavailable,
            Self::ReceiptUnknown => PortErrorKind::Timeout,
            Self::OutOfGas | Self::Reverted => PortErrorKind::Rejected,
        }
    }

    /// One short line for logs: what it is, and the first line of what was said, which may be followed by a whole receipt.
    pub(crate) fn told(self, text: &str) -> String {
        let what = match self {
            Self::LinkDown => "the connector does not reach its chain",
            Self::Nonce => "another transaction of the connector's wallet is on its way",
            Self::ReceiptUnknown => "it is not known yet whether the transaction is on the chain",
            Self::EmptyWallet => "the connector's wallet cannot pay for transactions",
            Self::OutOfGas => "the transaction takes more gas than it may",
            Self::Reverted => "the contract reverted the transaction",
        };
        let line = text.lines().next().unwrap_or_default();
        let line = line.split('{').next().unwrap_or_default();
        let line: String = line
            .trim()
            .trim_end_matches(':')
            .chars()
            .take(LINE)
            .collect();
        format!("{what} ({line})")
    }
}

/// Why a contract does not answer a question, where it says so: a transaction's receipt does not, and needs no reason.
pub(crate) fn reason_of(text: &str) -> RejectionReason {
    const REVERT: &str = "vm exception while processing transaction: revert";
    let small = text.to_ascii_lowercase();
    let said = small.split_once(REVERT).map(|(_, reason)| reason.trim());
    match said {
        Some("node has not joined in") => RejectionReason::NodeNotAlive,
        Some("task not exists") => RejectionReason::NoSuchTask,
        Some("this round does not exist") => RejectionReason::NoSuchRound,
        // The one question whose contract gives no reason is that for data.
        Some("") => RejectionReason::NoSuchData,
        _ => RejectionReason::Other,
    }
}

/// Characters of a chain's text that are shown.
const LINE: usize = 160;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trouble_is_told_in_one_line_and_waited_out_where_it_passes() {
        for (text, trouble, kind) in [
            (
                "connection not open on send()",
                LinkDown,
                PortErrorKind::Unavailable,
            ),
            (
                "CONNECTION ERROR: Couldn't connect to node ws://c:8545.",
                LinkDown,
                PortErrorKind::Unavailable,
            ),
            (
                "Returned error: the tx doesn't have the correct nonce. account has nonce of: 8 tx has nonce of: 7",
                Nonce,
                PortErrorKind::Unavailable,
            ),
            (
                "Transaction was not mined within 750 seconds, please make sure your transaction was properly sent.",
                ReceiptUnknown,
                PortErrorKind::Timeout,
            ),
            (
                "Failed to check for transaction receipt:\n{}",
                ReceiptUnknown,
                PortErrorKind::Timeout,
            ),
            (
                "Returned error: insufficient funds for gas * price + value",
                EmptyWallet,
                PortErrorKind::Unavailable,
            ),
            (
                "Transaction ran out of gas. Please provide more gas:\n{}",
                OutOfGas,
                PortErrorKind::Rejected,
            ),
            (
                "Transaction has been reverted by the EVM:\n{\n  \"blockHash\": \"0xab\",\n  \"gasUsed\": 1\n}",
                Reverted,
                PortErrorKind::Rejected,
            ),
        ] {
            assert_eq!(ChainTrouble::of(text), Some(trouble), "{text}");
            assert_eq!(trouble.kind(), kind);
            let told = trouble.told(text);
            assert!(!told.contains(['\n', '{']) && told.len() < 300, "{told}");
        }
        assert_eq!(
            Reverted.told("Transaction has been reverted by the EVM:\n{\"a\": 1}"),
            "the contract reverted the transaction (Transaction has been reverted by the EVM)"
        );
        assert_eq!(ChainTrouble::of("node of address 0x1 is not alive"), None);
    }

    #[test]
    fn a_contract_that_does_not_answer_says_why() {
        let read = "Returned error: VM Exception while processing transaction: revert";
        for (said, reason) in [
            (" node has not joined in", RejectionReason::NodeNotAlive),
            (" Task not exists", RejectionReason::NoSuchTask),
            (" this round does not exist", RejectionReason::NoSuchRound),
            ("", RejectionReason::NoSuchData),
            (" of another kind", RejectionReason::Other),
        ] {
            let text = format!("{read}{said}");
            assert_eq!(reason_of(&text), reason, "{text}");
            assert_eq!(ChainTrouble::of(&text), Some(Reverted));
        }
        let receipt = "Transaction has been reverted by the EVM:\n{}";
        assert_eq!(reason_of(receipt), RejectionReason::Other);
    }
}
