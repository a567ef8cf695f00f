//! State machines at work: created, loaded, and run by the only loop that changes them (`machine/host.rs`).
//!
//! Persist, then speak: a change and its effects are one transaction; nothing leaves the node, and no caller is answered, before it
//! is committed. Effects found in the outbox after a restart are carried out again, with a look at the record first.
//! A change is a snapshot of the machine, or, for one that grows with its members, the input itself: machines are functions of what
//! they are told and when, so a journal of inputs after a snapshot is the same state.

mod commit;
mod host;
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

pub(crate) use commit::{commit, erase};
use host::{Host, LOST, Message};
pub(crate) use stored::Loaded;
use stored::{context, open, restore, seal_snapshot};
pub(crate) use stored::{open_value, seal};

use crate::contact::Reach;
use crate::lines::Lines;
use delta_domain::ids::TaskId;
use delta_domain::round::{Pacing, Rejection};
use delta_domain::time::Timestamp;
use delta_domain::vault::Vault;
use delta_ports::PortError;
use delta_ports::clock::Clock;
use delta_ports::connector::Connector;
use delta_ports::entropy::Entropy;
use delta_ports::metrics::Metrics;
use delta_ports::storage::{
    MachineChange, MachineKey, MachineKind, OutboxEntry, StateChange, Storage, StoredMachine,
};

/// Inputs that may wait for a round's attention.
const INBOX: usize = 256;

/// A state machine that outlives restarts. Serialises as a struct: a snapshot has one field beside its own.
pub(crate) trait Machine:
    Serialize + DeserializeOwned + Clone + Send + Sync + 'static
{
    /// What it is told.
    type Input: Send + 'static;
    /// What it asks for.
    type Effect: Serialize + DeserializeOwned + Clone + Send + Sync + 'static;
    /// Its kind in the database.
    const KIND: MachineKind;

    /// Takes an input in at `now`; answers what is to be done for it.
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
    /// The phase that it is in, for measurements; empty where nothing is measured.
    fn phase(&self) -> &'static str {
        ""
    }
    /// How it ended, in a stable word, once it has.
    fn outcome(&self) -> Option<&'static str> {
        None
    }
    /// The input for "time has passed".
    fn tick() -> Self::Input;
    /// The input for "whoever is waited for could not be reached for so long".
    fn postponed(by: Duration) -> Self::Input;
    /// The input for "this process has been away": the phase's time begins anew.
    fn taken_up() -> Self::Input;
    /// The input for "calls take so long", where the machine's deadlines do not allow for that yet.
    fn paced(&self, _seen: Pacing) -> Option<Self::Input> {
        None
    }
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
    /// Whether a transient error is not waited out for this effect.
    fn gives_up(_effect: &Self::Effect, _error: &PortError) -> bool {
        false
    }
    /// The input for "this effect could not be carried out", or `None` when the machine need not know.
    fn effect_failed(effect: &Self::Effect, error: &PortError) -> Option<Self::Input>;
}

/// Carries out a machine's effects.
#[async_trait]
pub(crate) trait Effects<M: Machine>: Send + Sync + 'static {
    /// Carries out one effect and answers with the input that follows from it, if any.
    ///
    /// `again` is true when an earlier try may have taken effect: after a lost answer or a restart.
    ///
    /// # Errors
    /// A transient error is tried again until the machine is over, unless it [gives up](Machine::gives_up); any other becomes
    /// [`Machine::effect_failed`].
    async fn carry_out(
        &self,
        effect: &M::Effect,
        again: bool,
    ) -> Result<Option<M::Input>, PortError>;
}

/// Why an input was not taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HandleError {
    /// The machine does not take it.
    #[error(transparent)]
    Rejected(#[from] Rejection),
    /// It could not be put on disk, so it has not happened.
    #[error(transparent)]
    Port(#[from] PortError),
    /// The machine has stopped.
    #[error("the round is over")]
    Stopped,
}

/// What machines need from the node.
#[derive(Clone)]
pub(crate) struct MachinePorts {
    /// Snapshots and outboxes.
    pub(crate) storage: Arc<dyn Storage>,
    /// When deadlines are due.
    pub(crate) clock: Arc<dyn Clock>,
    /// Nonces for sealing.
    pub(crate) entropy: Arc<dyn Entropy>,
    /// Seals what rests on disk.
    pub(crate) vault: Arc<Vault>,
    /// Lines of logs that go along with changes.
    pub(crate) lines: Arc<Lines>,
    /// How long the record takes for a call.
    pub(crate) connector: Arc<dyn Connector>,
    /// Where rounds and phases are counted.
    pub(crate) metrics: Arc<dyn Metrics>,
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
        let message = Message { input, reply };
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

    /// Waits for the next committed state; `None` when it has stopped.
    pub(crate) async fn changed(&mut self) -> Option<Arc<M>> {
        self.state.changed().await.ok()?;
        Some(self.state.borrow_and_update().clone())
    }
}

/// A machine's change for a transaction made by the caller: how a machine comes into being.
///
/// # Errors
/// `Internal` when it cannot be serialised, `Unavailable` when there is no randomness.
pub(crate) fn create<M: Machine>(
    ports: &MachinePorts,
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
    let next_id = 1 + effects.len() as u64;
    let snapshot = seal_snapshot(ports, &key, machine, next_id)?;
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
/// `Corrupt` when the snapshot or the journal cannot be opened, or is of another form.
pub(crate) fn load<M: Machine>(
    ports: &MachinePorts,
    stored: &StoredMachine,
) -> Result<Loaded<M>, PortError> {
    restore(ports, stored)
}

/// Runs a stored machine, as [`load`] read it, until it is over or `cancel` fires. `fresh` is false after a restart. Its deadlines stand
/// still while somebody in `reach` is away.
///
/// # Errors
/// `Corrupt` when an effect in its outbox cannot be opened.
pub(crate) fn spawn<M: Machine>(
    ports: MachinePorts,
    effects: Arc<dyn Effects<M>>,
    stored: StoredMachine,
    loaded: Loaded<M>,
    fresh: bool,
    reach: Reach,
    cancel: CancellationToken,
) -> Result<(Handle<M>, impl Future<Output = ()> + Send + 'static), PortError> {
    let machine = Arc::new(loaded.machine);
    let began = ports.clock.now();
    let mut outbox = BTreeMap::new();
    for entry in &stored.outbox {
        outbox.insert(
            entry.id,
            open::<M::Effect>(&ports, &stored.key, &context(&stored.key), &entry.effect)?,
        );
    }
    let (inbox, messages) = mpsc::channel(INBOX);
    let (publish, state) = watch::channel(Arc::clone(&machine));
    let host = Host {
        ports,
        effects,
        key: stored.key,
        version: stored.version,
        machine,
        snapshot_bytes: stored.snapshot.len(),
        journal_bytes: stored.journal.iter().map(|(_, entry)| entry.len()).sum(),
        next_id: loaded.next_id,
        running: JoinSet::new(),
        messages,
        publish,
        reach,
        began,
        phase_began: began,
        stood: Duration::ZERO,
        lost: LOST,
        cancel,
    };
    Ok((Handle { inbox, state }, host.run(outbox, fresh)))
}

#[cfg(test)]
mod tests;
