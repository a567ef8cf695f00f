//! The record of proofs of logistic regressions (docs/protocol/connector.md, Logistic regressions).
//!
//! Who may prove, what was judged, what it was judged against. The PLONK check itself is not done here: its verdict comes with
//! the call, and without one a proof is not taken. Unlike the reference, nothing is recorded before all checks are over, and a
//! failed proof is listed. The reference's norm check of the summed gradient (its step 11) is not done: it can hardly fail.

use super::body::Body;
use super::change::Change;
use super::command::{ProofEntry, RoundRef};
use super::decision::{Answer, Decision};
use super::event::RecordEvent;
use super::rejection::{Rejection, RejectionReason as Why, refuse};
use super::state::{Record, Round, Task};
use super::status::{Status, TaskIndex};
use crate::ids::encode_hex;
use crate::task::TaskKind;

impl Record {
    pub(super) fn verify(&self, entry: &ProofEntry) -> Result<Decision, Rejection> {
        let ProofEntry {
            task: id, address, ..
        } = entry;
        let (index, task) = self.task_of(TaskKind::Hlr, id, None)?;
        let (round, body) = self.final_round(task)?;
        if body
            .member(address)
            .is_none_or(|(_, m)| m.status != Status::Aggregating)
        {
            return refuse(
                Why::ProofRefused,
                format!("{address} is not allowed to verify"),
            );
        }
        if !task.entry.enable_verify {
            return refuse(
                Why::ProofRefused,
                format!("task {id} verification is forbidden"),
            );
        }
        if !is_valid(task) {
            return refuse(
                Why::ProofRefused,
                format!("task {id} verfication is already failed"),
            );
        }
        if task.proofs.contains_key(address) {
            return refuse(Why::AlreadyThere, format!("{address} has already verified"));
        }
        let [signals @ .., weights, data] = entry.pub_signals.as_slice() else {
            return refuse(
                Why::ProofRefused,
                format!("{id} gradient precision is not consistent"),
            );
        };
        match signals.get(1).and_then(|p| p.parse::<i64>().ok()) {
            None => {
                return refuse(
                    Why::ProofRefused,
                    format!("{id} gradient precision is not consistent"),
                );
            }
            Some(precision) if precision < i64::from(task.entry.tolerance) => {
                return refuse(
                    Why::ProofRefused,
                    format!("{id} gradient precision is lower than tolerance"),
                );
            }
            Some(_) => {}
        }
        let Some(proved) = entry.verdict else {
            return Err(Rejection::Unsupported(
                "this connector does not check proofs",
            ));
        };
        let registered = self.data_commitment(address, &task.entry.dataset, entry.block_index)?;
        let valid = proved
            && entry.samples > 0
            && commitment_of(weights).is_some_and(|c| c == round.weight_commitment)
            && commitment_of(data).is_some_and(|c| c == registered);
        let event = RecordEvent::MemberVerified {
            task: id.clone(),
            address: address.clone(),
            verified: valid,
        };
        let change = Change::Proof {
            task: index,
            member: address.clone(),
            valid,
        };
        Ok(Decision {
            answer: Answer::Verified(valid),
            ..Decision::done(change).and_publish(event)
        })
    }

    pub(super) fn verifier_state(&self, id: &str) -> Result<Decision, Rejection> {
        let (_, task) = self.task_of(TaskKind::Hlr, id, None)?;
        let (_, body) = self.final_round(task)?;
        let unfinished = body
            .at(Status::Aggregating)
            .filter(|(a, _)| !task.proofs.contains_key(*a))
            .map(|(a, _)| a.to_owned())
            .collect();
        let invalid = task
            .proofs
            .iter()
            .filter(|(_, valid)| !**valid)
            .map(|(a, _)| a.clone())
            .collect();
        Ok(Decision::read(Answer::Verifier {
            unfinished,
            invalid,
            valid: is_valid(task),
        }))
    }

    pub(super) fn confirm(&self, address: &str, id: &str) -> Result<Decision, Rejection> {
        let (index, task) = self.task_of(TaskKind::Hlr, id, Some(address))?;
        let refuse_because = |why, text: &str| refuse(why, format!("task {id} {text}"));
        if !task.finished {
            return refuse_because(Why::TaskNotFinished, "is not finished");
        }
        if !task.entry.enable_verify {
            return refuse_because(Why::ProofRefused, "verification is not finished");
        }
        if !is_valid(task) {
            return refuse_because(Why::ProofRefused, "verification is already failed");
        }
        if task.confirmed {
            return refuse_because(Why::AlreadyThere, "verification has already been confirmed");
        }
        let (_, body) = self.final_round(task)?;
        if body
            .at(Status::Aggregating)
            .any(|(a, _)| !task.proofs.contains_key(a))
        {
            return refuse_because(Why::ProofRefused, "verification is not finished");
        }
        Ok(confirmed(index, id))
    }

    /// The round with the highest number, which must be over, as must the task.
    fn final_round(&self, task: &Task) -> Result<(&Round, &Body), Rejection> {
        let id = &task.id;
        if !task.finished {
            return refuse(Why::TaskNotFinished, format!("task {id} is not finished"));
        }
        let Some((&number, &round_id)) = task.rounds.last_key_value() else {
            return refuse(
                Why::NoSuchRound,
                format!("task {id} final round doesn't exist"),
            );
        };
        let at = RoundRef {
            kind: TaskKind::Hlr,
            task: id.clone(),
            round: number,
        };
        let (_, round) = self.round_of(&at, None)?;
        if round.status != Status::Finished {
            return refuse(
                Why::TaskNotFinished,
                format!("task {id} final round is not finished"),
            );
        }
        Ok((round, self.body_of(round_id)?))
    }
}

fn confirmed(index: TaskIndex, id: &str) -> Decision {
    Decision::done(Change::Confirmed { index }).and_publish(RecordEvent::VerificationConfirmed {
        task: id.to_owned(),
    })
}

fn is_valid(task: &Task) -> bool {
    task.proofs.values().all(|&valid| valid)
}

/// A decimal number below 2^256 as `0x` and 64 hex digits.
fn commitment_of(decimal: &str) -> Option<String> {
    if decimal.is_empty() || decimal.len() > 78 {
        return None;
    }
    let mut bytes = [0_u8; 32];
    for c in decimal.chars() {
        let mut carry = c.to_digit(10)?;
        for byte in bytes.iter_mut().rev() {
            let value = u32::from(*byte) * 10 + carry;
            [_, _, _, *byte] = value.to_be_bytes();
            carry = value >> 8;
        }
        if carry != 0 {
            return None;
        }
    }
    Some(encode_hex(&bytes))
}

#[cfg(test)]
mod tests {
    use super::commitment_of;

    #[test]
    fn decimal_signals_become_padded_hex() {
        assert_eq!(
            commitment_of("255").unwrap(),
            format!("0x{}ff", "0".repeat(62))
        );
        let max = "115792089237316195423570985008687907853269984665640564039457584007913129639935";
        assert_eq!(commitment_of(max).unwrap(), format!("0x{}", "f".repeat(64)));
        assert_eq!(
            commitment_of(
                "115792089237316195423570985008687907853269984665640564039457584007913129639936"
            ),
            None
        );
        assert_eq!(commitment_of("-1"), None);
        assert_eq!(commitment_of(""), None);
    }
}
