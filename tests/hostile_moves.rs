//! Rounds in which the coordinator's messages, the connector's record and the members' requests are changed at random on the way,
//! among crashes and lost messages; each from one `u64` seed.
//!
//! `DELTA_HOSTILE_SEEDS=0..1000 cargo test --no-default-features --test hostile_moves` runs more than the usual 150.
//! The moves are those of an attacker without a plan; attackers with one are in `round_attacks`. The coordinator's own program is
//! honest: what it sums must be right, or there is no sum.
//!
//! Laws: every run ends by its deadlines; a sum is exactly that of u3 (`delta_testing::round` compares it when it is made); no member's seed
//! and mask key can both be rebuilt from what was revealed; machines told the same again from a snapshot are the same.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a failed step is a failed test; a failing seed must be seen"
)]

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use delta_node::domain::ids::{Address, Digest};
use delta_node::domain::round::message::RequestBody;
use delta_testing::round::{Faults, Setup, World, address};
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng as _, SeedableRng as _};

/// Draws moves, and counts those that were made.
#[derive(Clone)]
struct Malice {
    rng: Rc<RefCell<ChaCha20Rng>>,
    /// Of a thousand chances.
    rate: u64,
    moves: Rc<Cell<u32>>,
}

impl Malice {
    fn below(&self, n: usize) -> usize {
        let draw = self.rng.borrow_mut().next_u64();
        usize::try_from(draw % u64::try_from(n.max(1)).unwrap()).unwrap()
    }

    /// Whether to act now.
    fn strikes(&self) -> bool {
        let strikes = self.rng.borrow_mut().next_u64() % 1000 < self.rate;
        self.moves.set(self.moves.get() + u32::from(strikes));
        strikes
    }

    fn flip(&self, bytes: &mut [u8]) {
        let at = self.below(bytes.len());
        if let Some(byte) = bytes.get_mut(at) {
            *byte ^= 1 << self.below(8);
        }
    }

    /// Another digit somewhere in a text of hex digits.
    fn misspell(&self, text: &mut String) {
        if text.len() > 2 {
            let at = 2 + self.below(text.len() - 2);
            let digit = if text.as_bytes()[at] == b'0' {
                "1"
            } else {
                "0"
            };
            text.replace_range(at..=at, digit);
        }
    }

    /// Lost, doubled, exchanged or turned around.
    fn shuffle<T: Clone>(&self, list: &mut Vec<T>) {
        if list.is_empty() {
            return;
        }
        let (a, b) = (self.below(list.len()), self.below(list.len()));
        match self.below(5) {
            0 => drop(list.remove(a)),
            1 => list.push(list[a].clone()),
            2 => list.swap(a, b),
            3 => list.reverse(),
            _ => list.clear(),
        }
    }

    fn lists(&self, list: &mut Vec<Address>) {
        match self.below(3) {
            0 => list.push(address(1000 + self.below(5))),
            _ => self.shuffle(list),
        }
    }
}

/// Puts the moves into a world.
fn tamper(w: &mut World, malice: &Malice) {
    let m = malice.clone();
    w.tamper.list = Some(Box::new(move |_, list| {
        if m.strikes() {
            m.lists(list);
        }
    }));
    let m = malice.clone();
    w.tamper.joins = Some(Box::new(move |(), list| {
        if m.strikes() {
            // Nobody who has not joined: the record would refuse such a u1 anyway.
            m.shuffle(list);
        }
    }));
    let m = malice.clone();
    w.tamper.keys = Some(Box::new(move |_, keys| {
        if !m.strikes() {
            return;
        }
        let (a, b) = (m.below(keys.len()), m.below(keys.len()));
        match m.below(4) {
            0 => m.misspell(&mut keys[a].pk1),
            1 => m.misspell(&mut keys[a].pk2),
            2 => keys.swap(a, b),
            _ => keys[a] = keys[b].clone(),
        }
    }));
    let m = malice.clone();
    w.tamper.delivery = Some(Box::new(move |_, delivery| {
        if !m.strikes() {
            return;
        }
        let (at, other) = (
            m.below(delivery.shares.len()),
            m.below(delivery.shares.len()),
        );
        match m.below(3) {
            0 => m.shuffle(&mut delivery.shares),
            1 if !delivery.shares.is_empty() => m.flip(&mut delivery.shares[at].sealed),
            _ if !delivery.shares.is_empty() => {
                delivery.shares[at].sealed = delivery.shares[other].sealed.clone();
            }
            _ => {}
        }
    }));
    let m = malice.clone();
    w.tamper.confirmations = Some(Box::new(move |_, said| {
        if !m.strikes() {
            return;
        }
        let (a, b) = (m.below(said.len()), m.below(said.len()));
        match m.below(3) {
            0 => m.shuffle(said),
            1 if !said.is_empty() => m.flip(&mut said[a].tag),
            _ if !said.is_empty() => said[a].member = said[b].member.clone(),
            _ => {}
        }
    }));
    let m = malice.clone();
    w.tamper.records = Some(Box::new(move |_, records| {
        let at = m.below(records.len());
        let Some(record) = records.get_mut(at).filter(|_| m.strikes()) else {
            return;
        };
        let field = match m.below(4) {
            0 => &mut record.seed,
            1 => &mut record.seed_commitment,
            2 => &mut record.secret_key,
            _ => &mut record.secret_key_commitment,
        };
        match field {
            Some(text) if m.below(2) == 0 => m.misspell(text),
            field => *field = None,
        }
    }));
    let m = malice.clone();
    w.tamper.result = Some(Box::new(move |_, commitment| {
        if m.strikes() {
            *commitment = (m.below(2) == 0).then(|| Digest::of(b"another").to_string());
        }
    }));
    let m = malice.clone();
    w.tamper.request = Some(Box::new(move |(), request| {
        if !m.strikes() {
            return;
        }
        match (m.below(4), &mut request.body) {
            (0, _) => m.flip(&mut request.signature),
            (1, _) => m.flip(&mut request.view.0),
            (2, _) => request.sender = address(m.below(6)),
            (_, RequestBody::Shares { shares, .. }) => m.shuffle(shares),
            (_, RequestBody::Confirm { tags, .. }) => m.flip(tags),
            (_, body) => *body = RequestBody::Revealed,
        }
    }));
}

/// One run; answers how many moves were made, and whether there was a sum.
fn run(seed: u64) -> (u32, bool) {
    let malice = Malice {
        rng: Rc::new(RefCell::new(ChaCha20Rng::seed_from_u64(seed))),
        rate: [0, 2, 10, 50][usize::try_from(seed % 4).unwrap()],
        moves: Rc::new(Cell::new(0)),
    };
    let mut setup = Setup::new(3 + malice.below(5), seed);
    if malice.below(3) == 0 {
        setup.strategy.neighbours = Some(4);
    }
    let mut world = World::new(setup).briefly();
    world.faults = if malice.below(2) == 0 {
        Faults::rough()
    } else {
        Faults::default()
    };
    tamper(&mut world, &malice);
    world.run();
    (malice.moves.get(), world.sum.is_some())
}

#[test]
fn no_wrong_sum_no_hang_and_no_secret_in_both_forms() {
    let text = std::env::var("DELTA_HOSTILE_SEEDS").unwrap_or_else(|_| "0..150".to_owned());
    let (from, to) = text.split_once("..").expect("DELTA_HOSTILE_SEEDS=FROM..TO");
    let seeds = from.parse::<u64>().unwrap()..to.parse::<u64>().unwrap();
    let (mut failing, mut moves, mut sums, mut spoiled) = (Vec::new(), 0, 0, 0);
    for seed in seeds {
        match catch_unwind(AssertUnwindSafe(|| run(seed))) {
            Ok((made, sum)) => {
                moves += made;
                sums += u32::from(sum && made > 0);
                spoiled += u32::from(!sum && made > 0);
            }
            Err(_) => {
                eprintln!("seed {seed} fails");
                failing.push(seed);
            }
        }
    }
    eprintln!("{moves} moves; in runs with any: {sums} sums, {spoiled} rounds without one");
    assert!(failing.is_empty(), "failing seeds: {failing:?}");
    // Else the moves are not made, or the rounds fail whatever happens, and the laws hold for nothing.
    assert!(sums > 0 && spoiled > 0, "{sums} sums, {spoiled} without");
}
