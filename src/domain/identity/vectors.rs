//! The fixed values of `tests/vectors/identity/identity.json`, made by another program from docs/protocol/identity.md alone.

use serde_json::Value;

use super::*;
use crate::ids::{Digest, encode_hex};
use crate::secagg::vectors::{bytes, load, text};
use crate::secret::Secret;
use crate::time::Timestamp;

fn vectors() -> Value {
    load(include_str!(
        "../../../tests/vectors/identity/identity.json"
    ))
}

fn key(v: &Value) -> NodeKey {
    let secret: [u8; 32] = bytes(&v["secret"]).try_into().unwrap();
    NodeKey::new(&Secret::new(secret)).unwrap()
}

#[test]
fn keys_fingerprints_and_addresses() {
    let v = vectors();
    let key = key(&v);
    assert_eq!(key.public().to_wire(), text(&v["key"]));
    assert_eq!(key.fingerprint().to_string(), text(&v["fingerprint"]));
    assert_eq!(key.fingerprint().address().as_str(), text(&v["address"]));
}

#[test]
fn cards_and_documents() {
    let v = vectors();
    let document: Document = serde_json::from_value(v["document"].clone()).unwrap();
    let card = &document.card;
    assert_eq!(encode_hex(&card.signed_bytes()), text(&v["card"]["signed"]));
    assert_eq!(card.digest().to_string(), text(&v["card"]["digest"]));
    let address = text(&v["address"]).parse().unwrap();
    document.verify_alone(&address, card.not_after()).unwrap();
    // Nonces are not random: the same key makes the same document.
    let own = Document::issue(&key(&v), card.clone(), Some(&address)).unwrap();
    assert_eq!(own, document);
    assert_eq!(serde_json::to_value(&own).unwrap(), v["document"]);
}

#[test]
fn rosters() {
    let v = vectors();
    let v = &v["roster"];
    let file: RosterFile = serde_json::from_value(v["file"].clone()).unwrap();
    let roster = Roster::try_from(file.clone()).unwrap();
    assert_eq!(encode_hex(&roster.signed_bytes()), text(&v["signed"]));
    assert_eq!(roster.digest().to_string(), text(&v["digest"]));
    assert_eq!(roster.sign(&key(&vectors())).unwrap(), file.signatures[0]);
    roster
        .verify(Some(2), Timestamp(v["now"].as_u64().unwrap()))
        .unwrap();
}

#[test]
fn calls() {
    let v = vectors();
    let c = &v["call"];
    let body = Digest::of(&bytes(&c["body"]));
    let time = Timestamp(c["time"].as_u64().unwrap());
    let nonce = bytes(&c["nonce"]).try_into().unwrap();
    let call = SignedCall::new(&key(&v), text(&c["method"]), &body, time, nonce);
    assert_eq!(encode_hex(&call.signature), text(&c["signature"]));
    assert_eq!(
        call.verify(text(&c["method"]), &body),
        Ok(key(&v).fingerprint())
    );
}
