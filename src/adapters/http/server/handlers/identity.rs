//! What the node shows of itself to other nodes.

use std::sync::Arc;

use crate::server::call::{Call, Shared};
use crate::server::extract::validation::FieldErrors;
use crate::server::rejection::Rejection;
use crate::server::reply::{Response, ok};
use crate::wire::seen::SeenDto;
use delta_ports::identity::IdentityApi;

/// `GET /v1/identity`: the identity document (docs/protocol/identity.md).
pub(crate) async fn identity(shared: &Shared, _: &mut Call) -> Result<Response, Rejection> {
    let document = shown(shared)?.document().ok_or_else(Rejection::absent)?;
    Ok(ok(&document))
}

/// `GET /v1/identity/seen`: whether another node was found at its url on record. From memory: asking makes this node look at nothing.
pub(crate) async fn seen(shared: &Shared, call: &mut Call) -> Result<Response, Rejection> {
    let mut errors = FieldErrors::query();
    let address = errors.hex("address", call.query.owned("address"));
    errors.settle()?;
    let address = address
        .parse()
        .map_err(|_| Rejection::bad("address is no address of a node"))?;
    let seen = shown(shared)?.seen(&address);
    Ok(ok(&SeenDto { seen }))
}

fn shown(shared: &Shared) -> Result<&Arc<dyn IdentityApi>, Rejection> {
    shared.doors.identity.as_ref().ok_or_else(Rejection::absent)
}
