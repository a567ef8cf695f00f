//! What a release costs: Renyi divergences at fixed orders, their sum over releases, and the (epsilon, delta) that they mean.
//!
//! A mechanism has Renyi differential privacy (alpha, r) when neighbouring data, which differ by one unit added or removed, give
//! outputs whose Renyi divergence of order alpha is at most r, in both directions (Mironov, "Renyi Differential Privacy", 2017). A
//! [`Rdp`] holds such an r for each of [`alphas`]; composition is addition.
//!
//! **Never understated.** A value is a whole number of [`UNIT`]s, 2^-52 nats, rounded up after [`MARGIN`] was added for the errors of
//! floating-point functions (`ln`, `exp` and `erfc` differ between machines in their last bits). Addition is exact, in any order; what
//! does not fit is infinite, and stays so. [`Rdp::epsilon`] adds [`MARGIN`] once more. Only finitely many orders are looked at, which
//! can only make epsilon larger than it is.
//!
//! Formulas and sources: `docs/privacy.md`.

use std::ops::AddAssign;

use serde::{Deserialize, Serialize};

mod special;
mod subsampled;

#[cfg(test)]
mod tests;

/// How many orders there are.
pub const ORDERS: usize = 162;
/// One unit of cost: 2^-52 nats.
pub const UNIT: f64 = f64::EPSILON;
/// What is added to every computed number, relative to it: a hundred times what rounding can take away.
pub const MARGIN: f64 = 1e-9;
/// A cost that is not bounded at this order.
const INFINITE: u64 = u64::MAX;

/// The orders, ascending: 1.25; 1.3 to 10.9 in tenths; 11 to 63; 64, 80, 96, 128, 160, 192, 256, 320, 384, 448 and 512.
///
/// The same since the first ledger: stored costs are lists in this order. Tenths are dense enough that epsilon is within 1e-3 of the
/// best real order for everything that a budget allows.
pub fn alphas() -> impl Iterator<Item = f64> {
    const LARGE: [u32; 11] = [64, 80, 96, 128, 160, 192, 256, 320, 384, 448, 512];
    [1.25]
        .into_iter()
        .chain((13..110).map(|tenths| f64::from(tenths) / 10.0))
        .chain((11..64).chain(LARGE).map(f64::from))
}

/// A cost at every order, in whole [`UNIT`]s.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<u64>", into = "Vec<u64>")]
pub struct Rdp(Vec<u64>);

/// Parameters that no cost is computed for.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum RdpError {
    /// Not a finite number above zero.
    #[error("{name} must be a finite number above 0, not {value}")]
    NotPositive {
        /// Which parameter.
        name: &'static str,
        /// What it was.
        value: f64,
    },
    /// Not a probability.
    #[error("{name} must be above 0 and at most 1, not {value}")]
    NotAProbability {
        /// Which parameter.
        name: &'static str,
        /// What it was.
        value: f64,
    },
    /// A stored cost of another length.
    #[error("a cost has {ORDERS} numbers, not {found}")]
    Length {
        /// How many there were.
        found: usize,
    },
}

/// A sum of equal shares of discrete Gaussian noise, and the unit that it hides.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NoisySum {
    /// Shares whose noise counts; at least 1.
    pub shares: usize,
    /// Variance of each share, in squared units of the integers.
    pub variance: f64,
    /// L2 norm of what one unit of privacy adds, at most.
    pub l2: f64,
    /// L1 norm of the same, at most. `f64::INFINITY` when unknown: sqrt(d) times the L2 norm is taken then, or when that is smaller.
    pub l1: f64,
    /// Number of values d.
    pub dimension: u64,
}

impl Rdp {
    /// What costs nothing.
    #[must_use]
    pub fn zero() -> Self {
        Self(vec![0; ORDERS])
    }

    /// The continuous Gaussian of standard deviation `multiplier` times the L2 sensitivity, or the discrete one of that sigma: alpha /
    /// 2 z^2. Source: Mironov 2017, corollary 3; CKS20, theorem 4 with corollary of section 2.4 for vectors of integers.
    ///
    /// # Errors
    /// [`RdpError::NotPositive`].
    pub fn gaussian(multiplier: f64) -> Result<Self, RdpError> {
        let z = positive("noise multiplier", multiplier)?;
        Self::concentrated(1.0 / (2.0 * z * z))
    }

    /// A mechanism with zero-concentrated privacy rho: rho times alpha. Source: Bun, Steinke 2016.
    ///
    /// # Errors
    /// [`RdpError::NotPositive`].
    pub fn concentrated(rho: f64) -> Result<Self, RdpError> {
        let rho = positive("rho", rho)?;
        Ok(Self::of(|alpha| alpha * rho))
    }

    /// A sum of shares of discrete Gaussian noise, which is not quite a discrete Gaussian itself.
    ///
    /// With n shares of variance s^2 each, s_n = s sqrt(n), and tau = 10 sum over 0 < k < n of exp(-2 pi^2 s^2 k / (k + 1)), the
    /// smallest of alpha D^2 / 2 s_n^2 + tau d, alpha / 2 (D^2 / s_n^2 + 2 D1 tau / s_n + tau^2 d), and alpha / 2 (D / s_n + sqrt(d)
    /// tau)^2. One share has tau = 0. Several of a variance below 1/4 cost infinitely
    /// much, because the proposition does not speak of them. Source: Kairouz, Liu, Steinke, "The Distributed Discrete Gaussian Mechanism", 2021,
    /// proposition 14.
    ///
    /// # Errors
    /// [`RdpError::NotPositive`], also for no shares.
    #[expect(
        clippy::cast_precision_loss,
        reason = "counts are far below 2^53; the margin covers the rest"
    )]
    pub fn noisy_sum(sum: &NoisySum) -> Result<Self, RdpError> {
        let shares = positive("number of shares", sum.shares as f64)?;
        let variance = positive("variance", sum.variance)?;
        let sigma = (shares * variance).sqrt();
        let d = positive("dimension", sum.dimension as f64)?;
        let l2 = positive("L2 sensitivity", sum.l2)? / sigma;
        // L1 norms are between the L2 norm and sqrt(d) times it; so is what stands for NaN.
        let l1 = (sum.l1 / sigma).min(l2 * d.sqrt()).max(l2);
        let tau = departure(sum.shares, variance);
        Ok(Self::of(|alpha| {
            let additive = alpha * l2 * l2 / 2.0 + tau * d;
            let mixed = alpha / 2.0 * (l2 * l2 + 2.0 * l1 * tau + tau * tau * d);
            let norms = alpha / 2.0 * (l2 + d.sqrt() * tau).powi(2);
            additive.min(mixed).min(norms)
        }))
    }

    /// The Gaussian mechanism on a sample that holds each unit with probability `rate`, independently (Poisson sampling), `steps`
    /// times. Only where the node itself samples, in secret.
    ///
    /// Source: Mironov, Talwar, Zhang, "Renyi Differential Privacy of the Sampled Gaussian Mechanism", 2019, sections 3.2 and 3.3.
    ///
    /// # Errors
    /// [`RdpError::NotPositive`], [`RdpError::NotAProbability`].
    pub fn sampled_gaussian(rate: f64, multiplier: f64, steps: u32) -> Result<Self, RdpError> {
        let z = positive("noise multiplier", multiplier)?;
        if !(rate > 0.0 && rate <= 1.0) {
            return Err(RdpError::NotAProbability {
                name: "sampling rate",
                value: rate,
            });
        }
        let steps = f64::from(steps);
        if rate == 1.0 {
            return Ok(Self::of(|alpha| steps * alpha / (2.0 * z * z)));
        }
        let divergences = subsampled::Divergences::new(rate, z);
        Ok(Self::of(|alpha| steps * divergences.at(alpha)))
    }

    /// This cost, `times` over.
    #[must_use]
    pub fn repeated(&self, times: u32) -> Self {
        Self(
            self.0
                .iter()
                .map(|r| r.saturating_mul(times.into()))
                .collect(),
        )
    }

    /// The smallest epsilon that these costs prove for `delta`; infinite when they prove none, as for a delta that is not above 0.
    ///
    /// Over all orders the smallest of r + ln(1 - 1/alpha) - ln(delta alpha) / (alpha - 1) (CKS20, proposition 12); 0 where already
    /// the divergence of order 1, which is at most r, makes any two outputs as close as delta: 1 - exp(-r) <= delta^2.
    #[must_use]
    pub fn epsilon(&self, delta: f64) -> f64 {
        self.convert(delta, |alpha, r, delta| {
            r + (-1.0 / alpha).ln_1p() - (delta * alpha).ln() / (alpha - 1.0)
        })
    }

    /// As [`Self::epsilon`] by the older conversion, r - ln(delta) / (alpha - 1), for comparison with older papers. Mironov 2017,
    /// proposition 3.
    #[must_use]
    pub fn epsilon_by_mironov(&self, delta: f64) -> f64 {
        self.convert(delta, |alpha, r, delta| r - delta.ln() / (alpha - 1.0))
    }

    /// Whether nothing was spent.
    #[must_use]
    pub fn is_zero(&self) -> bool {
        self.0.iter().all(|r| *r == 0)
    }

    fn convert(&self, delta: f64, formula: impl Fn(f64, f64, f64) -> f64) -> f64 {
        if self.is_zero() {
            return 0.0;
        }
        if delta.is_nan() || delta <= 0.0 {
            return f64::INFINITY;
        }
        let smallest = (alphas().zip(&self.0).filter(|(_, r)| **r != INFINITE))
            .map(|(alpha, r)| {
                let r = nats(*r);
                if -(-r).exp_m1() * (1.0 + MARGIN) <= delta * delta {
                    return 0.0;
                }
                let epsilon = formula(alpha, r, delta.min(1.0));
                epsilon + MARGIN * (1.0 + epsilon.abs())
            })
            .fold(f64::INFINITY, f64::min);
        smallest.max(0.0)
    }

    /// A cost from its value at each order, in nats; not finite or negative means infinite.
    fn of(nats_at: impl Fn(f64) -> f64) -> Self {
        Self(alphas().map(|alpha| units(nats_at(alpha))).collect())
    }
}

impl AddAssign<&Self> for Rdp {
    /// Composition: both happened to the same data.
    fn add_assign(&mut self, other: &Self) {
        for (r, more) in self.0.iter_mut().zip(&other.0) {
            *r = r.saturating_add(*more);
        }
    }
}

impl TryFrom<Vec<u64>> for Rdp {
    type Error = RdpError;
    fn try_from(values: Vec<u64>) -> Result<Self, RdpError> {
        if values.len() == ORDERS {
            Ok(Self(values))
        } else {
            Err(RdpError::Length {
                found: values.len(),
            })
        }
    }
}

impl From<Rdp> for Vec<u64> {
    fn from(rdp: Rdp) -> Self {
        rdp.0
    }
}

/// The smallest variance of a share that KLS21 is about: a standard deviation of 1/2.
const SMALLEST_SHARE: f64 = 0.25;

/// How far a sum of `shares` discrete Gaussians of this variance is from one, at most, as a ratio of probabilities: tau of KLS21. Infinite for
/// more than one share of a variance below [`SMALLEST_SHARE`]: nothing is proven there.
#[expect(clippy::cast_precision_loss, reason = "a number of members")]
fn departure(shares: usize, variance: f64) -> f64 {
    if shares > 1 && variance < SMALLEST_SHARE {
        return f64::INFINITY;
    }
    let rate = 2.0 * std::f64::consts::PI.powi(2) * variance;
    let sum: f64 = (1..shares)
        .map(|k| (-rate * (k as f64 / (k as f64 + 1.0))).exp())
        .sum();
    // An exponential that underflows is below 5e-324; the margin of what it is added to covers that.
    10.0 * sum
}

/// Whole units, margin added, rounded up.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "compared with the range before; rounded up"
)]
fn units(nats: f64) -> u64 {
    let scaled = (nats * (1.0 + MARGIN) / UNIT).ceil();
    // NaN compares false. 2^63 units are 2,048 nats: far above every epsilon that is worth the name.
    if (0.0..9.2e18).contains(&scaled) {
        scaled as u64
    } else {
        INFINITE
    }
}

/// In nats, rounded up.
#[expect(clippy::cast_precision_loss, reason = "what is lost is put back")]
fn nats(units: u64) -> f64 {
    (units as f64 * UNIT).next_up()
}

fn positive(name: &'static str, value: f64) -> Result<f64, RdpError> {
    if value.is_finite() && value > 0.0 {
        Ok(value)
    } else {
        Err(RdpError::NotPositive { name, value })
    }
}
