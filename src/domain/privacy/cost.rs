//! What one release costs, by who is assumed to be honest.

use std::ops::AddAssign;

use serde::{Deserialize, Serialize};

use super::rdp::Rdp;

/// The three costs of a release or of many.
///
/// All members add noise; who colludes with the coordinator can take its own share away again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cost {
    /// Nobody takes noise away: the shares of the smallest sum that may be revealed.
    pub nobody: Rdp,
    /// As many collude as are assumed: what budgets are about.
    pub colluding: Rdp,
    /// Everybody else colludes: this node's own share alone.
    pub alone: Rdp,
}

/// The epsilons of a [`Cost`]; `None` when no epsilon can be proven.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Epsilons {
    /// Nobody colludes.
    pub nobody: Option<f64>,
    /// As many collude as are assumed.
    pub colluding: Option<f64>,
    /// Everybody else colludes.
    pub alone: Option<f64>,
}

impl Cost {
    /// Nothing.
    #[must_use]
    pub fn zero() -> Self {
        Self::same(Rdp::zero())
    }

    /// One cost whoever colludes: the node's own noise hides the release alone, as in a plan for one node.
    #[must_use]
    pub fn same(rdp: Rdp) -> Self {
        Self {
            nobody: rdp.clone(),
            colluding: rdp.clone(),
            alone: rdp,
        }
    }

    /// This cost, `times` over.
    #[must_use]
    pub fn repeated(&self, times: u32) -> Self {
        Self {
            nobody: self.nobody.repeated(times),
            colluding: self.colluding.repeated(times),
            alone: self.alone.repeated(times),
        }
    }

    /// What it means at `delta`.
    #[must_use]
    pub fn epsilons(&self, delta: f64) -> Epsilons {
        let at = |rdp: &Rdp| Some(rdp.epsilon(delta)).filter(|epsilon| epsilon.is_finite());
        Epsilons {
            nobody: at(&self.nobody),
            colluding: at(&self.colluding),
            alone: at(&self.alone),
        }
    }
}

impl AddAssign<&Self> for Cost {
    /// Composition: both happened to the same data.
    fn add_assign(&mut self, other: &Self) {
        self.nobody += &other.nobody;
        self.colluding += &other.colluding;
        self.alone += &other.alone;
    }
}
