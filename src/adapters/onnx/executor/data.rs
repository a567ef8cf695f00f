//! The node's side of local data: where datasets are. Files are read by workers only.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};

use crate::datasets::{self, Located, Said};
use crate::failure::Failure;
use delta_domain::ids::DatasetName;
use delta_ports::{PortError, PortErrorKind};

/// The folder of datasets, and what their owner says about them.
pub(super) struct Places {
    data_dir: PathBuf,
    said: RwLock<Said>,
}

impl Places {
    pub(super) fn new(data_dir: PathBuf) -> Self {
        Self {
            data_dir,
            said: RwLock::default(),
        }
    }

    /// What the owner says from now on.
    pub(super) fn say(&self, said: Said) {
        // Nothing that can panic runs under this lock.
        *self.said.write().unwrap_or_else(PoisonError::into_inner) = said;
    }

    fn said(&self) -> Said {
        let said = self.said.read();
        said.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Where datasets are. Without names, the folder need not be there.
    pub(super) fn locate(
        &self,
        op: &'static str,
        names: BTreeSet<DatasetName>,
    ) -> Result<BTreeMap<DatasetName, Located>, PortError> {
        if names.is_empty() {
            return Ok(BTreeMap::new());
        }
        let (root, said) = (root(op, &self.data_dir)?, self.said());
        let find = |name: DatasetName| {
            let place = datasets::locate(&root, &name, &said).map_err(|f| f.into_port(op))?;
            Ok((name, place))
        };
        names.into_iter().map(find).collect()
    }

    /// Those of `names` that are there, and why the others cannot be found.
    pub(super) fn look_for(
        &self,
        op: &'static str,
        names: BTreeSet<DatasetName>,
    ) -> Result<BTreeMap<DatasetName, Result<Located, Failure>>, PortError> {
        let (root, said) = (root(op, &self.data_dir)?, self.said());
        let find = |name: DatasetName| {
            let place = datasets::locate(&root, &name, &said);
            (name, place)
        };
        Ok(names.into_iter().map(find).collect())
    }

    /// Everything in `data_dir` whose name can be a dataset's, and what lies elsewhere by its owner's word.
    pub(super) fn names(&self, op: &'static str) -> Result<BTreeSet<DatasetName>, PortError> {
        let root = root(op, &self.data_dir)?;
        let entries = std::fs::read_dir(&root)
            .map_err(|e| Failure::not_found(format!("{}: {e}", root.display())).into_port(op))?;
        let here = entries.filter_map(|e| e.ok()?.file_name().into_string().ok()?.parse().ok());
        let said = self.said().dialects;
        let elsewhere = said.into_iter().filter(|(_, d)| d.path.is_some());
        Ok(here.chain(elsewhere.map(|(name, _)| name)).collect())
    }
}

/// The folder of datasets, without links.
fn root(op: &'static str, data_dir: &Path) -> Result<PathBuf, PortError> {
    data_dir.canonicalize().map_err(|e| {
        PortError::new(
            PortErrorKind::NotFound,
            op,
            format!("data_dir {} cannot be opened: {e}", data_dir.display()),
        )
    })
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
