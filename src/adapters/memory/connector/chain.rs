//! The record on a blockchain, as the network's connector keeps it there: a connector and a wallet for each handle.
//!
//! Same port, other manners (docs/protocol/connector.md, On a blockchain): a call answers when its transaction is mined, one of a wallet in
//! a block; what its caller has given up is mined all the same; what comes twice is taken back; what is absent reads as nothing; what is
//! queued is absent; each subscription of a connector repeats every event to all of its. Time is tokio's, chance comes from the seed.

mod contracts;
mod gas;
mod ledger;
#[cfg(test)]
mod tests;
mod trouble;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::{MemoryConnector, State, Write, lie};
use crate::faults::lock;
use delta_domain::connector_record::Command;
use delta_ports::clock::Clock;
use delta_ports::connector::Receipt;
use delta_ports::{PortError, PortErrorKind};

pub(super) use ledger::Ledger;
pub use ledger::Mined;
use ledger::{Link, Outcome};
pub use trouble::ChainTrouble;
use trouble::Trouble;

/// How often a question that waits for the chain looks whether it is there.
const QUESTION_WAITS: Duration = Duration::from_millis(100);

/// How a chain is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChainOptions {
    /// Time between two blocks; zero: each transaction makes one, at once.
    pub block: Duration,
    /// Whether the identity contract is the older one, which takes back a registration before the last one has lapsed.
    pub older_identity: bool,
    /// For how long a node waits for an answer of its connector, which goes on all the same.
    pub patience: Duration,
}

impl ChainOptions {
    /// A chain with a block every so many seconds, and the contracts of today; nodes wait for 20 s, as over the wire.
    #[must_use]
    pub fn every(seconds: u64) -> Self {
        Self {
            block: Duration::from_secs(seconds),
            older_identity: false,
            patience: Duration::from_secs(20),
        }
    }
}

/// What happens to subscriptions when a connector loses its chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subscriptions {
    /// They stay open, and nothing comes.
    FallSilent,
    /// They end with an error.
    End,
}

/// One node's connector: its wallet's number, and what is planned for its calls.
#[derive(Debug, Clone)]
pub(super) struct Wallet {
    number: usize,
    troubles: Arc<Mutex<VecDeque<(String, ChainTrouble)>>>,
    /// Whether it answers as its process does, and not as the node's adapter reads it.
    raw: bool,
}

/// A chain, and connectors on it.
impl MemoryConnector {
    /// A record on a chain. This handle is nobody's: it asks, and changes nothing. Each [`MemoryConnector::handle`] of it is a connector
    /// of its own, with a wallet of its own.
    #[must_use]
    pub fn on_chain(clock: Arc<dyn Clock>, seed: u64, options: ChainOptions) -> Self {
        let connector = Self::new(clock, seed);
        let ledger = Ledger::new(Instant::now(), options.block, options.older_identity, seed);
        lock(&connector.state).chain = Some(ledger);
        Self {
            patience: options.patience,
            ..connector
        }
    }

    /// This handle as its process answers over the wire: whatever is wrong is a refusal with the connector's own text.
    #[must_use]
    pub fn as_its_process(&self) -> Self {
        let mut served = self.clone();
        if let Some(wallet) = &mut served.wallet {
            wallet.raw = true;
        }
        served
    }

    /// The address of this handle's wallet, in letters of both kinds; empty where there is none.
    #[must_use]
    pub fn wallet_address(&self) -> String {
        self.with_wallet(|wallet, _| wallet.address().to_owned())
            .unwrap_or_default()
    }

    /// Every transaction so far, in order.
    #[must_use]
    pub fn mined(&self) -> Vec<Mined> {
        let state = lock(&self.state);
        state
            .chain
            .as_ref()
            .map_or_else(Vec::new, |chain| chain.mined.clone())
    }

    /// Blocks so far.
    #[must_use]
    pub fn height(&self) -> u64 {
        let state = lock(&self.state);
        state.chain.as_ref().map_or(0, Ledger::height)
    }

    /// The next call of `op` (as in [`MemoryConnector::fail_next`]) through this handle meets this trouble.
    pub fn trouble_next(&self, op: impl Into<String>, trouble: ChainTrouble) {
        if let Some(wallet) = &self.wallet {
            lock(&wallet.troubles).push_back((op.into(), trouble));
        }
    }

    /// Troubles that were planned and have not come yet are forgotten.
    pub fn forget_troubles(&self) {
        if let Some(wallet) = &self.wallet {
            lock(&wallet.troubles).clear();
        }
    }

    /// Cuts the link between this handle's connector and the chain. For 7.5 s it looks for the chain, and whatever it is asked waits; then
    /// it gives it up for good, and everything fails at once until it is started anew.
    pub fn cut_link(&self, subscriptions: Subscriptions) {
        self.with_wallet(|wallet, now| wallet.cut(now));
        if subscriptions == Subscriptions::End {
            self.end_subscriptions();
        }
    }

    /// Mends the link: in time for a connector that still looks for its chain.
    pub fn mend_link(&self) {
        self.with_wallet(|wallet, now| wallet.mend(now));
        self.settle();
    }

    /// Starts this handle's connector anew, on a link that may still be cut: calls that were not on their way to the chain are lost,
    /// subscriptions end.
    pub fn restart_connector(&self) {
        self.with_wallet(|wallet, now| wallet.restart(now));
        self.end_subscriptions();
    }

    /// Empties this handle's wallet, or fills it.
    pub fn fund(&self, funded: bool) {
        self.with_wallet(|wallet, _| wallet.funded = funded);
    }

    /// Whether the record is on a chain.
    #[must_use]
    pub fn is_on_chain(&self) -> bool {
        lock(&self.state).chain.is_some()
    }

    fn end_subscriptions(&self) {
        let number = self.wallet.as_ref().map(|wallet| wallet.number);
        let mut state = lock(&self.state);
        state.subscribers.retain(|s| s.wallet() != number);
    }

    fn with_wallet<T>(&self, work: impl FnOnce(&mut ledger::Wallet, Instant) -> T) -> Option<T> {
        let number = self.wallet.as_ref()?.number;
        let mut state = lock(&self.state);
        let wallet = state.chain.as_mut()?.wallet(number)?;
        Some(work(wallet, Instant::now()))
    }

    /// What could not be sent while a link was cut is sent.
    fn settle(&self) {
        let time = self.clock.now().0 / 1000;
        let mut state = lock(&self.state);
        if let Some(chain) = &mut state.chain {
            chain.send_waiting();
        }
        state.mine(Instant::now(), time);
        drop(state);
        self.drive();
    }

    /// A wallet for a new handle, if this is a chain.
    pub(super) fn new_wallet(&self) -> Option<Wallet> {
        let number = lock(&self.state).chain.as_mut()?.open_wallet();
        Some(Wallet {
            number,
            troubles: Arc::default(),
            raw: false,
        })
    }

    /// Sends a call to the chain, and waits for its block; the wait may be given up, the transaction not.
    pub(super) async fn call_chain(
        &self,
        op: &'static str,
        command: Command,
    ) -> Result<Receipt, PortError> {
        tokio::task::yield_now().await;
        let called = tokio::time::timeout(self.patience, self.called(op, command));
        let Ok(outcome) = called.await else {
            let waited = self.patience.as_secs_f64();
            let text = format!("the connector did not answer within {waited} s");
            return Err(PortError::new(PortErrorKind::Timeout, op, text));
        };
        match outcome? {
            Ok((tx_hash, answer)) => Ok(Receipt { tx_hash, answer }),
            Err(trouble) => Err(self.error(op, &trouble)),
        }
    }

    async fn called(&self, op: &'static str, command: Command) -> Result<Outcome, PortError> {
        while command.is_read() && self.looks_for_chain() {
            tokio::time::sleep(QUESTION_WAITS).await;
        }
        let waiting = self.enter(op, command);
        self.drive();
        Ok(match waiting? {
            Entered::Answered(outcome) => outcome,
            Entered::Sent(answer) => answer.await.unwrap_or(Err(Trouble::Gone)),
        })
    }

    fn enter(&self, op: &'static str, command: Command) -> Result<Entered, PortError> {
        let (now, time) = (Instant::now(), self.clock.now().0 / 1000);
        let planned = self.planned(op);
        let mut state = lock(&self.state);
        if state.down {
            return Err(PortError::new(
                PortErrorKind::Unavailable,
                op,
                "the connector is down",
            ));
        }
        state.mine(now, time);
        let number = self.wallet.as_ref().map(|wallet| wallet.number);
        self.faults.run(op, || {
            let unsent = planned.filter(|t| *t != ChainTrouble::ReceiptUnknown);
            if let Some(trouble) = unsent {
                return Ok(Entered::Answered(Err(trouble.into())));
            }
            let entered = state.enter(number, command, now, time);
            match planned {
                Some(trouble) => Ok(Entered::Answered(Err(trouble.into()))),
                None => Ok(entered),
            }
        })
    }

    /// Whether a question has to wait: for the chain, or for its connector to give it up.
    fn looks_for_chain(&self) -> bool {
        let number = self.listening();
        let mut state = lock(&self.state);
        let down = state.down;
        let chain = state.chain.as_mut();
        chain.is_some_and(|chain| {
            !down && matches!(chain.link(number, Instant::now()), Link::Sought(_))
        })
    }

    fn planned(&self, op: &str) -> Option<ChainTrouble> {
        let mut troubles = lock(&self.wallet.as_ref()?.troubles);
        let at = troubles.iter().position(|(o, _)| o == op || o == "*")?;
        troubles.remove(at).map(|(_, trouble)| trouble)
    }

    fn error(&self, op: &'static str, trouble: &Trouble) -> PortError {
        match &self.wallet {
            Some(wallet) if wallet.raw => trouble.raw(op),
            _ => trouble.typed(op),
        }
    }

    /// Whether a subscription may be opened now, as the connector of this handle sees it; its wallet's number.
    pub(super) fn listening(&self) -> Option<usize> {
        self.wallet.as_ref().map(|wallet| wallet.number)
    }

    /// Lets blocks come for as long as something is on its way.
    fn drive(&self) {
        let mut state = lock(&self.state);
        if state.driven || state.due().is_none() {
            return;
        }
        state.driven = true;
        let (state, clock) = (Arc::downgrade(&self.state), self.clock.clone());
        // Whoever asked may be gone: the chain goes on.
        tokio::spawn(async move {
            loop {
                let due = {
                    let Some(state) = state.upgrade() else { return };
                    let mut state = lock(&state);
                    match state.due() {
                        Some(due) => due,
                        None => {
                            state.driven = false;
                            return;
                        }
                    }
                };
                tokio::time::sleep_until(due).await;
                let Some(state) = state.upgrade() else { return };
                lock(&state).mine(Instant::now(), clock.now().0 / 1000);
            }
        });
    }
}

/// A call that the chain's side has taken in.
enum Entered {
    Answered(Outcome),
    Sent(oneshot::Receiver<Outcome>),
}

impl State {
    fn due(&self) -> Option<Instant> {
        self.chain.as_ref()?.due()
    }

    /// Takes in every block that is due: what they hold is written down and published.
    fn mine(&mut self, now: Instant, time: u64) {
        let Some(chain) = &mut self.chain else {
            return;
        };
        chain.contracts.verdict = self.verdict;
        let known = chain.mined.len();
        let events = chain.advance(now, time);
        let news = chain.mined.get(known..).unwrap_or_default();
        self.writes.extend(news.iter().map(|mined| Write {
            command: mined.command.clone(),
            accepted: mined.accepted,
        }));
        for event in events {
            self.publish(event);
        }
    }

    fn enter(
        &mut self,
        wallet: Option<usize>,
        command: Command,
        now: Instant,
        time: u64,
    ) -> Entered {
        let Some(chain) = &mut self.chain else {
            return Entered::Answered(Err(Trouble::Gone));
        };
        if command.is_read() {
            let mut outcome = chain.ask(wallet, &command, time);
            if let Ok((_, answer)) = &mut outcome {
                lie(&self.lies, &command, answer);
            }
            return Entered::Answered(outcome);
        }
        let Some(number) = wallet else {
            let text = "this handle has no wallet: use one of its handles";
            return Entered::Answered(Err(Trouble::Said(text.to_owned())));
        };
        let answer = chain.send(number, command);
        // Where blocks come at once, it is in one by now.
        self.mine(now, time);
        Entered::Sent(answer)
    }

    /// Whether the connector of this wallet hears the chain.
    pub(super) fn hears(&mut self, wallet: Option<usize>) -> bool {
        let chain = self.chain.as_mut();
        chain.is_none_or(|chain| chain.link(wallet, Instant::now()) == Link::Open)
    }

    /// Nobody who waits for an answer gets one; what they have sent goes on.
    pub(super) fn lose_callers(&mut self) {
        if let Some(chain) = &mut self.chain {
            chain.lose_callers();
        }
    }
}
