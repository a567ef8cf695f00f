//! Whole numbers of any size, as far as the leverage needs them: sums, products, shifts, roots and one quotient.
//!
//! Sign and magnitude; schoolbook throughout, since the numbers have a few hundred bits. Not for secrets' sake constant in time: which
//! numbers come is known to the owner alone, and how long they take is below what a round's timing shows.

use std::cmp::Ordering;

/// A whole number. Limbs of the magnitude, the lowest first, without leading zeros.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Big {
    negative: bool,
    limbs: Vec<u64>,
}

impl Big {
    /// 2^exponent.
    pub(super) fn power_of_two(exponent: usize) -> Self {
        let mut limbs = vec![0; exponent / 64];
        limbs.push(1 << (exponent % 64));
        Self {
            negative: false,
            limbs,
        }
    }

    /// Whether it is above 0.
    pub(super) fn is_positive(&self) -> bool {
        !self.negative && !self.limbs.is_empty()
    }

    /// Bits of the magnitude; 0 of zero.
    pub(super) fn bits(&self) -> usize {
        match self.limbs.last() {
            Some(top) => self.limbs.len() * 64 - usize::try_from(top.leading_zeros()).unwrap_or(0),
            None => 0,
        }
    }

    /// The sum.
    pub(super) fn plus(&self, other: &Self) -> Self {
        if self.negative == other.negative {
            return Self::new(self.negative, added(&self.limbs, &other.limbs));
        }
        match compared(&self.limbs, &other.limbs) {
            Ordering::Less => Self::new(other.negative, subtracted(&other.limbs, &self.limbs)),
            Ordering::Equal => Self::default(),
            Ordering::Greater => Self::new(self.negative, subtracted(&self.limbs, &other.limbs)),
        }
    }

    /// The negative.
    pub(super) fn negated(mut self) -> Self {
        self.negative = !self.negative && !self.limbs.is_empty();
        self
    }

    /// The product.
    pub(super) fn times(&self, other: &Self) -> Self {
        let mut out = vec![0_u64; self.limbs.len() + other.limbs.len()];
        for (i, a) in self.limbs.iter().enumerate() {
            let mut carry = 0_u128;
            for (b, slot) in other.limbs.iter().zip(&mut out[i..]) {
                let t = u128::from(*a) * u128::from(*b) + u128::from(*slot) + carry;
                *slot = low(t);
                carry = t >> 64;
            }
            // The slot behind the other's limbs was not written yet.
            if let Some(slot) = out.get_mut(i + other.limbs.len()) {
                *slot = low(carry);
            }
        }
        Self::new(self.negative != other.negative, out)
    }

    /// Times 2^n.
    pub(super) fn up(&self, n: usize) -> Self {
        if self.limbs.is_empty() {
            return Self::default();
        }
        let mut limbs = vec![0; n / 64];
        let bits = n % 64;
        let mut carry = 0;
        for limb in &self.limbs {
            let wide = u128::from(*limb) << bits;
            limbs.push(low(wide) | carry);
            carry = low(wide >> 64);
        }
        limbs.push(carry);
        Self::new(self.negative, limbs)
    }

    /// Divided by 2^n, towards zero.
    pub(super) fn down(&self, n: usize) -> Self {
        let rest = self.limbs.get(n / 64..).unwrap_or_default();
        let bits = n % 64;
        let with_next = |(i, limb): (usize, &u64)| {
            let next = rest.get(i + 1).copied().unwrap_or(0);
            low((u128::from(next) << 64 | u128::from(*limb)) >> bits)
        };
        Self::new(
            self.negative,
            rest.iter().enumerate().map(with_next).collect(),
        )
    }

    /// The square root of the magnitude, rounded down.
    pub(super) fn root(&self) -> Self {
        let (mut root, mut rest) = (Vec::new(), Vec::new());
        for pair in (0..self.bits().div_ceil(2)).rev() {
            let two = u64::from(self.bit(2 * pair + 1)) << 1 | u64::from(self.bit(2 * pair));
            push_bits(&mut rest, 2, two);
            let mut trial = root.clone();
            push_bits(&mut trial, 2, 1);
            let fits = compared(&rest, &trial) != Ordering::Less;
            if fits {
                rest = subtracted(&rest, &trial);
            }
            push_bits(&mut root, 1, u64::from(fits));
        }
        Self::new(false, root)
    }

    /// The quotient of magnitudes, rounded down; zero when `divisor` is.
    pub(super) fn over(&self, divisor: &Self) -> Self {
        let (mut quotient, mut rest) = (Vec::new(), Vec::new());
        if divisor.limbs.is_empty() {
            return Self::default();
        }
        for bit in (0..self.bits()).rev() {
            push_bits(&mut rest, 1, u64::from(self.bit(bit)));
            let fits = compared(&rest, &divisor.limbs) != Ordering::Less;
            if fits {
                rest = subtracted(&rest, &divisor.limbs);
            }
            push_bits(&mut quotient, 1, u64::from(fits));
        }
        Self::new(false, quotient)
    }

    /// The number times 2^-n, within 2^-52 of it. Beyond what a double can hold: infinite or 0.
    #[expect(clippy::cast_precision_loss, reason = "the last places are rounded")]
    pub(super) fn float(&self, n: usize) -> f64 {
        let below = self.bits().saturating_sub(64);
        let top = self.down(below).limbs.first().copied().unwrap_or(0) as f64;
        let exponent = |n: usize| i32::try_from(n).unwrap_or(i32::MAX);
        let value = top * 2_f64.powi(exponent(below) - exponent(n));
        if self.negative { -value } else { value }
    }

    /// The number modulo 2^128.
    pub(super) fn wrapped(&self) -> u128 {
        let limb = |i: usize| u128::from(self.limbs.get(i).copied().unwrap_or(0));
        let magnitude = limb(1) << 64 | limb(0);
        match self.negative {
            true => magnitude.wrapping_neg(),
            false => magnitude,
        }
    }

    fn bit(&self, n: usize) -> bool {
        self.limbs
            .get(n / 64)
            .is_some_and(|limb| limb >> (n % 64) & 1 == 1)
    }

    fn new(negative: bool, mut limbs: Vec<u64>) -> Self {
        trim(&mut limbs);
        Self {
            negative: negative && !limbs.is_empty(),
            limbs,
        }
    }
}

impl From<i128> for Big {
    fn from(value: i128) -> Self {
        let magnitude = value.unsigned_abs();
        Self::new(value < 0, vec![low(magnitude), low(magnitude >> 64)])
    }
}

/// The low half.
#[expect(clippy::cast_possible_truncation, reason = "the low half is meant")]
const fn low(wide: u128) -> u64 {
    wide as u64
}

fn trim(limbs: &mut Vec<u64>) {
    while limbs.last() == Some(&0) {
        limbs.pop();
    }
}

/// Appends up to two bits at the low end.
fn push_bits(limbs: &mut Vec<u64>, count: u32, bits: u64) {
    let mut carry = bits;
    for limb in limbs.iter_mut() {
        let next = *limb >> (64 - count);
        *limb = *limb << count | carry;
        carry = next;
    }
    if carry != 0 {
        limbs.push(carry);
    }
}

fn compared(a: &[u64], b: &[u64]) -> Ordering {
    a.len()
        .cmp(&b.len())
        .then_with(|| a.iter().rev().cmp(b.iter().rev()))
}

fn added(a: &[u64], b: &[u64]) -> Vec<u64> {
    let (long, short) = if a.len() < b.len() { (b, a) } else { (a, b) };
    let mut out = Vec::with_capacity(long.len() + 1);
    let mut carry = false;
    for (i, limb) in long.iter().enumerate() {
        let (sum, over) = limb.overflowing_add(short.get(i).copied().unwrap_or(0));
        let (sum, more) = sum.overflowing_add(u64::from(carry));
        carry = over || more;
        out.push(sum);
    }
    out.push(u64::from(carry));
    out
}

/// a - b, where a is not below b. Without leading zeros.
fn subtracted(a: &[u64], b: &[u64]) -> Vec<u64> {
    let mut out = Vec::with_capacity(a.len());
    let mut borrow = false;
    for (i, limb) in a.iter().enumerate() {
        let (difference, under) = limb.overflowing_sub(b.get(i).copied().unwrap_or(0));
        let (difference, more) = difference.overflowing_sub(u64::from(borrow));
        borrow = under || more;
        out.push(difference);
    }
    trim(&mut out);
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn back(big: &Big) -> i128 {
        assert!(big.bits() <= 127);
        big.wrapped().cast_signed()
    }

    proptest! {
        #[test]
        fn agrees_with_128_bits(a in any::<i64>(), b in any::<i64>(), c in any::<i128>(), n in 0_usize..200) {
            let (x, y, z) = (Big::from(i128::from(a)), Big::from(i128::from(b)), Big::from(c >> 1));
            prop_assert_eq!(back(&x.times(&y)), i128::from(a) * i128::from(b));
            prop_assert_eq!(back(&x.plus(&z)), i128::from(a) + (c >> 1));
            prop_assert_eq!(z.plus(&z.clone().negated()), Big::default());
            prop_assert_eq!(z.up(n).down(n), z.clone());
            prop_assert_eq!(z.up(n), z.times(&Big::power_of_two(n)));
            prop_assert_eq!(back(&z.down(n)), if n < 127 { (c >> 1) / (1 << n) } else { 0 });
            prop_assert_eq!(z.root(), Big::from((c >> 1).unsigned_abs().isqrt().cast_signed()));
        }

        #[test]
        fn quotients_and_roots_of_large_numbers(a in prop::collection::vec(any::<u64>(), 0..9), b in prop::collection::vec(any::<u64>(), 1..5)) {
            let (a, b) = (Big::new(false, a), Big::new(false, b));
            prop_assume!(b.is_positive());
            let least = |q: &Big, top: &Big, bottom: &Big| {
                let rest = top.plus(&q.times(bottom).negated());
                !rest.negative && compared(&rest.limbs, &bottom.limbs) == Ordering::Less
            };
            prop_assert!(least(&a.over(&b), &a, &b));
            let root = a.root();
            let above = root.plus(&Big::from(1));
            prop_assert!(!a.plus(&root.times(&root).negated()).negative);
            prop_assert!(a.plus(&above.times(&above).negated()).negative);
        }
    }
}
