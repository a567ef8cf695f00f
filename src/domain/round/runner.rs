//! One round as a member sees it.
//!
//! The machine trusts nobody: lists come from the coordinator or the connector, keys and shares from peers. It refuses small cohorts,
//! lists that grow, shares that do not match their commitments, members who saw another round; and it reveals once, for ever.
//! Everything random is drawn from one seed given at the start, so that a log of inputs replays to the same effects.

mod effect;
mod phase;
mod share_keys;

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use effect::{MaskStream, RunnerEffect, VariableRequest};
use phase::{MaskedInput, Phase, Sharing};

use super::message::{Announcement, RequestBody, RoundEnd, ShareDelivery, SignedRequest};
use super::record::{RawPublicKeys, RawShareRecord};
use super::transcript::{transcript_bytes, view_digest};
use super::{Directory, FailureCode, Members, Rejection, RoundFailure, names, unique};
use crate::domain::ids::{Address, Digest, Name, RoundNumber, TaskId};
use crate::domain::secagg::keys::{KeyPair, PublicKey};
use crate::domain::secagg::pairwise::{pairwise_seed, sign_for};
use crate::domain::secret::Secret;
use crate::domain::strategy::Strategy;
use crate::domain::time::Timestamp;

/// Added to every deadline of the coordinator: a member gives up later than the one who decides.
const GRACE: Duration = Duration::from_secs(30);

/// What a member knows before a round begins. Never changes.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RunnerContext {
    /// This node.
    pub me: Address,
    /// What the round computes, as the coordinator announced it.
    pub announcement: Announcement,
    /// The task's strategy.
    pub strategy: Strategy,
    /// The smallest cohort that this node takes part in, whatever the strategy says.
    pub floor: usize,
}

impl RunnerContext {
    /// The task.
    #[must_use]
    pub fn task(&self) -> &TaskId {
        &self.announcement.task
    }

    /// The round.
    #[must_use]
    pub fn round(&self) -> RoundNumber {
        self.announcement.round
    }

    /// The smallest u1, u2 or u3 that is acceptable.
    fn cohort_floor(&self) -> usize {
        self.floor
            .max(usize::try_from(self.strategy.min_clients).unwrap_or(usize::MAX))
    }
}

/// What a member is told, by the connector, the coordinator, or its own effects.
#[derive(Debug, Clone)]
pub enum RunnerInput {
    /// u1 is published.
    Selected {
        /// u1.
        u1: Vec<Address>,
    },
    /// The keys that were asked for, in the order asked.
    PublicKeys(Vec<RawPublicKeys>),
    /// The share commitments are on record.
    CommitmentsPublished,
    /// u2 is published.
    CalculationStarted {
        /// u2.
        u2: Vec<Address>,
    },
    /// The sealed shares for this node, and what is on record about them (senders in the order asked).
    SharesCollected {
        /// From the coordinator.
        delivery: ShareDelivery,
        /// From the connector.
        records: Vec<RawShareRecord>,
    },
    /// The masked vector is on disk.
    Masked {
        /// SHA-256 of the whole upload.
        digest: Digest,
        /// Its length in bytes.
        len: u64,
    },
    /// u3 is published.
    AggregationStarted {
        /// u3.
        u3: Vec<Address>,
    },
    /// The revealed shares are on record.
    Revealed,
    /// The coordinator, or the connector, says that the round is over.
    Ended(RoundEnd),
    /// An effect cannot be carried out.
    Broken {
        /// Whose fault: the computation's or a port's.
        code: FailureCode,
        /// One sentence without private data.
        reason: String,
    },
    /// Time has passed.
    Tick,
}

/// How the round ended for this member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunnerOutcome {
    /// This member's contribution is in the sum.
    Contributed,
    /// The round went on without this member.
    LeftOut {
        /// After which phase.
        phase: String,
    },
    /// The round, or this member's part, failed.
    Failed(RoundFailure),
}

/// One round as a member sees it. A value: serialise it (sealed) and it goes on after a restart.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RunnerRound {
    context: RunnerContext,
    seed: Secret<32>,
    phase: Phase,
    deadline: Timestamp,
}

impl RunnerRound {
    /// Makes this round's keys and joins.
    #[must_use]
    pub fn join(
        now: Timestamp,
        context: RunnerContext,
        seed: Secret<32>,
    ) -> (Self, Vec<RunnerEffect>) {
        let curve = context.strategy.curve;
        let cipher = KeyPair::generate(curve, &mut share_keys::rng(&seed, "cipher key"));
        let mask = KeyPair::generate(curve, &mut share_keys::rng(&seed, "mask key"));
        let keys = RawPublicKeys {
            pk1: cipher.public().to_wire(),
            pk2: mask.public().to_wire(),
        };
        let deadline = now + context.strategy.connection_timeout() + GRACE;
        let notify = sign(&context, &cipher, Digest([0; 32]), RequestBody::Joined);
        let round = Self {
            context,
            seed,
            phase: Phase::AdvertiseKeys { cipher, mask },
            deadline,
        };
        (round, vec![RunnerEffect::Join { keys, notify }])
    }

    /// The one way to change a round.
    ///
    /// # Errors
    /// [`Rejection`] when the input does not fit; the state is as before.
    pub fn handle(
        &mut self,
        now: Timestamp,
        input: RunnerInput,
    ) -> Result<Vec<RunnerEffect>, Rejection> {
        if let Phase::Done(_) = self.phase {
            return Ok(Vec::new());
        }
        match input {
            RunnerInput::Selected { u1 } => self.selected(now, &u1),
            RunnerInput::PublicKeys(raw) => self.public_keys(now, &raw),
            RunnerInput::CommitmentsPublished => self.commitments_published(),
            RunnerInput::CalculationStarted { u2 } => self.calculation_started(now, &u2),
            RunnerInput::SharesCollected { delivery, records } => {
                self.shares_collected(&delivery, &records)
            }
            RunnerInput::Masked { digest, len } => self.masked(digest, len),
            RunnerInput::AggregationStarted { u3 } => self.aggregation_started(now, &u3),
            RunnerInput::Revealed => Ok(Vec::new()),
            RunnerInput::Ended(end) => Ok(self.ended(end)),
            RunnerInput::Broken { code, reason } => Ok(self.fail(code, reason)),
            RunnerInput::Tick if now >= self.deadline => {
                let reason = format!(
                    "the coordinator said nothing more in phase {} until the deadline",
                    self.phase.name()
                );
                Ok(self.fail(FailureCode::DeadlinePassed, reason))
            }
            RunnerInput::Tick => Ok(Vec::new()),
        }
    }

    /// When a [`RunnerInput::Tick`] is due; `None` once the round is over.
    #[must_use]
    pub fn deadline(&self) -> Option<Timestamp> {
        (!self.is_over()).then_some(self.deadline)
    }

    /// Whether nothing more will happen.
    #[must_use]
    pub fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Done(_))
    }

    /// How it ended, once it has.
    #[must_use]
    pub fn outcome(&self) -> Option<&RunnerOutcome> {
        match &self.phase {
            Phase::Done(outcome) => Some(outcome),
            _ => None,
        }
    }

    /// The current phase in the paper's words.
    #[must_use]
    pub fn phase_name(&self) -> &'static str {
        self.phase.name()
    }

    /// What the round was started with.
    #[must_use]
    pub fn context(&self) -> &RunnerContext {
        &self.context
    }

    fn selected(
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
        let members: Vec<Address> = u1.iter().cloned().collect();
        self.phase = Phase::ReadKeys {
            cipher: cipher.clone(),
            mask: mask.clone(),
            u1,
        };
        self.deadline = now + self.context.strategy.wait_timeout() + GRACE;
        Ok(vec![RunnerEffect::ReadKeys { members }])
    }

    fn public_keys(
        &mut self,
        now: Timestamp,
        raw: &[RawPublicKeys],
    ) -> Result<Vec<RunnerEffect>, Rejection> {
        let Phase::ReadKeys { cipher, mask, u1 } = &self.phase else {
            return Ok(Vec::new());
        };
        let members: Vec<Address> = u1.iter().cloned().collect();
        if raw.len() != members.len() {
            return Err(Rejection::Malformed {
                what: "the list of keys",
                why: format!("{} keys for {} members", raw.len(), members.len()),
            });
        }
        let directory = Directory::judge(self.context.strategy.curve, &members, raw);
        let own = directory.keys(&self.context.me);
        if own.is_none_or(|k| k.cipher != cipher.public() || k.mask != mask.public()) {
            return Ok(self.fail(
                FailureCode::ProtocolViolation,
                "the keys on record under this node's address are not this node's",
            ));
        }
        let usable: Members = directory.members().keys().cloned().collect();
        if let Some(failure) = self.too_small("u1 with valid keys", &usable) {
            return Ok(self.fail_with(failure));
        }
        let sharing = Sharing::prepare(
            &self.context,
            cipher.clone(),
            mask.clone(),
            u1.clone(),
            directory,
        );
        match share_keys::share(&self.context, &self.seed, &sharing) {
            Err(why) => Ok(self.fail(FailureCode::ProtocolViolation, why)),
            Ok(shared) => {
                let post = self.request(
                    &sharing,
                    None,
                    RequestBody::Shares {
                        shares: shared.sealed,
                        transcript: self.sign_transcript(&sharing),
                    },
                );
                let effect = RunnerEffect::PublishCommitments {
                    seed: shared.seed_commitments,
                    key: shared.key_commitments,
                };
                self.deadline = now + self.context.strategy.wait_timeout() + GRACE;
                self.phase = Phase::ShareKeys {
                    sharing,
                    self_mask: shared.self_mask,
                    post,
                };
                Ok(vec![effect])
            }
        }
    }

    fn commitments_published(&mut self) -> Result<Vec<RunnerEffect>, Rejection> {
        match &self.phase {
            Phase::ShareKeys { post, .. } => Ok(vec![RunnerEffect::PostShares {
                request: post.clone(),
            }]),
            _ => Ok(Vec::new()),
        }
    }

    fn calculation_started(
        &mut self,
        now: Timestamp,
        list: &[Address],
    ) -> Result<Vec<RunnerEffect>, Rejection> {
        let u2 = unique(list, "u2")?;
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
        let holders = sharing
            .graph()
            .holders(&self.context.me)
            .intersection(&u2)
            .count();
        if holders < sharing.threshold {
            let reason = format!(
                "only {holders} holders of this node's shares are in u2, the threshold is {}",
                sharing.threshold
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
        self.deadline = now + self.context.strategy.wait_timeout() + GRACE;
        Ok(vec![RunnerEffect::CollectShares { request, senders }])
    }

    fn shares_collected(
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
        let signed = transcript_bytes(&self.context.announcement, &sharing.directory);
        if let Err(reason) =
            share_keys::check_transcripts(&signed, &sharing.directory, u2, delivery)
        {
            return Ok(self.fail(FailureCode::ProtocolViolation, reason));
        }
        let held = match share_keys::open_shares(&self.context, sharing, u2, delivery, records) {
            Ok(held) => held,
            Err(reason) => return Ok(self.fail(FailureCode::ProtocolViolation, reason)),
        };
        let masks = match self.mask_streams(sharing, self_mask, u2) {
            Ok(masks) => masks,
            Err(reason) => return Ok(self.fail(FailureCode::ProtocolViolation, reason)),
        };
        let variables = self
            .context
            .announcement
            .variables
            .iter()
            .map(|(name, digest)| VariableRequest {
                name: name.clone(),
                digest: *digest,
                request: self.request(
                    sharing,
                    Some(u2),
                    RequestBody::Variable {
                        name: Name::clone(name),
                    },
                ),
            })
            .collect();
        let cohort = u2.len();
        self.phase = Phase::MaskedInput(MaskedInput {
            sharing: sharing.clone(),
            u2: u2.clone(),
            held,
            upload: None,
        });
        Ok(vec![RunnerEffect::Compute {
            variables,
            masks,
            cohort,
        }])
    }

    fn masked(&mut self, digest: Digest, len: u64) -> Result<Vec<RunnerEffect>, Rejection> {
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
        }
        Ok(vec![RunnerEffect::Upload {
            commitment: digest,
            len,
            request,
        }])
    }

    fn aggregation_started(
        &mut self,
        now: Timestamp,
        list: &[Address],
    ) -> Result<Vec<RunnerEffect>, Rejection> {
        let u3 = unique(list, "u3")?;
        match &self.phase {
            Phase::MaskedInput(_) => {}
            Phase::Unmasking { .. } => return self.phase.repeat_of("u3", |p| p.u3() == Some(&u3)),
            _ if !u3.contains(&self.context.me) => return Ok(self.leave("MaskedInput")),
            _ => {
                return Err(Rejection::WrongPhase {
                    phase: self.phase.name(),
                    what: "u3",
                    late: false,
                });
            }
        }
        let Phase::MaskedInput(state) = &self.phase else {
            return Ok(Vec::new());
        };
        if let Some(stranger) = u3.difference(&state.u2).next() {
            let reason = format!("u3 lists {stranger}, who is not in u2");
            return Ok(self.fail(FailureCode::ProtocolViolation, reason));
        }
        if !u3.contains(&self.context.me) {
            return Ok(self.leave("MaskedInput"));
        }
        if state.upload.is_none() {
            return Ok(self.fail(
                FailureCode::ProtocolViolation,
                "u3 lists this node, which has sent no result",
            ));
        }
        if let Some(failure) = self.too_small("u3", &u3) {
            return Ok(self.fail_with(failure));
        }
        let holders = state
            .sharing
            .graph()
            .holders(&self.context.me)
            .intersection(&u3)
            .count();
        if holders < state.sharing.threshold {
            let reason = format!(
                "only {holders} holders of this node's shares are in u3, the threshold is {}",
                state.sharing.threshold
            );
            return Ok(self.fail(FailureCode::TooFewMembers, reason));
        }
        // Seed shares for u3, key shares for u2 minus u3: never both for one sender.
        let (mut seeds, mut keys) = (Vec::new(), Vec::new());
        for (sender, held) in &state.held {
            if u3.contains(sender) {
                seeds.push((sender.clone(), held.seed.clone()));
            } else {
                keys.push((sender.clone(), held.key.clone()));
            }
        }
        let notify = self.request(&state.sharing, Some(&state.u2), RequestBody::Revealed);
        self.phase = Phase::Unmasking {
            u1: state.sharing.u1.clone(),
            u2: state.u2.clone(),
            u3,
        };
        self.forget();
        self.deadline = now + self.context.strategy.wait_timeout() + GRACE;
        Ok(vec![RunnerEffect::Reveal {
            seeds,
            keys,
            notify,
        }])
    }

    fn ended(&mut self, end: RoundEnd) -> Vec<RunnerEffect> {
        let outcome = match (&self.phase, end) {
            (_, RoundEnd::Failed(reason)) => {
                RunnerOutcome::Failed(RoundFailure::new(FailureCode::Abandoned, reason))
            }
            (Phase::Unmasking { .. }, RoundEnd::Finished) => RunnerOutcome::Contributed,
            (phase, RoundEnd::Finished) => RunnerOutcome::LeftOut {
                phase: phase.name().into(),
            },
        };
        self.phase = Phase::Done(outcome);
        self.forget();
        Vec::new()
    }

    fn leave(&mut self, phase: &str) -> Vec<RunnerEffect> {
        self.phase = Phase::Done(RunnerOutcome::LeftOut {
            phase: phase.into(),
        });
        self.forget();
        Vec::new()
    }

    fn fail(&mut self, code: FailureCode, reason: impl Into<String>) -> Vec<RunnerEffect> {
        self.fail_with(RoundFailure::new(code, reason))
    }

    /// Ends this member's part and tells the coordinator, so that nobody waits.
    fn fail_with(&mut self, failure: RoundFailure) -> Vec<RunnerEffect> {
        let reason: String = failure.reason.chars().take(500).collect();
        let body = RequestBody::Decline { reason };
        let request = match &self.phase {
            Phase::AdvertiseKeys { cipher, .. } | Phase::ReadKeys { cipher, .. } => {
                Some(sign(&self.context, cipher, Digest([0; 32]), body))
            }
            Phase::ShareKeys { sharing, .. } => Some(self.request(sharing, None, body)),
            Phase::CollectShares { sharing, u2, .. } => Some(self.request(sharing, Some(u2), body)),
            Phase::MaskedInput(m) => Some(self.request(&m.sharing, Some(&m.u2), body)),
            Phase::Unmasking { .. } | Phase::Done(_) => None,
        };
        self.phase = Phase::Done(RunnerOutcome::Failed(failure));
        self.forget();
        request
            .map(|request| RunnerEffect::Decline { request })
            .into_iter()
            .collect()
    }

    /// Wipes what every secret of the round could be derived from.
    fn forget(&mut self) {
        self.seed = Secret::new([0; 32]);
    }

    fn too_small(&self, what: &str, members: &Members) -> Option<RoundFailure> {
        let floor = self.context.cohort_floor();
        (members.len() < floor).then(|| {
            let reason = format!(
                "{what} has {} members ({}), this node takes part with {floor} or more",
                members.len(),
                names(members)
            );
            RoundFailure::new(FailureCode::TooFewMembers, reason)
        })
    }

    fn mask_streams(
        &self,
        sharing: &Sharing,
        self_mask: &Secret<32>,
        u2: &Members,
    ) -> Result<Vec<MaskStream>, String> {
        let me = &self.context.me;
        let mut streams = vec![MaskStream::own(self_mask.clone())];
        for other in sharing.graph().neighbours(me).filter(|a| u2.contains(*a)) {
            let theirs: &PublicKey = sharing
                .directory
                .keys(other)
                .map(|k| &k.mask)
                .ok_or_else(|| format!("{other} has no keys"))?;
            let seed = pairwise_seed(
                &sharing.mask,
                theirs,
                self.context.task(),
                self.context.round(),
            )
            .map_err(|e| format!("no pairwise mask with {other}: {e}"))?;
            streams.push(MaskStream {
                seed,
                sign: sign_for(me, other),
            });
        }
        Ok(streams)
    }

    fn sign_transcript(&self, sharing: &Sharing) -> Vec<u8> {
        sharing.cipher.sign(&transcript_bytes(
            &self.context.announcement,
            &sharing.directory,
        ))
    }

    fn request(&self, sharing: &Sharing, u2: Option<&Members>, body: RequestBody) -> SignedRequest {
        sign(
            &self.context,
            &sharing.cipher,
            view_digest(&sharing.directory, u2),
            body,
        )
    }
}

fn sign(
    context: &RunnerContext,
    cipher: &KeyPair,
    view: Digest,
    body: RequestBody,
) -> SignedRequest {
    let mut request = SignedRequest {
        task: context.task().clone(),
        round: context.round(),
        sender: context.me.clone(),
        view,
        body,
        signature: Vec::new(),
    };
    request.signature = cipher.sign(&request.signed_bytes());
    request
}
