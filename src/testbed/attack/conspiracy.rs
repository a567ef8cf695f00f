//! A round in memory whose coordinator, connector and some members work together: the node's own round machines, fed by an attacker.
//!
//! The wire adds nothing to this attack, and machines in memory can be more than three. The first member is the victim.

use anyhow::{Context as _, ensure};
use rand_core::Rng as _;

use crate::bootstrap::{clock, entropy};
use delta_domain::ids::{Address, Digest, RoundNumber};
use delta_domain::round::message::{
    Announcement, Confirmation, RequestBody, SealedShares, ShareDelivery,
};
use delta_domain::round::record::{RawPublicKeys, RawShareRecord};
use delta_domain::round::runner::{RunnerContext, RunnerEffect, RunnerInput, RunnerRound};
use delta_domain::round::{Acquaintances, PrivacyFloor};
use delta_domain::secagg::seal::TAG_BYTES;
use delta_domain::secret::Secret;
use delta_domain::strategy::Strategy;
use delta_domain::time::Timestamp;

/// Members that have uploaded their results; the last ones are the coordinator's.
pub(super) struct Conspiracy {
    members: Vec<(Address, RunnerRound)>,
    colluders: usize,
    needed: usize,
    now: Timestamp,
}

/// How many shares of the victim's two secrets the conspirators get, and how many of each they need.
pub(super) struct Plot {
    pub(super) seeds: usize,
    pub(super) keys: usize,
    pub(super) needed: usize,
}

/// A member and its tags for all members, in address order.
type Word = (Address, Vec<u8>);

impl Conspiracy {
    /// Plays a round of so many members, of whom so many are colluders, honestly up to the results, with the default strategy.
    pub(super) fn up_to_results(members: usize, colluders: usize) -> anyhow::Result<Self> {
        let now = clock().now();
        let strategy = Strategy {
            max_clients: u32::try_from(members)?,
            ..Strategy::default()
        };
        let needed = strategy.threshold_for(members);
        let announcement = Announcement {
            task: format!("0x{}", "ab".repeat(32)).parse()?,
            round: RoundNumber(1),
            step: 0,
            variables: std::collections::BTreeMap::new(),
        };
        let mut own = Self {
            members: Vec::new(),
            colluders,
            needed,
            now,
        };
        let mut keys: Vec<RawPublicKeys> = Vec::new();
        for index in 0..members {
            let mut seed = [0; 32];
            entropy().rng()?.fill_bytes(&mut seed);
            let me: Address = format!("0x{:040x}", index + 1).parse()?;
            let context = RunnerContext {
                me: me.clone(),
                announcement: announcement.clone(),
                bundle: Digest([0; 32]),
                strategy: strategy.clone(),
                floor: 2,
                privacy: PrivacyFloor::default(),
            };
            let (machine, effects) = RunnerRound::join(now, context, Secret::new(seed));
            keys.extend(effects.into_iter().find_map(|effect| match effect {
                RunnerEffect::Join { keys, .. } => Some(keys),
                _ => None,
            }));
            own.members.push((me, machine));
        }
        own.share(&keys)?;
        Ok(own)
    }

    fn addresses(&self) -> Vec<Address> {
        self.members.iter().map(|(a, _)| a.clone()).collect()
    }

    /// Keys to everybody, shares from everybody to everybody, and a result of each.
    fn share(&mut self, keys: &[RawPublicKeys]) -> anyhow::Result<()> {
        let (all, now) = (self.addresses(), self.now);
        let (mut sealed, mut records) = (Vec::new(), Vec::new());
        for (me, machine) in &mut self.members {
            machine.handle(now, RunnerInput::Selected { u1: all.clone() })?;
            let effects = machine.handle(
                now,
                RunnerInput::PublicKeys {
                    keys: keys.to_vec(),
                    others: Acquaintances::default(),
                },
            )?;
            let (seed, key) = effects
                .into_iter()
                .find_map(|effect| match effect {
                    RunnerEffect::PublishCommitments { seed, key } => Some((seed, key)),
                    _ => None,
                })
                .context("no commitments")?;
            records.push((me.clone(), seed, key));
            let effects = machine.handle(now, RunnerInput::CommitmentsPublished)?;
            let shares = effects
                .into_iter()
                .find_map(|effect| match effect {
                    RunnerEffect::PostShares { request } => match request.body {
                        RequestBody::Shares { shares } => Some(shares),
                        _ => None,
                    },
                    _ => None,
                })
                .context("no shares")?;
            sealed.extend(shares);
        }
        for (me, machine) in &mut self.members {
            let effects =
                machine.handle(now, RunnerInput::CalculationStarted { u2: all.clone() })?;
            let senders = effects
                .into_iter()
                .find_map(|effect| match effect {
                    RunnerEffect::CollectShares { senders, .. } => Some(senders),
                    _ => None,
                })
                .context("nothing to collect")?;
            let shares: Vec<SealedShares> = sealed
                .iter()
                .filter(|s| s.receiver == *me)
                .cloned()
                .collect();
            let delivery = ShareDelivery { shares };
            let records = senders.iter().map(|from| on_record(&records, from, me));
            let records = records.collect();
            machine.handle(now, RunnerInput::SharesCollected { delivery, records })?;
            let digest = Digest::of(me.as_str().as_bytes());
            machine.handle(
                now,
                RunnerInput::Masked {
                    digest,
                    len: 160,
                    point: None,
                },
            )?;
        }
        Ok(())
    }

    /// The first honest members are shown everybody as u3, the other honest ones everybody but the victim; colluders confirm both.
    pub(super) fn two_lists(&self, first_half: usize) -> anyhow::Result<Plot> {
        let honest = self.members.len() - self.colluders;
        ensure!(first_half < honest, "somebody must be told less");
        let all = self.addresses();
        let fewer = all[1..].to_vec();
        let told = |index: usize| if index < first_half { &all } else { &fewer };
        let mut machines: Vec<RunnerRound> = Vec::new();
        let mut said = Vec::new();
        for (index, (me, machine)) in self.members[..honest].iter().enumerate() {
            let mut machine = machine.clone();
            said.push(self.confirms(me, &mut machine, told(index))?);
            machines.push(machine);
        }
        let words_of_colluders = |list: &Vec<Address>| -> anyhow::Result<Vec<Word>> {
            let colluders = self.members[honest..].iter();
            colluders
                .map(|(me, machine)| self.confirms(me, &mut machine.clone(), list))
                .collect()
        };
        let (for_all, for_fewer) = (words_of_colluders(&all)?, words_of_colluders(&fewer)?);
        // A colluder has one share of each.
        let (mut seeds, mut keys) = (self.colluders, self.colluders);
        for (index, machine) in machines.iter_mut().enumerate() {
            let words = if index < first_half {
                &for_all
            } else {
                &for_fewer
            };
            // The members are in the order of their addresses.
            let heard = said.iter().chain(words).filter_map(|(member, tags)| {
                let tag = tags.chunks_exact(TAG_BYTES).nth(index)?.to_vec();
                let member = member.clone();
                Some(Confirmation { member, tag })
            });
            let heard = heard.collect();
            for effect in machine.handle(self.now, RunnerInput::Confirmed(heard))? {
                if let RunnerEffect::Reveal {
                    seeds: s, keys: k, ..
                } = effect
                {
                    seeds += s.iter().filter(|(owner, _)| *owner == all[0]).count();
                    keys += k.iter().filter(|(owner, _)| *owner == all[0]).count();
                }
            }
        }
        Ok(Plot {
            seeds,
            keys,
            needed: self.needed,
        })
    }

    /// What a member says to everybody when it is shown this u3.
    fn confirms(
        &self,
        me: &Address,
        machine: &mut RunnerRound,
        u3: &[Address],
    ) -> anyhow::Result<Word> {
        let u3 = u3.to_vec();
        let effects = machine.handle(self.now, RunnerInput::AggregationStarted { u3 })?;
        let tags = effects.into_iter().find_map(|effect| match effect {
            RunnerEffect::Confirm { request, .. } => match request.body {
                RequestBody::Confirm { tags, .. } => Some(tags),
                _ => None,
            },
            _ => None,
        });
        Ok((me.clone(), tags.context("it does not confirm this u3")?))
    }
}

type Commitments = (Address, Vec<(Address, Digest)>, Vec<(Address, Digest)>);

/// What the connector has of one member's shares for another.
fn on_record(records: &[Commitments], from: &Address, to: &Address) -> RawShareRecord {
    let of = |list: &[(Address, Digest)]| {
        let found = list.iter().find(|(receiver, _)| receiver == to);
        found.map(|(_, digest)| digest.to_string())
    };
    let Some((_, seed, key)) = records.iter().find(|(sender, ..)| sender == from) else {
        return RawShareRecord::default();
    };
    RawShareRecord {
        seed_commitment: of(seed),
        secret_key_commitment: of(key),
        ..RawShareRecord::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_colluders_than_assumed_do_unmask_so_the_judge_is_no_yes_man() {
        let conspiracy = Conspiracy::up_to_results(3, 1).unwrap();
        let plot = conspiracy.two_lists(1).unwrap();
        assert!(plot.seeds >= plot.needed && plot.keys >= plot.needed);
    }

    #[test]
    fn as_many_colluders_as_are_assumed_do_not() {
        let conspiracy = Conspiracy::up_to_results(7, 2).unwrap();
        for first_half in 1..5 {
            let plot = conspiracy.two_lists(first_half).unwrap();
            assert!(plot.seeds < plot.needed || plot.keys < plot.needed);
        }
    }
}
