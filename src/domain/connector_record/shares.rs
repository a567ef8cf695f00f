//! Commitments, shares and masked results (docs/protocol/connector.md, Commitments and shares).
//!
//! A commitment is final: the same again is accepted, another one in its place is not. A share may be sent again and the last one
//! wins, as at the reference: whoever reads it checks it against its commitment.

use std::collections::BTreeSet;

use super::body::Body;
use super::change::{Change, UploadKind};
use super::command::{RoundRef, SecretKind};
use super::decision::{Answer, Decision, ShareEntry};
use super::rejection::{Rejection, RejectionReason as Why, refuse};
use super::round::refuse_in;
use super::state::Record;
use super::status::Status;

impl Record {
    pub(super) fn upload_commitments(
        &self,
        secret: SecretKind,
        at: &RoundRef,
        address: &str,
        receivers: &[String],
        commitments: &[String],
    ) -> Result<Decision, Rejection> {
        if receivers.len() != commitments.len() {
            return refuse_in(
                Why::BadList,
                at,
                "receivers' length is not equal to commitments' length",
            );
        }
        let (id, _) = self.round_of(at, None)?;
        let body = self.body_of(id)?;
        let member = member_at(body, at, address, Status::Running)?;
        let Some(places) = places(body, receivers, Some(Status::Running)) else {
            return refuse_in(Why::NoSuchMember, at, "some receivers doesn't exist");
        };
        if receivers.is_empty() {
            return refuse_in(Why::BadList, at, "the list of receivers is empty");
        }
        let kind = UploadKind::Commitment(secret);
        let mut entries = Vec::with_capacity(places.len());
        for (place, text) in places.into_iter().zip(commitments) {
            match body.pair(member, place).and_then(|p| p.slot(kind)) {
                Some(old) if old == text => {}
                Some(_) => {
                    return refuse_in(
                        Why::AlreadyThere,
                        at,
                        &format!(
                            "member {address} has already uploaded another commitment for a receiver"
                        ),
                    );
                }
                None => entries.push((place, text.clone())),
            }
        }
        if entries.is_empty() {
            return Ok(Decision::repeated());
        }
        Ok(Decision::done(Change::Upload {
            round: id,
            kind,
            member,
            entries,
        }))
    }

    pub(super) fn upload_result(
        &self,
        at: &RoundRef,
        address: &str,
        commitment: &str,
    ) -> Result<Decision, Rejection> {
        let (id, round) = self.round_of(at, None)?;
        if round.status != Status::Calculating {
            return refuse_in(Why::WrongPhase, at, "is not in calculating status");
        }
        let Some((place, member)) = self.body_of(id)?.member(address) else {
            return refuse_in(
                Why::NoSuchMember,
                at,
                &format!("member {address} doesn't exist"),
            );
        };
        if member.status != Status::Calculating {
            return refuse_in(
                Why::WrongPhase,
                at,
                &format!("member {address} is not in calculating status"),
            );
        }
        match &member.result {
            Some(old) if old == commitment => Ok(Decision::repeated()),
            Some(_) => refuse_in(
                Why::AlreadyThere,
                at,
                &format!("member {address} has already uploaded another result commitment"),
            ),
            None => Ok(Decision::done(Change::Result {
                round: id,
                member: place,
                commitment: commitment.to_owned(),
            })),
        }
    }

    pub(super) fn result_commitment(
        &self,
        at: &RoundRef,
        client: &str,
    ) -> Result<Decision, Rejection> {
        let (id, _) = self.round_of(at, None)?;
        match self
            .body_of(id)?
            .member(client)
            .map(|(_, m)| m.result.as_ref())
        {
            None => refuse_in(
                Why::NoSuchMember,
                at,
                &format!("member {client} doesn't exist"),
            ),
            Some(None) => refuse_in(
                Why::ResultMissing,
                at,
                &format!("member {client} hasn't upload result commitment"),
            ),
            Some(Some(commitment)) => Ok(Decision::read(Answer::Commitment(commitment.clone()))),
        }
    }

    /// Seeds of members that stayed, keys of members that dropped out in the calculation: never both of one member.
    pub(super) fn upload_shares(
        &self,
        secret: SecretKind,
        at: &RoundRef,
        address: &str,
        senders: &[String],
        shares: &[String],
    ) -> Result<Decision, Rejection> {
        let (list, of_status) = match secret {
            SecretKind::Seed => ("seeds'", Status::Aggregating),
            SecretKind::SecretKey => ("secretKeys'", Status::Calculating),
        };
        if senders.len() != shares.len() {
            return refuse_in(
                Why::BadList,
                at,
                &format!("senders' length is not equal to {list} length"),
            );
        }
        let (id, round) = self.round_of(at, None)?;
        if round.status != Status::Aggregating {
            return refuse(
                Why::WrongPhase,
                format!("round {} status is not in aggregationg status", at.round),
            );
        }
        let body = self.body_of(id)?;
        let Some(places) = places(body, senders, Some(of_status)) else {
            return refuse_in(Why::NoSuchMember, at, "some senders doesn't exist");
        };
        let member = member_at(body, at, address, Status::Aggregating)?;
        if senders.is_empty() {
            return refuse_in(Why::BadList, at, "the list of senders is empty");
        }
        let (kind, other) = match secret {
            SecretKind::Seed => (
                UploadKind::Share(SecretKind::Seed),
                UploadKind::Share(SecretKind::SecretKey),
            ),
            SecretKind::SecretKey => (
                UploadKind::Share(SecretKind::SecretKey),
                UploadKind::Share(SecretKind::Seed),
            ),
        };
        let stored = |place: u32, kind| body.pair(place, member).and_then(|p| p.slot(kind));
        if places.iter().any(|&place| stored(place, other).is_some()) {
            let what = if secret == SecretKind::Seed {
                "secret key"
            } else {
                "seed"
            };
            return refuse_in(
                Why::AlreadyThere,
                at,
                &format!("some senders have upload {what}"),
            );
        }
        let entries: Vec<_> = places
            .into_iter()
            .zip(shares)
            .filter(|(p, text)| stored(*p, kind) != Some(text))
            .map(|(p, t)| (p, t.clone()))
            .collect();
        if entries.is_empty() {
            return Ok(Decision::repeated());
        }
        Ok(Decision::done(Change::Upload {
            round: id,
            kind,
            member,
            entries,
        }))
    }

    pub(super) fn share_records(
        &self,
        at: &RoundRef,
        senders: &[String],
        receiver: &str,
    ) -> Result<Decision, Rejection> {
        let (id, _) = self.round_of(at, None)?;
        let body = self.body_of(id)?;
        let Some(places) = places(body, senders, None) else {
            return refuse_in(Why::NoSuchMember, at, "some senders do not exist");
        };
        let Some(receiver_place) = body.place(receiver) else {
            return refuse_in(
                Why::NoSuchMember,
                at,
                &format!("member {receiver} doesn't exist"),
            );
        };
        let views: Vec<ShareEntry> = places
            .into_iter()
            .map(|sender| {
                body.pair(sender, receiver_place)
                    .map_or_else(ShareEntry::default, |p| ShareEntry {
                        seed: p.seed.clone(),
                        seed_commitment: p.seed_commitment.clone(),
                        secret_key: p.secret_key.clone(),
                        secret_key_commitment: p.secret_key_commitment.clone(),
                    })
            })
            .collect();
        if views.iter().any(|v| v.seed_commitment.is_none()) {
            return refuse_in(
                Why::SeedCommitmentMissing,
                at,
                "some senders do not have seed commitments",
            );
        }
        if views.iter().any(|v| v.secret_key_commitment.is_none()) {
            return refuse_in(
                Why::KeyCommitmentMissing,
                at,
                "some senders do not have secret key commitments",
            );
        }
        Ok(Decision::read(Answer::Shares(views)))
    }
}

/// Places of the listed members; `None` if one is unknown, is listed twice, or stands elsewhere than at `status`.
fn places(body: &Body, addresses: &[String], status: Option<Status>) -> Option<Vec<u32>> {
    let places: Vec<u32> = addresses
        .iter()
        .map(|a| {
            body.member(a)
                .filter(|(_, m)| status.is_none_or(|s| s == m.status))
                .map(|(place, _)| place)
        })
        .collect::<Option<_>>()?;
    (places.iter().collect::<BTreeSet<_>>().len() == places.len()).then_some(places)
}

fn member_at(body: &Body, at: &RoundRef, address: &str, status: Status) -> Result<u32, Rejection> {
    match body.member(address) {
        Some((place, member)) if member.status == status => Ok(place),
        _ => refuse_in(
            Why::NoSuchMember,
            at,
            &format!("member {address} doesn't exist"),
        ),
    }
}
