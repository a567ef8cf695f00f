//! Members and coordinators that reach each other without a socket, over a network that loses, delays and doubles on demand.
//!
//! A [`MemoryNetwork`] knows who listens at which url; [`MemoryPeers`] is one node's way into it. Chance comes from the network's seed, so
//! a run repeats as long as its calls come in the same order (one thread, paused time).
//! Not here: the address policy of the real transport (`Denied`), which has nothing to do without addresses.

mod network;

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};

use delta_domain::catalogue::SignedCatalogue;
use delta_domain::identity::Document;
use delta_domain::ids::Address;
use delta_ports::blob::ByteStream;
use delta_ports::catalogue::CatalogueSource;
use delta_ports::identity::IdentitySource;
use delta_ports::peer::{PeerAnswer, PeerRejection, PeerRequest, PeerTransport, RejectionKind};
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

#[async_trait]
impl PeerTransport for MemoryPeers {
    /// Calls `url` as planned: twice when the request is doubled; the caller gets the second answer.
    async fn call(
        &self,
        url: &str,
        request: PeerRequest,
        content: Option<ByteStream>,
        limit: u64,
    ) -> Result<PeerAnswer, PortError> {
        let op = request.op();
        // Held whole, because a doubled request sends it twice.
        let content = match request.with_content(content)? {
            Some((len, content)) => Some(whole(op, len, content).await?),
            None => None,
        };
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
        let send = || {
            let content = content
                .clone()
                .map(|pieces| -> ByteStream { Box::pin(stream::iter(pieces.into_iter().map(Ok))) });
            target.call(request.clone(), content)
        };
        let answer = tokio::time::timeout(DEADLINE, async {
            if plan.duplicate {
                // Lost, as far as the caller is concerned.
                drop(send().await);
            }
            send().await
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
        match answer.map_err(|rejection| refused(op, rejection))? {
            PeerAnswer::Content { len, content } => {
                let len = len.ok_or_else(|| corrupt(op, "nobody says how long the answer is"))?;
                Ok(PeerAnswer::file((len, bounded(op, len, content, limit)?)))
            }
            other => Ok(other),
        }
    }
}

#[async_trait]
impl IdentitySource for MemoryPeers {
    async fn document_of(&self, url: &str) -> Result<Document, PortError> {
        self.network.document(&self.own_url, url)
    }

    async fn seen_by(&self, url: &str, address: &Address) -> Result<Option<bool>, PortError> {
        self.network.seen(&self.own_url, url, address)
    }
}

#[async_trait]
impl CatalogueSource for MemoryPeers {
    async fn catalogue_of(&self, url: &str) -> Result<SignedCatalogue, PortError> {
        self.network.catalogue(&self.own_url, url)
    }
}

/// The pieces of an upload, if they have `len` bytes together.
async fn whole(
    op: &'static str,
    len: u64,
    mut content: ByteStream,
) -> Result<Vec<Bytes>, PortError> {
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
    if got == len {
        Ok(pieces)
    } else {
        Err(PortError::new(
            PortErrorKind::Internal,
            op,
            format!("the content does not have the announced {len} bytes"),
        ))
    }
}

fn refused(op: &'static str, rejection: PeerRejection) -> PortError {
    let kind = match rejection.kind {
        RejectionKind::Unavailable => PortErrorKind::Unavailable,
        RejectionKind::Invalid
        | RejectionKind::Forbidden
        | RejectionKind::TooLarge
        | RejectionKind::Internal => PortErrorKind::Rejected,
    };
    PortError::new(kind, op, rejection.detail)
}

/// The content of a download, checked against the limit and the length that came with it.
fn bounded(
    op: &'static str,
    len: u64,
    content: ByteStream,
    limit: u64,
) -> Result<ByteStream, PortError> {
    if len > limit {
        let text = format!("the answer has {len} bytes, more than {limit}");
        return Err(corrupt(op, text));
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
                    Err(corrupt(op, "the answer is longer than announced")),
                    None,
                )),
            },
        }
    });
    Ok(Box::pin(checked))
}

fn corrupt(op: &'static str, text: impl Into<String>) -> PortError {
    PortError::new(PortErrorKind::Corrupt, op, text)
}

#[cfg(test)]
mod tests;
