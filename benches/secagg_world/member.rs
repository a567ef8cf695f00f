//! A member's machine, and the network as it reaches it: what goes over it is counted, what it computes is timed.

use std::mem::take;

use delta_node::app::member::{self, Computed, MemberWorld};
use delta_node::app::once::Standing;
use delta_node::app::vectors::MaskedVector;
use delta_node::domain::ids::{Address, Digest, RoundNumber, encode_hex};
use delta_node::domain::round::message::{
    Confirmation, RequestBody, RoundEnd, ShareDelivery, SignedRequest,
};
use delta_node::domain::round::record::{RawPublicKeys, RawShareRecord};
use delta_node::domain::round::runner::{
    MaskStream, NoiseGround, ProofGround, RunnerContext, RunnerEffect, RunnerInput, RunnerRound,
    VariableRequest,
};
use delta_node::domain::round::{Acquaintances, PrivacyFloor, Rejection};
use delta_node::domain::secagg::commitment::UPLOAD_HASH;
use delta_node::domain::secagg::encoding::Encoding;
use delta_node::domain::secagg::mask::Masker;
use delta_node::domain::secagg::masked_input::{COUNTER_WORDS, HEADER_BYTES, MaskedInputHeader};
use delta_node::domain::secagg::sealing::SealingPair;
use delta_node::domain::secagg::word::Word;
use delta_node::domain::secret::{Secret, SecretBytes};
use delta_node::domain::strategy::Strategy;
use delta_node::domain::tensor::{Tensor, TensorData};
use delta_node::ports::connector::ShareKind;
use delta_node::testing::round::{acquainted, task};
use futures_util::FutureExt as _;
use sha2::{Digest as _, Sha256};

use super::clock::seconds;
use super::{Between, NOW, ROUND, Setup, address, announcement, bundle, wire};

/// One member.
pub(super) struct Client {
    pub(super) machine: RunnerRound,
    /// What its machine wants done.
    effects: Vec<RunnerEffect>,
    pub(super) books: Books,
    /// One that is not does nothing any more.
    pub(super) alive: bool,
}

/// What a member has, and what it has cost.
pub(super) struct Books {
    address: Address,
    strategy: Strategy,
    values: Vec<f32>,
    upload: Vec<u8>,
    /// Has signed u3.
    confirmed: bool,
    pub(super) time: f64,
    pub(super) masking: f64,
    pub(super) quantise_and_hash: f64,
    pub(super) sharing: f64,
    pub(super) opening: f64,
    pub(super) sends: u64,
    pub(super) receives: u64,
    pub(super) connector: u64,
    pub(super) messages: u64,
}

impl Client {
    /// A member that has made its keys of the round.
    pub(super) fn join(
        i: usize,
        setup: &Setup,
        strategy: &Strategy,
        round: RoundNumber,
        pair: SealingPair,
    ) -> Self {
        let context = RunnerContext {
            me: address(i),
            announcement: announcement(round),
            bundle: bundle(),
            strategy: strategy.clone(),
            floor: 2,
            privacy: PrivacyFloor::default(),
        };
        let seed: [u8; 32] = Sha256::digest(format!("member {i} round {round}")).into();
        let ((machine, effects), time) =
            seconds(|| RunnerRound::join_as(NOW, context, Secret::new(seed), pair));
        // Different for every member and place, and exact in single precision.
        let value = |j: usize| ((i * 7919 + j * 104_729) % 2001) as f32 / 1000.0 - 1.0;
        Self {
            machine,
            effects,
            books: Books {
                address: address(i),
                strategy: strategy.clone(),
                values: (0..setup.d).map(value).collect(),
                upload: Vec::new(),
                confirmed: false,
                time,
                masking: 0.0,
                quantise_and_hash: 0.0,
                sharing: 0.0,
                opening: 0.0,
                sends: 0,
                receives: 0,
                connector: 0,
                messages: 0,
            },
            alive: true,
        }
    }

    pub(super) fn address(&self) -> &Address {
        &self.books.address
    }

    pub(super) fn values(&self) -> &[f32] {
        &self.books.values
    }

    /// Hears a list as an event of the connector.
    pub(super) fn hear(&mut self, list: &[Address], input: RunnerInput) {
        self.books.connector += wire::envelope() + wire::members(list);
        self.books.messages += 1;
        self.told(input);
    }

    /// Carries out the effect that its machine wants carried out.
    pub(super) fn carry_out<W: Word>(&mut self, between: &mut Between<W>) {
        let Some(effect) = self.effects.pop() else {
            panic!("{} wants nothing done", self.address());
        };
        let books = &mut self.books;
        let mut reach = Reach { books, between };
        let done = member::carry_out(&mut reach, &effect, false).now_or_never();
        match done {
            Some(Ok(Some(input))) => self.told(input),
            Some(Ok(None)) => {}
            // Again later.
            Some(Err(Early)) => self.effects.push(effect),
            None => panic!("nothing here waits"),
        }
    }

    /// Whether it waits for the others to sign u3.
    pub(super) fn is_early(&self) -> bool {
        matches!(self.effects.last(), Some(RunnerEffect::Confirm { .. }))
    }

    fn told(&mut self, input: RunnerInput) {
        let (shares, opens) = (
            matches!(input, RunnerInput::PublicKeys { .. }),
            matches!(input, RunnerInput::SharesCollected { .. }),
        );
        let (effects, time) = seconds(|| self.machine.handle(NOW, input).unwrap());
        self.books.time += time;
        self.books.sharing += if shares { time } else { 0.0 };
        self.books.opening += if opens { time } else { 0.0 };
        self.effects = effects;
        if let Some(outcome) = self.machine.outcome() {
            panic!("{}: {outcome:?}", self.address());
        }
    }
}

impl Books {
    fn sends(&mut self, request: &SignedRequest) {
        self.sends += wire::request(request);
        self.messages += 1;
    }

    fn asks(&mut self, bytes: u64) {
        self.connector += bytes;
        self.messages += 1;
    }

    /// From the masks to the upload; the numbers go through one block of the size that the node uses.
    fn mask<W: Word>(&mut self, masks: &[MaskStream], cohort: usize) -> (Digest, u64) {
        let strategy = &self.strategy;
        let values = TensorData::F32(self.values.clone());
        let tensor = Tensor::new(vec![self.values.len()], values).unwrap();
        let tensors = vec![("x".parse().unwrap(), tensor)];
        let header = MaskedInputHeader {
            task: task(),
            round: ROUND,
            sender: self.address.clone(),
            ring: strategy.ring(),
            length: (self.values.len() + COUNTER_WORDS) as u64,
        };
        // Written once before, so that the system's clearing of fresh pages is not counted: the node writes to a file.
        let mut upload = vec![1; HEADER_BYTES + (self.values.len() + COUNTER_WORDS) * W::BYTES];
        upload.clear();
        let generator = strategy.mask_generator;
        let (digest, time) = seconds(|| {
            let encoding = Encoding::new(W::RING, strategy.precision, cohort);
            let vector = MaskedVector::new(tensors, masks, generator, encoding);
            let mut digest = UPLOAD_HASH.start();
            upload.extend_from_slice(&header.encode());
            digest.update(&upload);
            let mut at = 0;
            while at < vector.length() {
                let (block, next) = vector.block(at).unwrap();
                // As it comes, like the node's store.
                digest.update(&block);
                upload.extend_from_slice(&block);
                at = next;
            }
            digest.finish()
        });
        // The same masks on as many zeros: what the whole is compared with.
        let mut zeros: Vec<W> = self.values.iter().map(|_| W::default()).collect();
        let streams: Vec<_> = masks.iter().map(|m| (&m.seed, m.sign)).collect();
        let ((), masking) = seconds(|| Masker::new(generator, &streams).apply(0, &mut zeros));
        self.masking = masking;
        self.quantise_and_hash = time - masking;
        self.time += time;
        let len = upload.len() as u64;
        self.upload = upload;
        (digest, len)
    }
}

/// The network as one member reaches it.
struct Reach<'a, W> {
    books: &'a mut Books,
    between: &'a mut Between<W>,
}

/// The others have not signed yet.
struct Early;

impl<W: Word> MemberWorld for Reach<'_, W> {
    type Error = Early;

    fn is_rejection(_: &Early) -> bool {
        false
    }

    // Every act is on record once.

    async fn has_joined(&mut self, _: &RawPublicKeys) -> Result<Standing, Early> {
        Ok(Standing::Absent)
    }

    async fn has_committed(
        &mut self,
        _: ShareKind,
        _: &[(Address, Digest)],
    ) -> Result<Standing, Early> {
        Ok(Standing::Absent)
    }

    async fn has_committed_result(&mut self, _: &Digest) -> Result<Standing, Early> {
        Ok(Standing::Absent)
    }

    async fn join(&mut self, keys: &RawPublicKeys) -> Result<(), Early> {
        let texts = wire::texts([keys.pk1.as_str(), &keys.pk2]);
        self.books.asks(wire::envelope() + texts);
        self.between.record.join(&self.books.address, keys.clone());
        Ok(())
    }

    async fn public_keys(&mut self, members: &[Address]) -> Result<Vec<RawPublicKeys>, Early> {
        let keys = self.between.keys.clone();
        assert_eq!(keys.len(), members.len(), "of others than u1");
        let of_keys = |k: &RawPublicKeys| wire::field(wire::texts([k.pk1.as_str(), &k.pk2]));
        let answer = keys.iter().map(of_keys).sum::<u64>();
        let question = wire::envelope() + wire::members(members);
        self.books.asks(question + answer);
        Ok(keys)
    }

    async fn commit(
        &mut self,
        kind: ShareKind,
        commitments: &[(Address, Digest)],
    ) -> Result<(), Early> {
        let pairs = commitments.iter().map(|(a, d)| (a, d.to_string()));
        self.books.asks(wire::pairs(pairs));
        let (seeds, keys): (&[_], &[_]) = match kind {
            ShareKind::SelfMaskSeed => (commitments, &[]),
            ShareKind::MaskKey => (&[], commitments),
        };
        let record = &mut self.between.record;
        assert!(record.commit_shares(&self.books.address, seeds, keys));
        Ok(())
    }

    async fn share_records(&mut self, senders: &[Address]) -> Result<Vec<RawShareRecord>, Early> {
        let me = &self.books.address;
        let records = self.between.record.share_records(senders, me);
        let of_record = |r: &RawShareRecord| {
            let both = [&r.seed_commitment, &r.secret_key_commitment];
            wire::field(wire::texts(both.into_iter().flatten().map(String::as_str)))
        };
        let answer = records.iter().map(of_record).sum::<u64>();
        self.books
            .asks(wire::envelope() + wire::members(senders) + answer);
        Ok(records)
    }

    async fn commit_result(&mut self, commitment: &Digest) -> Result<(), Early> {
        let text = commitment.to_string();
        self.books
            .asks(wire::envelope() + wire::texts([text.as_str()]));
        let record = &mut self.between.record;
        assert!(record.commit_result(&self.books.address, *commitment));
        Ok(())
    }

    async fn reveal(
        &mut self,
        kind: ShareKind,
        shares: &[(Address, SecretBytes)],
    ) -> Result<(), Early> {
        let pairs = shares.iter().map(|(a, s)| (a, encode_hex(s.expose())));
        self.books.asks(wire::pairs(pairs));
        let (seeds, keys): (&[_], &[_]) = match kind {
            ShareKind::SelfMaskSeed => (shares, &[]),
            ShareKind::MaskKey => (&[], shares),
        };
        let record = &mut self.between.record;
        record.reveal(&self.books.address, seeds, keys);
        Ok(())
    }

    async fn submit(&mut self, request: &SignedRequest) -> Result<(), Early> {
        // u3 is confirmed once, however often the others are asked.
        let confirms = matches!(request.body, RequestBody::Confirm { .. });
        if !(confirms && self.books.confirmed) {
            self.books.confirmed = confirms;
            self.books.sends(request);
            self.between.coordinator.receive(request);
        }
        Ok(())
    }

    async fn notify(&mut self, request: &SignedRequest) -> Result<(), Early> {
        self.books.sends(request);
        let notice = (self.books.address.clone(), request.clone());
        self.between.notices.push(notice);
        Ok(())
    }

    async fn acquaintances(&mut self, members: &[Address]) -> Result<Acquaintances, Early> {
        Ok(acquainted(&self.books.address, members))
    }

    async fn fetch_shares(&mut self, request: &SignedRequest) -> Result<ShareDelivery, Early> {
        self.books.sends(request);
        let coordinator = &mut self.between.coordinator;
        let delivery = coordinator.timed(|c| c.deliver(request).unwrap());
        self.books.receives += wire::compact(&delivery.shares, &[]);
        Ok(delivery)
    }

    async fn confirmations(
        &mut self,
        request: &SignedRequest,
        _again: bool,
    ) -> Result<Vec<Confirmation>, Early> {
        let coordinator = &mut self.between.coordinator;
        // Those that come early are not counted: a node waits for the others.
        if let Err(Rejection::NotYet { .. }) = coordinator.machine.confirmations(request) {
            return Err(Early);
        }
        let said = coordinator.timed(|c| c.confirmations(request).unwrap());
        self.books.sends(request);
        self.books.receives += wire::compact(&[], &said);
        Ok(said)
    }

    async fn upload(&mut self, request: &SignedRequest) -> Result<(), Early> {
        self.books.sends(request);
        let upload = take(&mut self.books.upload);
        let Between {
            coordinator, total, ..
        } = &mut *self.between;
        coordinator.upload(&self.books.address, request, &upload, total);
        Ok(())
    }

    async fn decline(&mut self, _: &SignedRequest) -> Result<(), Early> {
        panic!("nobody declines")
    }

    async fn ended(&mut self) -> Result<Option<RoundEnd>, Early> {
        Ok(None)
    }

    async fn compute(
        &mut self,
        _variables: &[VariableRequest],
        masks: &[MaskStream],
        cohort: usize,
        _noise: Option<&NoiseGround>,
    ) -> Result<Computed, Early> {
        let (commitment, len) = self.books.mask::<W>(masks, cohort);
        Ok(Computed {
            commitment,
            len,
            point: None,
        })
    }

    async fn prove(
        &mut self,
        _variables: &[VariableRequest],
        _ground: &ProofGround,
    ) -> Result<Computed, Early> {
        // Rounds here have sums.
        Err(Early)
    }
}
