//! Where the owner's journal is kept: lines, one after the other, never changed.

use async_trait::async_trait;

use super::PortError;

/// The lines of a journal. What they say, and how they hang together, is the domain's (`policy::audit`).
///
/// Obligations on implementers:
/// - What `append` acknowledges survives kill -9 of the process, as one whole line after those before it.
/// - A line that was being written when the process was killed is not there, or is there whole.
/// - Nobody but the node's user can read it.
#[async_trait]
pub trait Journal: Send + Sync + 'static {
    /// Adds one line, without its end.
    async fn append(&self, line: String) -> Result<(), PortError>;
    /// At most `most` lines after the first `skip`; none when there are no more.
    async fn read(&self, skip: u64, most: usize) -> Result<Vec<String>, PortError>;
}
