//! A whole round in one process: the real machines of the coordinator and of every member, real cryptography, the order of effects
//! that the node has, the record that the simulation has, no network.
//!
//! Every call of a machine is timed on its own, as CPU time of the thread that makes it, and booked on the node that would have
//! made it. Uploads are added as they arrive. The sum is compared with the plain one, bit for bit, in every run.

#![allow(dead_code, reason = "each bench uses a part")]

pub mod clock;
mod coordinator;
mod member;
mod wire;

use std::collections::BTreeMap;

use clock::{resident, seconds, wall};
use coordinator::Coordinator;
use delta_node::app::vectors::{streams_of, unmask};
use delta_node::domain::ids::{Address, RoundNumber};
use delta_node::domain::round::Neighbourhood;
use delta_node::domain::round::coordinator::{CoordinatorEffect, CoordinatorInput, Publication};
use delta_node::domain::round::message::{Announcement, SignedRequest};
use delta_node::domain::round::record::RawPublicKeys;
use delta_node::domain::round::runner::RunnerInput;
use delta_node::domain::secagg::mask::{MaskGenerator, Masker};
use delta_node::domain::secagg::masked_input::{COUNTER_WORDS, HEADER_BYTES};
use delta_node::domain::secagg::sealing::SealingPair;
use delta_node::domain::secagg::word::{Ring, Word};
use delta_node::domain::strategy::Strategy;
use delta_node::domain::time::Timestamp;
use delta_node::testing::round::{Record, Status, task};
use member::Client;
use rand_core::SeedableRng as _;

/// What is run.
#[derive(Clone)]
pub struct Setup {
    pub n: usize,
    pub d: usize,
    pub ring: Ring,
    pub generator: MaskGenerator,
    /// Assumed losses; `None` is a third.
    pub dropout: Option<f64>,
    /// Everybody is everybody's neighbour.
    pub full: bool,
    /// Members that vanish after sharing.
    pub dropped: usize,
    /// It is not the members' first round of the task: they have read and agreed with each other's `pk1` before.
    pub met: bool,
}

/// What it cost.
#[derive(Debug, Clone, Default)]
pub struct Cost {
    pub n: usize,
    pub d: usize,
    pub degree: usize,
    pub threshold: usize,
    pub dropped: usize,
    /// Seconds of CPU of the median member of the sum, and its parts.
    pub client: f64,
    pub client_masking: f64,
    pub client_quantise_and_hash: f64,
    /// From the keys of the others to its own sealed shares, and from theirs to the masks' seeds.
    pub client_sharing: f64,
    pub client_opening: f64,
    /// Seconds of CPU of the coordinator.
    pub coordinator: f64,
    pub coordinator_requests: f64,
    pub coordinator_adding: f64,
    pub coordinator_rebuilding: f64,
    pub coordinator_agreements: f64,
    pub coordinator_unmasking: f64,
    /// Seconds on the wall, all cores, of the agreements and the unmasking.
    pub coordinator_last_step: f64,
    /// Plain additions of as many vectors in memory: `a += b`.
    pub plain_adding: f64,
    /// Bytes that one member sends and receives by HTTP, without its vector; both ways through the connector; and the vector.
    pub client_sends: u64,
    pub client_receives: u64,
    pub client_connector: u64,
    pub vector: u64,
    /// Messages of one member to the coordinator and the connector, and of all.
    pub client_messages: u64,
    pub messages: u64,
    /// Bytes of the coordinator's state beside its vector (serialised), and of one member's.
    pub coordinator_state: u64,
    pub client_state: u64,
    /// Resident memory of the process with all nodes in it.
    pub resident: u64,
}

const NOW: Timestamp = Timestamp(1_700_000_000_000);

pub use delta_node::testing::round::{address, bundle};

/// The round that is counted; members that have met did so in the one before.
const ROUND: RoundNumber = RoundNumber(2);

fn announcement(round: RoundNumber) -> Announcement {
    Announcement {
        task: task(),
        round,
        step: 0,
        variables: BTreeMap::new(),
    }
}

/// What lies between the members: the record, the coordinator, and the sum of what was uploaded.
struct Between<W> {
    record: Record,
    coordinator: Coordinator,
    total: Vec<W>,
    /// The keys of all, in the order of u1.
    keys: Vec<RawPublicKeys>,
    /// Notices for the coordinator that it has not read yet.
    notices: Vec<(Address, SignedRequest)>,
}

/// The `pk1` of one member for the task.
fn pair(i: usize) -> SealingPair {
    let mut rng = rand_chacha::ChaCha20Rng::seed_from_u64(i as u64);
    SealingPair::generate(Strategy::default().curve, &mut rng)
}

/// All members, in the order of their addresses.
fn join(
    setup: &Setup,
    strategy: &Strategy,
    pairs: &[SealingPair],
    round: RoundNumber,
) -> Vec<Client> {
    let mut clients: Vec<Client> = pairs
        .iter()
        .enumerate()
        .map(|(i, pair)| Client::join(i, setup, strategy, round, pair.clone()))
        .collect();
    clients.sort_by(|a, b| a.address().cmp(b.address()));
    clients
}

impl<W: Word> Between<W> {
    fn new(strategy: &Strategy, d: usize, round: RoundNumber) -> Self {
        Self {
            record: Record::default(),
            coordinator: Coordinator::start(strategy, round),
            total: vec![W::default(); d + COUNTER_WORDS],
            keys: Vec::new(),
            notices: Vec::new(),
        }
    }

    /// The coordinator reads its notices.
    fn read_notices(&mut self) {
        for (_, notice) in std::mem::take(&mut self.notices) {
            self.coordinator.receive(&notice);
        }
    }
}

/// Runs one round.
pub fn run(setup: &Setup) -> Cost {
    match setup.ring {
        Ring::Z32 => run_in::<u32>(setup),
        Ring::Z64 => run_in::<u64>(setup),
    }
}

fn strategy(setup: &Setup) -> Strategy {
    Strategy {
        min_clients: 2,
        max_clients: u32::try_from(setup.n).unwrap(),
        ring: setup.ring.into(),
        precision: if setup.ring == Ring::Z32 { 4 } else { 8 },
        mask_generator: setup.generator,
        dropout: setup.dropout,
        neighbours: setup.full.then_some(u32::MAX - 1),
        ..Strategy::default()
    }
}

fn run_in<W: Word>(setup: &Setup) -> Cost {
    let strategy = strategy(setup);
    let before = resident();
    let pairs: Vec<SealingPair> = (0..setup.n).map(pair).collect();
    if setup.met {
        let mut clients = join(setup, &strategy, &pairs, RoundNumber(1));
        let mut between = Between::<W>::new(&strategy, 0, RoundNumber(1));
        advertise_keys(&mut clients, &mut between);
        share(&mut clients, &mut between);
    }
    // One after the other everywhere: two threads of one core would take each other's time.
    let mut clients = join(setup, &strategy, &pairs, ROUND);
    let mut between = Between::<W>::new(&strategy, setup.d, ROUND);
    advertise_keys(&mut clients, &mut between);
    let list = share(&mut clients, &mut between);
    let coordinator_state = wire::json(&between.coordinator.machine);

    // Some vanish, spread over the cohort.
    for i in 0..setup.dropped {
        clients[i * setup.n / setup.dropped].alive = false;
    }
    let (expected, plain, client_state) = collect(&mut clients, &mut between, &list, &strategy);
    confirm_and_reveal(&mut clients, &mut between);
    rebuild(&mut between);
    let Some(CoordinatorEffect::Unmask { masks, dropped, .. }) = between.coordinator.effects.pop()
    else {
        panic!("not unmasked");
    };
    let Between {
        coordinator,
        mut total,
        ..
    } = between;

    // Once on all cores by the wall, once on this one by its time.
    let mut copy = total.clone();
    let ((), last_step) = wall(|| {
        let mut masks = masks.clone();
        masks.extend(streams_of(&dropped, &task(), ROUND).unwrap());
        unmask(&mut copy, &masks, strategy.mask_generator);
    });
    let (pairwise, agreements) = seconds(|| {
        let mut streams = Vec::new();
        for member in &dropped {
            for peer in &member.peers {
                streams.push(member.stream(peer, &task(), ROUND).unwrap());
            }
        }
        streams
    });
    let ((), unmasking) = seconds(|| {
        let streams: Vec<_> = masks
            .iter()
            .chain(&pairwise)
            .map(|m| (&m.seed, m.sign))
            .collect();
        Masker::new(strategy.mask_generator, &streams).apply(0, &mut total);
    });
    assert!(copy == total, "two ways to unmask, two sums");
    let sum: Vec<i64> = total.iter().map(|w| w.to_signed()).collect();
    assert!(sum == expected, "a wrong sum");

    let neighbourhood = Neighbourhood::of(&strategy, setup.n);
    let alive: Vec<&Client> = clients.iter().filter(|c| c.alive).collect();
    let middle = |of: fn(&Client) -> f64| clock::median(alive.iter().map(|c| of(c)).collect());
    Cost {
        n: setup.n,
        d: setup.d,
        degree: neighbourhood.degree.unwrap_or(setup.n - 1),
        threshold: neighbourhood.threshold,
        dropped: setup.dropped,
        client: middle(|c| c.books.time),
        client_masking: middle(|c| c.books.masking),
        client_quantise_and_hash: middle(|c| c.books.quantise_and_hash),
        client_sharing: middle(|c| c.books.sharing),
        client_opening: middle(|c| c.books.opening),
        coordinator: coordinator.time + coordinator.adding + agreements + unmasking,
        coordinator_requests: coordinator.time - coordinator.rebuilding,
        coordinator_adding: coordinator.adding,
        coordinator_rebuilding: coordinator.rebuilding,
        coordinator_agreements: agreements,
        coordinator_unmasking: unmasking,
        coordinator_last_step: last_step,
        plain_adding: plain,
        client_sends: alive[0].books.sends,
        client_receives: alive[0].books.receives,
        client_connector: alive[0].books.connector,
        vector: (HEADER_BYTES + (setup.d + COUNTER_WORDS) * W::BYTES) as u64,
        client_messages: alive[0].books.messages,
        messages: clients.iter().map(|c| c.books.messages).sum(),
        coordinator_state,
        client_state,
        resident: resident().saturating_sub(before.min(resident())),
    }
}

/// Keys are on record, u1 is published.
fn advertise_keys<W: Word>(clients: &mut [Client], between: &mut Between<W>) {
    between.record.start();
    for client in clients.iter_mut() {
        client.carry_out(between);
    }
    between.read_notices();
    let list: Vec<Address> = clients.iter().map(|c| c.address().clone()).collect();
    between.keys = between.record.public_keys(&list);
    between.record.publish(Status::Running, &list);
    let coordinator = &mut between.coordinator;
    coordinator.told(CoordinatorInput::Joins {
        joined: list.clone(),
        known: list,
        tables: BTreeMap::new(),
    });
    coordinator.told(CoordinatorInput::Published(Publication::Selection));
    coordinator.told(CoordinatorInput::PublicKeys(between.keys.clone()));
}

/// Shares are with the coordinator, u2 is published: it is answered.
fn share<W: Word>(clients: &mut [Client], between: &mut Between<W>) -> Vec<Address> {
    let list = between.record.u1.clone().unwrap();
    for client in clients.iter_mut() {
        client.hear(&list, RunnerInput::Selected { u1: list.clone() });
        // Reads keys, publishes commitments.
        client.carry_out(between);
        client.carry_out(between);
    }
    for client in clients.iter_mut() {
        client.carry_out(between);
    }
    let coordinator = &mut between.coordinator;
    coordinator.told(CoordinatorInput::CommitmentsChecked {
        missing: Vec::new(),
    });
    coordinator.told(CoordinatorInput::Published(Publication::Calculation));
    between.record.publish(Status::Calculating, &list);
    list
}

/// Masked results, added as they come. Answers the plain sum, seconds of plain additions, and the size of one member's state.
fn collect<W: Word>(
    clients: &mut [Client],
    between: &mut Between<W>,
    list: &[Address],
    strategy: &Strategy,
) -> (Vec<i64>, f64, u64) {
    let mut expected = vec![0_i64; between.total.len()];
    let scale = 10_f64.powi(i32::from(strategy.precision));
    let (mut plain, mut client_state) = (0.0, 0);
    let other = between.total.clone();
    let mut plain_sum = between.total.clone();
    for client in clients.iter_mut().filter(|c| c.alive) {
        client.hear(list, RunnerInput::CalculationStarted { u2: list.to_vec() });
        // Collects shares, computes.
        client.carry_out(between);
        client.carry_out(between);
        if client_state == 0 {
            client_state = wire::json(&client.machine);
        }
        client.carry_out(between);
        let ((), time) = seconds(|| {
            plain_sum
                .iter_mut()
                .zip(std::hint::black_box(&other))
                .for_each(|(a, b)| *a = a.plus(*b));
        });
        plain += time;
        std::hint::black_box(&mut plain_sum);
        for (sum, x) in expected.iter_mut().zip(client.values()) {
            *sum += (f64::from(*x) * scale).round_ties_even() as i64;
        }
    }
    between.coordinator.tick();
    let aggregation = CoordinatorInput::Published(Publication::Aggregation);
    between.coordinator.told(aggregation);
    (expected, plain, client_state)
}

/// u3 is signed, then shares are revealed.
fn confirm_and_reveal<W: Word>(clients: &mut [Client], between: &mut Between<W>) {
    let alive = || clients.iter().filter(|c| c.alive);
    let u3: Vec<Address> = alive().map(|c| c.address().clone()).collect();
    between.record.publish(Status::Aggregating, &u3);
    for client in clients.iter_mut().filter(|c| c.alive) {
        client.hear(&u3, RunnerInput::AggregationStarted { u3: u3.clone() });
        // Most are early: the others have not signed yet.
        client.carry_out(between);
    }
    for client in clients.iter_mut().filter(|c| c.alive) {
        if client.is_early() {
            client.carry_out(between);
        }
        client.carry_out(between);
    }
}

/// The coordinator reads reveals until they are enough.
fn rebuild<W: Word>(between: &mut Between<W>) {
    for (receiver, notify) in std::mem::take(&mut between.notices) {
        let coordinator = &mut between.coordinator;
        coordinator.receive(&notify);
        let Some(CoordinatorEffect::ReadReveals { senders, .. }) = coordinator.effects.pop() else {
            continue;
        };
        let records = between.record.share_records(&senders, &receiver);
        let before = coordinator.time;
        coordinator.told(CoordinatorInput::Reveals { receiver, records });
        coordinator.rebuilding = coordinator.time - before;
        // The shares of the others are not needed any more.
        if !coordinator.effects.is_empty() {
            break;
        }
    }
}
