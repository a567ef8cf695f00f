//! Cancelling a task: decided on disk first, then told to everybody.
//!
//! A task is cancelled once its row says so; from then on nothing that runs for it writes another status, and no restart takes it up
//! again. What follows is repeated after a restart until it is done: its round and the secrets in it go, members that ask are told
//! that the round is over, and the task is finished on the record, which is how all members hear of it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

use super::Coordinator;
use super::state::Ended;
use crate::machine::{commit, erase};
use delta_domain::ids::RoundNumber;
use delta_domain::round::{FailureCode, RoundFailure};
use delta_domain::task::TaskStatus;
use delta_ports::blob::BlobName;
use delta_ports::board_api::News;
use delta_ports::metrics::Observation;
use delta_ports::storage::{LocalTaskId, LogLevel, TaskRow, TaskUpdate};
use delta_ports::{PortError, report};

/// What the row of a cancelled task says.
const CANCELLED: &str = "the task was cancelled";

/// How the tasks that run are stopped.
#[derive(Default)]
pub(super) struct Stops {
    /// Held while a status is written: of two ends of a task, the first counts.
    deciding: tokio::sync::Mutex<()>,
    running: Mutex<BTreeMap<LocalTaskId, CancellationToken>>,
}

impl Stops {
    fn running(&self) -> MutexGuard<'_, BTreeMap<LocalTaskId, CancellationToken>> {
        // Nothing that can panic runs under this lock.
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Coordinator {
    /// Cancels a task that is not over and answers with its row as it is then; `None` when there is no such task.
    pub(crate) async fn cancel(&self, id: LocalTaskId) -> Result<Option<TaskRow>, PortError> {
        let storage = &self.context.ports.storage;
        let deciding = self.stops.deciding.lock().await;
        let Some(row) = storage.task(id).await? else {
            return Ok(None);
        };
        if row.status.is_terminal() {
            return Ok(Some(row));
        }
        let update = TaskUpdate {
            status: Some(TaskStatus::Error),
            error: Some(CANCELLED.into()),
            ..TaskUpdate::default()
        };
        storage.update_task(id, &update).await?;
        drop(deciding);
        self.context.ports.metrics.observe(Observation::TaskEnded {
            outcome: "cancelled",
        });
        self.context.news.tell(News::Task(id));
        if let Some(stop) = self.stops.running().get(&id) {
            stop.cancel();
        }
        storage.task(id).await
    }

    /// Writes where a task stands, unless it is over already.
    pub(super) async fn record(
        &self,
        id: LocalTaskId,
        update: &TaskUpdate,
    ) -> Result<(), PortError> {
        let storage = &self.context.ports.storage;
        let _deciding = self.stops.deciding.lock().await;
        match storage.task(id).await? {
            Some(row) if row.status.is_terminal() => return Ok(()),
            _ => storage.update_task(id, update).await?,
        }
        self.context.news.tell(News::Task(id));
        let outcome = match update.status {
            Some(TaskStatus::Finished) => "finished",
            Some(TaskStatus::Error) => "failed",
            _ => return Ok(()),
        };
        let ended = Observation::TaskEnded { outcome };
        self.context.ports.metrics.observe(ended);
        Ok(())
    }

    /// Runs what a task needs, in the background, until it is over or cancelled.
    pub(super) fn spawn_task(
        self: &Arc<Self>,
        id: LocalTaskId,
        work: impl Future<Output = ()> + Send + 'static,
    ) {
        let stop = CancellationToken::new();
        self.stops.running().insert(id, stop.clone());
        let coordinator = self.clone();
        self.context.spawn(async move {
            // Cancelled before anybody could have stopped it.
            if let Ok(Some(row)) = coordinator.context.ports.storage.task(id).await
                && is_cancelled(&row)
            {
                stop.cancel();
            }
            tokio::select! {
                biased;
                () = stop.cancelled() => coordinator.wind_up(id).await,
                () = work => {}
            }
            coordinator.stops.running().remove(&id);
        });
    }

    pub(super) async fn wind_up(&self, id: LocalTaskId) {
        if let Err(e) = self.try_to_wind_up(id).await {
            tracing::error!(
                task_id = id,
                "the others hear of the cancelled task after the next start only: {}",
                report(&e)
            );
        }
    }

    async fn try_to_wind_up(&self, id: LocalTaskId) -> Result<(), PortError> {
        let context = &self.context;
        let ports = context.machine_ports();
        let Some(mut state) = context.retry_transient(|| self.run_of(id)).await? else {
            // It never got as far as the record. Its bundle stays for its author.
            self.forget_prepared(id).await;
            return Ok(());
        };
        let task = state.task.clone();
        let active = self.active().get(&task).cloned();
        if let Some(active) = active
            && let Some((_, handle)) = active.round
        {
            active.hosted.cancel();
            handle.stopped().await;
        }
        let open = ports.storage.machine(&state.round_key()).await?.is_some();
        erase(&ports, &state.round_key()).await?;
        if state.round > 0 && (open || state.rounds.iter().all(|r| r.round != state.round)) {
            let failure = RoundFailure {
                code: FailureCode::Abandoned,
                reason: CANCELLED.into(),
            };
            state.remember(
                context.ports.clock.now(),
                Ended::Failed(failure),
                Vec::new(),
            );
        }
        commit(&ports, vec![state.change()?]).await?;
        state.version += 1;
        self.active().remove(&task);
        let message = format!("[Cancel Task] task {task} was cancelled");
        context.log(LogLevel::Warn, &task, message, None).await;
        let files = BlobName::coordinator_round(&task, RoundNumber(state.round));
        if let Err(e) = context.ports.blobs.remove(&files).await {
            tracing::warn!(%task, "the round's files stay: {}", report(&e));
        }
        state.move_in(context).await?;
        self.part(state, false).await
    }
}

/// Whether a task was cancelled.
pub(crate) fn is_cancelled(row: &TaskRow) -> bool {
    row.status == TaskStatus::Error && row.error.as_deref() == Some(CANCELLED)
}
