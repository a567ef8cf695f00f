//! From u3 to the end: what is revealed, once, and how the round ended for this member.

use std::collections::BTreeMap;

use super::phase::{MaskedInput, Phase};
use super::{GRACE, RunnerEffect, RunnerOutcome, RunnerRound, share_keys};
use crate::ids::Address;
use crate::round::message::{RequestBody, RoundEnd, TranscriptSignature};
use crate::round::transcript::confirmation_bytes;
use crate::round::{FailureCode, Members, Rejection, RoundFailure, names, unique};
use crate::secagg::keys::all_signed;
use crate::time::Timestamp;

impl RunnerRound {
    pub(super) fn aggregation_started(
        &mut self,
        now: Timestamp,
        list: &[Address],
    ) -> Result<Vec<RunnerEffect>, Rejection> {
        let u3 = unique(list, "u3")?;
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
        // Signed before anything is revealed, and one list for ever: the decision is in the snapshot before it leaves.
        let signature = state
            .sharing
            .cipher
            .sign_statement(&self.statement(state, &u3));
        let ask = |body| self.request(&state.sharing, Some(&state.u2), body);
        let effect = RunnerEffect::Confirm {
            request: ask(RequestBody::Confirm { signature }),
            fetch: ask(RequestBody::FetchConfirmations),
        };
        self.phase = Phase::Confirming {
            input: state.clone(),
            u3,
        };
        self.deadline = now + self.context.strategy.wait_timeout() + GRACE;
        Ok(vec![effect])
    }

    /// Reveals, once a threshold of those who hold this node's shares signed the same u3.
    pub(super) fn confirmed(
        &mut self,
        now: Timestamp,
        confirmations: &[TranscriptSignature],
    ) -> Vec<RunnerEffect> {
        let Phase::Confirming { input: state, u3 } = &self.phase else {
            return Vec::new();
        };
        let statement = self.statement(state, u3);
        if let Err((agree, differ)) = self.holders_agree(state, u3, &statement, confirmations) {
            let reason = format!(
                "{agree} holders of this node's shares signed the u3 that it was shown, {} are needed; another list, or none, was signed by {}",
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
        self.phase = Phase::Unmasking {
            u1: state.sharing.u1.clone(),
            u2: state.u2.clone(),
            u3: u3.clone(),
        };
        self.forget();
        self.deadline = now + self.context.strategy.wait_timeout() + GRACE;
        vec![RunnerEffect::Reveal {
            seeds,
            keys,
            notify,
        }]
    }

    /// Whether a threshold of those who hold this node's shares signed `statement`; else how many did, and who did not.
    fn holders_agree(
        &self,
        state: &MaskedInput,
        u3: &Members,
        statement: &[u8],
        confirmations: &[TranscriptSignature],
    ) -> Result<(), (usize, Members)> {
        let threshold = state.sharing.threshold();
        let holders = state.sharing.graph().holders(&self.context.me);
        let said: BTreeMap<&Address, &[u8]> = confirmations
            .iter()
            .filter(|c| holders.contains(&c.signer))
            .map(|c| (&c.signer, c.signature.as_slice()))
            .collect();
        let of_u3: Vec<_> = said
            .iter()
            .filter(|(signer, _)| u3.contains(**signer))
            .filter_map(|(a, s)| Some((&state.sharing.directory.keys(a)?.cipher, *s)))
            .collect();
        if let Some(enough) = of_u3.get(..threshold) {
            let mut rng = share_keys::rng(&self.seed, "confirmations");
            if all_signed(statement, enough, &mut rng).is_ok() {
                return Ok(());
            }
        }
        let (agree, differ): (Vec<&Address>, Vec<&Address>) = said.keys().partition(|a| {
            let keys = state.sharing.directory.keys(a);
            u3.contains(**a)
                && keys.is_some_and(|k| k.cipher.verify_statement(statement, said[*a]).is_ok())
        });
        if agree.len() >= threshold {
            return Ok(());
        }
        Err((agree.len(), differ.into_iter().cloned().collect()))
    }

    fn statement(&self, state: &MaskedInput, u3: &Members) -> Vec<u8> {
        let directory = &state.sharing.directory;
        confirmation_bytes(&self.context.announcement, directory, &state.u2, u3)
    }

    pub(super) fn ended(&mut self, end: RoundEnd) -> Vec<RunnerEffect> {
        let outcome = match (&self.phase, end) {
            (_, RoundEnd::Failed(code)) => RunnerOutcome::Failed(RoundFailure::new(
                FailureCode::Abandoned,
                format!("the coordinator says that the round {}", code.meaning()),
            )),
            (Phase::Confirming { .. } | Phase::Unmasking { .. }, RoundEnd::Finished) => {
                RunnerOutcome::Contributed
            }
            (phase, RoundEnd::Finished) => RunnerOutcome::LeftOut {
                phase: phase.name().into(),
            },
        };
        self.phase = Phase::Done(outcome);
        self.forget();
        Vec::new()
    }
}
