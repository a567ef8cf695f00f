//! What the dashboard shows: answers put together from what the rest of the node knows. Nothing is decided or changed here.

mod news;
mod view;

pub(crate) use news::NewsDesk;

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::stream::BoxStream;

use super::node::{MAX_PAGE, Node, not_reached};
use delta_domain::bundle::Bundle;
use delta_domain::identity::Fingerprint;
use delta_domain::ids::{DatasetName, Digest, TaskId};
use delta_ports::blob::BlobName;
use delta_ports::board_api::{BoardApi, DatasetView, NetworkView, News, NodeStatus, Prospect};
use delta_ports::executor::Whose;
use delta_ports::identity::IdentityApi as _;
use delta_ports::storage::{LocalTaskId, TaskMatches, TaskQuery};
use delta_ports::{PortErrorKind, UserError};

/// The largest bundle that is opened only to be looked at, in bytes.
const LOOKED_AT: u64 = 64 << 20;
/// Nodes that the map shows.
const SHOWN_NODES: u32 = 256;

#[async_trait]
impl BoardApi for Node {
    async fn find_tasks(&self, query: &TaskQuery) -> Result<TaskMatches, UserError> {
        let query = TaskQuery {
            limit: query.limit.min(MAX_PAGE),
            ..query.clone()
        };
        Ok(self.context.ports.storage.find_tasks(&query).await?)
    }

    async fn open_own(&self, id: LocalTaskId) -> Result<Arc<Bundle>, UserError> {
        let name = match self.row(id).await?.task {
            Some(task) => {
                if let Some(active) = self.coordinator.active().get(&task) {
                    return Ok(active.bundle.clone());
                }
                BlobName::coordinator_bundle(&task)
            }
            None => BlobName::submitted(id),
        };
        self.look_into(&name, Whose::Own).await
    }

    async fn open_asked(&self, task: &TaskId) -> Result<Arc<Bundle>, UserError> {
        if !self.context.owner.is_asked(task) {
            let text = format!("this node follows no task {task}");
            return Err(UserError::Invalid(text));
        }
        self.look_into(&BlobName::runner_bundle(task), Whose::Others)
            .await
    }

    async fn prospects(&self, task: &TaskId) -> Result<Vec<Prospect>, UserError> {
        let found = self.context.owner.prospects(task).await?;
        found.ok_or_else(|| UserError::Invalid(format!("this node follows no task {task}")))
    }

    async fn dataset(&self, name: &DatasetName) -> Result<DatasetView, UserError> {
        let policies = self.context.owner.policies();
        let outline = self.context.ports.executor.outline(name).await;
        let outline = outline.map_err(|e| match e.kind() {
            PortErrorKind::NotFound => format!("there is no dataset {name}"),
            _ => e.message().to_owned(),
        });
        Ok(DatasetView {
            outline,
            policy: policies.of(name).clone(),
            ruled: policies.written().contains_key(name),
            in_use: self.context.reading.reader(name).is_some(),
        })
    }

    async fn dataset_version(&self, name: &DatasetName) -> Result<Digest, UserError> {
        let version = self.context.ports.executor.version(name).await;
        version.map_err(|e| match e.kind() {
            PortErrorKind::NotFound => UserError::Invalid(format!("there is no dataset {name}")),
            _ => UserError::Port(e),
        })
    }

    async fn last_of_journal(
        &self,
        before: Option<u64>,
        most: usize,
    ) -> Result<(u64, Vec<String>), UserError> {
        let most = most.min(MAX_PAGE as usize);
        Ok(self.context.owner.last_of_journal(before, most).await?)
    }

    async fn network(&self) -> Result<NetworkView, UserError> {
        let connector = &self.context.ports.connector;
        let page = connector.nodes(1, SHOWN_NODES).await.map_err(not_reached)?;
        let identities = &self.context.identities;
        let mut nodes = Vec::with_capacity(page.nodes.len());
        for node in page.nodes {
            let identity = identities.known(&node.address).await;
            let seen = identities.seen(&node.address);
            nodes.push(view::node(node, identity, seen, self.address().as_ref()));
        }
        Ok(NetworkView {
            nodes,
            total: page.total,
            anchored: identities.has_anchors(),
        })
    }

    async fn status(&self) -> NodeStatus {
        let (context, settings) = (&self.context, &self.context.settings);
        let asked = context.owner.asked();
        NodeStatus {
            address: self.address(),
            name: settings.name.clone(),
            url: settings.url.clone(),
            organisation: settings.identity.organisation.clone(),
            fingerprint: Fingerprint::of(context.identities.key().public()),
            since: context.since,
            runtime: context.ports.executor.runtime().await,
            room: context.ports.blobs.room().await.unwrap_or_default(),
            own_tasks: (self.coordinator.running(), settings.max_tasks),
            followed: self.runner.followed(),
            waiting: asked.iter().filter(|task| task.waits).count(),
            connector_away: context.contact.away(),
        }
    }

    fn news(&self) -> BoxStream<'static, News> {
        self.context.news.listen()
    }
}

impl Node {
    /// Opens a bundle that is not too large for a look.
    async fn look_into(&self, name: &BlobName, whose: Whose) -> Result<Arc<Bundle>, UserError> {
        let gone = |e: delta_ports::PortError| match e.kind() {
            PortErrorKind::NotFound => {
                UserError::Invalid("the task's bundle is not kept any more".to_owned())
            }
            PortErrorKind::Rejected => UserError::Invalid(e.message().to_owned()),
            _ => UserError::Port(e),
        };
        let (length, _) = self.context.ports.blobs.open(name).await.map_err(gone)?;
        if length > LOOKED_AT {
            let text = format!(
                "the bundle has {} MiB: it is too large to be shown",
                length >> 20
            );
            return Err(UserError::Invalid(text));
        }
        let opened = self.context.open_with_values(name, None, whose).await;
        opened.map_err(gone)
    }
}
