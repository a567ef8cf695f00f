//! A key's claim to an address, short enough for the connector's record (docs/protocol/identity.md, Publication).
//!
//! Whoever reads the record knows the key without asking the node, which may be reachable for nobody: so all members of a round find the same.

use super::document::IdentityFault;
use super::key::{Fingerprint, NodeKey, is_key_address};
use super::trust::same_address;
use crate::ids::{Address, decode_hex, encode_hex};
use crate::round::message::Encoder;
use crate::secagg::keys::PublicKey;

/// Bytes of a key on secp256k1, and of a signature under it.
const KEY_BYTES: usize = 33;
const SIGNATURE_BYTES: usize = 64;

/// What the record says under [`DATA_NAME`](super::DATA_NAME) at [`CLAIM_INDEX`](super::CLAIM_INDEX): `0x`, the key and its signature over
/// the address, in hex.
#[must_use]
pub fn claim(key: &NodeKey, address: &Address) -> String {
    let signature = key.sign(&claimed_bytes(address));
    encode_hex(&[key.public().as_bytes(), &signature].concat())
}

/// Where the record takes 32 bytes at a time, as one on a blockchain does, a claim is registered in so many parts, from
/// [`CLAIM_INDEX`](super::CLAIM_INDEX) on.
pub const CLAIM_PARTS: usize = 4;

/// Bytes of a part; the last one is filled up with zeros.
const PART_BYTES: usize = 32;

/// A claim in parts, each `0x` and 64 digits. `None` for what is not one.
#[must_use]
pub fn claim_parts(claim: &str) -> Option<[String; CLAIM_PARTS]> {
    let mut bytes = decode_hex(claim).ok()?;
    if bytes.len() != KEY_BYTES + SIGNATURE_BYTES {
        return None;
    }
    bytes.resize(CLAIM_PARTS * PART_BYTES, 0);
    let part = |i: usize| encode_hex(&bytes[i * PART_BYTES..(i + 1) * PART_BYTES]);
    Some(std::array::from_fn(part))
}

/// Whether what the record says at [`CLAIM_INDEX`](super::CLAIM_INDEX) may be the first part of a claim.
#[must_use]
pub fn is_claim_part(text: &str) -> bool {
    text.len() == 2 + 2 * PART_BYTES
}

/// The claim that was registered in these parts. `None` where they are none.
#[must_use]
pub fn claim_of(parts: &[String]) -> Option<String> {
    let mut bytes = Vec::with_capacity(CLAIM_PARTS * PART_BYTES);
    for part in parts.iter().filter(|part| is_claim_part(part)) {
        bytes.extend(decode_hex(part).ok()?);
    }
    if bytes.len() != CLAIM_PARTS * PART_BYTES {
        return None;
    }
    let filling = bytes.split_off(KEY_BYTES + SIGNATURE_BYTES);
    let empty = filling.iter().all(|byte| *byte == 0);
    empty.then(|| encode_hex(&bytes))
}

/// The key that `text`, read under `address`, proves.
///
/// # Errors
/// `NoAddress` for what is no claim; `OtherKey` when the address is the hash of another key; `AddressSignature` when it does not hold.
pub fn claimed_key(address: &Address, text: &str) -> Result<PublicKey, IdentityFault> {
    let whole = 2 + 2 * (KEY_BYTES + SIGNATURE_BYTES);
    if text.len() != whole || !text.starts_with("0x") {
        return Err(IdentityFault::NoAddress);
    }
    let bytes = decode_hex(text).map_err(|_| IdentityFault::NoAddress)?;
    let (key, signature) = bytes.split_at(KEY_BYTES);
    let key =
        PublicKey::parse(NodeKey::CURVE, &encode_hex(key)).map_err(|_| IdentityFault::NoAddress)?;
    if is_key_address(address.as_str()) && !same_address(&Fingerprint::of(&key).address(), address)
    {
        return Err(IdentityFault::OtherKey);
    }
    key.verify(&claimed_bytes(address), signature)
        .map_err(|_| IdentityFault::AddressSignature)?;
    Ok(key)
}

fn claimed_bytes(address: &Address) -> Vec<u8> {
    let mut e = Encoder::new("delta identity claim 1");
    e.text(&address.as_str().to_ascii_lowercase());
    e.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;

    fn key(byte: u8) -> NodeKey {
        NodeKey::new(&Secret::new([byte; 32])).unwrap()
    }

    fn address(byte: &str) -> Address {
        format!("0x{}", byte.repeat(20)).parse().unwrap()
    }

    #[test]
    fn a_claim_holds_for_its_address_and_no_other() {
        let (own, other) = (address("ab"), address("cd"));
        let text = claim(&key(1), &own);
        assert_eq!(claimed_key(&own, &text).as_ref(), Ok(key(1).public()));
        assert_eq!(
            claimed_key(&address("AB"), &text).as_ref(),
            Ok(key(1).public())
        );
        assert_eq!(
            claimed_key(&other, &text),
            Err(IdentityFault::AddressSignature)
        );
        let hashed = key(2).fingerprint().address();
        let foreign = claim(&key(1), &hashed);
        assert_eq!(claimed_key(&hashed, &foreign), Err(IdentityFault::OtherKey));
        let right = claim(&key(2), &hashed);
        assert_eq!(claimed_key(&hashed, &right).as_ref(), Ok(key(2).public()));
        assert!(text.len() <= 256, "the connector takes {}", text.len());
    }

    #[test]
    fn a_claim_in_parts_is_the_same_claim() {
        let text = claim(&key(1), &address("ab"));
        let parts = claim_parts(&text).unwrap();
        assert!(parts.iter().all(|part| is_claim_part(part)));
        assert!(!is_claim_part(&text));
        assert_eq!(claim_of(&parts), Some(text));
        assert_eq!(claim_of(&parts[..3]), None);
        let [a, b, c, _] = parts.clone();
        let filled = format!("0x{}", "ff".repeat(32));
        assert_eq!(claim_of(&[a.clone(), b.clone(), c.clone(), filled]), None);
        let short = [a, b, c, "0x00".to_owned()];
        assert_eq!(claim_of(&short), None);
        assert_eq!(claim_parts("0x12"), None);
    }

    #[test]
    fn nothing_else_is_a_claim() {
        let own = address("ab");
        let text = claim(&key(1), &own);
        for bad in [
            "",
            "0x",
            &text[2..],
            &text[..text.len() - 2],
            &format!("{text}00"),
        ] {
            assert_eq!(
                claimed_key(&own, bad),
                Err(IdentityFault::NoAddress),
                "{bad}"
            );
        }
        let mut bad = text.into_bytes();
        *bad.last_mut().unwrap() ^= 1;
        let bad = String::from_utf8(bad).unwrap();
        assert!(claimed_key(&own, &bad).is_err());
    }
}
