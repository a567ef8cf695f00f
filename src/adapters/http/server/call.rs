//! What a handler gets: the request, and what all requests share.

use std::sync::Arc;

use warp::http::HeaderMap;

use super::extract::body::{BodyStream, Memory};
use super::extract::query::Query;
use super::options::HttpOptions;
use delta_domain::round::message::SignedRequest;
use delta_ports::node_api::NodeApi;
use delta_ports::peer::{CoordinatorApi, PeerAnswer, PeerRejection, PeerRequest};

/// What handlers work with.
pub(crate) struct Shared {
    /// For users.
    pub(crate) node: Arc<dyn NodeApi>,
    /// For members.
    pub(crate) members: Arc<dyn CoordinatorApi>,
    /// Limits.
    pub(crate) options: HttpOptions,
    /// Memory for JSON bodies.
    pub(crate) memory: Memory,
}

impl Shared {
    /// Asks the coordinator what a member signed.
    pub(crate) async fn ask(&self, request: SignedRequest) -> Result<PeerAnswer, PeerRejection> {
        self.members.call(PeerRequest::Signed(request), None).await
    }
}

/// A request on its way to a handler.
pub(crate) struct Call {
    /// Its headers.
    pub(crate) headers: HeaderMap,
    /// Its query string.
    pub(crate) query: Query,
    /// Its body.
    pub(crate) body: BodyStream,
}
