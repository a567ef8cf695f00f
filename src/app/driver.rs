//! The only loop that changes a round: load, handle, commit, then carry out effects.
//!
//! Persist, then speak: a change and its effects are one transaction; nothing leaves the node, and no caller is answered, before it
//! is committed. Effects found in the outbox after a restart are carried out again, with a look at the record first.
//! A change is a snapshot of the machine, or, for one that grows with its members, the input itself: machines are functions of what
//! they are told and when, so a journal of inputs after a snapshot is the same state.

mod stored;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use stored::{cannot_seal, context, entry, entry_context, open, restore, seal, seal_bytes};

use delta_domain::ids::TaskId;
use delta_domain::round::Rejection;
use delta_domain::time::Timestamp;
use delta_domain::vault::Vault;
use delta_ports::clock::Clock;
use delta_ports::entropy::Entropy;
use delta_ports::storage::{
    MachineChange, MachineKey, MachineKind, OutboxEntry, StateChange, Storage, StoredMachine,
};
use delta_ports::{PortError, PortErrorKind, report};

/// Inputs that may wait for a round's attention.
const INBOX: usize = 256;
/// First and last wait between tries of an effect that the world refuses to carry out now.
const RETRY_FIRST: Duration = Duration::from_millis(50);
const RETRY_LAST: Duration = Duration::from_secs(2);
/// How often a change is tried again.
const COMMIT_TRIES: usize = 5;
/// A journal is replaced by a snapshot when it is longer than this and than so many snapshots.
const JOURNAL_BYTES: usize = 1 << 20;
const JOURNAL_SNAPSHOTS: usize = 4;

/// A state machine that lives in the driver.
pub(crate) trait Machine:
    Serialize + DeserializeOwned + Clone + Send + Sync + 'static
{
    /// What it is told.
    type Input: Send + 'static;
    /// What it asks for.
    type Effect: Serialize + DeserializeOwned + Clone + Send + Sync + 'static;
    /// Its kind in the database.
    const KIND: MachineKind;

    /// Changes it.
    ///
    /// # Errors
    /// [`Rejection`]; the state is as before.
    fn handle(
        &mut self,
        now: Timestamp,
        input: Self::Input,
    ) -> Result<Vec<Self::Effect>, Rejection>;
    /// When a tick is due.
    fn deadline(&self) -> Option<Timestamp>;
    /// Whether nothing more will happen.
    fn is_over(&self) -> bool;
    /// The input for "time has passed".
    fn tick() -> Self::Input;
    /// The input as the journal keeps it. `None`, the default, is for machines that are small, or forget secrets before they are
    /// over: each change of theirs is a snapshot, and what they have forgotten is nowhere.
    fn journalled(_input: &Self::Input) -> Option<Result<Vec<u8>, serde_json::Error>> {
        None
    }
    /// The input that [`Self::journalled`] kept.
    ///
    /// # Errors
    /// It is none of this machine's.
    fn replayed(_entry: &[u8]) -> Result<Self::Input, serde_json::Error> {
        Err(serde::de::Error::custom("this machine keeps no journal"))
    }
    /// The input for "this effect cannot be carried out", or `None` when the machine need not know.
    fn broken(effect: &Self::Effect, error: &PortError) -> Option<Self::Input>;
}

/// Carries out a machine's effects.
#[async_trait]
pub(crate) trait Effects<M: Machine>: Send + Sync + 'static {
    /// Carries out one effect and answers with the input that follows from it, if any.
    ///
    /// `again` is true when an earlier try may have taken effect: after a lost answer or a restart.
    ///
    /// # Errors
    /// A transient error is tried again until the machine is over; any other becomes [`Machine::broken`].
    async fn carry_out(
        &self,
        effect: &M::Effect,
        again: bool,
    ) -> Result<Option<M::Input>, PortError>;
}

/// Why an input was not taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HandleError {
    /// The machine refused it.
    #[error(transparent)]
    Rejected(#[from] Rejection),
    /// It could not be put on disk, so it has not happened.
    #[error(transparent)]
    Port(#[from] PortError),
    /// The machine has stopped.
    #[error("the round is over")]
    Stopped,
}

/// What the driver needs from the node.
#[derive(Clone)]
pub(crate) struct DriverPorts {
    /// Snapshots and outboxes.
    pub(crate) storage: Arc<dyn Storage>,
    /// Deadlines.
    pub(crate) clock: Arc<dyn Clock>,
    /// Nonces for sealing.
    pub(crate) entropy: Arc<dyn Entropy>,
    /// Seals what rests on disk.
    pub(crate) vault: Arc<Vault>,
}

enum Message<M: Machine> {
    Input {
        input: M::Input,
        reply: oneshot::Sender<Result<(), HandleError>>,
    },
}

/// A running machine, seen from outside.
pub(crate) struct Handle<M: Machine> {
    inbox: mpsc::Sender<Message<M>>,
    state: watch::Receiver<Arc<M>>,
}

impl<M: Machine> Clone for Handle<M> {
    fn clone(&self) -> Self {
        Self {
            inbox: self.inbox.clone(),
            state: self.state.clone(),
        }
    }
}

impl<M: Machine> Handle<M> {
    /// Gives the machine an input; `Ok` once its consequences are on disk.
    ///
    /// # Errors
    /// [`HandleError`]; the machine has not changed.
    pub(crate) async fn give(&self, input: M::Input) -> Result<(), HandleError> {
        let (reply, answer) = oneshot::channel();
        let message = Message::Input { input, reply };
        self.inbox
            .send(message)
            .await
            .map_err(|_| HandleError::Stopped)?;
        answer.await.map_err(|_| HandleError::Stopped)?
    }

    /// The last committed state.
    #[must_use]
    pub(crate) fn state(&self) -> Arc<M> {
        self.state.borrow().clone()
    }

    /// Whether the machine runs no more: nobody else will change what is stored.
    #[must_use]
    pub(crate) fn has_stopped(&self) -> bool {
        self.inbox.is_closed()
    }

    /// Waits until [`Handle::has_stopped`].
    pub(crate) async fn stopped(&self) {
        self.inbox.closed().await;
    }

    /// Waits for the next committed state; `None` when the driver has stopped.
    pub(crate) async fn changed(&mut self) -> Option<Arc<M>> {
        self.state.changed().await.ok()?;
        Some(self.state.borrow_and_update().clone())
    }
}

/// A machine's change for a transaction made by the caller: how a machine comes into being.
///
/// # Errors
/// `Internal` when it cannot be serialised, `Unavailable` when there is no randomness.
pub(crate) fn birth<M: Machine>(
    ports: &DriverPorts,
    task: &TaskId,
    round: u32,
    machine: &M,
    effects: &[M::Effect],
) -> Result<(MachineChange, StoredMachine), PortError> {
    let key = MachineKey {
        kind: M::KIND,
        task: task.clone(),
        round,
    };
    let snapshot = seal(ports, &key, machine)?;
    let mut outbox = Vec::with_capacity(effects.len());
    for (id, effect) in (1..).zip(effects) {
        outbox.push(OutboxEntry {
            id,
            effect: seal(ports, &key, effect)?,
        });
    }
    let change = MachineChange {
        key: key.clone(),
        expected: 0,
        state: StateChange::Snapshot(snapshot.clone()),
        enqueue: outbox.clone(),
        done: Vec::new(),
    };
    Ok((
        change,
        StoredMachine {
            key,
            version: 1,
            snapshot,
            journal: Vec::new(),
            outbox,
        },
    ))
}

/// Reads a stored machine without running it.
///
/// # Errors
/// `Corrupt` when the snapshot cannot be opened.
pub(crate) fn peek<M: Machine>(
    ports: &DriverPorts,
    stored: &StoredMachine,
) -> Result<M, PortError> {
    restore(ports, stored)
}

/// Runs a stored machine, as [`peek`] read it, until it is over or `cancel` fires. `fresh` is false after a restart.
///
/// # Errors
/// `Corrupt` when an effect in its outbox cannot be opened.
pub(crate) fn spawn<M: Machine>(
    ports: DriverPorts,
    effects: Arc<dyn Effects<M>>,
    stored: StoredMachine,
    machine: M,
    fresh: bool,
    cancel: CancellationToken,
) -> Result<(Handle<M>, impl Future<Output = ()> + Send + 'static), PortError> {
    let machine = Arc::new(machine);
    let mut outbox = BTreeMap::new();
    for entry in &stored.outbox {
        outbox.insert(
            entry.id,
            open::<M::Effect>(&ports, &stored.key, &context(&stored.key), &entry.effect)?,
        );
    }
    let (inbox, messages) = mpsc::channel(INBOX);
    let (publish, state) = watch::channel(Arc::clone(&machine));
    let next_id = outbox
        .keys()
        .next_back()
        .map_or(1, |last| last + 1)
        .max(next_id_floor(&stored));
    let host = Host {
        ports,
        effects,
        key: stored.key,
        version: stored.version,
        machine,
        snapshot_bytes: stored.snapshot.len(),
        journal_bytes: stored.journal.iter().map(|(_, entry)| entry.len()).sum(),
        next_id,
        running: JoinSet::new(),
        messages,
        publish,
        cancel,
    };
    Ok((Handle { inbox, state }, host.run(outbox, fresh)))
}

/// Ids of done effects are gone from the outbox; versions only grow, so they bound the ids used so far from below.
fn next_id_floor(stored: &StoredMachine) -> u64 {
    stored.version.saturating_mul(1 << 20)
}

struct Host<M: Machine> {
    ports: DriverPorts,
    effects: Arc<dyn Effects<M>>,
    key: MachineKey,
    version: u64,
    machine: Arc<M>,
    snapshot_bytes: usize,
    journal_bytes: usize,
    next_id: u64,
    running: JoinSet<(u64, Option<M::Input>)>,
    messages: mpsc::Receiver<Message<M>>,
    publish: watch::Sender<Arc<M>>,
    cancel: CancellationToken,
}

impl<M: Machine> Host<M> {
    async fn run(mut self, outbox: BTreeMap<u64, M::Effect>, fresh: bool) {
        for (id, effect) in outbox {
            self.start(id, effect, !fresh);
        }
        // A round that is over still owes its last effects (a decline, say).
        while !(self.machine.is_over() && self.running.is_empty()) {
            let clock = self.ports.clock.clone();
            let deadline = self.machine.deadline();
            let tick = async move {
                match deadline {
                    Some(at) => clock.sleep(at.remaining(clock.now())).await,
                    None => std::future::pending().await,
                }
            };
            let cancel = self.cancel.clone();
            tokio::select! {
                biased;
                () = cancel.cancelled() => {
                    self.settle().await;
                    break;
                }
                Some(done) = self.running.join_next() => match done {
                    Ok((id, input)) => self.effect_done(id, input).await,
                    Err(panic) => {
                        tracing::error!(task = %self.key.task, round = self.key.round, "an effect panicked: {panic}");
                        self.cancel.cancel();
                    }
                },
                Some(Message::Input { input, reply }) = self.messages.recv() => {
                    let answer = self.apply(Some(input), None).await;
                    // The caller may have gone away; the input has happened all the same.
                    drop(reply.send(answer));
                }
                () = tick => {
                    if let Err(e) = self.apply(Some(M::tick()), None).await {
                        self.complain("a deadline could not be recorded", &e);
                        self.ports.clock.sleep(RETRY_LAST).await;
                    }
                }
            }
        }
    }

    /// Puts a snapshot in the place of the journal, for whoever takes the machine up again.
    async fn settle(&mut self) {
        if self.journal_bytes == 0 || self.machine.is_over() {
            return;
        }
        let settled = match seal(&self.ports, &self.key, &*self.machine) {
            Ok(snapshot) => {
                let change = MachineChange {
                    key: self.key.clone(),
                    expected: self.version,
                    state: StateChange::Snapshot(snapshot),
                    enqueue: Vec::new(),
                    done: Vec::new(),
                };
                // Once: the node is stopping, and the journal serves as well.
                self.ports.storage.commit(vec![change], Vec::new()).await
            }
            Err(e) => Err(e),
        };
        match settled {
            Ok(()) => (self.version, self.journal_bytes) = (self.version + 1, 0),
            Err(e) => tracing::warn!(task = %self.key.task, "the journal stays: {}", report(&e)),
        }
    }

    async fn effect_done(&mut self, id: u64, input: Option<M::Input>) {
        match self.apply(input, Some(id)).await {
            Ok(()) => {}
            Err(HandleError::Rejected(rejection)) => {
                // The input is refused, but the effect is done.
                tracing::info!(
                    task = %self.key.task, round = self.key.round, code = rejection.code(),
                    "the outcome of an effect is refused: {rejection}"
                );
                if let Err(e) = self.apply(None, Some(id)).await {
                    self.complain("an effect could not be marked as done", &e);
                }
            }
            // It stays in the outbox and is carried out again after a restart.
            Err(e) => self.complain("an effect could not be marked as done", &e),
        }
    }

    /// Handles, commits, then speaks. Without an input only marks an effect as done.
    async fn apply(
        &mut self,
        input: Option<M::Input>,
        done: Option<u64>,
    ) -> Result<(), HandleError> {
        let (next, state, effects) = match input {
            Some(input) => self.advance(input)?,
            None => (Arc::clone(&self.machine), StateChange::Same, Vec::new()),
        };
        let mut enqueue = Vec::with_capacity(effects.len());
        let mut started = Vec::with_capacity(effects.len());
        for effect in effects {
            let id = self.next_id;
            self.next_id += 1;
            enqueue.push(OutboxEntry {
                id,
                effect: seal(&self.ports, &self.key, &effect)?,
            });
            started.push((id, effect));
        }
        let change = MachineChange {
            key: self.key.clone(),
            expected: self.version,
            state,
            enqueue,
            done: done.into_iter().collect(),
        };
        let (snapshot_bytes, journal_bytes) = match &change.state {
            StateChange::Snapshot(snapshot) => (snapshot.len(), 0),
            StateChange::Entry(entry) => (self.snapshot_bytes, self.journal_bytes + entry.len()),
            StateChange::Same | StateChange::Deleted => (self.snapshot_bytes, self.journal_bytes),
        };
        commit(&self.ports, vec![change]).await?;
        (self.snapshot_bytes, self.journal_bytes) = (snapshot_bytes, journal_bytes);
        self.version += 1;
        self.machine = next;
        self.publish.send_replace(Arc::clone(&self.machine));
        for (id, effect) in started {
            self.start(id, effect, false);
        }
        Ok(())
    }

    /// The machine after an input, and what to write down about it. The machine at hand stays as it is until that is committed.
    #[expect(clippy::type_complexity, reason = "three parts of one answer")]
    fn advance(
        &self,
        input: M::Input,
    ) -> Result<(Arc<M>, StateChange, Vec<M::Effect>), HandleError> {
        let mut next = M::clone(&self.machine);
        let now = self.ports.clock.now();
        let journalled = M::journalled(&input).transpose().map_err(cannot_seal)?;
        let effects = next.handle(now, input)?;
        // A machine that is over keeps no secrets: its journal must go. A long journal would make a restart slow.
        let longest = JOURNAL_BYTES.max(self.snapshot_bytes.saturating_mul(JOURNAL_SNAPSHOTS));
        let state = match journalled.map(Zeroizing::new) {
            Some(input) if !next.is_over() && self.journal_bytes + input.len() <= longest => {
                let context = entry_context(&self.key, self.version + 1);
                StateChange::Entry(seal_bytes(&self.ports, &context, &entry(now, &input))?)
            }
            _ => StateChange::Snapshot(seal(&self.ports, &self.key, &next)?),
        };
        Ok((Arc::new(next), state, effects))
    }

    fn start(&mut self, id: u64, effect: M::Effect, mut again: bool) {
        let effects = self.effects.clone();
        let clock = self.ports.clock.clone();
        let mut over = self.publish.subscribe();
        let key = self.key.clone();
        self.running.spawn(async move {
            let mut wait = RETRY_FIRST;
            loop {
                let error = match effects.carry_out(&effect, again).await {
                    Ok(input) => return (id, input),
                    Err(error) => error,
                };
                if !error.is_transient() {
                    tracing::warn!(task = %key.task, round = key.round, "{}", report(&error));
                    return (id, M::broken(&effect, &error));
                }
                tracing::debug!(task = %key.task, round = key.round, "will try again: {}", report(&error));
                again = true;
                tokio::select! {
                    biased;
                    () = clock.sleep(wait) => {}
                    // Nobody needs it any more: one last try was enough.
                    _ = over.wait_for(|m| m.is_over()) => return (id, None),
                }
                wait = (wait * 2).min(RETRY_LAST);
            }
        });
    }

    fn complain(&self, what: &str, error: &HandleError) {
        tracing::error!(task = %self.key.task, round = self.key.round, "{what}: {error}");
    }
}

/// Commits with a few tries: a database that is busy for a moment must not cost a round.
///
/// # Errors
/// [`PortError`]; as far as anybody can tell, nothing has changed.
pub(super) async fn commit(
    ports: &DriverPorts,
    changes: Vec<MachineChange>,
) -> Result<(), PortError> {
    let mut wait = RETRY_FIRST;
    let mut tried = false;
    for _ in 0..COMMIT_TRIES {
        let error = match ports.storage.commit(changes.clone(), Vec::new()).await {
            Err(e) if e.is_transient() || (tried && e.kind() == PortErrorKind::Conflict) => e,
            other => return other,
        };
        tried = true;
        tracing::warn!("a change is not recorded yet: {}", report(&error));
        ports.clock.sleep(wait).await;
        wait *= 2;
        // The answer may have been lost after the change was made; the next try would run into it.
        let Some(first) = changes.first() else {
            continue;
        };
        match ports.storage.machine(&first.key).await {
            Ok(now) if is_made(first, now.as_ref()) => return Ok(()),
            Ok(_) if error.kind() == PortErrorKind::Conflict => return Err(error),
            _ => {}
        }
    }
    ports.storage.commit(changes, Vec::new()).await
}

/// Deletes a stored machine, with every secret in it. Fine when there is none.
///
/// # Errors
/// [`PortError`]; it may still be there.
pub(super) async fn erase(ports: &DriverPorts, key: &MachineKey) -> Result<(), PortError> {
    let mut wait = RETRY_FIRST;
    for _ in 0..COMMIT_TRIES {
        match try_to_erase(ports, key).await {
            // Somebody else's last change came between.
            Err(e) if e.is_transient() || e.kind() == PortErrorKind::Conflict => {
                tracing::warn!(task = %key.task, round = key.round, "not erased yet: {}", report(&e));
                ports.clock.sleep(wait).await;
                wait *= 2;
            }
            other => return other,
        }
    }
    try_to_erase(ports, key).await
}

async fn try_to_erase(ports: &DriverPorts, key: &MachineKey) -> Result<(), PortError> {
    let Some(stored) = ports.storage.machine(key).await? else {
        return Ok(());
    };
    let change = MachineChange {
        key: key.clone(),
        expected: stored.version,
        state: StateChange::Deleted,
        enqueue: Vec::new(),
        done: Vec::new(),
    };
    ports.storage.commit(vec![change], Vec::new()).await
}

/// Whether the database shows this change: one of a transaction stands for all.
fn is_made(change: &MachineChange, now: Option<&StoredMachine>) -> bool {
    let Some(now) = now else {
        return change.state == StateChange::Deleted && change.expected > 0;
    };
    now.version == change.expected + 1
        && match &change.state {
            StateChange::Snapshot(wanted) => now.snapshot == *wanted,
            StateChange::Entry(wanted) => {
                now.journal.last().is_some_and(|(_, entry)| entry == wanted)
            }
            // Only this driver moves the machine on.
            StateChange::Same => true,
            StateChange::Deleted => false,
        }
}
