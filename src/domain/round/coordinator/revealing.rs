//! From u3 to the sum: what members reveal, and when it is enough.

use std::time::Duration;

use super::deadlines::SUMMING;
use super::phase::{Closing, Phase, Unmasking};
use super::unmask::{self, Reveal};
use super::{CoordinatorEffect, CoordinatorRound};
use crate::ids::Address;
use crate::round::record::RawShareRecord;
use crate::round::{FailureCode, Members, names};
use crate::time::Timestamp;

/// How long the last members are waited for when enough has been revealed: who hears of the end before it has revealed leaves the variables
/// that it keeps as they were.
const LINGER: Duration = Duration::from_secs(1);

impl CoordinatorRound {
    pub(super) fn reveals(
        &mut self,
        now: Timestamp,
        receiver: &Address,
        records: &[RawShareRecord],
    ) -> Vec<CoordinatorEffect> {
        let senders = self.senders_revealed_by(receiver);
        let Phase::Unmasking(state) = &mut self.phase else {
            return Vec::new();
        };
        if state.answered.contains(receiver)
            || !state.u3.contains(receiver)
            || senders.len() != records.len()
        {
            return Vec::new();
        }
        match unmask::judge(state, receiver, &senders, records) {
            Reveal::Partial => return Vec::new(),
            Reveal::Wrong(why) => {
                state.answered.insert(receiver.clone());
                state.sharing.declined.insert(
                    receiver.clone(),
                    format!("it revealed a wrong share: {why}"),
                );
            }
            Reveal::Complete(found) => {
                state.answered.insert(receiver.clone());
                for (owner, x, share) in found {
                    state.take(owner, x, share);
                }
            }
        }
        self.unmask_when_enough(now)
    }

    /// Makes the sum when every secret has its threshold of shares and everybody has answered, or a moment later; fails when that cannot happen any more.
    pub(super) fn unmask_when_enough(&mut self, now: Timestamp) -> Vec<CoordinatorEffect> {
        let Phase::Unmasking(state) = &self.phase else {
            return Vec::new();
        };
        let strategy = &self.context.strategy;
        if state.lacking == 0 {
            if state.answered.len() < state.u3.len() && now < self.deadline {
                self.deadline = self.deadline.min(now + LINGER + self.pacing.of_a_call());
                return Vec::new();
            }
            return match state.rebuild(strategy.curve) {
                Err(reason) => self.fail(FailureCode::ProtocolViolation, reason),
                Ok((masks, dropped)) => {
                    let closing = Closing {
                        u1: state.sharing.u1.clone(),
                        u2: state.u2.clone(),
                        u3: state.u3.clone(),
                    };
                    let members = closing.u3.iter().cloned().collect();
                    self.phase = Phase::Summing(closing);
                    self.deadline = now + SUMMING;
                    vec![CoordinatorEffect::Unmask {
                        members,
                        masks,
                        dropped,
                    }]
                }
            };
        }
        // Only members of u3 are ever counted as answered. Beyond the phase's time they are waited for as long as there is hope.
        let in_time = |begun: Timestamp| now < begun + self.waiting_time();
        let hope = state.begun.is_none_or(in_time) || state.may_be_complete();
        if state.answered.len() < state.u3.len() && now < self.deadline && hope {
            return Vec::new();
        }
        if let Some(until) = self.worth_waiting(state).filter(|until| now < *until) {
            self.deadline = until;
            return Vec::new();
        }
        let lacking = state.owners_lacking_shares();
        // Who has signed u3 waits for the others' signatures: they are the silent ones, as long as there are any.
        let mut missing: Vec<&Address> = state
            .silent()
            .filter(|a| !state.confirmations.contains_key(*a))
            .collect();
        if missing.is_empty() {
            missing = state.silent().collect();
        }
        let wrong: Vec<String> = state
            .u3
            .iter()
            .filter_map(|a| {
                state
                    .sharing
                    .declined
                    .get(a)
                    .map(|why| format!("{a}: {why}"))
            })
            .collect();
        let first: Vec<String> = lacking
            .iter()
            .take(3)
            .map(|(a, have, need)| format!("{a} has {have} of {need}"))
            .collect();
        let reason = format!(
            "too few shares to unmask ({}); silent: {}{}",
            first.join(", "),
            names(missing),
            if wrong.is_empty() {
                String::new()
            } else {
                format!("; excluded: {}", wrong.join("; "))
            },
        );
        self.fail(FailureCode::TooFewShares, reason)
    }

    /// Until when holders that are away are waited for, where the sum can be had with them and not otherwise: what others have revealed
    /// is out, and they take no part in another round of the step; or the sum must be of these very members; or without those who are
    /// away too few are left for another round.
    fn worth_waiting(&self, state: &Unmasking) -> Option<Timestamp> {
        let there = state.u3.difference(&state.away).count();
        let no_other_way =
            !state.answered.is_empty() || self.context.bound || there < self.cohort_floor();
        let waits = no_other_way && state.may_be_complete();
        waits.then_some(state.begun? + self.context.patience)
    }

    /// Who is away while shares are revealed. When the last of them is back, the phase has its whole time again, within the patience.
    pub(super) fn away_while_unmasking(&mut self, now: Timestamp, lost: &Members) {
        let time = self.waiting_time();
        let patience = self.context.patience.max(time);
        let Phase::Unmasking(state) = &mut self.phase else {
            return;
        };
        let back: Members = self.lost.difference(lost).cloned().collect();
        let away: Members = state.away.union(lost).cloned().collect();
        state.away = away.difference(&back).cloned().collect();
        let all_back = !state.silent().any(|a| state.away.contains(a));
        // Where enough is revealed nobody gets more time; and nobody who blinks takes any away.
        if let Some(begun) = state.begun
            && state.lacking > 0
            && all_back
            && !back.is_empty()
        {
            let patient = begun + patience;
            let fresh = (now + time).min(patient);
            let waited_for = self.deadline >= patient;
            self.deadline = if waited_for {
                fresh
            } else {
                self.deadline.max(fresh)
            };
        }
    }

    /// This node's process was away, and has heard of nobody since.
    pub(super) fn unmasking_is_taken_up(&mut self) {
        if let Phase::Unmasking(state) = &mut self.phase {
            state.away = state.silent().cloned().collect();
        }
    }

    pub(super) fn unmasked(&mut self) -> Vec<CoordinatorEffect> {
        let Phase::Summing(closing) = &self.phase else {
            return Vec::new();
        };
        self.phase = Phase::Ending(closing.clone());
        vec![CoordinatorEffect::EndRound]
    }

    pub(super) fn read_reveals(&self, receiver: Address) -> CoordinatorEffect {
        let senders = self.senders_revealed_by(&receiver);
        CoordinatorEffect::ReadReveals { receiver, senders }
    }

    fn senders_revealed_by(&self, receiver: &Address) -> Vec<Address> {
        match &self.phase {
            Phase::Unmasking(state) => state
                .sharing
                .senders_to(receiver, &state.u2)
                .cloned()
                .collect(),
            _ => Vec::new(),
        }
    }
}
