//! From u2 to the masked result: who shares masks with whom, and which one vector may leave.

use super::phase::{MaskedInput, Phase, Sharing};
use super::{MaskStream, NoiseGround, RunnerEffect, RunnerRound, VariableRequest, share_keys};
use crate::ids::{Address, Digest, Name};
use crate::round::message::{RequestBody, ShareDelivery};
use crate::round::record::RawShareRecord;
use crate::round::{FailureCode, Members, Rejection, unique};
use crate::secagg::keys::PublicKey;
use crate::secagg::pairwise::{pairwise_seeds, sign_for};
use crate::secret::Secret;
use crate::time::Timestamp;

impl RunnerRound {
    pub(super) fn calculation_started(
        &mut self,
        now: Timestamp,
        list: &[Address],
    ) -> Result<Vec<RunnerEffect>, Rejection> {
        let u2 = unique(list, "u2")?;
        if self.proof {
            return self.proof_started(now, u2);
        }
        match &self.phase {
            Phase::AdvertiseKeys { .. } | Phase::ReadKeys { .. }
                if !u2.contains(&self.context.me) =>
            {
                return Ok(self.leave("ShareKeys"));
            }
            Phase::AdvertiseKeys { .. } | Phase::ReadKeys { .. } => {
                return Err(Rejection::WrongPhase {
                    phase: self.phase.name(),
                    what: "u2",
                    late: false,
                });
            }
            Phase::ShareKeys { .. } => {}
            _ => return self.phase.repeat_of("u2", |p| p.u2() == Some(&u2)),
        }
        let Phase::ShareKeys {
            sharing, self_mask, ..
        } = &self.phase
        else {
            return Ok(Vec::new());
        };
        if let Some(stranger) = u2.iter().find(|a| sharing.directory.keys(a).is_none()) {
            let reason = format!("u2 lists {stranger}, who is not a usable member of u1");
            return Ok(self.fail(FailureCode::ProtocolViolation, reason));
        }
        if !u2.contains(&self.context.me) {
            return Ok(self.leave("ShareKeys"));
        }
        if let Some(failure) = self.too_small("u2", &u2) {
            return Ok(self.fail_with(failure));
        }
        if let Some(failure) = self.too_few_known("u2", &u2, &sharing.others) {
            return Ok(self.fail_with(failure));
        }
        let holders = sharing
            .graph()
            .holders_in_order(&self.context.me)
            .filter(|a| u2.contains(*a))
            .count();
        if holders < sharing.threshold() {
            let reason = format!(
                "only {holders} holders of this node's shares are in u2, the threshold is {}",
                sharing.threshold()
            );
            return Ok(self.fail(FailureCode::TooFewMembers, reason));
        }
        let (sharing, self_mask) = (sharing.clone(), self_mask.clone());
        let senders = sharing.senders_to(&self.context.me, &u2);
        let request = self.request(&sharing, Some(&u2), RequestBody::FetchShares);
        self.phase = Phase::CollectShares {
            sharing,
            self_mask,
            u2,
        };
        self.deadline = now + self.context.strategy.wait_timeout() + self.grace();
        Ok(vec![RunnerEffect::CollectShares { request, senders }])
    }

    pub(super) fn shares_collected(
        &mut self,
        delivery: &ShareDelivery,
        records: &[RawShareRecord],
    ) -> Result<Vec<RunnerEffect>, Rejection> {
        let Phase::CollectShares {
            sharing,
            self_mask,
            u2,
        } = &self.phase
        else {
            return Ok(Vec::new());
        };
        let senders = sharing.senders_to(&self.context.me, u2);
        let held = match share_keys::open_shares(&self.context, sharing, senders, delivery, records)
        {
            Ok(held) => held,
            Err(reason) => return Ok(self.fail(FailureCode::ProtocolViolation, reason)),
        };
        let masks = match self.mask_streams(sharing, self_mask, u2) {
            Ok(masks) => masks,
            Err(reason) => return Ok(self.fail(FailureCode::ProtocolViolation, reason)),
        };
        let variables = self.variables(sharing, u2);
        let cohort = u2.len();
        let noise = Some(self.noise_ground(sharing, u2));
        self.phase = Phase::MaskedInput(MaskedInput {
            sharing: sharing.clone(),
            u2: u2.clone(),
            held,
            upload: None,
            point: None,
        });
        Ok(vec![RunnerEffect::Compute {
            variables,
            masks,
            cohort,
            noise,
        }])
    }

    /// The server variables that the step reads, each to be asked for.
    pub(super) fn variables(&self, sharing: &Sharing, u2: &Members) -> Vec<VariableRequest> {
        let request = |name: &Name| {
            let body = RequestBody::Variable {
                name: Name::clone(name),
            };
            self.request(sharing, Some(u2), body)
        };
        let announced = self.context.announcement.variables.iter();
        announced
            .map(|(name, digest)| VariableRequest {
                name: name.clone(),
                digest: *digest,
                request: request(name),
            })
            .collect()
    }

    /// How noise must be sized for this round, and what it is drawn from.
    fn noise_ground(&self, sharing: &Sharing, u2: &Members) -> NoiseGround {
        let floor = sharing
            .others
            .floor(&self.context.me, u2, self.context.privacy);
        let complete = sharing.neighbourhood.degree.is_none();
        // In a ring the holders of this member's shares may be a few of many.
        let holders = if complete { sharing.threshold() } else { 0 };
        let strategy = &self.context.strategy;
        NoiseGround {
            seed: Secret::draw(&mut share_keys::rng(&self.seed, "noise")),
            shares: strategy.noise_shares(u2.len(), complete),
            // Not this owner's floor: others may reveal this member's shares for a sum that this one would not.
            smallest_sum: usize::try_from(strategy.min_clients)
                .unwrap_or(usize::MAX)
                .max(holders),
            colluders: floor.colluders_among(u2.len()),
        }
    }

    pub(super) fn masked(
        &mut self,
        digest: Digest,
        len: u64,
        point: Option<Digest>,
    ) -> Result<Vec<RunnerEffect>, Rejection> {
        let request = match &self.phase {
            Phase::MaskedInput(m) if m.upload.is_none() => {
                self.request(&m.sharing, Some(&m.u2), RequestBody::Result { digest, len })
            }
            Phase::MaskedInput(m) if m.upload != Some(digest) => {
                // Two different vectors under the same masks would give away their difference.
                return Err(Rejection::Conflict {
                    sender: None,
                    what: "the masked result",
                });
            }
            _ => return Ok(Vec::new()),
        };
        if let Phase::MaskedInput(m) = &mut self.phase {
            m.upload = Some(digest);
            m.point = point;
        }
        Ok(vec![RunnerEffect::Upload {
            commitment: digest,
            len,
            request,
        }])
    }

    fn mask_streams(
        &self,
        sharing: &Sharing,
        self_mask: &Secret<32>,
        u2: &Members,
    ) -> Result<Vec<MaskStream>, String> {
        let me = &self.context.me;
        let others = sharing.graph().neighbours(me).filter(|a| u2.contains(*a));
        let others: Vec<&Address> = others.collect();
        let key_of = |other: &&Address| {
            let keys = sharing.directory.keys(other);
            keys.map(|k| &k.mask)
                .ok_or_else(|| format!("{other} has no keys"))
        };
        let theirs: Vec<&PublicKey> = others.iter().map(key_of).collect::<Result<_, _>>()?;
        let (task, round) = (self.context.task(), self.context.round());
        let seeds = pairwise_seeds(&sharing.mask, &theirs, task, round)
            .map_err(|e| format!("no pairwise masks: {e}"))?;
        let pairwise = others.iter().zip(seeds).map(|(other, seed)| MaskStream {
            seed,
            sign: sign_for(me, other),
        });
        let own = MaskStream::own(self_mask.clone());
        Ok(std::iter::once(own).chain(pairwise).collect())
    }
}
