//! What is proven in a certified task, from what both sides know of it.

use std::collections::BTreeMap;

use delta_domain::bundle::Bundle;
use delta_domain::hash::HashFunction;
use delta_domain::ids::{Address, Digest, RoundNumber, TaskId};
use delta_domain::tensor::{Tensor, TensorData};
use delta_ports::certificates::schema_of;
use delta_ports::certifier::{Claim, Verdict};
use delta_ports::{PortError, PortErrorKind};

fn rejected(text: impl Into<String>) -> PortError {
    PortError::new(PortErrorKind::Rejected, "certificate", text)
}

/// What opens the door to an answer's certificate: whoever has the answer can compute it, and nobody can from its digest, which is public.
///
/// # Errors
/// `Rejected`: it is no answer.
pub(crate) fn door_key(answer: &Tensor) -> Result<Digest, PortError> {
    let TensorData::F64(numbers) = answer.data() else {
        return Err(rejected("the answer is not f64"));
    };
    let mut hash = HashFunction::Sha256.start();
    hash.update(b"delta certificate door 1");
    for number in numbers {
        hash.update(&number.to_le_bytes());
    }
    Ok(hash.finish())
}

/// The claim about an answer in a round.
///
/// # Errors
/// `Rejected` when the answer is no answer of the task, or too large to be proven.
pub(crate) fn claim_of(
    bundle: &Bundle,
    task: &TaskId,
    round: RoundNumber,
    answer: &Tensor,
) -> Result<Claim, PortError> {
    let certify = bundle.manifest().certified();
    let certify = certify.ok_or_else(|| rejected("the task asks for no certificate"))?;
    let TensorData::F64(answer) = answer.data() else {
        return Err(rejected("the answer is not f64"));
    };
    let ordered = certify.ordered(answer);
    let ordered = ordered.ok_or_else(|| rejected("the answer has another length"))?;
    let schema = schema_of(certify);
    Ok(Claim {
        weights: schema.scaled(&ordered)?,
        schema,
        task: task.clone(),
        bundle: bundle.commitment(),
        round,
    })
}

/// Why a certificate whose proofs all hold is not one of this task; `tables`: what members committed to before the first round.
pub(crate) fn objection(
    verdict: &Verdict,
    bundle: &Bundle,
    task: &TaskId,
    tables: &BTreeMap<Address, Digest>,
) -> Option<String> {
    let Some(certify) = bundle.manifest().certified() else {
        return Some("the task asks for no certificate".to_owned());
    };
    let claim = &verdict.claim;
    if claim.task != *task || claim.bundle != bundle.commitment() {
        return Some("it is another task's".to_owned());
    }
    if claim.schema != schema_of(certify) {
        return Some("its columns or bounds are not the task's".to_owned());
    }
    #[expect(clippy::float_cmp, reason = "the same text of the same manifest")]
    if verdict.tolerance != certify.tolerance {
        return Some("its tolerance is not the task's".to_owned());
    }
    let wrong = verdict
        .members
        .iter()
        .filter_map(|proven| match tables.get(&proven.member) {
            Some(table) if *table == proven.commitment => None,
            Some(_) => Some(format!(
                "{} proves another table than it committed to before the first round",
                proven.member
            )),
            None => Some(format!(
                "{} had committed to no table before the first round",
                proven.member
            )),
        });
    let wrong: Vec<String> = wrong.collect();
    (!wrong.is_empty()).then(|| wrong.join("; "))
}

/// What a certificate says, in a line.
pub(crate) fn told(verdict: &Verdict) -> String {
    format!(
        "{} rows of {} members, what remains {:.1e}, allowed {:.1e}",
        verdict.rows,
        verdict.members.len(),
        verdict.norm,
        verdict.tolerance
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_door_opens_to_who_has_the_answer() {
        let of = |numbers: &[f64]| {
            let answer = Tensor::new(vec![numbers.len()], TensorData::F64(numbers.to_vec()));
            door_key(&answer.unwrap()).unwrap()
        };
        assert_eq!(of(&[1.0, -2.5]), of(&[1.0, -2.5]));
        assert_ne!(
            of(&[1.0, -2.5]),
            of(&[1.0, f64::from_bits((-2.5_f64).to_bits() + 1)])
        );
        assert!(door_key(&Tensor::new(vec![1], TensorData::F32(vec![1.0])).unwrap()).is_err());
    }
}
