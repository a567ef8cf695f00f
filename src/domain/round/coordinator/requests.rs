//! Members' own requests to a coordinator's round: authenticated, then judged.

use std::sync::Arc;

use super::phase::{MaskedInput, Phase, Unmasking};
use super::{CoordinatorEffect, CoordinatorRound};
use crate::ids::{Address, Digest};
use crate::round::message::{RequestBody, SealedShares, SignedRequest};
use crate::round::transcript::{authenticate, confirmation_digest};
use crate::round::{DeclineCode, Rejection};
use crate::secagg::seal::{OVERHEAD_BYTES, TAG_BYTES};
use crate::secagg::shamir::MAX_ENCODED_BYTES;
use crate::time::Timestamp;

/// The longest that a member seals for one receiver: two shares, and the length of the first.
const MAX_SEALED_BYTES: usize = 1 + 2 * MAX_ENCODED_BYTES + OVERHEAD_BYTES;
/// The most notices and declines that are kept while nobody's keys are known.
const MAX_NOTICES: usize = 10_000;

impl CoordinatorRound {
    /// What a member says: `Joined`, `Decline`, `Shares`, `Confirm` or `Revealed`. All else is asked, and answered without a change.
    ///
    /// Before u1 is known nobody's keys are on record, so `Joined` is only a hint to read the connector, and `Decline` is believed
    /// from nodes that have not joined: at worst a forged one makes the coordinator stop waiting for a node, never for a member.
    pub(super) fn requested(
        &mut self,
        now: Timestamp,
        request: &SignedRequest,
    ) -> Result<Vec<CoordinatorEffect>, Rejection> {
        self.for_this_round(request)?;
        match &request.body {
            RequestBody::Joined => Ok(self.joined(&request.sender)),
            RequestBody::Decline { reason } => self.declined(now, request, *reason),
            RequestBody::Shares { shares } => self.shares(now, request, shares),
            RequestBody::Confirm { statement, tags } => self.confirm(request, statement, tags),
            RequestBody::Revealed => self.revealed(request),
            RequestBody::Attend
            | RequestBody::Depart
            | RequestBody::Variable { .. }
            | RequestBody::FetchShares
            | RequestBody::FetchConfirmations
            | RequestBody::Result { .. } => Err(Rejection::Malformed {
                what: request.body.name(),
                why: "it does not go through this call".into(),
            }),
        }
    }

    /// Looks at the connector once for every known node that says it has joined; the next poll does it for all others.
    fn joined(&mut self, sender: &Address) -> Vec<CoordinatorEffect> {
        let Phase::AdvertiseKeys(joining) = &mut self.phase else {
            return Vec::new();
        };
        let expected = joining.known.is_empty() || joining.known.contains(sender);
        let news = expected
            && !joining.joined.contains(sender)
            && joining.noticed.len() < MAX_NOTICES
            && joining.noticed.insert(sender.clone());
        if news && joining.reading {
            joining.again = true;
            Vec::new()
        } else if news {
            joining.reading = true;
            vec![CoordinatorEffect::ReadJoins]
        } else {
            Vec::new()
        }
    }

    /// What a member of u3 says about it to its neighbours: kept only when it is about this very list. That the tags are right only they can tell.
    fn confirm(
        &mut self,
        request: &SignedRequest,
        statement: &Digest,
        tags: &[u8],
    ) -> Result<Vec<CoordinatorEffect>, Rejection> {
        let what = request.body.name();
        if let Phase::Summing(_) | Phase::Ending(_) | Phase::Done(_) = self.phase {
            // Enough was revealed without it.
            return Ok(Vec::new());
        }
        let (sharing, u2) = self.member_of_u2(request)?;
        let sender = &request.sender;
        let Phase::Unmasking(state) = &self.phase else {
            // u3 may be known to its members a moment before our own call has returned.
            return Err(Rejection::WrongPhase {
                phase: self.phase.name(),
                what,
                late: false,
            });
        };
        if !state.u3.contains(sender) {
            return Err(Rejection::NotAMember {
                sender: sender.clone(),
                what,
            });
        }
        if *statement != confirmation_digest(&sharing.transcript, u2, &state.u3) {
            return Err(Rejection::InconsistentView {
                sender: sender.clone(),
            });
        }
        if tags.len() != TAG_BYTES * sharing.graph().holders_in_order(sender).count() {
            return Err(Rejection::Malformed {
                what,
                why: "it has not one tag for each holder of the sender's shares".into(),
            });
        }
        if let Phase::Unmasking(state) = &mut self.phase {
            state
                .confirmations
                .entry(sender.clone())
                .or_insert_with(|| tags.to_vec());
        }
        Ok(Vec::new())
    }

    fn declined(
        &mut self,
        now: Timestamp,
        request: &SignedRequest,
        reason: DeclineCode,
    ) -> Result<Vec<CoordinatorEffect>, Rejection> {
        let asks = reason == DeclineCode::AsksOwner;
        let reason = reason.to_string();
        let sender = request.sender.clone();
        match &mut self.phase {
            Phase::AdvertiseKeys(joining) => {
                // Nobody has signed this: names that the connector does not know must not be waited for, nor take up room.
                let known = joining.known.is_empty() || joining.known.contains(&sender);
                if known && joining.declined.len() + joining.asking.len() < MAX_NOTICES {
                    if asks {
                        joining.declined.remove(&sender);
                        joining.asking.insert(sender);
                    } else {
                        joining.asking.remove(&sender);
                        joining.declined.insert(sender, reason);
                    }
                }
                Ok(self.select_when_complete(now))
            }
            Phase::ShareKeys(sharing) => {
                // A member that found the round unacceptable before it knew the others' keys signs an empty view.
                authenticate(request, &sharing.directory, sharing.view()).or_else(|e| match e {
                    Rejection::InconsistentView { .. } => Ok(()),
                    other => Err(other),
                })?;
                sharing.declined.insert(sender, reason);
                Ok(self.check_when_shared(now))
            }
            Phase::MaskedInput(input) => {
                // Leaving is believed whatever the member sees: a wrong view may be the very reason.
                authenticate(
                    request,
                    &input.sharing.directory,
                    input.sharing.view_with(&input.u2),
                )
                .or_else(|e| match e {
                    Rejection::InconsistentView { .. } => Ok(()),
                    other => Err(other),
                })?;
                if !input.accepted.contains(&sender) {
                    input.sharing.declined.insert(sender, reason);
                }
                Ok(self.aggregate_when_complete(now))
            }
            // Shown another list than the others, say: it will reveal nothing, and its signature on u3 is not to be waited for.
            Phase::Unmasking(state) if state.may_answer(&sender) => {
                let view = state.sharing.view_with(&state.u2);
                authenticate(request, &state.sharing.directory, view).or_else(|e| match e {
                    Rejection::InconsistentView { .. } => Ok(()),
                    other => Err(other),
                })?;
                state.answered.insert(sender.clone());
                state.sharing.declined.insert(sender, reason);
                Ok(self.unmask_when_enough(now))
            }
            // The connector tells members of the round before its answer reaches us: a decline that is dropped here would be waited for.
            Phase::Starting
            | Phase::Selecting { .. }
            | Phase::CheckingCommitments(_)
            | Phase::StartingCalculation { .. } => Err(Rejection::WrongPhase {
                phase: self.phase.name(),
                what: "decline",
                late: false,
            }),
            _ => Ok(Vec::new()),
        }
    }

    fn shares(
        &mut self,
        now: Timestamp,
        request: &SignedRequest,
        shares: &[SealedShares],
    ) -> Result<Vec<CoordinatorEffect>, Rejection> {
        let sender = &request.sender;
        let phase = self.phase.name();
        let sharing = match &mut self.phase {
            Phase::ShareKeys(sharing) => sharing,
            Phase::AdvertiseKeys(_) | Phase::Starting | Phase::Selecting { .. } => {
                return Err(Rejection::WrongPhase {
                    phase,
                    what: "shares",
                    late: false,
                });
            }
            Phase::CheckingCommitments(sharing)
            | Phase::StartingCalculation { sharing, .. }
            | Phase::StartingAggregation {
                input: MaskedInput { sharing, .. },
                ..
            }
            | Phase::MaskedInput(MaskedInput { sharing, .. })
            | Phase::Unmasking(Unmasking { sharing, .. })
                if sharing
                    .shares
                    .get(sender)
                    .is_some_and(|s| **s == by_receiver(shares)) =>
            {
                // They are here; the answer that said so may have been lost.
                return authenticate(request, &sharing.directory, sharing.view())
                    .map(|()| Vec::new());
            }
            _ => {
                return Err(Rejection::WrongPhase {
                    phase,
                    what: "shares",
                    late: true,
                });
            }
        };
        authenticate(request, &sharing.directory, sharing.view())?;
        let malformed = |why: &str| Rejection::Malformed {
            what: "shares",
            why: why.into(),
        };
        if shares.iter().any(|s| s.sender != *sender) {
            return Err(malformed(
                "all share senders should be equal to member address",
            ));
        }
        let shares = by_receiver(shares);
        let receivers = shares.iter().map(|s| &s.receiver);
        if !sharing.graph().holders_in_order(sender).eq(receivers) {
            return Err(malformed("should share to all members in RUNNING phase"));
        }
        if shares.iter().any(|s| s.sealed.len() > MAX_SEALED_BYTES) {
            return Err(malformed("a sealed share is too long"));
        }
        if let Some(before) = sharing.shares.get(sender) {
            return if **before == shares {
                Ok(Vec::new())
            } else {
                Err(Rejection::Conflict {
                    sender: Some(sender.clone()),
                    what: "shares",
                })
            };
        }
        sharing.shares.insert(sender.clone(), Arc::new(shares));
        Ok(self.check_when_shared(now))
    }

    fn revealed(&mut self, request: &SignedRequest) -> Result<Vec<CoordinatorEffect>, Rejection> {
        match &mut self.phase {
            Phase::Unmasking(state) => {
                authenticate(
                    request,
                    &state.sharing.directory,
                    state.sharing.view_with(&state.u2),
                )?;
                if !state.u3.contains(&request.sender) {
                    return Err(Rejection::NotAMember {
                        sender: request.sender.clone(),
                        what: "revealed",
                    });
                }
                let news = !state.answered.contains(&request.sender)
                    && state.noticed.insert(request.sender.clone());
                Ok(if news {
                    vec![self.read_reveals(request.sender.clone())]
                } else {
                    Vec::new()
                })
            }
            // The notice has overtaken our own call.
            Phase::StartingAggregation { .. } => Err(Rejection::WrongPhase {
                phase: self.phase.name(),
                what: "revealed",
                late: false,
            }),
            // Enough others have revealed already, or the notice is of no use any more.
            _ => Ok(Vec::new()),
        }
    }
}

/// A copy in the order of the receivers, however they were sent.
fn by_receiver(shares: &[SealedShares]) -> Vec<SealedShares> {
    let mut shares = shares.to_vec();
    shares.sort_by(|a, b| a.receiver.cmp(&b.receiver));
    shares
}

#[cfg(test)]
mod tests;
