//! How much noise each member adds, so that the sum has enough whoever is missing or colludes.
//!
//! Asked for is noise of standard deviation z D in the sum, with D the L2 norm that one unit of privacy is clipped to, in the ring's
//! integers. The noise of colluding members does not count, nor that of members who are not in the sum; a sum is revealed only of at
//! least `smallest_sum` members. So h = smallest_sum - colluders shares are sure to be there, and each has the variance z^2 D^2 / h.
//!
//! Each share is a discrete Gaussian, drawn exactly; what their sum is instead of one is in its cost ([`Rdp::noisy_sum`]).

use std::fmt;
use std::str::FromStr;

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::cost::Cost;
use super::discrete_gaussian::{DiscreteGaussian, Variance, VarianceError};
use super::rdp::{NoisySum, Rdp, RdpError};
use crate::secret::Secret;

/// The largest L2 bound, in the ring's integers: 2^39.
pub const MAX_SENSITIVITY: u64 = 1 << 39;
/// More members than any round has.
pub const MAX_MEMBERS: usize = 1 << 14;
/// Digits behind the point of a noise multiplier, at most.
const MAX_PLACES: usize = 4;
/// Noise multipliers are below this.
const MAX_MULTIPLIER: u32 = 1000;

/// The noise multiplier z as a decimal fraction: the standard deviation of the sum's noise, in units of the L2 bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Multiplier {
    /// In ten-thousandths.
    parts: u32,
}

/// A text that is no noise multiplier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no noise multiplier: expected a number above 0 and below 1000 with at most 4 decimals, as 1.3"
)]
pub struct MultiplierError(String);

/// Why nobody can make this noise.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum NoiseError {
    /// Nobody's noise is sure to be in the sum.
    #[error(
        "of a sum of {smallest_sum} members {colluders} may collude: nobody's noise is sure to count"
    )]
    NobodyHonest {
        /// Members of the smallest sum that is revealed.
        smallest_sum: usize,
        /// Members that are assumed to collude.
        colluders: usize,
    },
    /// More than [`MAX_MEMBERS`].
    #[error("{0} members are more than {MAX_MEMBERS}")]
    TooManyMembers(usize),
    /// Zero, or more than [`MAX_SENSITIVITY`].
    #[error("an L2 bound must be from 1 to 2^39 in units of the precision, not {0}")]
    Sensitivity(u64),
    /// The share's variance cannot be drawn.
    #[error("the share of each member is too small or too large: {0}")]
    Variance(#[from] VarianceError),
}

/// One member's share of the noise, and what it is a share of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Share {
    variance: Variance,
    sensitivity: u64,
    smallest_sum: usize,
    honest: usize,
}

impl Share {
    /// The share of each member for noise of standard deviation `multiplier * sensitivity` in a sum of `shares` of them.
    ///
    /// `sensitivity`: L2 norm of one unit of privacy, in the ring's integers; `shares`: what all members take the noise to be made of
    /// ([`Strategy::noise_shares`](crate::strategy::Strategy::noise_shares)), so that every honest one adds the same; `smallest_sum`: the
    /// fewest members whose sum this node would reveal; `colluders`: how many of them may take their noise away. What a release costs is
    /// about the last two, which each owner sets.
    ///
    /// # Errors
    /// [`NoiseError`]: the numbers make no noise that could be drawn.
    pub fn new(
        multiplier: Multiplier,
        sensitivity: u64,
        shares: usize,
        smallest_sum: usize,
        colluders: usize,
    ) -> Result<Self, NoiseError> {
        if sensitivity == 0 || sensitivity > MAX_SENSITIVITY {
            return Err(NoiseError::Sensitivity(sensitivity));
        }
        let members = smallest_sum.max(shares);
        if members > MAX_MEMBERS {
            return Err(NoiseError::TooManyMembers(members));
        }
        let honest = smallest_sum.saturating_sub(colluders);
        let (numerator, denominator) = multiplier.fraction();
        // Below 2^(2 (24 + 39)) and 2^(2 14 + 14).
        let above = (u128::from(numerator) * u128::from(sensitivity)).pow(2);
        let below = u64::from(denominator).pow(2) * shares.max(1) as u64;
        if honest == 0 {
            return Err(NoiseError::NobodyHonest {
                smallest_sum,
                colluders,
            });
        }
        Ok(Self {
            variance: Variance::new(above, below)?,
            sensitivity,
            smallest_sum,
            honest,
        })
    }

    /// The same noise, for a unit that can turn a whole vector within the bound around: one record of a member whose numbers are bounded
    /// together, say. What it can change is twice the bound.
    #[must_use]
    pub fn for_turns(self) -> Self {
        Self {
            sensitivity: self.sensitivity.saturating_mul(2),
            ..self
        }
    }

    /// The variance of each value of the share, in squared units of the ring's integers.
    #[must_use]
    pub fn variance(&self) -> Variance {
        self.variance
    }

    /// Shares that are sure to be in a sum: h.
    #[must_use]
    pub fn honest(&self) -> usize {
        self.honest
    }

    /// The standard deviation of a sum's noise per value when it has `members` members, in the ring's integers.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a number of members")]
    pub fn deviation(&self, members: usize) -> f64 {
        (self.variance.to_f64() * members as f64).sqrt()
    }

    /// This member's noise for a vector of `values`. Before data are read; the same for the same seed, on every platform.
    ///
    /// The seed is from the node's own entropy and persisted with the effect that needs it, so that a crash does not draw twice: two
    /// vectors of different noise on the same data would give away more than was paid for. One seed is for one vector.
    #[must_use]
    pub fn draw(&self, seed: &Secret<32>, values: usize) -> Zeroizing<Vec<i64>> {
        let mut noise = Zeroizing::new(vec![0; values]);
        let mut rng = ChaCha20Rng::from_seed(*seed.expose());
        DiscreteGaussian::new(self.variance).fill(&mut rng, &mut noise);
        noise
    }

    /// What one release of a vector of `dimension` values costs whom it is about.
    ///
    /// `l1`: L1 norm of one unit, in the ring's integers, if that is bounded too.
    ///
    /// # Errors
    /// [`RdpError`] for a vector without values.
    pub fn cost(&self, dimension: u64, l1: Option<u64>) -> Result<Cost, RdpError> {
        let of = |shares: usize| {
            Rdp::noisy_sum(&NoisySum {
                shares,
                variance: self.variance.to_f64(),
                l2: float(self.sensitivity),
                l1: l1.map_or(f64::INFINITY, float),
                dimension,
            })
        };
        Ok(Cost {
            nobody: of(self.smallest_sum)?,
            colluding: of(self.honest)?,
            alone: of(1)?,
        })
    }
}

/// The seed of block `number` of a vector whose seed is `seed`: SHA-256 over a label and both.
#[must_use]
pub fn block_seed(seed: &Secret<32>, number: u64) -> Secret<32> {
    let derived = Sha256::new()
        .chain_update(b"delta noise 1")
        .chain_update(seed.expose())
        .chain_update(number.to_be_bytes())
        .finalize();
    Secret::new(derived.into())
}

impl Multiplier {
    /// Numerator and denominator.
    fn fraction(self) -> (u32, u32) {
        (self.parts, 10_u32.pow(4))
    }

    /// The nearest double, for accounting and display.
    #[must_use]
    pub fn to_f64(self) -> f64 {
        let (numerator, denominator) = self.fraction();
        f64::from(numerator) / f64::from(denominator)
    }
}

impl FromStr for Multiplier {
    type Err = MultiplierError;
    fn from_str(text: &str) -> Result<Self, MultiplierError> {
        let parse = || {
            let (whole, places) = text.split_once('.').unwrap_or((text, "0"));
            let digits = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
            if !digits(whole) || !digits(places) || whole.len() > 3 || places.len() > MAX_PLACES {
                return None;
            }
            let parts: u32 = format!("{whole}{places:0<4}").parse().ok()?;
            (parts > 0 && parts < MAX_MULTIPLIER * 10_000).then_some(Self { parts })
        };
        parse().ok_or_else(|| MultiplierError(text.chars().take(40).collect()))
    }
}

impl TryFrom<String> for Multiplier {
    type Error = MultiplierError;
    fn try_from(text: String) -> Result<Self, MultiplierError> {
        text.parse()
    }
}

impl From<Multiplier> for String {
    fn from(multiplier: Multiplier) -> Self {
        multiplier.to_string()
    }
}

impl fmt::Display for Multiplier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = format!("{}.{:04}", self.parts / 10_000, self.parts % 10_000);
        f.write_str(text.trim_end_matches('0').trim_end_matches('.'))
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "bounds are at most 2^39, and exact"
)]
fn float(n: u64) -> f64 {
    n as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn z(text: &str) -> Multiplier {
        text.parse().unwrap()
    }

    #[test]
    fn shares_add_up_to_what_is_asked_for() {
        let share = Share::new(z("1.3"), 1000, 4, 5, 1).unwrap();
        assert_eq!(share.variance().parts(), (422_500, 1));
        assert!((share.deviation(4) - 1300.0).abs() < 1e-6);
        assert_eq!(share.honest(), 4);
    }

    #[test]
    fn noise_is_of_the_seed_and_of_the_variance() {
        let share = Share::new(z("2"), 100, 4, 5, 1).unwrap();
        let draw = |byte| share.draw(&Secret::new([byte; 32]), 50_000);
        assert_eq!(*draw(1), *draw(1));
        assert_ne!(*draw(1), *draw(2));
        let square: f64 = draw(1).iter().map(|x| (x * x) as f64).sum::<f64>() / 50_000.0;
        // 10,000 with a standard error of 63
        assert!((square - 10_000.0).abs() < 300.0, "{square}");
    }

    #[test]
    fn who_has_less_noise_pays_more() {
        let share = Share::new(z("2"), 1 << 20, 3, 5, 2).unwrap();
        let epsilons = share.cost(1000, None).unwrap().epsilons(1e-6);
        let (nobody, colluding, alone) = (
            epsilons.nobody.unwrap(),
            epsilons.colluding.unwrap(),
            epsilons.alone.unwrap(),
        );
        assert!(nobody < colluding && colluding < alone, "{epsilons:?}");
        // With so fine integers the noise of h shares is as good as the Gaussian that was asked for.
        let asked = Rdp::gaussian(2.0).unwrap().epsilon(1e-6);
        assert!((colluding - asked).abs() < 1e-6, "{colluding} {asked}");
    }

    /// Owners differ in what they assume. All add the same, and each pays for what it can be sure of.
    #[test]
    fn who_assumes_more_colluders_pays_more_and_adds_the_same() {
        let of =
            |smallest, colluders| Share::new(z("2"), 1 << 20, 12, smallest, colluders).unwrap();
        let (trusting, careful) = (of(20, 0), of(14, 6));
        assert_eq!(trusting.variance(), careful.variance());
        let epsilon = |share: Share| {
            let epsilons = share.cost(10, None).unwrap().epsilons(1e-6);
            epsilons.colluding.unwrap()
        };
        // 20 shares of 12, and 8 of 12.
        let gaussian = |shares: f64| {
            let z = 2.0 * (shares / 12.0).sqrt();
            Rdp::gaussian(z).unwrap().epsilon(1e-6)
        };
        assert!((epsilon(trusting) - gaussian(20.0)).abs() < 1e-6);
        assert!((epsilon(careful) - gaussian(8.0)).abs() < 1e-6);
    }

    #[test]
    fn noise_that_protects_nobody_is_refused() {
        for (members, colluders) in [(3, 3), (3, 4), (0, 0)] {
            let refused = Share::new(z("1"), 100, 1, members, colluders).unwrap_err();
            assert_eq!(
                refused,
                NoiseError::NobodyHonest {
                    smallest_sum: members,
                    colluders
                }
            );
        }
        for bound in [0, MAX_SENSITIVITY + 1, u64::MAX] {
            assert_eq!(
                Share::new(z("1"), bound, 2, 3, 1).unwrap_err(),
                NoiseError::Sensitivity(bound)
            );
        }
        assert!(matches!(
            Share::new(z("1"), 1, 1, usize::MAX, 1),
            Err(NoiseError::TooManyMembers(_))
        ));
        // Variance 1/40000: the integers are too coarse for the noise.
        assert!(matches!(
            Share::new(z("0.01"), 1, 4, 5, 1),
            Err(NoiseError::Variance(_))
        ));
        assert!(Share::new(z("999.9999"), MAX_SENSITIVITY, 1, 2, 1).is_ok());
    }

    #[test]
    fn multipliers_are_decimals() {
        for (text, parts) in [
            ("1.3", 13_000),
            ("0.0001", 1),
            ("999.9999", 9_999_999),
            ("2", 20_000),
        ] {
            assert_eq!(z(text).parts, parts);
            assert_eq!(z(text).to_string(), text);
        }
        for bad in [
            "", "0", "0.0", "-1", "1e3", "1000", "1.23456", ".5", "1.", "inf", "1,3", " 1",
        ] {
            assert!(bad.parse::<Multiplier>().is_err(), "{bad:?}");
        }
    }

    /// Every sum of at least h honest shares costs no more than was reserved, whoever drops out.
    #[test]
    fn more_members_never_cost_more() {
        let share = Share::new(z("1"), 50, 4, 6, 2).unwrap();
        let mut before = f64::INFINITY;
        for shares in share.honest()..20 {
            let sum = NoisySum {
                shares,
                variance: share.variance().to_f64(),
                l2: 50.0,
                l1: f64::INFINITY,
                dimension: 10,
            };
            let epsilon = Rdp::noisy_sum(&sum).unwrap().epsilon(1e-6);
            assert!(epsilon <= before, "{shares}");
            before = epsilon;
        }
    }
}
