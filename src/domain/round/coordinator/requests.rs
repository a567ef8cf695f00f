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
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use super::*;
    use crate::ids::{Digest, RoundNumber};
    use crate::round::coordinator::{CoordinatorContext, CoordinatorInput, Publication};
    use crate::round::message::Announcement;
    use crate::round::{Members, Pacing};
    use crate::secret::Secret;
    use crate::strategy::Strategy;
    use crate::task::TaskKind;

    fn address(digits: &str) -> Address {
        format!("0x{}", digits.repeat(20)).parse().unwrap()
    }

    const NOW: Timestamp = Timestamp(1_000_000);

    /// A round of two or three that is being put on record.
    fn starting(patience: Duration) -> CoordinatorRound {
        let task: crate::ids::TaskId = format!("0x{}", "ab".repeat(32)).parse().unwrap();
        let context = CoordinatorContext {
            me: address("01"),
            kind: TaskKind::Horizontal,
            announcement: Announcement {
                task,
                round: RoundNumber(1),
                step: 0,
                variables: BTreeMap::new(),
            },
            bundle: Digest([3; 32]),
            strategy: Strategy {
                max_clients: 3,
                ..Strategy::default()
            },
            floor: 2,
            bound: false,
            previous: Vec::new(),
            silent: Vec::new(),
            came: Vec::new(),
            asked: Vec::new(),
            patience,
        };
        CoordinatorRound::start(NOW, context, Secret::new([7; 32])).0
    }

    /// One that is on record.
    fn joining(patience: Duration) -> CoordinatorRound {
        let mut round = starting(patience);
        round.handle(NOW, CoordinatorInput::Started).unwrap();
        round
    }

    fn decline(sender: &str, reason: DeclineCode) -> CoordinatorInput {
        CoordinatorInput::Request(SignedRequest {
            task: format!("0x{}", "ab".repeat(32)).parse().unwrap(),
            round: RoundNumber(1),
            sender: address(sender),
            view: Digest([0; 32]),
            body: RequestBody::Decline { reason },
            signature: Vec::new(),
        })
    }

    fn joins(joined: &[&str], known: &[&str]) -> CoordinatorInput {
        CoordinatorInput::Joins {
            joined: joined.iter().map(|a| address(a)).collect(),
            known: known.iter().map(|a| address(a)).collect(),
        }
    }

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn a_decline_before_the_round_is_surely_on_record_is_asked_for_again_and_then_counts() {
        let proven = CoordinatorInput::Refused {
            member: address("03"),
            reason: DeclineCode::NotAllowed,
        };
        for said in [decline("03", DeclineCode::Busy), proven] {
            let early = |e| matches!(e, Err(Rejection::WrongPhase { late: false, .. }));
            let mut round = starting(Duration::ZERO);
            assert!(early(round.handle(NOW, said.clone())));
            round.handle(NOW, CoordinatorInput::Started).unwrap();
            round.handle(NOW, said.clone()).unwrap();
            let effects = round
                .handle(NOW, joins(&["01", "02"], &["01", "02", "03"]))
                .unwrap();
            assert!(matches!(
                effects[..],
                [CoordinatorEffect::SelectCandidates { .. }]
            ));
            assert!(early(round.handle(NOW, said)), "it is being put on record");
        }
    }

    #[test]
    fn deadlines_allow_for_blocks_once_and_for_none_where_there_are_none() {
        const SECOND: Duration = Duration::from_secs(1);
        let paced = |block| CoordinatorInput::Paced(Pacing { block, waiting: 0 });
        let mut round = joining(Duration::ZERO);
        let before = round.phase_deadline();
        round.handle(NOW, paced(Duration::ZERO)).unwrap();
        assert_eq!(round.phase_deadline(), before);
        round.handle(NOW, paced(SECOND * 5)).unwrap();
        assert_eq!(round.phase_deadline(), before + SECOND * 35);
        // Shorter, and the same again, are no news.
        for block in [SECOND * 5, SECOND] {
            round.handle(NOW, paced(block)).unwrap();
        }
        // Nor does a look at who has joined forget it.
        let one = joins(&["01"], &["01", "02", "03"]);
        round.handle(NOW, one).unwrap();
        assert_eq!(round.phase_deadline(), before + SECOND * 35);
        let both = joins(&["01", "02"], &["01", "02"]);
        round.handle(NOW, both).unwrap();
        let published = CoordinatorInput::Published(Publication::Selection);
        let whole = round.context().strategy.wait_timeout() + SECOND * 35;
        assert_eq!(round.phase_deadline(), NOW + whole);
        round.handle(NOW, published).unwrap();
    }

    #[test]
    fn who_was_lost_before_a_restart_is_waited_for_after_it() {
        let mut round = joining(Duration::ZERO);
        let members = vec![address("03")];
        round
            .handle(NOW, CoordinatorInput::Lost { members })
            .unwrap();
        round.handle(NOW, CoordinatorInput::TakenUp).unwrap();
        let both = joins(&["01", "02"], &["01", "02", "03"]);
        assert!(round.handle(NOW, both).unwrap().is_empty());
    }

    #[test]
    fn an_owner_who_is_asked_is_waited_for_while_the_round_is_too_small_without_him() {
        let mut round = joining(HOUR);
        round
            .handle(NOW, joins(&["01"], &["01", "02", "03"]))
            .unwrap();
        round
            .handle(NOW, decline("02", DeclineCode::AsksOwner))
            .unwrap();
        assert_eq!(round.phase_deadline(), NOW + HOUR);
        assert_eq!(round.asking(), Members::from([address("02")]));
        assert_eq!(round.waiting_for(), Members::from([address("03")]));
        let later = NOW + Duration::from_secs(1800);
        round.handle(later, CoordinatorInput::Tick).unwrap();
        assert!(!round.is_over());
        let effects = round
            .handle(later, joins(&["01", "02"], &["01", "02", "03"]))
            .unwrap();
        assert!(matches!(
            effects[..],
            [CoordinatorEffect::SelectCandidates { .. }]
        ));
    }

    #[test]
    fn an_owner_who_is_asked_for_the_first_time_has_until_the_deadline() {
        let mut round = joining(HOUR);
        round
            .handle(NOW, decline("03", DeclineCode::AsksOwner))
            .unwrap();
        let both = || joins(&["01", "02"], &["01", "02", "03"]);
        assert!(round.handle(NOW, both()).unwrap().is_empty());
        let deadline = NOW + Duration::from_secs(60);
        assert_eq!(round.phase_deadline(), deadline);
        let effects = round.handle(deadline, CoordinatorInput::Tick).unwrap();
        assert!(matches!(
            effects[..],
            [CoordinatorEffect::SelectCandidates { .. }]
        ));
        // In later rounds nobody waits for this owner's word.
        let mut round = joining(HOUR);
        round.context.asked = vec![address("03")];
        round
            .handle(NOW, decline("03", DeclineCode::AsksOwner))
            .unwrap();
        assert_eq!(round.handle(NOW, both()).unwrap().len(), 1);
    }

    #[test]
    fn when_the_owner_says_no_the_usual_deadline_holds_again() {
        let mut round = joining(HOUR);
        round.handle(NOW, joins(&["01"], &["01", "02"])).unwrap();
        round
            .handle(NOW, decline("02", DeclineCode::AsksOwner))
            .unwrap();
        let later = NOW + Duration::from_secs(1800);
        round
            .handle(later, decline("02", DeclineCode::NotAllowed))
            .unwrap();
        assert!(round.is_over());
    }

    #[test]
    fn patience_ends() {
        let mut round = joining(HOUR);
        round.handle(NOW, joins(&["01"], &["01", "02"])).unwrap();
        round
            .handle(NOW, decline("02", DeclineCode::AsksOwner))
            .unwrap();
        round.handle(NOW + HOUR, CoordinatorInput::Tick).unwrap();
        let Some(crate::round::coordinator::CoordinatorOutcome::Failed(failure)) = round.outcome()
        else {
            panic!("the round goes on");
        };
        assert!(failure.reason.contains("asks its owner"), "{failure:?}");
    }
}
