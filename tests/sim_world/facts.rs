//! What a world has seen, and the laws that it is held against.
//!
//! The laws are about the record and about what left a node, whoever was in the right when a round failed.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::{Mutex, MutexGuard};

use delta_node::adapters::memory::MemoryConnector;
use delta_node::domain::connector_record::{Command, RecordEvent, RoundRef, SecretKind, Step};
use delta_node::domain::ids::{Address, Digest};
use delta_node::domain::round::message::SignedRequest;
use delta_node::domain::strategy::Strategy;
use delta_node::domain::tensor::TensorData;
use delta_node::ports::executor::ReduceJob;

/// A round of a task.
pub type At = (String, i32);

#[derive(Debug, Default)]
struct Round {
    joins: BTreeMap<String, u32>,
    lists: BTreeMap<&'static str, BTreeSet<String>>,
    /// Who has revealed which of a member's shares.
    revealed: BTreeMap<(String, SecretKind), BTreeSet<String>>,
    results: BTreeMap<String, BTreeSet<String>>,
}

#[derive(Default)]
struct State {
    seen: usize,
    rounds: BTreeMap<At, Round>,
    members: BTreeMap<usize, Address>,
    arrived: BTreeSet<(String, u32, Address, &'static str)>,
    reduces: Vec<(u32, Vec<usize>)>,
    broken: Vec<String>,
    story: String,
}

/// What a world has seen.
pub struct Facts {
    connector: MemoryConnector,
    strategy: Strategy,
    state: Mutex<State>,
}

impl Facts {
    pub fn new(connector: MemoryConnector, strategy: Strategy) -> Self {
        Self {
            connector,
            strategy,
            state: Mutex::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub fn introduce(&self, index: usize, address: Address) {
        self.state().members.insert(index, address);
    }

    pub fn address(&self, index: usize) -> Address {
        self.state().members[&index].clone()
    }

    /// A request was taken by its coordinator, and the sender knows.
    pub fn arrived(&self, request: &SignedRequest) {
        self.state().arrived.insert((
            request.task.as_str().to_owned(),
            request.round.0,
            request.sender.clone(),
            request.body.name(),
        ));
    }

    /// Whether a request of this kind from this node, of any round, was taken.
    pub fn has_arrived(&self, index: usize, what: &str) -> bool {
        let state = self.state();
        let address = &state.members[&index];
        state
            .arrived
            .iter()
            .any(|(_, _, a, w)| a == address && *w == what)
    }

    /// A masked result is about to leave a node.
    pub fn leaves(&self, request: &SignedRequest, digest: Digest) {
        let at = (
            request.task.as_str().to_owned(),
            i32::try_from(request.round.0).unwrap(),
        );
        self.state()
            .rounds
            .entry(at)
            .or_default()
            .results
            .entry(request.sender.as_str().to_owned())
            .or_default()
            .insert(digest.to_string());
    }

    /// A reduce runs: the sum must be exactly that of the members on record.
    pub fn reduced(&self, job: &ReduceJob) {
        self.read_on();
        let tasks: BTreeSet<String> = self
            .connector
            .history()
            .into_iter()
            .filter_map(|event| match event {
                RecordEvent::TaskCreated {
                    task, commitment, ..
                } if commitment.parse() == Ok(job.bundle.commitment()) => Some(task),
                _ => None,
            })
            .collect();
        let mut state = self.state();
        let sum = match job.sums.values().next().map(|t| t.data()) {
            Some(TensorData::F64(v)) if v.len() == 2 => (v[0], v[1]),
            other => {
                state
                    .broken
                    .push(format!("a reduce without the sum: {other:?}"));
                return;
            }
        };
        let mut digits = Vec::new();
        let mut rest = sum.0;
        for index in 0..16 {
            digits.extend(std::iter::repeat_n(index, (rest % 4.0) as usize));
            rest = (rest / 4.0).floor();
        }
        let counted: BTreeSet<String> = digits
            .iter()
            .filter_map(|i| state.members.get(i))
            .map(|a| a.as_str().to_owned())
            .collect();
        // The last round of the task that got so far.
        let u3 = state
            .rounds
            .iter()
            .filter(|((task, _), _)| tasks.contains(task))
            .filter_map(|(_, round)| round.lists.get("u3"))
            .next_back()
            .cloned()
            .unwrap_or_default();
        let whole = sum.0.fract() == 0.0 && sum.1 == sum.0 * f64::from(job.step + 1);
        if !whole
            || rest != 0.0
            || counted.len() != digits.len()
            || usize::try_from(job.clients).unwrap() != digits.len()
            || counted != u3
        {
            let text = format!(
                "wrong sum {sum:?} in step {}: counts {digits:?} ({counted:?}) as {} members, on record are {u3:?}",
                job.step, job.clients
            );
            state.broken.push(text);
        }
        state.reduces.push((job.step, digits));
    }

    /// The members counted in every reduce so far, by index, with the step.
    pub fn reduces(&self) -> Vec<(u32, Vec<usize>)> {
        self.state().reduces.clone()
    }

    /// Whether this node's call to the record was taken: `join`, `seed`, `key`, `result`, `reveal`.
    pub fn on_record(&self, index: usize, what: &str) -> bool {
        self.read_on();
        let state = self.state();
        let me = state.members[&index].as_str();
        state.rounds.values().any(|round| match what {
            "join" => round.joins.contains_key(me),
            "result" => round.results.contains_key(me),
            "reveal" => round.revealed.values().any(|r| r.contains(me)),
            list => round.lists.get(list).is_some_and(|l| l.contains(me)),
        })
    }

    /// How often each call of a member was taken in a round: for laws of the tests.
    pub fn joins(&self) -> BTreeMap<(At, String), u32> {
        self.read_on();
        let state = self.state();
        let mut all = BTreeMap::new();
        for (at, round) in &state.rounds {
            for (who, n) in &round.joins {
                all.insert((at.clone(), who.clone()), *n);
            }
        }
        all
    }

    /// Panics when a law is broken.
    pub fn check(&self) {
        self.read_on();
        let state = self.state();
        assert!(
            state.broken.is_empty(),
            "LAW BROKEN: {:#?}\n{}",
            state.broken,
            state.story
        );
    }

    pub fn describe(&self) -> String {
        self.read_on();
        self.state().story.clone()
    }

    /// Takes in what was written to the record since the last time.
    fn read_on(&self) {
        let mut guard = self.state();
        let state = &mut *guard;
        let news = self.connector.writes(state.seen);
        state.seen += news.len();
        for write in news {
            if matches!(write.command, Command::Join { .. }) {
                continue;
            }
            let verdict = if write.accepted { "" } else { " REFUSED" };
            tell(&mut state.story, &write.command, verdict);
            if write.accepted {
                take(&self.strategy, state, write.command);
            }
        }
    }
}

fn key(at: &RoundRef) -> At {
    (at.task.clone(), at.round)
}

fn tell(story: &mut String, command: &Command, verdict: &str) {
    // Long values say nothing to a reader.
    let line = match command {
        Command::JoinRound { at, address, .. } => format!("join {} {address}", at.round),
        Command::UploadCommitments {
            secret,
            at,
            address,
            ..
        } => format!("commitments {secret:?} {} {address}", at.round),
        Command::UploadShares {
            secret,
            at,
            address,
            senders,
            ..
        } => format!("reveal {secret:?} {} {address} of {senders:?}", at.round),
        Command::UploadResult { at, address, .. } => format!("result {} {address}", at.round),
        Command::Advance {
            step, at, clients, ..
        } => format!("{step:?} {} {clients:?}", at.round),
        other => format!("{other:?}"),
    };
    writeln!(story, "{line}{verdict}").unwrap();
}

fn take(strategy: &Strategy, state: &mut State, command: Command) {
    let (rounds, broken) = (&mut state.rounds, &mut state.broken);
    match command {
        Command::JoinRound { at, address, .. } => {
            let round = rounds.entry(key(&at)).or_default();
            let times = round.joins.entry(address.clone()).or_default();
            *times += 1;
            if *times > 1 {
                broken.push(format!("{address} joined round {} twice", at.round));
            }
        }
        Command::Advance {
            step, at, clients, ..
        } => {
            let round = rounds.entry(key(&at)).or_default();
            let (name, before) = match step {
                Step::Select => ("u1", None),
                Step::Calculate => ("u2", Some("u1")),
                Step::Aggregate => ("u3", Some("u2")),
            };
            let list: BTreeSet<String> = clients.iter().cloned().collect();
            if list.len() != clients.len() {
                broken.push(format!("{name} of round {} lists a member twice", at.round));
            }
            if let Some(before) = before
                && !round
                    .lists
                    .get(before)
                    .is_some_and(|larger| list.is_subset(larger))
            {
                broken.push(format!(
                    "{name} of round {} is no part of {before}",
                    at.round
                ));
            }
            if round
                .lists
                .insert(name, list.clone())
                .is_some_and(|old| old != list)
            {
                broken.push(format!("{name} of round {} changed", at.round));
            }
        }
        Command::UploadResult {
            at,
            address,
            commitment,
        } => {
            let round = rounds.entry(key(&at)).or_default();
            let digest = commitment
                .parse::<Digest>()
                .map_or(commitment, |d| d.to_string());
            round.results.entry(address).or_default().insert(digest);
        }
        Command::UploadShares {
            secret,
            at,
            address,
            senders,
            ..
        } => {
            let round = rounds.entry(key(&at)).or_default();
            for sender in senders {
                round
                    .revealed
                    .entry((sender, secret))
                    .or_default()
                    .insert(address.clone());
            }
            let members = round.lists.get("u1").map_or(0, BTreeSet::len);
            let threshold = strategy.threshold_for(members);
            for ((owner, _), by) in round
                .revealed
                .iter()
                .filter(|((_, kind), _)| *kind == SecretKind::Seed)
            {
                let empty = BTreeSet::new();
                let keys = round
                    .revealed
                    .get(&(owner.clone(), SecretKind::SecretKey))
                    .unwrap_or(&empty);
                if by.len() >= threshold && keys.len() >= threshold {
                    broken.push(format!(
                        "round {}: both secrets of {owner} can be rebuilt",
                        at.round
                    ));
                }
                if let Some(both) = by.intersection(keys).next() {
                    broken.push(format!(
                        "round {}: {both} revealed both shares of {owner}",
                        at.round
                    ));
                }
            }
        }
        _ => {}
    }
    for ((_, number), round) in rounds.iter() {
        for (who, digests) in &round.results {
            if digests.len() > 1 {
                broken.push(format!("round {number}: two different results left {who}"));
            }
        }
    }
}
