//! This node as a member: one actor for each task of the network.
//!
//! An actor hears the connector's events about its task in order, judges the bundle once, joins rounds, and catches up by asking
//! the coordinator where a round stands whenever events may have been lost.

mod compute;
mod effects;
mod membership;
pub(super) mod noise;
pub(super) mod tables;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{mpsc, oneshot};

use super::context::Context;
use super::machine::erase;
use delta_domain::event::NetworkEvent;
use delta_domain::ids::{Address, TaskId};
use delta_domain::round::DeclineCode;
use delta_domain::task::TaskKind;
use delta_ports::PortError;
use delta_ports::storage::MachineKind;
use membership::{Membership, MembershipState};

/// Events that may wait for one task's attention; what does not fit is caught up with later.
const QUEUE: usize = 1024;
/// Tasks of the network that this node follows at the same time.
const MAX_TASKS: usize = 10_000;
/// Tasks of one owner among them; those whose owner is not known yet count as one's.
const MAX_OWNED: usize = 256;

/// What a task's actor hears.
#[derive(Debug)]
pub(super) enum Notice {
    /// An event about the task.
    Event(NetworkEvent),
    /// Events may have been lost.
    Gap,
    /// This node's owner leaves the task; the answer comes once that is on disk.
    Leave(oneshot::Sender<Result<(), PortError>>),
}

/// All tasks in which this node is, or may become, a member.
pub(crate) struct Runner {
    context: Arc<Context>,
    tasks: Mutex<BTreeMap<TaskId, Followed>>,
}

/// A task that this node follows.
struct Followed {
    sender: mpsc::Sender<Notice>,
    owner: Option<Address>,
}

/// What becomes of a task that this node is to follow.
enum Entry {
    /// It is followed from now on.
    New,
    /// It is already: by whoever hears here.
    Known(mpsc::Sender<Notice>),
    /// There are too many.
    Full,
}

/// Enters a task. One that is followed stays with its actor: two of them would take each other's word away.
fn enter(tasks: &mut BTreeMap<TaskId, Followed>, task: TaskId, followed: Followed) -> Entry {
    if let Some(known) = tasks.get(&task) {
        return Entry::Known(known.sender.clone());
    }
    if !has_room(tasks, followed.owner.as_ref()) {
        return Entry::Full;
    }
    tasks.insert(task, followed);
    Entry::New
}

/// Whether there is room for one more task of this owner.
fn has_room(tasks: &BTreeMap<TaskId, Followed>, owner: Option<&Address>) -> bool {
    let owned = tasks.values().filter(|t| t.owner.as_ref() == owner);
    tasks.len() < MAX_TASKS && owned.count() < MAX_OWNED
}

impl Runner {
    pub(crate) fn new(context: Arc<Context>) -> Arc<Self> {
        Arc::new(Self {
            context,
            tasks: Mutex::new(BTreeMap::new()),
        })
    }

    /// Takes up the tasks and rounds that the database knows.
    pub(crate) async fn resume(self: &Arc<Self>) -> Result<(), PortError> {
        let storage = &self.context.ports.storage;
        let mut going_on = BTreeSet::new();
        for stored in storage.machines(MachineKind::RunnerTask).await? {
            match MembershipState::restore(&stored) {
                Ok(state) if state.is_over() => {}
                Ok(state) => {
                    going_on.insert(state.task.clone());
                    let owner = state.owner().cloned();
                    self.start(state, owner, Vec::new());
                }
                Err(e) => tracing::error!(task = %stored.key.task, "{}", delta_ports::report(&e)),
            }
        }
        // No secret outlives its task because erasing it failed once.
        for kind in [MachineKind::RunnerRound, MachineKind::RunnerKeys] {
            for stored in storage.machines(kind).await? {
                if !going_on.contains(&stored.key.task) {
                    erase(&self.context.machine_ports(), &stored.key).await?;
                }
            }
        }
        Ok(())
    }

    /// Passes an event on to its task's actor. Never waits.
    pub(crate) fn hear(self: &Arc<Self>, event: NetworkEvent) {
        let Some(task) = event.task().cloned() else {
            return;
        };
        let sender = self.tasks().get(&task).map(|t| t.sender.clone());
        if let Some(sender) = sender {
            if sender.try_send(Notice::Event(event)).is_err() {
                tracing::warn!(%task, "the queue of events is full; this node will ask the coordinator");
            }
            return;
        }
        match &event {
            NetworkEvent::TaskCreated { kind, owner, .. } => {
                let (state, owner) = (MembershipState::new(task, *kind), owner.clone());
                self.start(state, Some(owner), vec![Notice::Event(event)]);
            }
            // A task whose creation was missed: its record says the rest.
            NetworkEvent::RoundStarted { .. } => {
                let mut state = MembershipState::new(task, TaskKind::Horizontal);
                if self.context.settings.heard_only {
                    state.decline(DeclineCode::NotAllowed);
                }
                self.start(state, None, vec![Notice::Gap, Notice::Event(event)]);
            }
            _ => {}
        }
    }

    /// Tells every actor that events may have been lost.
    pub(crate) fn gap(&self) {
        for followed in self.tasks().values() {
            // A full queue wakes the actor anyway.
            drop(followed.sender.try_send(Notice::Gap));
        }
    }

    /// Takes no further part in a task; `false` when there is none that this node follows.
    pub(crate) async fn leave(&self, task: &TaskId) -> Result<bool, PortError> {
        let sender = self.tasks().get(task).map(|t| t.sender.clone());
        let Some(sender) = sender else {
            return Ok(false);
        };
        let (reply, answer) = oneshot::channel();
        if sender.send(Notice::Leave(reply)).await.is_err() {
            return Ok(false);
        }
        match answer.await {
            Ok(left) => left.map(|()| true),
            // The task was over first.
            Err(_) => Ok(false),
        }
    }

    /// How many tasks this node follows.
    pub(crate) fn followed(&self) -> usize {
        self.tasks().len()
    }

    fn start(self: &Arc<Self>, state: MembershipState, owner: Option<Address>, first: Vec<Notice>) {
        let task = state.task.clone();
        let (sender, notices) = mpsc::channel(QUEUE);
        let followed = Followed {
            sender: sender.clone(),
            owner,
        };
        let entry = enter(&mut self.tasks(), task.clone(), followed);
        let hears = match &entry {
            Entry::New => &sender,
            Entry::Known(known) => known,
            Entry::Full => {
                // Not worth a line each: whoever makes so many would fill the log with them.
                tracing::debug!(%task, "there are too many tasks, or too many of this owner; this one is ignored");
                return;
            }
        };
        for notice in first {
            drop(hears.try_send(notice));
        }
        if matches!(entry, Entry::Known(_)) {
            return;
        }
        // The actor lives as long as the entry.
        drop(sender);
        let runner = self.clone();
        let membership = Membership::new(self.context.clone(), state, notices);
        self.context.spawn(async move {
            membership.run().await;
            runner.tasks().remove(&task);
        });
    }

    fn tasks(&self) -> std::sync::MutexGuard<'_, BTreeMap<TaskId, Followed>> {
        // Nothing that can panic runs under this lock.
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_that_is_followed_stays_with_its_actor() {
        let mut tasks = BTreeMap::new();
        let task: TaskId = format!("0x{:064x}", 1).parse().unwrap();
        let followed = |sender: &mpsc::Sender<Notice>| Followed {
            sender: sender.clone(),
            owner: None,
        };
        let (first, mut heard) = mpsc::channel(1);
        let (second, _) = mpsc::channel(1);
        assert!(matches!(
            enter(&mut tasks, task.clone(), followed(&first)),
            Entry::New
        ));
        drop(first);
        let Entry::Known(known) = enter(&mut tasks, task, followed(&second)) else {
            panic!("entered twice");
        };
        known.try_send(Notice::Gap).unwrap();
        assert!(matches!(heard.try_recv(), Ok(Notice::Gap)));
        assert_eq!(tasks.len(), 1);
    }

    #[test]
    fn ten_thousand_tasks_of_one_owner_leave_room_for_anothers() {
        let node = |n: usize| -> Address { format!("0x{n:040x}").parse().unwrap() };
        let mut tasks = BTreeMap::new();
        for number in 0..10_050 {
            let owner = Some(node(1));
            if has_room(&tasks, owner.as_ref()) {
                let (sender, _) = mpsc::channel(1);
                let task: TaskId = format!("0x{number:064x}").parse().unwrap();
                tasks.insert(task, Followed { sender, owner });
            }
        }
        assert_eq!(tasks.len(), MAX_OWNED);
        assert!(!has_room(&tasks, Some(&node(1))) && has_room(&tasks, Some(&node(2))));
        assert!(has_room(&tasks, None));
    }
}
