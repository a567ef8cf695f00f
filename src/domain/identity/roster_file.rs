//! A roster as it is written in a file (`roster.yaml`): nothing is checked yet, but that no key is unknown.

use serde::{Deserialize, Serialize};

/// The longest roster file that is read, in bytes.
pub const MAX_ROSTER_BYTES: usize = 1 << 20;

/// The file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RosterFile {
    /// 1.
    pub format: u32,
    /// Name of the network or study.
    pub network: String,
    /// Grows with every change, so that an old roster cannot come back.
    pub serial: u64,
    /// The last day (UTC) on which the roster holds: `YYYY-MM-DD`.
    pub until: String,
    /// Who counts.
    pub organisations: Vec<RosterEntryForm>,
    /// Signatures of its organisations.
    #[serde(default)]
    pub signatures: Vec<RosterSignature>,
}

/// One node of one organisation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RosterEntryForm {
    /// The organisation.
    pub organisation: String,
    /// The node's long-term key: `0x` and 66 hex digits.
    pub key: String,
    /// Where the node is; when it is given, the node's card must say the same.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub url: String,
    /// The last day (UTC) on which the key counts: `YYYY-MM-DD`.
    pub until: String,
}

/// A signature over a roster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RosterSignature {
    /// A key of the roster.
    pub key: String,
    /// Its signature: `0x` and 128 hex digits.
    pub signature: String,
}
