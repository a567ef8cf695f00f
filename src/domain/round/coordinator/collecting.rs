//! From shares to masked results: when u2 and u3 are complete, and whose results count.

use super::joining::other_members;
use super::phase::{Phase, Sharing};
use super::{CoordinatorEffect, CoordinatorRound};
use crate::ids::{Address, Digest};
use crate::round::{FailureCode, Members, Rejection, RoundFailure, names};
use crate::time::Timestamp;

impl CoordinatorRound {
    /// Goes on when every usable member has shared or declined, or the deadline has passed.
    pub(super) fn check_when_shared(&mut self, now: Timestamp) -> Vec<CoordinatorEffect> {
        let Phase::ShareKeys(sharing) = &self.phase else {
            return Vec::new();
        };
        if now < self.deadline && sharing.anybody_silent() {
            if sharing.silent().any(|a| !self.lost.contains(a)) {
                return Vec::new();
            }
            let here = here(sharing.shares.keys(), sharing);
            if self.too_few("u2", &here, &here, sharing).is_some() {
                // They may come back.
                return Vec::new();
            }
        }
        let graph = sharing.graph();
        let senders = here(sharing.shares.keys(), sharing);
        let pairs = senders
            .iter()
            .map(|receiver| {
                (
                    receiver.clone(),
                    graph
                        .holders_in_order(receiver)
                        .filter(|a| senders.contains(*a))
                        .cloned()
                        .collect(),
                )
            })
            .collect();
        self.phase = Phase::CheckingCommitments(sharing.clone());
        self.deadline = now + self.waiting_time();
        vec![CoordinatorEffect::CheckCommitments { pairs }]
    }

    pub(super) fn commitments_checked(&mut self, missing: Vec<Address>) -> Vec<CoordinatorEffect> {
        let Phase::CheckingCommitments(sharing) = &self.phase else {
            return Vec::new();
        };
        let mut sharing = sharing.clone();
        for sender in missing {
            let why = "its share commitments are not on record".into();
            sharing.declined.entry(sender).or_insert(why);
        }
        let u2 = here(sharing.shares.keys(), &sharing);
        if let Some(failure) = self.too_few("u2", &u2, &u2, &sharing) {
            return self.fail_with(failure);
        }
        let list = u2.iter().cloned().collect();
        self.phase = Phase::StartingCalculation { sharing, u2 };
        vec![CoordinatorEffect::StartCalculation { u2: list }]
    }

    pub(super) fn result_uploaded(
        &mut self,
        member: Address,
        digest: Digest,
    ) -> Result<Vec<CoordinatorEffect>, Rejection> {
        let phase = self.phase.name();
        let Phase::MaskedInput(input) = &mut self.phase else {
            return Err(Rejection::WrongPhase {
                phase,
                what: "result",
                late: true,
            });
        };
        if !input.u2.contains(&member) {
            return Err(Rejection::NotAMember {
                sender: member,
                what: "result",
            });
        }
        match input.uploads.get(&member) {
            Some(before) if *before != digest => {
                return Err(Rejection::Conflict {
                    sender: Some(member),
                    what: "result",
                });
            }
            // Its commitment is being looked for.
            Some(_) => return Ok(Vec::new()),
            None => {}
        }
        input.uploads.insert(member.clone(), digest);
        Ok(vec![CoordinatorEffect::ReadResultCommitment { member }])
    }

    pub(super) fn result_commitment(
        &mut self,
        now: Timestamp,
        member: &Address,
        commitment: Option<&str>,
    ) -> Vec<CoordinatorEffect> {
        let Phase::MaskedInput(input) = &mut self.phase else {
            return Vec::new();
        };
        let Some(digest) = input.uploads.get(member) else {
            return Vec::new();
        };
        match commitment.map(str::parse::<Digest>) {
            None => return Vec::new(), // Not on record yet: the next poll looks again.
            Some(Ok(committed)) if committed == *digest => {
                input.accepted.insert(member.clone());
            }
            Some(_) => {
                input.sharing.declined.insert(
                    member.clone(),
                    "its result does not match its commitment".into(),
                );
            }
        }
        self.aggregate_when_complete(now)
    }

    /// Goes on when every member of u2 has a result or declined, or the deadline has passed.
    pub(super) fn aggregate_when_complete(&mut self, now: Timestamp) -> Vec<CoordinatorEffect> {
        let Phase::MaskedInput(input) = &self.phase else {
            return Vec::new();
        };
        let u3 = here(&input.accepted, &input.sharing);
        if now < self.deadline && input.anybody_silent() {
            let waits = input.silent().any(|a| !self.lost.contains(a));
            // Those that are not there may come back where the sum is too small without them.
            if waits || self.too_few("u3", &u3, &input.u2, &input.sharing).is_some() {
                return Vec::new();
            }
        }
        if let Some(failure) = self.too_few("u3", &u3, &input.u2, &input.sharing) {
            return self.fail_with(failure);
        }
        let list = u3.iter().cloned().collect();
        self.phase = Phase::StartingAggregation {
            input: input.clone(),
            u3,
        };
        self.deadline = now + self.waiting_time();
        vec![CoordinatorEffect::StartAggregation { u3: list }]
    }

    /// A set that is too small for the strategy, or too small to put the shares of one of `owners` together again.
    ///
    /// Found out before anything is revealed: a round that cannot be unmasked gives away nothing.
    fn too_few(
        &self,
        what: &str,
        members: &Members,
        owners: &Members,
        sharing: &Sharing,
    ) -> Option<RoundFailure> {
        let declined: Vec<String> = sharing
            .declined
            .iter()
            .map(|(a, why)| format!("{a}: {why}"))
            .collect();
        let silent: Members = sharing
            .usable()
            .difference(members)
            .filter(|a| !sharing.declined.contains_key(*a))
            .cloned()
            .collect();
        let because = format!(
            "; silent: {}{}",
            names(&silent),
            if declined.is_empty() {
                String::new()
            } else {
                format!("; declined: {}", declined.join("; "))
            }
        );
        let bound = self.bound();
        let absent: Members = bound.difference(members).cloned().collect();
        if !absent.is_empty() {
            let reason = format!("{}{because}", other_members(&absent));
            return Some(RoundFailure::new(FailureCode::TooFewMembers, reason));
        }
        if members.len() < self.cohort_floor() {
            let reason = format!(
                "{what} has {} of at least {} members{because}",
                members.len(),
                self.cohort_floor()
            );
            return Some(RoundFailure::new(FailureCode::TooFewMembers, reason));
        }
        if self.proof {
            // Masks cancel over all of u2, and no shares could take the place of one that is missing.
            let missing: Members = owners.difference(members).cloned().collect();
            return (!missing.is_empty()).then(|| {
                let reason = format!("{what} lacks {}{because}", names(&missing));
                RoundFailure::new(FailureCode::TooFewMembers, reason)
            });
        }
        let graph = sharing.graph();
        owners.iter().find_map(|a| {
            let holders = graph.holders_in_order(a);
            let here = holders.filter(|h| members.contains(*h)).count();
            let need = sharing.threshold();
            (here < need).then(|| {
                let reason = format!("only {here} holders of the shares of {a} are in {what}, {need} are needed{because}");
                RoundFailure::new(FailureCode::TooFewShares, reason)
            })
        })
    }
}

/// Those of a list who have not declined.
fn here<'a>(list: impl IntoIterator<Item = &'a Address>, sharing: &Sharing) -> Members {
    let here = list
        .into_iter()
        .filter(|a| !sharing.declined.contains_key(*a));
    here.cloned().collect()
}
