//! Where the owner's rules come from: files that change while the node runs.

use std::collections::BTreeMap;
use std::sync::Arc;

use delta_domain::catalogue::Said;
use delta_domain::ids::{DatasetName, Digest};
use delta_domain::policy::Policies;
use delta_domain::query::Query;

/// The rules as they stand.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct OwnerRules {
    /// Of every dataset.
    pub policies: Arc<Policies>,
    /// SHA-256 of what was read.
    pub digest: Digest,
    /// What is said to everybody about datasets; those that are not in it are not published.
    pub published: Arc<BTreeMap<DatasetName, Said>>,
    /// Datasets that are answers of databases.
    pub queries: Arc<BTreeMap<DatasetName, Query>>,
}

/// The owner's rules.
///
/// Obligations on implementers:
/// - `rules` answers at once, from memory; what changes on disk is there within seconds.
/// - Rules with a mistake are never half of what was written: those before stay, and the owner is told.
pub trait PolicySource: Send + Sync + 'static {
    /// The rules as they stand.
    fn rules(&self) -> OwnerRules;
}
