//! The calls of this node, one at a time: what stands between a node and a connector in another process.
//!
//! Which call goes next and how long to wait for it is the domain's to say (`domain::wallet`). Here calls are sent, and a call belongs
//! to the queue from then on: a caller who gives up takes nothing back, and whoever asks for the same finds it under way. Reads pass.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::watch;

use delta_domain::connector_record::Command;
use delta_domain::time::Timestamp;
use delta_domain::wallet::{Asked, CallId, Pace, Queue};
use delta_ports::clock::Clock;
use delta_ports::connector::{Receipt, RecordBackend, RecordEvents, WalletView};
use delta_ports::{ChainTrouble, PortError, PortErrorKind};

/// Where a call is on its way.
#[derive(Clone)]
enum Way {
    Waiting,
    /// It is under way, and should be answered within this time.
    Sent(Duration),
    Over(Result<Receipt, PortError>),
}

/// A connector in another process, as one node's wallet calls it.
///
/// Obligations are those of [`RecordBackend`], with two differences: the deadline of a call that changes the record counts from when
/// it is sent, and a caller who comes back for a call that is still under way gets that call's answer.
pub struct Wallet<B>(Arc<Desk<B>>);

struct Desk<B> {
    backend: B,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

/// What is kept of a call beside what it says.
struct Call {
    op: &'static str,
    way: watch::Sender<Way>,
}

#[derive(Default)]
struct State {
    queue: Queue<Receipt>,
    pace: Pace,
    calls: BTreeMap<CallId, Call>,
    /// Whether somebody sends what waits.
    sending: bool,
    trouble: Option<(ChainTrouble, Timestamp)>,
}

/// What works when a call is answered.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Proof {
    /// The way to the chain: it was only read.
    Link,
    /// The wallet can pay, too: a registration names no address.
    Money,
    /// And the connector acts for this node.
    All,
}

impl Proof {
    fn of(command: &Command) -> Self {
        match command {
            Command::Join { .. } | Command::JoinAs { .. } => Self::Money,
            _ if command.is_read() => Self::Link,
            _ => Self::All,
        }
    }

    /// Whether what works shows that a trouble is over.
    fn ends(self, trouble: ChainTrouble) -> bool {
        match trouble {
            ChainTrouble::EmptyWallet => self >= Self::Money,
            ChainTrouble::OtherAddress => self >= Self::All,
            _ => true,
        }
    }
}

impl State {
    /// Takes note of what an answer says about the chain.
    fn notice<T>(&mut self, outcome: &Result<T, PortError>, proof: Proof, now: Timestamp) {
        use ChainTrouble::{EmptyWallet, LinkDown, Nonce, OtherAddress, ReceiptUnknown};
        let said = match outcome {
            Err(e) => match e.trouble() {
                Some(trouble @ (LinkDown | EmptyWallet | OtherAddress)) => Some(trouble),
                // It reaches its chain, or says nothing about that.
                Some(Nonce | ReceiptUnknown) => return,
                Some(_) => None,
                None if e.kind() == PortErrorKind::Rejected => None,
                None => return,
            },
            Ok(_) => None,
        };
        match (said, self.trouble) {
            (Some(trouble), Some((known, _))) if known == trouble => {}
            (Some(trouble), _) => {
                tracing::error!("{}", trouble.told());
                self.trouble = Some((trouble, now));
            }
            (None, Some((known, since))) if proof.ends(known) => {
                let seconds = (now - since).as_secs();
                tracing::info!("the connector and its chain are well again after {seconds} s");
                self.trouble = None;
            }
            (None, _) => {}
        }
    }
}

impl<B> Desk<B> {
    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing that can panic runs under this lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Somebody who waits for a call, for as long as this lives.
struct Asker<B> {
    desk: Arc<Desk<B>>,
    id: CallId,
}

/// What becomes of a call.
enum Placed<B> {
    Waits(Asker<B>, watch::Receiver<Way>),
    Answered(Receipt),
}

impl<B> Drop for Asker<B> {
    fn drop(&mut self) {
        let mut state = self.desk.state();
        if state.queue.leave(self.id) {
            state.calls.remove(&self.id);
        }
    }
}

impl<B: RecordBackend> Wallet<B> {
    /// A wallet that calls `backend`. Nothing is sent before the first call.
    pub fn new(backend: B, clock: Arc<dyn Clock>) -> Self {
        Self(Arc::new(Desk {
            backend,
            clock,
            state: Mutex::default(),
        }))
    }

    /// The longest that a call is held: `backend` must not give up sooner.
    #[must_use]
    pub fn longest_call() -> Duration {
        Pace::longest() + Duration::from_secs(5)
    }

    /// Asks for a call; sees to it that somebody sends it.
    fn ask(&self, op: &'static str, command: &Command) -> Result<Placed<B>, PortError> {
        let mut state = self.0.state();
        let id = match state.queue.ask(command) {
            Ok(Asked::Waits(id)) => id,
            Ok(Asked::Answered(receipt)) => return Ok(Placed::Answered(receipt)),
            Err(full) => {
                return Err(PortError::new(
                    PortErrorKind::Exhausted,
                    op,
                    full.to_string(),
                ));
            }
        };
        let call = state.calls.entry(id).or_insert_with(|| Call {
            op,
            way: watch::Sender::new(Way::Waiting),
        });
        let way = call.way.subscribe();
        if !std::mem::replace(&mut state.sending, true) {
            drop(tokio::spawn(send_all(self.0.clone())));
        }
        let desk = self.0.clone();
        Ok(Placed::Waits(Asker { desk, id }, way))
    }

    /// Waits for the answer to a call: as long as it takes until it is sent, and then as long as its deadline allows.
    async fn answer(
        &self,
        op: &'static str,
        mut way: watch::Receiver<Way>,
    ) -> Result<Receipt, PortError> {
        loop {
            let now = way.borrow_and_update().clone();
            let allowed = match now {
                Way::Over(outcome) => return outcome,
                Way::Waiting => None,
                Way::Sent(allowed) => Some(allowed),
            };
            let overdue = async {
                match allowed {
                    Some(allowed) => self.0.clock.sleep(allowed).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                changed = way.changed() => if changed.is_err() {
                    let text = "the call was given up";
                    return Err(PortError::new(PortErrorKind::Unavailable, op, text));
                },
                () = overdue => {
                    self.0.state().pace.overdue();
                    let waited = allowed.unwrap_or_default().as_secs_f64();
                    let text = format!("the connector did not answer within {waited} s");
                    return Err(PortError::new(PortErrorKind::Timeout, op, text));
                }
            }
        }
    }
}

/// Sends what waits, one after the other, until nothing does.
async fn send_all<B: RecordBackend>(desk: Arc<Desk<B>>) {
    while let Some(Next {
        id,
        op,
        command,
        held,
    }) = next(&desk)
    {
        let (sent, proof) = (desk.clock.now(), Proof::of(&command));
        let outcome = tokio::select! {
            biased;
            outcome = desk.backend.execute(op, command) => outcome,
            () = desk.clock.sleep(held) => {
                let text = format!("the connector did not answer within {} s", held.as_secs());
                Err(PortError::new(PortErrorKind::Timeout, op, text))
            }
        };
        let now = desk.clock.now();
        let mut state = desk.state();
        // What is reverted may never have been sent to the chain.
        if outcome.is_ok() {
            state.pace.answered(now - sent);
        }
        state.notice(&outcome, proof, now);
        let answer = outcome.as_ref().ok().cloned();
        state.queue.answered(id, now, answer);
        if let Some(call) = state.calls.remove(&id) {
            call.way.send_replace(Way::Over(outcome));
        }
    }
}

/// A call to send now, and how long to hold it.
struct Next {
    id: CallId,
    op: &'static str,
    command: Command,
    held: Duration,
}

/// Takes the next call; none when nothing waits, and then nobody sends any more.
fn next<B>(desk: &Desk<B>) -> Option<Next> {
    let now = desk.clock.now();
    let mut state = desk.state();
    let next = state.queue.send(now).map(|(id, c)| (id, c.clone()));
    let (allowed, held) = (state.pace.deadline(), state.pace.held());
    let Some((id, command)) = next else {
        state.sending = false;
        return None;
    };
    let op = match state.calls.get(&id) {
        Some(call) => {
            call.way.send_replace(Way::Sent(allowed));
            call.op
        }
        None => "connector.call",
    };
    Some(Next {
        id,
        op,
        command,
        held,
    })
}

#[async_trait]
impl<B: RecordBackend> RecordBackend for Wallet<B> {
    async fn execute(&self, op: &'static str, command: Command) -> Result<Receipt, PortError> {
        if command.is_read() {
            let outcome = self.0.backend.execute(op, command).await;
            let now = self.0.clock.now();
            self.0.state().notice(&outcome, Proof::Link, now);
            return outcome;
        }
        match self.ask(op, &command)? {
            Placed::Answered(receipt) => Ok(receipt),
            Placed::Waits(asker, way) => {
                let outcome = self.answer(op, way).await;
                drop(asker);
                outcome
            }
        }
    }

    async fn open(&self, op: &'static str, listener: &str) -> Result<RecordEvents, PortError> {
        self.0.backend.open(op, listener).await
    }

    fn wallet(&self) -> WalletView {
        let state = self.0.state();
        WalletView {
            block: state.pace.block(),
            waiting: state.queue.len(),
            trouble: state.trouble,
        }
    }
}

#[cfg(test)]
mod tests;
