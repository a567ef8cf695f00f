//! One round as a member sees it.
//!
//! The machine trusts nobody: lists come from the coordinator or the connector, keys and shares from peers. It takes no part in
//! small cohorts, and takes no list that grows, no share that does not match its commitment, no member who saw another round; and it
//! reveals once, for ever.
//! Everything random is drawn from one seed given at the start, so that a log of inputs replays to the same effects.

mod effect;
mod masking;
mod phase;
mod proving;
mod revealing;
mod share_keys;
mod sharing;
#[cfg(test)]
mod tests;

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use effect::{
    MaskStream, NoiseGround, PairKey, ProofGround, Release, RunnerEffect, VariableRequest,
};
use phase::{Phase, Sharing};

use super::blocks::Pacing;
use super::message::{
    Announcement, Confirmation, RequestBody, RoundEnd, RoundView, ShareDelivery, SignedRequest,
};
use super::record::{RawPublicKeys, RawShareRecord};
use super::transcript::view_digest;
use super::{
    Acquaintances, DeclineCode, FailureCode, Members, PrivacyFloor, Rejection, RoundFailure, names,
};
use crate::ids::{Address, Digest, RoundNumber, TaskId};
use crate::records::cohort_digest;
use crate::secagg::keys::KeyPair;
use crate::secagg::sealing::SealingPair;
use crate::secret::Secret;
use crate::strategy::Strategy;
use crate::time::Timestamp;

/// Added to every deadline of the coordinator, with blocks: a member gives up later than the one who decides.
const GRACE: Duration = Duration::from_secs(30);

/// What a member knows before a round begins. Never changes.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RunnerContext {
    /// This node's address.
    pub me: Address,
    /// What the round computes, as the coordinator announced it.
    pub announcement: Announcement,
    /// SHA-256 of the task's bundle, from this node's own record of the task and never from the coordinator's answer.
    pub bundle: Digest,
    /// The task's strategy.
    pub strategy: Strategy,
    /// The smallest cohort that this node takes part in, whatever the strategy says.
    pub floor: usize,
    /// The weakest neighbourhood that this node takes part in, whatever the strategy says.
    #[serde(default)]
    pub privacy: PrivacyFloor,
}

impl RunnerContext {
    /// The task that the round belongs to.
    #[must_use]
    pub fn task(&self) -> &TaskId {
        &self.announcement.task
    }

    /// The round's number on the connector.
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
        /// Who is selected, in the published order.
        u1: Vec<Address>,
    },
    /// The keys that were asked for, in the order asked, and whom of their owners this node knows.
    PublicKeys {
        /// On record.
        keys: Vec<RawPublicKeys>,
        /// Whom this node knows.
        others: Acquaintances,
    },
    /// The share commitments are on record.
    CommitmentsPublished,
    /// u2 is published.
    CalculationStarted {
        /// Whose shares arrived, in the published order.
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
        /// Commitment to the whole upload.
        digest: Digest,
        /// Its length in bytes.
        len: u64,
        /// What is in it ([`release_point`](crate::records::release_point)), where no other cohort may get it.
        point: Option<Digest>,
    },
    /// u3 is published.
    AggregationStarted {
        /// Whose masked input arrived, in the published order.
        u3: Vec<Address>,
    },
    /// What this node's neighbours say to it about u3.
    Confirmed(Vec<Confirmation>),
    /// The revealed shares are on record.
    Revealed,
    /// The coordinator says that the phase goes on: it may wait for owners that are being asked, for members that are away, or for the
    /// connector, which this member reaches.
    StillOpen,
    /// The coordinator, or the connector, says that the round is over.
    Ended(RoundEnd),
    /// This node's owner leaves the task.
    Leave,
    /// An effect could not be carried out.
    EffectFailed {
        /// What kind of failure this makes of this member's part: the computation's or a port's.
        code: FailureCode,
        /// For this node's owner; others are told the code.
        reason: String,
    },
    /// The connector or the coordinator could not be reached for so long: the round has as much more time.
    Postponed {
        /// How long.
        by: Duration,
    },
    /// How long calls take: deadlines allow for it from now on, where that is longer than what they allowed for.
    Paced(Pacing),
    /// This node's process was away: the phase has its whole time again.
    TakenUp,
    /// Time has passed.
    Tick,
}

/// How the round ended for this member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunnerOutcome {
    /// This member's contribution is in the sum.
    Contributed,
    /// The coordinator says that there is a sum, and this member, which is in u3, has revealed nothing for it: it may be true or not.
    Unconfirmed,
    /// The round failed for this member after it had revealed its shares: its contribution may be in a sum all the same.
    Revealed(RoundFailure),
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
    /// Whom alone this round may be with: [`cohort_digest`] of the members of the sum that it is combined with.
    #[serde(default)]
    bound: Option<Digest>,
    /// [`cohort_digest`] of the u3 that this member has confirmed.
    #[serde(default)]
    summed: Option<Digest>,
    /// What deadlines allow for.
    #[serde(default)]
    pacing: Pacing,
    /// Whether members prove in this round instead of adding to a sum: then nobody shares or reveals anything.
    #[serde(default)]
    proof: bool,
}

impl RunnerRound {
    /// Makes both of this round's key pairs and joins.
    #[must_use]
    pub fn join(
        now: Timestamp,
        context: RunnerContext,
        seed: Secret<32>,
    ) -> (Self, Vec<RunnerEffect>) {
        let curve = context.strategy.curve;
        let cipher = SealingPair::generate(curve, &mut share_keys::rng(&seed, "cipher key"));
        Self::join_as(now, context, seed, cipher)
    }

    /// Makes this round's `pk2` and joins with the `pk1` of the task: what was agreed under it in earlier rounds is agreed.
    ///
    /// `cipher` is of the strategy's curve, no other task's, and on disk already: a seal is opened by the pair that is on record.
    #[must_use]
    pub fn join_as(
        now: Timestamp,
        context: RunnerContext,
        seed: Secret<32>,
        cipher: SealingPair,
    ) -> (Self, Vec<RunnerEffect>) {
        let curve = context.strategy.curve;
        let mask = KeyPair::generate(curve, &mut share_keys::rng(&seed, "mask key"));
        let keys = RawPublicKeys {
            pk1: cipher.pair().public_ref().to_wire(),
            pk2: mask.public().to_wire(),
        };
        let deadline = now + context.strategy.connection_timeout() + GRACE;
        let notify = sign(
            &context,
            cipher.pair(),
            Digest([0; 32]),
            RequestBody::Joined,
        );
        let round = Self {
            context,
            seed,
            phase: Phase::AdvertiseKeys { cipher, mask },
            deadline,
            bound: None,
            summed: None,
            pacing: Pacing::default(),
            proof: false,
        };
        (round, vec![RunnerEffect::Join { keys, notify }])
    }

    /// From now on this round is with this cohort or none: its sum is combined with that cohort's, and two sums of different members would
    /// be a number of those who differ. Whoever coordinates could otherwise choose them.
    pub fn bind_to(&mut self, cohort: Digest) {
        self.bound = Some(cohort);
    }

    /// Makes it a round in which members prove, instead of adding to a sum. To be said before the first input.
    pub fn to_prove(&mut self) {
        self.proof = true;
    }

    /// Whose sum this member has confirmed, as [`Self::bind_to`] takes it; `None` before.
    #[must_use]
    pub fn summed(&self) -> Option<Digest> {
        self.summed
    }

    /// Why a list is not of whom this round is bound to.
    fn not_the_cohort(&self, what: &str, members: &Members) -> Option<RoundFailure> {
        let bound = self.bound?;
        (cohort_digest(members) != bound).then(|| {
            let reason = format!(
                "{what} ({}) is not of the members of the sum before, with which this one is combined",
                names(members)
            );
            RoundFailure::new(FailureCode::ProtocolViolation, reason)
        })
    }

    /// After a restart: what this round agrees under its `pk1`, the other rounds under the same remember too. Changes nothing else.
    pub fn remember_with(&mut self, pair: &SealingPair) {
        if let Some(cipher) = self.phase.cipher() {
            cipher.remember_with(pair);
        }
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
            RunnerInput::PublicKeys { keys, others } => self.public_keys(now, &keys, others),
            RunnerInput::CommitmentsPublished => Ok(self.commitments_published()),
            RunnerInput::CalculationStarted { u2 } => self.calculation_started(now, &u2),
            RunnerInput::SharesCollected { delivery, records } => {
                self.shares_collected(&delivery, &records)
            }
            RunnerInput::Masked { digest, len, point } => self.masked(digest, len, point),
            RunnerInput::AggregationStarted { u3 } => self.aggregation_started(now, &u3),
            RunnerInput::Confirmed(confirmations) => Ok(self.confirmed(now, &confirmations)),
            RunnerInput::Revealed => Ok(Vec::new()),
            RunnerInput::StillOpen => {
                self.deadline = now + self.phase_time() + self.grace();
                Ok(Vec::new())
            }
            RunnerInput::Postponed { by } => {
                self.deadline = self.deadline + by;
                Ok(Vec::new())
            }
            RunnerInput::Paced(seen) => {
                let before = self.grace();
                self.pacing = self.pacing.slower(seen);
                self.deadline = self.deadline + (self.grace() - before);
                Ok(Vec::new())
            }
            RunnerInput::TakenUp => {
                // Not what the clock said before: it may have been set back meanwhile.
                self.deadline = now + self.phase_time() + self.grace();
                Ok(Vec::new())
            }
            RunnerInput::Ended(end) => Ok(self.ended(end)),
            RunnerInput::Leave => {
                let failure =
                    RoundFailure::new(FailureCode::Abandoned, "its owner has left the task");
                Ok(self.end_with(failure, DeclineCode::Left))
            }
            RunnerInput::EffectFailed { code, reason } => Ok(self.fail(code, reason)),
            RunnerInput::Tick if now >= self.deadline => {
                let reason = match &self.phase {
                    Phase::Confirming { input, .. } => format!(
                        "until the deadline the coordinator relayed no {} confirmations of u3 by holders of this node's shares; nothing was revealed",
                        input.sharing.threshold()
                    ),
                    phase => format!(
                        "the coordinator said nothing more in phase {} until the deadline",
                        phase.name()
                    ),
                };
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

    /// What is added to every deadline of the coordinator.
    fn grace(&self) -> Duration {
        GRACE + self.pacing.of_a_member()
    }

    /// What its deadlines allow for, as far as this round has been told.
    #[must_use]
    pub fn pacing(&self) -> Pacing {
        self.pacing
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

    /// Whether members are still joining, as far as this one knows.
    #[must_use]
    pub fn is_joining(&self) -> bool {
        matches!(self.phase, Phase::AdvertiseKeys { .. })
    }

    /// Whether the coordinator's round has not gone on from the phase in which this member waits.
    #[must_use]
    pub fn is_open(&self, view: &RoundView) -> bool {
        let waits = match &self.phase {
            Phase::AdvertiseKeys { .. } => view.u1.is_none(),
            Phase::ReadKeys { .. } | Phase::ShareKeys { .. } => view.u2.is_none(),
            Phase::CollectShares { .. } | Phase::MaskedInput(_) => view.u3.is_none(),
            Phase::Confirming { .. } | Phase::Unmasking { .. } => view.u3.is_some(),
            Phase::Done(_) => false,
        };
        waits && view.ended.is_none()
    }

    /// How long the coordinator gives the phase, in which this member waits.
    #[must_use]
    pub fn phase_time(&self) -> Duration {
        match self.is_joining() {
            true => self.context.strategy.connection_timeout(),
            false if self.proof => self.context.strategy.verify_timeout(),
            false => self.context.strategy.wait_timeout(),
        }
    }

    /// Whether this member's contribution is in a sum, or may be: its shares are out, or the coordinator says so. Then the step is over for
    /// it, however the round ends. A coordinator that could have it once more, in another cohort, would learn the difference.
    #[must_use]
    pub fn closes_step(&self) -> bool {
        match &self.phase {
            Phase::Unmasking { .. } => true,
            Phase::Done(outcome) => matches!(
                outcome,
                RunnerOutcome::Contributed
                    | RunnerOutcome::Unconfirmed
                    | RunnerOutcome::Revealed(_)
            ),
            _ => false,
        }
    }

    /// What the round was started with.
    #[must_use]
    pub fn context(&self) -> &RunnerContext {
        &self.context
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
        let reason = failure.code.into();
        self.end_with(failure, reason)
    }

    /// The same, with the word that the coordinator is told.
    fn end_with(&mut self, failure: RoundFailure, reason: DeclineCode) -> Vec<RunnerEffect> {
        let body = RequestBody::Decline { reason };
        let request = match &self.phase {
            Phase::AdvertiseKeys { cipher, .. } | Phase::ReadKeys { cipher, .. } => {
                Some(sign(&self.context, cipher.pair(), Digest([0; 32]), body))
            }
            Phase::ShareKeys { sharing, .. } => Some(self.request(sharing, None, body)),
            Phase::CollectShares { sharing, u2, .. } => Some(self.request(sharing, Some(u2), body)),
            Phase::MaskedInput(m) | Phase::Confirming { input: m, .. } => {
                Some(self.request(&m.sharing, Some(&m.u2), body))
            }
            Phase::Unmasking { .. } | Phase::Done(_) => None,
        };
        self.phase = Phase::Done(self.phase.failed(failure));
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

    /// Too few of a list count towards this node's own floor, which roster or pins vouch for.
    fn too_few_known(
        &self,
        what: &str,
        members: &Members,
        others: &Acquaintances,
    ) -> Option<RoundFailure> {
        let counted = others.counted(&self.context.me, members);
        (counted < self.context.floor).then(|| {
            let reason = format!(
                "{counted} of the {} members of {what} are vouched for by this node's roster and pins, it takes part with {} or more",
                members.len(),
                self.context.floor
            );
            RoundFailure::new(FailureCode::TooFewMembers, reason)
        })
    }

    fn request(&self, sharing: &Sharing, u2: Option<&Members>, body: RequestBody) -> SignedRequest {
        sign(
            &self.context,
            sharing.cipher.pair(),
            view_digest(&sharing.transcript, u2),
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
