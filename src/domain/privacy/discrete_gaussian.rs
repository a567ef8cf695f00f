//! Integers with the discrete Gaussian distribution, exactly: P(x) proportional to exp(-x^2 / 2 sigma^2).
//!
//! The distribution, and why noise over the integers keeps its promise where rounded doubles do not: Canonne, Kamath, Steinke, "The
//! Discrete Gaussian for Differential Privacy", 2020 (CKS20). Their Algorithms 1 to 3 stand in `cks20.rs` as they are printed, for the
//! tests; they loop as often as the magnitude is large, so that the time they take tells something about the noise. Here the same
//! distribution comes from rejection whose every attempt does the same work:
//!
//! 1. a block V >= 0 is drawn from a table of 64-bit weights, each at least S exp(-(2^j V)^2 / 2 sigma^2), together 2^64;
//! 2. j random bits U give the magnitude Y = 2^j V + U, where 2^j is the largest power of two up to sigma, and one bit its sign;
//! 3. Y is accepted with probability S exp(-Y^2 / 2 sigma^2) / weight(V), minus zero never.
//!
//! All of it is integers. Step 3 compares 64 random bits with an exponential known to 54 binary digits; when those do not decide, which
//! happens about once in 2^50 attempts, more random bits are compared with more digits until they do (`exact.rs`), as in Karney,
//! "Sampling exactly from the normal distribution", 2016. Blocks beyond the table, once in 2^63, have weights 1/2^i and are decided the
//! same way. So no output has another probability than its own, given ideal random bits.
//!
//! **What holds about time.** How many attempts a value takes is independent of the value that comes out (rejection sampling), and an
//! attempt does the same work without branches or look-ups that depend on it, apart from the cases above: once in 2^50. Hence the
//! time of a whole vector says how many attempts were rejected, and nothing about the noise. It is not a fixed time: 1.2 to 1.7 attempts
//! a value on average. [`DiscreteGaussian::fill`] is called before data are read, so nothing here can depend on them at all.
//!
//! **Cost.** 0.14 to 0.17 us a value, measured with ChaCha20 on a busy virtual machine with two Xeon cores (sigma 1/2, 3, 2^26 and 2^39;
//! a million values, best of seven, several runs); making a sampler takes 0.1 to 0.3 ms.

use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};

use exact::{Natural, exp_minus};

mod exact;

#[cfg(test)]
mod cks20;
#[cfg(test)]
mod tests;

/// The largest j with sigma >= 2^j that is accepted: magnitudes then stay far from 2^63.
const LARGEST_BLOCK: u32 = 49;
/// Rows of the table: exp(-V^2 / 8) is below 2^-64 from V = 19 on.
const ROWS: usize = 20;
/// How wrong `exp2_minus` times a table entry may be, in units of 2^-64. The analysis gives less than 2^8, the tests see less.
const MARGIN: u64 = 1 << 10;

/// A variance sigma^2 as a fraction, in lowest terms: 1/64 <= sigma^2 < 2^100.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "(u128, u64)", into = "(u128, u64)")]
pub struct Variance {
    numerator: u128,
    denominator: u64,
}

/// A variance that no noise is drawn with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a variance of {numerator}/{denominator} is outside of 1/64 to 2^100")]
pub struct VarianceError {
    numerator: u128,
    denominator: u64,
}

impl Variance {
    /// The fraction `numerator / denominator`, in squared units of the integers that noise is added to.
    ///
    /// # Errors
    /// [`VarianceError`] when it is not within 1/64 and 2^100, or the denominator is zero.
    pub fn new(numerator: u128, denominator: u64) -> Result<Self, VarianceError> {
        let d = u128::from(denominator);
        let small = numerator.saturating_mul(64) < d;
        if d == 0 || small || numerator / d >= 1 << 100 {
            return Err(VarianceError {
                numerator,
                denominator,
            });
        }
        let divisor = gcd(numerator, d);
        Ok(Self {
            numerator: numerator / divisor,
            denominator: u64::try_from(d / divisor).unwrap_or(denominator),
        })
    }

    /// Numerator and denominator in lowest terms.
    #[must_use]
    pub fn parts(self) -> (u128, u64) {
        (self.numerator, self.denominator)
    }

    /// The nearest double, for accounting and display; never for drawing.
    #[must_use]
    #[expect(
        clippy::cast_precision_loss,
        reason = "the nearest double is what is asked for"
    )]
    pub fn to_f64(self) -> f64 {
        self.numerator as f64 / self.denominator as f64
    }
}

impl TryFrom<(u128, u64)> for Variance {
    type Error = VarianceError;
    fn try_from((numerator, denominator): (u128, u64)) -> Result<Self, VarianceError> {
        Self::new(numerator, denominator)
    }
}

impl From<Variance> for (u128, u64) {
    fn from(variance: Variance) -> Self {
        variance.parts()
    }
}

/// A sampler of one variance. Making one takes some milliseconds at most; it holds no secrets.
#[derive(Debug, Clone)]
pub struct DiscreteGaussian {
    variance: Variance,
    /// j: blocks have 2^j values.
    block: u32,
    /// S: what all weights and acceptances are multiples of.
    scale: u64,
    /// 4^j log2(e) / 2 sigma^2 as a fraction of 2^64.
    curvature: u64,
    rows: [Row; ROWS],
}

/// A block: chosen by the 64-bit numbers from `start` up to `start + weight`.
#[derive(Debug, Clone, Copy, Default)]
struct Row {
    start: u64,
    weight: u64,
    /// exp(-(2^j V)^2 / 2 sigma^2) as a fraction of 2^64, rounded down.
    height: u64,
}

/// What 64 bits say about an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Accept,
    Reject,
    Open,
}

/// An attempt that 64 bits do not decide.
struct Candidate {
    magnitude: u128,
    /// The random number compared, so far.
    draw: u64,
    /// The weight of its block is `weight / 2^halvings`.
    weight: u64,
    halvings: usize,
}

impl DiscreteGaussian {
    /// A sampler for this variance.
    #[must_use]
    pub fn new(variance: Variance) -> Self {
        let (numerator, denominator) = variance.parts();
        let mut block = 0;
        let fits = |j: u32| {
            u128::from(denominator)
                .checked_shl(2 * j)
                .is_some_and(|d| d >> (2 * j) == u128::from(denominator) && d <= numerator)
        };
        while block < LARGEST_BLOCK && fits(block + 1) {
            block += 1;
        }
        let mut sampler = Self {
            variance,
            block,
            scale: 0,
            curvature: 0,
            rows: [Row::default(); ROWS],
        };
        if block > 0 {
            let log2_e = Natural::from(LOG2_E);
            let square = Natural::from(1_u128 << (2 * block));
            let above = square.times(&u128::from(denominator).into()).times(&log2_e);
            sampler.curvature = low(above.quotient(&numerator.into()).to_u128().unwrap_or(0));
        }
        sampler.tabulate();
        sampler
    }

    /// Fills the table: heights first, then the largest scale that lets all weights together be 2^64.
    fn tabulate(&mut self) {
        let mut above = [0_u128; ROWS];
        let mut used = 0;
        for (v, above) in (0_u128..).zip(&mut above) {
            let (lower, upper) = if v == 0 {
                (u128::from(u64::MAX), 1 << 64)
            } else {
                let (lower, upper) = self.exponential(v << self.block, 128);
                let cut = |n: &Natural| n.shifted_right(64).to_u128().unwrap_or(0);
                (cut(&lower), cut(&upper) + 1)
            };
            if lower == 0 {
                break;
            }
            self.rows[used].height = low(lower);
            *above = upper;
            used += 1;
        }
        let total: u128 = above.iter().sum();
        self.scale = low(((u128::from(u64::MAX) - 63) << 64) / total.max(1 << 64));
        let scale = u128::from(self.scale);
        for (row, above) in self.rows.iter_mut().zip(above).take(used) {
            row.weight = low(((scale * above) >> 64) + 1);
        }
        // The last two numbers are for the blocks beyond; what rounding left over goes to the first.
        let given: u128 = self.rows.iter().map(|row| u128::from(row.weight)).sum();
        self.rows[0].weight += low((1_u128 << 64).saturating_sub(given + 2));
        let mut start = 0_u64;
        for row in &mut self.rows {
            row.start = start;
            start = start.wrapping_add(row.weight);
        }
    }

    /// The variance that it was made for.
    #[must_use]
    pub fn variance(&self) -> Variance {
        self.variance
    }

    /// Replaces every value of `out` with a sample of its own.
    ///
    /// To be called before data are read. The values depend on the variance and on what `rng` gives, on nothing else, and are the
    /// same on every platform.
    pub fn fill(&self, rng: &mut impl CryptoRng, out: &mut [i64]) {
        for value in out {
            *value = self.sample(rng);
        }
    }

    /// One sample.
    pub fn sample(&self, rng: &mut impl CryptoRng) -> i64 {
        loop {
            if let Some(value) = self.attempt(rng) {
                return value;
            }
        }
    }

    /// One attempt; `None` when it is rejected.
    fn attempt(&self, rng: &mut impl CryptoRng) -> Option<i64> {
        let (choice, bits, draw) = (rng.next_u64(), rng.next_u64(), rng.next_u64());
        let offset = bits & ((1 << self.block) - 1);
        let negative = bits >> 63;
        let (v, row, found) = self.row(choice);
        let height = mul_high(row.height, exp2_minus(self.fall(v, offset)));
        let magnitude = v << self.block | offset;
        let verdict = match (found, self.judge(height, row.weight, draw)) {
            (1, verdict) => verdict,
            _ => Verdict::Open,
        };
        let accepted = match verdict {
            Verdict::Accept => true,
            Verdict::Reject => false,
            Verdict::Open => {
                return self.settle(rng, found == 1, magnitude, row.weight, bits, draw);
            }
        };
        let minus_zero = (magnitude == 0) & (negative == 1);
        (accepted & !minus_zero).then_some(signed(magnitude, negative))
    }

    /// The number and the row of the block that `choice` stands for, and 1; 0 when it is beyond the table. Looks at every row.
    fn row(&self, choice: u64) -> (u64, Row, u64) {
        let (mut v, mut found, mut picked) = (0, 0, Row::default());
        for (number, row) in (0_u64..).zip(&self.rows) {
            let here = u64::from(choice.wrapping_sub(row.start) < row.weight);
            let mask = 0_u64.wrapping_sub(here);
            v |= number & mask;
            picked.weight |= row.weight & mask;
            picked.height |= row.height & mask;
            found |= here;
        }
        (v, picked, found)
    }

    /// log2 of what the exponential falls by from the block's beginning to `offset`: a fraction of 2^58, less than 3 units too small.
    ///
    /// With x = offset / 2^j that is (2 V + x) x times the curvature; below 42 for every row.
    fn fall(&self, v: u64, offset: u64) -> u64 {
        // Without offsets (j = 0) x is zero.
        let x = offset.checked_shl(64 - self.block).unwrap_or(0);
        mul_high(mul_high((v << 59) + (x >> 6), x), self.curvature)
    }

    /// Compares `draw + (a fraction)` times the weight with the scale times the height, which is known up to [`MARGIN`].
    fn judge(&self, height: u64, weight: u64, draw: u64) -> Verdict {
        let scale = u128::from(self.scale);
        let surely = scale * u128::from(height.saturating_sub(MARGIN));
        let perhaps = (scale * u128::from(height)).saturating_add(scale * u128::from(MARGIN));
        let drawn = u128::from(draw) * u128::from(weight);
        let accept = drawn + u128::from(weight) <= surely;
        let reject = drawn >= perhaps;
        match (accept, reject) {
            (true, _) => Verdict::Accept,
            (false, true) => Verdict::Reject,
            (false, false) => Verdict::Open,
        }
    }

    /// Ends an attempt that 64 bits left open, or that is beyond the table.
    fn settle(
        &self,
        rng: &mut impl CryptoRng,
        in_table: bool,
        magnitude: u64,
        weight: u64,
        bits: u64,
        draw: u64,
    ) -> Option<i64> {
        let mut candidate = Candidate {
            magnitude: u128::from(magnitude),
            draw,
            weight,
            halvings: 0,
        };
        if !in_table {
            // The weights 1, 1/2, 1/4, ... of the blocks from the table's end on are 2 together.
            let rows = self.rows.iter().filter(|row| row.weight > 0).count();
            while rng.next_u64() >> 63 == 1 {
                candidate.halvings += 1;
            }
            let offset = bits & ((1 << self.block) - 1);
            let v = (rows + candidate.halvings) as u128;
            candidate.weight = 1;
            candidate.magnitude = v << self.block | u128::from(offset);
        }
        let negative = bits >> 63;
        let minus_zero = candidate.magnitude == 0 && negative == 1;
        // Magnitudes from 2^63 on, at least 2^13 sigma, have a probability below 2^-10^7.
        let value = signed(
            u64::try_from(candidate.magnitude).unwrap_or(u64::MAX >> 1),
            negative,
        );
        (self.accepts(rng, &candidate) && !minus_zero).then_some(value)
    }

    /// Whether the candidate is accepted, with as many random bits and digits as it takes.
    fn accepts(&self, rng: &mut impl CryptoRng, candidate: &Candidate) -> bool {
        let mut drawn = Natural::from(candidate.draw);
        let weight = Natural::from(candidate.weight);
        let scale = Natural::from(self.scale).shifted_left(candidate.halvings);
        let mut digits = 64;
        loop {
            drawn = drawn.shifted_left(64).plus(&rng.next_u64().into());
            digits += 64;
            let (lower, upper) = self.exponential(candidate.magnitude, digits);
            if drawn.plus(&1_u64.into()).times(&weight) <= lower.times(&scale) {
                return true;
            }
            if drawn.times(&weight) >= upper.times(&scale) {
                return false;
            }
        }
    }

    /// Bounds of exp(-magnitude^2 / 2 sigma^2) * 2^digits.
    fn exponential(&self, magnitude: u128, digits: usize) -> (Natural, Natural) {
        let (numerator, denominator) = self.variance.parts();
        let magnitude = Natural::from(magnitude);
        let above = magnitude.times(&magnitude).times(&denominator.into());
        exp_minus(&above, &Natural::from(numerator).shifted_left(1), digits)
    }
}

/// log2(e) as a fraction of 2^63.
const LOG2_E: u64 = 0xB8AA_3B29_5C17_F0BC;
/// ln 2 as a fraction of 2^64.
const LN_2: u64 = 0xB172_17F7_D1CF_79AB;
/// 2^64 / k, rounded down, for k from 1; the first is one unit less. What the series leaves out, (ln 2)^18 / 18!, is below 2^-61.
const INVERSES: [u64; 17] = {
    let mut inverses = [u64::MAX; 17];
    let mut k = 1;
    while k < inverses.len() {
        inverses[k] = u64::MAX / (k as u64 + 1);
        k += 1;
    }
    inverses
};

/// 2^-x for x a fraction of 2^58, as a fraction of 2^64; wrong by less than 2^8 units when x is by less than 3.
fn exp2_minus(x: u64) -> u64 {
    let y = mul_high(x << 6, LN_2);
    let series = INVERSES.iter().rev().fold(u64::MAX, |sum, inverse| {
        u64::MAX - mul_high(mul_high(y, sum), *inverse)
    });
    series >> (x >> 58)
}

/// The high half of a product.
fn mul_high(a: u64, b: u64) -> u64 {
    low((u128::from(a) * u128::from(b)) >> 64)
}

/// The low 64 bits; used where nothing else is left.
#[expect(
    clippy::cast_possible_truncation,
    reason = "callers have bounded the value"
)]
fn low(value: u128) -> u64 {
    value as u64
}

/// The magnitude, negated when `negative` is 1; without a branch.
fn signed(magnitude: u64, negative: u64) -> i64 {
    let mask = 0_u64.wrapping_sub(negative);
    (magnitude ^ mask).wrapping_sub(mask).cast_signed()
}

fn gcd(mut a: u128, mut b: u128) -> u128 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a.max(1)
}
