//! Versions of datasets on the data hub: commitments that fix what a dataset was, and show nothing of it.
//!
//! The hub maps (owner, name, index) to a text. Here the name is the dataset's, the index the number of the version, from 0, and the text
//! a digest over a salt that only the owner knows, so that nobody can try out which content it may be of.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::ids::{DatasetName, Digest};
use super::secret::Secret;
use super::time::Timestamp;

/// In front of what a commitment is made of.
const LABEL: &[u8] = b"delta dataset 1\0";

/// The most versions of one dataset.
pub const MOST_VERSIONS: u32 = 10_000;

/// One version of a dataset, as its owner registered it. Serialisation is for the node's own database.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Registration {
    /// The dataset's name, here and on the hub.
    pub dataset: DatasetName,
    /// The number of the version, from 0.
    pub index: u32,
    /// What tells its content from any other.
    pub version: Digest,
    /// Drawn for this version alone.
    salt: Secret<32>,
    /// When it was registered.
    pub at: Timestamp,
    /// Whether the hub has shown it. What is not may have reached it all the same.
    pub on_record: bool,
}

impl Registration {
    /// A version that is about to be registered.
    #[must_use]
    pub fn new(
        dataset: DatasetName,
        index: u32,
        version: Digest,
        salt: Secret<32>,
        at: Timestamp,
    ) -> Self {
        Self {
            dataset,
            index,
            version,
            salt,
            at,
            on_record: false,
        }
    }

    /// What is published: SHA-256 over a label, the salt, the version and the name.
    #[must_use]
    pub fn commitment(&self) -> Digest {
        let hash = Sha256::new()
            .chain_update(LABEL)
            .chain_update(self.salt.expose())
            .chain_update(self.version.0)
            .chain_update(self.dataset.as_str());
        Digest(hash.finalize().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(name: &str, content: u8, salt: u8) -> Registration {
        let (version, salt) = (Digest([content; 32]), Secret::new([salt; 32]));
        Registration::new(name.parse().unwrap(), 0, version, salt, Timestamp(7))
    }

    #[test]
    fn a_commitment_is_of_name_content_and_salt() {
        let one = version("a.csv", 1, 2);
        assert_eq!(one.commitment(), version("a.csv", 1, 2).commitment());
        for other in [
            version("b.csv", 1, 2),
            version("a.csv", 3, 2),
            version("a.csv", 1, 4),
        ] {
            assert_ne!(one.commitment(), other.commitment());
        }
        // By hashlib of Python.
        assert_eq!(
            one.commitment().to_string(),
            "0x6ef5c2fd1d1e9e7af377b69a666803c37faabc008eee647909d2af1486828cb2"
        );
    }

    #[test]
    fn it_comes_back_from_the_database_as_it_was() {
        let one = version("a.csv", 1, 2);
        let text = serde_json::to_string(&one).unwrap();
        let back: Registration = serde_json::from_str(&text).unwrap();
        assert_eq!(back.commitment(), one.commitment());
        assert_eq!(
            (back.index, back.at, back.on_record),
            (0, Timestamp(7), false)
        );
    }
}
