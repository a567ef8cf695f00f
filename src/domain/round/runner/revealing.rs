//! From u3 to the end: what is revealed, once, and how the round ended for this member.

use std::collections::BTreeMap;

use super::phase::{MaskedInput, Phase};
use super::{Release, RunnerEffect, RunnerOutcome, RunnerRound};
use crate::ids::{Address, Digest};
use crate::records::cohort_digest;
use crate::round::message::{Confirmation, RequestBody, RoundEnd};
use crate::round::transcript::confirmation_digest;
use crate::round::{FailureCode, Members, Rejection, RoundFailure, names, unique};
use crate::time::Timestamp;

impl RunnerRound {
    pub(super) fn aggregation_started(
        &mut self,
        now: Timestamp,
        list: &[Address],
    ) -> Result<Vec<RunnerEffect>, Rejection> {
        let u3 = unique(list, "u3")?;
        if self.proof {
            return self.proofs_are_here(now, u3);
        }
        match &self.phase {
            Phase::MaskedInput(_) => {}
            Phase::Confirming { .. } | Phase::Unmasking { .. } => {
                return self.phase.repeat_of("u3", |p| p.u3() == Some(&u3));
            }
            _ if !u3.contains(&self.context.me) => return Ok(self.leave("MaskedInput")),
            _ => {
                return Err(Rejection::WrongPhase {
                    phase: self.phase.name(),
                    what: "u3",
                    late: false,
                });
            }
        }
        let Phase::MaskedInput(state) = &self.phase else {
            return Ok(Vec::new());
        };
        if let Some(stranger) = u3.difference(&state.u2).next() {
            let reason = format!("u3 lists {stranger}, who is not in u2");
            return Ok(self.fail(FailureCode::ProtocolViolation, reason));
        }
        if !u3.contains(&self.context.me) {
            return Ok(self.leave("MaskedInput"));
        }
        if state.upload.is_none() {
            return Ok(self.fail(
                FailureCode::ProtocolViolation,
                "u3 lists this node, which has sent no result",
            ));
        }
        if let Some(failure) = self.too_small("u3", &u3) {
            return Ok(self.fail_with(failure));
        }
        if let Some(failure) = self.not_the_cohort("u3", &u3) {
            return Ok(self.fail_with(failure));
        }
        let holders = state
            .sharing
            .graph()
            .holders_in_order(&self.context.me)
            .filter(|a| u3.contains(*a))
            .count();
        if holders < state.sharing.threshold() {
            let reason = format!(
                "only {holders} holders of this node's shares are in u3, the threshold is {}",
                state.sharing.threshold()
            );
            return Ok(self.fail(FailureCode::TooFewMembers, reason));
        }
        if let Some(failure) = self.too_few_known("u3", &u3, &state.sharing.others) {
            return Ok(self.fail_with(failure));
        }
        // Said before anything is revealed, and one list for ever: the decision is in the snapshot before it leaves.
        let statement = confirmation_digest(&state.sharing.transcript, &state.u2, &u3);
        let tags = match self.tags(state, &statement) {
            Ok(tags) => tags,
            Err(reason) => return Ok(self.fail(FailureCode::ProtocolViolation, reason)),
        };
        let ask = |body| self.request(&state.sharing, Some(&state.u2), body);
        let effect = RunnerEffect::Confirm {
            request: ask(RequestBody::Confirm { statement, tags }),
            fetch: ask(RequestBody::FetchConfirmations),
            release: release(state, &u3),
        };
        let summed = cohort_digest(&u3);
        self.phase = Phase::Confirming {
            input: state.clone(),
            u3,
        };
        self.summed = Some(summed);
        self.deadline = now + self.context.strategy.wait_timeout() + self.grace();
        Ok(vec![effect])
    }

    /// This member's word for `statement` to each holder of its shares, in address order.
    fn tags(&self, state: &MaskedInput, statement: &Digest) -> Result<Vec<u8>, String> {
        let sharing = &state.sharing;
        let mut tags = Vec::new();
        for holder in sharing.graph().holders_in_order(&self.context.me) {
            let place = sharing.place(&self.context.me, holder);
            tags.extend_from_slice(&sharing.seal_key(holder)?.tag(place, statement));
        }
        Ok(tags)
    }

    /// Reveals, once a threshold of those who hold this node's shares say the same of u3.
    pub(super) fn confirmed(
        &mut self,
        now: Timestamp,
        confirmations: &[Confirmation],
    ) -> Vec<RunnerEffect> {
        let Phase::Confirming { input: state, u3 } = &self.phase else {
            return Vec::new();
        };
        if let Err((agree, differ)) = self.holders_agree(state, u3, confirmations) {
            let reason = format!(
                "{agree} holders of this node's shares confirmed the u3 that it was shown, {} are needed; another list, or none, was confirmed by {}",
                state.sharing.threshold(),
                names(&differ)
            );
            return self.fail(FailureCode::ProtocolViolation, reason);
        }
        // Seed shares for u3, key shares for u2 minus u3: never both for one sender.
        let (mut seeds, mut keys) = (Vec::new(), Vec::new());
        for (sender, held) in &state.held {
            if u3.contains(sender) {
                seeds.push((sender.clone(), held.seed.clone()));
            } else {
                keys.push((sender.clone(), held.key.clone()));
            }
        }
        let notify = self.request(&state.sharing, Some(&state.u2), RequestBody::Revealed);
        let release = release(state, u3);
        self.phase = Phase::Unmasking {
            u1: state.sharing.u1.clone(),
            u2: state.u2.clone(),
            u3: u3.clone(),
        };
        self.forget();
        self.deadline = now + self.context.strategy.wait_timeout() + self.grace();
        vec![RunnerEffect::Reveal {
            seeds,
            keys,
            release,
            notify,
        }]
    }

    /// Whether a threshold of those who hold this node's shares say the same; else how many do, and who does not.
    fn holders_agree(
        &self,
        state: &MaskedInput,
        u3: &Members,
        confirmations: &[Confirmation],
    ) -> Result<(), (usize, Members)> {
        let (sharing, me) = (&state.sharing, &self.context.me);
        let statement = confirmation_digest(&sharing.transcript, &state.u2, u3);
        let holders = sharing.graph().holders(me);
        let said: BTreeMap<&Address, &[u8]> = confirmations
            .iter()
            .filter(|c| holders.contains(&c.member))
            .map(|c| (&c.member, c.tag.as_slice()))
            .collect();
        let agrees = |holder: &Address, tag: &[u8]| {
            u3.contains(holder)
                && sharing
                    .seal_key(holder)
                    .is_ok_and(|key| key.says(sharing.place(holder, me), &statement, tag))
        };
        let (agree, differ): (Vec<&Address>, Vec<&Address>) = said
            .keys()
            .partition(|holder| agrees(holder, said[*holder]));
        if agree.len() >= sharing.threshold() {
            return Ok(());
        }
        Err((agree.len(), differ.into_iter().cloned().collect()))
    }

    pub(super) fn ended(&mut self, end: RoundEnd) -> Vec<RunnerEffect> {
        let outcome = match (&self.phase, end) {
            (phase, RoundEnd::Failed(code)) => phase.failed(RoundFailure::new(
                FailureCode::Abandoned,
                format!("the coordinator says that the round {}", code.meaning()),
            )),
            (Phase::Unmasking { .. }, RoundEnd::Finished) => RunnerOutcome::Contributed,
            // Enough others may have revealed; and whoever can put a word into the coordinator's mouth can say so too early.
            (Phase::Confirming { .. }, RoundEnd::Finished) => RunnerOutcome::Unconfirmed,
            (phase, RoundEnd::Finished) => RunnerOutcome::LeftOut {
                phase: phase.name().into(),
            },
        };
        self.phase = Phase::Done(outcome);
        self.forget();
        Vec::new()
    }
}

/// What the sum over `u3` gives away of this member.
fn release(state: &MaskedInput, u3: &Members) -> Option<Release> {
    state.point.map(|point| Release {
        point,
        cohort: cohort_digest(u3),
    })
}
