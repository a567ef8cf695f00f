//! The node's side of local data: where datasets are, what they look like. Rows are read by workers only.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::datasets;
use crate::failure::Failure;
use delta_domain::ids::DatasetName;
use delta_ports::executor::DatasetSummary;
use delta_ports::{PortError, PortErrorKind};

/// The folder of datasets, without links.
pub(super) fn root(op: &'static str, data_dir: &Path) -> Result<PathBuf, PortError> {
    data_dir.canonicalize().map_err(|e| {
        PortError::new(
            PortErrorKind::NotFound,
            op,
            format!("data_dir {} cannot be opened: {e}", data_dir.display()),
        )
    })
}

/// Where datasets are. Without names, the folder need not be there.
pub(super) fn locate(
    op: &'static str,
    data_dir: &Path,
    names: BTreeSet<DatasetName>,
) -> Result<BTreeMap<DatasetName, PathBuf>, PortError> {
    if names.is_empty() {
        return Ok(BTreeMap::new());
    }
    let root = root(op, data_dir)?;
    names
        .into_iter()
        .map(|n| {
            datasets::locate(&root, &n)
                .map(|path| (n, path))
                .map_err(|f| f.into_port(op))
        })
        .collect()
}

/// Everything in `data_dir` whose name can be a dataset's, by name.
pub(super) fn list(root: &Path) -> Result<Vec<DatasetSummary>, Failure> {
    let entries = std::fs::read_dir(root)
        .map_err(|e| Failure::not_found(format!("{}: {e}", root.display())))?;
    let names: BTreeSet<DatasetName> = entries
        .filter_map(|e| e.ok()?.file_name().into_string().ok()?.parse().ok())
        .collect();
    let describe = |name: &DatasetName| {
        datasets::locate(root, name)
            .map_or_else(|f| format!("unusable: {f}"), |p| datasets::describe(&p))
    };
    Ok(names
        .into_iter()
        .map(|name| DatasetSummary {
            description: describe(&name),
            name,
        })
        .collect())
}

/// Reads files off the async threads.
pub(super) async fn blocking<T: Send + 'static>(
    op: &'static str,
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, PortError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result.map_err(|f| f.into_port(op)),
        Err(e) => {
            Err(PortError::new(PortErrorKind::Internal, op, "reading data panicked").with_source(e))
        }
    }
}
