//! One statement signed by many, checked at once: the transcript of a round, and u3.
//!
//! ECDSA (SEC 1, section 4.1) verifies that R = (z/s) G + (r/s) Q has x = r. On secp256k1 a signature of a statement also says which
//! of the two points with that x is R, and a random combination of all equations is verified as one sum, which shares its doublings
//! (Bellare, Garay, Rabin, EUROCRYPT 1998: the small exponents test; Karati, Das, Roychowdhury, Bellur, Bhattacharya, Iyer,
//! AFRICACRYPT 2012: for ECDSA). A wrong signature passes with probability 2^-128. The other curves verify one by one.
//! Not here: what is stated.

use k256::elliptic_curve::ops::{LinearCombination as _, Reduce};
use k256::elliptic_curve::point::{AffineCoordinates as _, DecompressPoint as _};
use k256::elliptic_curve::subtle::Choice;
use k256::{AffinePoint, FieldBytes, ProjectivePoint, Scalar};
use rand_core::CryptoRng;
use sha2::{Digest as _, Sha256};

use super::curve::Curve;
use super::error::KeyError;
use super::pair::{KeyPair, SecretKey};
use super::public::{Point, PublicKey};

/// Bytes of r and s on secp256k1; the next one says whether the y of R is odd.
const RS_BYTES: usize = 64;

impl KeyPair {
    /// Signs a statement that others sign too: as [`KeyPair::sign`], and on secp256k1 one byte more.
    #[must_use]
    pub fn sign_statement(&self, statement: &[u8]) -> Vec<u8> {
        match &self.secret {
            SecretKey::K256(key) => {
                let (signature, recovery) = key.sign_recoverable(statement);
                // Bit 1 says that x was above the order: one signature in 2^127, which nobody accepts.
                [&signature.to_bytes()[..], &[recovery.to_byte()]].concat()
            }
            _ => self.sign(statement),
        }
    }
}

impl PublicKey {
    /// Checks a signature of [`KeyPair::sign_statement`], every byte of it.
    ///
    /// # Errors
    /// [`KeyError::BadSignature`], whatever is wrong.
    pub fn verify_statement(&self, statement: &[u8], signature: &[u8]) -> Result<(), KeyError> {
        if self.curve() != Curve::Secp256k1 {
            return self.verify(statement, signature);
        }
        match Equation::read(self, signature) {
            Some(equation) if equation.holds(&challenge(statement)) => Ok(()),
            _ => Err(KeyError::BadSignature),
        }
    }
}

/// Checks that everybody in `signed` signed `statement` by [`KeyPair::sign_statement`].
///
/// `rng` must be unknown to those who made the signatures.
///
/// # Errors
/// The index of the first who did not.
pub fn all_signed(
    statement: &[u8],
    signed: &[(&PublicKey, &[u8])],
    rng: &mut (impl CryptoRng + ?Sized),
) -> Result<(), usize> {
    let equations: Option<Vec<Equation>> = signed
        .iter()
        .map(|(key, signature)| Equation::read(key, signature))
        .collect();
    let random = || {
        let mut bytes = [0; 16];
        rng.fill_bytes(&mut bytes);
        Scalar::from(u128::from_le_bytes(bytes))
    };
    if equations.is_some_and(|e| all_hold(&challenge(statement), &e, random) == Some(true)) {
        return Ok(());
    }
    // Another curve, or somebody lies: that is rare and may take its time.
    let fails = |(key, signature): &(&PublicKey, &[u8])| {
        key.verify_statement(statement, signature).is_err()
    };
    signed.iter().position(fails).map_or(Ok(()), Err)
}

/// The number z that ECDSA signs for a statement.
fn challenge(statement: &[u8]) -> Scalar {
    let digest: [u8; 32] = Sha256::digest(statement).into();
    <Scalar as Reduce<FieldBytes>>::reduce(&digest.into())
}

/// One signature as an equation: s R = z G + r Q, where R is the point with this x and this y.
#[derive(Clone, Copy)]
struct Equation {
    x: FieldBytes,
    y_is_odd: Choice,
    key: AffinePoint,
    r: Scalar,
    s: Scalar,
}

impl Equation {
    /// `None` when no signature has this form: strict, as [`PublicKey::verify`] is.
    fn read(key: &PublicKey, signature: &[u8]) -> Option<Self> {
        let Point::K256(key) = &key.point else {
            return None;
        };
        let (rs, odd) = signature.split_at_checked(RS_BYTES)?;
        let [odd @ (0 | 1)] = odd else { return None };
        let parsed = k256::ecdsa::Signature::from_slice(rs).ok()?;
        if parsed.normalize_s() != parsed {
            return None;
        }
        Some(Self {
            x: parsed.r().to_bytes(),
            y_is_odd: (*odd).into(),
            key: *key.as_affine(),
            r: *parsed.r(),
            s: *parsed.s(),
        })
    }

    /// R, when a point has this x.
    fn commitment(&self) -> Option<ProjectivePoint> {
        let point: Option<AffinePoint> = AffinePoint::decompress(&self.x, self.y_is_odd).into();
        point.map(ProjectivePoint::from)
    }

    /// Computes R and compares.
    fn holds(&self, z: &Scalar) -> bool {
        let Some(w) = Option::<Scalar>::from(self.s.invert_vartime()) else {
            return false;
        };
        let key = ProjectivePoint::from(self.key);
        let point = [(ProjectivePoint::GENERATOR, w * z), (key, w * self.r)];
        let point = ProjectivePoint::lincomb_vartime(&point).to_affine();
        let same_y = bool::from(point.y_is_odd()) == bool::from(self.y_is_odd);
        // The identity has x = 0 here, and r is not 0.
        point.x() == self.x && same_y
    }
}

/// Whether the sum over all equations of a (R - (z/s) G - (r/s) Q) is the identity; `weight` gives each its own a. `None` when an R is
/// no point.
fn all_hold(
    z: &Scalar,
    equations: &[Equation],
    mut weight: impl FnMut() -> Scalar,
) -> Option<bool> {
    let mut terms = Vec::with_capacity(2 * equations.len() + 1);
    let mut of_generator = Scalar::ZERO;
    for (equation, inverse) in equations.iter().zip(inverses(equations)) {
        let a = weight();
        let w = a * inverse;
        of_generator += w * z;
        terms.push((equation.key.into(), w * equation.r));
        terms.push((-equation.commitment()?, a));
    }
    terms.push((ProjectivePoint::GENERATOR, of_generator));
    Some(ProjectivePoint::lincomb_vartime(&terms[..]) == ProjectivePoint::IDENTITY)
}

/// 1/s of every equation with one inversion (Montgomery's trick). No s is zero: no signature with one is read.
fn inverses(equations: &[Equation]) -> Vec<Scalar> {
    let mut products = Vec::with_capacity(equations.len());
    let mut product = Scalar::ONE;
    for equation in equations {
        products.push(product);
        product *= equation.s;
    }
    let mut inverse = Option::from(product.invert_vartime()).unwrap_or(Scalar::ZERO);
    for (out, equation) in products.iter_mut().zip(equations).rev() {
        *out *= inverse;
        inverse *= equation.s;
    }
    products
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secagg::vectors;

    const CURVES: [Curve; 3] = [Curve::Secp256k1, Curve::Secp256r1, Curve::Secp384r1];

    fn signers(curve: Curve, n: usize) -> Vec<(PublicKey, Vec<u8>)> {
        let mut rng = vectors::rng(11);
        (0..n)
            .map(|_| {
                let pair = KeyPair::generate(curve, &mut rng);
                (pair.public(), pair.sign_statement(b"u3"))
            })
            .collect()
    }

    fn check(statement: &[u8], signed: &[(PublicKey, Vec<u8>)]) -> Result<(), usize> {
        let signed: Vec<_> = signed.iter().map(|(k, s)| (k, s.as_slice())).collect();
        all_signed(statement, &signed, &mut vectors::rng(12))
    }

    #[test]
    fn what_all_signed_holds_and_nothing_else() {
        for curve in CURVES {
            let signed = signers(curve, 5);
            assert_eq!(check(b"u3", &signed), Ok(()));
            assert_eq!(check(b"u3", &signed[..1]), Ok(()));
            assert_eq!(check(b"u3", &[]), Ok(()));
            assert_eq!(check(b"another u3", &signed), Err(0));
        }
        let mixed = CURVES.map(|c| signers(c, 2)).concat();
        assert_eq!(check(b"u3", &mixed), Ok(()));
    }

    #[test]
    fn the_first_who_did_not_sign_is_named() {
        for curve in CURVES {
            for at in 0..4 {
                let good = signers(curve, 4);
                let broken = |change: fn(&mut Vec<u8>)| {
                    let mut signed = good.clone();
                    change(&mut signed[at].1);
                    check(b"u3", &signed)
                };
                // Every byte counts, the last one too.
                assert_eq!(broken(|s| s[0] ^= 1), Err(at));
                assert_eq!(broken(|s| s[40] ^= 1), Err(at));
                assert_eq!(broken(|s| *s.last_mut().unwrap() ^= 1), Err(at));
                assert_eq!(broken(|s| *s.last_mut().unwrap() ^= 2), Err(at));
                assert_eq!(broken(|s| s.truncate(s.len() - 1)), Err(at));
                assert_eq!(broken(|s| s.push(0)), Err(at));
                assert_eq!(broken(Vec::clear), Err(at));
                assert_eq!(broken(|s| s.fill(0)), Err(at));
            }
            let mut swapped = signers(curve, 3);
            let (first, second) = (swapped[1].1.clone(), swapped[2].1.clone());
            (swapped[1].1, swapped[2].1) = (second, first);
            assert_eq!(check(b"u3", &swapped), Err(1));
        }
        let mut mixed = CURVES.map(|c| signers(c, 2)).concat();
        mixed[3].1[5] ^= 1;
        mixed[1].1[5] ^= 1;
        assert_eq!(check(b"u3", &mixed), Err(1));
    }

    /// Errors of two signatures that cancel in a plain sum: what one R has too much, the other has too little.
    #[test]
    fn errors_do_not_cancel() {
        let signed = signers(Curve::Secp256k1, 2);
        let z = challenge(b"u3");
        let mut equations: Vec<Equation> = signed
            .iter()
            .map(|(k, s)| Equation::read(k, s).unwrap())
            .collect();
        let ones = |equations: &[Equation]| all_hold(&z, equations, || Scalar::ONE);
        let weighted = |equations: &[Equation]| {
            let mut n = 0_u64;
            all_hold(&z, equations, || {
                n += 1;
                Scalar::from(n)
            })
        };
        assert_eq!(
            (ones(&equations), weighted(&equations)),
            (Some(true), Some(true))
        );
        // Whoever makes both keys can put z/s G + r/s Q off by 5 G, up and down.
        let five = Scalar::from(5_u64);
        for (equation, error) in equations.iter_mut().zip([five, -five]) {
            let step = error * equation.s * equation.r.invert().unwrap();
            let key = ProjectivePoint::from(equation.key) + ProjectivePoint::GENERATOR * step;
            equation.key = key.into();
        }
        assert_eq!(ones(&equations), Some(true), "a plain sum is fooled");
        assert_eq!(weighted(&equations), Some(false));
        assert!(equations.iter().all(|e| !e.holds(&z)));
    }

    /// The low form only: the other s that plain ECDSA accepts fails here as in `verify`.
    #[test]
    fn the_high_s_does_not_verify() {
        let signed = signers(Curve::Secp256k1, 1);
        let low = k256::ecdsa::Signature::from_slice(&signed[0].1[..RS_BYTES]).unwrap();
        let high = k256::ecdsa::Signature::from_scalars(low.r(), -*low.s()).unwrap();
        for odd in [0, 1] {
            let bytes = [&high.to_bytes()[..], &[odd]].concat();
            assert_eq!(check(b"u3", &[(signed[0].0.clone(), bytes)]), Err(0));
        }
    }

    #[test]
    fn agrees_with_plain_ecdsa() {
        for (key, signature) in signers(Curve::Secp256k1, 50) {
            assert!(signature.len() == RS_BYTES + 1 && signature[RS_BYTES] < 2);
            key.verify(b"u3", &signature[..RS_BYTES]).unwrap();
        }
    }
}
