//! One round: the map that each member runs, what it contributes, and the reduce that the coordinator runs on the sums.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::certify::Certify;
use super::member_noise::MemberNoise;
use super::step::Step;
use crate::ids::Name;
use crate::secagg::exact_number::DIGITS;
use crate::tensor::{DType, element_count};

/// One round, or the same round several times.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RoundSpec {
    /// How many times in a row.
    #[serde(default = "one")]
    pub repeat: u32,
    /// Over whom the sum is; left out: over whoever takes part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cohort: Option<Cohort>,
    /// What is proven of the answer instead of a sum; in a last round alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certify: Option<Certify>,
    /// What each member does.
    pub map: MapSpec,
    /// What the coordinator does with the sums.
    pub reduce: ReduceSpec,
}

/// What each member does in a round.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct MapSpec {
    /// Graph executions, in order.
    pub steps: Vec<Step>,
    /// Client variables to set at the end, from named values.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub assign: BTreeMap<Name, Name>,
    /// What leaves the node, masked: named values, in this order.
    pub contribute: Vec<Contribution>,
    /// Noise in every sum of the round, for whole members. Without it only steps under `records` can ask for noise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub noise: Option<MemberNoise>,
}

/// Over whom a round's sum is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Cohort {
    /// Over exactly the members of the round before: what it computes is combined with that round's sums.
    Same,
}

/// One array that is summed over the members.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Contribution {
    /// The value's name in the map, and the sum's name in the reduce.
    pub name: Name,
    /// `f32` or `f64`.
    pub dtype: DType,
    /// Its shape.
    pub shape: Vec<usize>,
    /// How its numbers are written in the ring.
    #[serde(default, skip_serializing_if = "Written::is_fixed")]
    pub written: Written,
}

/// How numbers are written in the ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Written {
    /// Rounded to the strategy's precision: one word for each.
    #[default]
    Fixed,
    /// Whatever their scale, so that their sum is exact: 12 words for each. Of `f64`, in `z64`, without noise and bound.
    Exact,
}

impl Written {
    /// Words of one number.
    #[must_use]
    pub const fn words(self) -> usize {
        match self {
            Self::Fixed => 1,
            Self::Exact => DIGITS,
        }
    }

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "what serde calls")]
    fn is_fixed(&self) -> bool {
        *self == Self::Fixed
    }
}

impl Contribution {
    /// Words of the masked vector that it takes; `None` when no machine holds them.
    #[must_use]
    pub fn words(&self) -> Option<usize> {
        element_count(&self.shape)?.checked_mul(self.written.words())
    }
}

/// What the coordinator does with the sums.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ReduceSpec {
    /// Graph executions, in order; drivers `once` only.
    pub steps: Vec<Step>,
    /// Server variables to set, from named values.
    pub assign: BTreeMap<Name, Name>,
    /// Single numbers to show for each round.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metrics: BTreeMap<String, Name>,
    /// A single number; anything but zero ends the task early.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop: Option<Name>,
}

fn one() -> u32 {
    1
}
