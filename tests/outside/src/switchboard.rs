//! A transport without a wire: members call coordinators in the same process.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use delta_ports::blob::ByteStream;
use delta_ports::peer::{
    CoordinatorApi, PeerAnswer, PeerRejection, PeerRequest, PeerTransport, RejectionKind,
};
use delta_ports::{PortError, PortErrorKind};
use futures_util::{StreamExt as _, stream};

/// Who listens at which url.
#[derive(Default)]
pub struct Switchboard(Mutex<BTreeMap<String, Arc<dyn CoordinatorApi>>>);

impl Switchboard {
    /// Makes a coordinator reachable; answers its url.
    pub fn plug(&self, coordinator: Arc<dyn CoordinatorApi>) -> String {
        let mut lines = self.0.lock().unwrap_or_else(|e| e.into_inner());
        let url = format!("https://line-{}.test", lines.len());
        lines.insert(url.clone(), coordinator);
        url
    }

    fn line(&self, url: &str) -> Result<Arc<dyn CoordinatorApi>, PortError> {
        let lines = self.0.lock().unwrap_or_else(|e| e.into_inner());
        let line = lines.get(url).cloned();
        line.ok_or_else(|| error(PortErrorKind::Unavailable, "nobody listens there"))
    }
}

fn error(kind: PortErrorKind, text: &str) -> PortError {
    PortError::new(kind, "switchboard", text)
}

/// A coordinator's rejection as its caller sees it.
fn refused(rejection: PeerRejection) -> PortError {
    let kind = match rejection.kind {
        RejectionKind::Unavailable | RejectionKind::Internal => PortErrorKind::Unavailable,
        RejectionKind::Invalid | RejectionKind::Forbidden | RejectionKind::TooLarge => {
            PortErrorKind::Rejected
        }
    };
    error(kind, &rejection.detail)
}

/// A download that ends with an error once it has had more than `limit` bytes.
fn limited(content: ByteStream, limit: u64) -> ByteStream {
    let mut left = limit;
    content
        .map(move |piece| {
            let piece = piece?;
            match left.checked_sub(piece.len() as u64) {
                Some(rest) => left = rest,
                None => return Err(error(PortErrorKind::Corrupt, "more than the limit")),
            }
            Ok(piece)
        })
        .boxed()
}

/// An upload that has just the announced length; it is read before anything is sent.
async fn exactly(len: u64, mut content: ByteStream) -> Result<ByteStream, PortError> {
    let mut pieces = Vec::new();
    let mut left = Some(len);
    while let (Some(before), Some(piece)) = (left, content.next().await) {
        let piece = piece?;
        left = before.checked_sub(piece.len() as u64);
        pieces.push(Ok(piece));
    }
    if left != Some(0) {
        return Err(error(PortErrorKind::Internal, "not the announced length"));
    }
    Ok(stream::iter(pieces).boxed())
}

#[async_trait]
impl PeerTransport for Switchboard {
    async fn call(
        &self,
        url: &str,
        request: PeerRequest,
        content: Option<ByteStream>,
        limit: u64,
    ) -> Result<PeerAnswer, PortError> {
        let line = self.line(url)?;
        let content = match request.with_content(content)? {
            Some((len, content)) => Some(exactly(len, content).await?),
            None => None,
        };
        match line.call(request, content).await.map_err(refused)? {
            PeerAnswer::Content { len, content } => Ok(PeerAnswer::Content {
                len,
                content: limited(content, limit),
            }),
            other => Ok(other),
        }
    }
}
