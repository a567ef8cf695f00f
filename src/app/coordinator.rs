//! This node as a coordinator: one run for each task of its users, and the members' requests to them.

mod attendance;
pub(crate) mod cancel;
mod checkpoint;
pub(crate) mod creating;
mod effects;
mod farewell;
mod inbound;
pub(crate) mod presence;
mod round_machine;
mod run;
mod state;
mod sum;
mod timeline;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;

use super::backoff::Backoff;
use super::context::Context;
use super::machine::{Handle, commit};
use attendance::Roll;
use cancel::Stops;
use delta_domain::attendance::Attendance;
use delta_domain::bundle::Bundle;
use delta_domain::chain_cost::RoundGas;
use delta_domain::ids::{Name, TaskId};
use delta_domain::round::Neighbourhood;
use delta_domain::task::TaskStatus;
use delta_ports::author_api::TaskProgress;
use delta_ports::blob::BlobName;
use delta_ports::connector::{NewTask, RejectionReason};
use delta_ports::executor::Whose;
use delta_ports::storage::{LocalTaskId, LogLevel, MachineKind, TaskRow, TaskUpdate};
use delta_ports::{ChainTrouble, PortError, PortErrorKind, report};
use presence::Presence;
use round_machine::RoundMachine;
use run::{TaskRun, is_full_disk};
use state::{Kept, RunState, keep_initial};

/// How long the answer to a creation may come after the network has announced the task: then nobody waits for it any more.
const ANSWERED: Duration = Duration::from_secs(1);

/// A task that this node coordinates, as the rest of the program sees it.
#[derive(Clone)]
pub(super) struct Active {
    pub(super) bundle: Arc<Bundle>,
    pub(super) progress: watch::Sender<TaskProgress>,
    /// Stops the loop of the round that was hosted last.
    pub(super) hosted: CancellationToken,
    /// The round that is running, by its number.
    pub(super) round: Option<(u32, Handle<RoundMachine>)>,
    /// Whom that round waits for, and who has told it that they decline.
    pub(super) roll: Option<Arc<Roll>>,
    /// Which of the task's members are there.
    pub(super) presence: Arc<Presence>,
}

/// All tasks that this node coordinates.
pub(crate) struct Coordinator {
    pub(super) context: Arc<Context>,
    active: Mutex<BTreeMap<TaskId, Active>>,
    /// Tasks that are being created: members may hear of them before we do.
    creating: watch::Sender<usize>,
    /// Whose turn it is to create a task, until it is on disk.
    turn: tokio::sync::Mutex<()>,
    /// Where the bundles of tasks lie that have just got their ids: members ask for them at once.
    arriving: Mutex<BTreeMap<TaskId, BlobName>>,
    /// Fires when every unfinished task of the database runs again.
    resumed: CancellationToken,
    /// Whom rounds wait for.
    attendance: Arc<Mutex<Attendance>>,
    stops: Stops,
    /// Places of those who fetch a checkpoint.
    checkpoints: Arc<Semaphore>,
}

/// A task whose bundle is served from where it was submitted, for as long as this lives.
struct Arrival<'a>(&'a Coordinator, TaskId);

impl<'a> Arrival<'a> {
    fn of(coordinator: &'a Coordinator, task: &TaskId, id: LocalTaskId) -> Self {
        let name = BlobName::submitted(id);
        coordinator.arriving().insert(task.clone(), name);
        Self(coordinator, task.clone())
    }
}

impl Drop for Arrival<'_> {
    fn drop(&mut self) {
        self.0.arriving().remove(&self.1);
    }
}

/// A task that is being created, for as long as this lives.
struct Creating(watch::Sender<usize>);

impl Drop for Creating {
    fn drop(&mut self) {
        self.0.send_modify(|n| *n = n.saturating_sub(1));
    }
}

impl Coordinator {
    pub(crate) fn new(context: Arc<Context>) -> Arc<Self> {
        Arc::new(Self {
            context,
            active: Mutex::new(BTreeMap::new()),
            creating: watch::Sender::new(0),
            turn: tokio::sync::Mutex::default(),
            arriving: Mutex::default(),
            resumed: CancellationToken::new(),
            attendance: Arc::default(),
            stops: Stops::default(),
            checkpoints: Arc::new(Semaphore::new(checkpoint::AT_ONCE)),
        })
    }

    /// Takes up the tasks that the database knows as unfinished.
    pub(crate) async fn resume(self: &Arc<Self>) -> Result<(), PortError> {
        let runs = self
            .context
            .ports
            .storage
            .machines(MachineKind::CoordinatorTask)
            .await?;
        for row in self.context.ports.storage.unfinished_tasks().await? {
            let stored = runs
                .iter()
                .find(|m| Some(&m.key.task) == row.task.as_ref())
                .or_else(|| {
                    // The run was recorded, the row was not yet updated.
                    runs.iter()
                        .find(|m| RunState::restore(m).is_ok_and(|s| s.local_id == row.id))
                });
            match stored {
                Some(stored) => match RunState::restore(stored) {
                    Ok(state) => self.clone().spawn_resumed(state),
                    Err(e) => self.give_up(row.id, &e).await,
                },
                None => self.clone().spawn_new(row),
            }
        }
        self.resume_farewells(&runs).await?;
        self.resumed.cancel();
        Ok(())
    }

    /// Creates a recorded task on the connector and runs it, in the background.
    pub(crate) fn spawn_new(self: Arc<Self>, row: TaskRow) {
        let coordinator = self.clone();
        coordinator.spawn_task(row.id, async move {
            let creating = self.creating();
            let created = self
                .create(&row)
                .await
                .map(|(state, bundle)| TaskRun::new(self.clone(), state, bundle));
            drop(creating);
            match created {
                Ok(run) => run.run().await,
                Err(e) => self.give_up(row.id, &e).await,
            }
        });
    }

    fn spawn_resumed(self: Arc<Self>, state: RunState) {
        let coordinator = self.clone();
        let creating = self.creating();
        coordinator.spawn_task(state.local_id, async move {
            let name = BlobName::coordinator_bundle(&state.task);
            let context = &self.context;
            let opened = match state.move_in(context).await {
                Ok(()) => {
                    context
                        .retry_transient(|| context.open_bundle(&name, None, Whose::Own))
                        .await
                }
                Err(e) => Err(e),
            };
            match opened {
                Ok(bundle) => {
                    let update = TaskUpdate {
                        creator: Some(state.owner.clone()),
                        task: Some(state.task.clone()),
                        status: Some(TaskStatus::Running),
                        error: None,
                    };
                    if let Err(e) = self.record(state.local_id, &update).await {
                        tracing::warn!(task = %state.task, "{}", report(&e));
                    }
                    let run = TaskRun::new(self.clone(), state, bundle);
                    drop(creating);
                    run.run().await;
                }
                Err(e) => {
                    drop(creating);
                    self.give_up(state.local_id, &e).await;
                }
            }
        });
    }

    /// Puts the task on record; from here on it has an id on the network. What members will ask for is ready on disk before that: whoever
    /// hears of the task finds its bundle, and the first round its variables.
    async fn create(&self, row: &TaskRow) -> Result<(RunState, Arc<Bundle>), PortError> {
        let context = &self.context;
        let (bundle, variables) = self.with_room(row.id, || self.prepare(row.id)).await?;
        let owner = self.context.own_address().await?;
        let manifest = bundle.manifest();
        let datasets: Vec<&str> = manifest.datasets.keys().map(|d| d.as_str()).collect();
        let new = NewTask {
            owner: owner.clone(),
            dataset: datasets.join(","),
            commitment: bundle.commitment(),
            kind: manifest.kind,
            enable_verify: manifest.enable_verify,
            tolerance: manifest.tolerance,
        };
        let (clock, contact) = (&self.context.ports.clock, &self.context.contact);
        let (mut backoff, mut joined_again) = (Backoff::STEPS, false);
        if contact.away().is_some() {
            tracing::info!("the task cannot be created on the connector yet: it is away");
        }
        let turn = self.turn.lock().await;
        let begun = context.announced.moment();
        let (mut again, mut overheard) = (false, false);
        let (task, tx) = loop {
            let announced = || context.announced.until(&new.commitment, begun);
            tokio::select! {
                biased;
                // It is on record, and members ask for it already. Once: it may be another one's.
                () = announced(), if !overheard => {}
                // Who has not noticed that the connector is back does not hear of the task.
                () = contact.settled(&**clock) => {}
            }
            let put = self.put_on_record(&new, begun, std::mem::replace(&mut again, true));
            let heard = async {
                announced().await;
                clock.sleep(ANSWERED).await;
            };
            let outcome = tokio::select! {
                biased;
                outcome = put => outcome,
                () = heard, if !overheard => {
                    overheard = true;
                    continue;
                }
            };
            match outcome {
                Ok(created) => break created,
                // Rejected too: right after a restart of the connector this node may not be joined again yet.
                Err(e)
                    if contact.is_to_blame(&e, clock.now())
                        || e.reason() == Some(RejectionReason::NoSuchNode) =>
                {
                    tracing::info!(
                        "the task cannot be created on the connector yet: {}",
                        report(&e)
                    );
                    tokio::select! {
                        () = announced(), if !overheard => overheard = true,
                        () = clock.sleep(backoff.pause()) => {}
                    }
                }
                // A contract does not say why it takes a call back. The first thing that it asks for is a registration that has not lapsed.
                Err(e) if e.trouble() == Some(ChainTrouble::Reverted) && !joined_again => {
                    tracing::info!(
                        "the task is not created, so this node registers again and tries once more: {}",
                        report(&e)
                    );
                    joined_again = true;
                    contact.lost(clock.now());
                }
                Err(e) => return Err(e),
            }
        };
        let arrival = Arrival::of(self, &task, row.id);
        let mut state = RunState::new(row.id, task.clone(), owner.clone(), &bundle, variables);
        // Until the task's id is recorded, a restart finds what was prepared only under the submission's names.
        let ports = context.machine_ports();
        let keep = || async { commit(&ports, vec![state.change()?]).await };
        self.with_room(row.id, keep).await?;
        drop(turn);
        state.version += 1;
        self.with_room(row.id, || state.move_in(context)).await?;
        drop(arrival);
        let update = TaskUpdate {
            creator: Some(owner),
            task: Some(task.clone()),
            status: Some(TaskStatus::Running),
            error: None,
        };
        let record = || context.retry_transient(|| self.record(row.id, &update));
        self.with_room(row.id, record).await?;
        self.context
            .log(
                LogLevel::Info,
                &task,
                format!("start run task {task}"),
                None,
            )
            .await;
        self.warn_of_cost(&task, &bundle).await;
        let message = format!("[Create Task] create task {task}");
        self.context.step(&task, message, tx).await;
        Ok((state, bundle))
    }

    /// Opens a submitted bundle and writes the first values of its variables.
    async fn prepare(
        &self,
        id: LocalTaskId,
    ) -> Result<(Arc<Bundle>, BTreeMap<Name, Kept>), PortError> {
        let context = &self.context;
        let submitted = BlobName::submitted(id);
        let bundle = context
            .retry_transient(|| context.open_with_values(&submitted, None, Whose::Own))
            .await?;
        let variables = keep_initial(context, id, &bundle).await?;
        Ok((context.keep_open(bundle).await?, variables))
    }

    /// Says so where rounds of the task are more than the blocks of the connector's chain take.
    async fn warn_of_cost(&self, task: &TaskId, bundle: &Bundle) {
        if self.context.ports.connector.wallet().block.is_zero() {
            return;
        }
        let strategy = &bundle.manifest().strategy;
        let members = usize::try_from(strategy.max_clients).unwrap_or(usize::MAX);
        let holders = match Neighbourhood::of(strategy, members).degree {
            Some(degree) => degree + 1,
            None => members,
        };
        if let Some(warning) = RoundGas::of(members, holders).warning() {
            self.context.log(LogLevel::Warn, task, warning, None).await;
        }
    }

    /// A step of a task's creation, again as long as this node's disk is full and its owner's patience lasts.
    async fn with_room<T, F>(&self, id: LocalTaskId, step: impl Fn() -> F) -> Result<T, PortError>
    where
        F: Future<Output = Result<T, PortError>>,
    {
        let clock = &self.context.ports.clock;
        let until = clock.now() + self.context.settings.patience;
        let mut backoff = Backoff::STEPS;
        loop {
            match step().await {
                Err(e) if is_full_disk(&e) && clock.now() < until => {
                    tracing::warn!(task_id = id, "the task waits for room: {}", report(&e));
                    clock.sleep(backoff.pause()).await;
                }
                done => return done,
            }
        }
    }

    async fn give_up(&self, id: LocalTaskId, error: &PortError) {
        tracing::error!(task_id = id, "the task failed: {}", report(error));
        let update = TaskUpdate {
            status: Some(TaskStatus::Error),
            error: Some(error.message().to_owned()),
            ..TaskUpdate::default()
        };
        let recorded = self.context.retry_transient(|| self.record(id, &update));
        if let Err(e) = recorded.await {
            tracing::error!(task_id = id, "{}", report(&e));
        }
        self.forget_prepared(id).await;
    }

    fn creating(&self) -> Creating {
        self.creating.send_modify(|n| *n += 1);
        Creating(self.creating.clone())
    }

    /// What was made of a submission that never became a task is in the way; its bundle stays for its author.
    async fn forget_prepared(&self, id: LocalTaskId) {
        let name = BlobName::submitted_files(id);
        if let Err(e) = self.context.ports.blobs.remove(&name).await {
            tracing::warn!("{name} stays: {}", report(&e));
        }
    }

    /// How a task is getting on, or how it went; `None` when this node never coordinated it.
    pub(crate) async fn progress(&self, task: &TaskId) -> Result<Option<TaskProgress>, PortError> {
        let running = self.active().get(task).map(|a| a.progress.borrow().clone());
        if running.is_some() {
            return Ok(running);
        }
        Ok(self.run_on_disk(task).await?.map(RunState::done))
    }

    /// How many tasks run.
    pub(crate) fn running(&self) -> usize {
        self.active().len()
    }

    pub(super) fn arriving(&self) -> MutexGuard<'_, BTreeMap<TaskId, BlobName>> {
        // Nothing that can panic runs under this lock.
        self.arriving.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn active(&self) -> MutexGuard<'_, BTreeMap<TaskId, Active>> {
        // Nothing that can panic runs under this lock.
        self.active.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The running round, if it is this one.
    pub(super) fn round(&self, task: &TaskId, round: u32) -> Option<Handle<RoundMachine>> {
        self.active()
            .get(task)
            .and_then(|a| a.round.clone())
            .filter(|(r, _)| *r == round)
            .map(|(_, h)| h)
    }
}

/// A short form of a port error.
pub(super) fn internal(op: &'static str, text: impl Into<String>) -> PortError {
    PortError::new(PortErrorKind::Internal, op, text)
}
