//! What members put on the connector's record, exactly as read: only the rounds may judge it.

use serde::{Deserialize, Serialize};

/// A member's two public keys as written by that member, unparsed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RawPublicKeys {
    /// Seals shares and signs messages.
    pub pk1: String,
    /// Makes pairwise masks.
    pub pk2: String,
}

/// What is on record about the shares that one sender gave one receiver, unparsed.
/// `None`, `""` and `"0x"` all mean absent; adapters map all three to `None`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RawShareRecord {
    /// Revealed share of the self-mask seed.
    pub seed: Option<String>,
    /// Commitment to that share.
    pub seed_commitment: Option<String>,
    /// Revealed share of the mask key.
    pub secret_key: Option<String>,
    /// Commitment to that share.
    pub secret_key_commitment: Option<String>,
}
