//! A deterministic world of one round: n runners, a coordinator, the connector's record, and a scheduler that may be unkind.
//!
//! No threads, no clock: what happens next is drawn from one `u64` seed, and time moves to the next deadline when nothing else is left.
//! A crash loses what was under way and keeps snapshot and outbox; a node that is dropped never comes back.
//! Not a failure: that a round fails when the faults leave too few members. A failure: a wrong sum, a broken law, a round that hangs.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    reason = "two test programs use different parts of this model"
)]

pub mod effects;
pub mod node;
pub mod record;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use delta_node::domain::ids::{Address, Digest, RoundNumber, TaskId};
use delta_node::domain::round::coordinator::{
    CoordinatorContext, CoordinatorInput, CoordinatorOutcome, CoordinatorRound,
};
use delta_node::domain::round::message::{
    Announcement, RoundEnd, ShareDelivery, SignedRequest, TranscriptSignature,
};
use delta_node::domain::round::record::{RawPublicKeys, RawShareRecord};
use delta_node::domain::round::runner::{RunnerContext, RunnerInput, RunnerOutcome, RunnerRound};
use delta_node::domain::round::{
    Directory, Members, NeighbourGraph, Neighbourhood, PrivacyFloor, Rejection, RoundFailure,
};
use delta_node::domain::secret::Secret;
use delta_node::domain::strategy::Strategy;
use delta_node::domain::task::TaskKind;
use delta_node::domain::time::Timestamp;
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng as _, SeedableRng as _};

pub use node::{Machine, Node};
pub use record::{Record, Status};

/// How often a runner asks the coordinator where the round stands.
const CATCH_UP: Duration = Duration::from_secs(5);
/// The longest virtual time that a round may take: no schedule may hang.
const PATIENCE: Duration = Duration::from_secs(2 * 3600);

/// What a world is made of.
#[derive(Debug, Clone)]
pub struct Setup {
    pub n: usize,
    pub strategy: Strategy,
    pub floor: usize,
    pub length: usize,
    pub seed: u64,
    pub round: u32,
    pub model: Vec<u8>,
    /// What members ask of a neighbourhood.
    pub privacy: PrivacyFloor,
}

impl Setup {
    /// A full graph of `n` members, all wanted, two needed.
    pub fn new(n: usize, seed: u64) -> Self {
        let strategy = Strategy {
            min_clients: 2,
            max_clients: u32::try_from(n).unwrap(),
            ..Strategy::default()
        };
        Self {
            n,
            strategy,
            floor: 2,
            length: 5,
            seed,
            round: 3,
            model: b"the model".to_vec(),
            privacy: PrivacyFloor::default(),
        }
    }

    pub fn announcement(&self) -> Announcement {
        Announcement {
            task: task(),
            round: RoundNumber(self.round),
            step: 1,
            variables: [("model".parse().unwrap(), Digest::of(&self.model))].into(),
        }
    }
}

/// Faults, each in per mille of the chances to happen.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    pub request_lost: u64,
    pub response_lost: u64,
    /// Between the record part of an effect and the notice to the coordinator.
    pub between: u64,
    pub duplicate: u64,
    pub event_lost: u64,
    pub crash: u64,
    pub runner_dies: u64,
    pub coordinator_dies: u64,
}

impl Faults {
    pub fn rough() -> Self {
        Self {
            request_lost: 60,
            response_lost: 60,
            between: 60,
            duplicate: 150,
            event_lost: 200,
            crash: 40,
            runner_dies: 0,
            coordinator_dies: 0,
        }
    }
}

/// Which list of members.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum List {
    U1,
    U2,
    U3,
}

type Tamperer<A, B> = Option<Box<dyn FnMut(A, &mut B)>>;

/// What a hostile coordinator, connector or peer changes on the way. `None` as the reader is the coordinator.
#[derive(Default)]
pub struct Tamper {
    /// Lists as a runner reads them.
    pub list: Tamperer<(Address, List), Vec<Address>>,
    /// Keys as read.
    pub keys: Tamperer<(Option<Address>, Vec<Address>), Vec<RawPublicKeys>>,
    /// Sealed shares as relayed to a runner.
    pub delivery: Tamperer<Address, ShareDelivery>,
    /// What others signed about u3, as relayed to a runner.
    pub confirmations: Tamperer<Address, Vec<TranscriptSignature>>,
    /// Share records as read: reader, receiver, senders.
    pub records: Tamperer<(Option<Address>, Address, Vec<Address>), Vec<RawShareRecord>>,
    /// Requests on their way to the coordinator.
    pub request: Tamperer<(), SignedRequest>,
    /// Joins as the coordinator reads them.
    pub joins: Tamperer<(), Vec<Address>>,
    /// Commitments of results as the coordinator reads them.
    pub result: Tamperer<Address, Option<String>>,
}

/// Everything.
pub struct World {
    pub setup: Setup,
    pub now: Timestamp,
    pub rng: ChaCha20Rng,
    pub record: Record,
    pub coordinator: Node<CoordinatorRound>,
    pub runners: BTreeMap<Address, Node<RunnerRound>>,
    pub faults: Faults,
    pub tamper: Tamper,
    /// Runners that vanish right after this effect of theirs.
    pub last_effect: BTreeMap<Address, &'static str>,
    /// What each runner puts in, as ring elements.
    pub inputs: BTreeMap<Address, Vec<i64>>,
    /// Masked results on the runners' disks, and on the coordinator's.
    pub masked: BTreeMap<Address, Vec<u8>>,
    pub uploads: BTreeMap<Address, Vec<u8>>,
    pub variables: BTreeMap<String, Vec<u8>>,
    /// The sum, once made: compared with the inputs when it is.
    pub sum: Option<Vec<i64>>,
    pub trace: Vec<String>,
    catch_up_at: Timestamp,
    began: Timestamp,
}

pub fn address(i: usize) -> Address {
    // Spread out, so that neither the order of the numbers nor that of the texts means anything.
    let head = Digest::of(&i.to_be_bytes()).to_string();
    head[..42].parse().unwrap()
}

pub fn task() -> TaskId {
    format!("0x{}", "5a".repeat(32)).parse().unwrap()
}

pub fn secret(seed: u64, i: u64) -> Secret<32> {
    let text = format!("seed {seed} of node {i}");
    Secret::new(Digest::of(text.as_bytes()).0)
}

impl World {
    pub fn new(setup: Setup) -> Self {
        Self::with(setup, |_, _| {})
    }

    /// A world in which `change` may give a runner (by number) another idea of the round.
    pub fn with(setup: Setup, mut change: impl FnMut(usize, &mut RunnerContext)) -> Self {
        let now = Timestamp(1_700_000_000_000);
        let context = CoordinatorContext {
            me: address(1_000_000),
            kind: TaskKind::Horizontal,
            announcement: setup.announcement(),
            strategy: setup.strategy.clone(),
            floor: setup.floor,
            previous: Vec::new(),
            silent: Vec::new(),
        };
        let (machine, effects) =
            CoordinatorRound::start(now, context, secret(setup.seed, u64::MAX));
        let coordinator = Node::new(now, machine, effects);
        let (mut runners, mut inputs) = (BTreeMap::new(), BTreeMap::new());
        let mut rng = ChaCha20Rng::seed_from_u64(setup.seed);
        for i in 0..setup.n {
            let mut context = RunnerContext {
                me: address(i),
                announcement: setup.announcement(),
                strategy: setup.strategy.clone(),
                floor: setup.floor,
                privacy: setup.privacy,
            };
            change(i, &mut context);
            let own = node::ahead(now, node::skew(&address(i)));
            let (machine, effects) = RunnerRound::join(own, context, secret(setup.seed, i as u64));
            runners.insert(address(i), Node::new(now, machine, effects));
            // 4^i: each base-4 digit of the sum says how often client i was counted.
            let mut values = vec![4_i64.pow(u32::try_from(i % 15).unwrap())];
            values.extend((1..setup.length).map(|_| i64::from(rng.next_u32() % 2001) - 1000));
            inputs.insert(address(i), values);
        }
        let variables = [("model".into(), setup.model.clone())].into();
        Self {
            setup,
            now,
            rng,
            record: Record::default(),
            coordinator,
            runners,
            faults: Faults::default(),
            tamper: Tamper::default(),
            last_effect: BTreeMap::new(),
            inputs,
            masked: BTreeMap::new(),
            uploads: BTreeMap::new(),
            variables,
            sum: None,
            trace: Vec::new(),
            catch_up_at: now + CATCH_UP,
            began: now,
        }
    }

    /// The graph that follows from u1 and the keys on record.
    pub fn graph(&self) -> NeighbourGraph {
        let u1 = self.record.u1.clone().unwrap_or_default();
        let keys = self.record.public_keys(&u1);
        let directory = Directory::judge(self.setup.strategy.curve, &u1, &keys);
        let announcement = self.setup.announcement();
        let randomness =
            NeighbourGraph::randomness(&announcement.task, announcement.round, &directory);
        let usable: Members = directory.members().keys().cloned().collect();
        let degree = Neighbourhood::of(&self.setup.strategy, usable.len()).degree;
        NeighbourGraph::new(&usable, degree, &randomness)
    }

    /// Leaves the costly checks of each step to other tests.
    pub fn briefly(mut self) -> Self {
        self.coordinator.thorough = false;
        self.runners.values_mut().for_each(|n| n.thorough = false);
        self
    }

    /// Runs until everything that lives is over.
    pub fn run(&mut self) -> &mut Self {
        assert!(self.run_until(|_| false), "it did not come to an end");
        self.check_end();
        self
    }

    /// Runs until `stop`, or until everything that lives is over; answers whether that is so.
    pub fn run_until(&mut self, stop: impl Fn(&Self) -> bool) -> bool {
        for _ in 0..200_000 {
            if stop(self) {
                return false;
            }
            if !self.step() {
                return true;
            }
        }
        panic!("no end after 200000 steps: {}", self.story());
    }

    /// Asserts what must be true of every run.
    pub fn check_end(&self) {
        self.coordinator.check_replay();
        self.runners.values().for_each(Node::check_replay);
        self.check_secrets();
        let bound = self.began + PATIENCE;
        assert!(self.now <= bound, "too slow: {}", self.story());
    }

    /// No secret is out in both forms: never a threshold of seed shares and a threshold of key shares of one member.
    pub fn check_secrets(&self) {
        let members = self.record.u1.as_ref().map_or(0, Vec::len);
        let threshold = Neighbourhood::of(&self.setup.strategy, members).threshold;
        for member in self.runners.keys() {
            let (seeds, keys) = self.record.revealed_of(member);
            assert!(
                seeds < threshold || keys < threshold,
                "{member}: {seeds} seed shares and {keys} key shares are out, threshold {threshold}"
            );
        }
    }

    /// One thing that can happen, drawn at random. Answers whether there was one.
    fn step(&mut self) -> bool {
        self.reap();
        let mut choices: Vec<(Option<Address>, bool, usize)> = Vec::new();
        if self.coordinator.alive {
            choices.extend(ready(&self.coordinator, self.now).map(|(out, i)| (None, out, i)));
        }
        for (address, node) in &self.runners {
            if node.alive {
                choices
                    .extend(ready(node, self.now).map(|(out, i)| (Some(address.clone()), out, i)));
            }
        }
        if choices.is_empty() {
            return self.advance();
        }
        let (who, out, i) = choices.swap_remove(self.below(choices.len()));
        self.misfortune(who.as_ref());
        match who {
            None if out && i < self.coordinator.outbox.len() => self.carry_out_coordinator(i),
            None if !out && i < self.coordinator.inbox.len() => {
                let (input, task) = self.coordinator.inbox.swap_remove(i);
                // A rejection finishes the effect all the same: asking again would give the same answer.
                let _answer = self.coordinator.feed(self.now, input);
                task.into_iter().for_each(|t| self.coordinator.finish(t));
            }
            Some(who) => {
                let node = self.runners.get_mut(&who).unwrap();
                if out && i < node.outbox.len() {
                    self.carry_out_runner(&who, i);
                } else if !out && i < node.inbox.len() {
                    let (input, task) = node.inbox.swap_remove(i);
                    let _answer = node.feed(self.now, input);
                    task.into_iter().for_each(|t| node.finish(t));
                }
            }
            None => {}
        }
        true
    }

    /// Crashes and deaths, before a node does the next thing.
    fn misfortune(&mut self, who: Option<&Address>) {
        if self.happens(self.faults.crash) {
            self.trace.push(format!("crash {who:?}"));
            match who {
                None => self.coordinator.crash(),
                Some(a) => self.runners.get_mut(a).unwrap().crash(),
            }
        }
        match who {
            None if self.happens(self.faults.coordinator_dies) => self.kill_coordinator(),
            Some(a) if self.happens(self.faults.runner_dies) => self.kill(a),
            _ => {}
        }
    }

    pub fn kill(&mut self, who: &Address) {
        self.trace.push(format!("{who} dies"));
        self.runners.get_mut(who).unwrap().die();
    }

    pub fn kill_coordinator(&mut self) {
        self.trace.push("the coordinator dies".into());
        self.coordinator.die();
    }

    /// Finished machines do nothing more, except saying that they will not take part.
    fn reap(&mut self) {
        if self.coordinator.machine.is_over() {
            self.coordinator.outbox.clear();
        }
        for node in self.runners.values_mut() {
            if node.machine.is_over() {
                node.outbox
                    .retain(|t| t.effect.name() == "decline" && t.tries < 5);
            }
        }
    }

    /// Moves time to the next moment at which something is due.
    fn advance(&mut self) -> bool {
        let mut due: Vec<Timestamp> = Vec::new();
        let mut waiting = false;
        if self.coordinator.alive {
            due.extend(self.coordinator.machine.deadline());
            due.extend(
                self.coordinator
                    .outbox
                    .iter()
                    .filter(|t| !t.answered)
                    .map(|t| t.not_before),
            );
        }
        for node in self.runners.values().filter(|n| n.alive) {
            due.extend(node::Machine::deadline(&node.machine));
            due.extend(
                node.outbox
                    .iter()
                    .filter(|t| !t.answered)
                    .map(|t| t.not_before),
            );
            waiting |= !node.machine.is_over();
        }
        if waiting && self.coordinator.alive {
            due.push(self.catch_up_at);
        }
        let Some(next) = due.into_iter().min() else {
            return false;
        };
        assert!(next <= self.began + PATIENCE, "it hangs: {}", self.story());
        self.now = self.now.max(next);
        let now = self.now;
        if self.coordinator.alive
            && self
                .coordinator
                .machine
                .deadline()
                .is_some_and(|d| d <= now)
        {
            let tick = CoordinatorInput::Tick;
            self.coordinator.feed(now, tick).unwrap();
        }
        for node in self.runners.values_mut().filter(|n| n.alive) {
            if node::Machine::deadline(&node.machine).is_some_and(|d| d <= now) {
                node.feed(now, RunnerInput::Tick).unwrap();
            }
        }
        if self.now >= self.catch_up_at {
            self.catch_up_at = self.now + CATCH_UP;
            self.catch_up();
        }
        true
    }

    /// Every waiting runner reads where the round stands.
    fn catch_up(&mut self) {
        if !self.coordinator.alive {
            return;
        }
        let view = self.coordinator.machine.view();
        let waiting: Vec<Address> = self
            .runners
            .iter()
            .filter(|(_, n)| n.alive && !n.machine.is_over())
            .map(|(a, _)| a.clone())
            .collect();
        for who in waiting {
            for (list, members) in [
                (List::U1, &view.u1),
                (List::U2, &view.u2),
                (List::U3, &view.u3),
            ] {
                if let Some(members) = members {
                    self.tell(&who, list, members);
                }
            }
            if let Some(end) = &view.ended {
                let input = RunnerInput::Ended(end.clone());
                self.runners
                    .get_mut(&who)
                    .unwrap()
                    .inbox
                    .push((input, None));
            }
        }
    }

    /// A list on its way to a runner.
    pub fn tell(&mut self, who: &Address, list: List, members: &[Address]) {
        let mut members = members.to_vec();
        if let Some(tamper) = &mut self.tamper.list {
            tamper((who.clone(), list), &mut members);
        }
        let input = match list {
            List::U1 => RunnerInput::Selected { u1: members },
            List::U2 => RunnerInput::CalculationStarted { u2: members },
            List::U3 => RunnerInput::AggregationStarted { u3: members },
        };
        self.runners.get_mut(who).unwrap().inbox.push((input, None));
    }

    fn broadcast(&mut self, list: List, members: &[Address]) {
        let all: Vec<Address> = self.runners.keys().cloned().collect();
        for who in all {
            if self.runners[&who].alive && !self.happens(self.faults.event_lost) {
                self.tell(&who, list, members);
                if self.happens(self.faults.duplicate) {
                    self.tell(&who, list, members);
                }
            }
        }
    }

    fn broadcast_end(&mut self) {
        let all: Vec<Address> = self.runners.keys().cloned().collect();
        for who in all {
            if self.runners[&who].alive && !self.happens(self.faults.event_lost) {
                let input = RunnerInput::Ended(RoundEnd::Finished);
                self.runners
                    .get_mut(&who)
                    .unwrap()
                    .inbox
                    .push((input, None));
            }
        }
    }

    pub fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.rng.next_u64() % n as u64).unwrap()
    }

    pub fn happens(&mut self, per_mille: u64) -> bool {
        per_mille > 0 && self.rng.next_u64() % 1000 < per_mille
    }

    // What tests ask.

    pub fn outcome(&self) -> &CoordinatorOutcome {
        self.coordinator.machine.outcome().unwrap()
    }

    pub fn failure(&self) -> &RoundFailure {
        match self.outcome() {
            CoordinatorOutcome::Failed(failure) => failure,
            other => panic!("the round did not fail: {other:?}"),
        }
    }

    pub fn aggregated(&self) -> bool {
        matches!(
            self.coordinator.machine.outcome(),
            Some(CoordinatorOutcome::Aggregated { .. })
        )
    }

    pub fn runner(&self, i: usize) -> &Node<RunnerRound> {
        &self.runners[&address(i)]
    }

    pub fn runner_failure(&self, i: usize) -> &RoundFailure {
        match self.runner(i).machine.outcome() {
            Some(RunnerOutcome::Failed(failure)) => failure,
            other => panic!("runner {i} did not fail: {other:?}"),
        }
    }

    pub fn feed_runner(&mut self, i: usize, input: RunnerInput) -> Result<usize, Rejection> {
        let now = self.now;
        let node = self.runners.get_mut(&address(i)).unwrap();
        node.feed(now, input).map(|e| e.len())
    }

    pub fn request(&mut self, request: SignedRequest) -> Result<usize, Rejection> {
        let now = self.now;
        self.coordinator
            .feed(now, CoordinatorInput::Request(request))
            .map(|e| e.len())
    }

    /// Seed and key shares of all members that anybody can read.
    pub fn revealed(&self) -> (usize, usize) {
        (self.record.seeds.len(), self.record.keys.len())
    }

    pub fn story(&self) -> String {
        let who: BTreeSet<String> = self
            .runners
            .iter()
            .map(|(a, n)| {
                format!(
                    "{a} alive={} {} {:?} outbox={:?}",
                    n.alive,
                    n.machine.phase_name(),
                    n.machine.outcome(),
                    n.outbox.iter().map(|t| t.effect.name()).collect::<Vec<_>>()
                )
            })
            .collect();
        format!(
            "{:?}\nat {} after {:?}, coordinator alive={} {} {:?}\n{}\n{}",
            self.setup,
            self.now,
            self.now - self.began,
            self.coordinator.alive,
            self.coordinator.machine.phase_name(),
            self.coordinator.machine.outcome(),
            who.into_iter().collect::<Vec<_>>().join("\n"),
            self.trace.join("\n"),
        )
    }
}

/// Effects that can be carried out now (`true`) and inputs that can be handled (`false`), by position.
fn ready<M: Machine>(
    node: &Node<M>,
    now: Timestamp,
) -> impl Iterator<Item = (bool, usize)> + use<'_, M> {
    let effects = node
        .outbox
        .iter()
        .enumerate()
        .filter(move |(_, t)| !t.answered && t.not_before <= now)
        .map(|(i, _)| (true, i));
    effects.chain((0..node.inbox.len()).map(|i| (false, i)))
}
