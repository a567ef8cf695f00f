//! Answers of databases, kept as files that tasks read: the node's datasets that are queries of their owner.

use async_trait::async_trait;

use super::PortError;
use delta_domain::ids::DatasetName;
use delta_domain::query::Query;
use delta_domain::time::Timestamp;

/// An answer that was kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Its rows.
    pub rows: u64,
    /// Its columns, in their order, each with what it is.
    pub columns: Vec<(String, String)>,
    /// The length of its file, in bytes.
    pub bytes: u64,
    /// Whether it differs from the one before. One that does not leaves the file as it was, with its version.
    pub changed: bool,
}

/// What is kept under a dataset's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// Nothing.
    Nothing,
    /// The answer to the query, and when the database was last asked with success, whether or not the answer was a new one.
    Answer(Timestamp),
    /// The answer to another query.
    Another,
}

/// Whether a new answer may take the place of the one before, asked when it is whole.
pub type MayReplace<'m> = &'m (dyn Fn() -> bool + Send + Sync);

/// The way to an owner's databases.
///
/// Obligations on implementers:
/// - The file of a dataset is one whole answer at any time, also after the machine lost its power: the one before or the new one.
/// - Everything of an answer is as the database had it at one moment, and nothing can be changed there.
/// - What a query may not or cannot be is `Rejected`, a database that cannot be reached now `Unavailable`, one that is too slow `Timeout`;
///   no message has a password in it. What a cell holds may be in a message: it is for the owner alone.
/// - Two processes that ask for the same dataset at once do so one after the other.
/// - A file that is no answer is the owner's own: it is never replaced or removed (`Rejected`).
#[async_trait]
pub trait Snapshots: Send + Sync + 'static {
    /// Asks the database, and keeps what it answers as the file of `name`. Where it may not be replaced any more when the answer is whole,
    /// everything stays as it was (`Conflict`).
    async fn take(
        &self,
        name: &DatasetName,
        query: &Query,
        may_replace: MayReplace<'_>,
    ) -> Result<Snapshot, PortError>;

    /// What is kept of a query, with the time of the file system's clock.
    async fn kept(&self, name: &DatasetName, query: &Query) -> Result<Kept, PortError>;

    /// Removes the answer to another query, so that nobody takes it for one to this, whose answer stays. `Unavailable` while somebody asks.
    async fn withdraw(&self, name: &DatasetName, query: &Query) -> Result<(), PortError>;
}

/// Where no dataset is a query.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoDatabases;

#[async_trait]
impl Snapshots for NoDatabases {
    async fn take(
        &self,
        name: &DatasetName,
        _query: &Query,
        _may_replace: MayReplace<'_>,
    ) -> Result<Snapshot, PortError> {
        Err(PortError::new(
            super::PortErrorKind::Unsupported,
            "snapshots.take",
            format!("{name} is a query, and there is no way to databases here"),
        ))
    }

    async fn kept(&self, _name: &DatasetName, _query: &Query) -> Result<Kept, PortError> {
        Ok(Kept::Nothing)
    }

    async fn withdraw(&self, _name: &DatasetName, _query: &Query) -> Result<(), PortError> {
        Ok(())
    }
}
