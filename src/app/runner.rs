//! This node as a member: one actor for each task of the network.
//!
//! An actor hears the connector's events about its task in order, judges the bundle once, joins rounds, and catches up by asking
//! the coordinator where a round stands whenever events may have been lost.

mod compute;
mod effects;
mod membership;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::mpsc;

use super::context::Context;
use super::machine::erase;
use delta_domain::event::NetworkEvent;
use delta_domain::ids::TaskId;
use delta_domain::task::TaskKind;
use delta_ports::PortError;
use delta_ports::storage::MachineKind;
use membership::{Membership, MembershipState};

/// Events that may wait for one task's attention; what does not fit is caught up with later.
const QUEUE: usize = 1024;
/// Tasks of the network that this node follows at the same time.
const MAX_TASKS: usize = 10_000;

/// What a task's actor hears.
#[derive(Debug)]
pub(super) enum Notice {
    /// An event about the task.
    Event(NetworkEvent),
    /// Events may have been lost.
    Gap,
}

/// All tasks in which this node is, or may become, a member.
pub(crate) struct Runner {
    context: Arc<Context>,
    tasks: Mutex<BTreeMap<TaskId, mpsc::Sender<Notice>>>,
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
                    self.start(state, Vec::new());
                }
                Err(e) => tracing::error!(task = %stored.key.task, "{}", delta_ports::report(&e)),
            }
        }
        // No secret outlives its task because erasing it failed once.
        for stored in storage.machines(MachineKind::RunnerRound).await? {
            if !going_on.contains(&stored.key.task) {
                erase(&self.context.machine_ports(), &stored.key).await?;
            }
        }
        Ok(())
    }

    /// Passes an event on to its task's actor. Never waits.
    pub(crate) fn hear(self: &Arc<Self>, event: NetworkEvent) {
        let Some(task) = event.task().cloned() else {
            return;
        };
        let sender = self.tasks().get(&task).cloned();
        if let Some(sender) = sender {
            if sender.try_send(Notice::Event(event)).is_err() {
                tracing::warn!(%task, "the queue of events is full; this node will ask the coordinator");
            }
            return;
        }
        match &event {
            NetworkEvent::TaskCreated { kind, .. } => {
                let state = MembershipState::new(task, *kind);
                self.start(state, vec![Notice::Event(event)]);
            }
            // A task whose creation was missed: its record says the rest.
            NetworkEvent::RoundStarted { .. } => {
                let state = MembershipState::new(task, TaskKind::Horizontal);
                self.start(state, vec![Notice::Gap, Notice::Event(event)]);
            }
            _ => {}
        }
    }

    /// Tells every actor that events may have been lost.
    pub(crate) fn gap(&self) {
        for sender in self.tasks().values() {
            // A full queue wakes the actor anyway.
            drop(sender.try_send(Notice::Gap));
        }
    }

    fn start(self: &Arc<Self>, state: MembershipState, first: Vec<Notice>) {
        let task = state.task.clone();
        let (sender, notices) = mpsc::channel(QUEUE);
        for notice in first {
            drop(sender.try_send(notice));
        }
        {
            let mut tasks = self.tasks();
            if tasks.len() >= MAX_TASKS {
                tracing::warn!(%task, "this node follows {MAX_TASKS} tasks already and ignores this one");
                return;
            }
            tasks.insert(task.clone(), sender);
        }
        let runner = self.clone();
        let membership = Membership::new(self.context.clone(), state, notices);
        self.context.spawn(async move {
            membership.run().await;
            runner.tasks().remove(&task);
        });
    }

    fn tasks(&self) -> std::sync::MutexGuard<'_, BTreeMap<TaskId, mpsc::Sender<Notice>>> {
        // Nothing that can panic runs under this lock.
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
