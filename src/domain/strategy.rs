//! How a task wants its rounds run: how many members, how long to wait, which cryptography.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::secagg::encoding::Encoding;
use super::secagg::keys::Curve;
use super::secagg::mask::{MaskGenerator, Ring};

/// How the coordinator picks u1 among those who joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Selection {
    /// A new random choice in every round.
    #[default]
    Random,
    /// The members of the round before, filled up at random.
    Same,
}

/// The strategy of a task. Times are in seconds, as in the original.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Strategy {
    /// No round counts with fewer members than this. At least 1; nodes enforce a floor of their own.
    pub min_clients: u32,
    /// No round takes more members than this.
    pub max_clients: u32,
    /// Shares needed to rebuild a secret. Default: the larger of `min_clients` and half of u1 plus one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threshold: Option<u32>,
    /// How u1 is picked.
    pub selection: Selection,
    /// Deadline of the joining phase.
    pub connection_timeout: f64,
    /// Deadline of every other phase.
    pub wait_timeout: f64,
    /// Deadline of the proof phase (`hlr`).
    pub verify_timeout: f64,
    /// Decimal digits kept of every number that is summed.
    pub precision: u8,
    /// Curve of both key pairs.
    pub curve: Curve,
    /// Generator of the masks.
    pub mask_generator: MaskGenerator,
    /// Ring in which masked numbers are summed.
    pub ring: Ring,
    /// Neighbours of each member in the mask graph. Default: everybody up to 30 members, above that as many as the protocol's
    /// security argument asks for; members decline fewer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub neighbours: Option<u32>,
    /// Largest fraction of the members that a round above 30 members may lose after they shared. Default: a third. Fewer losses
    /// need fewer neighbours.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dropout: Option<f64>,
    /// How often a failed round is started again before the task fails.
    pub retries: u32,
}

impl Default for Strategy {
    fn default() -> Self {
        Self {
            min_clients: 2,
            max_clients: 2,
            threshold: None,
            selection: Selection::Random,
            connection_timeout: 60.0,
            wait_timeout: 60.0,
            verify_timeout: 300.0,
            precision: 8,
            curve: Curve::default(),
            mask_generator: MaskGenerator::default(),
            ring: Ring::default(),
            neighbours: None,
            dropout: None,
            retries: 3,
        }
    }
}

/// A rule that a field of a strategy breaks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("strategy.{field}: {rule}")]
pub struct StrategyError {
    /// The field's name in `task.json`.
    pub field: &'static str,
    /// What it must be.
    pub rule: &'static str,
}

impl Strategy {
    /// Checks every field; all errors at once.
    #[must_use]
    pub fn errors(&self) -> Vec<StrategyError> {
        let mut found = Vec::new();
        let mut need = |ok: bool, field, rule| {
            if !ok {
                found.push(StrategyError { field, rule });
            }
        };
        need(self.min_clients >= 1, "min_clients", "must be at least 1");
        need(
            self.max_clients >= self.min_clients,
            "max_clients",
            "must not be smaller than min_clients",
        );
        need(
            self.max_clients <= 10_000,
            "max_clients",
            "must be at most 10000",
        );
        need(
            self.threshold
                .is_none_or(|t| t >= 1 && t <= self.max_clients),
            "threshold",
            "must lie between 1 and max_clients",
        );
        for (field, seconds) in [
            ("connection_timeout", self.connection_timeout),
            ("wait_timeout", self.wait_timeout),
            ("verify_timeout", self.verify_timeout),
        ] {
            need(
                seconds.is_finite() && (0.1..=604_800.0).contains(&seconds),
                field,
                "must lie between 0.1 seconds and 7 days",
            );
        }
        need(
            self.precision <= 15,
            "precision",
            "must be at most 15 decimal digits",
        );
        need(
            self.dropout.is_none_or(|f| (0.0..=0.5).contains(&f)),
            "dropout",
            "must lie between 0 and 0.5",
        );
        let holders = self
            .neighbours
            .map_or(u32::MAX, |k| k.saturating_add(k % 2).saturating_add(1));
        need(
            self.neighbours.is_none_or(|k| k >= 1),
            "neighbours",
            "must be at least 1",
        );
        need(
            self.threshold.is_none_or(|t| t <= holders),
            "threshold",
            "must not be above the number of neighbours plus one",
        );
        need(self.retries <= 1000, "retries", "must be at most 1000");
        found
    }

    /// The Shamir threshold of a complete graph of `members`: the strategy's, raised to what is always required.
    ///
    /// Where a member has fewer neighbours, see `round::Neighbourhood`.
    #[must_use]
    pub fn threshold_for(&self, members: usize) -> usize {
        let majority = members / 2 + 1;
        let floor = usize::try_from(self.min_clients)
            .unwrap_or(usize::MAX)
            .min(members)
            .max(majority);
        let wanted = self
            .threshold
            .map_or(floor, |t| usize::try_from(t).unwrap_or(usize::MAX));
        wanted.max(majority)
    }

    /// How the numbers of a cohort are written; `cohort`: how many members' numbers are summed at most.
    #[must_use]
    pub fn encoding(&self, cohort: usize) -> Encoding {
        Encoding::new(self.ring, self.precision, cohort)
    }

    /// Deadline of the joining phase.
    #[must_use]
    pub fn connection_timeout(&self) -> Duration {
        Duration::try_from_secs_f64(self.connection_timeout).unwrap_or(Duration::from_secs(60))
    }

    /// Deadline of every other phase.
    #[must_use]
    pub fn wait_timeout(&self) -> Duration {
        Duration::try_from_secs_f64(self.wait_timeout).unwrap_or(Duration::from_secs(60))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(strategy: &Strategy) -> Vec<&'static str> {
        strategy.errors().into_iter().map(|p| p.field).collect()
    }

    #[test]
    fn neighbours_losses_and_threshold_must_fit_together() {
        let of = |neighbours, threshold, dropout| {
            fields(&Strategy {
                max_clients: 1_000,
                neighbours,
                threshold,
                dropout,
                ..Strategy::default()
            })
        };
        let none: [&str; 0] = [];
        assert_eq!(of(None, None, None), none);
        assert_eq!(of(Some(101), Some(103), Some(0.1)), none);
        assert_eq!(of(Some(101), Some(104), None), ["threshold"]);
        assert_eq!(of(Some(0), None, None), ["neighbours"]);
        for dropout in [-0.1, 0.51, f64::NAN, f64::INFINITY] {
            assert_eq!(of(None, None, Some(dropout)), ["dropout"], "{dropout}");
        }
    }
}
