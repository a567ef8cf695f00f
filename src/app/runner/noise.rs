//! The noise of a round: how much each `records` step asks of this member, what that costs, and the vector itself (docs/privacy.md).

use std::collections::BTreeMap;

use zeroize::Zeroizing;

use delta_domain::ids::{DatasetName, Name};
use delta_domain::manifest::{Driver, How, Manifest, MapSpec, MemberNoise, Records, Target};
use delta_domain::policy::{Policies, Unit};
use delta_domain::privacy::cost::Cost;
use delta_domain::privacy::noise::{Multiplier, Share, block_seed};
use delta_domain::secret::Secret;
use delta_domain::strategy::assumed_colluders;
use delta_domain::tensor::element_count;
use delta_ports::{PortError, PortErrorKind};

const OP: &str = "runner.noise";
/// At which costs of rounds are compared; every delta orders them much alike.
const DELTA: f64 = 1e-6;

/// The noise of one step of a task.
#[derive(Clone)]
pub(crate) struct Noise {
    /// The numbers that leave, in their order: which share each block of them gets, and how many they are.
    blocks: Vec<(usize, usize)>,
    shares: Vec<Part>,
}

/// What one `records` step, or a whole map, asks for.
#[derive(Clone)]
struct Part {
    /// Whose records it is about, of a map all that it reads; and whether they can turn the numbers of a unit around, being looked up for it.
    datasets: BTreeMap<DatasetName, bool>,
    share: Share,
    /// Numbers of it that leave.
    values: usize,
    /// Whether it is for whole members: what is within one, a record or a person, can turn all of its numbers around.
    whole: bool,
}

/// Members of the smallest sum that is revealed, and how many of them may collude.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sum {
    /// Equal shares that the noise is made of, as all members say.
    pub shares: usize,
    /// Members of the smallest sum that this node reveals; at least 2.
    pub smallest: usize,
    /// Members of it whose noise does not count.
    pub colluders: usize,
}

impl Sum {
    /// The smallest sum of a task, before there is a round of it.
    ///
    /// Its own floor says nothing: the others reveal by theirs. `assumed`: colluders that its owner assumes, else as many as
    /// [`assumed_colluders`] says.
    #[must_use]
    pub fn smallest_of(manifest: &Manifest, assumed: Option<u32>) -> Self {
        let wide = |n: u32| usize::try_from(n).unwrap_or(usize::MAX);
        let smallest = wide(manifest.strategy.min_clients);
        Self {
            shares: manifest.strategy.noise_shares(smallest, true),
            smallest,
            colluders: assumed.map_or_else(|| assumed_colluders(smallest), wide),
        }
    }
}

/// What the dearest round of a task costs each dataset, in the units of its owner's budgets; nothing where no noise is asked for, or its cost
/// cannot be said.
#[must_use]
pub fn dearest_round(
    manifest: &Manifest,
    sum: Sum,
    policies: &Policies,
) -> BTreeMap<DatasetName, Cost> {
    let mut dearest: BTreeMap<DatasetName, Cost> = BTreeMap::new();
    let mut step = 0_u32;
    for round in &manifest.rounds {
        let noise = Noise::of(manifest, step, sum).ok().flatten();
        let costs = noise.and_then(|noise| noise.costs(policies).ok());
        for (name, cost) in costs.unwrap_or_default() {
            let dear = |cost: &Cost| cost.colluding.epsilon(DELTA);
            let known = dearest.get(&name);
            if known.is_none_or(|known| dear(known) < dear(&cost)) {
                dearest.insert(name, cost);
            }
        }
        step = step.saturating_add(round.repeat);
    }
    dearest
}

impl Noise {
    /// The noise of step `step` of the task. `None` when no number that leaves asks for any; where some do, all must.
    ///
    /// # Errors
    /// `Rejected`: nobody could make this noise, or a part of what leaves has none.
    pub(crate) fn of(manifest: &Manifest, step: u32, sum: Sum) -> Result<Option<Self>, PortError> {
        let rejected = |text: String| PortError::new(PortErrorKind::Rejected, OP, text);
        let Some(round) = manifest.round_spec(step) else {
            return Ok(None);
        };
        if let Some(noise) = &round.map.noise {
            return Self::of_member(manifest, &round.map, noise, sum).map(Some);
        }
        let mut made: BTreeMap<&Name, (usize, &Records)> = BTreeMap::new();
        for (index, step) in round.map.steps.iter().enumerate() {
            let Driver::Records(records) = &step.driver else {
                continue;
            };
            for name in step.outputs.values().filter_map(Target::summed) {
                made.insert(name, (index, records));
            }
        }
        let asks = |name: &Name| {
            made.get(name)
                .filter(|(_, records)| records.noise.is_some())
        };
        let contribute = &round.map.contribute;
        if !contribute.iter().any(|c| asks(&c.name).is_some()) {
            return Ok(None);
        }
        let (mut blocks, mut shares) = (Vec::new(), Vec::<(usize, Part)>::new());
        for contribution in contribute {
            let Some((index, records)) = asks(&contribution.name) else {
                let text = format!(
                    "{} leaves without noise beside others with noise",
                    contribution.name
                );
                return Err(rejected(text));
            };
            let values = element_count(&contribution.shape)
                .ok_or_else(|| rejected(format!("{} is too large", contribution.name)))?;
            let place = match shares.iter().position(|(step, _)| step == index) {
                Some(place) => place,
                None => {
                    let part = Part {
                        datasets: datasets_of(manifest, records),
                        share: share(records, manifest.strategy.precision, sum)?,
                        values: 0,
                        whole: false,
                    };
                    shares.push((*index, part));
                    shares.len() - 1
                }
            };
            if let Some((_, part)) = shares.get_mut(place) {
                part.values = part.values.saturating_add(values);
            }
            blocks.push((place, values));
        }
        let shares = shares.into_iter().map(|(_, part)| part).collect();
        Ok(Some(Self { blocks, shares }))
    }

    /// The noise of a map for whole members: one share for all numbers that leave.
    fn of_member(
        manifest: &Manifest,
        map: &MapSpec,
        noise: &MemberNoise,
        sum: Sum,
    ) -> Result<Self, PortError> {
        let rejected = |text: String| PortError::new(PortErrorKind::Rejected, OP, text);
        let multiplier = noise.multiplier().map_err(|e| rejected(e.to_string()))?;
        let lengths = map.contribute.iter().map(|c| element_count(&c.shape));
        let values = lengths
            .sum::<Option<usize>>()
            .ok_or_else(|| rejected("the contribution is too large".to_owned()))?;
        let part = Part {
            datasets: manifest
                .datasets
                .keys()
                .map(|name| (name.clone(), false))
                .collect(),
            share: share_of(multiplier, noise.l2, manifest.strategy.precision, sum)?,
            values,
            whole: true,
        };
        Ok(Self {
            blocks: vec![(0, values)],
            shares: vec![part],
        })
    }

    /// This member's noise, one integer of the ring for each number that leaves. Before data are read; the same for the same seed.
    pub(crate) fn draw(&self, seed: &Secret<32>) -> Zeroizing<Vec<i64>> {
        let all = self.blocks.iter().map(|(_, values)| values).sum();
        let mut noise = Zeroizing::new(Vec::with_capacity(all));
        for (number, (place, values)) in self.blocks.iter().enumerate() {
            // One seed is for one vector.
            let seed = block_seed(seed, number as u64);
            if let Some(part) = self.shares.get(*place) {
                noise.extend_from_slice(&part.share.draw(&seed, *values));
            }
        }
        noise
    }

    /// What the round costs each dataset, in the unit of its owner's budget.
    ///
    /// # Errors
    /// `Rejected`: the cost of this noise cannot be stated.
    pub(crate) fn costs(
        &self,
        policies: &Policies,
    ) -> Result<BTreeMap<DatasetName, Cost>, PortError> {
        let mut costs: BTreeMap<DatasetName, Cost> = BTreeMap::new();
        for part in &self.shares {
            for (dataset, turning) in &part.datasets {
                let budget = policies.of(dataset).privacy.as_ref();
                let narrower = budget.is_none_or(|budget| budget.unit != Unit::Member);
                let share = match *turning || part.whole && narrower {
                    true => part.share.for_turns(),
                    false => part.share,
                };
                let cost = share.cost(part.values as u64, None).map_err(|e| {
                    PortError::new(PortErrorKind::Rejected, OP, format!("noise: {e}"))
                })?;
                let sum = costs.entry(dataset.clone()).or_insert_with(Cost::zero);
                *sum += &cost;
            }
        }
        Ok(costs)
    }
}

/// Whose records a step is about. A person who is in a joined table or not has these values or none, where the own rows stay: that can turn
/// the person's numbers around. Where they go with it, it takes them away.
fn datasets_of(manifest: &Manifest, records: &Records) -> BTreeMap<DatasetName, bool> {
    let mut all = BTreeMap::from([(records.dataset.clone(), false)]);
    for join in manifest.joins_of(&records.dataset) {
        *all.entry(join.dataset.clone()).or_default() |= join.how == How::Left;
    }
    all
}

/// This member's share of what a step asks for.
fn share(records: &Records, precision: u8, sum: Sum) -> Result<Share, PortError> {
    let rejected = |text: String| PortError::new(PortErrorKind::Rejected, OP, text);
    let (Some(noise), Some(clip)) = (&records.noise, &records.clip) else {
        return Err(rejected("noise needs a bound (clip)".to_owned()));
    };
    let multiplier = noise.multiplier().map_err(|e| rejected(e.to_string()))?;
    share_of(multiplier, clip.l2, precision, sum)
}

/// This member's share of noise for vectors of a length.
fn share_of(multiplier: Multiplier, l2: f64, precision: u8, sum: Sum) -> Result<Share, PortError> {
    let rejected = |text: String| PortError::new(PortErrorKind::Rejected, OP, text);
    // What the driver clips to, in the ring's integers: rounded up here, so that the noise is never too small for it.
    let scale = (0..precision).fold(1.0_f64, |s, _| s * 10.0);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "saturates, and a bound is above 0"
    )]
    let sensitivity = (l2 * scale).ceil() as u64;
    let (shares, smallest, colluders) = (sum.shares, sum.smallest, sum.colluders);
    Share::new(multiplier, sensitivity, shares, smallest, colluders)
        .map_err(|e| rejected(e.to_string()))
}

#[cfg(test)]
mod tests;
