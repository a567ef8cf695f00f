//! The way to the owner's databases.

use std::sync::Arc;

use crate::adapters::databases::Databases;
use crate::config::Config;
use delta_ports::snapshots::Snapshots;

/// Answers are kept among the other datasets.
pub(crate) fn databases(config: &Config) -> Arc<dyn Snapshots> {
    Arc::new(Databases::new(config.data_dir.clone()))
}
