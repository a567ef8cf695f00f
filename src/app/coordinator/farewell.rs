//! The farewell of a task: that it is over, on the record, which is how the other nodes hear of it.
//!
//! Nobody waits for it. A task is over for its author as soon as its row says so; what the record has to be told is sent behind, and
//! begun again at every start until it is there, or the record has said that it does not take it.

use std::sync::Arc;

use super::Coordinator;
use super::cancel::is_cancelled;
use super::run::publish_end;
use super::state::RunState;
use crate::machine::commit;
use delta_domain::task::TaskStatus;
use delta_ports::connector::RejectionReason;
use delta_ports::storage::{LocalTaskId, MachineKind, StoredMachine};
use delta_ports::{ChainTrouble, PortError, report};

impl Coordinator {
    /// Tells the record that a task is over, where it has not been told.
    pub(super) async fn say_farewell(&self, id: LocalTaskId, has_result: bool) {
        if let Err(e) = self.try_to_say_farewell(id, has_result).await {
            tracing::error!(
                task_id = id,
                "the others hear that the task is over after the next start only: {}",
                report(&e)
            );
        }
    }

    async fn try_to_say_farewell(
        &self,
        id: LocalTaskId,
        has_result: bool,
    ) -> Result<(), PortError> {
        let context = &self.context;
        let Some(state) = context.retry_transient(|| self.run_of(id)).await? else {
            // It never got as far as the record.
            return Ok(());
        };
        if state.wound_up {
            return Ok(());
        }
        self.part(state, has_result).await
    }

    /// Says farewell and remembers that: nothing is left to do about the task.
    pub(super) async fn part(
        &self,
        mut state: RunState,
        has_result: bool,
    ) -> Result<(), PortError> {
        match publish_end(&self.context, &state, has_result).await {
            Ok(()) => {}
            // It will say no again. What may be mended (the connector's configuration, this node's registration) is tried again after the
            // next start.
            Err(e) if is_last_word(&e) => {
                tracing::warn!(task = %state.task, "the record does not take that the task is over: {}", report(&e));
            }
            Err(e) => return Err(e),
        }
        state.wound_up = true;
        let ports = self.context.machine_ports();
        commit(&ports, vec![state.change()?]).await
    }

    /// Says the farewells that the node owed when it stopped, and winds up the tasks that were cancelled.
    pub(super) async fn resume_farewells(
        self: &Arc<Self>,
        runs: &[StoredMachine],
    ) -> Result<(), PortError> {
        let mut owed = Vec::new();
        for state in runs.iter().filter_map(|run| RunState::restore(run).ok()) {
            if state.wound_up {
                continue;
            }
            let id = state.local_id;
            match self.context.ports.storage.task(id).await? {
                Some(row) if is_cancelled(&row) => {
                    let coordinator = self.clone();
                    self.context
                        .spawn(async move { coordinator.wind_up(id).await });
                }
                Some(row) if row.status.is_terminal() => {
                    owed.push((id, row.status != TaskStatus::Error));
                }
                _ => {}
            }
        }
        let coordinator = self.clone();
        self.context.spawn(async move {
            for (id, has_result) in owed {
                coordinator.say_farewell(id, has_result).await;
            }
        });
        Ok(())
    }

    /// The run of a task, where it has one.
    pub(super) async fn run_of(&self, id: LocalTaskId) -> Result<Option<RunState>, PortError> {
        let storage = &self.context.ports.storage;
        let runs = storage.machines(MachineKind::CoordinatorTask).await?;
        let mut states = runs.iter().filter_map(|run| RunState::restore(run).ok());
        Ok(states.find(|state| state.local_id == id))
    }
}

/// Whether the record has said for good that it does not take a farewell.
fn is_last_word(error: &PortError) -> bool {
    let known = matches!(
        error.reason(),
        Some(RejectionReason::TaskFinished | RejectionReason::NoSuchTask)
    );
    known || error.trouble() == Some(ChainTrouble::Reverted)
}
