//! Sealing what must rest on a disk: snapshots that hold a round's secrets, under the node's own key.
//!
//! XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03). Its nonce has 192 bits and is drawn at random, so no counter has to survive a crash.
//! The context is authenticated with the bytes: what was sealed for one machine does not open as another's.
//! Not here: where the key comes from, and sealing for other members (`secagg::seal`).
//!
//! A sealed value is `1 ‖ nonce (24) ‖ ciphertext ‖ tag (16)`.

use chacha20poly1305::aead::{Aead as _, Payload};
use chacha20poly1305::{KeyInit as _, XChaCha20Poly1305};
use rand_core::CryptoRng;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::ids::Digest;
use super::secret::Secret;

const FORM: u8 = 1;
const NONCE_BYTES: usize = 24;
const TAG_BYTES: usize = 16;

/// How many bytes a sealed value is longer than what it holds.
pub const OVERHEAD_BYTES: usize = 1 + NONCE_BYTES + TAG_BYTES;

/// Why a value cannot be sealed or opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum VaultError {
    /// No vault made this.
    #[error("this is not a sealed value")]
    NotSealed,
    /// The key or the context is another one, or the bytes were changed.
    #[error("the sealed value does not open: another node key, another place, or changed bytes")]
    DoesNotOpen,
    /// More than 256 GiB.
    #[error("the value is too large to be sealed")]
    TooLarge,
}

/// Seals and opens values under one key. The key is wiped on drop and never printed.
#[derive(Debug)]
pub struct Vault {
    key: Secret<32>,
}

/// Its one field wipes itself.
impl zeroize::ZeroizeOnDrop for Vault {}

impl Vault {
    /// A vault under `key`.
    #[must_use]
    pub fn new(key: Secret<32>) -> Self {
        Self { key }
    }

    /// Seals `plain` for the place that `context` names.
    ///
    /// # Errors
    /// [`VaultError::TooLarge`] beyond what the cipher can take.
    pub fn seal(
        &self,
        rng: &mut impl CryptoRng,
        context: &[u8],
        plain: &[u8],
    ) -> Result<Vec<u8>, VaultError> {
        let mut nonce = [0; NONCE_BYTES];
        rng.fill_bytes(&mut nonce);
        let aad = associated_data(context);
        let body = self
            .cipher()
            .encrypt(
                &nonce.into(),
                Payload {
                    msg: plain,
                    aad: &aad,
                },
            )
            .map_err(|_| VaultError::TooLarge)?;
        let mut sealed = Vec::with_capacity(1 + NONCE_BYTES + body.len());
        sealed.push(FORM);
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(&body);
        Ok(sealed)
    }

    /// Opens what [`Vault::seal`] made under the same key and context.
    ///
    /// # Errors
    /// [`VaultError::NotSealed`] when the form is wrong, [`VaultError::DoesNotOpen`] when anything else is.
    pub fn open(&self, context: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        let rest = sealed.strip_prefix(&[FORM]).ok_or(VaultError::NotSealed)?;
        let (nonce, body) = rest
            .split_first_chunk::<NONCE_BYTES>()
            .ok_or(VaultError::NotSealed)?;
        if body.len() < TAG_BYTES {
            return Err(VaultError::NotSealed);
        }
        let aad = associated_data(context);
        let plain = self
            .cipher()
            .decrypt(
                &(*nonce).into(),
                Payload {
                    msg: body,
                    aad: &aad,
                },
            )
            .map_err(|_| VaultError::DoesNotOpen)?;
        Ok(Zeroizing::new(plain))
    }

    /// Tells two keys apart without telling anything about either: kept in the database, to notice a key file that was replaced.
    #[must_use]
    pub fn key_check(&self) -> Digest {
        Digest(
            Sha256::new()
                .chain_update(b"delta node key check 1")
                .chain_update(self.key.expose())
                .finalize()
                .into(),
        )
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(self.key.expose().into())
    }
}

fn associated_data(context: &[u8]) -> Vec<u8> {
    [b"delta vault 1 ".as_slice(), context].concat()
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng as _;

    use super::*;

    fn vault(byte: u8) -> Vault {
        Vault::new(Secret::new([byte; 32]))
    }

    fn rng() -> ChaCha20Rng {
        ChaCha20Rng::from_seed([9; 32])
    }

    #[test]
    fn what_is_sealed_opens_and_shows_nothing() {
        let sealed = vault(1).seal(&mut rng(), b"round 1", b"a secret").unwrap();
        assert_eq!(
            vault(1).open(b"round 1", &sealed).unwrap().as_slice(),
            b"a secret"
        );
        assert_eq!(sealed.len(), b"a secret".len() + OVERHEAD_BYTES);
        assert!(!sealed.windows(8).any(|w| w == b"a secret"));
    }

    #[test]
    fn another_key_another_place_and_every_changed_byte_are_noticed() {
        let sealed = vault(1).seal(&mut rng(), b"round 1", b"a secret").unwrap();
        assert_eq!(
            vault(2).open(b"round 1", &sealed).unwrap_err(),
            VaultError::DoesNotOpen
        );
        assert_eq!(
            vault(1).open(b"round 2", &sealed).unwrap_err(),
            VaultError::DoesNotOpen
        );
        for i in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[i] ^= 1;
            assert!(vault(1).open(b"round 1", &changed).is_err(), "byte {i}");
        }
    }

    #[test]
    fn cut_values_do_not_open() {
        let sealed = vault(1).seal(&mut rng(), b"", b"").unwrap();
        for len in 0..sealed.len() {
            assert!(vault(1).open(b"", &sealed[..len]).is_err(), "{len} bytes");
        }
    }

    #[test]
    fn the_same_value_never_seals_alike() {
        let mut rng = rng();
        let a = vault(1).seal(&mut rng, b"x", b"y").unwrap();
        let b = vault(1).seal(&mut rng, b"x", b"y").unwrap();
        assert_ne!(a, b);
    }

    #[test]
    fn the_key_check_tells_keys_apart() {
        assert_eq!(vault(1).key_check(), vault(1).key_check());
        assert_ne!(vault(1).key_check(), vault(2).key_check());
    }

    #[test]
    fn debug_shows_no_key() {
        assert!(!format!("{:?}", vault(0xAB)).contains("171"));
    }

    /// draft-irtf-cfrg-xchacha-03, appendix A.3.1: the cipher is the one it says it is.
    #[test]
    fn the_cipher_is_the_published_one() {
        let key: [u8; 32] = std::array::from_fn(|i| 0x80 + i as u8);
        let nonce: [u8; 24] = std::array::from_fn(|i| 0x40 + i as u8);
        let aad = [
            0x50, 0x51, 0x52, 0x53, 0xc0, 0xc1, 0xc2, 0xc3, 0xc4, 0xc5, 0xc6, 0xc7,
        ];
        let msg = b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would be it.";
        let out = vault_cipher(key)
            .encrypt(&nonce.into(), Payload { msg, aad: &aad })
            .unwrap();
        assert_eq!(out[..8], [0xbd, 0x6d, 0x17, 0x9d, 0x3e, 0x83, 0xd4, 0x3b]);
        assert_eq!(
            out[out.len() - 8..],
            [0x47, 0xde, 0xaf, 0xd8, 0x78, 0x0a, 0xcf, 0x49]
        );
    }

    fn vault_cipher(key: [u8; 32]) -> XChaCha20Poly1305 {
        Vault::new(Secret::new(key)).cipher()
    }
}
