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

/// In which ring masked numbers are summed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum RingWidth {
    /// 32-bit words: half the traffic, for small numbers.
    Z32,
    /// 64-bit words.
    #[default]
    Z64,
    /// 32-bit words where `bound` and `precision` leave room for the sum over `max_clients` members, otherwise 64-bit words.
    Auto,
}

impl From<Ring> for RingWidth {
    fn from(ring: Ring) -> Self {
        match ring {
            Ring::Z32 => Self::Z32,
            Ring::Z64 => Self::Z64,
        }
    }
}

/// How a number that is contributed becomes a multiple of `10^-precision`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Rounding {
    /// To the nearest, halves to the even one.
    #[default]
    Nearest,
    /// Up or down at random, so that it is right on average: with few digits small changes are not lost. Each node draws from a seed
    /// of its own.
    Stochastic,
}

/// How `f32` variables travel from the coordinator to members.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// As they are.
    #[default]
    Full,
    /// As IEEE half precision, 11 significant bits, rounded up or down at random and for all members alike. The coordinator keeps
    /// what it has. Numbers above 65504 end the task.
    F16,
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
    /// Members that may collude with the coordinator and the connector, who may show every member another list.
    /// The threshold follows from it. Default: none of up to 3, one of 4 to 6, a third from 7 on; members decline less than
    /// their owners assume.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub colluders: Option<u32>,
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
    pub ring: RingWidth,
    /// No number that a member contributes is larger than this, whatever its sign: nodes refuse larger ones. Needed for `ring: auto`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bound: Option<f64>,
    /// How numbers that are contributed are rounded.
    #[serde(skip_serializing_if = "is_default")]
    pub rounding: Rounding,
    /// How variables travel to members.
    #[serde(skip_serializing_if = "is_default")]
    pub transport: Transport,
    /// Neighbours of each member in the mask graph. Default: everybody up to 30 members, above that as many as the protocol's
    /// security argument asks for; members decline fewer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub neighbours: Option<u32>,
    /// Largest fraction of the members that a round above 30 members may lose after they shared. Default: a tenth. Fewer losses
    /// need fewer neighbours; for many there is only the complete graph.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dropout: Option<f64>,
    /// How often a failed round is started again before the task fails.
    pub retries: u32,
    /// Whether noise in graphs (dropout and the like) follows from the task's seeds alone, so that the same rounds give the same result.
    /// Otherwise every node adds a seed of its own, which nobody else knows.
    #[serde(skip_serializing_if = "is_default")]
    pub reproducible: bool,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl Default for Strategy {
    fn default() -> Self {
        Self {
            min_clients: 2,
            max_clients: 2,
            threshold: None,
            colluders: None,
            selection: Selection::Random,
            connection_timeout: 60.0,
            wait_timeout: 60.0,
            verify_timeout: 300.0,
            precision: 8,
            curve: Curve::default(),
            mask_generator: MaskGenerator::default(),
            ring: RingWidth::default(),
            bound: None,
            rounding: Rounding::default(),
            transport: Transport::default(),
            neighbours: None,
            dropout: None,
            retries: 3,
            reproducible: false,
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
        need(
            self.bound.is_none_or(|b| b.is_finite() && b > 0.0),
            "bound",
            "must be a number above 0",
        );
        need(
            self.ring != RingWidth::Auto || self.bound.is_some(),
            "ring",
            "`auto` follows from `bound`, which is not given",
        );
        need(
            self.rounding == Rounding::Nearest || !self.reproducible,
            "rounding",
            "`stochastic` draws from each node's own seed, so the task cannot be `reproducible`",
        );
        found
    }

    /// The Shamir threshold t of a complete graph of `members`: the strategy's, raised to more than half and to the smallest with
    /// `2 t - members > colluders`, but never above `members`.
    ///
    /// Why: members that are shown different lists u3 reveal their shares of one member's seed or of its key, each one kind; both
    /// secrets are rebuilt from t shares each, and only colluders give both kinds. So `2 t <= members + colluders` is what such an
    /// attack needs. Where a member has fewer neighbours, see `round::Neighbourhood`.
    #[must_use]
    pub fn threshold_for(&self, members: usize) -> usize {
        let floor = usize::try_from(self.min_clients)
            .unwrap_or(usize::MAX)
            .min(members);
        let wanted = self
            .threshold
            .map_or(floor, |t| usize::try_from(t).unwrap_or(usize::MAX));
        wanted.max(private_threshold(members, self.colluders_among(members)))
    }

    /// Members among `members` that are assumed to collude: the strategy's number or [`assumed_colluders`].
    #[must_use]
    pub fn colluders_among(&self, members: usize) -> usize {
        self.colluders.map_or_else(
            || assumed_colluders(members),
            |c| usize::try_from(c).unwrap_or(usize::MAX).min(members),
        )
    }

    /// Of how many equal shares the noise of a round of `members` is made: the members of the smallest sum that the task itself asks for,
    /// without those that it assumes to collude; at least 1. From the task and the round alone, so that all members say the same.
    #[must_use]
    pub fn noise_shares(&self, members: usize, complete: bool) -> usize {
        let least = usize::try_from(self.min_clients).unwrap_or(usize::MAX);
        // In a ring a threshold is about neighbours, and not about the sum.
        let threshold = if complete {
            self.threshold_for(members)
        } else {
            0
        };
        let smallest = least.max(threshold).min(members);
        smallest
            .saturating_sub(self.colluders_among(members))
            .max(1)
    }

    /// How the numbers of a cohort are written; `cohort`: how many members' numbers are summed at most.
    #[must_use]
    pub fn encoding(&self, cohort: usize) -> Encoding {
        let encoding = Encoding::new(self.ring(), self.precision, cohort);
        match self.bound {
            Some(bound) => encoding.within(bound),
            None => encoding,
        }
    }

    /// The ring of every sum of the task.
    #[must_use]
    pub fn ring(&self) -> Ring {
        let most = usize::try_from(self.max_clients).unwrap_or(usize::MAX);
        let narrow = Encoding::new(Ring::Z32, self.precision, most);
        match self.ring {
            RingWidth::Z32 => Ring::Z32,
            RingWidth::Auto if self.bound.is_some_and(|bound| narrow.holds(bound)) => Ring::Z32,
            RingWidth::Z64 | RingWidth::Auto => Ring::Z64,
        }
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

    /// Deadline of the phase in which members prove; never shorter than that of every other.
    #[must_use]
    pub fn verify_timeout(&self) -> Duration {
        let own = Duration::try_from_secs_f64(self.verify_timeout);
        own.unwrap_or(Duration::from_secs(300))
            .max(self.wait_timeout())
    }
}

/// How many of `members` are assumed to collude with coordinator and connector, unless somebody says otherwise: 0 up to 3 (who
/// tolerates a loss there can be shown two lists by a single one), 1 from 4 to 6, a third, rounded down, from 7 on.
#[must_use]
pub fn assumed_colluders(members: usize) -> usize {
    match members {
        0..=3 => 0,
        4..=6 => 1,
        n => n / 3,
    }
}

/// The smallest t above half of `holders` with `2 t - holders > colluders`; `holders` where only all of them would do.
#[must_use]
pub fn private_threshold(holders: usize, colluders: usize) -> usize {
    ((holders.saturating_add(colluders)) / 2 + 1).min(holders.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thresholds_leave_colluders_and_two_lists_nothing() {
        let strategy = Strategy::default();
        for n in 1..200_usize {
            let (t, c) = (strategy.threshold_for(n), assumed_colluders(n));
            assert!(t <= n && 2 * t > n, "{n}: {t}");
            assert!(2 * t > n + c, "{n}: {t} with {c} colluders");
            // And no higher than that, where the members needed do not ask for it.
            assert!(t == 2.min(n) || 2 * (t - 1) <= n + c, "{n}: {t}");
        }
        let of = |n| strategy.threshold_for(n);
        assert_eq!(
            [2, 3, 4, 5, 6, 7, 10, 29, 100].map(of),
            [2, 2, 3, 4, 4, 5, 7, 20, 67]
        );
    }

    #[test]
    fn noise_is_of_those_who_are_sure_to_add_some() {
        let strategy = Strategy {
            min_clients: 3,
            ..Strategy::default()
        };
        // Thresholds 3, 3, 4, 5, 7 and colluders 0, 1, 1, 2, 3.
        assert_eq!(
            [3, 4, 6, 7, 10].map(|n| strategy.noise_shares(n, true)),
            [3, 2, 3, 3, 4]
        );
        assert_eq!(strategy.noise_shares(40, false), 1);
        let many = Strategy {
            min_clients: 30,
            ..strategy
        };
        assert_eq!(many.noise_shares(40, false), 17);
    }

    #[test]
    fn an_owner_may_give_up_losses_for_a_colluder() {
        let careful = Strategy {
            colluders: Some(1),
            ..Strategy::default()
        };
        assert_eq!([2, 3, 4].map(|n| careful.threshold_for(n)), [2, 3, 3]);
        let all = Strategy {
            colluders: Some(9),
            ..Strategy::default()
        };
        assert_eq!(all.threshold_for(3), 3);
    }

    #[test]
    fn the_narrow_ring_is_taken_where_the_bound_leaves_room() {
        let of = |bound, precision, max_clients| {
            let strategy = Strategy {
                ring: RingWidth::Auto,
                bound: Some(bound),
                precision,
                max_clients,
                ..Strategy::default()
            };
            assert_eq!(fields(&strategy), [""; 0]);
            strategy.ring()
        };
        // 3 * 7.15 * 10^8 is below 2^31, 3 * 7.16 * 10^8 above.
        assert_eq!(of(7.15, 8, 3), Ring::Z32);
        assert_eq!(of(7.16, 8, 3), Ring::Z64);
        assert_eq!(of(7.15, 8, 4), Ring::Z64);
        assert_eq!(of(70_000.0, 4, 3), Ring::Z32);
        assert_eq!(of(1e300, 0, 2), Ring::Z64);
        let without = Strategy {
            ring: RingWidth::Auto,
            ..Strategy::default()
        };
        assert_eq!(fields(&without), ["ring"]);
        for bound in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            let strategy = Strategy {
                bound: Some(bound),
                ..Strategy::default()
            };
            assert_eq!(fields(&strategy), ["bound"], "{bound}");
        }
        let both = Strategy {
            rounding: Rounding::Stochastic,
            reproducible: true,
            ..Strategy::default()
        };
        assert_eq!(fields(&both), ["rounding"]);
    }

    #[test]
    fn what_is_not_asked_for_is_not_written() {
        let text = serde_json::to_string(&Strategy::default()).unwrap();
        for word in ["bound", "rounding", "transport", "reproducible"] {
            assert!(!text.contains(word), "{text}");
        }
    }

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
