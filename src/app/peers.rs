//! The way to coordinators: over the network, or, when this node is the coordinator, straight across.

use std::sync::Arc;

use async_trait::async_trait;

use delta_ports::blob::ByteStream;
use delta_ports::peer::{
    CoordinatorApi, PeerAnswer, PeerRejection, PeerRequest, PeerTransport, RejectionKind,
};
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
    async fn call(
        &self,
        url: &str,
        request: PeerRequest,
        content: Option<ByteStream>,
        limit: u64,
    ) -> Result<PeerAnswer, PortError> {
        if !self.is_own(url) {
            return self.remote.call(url, request, content, limit).await;
        }
        let op = request.op();
        match self.own.call(request, content).await {
            Ok(PeerAnswer::Content { len: Some(len), .. }) if len > limit => Err(PortError::new(
                PortErrorKind::Corrupt,
                op,
                format!("{len} bytes are more than the limit of {limit}"),
            )),
            Ok(answer) => Ok(answer),
            Err(rejection) => Err(refused(rejection, op)),
        }
    }
}

fn refused(rejection: PeerRejection, op: &'static str) -> PortError {
    let kind = match rejection.kind {
        RejectionKind::Unavailable => PortErrorKind::Unavailable,
        RejectionKind::Internal => PortErrorKind::Internal,
        RejectionKind::Invalid | RejectionKind::Forbidden | RejectionKind::TooLarge => {
            PortErrorKind::Rejected
        }
    };
    PortError::new(kind, op, rejection.detail)
}
