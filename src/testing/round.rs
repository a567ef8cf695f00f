//! A deterministic world of one round: n runners, a coordinator, the connector's record, and a scheduler that may be unkind.
//!
//! No threads, no clock: what happens next is drawn from one `u64` seed, and time moves to the next deadline when nothing else is left.
//! A crash loses what was under way and keeps snapshot and outbox; a node that is dropped never comes back.
//!
//! ```
//! use delta_testing::round::{Faults, Setup, World};
//!
//! let mut world = World::new(Setup::new(3, 7));
//! world.faults = Faults::rough();
//! world.run();
//! assert!(world.aggregated());
//! ```
//!
//! Every step of every machine is held against the laws in [`node`], every sum against what its members put in. Not a failure: that a round fails when the faults leave too few members. A failure: a wrong sum, a broken law, a round that hangs.

mod coordinator;
mod member;
pub mod node;
mod questions;
pub mod record;
mod schedule;
mod setup;
mod tamper;

use std::collections::BTreeMap;
use std::time::Duration;

use delta_domain::ids::Address;
use delta_domain::round::coordinator::{CoordinatorContext, CoordinatorRound};
use delta_domain::round::runner::{RunnerContext, RunnerRound};
use delta_domain::round::{Directory, Members, NeighbourGraph, Neighbourhood};
use delta_domain::task::TaskKind;
use delta_domain::time::Timestamp;
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng as _, SeedableRng as _};

pub use node::{Machine, Node};
pub use record::{Record, Status};
pub use setup::{Faults, Setup, acquainted, address, bundle, secret, task};
pub use tamper::{List, Tamper, Tamperer};

/// The longest virtual time that a round may take: no schedule may hang.
const PATIENCE: Duration = Duration::from_secs(2 * 3600);

/// Everything. Tests look at all of it, and may change all of it between two steps.
pub struct World {
    /// What it was made of.
    pub setup: Setup,
    /// The coordinator's time.
    pub now: Timestamp,
    /// Where all chance comes from.
    pub rng: ChaCha20Rng,
    /// What the connector knows.
    pub record: Record,
    /// The coordinator's machine and its surroundings.
    pub coordinator: Node<CoordinatorRound>,
    /// Those of the runners.
    pub runners: BTreeMap<Address, Node<RunnerRound>>,
    /// What goes wrong by chance; nothing at first.
    pub faults: Faults,
    /// What goes wrong on purpose; nothing at first.
    pub tamper: Tamper,
    /// Runners that vanish right after this effect of theirs.
    pub last_effect: BTreeMap<Address, &'static str>,
    /// What each runner puts in, as ring elements.
    pub inputs: BTreeMap<Address, Vec<i64>>,
    /// Masked results on the runners' disks.
    pub masked: BTreeMap<Address, Vec<u8>>,
    /// Masked results on the coordinator's disk.
    pub uploads: BTreeMap<Address, Vec<u8>>,
    /// Server variables, by name.
    pub variables: BTreeMap<String, Vec<u8>>,
    /// The sum, once made: compared with the inputs when it is.
    pub sum: Option<Vec<i64>>,
    /// What has happened, for people.
    pub trace: Vec<String>,
    catch_up_at: Timestamp,
    began: Timestamp,
}

impl World {
    /// A world without faults, before its first step.
    #[must_use]
    pub fn new(setup: Setup) -> Self {
        Self::with(setup, |_, _| {})
    }

    /// A world in which `change` may give a runner (by number) another idea of the round.
    #[must_use]
    pub fn with(setup: Setup, mut change: impl FnMut(usize, &mut RunnerContext)) -> Self {
        let now = Timestamp(1_700_000_000_000);
        let context = CoordinatorContext {
            me: address(1_000_000),
            kind: TaskKind::Horizontal,
            announcement: setup.announcement(),
            bundle: setup::bundle(),
            strategy: setup.strategy.clone(),
            floor: setup.floor,
            previous: Vec::new(),
            bound: false,
            silent: Vec::new(),
            came: Vec::new(),
            asked: Vec::new(),
            patience: setup.patience,
        };
        let (machine, effects) =
            CoordinatorRound::start(now, context, secret(setup.seed, u64::MAX));
        let coordinator = Node::new(now, 0, machine, effects);
        let (mut runners, mut inputs) = (BTreeMap::new(), BTreeMap::new());
        let mut rng = ChaCha20Rng::seed_from_u64(setup.seed);
        for i in 0..setup.n {
            let mut context = RunnerContext {
                me: address(i),
                announcement: setup.announcement(),
                bundle: setup::bundle(),
                strategy: setup.strategy.clone(),
                floor: setup.floor,
                privacy: setup.privacy,
            };
            change(i, &mut context);
            let skew = setup.skew_of(&address(i));
            let own = node::ahead(now, skew);
            let chance = secret(setup.seed, i as u64);
            let (machine, effects) = match setup.pairs.get(i) {
                Some(pair) => RunnerRound::join_as(own, context, chance, pair.clone()),
                None => RunnerRound::join(own, context, chance),
            };
            runners.insert(address(i), Node::new(now, skew, machine, effects));
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
            catch_up_at: now + schedule::CATCH_UP,
            began: now,
        }
    }

    /// The graph that follows from u1 and the keys on record.
    #[must_use]
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
    #[must_use]
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
}
