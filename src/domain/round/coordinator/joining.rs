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
    DeclineCode, Directory, FailureCode, Members, NeighbourGraph, Neighbourhood, Rejection,
    RoundFailure, names,
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
        self.wait(now, self.joining_time());
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
            joining.refused.retain(|a| joining.known.contains(a));
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
    /// without them and would be large enough with them, they are waited for as long as the coordinator has patience; and so are members
    /// of earlier rounds that are away.
    pub(super) fn select_when_complete(&mut self, now: Timestamp) -> Vec<CoordinatorEffect> {
        let floor = self.cohort_floor();
        let Phase::AdvertiseKeys(joining) = &self.phase else {
            return Vec::new();
        };
        let max = usize::try_from(self.context.strategy.max_clients).unwrap_or(usize::MAX);
        let bound = self.bound();
        let absent: Members = bound.difference(&joining.joined).cloned().collect();
        let enough = joining.joined.len() >= floor && absent.is_empty();
        let (begun, missed) = self.time_to_join(now, enough, &absent);
        let Phase::AdvertiseKeys(joining) = &self.phase else {
            return Vec::new();
        };
        let silence_counts = now >= begun + SILENT_GRACE + self.pacing.of_a_call();
        // Declining counts only from those who have not joined: nobody may talk a member out of the round.
        let everybody = !joining.known.is_empty()
            && joining.known.iter().all(|a| {
                joining.joined.contains(a)
                    || joining.doubled.contains(a)
                    || joining.declined.contains_key(a)
                    || (joining.asking.contains(a) && self.context.asked.contains(a))
                    || (silence_counts && self.context.silent.contains(a))
                    || self.lost.contains(a)
            });
        let full = joining.joined.len() >= max || !bound.is_empty();
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
            self.deadline = now + self.waiting_time();
            return vec![CoordinatorEffect::SelectCandidates { u1: list }];
        }
        // The others have a moment to say why they would not, either.
        let said = |a: &Address| joining.declined.contains_key(a) || joining.joined.contains(a);
        let lingered = joining
            .refused_at
            .is_some_and(|since| now >= since + SILENT_GRACE);
        let heard = lingered || joining.known.iter().all(said);
        if heard && let Some(failure) = self.hopeless(joining) {
            return self.fail_with(failure);
        }
        let code = match missed.is_empty() {
            true => FailureCode::TooFewMembers,
            false => FailureCode::StayedAway,
        };
        if late && !absent.is_empty() {
            return self.fail(code, other_members(&absent));
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
                "{} of at least {} members joined before the deadline ({}){}{}",
                joining.joined.len(),
                self.cohort_floor(),
                names(&joining.joined),
                match missed.is_empty() {
                    true => String::new(),
                    false => format!("; away: {}", names(&missed)),
                },
                match declined.is_empty() {
                    true => String::new(),
                    false => format!("; declined: {}", declined.join("; ")),
                },
            );
            return self.fail(code, reason);
        }
        Vec::new()
    }

    /// Sets until when members may join: when that began, and whom of earlier rounds it waits for because there is no round without them.
    fn time_to_join(
        &mut self,
        now: Timestamp,
        enough: bool,
        absent: &Members,
    ) -> (Timestamp, Members) {
        let (timeout, floor) = (self.joining_time(), self.cohort_floor());
        let of_deadline = Timestamp(self.deadline.0.saturating_sub((Timestamp(0) + timeout).0));
        let Phase::AdvertiseKeys(joining) = &self.phase else {
            return (now, Members::new());
        };
        let begun = joining.begun.unwrap_or(of_deadline);
        let missed = self.missed(joining);
        let asking = joining.asking.intersection(&joining.known);
        let coming: Members = asking.chain(&missed).cloned().collect();
        let hoped_for = joining.joined.union(&coming).count();
        let hopes = !enough && hoped_for >= floor && absent.is_subset(&coming);
        let waits = hopes && !missed.is_empty();
        // Who is back joins a moment later, and is not missed any more.
        let missed_at = if waits { Some(now) } else { joining.missed_at };
        let last = begun + timeout.max(self.context.patience);
        self.deadline = match hopes {
            true => last,
            false => (missed_at.unwrap_or(begun).max(begun) + timeout).min(last),
        };
        if let Phase::AdvertiseKeys(joining) = &mut self.phase {
            joining.missed_at = missed_at;
        }
        (begun, if waits { missed } else { Members::new() })
    }

    /// Members of earlier rounds that are away, and have said nothing of this one. Who is there and says nothing has until the deadline.
    pub(super) fn missed(&self, joining: &Joining) -> Members {
        let silent = |a: &Address| !joining.joined.contains(a) && !joining.doubled.contains(a);
        let away = |a: &Address| self.lost.contains(a) || !joining.known.contains(a);
        let came = self.context.came.iter();
        came.filter(|a| silent(a) && away(a) && !joining.has_answered(a))
            .cloned()
            .collect()
    }

    /// The members that the sum must be over, where it must be over certain ones.
    pub(super) fn bound(&self) -> Members {
        match self.context.bound {
            true => self.context.previous.iter().cloned().collect(),
            false => Members::new(),
        }
    }

    /// A node that has proven who it is takes no part in this task, for a reason that stays.
    pub(super) fn refused(
        &mut self,
        now: Timestamp,
        member: Address,
        reason: DeclineCode,
    ) -> Result<Vec<CoordinatorEffect>, Rejection> {
        let joining = match &mut self.phase {
            Phase::AdvertiseKeys(joining) => joining,
            // As with any decline: one that is dropped here would be waited for.
            Phase::Starting | Phase::Selecting { .. } => {
                return Err(Rejection::WrongPhase {
                    phase: self.phase.name(),
                    what: "decline",
                    late: false,
                });
            }
            _ => return Ok(Vec::new()),
        };
        // Whom the round does not wait for takes up no room.
        if joining.known.is_empty() || joining.known.contains(&member) {
            joining.asking.remove(&member);
            joining.declined.insert(member.clone(), reason.to_string());
            joining.refused.insert(member);
            joining.refused_at.get_or_insert(now);
        }
        Ok(self.select_when_complete(now))
    }

    /// So many refuse for good that the task cannot have its members, whoever comes.
    fn hopeless(&self, joining: &Joining) -> Option<RoundFailure> {
        let known: Members = joining.known.union(&joining.joined).cloned().collect();
        let refused: Members = joining
            .refused
            .difference(&joining.joined)
            .cloned()
            .collect();
        let left = known.difference(&refused).count();
        let bound = self.bound();
        let lacks = bound.intersection(&refused).next().is_some();
        if joining.known.is_empty() || refused.is_empty() {
            return None;
        }
        if left >= self.cohort_floor() && !lacks {
            return None;
        }
        let why: Vec<String> = refused
            .iter()
            .filter_map(|a| Some(format!("{a}: {}", joining.declined.get(a)?)))
            .collect();
        let reason = format!(
            "{} of the {} nodes of the network take no part, and {} members are needed: {}",
            refused.len(),
            known.len(),
            self.cohort_floor().max(bound.len()),
            why.join("; ")
        );
        Some(RoundFailure::new(FailureCode::Refused, reason))
    }

    fn select(&self, joining: &Joining) -> Members {
        if self.context.bound {
            return self.bound();
        }
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
        let sharing = Sharing {
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
        };
        if self.proof {
            return Ok(self.calculate_at_once(now, sharing));
        }
        self.phase = Phase::ShareKeys(sharing);
        self.wait(now, self.waiting_time());
        Ok(Vec::new())
    }

    /// Nobody shares anything where members prove: u2 is u1, and without one of them there is nothing to prove.
    fn calculate_at_once(&mut self, now: Timestamp, sharing: Sharing) -> Vec<CoordinatorEffect> {
        let u2 = sharing.usable();
        let unusable: Members = sharing.u1.difference(&u2).cloned().collect();
        if !unusable.is_empty() {
            let reason = format!(
                "its proofs must be of all members, and {}",
                other_members(&unusable)
            );
            return self.fail(FailureCode::TooFewMembers, reason);
        }
        let list = u2.iter().cloned().collect();
        self.phase = Phase::StartingCalculation { sharing, u2 };
        self.deadline = now + self.waiting_time();
        vec![CoordinatorEffect::StartCalculation { u2: list }]
    }
}

/// Why a sum over certain members cannot be had.
pub(super) fn other_members(absent: &Members) -> String {
    format!(
        "its sum must be over the members of the round before, with which it is combined, and {} not there",
        match absent.len() {
            1 => format!("{} is", names(absent)),
            _ => format!("{} are", names(absent)),
        }
    )
}

/// Every order is as likely as any other (Fisher and Yates).
fn shuffle<T>(items: &mut [T], rng: &mut ChaCha20Rng) {
    for i in (1..items.len()).rev() {
        // A 64-bit draw over at most a few thousand places: the bias is below 2^-50.
        let j = usize::try_from(rng.next_u64() % (i as u64 + 1)).unwrap_or(0);
        items.swap(i, j);
    }
}
