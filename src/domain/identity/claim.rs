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

/// Hex digits of a piece of a claim: 32 bytes.
const PIECE_DIGITS: usize = 64;
/// Pieces of a claim.
pub const CLAIM_PIECES: usize = (2 * (KEY_BYTES + SIGNATURE_BYTES)).div_ceil(PIECE_DIGITS);

/// A claim where a place of the record holds 32 bytes and no more: in pieces, the first at [`CLAIM_INDEX`](super::CLAIM_INDEX), the others
/// behind it. The last one is filled up with zeros.
#[must_use]
pub fn claim_in_pieces(claim: &str) -> Vec<String> {
    let digits = claim.strip_prefix("0x").unwrap_or(claim).as_bytes();
    let of = |piece: &[u8]| format!("0x{:0<PIECE_DIGITS$}", String::from_utf8_lossy(piece));
    digits.chunks(PIECE_DIGITS).map(of).collect()
}

/// Whether this is a piece of a claim, and not a whole one.
#[must_use]
pub fn is_claim_piece(text: &str) -> bool {
    text.len() == 2 + PIECE_DIGITS
}

/// The claim of these pieces, in their order: one that is not there is zeros. What it proves is [`claimed_key`]'s to say.
#[must_use]
pub fn claim_of_pieces(pieces: &[Option<String>]) -> String {
    let mut claim = String::from("0x");
    for piece in pieces.iter().take(CLAIM_PIECES) {
        let digits = piece.as_deref().and_then(|text| text.strip_prefix("0x"));
        let is_piece = |digits: &&str| {
            digits.len() == PIECE_DIGITS && digits.bytes().all(|b| b.is_ascii_hexdigit())
        };
        match digits.filter(is_piece) {
            Some(digits) => claim.push_str(digits),
            None => claim.extend(std::iter::repeat_n('0', PIECE_DIGITS)),
        }
    }
    let whole = 2 + 2 * (KEY_BYTES + SIGNATURE_BYTES);
    let rest = claim.get(whole..).unwrap_or_default();
    if rest.bytes().all(|b| b == b'0') {
        claim.truncate(whole);
    }
    claim
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
    fn a_claim_in_pieces_is_the_claim() {
        for byte in 0..=255 {
            let own = address(&format!("{byte:02x}"));
            let text = claim(&key(1), &own);
            let pieces = claim_in_pieces(&text);
            assert_eq!(pieces.len(), CLAIM_PIECES);
            assert!(pieces.iter().all(|piece| is_claim_piece(piece)));
            assert!(!is_claim_piece(&text));
            // Zeros read as nothing.
            let zeros = |text: &String| text.bytes().skip(2).all(|b| b == b'0');
            let read = |text: String| (!zeros(&text)).then_some(text);
            let read: Vec<_> = pieces.into_iter().map(read).collect();
            assert_eq!(claim_of_pieces(&read), text);
        }
    }

    #[test]
    fn pieces_of_something_else_are_no_claim() {
        let own = address("ab");
        let mut pieces: Vec<_> = claim_in_pieces(&claim(&key(1), &own))
            .into_iter()
            .map(Some)
            .collect();
        pieces[3] = Some(format!("0x{}", "1".repeat(64)));
        let text = claim_of_pieces(&pieces);
        assert_eq!(claimed_key(&own, &text), Err(IdentityFault::NoAddress));
        let odd = [
            "0x".to_owned(),
            "é".repeat(40),
            format!("0x{}", "é".repeat(32)),
            format!("0xaé{}", "1".repeat(61)),
        ];
        for place in 0..CLAIM_PIECES {
            for odd in odd.iter().cloned().map(Some).chain([None]) {
                let mut pieces = pieces.clone();
                pieces[place] = odd;
                assert!(claimed_key(&own, &claim_of_pieces(&pieces)).is_err());
            }
        }
        assert!(claimed_key(&own, &claim_of_pieces(&[])).is_err());
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
