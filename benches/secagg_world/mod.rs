//! A whole round in one process: the real machines of the coordinator and of every member, real cryptography, no network.
//!
//! Every call of a machine is timed on its own, as CPU time of the thread that makes it, and booked on the node that would have
//! made it. Uploads are added as they arrive. The sum is compared with the plain one, bit for bit, in every run.

#![allow(dead_code, reason = "each bench uses a part")]

pub mod clock;
mod wire;

use std::collections::BTreeMap;
use std::time::Duration;

use clock::{resident, seconds, wall};
use delta_node::app::vectors::{MaskedVector, streams_of, unmask};
use delta_node::domain::ids::{Address, Digest, RoundNumber, TaskId, encode_hex};
use delta_node::domain::round::Neighbourhood;
use delta_node::domain::round::PrivacyFloor;
use delta_node::domain::round::coordinator::{
    CoordinatorContext, CoordinatorEffect, CoordinatorInput, CoordinatorRound, Publication,
};
use delta_node::domain::round::message::{Announcement, SignedRequest};
use delta_node::domain::round::record::{RawPublicKeys, RawShareRecord};
use delta_node::domain::round::runner::{RunnerContext, RunnerEffect, RunnerInput, RunnerRound};
use delta_node::domain::secagg::encoding::Encoding;
use delta_node::domain::secagg::mask::{MaskGenerator, Masker, Sign};
use delta_node::domain::secagg::masked_input::{HEADER_BYTES, MaskedInputHeader, StreamAdder};
use delta_node::domain::secagg::word::{Ring, Word};
use delta_node::domain::secret::{Secret, SecretBytes};
use delta_node::domain::strategy::Strategy;
use delta_node::domain::task::TaskKind;
use delta_node::domain::tensor::{Tensor, TensorData};
use delta_node::domain::time::Timestamp;
use sha2::{Digest as _, Sha256};

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

struct Client {
    address: Address,
    machine: RunnerRound,
    values: Vec<f32>,
    time: f64,
    masking: f64,
    quantise_and_hash: f64,
    sends: u64,
    receives: u64,
    connector: u64,
    messages: u64,
    /// What its last effects were.
    effects: Vec<RunnerEffect>,
    /// Commitments to shares: receiver to (seed, key).
    commitments: BTreeMap<Address, (String, String)>,
    upload: Vec<u8>,
    reveals: BTreeMap<Address, RawShareRecord>,
    alive: bool,
}

const NOW: Timestamp = Timestamp(1_700_000_000_000);

pub fn address(i: usize) -> Address {
    let hash = Sha256::digest((i as u64).to_be_bytes());
    encode_hex(&hash[..20]).parse().unwrap()
}

fn task() -> TaskId {
    format!("0x{}", "5c".repeat(32)).parse().unwrap()
}

fn announcement() -> Announcement {
    Announcement {
        task: task(),
        round: RoundNumber(1),
        step: 0,
        variables: BTreeMap::new(),
    }
}

impl Client {
    fn told(&mut self, input: RunnerInput) {
        let (effects, time) = seconds(|| self.machine.handle(NOW, input).unwrap());
        self.time += time;
        self.effects = effects;
        if let Some(outcome) = self.machine.outcome() {
            panic!("{}: {outcome:?}", self.address);
        }
    }

    fn request(&mut self) -> SignedRequest {
        let request = match self.effects.pop() {
            Some(
                RunnerEffect::PostShares { request }
                | RunnerEffect::CollectShares { request, .. }
                | RunnerEffect::Upload { request, .. },
            ) => request,
            other => panic!("{} has no request", other.map_or("nothing", |e| e.name())),
        };
        self.sends += wire::request(&request);
        self.messages += 1;
        request
    }

    /// From the masks to the upload; the numbers go through one block of the size that the node uses.
    fn mask<W: Word>(&mut self, strategy: &Strategy) {
        let Some(RunnerEffect::Compute { masks, cohort, .. }) = self.effects.pop() else {
            panic!("nothing to compute");
        };
        let tensor = Tensor::new(
            vec![self.values.len()],
            TensorData::F32(self.values.clone()),
        );
        let tensors = vec![("x".parse().unwrap(), tensor.unwrap())];
        let header = MaskedInputHeader {
            task: task(),
            round: RoundNumber(1),
            sender: self.address.clone(),
            ring: strategy.ring,
            length: self.values.len() as u64,
        };
        // Written once before, so that the system's clearing of fresh pages is not counted: the node writes to a file.
        let mut upload = vec![1; HEADER_BYTES + self.values.len() * W::BYTES];
        upload.clear();
        let generator = strategy.mask_generator;
        let (digest, time) = seconds(|| {
            let vector = MaskedVector::new(
                tensors,
                &masks,
                generator,
                Encoding::new(W::RING, strategy.precision, cohort),
            );
            let mut hash = Sha256::new();
            upload.extend_from_slice(&header.encode());
            let mut at = 0;
            while at < vector.length() {
                let (block, next) = vector.block(at).unwrap();
                upload.extend_from_slice(&block);
                at = next;
            }
            hash.update(&upload);
            Digest(hash.finalize().into())
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
        self.told(RunnerInput::Masked { digest, len });
    }
}

/// Calls `work` for every living client, one after the other: two threads of one core would take each other's time.
fn each(clients: &mut [Client], work: impl Fn(&mut Client)) {
    clients.iter_mut().filter(|c| c.alive).for_each(work);
}

/// Runs one round.
pub fn run(setup: &Setup) -> Cost {
    match setup.ring {
        Ring::Z32 => run_in::<u32>(setup),
        Ring::Z64 => run_in::<u64>(setup),
    }
}

fn run_in<W: Word>(setup: &Setup) -> Cost {
    let strategy = Strategy {
        min_clients: 2,
        max_clients: u32::try_from(setup.n).unwrap(),
        ring: setup.ring,
        precision: if setup.ring == Ring::Z32 { 4 } else { 8 },
        mask_generator: setup.generator,
        dropout: setup.dropout,
        neighbours: setup.full.then_some(u32::MAX - 1),
        ..Strategy::default()
    };
    let before = resident();
    let mut clients: Vec<Client> = (0..setup.n).map(|i| join(i, setup, &strategy)).collect();
    clients.sort_by(|a, b| a.address.cmp(&b.address));
    let index: BTreeMap<Address, usize> = clients
        .iter()
        .enumerate()
        .map(|(i, c)| (c.address.clone(), i))
        .collect();
    let mut coordinator = Coordinator::start(&strategy);

    // Keys.
    let mut raw = Vec::new();
    for client in &mut clients {
        let Some(RunnerEffect::Join { keys, notify }) = client.effects.pop() else {
            panic!("no join");
        };
        client.sends += wire::json(&notify);
        client.connector += wire::envelope() + wire::texts([keys.pk1.as_str(), &keys.pk2]);
        client.messages += 2;
        raw.push(keys);
        coordinator.receive(&notify);
    }
    let list: Vec<Address> = clients.iter().map(|c| c.address.clone()).collect();
    coordinator.told(CoordinatorInput::Joins {
        joined: list.clone(),
        known: list.clone(),
    });
    coordinator.told(CoordinatorInput::Published(Publication::Selection));
    coordinator.told(CoordinatorInput::PublicKeys(raw.clone()));

    // Shares.
    // u1 as an event and in the question for keys, and the answer.
    let of_keys = |k: &RawPublicKeys| wire::field(wire::texts([k.pk1.as_str(), &k.pk2]));
    let list_len = wire::envelope() + wire::members(&list);
    let keys_len = 2 * list_len + raw.iter().map(of_keys).sum::<u64>();
    each(&mut clients, |client| {
        client.told(RunnerInput::Selected { u1: list.clone() });
        client.connector += keys_len;
        client.messages += 2;
        client.told(RunnerInput::PublicKeys(raw.clone()));
        let Some(RunnerEffect::PublishCommitments { seed, key }) = client.effects.pop() else {
            panic!("no commitments");
        };
        for list in [&seed, &key] {
            client.connector += wire::pairs(list.iter().map(|(a, d)| (a, d.to_string())));
        }
        client.messages += 2;
        for ((receiver, seed), (_, key)) in seed.iter().zip(&key) {
            let both = (seed.to_string(), key.to_string());
            client.commitments.insert(receiver.clone(), both);
        }
        client.told(RunnerInput::CommitmentsPublished);
    });
    for client in &mut clients {
        let request = client.request();
        coordinator.receive(&request);
    }
    coordinator.told(CoordinatorInput::CommitmentsChecked {
        missing: Vec::new(),
    });
    coordinator.told(CoordinatorInput::Published(Publication::Calculation));
    let coordinator_state = wire::json(&coordinator.machine);

    // Some vanish, spread over the cohort.
    for i in 0..setup.dropped {
        clients[i * setup.n / setup.dropped].alive = false;
    }
    let records: Vec<BTreeMap<Address, (String, String)>> =
        clients.iter().map(|c| c.commitments.clone()).collect();

    // Masked results, added as they come: a few members at a time, so that their vectors are never all there.
    let mut total = vec![W::default(); setup.d];
    let mut expected = vec![0_i64; setup.d];
    let scale = 10_f64.powi(i32::from(strategy.precision));
    let (mut plain, mut client_state) = (0.0, 0);
    let other = total.clone();
    let mut plain_sum = total.clone();
    for group in clients.chunks_mut(16) {
        let deliveries: Vec<_> = group
            .iter_mut()
            .map(|client| {
                client.alive.then(|| {
                    client.told(RunnerInput::CalculationStarted { u2: list.clone() });
                    client.connector += list_len;
                    let senders = match client.effects.last() {
                        Some(RunnerEffect::CollectShares { senders, .. }) => senders.clone(),
                        _ => panic!("no collecting"),
                    };
                    let request = client.request();
                    let delivery = coordinator.timed(|c| c.deliver(&request).unwrap());
                    let record = |sender: &Address| {
                        let (seed, key) = records[index[sender]][&client.address].clone();
                        RawShareRecord {
                            seed_commitment: Some(seed),
                            secret_key_commitment: Some(key),
                            ..RawShareRecord::default()
                        }
                    };
                    let records: Vec<_> = senders.iter().map(record).collect();
                    let of_record = |r: &RawShareRecord| {
                        let both = [&r.seed_commitment, &r.secret_key_commitment];
                        wire::field(wire::texts(both.into_iter().flatten().map(String::as_str)))
                    };
                    client.receives += wire::compact(&delivery.shares, &delivery.transcripts);
                    client.connector += wire::envelope() + wire::members(&senders);
                    client.connector += records.iter().map(of_record).sum::<u64>();
                    client.messages += 2;
                    (delivery, records)
                })
            })
            .collect();
        for (client, delivery) in group.iter_mut().zip(deliveries) {
            if let Some((delivery, records)) = delivery {
                client.told(RunnerInput::SharesCollected { delivery, records });
                client.mask::<W>(&strategy);
            }
        }
        for client in group.iter_mut().filter(|c| c.alive) {
            if client_state == 0 {
                client_state = wire::json(&client.machine);
            }
            let request = client.request();
            client.messages += 1;
            let upload = std::mem::take(&mut client.upload);
            coordinator.upload(&client.address, &request, &upload, &mut total);
            let ((), time) = seconds(|| {
                plain_sum
                    .iter_mut()
                    .zip(std::hint::black_box(&other))
                    .for_each(|(a, b)| *a = a.plus(*b));
            });
            plain += time;
            std::hint::black_box(&mut plain_sum);
            for (sum, x) in expected.iter_mut().zip(&client.values) {
                *sum += (f64::from(*x) * scale).round_ties_even() as i64;
            }
        }
    }
    coordinator.tick();
    coordinator.told(CoordinatorInput::Published(Publication::Aggregation));

    // u3 is signed, then shares are revealed.
    let u3: Vec<Address> = clients
        .iter()
        .filter(|c| c.alive)
        .map(|c| c.address.clone())
        .collect();
    let u3_len = wire::envelope() + wire::members(&u3);
    let mut asked = Vec::new();
    for client in clients.iter_mut().filter(|c| c.alive) {
        client.connector += u3_len;
        client.told(RunnerInput::AggregationStarted { u3: u3.clone() });
        let Some(RunnerEffect::Confirm { request, fetch }) = client.effects.pop() else {
            panic!("no confirmation");
        };
        client.sends += wire::json(&request) + wire::json(&fetch);
        client.messages += 2;
        coordinator.receive(&request);
        asked.push(fetch);
    }
    let mut notices = Vec::new();
    for (client, fetch) in clients.iter_mut().filter(|c| c.alive).zip(&asked) {
        let said = coordinator.timed(|c| c.confirmations(fetch).unwrap());
        client.receives += wire::compact(&[], &said);
        client.told(RunnerInput::Confirmed(said));
        let Some(RunnerEffect::Reveal {
            seeds,
            keys,
            notify,
        }) = client.effects.pop()
        else {
            panic!("no reveal");
        };
        client.sends += wire::json(&notify);
        for list in [&seeds, &keys] {
            client.connector += wire::pairs(list.iter().map(|(a, s)| (a, encode_hex(s.expose()))));
        }
        client.messages += 3;
        let hex = |share: &SecretBytes| Some(encode_hex(share.expose()));
        for (owner, share) in seeds {
            client.reveals.entry(owner).or_default().seed = hex(&share);
        }
        for (owner, share) in keys {
            client.reveals.entry(owner).or_default().secret_key = hex(&share);
        }
        notices.push((client.address.clone(), notify));
    }
    for (receiver, notify) in &notices {
        coordinator.receive(notify);
        let Some(CoordinatorEffect::ReadReveals { senders, .. }) = coordinator.effects.pop() else {
            continue;
        };
        let reveals = &clients[index[receiver]].reveals;
        let record = |sender: &Address| {
            let (seed, key) = records[index[sender]][receiver].clone();
            RawShareRecord {
                seed_commitment: Some(seed),
                secret_key_commitment: Some(key),
                ..reveals[sender].clone()
            }
        };
        let records = senders.iter().map(record).collect();
        let before = coordinator.time;
        coordinator.told(CoordinatorInput::Reveals {
            receiver: receiver.clone(),
            records,
        });
        coordinator.rebuilding = coordinator.time - before;
        // The shares of the others are not needed any more.
        if !coordinator.effects.is_empty() {
            break;
        }
    }
    let Some(CoordinatorEffect::Unmask { masks, dropped, .. }) = coordinator.effects.pop() else {
        panic!("not unmasked");
    };

    // Once on all cores by the wall, once on this one by its time.
    let mut copy = total.clone();
    let ((), last_step) = wall(|| {
        let mut masks = masks.clone();
        masks.extend(streams_of(&dropped, &task(), RoundNumber(1)).unwrap());
        unmask(&mut copy, &masks, strategy.mask_generator);
    });
    let (pairwise, agreements) = seconds(|| {
        let mut streams = Vec::new();
        for member in &dropped {
            for peer in &member.peers {
                streams.push(member.stream(peer, &task(), RoundNumber(1)).unwrap());
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
        client: middle(|c| c.time),
        client_masking: middle(|c| c.masking),
        client_quantise_and_hash: middle(|c| c.quantise_and_hash),
        coordinator: coordinator.time + coordinator.adding + agreements + unmasking,
        coordinator_requests: coordinator.time - coordinator.rebuilding,
        coordinator_adding: coordinator.adding,
        coordinator_rebuilding: coordinator.rebuilding,
        coordinator_agreements: agreements,
        coordinator_unmasking: unmasking,
        coordinator_last_step: last_step,
        plain_adding: plain,
        client_sends: alive[0].sends,
        client_receives: alive[0].receives,
        client_connector: alive[0].connector,
        vector: (HEADER_BYTES + setup.d * W::BYTES) as u64,
        client_messages: alive[0].messages,
        messages: clients.iter().map(|c| c.messages).sum(),
        coordinator_state,
        client_state,
        resident: resident().saturating_sub(before.min(resident())),
    }
}

fn join(i: usize, setup: &Setup, strategy: &Strategy) -> Client {
    let context = RunnerContext {
        me: address(i),
        announcement: announcement(),
        strategy: strategy.clone(),
        floor: 2,
        privacy: PrivacyFloor::default(),
    };
    let seed: [u8; 32] = Sha256::digest(format!("member {i}")).into();
    let ((machine, effects), time) = seconds(|| RunnerRound::join(NOW, context, Secret::new(seed)));
    // Different for every member and place, and exact in single precision.
    let value = |j: usize| ((i * 7919 + j * 104_729) % 2001) as f32 / 1000.0 - 1.0;
    Client {
        address: address(i),
        machine,
        values: (0..setup.d).map(value).collect(),
        time,
        masking: 0.0,
        quantise_and_hash: 0.0,
        sends: 0,
        receives: 0,
        connector: 0,
        messages: 0,
        effects,
        commitments: BTreeMap::new(),
        upload: Vec::new(),
        reveals: BTreeMap::new(),
        alive: true,
    }
}

struct Coordinator {
    machine: CoordinatorRound,
    effects: Vec<CoordinatorEffect>,
    time: f64,
    adding: f64,
    /// The call that puts all secrets together.
    rebuilding: f64,
}

impl Coordinator {
    fn start(strategy: &Strategy) -> Self {
        let context = CoordinatorContext {
            me: address(1_000_000),
            kind: TaskKind::Horizontal,
            announcement: announcement(),
            strategy: strategy.clone(),
            floor: 2,
            previous: Vec::new(),
            silent: Vec::new(),
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

    fn timed<T>(&mut self, work: impl FnOnce(&mut CoordinatorRound) -> T) -> T {
        let (answer, time) = seconds(|| work(&mut self.machine));
        self.time += time;
        answer
    }

    fn told(&mut self, input: CoordinatorInput) {
        self.effects = self.timed(|c| c.handle(NOW, input).unwrap());
        if let Some(outcome) = self.machine.outcome() {
            panic!("coordinator: {outcome:?}");
        }
    }

    fn receive(&mut self, request: &SignedRequest) {
        let input = CoordinatorInput::Request(request.clone());
        self.effects = self.timed(|c| c.handle(NOW, input).unwrap());
    }

    /// The deadline of those that vanished.
    fn tick(&mut self) {
        let late = NOW + Duration::from_secs(100_000);
        self.effects = self.timed(|c| c.handle(late, CoordinatorInput::Tick).unwrap());
    }

    fn upload<W: Word>(
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

/// Both keys of a member as on record.
pub type Keys = RawPublicKeys;
