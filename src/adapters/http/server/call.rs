//! What a handler gets: the request, and what all requests share.

use std::sync::Arc;

use warp::http::HeaderMap;

use super::extract::body::{BodyStream, Memory};
use super::extract::query::Query;
use super::options::HttpOptions;
use delta_ports::node_api::NodeApi;
use delta_ports::peer::CoordinatorApi;

/// What handlers work with.
pub(crate) struct Shared {
    /// For users.
    pub(crate) node: Arc<dyn NodeApi>,
    /// For members.
    pub(crate) coordinator: Arc<dyn CoordinatorApi>,
    /// Limits.
    pub(crate) options: HttpOptions,
    /// Memory for JSON bodies.
    pub(crate) memory: Memory,
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
