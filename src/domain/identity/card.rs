//! The identity card: what a node says of itself, in one canonical form.

use serde::{Deserialize, Serialize};

use super::key::{Fingerprint, NodeKey};
use super::words;
use crate::ids::Digest;
use crate::round::message::Encoder;
use crate::secagg::keys::PublicKey;
use crate::time::Timestamp;

/// The only form so far.
const FORMAT: u32 = 1;

/// The longest url of a card, in bytes.
pub const MAX_URL_BYTES: usize = 512;

/// Cards end at multiples of this, 360 to 540 days after they were made: so they are the same whoever makes them, and change
/// twice a year.
const PERIOD_MS: u64 = 180 * 24 * 3600 * 1000;

/// What a node says of itself. Whether it is true is another matter ([`super::Trust`]).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "CardForm", into = "CardForm")]
pub struct Card {
    organisation: String,
    name: String,
    url: String,
    key: PublicKey,
    tls_key: Option<Digest>,
    not_after: Timestamp,
}

/// A card as JSON has it, and as it is written by hand in tests: nothing is checked yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CardForm {
    /// 1.
    pub format: u32,
    /// Who runs the node.
    pub organisation: String,
    /// The node's name.
    pub name: String,
    /// Where other nodes reach it.
    pub url: String,
    /// Its long-term key on secp256k1: `0x` and 66 lower-case hex digits.
    pub key: String,
    /// SHA-256 of the SubjectPublicKeyInfo that it proves over TLS: `0x` and 64 lower-case hex digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls_key: Option<String>,
    /// The card holds until here: unix ms.
    pub not_after: u64,
}

/// Why a card is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the identity card's {field} {fault}")]
pub struct CardError {
    /// The field.
    pub field: &'static str,
    /// What is wrong with it.
    pub fault: &'static str,
}

impl TryFrom<CardForm> for Card {
    type Error = CardError;

    fn try_from(form: CardForm) -> Result<Self, CardError> {
        let wrong = |field, fault| Err(CardError { field, fault });
        if form.format != FORMAT {
            return wrong("format", "is not 1, the only one that this program knows");
        }
        for (field, word) in [("organisation", &form.organisation), ("name", &form.name)] {
            if let Some(fault) = words::fault_of(word) {
                return wrong(field, fault);
            }
        }
        if let Some(fault) = url_fault(&form.url) {
            return wrong("url", fault);
        }
        let Ok(key) = PublicKey::parse(NodeKey::CURVE, &form.key) else {
            return wrong("key", "is no compressed point of secp256k1");
        };
        if key.to_wire() != form.key {
            return wrong("key", "is not written as 0x and lower-case digits");
        }
        let tls_key = match form.tls_key {
            None => None,
            Some(text) => match text.parse::<Digest>() {
                Ok(digest) if digest.to_string() == text => Some(digest),
                _ => return wrong("tls_key", "is not 0x and 64 lower-case hex digits"),
            },
        };
        Ok(Self {
            organisation: form.organisation,
            name: form.name,
            url: form.url,
            key,
            tls_key,
            not_after: Timestamp(form.not_after),
        })
    }
}

impl From<Card> for CardForm {
    fn from(card: Card) -> Self {
        Self {
            format: FORMAT,
            organisation: card.organisation,
            name: card.name,
            url: card.url,
            key: card.key.to_wire(),
            tls_key: card.tls_key.map(|d| d.to_string()),
            not_after: card.not_after.0,
        }
    }
}

impl Card {
    /// A card that holds from `now` on for 360 to 540 days. `tls_key`: SHA-256 of the SubjectPublicKeyInfo of the node's API, if it has TLS.
    ///
    /// # Errors
    /// [`CardError`] when a word or the url may not be on a card.
    pub fn new(
        organisation: &str,
        name: &str,
        url: &str,
        key: &PublicKey,
        tls_key: Option<Digest>,
        now: Timestamp,
    ) -> Result<Self, CardError> {
        Self::try_from(CardForm {
            format: FORMAT,
            organisation: organisation.to_owned(),
            name: name.to_owned(),
            url: url.trim_end_matches('/').to_owned(),
            key: key.to_wire(),
            tls_key: tls_key.map(|d| d.to_string()),
            not_after: (now.0 / PERIOD_MS)
                .saturating_add(3)
                .saturating_mul(PERIOD_MS),
        })
    }

    /// Who says to run the node.
    #[must_use]
    pub fn organisation(&self) -> &str {
        &self.organisation
    }

    /// The node's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where other nodes reach it, without a slash at the end.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Its long-term key.
    #[must_use]
    pub fn key(&self) -> &PublicKey {
        &self.key
    }

    /// SHA-256 of the SubjectPublicKeyInfo that it proves over TLS.
    #[must_use]
    pub fn tls_key(&self) -> Option<&Digest> {
        self.tls_key.as_ref()
    }

    /// The last moment at which it holds.
    #[must_use]
    pub fn not_after(&self) -> Timestamp {
        self.not_after
    }

    /// The key's fingerprint.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(&self.key)
    }

    /// The bytes that are signed: docs/protocol/identity.md, Card.
    #[must_use]
    pub fn signed_bytes(&self) -> Vec<u8> {
        let mut e = Encoder::new("delta identity card 1");
        e.text(&self.organisation);
        e.text(&self.name);
        e.text(&self.url);
        e.bytes(self.key.as_bytes());
        e.bytes(self.tls_key.as_ref().map_or(&[][..], |d| &d.0));
        e.number(self.not_after.0);
        e.finish()
    }

    /// What stands on the connector: SHA-256 of [`Self::signed_bytes`].
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of(&self.signed_bytes())
    }
}

/// What is wrong with a url: http or https, a host, and nothing that a log or a client could read in two ways.
pub(super) fn url_fault(url: &str) -> Option<&'static str> {
    if url.len() > MAX_URL_BYTES {
        return Some("is longer than 512 bytes");
    }
    let Some(rest) = url
        .strip_prefix("http://")
        .or_else(|| url.strip_prefix("https://"))
    else {
        return Some("does not begin with http:// or https://");
    };
    let host = rest.split('/').next().unwrap_or_default();
    if host.is_empty() || host.starts_with(':') {
        return Some("names no host");
    }
    if !rest.bytes().all(|b| b.is_ascii_graphic()) {
        return Some("has characters that urls do not have");
    }
    if rest.contains(['?', '#', '@', '\\', '"', '<', '>', '`', '{', '}', '|', '^']) {
        return Some("has credentials, a query, a fragment or characters that urls do not have");
    }
    if url.ends_with('/') {
        return Some("ends with a slash");
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;

    pub(super) fn form() -> CardForm {
        let key = NodeKey::new(&Secret::new([7; 32])).unwrap();
        CardForm {
            format: 1,
            organisation: "University Hospital A".into(),
            name: "node-a".into(),
            url: "https://a.example.org:6700".into(),
            key: key.public().to_wire(),
            tls_key: Some(Digest([9; 32]).to_string()),
            not_after: 1_900_000_000_000,
        }
    }

    #[test]
    fn a_card_survives_json_and_has_one_form() {
        let card = Card::try_from(form()).unwrap();
        let text = serde_json::to_string(&card).unwrap();
        assert_eq!(serde_json::from_str::<Card>(&text).unwrap(), card);
        assert_eq!(CardForm::from(card), form());
    }

    #[test]
    fn what_is_no_card_is_refused_with_its_field() {
        type Change = fn(&mut CardForm);
        let cases: [(&str, Change); 18] = [
            ("format", |f| f.format = 2),
            ("organisation", |f| f.organisation.clear()),
            ("organisation", |f| f.organisation = "x".repeat(129)),
            ("organisation", |f| f.organisation.push('\n')),
            ("name", |f| f.name = "a\u{202e}b".into()),
            ("url", |f| f.url = "ftp://a".into()),
            ("url", |f| f.url = "http://".into()),
            ("url", |f| f.url = "http:///x".into()),
            ("url", |f| f.url = "http://a b".into()),
            ("url", |f| f.url = "http://a/".into()),
            ("url", |f| f.url = "http://u:p@a".into()),
            ("url", |f| f.url = "http://a?b".into()),
            ("url", |f| f.url = format!("http://{}", "a".repeat(600))),
            ("key", |f| f.key = f.key.to_uppercase()),
            ("key", |f| f.key = f.key.trim_start_matches("0x").into()),
            ("key", |f| f.key = format!("0x04{}", "11".repeat(64))),
            ("tls_key", |f| f.tls_key = Some("0x12".into())),
            ("tls_key", |f| f.tls_key = Some(String::new())),
        ];
        for (field, change) in cases {
            let mut form = form();
            change(&mut form);
            let shown = format!("{form:?}");
            assert_eq!(Card::try_from(form).unwrap_err().field, field, "{shown}");
        }
        let text = serde_json::to_string(&form()).unwrap();
        let more = text.replacen('{', "{\"more\":1,", 1);
        assert!(serde_json::from_str::<Card>(&more).is_err());
    }

    #[test]
    fn every_field_is_in_the_digest() {
        type Change = fn(&mut CardForm);
        let digest = |f: CardForm| Card::try_from(f).unwrap().digest();
        let changes: [Change; 7] = [
            |f| f.organisation.push('x'),
            |f| f.name.push('x'),
            |f| f.url.push('x'),
            |f| {
                let other = NodeKey::new(&Secret::new([8; 32])).unwrap();
                f.key = other.public().to_wire();
            },
            |f| f.tls_key = None,
            |f| f.tls_key = Some(Digest([1; 32]).to_string()),
            |f| f.not_after += 1,
        ];
        let mut seen = vec![digest(form())];
        for change in changes {
            let mut changed = form();
            change(&mut changed);
            seen.push(digest(changed));
        }
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), 8);
    }

    /// What moves from one field to the next is another card.
    #[test]
    fn fields_do_not_run_together() {
        let card = |organisation: &str, name: &str| {
            let form = CardForm {
                organisation: organisation.into(),
                name: name.into(),
                ..form()
            };
            Card::try_from(form).unwrap().digest()
        };
        assert_ne!(card("ab", "c"), card("a", "bc"));
    }

    #[test]
    fn whoever_makes_a_card_in_one_half_year_makes_the_same() {
        let key = NodeKey::new(&Secret::new([7; 32])).unwrap();
        let at = |ms| Card::new("o", "n", "http://a/", key.public(), None, Timestamp(ms)).unwrap();
        let start = 110 * PERIOD_MS;
        assert_eq!(at(start), at(start + PERIOD_MS - 1));
        assert_ne!(at(start), at(start + PERIOD_MS));
        assert!(at(start + PERIOD_MS - 1).not_after().0 - start > 360 * 24 * 3600 * 1000);
        assert_eq!(at(start).url(), "http://a");
    }
}
