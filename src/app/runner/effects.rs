//! Carrying out the effects of a member's round.

use std::sync::Arc;

use async_trait::async_trait;

use super::compute::Computation;
use crate::context::Context;
use crate::machine::{Effects, Machine};
use delta_domain::bundle::Bundle;
use delta_domain::ids::{Address, Digest, encode_hex};
use delta_domain::round::message::SignedRequest;
use delta_domain::round::runner::{RunnerContext, RunnerEffect, RunnerInput, RunnerRound};
use delta_domain::round::{FailureCode, Rejection};
use delta_domain::task::TaskKind;
use delta_domain::time::Timestamp;
use delta_ports::blob::BlobName;
use delta_ports::connector::{RawPublicKeys, RejectionReason, RoundKey, ShareKind};
use delta_ports::peer::PeerCalls as _;
use delta_ports::storage::{LogLevel, MachineKind};
use delta_ports::{PortError, PortErrorKind, report};

/// How often neighbours' signatures are asked for in quick succession; then it is tried again at the pace of every effect.
const LOOKS: u32 = 6;
/// The first pause between two of these; each is twice the one before.
const LOOK: std::time::Duration = std::time::Duration::from_millis(5);
/// How often a farewell is tried again while the coordinator cannot take it.
const FAREWELLS: u32 = 20;
/// Pause between two tries.
const PAUSE: std::time::Duration = std::time::Duration::from_millis(50);

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

    fn tick() -> RunnerInput {
        RunnerInput::Tick
    }

    fn effect_failed(effect: &RunnerEffect, error: &PortError) -> Option<RunnerInput> {
        let code = match effect {
            // The coordinator may live without this notice; its own deadline is the fallback.
            RunnerEffect::Decline { .. } => return None,
            RunnerEffect::Compute { .. } => FailureCode::Computation,
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
    pub(super) round: RunnerContext,
    pub(super) key: RoundKey,
    /// The coordinator's url on record.
    pub(super) url: String,
    pub(super) state_step: u32,
}

#[async_trait]
impl Effects<RunnerRound> for RunnerEffects {
    async fn carry_out(
        &self,
        effect: &RunnerEffect,
        again: bool,
    ) -> Result<Option<RunnerInput>, PortError> {
        match effect {
            RunnerEffect::Join { keys, notify } => self.join(keys, notify, again).await,
            RunnerEffect::ReadKeys { members } => {
                let keys = self
                    .context
                    .ports
                    .connector
                    .public_keys(&self.key, members)
                    .await?;
                Ok(Some(RunnerInput::PublicKeys(keys)))
            }
            RunnerEffect::PublishCommitments { seed, key } => {
                self.publish(
                    ShareKind::SelfMaskSeed,
                    seed,
                    again,
                    "seed secret share commitments",
                )
                .await?;
                self.publish(
                    ShareKind::MaskKey,
                    key,
                    again,
                    "secret key secret share commitments",
                )
                .await?;
                Ok(Some(RunnerInput::CommitmentsPublished))
            }
            RunnerEffect::PostShares { request } => {
                self.context.ports.peers.submit(&self.url, request).await?;
                self.log("upload secret shares", None).await;
                Ok(None)
            }
            RunnerEffect::CollectShares { request, senders } => {
                self.collect(request, senders).await
            }
            RunnerEffect::Compute {
                variables,
                masks,
                cohort,
            } => {
                let computation = Computation {
                    context: &self.context,
                    bundle: self.bundle.clone(),
                    round: &self.round,
                    url: &self.url,
                    state_step: self.state_step,
                };
                let info = computation.run(variables, masks, *cohort).await?;
                Ok(Some(RunnerInput::Masked {
                    digest: info.digest,
                    len: info.len,
                }))
            }
            RunnerEffect::Upload {
                commitment,
                request,
                ..
            } => self.upload(commitment, request, again).await,
            RunnerEffect::Confirm { request, fetch } => self.confirm(request, fetch, again).await,
            RunnerEffect::Reveal {
                seeds,
                keys,
                notify,
            } => {
                let wire = |shares: &[(Address, delta_domain::secret::SecretBytes)]| -> Vec<(Address, String)> {
                    shares.iter().map(|(a, s)| (a.clone(), encode_hex(s.expose()))).collect()
                };
                self.reveal(ShareKind::SelfMaskSeed, &wire(seeds), "seed shares")
                    .await?;
                self.reveal(ShareKind::MaskKey, &wire(keys), "secret key shares")
                    .await?;
                self.notify(notify).await;
                Ok(Some(RunnerInput::Revealed))
            }
            RunnerEffect::Decline { request } => {
                // The machine is over, so this would not be tried again; a farewell that comes early would be waited for.
                for _ in 0..FAREWELLS {
                    match self.context.ports.peers.submit(&self.url, request).await {
                        Err(e) if e.is_transient() => self.context.ports.clock.sleep(PAUSE).await,
                        other => return other.map(|()| None),
                    }
                }
                self.context.ports.peers.submit(&self.url, request).await?;
                Ok(None)
            }
        }
    }
}

impl RunnerEffects {
    async fn join(
        &self,
        keys: &RawPublicKeys,
        notify: &SignedRequest,
        again: bool,
    ) -> Result<Option<RunnerInput>, PortError> {
        let connector = &self.context.ports.connector;
        let me = self.round.me.as_str();
        // A second join under one address kills the member's part: look before trying again.
        let joined = again
            && connector
                .round(&self.key)
                .await?
                .joined
                .iter()
                .any(|a| a == me);
        if !joined {
            let tx = connector
                .join_round(&self.round.me, &self.key, keys)
                .await?;
            self.log("try to join in", Some(("[Join the training round] ", tx)))
                .await;
        }
        self.notify(notify).await;
        Ok(None)
    }

    async fn publish(
        &self,
        kind: ShareKind,
        commitments: &[(Address, Digest)],
        again: bool,
        what: &str,
    ) -> Result<(), PortError> {
        let connector = &self.context.ports.connector;
        if again && self.published(kind, commitments).await? {
            return Ok(());
        }
        let tx = connector
            .upload_share_commitments(&self.round.me, &self.key, kind, commitments)
            .await?;
        self.log(
            &format!("upload {what}"),
            Some(("[Secret Sharing Parts Commitments] ", tx)),
        )
        .await;
        Ok(())
    }

    /// Whether the commitments are on record already. The connector tells only once both kinds are; one kind alone reads as rejected,
    /// for a reason that names the kind that is missing; seeds are looked for first (docs/protocol/connector.md, Rejections and errors).
    async fn published(
        &self,
        kind: ShareKind,
        commitments: &[(Address, Digest)],
    ) -> Result<bool, PortError> {
        let Some((receiver, _)) = commitments.first() else {
            return Ok(true);
        };
        let me = std::slice::from_ref(&self.round.me);
        match self
            .context
            .ports
            .connector
            .share_records(&self.key, me, receiver)
            .await
        {
            Ok(_) => Ok(true),
            Err(e) if e.kind() == PortErrorKind::Rejected => {
                let keys_missing = e.reason() == Some(RejectionReason::KeyCommitmentMissing);
                Ok(kind == ShareKind::SelfMaskSeed && keys_missing)
            }
            Err(e) => Err(e),
        }
    }

    async fn collect(
        &self,
        request: &SignedRequest,
        senders: &[Address],
    ) -> Result<Option<RunnerInput>, PortError> {
        let delivery = self
            .context
            .ports
            .peers
            .fetch_shares(&self.url, request)
            .await?;
        let records = self
            .context
            .ports
            .connector
            .share_records(&self.key, senders, &self.round.me)
            .await?;
        self.log("get and validate other members' secret shares", None)
            .await;
        Ok(Some(RunnerInput::SharesCollected { delivery, records }))
    }

    async fn upload(
        &self,
        commitment: &Digest,
        request: &SignedRequest,
        again: bool,
    ) -> Result<Option<RunnerInput>, PortError> {
        let connector = &self.context.ports.connector;
        let on_record = if again {
            match connector.result_commitment(&self.key, &self.round.me).await {
                Ok(text) => text.parse::<Digest>().is_ok_and(|d| d == *commitment),
                Err(e) if e.kind() == PortErrorKind::Rejected => false,
                Err(e) => return Err(e),
            }
        } else {
            false
        };
        if !on_record {
            let tx = connector
                .upload_result_commitment(&self.round.me, &self.key, commitment)
                .await?;
            self.log(
                "upload result commitment",
                Some(("[Masked Result Commitment] ", tx)),
            )
            .await;
        }
        let name = BlobName::own_masked_result(self.round.task(), self.round.round());
        let (_, content) = self.context.ports.blobs.open(&name).await?;
        self.context
            .ports
            .peers
            .result(&self.url, request, content)
            .await?;
        self.log("upload masked result", None).await;
        Ok(None)
    }

    /// Says which u3 this node was shown, and asks what its neighbours were. A round that ended meanwhile needs neither.
    ///
    /// Until there are enough signatures this is a transient failure: it is tried again, also after a restart, until the round has ended
    /// or this node's deadline for it has passed.
    async fn confirm(
        &self,
        request: &SignedRequest,
        fetch: &SignedRequest,
        again: bool,
    ) -> Result<Option<RunnerInput>, PortError> {
        let (peers, clock) = (&self.context.ports.peers, &self.context.ports.clock);
        let asked = async {
            peers.submit(&self.url, request).await?;
            // The others are as far as this node: a moment is mostly enough.
            for look in 0..if again { 0 } else { LOOKS } {
                match peers.confirmations(&self.url, fetch).await {
                    Err(e) if e.is_transient() => clock.sleep(LOOK * (1 << look)).await,
                    other => return other,
                }
            }
            peers.confirmations(&self.url, fetch).await
        };
        match asked.await {
            Ok(confirmations) => Ok(Some(RunnerInput::Confirmed(confirmations))),
            Err(e) if e.kind() == PortErrorKind::Rejected => {
                let (task, round) = (self.round.task(), self.round.round());
                match peers.round_view(&self.url, task, round).await?.ended {
                    Some(end) => Ok(Some(RunnerInput::Ended(end))),
                    None => Err(e),
                }
            }
            Err(e) => Err(e),
        }
    }

    async fn reveal(
        &self,
        kind: ShareKind,
        shares: &[(Address, String)],
        what: &str,
    ) -> Result<(), PortError> {
        if shares.is_empty() {
            return Ok(());
        }
        let tx = self
            .context
            .ports
            .connector
            .reveal_shares(&self.round.me, &self.key, kind, shares)
            .await?;
        self.log(
            &format!("upload {what} of {} members", shares.len()),
            Some(("[Secret Sharing Parts] ", tx)),
        )
        .await;
        Ok(())
    }

    /// A hint for the coordinator. Losing it costs a poll interval.
    async fn notify(&self, request: &SignedRequest) {
        for _ in 0..3 {
            match self.context.ports.peers.submit(&self.url, request).await {
                Ok(()) => return,
                Err(e) if e.is_transient() => {
                    self.context
                        .ports
                        .clock
                        .sleep(std::time::Duration::from_millis(50))
                        .await
                }
                Err(e) => {
                    tracing::debug!(task = %self.key.task, "the coordinator took no notice: {}", report(&e));
                    return;
                }
            }
        }
    }

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
        self.context.log(LogLevel::Info, task, message, tx).await;
    }
}

/// The key of a round on the connector.
pub(super) fn round_key(kind: TaskKind, round: &RunnerContext) -> RoundKey {
    RoundKey {
        kind,
        task: round.task().clone(),
        round: round.round(),
    }
}
