//! A connector in memory: the real record's rules, its failures and its lies on demand.
//!
//! The rules are `domain::connector_record`, the same that the embedded connector keeps, so a test against this one means
//! something. Time comes from the given clock, randomness from the seed, and nothing but tokio's time is waited for: under a
//! paused clock a run repeats exactly. Handles made with [`MemoryConnector::handle`] share the record and fail apart.

mod chain;
mod events;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::StreamExt as _;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;

use self::chain::Ledger;
pub use self::chain::{ChainOptions, ChainTrouble, Mined, Subscriptions};
pub use self::events::EventFault;
use self::events::Subscriber;
use super::faults::{FaultScript, When, lock};
use delta_domain::connector_record::{Answer, Command, Decision, Record, RecordEvent, fresh_hex};
use delta_domain::ids::{Address, Digest};
use delta_ports::clock::Clock;
use delta_ports::connector::{RawPublicKeys, Receipt, RecordBackend, RecordEvents, rejected};
use delta_ports::{PortError, PortErrorKind};

/// The connector of one test world, or one node's handle on it.
#[derive(Clone)]
pub struct MemoryConnector {
    state: Arc<Mutex<State>>,
    clock: Arc<dyn Clock>,
    faults: FaultScript,
    /// This handle's own connector, where the record is on a chain.
    wallet: Option<chain::Wallet>,
    /// For how long its calls wait for a chain.
    patience: Duration,
}

/// A call that reached the record and was meant to change it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    /// The call.
    pub command: Command,
    /// Whether the record took it. The caller may never have heard.
    pub accepted: bool,
}

struct State {
    record: Record,
    rng: ChaCha20Rng,
    subscribers: Vec<Subscriber>,
    /// By listener.
    plans: BTreeMap<String, Vec<EventFault>>,
    history: Vec<RecordEvent>,
    writes: Vec<Write>,
    lies: Lies,
    verdict: Option<bool>,
    down: bool,
    /// What keeps the record in its place, if that is a chain.
    chain: Option<Ledger>,
    /// Whether somebody lets blocks come.
    driven: bool,
}

impl MemoryConnector {
    /// An empty record. `seed` makes task ids and transaction hashes.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, seed: u64) -> Self {
        let rng =
            ChaCha20Rng::from_seed(Digest::of(format!("memory connector {seed}").as_bytes()).0);
        let state = State {
            record: Record::default(),
            rng,
            subscribers: Vec::new(),
            plans: BTreeMap::new(),
            history: Vec::new(),
            writes: Vec::new(),
            lies: Lies::default(),
            verdict: None,
            down: false,
            chain: None,
            driven: false,
        };
        Self {
            state: Arc::new(Mutex::new(state)),
            clock,
            faults: FaultScript::default(),
            wallet: None,
            patience: Duration::MAX,
        }
    }

    /// Another handle on the same record with a fault script of its own, for example one a node; on a chain, with a connector and a
    /// wallet of its own.
    #[must_use]
    pub fn handle(&self) -> Self {
        Self {
            faults: FaultScript::default(),
            wallet: self.new_wallet(),
            ..self.clone()
        }
    }

    /// The next call of `op` (for example `"connector.join_round"`, or `"*"`) through this handle fails with `kind`.
    pub fn fail_next(&self, op: impl Into<String>, when: When, kind: PortErrorKind) {
        self.faults.fail_next(op, when, kind);
    }

    /// The failures planned for this handle.
    #[must_use]
    pub fn faults(&self) -> &FaultScript {
        &self.faults
    }

    /// Takes the connector away, or brings it back: calls fail with `Unavailable`, subscriptions end, the record stays.
    pub fn set_down(&self, down: bool) {
        let mut state = lock(&self.state);
        state.down = down;
        if down {
            state.cut(None);
            state.lose_callers();
        }
    }

    /// Ends every subscription of `address` with an error.
    pub fn cut(&self, address: &Address) {
        lock(&self.state).cut(Some(address));
    }

    /// Plans what happens to the next events for `address`, one fault an event, in this order.
    pub fn disturb(&self, address: &Address, faults: impl IntoIterator<Item = EventFault>) {
        lock(&self.state)
            .plans
            .entry(address.as_str().to_owned())
            .or_default()
            .extend(faults);
    }

    /// How many subscriptions are open.
    #[must_use]
    pub fn subscriptions(&self) -> usize {
        let mut state = lock(&self.state);
        state.subscribers.retain(Subscriber::is_open);
        state.subscribers.len()
    }

    /// Publishes an event that nothing on record caused.
    pub fn forge(&self, event: RecordEvent) {
        lock(&self.state).publish(event);
    }

    /// Answers questions for `member`'s keys with others from now on: a connector that replaces a participant.
    pub fn lie_about_keys(&self, member: &Address, keys: RawPublicKeys) {
        lock(&self.state)
            .lies
            .keys
            .insert(member.as_str().to_owned(), keys);
    }

    /// Answers questions for the answer that a round was started with by this one from now on: a coordinator that shows another than it put
    /// on record.
    pub fn lie_about_weights(&self, commitment: Digest) {
        lock(&self.state).lies.weights = Some(commitment);
    }

    /// What a proof check says from now on; `None`, as at the beginning: proofs are not checked here.
    pub fn judge_proofs(&self, verdict: Option<bool>) {
        lock(&self.state).verdict = verdict;
    }

    /// Every call from number `from` on that reached the record and was meant to change it, in order.
    #[must_use]
    pub fn writes(&self, from: usize) -> Vec<Write> {
        let state = lock(&self.state);
        state.writes.get(from..).unwrap_or_default().to_vec()
    }

    /// Everything published so far, in order.
    #[must_use]
    pub fn history(&self) -> Vec<RecordEvent> {
        lock(&self.state).history.clone()
    }
}

impl std::fmt::Debug for MemoryConnector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MemoryConnector")
            .field("faults", &self.faults)
            .finish_non_exhaustive()
    }
}

impl State {
    fn run(
        &mut self,
        op: &'static str,
        now: u64,
        mut command: Command,
    ) -> Result<Receipt, PortError> {
        if let Command::Verify(proof) = &mut command {
            proof.verdict = self.verdict;
        }
        let Decision {
            mut answer,
            changes,
            event,
        } = self
            .record
            .decide(now, &mut self.rng, &command)
            .map_err(|rejection| rejected(op, rejection))?;
        for change in changes {
            let fits = self.record.apply(change);
            fits.map_err(|bad| {
                PortError::new(
                    PortErrorKind::Internal,
                    op,
                    "a decision does not fit the record",
                )
                .with_source(bad)
            })?;
        }
        if let Some(event) = event {
            self.publish(event);
        }
        lie(&self.lies, &command, &mut answer);
        let tx_hash = if command.is_read() {
            String::new()
        } else {
            fresh_hex(&mut self.rng)
        };
        Ok(Receipt { tx_hash, answer })
    }

    fn publish(&mut self, event: RecordEvent) {
        self.subscribers.retain(Subscriber::is_open);
        let mut now = BTreeMap::new();
        for listener in self.subscribers.iter().map(Subscriber::listener) {
            // One fault an event, however many subscriptions the listener has.
            if !now.contains_key(listener) {
                let plan = self
                    .plans
                    .get_mut(listener)
                    .filter(|plan| !plan.is_empty())
                    .map(|plan| plan.remove(0));
                now.insert(listener.to_owned(), plan);
            }
        }
        let connectors: Vec<Option<usize>> =
            self.subscribers.iter().map(Subscriber::wallet).collect();
        for at in 0..self.subscribers.len() {
            if !self.hears(connectors[at]) {
                continue;
            }
            let subscriber = &mut self.subscribers[at];
            let fault = now.get(subscriber.listener()).cloned().flatten();
            subscriber.deliver(event.clone(), fault);
            // On a chain, every subscription of a connector feeds all of them.
            let others = connectors
                .iter()
                .filter(|c| c.is_some() && **c == connectors[at]);
            for _ in 1..others.count() {
                subscriber.deliver(event.clone(), None);
            }
        }
        self.history.push(event);
    }

    fn cut(&mut self, address: Option<&Address>) {
        self.subscribers
            .retain(|s| address.is_some_and(|a| a.as_str() != s.listener()));
    }
}

/// What a connector lies about.
#[derive(Debug, Default)]
struct Lies {
    keys: BTreeMap<String, RawPublicKeys>,
    weights: Option<Digest>,
}

/// Puts others in the place of what a connector lies about.
fn lie(lies: &Lies, command: &Command, answer: &mut Answer) {
    match (command, answer) {
        (Command::PublicKeys { clients, .. }, Answer::Keys(keys)) => {
            for (client, answered) in clients.iter().zip(keys) {
                if let Some(RawPublicKeys { pk1, pk2 }) = lies.keys.get(client) {
                    *answered = (pk1.clone(), pk2.clone());
                }
            }
        }
        (Command::WeightCommitment { .. }, Answer::Commitment(text)) => {
            if let Some(other) = lies.weights {
                *text = other.to_string();
            }
        }
        _ => {}
    }
}

#[async_trait]
impl RecordBackend for MemoryConnector {
    async fn execute(&self, op: &'static str, command: Command) -> Result<Receipt, PortError> {
        if self.is_on_chain() {
            return self.call_chain(op, command).await;
        }
        // Gives others a turn first, as a network would.
        tokio::task::yield_now().await;
        let now = self.clock.now().0 / 1000;
        let mut state = lock(&self.state);
        if state.down {
            return Err(PortError::new(
                PortErrorKind::Unavailable,
                op,
                "the connector is down",
            ));
        }
        self.faults.run(op, || {
            let write = (!command.is_read()).then(|| command.clone());
            let result = state.run(op, now, command);
            if let Some(command) = write {
                let accepted = result.is_ok();
                state.writes.push(Write { command, accepted });
            }
            result
        })
    }

    async fn open(&self, op: &'static str, listener: &str) -> Result<RecordEvents, PortError> {
        tokio::task::yield_now().await;
        let mut state = lock(&self.state);
        if state.down {
            return Err(PortError::new(
                PortErrorKind::Unavailable,
                op,
                "the connector is down",
            ));
        }
        self.faults.run(op, || {
            let (subscriber, events) = Subscriber::new(op, listener.to_owned(), self.listening());
            state.subscribers.push(subscriber);
            Ok(events.boxed())
        })
    }
}
