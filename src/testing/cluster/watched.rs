//! A node's way to its coordinators, with somebody taking notes.

use std::sync::Arc;

use async_trait::async_trait;
use delta_domain::round::message::RequestBody;
use delta_memory::MemoryPeers;
use delta_ports::PortError;
use delta_ports::blob::ByteStream;
use delta_ports::peer::{PeerAnswer, PeerRequest, PeerTransport};

use crate::facts::Facts;

/// Passes everything on.
pub(super) struct WatchedPeers {
    inner: MemoryPeers,
    facts: Arc<Facts>,
}

impl WatchedPeers {
    pub(super) fn new(inner: MemoryPeers, facts: Arc<Facts>) -> Self {
        Self { inner, facts }
    }
}

#[async_trait]
impl PeerTransport for WatchedPeers {
    async fn call(
        &self,
        url: &str,
        request: PeerRequest,
        content: Option<ByteStream>,
        limit: u64,
    ) -> Result<PeerAnswer, PortError> {
        let signed = request.signed().cloned();
        if let Some(request) = &signed
            && let RequestBody::Result { digest, .. } = &request.body
        {
            self.facts.leaves(request, *digest);
        }
        let answer = self.inner.call(url, request, content, limit).await;
        if let (Some(request), Ok(PeerAnswer::Done)) = (&signed, &answer) {
            self.facts.arrived(request);
        }
        answer
    }
}
