//! Values on their way into a transaction, as the connector's library takes them.

use delta_domain::connector_record::Command;
use delta_domain::ids::{Digest, encode_hex};

use super::No;

/// 32 bytes that nobody has written.
pub(super) const ZEROS: &str = "0x0000000000000000000000000000000000000000000000000000000000000000";

/// Bytes of a commitment to a share, or of a share.
const SHARE_BYTES: usize = 256;

/// An address in small letters.
pub(super) fn small(address: &str) -> Result<String, No> {
    let digits = address.strip_prefix("0x").unwrap_or_default();
    if digits.len() == 40 && digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Ok(address.to_ascii_lowercase());
    }
    Err(invalid("invalid address", "address", address))
}

pub(super) fn smalls(addresses: &[String]) -> Result<Vec<String>, No> {
    addresses.iter().map(|a| small(a)).collect()
}

/// An address in small and capital letters, as EIP-55 writes it, but by another hash: nobody here checks the letters, all compare them.
pub(in crate::connector::chain) fn mixed_case(small: &str) -> String {
    let hash = Digest::of(small.as_bytes()).0;
    let letter = |(place, letter): (usize, char)| match place.checked_sub(2) {
        Some(digit) if hash[digit % hash.len()] >= 128 => letter.to_ascii_uppercase(),
        _ => letter,
    };
    small.chars().enumerate().map(letter).collect()
}

/// A `bytes32`: with `0x`, at most 32 bytes, filled up with zeros on the right; no text at all is none, `0x` is.
pub(super) fn bytes32(text: &str) -> Result<String, No> {
    let bytes = bytes(text)?;
    if bytes.len() > ZEROS.len() {
        return Err(invalid("invalid arrayify value", "value", text));
    }
    Ok(format!("{bytes:0<66}"))
}

/// `bytes`: any hex with `0x`, an odd number of digits gets a zero before them.
pub(super) fn bytes(text: &str) -> Result<String, No> {
    let digits = text.strip_prefix("0x");
    let digits = digits.filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit()));
    match digits {
        Some(digits) if digits.len() % 2 == 0 => Ok(text.to_ascii_lowercase()),
        Some(digits) => Ok(format!("0x0{}", digits.to_ascii_lowercase())),
        None => Err(invalid("invalid arrayify value", "value", text)),
    }
}

/// Values that are commitments to shares, or shares: not empty, not long.
pub(super) fn shares(texts: &[String]) -> Result<Vec<String>, No> {
    let mut all = Vec::with_capacity(texts.len());
    for text in texts {
        let value = bytes(text)?;
        if !(4..=2 + 2 * SHARE_BYTES).contains(&value.len()) {
            return Err(No::Reverted(
                "commitment length exceeds limit or it is empty",
            ));
        }
        all.push(value);
    }
    Ok(all)
}

/// A number that no unsigned one is.
pub(super) fn out_of_bounds(what: &str) -> No {
    No::Invalid(format!(
        "value out-of-bounds (argument=\"{what}\", value=\"-1\", code=INVALID_ARGUMENT, version=abi/5.7.0)"
    ))
}

fn invalid(what: &str, argument: &str, value: &str) -> No {
    let shown: String = value.chars().take(80).collect();
    No::Invalid(format!(
        "{what} (argument=\"{argument}\", value=\"{shown}\", code=INVALID_ARGUMENT, version=bytes/5.7.0)"
    ))
}

/// A digest as a task's or a transaction's id.
pub(super) fn hash(parts: &[&str]) -> String {
    encode_hex(&Digest::of(parts.join("\n").as_bytes()).0)
}

/// What does not depend on the state: the library refuses it before it sends anything.
pub(super) fn check(command: &Command) -> Result<(), No> {
    if let Some(at) = command.round_ref() {
        bytes32(&at.task)?;
        if at.round < 0 {
            return Err(out_of_bounds("round"));
        }
    }
    match command {
        Command::RegisterData {
            index, commitment, ..
        } => {
            bytes32(commitment)?;
            (*index >= 0)
                .then_some(())
                .ok_or_else(|| out_of_bounds("index"))
        }
        Command::CreateTask(task) => bytes32(&task.commitment).map(drop),
        Command::StartRound {
            at,
            weight_commitment,
            ..
        } if at.kind == delta_domain::task::TaskKind::Hlr => bytes32(weight_commitment).map(drop),
        Command::JoinRound { pk1, pk2, .. } => bytes(pk1).and(bytes(pk2)).map(drop),
        Command::Advance { clients, .. } | Command::PublicKeys { clients, .. } => {
            smalls(clients).map(drop)
        }
        Command::UploadCommitments {
            receivers: addresses,
            commitments: texts,
            ..
        }
        | Command::UploadShares {
            senders: addresses,
            shares: texts,
            ..
        } => {
            smalls(addresses)?;
            texts.iter().try_for_each(|text| bytes(text).map(drop))
        }
        Command::UploadResult { commitment, .. } => bytes(commitment).map(drop),
        Command::Node { address } | Command::DataCommitment { address, .. } => {
            small(address).map(drop)
        }
        Command::ResultCommitment { client, .. } => small(client).map(drop),
        Command::ShareRecords {
            senders, receiver, ..
        } => small(receiver).and(smalls(senders)).map(drop),
        Command::Nodes { page, page_size } => match (page, page_size) {
            (0.., 0..) => Ok(()),
            _ => Err(out_of_bounds("page")),
        },
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_filled_up_on_the_right_and_nothing_is_no_value() {
        assert_eq!(bytes32("0x12").unwrap(), format!("0x12{}", "0".repeat(62)));
        assert_eq!(bytes32(ZEROS).unwrap(), ZEROS);
        assert_eq!(bytes32("0x").unwrap(), ZEROS);
        for bad in ["", "12", "0xzz", &format!("{ZEROS}00")] {
            assert!(matches!(bytes32(bad), Err(No::Invalid(_))), "{bad}");
        }
        assert_eq!(bytes("0xABC").unwrap(), "0x0abc");
        assert_eq!(bytes("0x").unwrap(), "0x");
        let empty = shares(&["0x".to_owned()]);
        assert!(matches!(empty, Err(No::Reverted(_))));
    }

    #[test]
    fn addresses_have_letters_of_both_kinds_and_one_small_form() {
        let address = encode_hex(&Digest::of(b"a wallet").0[..20]);
        let mixed = mixed_case(&address);
        assert_ne!(mixed, address);
        assert!(mixed.starts_with("0x"));
        assert_eq!(small(&mixed).unwrap(), address);
        assert_eq!(mixed_case(&address), mixed);
        assert!(small("0x12").is_err());
    }
}
