//! A node's way to its coordinators, with somebody taking notes.

use std::sync::Arc;

use async_trait::async_trait;
use delta_node::adapters::memory::MemoryPeers;
use delta_node::domain::ids::{RoundNumber, TaskId};
use delta_node::domain::round::message::{
    RequestBody, RoundView, ShareDelivery, SignedRequest, TranscriptSignature,
};
use delta_node::ports::PortError;
use delta_node::ports::blob::ByteStream;
use delta_node::ports::peer::PeerTransport;

use super::facts::Facts;

/// Passes everything on.
pub struct WatchedPeers {
    inner: MemoryPeers,
    facts: Arc<Facts>,
}

impl WatchedPeers {
    pub fn new(inner: MemoryPeers, facts: Arc<Facts>) -> Self {
        Self { inner, facts }
    }
}

#[async_trait]
impl PeerTransport for WatchedPeers {
    async fn bundle(&self, url: &str, task: &TaskId, limit: u64) -> Result<ByteStream, PortError> {
        self.inner.bundle(url, task, limit).await
    }

    async fn round_view(
        &self,
        url: &str,
        task: &TaskId,
        round: RoundNumber,
    ) -> Result<RoundView, PortError> {
        self.inner.round_view(url, task, round).await
    }

    async fn variable(
        &self,
        url: &str,
        request: &SignedRequest,
        limit: u64,
    ) -> Result<ByteStream, PortError> {
        self.inner.variable(url, request, limit).await
    }

    async fn submit(&self, url: &str, request: &SignedRequest) -> Result<(), PortError> {
        let answer = self.inner.submit(url, request).await;
        if answer.is_ok() {
            self.facts.arrived(request);
        }
        answer
    }

    async fn fetch_shares(
        &self,
        url: &str,
        request: &SignedRequest,
    ) -> Result<ShareDelivery, PortError> {
        self.inner.fetch_shares(url, request).await
    }

    async fn confirmations(
        &self,
        url: &str,
        request: &SignedRequest,
    ) -> Result<Vec<TranscriptSignature>, PortError> {
        self.inner.confirmations(url, request).await
    }

    async fn result(
        &self,
        url: &str,
        request: &SignedRequest,
        len: u64,
        content: ByteStream,
    ) -> Result<(), PortError> {
        if let RequestBody::Result { digest, .. } = &request.body {
            self.facts.leaves(request, *digest);
        }
        let answer = self.inner.result(url, request, len, content).await;
        if answer.is_ok() {
            self.facts.arrived(request);
        }
        answer
    }
}
