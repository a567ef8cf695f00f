//! The way to coordinators: over the network, or, when this node is the coordinator, straight across.

use std::sync::Arc;

use async_trait::async_trait;

use delta_domain::ids::{RoundNumber, TaskId};
use delta_domain::round::message::{RoundView, ShareDelivery, SignedRequest, TranscriptSignature};
use delta_ports::blob::ByteStream;
use delta_ports::peer::{CoordinatorApi, PeerRefusal, PeerTransport, RefusalKind};
use delta_ports::{PortError, PortErrorKind};

/// Routes calls for this node's own url to its own coordinator, all others to `remote`.
pub(crate) struct Peers {
    own_url: String,
    own: Arc<dyn CoordinatorApi>,
    remote: Arc<dyn PeerTransport>,
}

impl Peers {
    pub(crate) fn new(
        own_url: String,
        own: Arc<dyn CoordinatorApi>,
        remote: Arc<dyn PeerTransport>,
    ) -> Self {
        Self {
            own_url,
            own,
            remote,
        }
    }

    fn is_own(&self, url: &str) -> bool {
        url.trim_end_matches('/') == self.own_url.trim_end_matches('/')
    }
}

#[async_trait]
impl PeerTransport for Peers {
    async fn bundle(&self, url: &str, task: &TaskId, limit: u64) -> Result<ByteStream, PortError> {
        if !self.is_own(url) {
            return self.remote.bundle(url, task, limit).await;
        }
        bounded(self.own.bundle(task).await, limit, "peer.bundle")
    }

    async fn round_view(
        &self,
        url: &str,
        task: &TaskId,
        round: RoundNumber,
    ) -> Result<RoundView, PortError> {
        if !self.is_own(url) {
            return self.remote.round_view(url, task, round).await;
        }
        self.own
            .round_view(task, round)
            .await
            .map_err(|e| refused(e, "peer.round_view"))
    }

    async fn variable(
        &self,
        url: &str,
        request: &SignedRequest,
        limit: u64,
    ) -> Result<ByteStream, PortError> {
        if !self.is_own(url) {
            return self.remote.variable(url, request, limit).await;
        }
        bounded(
            self.own.variable(request.clone()).await,
            limit,
            "peer.variable",
        )
    }

    async fn submit(&self, url: &str, request: &SignedRequest) -> Result<(), PortError> {
        if !self.is_own(url) {
            return self.remote.submit(url, request).await;
        }
        self.own
            .submit(request.clone())
            .await
            .map_err(|e| refused(e, "peer.submit"))
    }

    async fn fetch_shares(
        &self,
        url: &str,
        request: &SignedRequest,
    ) -> Result<ShareDelivery, PortError> {
        if !self.is_own(url) {
            return self.remote.fetch_shares(url, request).await;
        }
        self.own
            .fetch_shares(request.clone())
            .await
            .map_err(|e| refused(e, "peer.fetch_shares"))
    }

    async fn confirmations(
        &self,
        url: &str,
        request: &SignedRequest,
    ) -> Result<Vec<TranscriptSignature>, PortError> {
        if !self.is_own(url) {
            return self.remote.confirmations(url, request).await;
        }
        self.own
            .confirmations(request.clone())
            .await
            .map_err(|e| refused(e, "peer.confirmations"))
    }

    async fn result(
        &self,
        url: &str,
        request: &SignedRequest,
        len: u64,
        content: ByteStream,
    ) -> Result<(), PortError> {
        if !self.is_own(url) {
            return self.remote.result(url, request, len, content).await;
        }
        self.own
            .result(request.clone(), content)
            .await
            .map_err(|e| refused(e, "peer.result"))
    }
}

fn bounded(
    found: Result<(u64, ByteStream), PeerRefusal>,
    limit: u64,
    op: &'static str,
) -> Result<ByteStream, PortError> {
    match found {
        Ok((len, content)) if len <= limit => Ok(content),
        Ok((len, _)) => Err(PortError::new(
            PortErrorKind::Corrupt,
            op,
            format!("{len} bytes are more than the limit of {limit}"),
        )),
        Err(refusal) => Err(refused(refusal, op)),
    }
}

fn refused(refusal: PeerRefusal, op: &'static str) -> PortError {
    let kind = match refusal.kind {
        RefusalKind::Unavailable => PortErrorKind::Unavailable,
        RefusalKind::Internal => PortErrorKind::Internal,
        RefusalKind::Invalid | RefusalKind::Forbidden | RefusalKind::TooLarge => {
            PortErrorKind::Refused
        }
    };
    PortError::new(kind, op, refusal.detail)
}
