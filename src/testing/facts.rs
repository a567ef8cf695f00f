//! What a world has seen, and the laws that it is held against.
//!
//! Every sum that a reduce sees is exactly that of the members on record; nobody joins a round twice; u3 is within u2, u2 within u1;
//! no member's two secrets can both be rebuilt from the record, and nobody reveals both; at most one masked result of a member and
//! round ever leaves it. The laws are about the record and about what left a node, whoever was in the right when a round failed.

mod law;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard};

use delta_domain::connector_record::{Command, RecordEvent};
use delta_domain::ids::{Address, Digest};
use delta_domain::round::message::SignedRequest;
use delta_domain::strategy::Strategy;
use delta_domain::tensor::TensorData;
use delta_memory::MemoryConnector;
use delta_ports::executor::ReduceJob;

use law::{State, take, tell};

/// A round of a task: the task's id, and the round's number.
pub type At = (String, i32);

/// What a node, by number, contributes to a step, counted from 0.
pub type Contribution = fn(usize, u32) -> [f64; 2];

/// What a world has seen.
pub struct Facts {
    connector: MemoryConnector,
    strategy: Strategy,
    contribution: Contribution,
    /// How far a sum may be from what its members contributed.
    slack: f64,
    state: Mutex<State>,
}

impl Facts {
    /// Of a world with this record, whose node `i` contributes `contribution(i, step)`.
    #[must_use]
    pub fn new(connector: MemoryConnector, strategy: Strategy, contribution: Contribution) -> Self {
        Self {
            connector,
            strategy,
            contribution,
            slack: 0.0,
            state: Mutex::default(),
        }
    }

    /// Of a world whose members add noise: a sum may be so far from what they contributed.
    #[must_use]
    pub fn with_slack(self, slack: f64) -> Self {
        Self { slack, ..self }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Node `index` has this address.
    pub fn introduce(&self, index: usize, address: Address) {
        self.state().members.insert(index, address);
    }

    /// The address of a node.
    pub fn address(&self, index: usize) -> Address {
        self.state().members[&index].clone()
    }

    /// A node reads its data for a contribution.
    pub fn computed(&self, index: usize) {
        *self.state().computed.entry(index).or_default() += 1;
    }

    /// How often a node has read its data for a contribution.
    pub fn computations_of(&self, index: usize) -> u32 {
        self.state().computed.get(&index).copied().unwrap_or(0)
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

    /// The rounds of which a node's masked result was about to leave it: task and round.
    pub fn rounds_left(&self, index: usize) -> BTreeSet<(String, u64)> {
        let state = self.state();
        let me = state.members[&index].as_str();
        let rounds = state.rounds.iter();
        let left = rounds.filter(|(_, round)| round.results.contains_key(me));
        let of = |((task, round), _): (&At, _)| (task.clone(), u64::try_from(*round).unwrap());
        left.map(of).collect()
    }

    /// A reduce runs: the sum must be exactly that of the members on record, without as many as have failed.
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
            Some(TensorData::F64(v)) if v.len() == 2 => [v[0], v[1]],
            other => {
                let text = format!("a reduce without the sum: {other:?}");
                state.broken.push(text);
                return;
            }
        };
        // The last round of the task that got so far.
        let u3 = state
            .rounds
            .iter()
            .filter(|((task, _), _)| tasks.contains(task))
            .filter_map(|(_, round)| round.lists.get("u3"))
            .next_back()
            .cloned()
            .unwrap_or_default();
        let members: Vec<usize> = state
            .members
            .iter()
            .filter(|(_, address)| u3.contains(address.as_str()))
            .map(|(index, _)| *index)
            .collect();
        let clients = usize::try_from(job.clients).unwrap();
        // Under noise nobody says that it could not compute: any of them may be missing.
        let least = if self.slack > 0.0 { 0 } else { clients };
        let counted = (least..=clients)
            .rev()
            .flat_map(|n| subsets(&members, n))
            .find(|some| members.len() == u3.len() && self.fits(some, job.step, sum));
        if counted.is_none() {
            let text = format!(
                "wrong sum {sum:?} in step {}: no {clients} of the members {members:?} make it, on record are {u3:?}",
                job.step
            );
            state.broken.push(text);
        }
        let bits = (job.step, sum.map(f64::to_bits));
        let members = counted.unwrap_or(members);
        state.sums.entry(bits).or_insert_with(|| members.clone());
        state.reduces.push((job.step, members));
    }

    fn fits(&self, members: &[usize], step: u32, sum: [f64; 2]) -> bool {
        let plain = self.plain_sum(members, step);
        plain
            .iter()
            .zip(sum)
            .all(|(a, b)| (a - b).abs() <= self.slack)
    }

    /// What the contributions of these nodes sum up to, each rounded to the task's precision.
    fn plain_sum(&self, members: &[usize], step: u32) -> [f64; 2] {
        let scale = 10_f64.powi(i32::from(self.strategy.precision));
        let mut sum = [0.0; 2];
        for index in members {
            let contribution = (self.contribution)(*index, step);
            for (sum, x) in sum.iter_mut().zip(contribution) {
                *sum += (x * scale).round_ties_even();
            }
        }
        sum.map(|s| s / scale)
    }

    /// The members counted in every sum so far, by index. A reduce that is done once more is of the same sum; under noise no two are alike.
    pub fn sums(&self) -> Vec<Vec<usize>> {
        self.state().sums.values().cloned().collect()
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

    /// The record as a story, for people.
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

/// All choices of `size` of these few members.
fn subsets(members: &[usize], size: usize) -> Vec<Vec<usize>> {
    let chosen = |bits: u32| {
        let of = members.iter().enumerate();
        let some = of.filter(|(i, _)| bits >> i & 1 == 1);
        some.map(|(_, m)| *m).collect::<Vec<usize>>()
    };
    (0..1_u32 << members.len())
        .filter(|bits| bits.count_ones() as usize == size)
        .map(chosen)
        .collect()
}
