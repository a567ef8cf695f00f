//! What the fake shows on its dashboard.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use delta_node::domain::bundle::{Bundle, BundleLimits};
use delta_node::domain::catalogue::{ColumnType, Outline};
use delta_node::domain::identity::{Fingerprint, Trust};
use delta_node::domain::ids::{DatasetName, Digest, TaskId};
use delta_node::domain::policy::Policy;
use delta_node::domain::time::Timestamp;
use delta_node::ports::UserError;
use delta_node::ports::board_api::{
    BoardApi, CheckFinding, DatasetView, FindingLevel, KnownNode, NetworkView, News, NodeStatus,
    Prospect, SelfCheck,
};
use delta_node::ports::executor::RuntimeInfo;
use delta_node::ports::storage::{LocalTaskId, TaskMatches, TaskQuery};
use futures_util::StreamExt as _;
use futures_util::stream::{BoxStream, unfold};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use super::{Fake, found, key, row};
use delta_testing::contracts::peer::moves::{member, task};

/// A fixture, opened.
pub(crate) fn bundle() -> Arc<Bundle> {
    let file = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/fixtures/wages-means.delta"
    );
    let bytes = std::fs::read(file).unwrap();
    Arc::new(Bundle::open(&bytes, &BundleLimits::default()).unwrap())
}

/// Everybody who listens.
#[derive(Default)]
pub(crate) struct NewsDesk(Mutex<Vec<UnboundedSender<News>>>);

impl NewsDesk {
    /// Tells them.
    pub(crate) fn tell(&self, news: News) {
        let listeners = self.0.lock().unwrap();
        for listener in listeners.iter() {
            let _gone = listener.send(news);
        }
    }
}

#[async_trait]
impl BoardApi for Fake {
    async fn find_tasks(&self, query: &TaskQuery) -> Result<TaskMatches, UserError> {
        let all: Vec<_> = [2, 1].into_iter().filter_map(row).collect();
        let about = all.iter().filter(|row| query.is_about(row));
        let counts = about.map(|row| (row.status, 1)).rev().collect();
        let wanted = all.into_iter().filter(|row| {
            query.is_about(row)
                && (query.statuses.is_empty() || query.statuses.contains(&row.status))
                && query.before.is_none_or(|before| row.id < before)
        });
        Ok(TaskMatches {
            tasks: wanted.take(query.limit as usize).collect(),
            counts,
        })
    }

    async fn open_own(&self, id: LocalTaskId) -> Result<Arc<Bundle>, UserError> {
        found(id)?;
        Ok(bundle())
    }

    async fn open_asked(&self, asked: &TaskId) -> Result<Arc<Bundle>, UserError> {
        self.prospects(asked).await?;
        Ok(bundle())
    }

    async fn prospects(&self, asked: &TaskId) -> Result<Vec<Prospect>, UserError> {
        if *asked != task() {
            return Err(UserError::Invalid(format!(
                "this node follows no task {asked}"
            )));
        }
        Ok(vec![Prospect {
            dataset: "wages.csv".parse().unwrap(),
            budget: Some(3.0),
            delta: 1e-6,
            before: Some(0.5),
            after_round: Some(1.0),
            after_all: None,
        }])
    }

    async fn dataset(&self, _: &DatasetName) -> Result<DatasetView, UserError> {
        Ok(DatasetView {
            outline: Ok(Outline {
                columns: vec![
                    ("wage".to_owned(), None),
                    ("age".to_owned(), Some(ColumnType::Integer)),
                ],
            }),
            policy: Policy::default(),
            ruled: false,
            in_use: true,
        })
    }

    async fn dataset_version(&self, _: &DatasetName) -> Result<Digest, UserError> {
        Ok(Digest([7; 32]))
    }

    async fn last_of_journal(
        &self,
        before: Option<u64>,
        most: usize,
    ) -> Result<(u64, Vec<String>), UserError> {
        let end = before.map_or(3, |before| (before - 1).min(3));
        let begin = end.saturating_sub(most as u64);
        let lines = (begin..end).map(|i| format!("{{\"number\":{}}}", i + 1));
        Ok((begin, lines.collect()))
    }

    async fn network(&self) -> Result<NetworkView, UserError> {
        Ok(NetworkView {
            nodes: vec![KnownNode {
                address: member(0),
                name: "<b>n1</b>".to_owned(),
                url: "http://a".to_owned(),
                own: true,
                trust: Trust::FirstUse,
                organisation: Some("Organisation".to_owned()),
                fingerprint: Some(Fingerprint::of(key().public())),
                card_until: Some(Timestamp(9)),
                tls: false,
                seen: Some(true),
            }],
            total: 1,
            anchored: false,
        })
    }

    async fn status(&self) -> NodeStatus {
        NodeStatus {
            address: Some(member(0)),
            name: "n1".to_owned(),
            url: "http://a".to_owned(),
            organisation: "Organisation".to_owned(),
            fingerprint: Fingerprint::of(key().public()),
            since: Timestamp(5),
            runtime: RuntimeInfo {
                name: "tract".to_owned(),
                version: "1".to_owned(),
                library: None,
            },
            room: Some(1 << 30),
            own_tasks: (1, 16),
            followed: 2,
            waiting: 1,
            connector_away: None,
        }
    }

    fn news(&self) -> BoxStream<'static, News> {
        let (sender, receiver) = unbounded_channel();
        self.news.0.lock().unwrap().push(sender);
        unfold(receiver, |mut receiver| async move {
            receiver.recv().await.map(|news| (news, receiver))
        })
        .boxed()
    }
}

#[async_trait]
impl SelfCheck for Fake {
    async fn findings(&self) -> Vec<CheckFinding> {
        vec![CheckFinding {
            level: FindingLevel::Warn,
            name: "tls".to_owned(),
            detail: "it has none".to_owned(),
        }]
    }
}
