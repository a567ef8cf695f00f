//! A worker's answer, believed only as far as it is what was asked for: the worker ran somebody else's graph.

use std::collections::BTreeMap;

use crate::frame::{self, Blobs};
use delta_domain::ids::Name;
use delta_domain::manifest::Manifest;
use delta_domain::tensor::Tensor;
use delta_ports::{PortError, PortErrorKind};

/// All values of an answer.
pub(super) fn decode_all(op: &'static str, blobs: &Blobs) -> Result<Vec<Tensor>, PortError> {
    blobs
        .iter()
        .map(|b| frame::decode(b).map_err(|f| f.into_port(op)))
        .collect()
}

/// Assigned variables, with exactly their declared types.
pub(super) fn named(
    op: &'static str,
    manifest: &Manifest,
    names: Vec<Name>,
    tensors: Vec<Tensor>,
) -> Result<BTreeMap<Name, Tensor>, PortError> {
    let fits = |name: &Name, t: &Tensor| {
        manifest
            .variables
            .get(name)
            .is_some_and(|v| v.dtype == t.dtype() && v.shape == t.shape())
    };
    if names.len() != tensors.len() || !names.iter().zip(&tensors).all(|(n, t)| fits(n, t)) {
        return Err(wrong_answer(op));
    }
    Ok(names.into_iter().zip(tensors).collect())
}

/// The error of an answer that is none.
pub(super) fn wrong_answer(op: &'static str) -> PortError {
    PortError::new(
        PortErrorKind::Internal,
        op,
        "the worker answered something else than it was asked; its result is not used",
    )
}
