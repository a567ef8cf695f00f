//! From u3 to the sum: what members reveal, and when it is enough.

use std::time::Duration;

use super::phase::{Closing, Phase};
use super::unmask::{self, Reveal};
use super::{CoordinatorEffect, CoordinatorRound};
use crate::ids::Address;
use crate::round::record::RawShareRecord;
use crate::round::{FailureCode, names};
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
                    // Our own work: no member can hold it up.
                    self.deadline = now + Duration::from_secs(3600);
                    vec![CoordinatorEffect::Unmask {
                        members,
                        masks,
                        dropped,
                    }]
                }
            };
        }
        // Only members of u3 are ever counted as answered.
        if state.answered.len() < state.u3.len() && now < self.deadline {
            return Vec::new();
        }
        let lacking = state.owners_lacking_shares();
        // Who has signed u3 waits for the others' signatures: they are the silent ones, as long as there are any.
        let unanswered = || state.u3.iter().filter(|a| !state.answered.contains(*a));
        let mut missing: Vec<&Address> = unanswered()
            .filter(|a| !state.confirmations.contains_key(*a))
            .collect();
        if missing.is_empty() {
            missing = unanswered().collect();
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
