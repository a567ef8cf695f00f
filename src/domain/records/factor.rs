//! The inverse of the Cholesky factor of an exact Gram matrix, to as many digits as the data need.
//!
//! With G = L L' and T the inverse of L, the leverage of a row w is |T w|^2. A graph's author chooses the columns, and may hide one person
//! in the last place of large numbers; so floating point is no ground to stand on. Here G is scaled to a diagonal near 1 and factored in
//! fixed point with P bits; then the factor is exact for a matrix within r^2 2^-P of G, and T w off by at most |T|^2 r^2 2^-P. If that
//! is not below 2^-40, P is doubled. It is always enough in the end, since the kept columns are independent; only the work has a limit.

use super::big::Big;
use super::gram::Gram;

/// The first P.
const FIRST_BITS: usize = 256;
/// Bits by which P must exceed what the columns' dependence costs.
const MARGIN: usize = 48;
/// Most products of 64-bit limbs, times three: a second or two.
const WORK: usize = 8_000_000_000;

/// T: row j holds the coefficients of the first j + 1 kept columns.
pub(super) struct Factor {
    rows: Vec<Vec<Big>>,
    /// Bits behind the point of the entries.
    bits: usize,
    /// Column k was divided by 2^`scales[k]`.
    scales: Vec<usize>,
}

impl Factor {
    /// Of the columns `kept`, which are independent. `None`: it would take more than a second or two.
    pub(super) fn of(gram: &Gram, kept: &[usize]) -> Option<Self> {
        let r = kept.len();
        let scale = |k: &usize| Big::from(gram.at(*k, *k)).bits().div_ceil(2);
        let scales: Vec<usize> = kept.iter().map(scale).collect();
        let mut bits = FIRST_BITS;
        while r.pow(3).saturating_mul((bits / 64).pow(2)) <= WORK {
            if let Some(rows) = attempt(gram, kept, &scales, bits) {
                return Some(Self { rows, bits, scales });
            }
            bits *= 2;
        }
        None
    }

    /// The coefficients of row `j` for unscaled columns, times 2^`fraction`, modulo 2^128. Each is rounded towards zero.
    pub(super) fn row(&self, j: usize, fraction: usize) -> impl Iterator<Item = u128> {
        let row = self.rows.get(j).map(Vec::as_slice).unwrap_or_default();
        // P is at least 256, a fraction at most 128.
        let shifted =
            move |(t, scale): (&Big, &usize)| t.down(self.bits + scale - fraction).wrapped();
        row.iter().zip(&self.scales).map(shifted)
    }

    /// The coefficients of row `j` for unscaled columns as doubles, each within 2^-52 of itself.
    pub(super) fn floats(&self, j: usize) -> impl Iterator<Item = f64> {
        let row = self.rows.get(j).map(Vec::as_slice).unwrap_or_default();
        row.iter()
            .zip(&self.scales)
            .map(|(t, scale)| t.float(self.bits + scale))
    }
}

/// T with `p` bits behind the point, if those are enough.
fn attempt(gram: &Gram, kept: &[usize], scales: &[usize], p: usize) -> Option<Vec<Vec<Big>>> {
    let log_r = usize::try_from(kept.len().ilog2()).ok()? + 1;
    let one = Big::power_of_two(2 * p);
    let (mut lower, mut inverse) = (Vec::<Vec<Big>>::new(), Vec::<Vec<Big>>::new());
    for (j, column) in kept.iter().enumerate() {
        // The scaled entry of the matrix, with 2 p bits behind the point.
        let entry = |k: usize| {
            // Scales are at most 64 bits each.
            Big::from(gram.at(*column, kept[k])).up(2 * p - scales[j] - scales[k])
        };
        let mut row: Vec<Big> = Vec::with_capacity(j + 1);
        for k in 0..j {
            let rest = less(entry(k), row.iter().zip(&lower[k]));
            row.push(rest.down(p).times(&inverse[k][k]).down(p));
        }
        let pivot = less(entry(j), row.iter().zip(&row));
        // What is below is noise of the rounding.
        if !pivot.is_positive() || pivot.bits() < p + MARGIN {
            return None;
        }
        let root = pivot.root();
        let reciprocal = one.over(&root);
        let mut coefficients = Vec::with_capacity(j + 1);
        for k in 0..j {
            let below = inverse[k..].iter().map(|t| &t[k]);
            let sum = less(Big::default(), row[k..].iter().zip(below));
            coefficients.push(sum.down(p).times(&reciprocal).down(p));
        }
        coefficients.push(reciprocal);
        let largest = coefficients.iter().map(Big::bits).max().unwrap_or(0);
        // p >= log2 of |T|^2 r^2 and the margin.
        if p < 2 * largest.saturating_sub(p) + 4 * log_r + MARGIN {
            return None;
        }
        row.push(root);
        lower.push(row);
        inverse.push(coefficients);
    }
    Some(inverse)
}

/// `from` less the sum of products.
fn less<'b>(from: Big, pairs: impl Iterator<Item = (&'b Big, &'b Big)>) -> Big {
    pairs.fold(from, |rest, (a, b)| rest.plus(&a.times(b).negated()))
}
