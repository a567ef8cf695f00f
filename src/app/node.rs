//! The running node: start, stop, and what it offers to authors and to its owner.

mod operating;

use std::sync::Arc;

use async_trait::async_trait;

use super::context::{Context, Ports, Settings};
use super::coordinator::Coordinator;
use super::coordinator::cancel::is_cancelled;
use super::identities::Identities;
use super::monitor::{ADDRESS_SETTING, follow_events, know_the_others, stay_registered};
use super::peers::Peers;
use super::runner::Runner;
use super::snapshots::keep_fresh;
use delta_domain::ids::{Address, DatasetName, Digest, TaskId};
use delta_domain::policy::OwnerDecision;
use delta_domain::privacy::report::LedgerReport;
use delta_domain::round::Neighbourhood;
use delta_domain::strategy::Strategy;
use delta_domain::task::{TaskKind, TaskStatus};
use delta_ports::author_api::{AuthorApi, Checkpoint, SubmissionLimits, TaskProgress};
use delta_ports::blob::{BlobName, ByteStream};
use delta_ports::board_api::News;
use delta_ports::catalogue::{CatalogueApi, NetworkListing, OwnDataset};
use delta_ports::connector::NodePage;
use delta_ports::executor::Whose;
use delta_ports::metrics::{Limit, Observation};
use delta_ports::owner_api::{
    AskedTask, Decided, DecisionScope, OwnerApi, ReadyCheck, RegisteredVersion,
};
use delta_ports::peer::CoordinatorApi;
use delta_ports::storage::{LocalTaskId, LogRow, NewTaskRow, TaskPage, TaskRow, TaskUpdate};
use delta_ports::{PortError, PortErrorKind, UserError};

/// The most records that one request gets.
pub(super) const MAX_PAGE: u32 = 1000;

/// How many times a bundle must fit on the disk: itself, here and as a member's copy, its variables before and after a step, and a
/// round's contributions and their sum.
const ROOM_OF_A_BUNDLE: u64 = 8;

/// A running node.
pub struct Node {
    pub(super) context: Arc<Context>,
    pub(super) coordinator: Arc<Coordinator>,
    pub(super) runner: Arc<Runner>,
}

impl Node {
    /// Takes up what the database knows and gets in touch with the connector, in the background.
    ///
    /// # Errors
    /// [`PortError`] when the database cannot be read.
    pub async fn start(ports: Ports, settings: Settings) -> Result<Arc<Self>, PortError> {
        // The coordinator is reached over the network by others and straight across by this node itself.
        let outer = Arc::new(Context::new(ports.clone(), settings.clone()));
        let coordinator = Coordinator::new(outer.clone());
        let own: Arc<dyn CoordinatorApi> = coordinator.clone();
        let peers = Arc::new(Peers::new(
            settings.url.clone(),
            own,
            outer.ports.peers.clone(),
        ));
        let context = Arc::new(outer.with_peers(peers));
        let node = Arc::new(Self {
            context: context.clone(),
            coordinator,
            runner: Runner::new(context.clone()),
        });

        if let Some(address) = ports.storage.setting(ADDRESS_SETTING).await?
            && let Some(address) = String::from_utf8(address).ok().and_then(|a| a.parse().ok())
        {
            context.address.send_replace(Some(address));
        }
        let (storage, clock) = (ports.storage.clone(), ports.clock.clone());
        context.spawn(context.lines.clone().keep_writing(storage, clock));
        context.spawn(stay_registered(context.clone()));
        context.spawn(know_the_others(context.clone()));
        // What was being sent when the node stopped.
        ports.blobs.remove(&BlobName::submissions()).await?;
        // Nothing is judged before what the owner has said is known.
        context.owner.open().await?;
        context.spawn(context.owner.clone().follow_rules());
        context.spawn(context.catalogues.clone().keep_published());
        node.runner.resume().await?;
        // What tasks read that go on is known now.
        context.spawn(keep_fresh(context.clone()));
        // An event of a task that is not taken up yet would begin it anew.
        context.spawn(follow_events(context.clone(), node.runner.clone()));
        node.coordinator.resume().await?;
        Ok(node)
    }

    /// What this node offers to the members of its tasks.
    #[must_use]
    pub fn coordinator_api(&self) -> Arc<dyn CoordinatorApi> {
        self.coordinator.clone()
    }

    /// Who the nodes of the network are, and what this one shows of itself.
    #[must_use]
    pub fn identities(&self) -> Arc<Identities> {
        self.context.identities.clone()
    }

    /// What this node publishes about its data.
    #[must_use]
    pub fn catalogue(&self) -> Arc<dyn CatalogueApi> {
        self.context.catalogues.clone()
    }

    /// This node's address, once the connector has told it.
    #[must_use]
    pub fn address(&self) -> Option<Address> {
        self.context.address.borrow().clone()
    }

    /// From now on every task that asks is allowed on the spot, as its journal shows, or none is: for networks on one machine whose data
    /// are nobody's, as in `demo` and tests.
    pub fn agree_to_everything(&self, agree: bool) {
        self.context.owner.agree_to_everything(agree);
    }

    /// Waits until the node is registered and hears events.
    pub async fn connected(&self) {
        let mut address = self.context.address.subscribe();
        // Errors mean that the node is gone.
        drop(address.wait_for(Option::is_some).await);
        self.context.contact.here().await;
    }

    /// Stops everything at once; what was committed goes on at the next start.
    pub async fn stop(&self) {
        self.context.cancel.cancel();
        self.context.tracker.close();
        self.context.tracker.wait().await;
        self.context.lines.write(&*self.context.ports.storage).await;
    }

    /// Takes this node off the connector's list.
    ///
    /// # Errors
    /// [`PortError`] when the connector cannot be reached or does not know the node.
    pub async fn leave(&self) -> Result<bool, PortError> {
        let Some(address) = self.address() else {
            return Ok(false);
        };
        self.context.ports.connector.leave(&address).await?;
        Ok(true)
    }

    /// Keeps a bundle on disk while it comes, judges it, and makes it a task.
    async fn take_submission(
        &self,
        arriving: &BlobName,
        bundle: ByteStream,
        author: Option<String>,
    ) -> Result<LocalTaskId, UserError> {
        let limits = self.limits().await?;
        let limit = limits.bundle_bytes;
        let blobs = &self.context.ports.blobs;
        let kept = blobs
            .put(arriving, bundle, limit)
            .await
            .map_err(|e| match e.kind() {
                PortErrorKind::Rejected => {
                    self.hit(Limit::BundleBytes);
                    UserError::TooLarge(limits.to_string())
                }
                _ => UserError::Port(e),
            })?;
        let unfit = |e: PortError| match e.kind() {
            PortErrorKind::Rejected => UserError::Invalid(e.message().to_owned()),
            _ => UserError::Port(e),
        };
        let opened = self
            .context
            .open_bundle(arriving, Some(&kept.digest), Whose::Own)
            .await
            .map_err(unfit)?;
        let manifest = opened.manifest();
        if manifest.enable_verify || (manifest.kind == TaskKind::Hlr && manifest.tolerance != 0) {
            return Err(UserError::Invalid(
                "the task asks for the original's proofs (enable_verify), which this version cannot make; a last round with certify asks for a certificate".into(),
            ));
        }
        if manifest.certified().is_some() && self.context.ports.executor.certificates().is_none() {
            return Err(UserError::Invalid(
                "the task asks for a certificate, and this program was built without certificates: build it with the feature `prover`"
                    .into(),
            ));
        }
        let executor = &self.context.ports.executor;
        executor
            .check_graphs(&opened, Whose::Own)
            .await
            .map_err(unfit)?;
        if let Some(text) = self.own_objection(&manifest.strategy) {
            return Err(UserError::Invalid(text));
        }
        if let Some(text) = self
            .context
            .too_few_nodes_for_long(manifest.strategy.min_clients)
            .await
        {
            return Err(UserError::Invalid(text));
        }
        let new = NewTaskRow {
            created_at: self.context.ports.clock.now(),
            name: manifest.name.clone(),
            kind: manifest.kind,
            enable_verify: manifest.enable_verify,
            author,
        };
        let storage = &self.context.ports.storage;
        let id = storage.insert_task(&new).await?;
        if let Err(e) = blobs.rename(arriving, &BlobName::submitted(id)).await {
            let update = TaskUpdate {
                status: Some(TaskStatus::Error),
                error: Some("the bundle could not be kept".into()),
                ..TaskUpdate::default()
            };
            storage.update_task(id, &update).await?;
            return Err(UserError::Port(e));
        }
        let row = self.row(id).await?;
        self.coordinator.clone().spawn_new(row);
        self.context.news.tell(News::Task(id));
        Ok(id)
    }

    /// Why this node, which is a member of its own tasks, would leave every round of this one before it shares anything.
    fn own_objection(&self, strategy: &Strategy) -> Option<String> {
        /// Sizes of a cohort that are looked at: one that will do is among them, or none is.
        const SIZES: usize = 64;
        let settings = &self.context.settings;
        let size = |clients| usize::try_from(clients).unwrap_or(usize::MAX);
        let least = size(strategy.min_clients).max(settings.min_clients);
        let most = size(strategy.max_clients).max(least);
        let objection =
            |members| Neighbourhood::of(strategy, members).objection(members, &settings.privacy);
        let mut objections = (least..=most.min(least.saturating_add(SIZES))).map(objection);
        let first = objections.next().flatten()?;
        if !settings.accept || objections.any(|objection| objection.is_none()) {
            return None;
        }
        Some(format!(
            "this node would leave every round of the task: {first}; set colluders in the task's strategy"
        ))
    }

    fn hit(&self, limit: Limit) {
        let metrics = &self.context.ports.metrics;
        metrics.observe(Observation::LimitHit(limit));
    }

    pub(super) async fn row(&self, id: LocalTaskId) -> Result<TaskRow, UserError> {
        let row = self.context.ports.storage.task(id).await?;
        row.ok_or_else(|| UserError::Invalid(format!("task {id} does not exist")))
    }
}

#[async_trait]
impl AuthorApi for Node {
    async fn limits(&self) -> Result<SubmissionLimits, UserError> {
        let policy = self.context.settings.bundle.bytes as u64;
        let room = self.context.ports.blobs.room().await?;
        let disk = room.map_or(u64::MAX, |room| room / ROOM_OF_A_BUNDLE);
        Ok(SubmissionLimits {
            bundle_bytes: policy.min(disk),
            by_disk: disk < policy,
        })
    }

    async fn submit_task(
        &self,
        bundle: ByteStream,
        author: Option<String>,
    ) -> Result<LocalTaskId, UserError> {
        let unfinished = self.context.ports.storage.unfinished_tasks().await?.len();
        let most = self.context.settings.max_tasks;
        if unfinished >= most {
            self.hit(Limit::Tasks);
            let text = format!(
                "{unfinished} tasks are running on this node, the most it takes is {most} (policy.max_tasks)"
            );
            return Err(UserError::Unavailable(text));
        }
        let arriving = BlobName::submission(self.context.bundles.next_submission());
        let outcome = self.take_submission(&arriving, bundle, author).await;
        if outcome.is_err() {
            // Gone at the next start, at the latest.
            drop(self.context.ports.blobs.remove(&arriving).await);
        }
        outcome
    }

    async fn network_datasets(&self) -> Result<NetworkListing, UserError> {
        let own = self.address();
        let found = self.context.catalogues.gather(own.as_ref()).await;
        found.map_err(not_reached)
    }

    async fn task(&self, id: LocalTaskId) -> Result<TaskRow, UserError> {
        self.row(id).await
    }

    async fn tasks(&self, ids: &[LocalTaskId]) -> Result<Vec<TaskRow>, UserError> {
        let mut rows = Vec::with_capacity(ids.len());
        for id in ids {
            rows.extend(self.context.ports.storage.task(*id).await?);
        }
        Ok(rows)
    }

    async fn cancel_task(&self, id: LocalTaskId) -> Result<TaskRow, UserError> {
        match self.coordinator.cancel(id).await? {
            None => Err(UserError::Invalid(format!("task {id} does not exist"))),
            Some(row) if is_cancelled(&row) => Ok(row),
            Some(_) => Err(UserError::Invalid(format!("task {id} is over"))),
        }
    }

    async fn task_page(
        &self,
        page: u32,
        page_size: u32,
        ascending: bool,
    ) -> Result<TaskPage, UserError> {
        Ok(self
            .context
            .ports
            .storage
            .task_page(page, page_size.min(MAX_PAGE), ascending)
            .await?)
    }

    async fn task_logs(
        &self,
        id: LocalTaskId,
        start: i64,
        limit: u32,
    ) -> Result<Vec<LogRow>, UserError> {
        let Some(task) = self.row(id).await?.task else {
            return Ok(Vec::new());
        };
        let storage = &self.context.ports.storage;
        self.context.lines.write(&**storage).await;
        Ok(storage.logs(&task, start, limit.min(MAX_PAGE)).await?)
    }

    async fn task_result(&self, id: LocalTaskId) -> Result<(u64, ByteStream), UserError> {
        let row = self.row(id).await?;
        match (row.status, row.task, row.error) {
            (TaskStatus::Finished | TaskStatus::Confirmed, Some(task), _) => Ok(self
                .context
                .ports
                .blobs
                .open(&BlobName::task_result(&task))
                .await?),
            (TaskStatus::Error, _, Some(why)) => {
                Err(UserError::Invalid(format!("task {id} failed: {why}")))
            }
            _ => Err(UserError::Invalid(format!("task {id} is not finished"))),
        }
    }

    async fn task_certificate(&self, id: LocalTaskId) -> Result<(u64, ByteStream), UserError> {
        let row = self.row(id).await?;
        let over = matches!(row.status, TaskStatus::Finished | TaskStatus::Confirmed);
        let (true, Some(task)) = (over, row.task) else {
            return Err(UserError::Invalid(format!("task {id} is not finished")));
        };
        let name = BlobName::certificate(&task);
        match self.context.ports.blobs.open(&name).await {
            Ok(found) => Ok(found),
            Err(e) if e.kind() == PortErrorKind::NotFound => {
                let why = self.coordinator.why_uncertified(&task).await?;
                let why = why.unwrap_or_else(|| "it asks for none".to_owned());
                Err(UserError::Invalid(format!(
                    "task {id} has no certificate: {why}"
                )))
            }
            Err(e) => Err(UserError::Port(e)),
        }
    }

    async fn task_checkpoint(&self, id: LocalTaskId) -> Result<Checkpoint, UserError> {
        let found = match self.row(id).await?.task {
            Some(task) => self.coordinator.checkpoint(&task).await?,
            None => None,
        };
        found.ok_or_else(|| UserError::Invalid(format!("task {id} has finished no round")))
    }

    async fn task_progress(
        &self,
        id: LocalTaskId,
    ) -> Result<(TaskRow, Option<TaskProgress>), UserError> {
        let row = self.row(id).await?;
        let progress = match &row.task {
            Some(task) => self.coordinator.progress(task).await?,
            None => None,
        };
        let away = self.context.contact.away();
        let waits = away.filter(|_| progress.is_none() && !row.status.is_terminal());
        let starting = waits.map(TaskProgress::not_begun);
        Ok((row, progress.or(starting)))
    }

    async fn task_bundle(&self, id: LocalTaskId) -> Result<(u64, ByteStream), UserError> {
        let name = match self.row(id).await?.task {
            Some(task) => BlobName::coordinator_bundle(&task),
            None => BlobName::submitted(id),
        };
        Ok(self.context.ports.blobs.open(&name).await?)
    }
}

#[async_trait]
impl OwnerApi for Node {
    async fn nodes(&self, page: u32, page_size: u32) -> Result<NodePage, UserError> {
        let connector = &self.context.ports.connector;
        connector
            .nodes(page, page_size.min(MAX_PAGE))
            .await
            .map_err(not_reached)
    }

    async fn leave_task(&self, task: &TaskId) -> Result<(), UserError> {
        if self.runner.leave(task).await? {
            return Ok(());
        }
        let text = format!("this node follows no task {task}, or it is over");
        Err(UserError::Invalid(text))
    }

    async fn asked_tasks(&self) -> Vec<AskedTask> {
        self.context.owner.asked()
    }

    async fn decisions(&self) -> Vec<Decided> {
        self.context.owner.decided().await
    }

    async fn decide(
        &self,
        task: &TaskId,
        decision: OwnerDecision,
        scope: DecisionScope,
        with: String,
    ) -> Result<Decided, UserError> {
        self.context.owner.decide(task, decision, scope, with).await
    }

    async fn revoke(&self, id: &Digest, with: String) -> Result<(), UserError> {
        if self.context.owner.revoke(id, with).await? {
            return Ok(());
        }
        let text = format!("there is no decision {id} that still stands");
        Err(UserError::Invalid(text))
    }

    async fn journal(&self, skip: u64, most: usize) -> Result<Vec<String>, UserError> {
        let most = most.min(MAX_PAGE as usize);
        Ok(self.context.owner.journal(skip, most).await?)
    }

    async fn privacy(&self) -> Result<Vec<LedgerReport>, UserError> {
        Ok(self.context.owner.privacy().await?)
    }

    async fn datasets(&self) -> Result<Vec<OwnDataset>, UserError> {
        Ok(self.context.catalogues.own_datasets().await?)
    }

    async fn register_dataset(&self, name: &DatasetName) -> Result<RegisteredVersion, UserError> {
        let address = self.on_record()?;
        self.context.registrations.register(&address, name).await
    }

    async fn registered_datasets(&self) -> Result<Vec<RegisteredVersion>, UserError> {
        self.context.registrations.last().await
    }

    async fn dataset_history(
        &self,
        name: &DatasetName,
    ) -> Result<Vec<RegisteredVersion>, UserError> {
        let address = self.on_record()?;
        self.context.registrations.history(&address, name).await
    }

    async fn ready(&self) -> Vec<ReadyCheck> {
        let (mut checks, _) = self.quick_checks().await;
        let runtime = self.context.ports.executor.runtime().await;
        checks.push(ReadyCheck {
            name: "executor",
            ok: true,
            detail: format!("{} {}", runtime.name, runtime.version),
        });
        checks
    }
}

impl Node {
    /// Where this node stands on the record.
    fn on_record(&self) -> Result<Address, UserError> {
        let text = "this node is not registered with the connector yet";
        self.address()
            .ok_or_else(|| UserError::Unavailable(text.into()))
    }

    /// How many tasks of this node's users run now.
    #[must_use]
    pub fn running_tasks(&self) -> usize {
        self.coordinator.running()
    }
}

/// What users hear where the connector does not answer.
pub(super) fn not_reached(error: PortError) -> UserError {
    if error.is_transient() {
        return UserError::Unavailable("the connector cannot be reached".into());
    }
    UserError::Port(error)
}
