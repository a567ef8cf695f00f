//! The exact Gram matrix W'W, and which columns of W are independent.
//!
//! Entries are exact: 2^22 rows of integers below 2^52 give sums below 2^126, and of more rows it is looked at ([`Gram::is_exact`]).
//! A column is dropped when it is an exact linear combination of those before it. That is decided modulo two primes near 2^61: a column
//! that depends does so modulo every prime, so no dependent one is ever kept; one that does not depend looks as if it did only modulo the
//! few hundred primes that divide one minor, and the primes are drawn by SHA-256 from the matrix itself, so nobody can choose data for
//! them: the chance is below 2^-46 for each prime.

use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256};

use super::accumulate::Units;
use super::blocks::{Block, ROWS};

/// W'W of r columns.
pub(super) struct Gram {
    columns: usize,
    /// The first column that is equal to each.
    twins: Vec<usize>,
    /// r by r; only j >= k is filled, and nothing where there is an equal one before.
    entries: Vec<i128>,
}

impl Gram {
    /// Of no row yet. `twins`: for each column the first that is equal to it, which may be itself.
    pub(super) fn new(twins: Vec<usize>) -> Self {
        Self {
            columns: twins.len(),
            entries: vec![0; twins.len() * twins.len()],
            twins,
        }
    }

    /// Adds the rows of a block.
    pub(super) fn add(&mut self, block: &Block) {
        let columns: Vec<Column<'_>> = block.columns().map(Column::new).collect();
        let first = |(j, twin): (usize, &usize)| (*twin == j).then_some(j);
        let firsts: Vec<usize> = self.twins.iter().enumerate().filter_map(first).collect();
        for (place, j) in firsts.iter().enumerate() {
            let row = &mut self.entries[j * self.columns..];
            for k in firsts.iter().take(place + 1) {
                row[*k] = row[*k].saturating_add(columns[*j].times(&columns[*k]));
            }
        }
    }

    /// Whether every entry is below 2^126. No scalar product is larger than the larger square of its two columns.
    pub(super) fn is_exact(&self) -> bool {
        (0..self.columns).all(|k| self.at(k, k) < 1 << 126)
    }

    /// The scalar product of two columns.
    pub(super) fn at(&self, j: usize, k: usize) -> i128 {
        let (j, k) = (self.twins[j], self.twins[k]);
        let (j, k) = (j.max(k), j.min(k));
        self.entries[j * self.columns + k]
    }

    /// Columns that are no combination of those before them, in order; their number is the rank.
    pub(super) fn independent(&self) -> Vec<usize> {
        let mut hash = Sha256::new_with_prefix(b"delta records rank 1");
        for entry in &self.entries {
            hash.update(entry.to_le_bytes());
        }
        let seed: [u8; 32] = hash.finalize().into();
        let kept = |bytes: &[u8]| self.independent_modulo(prime_from(bytes));
        let (one, other) = (kept(&seed[..8]), kept(&seed[8..16]));
        // Both are independent; the longer one is right.
        if other.len() > one.len() { other } else { one }
    }

    fn independent_modulo(&self, p: u64) -> Vec<usize> {
        let r = self.columns;
        let wide = i128::from(p);
        let residue = |x: i128| u64::try_from(x.rem_euclid(wide)).unwrap_or(0);
        let mut rest: Vec<u64> = (0..r * r).map(|i| residue(self.at(i / r, i % r))).collect();
        let mut kept = Vec::new();
        for k in 0..r {
            let pivot = rest[k * r + k];
            if pivot == 0 {
                continue;
            }
            kept.push(k);
            let inverse = power(pivot, p - 2, p);
            let row: Vec<u64> = rest[k * r..(k + 1) * r].to_vec();
            for j in k + 1..r {
                let factor = times(row[j], inverse, p);
                if factor == 0 {
                    continue;
                }
                for (x, y) in rest[j * r..(j + 1) * r].iter_mut().zip(&row).skip(k) {
                    let product = times(factor, *y, p);
                    *x = if *x >= product {
                        *x - product
                    } else {
                        *x + p - product
                    };
                }
            }
        }
        kept
    }
}

/// A block of one column, in both types, and its largest magnitude.
struct Column<'b> {
    whole: &'b [i64],
    doubles: Vec<f64>,
    largest: u64,
}

impl<'b> Column<'b> {
    #[expect(clippy::cast_precision_loss, reason = "integers below 2^52 are exact")]
    fn new(whole: &'b [i64]) -> Self {
        Self {
            whole,
            doubles: whole.iter().map(|x| *x as f64).collect(),
            largest: whole.iter().map(|x| x.unsigned_abs()).max().unwrap_or(0),
        }
    }

    /// The exact scalar product.
    fn times(&self, other: &Self) -> i128 {
        // What a product may be so that every partial sum of a block is a double.
        let small = (1_u128 << 53) / (ROWS as u128);
        if u128::from(self.largest) * u128::from(other.largest) <= small {
            return exact(&self.doubles, &other.doubles);
        }
        let wide = |(x, y): (&i64, &i64)| i128::from(*x) * i128::from(*y);
        self.whole.iter().zip(other.whole).map(wide).sum()
    }
}

/// Whole numbers in doubles, whose sums are exact in any order: four at a time.
#[expect(clippy::cast_possible_truncation, reason = "a whole number below 2^53")]
fn exact(a: &[f64], b: &[f64]) -> i128 {
    let (a, rest_a) = a.as_chunks::<4>();
    let (b, rest_b) = b.as_chunks::<4>();
    let mut lanes = [0.0; 4];
    for (x, y) in a.iter().zip(b) {
        for (lane, (x, y)) in lanes.iter_mut().zip(x.iter().zip(y)) {
            *lane += x * y;
        }
    }
    let rest: f64 = rest_a.iter().zip(rest_b).map(|(x, y)| x * y).sum();
    (lanes.iter().sum::<f64>() + rest) as i128
}

/// The first prime from 2^60 + the low bits of `bytes` on.
fn prime_from(bytes: &[u8]) -> u64 {
    let number = bytes
        .iter()
        .fold(0_u64, |n, byte| n << 8 | u64::from(*byte));
    let mut candidate = 1 << 60 | number >> 4 | 1;
    while !is_prime(candidate) {
        candidate += 2;
    }
    candidate
}

/// Miller and Rabin's test with the twelve bases that decide every 64-bit number. For odd n above 37.
fn is_prime(n: u64) -> bool {
    let twos = (n - 1).trailing_zeros();
    [2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37]
        .into_iter()
        .all(|base| {
            let mut x = power(base, (n - 1) >> twos, n);
            if x == 1 || x == n - 1 {
                return true;
            }
            (1..twos).any(|_| {
                x = times(x, x, n);
                x == n - 1
            })
        })
}

fn power(base: u64, mut exponent: u64, p: u64) -> u64 {
    let (mut result, mut square) = (1, base % p);
    while exponent > 0 {
        if exponent & 1 == 1 {
            result = times(result, square, p);
        }
        square = times(square, square, p);
        exponent >>= 1;
    }
    result
}

fn times(a: u64, b: u64, p: u64) -> u64 {
    let rest = u128::from(a) * u128::from(b) % u128::from(p);
    // Below p.
    u64::try_from(rest).unwrap_or(0)
}

/// For each column of [1, V] the first that is equal to it. Many numbers of a task are counts of the same units: those cost once.
pub(super) fn twins(units: &Units) -> Vec<usize> {
    let mut twins = vec![1; units.width() + 1];
    twins[0] = 0;
    Block::each(units, |block| {
        let columns: Vec<&[i64]> = block.columns().collect();
        let mut all = columns.iter().zip(&twins).skip(1);
        if all.all(|(column, twin)| *column == columns[*twin]) {
            return;
        }
        // Who was equal so far and is still; the first of each has the smallest number.
        let mut firsts = BTreeMap::new();
        for (column, twin) in twins.iter_mut().enumerate().skip(1) {
            let so_far = (*twin, columns[column]);
            *twin = *firsts.entry(so_far).or_insert(column);
        }
    });
    twins
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::facts::tests::units;

    fn independent(rows: &[Vec<i64>]) -> Vec<usize> {
        let units = units(rows);
        let mut gram = Gram::new(twins(&units));
        Block::each(&units, |block| gram.add(block));
        gram.independent()
    }

    #[test]
    fn primes_are_prime() {
        assert!(is_prime((1 << 61) - 1));
        assert!(!is_prime((1 << 59) - 1));
        // The least number that passes for bases 2 to 31.
        assert!(!is_prime(3_825_123_056_546_413_051));
        for seed in 0..20_u64 {
            let prime = prime_from(&seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
            assert!(prime >= 1 << 60 && is_prime(prime));
        }
    }

    #[test]
    fn only_exact_combinations_are_dropped() {
        let rows = |last: i64| -> Vec<Vec<i64>> {
            (0..600_i64)
                .map(|i| {
                    let a = i * i * 7_000_000_001 % (1 << 51);
                    vec![
                        a,
                        3,
                        i % 2,
                        1 - i % 2,
                        2 * a - 9 + if i == 599 { last } else { 0 },
                    ]
                })
                .collect()
        };
        assert_eq!(independent(&rows(0)), [0, 1, 3]);
        assert_eq!(independent(&rows(1)), [0, 1, 3, 5]);
    }

    #[test]
    fn equal_columns_are_found_and_cost_nothing() {
        let rows: Vec<Vec<i64>> = (0..700)
            .map(|i| vec![i, 5, i, 5, if i == 699 { 0 } else { i }, 1, 5, i])
            .collect();
        let units = units(&rows);
        // The ones in front are not compared: a count has its own scale.
        let found = twins(&units);
        assert_eq!(found, [0, 1, 2, 1, 2, 5, 6, 2, 1]);
        let of = |twins| {
            let mut gram = Gram::new(twins);
            Block::each(&units, |block| gram.add(block));
            gram
        };
        let (short, long) = (of(found), of((0..9).collect()));
        for j in 0..9 {
            for k in 0..9 {
                assert_eq!(short.at(j, k), long.at(j, k), "{j} {k}");
            }
        }
        assert_eq!(short.independent(), long.independent());
    }

    #[test]
    fn sums_are_exact_in_both_sizes() {
        let large = (1_i64 << 52) - 1;
        let rows: Vec<Vec<i64>> = (0..700).map(|i| vec![large, -large, i]).collect();
        let units = units(&rows);
        let mut gram = Gram::new((0..4).collect());
        Block::each(&units, |block| gram.add(block));
        let square = i128::from(large) * i128::from(large);
        assert_eq!(gram.at(1, 1), 700 * square);
        assert_eq!(gram.at(1, 2), -700 * square);
        assert_eq!(gram.at(0, 3), 699 * 700 / 2);
        assert_eq!(gram.at(2, 3), -i128::from(large) * 699 * 700 / 2);
        assert_eq!(gram.at(0, 0), 700);
    }
}
