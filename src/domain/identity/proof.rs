//! What proved a node's key once, as a node keeps it: the document that it showed, or the claim that the record showed of it.

use serde::{Deserialize, Serialize};

use super::claim::claimed_key;
use super::document::Document;
use crate::ids::Address;
use crate::secagg::keys::PublicKey;

/// What proved the key at an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proof {
    /// Card, address and both signatures.
    Document(Box<Document>),
    /// What the record said at [`CLAIM_INDEX`](super::CLAIM_INDEX): the key and its word for the address, and nothing else of the node.
    Claim(String),
}

/// A claim as it is kept: never what a document looks like.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeptClaim {
    claim: String,
}

impl Proof {
    /// The form in which it is kept (JSON).
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let bytes = match self {
            Self::Document(document) => serde_json::to_vec(document),
            Self::Claim(claim) => serde_json::to_vec(&KeptClaim {
                claim: claim.clone(),
            }),
        };
        // Never empty: strings and numbers can be written.
        bytes.unwrap_or_default()
    }

    /// Reads what [`Self::to_bytes`] wrote. `None` for anything else.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        if let Ok(kept) = serde_json::from_slice::<KeptClaim>(bytes) {
            return Some(Self::Claim(kept.claim));
        }
        let document = serde_json::from_slice(bytes).ok()?;
        Some(Self::Document(Box::new(document)))
    }

    /// The key that it proves for `address`. `None` for a claim that does not hold; a document was judged before it was kept.
    #[must_use]
    pub fn key(&self, address: &Address) -> Option<PublicKey> {
        match self {
            Self::Document(document) => Some(document.card.key().clone()),
            Self::Claim(claim) => claimed_key(address, claim).ok(),
        }
    }

    /// The document, where it is one.
    #[must_use]
    pub fn document(&self) -> Option<&Document> {
        match self {
            Self::Document(document) => Some(document),
            Self::Claim(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::{Card, NodeKey, claim};
    use crate::secret::Secret;
    use crate::time::Timestamp;

    #[test]
    fn both_read_as_they_were_kept_and_prove_the_same_key() {
        let key = NodeKey::new(&Secret::new([1; 32])).unwrap();
        let address: Address = format!("0x{}", "ab".repeat(20)).parse().unwrap();
        let now = Timestamp(1_795_824_000_000);
        let card = Card::new("O", "n", "http://a", key.public(), None, now).unwrap();
        let document = Document::issue(&key, card, Some(&address)).unwrap();
        for proof in [
            Proof::Document(Box::new(document)),
            Proof::Claim(claim(&key, &address)),
        ] {
            let read = Proof::from_bytes(&proof.to_bytes()).unwrap();
            assert_eq!(read, proof);
            assert_eq!(read.key(&address).as_ref(), Some(key.public()));
        }
    }

    #[test]
    fn a_kept_claim_for_another_address_proves_nothing() {
        let key = NodeKey::new(&Secret::new([1; 32])).unwrap();
        let address =
            |digits: &str| -> Address { format!("0x{}", digits.repeat(20)).parse().unwrap() };
        let proof = Proof::Claim(claim(&key, &address("ab")));
        assert_eq!(proof.key(&address("cd")), None);
        for bytes in [&b""[..], b"{}", b"null", b"\x80"] {
            assert_eq!(Proof::from_bytes(bytes), None);
        }
    }
}
