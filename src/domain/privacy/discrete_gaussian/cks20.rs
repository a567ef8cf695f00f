//! Algorithms 1 to 3 of CKS20 as they are printed, to compare with. Tests only: slow, and its time depends on what it draws.
//!
//! Random numbers below a bound are drawn as the `prio` crate's tests do (32-bit little-endian words, the last one shifted, again when
//! it is too large), and fractions are in lowest terms, so that its published samples must come out of the same bytes.

use rand_core::Rng;

use super::gcd;

/// A fraction in lowest terms.
#[derive(Clone, Copy)]
struct Fraction(u128, u128);

impl Fraction {
    fn new(n: u128, d: u128) -> Self {
        let divisor = gcd(n, d);
        Self(n / divisor, d / divisor)
    }
}

/// Uniform in 0..bound.
fn below(rng: &mut impl Rng, bound: u128) -> u128 {
    let bits = 128 - bound.leading_zeros();
    let words = bits.div_ceil(32);
    loop {
        let mut bytes = [0; 16];
        rng.fill_bytes(&mut bytes[..words as usize * 4]);
        let mut drawn = u128::from_le_bytes(bytes);
        if !bits.is_multiple_of(32) {
            let last = 32 * (words - 1);
            let top = (drawn >> last) >> (32 - bits % 32);
            drawn = (drawn & ((1 << last) - 1)) | top << last;
        }
        if drawn < bound {
            return drawn;
        }
    }
}

fn bernoulli(rng: &mut impl Rng, p: Fraction) -> bool {
    below(rng, p.1) < p.0
}

/// Algorithm 1 for gamma up to 1.
fn bernoulli_exp_small(rng: &mut impl Rng, gamma: Fraction) -> bool {
    let mut k = 1;
    while bernoulli(rng, Fraction::new(gamma.0, gamma.1 * k)) {
        k += 1;
    }
    k % 2 == 1
}

/// Algorithm 1.
fn bernoulli_exp(rng: &mut impl Rng, gamma: Fraction) -> bool {
    (0..gamma.0 / gamma.1).all(|_| bernoulli_exp_small(rng, Fraction(1, 1)))
        && bernoulli_exp_small(rng, Fraction::new(gamma.0 % gamma.1, gamma.1))
}

/// Algorithm 2 with scale t.
fn discrete_laplace(rng: &mut impl Rng, t: u128) -> i128 {
    loop {
        let negative = bernoulli(rng, Fraction(1, 2));
        let u = loop {
            let u = below(rng, t);
            if bernoulli_exp_small(rng, Fraction::new(u, t)) {
                break u;
            }
        };
        let mut v = 0;
        while bernoulli_exp_small(rng, Fraction(1, 1)) {
            v += 1;
        }
        let y = i128::try_from(u + t * v).unwrap();
        if !(negative && y == 0) {
            return if negative { -y } else { y };
        }
    }
}

/// Algorithm 3 with sigma = n/d.
pub(super) fn discrete_gaussian(rng: &mut impl Rng, n: u128, d: u128) -> i128 {
    let t = n / d + 1;
    loop {
        let y = discrete_laplace(rng, t);
        // (|y| - sigma^2 / t)^2 / 2 sigma^2
        let distance = (y.unsigned_abs() * t * d * d).abs_diff(n * n);
        if bernoulli_exp(
            rng,
            Fraction::new(distance * distance, 2 * n * n * d * d * t * t),
        ) {
            return y;
        }
    }
}
