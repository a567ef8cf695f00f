//! How nodes read each other's catalogues (docs/protocol/identity.md, Catalogue), and what a node's own users hear of them.

use std::sync::Arc;

use async_trait::async_trait;

use super::PortError;
use delta_domain::catalogue::{Catalogue, SignedCatalogue};
use delta_domain::ids::{Address, DatasetName};
use delta_domain::policy::ApprovalMode;

/// What a node publishes. Implemented by the app.
pub trait CatalogueApi: Send + Sync + 'static {
    /// This node's catalogue, signed lately; `None` where its owner publishes nothing. From memory: asking makes this node look at nothing.
    fn catalogue(&self) -> Option<Arc<SignedCatalogue>>;
}

/// The way to other nodes' catalogues.
///
/// Obligations on implementers:
/// - `url` is checked against the node's policy first (`Denied`), as by [`PeerTransport`](super::peer::PeerTransport).
/// - An answer has at most [`MAX_CATALOGUE_BYTES`](delta_domain::catalogue::MAX_CATALOGUE_BYTES); more, or anything that is no catalogue,
///   is `Corrupt`.
/// - A node that publishes none fails with `Rejected`; one that cannot be reached with `Unavailable` or `Timeout`.
/// - Nothing that the catalogue says is checked: that is the caller's.
#[async_trait]
pub trait CatalogueSource: Send + Sync + 'static {
    /// The catalogue of the node at `url`. Whoever answers there may have any certificate: the catalogue proves itself.
    async fn catalogue_of(&self, url: &str) -> Result<SignedCatalogue, PortError>;
}

/// What became of asking a node for its catalogue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// This is what it publishes.
    Published(Arc<Catalogue>),
    /// It publishes nothing.
    Nothing,
    /// It cannot be asked now, and why.
    Away(String),
    /// What it shows is not believed, and why.
    Doubted(String),
}

/// A node on the record, and what it publishes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeListing {
    /// Where it stands on the record.
    pub address: Address,
    /// Its name there.
    pub name: String,
    /// Its url there.
    pub url: String,
    /// Who runs it: as the roster or a pin says, or else as its card claims.
    pub organisation: Option<String>,
    /// Whether roster or pins vouch for it.
    pub vouched: bool,
    /// Whether it is this node itself.
    pub own: bool,
    /// Its catalogue.
    pub found: Found,
}

/// What the nodes of the network publish.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NetworkListing {
    /// Each node that was asked.
    pub nodes: Vec<NodeListing>,
    /// Nodes on the record that were not asked, because there are too many.
    pub unasked: u64,
}

/// A dataset of this node, for its owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnDataset {
    /// Its name.
    pub name: DatasetName,
    /// What it is, in plain words.
    pub description: String,
    /// Whether tasks can read it.
    pub usable: bool,
    /// Whether it has rules of its own.
    pub ruled: bool,
    /// When its owner is asked.
    pub approval: ApprovalMode,
    /// Whether it stands in this node's catalogue.
    pub published: bool,
}
