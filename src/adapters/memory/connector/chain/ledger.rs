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
    fn answer(&mut self, outcome: Outcome) {
        if let Some(reply) = self.reply.take() {
            // Who has given up does not hear it.
            drop(reply.send(outcome));
        }
    }

    fn is_awaited(&self) -> bool {
        self.reply.as_ref().is_some_and(|reply| !reply.is_closed())
    }
}

/// A transaction on its way, or in a block that the connector has not seen.
struct Sent {
    number: u64,
    call: Call,
    mined: Option<Outcome>,
}

/// What a connector does about its chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Link {
    Open,
    /// It looks for the chain until then: calls and questions wait.
    Sought(Instant),
    /// It has given it up: everything fails at once.
    GivenUp,
}

/// One connector with its wallet.
pub(super) struct Wallet {
    /// In letters of both kinds.
    address: String,
    small: String,
    waiting: VecDeque<Call>,
    sent: Option<Sent>,
    /// Since when the link to the chain is cut.
    cut: Option<Instant>,
    /// Whether its connector has looked for the chain in vain, and looks no more.
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
            wallet.lose_callers();
        }
    }

    /// Blocks so far.
    pub(super) fn height(&self) -> u64 {
        self.height
    }

    /// When something happens next: a block that has something to take, or a connector that gives its chain up.
    pub(super) fn due(&self) -> Option<Instant> {
        let busy = self.wallets.iter().any(Wallet::is_in_pool);
        let number = u32::try_from(self.height + 1).unwrap_or(u32::MAX);
        let block = busy.then(|| self.started + self.block * number);
        let waits = |w: &&Wallet| w.sent.is_some() || !w.waiting.is_empty();
        let ends = self.wallets.iter().filter(waits).map(Wallet::link);
        let ends = ends.filter_map(|link| match link {
            Link::Sought(until) => Some(until),
            Link::Open | Link::GivenUp => None,
        });
        ends.chain(block).min()
    }

    /// What the connector of a wallet does about its chain now.
    pub(super) fn link(&mut self, number: Option<usize>, now: Instant) -> Link {
        let wallet = number.and_then(|number| self.wallets.get_mut(number));
        wallet.map_or(Link::Open, |wallet| {
            wallet.look_for_chain(now);
            wallet.link()
        })
    }

    /// What the connector of a wallet says before it looks at the chain at all.
    fn refusal(&self, number: usize, command: &Command) -> Option<Trouble> {
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
        (wallet.link() == Link::GivenUp).then(|| ChainTrouble::LinkDown.into())
    }

    /// Answers a question as of now: what waits or is on its way is not there.
    pub(super) fn ask(&mut self, wallet: Option<usize>, command: &Command, time: u64) -> Outcome {
        if let Some(trouble) = wallet.and_then(|n| self.refusal(n, command)) {
            return Err(trouble);
        }
        let answer = self.contracts.call(self.at(time), command)?;
        Ok((String::new(), answer))
    }

    /// Takes a call in; the answer comes when its transaction is mined.
    pub(super) fn send(&mut self, number: usize, command: Command) -> oneshot::Receiver<Outcome> {
        let (reply, answer) = oneshot::channel();
        let refused = self.refusal(number, &command);
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
            (None, Some(_)) => call.answer(Err(ChainTrouble::EmptyWallet.into())),
            (refused, _) => call.answer(Err(refused.unwrap_or(Trouble::Gone))),
        }
        answer
    }

    /// Mines every block that is due; answers what is to be published, in order.
    pub(super) fn advance(&mut self, now: Instant, time: u64) -> Vec<RecordEvent> {
        let mut events = Vec::new();
        for wallet in &mut self.wallets {
            wallet.look_for_chain(now);
        }
        if self.block.is_zero() {
            while self.wallets.iter().any(Wallet::is_in_pool) {
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
            if !self.wallets.iter().any(Wallet::is_in_pool) {
                // Empty blocks.
                self.height = passed;
                return events;
            }
            self.mine(time, &mut events);
        }
    }

    /// Sends what waits in each wallet and may be sent.
    pub(super) fn send_waiting(&mut self) {
        for wallet in &mut self.wallets {
            self.sent += u64::from(wallet.send_next(self.sent));
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
            let sent = wallet.sent.as_ref().filter(|sent| sent.mined.is_none());
            order.extend(sent.map(|sent| (sent.number, number)));
        }
        order.sort_unstable();
        let mut used = 0;
        for (_, number) in order {
            let Some(sent) = self.wallets[number].sent.as_ref() else {
                continue;
            };
            let gas = gas::of(&sent.call.command).min(gas::BLOCK);
            if used + gas > gas::BLOCK {
                continue;
            }
            used += gas;
            events.extend(self.mine_one(number, gas, time));
        }
        self.send_waiting();
    }

    fn mine_one(&mut self, number: usize, gas: u64, time: u64) -> Option<RecordEvent> {
        let block = self.at(time);
        let wallet = self.wallets.get_mut(number)?;
        let sent = wallet.sent.as_mut()?;
        let command = sent.call.command.clone();
        let done = match gas::of(&command) > gas::BLOCK {
            true => Err(No::Reverted("out of gas")),
            false => self.contracts.transact(block, &wallet.small, &command),
        };
        let text = format!("transaction {} of chain {}", sent.number, self.seed);
        let receipt = Receipt {
            hash: encode_hex(&Digest::of(text.as_bytes()).0),
            block: block.number,
            from: wallet.small.clone(),
            gas,
        };
        let accepted = done.is_ok();
        let (outcome, event) = match done {
            Ok(done) => (Ok((receipt.hash, done.answer)), done.event),
            Err(No::Invalid(text)) => (Err(Trouble::Said(text)), None),
            Err(No::Reverted(_)) => (Err(Trouble::Reverted(receipt)), None),
        };
        let awaited = sent.call.is_awaited();
        sent.mined = Some(outcome);
        wallet.tell();
        self.mined.push(Mined {
            wallet: number,
            command,
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

    /// What its connector does about the chain.
    pub(super) fn link(&self) -> Link {
        match self.cut {
            _ if self.given_up => Link::GivenUp,
            Some(since) => Link::Sought(since + LOOKS_FOR),
            None => Link::Open,
        }
    }

    fn is_in_pool(&self) -> bool {
        self.sent.as_ref().is_some_and(|sent| sent.mined.is_none())
    }

    /// Cuts the link. What is on its way stays so.
    pub(super) fn cut(&mut self, now: Instant) {
        self.cut.get_or_insert(now);
    }

    /// The way to the chain is open again; too late for a connector that has given it up, which must be started anew.
    pub(super) fn mend(&mut self, now: Instant) {
        self.look_for_chain(now);
        self.cut = None;
        self.tell();
    }

    /// Gives the chain up, once it has been looked for long enough: what waits fails, and nobody hears of what is on its way.
    fn look_for_chain(&mut self, now: Instant) {
        if !matches!(self.link(), Link::Sought(until) if now >= until) {
            return;
        }
        self.given_up = true;
        if let Some(sent) = &mut self.sent {
            sent.call.answer(Err(ChainTrouble::ReceiptUnknown.into()));
        }
        for mut call in self.waiting.drain(..) {
            call.answer(Err(Trouble::GivesUp));
        }
        self.tell();
    }

    /// The connector's process is started anew: what waited is lost with its callers.
    pub(super) fn restart(&mut self, now: Instant) {
        self.given_up = false;
        // It begins to look for its chain now.
        self.cut = self.cut.map(|_| now);
        self.lose_callers();
        self.waiting.clear();
        self.tell();
    }

    fn lose_callers(&mut self) {
        let sent = self.sent.iter_mut().map(|sent| &mut sent.call);
        for call in self.waiting.iter_mut().chain(sent) {
            call.answer(Err(Trouble::Gone));
        }
    }

    /// Answers whose transaction is in a block, as far as the connector sees that.
    fn tell(&mut self) {
        let unheard = |sent: &Sent| sent.call.reply.is_none();
        let sees = self.link() == Link::Open || self.sent.as_ref().is_some_and(unheard);
        let told = self.sent.take_if(|sent| sees && sent.mined.is_some());
        if let Some(Sent {
            mut call,
            mined: Some(outcome),
            ..
        }) = told
        {
            call.answer(outcome);
        }
    }

    /// Puts the next call on its way, if the one before is in a block. Whether it did.
    fn send_next(&mut self, number: u64) -> bool {
        if self.sent.is_some() || self.link() != Link::Open {
            return false;
        }
        match self.waiting.pop_front() {
            Some(call) => {
                self.sent = Some(Sent {
                    number,
                    call,
                    mined: None,
                });
                true
            }
            None => false,
        }
    }
}
