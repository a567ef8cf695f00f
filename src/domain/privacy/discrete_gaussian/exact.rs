//! exp(-n/d) between two integers, as narrow as one asks: what decides the draws that 64 bits leave open.
//!
//! Plain schoolbook arithmetic on vectors of 64-bit limbs. It runs when a sampler is made and about once in 2^50 draws, so it is
//! written to be read, not to be fast. Inputs are public parameters and candidates that are about to be decided; no secrets rest here.

use std::cmp::Ordering;

/// A natural number: little-endian limbs, without leading zeros; zero has none.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Natural(Vec<u64>);

impl From<u64> for Natural {
    fn from(value: u64) -> Self {
        Self::from(u128::from(value))
    }
}

impl From<u128> for Natural {
    fn from(value: u128) -> Self {
        let (low, high) = halves(value);
        Self(vec![low, high]).trimmed()
    }
}

impl PartialOrd for Natural {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Natural {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.0.len().cmp(&other.0.len()))
            .then_with(|| self.0.iter().rev().cmp(other.0.iter().rev()))
    }
}

impl Natural {
    /// 2^bits.
    pub(super) fn power_of_two(bits: usize) -> Self {
        Self::from(1_u64).shifted_left(bits)
    }

    /// How many bits it takes to write it; 0 for zero.
    pub(super) fn bits(&self) -> usize {
        self.0.last().map_or(0, |top| {
            self.0.len() * 64 - usize::try_from(top.leading_zeros()).unwrap_or(0)
        })
    }

    /// The number, when it fits.
    pub(super) fn to_u128(&self) -> Option<u128> {
        let limb = |i: usize| self.0.get(i).copied().map_or(0, u128::from);
        (self.0.len() <= 2).then(|| limb(0) | limb(1) << 64)
    }

    pub(super) fn plus(&self, other: &Self) -> Self {
        let length = self.0.len().max(other.0.len());
        let mut carry = 0;
        let mut out = Vec::with_capacity(length + 1);
        for i in 0..length {
            let limb = |n: &Self| n.0.get(i).copied().map_or(0, u128::from);
            let (low, high) = halves(limb(self) + limb(other) + u128::from(carry));
            out.push(low);
            carry = high;
        }
        out.push(carry);
        Self(out).trimmed()
    }

    /// The difference, or zero when `other` is larger.
    pub(super) fn minus(&self, other: &Self) -> Self {
        if *self <= *other {
            return Self::default();
        }
        let mut borrow = false;
        let mut out = Vec::with_capacity(self.0.len());
        for (i, limb) in self.0.iter().enumerate() {
            let (once, first) = limb.overflowing_sub(other.0.get(i).copied().unwrap_or(0));
            let (twice, second) = once.overflowing_sub(u64::from(borrow));
            out.push(twice);
            borrow = first | second;
        }
        Self(out).trimmed()
    }

    pub(super) fn times(&self, other: &Self) -> Self {
        let mut out = vec![0_u64; self.0.len() + other.0.len()];
        for (i, a) in self.0.iter().enumerate() {
            let mut carry = 0;
            for (j, b) in other.0.iter().enumerate() {
                let sum =
                    u128::from(*a) * u128::from(*b) + u128::from(out[i + j]) + u128::from(carry);
                (out[i + j], carry) = halves(sum);
            }
            out[i + other.0.len()] = carry;
        }
        Self(out).trimmed()
    }

    pub(super) fn shifted_left(&self, bits: usize) -> Self {
        let mut out = vec![0; bits / 64];
        let shift = bits % 64;
        let mut carry = 0;
        for limb in &self.0 {
            let (low, high) = halves(u128::from(*limb) << shift);
            out.push(low | carry);
            carry = high;
        }
        out.push(carry);
        Self(out).trimmed()
    }

    /// Divided by 2^bits, rounded down.
    pub(super) fn shifted_right(&self, bits: usize) -> Self {
        let shift = bits % 64;
        let rest = self.0.get(bits / 64..).unwrap_or_default();
        let above = |i: usize| rest.get(i + 1).copied().map_or(0, u128::from);
        let limbs = rest.iter().enumerate().map(|(i, limb)| {
            let (low, _) = halves((u128::from(*limb) | above(i) << 64) >> shift);
            low
        });
        Self(limbs.collect()).trimmed()
    }

    /// Divided by `divisor`, rounded down; a divisor of zero counts as one.
    fn over_small(&self, divisor: u64) -> Self {
        let divisor = u128::from(divisor.max(1));
        let mut rest = 0_u128;
        let mut out = self.0.clone();
        for limb in out.iter_mut().rev() {
            let value = rest << 64 | u128::from(*limb);
            (*limb, _) = halves(value / divisor);
            rest = value % divisor;
        }
        Self(out).trimmed()
    }

    /// Divided by `divisor`, rounded down, one bit at a time; zero when the divisor is.
    pub(super) fn quotient(&self, divisor: &Self) -> Self {
        if divisor.0.is_empty() {
            return Self::default();
        }
        let mut rest = self.clone();
        let mut quotient = Self::default();
        for shift in (0..=self.bits().saturating_sub(divisor.bits())).rev() {
            let part = divisor.shifted_left(shift);
            if part <= rest {
                rest = rest.minus(&part);
                quotient = quotient.plus(&Self::power_of_two(shift));
            }
        }
        quotient
    }

    fn trimmed(mut self) -> Self {
        while self.0.last() == Some(&0) {
            self.0.pop();
        }
        self
    }
}

/// Two integers around exp(-n/d) * 2^bits: `low <= exp(-n/d) * 2^bits <= high`, and `high - low <= 3`.
///
/// `d` is not zero; `bits` is at least 1.
///
/// With F = bits + 64: n/d is rounded down to F binary digits and divided by 2^s, so that it is below 2^-7; the alternating series is
/// summed until its terms vanish (below 100 of them for every F up to 1,000, each wrong by less than 2 units of the F + s digits that
/// are kept); s squarings double the error each time and add one unit. In units of 2^-F that is below 2^9, far less than one unit of
/// 2^-bits, so a step of one below and two above the truncated value is enough.
pub(super) fn exp_minus(n: &Natural, d: &Natural, bits: usize) -> (Natural, Natural) {
    let fraction = bits + 64;
    let x = n.shifted_left(fraction).quotient(d);
    let whole = x.bits().saturating_sub(fraction);
    // x >= 2^(whole - 1) > bits + 1 means exp(-x) < 2^-bits.
    if whole > 40 || x.shifted_right(fraction) > Natural::from((bits + 1) as u128) {
        return (Natural::default(), Natural::from(1_u64));
    }
    let squarings = whole + 7;
    let digits = fraction + squarings;
    let one = Natural::power_of_two(digits);
    let (mut plus, mut minus, mut term) = (one.clone(), Natural::default(), one);
    for k in 1.. {
        term = term.times(&x).shifted_right(digits).over_small(k);
        if term.0.is_empty() {
            break;
        }
        let side = if k % 2 == 0 { &mut plus } else { &mut minus };
        *side = side.plus(&term);
    }
    let mut value = plus.minus(&minus);
    for _ in 0..squarings {
        value = value.times(&value).shifted_right(digits);
    }
    let value = value.shifted_right(digits - bits);
    let one = Natural::from(1_u64);
    (value.minus(&one), value.plus(&Natural::from(2_u64)))
}

/// The low and the high 64 bits.
#[expect(clippy::cast_possible_truncation, reason = "both halves are kept")]
fn halves(value: u128) -> (u64, u64) {
    (value as u64, (value >> 64) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_is_that_of_128_bits() {
        let values = [
            0_u128,
            1,
            2,
            3,
            0xffff_ffff,
            1 << 63,
            u128::from(u64::MAX),
            1 << 64,
            10_u128.pow(30),
        ];
        for a in values {
            for b in values {
                let (x, y) = (Natural::from(a), Natural::from(b));
                assert_eq!(x.cmp(&y), a.cmp(&b));
                assert_eq!(x.plus(&y), Natural::from(a + b));
                assert_eq!(x.minus(&y), Natural::from(a.saturating_sub(b)));
                assert_eq!(x.quotient(&y), Natural::from(a.checked_div(b).unwrap_or(0)));
                assert_eq!(
                    x.times(&y).quotient(&y),
                    if b == 0 {
                        Natural::default()
                    } else {
                        x.clone()
                    }
                );
                for shift in [0, 1, 63, 64, 65, 100] {
                    assert_eq!(x.shifted_left(shift).shifted_right(shift), x);
                    assert_eq!(x.shifted_right(shift), Natural::from(a >> shift));
                }
                if let Ok(small) = u64::try_from(b) {
                    assert_eq!(x.over_small(small), Natural::from(a / b.max(1)));
                }
            }
        }
    }

    /// Digits of exp(-1), exp(-1/2) and exp(-40) from Python's mpmath at 200 digits.
    #[test]
    fn exponentials_are_known_to_38_digits() {
        for (n, d, digits, places) in [
            (
                1_u64,
                1_u64,
                36_787_944_117_144_232_159_552_377_016_146_086_744_u128,
                38,
            ),
            (1, 2, 60_653_065_971_263_342_360_379_953_499_118_045_344, 38),
            (40, 1, 424_835_425_529_158_899_532_923_478_285_865, 50),
        ] {
            let (low, high) = exp_minus(&n.into(), &d.into(), 192);
            assert!(high.minus(&low) <= Natural::from(3_u64));
            let scale = (0..places).fold(Natural::from(1_u64), |p, _| p.times(&10_u64.into()));
            let known = |digits: u128| Natural::from(digits).shifted_left(192).quotient(&scale);
            assert!(known(digits) <= high && low <= known(digits + 1), "{n}/{d}");
        }
    }

    #[test]
    fn more_bits_never_contradict_fewer() {
        for n in [0_u64, 1, 7, 99, 1000, 12_345, 1 << 40] {
            for d in [1_u64, 3, 100, 1 << 33] {
                let (low, high) = exp_minus(&n.into(), &d.into(), 64);
                let (finer_low, finer_high) = exp_minus(&n.into(), &d.into(), 320);
                assert!(low.shifted_left(256) <= finer_high, "{n}/{d}");
                assert!(finer_low <= high.shifted_left(256), "{n}/{d}");
            }
        }
    }
}
