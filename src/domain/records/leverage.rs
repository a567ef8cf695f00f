//! The largest share that one unit can have of any combination of the released numbers: max over i of h_i = w_i' (W'W)^+ w_i.
//!
//! W = [1, V]: the count of units, and their vectors as integers. For every weights a, (w_i a)^2 <= h_i sum_j (w_j a)^2, with equality for
//! one a; so h_i is exactly the largest share of unit i in the energy of any number that an attacker computes from the sums and the
//! count, whatever offsets, differences and weights are in it. If max h <= 1/k, every indicator among them counts k units or more.
//! Not proven: anything of what other releases or other members' sums add, of several units together beyond that, and of what a
//! combination shared by many says of each of them.
//!
//! |T w| with T from [`Factor`] is at most 1, so T w is computed in fixed point *modulo* a power of two above that: however large the
//! coefficients are, their high bits cancel exactly, and only the rounding of the last place counts.

use super::accumulate::Units;
use super::blocks::{Block, ROWS};
use super::factor::Factor;
use super::gram::Gram;

/// Below this sum of the columns' largest magnitudes 62 bits behind the point are enough.
const SHORT: u64 = 1 << 44;

/// The rank of W and an upper bound on the largest leverage, within 1e-3 of it; `None` for the bound: too much work to tell.
/// `largest`: the largest magnitude in each output.
pub(super) fn leverage(units: &Units, gram: &Gram, largest: &[u64]) -> (usize, Option<f64>) {
    let kept = gram.independent();
    if kept.is_empty() {
        return (0, Some(0.0));
    }
    let Some(factor) = Factor::of(gram, &kept) else {
        return (kept.len(), None);
    };
    // The column of ones first.
    let magnitude = |k: &usize| {
        k.checked_sub(1)
            .map_or(1, |k| largest.get(k).copied().unwrap_or(0))
    };
    // At most 257 times 2^52.
    let total: u64 = kept.iter().map(magnitude).sum();
    let largest = match total <= SHORT {
        true => largest_norm::<u64>(units, &factor, &kept),
        false => largest_norm::<u128>(units, &factor, &kept),
    };
    // Each of the r numbers of T w is off by at most `each`.
    let (r, each) = match total <= SHORT {
        true => (
            float(kept.len()),
            float_of(total) / 2_f64.powi(u64::FRACTION),
        ),
        false => (
            float(kept.len()),
            float_of(total) / 2_f64.powi(u128::FRACTION),
        ),
    };
    let bound = largest + 2.0 * r.sqrt() * each + r * each * each;
    (kept.len(), Some(bound.min(1.0)))
}

/// The largest |T w|^2.
fn largest_norm<F: Fixed>(units: &Units, factor: &Factor, kept: &[usize]) -> f64 {
    let fraction = usize::try_from(F::FRACTION).unwrap_or(0);
    let coefficients: Vec<Vec<F>> = (0..kept.len())
        .map(|j| factor.row(j, fraction).map(F::wrap).collect())
        .collect();
    let scale = 2_f64.powi(-F::FRACTION);
    let mut largest = 0.0_f64;
    Block::each(units, |block| {
        let all: Vec<&[i64]> = block.columns().collect();
        let columns: Vec<&[i64]> = kept.iter().filter_map(|k| all.get(*k).copied()).collect();
        let mut norms = [0.0; ROWS];
        for row in &coefficients {
            let mut sums = [F::default(); ROWS];
            for (t, column) in row.iter().zip(&columns) {
                for (sum, x) in sums.iter_mut().zip(*column) {
                    *sum = sum.add(*t, *x);
                }
            }
            for (norm, sum) in norms.iter_mut().zip(&sums) {
                let y = sum.float() * scale;
                *norm += y * y;
            }
        }
        largest = norms.iter().copied().fold(largest, f64::max);
    });
    largest
}

/// Words of a fixed-point sum, modulo 2^w.
trait Fixed: Copy + Default {
    /// Bits behind the point; one bit and the sign are left.
    const FRACTION: i32;
    /// The low bits.
    fn wrap(value: u128) -> Self;
    /// self + t x.
    fn add(self, t: Self, x: i64) -> Self;
    /// As a signed number, not scaled.
    fn float(self) -> f64;
}

impl Fixed for u64 {
    const FRACTION: i32 = 62;

    #[expect(clippy::cast_possible_truncation, reason = "modulo 2^64 is meant")]
    fn wrap(value: u128) -> Self {
        value as Self
    }

    #[inline(always)]
    fn add(self, t: Self, x: i64) -> Self {
        self.wrapping_add(t.wrapping_mul(x.cast_unsigned()))
    }

    #[expect(clippy::cast_precision_loss, reason = "the last places do not count")]
    #[inline(always)]
    fn float(self) -> f64 {
        self.cast_signed() as f64
    }
}

impl Fixed for u128 {
    const FRACTION: i32 = 100;

    fn wrap(value: u128) -> Self {
        value
    }

    #[inline(always)]
    fn add(self, t: Self, x: i64) -> Self {
        self.wrapping_add(t.wrapping_mul(i128::from(x).cast_unsigned()))
    }

    #[expect(clippy::cast_precision_loss, reason = "the last places do not count")]
    #[inline(always)]
    fn float(self) -> f64 {
        self.cast_signed() as f64
    }
}

#[expect(clippy::cast_precision_loss, reason = "at most 257")]
fn float(n: usize) -> f64 {
    n as f64
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a bound, whose last places do not count"
)]
fn float_of(n: u64) -> f64 {
    n as f64
}

#[cfg(test)]
mod tests;
