//! What a node serves at `GET /v1/identity`: its card, signed, and its signature over the address that the card belongs to.
//!
//! The second signature is there because the connector does not say whose digest it keeps: anybody may register the digest of another node's
//! card, and move a url to that node, but nobody else can sign for an address of his own.

use serde::{Deserialize, Serialize};

use super::card::Card;
use super::key::NodeKey;
use crate::ids::{Address, Digest};
use crate::round::message::{Encoder, hex_bytes};
use crate::time::Timestamp;

/// The longest document that is read, in bytes of JSON.
pub const MAX_DOCUMENT_BYTES: usize = 8 << 10;

/// A card with its signatures.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Document {
    /// What the node says of itself.
    pub card: Card,
    /// The card's key's signature over the card.
    #[serde(with = "hex_bytes")]
    pub signature: Vec<u8>,
    /// The address on the connector, once the node knows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<AddressClaim>,
}

/// "This address is mine."
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AddressClaim {
    /// The address.
    pub address: Address,
    /// The card's key's signature over address and card.
    #[serde(with = "hex_bytes")]
    pub signature: Vec<u8>,
}

/// What a document must say to be the one of a node on record.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    /// The address that was looked up.
    pub address: &'a Address,
    /// The url on record.
    pub url: &'a str,
    /// The digest on record.
    pub published: &'a Digest,
}

/// Why a document does not prove who the node at an address is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IdentityFault {
    /// The card's signature is not its key's.
    #[error("the card is not signed by its own key")]
    CardSignature,
    /// The card has ended.
    #[error("the card has ended")]
    Expired,
    /// The digest on the connector is of another card.
    #[error("the card is not the one whose digest is on the connector's record")]
    OtherDigest,
    /// The url on the connector is another one.
    #[error("the card's url is not the one on the connector's record")]
    OtherUrl,
    /// No signature over an address.
    #[error("the document does not say which address it belongs to")]
    NoAddress,
    /// The address is the hash of another key.
    #[error("the address is the hash of another key")]
    OtherKey,
    /// The signature is for another address.
    #[error("the document belongs to another address")]
    OtherAddress,
    /// The signature over the address is not the card's key's.
    #[error("the address is not signed by the card's key")]
    AddressSignature,
}

impl Document {
    /// Signs `card`, whose key must be `key`, and the address if it is known. `None` when the card is another key's.
    #[must_use]
    pub fn issue(key: &NodeKey, card: Card, address: Option<&Address>) -> Option<Self> {
        if card.key() != key.public() {
            return None;
        }
        let signature = key.sign(&card.signed_bytes());
        let address = address.map(|address| AddressClaim {
            address: address.clone(),
            signature: key.sign(&claimed_bytes(address, &card.digest())),
        });
        Some(Self {
            card,
            signature,
            address,
        })
    }

    /// Whether this proves that the node at [`Expected::address`] has the card's key, and published this card under this url.
    ///
    /// # Errors
    /// [`IdentityFault`], the first one found.
    pub fn verify(&self, expected: &Expected<'_>, now: Timestamp) -> Result<(), IdentityFault> {
        if self.card.digest() != *expected.published {
            return Err(IdentityFault::OtherDigest);
        }
        if self.card.url() != expected.url.trim_end_matches('/') {
            return Err(IdentityFault::OtherUrl);
        }
        self.verify_alone(expected.address, now)
    }

    /// As [`Self::verify`], without what the connector says.
    ///
    /// # Errors
    /// [`IdentityFault`], the first one found.
    pub fn verify_alone(&self, address: &Address, now: Timestamp) -> Result<(), IdentityFault> {
        if self.card.not_after() < now {
            return Err(IdentityFault::Expired);
        }
        self.verify_card()?;
        if super::is_key_address(address.as_str())
            && !super::same_address(&self.card.fingerprint().address(), address)
        {
            return Err(IdentityFault::OtherKey);
        }
        let claim = self.address.as_ref().ok_or(IdentityFault::NoAddress)?;
        if !super::same_address(&claim.address, address) {
            return Err(IdentityFault::OtherAddress);
        }
        let claimed = claimed_bytes(&claim.address, &self.card.digest());
        self.card
            .key()
            .verify(&claimed, &claim.signature)
            .map_err(|_| IdentityFault::AddressSignature)
    }

    /// Whether the card is signed by its own key.
    ///
    /// # Errors
    /// [`IdentityFault::CardSignature`].
    pub fn verify_card(&self) -> Result<(), IdentityFault> {
        self.card
            .key()
            .verify(&self.card.signed_bytes(), &self.signature)
            .map_err(|_| IdentityFault::CardSignature)
    }
}

/// The bytes signed for an address, which is written in lower case: docs/protocol/identity.md, Document.
fn claimed_bytes(address: &Address, card: &Digest) -> Vec<u8> {
    let mut e = Encoder::new("delta identity address 1");
    e.text(&address.as_str().to_ascii_lowercase());
    e.bytes(&card.0);
    e.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;

    const NOW: Timestamp = Timestamp(1_700_000_000_000);

    fn key(byte: u8) -> NodeKey {
        NodeKey::new(&Secret::new([byte; 32])).unwrap()
    }

    fn card(key: &NodeKey, url: &str) -> Card {
        Card::new("University Hospital A", "a", url, key.public(), None, NOW).unwrap()
    }

    fn address(byte: &str) -> Address {
        format!("0x{}", byte.repeat(20)).parse().unwrap()
    }

    /// A document of key 1 for its url and address, as others look at it.
    fn honest() -> (Document, Address, Digest) {
        let (key, address) = (key(1), address("ab"));
        let document = Document::issue(&key, card(&key, "http://a"), Some(&address)).unwrap();
        let digest = document.card.digest();
        (document, address, digest)
    }

    fn judge(
        document: &Document,
        address: &Address,
        url: &str,
        published: &Digest,
    ) -> Result<(), IdentityFault> {
        let expected = Expected {
            address,
            url,
            published,
        };
        document.verify(&expected, NOW)
    }

    #[test]
    fn an_honest_document_holds_in_either_case_and_with_a_slash() {
        let (document, address, digest) = honest();
        assert_eq!(judge(&document, &address, "http://a", &digest), Ok(()));
        assert_eq!(judge(&document, &address, "http://a/", &digest), Ok(()));
        let upper = format!("0x{}", "AB".repeat(20)).parse().unwrap();
        assert_eq!(judge(&document, &upper, "http://a", &digest), Ok(()));
        let json = serde_json::to_vec(&document).unwrap();
        assert!(json.len() < 1024);
        assert_eq!(serde_json::from_slice::<Document>(&json).unwrap(), document);
    }

    #[test]
    fn a_document_proves_nothing_elsewhere() {
        use IdentityFault as F;
        let (document, home, digest) = honest();
        let other = address("cd");
        let at = |url, address, digest| judge(&document, address, url, digest);
        assert_eq!(at("http://b", &home, &digest), Err(F::OtherUrl));
        assert_eq!(at("http://a", &other, &digest), Err(F::OtherAddress));
        assert_eq!(at("http://a", &home, &Digest([1; 32])), Err(F::OtherDigest));
        let late = Timestamp(document.card.not_after().0 + 1);
        assert_eq!(document.verify_alone(&home, late), Err(F::Expired));
    }

    /// Somebody takes the card of key 1 for an address of his own.
    #[test]
    fn another_nodes_card_does_not_fit_ones_own_address() {
        use IdentityFault as F;
        let (mut document, home, digest) = honest();
        let (thief, mine) = (key(2), address("cd"));
        document.address = Some(AddressClaim {
            address: mine.clone(),
            signature: thief.sign(&claimed_bytes(&mine, &digest)),
        });
        let judged = |d: &Document| judge(d, &mine, "http://a", &digest);
        assert_eq!(judged(&document), Err(F::AddressSignature));
        document.address = None;
        assert_eq!(judged(&document), Err(F::NoAddress));
        // The signature of another card of the same node is none for this one.
        let (mut moved, _, _) = honest();
        let old = Document::issue(&key(1), card(&key(1), "http://old"), Some(&home)).unwrap();
        moved.address = old.address;
        assert_eq!(
            judge(&moved, &home, "http://a", &digest),
            Err(F::AddressSignature)
        );
        assert!(Document::issue(&thief, card(&key(1), "http://a"), None).is_none());
    }

    #[test]
    fn a_key_cannot_be_put_under_anothers_signature() {
        let (document, home, _) = honest();
        let theirs = card(&key(2), "http://a");
        let swapped = Document {
            card: theirs.clone(),
            ..document
        };
        assert_eq!(
            judge(&swapped, &home, "http://a", &theirs.digest()),
            Err(IdentityFault::CardSignature)
        );
    }

    /// Not even the owner of the connector can put another key under the hash of a key.
    #[test]
    fn an_address_that_is_the_hash_of_a_key_is_that_keys() {
        let (home, thief) = (key(1).fingerprint().address(), key(2));
        for (key, outcome) in [(key(1), Ok(())), (thief, Err(IdentityFault::OtherKey))] {
            let document = Document::issue(&key, card(&key, "http://a"), Some(&home)).unwrap();
            let digest = document.card.digest();
            assert_eq!(judge(&document, &home, "http://a", &digest), outcome);
            let upper: Address = format!("0x{}", home.as_str()[2..].to_uppercase())
                .parse()
                .unwrap();
            assert_eq!(judge(&document, &upper, "http://a", &digest), outcome);
        }
    }

    #[test]
    fn signatures_have_one_form() {
        let (document, home, digest) = honest();
        for index in 0..document.signature.len() {
            let mut changed = document.clone();
            changed.signature[index] ^= 1;
            assert!(judge(&changed, &home, "http://a", &digest).is_err());
        }
        let mut longer = document.clone();
        longer.signature.push(0);
        assert!(judge(&longer, &home, "http://a", &digest).is_err());
        let low = k256::ecdsa::Signature::from_slice(&document.signature).unwrap();
        let high = k256::ecdsa::Signature::from_scalars(low.r(), -*low.s()).unwrap();
        let mut malleated = document;
        malleated.signature = high.to_bytes().to_vec();
        assert_eq!(
            judge(&malleated, &home, "http://a", &digest),
            Err(IdentityFault::CardSignature)
        );
    }

    #[test]
    fn more_than_a_document_is_none() {
        let (document, _, _) = honest();
        let text = serde_json::to_string(&document).unwrap();
        assert!(serde_json::from_str::<Document>(&text.replacen('{', "{\"x\":1,", 1)).is_err());
    }
}
