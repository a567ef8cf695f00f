//! The roster: the keys that count in a network, signed by its organisations.
//!
//! Signatures count by organisation, not by key, and only while the signing key counts itself. How many are needed is said by
//! whoever checks, not by the roster: a forged one would ask for none.

use std::collections::{BTreeMap, BTreeSet};

use super::card::url_fault;
use super::day::end_of;
use super::key::NodeKey;
use super::roster_file::{RosterFile, RosterSignature};
use super::words;
use crate::ids::{Digest, decode_hex, encode_hex};
use crate::round::message::Encoder;
use crate::secagg::keys::PublicKey;
use crate::time::Timestamp;

const FORMAT: u32 = 1;
const MAX_ENTRIES: usize = 1024;

/// A roster of the right form, and the signatures that came with it. They are not checked yet: see [`Roster::verify`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Roster {
    network: String,
    serial: u64,
    until: Timestamp,
    entries: Vec<RosterEntry>,
    signatures: Vec<(PublicKey, Vec<u8>)>,
}

/// One node of one organisation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RosterEntry {
    /// The organisation.
    pub organisation: String,
    /// The node's long-term key.
    pub key: PublicKey,
    /// Where the node is, if the roster says so.
    pub url: Option<String>,
    /// The first moment at which the key does not count any more.
    pub until: Timestamp,
}

/// A roster that enough of its organisations signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedRoster {
    roster: Roster,
    signed_by: BTreeSet<String>,
}

/// What is wrong with a roster.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RosterError {
    /// A field of the file.
    #[error("{place}: {fault}")]
    Field {
        /// Where, for example `organisations[2].key`.
        place: String,
        /// What is wrong.
        fault: String,
    },
    /// A signature that does not hold.
    #[error(
        "signatures[{index}]: does not hold: it is of another version of the roster, or changed"
    )]
    BadSignature {
        /// Which, from 0.
        index: usize,
    },
    /// Too few organisations signed.
    #[error(
        "signed by {got} of its organisations, {needed} are needed ({signed}); `delta-node identity sign-roster FILE` adds a signature"
    )]
    TooFew {
        /// Organisations that signed.
        got: usize,
        /// How many must.
        needed: usize,
        /// Their names.
        signed: String,
    },
    /// It is over.
    #[error("it ended on the day that `until` names")]
    Expired,
    /// The same serial number with another content, or a lower one.
    #[error("serial {serial} is not above {known}, that of the roster accepted before it")]
    Old {
        /// The roster's.
        serial: u64,
        /// The one accepted before.
        known: u64,
    },
    /// Those who counted before did not sign.
    #[error(
        "signed by {got} of the organisations that counted before, {needed} are needed; `delta-node identity accept-roster` accepts it all the same"
    )]
    NotSucceeding {
        /// Organisations of the roster before that signed.
        got: usize,
        /// How many must.
        needed: usize,
    },
}

fn wrong(place: impl Into<String>, fault: impl Into<String>) -> RosterError {
    RosterError::Field {
        place: place.into(),
        fault: fault.into(),
    }
}

impl TryFrom<RosterFile> for Roster {
    type Error = RosterError;

    fn try_from(file: RosterFile) -> Result<Self, RosterError> {
        if file.format != FORMAT {
            return Err(wrong(
                "format",
                "is not 1, the only one that this program knows",
            ));
        }
        if let Some(fault) = words::fault_of(&file.network) {
            return Err(wrong("network", fault));
        }
        if file.organisations.is_empty() || file.organisations.len() > MAX_ENTRIES {
            return Err(wrong(
                "organisations",
                format!("must be 1 to {MAX_ENTRIES}"),
            ));
        }
        if file.signatures.len() > MAX_ENTRIES {
            return Err(wrong("signatures", format!("are more than {MAX_ENTRIES}")));
        }
        let mut entries = Vec::with_capacity(file.organisations.len());
        let mut keys = BTreeSet::new();
        for (i, form) in file.organisations.into_iter().enumerate() {
            let place = |field: &str| format!("organisations[{i}].{field}");
            if let Some(fault) = words::fault_of(&form.organisation) {
                return Err(wrong(place("organisation"), fault));
            }
            let key = key_of(&form.key).ok_or_else(|| wrong(place("key"), NO_KEY))?;
            if !keys.insert(key.clone()) {
                return Err(wrong(place("key"), "stands in the roster twice"));
            }
            let url = form.url.trim_end_matches('/').to_owned();
            if !url.is_empty()
                && let Some(fault) = url_fault(&url)
            {
                return Err(wrong(place("url"), fault));
            }
            entries.push(RosterEntry {
                organisation: form.organisation,
                key,
                url: (!url.is_empty()).then_some(url),
                until: end_of(&form.until).ok_or_else(|| wrong(place("until"), NO_DATE))?,
            });
        }
        let mut signatures = Vec::with_capacity(file.signatures.len());
        for (i, RosterSignature { key, signature }) in file.signatures.into_iter().enumerate() {
            let place = |field: &str| format!("signatures[{i}].{field}");
            let key = key_of(&key).ok_or_else(|| wrong(place("key"), NO_KEY))?;
            if !keys.contains(&key) {
                return Err(wrong(place("key"), "is no key of this roster"));
            }
            let bytes = (signature.len() <= 130)
                .then(|| decode_hex(&signature).ok())
                .flatten()
                .ok_or_else(|| wrong(place("signature"), "is not 0x and 128 hex digits"))?;
            signatures.push((key, bytes));
        }
        Ok(Self {
            network: file.network,
            serial: file.serial,
            until: end_of(&file.until).ok_or_else(|| wrong("until", NO_DATE))?,
            entries,
            signatures,
        })
    }
}

impl Roster {
    /// The network's name.
    #[must_use]
    pub fn network(&self) -> &str {
        &self.network
    }

    /// Its number.
    #[must_use]
    pub fn serial(&self) -> u64 {
        self.serial
    }

    /// Its entries, in the order of the file.
    #[must_use]
    pub fn entries(&self) -> &[RosterEntry] {
        &self.entries
    }

    /// The bytes that its organisations sign: docs/protocol/identity.md, Roster.
    #[must_use]
    pub fn signed_bytes(&self) -> Vec<u8> {
        let mut e = Encoder::new("delta roster 1");
        e.text(&self.network);
        e.number(self.serial);
        e.number(self.until.0);
        e.number(self.entries.len() as u64);
        for entry in &self.entries {
            e.text(&entry.organisation);
            e.bytes(entry.key.as_bytes());
            e.text(entry.url.as_deref().unwrap_or_default());
            e.number(entry.until.0);
        }
        e.finish()
    }

    /// SHA-256 of [`Self::signed_bytes`].
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of(&self.signed_bytes())
    }

    /// The signature of `key`, as it stands in the file. `None` when the roster does not list the key.
    #[must_use]
    pub fn sign(&self, key: &NodeKey) -> Option<RosterSignature> {
        self.entries
            .iter()
            .any(|e| e.key == *key.public())
            .then(|| RosterSignature {
                key: key.public().to_wire(),
                signature: encode_hex(&key.sign(&self.signed_bytes())),
            })
    }

    /// Whether `key` has signed already.
    #[must_use]
    pub fn has_signed(&self, key: &PublicKey) -> bool {
        let bytes = self.signed_bytes();
        let own = |(k, s): &(PublicKey, Vec<u8>)| k == key && k.verify(&bytes, s).is_ok();
        self.signatures.iter().any(own)
    }

    /// How many organisations it lists.
    #[must_use]
    pub fn organisations(&self) -> usize {
        let names: BTreeSet<&str> = self.entries.iter().map(|e| &*e.organisation).collect();
        names.len()
    }

    /// Checks every signature, and that `needed` organisations signed: a majority of them when `None`.
    ///
    /// # Errors
    /// [`RosterError`]. One signature that does not hold is an error too: somebody changed what was signed.
    pub fn verify(
        self,
        needed: Option<usize>,
        now: Timestamp,
    ) -> Result<VerifiedRoster, RosterError> {
        if self.until <= now {
            return Err(RosterError::Expired);
        }
        let needed = needed.unwrap_or(self.organisations() / 2 + 1).max(1);
        let bytes = self.signed_bytes();
        for (index, (key, signature)) in self.signatures.iter().enumerate() {
            key.verify(&bytes, signature)
                .map_err(|_| RosterError::BadSignature { index })?;
        }
        let signed_by = self.signers(&self.entries, now);
        if signed_by.len() < needed {
            return Err(RosterError::TooFew {
                got: signed_by.len(),
                needed,
                signed: match signed_by.is_empty() {
                    true => "nobody".to_owned(),
                    false => Vec::from_iter(signed_by.iter().cloned()).join(", "),
                },
            });
        }
        Ok(VerifiedRoster {
            roster: self,
            signed_by,
        })
    }

    /// The organisations of `entries` of which a key that counts `now` is among the signers.
    fn signers(&self, entries: &[RosterEntry], now: Timestamp) -> BTreeSet<String> {
        let keys: BTreeSet<&PublicKey> = self.signatures.iter().map(|(key, _)| key).collect();
        entries
            .iter()
            .filter(|e| e.until > now && keys.contains(&e.key))
            .map(|e| e.organisation.clone())
            .collect()
    }
}

impl VerifiedRoster {
    /// The roster.
    #[must_use]
    pub fn roster(&self) -> &Roster {
        &self.roster
    }

    /// The organisations that signed.
    pub fn signed_by(&self) -> impl Iterator<Item = &str> {
        self.signed_by.iter().map(String::as_str)
    }

    /// The entry of a key that counts `now`.
    #[must_use]
    pub fn entry(&self, key: &PublicKey, now: Timestamp) -> Option<&RosterEntry> {
        if self.roster.until <= now {
            return None;
        }
        let counts = |e: &&RosterEntry| e.key == *key && e.until > now;
        self.roster.entries.iter().find(counts)
    }

    /// Whether this may take the place of `before`, which was accepted earlier: a higher serial number, and signed by enough of
    /// the organisations of `before` (a majority when `needed` is `None`); or the same roster again.
    ///
    /// # Errors
    /// [`RosterError::Old`], [`RosterError::NotSucceeding`].
    pub fn succeeds(
        &self,
        before: &Roster,
        needed: Option<usize>,
        now: Timestamp,
    ) -> Result<(), RosterError> {
        let new = &self.roster;
        if new.digest() == before.digest() {
            return Ok(());
        }
        if new.serial <= before.serial {
            return Err(RosterError::Old {
                serial: new.serial,
                known: before.serial,
            });
        }
        let needed = needed.unwrap_or(before.organisations() / 2 + 1).max(1);
        let got = new.signers(&before.entries, now).len();
        if got < needed {
            return Err(RosterError::NotSucceeding { got, needed });
        }
        Ok(())
    }

    /// How many keys each organisation has in it.
    #[must_use]
    pub fn keys_of_organisations(&self) -> BTreeMap<&str, usize> {
        let mut counts = BTreeMap::new();
        for entry in &self.roster.entries {
            *counts.entry(entry.organisation.as_str()).or_default() += 1;
        }
        counts
    }
}

const NO_KEY: &str =
    "is no key: expected 0x and the 66 hex digits that `delta-node identity` shows";
const NO_DATE: &str = "is no day: expected YYYY-MM-DD";

fn key_of(text: &str) -> Option<PublicKey> {
    PublicKey::parse(NodeKey::CURVE, text).ok()
}

#[cfg(test)]
mod tests;
