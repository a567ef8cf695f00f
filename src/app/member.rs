//! What a member's effects do, and in which order: the one place that knows. The node carries them out over its ports
//! (`runner/effects.rs`), the simulation over its model of a record, the rogue member of `delta-node attack` over the network of the
//! nodes under attack, the bench over counters.
//!
//! Sources: docs/protocol/secagg.md (Phases), docs/protocol/connector.md (What may be repeated: why it looks
//! at the record first).

use delta_domain::ids::{Address, Digest};
use delta_domain::round::Acquaintances;
use delta_domain::round::message::{Confirmation, RoundEnd, ShareDelivery, SignedRequest};
use delta_domain::round::record::{RawPublicKeys, RawShareRecord};
use delta_domain::round::runner::{
    MaskStream, NoiseGround, ProofGround, Release, RunnerEffect, RunnerInput, VariableRequest,
};
use delta_domain::secret::SecretBytes;
use delta_ports::connector::ShareKind;

use crate::once::{Standing, Statement, once};

/// The world as one member of one round reaches it: the record, the coordinator, its own data.
///
/// Every method is one act that may fail. What a failure means (wait and try again, give up, never mind) is the caller's of
/// [`carry_out`] to say.
#[expect(
    async_fn_in_trait,
    reason = "a world is a concrete type where it is used: whether its futures are Send is seen there"
)]
pub trait MemberWorld {
    /// Why an act failed.
    type Error;

    /// Whether the other side has understood and said no: then the round may have ended.
    fn is_rejection(error: &Self::Error) -> bool;

    /// Whether this member's join is on record, with these keys.
    async fn has_joined(&mut self, keys: &RawPublicKeys) -> Result<Standing, Self::Error>;
    /// Puts this member's join on record.
    async fn join(&mut self, keys: &RawPublicKeys) -> Result<(), Self::Error>;
    /// Keys on record, in the order of `members`.
    async fn public_keys(&mut self, members: &[Address])
    -> Result<Vec<RawPublicKeys>, Self::Error>;
    /// Whom of `members` this one knows for longer than the round.
    async fn acquaintances(&mut self, members: &[Address]) -> Result<Acquaintances, Self::Error>;
    /// Whether this member's commitments of this kind are on record.
    async fn has_committed(
        &mut self,
        kind: ShareKind,
        commitments: &[(Address, Digest)],
    ) -> Result<Standing, Self::Error>;
    /// Puts commitments to shares on record, one a receiver.
    async fn commit(
        &mut self,
        kind: ShareKind,
        commitments: &[(Address, Digest)],
    ) -> Result<(), Self::Error>;
    /// What is on record of these senders' shares for this member, in this order.
    async fn share_records(
        &mut self,
        senders: &[Address],
    ) -> Result<Vec<RawShareRecord>, Self::Error>;
    /// Whether this very commitment to this member's masked result is on record.
    async fn has_committed_result(&mut self, commitment: &Digest) -> Result<Standing, Self::Error>;
    /// Puts the commitment to the masked result on record.
    async fn commit_result(&mut self, commitment: &Digest) -> Result<(), Self::Error>;
    /// Puts shares of others' secrets on record, for anybody to read. Never called with none.
    async fn reveal(
        &mut self,
        kind: ShareKind,
        shares: &[(Address, SecretBytes)],
    ) -> Result<(), Self::Error>;

    /// Whether these very shares are on record. A world whose record takes them twice need not look.
    async fn has_revealed(
        &mut self,
        _kind: ShareKind,
        _shares: &[(Address, SecretBytes)],
    ) -> Result<Standing, Self::Error> {
        Ok(Standing::Absent)
    }

    /// Waits before the record is looked at once more after a refusal; false where one look is enough ([`Statement::wait_to_look`]).
    async fn wait_to_look(&mut self, _looks: u32) -> bool {
        false
    }

    /// The most entries of one list that go on record in one call; at least 1.
    fn max_list(&self) -> usize {
        usize::MAX
    }

    /// Hands the coordinator a request that has no answer but yes or no.
    async fn submit(&mut self, request: &SignedRequest) -> Result<(), Self::Error>;
    /// Tells the coordinator what it would find out by itself: a loss costs it a look, so that most errors are none.
    async fn notify(&mut self, request: &SignedRequest) -> Result<(), Self::Error>;
    /// The shares sealed for this member.
    async fn fetch_shares(&mut self, request: &SignedRequest)
    -> Result<ShareDelivery, Self::Error>;
    /// What the neighbours say to this member about u3; `again` when it was asked for before.
    async fn confirmations(
        &mut self,
        request: &SignedRequest,
        again: bool,
    ) -> Result<Vec<Confirmation>, Self::Error>;
    /// Uploads the masked result.
    async fn upload(&mut self, request: &SignedRequest) -> Result<(), Self::Error>;
    /// Says farewell: the round's machine is over, and nobody will try again.
    async fn decline(&mut self, request: &SignedRequest) -> Result<(), Self::Error>;
    /// How the round ended, if it has and the coordinator says so.
    async fn ended(&mut self) -> Result<Option<RoundEnd>, Self::Error>;

    /// Whether this may be released to this cohort; with `now`, remembers that it is. A world without data of an owner's allows all.
    async fn release(&mut self, _release: &Release, _now: bool) -> Result<(), Self::Error> {
        Ok(())
    }

    /// Downloads the variables, computes, quantises, adds noise where the task asks for it, masks, keeps the upload.
    async fn compute(
        &mut self,
        variables: &[VariableRequest],
        masks: &[MaskStream],
        cohort: usize,
        noise: Option<&NoiseGround>,
    ) -> Result<Computed, Self::Error>;

    /// Downloads the answer, proves what it leaves open on this member's rows, keeps the upload.
    async fn prove(
        &mut self,
        variables: &[VariableRequest],
        ground: &ProofGround,
    ) -> Result<Computed, Self::Error>;
}

/// A masked vector, or a proof, that is kept for its upload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Computed {
    /// The commitment to the whole upload.
    pub commitment: Digest,
    /// Its length in bytes.
    pub len: u64,
    /// What is in it ([`release_point`](delta_domain::records::release_point)), where no other cohort may get it.
    pub point: Option<Digest>,
}

/// What a member puts on record, each of it once a round.
enum Said<'a> {
    Join(&'a RawPublicKeys),
    Commitments(ShareKind, &'a [(Address, Digest)]),
    Result(&'a Digest),
    Shares(ShareKind, &'a [(Address, SecretBytes)]),
}

/// A statement of this member, and the world in which it makes it.
struct Saying<'a, W> {
    world: &'a mut W,
    said: Said<'a>,
}

impl<W: MemberWorld> Statement for Saying<'_, W> {
    type Receipt = ();
    type Error = W::Error;

    fn is_refusal(error: &W::Error) -> bool {
        W::is_rejection(error)
    }

    async fn look(&mut self) -> Result<Standing, W::Error> {
        match &self.said {
            Said::Join(keys) => self.world.has_joined(keys).await,
            Said::Commitments(kind, list) => self.world.has_committed(*kind, list).await,
            Said::Result(commitment) => self.world.has_committed_result(commitment).await,
            Said::Shares(kind, shares) => self.world.has_revealed(*kind, shares).await,
        }
    }

    async fn put(&mut self) -> Result<(), W::Error> {
        match &self.said {
            Said::Join(keys) => self.world.join(keys).await,
            Said::Commitments(kind, list) => self.world.commit(*kind, list).await,
            Said::Result(commitment) => self.world.commit_result(commitment).await,
            Said::Shares(kind, shares) => self.world.reveal(*kind, shares).await,
        }
    }

    async fn wait_to_look(&mut self, looks: u32) -> bool {
        self.world.wait_to_look(looks).await
    }
}

async fn say<W: MemberWorld>(world: &mut W, said: Said<'_>, again: bool) -> Result<(), W::Error> {
    once(&mut Saying { world, said }, again).await.map(drop)
}

/// Carries out one effect, and answers with the input that follows from it, if any. `again` is true when an earlier try may have
/// taken effect: what must not happen twice is then looked for on the record first.
///
/// # Errors
/// The world's; the effect is to be tried again with `again`, or the machine told that it cannot be carried out.
pub async fn carry_out<W: MemberWorld>(
    world: &mut W,
    effect: &RunnerEffect,
    again: bool,
) -> Result<Option<RunnerInput>, W::Error> {
    match effect {
        RunnerEffect::Join { keys, notify } => {
            // A second join under one address ends the member's part.
            say(world, Said::Join(keys), again).await?;
            world.notify(notify).await?;
            Ok(None)
        }
        RunnerEffect::ReadKeys { members } => {
            let keys = world.public_keys(members).await?;
            let others = world.acquaintances(members).await?;
            Ok(Some(RunnerInput::PublicKeys { keys, others }))
        }
        RunnerEffect::PublishCommitments { seed, key } => {
            for (kind, commitments) in [(ShareKind::SelfMaskSeed, seed), (ShareKind::MaskKey, key)]
            {
                for part in commitments.chunks(world.max_list()) {
                    say(world, Said::Commitments(kind, part), again).await?;
                }
            }
            Ok(Some(RunnerInput::CommitmentsPublished))
        }
        RunnerEffect::PostShares { request } => world.submit(request).await.map(|()| None),
        RunnerEffect::CollectShares { request, senders } => {
            let delivery = world.fetch_shares(request).await?;
            let records = world.share_records(senders).await?;
            Ok(Some(RunnerInput::SharesCollected { delivery, records }))
        }
        RunnerEffect::Compute {
            variables,
            masks,
            cohort,
            noise,
        } => {
            let computed = world.compute(variables, masks, *cohort, noise.as_ref());
            let Computed {
                commitment: digest,
                len,
                point,
            } = computed.await?;
            Ok(Some(RunnerInput::Masked { digest, len, point }))
        }
        RunnerEffect::Prove { variables, ground } => {
            let Computed {
                commitment: digest,
                len,
                point,
            } = world.prove(variables, ground).await?;
            Ok(Some(RunnerInput::Masked { digest, len, point }))
        }
        RunnerEffect::Upload {
            commitment,
            request,
            ..
        } => {
            say(world, Said::Result(commitment), again).await?;
            world.upload(request).await.map(|()| None)
        }
        RunnerEffect::Confirm {
            request,
            fetch,
            release,
        } => {
            if let Some(release) = release {
                world.release(release, false).await?;
            }
            confirm(world, request, fetch, again).await
        }
        RunnerEffect::Reveal {
            seeds,
            keys,
            release,
            notify,
        } => {
            // Not before it is confirmed: a round that fails until then has released nothing.
            if let Some(release) = release {
                world.release(release, true).await?;
            }
            for (kind, shares) in [(ShareKind::SelfMaskSeed, seeds), (ShareKind::MaskKey, keys)] {
                for part in shares.chunks(world.max_list()) {
                    say(world, Said::Shares(kind, part), again).await?;
                }
            }
            world.notify(notify).await?;
            Ok(Some(RunnerInput::Revealed))
        }
        RunnerEffect::Decline { request } => world.decline(request).await.map(|()| None),
    }
}

/// Says which u3 this node was shown, and asks what its neighbours were. A round that ended meanwhile needs neither.
///
/// Until there are enough signatures this fails, and is tried again, also after a restart, until the round has ended or this node's
/// deadline for it has passed.
async fn confirm<W: MemberWorld>(
    world: &mut W,
    request: &SignedRequest,
    fetch: &SignedRequest,
    again: bool,
) -> Result<Option<RunnerInput>, W::Error> {
    let asked = match world.submit(request).await {
        Ok(()) => world.confirmations(fetch, again).await,
        Err(e) => Err(e),
    };
    match asked {
        Ok(confirmations) => Ok(Some(RunnerInput::Confirmed(confirmations))),
        Err(e) if W::is_rejection(&e) => match world.ended().await? {
            Some(end) => Ok(Some(RunnerInput::Ended(end))),
            None => Err(e),
        },
        Err(e) => Err(e),
    }
}
