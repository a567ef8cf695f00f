//! How a blob lies in its file: the content and, behind it, the seal.

use delta_domain::hash::HashFunction;
use delta_domain::ids::Digest;

/// The last bytes of every file: what its digest is made with.
const MARKS: [(HashFunction, &[u8; 8]); 2] = [
    (HashFunction::Sha256, b"dnblob1\n"),
    (HashFunction::Blake3, b"dnblob2\n"),
];
/// Bytes behind the content.
pub(super) const SEAL_BYTES: u64 = 48;
/// How much is written or read in one go.
pub(super) const BATCH_BYTES: usize = 1 << 20;

/// What stands behind the content of a file: digest (32), length (8, little-endian), mark (8).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seal {
    pub(super) hash: HashFunction,
    pub(super) digest: Digest,
    pub(super) len: u64,
}

impl Seal {
    /// As it stands in the file.
    pub(super) fn encode(self) -> [u8; 48] {
        let mut bytes = [0; 48];
        bytes[..32].copy_from_slice(&self.digest.0);
        bytes[32..40].copy_from_slice(&self.len.to_le_bytes());
        for (_, mark) in MARKS.iter().filter(|(hash, _)| *hash == self.hash) {
            bytes[40..].copy_from_slice(*mark);
        }
        bytes
    }

    /// `None` when these bytes are no seal.
    pub(super) fn decode(bytes: &[u8; 48]) -> Option<Self> {
        let (digest, rest) = bytes.split_first_chunk::<32>()?;
        let (len, mark) = rest.split_first_chunk::<8>()?;
        let (hash, _) = MARKS.iter().find(|(_, known)| *known == mark)?;
        Some(Self {
            hash: *hash,
            digest: Digest(*digest),
            len: u64::from_le_bytes(*len),
        })
    }
}
