//! A hostile member: the node's own round machine, stopped wherever an attack wants to do something else.

mod word;
mod world;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use rand_core::Rng as _;

use super::bundles;
use super::rogue_coordinator::RogueCoordinator;
use super::target::{LOOK, PATIENCE, Targets, until};
use crate::bootstrap::{Way, clock, entropy, users};
use delta_app::member;
use delta_domain::ids::{Address, Digest, RoundNumber, TaskId};
use delta_domain::round::message::{RoundView, SignedRequest};
use delta_domain::round::record::RawPublicKeys;
use delta_domain::round::runner::{
    MaskStream, RunnerContext, RunnerEffect, RunnerInput, RunnerRound,
};
use delta_domain::round::{FailureCode, PrivacyFloor};
use delta_domain::secagg::encoding::Encoding;
use delta_domain::secagg::keys::KeyPair;
use delta_domain::secagg::mask::{Masker, Ring};
use delta_domain::secagg::masked_input::{MaskedInputHeader, write_le_words};
use delta_domain::secret::Secret;
use delta_domain::strategy::Strategy;
use delta_domain::task::TaskKind;
use delta_ports::blob::pieces;
use delta_ports::clock::Clock;
use delta_ports::connector::{Connector, RoundKey};
use delta_ports::peer::PeerCalls as _;
use delta_ports::{PortError, PortErrorKind};

/// A member of one task's rounds.
pub(super) struct RogueMember<'a> {
    pub(super) field: &'a Targets,
    /// Signed by this member's own key.
    pub(super) connector: Arc<dyn Connector>,
    pub(super) address: Address,
    /// The coordinator's number of the task.
    pub(super) id: u64,
    pub(super) task: TaskId,
    pub(super) round: u32,
    /// The coordinator's.
    url: String,
    strategy: Strategy,
    /// SHA-256 of the task's bundle.
    bundle: Digest,
    machine: Option<RunnerRound>,
    queue: VecDeque<RunnerEffect>,
    /// Signs as this member.
    cipher: Option<KeyPair>,
    /// The masked result, once there is one.
    pub(super) upload: Vec<u8>,
    clock: Arc<dyn Clock>,
}

impl<'a> RogueMember<'a> {
    /// Joins the network and has the coordinator start a task for all its nodes and this one.
    pub(super) async fn enter(field: &'a Targets, rounds: u32) -> anyhow::Result<Self> {
        Self::enter_with(field, rounds, |_| {}).await
    }

    /// As [`Self::enter`], in a round that cannot go on without this member: the others are never faster than the attack.
    pub(super) async fn enter_needed(field: &'a Targets, rounds: u32) -> anyhow::Result<Self> {
        let others = u32::try_from(field.targets.len())?;
        // So many colluders are withstood by shares of all members alone, with this one and without it.
        Self::enter_with(field, rounds, |s| s.colluders = Some(others - 1)).await
    }

    /// As [`Self::enter_needed`], where a round that fails is not attempted again.
    pub(super) async fn enter_needed_once(field: &'a Targets) -> anyhow::Result<Self> {
        let others = u32::try_from(field.targets.len())?;
        Self::enter_with(field, 1, |s| {
            s.colluders = Some(others - 1);
            s.retries = 0;
        })
        .await
    }

    async fn enter_with(
        field: &'a Targets,
        rounds: u32,
        change: impl FnOnce(&mut Strategy),
    ) -> anyhow::Result<Self> {
        let connector = field.newcomer()?;
        let joined = connector.join("http://127.0.0.1:9", "attacker").await?;
        let members = u32::try_from(field.targets.len())? + 1;
        let bundle = bundles::task(|m| {
            m.strategy.min_clients = 2;
            m.strategy.max_clients = members;
            m.rounds[0].repeat = rounds;
            change(&mut m.strategy);
        })?;
        let known = (bundles::manifest_of(&bundle)?.strategy, Digest::of(&bundle));
        let (id, task) = field.submit_heard(&joined.address, &bundle).await?;
        let url = field.coordinator().url.clone();
        let mut rogue = Self::new(field, connector, joined.address, url, task, known);
        rogue.id = id;
        Ok(rogue)
    }

    /// Joins the network for the task of a hostile coordinator.
    pub(super) async fn of(
        field: &'a Targets,
        coordinator: &RogueCoordinator<'_>,
    ) -> anyhow::Result<Self> {
        let connector = field.newcomer()?;
        let joined = connector.join("http://127.0.0.1:9", "attacker").await?;
        let known = {
            let papers = coordinator.papers();
            let strategy = bundles::manifest_of(&papers.bundle)?.strategy;
            (strategy, Digest::of(&papers.bundle))
        };
        let (url, task) = (coordinator.url().to_owned(), coordinator.task().clone());
        Ok(Self::new(
            field,
            connector,
            joined.address,
            url,
            task,
            known,
        ))
    }

    fn new(
        field: &'a Targets,
        connector: Arc<dyn Connector>,
        address: Address,
        url: String,
        task: TaskId,
        (strategy, bundle): (Strategy, Digest),
    ) -> Self {
        Self {
            field,
            connector,
            address,
            id: 0,
            task,
            round: 0,
            url,
            strategy,
            bundle,
            machine: None,
            queue: VecDeque::new(),
            cipher: None,
            upload: Vec::new(),
            clock: clock(),
        }
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    pub(super) fn key(&self) -> RoundKey {
        RoundKey {
            kind: TaskKind::Horizontal,
            task: self.task.clone(),
            round: RoundNumber(self.round),
        }
    }

    /// Prepares to join the next round: the effect that joins is the first that [`Self::until`] meets.
    pub(super) async fn next_round(&mut self) -> anyhow::Result<()> {
        self.round += 1;
        let key = self.key();
        self.field.touch(&key);
        let end = Instant::now() + PATIENCE;
        let view = loop {
            let view = self
                .field
                .peers
                .round_view(self.url(), &self.task, key.round)
                .await;
            match view {
                Ok(view) => break view,
                Err(e) if Instant::now() > end => return Err(e).context("the next round"),
                Err(_) => tokio::time::sleep(LOOK).await,
            }
        };
        let mut seed = [0; 32];
        entropy().rng()?.fill_bytes(&mut seed);
        let context = RunnerContext {
            me: self.address.clone(),
            announcement: view.announcement,
            bundle: self.bundle,
            strategy: self.strategy.clone(),
            floor: 2,
            privacy: PrivacyFloor::default(),
        };
        let (machine, effects) = RunnerRound::join(self.clock.now(), context, Secret::new(seed));
        // A member knows its own keys; this one has them only in its machine's snapshot.
        let snapshot = serde_json::to_value(&machine)?;
        let cipher = snapshot
            .pointer("/phase/advertise_keys/cipher")
            .cloned()
            .context("the snapshot has no key")?;
        self.cipher = Some(serde_json::from_value(cipher)?);
        self.machine = Some(machine);
        self.queue = effects.into();
        Ok(())
    }

    /// Plays on honestly until the machine wants `effect`, which is handed over and not carried out.
    pub(super) async fn until(&mut self, effect: &str) -> anyhow::Result<RunnerEffect> {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(next) = self.queue.pop_front() {
                if next.name() == effect {
                    return Ok(next);
                }
                self.carry_out(next).await?;
                continue;
            }
            if Instant::now() > end {
                bail!("the round did not get as far as {effect}")
            }
            self.look().await;
            if let Some(machine) = &self.machine
                && machine.is_over()
            {
                bail!("the round is over before {effect}: {:?}", machine.outcome())
            }
            if self.queue.is_empty() {
                tokio::time::sleep(LOOK).await;
            }
        }
    }

    /// Asks the coordinator where the round stands.
    async fn look(&mut self) {
        let round = RoundNumber(self.round);
        let view = self
            .field
            .peers
            .round_view(self.url(), &self.task, round)
            .await;
        let Ok(view) = view else { return };
        let inputs = [
            view.u1.map(|u1| RunnerInput::Selected { u1 }),
            view.u2.map(|u2| RunnerInput::CalculationStarted { u2 }),
            view.u3.map(|u3| RunnerInput::AggregationStarted { u3 }),
            view.ended.map(RunnerInput::Ended),
        ];
        for input in inputs.into_iter().flatten() {
            self.give(input);
        }
    }

    fn give(&mut self, input: RunnerInput) {
        let now = self.clock.now();
        // What does not fit is a repetition.
        if let Some(Ok(effects)) = self.machine.as_mut().map(|m| m.handle(now, input)) {
            self.queue.extend(effects);
        }
    }

    /// What an honest member would do.
    pub(super) async fn carry_out(&mut self, effect: RunnerEffect) -> anyhow::Result<()> {
        if let RunnerEffect::Reveal { .. } = effect {
            bail!("revealing is left to the attack")
        }
        if let Some(input) = member::carry_out(self, &effect, false).await? {
            self.give(input);
        }
        Ok(())
    }

    /// Waits until the coordinator shows one of the round's lists; empty when the round ends without it.
    pub(super) async fn shown(
        &self,
        list: impl Fn(RoundView) -> Option<Vec<Address>>,
    ) -> anyhow::Result<Vec<Address>> {
        let round = RoundNumber(self.round);
        until("a list of the round", || async {
            let peers = &self.field.peers;
            let view = peers.round_view(self.url(), &self.task, round).await.ok()?;
            let over = view.ended.is_some();
            list(view).or_else(|| over.then(Vec::new))
        })
        .await
    }

    /// Uploads `content` under a request.
    pub(super) async fn result(
        &self,
        request: &SignedRequest,
        content: Vec<u8>,
    ) -> Result<(), PortError> {
        self.field
            .peers
            .result(self.url(), request, pieces(content))
            .await
    }

    /// What an honest node computes in step 0, masked.
    fn contribution(&self, masks: &[MaskStream], cohort: usize) -> anyhow::Result<Vec<u8>> {
        let values = [bundles::expected(1); bundles::VALUES];
        let mut words: Vec<u64> = Vec::new();
        Encoding::new(Ring::Z64, self.strategy.precision, cohort).encode(&values, &mut words)?;
        // The counter of failed members.
        words.push(0);
        let streams: Vec<_> = masks.iter().map(|m| (&m.seed, m.sign)).collect();
        Masker::new(self.strategy.mask_generator, &streams).apply(0, &mut words);
        let header = MaskedInputHeader {
            task: self.task.clone(),
            round: RoundNumber(self.round),
            sender: self.address.clone(),
            ring: Ring::Z64,
            length: words.len() as u64,
        };
        let mut out = header.encode().to_vec();
        // Appending to memory cannot fail.
        let Ok::<(), std::convert::Infallible>(()) = write_le_words(&words, |bytes| {
            out.extend_from_slice(bytes);
            Ok(())
        });
        Ok(out)
    }

    /// Signs as this member, whatever the request says.
    pub(super) fn sign(&self, mut request: SignedRequest) -> anyhow::Result<SignedRequest> {
        let cipher = self.cipher.as_ref().context("not in a round")?;
        request.signature = cipher.sign(&request.signed_bytes());
        Ok(request)
    }

    pub(super) async fn send(&self, request: &SignedRequest) -> Result<(), PortError> {
        self.retry_transient(|| self.field.peers.submit(self.url(), request))
            .await
    }

    /// Comes again while the coordinator is not ready, for a moment.
    pub(super) async fn retry_transient<T, F: Future<Output = Result<T, PortError>>>(
        &self,
        call: impl Fn() -> F,
    ) -> Result<T, PortError> {
        let end = Instant::now() + Duration::from_secs(5);
        loop {
            match call().await {
                Err(e) if e.is_transient() && Instant::now() < end => {
                    tokio::time::sleep(LOOK).await;
                }
                other => return other,
            }
        }
    }

    /// Joins with other keys than the machine's.
    pub(super) async fn join_with(&mut self, keys: &RawPublicKeys) -> anyhow::Result<()> {
        if let RunnerEffect::Join { notify, .. } = self.until("join").await? {
            let key = self.key();
            self.connector.join_round(&self.address, &key, keys).await?;
            self.send(&notify).await?;
        }
        Ok(())
    }

    /// Leaves round and network, and waits for the others to finish the task: with the right numbers.
    pub(super) async fn leave(mut self, rounds: u32) -> anyhow::Result<()> {
        self.give(RunnerInput::EffectFailed {
            code: FailureCode::Computation,
            reason: "enough".into(),
        });
        while let Some(effect) = self.queue.pop_front() {
            if let RunnerEffect::Decline { request } = effect {
                // The round may be over already.
                drop(self.send(&request).await);
            }
        }
        self.connector.leave(&self.address).await?;
        self.field
            .ends_right(self.id, rounds)
            .await
            .context("the attacked task")
    }

    /// Leaves the network while its contribution stays, and waits for the task.
    pub(super) async fn stay(self, rounds: u32) -> anyhow::Result<()> {
        self.connector.leave(&self.address).await?;
        self.field
            .ends_right(self.id, rounds)
            .await
            .context("the attacked task")
    }
}

impl RogueMember<'_> {
    /// Leaves the network where the task cannot end but in an error, and waits for that; the line of its log that has `word`.
    pub(super) async fn stay_to_the_error(self, word: &str) -> anyhow::Result<String> {
        self.connector.leave(&self.address).await?;
        if self.field.numbers(self.id).await.is_ok() {
            bail!("the attacked task has a result");
        }
        let client = users(&self.field.coordinator().url, None, &Way::default())?;
        let log = client.logs(self.id, 0).await?;
        let line = log.iter().find(|line| line.message.contains(word));
        let line =
            line.with_context(|| format!("the attacked task's log says nothing of a {word}"))?;
        Ok(line.message.clone())
    }
}

/// What the coordinator made of a request that it must not take.
pub(super) fn refused<T>(result: &Result<T, PortError>) -> (bool, String) {
    match result {
        Ok(_) => (false, "it was taken".into()),
        Err(e) => (
            matches!(
                e.kind(),
                PortErrorKind::Rejected | PortErrorKind::Unavailable
            ),
            e.message().to_owned(),
        ),
    }
}
