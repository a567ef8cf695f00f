//! One way to turn a shared secret into keys: HKDF-SHA256 (RFC 5869) with unambiguous, length-prefixed context.
//!
//! Every key in the protocol comes from here, so that two purposes can never share one: the label is the salt, the context
//! is the info, and each part of the context is preceded by its length.

use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

/// HKDF-Extract: one pseudorandom key for `label` from `input`.
pub(crate) fn extract(label: &[u8], input: &[u8]) -> Zeroizing<[u8; 32]> {
    let (mut prk, _) = Hkdf::<Sha256>::extract(Some(label), input);
    let key = Zeroizing::new(prk.into());
    zeroize::Zeroize::zeroize(&mut *prk);
    key
}

/// HKDF-Expand of `key` under `context`, 32 bytes.
pub(crate) fn expand(key: &[u8; 32], context: &[u8]) -> Zeroizing<[u8; 32]> {
    let mut out = Zeroizing::new([0; 32]);
    // Invariant: a key of 32 bytes is one hash output long and 32 bytes of output are far below 255 blocks;
    // HKDF fails for no other reason.
    #[expect(clippy::expect_used, reason = "lengths are constants")]
    Hkdf::<Sha256>::from_prk(key)
        .expect("a 32-byte key")
        .expand(context, &mut *out)
        .expect("a 32-byte output");
    out
}

/// The parts one after the other, each preceded by its length (4 bytes, big-endian): no two lists of parts give the same bytes.
pub(crate) fn framed(parts: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::with_capacity(parts.iter().map(|p| p.len() + 4).sum());
    for part in parts {
        // A part longer than 4 GiB cannot occur: parts are labels, identifiers and public keys.
        out.extend_from_slice(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
        out.extend_from_slice(part);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_rfc_5869_case_1_extract() {
        let salt: Vec<u8> = (0..13).collect();
        let prk = extract(&salt, &[0x0b; 22]);
        assert_eq!(
            crate::ids::encode_hex(&*prk),
            "0x077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5"
        );
        let info: Vec<u8> = (0xf0..=0xf9).collect();
        assert_eq!(
            crate::ids::encode_hex(&*expand(&prk, &info)),
            "0x3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf"
        );
    }

    #[test]
    fn moving_a_boundary_changes_the_frame() {
        assert_ne!(framed(&[b"ab", b"c"]), framed(&[b"a", b"bc"]));
        assert_ne!(framed(&[b"ab"]), framed(&[b"ab", b""]));
    }
}
