//! The mask seed that two runners share, and which of them adds and which subtracts (docs/protocol/secagg.md, Key derivation and Masks).

use crate::ids::{Address, RoundNumber, TaskId};
use crate::secret::Secret;

use super::kdf::{expand, extract, framed};
use super::keys::{KeyError, KeyPair, PublicKey};
use super::mask::Sign;

const LABEL: &[u8] = b"delta-node secagg v1 pairwise mask";

/// The seed of the mask between the owner of `own` (a `pk2` pair) and the owner of `their`, in one round of one task.
///
/// Both sides compute the same: HKDF-SHA256 of the ECDH secret, bound to the task, the round and both public keys in byte order.
/// The coordinator computes it too, from the rebuilt secret of a dropped runner.
///
/// # Errors
/// [`KeyError::CurveMismatch`] when the keys are of two curves.
pub fn pairwise_seed(
    own: &KeyPair,
    their: &PublicKey,
    task: &TaskId,
    round: RoundNumber,
) -> Result<Secret<32>, KeyError> {
    Ok(seed_of(&own.agree(their)?, own, their, task, round))
}

/// [`pairwise_seed`] with each of `theirs`, in their order.
///
/// # Errors
/// As [`pairwise_seed`].
pub fn pairwise_seeds(
    own: &KeyPair,
    theirs: &[&PublicKey],
    task: &TaskId,
    round: RoundNumber,
) -> Result<Vec<Secret<32>>, KeyError> {
    let shared = own.agree_each(theirs)?;
    let pairs = shared.iter().zip(theirs);
    Ok(pairs
        .map(|(shared, their)| seed_of(shared, own, their, task, round))
        .collect())
}

fn seed_of(
    shared: &[u8],
    own: &KeyPair,
    their: &PublicKey,
    task: &TaskId,
    round: RoundNumber,
) -> Secret<32> {
    let (low, high) = sorted(own.public_ref(), their);
    let context = framed(&[
        LABEL,
        task.as_str().as_bytes(),
        &round.0.to_be_bytes(),
        own.curve().name().as_bytes(),
        low.as_bytes(),
        high.as_bytes(),
    ]);
    Secret::new(*expand(&extract(LABEL, shared), &context))
}

/// The sign with which `own` enters the mask shared with `other`: plus when its address string sorts above the other's.
#[must_use]
pub fn sign_for(own: &Address, other: &Address) -> Sign {
    if own > other { Sign::Plus } else { Sign::Minus }
}

/// Two keys in byte order.
pub(crate) fn sorted<'a>(a: &'a PublicKey, b: &'a PublicKey) -> (&'a PublicKey, &'a PublicKey) {
    if a <= b { (a, b) } else { (b, a) }
}

#[cfg(test)]
mod tests {
    use subtle::ConstantTimeEq as _;

    use super::*;
    use crate::secagg::keys::Curve;
    use crate::secagg::vectors;

    fn task(n: u8) -> TaskId {
        format!("0x{}", format!("{n:02x}").repeat(32))
            .parse()
            .unwrap()
    }

    #[test]
    fn both_sides_agree_and_nobody_else_does() {
        let mut rng = vectors::rng(1);
        for curve in [Curve::Secp256k1, Curve::Secp256r1, Curve::Secp384r1] {
            let [a, b, c] = [(); 3].map(|()| KeyPair::generate(curve, &mut rng));
            let seed = pairwise_seed(&a, b.public_ref(), &task(1), RoundNumber(1)).unwrap();
            let both = [b.public_ref(), c.public_ref()];
            let each = pairwise_seeds(&a, &both, &task(1), RoundNumber(1)).unwrap();
            let same =
                |other: Result<Secret<32>, KeyError>| bool::from(seed.ct_eq(&other.unwrap()));
            assert!(same(pairwise_seed(
                &b,
                a.public_ref(),
                &task(1),
                RoundNumber(1)
            )));
            let [with_b, with_c] = each.try_into().unwrap();
            assert!(same(Ok(with_b)) && !same(Ok(with_c)));
            assert!(!same(pairwise_seed(
                &b,
                a.public_ref(),
                &task(2),
                RoundNumber(1)
            )));
            assert!(!same(pairwise_seed(
                &b,
                a.public_ref(),
                &task(1),
                RoundNumber(2)
            )));
            assert!(!same(pairwise_seed(
                &c,
                a.public_ref(),
                &task(1),
                RoundNumber(1)
            )));
        }
    }

    /// Computed by a Python script from the curve's formulas and hmac, not by this code.
    #[test]
    fn the_seed_is_pinned() {
        let a = KeyPair::from_secret_bytes(Curve::Secp256k1, &[1; 32]).unwrap();
        let b = KeyPair::from_secret_bytes(Curve::Secp256k1, &[2; 32]).unwrap();
        let seed = pairwise_seed(&a, b.public_ref(), &task(7), RoundNumber(3)).unwrap();
        assert_eq!(
            crate::ids::encode_hex(seed.expose()),
            "0x5bd34380552eb95f3be6c867d2b46deb34c4805afec3e5d52dd796fb3dc7ff40"
        );
    }

    #[test]
    fn the_signs_of_a_pair_are_opposite_and_follow_the_exact_strings() {
        let lower: Address = "0xabcdefabcdefabcdefabcdefabcdefabcdefabcd"
            .parse()
            .unwrap();
        let upper: Address = "0xABCDEFABCDEFABCDEFABCDEFABCDEFABCDEFABCD"
            .parse()
            .unwrap();
        assert_eq!(sign_for(&lower, &upper), Sign::Plus);
        assert_eq!(sign_for(&upper, &lower), Sign::Minus);
    }
}
