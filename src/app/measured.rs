//! Ports whose use is measured: what travels to and from coordinators, and limits that workers run into.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::StreamExt as _;
use tracing::Instrument as _;

use delta_domain::bundle::{Bundle, BundleLimits};
use delta_domain::catalogue::Outline;
use delta_domain::ids::{DatasetName, Digest};
use delta_domain::records::proof::ReleaseProof;
use delta_ports::blob::ByteStream;
use delta_ports::certificates::Certificates;
use delta_ports::executor::{
    DatasetSummary, Executor, MapJob, MapOutcome, Part, ReduceJob, ReduceOutcome, RuntimeInfo,
    Whose,
};
use delta_ports::metrics::{Direction, Limit, Link, Load, Metrics, Observation};
use delta_ports::peer::{PeerAnswer, PeerRequest, PeerTransport};
use delta_ports::{PortError, PortErrorKind, TRACES};

/// The way to coordinators, with what travels on it counted.
pub(crate) struct MeasuredPeers {
    pub(crate) peers: Arc<dyn PeerTransport>,
    pub(crate) metrics: Arc<dyn Metrics>,
}

impl MeasuredPeers {
    fn counted(&self, content: ByteStream, direction: Direction) -> ByteStream {
        let metrics = self.metrics.clone();
        Box::pin(content.inspect(move |piece| {
            if let Ok(piece) = piece {
                metrics.observe(Observation::Carried {
                    link: Link::Coordinators,
                    direction,
                    bytes: piece.len() as u64,
                });
            }
        }))
    }
}

#[async_trait]
impl PeerTransport for MeasuredPeers {
    async fn call(
        &self,
        url: &str,
        request: PeerRequest,
        content: Option<ByteStream>,
        limit: u64,
    ) -> Result<PeerAnswer, PortError> {
        let content = content.map(|content| self.counted(content, Direction::Sent));
        match self.peers.call(url, request, content, limit).await? {
            PeerAnswer::Content { len, content } => Ok(PeerAnswer::Content {
                len,
                content: self.counted(content, Direction::Received),
            }),
            answer => Ok(answer),
        }
    }
}

/// An executor whose limits are noticed.
pub(crate) struct MeasuredExecutor {
    pub(crate) executor: Arc<dyn Executor>,
    pub(crate) metrics: Arc<dyn Metrics>,
}

impl MeasuredExecutor {
    fn noticed<T>(&self, outcome: Result<T, PortError>) -> Result<T, PortError> {
        let limit = outcome.as_ref().err().and_then(|e| match e.kind() {
            PortErrorKind::Timeout => Some(Limit::WorkerTime),
            PortErrorKind::Exhausted => Some(Limit::WorkerResources),
            _ => None,
        });
        if let Some(limit) = limit {
            self.metrics.observe(Observation::LimitHit(limit));
        }
        outcome
    }
}

#[async_trait]
impl Executor for MeasuredExecutor {
    async fn runtime(&self) -> RuntimeInfo {
        self.executor.runtime().await
    }

    fn load(&self) -> Load {
        self.executor.load()
    }

    fn certificates(&self) -> Option<&dyn Certificates> {
        self.executor.certificates()
    }

    async fn open_bundle(
        &self,
        bytes: Vec<u8>,
        limits: &BundleLimits,
        whose: Whose,
    ) -> Result<Arc<Bundle>, PortError> {
        self.noticed(self.executor.open_bundle(bytes, limits, whose).await)
    }

    async fn check_graphs(
        &self,
        bundle: &Arc<Bundle>,
        whose: Whose,
    ) -> Result<ReleaseProof, PortError> {
        self.noticed(self.executor.check_graphs(bundle, whose).await)
    }

    async fn check_data(&self, bundle: &Arc<Bundle>) -> Result<(), PortError> {
        self.noticed(self.executor.check_data(bundle).await)
    }

    fn prepare(&self, bundle: &Arc<Bundle>, step: u32, part: Part) {
        self.executor.prepare(bundle, step, part);
    }

    async fn map(&self, job: MapJob) -> Result<MapOutcome, PortError> {
        let span = tracing::info_span!(target: TRACES, "map", step = job.step);
        self.noticed(self.executor.map(job).instrument(span).await)
    }

    async fn reduce(&self, job: ReduceJob) -> Result<ReduceOutcome, PortError> {
        let span = tracing::info_span!(target: TRACES, "run", step = job.step);
        self.noticed(self.executor.reduce(job).instrument(span).await)
    }

    async fn describe(
        &self,
        names: &BTreeSet<DatasetName>,
    ) -> Result<Vec<DatasetSummary>, PortError> {
        self.executor.describe(names).await
    }

    async fn outline(&self, name: &DatasetName) -> Result<Outline, PortError> {
        self.executor.outline(name).await
    }

    async fn version(&self, name: &DatasetName) -> Result<Digest, PortError> {
        self.executor.version(name).await
    }

    async fn datasets(&self) -> Result<Vec<DatasetSummary>, PortError> {
        self.executor.datasets().await
    }
}
