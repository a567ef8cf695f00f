//! What a node serves at `GET /v1/catalogue`: its listings, signed by its long-term key, for a while.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::listing::{Listing, MAX_DATASETS};
use crate::identity::NodeKey;
use crate::round::message::{Encoder, hex_bytes};
use crate::secagg::keys::PublicKey;
use crate::time::Timestamp;

/// The only form so far.
const FORMAT: u32 = 1;
/// The longest catalogue that is read, in bytes of JSON.
pub const MAX_CATALOGUE_BYTES: usize = 128 << 10;
/// What nodes of this version can run, by the names of manifests.
pub const DRIVERS: [&str; 4] = ["once", "batches", "records", "solve"];
/// For how long a catalogue holds, once it is signed. Who keeps an old one can show it for so long to those who have seen no newer one.
const LASTS: Duration = Duration::from_secs(24 * 3600);
/// How far clocks may be apart.
const SKEW: Duration = Duration::from_secs(600);
/// The most and the longest names of drivers.
const MAX_DRIVERS: usize = 32;

/// What a node publishes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "CatalogueForm", into = "CatalogueForm")]
pub struct Catalogue {
    key: PublicKey,
    issued_at: Timestamp,
    not_after: Timestamp,
    drivers: Vec<String>,
    datasets: Vec<Listing>,
}

/// A catalogue as JSON has it: nothing is checked yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CatalogueForm {
    /// 1.
    pub format: u32,
    /// The long-term key of the node: `0x` and 66 lower-case hex digits.
    pub key: String,
    /// When it was signed: unix ms. A newer one takes its place.
    pub issued_at: Timestamp,
    /// It holds until here: unix ms.
    pub not_after: Timestamp,
    /// What the node can run.
    pub drivers: Vec<String>,
    /// Its datasets, by their names.
    pub datasets: Vec<Listing>,
}

impl TryFrom<CatalogueForm> for Catalogue {
    type Error = String;

    fn try_from(form: CatalogueForm) -> Result<Self, String> {
        if form.format != FORMAT {
            return Err("the catalogue's format is not 1, the only one that is known".to_owned());
        }
        let key = PublicKey::parse(NodeKey::CURVE, &form.key);
        let key = key.map_err(|_| "the catalogue's key is no point of secp256k1")?;
        if key.to_wire() != form.key {
            return Err("the catalogue's key is not 0x and lower-case digits".to_owned());
        }
        let word = |w: &String| {
            (1..=MAX_DRIVERS).contains(&w.len()) && w.bytes().all(|b| b.is_ascii_lowercase())
        };
        if form.drivers.len() > MAX_DRIVERS || !form.drivers.iter().all(word) {
            return Err("the catalogue's drivers are no words".to_owned());
        }
        if form.datasets.len() > MAX_DATASETS {
            return Err(format!(
                "the catalogue has more than {MAX_DATASETS} datasets"
            ));
        }
        let names: BTreeSet<&str> = form.datasets.iter().map(|d| d.name.as_str()).collect();
        if names.len() < form.datasets.len() {
            return Err("the catalogue has two datasets of one name".to_owned());
        }
        for listing in &form.datasets {
            listing.check().map_err(|e| e.to_string())?;
        }
        Ok(Self {
            key,
            issued_at: form.issued_at,
            not_after: form.not_after,
            drivers: form.drivers,
            datasets: form.datasets,
        })
    }
}

impl From<Catalogue> for CatalogueForm {
    fn from(catalogue: Catalogue) -> Self {
        Self {
            format: FORMAT,
            key: catalogue.key.to_wire(),
            issued_at: catalogue.issued_at,
            not_after: catalogue.not_after,
            drivers: catalogue.drivers,
            datasets: catalogue.datasets,
        }
    }
}

impl Catalogue {
    /// When it was signed.
    #[must_use]
    pub fn issued_at(&self) -> Timestamp {
        self.issued_at
    }

    /// The last moment at which it holds.
    #[must_use]
    pub fn not_after(&self) -> Timestamp {
        self.not_after
    }

    /// What the node can run.
    #[must_use]
    pub fn drivers(&self) -> &[String] {
        &self.drivers
    }

    /// Its datasets.
    #[must_use]
    pub fn datasets(&self) -> &[Listing] {
        &self.datasets
    }

    /// The bytes that are signed: docs/protocol/identity.md, Catalogue.
    #[must_use]
    pub fn signed_bytes(&self) -> Vec<u8> {
        let mut e = Encoder::new("delta catalogue 1");
        e.bytes(self.key.as_bytes());
        e.number(self.issued_at.0);
        e.number(self.not_after.0);
        e.number(self.drivers.len() as u64);
        for driver in &self.drivers {
            e.text(driver);
        }
        e.number(self.datasets.len() as u64);
        for listing in &self.datasets {
            listing.encode(&mut e);
        }
        e.finish()
    }
}

/// A catalogue with its node's signature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedCatalogue {
    /// What the node publishes.
    pub catalogue: Catalogue,
    /// Its key's signature.
    #[serde(with = "hex_bytes")]
    pub signature: Vec<u8>,
}

/// Why a catalogue is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CatalogueFault {
    /// It names another key than the node has proved.
    #[error("its catalogue is another node's")]
    OtherKey,
    /// The signature is not that key's.
    #[error("its catalogue is not signed by its key")]
    Signature,
    /// It has ended.
    #[error("its catalogue has ended")]
    Expired,
    /// It was signed in the future, or for a time that no node signs for.
    #[error("its catalogue has times that cannot be; its clock, or this node's, is wrong")]
    Times,
    /// A newer one was seen.
    #[error("its catalogue is older than one that it has shown before")]
    Older,
}

impl SignedCatalogue {
    /// Signs what a node publishes from `now` on. `None` when it is not within bounds.
    #[must_use]
    pub fn issue(key: &NodeKey, datasets: Vec<Listing>, now: Timestamp) -> Option<Self> {
        let form = CatalogueForm {
            format: FORMAT,
            key: key.public().to_wire(),
            issued_at: now,
            not_after: now + LASTS,
            drivers: DRIVERS.map(str::to_owned).to_vec(),
            datasets,
        };
        let catalogue = Catalogue::try_from(form).ok()?;
        let signature = key.sign(&catalogue.signed_bytes());
        let signed = Self {
            catalogue,
            signature,
        };
        let bytes = serde_json::to_vec(&signed).ok()?;
        (bytes.len() <= MAX_CATALOGUE_BYTES).then_some(signed)
    }

    /// Whether this is what the node with this key publishes `now`. `seen`: when the newest was signed that it has shown before.
    ///
    /// # Errors
    /// [`CatalogueFault`], the first one found.
    pub fn verify(
        &self,
        key: &PublicKey,
        seen: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<(), CatalogueFault> {
        let Catalogue {
            issued_at,
            not_after,
            ..
        } = self.catalogue;
        if self.catalogue.key != *key {
            return Err(CatalogueFault::OtherKey);
        }
        if issued_at > now + SKEW || not_after > issued_at + LASTS {
            return Err(CatalogueFault::Times);
        }
        if not_after < now {
            return Err(CatalogueFault::Expired);
        }
        key.verify(&self.catalogue.signed_bytes(), &self.signature)
            .map_err(|_| CatalogueFault::Signature)?;
        match seen {
            Some(seen) if issued_at < seen => Err(CatalogueFault::Older),
            _ => Ok(()),
        }
    }
}
