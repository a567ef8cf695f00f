//! A worker's answer, believed only as far as it is what was asked for: the worker ran somebody else's graph.

use std::collections::BTreeMap;

use crate::frame::{Blob, Blobs};
use crate::job::Released;
use delta_domain::ids::{DatasetName, Digest, Name};
use delta_domain::manifest::Manifest;
use delta_domain::records::{ReleasedRows, RowSet};
use delta_domain::tensor::Tensor;
use delta_ports::{PortError, PortErrorKind};

/// All values of an answer.
pub(super) fn tensors_of(op: &'static str, blobs: Blobs) -> Result<Vec<Tensor>, PortError> {
    blobs
        .into_iter()
        .map(|b| b.tensor().ok_or_else(|| wrong_answer(op)))
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

/// Which records each step's sums count.
pub(super) fn rows_of(
    op: &'static str,
    heads: Vec<Released>,
    blobs: Blobs,
    versions: &BTreeMap<DatasetName, Digest>,
) -> Result<Vec<ReleasedRows>, PortError> {
    let wrong = || wrong_answer(op);
    let most = blobs.len();
    let mut rest = blobs.into_iter().map(Blob::bytes);
    let mut next = || rest.next().flatten().ok_or_else(wrong);
    let mut all = Vec::with_capacity(heads.len().min(most));
    for head in heads {
        let unit_of = match head.units {
            false => None,
            true => {
                let bytes = next()?;
                let (units, odd) = bytes.as_chunks();
                if !odd.is_empty() {
                    return Err(wrong());
                }
                Some(units.iter().copied().map(u32::from_le_bytes).collect())
            }
        };
        let mut sets = Vec::with_capacity(head.sets.min(most));
        for _ in 0..head.sets {
            sets.push(RowSet::from_bytes(&next()?).map_err(|_| wrong())?);
        }
        all.push(ReleasedRows {
            version: *versions.get(&head.dataset).ok_or_else(wrong)?,
            dataset: head.dataset,
            unit_of,
            sets,
        });
    }
    match rest.next() {
        None => Ok(all),
        Some(_) => Err(wrong()),
    }
}

/// The error of an answer that is none.
pub(super) fn wrong_answer(op: &'static str) -> PortError {
    PortError::new(
        PortErrorKind::Internal,
        op,
        "the worker answered something else than it was asked; its result is not used",
    )
}
