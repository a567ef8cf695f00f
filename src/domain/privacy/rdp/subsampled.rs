//! The Renyi divergences of the sampled Gaussian mechanism (Mironov, Talwar, Zhang 2019; MTZ19).
//!
//! With q the sampling rate and A(alpha) = E over x of mu_0 = N(0, z^2) of (1 - q + q mu_1 / mu_0)^alpha, mu_1 = N(1, z^2), the
//! mechanism has the divergence ln A(alpha) / (alpha - 1), in both directions (their theorem 5).

use std::f64::consts::{LN_2, SQRT_2};

use super::special::ln_erfc;

/// Terms of the series for orders that are not whole, at most.
const TERMS: u32 = 1000;

/// Where the error of the series, 1e-11, begins to count.
const SMALL: f64 = 1e-8;

/// The mechanism, with what all orders share.
pub(super) struct Divergences {
    ln_q: f64,
    ln_rest: f64,
    z: f64,
    /// Where (1 - q) mu_0 and q mu_1 are equal.
    crossing: f64,
}

impl Divergences {
    /// `q` is above 0 and below 1, `z` above 0.
    pub(super) fn new(q: f64, z: f64) -> Self {
        Self {
            ln_q: q.ln(),
            ln_rest: (-q).ln_1p(),
            z,
            crossing: z * z * (1.0 / q - 1.0).ln() + 0.5,
        }
    }

    /// The divergence of this order, in nats; an upper bound of it.
    ///
    /// Whole orders are exact up to rounding. Between them the series of the paper, without signs: dp-accounting's figures, so that
    /// both can be compared; too large by much at high rates and low orders, where the whole orders beside it serve. Where ln A is so
    /// small that the series cannot tell, the smallest of three bounds: the series; the line between the whole orders, above which the
    /// convex function ln A never is; and below order 2 the second moment.
    pub(super) fn at(&self, alpha: f64) -> f64 {
        let (below, above) = (alpha.floor(), alpha.ceil());
        let mut ln_a = if below == above {
            self.whole(alpha)
        } else {
            self.between(alpha)
        };
        if below < above && ln_a < SMALL {
            let line = (above - alpha) * self.whole(below) + (alpha - below) * self.whole(above);
            ln_a = ln_a.min(line).min(self.below_two(alpha));
        }
        ln_a / (alpha - 1.0)
    }

    /// ln A for a whole order: A - 1 = sum over i from 2 of C(alpha, i) q^i (1-q)^(alpha-i) (exp((i^2 - i) / 2 z^2) - 1).
    ///
    /// Equation 11 of MTZ19 with the binomial theorem's 1 taken off, so that nothing cancels when A is close to 1.
    fn whole(&self, alpha: f64) -> f64 {
        let mut ln_sum = f64::NEG_INFINITY;
        let mut ln_binomial = 0.0;
        let mut i = 0.0;
        while i < alpha {
            i += 1.0;
            ln_binomial += ((alpha - i + 1.0) / i).ln();
            let exponent = (i * i - i) / (2.0 * self.z * self.z);
            let term =
                ln_binomial + i * self.ln_q + (alpha - i) * self.ln_rest + ln_exp_m1(exponent);
            ln_sum = ln_add(ln_sum, term);
        }
        // ln(1 + exp(ln_sum))
        ln_add(0.0, ln_sum)
    }

    /// ln A for any order: the two halves of the integral on either side of the crossing, each by the binomial series (section 3.3).
    ///
    /// Binomials are taken without their signs, as in dp-accounting 0.6: from the order on they alternate, so that the sum is a little
    /// too large, a few ten-thousandths where such orders are the best ones. On its side of the crossing each series is of powers of a
    /// ratio below 1, so its terms without the binomial fall; and from the order on the sum over i >= n of |C(alpha, i)| is |C(alpha,
    /// n)| n / alpha. So what is left out from term n on is at most n / alpha times that term. It is added, and so is what rounding
    /// may take.
    fn between(&self, alpha: f64) -> f64 {
        let mut sum = f64::NEG_INFINITY;
        let mut ln_binomial = 0.0;
        let mut left_out = f64::INFINITY;
        for i in 0..TERMS {
            let i = f64::from(i);
            let j = alpha - i;
            let below =
                i * self.ln_q + j * self.ln_rest + self.moment(i) + self.ln_tail(i - self.crossing);
            let above =
                j * self.ln_q + i * self.ln_rest + self.moment(j) + self.ln_tail(self.crossing - j);
            let term = ln_binomial + ln_add(below, above);
            if i > alpha {
                left_out = term + (i / alpha).ln();
                if left_out < sum - 25.0 {
                    break;
                }
            }
            sum = ln_add(sum, term);
            ln_binomial += (j.abs() / (i + 1.0)).ln();
        }
        sum + ((left_out - sum).exp() + 1e-11 * (1.0 + sum.abs())).ln_1p()
    }

    /// ln A for an order between 1 and 2, at most; infinite above.
    ///
    /// With u = q (mu_1 / mu_0 - 1), whose mean is 0, A = E (1 + u)^alpha. The second derivative of (1 + u)^alpha is alpha (alpha - 1)
    /// (1 + u)^(alpha - 2), and u is at least -q. So A - 1 <= alpha (alpha - 1) / 2 * (1 - q)^(alpha - 2) * E u^2, and E u^2 = A(2) - 1.
    fn below_two(&self, alpha: f64) -> f64 {
        if alpha > 2.0 {
            return f64::INFINITY;
        }
        let square = self.whole(2.0).exp_m1();
        let steepest = ((alpha - 2.0) * self.ln_rest).exp();
        (alpha * (alpha - 1.0) / 2.0 * steepest * square).ln_1p()
    }

    /// ln E of (mu_1 / mu_0)^i.
    fn moment(&self, i: f64) -> f64 {
        (i * i - i) / (2.0 * self.z * self.z)
    }

    /// ln P(N(0, z^2) > distance).
    fn ln_tail(&self, distance: f64) -> f64 {
        ln_erfc(distance / (SQRT_2 * self.z)) - LN_2
    }
}

/// ln(exp(a) + exp(b)).
fn ln_add(a: f64, b: f64) -> f64 {
    let (low, high) = (a.min(b), a.max(b));
    if low == f64::NEG_INFINITY {
        return high;
    }
    if high == 0.0 && low < 0.0 {
        // Exact for what is close to 1.
        return low.exp().ln_1p();
    }
    high + (low - high).exp().ln_1p()
}

/// ln(exp(x) - 1) for x >= 0.
fn ln_exp_m1(x: f64) -> f64 {
    if x > 40.0 {
        // The difference is below exp(-40).
        x
    } else {
        x.exp_m1().ln()
    }
}
