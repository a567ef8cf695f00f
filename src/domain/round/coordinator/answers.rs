//! What a coordinator's round answers to members, and whom it lets up- and download: nothing here changes it.

use std::collections::BTreeMap;

use super::CoordinatorRound;
use super::phase::{Phase, Sharing};
use crate::ids::Digest;
use crate::round::message::{Confirmation, RequestBody, ShareDelivery, SignedRequest};
use crate::round::transcript::authenticate;
use crate::round::{Members, Rejection, names};

impl CoordinatorRound {
    /// The shares sealed for the sender of a `FetchShares`.
    ///
    /// # Errors
    /// [`Rejection`] before u2 is published, from strangers, or without a valid signature.
    pub fn deliver(&self, request: &SignedRequest) -> Result<ShareDelivery, Rejection> {
        let (sharing, u2) = self.member_of_u2(request)?;
        let me = &request.sender;
        let mut shares = Vec::new();
        for sender in sharing.senders_to(me, u2) {
            if let Some(theirs) = sharing.shares.get(sender) {
                // In the receivers' order since they were taken.
                let at = theirs.binary_search_by(|s| s.receiver.cmp(me));
                shares.extend(at.ok().and_then(|i| theirs.get(i)).cloned());
            }
        }
        Ok(ShareDelivery { shares })
    }

    /// What the holders of the sender's shares say to it about u3, once there is a threshold of them.
    ///
    /// # Errors
    /// [`Rejection`] before that, from strangers, or without a valid signature.
    pub fn confirmations(&self, request: &SignedRequest) -> Result<Vec<Confirmation>, Rejection> {
        let early = Rejection::WrongPhase {
            phase: self.phase.name(),
            what: request.body.name(),
            late: false,
        };
        if let Phase::Summing(_) | Phase::Ending(_) = self.phase {
            // Enough was revealed without the sender, which will hear of the end.
            return Err(early);
        }
        let (sharing, _) = self.member_of_u2(request)?;
        let Phase::Unmasking(state) = &self.phase else {
            return Err(early);
        };
        let (mut said, mut silent) = (Vec::new(), Vec::new());
        for holder in sharing.graph().holders_in_order(&request.sender) {
            match state.word_of(holder, &request.sender) {
                Some(tag) => said.push(Confirmation {
                    member: holder.clone(),
                    tag,
                }),
                None if state.u3.contains(holder) => silent.push(holder),
                None => {}
            }
        }
        if said.len() < sharing.threshold() {
            let waits_for = format!(
                "{} confirmations of u3, {} are here; silent: {}",
                sharing.threshold(),
                said.len(),
                names(silent)
            );
            return Err(Rejection::NotYet {
                what: request.body.name(),
                waits_for,
            });
        }
        Ok(said)
    }

    /// Whether the sender of a `Variable` may have it.
    ///
    /// # Errors
    /// [`Rejection`] before u2 is published, from strangers, or without a valid signature.
    pub fn authorise_variable(&self, request: &SignedRequest) -> Result<(), Rejection> {
        self.member_of_u2(request).map(|_| ())
    }

    /// Whether the sender of a `Result` may upload it now; answers the digest and length announced, and whether it is already here.
    ///
    /// # Errors
    /// [`Rejection`] outside the phase, from strangers, without a valid signature, or when another result was uploaded before.
    pub fn authorise_result(
        &self,
        request: &SignedRequest,
    ) -> Result<(Digest, u64, bool), Rejection> {
        let RequestBody::Result { digest, len } = &request.body else {
            return Err(Rejection::Malformed {
                what: request.body.name(),
                why: "it is not a result".into(),
            });
        };
        self.member_of_u2(request)?;
        let nothing = BTreeMap::new();
        let (uploads, open, late) = match &self.phase {
            Phase::MaskedInput(m) => (&m.uploads, true, false),
            Phase::StartingAggregation { input, .. } => (&input.uploads, false, true),
            Phase::Unmasking(u) => (&u.uploads, false, true),
            _ => (&nothing, false, false),
        };
        match uploads.get(&request.sender) {
            Some(before) if before != digest => Err(Rejection::Conflict {
                sender: Some(request.sender.clone()),
                what: "result",
            }),
            // Also after the phase: the answer to the upload may have been lost.
            Some(_) => Ok((*digest, *len, true)),
            None if open => Ok((*digest, *len, false)),
            None => Err(Rejection::WrongPhase {
                phase: self.phase.name(),
                what: "result",
                late,
            }),
        }
    }

    /// Whether a request belongs to this task and round at all.
    pub(super) fn for_this_round(&self, request: &SignedRequest) -> Result<(), Rejection> {
        let announcement = &self.context.announcement;
        if request.task == announcement.task && request.round == announcement.round {
            Ok(())
        } else {
            Err(Rejection::Malformed {
                what: request.body.name(),
                why: "it is for another task or round".into(),
            })
        }
    }

    /// The sender's place once u2 is published: an authenticated member of u2.
    pub(super) fn member_of_u2(
        &self,
        request: &SignedRequest,
    ) -> Result<(&Sharing, &Members), Rejection> {
        self.for_this_round(request)?;
        let what = request.body.name();
        let (sharing, u2) = match &self.phase {
            Phase::MaskedInput(m) | Phase::StartingAggregation { input: m, .. } => {
                (&m.sharing, &m.u2)
            }
            Phase::Unmasking(u) => (&u.sharing, &u.u2),
            // u2 may be on record, and known to its members, a moment before our own call has returned.
            Phase::StartingCalculation { sharing, u2 } => (sharing, u2),
            phase => {
                return Err(Rejection::WrongPhase {
                    phase: phase.name(),
                    what,
                    late: matches!(phase, Phase::Summing(_) | Phase::Ending(_) | Phase::Done(_)),
                });
            }
        };
        authenticate(request, &sharing.directory, sharing.view_with(u2))?;
        if u2.contains(&request.sender) {
            Ok((sharing, u2))
        } else {
            Err(Rejection::NotAMember {
                sender: request.sender.clone(),
                what,
            })
        }
    }
}
