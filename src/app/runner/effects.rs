//! Carrying out the effects of a member's round over the node's ports; the order is `member.rs`'s.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use super::compute::Computation;
use super::tables::note_tables;
use crate::context::Context;
use crate::machine::{Effects, Machine};
use crate::member::{self, Computed, MemberWorld};
use crate::once::{Call, OnRecord, Standing, Statement as _, wait_to_look};
use crate::owner::Case;
use delta_domain::bundle::Bundle;
use delta_domain::ids::{Address, Digest, encode_hex};
use delta_domain::round::Acquaintances;
use delta_domain::round::message::{Confirmation, RoundEnd, ShareDelivery, SignedRequest};
use delta_domain::round::record::{RawPublicKeys, RawShareRecord};
use delta_domain::round::runner::{
    MaskStream, NoiseGround, ProofGround, Release, RunnerContext, RunnerEffect, RunnerInput,
    RunnerOutcome, RunnerRound, VariableRequest,
};
use delta_domain::round::{FailureCode, Pacing, Rejection};
use delta_domain::secret::SecretBytes;
use delta_domain::task::TaskKind;
use delta_domain::time::Timestamp;
use delta_ports::blob::BlobName;
use delta_ports::connector::{Connector, RoundKey, ShareKind};
use delta_ports::peer::{PeerCalls as _, PeerTransport};
use delta_ports::storage::MachineKind;
use delta_ports::{PortError, PortErrorKind, TRACES, report};

/// How often neighbours' signatures are asked for in quick succession; then it is tried again at the pace of every effect.
const LOOKS: u32 = 6;
/// The first pause between two of these; each is twice the one before.
const LOOK: Duration = Duration::from_millis(5);
/// How often a notice is tried while the coordinator cannot take it.
const NOTICES: u32 = 3;
/// How often a farewell is tried again while the coordinator cannot take it.
const FAREWELLS: u32 = 20;
/// Pause between two tries.
const PAUSE: Duration = Duration::from_millis(50);

impl Machine for RunnerRound {
    type Input = RunnerInput;
    type Effect = RunnerEffect;
    const KIND: MachineKind = MachineKind::RunnerRound;

    fn handle(
        &mut self,
        now: Timestamp,
        input: RunnerInput,
    ) -> Result<Vec<RunnerEffect>, Rejection> {
        Self::handle(self, now, input)
    }

    fn deadline(&self) -> Option<Timestamp> {
        Self::deadline(self)
    }

    fn is_over(&self) -> bool {
        Self::is_over(self)
    }

    fn phase(&self) -> &'static str {
        self.phase_name()
    }

    fn outcome(&self) -> Option<&'static str> {
        Some(match Self::outcome(self)? {
            RunnerOutcome::Contributed => "contributed",
            RunnerOutcome::Unconfirmed => "unconfirmed",
            RunnerOutcome::Revealed(_) => "revealed",
            RunnerOutcome::LeftOut { .. } => "left_out",
            RunnerOutcome::Failed(failure) => failure.code.name(),
        })
    }

    fn tick() -> RunnerInput {
        RunnerInput::Tick
    }

    fn postponed(by: Duration) -> RunnerInput {
        RunnerInput::Postponed { by }
    }

    fn taken_up() -> RunnerInput {
        RunnerInput::TakenUp
    }

    fn paced(&self, seen: Pacing) -> Option<RunnerInput> {
        let news = self.pacing().is_slower(seen);
        news.then_some(RunnerInput::Paced(seen))
    }

    /// A disk that is full now will be so at the deadline: the others need not wait for it.
    fn gives_up(effect: &RunnerEffect, error: &PortError) -> bool {
        matches!(
            effect,
            RunnerEffect::Compute { .. } | RunnerEffect::Prove { .. }
        ) && error.is_lack_at_home()
    }

    fn effect_failed(effect: &RunnerEffect, error: &PortError) -> Option<RunnerInput> {
        let code = match effect {
            _ if error.is_lack_at_home() => FailureCode::Infrastructure,
            // The coordinator may live without this notice; its own deadline is the fallback.
            RunnerEffect::Decline { .. } => return None,
            _ if error.kind() == PortErrorKind::Denied
                && matches!(effect, RunnerEffect::Prove { .. }) =>
            {
                FailureCode::NotAllowed
            }
            RunnerEffect::Compute { .. } | RunnerEffect::Prove { .. } => FailureCode::Computation,
            _ if error.kind() == PortErrorKind::Denied => FailureCode::NotAllowed,
            _ => FailureCode::Infrastructure,
        };
        Some(RunnerInput::EffectFailed {
            code,
            reason: format!("{}: {}", effect.name(), error.message()),
        })
    }
}

/// Everything that the effects of one member's round need.
pub(super) struct RunnerEffects {
    pub(super) context: Arc<Context>,
    pub(super) bundle: Arc<Bundle>,
    pub(super) case: Arc<Case>,
    pub(super) round: RunnerContext,
    pub(super) key: RoundKey,
    /// The coordinator's url on record.
    pub(super) url: String,
    /// Fires when nobody needs what is computed.
    pub(super) stop: CancellationToken,
    pub(super) state_step: u32,
}

#[async_trait]
impl Effects<RunnerRound> for RunnerEffects {
    async fn carry_out(
        &self,
        effect: &RunnerEffect,
        again: bool,
    ) -> Result<Option<RunnerInput>, PortError> {
        let input = member::carry_out(&mut Network(self), effect, again).await?;
        match effect {
            RunnerEffect::PostShares { .. } => self.log("upload secret shares", None).await,
            RunnerEffect::CollectShares { .. } => {
                self.log("get and validate other members' secret shares", None)
                    .await;
            }
            _ => {}
        }
        Ok(input)
    }
}

/// The network as this node's member reaches it, over the node's ports.
struct Network<'a>(&'a RunnerEffects);

impl Network<'_> {
    fn computation(&self) -> Computation<'_> {
        Computation {
            context: &self.0.context,
            bundle: self.0.bundle.clone(),
            case: &self.0.case,
            round: &self.0.round,
            url: &self.0.url,
            state_step: self.0.state_step,
        }
    }

    fn connector(&self) -> &dyn Connector {
        &*self.0.context.ports.connector
    }

    fn me(&self) -> &Address {
        &self.0.round.me
    }

    fn key(&self) -> &RoundKey {
        &self.0.key
    }

    fn on_record<'c>(&'c self, call: Call<'c>) -> OnRecord<'c> {
        OnRecord {
            connector: self.connector(),
            clock: &*self.0.context.ports.clock,
            call,
        }
    }

    fn peers(&self) -> &dyn PeerTransport {
        &*self.0.context.ports.peers
    }

    async fn pause(&self, pause: Duration) {
        self.0.context.ports.clock.sleep(pause).await;
    }
}

impl MemberWorld for Network<'_> {
    type Error = PortError;

    fn is_rejection(error: &PortError) -> bool {
        error.kind() == PortErrorKind::Rejected
    }

    async fn has_joined(&mut self, keys: &RawPublicKeys) -> Result<Standing, PortError> {
        self.on_record(Call::Join(self.me(), self.key(), keys))
            .look()
            .await
    }

    async fn join(&mut self, keys: &RawPublicKeys) -> Result<(), PortError> {
        let tx = self
            .on_record(Call::Join(self.me(), self.key(), keys))
            .put()
            .await?;
        let tx = Some(("[Join the training round] ", tx));
        self.0.log("try to join in", tx).await;
        Ok(())
    }

    async fn public_keys(&mut self, members: &[Address]) -> Result<Vec<RawPublicKeys>, PortError> {
        let keys = self.connector().public_keys(&self.0.key, members).await?;
        if self.0.bundle.manifest().certified().is_some() {
            note_tables(&self.0.context, self.0.round.task(), members).await?;
        }
        Ok(keys)
    }

    async fn acquaintances(&mut self, members: &[Address]) -> Result<Acquaintances, PortError> {
        let identities = &self.0.context.identities;
        identities.acquaintances(&self.0.round.me, members).await
    }

    async fn has_committed(
        &mut self,
        kind: ShareKind,
        commitments: &[(Address, Digest)],
    ) -> Result<Standing, PortError> {
        let call = Call::Commit(self.me(), self.key(), kind, commitments);
        self.on_record(call).look().await
    }

    async fn commit(
        &mut self,
        kind: ShareKind,
        commitments: &[(Address, Digest)],
    ) -> Result<(), PortError> {
        let call = Call::Commit(self.me(), self.key(), kind, commitments);
        let tx = self.on_record(call).put().await?;
        let what = match kind {
            ShareKind::SelfMaskSeed => "upload seed secret share commitments",
            ShareKind::MaskKey => "upload secret key secret share commitments",
        };
        let tx = Some(("[Secret Sharing Parts Commitments] ", tx));
        self.0.log(what, tx).await;
        Ok(())
    }

    async fn share_records(
        &mut self,
        senders: &[Address],
    ) -> Result<Vec<RawShareRecord>, PortError> {
        let (key, me) = (&self.0.key, &self.0.round.me);
        self.connector().share_records(key, senders, me).await
    }

    async fn has_committed_result(&mut self, commitment: &Digest) -> Result<Standing, PortError> {
        let call = Call::Result(self.me(), self.key(), commitment);
        self.on_record(call).look().await
    }

    async fn commit_result(&mut self, commitment: &Digest) -> Result<(), PortError> {
        let call = Call::Result(self.me(), self.key(), commitment);
        let tx = self.on_record(call).put().await?;
        let tx = Some(("[Masked Result Commitment] ", tx));
        self.0.log("upload result commitment", tx).await;
        Ok(())
    }

    async fn has_revealed(
        &mut self,
        kind: ShareKind,
        shares: &[(Address, SecretBytes)],
    ) -> Result<Standing, PortError> {
        let shares = in_clear(shares);
        let call = Call::Reveal(self.me(), self.key(), kind, &shares);
        self.on_record(call).look().await
    }

    async fn reveal(
        &mut self,
        kind: ShareKind,
        shares: &[(Address, SecretBytes)],
    ) -> Result<(), PortError> {
        let shares = in_clear(shares);
        let call = Call::Reveal(self.me(), self.key(), kind, &shares);
        let tx = self.on_record(call).put().await?;
        let what = match kind {
            ShareKind::SelfMaskSeed => "seed shares",
            ShareKind::MaskKey => "secret key shares",
        };
        let what = format!("upload {what} of {} members", shares.len());
        let tx = Some(("[Secret Sharing Parts] ", tx));
        self.0.log(&what, tx).await;
        Ok(())
    }

    async fn wait_to_look(&mut self, looks: u32) -> bool {
        wait_to_look(&*self.0.context.ports.clock, looks).await
    }

    fn max_list(&self) -> usize {
        self.0.context.settings.max_list.max(1)
    }

    async fn submit(&mut self, request: &SignedRequest) -> Result<(), PortError> {
        self.peers().submit(&self.0.url, request).await
    }

    async fn notify(&mut self, request: &SignedRequest) -> Result<(), PortError> {
        for _ in 0..NOTICES {
            match self.submit(request).await {
                Ok(()) => break,
                Err(e) if e.is_transient() => self.pause(PAUSE).await,
                Err(e) => {
                    tracing::debug!(task = %self.0.key.task, "the coordinator took no notice: {}", report(&e));
                    break;
                }
            }
        }
        Ok(())
    }

    async fn fetch_shares(&mut self, request: &SignedRequest) -> Result<ShareDelivery, PortError> {
        self.peers().fetch_shares(&self.0.url, request).await
    }

    async fn confirmations(
        &mut self,
        request: &SignedRequest,
        again: bool,
    ) -> Result<Vec<Confirmation>, PortError> {
        // The others are as far as this node: a moment is mostly enough.
        for look in 0..if again { 0 } else { LOOKS } {
            match self.peers().confirmations(&self.0.url, request).await {
                Err(e) if e.is_transient() => self.pause(LOOK * (1 << look)).await,
                other => return other,
            }
        }
        self.peers().confirmations(&self.0.url, request).await
    }

    async fn upload(&mut self, request: &SignedRequest) -> Result<(), PortError> {
        let name = BlobName::own_masked_result(self.0.round.task(), self.0.round.round());
        let (_, content) = self.0.context.ports.blobs.open(&name).await?;
        self.peers().result(&self.0.url, request, content).await?;
        self.0.log("upload masked result", None).await;
        Ok(())
    }

    async fn decline(&mut self, request: &SignedRequest) -> Result<(), PortError> {
        // A farewell that comes early would be waited for.
        for _ in 0..FAREWELLS {
            match self.submit(request).await {
                Err(e) if e.is_transient() => self.pause(PAUSE).await,
                other => return other,
            }
        }
        self.submit(request).await
    }

    async fn ended(&mut self) -> Result<Option<RoundEnd>, PortError> {
        let (task, round) = (self.0.round.task(), self.0.round.round());
        let view = self.peers().round_view(&self.0.url, task, round).await?;
        Ok(view.ended)
    }

    async fn compute(
        &mut self,
        variables: &[VariableRequest],
        masks: &[MaskStream],
        cohort: usize,
        noise: Option<&NoiseGround>,
    ) -> Result<Computed, PortError> {
        let computation = self.computation();
        let (task, round) = (self.0.round.task(), self.0.round.round().0);
        let span = tracing::info_span!(target: TRACES, "compute", %task, round);
        let run = computation.run(variables, masks, cohort, noise);
        let (info, point) = tokio::select! {
            biased;
            () = self.0.stop.cancelled() => {
                let text = "the task is over for this node";
                return Err(PortError::new(PortErrorKind::Rejected, "runner.compute", text));
            }
            info = run.instrument(span) => info?,
        };
        Ok(Computed {
            commitment: info.digest,
            len: info.len,
            point,
        })
    }

    async fn prove(
        &mut self,
        variables: &[VariableRequest],
        ground: &ProofGround,
    ) -> Result<Computed, PortError> {
        let computation = self.computation();
        let info = tokio::select! {
            biased;
            () = self.0.stop.cancelled() => {
                let text = "the task is over for this node";
                return Err(PortError::new(PortErrorKind::Rejected, "runner.prove", text));
            }
            info = computation.prove(variables, ground) => info?,
        };
        Ok(Computed {
            commitment: info.digest,
            len: info.len,
            point: None,
        })
    }

    async fn release(&mut self, release: &Release, now: bool) -> Result<(), PortError> {
        self.0.context.owner.release_to(release, now).await
    }
}

impl RunnerEffects {
    async fn log(&self, what: &str, tx: Option<(&str, delta_domain::ids::TxHash)>) {
        let (prefix, tx) = match tx {
            Some((prefix, tx)) => (prefix, Some(tx)),
            None => ("", None),
        };
        let task = self.round.task();
        let message = if what == "try to join in" {
            format!(
                "{prefix}try to join in task {task} round {}",
                self.key.round
            )
        } else {
            format!("{prefix}task {task} round {} {what}", self.key.round)
        };
        self.context.step(task, message, tx).await;
    }
}

/// Shares as everybody may read them: they are no secrets any more.
fn in_clear(shares: &[(Address, SecretBytes)]) -> Vec<(Address, String)> {
    let of = |(owner, share): &(Address, SecretBytes)| (owner.clone(), encode_hex(share.expose()));
    shares.iter().map(of).collect()
}

/// The key of a round on the connector.
pub(super) fn round_key(kind: TaskKind, round: &RunnerContext) -> RoundKey {
    RoundKey {
        kind,
        task: round.task().clone(),
        round: round.round(),
    }
}
