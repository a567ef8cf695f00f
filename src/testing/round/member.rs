//! Carrying out a runner's effects, as the driver of a real node would: again later when it is too early. What an effect does is
//! `delta_app::member`'s, as everywhere; here is what stands for the network.

use delta_app::member::{self, Computed, MemberWorld};
use delta_app::once::Standing;
use delta_domain::ids::{Address, Digest};
use delta_domain::round::coordinator::CoordinatorInput;
use delta_domain::round::message::{Confirmation, RoundEnd, ShareDelivery, SignedRequest};
use delta_domain::round::record::{RawPublicKeys, RawShareRecord};
use delta_domain::round::runner::{
    MaskStream, NoiseGround, ProofGround, RunnerEffect, RunnerInput, VariableRequest,
};
use delta_domain::round::{Acquaintances, FailureCode, Rejection};
use delta_domain::secagg::commitment::commit_upload;
use delta_domain::secagg::encoding::Encoding;
use delta_domain::secagg::masked_input::le_bytes;
use delta_domain::secagg::word::{Ring, Word};
use delta_domain::secret::SecretBytes;
use delta_ports::connector::ShareKind;
use futures_util::FutureExt as _;

use super::coordinator::{RETRY, apply};
use super::setup::acquainted;
use super::{Status, World};

/// What became of an effect.
enum Done {
    /// Carried out; nothing is to be told.
    Silently,
    /// Carried out; this is to be told.
    Tell(RunnerInput),
    /// Not possible now.
    Later,
}

/// Why an act of a member has no result.
enum NoAnswer {
    /// Nobody answers, or it is too early to ask.
    NotNow,
    /// The coordinator has answered.
    Rejected(Rejection),
    /// It can never be.
    Never(String),
}

impl World {
    pub(super) fn carry_out_runner(&mut self, who: &Address, i: usize) {
        let node = self.runners.get_mut(who).unwrap();
        node.outbox[i].tries += 1;
        let task = node.outbox[i].clone();
        self.trace
            .push(format!("{} {who} {}", self.now, task.effect.name()));
        let later = |world: &mut Self| {
            let now = world.now;
            let node = world.runners.get_mut(who).unwrap();
            node.outbox
                .iter_mut()
                .filter(|t| t.id == task.id)
                .for_each(|t| t.not_before = now + RETRY);
        };
        if self.happens(self.faults.request_lost) {
            return later(self);
        }
        let done = self.runner_effect(who, &task.effect, task.tries > 1);
        if self.happens(self.faults.response_lost) {
            return later(self);
        }
        let duplicate = self.happens(self.faults.duplicate);
        let node = self.runners.get_mut(who).unwrap();
        match done {
            Done::Later => return later(self),
            Done::Silently => node.finish(task.id),
            Done::Tell(input) => {
                node.outbox
                    .iter_mut()
                    .filter(|t| t.id == task.id)
                    .for_each(|t| t.answered = true);
                if duplicate {
                    node.inbox.push((input.clone(), None));
                }
                node.inbox.push((input, Some(task.id)));
            }
        }
        if self.last_effect.get(who) == Some(&task.effect.name()) {
            self.kill(who);
        }
    }

    fn runner_effect(&mut self, who: &Address, effect: &RunnerEffect, again: bool) -> Done {
        let mut member = Member { world: self, who };
        let done = member::carry_out(&mut member, effect, again).now_or_never();
        match done.expect("nothing here waits") {
            Ok(None) => Done::Silently,
            Ok(Some(input)) => Done::Tell(input),
            Err(no) => after(effect, no),
        }
    }

    fn call(&mut self, request: &SignedRequest) -> Result<(), NoAnswer> {
        let request = self.on_the_way(request);
        self.reach()?;
        if self.happens(self.faults.duplicate) {
            let _twice = self.request(request.clone());
        }
        self.request(request)
            .map(|_| ())
            .map_err(NoAnswer::Rejected)
    }

    fn on_the_way(&mut self, request: &SignedRequest) -> SignedRequest {
        // Through JSON, as over HTTP.
        let text = serde_json::to_string(request).unwrap();
        let mut request = serde_json::from_str(&text).unwrap();
        if let Some(tamper) = &mut self.tamper.request {
            tamper((), &mut request);
        }
        request
    }

    /// Whether somebody is there to be asked.
    fn reach(&self) -> Result<(), NoAnswer> {
        if self.coordinator.alive {
            Ok(())
        } else {
            Err(NoAnswer::NotNow)
        }
    }

    /// The masked upload of one member.
    fn mask<W: Word>(&self, who: &Address, masks: &[MaskStream], cohort: usize) -> Vec<u8> {
        let mut words: Vec<W> = Vec::new();
        #[expect(clippy::cast_precision_loss, reason = "the numbers are small")]
        let values: Vec<f64> = self.inputs[who].iter().map(|v| *v as f64).collect();
        Encoding::new(W::RING, 0, cohort)
            .encode(&values, &mut words)
            .unwrap();
        apply(&mut words, self, masks);
        let mut bytes = self.header::<W>(who).encode().to_vec();
        let mut body = Vec::new();
        le_bytes(&words, &mut body);
        bytes.extend(body);
        bytes
    }
}

/// One runner in its world.
struct Member<'a> {
    world: &'a mut World,
    who: &'a Address,
}

impl MemberWorld for Member<'_> {
    type Error = NoAnswer;

    /// A round that has gone on without this member tells it at the next look.
    fn is_rejection(_: &NoAnswer) -> bool {
        false
    }

    async fn has_joined(&mut self, _: &RawPublicKeys) -> Result<Standing, NoAnswer> {
        Ok(Standing::there(self.world.record.has_joined(self.who)))
    }

    async fn join(&mut self, keys: &RawPublicKeys) -> Result<(), NoAnswer> {
        let record = &mut self.world.record;
        if record.status == Status::Absent {
            return Err(NoAnswer::NotNow);
        }
        if record.join(self.who, keys.clone()) {
            Ok(())
        } else {
            Err(NoAnswer::Never("the round takes no more members".into()))
        }
    }

    async fn public_keys(&mut self, members: &[Address]) -> Result<Vec<RawPublicKeys>, NoAnswer> {
        let mut keys = self.world.record.public_keys(members);
        if let Some(tamper) = &mut self.world.tamper.keys {
            tamper((Some(self.who.clone()), members.to_vec()), &mut keys);
        }
        Ok(keys)
    }

    async fn has_committed(
        &mut self,
        kind: ShareKind,
        commitments: &[(Address, Digest)],
    ) -> Result<Standing, NoAnswer> {
        let table = match kind {
            ShareKind::SelfMaskSeed => &self.world.record.seed_commitments,
            ShareKind::MaskKey => &self.world.record.key_commitments,
        };
        let mut pairs = commitments.iter();
        let all = pairs.all(|(to, _)| table.contains_key(&(self.who.clone(), to.clone())));
        Ok(Standing::there(all))
    }

    async fn commit(
        &mut self,
        kind: ShareKind,
        commitments: &[(Address, Digest)],
    ) -> Result<(), NoAnswer> {
        let (seeds, keys): (&[_], &[_]) = match kind {
            ShareKind::SelfMaskSeed => (commitments, &[]),
            ShareKind::MaskKey => (&[], commitments),
        };
        // Too late is no news: u2 will not have this node.
        self.world.record.commit_shares(self.who, seeds, keys);
        Ok(())
    }

    async fn share_records(
        &mut self,
        senders: &[Address],
    ) -> Result<Vec<RawShareRecord>, NoAnswer> {
        let who = self.who;
        let mut records = self.world.record.share_records(senders, who);
        if let Some(tamper) = &mut self.world.tamper.records {
            tamper(
                (Some(who.clone()), who.clone(), senders.to_vec()),
                &mut records,
            );
        }
        Ok(records)
    }

    async fn has_committed_result(&mut self, commitment: &Digest) -> Result<Standing, NoAnswer> {
        let known = self.world.record.results.get(self.who);
        Ok(Standing::of(known, &commitment.to_string()))
    }

    async fn commit_result(&mut self, commitment: &Digest) -> Result<(), NoAnswer> {
        self.world.record.commit_result(self.who, *commitment);
        Ok(())
    }

    async fn reveal(
        &mut self,
        kind: ShareKind,
        shares: &[(Address, SecretBytes)],
    ) -> Result<(), NoAnswer> {
        let (seeds, keys): (&[_], &[_]) = match kind {
            ShareKind::SelfMaskSeed => (shares, &[]),
            ShareKind::MaskKey => (&[], shares),
        };
        self.world.record.reveal(self.who, seeds, keys);
        Ok(())
    }

    async fn submit(&mut self, request: &SignedRequest) -> Result<(), NoAnswer> {
        self.world.call(request)
    }

    async fn notify(&mut self, request: &SignedRequest) -> Result<(), NoAnswer> {
        if self.world.happens(self.world.faults.between) {
            return Err(NoAnswer::NotNow);
        }
        match self.world.call(request) {
            Err(NoAnswer::Rejected(Rejection::WrongPhase { late: false, .. })) => {
                Err(NoAnswer::NotNow)
            }
            _ => Ok(()),
        }
    }

    async fn acquaintances(&mut self, members: &[Address]) -> Result<Acquaintances, NoAnswer> {
        let mut others = acquainted(self.who, members);
        if let Some(tamper) = &mut self.world.tamper.others {
            tamper(self.who.clone(), &mut others);
        }
        Ok(others)
    }

    async fn fetch_shares(&mut self, request: &SignedRequest) -> Result<ShareDelivery, NoAnswer> {
        let request = self.world.on_the_way(request);
        self.world.reach()?;
        let delivery = self.world.coordinator.machine.deliver(&request);
        let mut delivery = delivery.map_err(NoAnswer::Rejected)?;
        if let Some(tamper) = &mut self.world.tamper.delivery {
            tamper(self.who.clone(), &mut delivery);
        }
        Ok(delivery)
    }

    async fn confirmations(
        &mut self,
        request: &SignedRequest,
        _again: bool,
    ) -> Result<Vec<Confirmation>, NoAnswer> {
        let request = self.world.on_the_way(request);
        self.world.reach()?;
        let said = self.world.coordinator.machine.confirmations(&request);
        let mut said = said.map_err(NoAnswer::Rejected)?;
        if let Some(tamper) = &mut self.world.tamper.confirmations {
            tamper(self.who.clone(), &mut said);
        }
        Ok(said)
    }

    async fn upload(&mut self, request: &SignedRequest) -> Result<(), NoAnswer> {
        if self.world.happens(self.world.faults.between) {
            return Err(NoAnswer::NotNow);
        }
        let request = self.world.on_the_way(request);
        self.world.reach()?;
        let bytes = self.world.masked[self.who].clone();
        let promised = self.world.coordinator.machine.authorise_result(&request);
        let (digest, len, here) = promised.map_err(NoAnswer::Rejected)?;
        if here {
            return Ok(());
        }
        assert_eq!((commit_upload(&bytes), bytes.len() as u64), (digest, len));
        self.world.uploads.insert(self.who.clone(), bytes);
        let input = CoordinatorInput::ResultUploaded {
            member: self.who.clone(),
            digest,
        };
        let now = self.world.now;
        let taken = self.world.coordinator.feed(now, input);
        taken.map(drop).map_err(NoAnswer::Rejected)
    }

    async fn decline(&mut self, request: &SignedRequest) -> Result<(), NoAnswer> {
        match self.world.call(request) {
            Err(
                NoAnswer::NotNow | NoAnswer::Rejected(Rejection::WrongPhase { late: false, .. }),
            ) => Err(NoAnswer::NotNow),
            _ => Ok(()),
        }
    }

    async fn ended(&mut self) -> Result<Option<RoundEnd>, NoAnswer> {
        Ok(None)
    }

    async fn prove(
        &mut self,
        _variables: &[VariableRequest],
        _ground: &ProofGround,
    ) -> Result<Computed, NoAnswer> {
        Err(NoAnswer::Never("rounds here have sums".into()))
    }

    async fn compute(
        &mut self,
        variables: &[VariableRequest],
        masks: &[MaskStream],
        cohort: usize,
        _noise: Option<&NoiseGround>,
    ) -> Result<Computed, NoAnswer> {
        for variable in variables {
            let request = self.world.on_the_way(&variable.request);
            self.world.reach()?;
            let machine = &self.world.coordinator.machine;
            machine
                .authorise_variable(&request)
                .map_err(NoAnswer::Rejected)?;
            let content = &self.world.variables[variable.name.as_str()];
            if Digest::of(content) != variable.digest {
                return Err(NoAnswer::Never("the variable is another one".into()));
            }
        }
        let bytes = match self.world.setup.strategy.ring() {
            Ring::Z32 => self.world.mask::<u32>(self.who, masks, cohort),
            Ring::Z64 => self.world.mask::<u64>(self.who, masks, cohort),
        };
        let computed = Computed {
            commitment: commit_upload(&bytes),
            len: bytes.len() as u64,
            point: None,
        };
        self.world.masked.insert(self.who.clone(), bytes);
        Ok(computed)
    }
}

/// Too early: again later. Too late: never mind. Anything else ends this member's part.
fn after(effect: &RunnerEffect, no: NoAnswer) -> Done {
    let confirming = matches!(effect, RunnerEffect::Confirm { .. });
    match no {
        NoAnswer::NotNow => Done::Later,
        // Until the others have signed, or the next look tells that the round has gone on.
        NoAnswer::Rejected(Rejection::WrongPhase { .. } | Rejection::NotYet { .. })
            if confirming =>
        {
            Done::Later
        }
        NoAnswer::Rejected(Rejection::WrongPhase { late: false, .. }) => Done::Later,
        NoAnswer::Rejected(Rejection::WrongPhase { late: true, .. }) => Done::Silently,
        NoAnswer::Rejected(e) => Done::Tell(RunnerInput::EffectFailed {
            code: FailureCode::ProtocolViolation,
            reason: format!("the coordinator refuses: {e}"),
        }),
        NoAnswer::Never(reason) => Done::Tell(RunnerInput::EffectFailed {
            code: FailureCode::Infrastructure,
            reason,
        }),
    }
}
