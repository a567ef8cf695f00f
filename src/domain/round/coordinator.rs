//! One round as its coordinator sees it.
//!
//! A phase ends when everyone it waits for has answered; the deadline is only the last moment. What the coordinator learns is the sum of
//! u3 and which members took part, nothing else. Source: Bonawitz et al., CCS 2017, server side; phases as on the connector.

mod answers;
mod collecting;
mod deadlines;
mod effect;
mod input;
mod joining;
mod phase;
mod requests;
mod revealing;
mod unmask;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

pub use effect::{CoordinatorEffect, DroppedMember};
pub use input::{CoordinatorInput, CoordinatorOutcome, Publication};
use phase::{Closing, MaskedInput, Phase, Unmasking};
use unmask::Reveals;

use super::blocks::Pacing;
use super::message::{Announcement, RoundEnd, RoundView};
use super::{Directory, FailureCode, Members, Rejection, RoundFailure};
use crate::ids::{Address, Digest};
use crate::secret::Secret;
use crate::strategy::Strategy;
use crate::task::TaskKind;
use crate::time::Timestamp;

/// What a coordinator knows before a round begins. Never changes.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CoordinatorContext {
    /// This node's address.
    pub me: Address,
    /// Which of the connector's services keeps the task.
    pub kind: TaskKind,
    /// What the round computes.
    pub announcement: Announcement,
    /// SHA-256 of the task's bundle.
    pub bundle: Digest,
    /// The task's strategy.
    pub strategy: Strategy,
    /// The smallest cohort that this node coordinates, whatever the strategy says.
    pub floor: usize,
    /// u3 of the round before, for the selection `same`.
    pub previous: Vec<Address>,
    /// Whether the sum must be over exactly `previous`: its step is combined with what was summed before.
    #[serde(default)]
    pub bound: bool,
    /// Members that fell silent in earlier rounds and have not contributed since: waited for only briefly while members join.
    #[serde(default)]
    pub silent: Vec<Address>,
    /// Members of the task's rounds so far: where too few are there without them, those who are away are waited for.
    #[serde(default)]
    pub came: Vec<Address>,
    /// Nodes whose owners were being asked in an earlier round: a round that is large enough does not wait for their word again.
    #[serde(default)]
    pub asked: Vec<Address>,
    /// For how long owners that are being asked, and members that are away, are waited for, where there is no sum without them.
    #[serde(default)]
    pub patience: Duration,
}

/// One round as its coordinator sees it. A value: serialise it (sealed) and it goes on after a restart.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CoordinatorRound {
    context: CoordinatorContext,
    seed: Secret<32>,
    phase: Phase,
    /// Last moment of the phase.
    deadline: Timestamp,
    /// When to look at the connector without notice, and how long to wait the next time.
    poll_at: Timestamp,
    poll_every: Duration,
    /// Who is not there any more. Waited for only where the round is too small otherwise.
    #[serde(default)]
    lost: Members,
    /// What deadlines allow for.
    #[serde(default)]
    pacing: Pacing,
    /// Whether members prove in this round instead of adding to a sum: then nobody shares or reveals anything.
    #[serde(default)]
    proof: bool,
    /// What members' tables are committed to on the data hub, each as it was first seen; of certified tasks alone.
    #[serde(default)]
    tables: BTreeMap<Address, Digest>,
}

impl CoordinatorRound {
    /// Begins a round.
    #[must_use]
    pub fn start(
        now: Timestamp,
        context: CoordinatorContext,
        seed: Secret<32>,
    ) -> (Self, Vec<CoordinatorEffect>) {
        let deadline = now + context.strategy.connection_timeout();
        let round = Self {
            context,
            seed,
            phase: Phase::Starting,
            deadline,
            poll_at: deadline,
            poll_every: deadlines::FIRST_POLL,
            lost: Members::new(),
            pacing: Pacing::default(),
            proof: false,
            tables: BTreeMap::new(),
        };
        (round, vec![CoordinatorEffect::StartRound])
    }

    /// Makes it a round in which members prove: from the keys it goes on to the calculation, and from the proofs to its end. All of u1 must
    /// prove, because masks cancel over all of them. To be said before the first input.
    pub fn to_prove(&mut self) {
        self.proof = true;
    }

    /// What members' tables are committed to, as far as this round has seen it.
    #[must_use]
    pub fn tables(&self) -> &BTreeMap<Address, Digest> {
        &self.tables
    }

    /// The one way to change a round.
    ///
    /// # Errors
    /// [`Rejection`] when the input does not fit; the state is as before. A member's request that repeats what was taken before is taken
    /// again, without effect.
    pub fn handle(
        &mut self,
        now: Timestamp,
        input: CoordinatorInput,
    ) -> Result<Vec<CoordinatorEffect>, Rejection> {
        match input {
            // Judged also when the round is over: a member is told that it is too late.
            CoordinatorInput::Request(request) => self.requested(now, &request),
            _ if self.is_over() => Ok(Vec::new()),
            CoordinatorInput::Started => Ok(self.started(now)),
            CoordinatorInput::Joins {
                joined,
                known,
                tables,
            } => {
                for (member, table) in tables {
                    // The first word counts, whatever the hub shows later.
                    self.tables.entry(member).or_insert(table);
                }
                Ok(self.joins(now, &joined, known))
            }
            CoordinatorInput::Published(what) => Ok(self.published(now, what)),
            CoordinatorInput::PublicKeys(raw) => self.public_keys(now, &raw),
            CoordinatorInput::CommitmentsChecked { missing } => {
                Ok(self.commitments_checked(missing))
            }
            CoordinatorInput::ResultUploaded { member, digest } => {
                self.result_uploaded(member, digest)
            }
            CoordinatorInput::ResultCommitment { member, commitment } => {
                Ok(self.result_commitment(now, &member, commitment.as_deref()))
            }
            CoordinatorInput::Reveals { receiver, records } => {
                Ok(self.reveals(now, &receiver, &records))
            }
            CoordinatorInput::Unmasked => Ok(self.unmasked()),
            CoordinatorInput::EffectFailed { .. } if self.end() => Ok(Vec::new()),
            CoordinatorInput::EffectFailed { code, reason } => Ok(self.fail(code, reason)),
            CoordinatorInput::Postponed { by } => {
                self.postpone(by);
                Ok(Vec::new())
            }
            CoordinatorInput::Paced(seen) => {
                self.keep_pace(seen);
                Ok(Vec::new())
            }
            CoordinatorInput::TakenUp => {
                // What was seen of the others before says nothing now.
                self.lost.clear();
                self.unmasking_is_taken_up();
                self.joining_is_taken_up(now);
                self.postpone((now + self.phase_time()) - self.deadline);
                self.not_beyond(now);
                Ok(Vec::new())
            }
            CoordinatorInput::Lost { members } => {
                let lost: Members = members.into_iter().collect();
                self.away_while_unmasking(now, &lost);
                self.lost = lost;
                Ok(self.look_again(now))
            }
            CoordinatorInput::Refused { member, reason } => self.refused(now, member, reason),
            CoordinatorInput::Tick => Ok(self.tick(now)),
        }
    }

    /// When a [`CoordinatorInput::Tick`] is due; `None` once the round is over.
    #[must_use]
    pub fn deadline(&self) -> Option<Timestamp> {
        match &self.phase {
            Phase::Done(_) => None,
            // The connector or our own disk is waited for, not members.
            Phase::Starting
            | Phase::Selecting { .. }
            | Phase::CheckingCommitments(_)
            | Phase::StartingCalculation { .. }
            | Phase::StartingAggregation { .. }
            | Phase::Summing(_)
            | Phase::Ending(_) => Some(self.deadline),
            // Members' shares come by their own requests: there is nothing to look at.
            Phase::ShareKeys(_) => Some(self.deadline),
            Phase::AdvertiseKeys(_) | Phase::MaskedInput(_) | Phase::Unmasking(_) => {
                Some(self.deadline.min(self.poll_at))
            }
        }
    }

    /// Whether all input is here, and only what unmasks its sum is missing.
    #[must_use]
    pub fn is_unmasking(&self) -> bool {
        matches!(
            self.phase,
            Phase::StartingAggregation { .. } | Phase::Unmasking(_)
        )
    }

    /// Whether nothing more will happen.
    #[must_use]
    pub fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Done(_))
    }

    /// How it ended, once it has.
    #[must_use]
    pub fn outcome(&self) -> Option<&CoordinatorOutcome> {
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

    /// Last moment of the current phase.
    #[must_use]
    pub fn phase_deadline(&self) -> Timestamp {
        self.deadline
    }

    /// What the round was started with.
    #[must_use]
    pub fn context(&self) -> &CoordinatorContext {
        &self.context
    }

    /// Members that the current phase waits for. While members join: the known nodes that have not answered.
    #[must_use]
    pub fn waiting_for(&self) -> Members {
        match &self.phase {
            Phase::AdvertiseKeys(j) => {
                let known = j.known.iter();
                let silent = known.filter(|a| !j.joined.contains(*a) && !j.has_answered(a));
                silent.cloned().chain(self.missed(j)).collect()
            }
            Phase::ShareKeys(s) => s.silent().cloned().collect(),
            Phase::MaskedInput(m) => m.silent().cloned().collect(),
            Phase::Unmasking(u) => u.silent().cloned().collect(),
            _ => Members::new(),
        }
    }

    /// Nodes that ask their owner whether they may join, and have not joined.
    #[must_use]
    pub fn asking(&self) -> Members {
        match &self.phase {
            Phase::AdvertiseKeys(j) => j.asking.difference(&j.joined).cloned().collect(),
            _ => Members::new(),
        }
    }

    /// Where the round stands, for members that missed an event.
    #[must_use]
    pub fn view(&self) -> RoundView {
        let list = |m: &Members| Some(m.iter().cloned().collect::<Vec<_>>());
        let (mut u1, mut u2, mut u3, mut ended) = (None, None, None, None);
        match &self.phase {
            Phase::Starting | Phase::AdvertiseKeys(_) => {}
            Phase::Selecting { u1: m, published } => u1 = if *published { list(m) } else { None },
            Phase::ShareKeys(s)
            | Phase::CheckingCommitments(s)
            | Phase::StartingCalculation { sharing: s, .. } => u1 = list(&s.u1),
            Phase::MaskedInput(m) | Phase::StartingAggregation { input: m, .. } => {
                (u1, u2) = (list(&m.sharing.u1), list(&m.u2))
            }
            Phase::Unmasking(u) => (u1, u2, u3) = (list(&u.sharing.u1), list(&u.u2), list(&u.u3)),
            Phase::Summing(c) | Phase::Ending(c) => {
                (u1, u2, u3) = (list(&c.u1), list(&c.u2), list(&c.u3))
            }
            Phase::Done(CoordinatorOutcome::Aggregated { .. }) => ended = Some(RoundEnd::Finished),
            Phase::Done(CoordinatorOutcome::Failed(f)) => ended = Some(RoundEnd::Failed(f.code)),
        }
        RoundView {
            announcement: self.context.announcement.clone(),
            kind: self.context.kind,
            u1,
            u2,
            u3,
            ended,
        }
    }

    fn published(&mut self, now: Timestamp, what: Publication) -> Vec<CoordinatorEffect> {
        match (&mut self.phase, what) {
            (Phase::Selecting { u1, published }, Publication::Selection) if !*published => {
                *published = true;
                vec![CoordinatorEffect::ReadKeys {
                    members: u1.iter().cloned().collect(),
                }]
            }
            (Phase::StartingCalculation { sharing, u2 }, Publication::Calculation) => {
                let input = MaskedInput {
                    sharing: sharing.clone(),
                    u2: u2.clone(),
                    uploads: BTreeMap::new(),
                    accepted: Members::new(),
                };
                self.phase = Phase::MaskedInput(input);
                self.wait(now, self.phase_time());
                Vec::new()
            }
            (Phase::StartingAggregation { input, u3 }, Publication::Aggregation) if self.proof => {
                self.phase = Phase::Ending(Closing {
                    u1: input.sharing.u1.clone(),
                    u2: input.u2.clone(),
                    u3: u3.clone(),
                });
                self.deadline = now + self.waiting_time();
                vec![CoordinatorEffect::EndRound]
            }
            (Phase::StartingAggregation { input, u3 }, Publication::Aggregation) => {
                let (sharing, u2, u3) = (input.sharing.clone(), input.u2.clone(), u3.clone());
                let uploads = input.uploads.clone();
                self.phase = Phase::Unmasking(Unmasking {
                    sharing,
                    lacking: u2.len(),
                    u2,
                    u3,
                    uploads,
                    reveals: Reveals::default(),
                    confirmations: BTreeMap::new(),
                    noticed: Members::new(),
                    answered: BTreeSet::new(),
                    begun: Some(now),
                    away: self.lost.clone(),
                });
                self.wait(now, self.waiting_time());
                Vec::new()
            }
            (Phase::Ending(_), Publication::End) => {
                self.end();
                Vec::new()
            }
            _ => Vec::new(),
        }
    }

    /// Goes on where nobody who is there is waited for.
    fn look_again(&mut self, now: Timestamp) -> Vec<CoordinatorEffect> {
        match &self.phase {
            Phase::AdvertiseKeys(_) => self.select_when_complete(now),
            Phase::ShareKeys(_) => self.check_when_shared(now),
            Phase::MaskedInput(_) => self.aggregate_when_complete(now),
            _ => Vec::new(),
        }
    }

    /// The keys of this round's members, once they are known.
    #[must_use]
    pub fn directory(&self) -> Option<&Directory> {
        match &self.phase {
            Phase::ShareKeys(sharing)
            | Phase::CheckingCommitments(sharing)
            | Phase::StartingCalculation { sharing, .. }
            | Phase::StartingAggregation {
                input: MaskedInput { sharing, .. },
                ..
            }
            | Phase::MaskedInput(MaskedInput { sharing, .. })
            | Phase::Unmasking(Unmasking { sharing, .. }) => Some(&sharing.directory),
            Phase::Starting
            | Phase::AdvertiseKeys(_)
            | Phase::Selecting { .. }
            | Phase::Summing(_)
            | Phase::Ending(_)
            | Phase::Done(_) => None,
        }
    }

    fn tick(&mut self, now: Timestamp) -> Vec<CoordinatorEffect> {
        let late = now >= self.deadline;
        let poll = now >= self.poll_at;
        match &self.phase {
            Phase::AdvertiseKeys(_) if late => self.select_when_complete(now),
            Phase::ShareKeys(_) if late => self.check_when_shared(now),
            Phase::MaskedInput(_) if late => self.aggregate_when_complete(now),
            Phase::Unmasking(_) if late => self.unmask_when_enough(now),
            Phase::AdvertiseKeys(_) if poll => {
                self.poll_again(now);
                vec![CoordinatorEffect::ReadJoins]
            }
            Phase::MaskedInput(input) if poll => {
                let unconfirmed = input.uploads.keys().filter(|a| {
                    !input.accepted.contains(*a) && !input.sharing.declined.contains_key(*a)
                });
                let effects = unconfirmed
                    .map(|member| CoordinatorEffect::ReadResultCommitment {
                        member: member.clone(),
                    })
                    .collect();
                self.poll_again(now);
                effects
            }
            Phase::Unmasking(state) if poll => {
                let silent: Vec<Address> = state.silent().cloned().collect();
                self.poll_again(now);
                silent
                    .into_iter()
                    .map(|receiver| self.read_reveals(receiver))
                    .collect()
            }
            Phase::AdvertiseKeys(_)
            | Phase::ShareKeys(_)
            | Phase::MaskedInput(_)
            | Phase::Unmasking(_)
            | Phase::Done(_) => Vec::new(),
            Phase::Ending(_) if late => {
                self.end();
                Vec::new()
            }
            _ if late => {
                let reason = format!(
                    "phase {} could not be put on record before its deadline",
                    self.phase.name()
                );
                self.fail(FailureCode::DeadlinePassed, reason)
            }
            _ => Vec::new(),
        }
    }

    fn cohort_floor(&self) -> usize {
        self.context
            .floor
            .max(usize::try_from(self.context.strategy.min_clients).unwrap_or(usize::MAX))
    }

    fn fail(&mut self, code: FailureCode, reason: impl Into<String>) -> Vec<CoordinatorEffect> {
        self.fail_with(RoundFailure::new(code, reason))
    }

    fn fail_with(&mut self, failure: RoundFailure) -> Vec<CoordinatorEffect> {
        self.finish(CoordinatorOutcome::Failed(failure));
        Vec::new()
    }

    /// Where the sum is there, the round has it, whatever becomes of its end on the record.
    fn end(&mut self) -> bool {
        let Phase::Ending(closing) = &self.phase else {
            return false;
        };
        let dropped = closing.u1.difference(&closing.u3).cloned().collect();
        let outcome = CoordinatorOutcome::Aggregated {
            u3: closing.u3.clone(),
            dropped,
        };
        self.finish(outcome);
        true
    }

    fn finish(&mut self, outcome: CoordinatorOutcome) {
        self.phase = Phase::Done(outcome);
        self.seed = Secret::new([0; 32]);
    }

    fn rng(&self, purpose: &str) -> ChaCha20Rng {
        let derived = Sha256::new()
            .chain_update(b"delta coordinator randomness 1")
            .chain_update(self.seed.expose())
            .chain_update(purpose)
            .finalize();
        ChaCha20Rng::from_seed(derived.into())
    }
}
