//! What a connector that keeps its record on a blockchain says when the chain is the trouble, and not the call.
//!
//! It passes on the texts of its library (web3.js), of the chain's node and of the contracts, all under the one code that it has for every
//! refusal. Recognised here once; what is an answer of the connector itself (`rejections.rs`) is looked for first, since those texts repeat
//! what callers wrote.

use delta_domain::connector_record::RejectionReason;
use delta_ports::ChainTrouble::{
    self, EmptyWallet, LinkDown, Nonce, OtherAddress, OutOfGas, ReceiptUnknown, Reverted,
};

/// Parts of texts in small letters, the first that fits counts.
const TEXTS: [(ChainTrouble, &[&str]); 7] = [
    (OtherAddress, &["chain connector node address is not"]),
    (
        OutOfGas,
        &[
            "out of gas",
            "exceeds block gas limit",
            "intrinsic gas too low",
        ],
    ),
    (
        Reverted,
        &[
            "reverted by the evm",
            "vm exception while processing transaction",
            "execution reverted",
            "is reverted",
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

/// The trouble that a refusal's text tells of.
pub(crate) fn trouble_of(text: &str) -> Option<ChainTrouble> {
    let small = text.to_ascii_lowercase();
    let fits =
        |(_, parts): &&(ChainTrouble, &[&str])| parts.iter().any(|part| small.contains(part));
    let trouble = TEXTS.iter().find(fits).map(|(trouble, _)| *trouble);
    match trouble {
        // Where the connector set the limit itself, its library takes the one for the other.
        Some(Reverted) if gas_used(&small).is_some_and(|gas| gas >= BURNT) => Some(OutOfGas),
        trouble => trouble,
    }
}

/// What a receipt in a text says was used.
fn gas_used(text: &str) -> Option<u64> {
    let (_, rest) = text.split_once("\"gasused\":")?;
    let rest = rest.trim_start();
    let end = rest.find(|c: char| !c.is_ascii_digit())?;
    rest[..end].parse().ok()
}

/// One short line for logs: what it is, and the first line of what was said, which may be followed by a whole receipt.
pub(crate) fn told(trouble: ChainTrouble, text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    let line = line.split('{').next().unwrap_or_default();
    let line: String = line
        .trim()
        .trim_end_matches(':')
        .chars()
        .take(LINE)
        .collect();
    format!("{} ({line})", trouble.told())
}

/// What a contract takes back for its rules costs 24,000 to 42,000; only who ran out has used so much.
const BURNT: u64 = 1_000_000;

/// Why a contract does not answer a question, where it says so: a transaction's receipt does not, and needs no reason.
pub(crate) fn reason_of(text: &str) -> RejectionReason {
    // As ganache, Hardhat (`reverted with reason string '...'`) and geth (`execution reverted: ...`) say it.
    const REVERTS: [&str; 2] = [
        "vm exception while processing transaction: revert",
        "execution reverted",
    ];
    let small = text.to_ascii_lowercase();
    let line = small.lines().next().unwrap_or_default();
    let said = REVERTS.iter().find_map(|revert| line.split_once(revert));
    let said = said.map(|(_, reason)| {
        let reason = reason
            .strip_prefix("ed with reason string")
            .unwrap_or(reason);
        reason.trim_matches([':', ' ', '\'', '"'])
    });
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
    use delta_ports::PortErrorKind;

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
            assert_eq!(trouble_of(text), Some(trouble), "{text}");
            assert_eq!(trouble.kind(), kind);
            let told = told(trouble, text);
            assert!(!told.contains(['\n', '{']) && told.len() < 300, "{told}");
        }
        assert_eq!(
            told(
                Reverted,
                "Transaction has been reverted by the EVM:\n{\"a\": 1}"
            ),
            "the contract reverted the transaction (Transaction has been reverted by the EVM)"
        );
        assert_eq!(trouble_of("node of address 0x1 is not alive"), None);
        let burnt = "Transaction has been reverted by the EVM:\n{\n  \"gasUsed\": 10000000,\n  \"logs\": []\n}";
        assert_eq!(trouble_of(burnt), Some(OutOfGas));
        let other = "chain connector node address is not 0xAb";
        assert_eq!(trouble_of(other), Some(OtherAddress));
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
            let geth = match said {
                "" => "Returned error: execution reverted".to_owned(),
                _ => format!("Returned error: execution reverted:{said}"),
            };
            assert_eq!(reason_of(&geth), reason, "{geth}");
            let hardhat = format!("{read}ed with reason string '{}'", said.trim());
            assert_eq!(reason_of(&hardhat), reason, "{hardhat}");
            assert_eq!(trouble_of(&text), Some(Reverted));
        }
        let receipt = "Transaction has been reverted by the EVM:\n{}";
        assert_eq!(reason_of(receipt), RejectionReason::Other);
    }
}
