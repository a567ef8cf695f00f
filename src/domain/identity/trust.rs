//! Why a node's key is believed: the roster, a pin, or that it was so the first time.

use std::str::FromStr;

use super::key::{Fingerprint, NodeKey};
use super::roster::VerifiedRoster;
use super::words;
use crate::ids::Address;
use crate::secagg::keys::PublicKey;
use crate::time::Timestamp;

/// What is known of the node at an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trust {
    /// Its key is in the roster.
    Rostered {
        /// The organisation that the roster names; not what the card says.
        organisation: String,
    },
    /// The owner of this node pinned its key.
    Pinned {
        /// As the owner calls it; empty when the pin has no name.
        name: String,
    },
    /// It proves its key, and nobody vouches for it: it was this one when the address was first seen.
    FirstUse,
    /// It proves another key than the one that the address had before. It counts for nothing until the owner accepts it.
    Changed,
    /// It proves no key.
    Unknown,
}

impl Trust {
    /// Whether roster or owner vouch for it. Nothing else keeps sybils out.
    #[must_use]
    pub fn is_vouched(&self) -> bool {
        matches!(self, Self::Rostered { .. } | Self::Pinned { .. })
    }

    /// Stable name: log field, JSON.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Rostered { .. } => "rostered",
            Self::Pinned { .. } => "pinned",
            Self::FirstUse => "first use",
            Self::Changed => "changed",
            Self::Unknown => "unknown",
        }
    }
}

/// A key that the owner vouches for: `0x02...` or a fingerprint, and after a space what the owner calls it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pin {
    print: Fingerprint,
    name: String,
}

/// Why a text is no pin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is no pin: expected a key (0x and 66 hex digits) or a fingerprint, and after a space a name if you like"
)]
pub struct PinError {
    text: String,
}

impl FromStr for Pin {
    type Err = PinError;

    fn from_str(text: &str) -> Result<Self, PinError> {
        let wrong = || PinError {
            text: text.chars().take(80).collect(),
        };
        let (key, name) = text.trim().split_once(' ').unwrap_or((text.trim(), ""));
        let print = match PublicKey::parse(NodeKey::CURVE, key) {
            Ok(key) => Fingerprint::of(&key),
            Err(_) => key.parse().map_err(|_| wrong())?,
        };
        let name = name.trim();
        if !name.is_empty() && words::fault_of(name).is_some() {
            return Err(wrong());
        }
        Ok(Self {
            print,
            name: name.to_owned(),
        })
    }
}

/// What the owner of this node believes in.
#[derive(Debug, Clone, Default)]
pub struct TrustAnchors {
    /// The network's roster, if there is one.
    pub roster: Option<VerifiedRoster>,
    /// Single keys.
    pub pins: Vec<Pin>,
}

/// The key that an address had before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// The key that was first seen, or that the owner accepted last.
    pub key: PublicKey,
}

impl TrustAnchors {
    /// Whether anything is vouched for at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.roster.is_none() && self.pins.is_empty()
    }

    /// Where the node with this key is, if the roster says so.
    #[must_use]
    pub fn url_of(&self, key: &PublicKey, now: Timestamp) -> Option<&str> {
        self.roster.as_ref()?.entry(key, now)?.url.as_deref()
    }

    /// Judges a key that a node proved, with the url that its card gives.
    ///
    /// A key that roster or pins vouch for counts whatever was there before: that is how a lost key is replaced.
    #[must_use]
    pub fn judge(
        &self,
        key: &PublicKey,
        url: &str,
        known: Option<&Known>,
        now: Timestamp,
    ) -> Trust {
        let entry = self.roster.as_ref().and_then(|r| r.entry(key, now));
        if let Some(entry) = entry
            && entry.url.as_deref().is_none_or(|listed| listed == url)
        {
            return Trust::Rostered {
                organisation: entry.organisation.clone(),
            };
        }
        let print = Fingerprint::of(key);
        if let Some(pin) = self.pins.iter().find(|pin| pin.print == print) {
            return Trust::Pinned {
                name: pin.name.clone(),
            };
        }
        match known {
            Some(known) if known.key != *key => Trust::Changed,
            Some(_) | None => Trust::FirstUse,
        }
    }
}

/// Whether two addresses are one: their hex digits are, in whatever case.
#[must_use]
pub fn same_address(a: &Address, b: &Address) -> bool {
    a.as_str().eq_ignore_ascii_case(b.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::{Roster, RosterEntryForm, RosterFile};
    use crate::secret::Secret;

    const NOW: Timestamp = Timestamp(1_795_824_000_000);

    fn key(byte: u8) -> NodeKey {
        NodeKey::new(&Secret::new([byte; 32])).unwrap()
    }

    fn roster() -> VerifiedRoster {
        let file = RosterFile {
            format: 1,
            network: "n".into(),
            serial: 1,
            until: "2028-12-31".into(),
            organisations: vec![RosterEntryForm {
                organisation: "A".into(),
                key: key(1).public().to_wire(),
                url: "http://a".into(),
                until: "2027-12-31".into(),
            }],
            signatures: vec![],
        };
        let mut signed = file.clone();
        let signature = Roster::try_from(file).unwrap().sign(&key(1)).unwrap();
        signed.signatures.push(signature);
        Roster::try_from(signed).unwrap().verify(None, NOW).unwrap()
    }

    fn anchors() -> TrustAnchors {
        let pin = format!("{} Lab B", key(2).fingerprint());
        TrustAnchors {
            roster: Some(roster()),
            pins: vec![pin.parse().unwrap()],
        }
    }

    #[test]
    fn roster_pin_and_first_use_in_this_order() {
        let trust = |byte: u8, url: &str, before: Option<u8>| {
            let known = before.map(|b| Known {
                key: key(b).public().clone(),
            });
            anchors().judge(key(byte).public(), url, known.as_ref(), NOW)
        };
        let rostered = Trust::Rostered {
            organisation: "A".into(),
        };
        assert_eq!(trust(1, "http://a", None), rostered);
        assert_eq!(
            trust(1, "http://a", Some(9)),
            rostered,
            "a key was replaced"
        );
        assert_eq!(trust(1, "http://elsewhere", None), Trust::FirstUse);
        let pinned = Trust::Pinned {
            name: "Lab B".into(),
        };
        assert_eq!(trust(2, "http://b", Some(9)), pinned);
        assert_eq!(trust(3, "http://c", None), Trust::FirstUse);
        assert_eq!(trust(3, "http://c", Some(3)), Trust::FirstUse);
        assert_eq!(trust(3, "http://c", Some(4)), Trust::Changed);
    }

    #[test]
    fn pins_are_keys_or_fingerprints_with_or_without_a_name() {
        let wire = key(2).public().to_wire();
        let print = key(2).fingerprint().to_string();
        for text in [
            wire.clone(),
            print.clone(),
            format!(" {wire}  Lab B "),
            print.to_uppercase(),
        ] {
            assert_eq!(text.parse::<Pin>().unwrap().print, key(2).fingerprint());
        }
        for bad in ["", "0x12", "Lab B", &format!("{wire} a\u{202e}b")] {
            assert!(bad.parse::<Pin>().is_err(), "{bad}");
        }
    }

    #[test]
    fn addresses_are_one_in_either_case() {
        let lower: Address = format!("0x{}", "ab".repeat(20)).parse().unwrap();
        let upper: Address = format!("0x{}", "AB".repeat(20)).parse().unwrap();
        assert!(same_address(&lower, &upper));
        let other: Address = format!("0x{}", "ac".repeat(20)).parse().unwrap();
        assert!(!same_address(&lower, &other));
    }
}
