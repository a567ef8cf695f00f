//! ln(erfc(x)), which the standard library lacks.

use std::f64::consts::PI;

/// Above this the continued fraction, below the series.
const TAIL: f64 = 2.0;

/// The natural logarithm of the complementary error function; relative error of erfc below 1e-12 for every finite x.
///
/// Series: erf(x) = 2 / sqrt(pi) exp(-x^2) sum of 2^n x^(2n+1) / (2n+1)!!, all terms of one sign (Abramowitz and Stegun 7.1.6).
/// Tail: erfc(x) = exp(-x^2) / sqrt(pi) * 1/(x+) (1/2)/(x+) 1/(x+) (3/2)/(x+) ... (7.1.14), from its end.
pub(super) fn ln_erfc(x: f64) -> f64 {
    if x < -6.0 {
        // erfc = 2 - 2e-17 at most
        return std::f64::consts::LN_2;
    }
    if x < TAIL {
        return (1.0 - erf(x)).ln();
    }
    let fraction = (1..=120)
        .rev()
        .fold(x, |rest, n| x + f64::from(n) / 2.0 / rest);
    -x * x - fraction.ln() - PI.ln() / 2.0
}

fn erf(x: f64) -> f64 {
    let (mut term, mut sum) = (x, x);
    for n in 1..200 {
        term *= 2.0 * x * x / f64::from(2 * n + 1);
        sum += term;
        if term.abs() < sum.abs() * 1e-18 {
            break;
        }
    }
    2.0 / PI.sqrt() * (-x * x).exp() * sum
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From mpmath at 40 digits.
    #[test]
    fn known_values() {
        for (x, known) in [
            (-3.0, 0.6931361352504468),
            (-5.5, 0.6931471805599416),
            (-2.0, 0.6908055736465877),
            (-0.5, 0.41903914777555956),
            (0.0, 0.0),
            (0.25, -0.32341480339361944),
            (1.0, -1.8496055099332482),
            (1.9, -4.932345862780269),
            (1.99999, -5.364897083100953),
            (2.0, -5.364941264616638),
            (2.1, -5.816010968867555),
            (3.0, -10.720363041981113),
            (5.0, -27.200889545537436),
            (10.0, -102.87988902484489),
            (30.0, -903.9741171106439),
            (200.0, -40005.870694809084),
        ] {
            let found = ln_erfc(x);
            assert!(
                (found - known).abs() < 1e-11 * (1.0 + known.abs()),
                "{x}: {found} {known}"
            );
        }
    }
}
