//! From the start of a round to the keys of u1: who has joined, who is picked, whose keys can be used.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rand_chacha::ChaCha20Rng;
use rand_core::Rng as _;

use super::phase::{CachedViews, Joining, Phase, Sharing};
use super::{CoordinatorEffect, CoordinatorRound};
use crate::ids::Address;
use crate::round::graph::CachedGraph;
use crate::round::record::RawPublicKeys;
use crate::round::transcript::transcript_digest;
use crate::round::{
    DeclineCode, Directory, FailureCode, Members, NeighbourGraph, Neighbourhood, Rejection, names,
};
use crate::strategy::Selection;
use crate::time::Timestamp;

/// How long a member that fell silent before is waited for while the others join.
const SILENT_GRACE: Duration = Duration::from_secs(1);

impl CoordinatorRound {
    pub(super) fn started(&mut self, now: Timestamp) -> Vec<CoordinatorEffect> {
        if !matches!(self.phase, Phase::Starting) {
            return Vec::new();
        }
        self.phase = Phase::AdvertiseKeys(Joining {
            reading: true,
            begun: Some(now),
            ..Joining::default()
        });
        self.wait(now, self.context.strategy.connection_timeout());
        vec![CoordinatorEffect::ReadJoins]
    }

    pub(super) fn joins(
        &mut self,
        now: Timestamp,
        listed: &[Address],
        known: Vec<Address>,
    ) -> Vec<CoordinatorEffect> {
        let Phase::AdvertiseKeys(joining) = &mut self.phase else {
            return Vec::new();
        };
        let mut times: BTreeMap<&Address, u32> = BTreeMap::new();
        for address in listed {
            *times.entry(address).or_default() += 1;
        }
        joining.joined = times
            .iter()
            .filter(|(_, n)| **n == 1)
            .map(|(a, _)| (*a).clone())
            .collect();
        joining.doubled = times
            .iter()
            .filter(|(_, n)| **n > 1)
            .map(|(a, _)| (*a).clone())
            .collect();
        joining.known = known.into_iter().collect();
        // Notices that came before the list of nodes, in names that nobody has.
        if !joining.known.is_empty() {
            joining.asking.retain(|a| joining.known.contains(a));
            joining.declined.retain(|a, _| joining.known.contains(a));
        }
        joining.reading = std::mem::take(&mut joining.again);
        let reading = joining.reading;
        self.poll_again(now);
        let effects = self.select_when_complete(now);
        if reading && matches!(self.phase, Phase::AdvertiseKeys(_)) {
            return vec![CoordinatorEffect::ReadJoins];
        }
        effects
    }

    /// Selects when everybody has answered or the most that can be used are here; at the deadline, when enough are.
    ///
    /// Owners who are asked for the first time have until the deadline, as nodes have that say nothing. Where the round is too small
    /// without them and would be large enough with them, they are waited for as long as the coordinator has patience.
    pub(super) fn select_when_complete(&mut self, now: Timestamp) -> Vec<CoordinatorEffect> {
        let floor = self.cohort_floor();
        let Phase::AdvertiseKeys(joining) = &self.phase else {
            return Vec::new();
        };
        let max = usize::try_from(self.context.strategy.max_clients).unwrap_or(usize::MAX);
        let enough = joining.joined.len() >= floor;
        // A node that is dead looks alive on the connector for two minutes; only the first round after its death waits for it.
        let timeout = self.context.strategy.connection_timeout();
        let of_deadline = Timestamp(self.deadline.0.saturating_sub((Timestamp(0) + timeout).0));
        let begun = joining.begun.unwrap_or(of_deadline);
        let asking = joining.asking.intersection(&joining.known);
        let asking: Members = asking.cloned().collect();
        let hoped_for = joining.joined.union(&asking).count();
        let hopes = !enough && hoped_for >= floor;
        self.deadline = match hopes {
            true => begun + timeout.max(self.context.patience),
            false => begun + timeout,
        };
        let silence_counts = now >= begun + SILENT_GRACE;
        // Declining counts only from those who have not joined: nobody may talk a member out of the round.
        let everybody = !joining.known.is_empty()
            && joining.known.iter().all(|a| {
                joining.joined.contains(a)
                    || joining.doubled.contains(a)
                    || joining.declined.contains_key(a)
                    || (joining.asking.contains(a) && self.context.asked.contains(a))
                    || (silence_counts && self.context.silent.contains(a))
            });
        let full = joining.joined.len() >= max;
        let late = now >= self.deadline;
        if max < self.cohort_floor() {
            let reason = format!(
                "the strategy takes at most {max} members, this node coordinates {} or more",
                self.cohort_floor()
            );
            return self.fail(FailureCode::TooFewMembers, reason);
        }
        if enough && (everybody || full || late) {
            let u1 = self.select(joining);
            let list = u1.iter().cloned().collect();
            self.phase = Phase::Selecting {
                u1,
                published: false,
            };
            self.deadline = now + self.context.strategy.wait_timeout();
            return vec![CoordinatorEffect::SelectCandidates { u1: list }];
        }
        if late {
            let asking = joining.asking.difference(&joining.joined);
            let asking = asking.map(|a| format!("{a}: {}", DeclineCode::AsksOwner));
            let declined: Vec<String> = joining
                .declined
                .iter()
                .map(|(a, why)| format!("{a}: {why}"))
                .chain(asking)
                .collect();
            let reason = format!(
                "{} of at least {} members joined before the deadline ({}){}",
                joining.joined.len(),
                self.cohort_floor(),
                names(&joining.joined),
                if declined.is_empty() {
                    String::new()
                } else {
                    format!("; declined: {}", declined.join("; "))
                },
            );
            return self.fail(FailureCode::TooFewMembers, reason);
        }
        Vec::new()
    }

    fn select(&self, joining: &Joining) -> Members {
        let max = usize::try_from(self.context.strategy.max_clients).unwrap_or(usize::MAX);
        let mut candidates: Vec<Address> = joining.joined.iter().cloned().collect();
        shuffle(&mut candidates, &mut self.rng("selection"));
        if self.context.strategy.selection == Selection::Same {
            let previous: BTreeSet<&Address> = self.context.previous.iter().collect();
            // Stable: those of the round before come first, in random order among themselves.
            candidates.sort_by_key(|a| !previous.contains(a));
        }
        candidates.truncate(max);
        candidates.into_iter().collect()
    }

    pub(super) fn public_keys(
        &mut self,
        now: Timestamp,
        raw: &[RawPublicKeys],
    ) -> Result<Vec<CoordinatorEffect>, Rejection> {
        let Phase::Selecting { u1, .. } = &self.phase else {
            return Ok(Vec::new());
        };
        let list: Vec<Address> = u1.iter().cloned().collect();
        if raw.len() != list.len() {
            return Err(Rejection::Malformed {
                what: "the list of keys",
                why: format!("{} keys for {} members", raw.len(), list.len()),
            });
        }
        let directory = Directory::judge(self.context.strategy.curve, &list, raw);
        if directory.members().len() < self.cohort_floor() {
            let bad: Vec<String> = directory
                .excluded()
                .iter()
                .map(|(a, why)| format!("{a}: {why}"))
                .collect();
            return Ok(self.fail(
                FailureCode::TooFewMembers,
                format!(
                    "too few members with valid keys; excluded: {}",
                    bad.join("; ")
                ),
            ));
        }
        let (strategy, announcement) = (&self.context.strategy, &self.context.announcement);
        let transcript = transcript_digest(announcement, &self.context.bundle, &directory);
        self.phase = Phase::ShareKeys(Sharing {
            u1: u1.clone(),
            neighbourhood: Neighbourhood::of(strategy, directory.members().len()),
            randomness: NeighbourGraph::randomness(
                &announcement.task,
                announcement.round,
                &directory,
            ),
            graph: CachedGraph::new(),
            views: CachedViews::default(),
            directory,
            shares: BTreeMap::new(),
            transcript,
            declined: BTreeMap::new(),
        });
        self.wait(now, self.context.strategy.wait_timeout());
        Ok(Vec::new())
    }
}

/// Every order is as likely as any other (Fisher and Yates).
fn shuffle<T>(items: &mut [T], rng: &mut ChaCha20Rng) {
    for i in (1..items.len()).rev() {
        // A 64-bit draw over at most a few thousand places: the bias is below 2^-50.
        let j = usize::try_from(rng.next_u64() % (i as u64 + 1)).unwrap_or(0);
        items.swap(i, j);
    }
}
