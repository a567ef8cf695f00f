//! From u3 to the end: what is revealed, once, and how the round ended for this member.

use super::phase::Phase;
use super::{GRACE, RunnerEffect, RunnerOutcome, RunnerRound};
use crate::domain::ids::Address;
use crate::domain::round::message::{RequestBody, RoundEnd};
use crate::domain::round::{FailureCode, Rejection, RoundFailure, unique};
use crate::domain::time::Timestamp;

impl RunnerRound {
    pub(super) fn aggregation_started(
        &mut self,
        now: Timestamp,
        list: &[Address],
    ) -> Result<Vec<RunnerEffect>, Rejection> {
        let u3 = unique(list, "u3")?;
        match &self.phase {
            Phase::MaskedInput(_) => {}
            Phase::Unmasking { .. } => return self.phase.repeat_of("u3", |p| p.u3() == Some(&u3)),
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
        self.phase = Phase::Unmasking {
            u1: state.sharing.u1.clone(),
            u2: state.u2.clone(),
            u3,
        };
        self.forget();
        self.deadline = now + self.context.strategy.wait_timeout() + GRACE;
        Ok(vec![RunnerEffect::Reveal {
            seeds,
            keys,
            notify,
        }])
    }

    pub(super) fn ended(&mut self, end: RoundEnd) -> Vec<RunnerEffect> {
        let outcome = match (&self.phase, end) {
            (_, RoundEnd::Failed(reason)) => {
                RunnerOutcome::Failed(RoundFailure::new(FailureCode::Abandoned, reason))
            }
            (Phase::Unmasking { .. }, RoundEnd::Finished) => RunnerOutcome::Contributed,
            (phase, RoundEnd::Finished) => RunnerOutcome::LeftOut {
                phase: phase.name().into(),
            },
        };
        self.phase = Phase::Done(outcome);
        self.forget();
        Vec::new()
    }
}
