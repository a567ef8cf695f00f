//! The coordinator's machine, with its time.

use std::time::Duration;

use delta_node::domain::ids::{Address, RoundNumber};
use delta_node::domain::round::coordinator::{
    CoordinatorContext, CoordinatorEffect, CoordinatorInput, CoordinatorRound,
};
use delta_node::domain::round::message::SignedRequest;
use delta_node::domain::secagg::mask::Sign;
use delta_node::domain::secagg::masked_input::{HEADER_BYTES, StreamAdder};
use delta_node::domain::secagg::word::Word;
use delta_node::domain::secret::Secret;
use delta_node::domain::strategy::Strategy;
use delta_node::domain::task::TaskKind;

use super::clock::seconds;
use super::{NOW, address, announcement, bundle};

pub(super) struct Coordinator {
    pub(super) machine: CoordinatorRound,
    pub(super) effects: Vec<CoordinatorEffect>,
    pub(super) time: f64,
    pub(super) adding: f64,
    /// The call that puts all secrets together.
    pub(super) rebuilding: f64,
}

impl Coordinator {
    pub(super) fn start(strategy: &Strategy, round: RoundNumber) -> Self {
        let context = CoordinatorContext {
            me: address(1_000_000),
            kind: TaskKind::Horizontal,
            announcement: announcement(round),
            bundle: bundle(),
            strategy: strategy.clone(),
            floor: 2,
            previous: Vec::new(),
            bound: false,
            silent: Vec::new(),
            came: Vec::new(),
            asked: Vec::new(),
            patience: std::time::Duration::ZERO,
        };
        let (machine, effects) = CoordinatorRound::start(NOW, context, Secret::new([9; 32]));
        let mut coordinator = Self {
            machine,
            effects,
            time: 0.0,
            adding: 0.0,
            rebuilding: 0.0,
        };
        coordinator.told(CoordinatorInput::Started);
        coordinator
    }

    pub(super) fn timed<T>(&mut self, work: impl FnOnce(&mut CoordinatorRound) -> T) -> T {
        let (answer, time) = seconds(|| work(&mut self.machine));
        self.time += time;
        answer
    }

    pub(super) fn told(&mut self, input: CoordinatorInput) {
        self.effects = self.timed(|c| c.handle(NOW, input).unwrap());
        if let Some(outcome) = self.machine.outcome() {
            panic!("coordinator: {outcome:?}");
        }
    }

    pub(super) fn receive(&mut self, request: &SignedRequest) {
        let input = CoordinatorInput::Request(request.clone());
        self.effects = self.timed(|c| c.handle(NOW, input).unwrap());
    }

    /// The deadline of those that vanished.
    pub(super) fn tick(&mut self) {
        let late = NOW + Duration::from_secs(100_000);
        self.effects = self.timed(|c| c.handle(late, CoordinatorInput::Tick).unwrap());
    }

    pub(super) fn upload<W: Word>(
        &mut self,
        member: &Address,
        request: &SignedRequest,
        bytes: &[u8],
        total: &mut [W],
    ) {
        let (digest, _, known) = self.timed(|c| c.authorise_result(request).unwrap());
        assert!(!known);
        let ((), adding) = seconds(|| {
            let mut adder = StreamAdder::new(Sign::Plus);
            for piece in bytes[HEADER_BYTES..].chunks(64 * 1024) {
                adder.push(total, piece).unwrap();
            }
            adder.finish(total).unwrap();
        });
        self.adding += adding;
        self.told(CoordinatorInput::ResultUploaded {
            member: member.clone(),
            digest,
        });
        self.told(CoordinatorInput::ResultCommitment {
            member: member.clone(),
            commitment: Some(digest.to_string()),
        });
    }
}
