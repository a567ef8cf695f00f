//! Shamir's secret sharing over 2^521 - 1, with the original node's share encoding (docs/protocol/secagg.md, Shares).
//!
//! Not here: who holds which share, and whether a share is the one committed to (`commitment`). Departures from the original:
//! coefficients come from a cryptographic generator, a rebuilt secret has its leading zero bytes, x = 0 and encodings that
//! are not minimal are errors.
//!
//! Source: Shamir 1979; wire form as the original's `crypto/shamir/shamir.py`.

mod error;

use std::fmt;

use rand_core::CryptoRng;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::field::{ELEMENT_BYTES, Element, Wide};
use crate::ids::{decode_hex, encode_hex};

pub use error::{CombineError, ShamirError, ShareDecodeError};

/// The longest secret that can be split, in bytes: every value of 65 bytes is below the prime.
pub const MAX_SECRET_BYTES: usize = 65;
/// The largest number of holders: x must fit two bytes.
pub const MAX_HOLDERS: usize = u16::MAX as usize;
/// The longest encoding of a share: one byte of length, two of x, 66 of y.
pub const MAX_ENCODED_BYTES: usize = 1 + 2 + ELEMENT_BYTES;

/// Points evaluated side by side.
const TOGETHER: usize = 4;

/// One holder's part of a secret: a point of the polynomial. Wiped on drop; `Debug` shows x only.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Share {
    x: u16,
    y: Element,
}

impl Share {
    /// The point's x: 1 to the number of holders.
    #[must_use]
    pub fn x(&self) -> u16 {
        self.x
    }

    /// The wire form: one byte with the length of x, then x and y, both big-endian without leading zero bytes.
    #[must_use]
    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        let x = self.x.to_be_bytes();
        let x = minimal(&x);
        let y = self.y.to_be_bytes();
        let mut out = Zeroizing::new(Vec::with_capacity(MAX_ENCODED_BYTES));
        // x takes one or two bytes.
        out.push(if x.len() == 1 { 1 } else { 2 });
        out.extend_from_slice(x);
        out.extend_from_slice(minimal(&*y));
        out
    }

    /// Reads [`Share::encode`]'s form and nothing else: exactly one byte string decodes to each share.
    ///
    /// # Errors
    /// [`ShareDecodeError`], one variant for each way to be wrong.
    pub fn decode(bytes: &[u8]) -> Result<Self, ShareDecodeError> {
        if bytes.len() > MAX_ENCODED_BYTES {
            return Err(ShareDecodeError::TooLong);
        }
        let (&x_len, rest) = bytes.split_first().ok_or(ShareDecodeError::Truncated)?;
        if x_len == 0 {
            return Err(ShareDecodeError::ZeroX);
        }
        if x_len > 2 {
            return Err(ShareDecodeError::XOutOfRange);
        }
        let (x, y) = rest
            .split_at_checked(usize::from(x_len))
            .ok_or(ShareDecodeError::Truncated)?;
        if x == [0] {
            return Err(ShareDecodeError::ZeroX);
        }
        if x.first() == Some(&0) || y.first() == Some(&0) {
            return Err(ShareDecodeError::NotMinimal);
        }
        let x = x.iter().fold(0, |acc, &b| acc << 8 | u16::from(b));
        let y = Element::from_be_bytes(y).ok_or(ShareDecodeError::YOutOfRange)?;
        Ok(Self { x, y })
    }
}

/// Splits `secret` among `holders`, so that any `threshold` of them can rebuild it and fewer learn nothing.
///
/// `secret`: at most [`MAX_SECRET_BYTES`], read as a big-endian number. The shares come back in the order x = 1, 2, ..., `holders`.
///
/// # Errors
/// [`ShamirError`] when the numbers make no sense or the secret is too long.
pub fn split(
    secret: &[u8],
    threshold: usize,
    holders: usize,
    rng: &mut (impl CryptoRng + ?Sized),
) -> Result<Vec<Share>, ShamirError> {
    if threshold == 0 {
        return Err(ShamirError::ZeroThreshold);
    }
    if threshold > holders {
        return Err(ShamirError::ThresholdAboveHolders { threshold, holders });
    }
    let last = u16::try_from(holders).map_err(|_| ShamirError::TooManyHolders { holders })?;
    if secret.len() > MAX_SECRET_BYTES {
        return Err(ShamirError::SecretTooLong {
            bytes: secret.len(),
        });
    }
    let mut coefficients = Zeroizing::new(Vec::with_capacity(threshold));
    coefficients.push(
        Element::from_be_bytes(secret).ok_or(ShamirError::SecretTooLong {
            bytes: secret.len(),
        })?,
    );
    for _ in 1..threshold {
        coefficients.push(Element::random(rng));
    }
    let mut shares = Vec::with_capacity(holders);
    for first in (1..=last).step_by(TOGETHER) {
        // Points past the last holder are computed and dropped.
        let points: [u16; TOGETHER] =
            std::array::from_fn(|i| first.saturating_add(u16::try_from(i).unwrap_or(u16::MAX)));
        let ys = Zeroizing::new(Element::evaluate(&coefficients, points));
        shares.extend(
            points
                .into_iter()
                .zip(*ys)
                .take(holders - shares.len())
                .map(|(x, y)| Share { x, y }),
        );
    }
    Ok(shares)
}

/// Rebuilds a secret of `secret_len` bytes from at least `threshold` shares of one [`split`], in any order.
///
/// The result has its leading zero bytes. Rebuilding many secrets from the same holders is faster through [`Interpolator`].
///
/// # Errors
/// [`CombineError::TooFew`] under the threshold, [`CombineError::DuplicateX`] when two shares have the same x,
/// [`CombineError::TooLong`] when the rebuilt number does not fit `secret_len` bytes: the shares are not of one secret.
pub fn combine(
    shares: &[Share],
    threshold: usize,
    secret_len: usize,
) -> Result<Zeroizing<Vec<u8>>, CombineError> {
    let xs: Vec<u16> = shares.iter().map(Share::x).collect();
    let interpolator = Interpolator::new(&xs, threshold)?;
    let used: Vec<&Share> = shares.iter().take(threshold).collect();
    interpolator.combine(&used, secret_len)
}

/// Lagrange coefficients at zero for one set of holders, computed once and used for every secret they hold shares of.
#[derive(Debug, Clone)]
pub struct Interpolator {
    xs: Vec<u16>,
    weights: Vec<Weight>,
}

/// A public number: it depends on the holders' x only.
#[derive(Clone)]
struct Weight(Element);

impl Interpolator {
    /// Coefficients for the first `threshold` of `xs`; all of `xs` are checked.
    ///
    /// # Errors
    /// [`CombineError::TooFew`], [`CombineError::DuplicateX`], [`CombineError::ZeroX`], [`CombineError::ZeroThreshold`].
    pub fn new(xs: &[u16], threshold: usize) -> Result<Self, CombineError> {
        if threshold == 0 {
            return Err(CombineError::ZeroThreshold);
        }
        if xs.len() < threshold {
            return Err(CombineError::TooFew {
                have: xs.len(),
                need: threshold,
            });
        }
        let mut sorted = xs.to_vec();
        sorted.sort_unstable();
        if sorted.first() == Some(&0) {
            return Err(CombineError::ZeroX);
        }
        if let Some(pair) = sorted.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(CombineError::DuplicateX { x: pair[0] });
        }
        let xs = xs[..threshold].to_vec();
        let weights = lagrange_at_zero(&xs).into_iter().map(Weight).collect();
        Ok(Self { xs, weights })
    }

    /// The x of the shares that [`Interpolator::combine`] wants, in this order.
    #[must_use]
    pub fn xs(&self) -> &[u16] {
        &self.xs
    }

    /// Rebuilds one secret of `secret_len` bytes from shares whose x are [`Interpolator::xs`], in that order.
    ///
    /// # Errors
    /// [`CombineError::WrongHolders`] when the shares are others than the coefficients are for,
    /// [`CombineError::TooLong`] when the number does not fit: the shares are not of one secret.
    pub fn combine(
        &self,
        shares: &[&Share],
        secret_len: usize,
    ) -> Result<Zeroizing<Vec<u8>>, CombineError> {
        if !shares.iter().map(|s| s.x).eq(self.xs.iter().copied()) {
            return Err(CombineError::WrongHolders);
        }
        let mut sum = Zeroizing::new(Wide::default());
        for (weight, share) in self.weights.iter().zip(shares) {
            sum.add_product(&weight.0, &share.y);
        }
        let value = Zeroizing::new(sum.reduce());
        let bytes = value.to_be_bytes();
        if secret_len >= ELEMENT_BYTES {
            return Err(CombineError::SecretLength { bytes: secret_len });
        }
        let (high, low) = bytes.split_at(ELEMENT_BYTES - secret_len);
        // One look at all bytes: how long the wrong number is, is nobody's business.
        if high.iter().fold(0, |acc, b| acc | b) != 0 {
            return Err(CombineError::TooLong { bytes: secret_len });
        }
        Ok(Zeroizing::new(low.to_vec()))
    }
}

/// For each i: the product over j != i of `x_j / (x_j - x_i)`, as `P / (x_i * product of (x_j - x_i))` with one inversion for all.
fn lagrange_at_zero(xs: &[u16]) -> Vec<Element> {
    let product = product_of(xs.iter().map(|&x| u64::from(x)));
    let denominators: Vec<Element> = xs
        .iter()
        .map(|&own| {
            let others = xs.iter().filter(|&&x| x != own);
            let magnitude = product_of(others.clone().map(|&x| u64::from(x.abs_diff(own))))
                .mul_small(u64::from(own));
            if others.filter(|&&x| x < own).count() % 2 == 1 {
                magnitude.negate()
            } else {
                magnitude
            }
        })
        .collect();
    // Montgomery's trick: prefix[i] is the product of the denominators before i.
    let mut prefix = Vec::with_capacity(xs.len());
    let mut all = Element::ONE;
    for d in &denominators {
        prefix.push(all);
        all = all.mul(d);
    }
    let mut rest = all.invert().mul(&product);
    let mut out: Vec<Element> = Vec::with_capacity(xs.len());
    for (d, before) in denominators.iter().zip(&prefix).rev() {
        out.push(rest.mul(before));
        rest = rest.mul(d);
    }
    out.reverse();
    out
}

/// The product of small public numbers, gathered in one word as long as they fit.
fn product_of(factors: impl Iterator<Item = u64>) -> Element {
    let mut out = Element::ONE;
    let mut word = 1_u64;
    for factor in factors {
        match word.checked_mul(factor) {
            Some(next) => word = next,
            None => {
                out = out.mul_small(word);
                word = factor;
            }
        }
    }
    out.mul_small(word)
}

fn minimal(bytes: &[u8]) -> &[u8] {
    let zeros = bytes.iter().take_while(|&&b| b == 0).count();
    &bytes[zeros..]
}

impl fmt::Debug for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Share(x = {})", self.x)
    }
}

impl fmt::Debug for Weight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Weight")
    }
}

/// For snapshots of a round, which are sealed before they reach a disk: the wire form in hex.
impl Serialize for Share {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&Zeroizing::new(encode_hex(&self.encode())))
    }
}

impl<'de> Deserialize<'de> for Share {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Zeroizing::new(String::deserialize(deserializer)?);
        let bytes = Zeroizing::new(
            decode_hex(&text).map_err(|_| serde::de::Error::custom("a share is not hex"))?,
        );
        Self::decode(&bytes).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests;
