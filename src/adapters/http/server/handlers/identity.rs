//! What the node shows of itself to other nodes.

use crate::server::call::{Call, Shared};
use crate::server::rejection::Rejection;
use crate::server::reply::{Response, ok};

/// `GET /v1/identity`: the identity document (docs/protocol/identity.md).
pub(crate) async fn identity(shared: &Shared, _: &mut Call) -> Result<Response, Rejection> {
    let identity = shared
        .doors
        .identity
        .as_ref()
        .ok_or_else(Rejection::absent)?;
    let document = identity.document().ok_or_else(Rejection::absent)?;
    Ok(ok(&document))
}
