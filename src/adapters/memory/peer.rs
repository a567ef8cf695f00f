//! Members and coordinators that reach each other without a socket, over a network that loses, delays and doubles on demand.
//!
//! A [`MemoryNetwork`] knows who listens at which url; [`MemoryPeers`] is one node's way into it. Chance comes from the network's seed, so
//! a run repeats as long as its calls come in the same order (one thread, paused time).
//! Not here: the address policy of the real transport (`Denied`), which has nothing to do without addresses.

mod network;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};

use delta_domain::ids::{RoundNumber, TaskId};
use delta_domain::round::message::{RoundView, ShareDelivery, SignedRequest, TranscriptSignature};
use delta_ports::blob::ByteStream;
use delta_ports::peer::{CoordinatorApi, PeerRefusal, PeerTransport, RefusalKind};
use delta_ports::{PortError, PortErrorKind};

pub use network::{Chaos, MemoryNetwork, PeerFault};

/// How long a node waits for an answer.
const DEADLINE: Duration = Duration::from_secs(30);

/// One node's way to the coordinators of a network.
#[derive(Debug, Clone)]
pub struct MemoryPeers {
    network: MemoryNetwork,
    own_url: String,
}

impl MemoryPeers {
    /// Calls `url` as planned. `call` runs twice when the request is doubled; the caller gets the second answer.
    async fn call<T, F, A>(&self, op: &'static str, url: &str, mut call: F) -> Result<T, PortError>
    where
        F: FnMut(Arc<dyn CoordinatorApi>) -> A,
        A: Future<Output = Result<T, PeerRefusal>>,
    {
        let plan = self.network.plan(op);
        if !plan.delay.is_zero() {
            tokio::time::sleep(plan.delay).await;
        }
        if plan.drop_request {
            return Err(PortError::new(
                PortErrorKind::Unavailable,
                op,
                format!("{url} did not get the request"),
            ));
        }
        let target = self.network.route(op, &self.own_url, url)?;
        let answer = tokio::time::timeout(DEADLINE, async {
            if plan.duplicate {
                // Lost, as far as the caller is concerned.
                drop(call(Arc::clone(&target)).await);
            }
            call(target).await
        })
        .await
        .map_err(|_| {
            PortError::new(
                PortErrorKind::Timeout,
                op,
                format!("{url} did not answer in time"),
            )
        })?;
        // Whoever was cut off, or went away, in the meantime has answered nobody.
        self.network.route(op, &self.own_url, url)?;
        if plan.lose_response {
            return Err(PortError::new(
                PortErrorKind::Timeout,
                op,
                format!("the answer of {url} was lost"),
            ));
        }
        answer.map_err(|refusal| {
            let kind = match refusal.kind {
                RefusalKind::Unavailable => PortErrorKind::Unavailable,
                RefusalKind::Invalid
                | RefusalKind::Forbidden
                | RefusalKind::TooLarge
                | RefusalKind::Internal => PortErrorKind::Refused,
            };
            PortError::new(kind, op, refusal.detail)
        })
    }
}

#[async_trait]
impl PeerTransport for MemoryPeers {
    async fn bundle(&self, url: &str, task: &TaskId, limit: u64) -> Result<ByteStream, PortError> {
        const OP: &str = "peer.bundle";
        let (len, content) = self
            .call(OP, url, |api| {
                let task = task.clone();
                async move { api.bundle(&task).await }
            })
            .await?;
        bounded(OP, len, content, limit)
    }

    async fn round_view(
        &self,
        url: &str,
        task: &TaskId,
        round: RoundNumber,
    ) -> Result<RoundView, PortError> {
        self.call("peer.round_view", url, |api| {
            let task = task.clone();
            async move { api.round_view(&task, round).await }
        })
        .await
    }

    async fn variable(
        &self,
        url: &str,
        request: &SignedRequest,
        limit: u64,
    ) -> Result<ByteStream, PortError> {
        const OP: &str = "peer.variable";
        let (len, content) = self
            .call(OP, url, |api| {
                let request = request.clone();
                async move { api.variable(request).await }
            })
            .await?;
        bounded(OP, len, content, limit)
    }

    async fn submit(&self, url: &str, request: &SignedRequest) -> Result<(), PortError> {
        self.call("peer.submit", url, |api| {
            let request = request.clone();
            async move { api.submit(request).await }
        })
        .await
    }

    async fn fetch_shares(
        &self,
        url: &str,
        request: &SignedRequest,
    ) -> Result<ShareDelivery, PortError> {
        self.call("peer.fetch_shares", url, |api| {
            let request = request.clone();
            async move { api.fetch_shares(request).await }
        })
        .await
    }

    async fn confirmations(
        &self,
        url: &str,
        request: &SignedRequest,
    ) -> Result<Vec<TranscriptSignature>, PortError> {
        self.call("peer.confirmations", url, |api| {
            let request = request.clone();
            async move { api.confirmations(request).await }
        })
        .await
    }

    async fn result(
        &self,
        url: &str,
        request: &SignedRequest,
        len: u64,
        mut content: ByteStream,
    ) -> Result<(), PortError> {
        const OP: &str = "peer.result";
        // Held whole, because a doubled request sends it twice.
        let mut pieces: Vec<Bytes> = Vec::new();
        let mut got = 0u64;
        while let Some(piece) = content.next().await {
            let piece = piece?;
            got = got.saturating_add(piece.len() as u64);
            pieces.push(piece);
            if got > len {
                break;
            }
        }
        if got != len {
            return Err(PortError::new(
                PortErrorKind::Internal,
                OP,
                format!("the content does not have the announced {len} bytes"),
            ));
        }
        self.call(OP, url, |api| {
            let content: ByteStream = Box::pin(stream::iter(pieces.clone().into_iter().map(Ok)));
            let request = request.clone();
            async move { api.result(request, content).await }
        })
        .await
    }
}

/// The content of a download, checked against the limit and the length that came with it.
fn bounded(
    op: &'static str,
    len: u64,
    content: ByteStream,
    limit: u64,
) -> Result<ByteStream, PortError> {
    if len > limit {
        return Err(PortError::new(
            PortErrorKind::Corrupt,
            op,
            format!("the answer has {len} bytes, more than {limit}"),
        ));
    }
    let checked = stream::unfold(Some((content, len)), move |state| async move {
        let (mut content, left) = state?;
        match content.next().await {
            None if left == 0 => None,
            None => Some((
                Err(PortError::new(
                    PortErrorKind::Unavailable,
                    op,
                    "the answer broke off",
                )),
                None,
            )),
            Some(Err(error)) => Some((Err(error), None)),
            Some(Ok(piece)) => match left.checked_sub(piece.len() as u64) {
                Some(left) => Some((Ok(piece), Some((content, left)))),
                None => Some((
                    Err(PortError::new(
                        PortErrorKind::Corrupt,
                        op,
                        "the answer is longer than announced",
                    )),
                    None,
                )),
            },
        }
    });
    Ok(Box::pin(checked))
}

#[cfg(test)]
mod tests;
