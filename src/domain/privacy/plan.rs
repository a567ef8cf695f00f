//! What releases would cost, before there are any: for who sets a budget, or a noise multiplier.

use super::cost::Cost;
use super::noise::{Multiplier, NoiseError, Share};
use super::rdp::{Rdp, RdpError};

/// Releases of the same data, each with this noise in its sum.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Plan {
    /// The noise multiplier z.
    pub multiplier: Multiplier,
    /// The share of the units that each release is of, drawn anew and in secret each time; above 0 and at most 1.
    pub rate: f64,
    /// How many releases.
    pub steps: u32,
    /// Whose noise it is; `None`: that of one alone.
    pub sum: Option<PlannedSum>,
}

/// The sum that the members' shares of noise go into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlannedSum {
    /// Members of the smallest sum that is revealed.
    pub members: usize,
    /// Members of it whose noise does not count.
    pub colluders: usize,
    /// The L2 bound of one unit in the ring's integers: `clip.l2` times 10^precision.
    pub bound: u64,
    /// Numbers that leave.
    pub values: u64,
}

/// Why a plan has no cost.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum PlanError {
    /// A sample of a sum: no theorem that is used here is about both.
    #[error(
        "what a sample saves is proven for one Gaussian, not for the sum of several members' shares: plan with rate 1, or without members"
    )]
    SampledSum,
    /// Nobody could make this noise.
    #[error(transparent)]
    Noise(#[from] NoiseError),
    /// A number that means nothing.
    #[error(transparent)]
    Cost(#[from] RdpError),
}

impl Plan {
    /// What all releases cost together.
    ///
    /// With members it is exactly what their nodes would charge; without, the noise of one continuous or discrete Gaussian on a Poisson
    /// sample ([`Rdp::sampled_gaussian`]).
    ///
    /// # Errors
    /// [`PlanError`].
    pub fn cost(&self) -> Result<Cost, PlanError> {
        let Some(sum) = self.sum else {
            let z = self.multiplier.to_f64();
            let rdp = Rdp::sampled_gaussian(self.rate, z, self.steps)?;
            return Ok(Cost::same(rdp));
        };
        if !(self.rate > 0.0 && self.rate <= 1.0) {
            let (name, value) = ("sampling rate", self.rate);
            return Err(RdpError::NotAProbability { name, value }.into());
        }
        if self.rate < 1.0 {
            return Err(PlanError::SampledSum);
        }
        let share = Share::new(
            self.multiplier,
            sum.bound,
            sum.members.saturating_sub(sum.colluders),
            sum.members,
            sum.colluders,
        )?;
        Ok(share.cost(sum.values, None)?.repeated(self.steps))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(z: &str, rate: f64, steps: u32) -> Plan {
        Plan {
            multiplier: z.parse().unwrap(),
            rate,
            steps,
            sum: None,
        }
    }

    fn sum(members: usize, colluders: usize) -> Option<PlannedSum> {
        Some(PlannedSum {
            members,
            colluders,
            bound: 100_000_000,
            values: 10,
        })
    }

    /// dp-accounting 0.6 on well-known plans.
    #[test]
    fn well_known_plans_cost_what_is_known() {
        for (z, rate, steps, delta, expected) in [
            ("1", 1.0, 1, 1e-5, 4.728_5),
            ("4", 0.01, 10_000, 1e-5, 1.035),
        ] {
            let epsilon = plan(z, rate, steps).cost().unwrap().epsilons(delta);
            let epsilon = epsilon.colluding.unwrap();
            assert!(
                (epsilon - expected).abs() < 2e-3 * expected,
                "{z}: {epsilon}"
            );
        }
    }

    #[test]
    fn a_sum_costs_what_one_gaussian_does_when_its_integers_are_fine() {
        let one = plan("8", 1.0, 100);
        let of = Plan {
            sum: sum(5, 1),
            ..one
        };
        let (one, of) = (one.cost().unwrap(), of.cost().unwrap());
        let at = |cost: &Cost| cost.epsilons(1e-6);
        let (one, of) = (at(&one), at(&of));
        assert!((one.colluding.unwrap() - of.colluding.unwrap()).abs() < 1e-6);
        assert!(of.nobody < of.colluding && of.colluding < of.alone);
    }

    #[test]
    fn what_is_not_proven_has_no_cost() {
        let refused = |change: Plan| change.cost().unwrap_err();
        let sampled = Plan {
            sum: sum(5, 1),
            ..plan("8", 0.5, 1)
        };
        assert_eq!(refused(sampled), PlanError::SampledSum);
        let nobody = Plan {
            sum: sum(2, 2),
            ..plan("8", 1.0, 1)
        };
        assert!(matches!(refused(nobody), PlanError::Noise(_)));
        for rate in [0.0, -1.0, 1.5, f64::NAN] {
            assert!(matches!(refused(plan("8", rate, 1)), PlanError::Cost(_)));
            let of = Plan {
                sum: sum(5, 1),
                ..plan("8", rate, 1)
            };
            assert!(matches!(refused(of), PlanError::Cost(_)), "{rate}");
        }
    }
}
