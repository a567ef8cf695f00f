//! How many neighbours a member has and how many shares rebuild a secret: degree k and threshold t, as numbers of n.
//!
//! Source: Bell et al., "Secure Single-Server Aggregation with (Poly)Logarithmic Overhead", CCS 2020, section 3: on a randomly
//! ordered ring where everybody is a neighbour of the k/2 nearest on either side, three things must hold (definitions 3.2 to 3.4):
//!
//! 1. no member has 2t - (k + 1) colluding neighbours,
//! 2. the members left after the colluding and the dropped are taken away hang together (else a part's sum is seen alone),
//! 3. every member has t neighbours that are not dropped (else the round has no sum).
//!
//! The first is stricter than the paper's, where t colluding neighbours are too many: there all members are shown one list u3. Here
//! the coordinator may show two: by one of them a member has dropped out, so that some of its k + 1 holders reveal their shares of its
//! key and others those of its seed; the colluding ones give both. Both secrets
//! come from t shares each, so colluding members succeed as soon as there are 2t - (k + 1) of them among the holders. In a complete
//! graph, k + 1 = n, nothing is left to chance ([`Strategy::threshold_for`]).
//!
//! The first two fail with probability at most 2^-security together, the third with at most 2^-correctness, each summed over all
//! members (union bound). The tails are exact hypergeometric sums: no normal or Chernoff approximation.
//!
//! All members and the coordinator compute these numbers for themselves and must agree, so only IEEE additions, multiplications
//! and divisions in a fixed order are used: their results are the same on every machine, which `ln` and `exp` do not promise.
//!
//! What the model leaves out: colluding and dropped members are chosen without knowledge of the ring. A coordinator that lies about
//! who dropped can, with colluders, cut the ring and see the sums of two arcs; an arc is never shorter than the members that its
//! own ends need to find t living holders, which every member checks for itself.

use serde::{Deserialize, Serialize};

use crate::strategy::{self, Strategy, assumed_colluders};

/// Up to this many members everybody is everybody's neighbour, unless the strategy says otherwise.
pub const COMPLETE_UP_TO: usize = 30;
/// The fraction of members that may collude with the coordinator.
pub const COLLUDING: f64 = 1.0 / 3.0;
/// The fraction of members that may drop out, unless the strategy says otherwise. With a third colluding and lists that differ, no
/// ring survives the loss of a third.
pub const DROPPING: f64 = 0.1;
/// The fraction that counts as dropped in what the coordinator alone can claim.
pub const CLAIMED: f64 = 1.0 / 3.0;
/// Privacy fails with a probability of at most 2^-this.
pub const SECURITY_BITS: u32 = 40;
/// A round that loses no more than the assumed fraction fails with a probability of at most 2^-this.
pub const CORRECTNESS_BITS: u32 = 20;

/// What is assumed about the members of a round, and what must hold then.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Assumptions {
    /// Largest fraction of members that collude with the coordinator, from 0 to 1.
    pub colluding: f64,
    /// Largest fraction of members that drop out after they shared, from 0 to 1.
    pub dropping: f64,
    /// Privacy fails with a probability of at most 2^-this.
    pub security_bits: u32,
    /// A sum is missing with a probability of at most 2^-this.
    pub correctness_bits: u32,
    /// Members may be shown different lists. Without that, as in the paper, t colluders are needed.
    pub lists_differ: bool,
}

impl Default for Assumptions {
    fn default() -> Self {
        Self {
            colluding: COLLUDING,
            dropping: DROPPING,
            security_bits: SECURITY_BITS,
            correctness_bits: CORRECTNESS_BITS,
            lists_differ: true,
        }
    }
}

/// What a member asks of threshold and neighbourhood before it gives its shares away: its own rule, whatever the strategy says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrivacyFloor {
    /// Members that may collude (`policy.assumed_colluders`); as [`assumed_colluders`] without.
    #[serde(default)]
    pub colluders: Option<u32>,
    /// In a ring, privacy fails with a probability of at most 2^-this. 0: any ring will do.
    pub bits: u32,
}

impl Default for PrivacyFloor {
    fn default() -> Self {
        Self {
            colluders: None,
            bits: SECURITY_BITS,
        }
    }
}

impl PrivacyFloor {
    pub(super) fn colluders_among(&self, members: usize) -> usize {
        self.colluders.map_or_else(
            || assumed_colluders(members),
            |c| usize::try_from(c).unwrap_or(usize::MAX).min(members),
        )
    }
}

/// Degree and threshold of a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Neighbourhood {
    /// Neighbours of each member: even, or `None` when everybody is a neighbour of everybody.
    pub degree: Option<usize>,
    /// Shares that rebuild a secret, of those that the neighbours and the member itself hold.
    pub threshold: usize,
}

impl Neighbourhood {
    /// What `strategy` means among `members` usable members of u1. A pure function: all nodes come to the same answer.
    ///
    /// Complete up to [`COMPLETE_UP_TO`]; above, the smallest degree that the assumptions allow, or what the strategy demands.
    #[must_use]
    pub fn of(strategy: &Strategy, members: usize) -> Self {
        let complete = Self {
            degree: None,
            threshold: strategy.threshold_for(members),
        };
        let wanted = strategy
            .threshold
            .map(|t| usize::try_from(t).unwrap_or(usize::MAX));
        match strategy.neighbours {
            None if members <= COMPLETE_UP_TO => complete,
            None => {
                let assumptions = Assumptions::of(strategy, members);
                Self::smallest(members, &assumptions, wanted.unwrap_or(0)).unwrap_or(complete)
            }
            Some(k) => {
                let degree = usize::try_from(k).unwrap_or(usize::MAX).max(1);
                let degree = degree.saturating_add(degree % 2);
                if degree >= members.saturating_sub(1) {
                    return complete;
                }
                let threshold = wanted.map_or_else(
                    || private_threshold(members, degree, &Assumptions::of(strategy, members)),
                    |t| t.max(majority(degree)),
                );
                Self {
                    degree: Some(degree),
                    threshold,
                }
            }
        }
    }

    /// The smallest even degree, with its smallest threshold not below `at_least`, under which all three events are rare enough.
    ///
    /// `None` when only the complete graph is good enough, as in small rounds.
    #[must_use]
    pub fn smallest(members: usize, assumptions: &Assumptions, at_least: usize) -> Option<Self> {
        let dropped = count(assumptions.dropping, members);
        let rare = power(assumptions.correctness_bits);
        (2..members.saturating_sub(1))
            .step_by(2)
            .find_map(|degree| {
                // Who dropped is what the coordinator says, so at least the usual fraction counts here.
                let claimed = assumptions.dropping.max(CLAIMED);
                let bad = count(assumptions.colluding, members);
                let cut = cut_probability(members, degree, bad, claimed);
                if cut > power(assumptions.security_bits + 1) {
                    return None;
                }
                let threshold = private_threshold(members, degree, assumptions).max(at_least);
                if threshold > degree {
                    return None;
                }
                // Fewer than t of the k are left when more than k - t are dropped.
                let lost = Hypergeometric::new(members - 1, dropped, degree);
                let failing = float(members) * lost.at_least(degree - threshold + 1);
                (failing <= rare).then_some(Self {
                    degree: Some(degree),
                    threshold,
                })
            })
    }

    /// Why a member with this floor does not take part among `members`; `None` when it does.
    #[must_use]
    pub fn objection(&self, members: usize, floor: &PrivacyFloor) -> Option<String> {
        let bad = floor.colluders_among(members);
        let Some(degree) = self.degree else {
            let wanted = strategy::private_threshold(members, bad);
            return (self.threshold < wanted || self.threshold > members).then(|| {
                format!(
                    "a threshold of {} among {members} members; with {bad} of them colluding with coordinator and connector, this \
                     node insists on {wanted} (policy.assumed_colluders)",
                    self.threshold
                )
            });
        };
        let holders = degree + 1;
        if self.threshold > holders || self.threshold < majority(degree) {
            return Some(format!(
                "a threshold of {} among {holders} holders of shares; it must lie between {} and {holders}",
                self.threshold,
                majority(degree)
            ));
        }
        if floor.bits == 0 {
            return None;
        }
        let limit = power(floor.bits + 1);
        let exposed = exposure_probability(members, degree, self.threshold, bad);
        let cut = cut_probability(members, degree, bad, CLAIMED);
        let what = if exposed > limit {
            "holding enough shares of somebody"
        } else if cut > limit {
            "the graph cut in two"
        } else {
            return None;
        };
        let enough = Assumptions {
            colluding: float(bad) / float(members.max(1)),
            security_bits: floor.bits,
            ..Assumptions::default()
        };
        let advice =
            Self::smallest(members, &enough, 0).and_then(|n| Some((n.degree?, n.threshold)));
        let advice = advice.map_or_else(
            || "the complete graph is needed".to_owned(),
            |(k, t)| format!("{k} with a threshold of {t} are enough"),
        );
        Some(format!(
            "{degree} neighbours with a threshold of {} are too few among {members} members: with {bad} of them colluding, {what} \
             is likelier than 2^-{}; {advice}",
            self.threshold, floor.bits
        ))
    }
}

impl Assumptions {
    /// What the strategy assumes of a round of so many members.
    #[must_use]
    pub fn of(strategy: &Strategy, members: usize) -> Self {
        Self {
            colluding: float(strategy.colluders_among(members)) / float(members.max(1)),
            dropping: strategy.dropout.unwrap_or(DROPPING),
            ..Self::default()
        }
    }

    /// Colluding neighbours that are too many among the holders of a member's shares.
    fn too_many(&self, degree: usize, threshold: usize) -> usize {
        if self.lists_differ {
            (2 * threshold).saturating_sub(degree + 1)
        } else {
            threshold
        }
    }
}

/// The probability that some member has as many colluding neighbours as two lists need, at most (union over all members): `2 t - (k +
/// 1)` of `bad` colluding ones among the `members`.
#[must_use]
pub fn exposure_probability(members: usize, degree: usize, threshold: usize, bad: usize) -> f64 {
    let around = Hypergeometric::new(members.saturating_sub(1), bad, degree);
    float(members) * around.at_least((2 * threshold).saturating_sub(degree + 1))
}

/// The probability that the ring without colluding and dropped members falls apart, at most.
///
/// It does only when k/2 neighbours in a row are missing at two places; there are n (n - k - 1) / 2 pairs of places.
#[must_use]
pub fn cut_probability(members: usize, degree: usize, colluding: usize, dropping: f64) -> f64 {
    let bad = colluding.saturating_add(count(dropping, members));
    let mut probability = float(members) * float(members.saturating_sub(degree + 1)) / 2.0;
    for i in 0..degree {
        probability *= float(bad.saturating_sub(i)) / float(members.saturating_sub(i).max(1));
    }
    probability
}

/// The smallest threshold above half of the holders with which too many neighbours collude with a probability below half the
/// allowance; `degree + 1`, all holders, when there is no smaller one.
fn private_threshold(members: usize, degree: usize, assumptions: &Assumptions) -> usize {
    let bad = count(assumptions.colluding, members);
    let around = Hypergeometric::new(members.saturating_sub(1), bad, degree);
    let limit = power(assumptions.security_bits + 1) / float(members.max(1));
    (majority(degree)..=degree)
        .find(|t| around.at_least(assumptions.too_many(degree, *t)) <= limit)
        .unwrap_or(degree + 1)
}

/// More than half of a member's holders: its neighbours and itself.
fn majority(degree: usize) -> usize {
    degree.saturating_add(1) / 2 + 1
}

/// A number of marked items among `draws` from a population, without replacement: the tails, exactly up to rounding.
struct Hypergeometric {
    /// `tail[i]`: the probability of at least `first + i`.
    tail: Vec<f64>,
    first: usize,
}

impl Hypergeometric {
    fn new(population: usize, marked: usize, draws: usize) -> Self {
        let (marked, draws) = (marked.min(population), draws.min(population));
        let first = (marked + draws).saturating_sub(population);
        let last = marked.min(draws);
        // From the likeliest number outwards, each weight is a ratio of small integers times its neighbour's; the likeliest has
        // weight 1, so nothing overflows, and what underflows is far below every bound of interest.
        let mode = ((marked + 1) * (draws + 1) / (population + 2)).clamp(first, last);
        let ratio = |j: usize| {
            // weight(j + 1) / weight(j)
            float((marked - j) * (draws - j))
                / float((j + 1) * (population + j + 1 - marked - draws))
        };
        let mut weights = vec![0.0; last - first + 1];
        weights[mode - first] = 1.0;
        for j in mode..last {
            weights[j + 1 - first] = weights[j - first] * ratio(j);
        }
        for j in (first..mode).rev() {
            weights[j - first] = weights[j + 1 - first] / ratio(j);
        }
        // Summed from the small end, so that small tails keep their relative precision.
        let mut sum = 0.0;
        for weight in weights.iter_mut().rev() {
            sum += *weight;
            *weight = sum;
        }
        weights.iter_mut().for_each(|w| *w /= sum);
        Self {
            tail: weights,
            first,
        }
    }

    /// The probability of `j` or more.
    fn at_least(&self, j: usize) -> f64 {
        if j <= self.first {
            return 1.0;
        }
        self.tail.get(j - self.first).copied().unwrap_or(0.0)
    }
}

/// How many members a fraction is, rounded down; a hair above, so that a third of 30 is 10 whatever its last bit.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a fraction of at most 10,000 members; negative and NaN become 0"
)]
fn count(fraction: f64, members: usize) -> usize {
    ((fraction * float(members) + 1e-9) as usize).min(members)
}

#[expect(
    clippy::cast_precision_loss,
    reason = "numbers of members and products of two of them are far below 2^53"
)]
fn float(n: usize) -> f64 {
    n as f64
}

/// 2^-bits; a power of two is exact as a double.
fn power(bits: u32) -> f64 {
    let mut p = 1.0;
    for _ in 0..bits.min(1000) {
        p /= 2.0;
    }
    p
}

#[cfg(test)]
mod tests;
