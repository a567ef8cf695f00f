//! What a world is made of, and the faults that it has.

use std::time::Duration;

use delta_domain::ids::{Address, Digest, RoundNumber, TaskId};
use delta_domain::round::message::Announcement;
use delta_domain::round::{Acquaintance, Acquaintances, PrivacyFloor};
use delta_domain::secagg::sealing::SealingPair;
use delta_domain::secret::Secret;
use delta_domain::strategy::Strategy;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;

/// What a world is made of.
#[derive(Debug, Clone)]
pub struct Setup {
    /// How many runners.
    pub n: usize,
    /// The task's.
    pub strategy: Strategy,
    /// The fewest members that every node here insists on.
    pub floor: usize,
    /// Numbers that each member contributes.
    pub length: usize,
    /// Where all chance comes from.
    pub seed: u64,
    /// The round's number.
    pub round: u32,
    /// Content of the one server variable, `model`.
    pub model: Vec<u8>,
    /// What members ask of a neighbourhood.
    pub privacy: PrivacyFloor,
    /// How wrong the runners' clocks are, in milliseconds: half of them ahead by so much, half behind.
    pub skew: i64,
    /// For how long the coordinator waits for those without whom there is no sum.
    pub patience: Duration,
    /// The members' `pk1` of the task, in their order; who has none here draws one for the round.
    pub pairs: Vec<SealingPair>,
}

impl Setup {
    /// A full graph of `n` members, all wanted, two needed.
    #[must_use]
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
            skew: 0,
            patience: Duration::ZERO,
            pairs: Vec::new(),
        }
    }

    /// The same members, with a `pk1` each that they have kept from an earlier round, in the round after that.
    #[must_use]
    pub fn next(mut self) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(self.seed);
        let curve = self.strategy.curve;
        let missing = self.n.saturating_sub(self.pairs.len());
        self.pairs
            .extend((0..missing).map(|_| SealingPair::generate(curve, &mut rng)));
        self.round += 1;
        self.seed += 1;
        self
    }

    /// What the coordinator announces.
    #[must_use]
    pub fn announcement(&self) -> Announcement {
        Announcement {
            task: task(),
            round: RoundNumber(self.round),
            step: 1,
            variables: [("model".parse().unwrap(), Digest::of(&self.model))].into(),
        }
    }

    /// How far this runner's clock is ahead of the coordinator's, in milliseconds.
    pub(super) fn skew_of(&self, runner: &Address) -> i64 {
        let last = runner.as_str().bytes().next_back().unwrap();
        if last.is_multiple_of(2) {
            self.skew
        } else {
            -self.skew
        }
    }
}

/// What `me` knows of `members`: each of them, vouched for.
#[must_use]
pub fn acquainted(me: &Address, members: &[Address]) -> Acquaintances {
    let others = members.iter().filter(|other| *other != me);
    let known = others.map(|other| {
        let (low, high) = if me < other { (me, other) } else { (other, me) };
        let pair = Digest::of(format!("{low} {high}").as_bytes());
        let acquaintance = Acquaintance {
            common: Secret::new(pair.0),
            vouched: true,
        };
        (other.clone(), acquaintance)
    });
    Acquaintances {
        known: known.collect(),
        anchored: true,
        ..Acquaintances::default()
    }
}

/// Faults, each in per mille of the chances to happen.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    /// A call does not arrive.
    pub request_lost: u64,
    /// A call is made and its answer does not arrive.
    pub response_lost: u64,
    /// Between the record part of an effect and the notice to the coordinator.
    pub between: u64,
    /// A request, an event or an answer comes twice.
    pub duplicate: u64,
    /// An event does not arrive.
    pub event_lost: u64,
    /// A node loses what was under way and goes on from its snapshot.
    pub crash: u64,
    /// A runner is gone for ever.
    pub runner_dies: u64,
    /// The coordinator is gone for ever.
    pub coordinator_dies: u64,
}

impl Faults {
    /// Everything that a round must survive, often.
    #[must_use]
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

/// Runner `i`.
#[must_use]
pub fn address(i: usize) -> Address {
    // Spread out, so that neither the order of the numbers nor that of the texts means anything.
    let head = Digest::of(&i.to_be_bytes()).to_string();
    head[..42].parse().unwrap()
}

/// The task of every world.
#[must_use]
pub fn task() -> TaskId {
    format!("0x{}", "5a".repeat(32)).parse().unwrap()
}

/// SHA-256 of the bundle of every world.
#[must_use]
pub fn bundle() -> Digest {
    Digest::of(b"the bundle")
}

/// What all secrets of node `i` come from.
#[must_use]
pub fn secret(seed: u64, i: u64) -> Secret<32> {
    let text = format!("seed {seed} of node {i}");
    Secret::new(Digest::of(text.as_bytes()).0)
}
