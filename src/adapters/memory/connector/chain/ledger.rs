//! The chain as a value: what waits in each wallet, what is on its way, what was mined when. Time is an argument.
//!
//! A wallet has one transaction on its way, and a block takes one of each wallet. What waits behind it is in the memory of the wallet's
//! connector, and is lost with that; what is on its way is the chain's, and is mined whatever becomes of connector and caller.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::contracts::{Block, Contracts, No, mixed_case};
use super::gas;
use super::trouble::{ChainTrouble, Receipt, Trouble};
use delta_domain::connector_record::{Answer, Command, RecordEvent};
use delta_domain::ids::{Digest, encode_hex};

/// How long a connector looks for its chain, before it gives it up for good.
const LOOKS_FOR: Duration = Duration::from_millis(7_500);

/// What comes of a call: hash and answer.
pub(super) type Outcome = Result<(String, Answer), Trouble>;

/// A transaction that is in a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mined {
    /// Number of the wallet, in the order of their handles.
    pub wallet: usize,
    /// What it says.
    pub command: Command,
    /// The block.
    pub block: u64,
    /// Whether it did anything: otherwise it was taken back, and paid.
    pub accepted: bool,
    /// What it cost.
    pub gas: u64,
    /// Whether its caller was still there.
    pub awaited: bool,
}

/// A call that waits, or is on its way.
struct Call {
    command: Command,
    /// Nobody's any more once the caller has been told something.
    reply: Option<oneshot::Sender<Outcome>>,
}

impl Call {
    fn answer(&mut self, outcome: Outcome) -> bool {
        let reply = self.reply.take();
        reply.is_some_and(|reply| reply.send(outcome).is_ok())
    }
}

/// One connector with its wallet.
pub(super) struct Wallet {
    /// In letters of both kinds.
    address: String,
    small: String,
    waiting: VecDeque<Call>,
    sent: Option<(u64, Call)>,
    /// Since when the link to the chain is cut.
    cut: Option<Instant>,
    given_up: bool,
    /// Whether it can pay.
    pub(super) funded: bool,
}

/// The chain and everybody's wallets.
pub(in crate::connector) struct Ledger {
    started: Instant,
    /// Time between two blocks; zero: a block for each transaction, at once.
    block: Duration,
    height: u64,
    sent: u64,
    pub(super) contracts: Contracts,
    wallets: Vec<Wallet>,
    pub(super) mined: Vec<Mined>,
    seed: u64,
}

impl Ledger {
    pub(super) fn new(started: Instant, block: Duration, older: bool, seed: u64) -> Self {
        Self {
            started,
            block,
            height: 0,
            sent: 0,
            contracts: Contracts::new(older),
            wallets: Vec::new(),
            mined: Vec::new(),
            seed,
        }
    }

    /// A new wallet, with a connector that has just started; answers its number.
    pub(super) fn open_wallet(&mut self) -> usize {
        let number = self.wallets.len();
        let text = format!("wallet {number} of chain {}", self.seed);
        let small = encode_hex(&Digest::of(text.as_bytes()).0[..20]);
        self.wallets.push(Wallet {
            address: mixed_case(&small),
            small,
            waiting: VecDeque::new(),
            sent: None,
            cut: None,
            given_up: false,
            funded: true,
        });
        number
    }

    pub(super) fn wallet(&mut self, number: usize) -> Option<&mut Wallet> {
        self.wallets.get_mut(number)
    }

    /// Nobody who waits for an answer gets one.
    pub(super) fn lose_callers(&mut self) {
        for wallet in &mut self.wallets {
            let sent = wallet.sent.iter_mut().map(|(_, call)| call);
            for call in wallet.waiting.iter_mut().chain(sent) {
                call.answer(Err(Trouble::Gone));
            }
        }
    }

    /// Blocks so far.
    pub(super) fn height(&self) -> u64 {
        self.height
    }

    /// When the next block comes that has something to take; `None` while nothing is on its way.
    pub(super) fn due(&self) -> Option<Instant> {
        let busy = self.wallets.iter().any(|w| w.sent.is_some());
        busy.then(|| self.started + self.block * u32::try_from(self.height + 1).unwrap_or(u32::MAX))
    }

    /// What the connector of a wallet says before it looks at the chain at all.
    fn refusal(&self, number: usize, command: &Command, now: Instant) -> Option<Trouble> {
        let wallet = self.wallets.get(number)?;
        if let Some(actor) = command.actor()
            && actor != wallet.address
        {
            let text = format!("chain connector node address is not {actor}");
            return Some(Trouble::Said(text));
        }
        if let Err(no) = Contracts::encodable(command) {
            return Some(no.into());
        }
        if !wallet.is_linked(now) {
            return Some(ChainTrouble::LinkDown.into());
        }
        None
    }

    /// Answers a question as of now: what waits or is on its way is not there.
    pub(super) fn ask(
        &mut self,
        wallet: Option<usize>,
        command: &Command,
        now: Instant,
        time: u64,
    ) -> Outcome {
        if let Some(trouble) = wallet.and_then(|n| self.refusal(n, command, now)) {
            return Err(trouble);
        }
        let answer = self.contracts.call(self.at(time), command)?;
        Ok((String::new(), answer))
    }

    /// Takes a call in; the answer comes when its transaction is mined.
    pub(super) fn send(
        &mut self,
        number: usize,
        command: Command,
        now: Instant,
    ) -> oneshot::Receiver<Outcome> {
        let (reply, answer) = oneshot::channel();
        let refused = self.refusal(number, &command, now);
        let mut call = Call {
            command,
            reply: Some(reply),
        };
        let sent = self.sent;
        match (refused, self.wallets.get_mut(number)) {
            (None, Some(wallet)) if wallet.funded => {
                wallet.waiting.push_back(call);
                self.sent += u64::from(wallet.send_next(sent));
            }
            (None, Some(_)) => drop(call.answer(Err(ChainTrouble::EmptyWallet.into()))),
            (refused, _) => drop(call.answer(Err(refused.unwrap_or(Trouble::Gone)))),
        }
        answer
    }

    /// Mines every block that is due; answers what is to be published, in order.
    pub(super) fn advance(&mut self, now: Instant, time: u64) -> Vec<RecordEvent> {
        let mut events = Vec::new();
        if self.block.is_zero() {
            while self.wallets.iter().any(|w| w.sent.is_some()) {
                self.mine(time, &mut events);
            }
            return events;
        }
        loop {
            let passed = (now - self.started).as_nanos() / self.block.as_nanos();
            let passed = u64::try_from(passed).unwrap_or(u64::MAX);
            if self.height >= passed {
                return events;
            }
            if self.wallets.iter().all(|w| w.sent.is_none()) {
                // Empty blocks.
                self.height = passed;
                return events;
            }
            self.mine(time, &mut events);
        }
    }

    fn at(&self, time: u64) -> Block {
        Block {
            number: self.height,
            time,
        }
    }

    /// One block: what is on its way, in the order of sending, as far as it fits. Then each wallet sends its next.
    fn mine(&mut self, time: u64, events: &mut Vec<RecordEvent>) {
        self.height += 1;
        let mut order: Vec<(u64, usize)> = Vec::new();
        for (number, wallet) in self.wallets.iter().enumerate() {
            order.extend(wallet.sent.as_ref().map(|(sent, _)| (*sent, number)));
        }
        order.sort_unstable();
        let mut used = 0;
        for (_, number) in order {
            let Some((_, call)) = self.wallets[number].sent.as_ref() else {
                continue;
            };
            let gas = gas::of(&call.command);
            // What is larger than a block gets one of its own.
            if used > 0 && used + gas > gas::BLOCK {
                continue;
            }
            used += gas;
            events.extend(self.mine_one(number, gas, time));
        }
        for wallet in &mut self.wallets {
            self.sent += u64::from(wallet.send_next(self.sent));
        }
    }

    fn mine_one(&mut self, number: usize, gas: u64, time: u64) -> Option<RecordEvent> {
        let block = self.at(time);
        let wallet = self.wallets.get_mut(number)?;
        let (sent, mut call) = wallet.sent.take()?;
        let done = self.contracts.transact(block, &wallet.small, &call.command);
        let text = format!("transaction {sent} of chain {}", self.seed);
        let receipt = Receipt {
            hash: encode_hex(&Digest::of(text.as_bytes()).0),
            block: block.number,
            from: wallet.address.clone(),
            gas,
            status: done.is_ok(),
        };
        let accepted = done.is_ok();
        let (outcome, event) = match done {
            Ok(done) if gas > gas::BLOCK => (Err(Trouble::TooLarge(receipt)), done.event),
            Ok(done) => (Ok((receipt.hash, done.answer)), done.event),
            Err(No::Invalid(text)) => (Err(Trouble::Said(text)), None),
            Err(No::Reverted(_)) => (Err(Trouble::Reverted(receipt)), None),
        };
        let awaited = call.answer(outcome);
        self.mined.push(Mined {
            wallet: number,
            command: call.command,
            block: block.number,
            accepted,
            gas,
            awaited,
        });
        event
    }
}

impl Wallet {
    pub(super) fn address(&self) -> &str {
        &self.address
    }

    /// Whether its connector reaches the chain.
    pub(super) fn is_linked(&self, now: Instant) -> bool {
        let lost = self.cut.is_some_and(|since| now >= since);
        !lost && !self.given_up
    }

    /// Cuts the link: what waits fails, what is on its way stays so, and its caller does not hear of it any more.
    pub(super) fn cut(&mut self, now: Instant) {
        self.cut.get_or_insert(now);
        for mut call in self.waiting.drain(..) {
            call.answer(Err(ChainTrouble::LinkDown.into()));
        }
        if let Some((_, call)) = &mut self.sent {
            call.answer(Err(ChainTrouble::ReceiptUnknown.into()));
        }
    }

    /// The way to the chain is open again; too late for a connector that has given it up, which must be started anew.
    pub(super) fn mend(&mut self, now: Instant) {
        if let Some(since) = self.cut.take() {
            self.given_up |= now - since > LOOKS_FOR;
        }
    }

    /// The connector's process is started anew: what waited is lost with its callers.
    pub(super) fn restart(&mut self) {
        self.given_up = false;
        let sent = self.sent.iter_mut().map(|(_, call)| call);
        for call in self.waiting.iter_mut().chain(sent) {
            call.answer(Err(Trouble::Gone));
        }
        self.waiting.clear();
    }

    /// Puts the next call on its way, if the one before is in a block. Whether it did.
    fn send_next(&mut self, number: u64) -> bool {
        if self.sent.is_some() {
            return false;
        }
        match self.waiting.pop_front() {
            Some(call) => {
                self.sent = Some((number, call));
                true
            }
            None => false,
        }
    }
}
