//! The limits of controlled releases: what an owner may tighten, with the defaults of those who do this for a living.

use serde::{Deserialize, Serialize};

/// The limits. Made by [`PolicyForm`](crate::policy::PolicyForm), or the defaults.
///
/// Source: ACRO (threshold 10, degrees of freedom 10, NK 2 at 0.90, p 0.10) and DataSHIELD (0.33 numbers a row).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ReleaseRules {
    /// Fewest units of a release, of a count above 0, and of the difference of two releases.
    pub threshold: u64,
    /// The largest share that the two largest contributions may have of a sum of magnitudes (NK rule, n = 1 and 2).
    pub dominance: f64,
    /// The smallest share of the largest contribution that all but the two largest must make up together (p % rule).
    pub p_percent: f64,
    /// Fewest residual degrees of freedom: units less the rank of the released numbers and the count.
    pub freedom: u64,
    /// Most released numbers for each unit.
    pub outputs_per_row: f64,
    /// The largest share that one unit may have of the energy of any combination of the released numbers and the count.
    pub leverage: f64,
    /// Most releases of a dataset that may be refused within 24 hours. That one was is a fact about the data: then its owner is asked.
    pub refusals: u32,
}

impl Default for ReleaseRules {
    fn default() -> Self {
        Self {
            threshold: 10,
            dominance: 0.9,
            p_percent: 0.1,
            freedom: 10,
            outputs_per_row: 0.33,
            leverage: 0.9,
            refusals: 5,
        }
    }
}

impl ReleaseRules {
    /// The stricter of both in every limit, for a task that reads data of several datasets.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            threshold: self.threshold.max(other.threshold),
            dominance: self.dominance.min(other.dominance),
            p_percent: self.p_percent.max(other.p_percent),
            freedom: self.freedom.max(other.freedom),
            outputs_per_row: self.outputs_per_row.min(other.outputs_per_row),
            leverage: self.leverage.min(other.leverage),
            refusals: self.refusals.min(other.refusals),
        }
    }
}
