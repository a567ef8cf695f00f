//! A round in which members prove: from the keys to the end, without shares and without anything to reveal.
//!
//! Masks of pairs cancel over all members, so that whoever is missing ends the round; what was uploaded by then tells nothing.

use std::collections::BTreeMap;

use super::phase::{MaskedInput, Phase, Sharing};
use super::{PairKey, ProofGround, RunnerEffect, RunnerRound, share_keys};
use crate::records::cohort_digest;
use crate::round::{FailureCode, Members, Rejection, names};
use crate::secret::Secret;
use crate::time::Timestamp;

impl RunnerRound {
    /// The keys are judged: from here a list of provers is waited for, which may be known already.
    pub(super) fn keys_for_a_proof(
        &mut self,
        now: Timestamp,
        sharing: Sharing,
        early: Option<Members>,
    ) -> Vec<RunnerEffect> {
        self.phase = Phase::ShareKeys {
            sharing,
            self_mask: Secret::new([0; 32]),
            post: None,
        };
        self.deadline = now + self.context.strategy.wait_timeout() + self.grace();
        match early {
            Some(u2) => self.begin_proof(now, u2),
            None => Vec::new(),
        }
    }

    /// u2 is published.
    pub(super) fn proof_started(
        &mut self,
        now: Timestamp,
        u2: Members,
    ) -> Result<Vec<RunnerEffect>, Rejection> {
        match &mut self.phase {
            Phase::AdvertiseKeys { .. } if !u2.contains(&self.context.me) => {
                Ok(self.leave("AdvertiseKeys"))
            }
            Phase::AdvertiseKeys { .. } => Err(Rejection::WrongPhase {
                phase: self.phase.name(),
                what: "u2",
                late: false,
            }),
            // Nothing lies between u1 and u2 at the coordinator.
            Phase::ReadKeys { early, .. } => match early {
                Some(before) if *before != u2 => Err(Rejection::Conflict {
                    sender: None,
                    what: "u2",
                }),
                _ => {
                    *early = Some(u2);
                    Ok(Vec::new())
                }
            },
            Phase::ShareKeys { .. } => Ok(self.begin_proof(now, u2)),
            _ => self.phase.repeat_of("u2", |p| p.u2() == Some(&u2)),
        }
    }

    fn begin_proof(&mut self, now: Timestamp, u2: Members) -> Vec<RunnerEffect> {
        let Phase::ShareKeys { sharing, .. } = &self.phase else {
            return Vec::new();
        };
        let usable: Members = sharing.directory.members().keys().cloned().collect();
        if u2 != usable || u2 != sharing.u1 {
            let other: Members = u2.symmetric_difference(&sharing.u1).cloned().collect();
            let reason = format!(
                "all members of u1 prove, and u2 differs from it or has unusable keys: {}",
                names(&other)
            );
            return self.fail(FailureCode::ProtocolViolation, reason);
        }
        let sharing = sharing.clone();
        let ground = match self.proof_ground(&sharing, &u2) {
            Ok(ground) => ground,
            Err(reason) => return self.fail(FailureCode::ProtocolViolation, reason),
        };
        let variables = self.variables(&sharing, &u2);
        self.phase = Phase::MaskedInput(MaskedInput {
            sharing,
            u2,
            held: BTreeMap::new(),
            upload: None,
            point: None,
        });
        self.deadline = now + self.context.strategy.verify_timeout() + self.grace();
        vec![RunnerEffect::Prove { variables, ground }]
    }

    /// Keys of pairs come from what seals shares in other rounds, identities included and bound to the transcript: nothing here opens before
    /// something leaves, so that whoever is shown keys of somebody else must mask with what that one does not know.
    fn proof_ground(&self, sharing: &Sharing, u2: &Members) -> Result<ProofGround, String> {
        let me = &self.context.me;
        let others = u2.iter().filter(|a| *a != me);
        let peers = others.map(|peer| {
            let key = sharing.seal_key(peer)?;
            Ok(PairKey {
                peer: peer.clone(),
                key: key.proof_key(&sharing.transcript, me, peer),
            })
        });
        Ok(ProofGround {
            peers: peers.collect::<Result<_, String>>()?,
            seed: Secret::draw(&mut share_keys::rng(&self.seed, "proof")),
        })
    }

    /// u3 is published: all proofs are at the coordinator.
    pub(super) fn proofs_are_here(
        &mut self,
        now: Timestamp,
        u3: Members,
    ) -> Result<Vec<RunnerEffect>, Rejection> {
        let state = match &self.phase {
            Phase::MaskedInput(state) => state,
            Phase::Unmasking { .. } => {
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
        };
        if u3 != state.u2 {
            let other: Members = u3.symmetric_difference(&state.u2).cloned().collect();
            let reason = format!(
                "a certificate is of all who prove, and u3 is not u2: {}",
                names(&other)
            );
            return Ok(self.fail(FailureCode::ProtocolViolation, reason));
        }
        if state.upload.is_none() {
            return Ok(self.fail(
                FailureCode::ProtocolViolation,
                "u3 lists this node, which has sent no proof",
            ));
        }
        let (u1, u2) = (state.sharing.u1.clone(), state.u2.clone());
        self.summed = Some(cohort_digest(&u3));
        self.phase = Phase::Unmasking { u1, u2, u3 };
        self.forget();
        self.deadline = now + self.context.strategy.wait_timeout() + self.grace();
        Ok(Vec::new())
    }
}
