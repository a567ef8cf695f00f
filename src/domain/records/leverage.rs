//! The largest share that one unit can have of any combination of the released numbers: max over i of h_i = w_i' (W'W)^+ w_i.
//!
//! W = [1, V]: the count of units, and their vectors as integers. For every weights a, (w_i a)^2 <= h_i sum_j (w_j a)^2, with equality for
//! one a; so h_i is exactly the largest share of unit i in the energy of any number that an attacker computes from the sums and the
//! count, whatever offsets, differences and weights are in it. If max h <= 1/k, every indicator among them counts k units or more.
//! Not proven: anything of what other releases or other members' sums add, of several units together beyond that, and of what a
//! combination shared by many says of each of them.
//!
//! |T w| with T from [`Factor`] is at most 1. Where doubles cannot tell it well enough, T w is computed in fixed point *modulo* a power
//! of two above 1: however large the coefficients are, their high bits cancel exactly, and only the rounding of the last place counts.

use super::accumulate::Units;
use super::blocks::{Block, ROWS};
use super::factor::Factor;
use super::gram::Gram;

/// How far each number of T w may be off, in the cheaper types.
const ENOUGH: f64 = 1.0 / 262_144.0;

/// The rank of W and an upper bound on the largest leverage, within 1e-3 of it; `None` for the bound: it cannot be told, or is too much work.
/// `largest`: the largest magnitude in each output.
pub(super) fn leverage(units: &Units, gram: &Gram, largest: &[u64]) -> (usize, Option<f64>) {
    if !gram.is_exact() {
        return (0, None);
    }
    let kept = gram.independent();
    if kept.is_empty() {
        return (0, Some(0.0));
    }
    let Some(factor) = Factor::of(gram, &kept) else {
        return (kept.len(), None);
    };
    // The column of ones first.
    let magnitude = |k: &usize| match k.checked_sub(1) {
        Some(k) => float(largest.get(k).copied().unwrap_or(0)),
        None => 1.0,
    };
    let magnitudes: Vec<f64> = kept.iter().map(magnitude).collect();
    let r = float(u64::try_from(kept.len()).unwrap_or(u64::MAX));
    let rows = 0..kept.len();

    // As doubles: products of T and w before they cancel, times what each step rounds.
    let doubles: Vec<Vec<f64>> = rows.clone().map(|j| factor.floats(j).collect()).collect();
    let before = |row: &Vec<f64>| row.iter().zip(&magnitudes).map(|(t, m)| t.abs() * m).sum();
    let worst: f64 = doubles.iter().map(before).fold(0.0, f64::max);
    let off = worst * (r + 4.0) / 2_f64.powi(52);
    let words = |fraction: i32| magnitudes.iter().sum::<f64>() / 2_f64.powi(fraction);
    let (top, off) = if off <= ENOUGH {
        (largest_norm(units, &kept, &doubles, 1.0), off)
    } else if words(SHORT) <= ENOUGH {
        (
            largest_in_words::<u64>(units, &factor, &kept, SHORT),
            words(SHORT),
        )
    } else {
        (
            largest_in_words::<u128>(units, &factor, &kept, LONG),
            words(LONG),
        )
    };
    let bound = top + 2.0 * r.sqrt() * off + r * off * off;
    (kept.len(), Some(bound.min(1.0)))
}

/// Bits behind the point in a word of 64 bits: one is left, and the sign.
const SHORT: i32 = 62;
/// In a word of 128 bits: 257 columns below 2^52 leave 2^-40.
const LONG: i32 = 100;

fn largest_in_words<N: Number>(
    units: &Units,
    factor: &Factor,
    kept: &[usize],
    fraction: i32,
) -> f64 {
    let bits = usize::try_from(fraction).unwrap_or(0);
    let coefficients: Vec<Vec<N>> = (0..kept.len())
        .map(|j| factor.row(j, bits).map(N::wrap).collect())
        .collect();
    largest_norm(units, kept, &coefficients, 2_f64.powi(-fraction))
}

/// The largest |T w|^2, with the rows of T times 1 / `scale`.
fn largest_norm<N: Number>(
    units: &Units,
    kept: &[usize],
    coefficients: &[Vec<N>],
    scale: f64,
) -> f64 {
    let mut largest = 0.0_f64;
    let mut columns = vec![[N::default(); ROWS]; kept.len()];
    Block::each(units, |block| {
        let mut wanted = kept.iter().zip(&mut columns).peekable();
        let mut rows = 0;
        for (k, from) in block.columns().enumerate() {
            rows = from.len();
            if let Some((_, column)) = wanted.next_if(|(kept, _)| **kept == k) {
                for (to, x) in column.iter_mut().zip(from) {
                    *to = N::of(*x);
                }
            }
        }
        let mut norms = [0.0; ROWS];
        for row in coefficients {
            let mut sums = [N::default(); ROWS];
            for (t, column) in row.iter().zip(&columns) {
                for (sum, x) in sums.iter_mut().zip(column) {
                    *sum = sum.add(*t, *x);
                }
            }
            for (norm, sum) in norms.iter_mut().zip(&sums) {
                let y = sum.float() * scale;
                *norm += y * y;
            }
        }
        // Rows of an earlier block may stand behind the last ones.
        largest = norms.iter().take(rows).copied().fold(largest, f64::max);
    });
    largest
}

/// What T w is summed in: doubles, or words modulo 2^w.
trait Number: Copy + Default {
    /// The low bits; not for doubles.
    fn wrap(value: u128) -> Self;
    /// A whole number below 2^52.
    fn of(x: i64) -> Self;
    /// self + t x.
    fn add(self, t: Self, x: Self) -> Self;
    /// As a signed number, not scaled.
    fn float(self) -> f64;
}

#[expect(
    clippy::cast_precision_loss,
    reason = "whole numbers below 2^52 are exact"
)]
impl Number for f64 {
    fn wrap(value: u128) -> Self {
        value as Self
    }

    fn of(x: i64) -> Self {
        x as Self
    }

    #[inline(always)]
    fn add(self, t: Self, x: Self) -> Self {
        self + t * x
    }

    fn float(self) -> f64 {
        self
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "modulo 2^64 is meant, and the last places do not count"
)]
impl Number for u64 {
    fn wrap(value: u128) -> Self {
        value as Self
    }

    fn of(x: i64) -> Self {
        x.cast_unsigned()
    }

    #[inline(always)]
    fn add(self, t: Self, x: Self) -> Self {
        self.wrapping_add(t.wrapping_mul(x))
    }

    fn float(self) -> f64 {
        self.cast_signed() as f64
    }
}

#[expect(clippy::cast_precision_loss, reason = "the last places do not count")]
impl Number for u128 {
    fn wrap(value: u128) -> Self {
        value
    }

    fn of(x: i64) -> Self {
        i128::from(x).cast_unsigned()
    }

    #[inline(always)]
    fn add(self, t: Self, x: Self) -> Self {
        self.wrapping_add(t.wrapping_mul(x))
    }

    fn float(self) -> f64 {
        self.cast_signed() as f64
    }
}

#[expect(clippy::cast_precision_loss, reason = "below 2^53")]
fn float(n: u64) -> f64 {
    n as f64
}

#[cfg(test)]
mod tests;
