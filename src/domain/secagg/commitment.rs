//! Commitments, published before what they are to is shown: to a share the SHA-256 of its encoding, to a masked input the BLAKE3 of the whole
//! upload (docs/protocol/secagg.md, Commitments).
//!
//! A share has more than 500 bits of entropy, so its plain digest hides it; a masked input has nothing to hide.

use subtle::ConstantTimeEq;

use crate::hash::HashFunction;
use crate::ids::Digest;

/// What the commitment to a masked input is made with; for an upload that comes piece by piece, [`HashFunction::start`].
pub const UPLOAD_HASH: HashFunction = HashFunction::Blake3;

/// The commitment to one encoded share.
#[must_use]
pub fn commit_share(encoded: &[u8]) -> Digest {
    Digest::of(encoded)
}

/// The commitment to a masked input: to the whole upload, header included.
#[must_use]
pub fn commit_upload(upload: &[u8]) -> Digest {
    UPLOAD_HASH.of(upload)
}

/// Whether `encoded` is what `commitment` was published for. Compares in constant time.
#[must_use]
pub fn verify(encoded: &[u8], commitment: &Digest) -> bool {
    commit_share(encoded).0.ct_eq(&commitment.0).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secagg::vectors;

    #[test]
    fn agrees_with_the_original() {
        let file = vectors::load(include_str!(
            "../../../tests/vectors/commitment/commitment.json"
        ));
        let cases = file["cases"].as_array().unwrap();
        assert_eq!(cases.len(), 7);
        for case in cases {
            let data = vectors::bytes(&case["data"]);
            let commitment: Digest = vectors::text(&case["commitment"]).parse().unwrap();
            assert_eq!(commit_share(&data), commitment);
            assert!(verify(&data, &commitment));
            assert!(!verify(&[&data[..], &[0]].concat(), &commitment));
        }
    }
}
