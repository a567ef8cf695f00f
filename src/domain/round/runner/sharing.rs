//! From u1 to shares: whether the cohort is acceptable, whose keys can be used, what is split and posted.

use super::phase::{Phase, Sharing};
use super::{RunnerEffect, RunnerRound, share_keys};
use crate::ids::Address;
use crate::round::message::RequestBody;
use crate::round::record::RawPublicKeys;
use crate::round::{Acquaintances, Directory, FailureCode, Members, Rejection, names, unique};
use crate::time::Timestamp;

impl RunnerRound {
    pub(super) fn selected(
        &mut self,
        now: Timestamp,
        list: &[Address],
    ) -> Result<Vec<RunnerEffect>, Rejection> {
        let u1 = unique(list, "u1")?;
        let Phase::AdvertiseKeys { cipher, mask } = &self.phase else {
            return self.phase.repeat_of("u1", |p| p.u1() == Some(&u1));
        };
        if !u1.contains(&self.context.me) {
            return Ok(self.leave("AdvertiseKeys"));
        }
        if let Some(failure) = self.too_small("u1", &u1) {
            return Ok(self.fail_with(failure));
        }
        if let Some(failure) = self.not_the_cohort("u1", &u1) {
            return Ok(self.fail_with(failure));
        }
        let members: Vec<Address> = u1.iter().cloned().collect();
        self.phase = Phase::ReadKeys {
            cipher: cipher.clone(),
            mask: mask.clone(),
            u1,
            early: None,
        };
        self.deadline = now + self.context.strategy.wait_timeout() + self.grace();
        Ok(vec![RunnerEffect::ReadKeys { members }])
    }

    pub(super) fn public_keys(
        &mut self,
        now: Timestamp,
        raw: &[RawPublicKeys],
        others: Acquaintances,
    ) -> Result<Vec<RunnerEffect>, Rejection> {
        let Phase::ReadKeys {
            cipher,
            mask,
            u1,
            early,
        } = &self.phase
        else {
            return Ok(Vec::new());
        };
        let members: Vec<Address> = u1.iter().cloned().collect();
        if raw.len() != members.len() {
            return Err(Rejection::Malformed {
                what: "the list of keys",
                why: format!("{} keys for {} members", raw.len(), members.len()),
            });
        }
        let curve = self.context.strategy.curve;
        let directory = Directory::judge_with(curve, &members, raw, |pk1| cipher.read(pk1));
        if let Some(why) = directory.excluded().get(&self.context.me) {
            let reason =
                format!("the keys on record under this node's address are unusable: {why}");
            return Ok(self.fail(FailureCode::ProtocolViolation, reason));
        }
        let own = directory.keys(&self.context.me);
        if own.is_none_or(|k| k.cipher != cipher.pair().public() || k.mask != mask.public()) {
            return Ok(self.fail(
                FailureCode::ProtocolViolation,
                "the keys on record under this node's address are not this node's",
            ));
        }
        let usable: Members = directory.members().keys().cloned().collect();
        if let Some(failure) = self.too_small("u1 with valid keys", &usable) {
            return Ok(self.fail_with(failure));
        }
        let changed: Members = usable.intersection(&others.changed).cloned().collect();
        if !changed.is_empty() {
            let reason = format!(
                "another key than before was proved for {}: `delta-node identity known` shows both",
                names(&changed)
            );
            return Ok(self.fail(FailureCode::ProtocolViolation, reason));
        }
        if let Some(failure) = self.too_few_known("u1", &usable, &others) {
            return Ok(self.fail_with(failure));
        }
        let floor = others.floor(&self.context.me, &usable, self.context.privacy);
        let strangers = usable.len() - others.counted(&self.context.me, &usable);
        let sharing = Sharing::prepare(
            &self.context,
            cipher.clone(),
            mask.clone(),
            u1.clone(),
            directory,
            others,
        );
        if self.proof {
            let early = early.clone();
            return Ok(self.keys_for_a_proof(now, sharing, early));
        }
        if let Some(why) = sharing.neighbourhood.objection(usable.len(), &floor) {
            let why = match strangers {
                0 => why,
                _ => format!("{why}; neither roster nor pins vouch for {strangers} of them"),
            };
            return Ok(self.fail(FailureCode::TooWeak, why));
        }
        match share_keys::share(&self.context, &self.seed, &sharing) {
            Err(why) => Ok(self.fail(FailureCode::ProtocolViolation, why)),
            Ok(shared) => {
                let post = self.request(
                    &sharing,
                    None,
                    RequestBody::Shares {
                        shares: shared.sealed,
                    },
                );
                let effect = RunnerEffect::PublishCommitments {
                    seed: shared.seed_commitments,
                    key: shared.key_commitments,
                };
                self.deadline = now + self.context.strategy.wait_timeout() + self.grace();
                self.phase = Phase::ShareKeys {
                    sharing,
                    self_mask: shared.self_mask,
                    post: Some(post),
                };
                Ok(vec![effect])
            }
        }
    }

    pub(super) fn commitments_published(&mut self) -> Vec<RunnerEffect> {
        match &mut self.phase {
            Phase::ShareKeys { post, .. } => post
                .take()
                .map(|request| RunnerEffect::PostShares { request })
                .into_iter()
                .collect(),
            _ => Vec::new(),
        }
    }
}
