//! A certificate in bytes: the claim, the tolerance, and every member's message. It is checked from these alone.

use std::collections::BTreeMap;

use curve25519_dalek::scalar::Scalar;
use delta_domain::manifest::{MAX_TOLERANCE, MIN_TOLERANCE};
use delta_ports::certifier::{Claim, Model, Proven, Verdict};

use crate::commitment::table_digest;
use crate::encoding::{Reader, VERSION, check_claim, claim_bytes, read_claim};
use crate::error::ProofError;
use crate::field::whole;
use crate::generators::Cache;
use crate::layout::{MAX_MEMBERS, UNIT, WEIGHT_BITS};
use crate::message::{MAX_BYTES, Message};
use crate::sigmoid::ONE;
use crate::verify::verify;

const MAGIC: &[u8; 8] = b"DELTACRT";

/// A certificate of these messages, in the order of their members' addresses.
///
/// # Errors
/// When there are too few or too many, or one is no message.
pub(crate) fn assemble(
    claim: &Claim,
    tolerance: f64,
    messages: &[Vec<u8>],
) -> Result<Vec<u8>, ProofError> {
    check_claim(claim)?;
    check_tolerance(tolerance)?;
    check_count(messages.len())?;
    let mut sorted = BTreeMap::new();
    for message in messages {
        let member = Message::read(&claim.schema, message)?.member;
        if sorted.insert(member.clone(), message).is_some() {
            return Err(ProofError::new("a second message of this member").of(member));
        }
    }
    let mut out = MAGIC.to_vec();
    out.extend(VERSION.to_be_bytes());
    out.extend(claim_bytes(claim));
    out.extend(tolerance.to_be_bytes());
    out.extend(
        u16::try_from(sorted.len())
            .unwrap_or(u16::MAX)
            .to_be_bytes(),
    );
    for message in sorted.into_values() {
        out.extend(
            u32::try_from(message.len())
                .unwrap_or(u32::MAX)
                .to_be_bytes(),
        );
        out.extend(message);
    }
    Ok(out)
}

/// Checks all of it.
///
/// # Errors
/// What is wrong, with the member's address where one can be named.
pub(crate) fn judge(cache: &Cache, bytes: &[u8]) -> Result<Verdict, ProofError> {
    let mut reader = Reader(bytes);
    if reader.array()? != *MAGIC {
        return Err(ProofError::new("it does not begin as a certificate does"));
    }
    let version = u16::from_be_bytes(reader.array()?);
    if version != VERSION {
        return Err(ProofError::new(format!(
            "version {version}, where this program reads {VERSION}: use another release"
        )));
    }
    let claim = read_claim(&mut reader)?;
    let tolerance = f64::from_be_bytes(reader.array()?);
    check_tolerance(tolerance)?;
    let count = usize::from(u16::from_be_bytes(reader.array()?));
    check_count(count)?;
    let mut messages: Vec<Message<'_>> = Vec::new();
    for at in 0..count {
        let length = usize::try_from(u32::from_be_bytes(reader.array()?)).unwrap_or(usize::MAX);
        if length > MAX_BYTES {
            return Err(ProofError::new(format!(
                "message {at} is larger than {MAX_BYTES} bytes"
            )));
        }
        let bytes = reader.take(length)?;
        let member = Message::read(&claim.schema, bytes)
            .map_err(|e| e.of(format!("message {at}")))?
            .member;
        if messages.last().is_some_and(|last| last.member >= member) {
            return Err(
                ProofError::new("members are not in ascending order, each once").of(member),
            );
        }
        messages.push(verify(cache, &claim, bytes).map_err(|e| e.of(member))?);
    }
    if !reader.0.is_empty() {
        return Err(ProofError::new(format!(
            "{} bytes too many",
            reader.0.len()
        )));
    }
    check_pairs(&messages)?;
    let (rows, norm) = remains(&claim, &messages)?;
    let members = messages
        .iter()
        .map(|message| proven(&claim, message))
        .collect();
    Ok(Verdict {
        claim,
        members,
        rows,
        norm,
        tolerance,
    })
}

/// Who proved, and about which table.
pub(crate) fn proven(claim: &Claim, message: &Message<'_>) -> Proven {
    let (member, log_rows) = (&message.member, message.layout.log_rows);
    let commitment = table_digest(
        &claim.schema,
        &claim.task,
        member,
        log_rows,
        message.table_points,
    );
    Proven {
        member: member.clone(),
        commitment,
    }
}

fn check_tolerance(tolerance: f64) -> Result<(), ProofError> {
    // It is no part of what is proven: whoever has the file can write another one into it, within these.
    if (MIN_TOLERANCE..=MAX_TOLERANCE).contains(&tolerance) {
        Ok(())
    } else {
        Err(ProofError::new("the tolerance is not from 1e-5 to 0.1"))
    }
}

fn check_count(count: usize) -> Result<(), ProofError> {
    if (2..=MAX_MEMBERS).contains(&count) {
        Ok(())
    } else {
        Err(ProofError::new(format!(
            "{count} members, where 2 to {MAX_MEMBERS} can be"
        )))
    }
}

/// Whether masks cancel: both members of every pair are here and published the same commitment.
fn check_pairs(messages: &[Message<'_>]) -> Result<(), ProofError> {
    let mut published = BTreeMap::new();
    for message in messages {
        for peer in &message.peers {
            published.insert((message.member.as_str(), peer.address), peer.commitment);
        }
    }
    for ((member, peer), commitment) in &published {
        match published.get(&(*peer, *member)) {
            Some(other) if other == commitment => {}
            Some(_) => {
                return Err(ProofError::new(format!(
                    "{member} and {peer} published different commitments to their masks"
                )));
            }
            None => {
                return Err(ProofError::new(format!(
                    "{member} shares masks with {peer}, which does not say so or is not here"
                )));
            }
        }
    }
    Ok(())
}

/// Rows of all members, and the largest sum that is left, over rows, columns running from -1 to 1.
fn remains(claim: &Claim, messages: &[Message<'_>]) -> Result<(u64, f64), ProofError> {
    let mut sums = vec![Scalar::ZERO; claim.weights.len() + 1];
    for message in messages {
        sums.iter_mut()
            .zip(&message.signals)
            .for_each(|(sum, signal)| *sum += signal);
    }
    let whole: Option<Vec<i128>> = sums.iter().map(whole).collect();
    let room: u64 = messages
        .iter()
        .map(|message| message.layout.rows() as u64)
        .sum();
    let out_of_range = || ProofError::new("the sums over members are out of range");
    let (count, sums) = whole
        .as_ref()
        .and_then(|all| all.split_last())
        .ok_or_else(out_of_range)?;
    let rows = u64::try_from(*count)
        .ok()
        .filter(|rows| (1..=room).contains(rows))
        .ok_or_else(out_of_range)?;
    let unit = match claim.schema.model {
        Model::Logistic => i128::from(UNIT) * i128::from(ONE),
        Model::Linear => i128::from(UNIT) * i128::from(UNIT << WEIGHT_BITS),
        Model::Mean => i128::from(UNIT << WEIGHT_BITS),
    };
    let largest = sums.iter().map(|sum| sum.unsigned_abs()).max().unwrap_or(0);
    // To 53 bits.
    #[allow(clippy::cast_precision_loss)]
    let norm = largest as f64 / unit as f64 / rows as f64;
    Ok((rows, norm))
}
