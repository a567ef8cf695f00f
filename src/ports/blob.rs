//! Large values on disk: bundles, masked results, variables, results.

use std::fmt;
use std::pin::Pin;

use async_trait::async_trait;
use bytes::Bytes;
use futures_core::Stream;
use futures_util::StreamExt as _;

use super::{PortError, PortErrorKind};
use delta_domain::hash::HashFunction;
use delta_domain::ids::{Address, Digest, Name, RoundNumber, TaskId};
use delta_domain::secagg::commitment::UPLOAD_HASH;

/// Bytes in pieces, so that nothing large is ever held whole. An `Err` item is the last one.
pub type ByteStream = Pin<Box<dyn Stream<Item = Result<Bytes, PortError>> + Send>>;

/// How large the pieces of [`pieces`] are, in bytes.
const PIECE: usize = 64 << 10;

/// A stream over bytes in memory.
#[must_use]
pub fn pieces(bytes: Vec<u8>) -> ByteStream {
    let bytes = Bytes::from(bytes);
    let count = bytes.len().div_ceil(PIECE);
    Box::pin(futures_util::stream::iter((0..count).map(move |i| {
        let end = ((i + 1) * PIECE).min(bytes.len());
        Ok(bytes.slice(i * PIECE..end))
    })))
}

/// Reads a stream whole, at most `limit` bytes.
///
/// # Errors
/// `Rejected` beyond `limit`, and whatever the stream fails with.
pub async fn collect(
    mut stream: ByteStream,
    limit: u64,
    op: &'static str,
) -> Result<Vec<u8>, PortError> {
    let mut out = Vec::new();
    while let Some(piece) = stream.next().await {
        let piece = piece?;
        if (out.len() as u64).saturating_add(piece.len() as u64) > limit {
            return Err(PortError::new(
                PortErrorKind::Rejected,
                op,
                format!("more than {limit} bytes"),
            ));
        }
        out.extend_from_slice(&piece);
    }
    Ok(out)
}

/// Where a blob lives: a relative path made of checked parts only. The layout is the original's data folder.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlobName {
    path: String,
    hash: HashFunction,
    passing: bool,
}

impl BlobName {
    fn new(path: String) -> Self {
        Self {
            path,
            hash: HashFunction::Sha256,
            passing: false,
        }
    }

    /// A masked result's, whose digest is the commitment on record.
    fn of_result(path: String) -> Self {
        Self {
            path,
            hash: UPLOAD_HASH,
            passing: false,
        }
    }

    /// What is as large as a model and is read again and again, or while a round waits: whether the disk has kept it is found out fast.
    /// What others know it by, if anything, is made beside.
    fn of_many_readers(path: String) -> Self {
        Self {
            path,
            hash: HashFunction::Blake3,
            passing: false,
        }
    }

    /// A submitted bundle that has no task id yet.
    #[must_use]
    pub fn submitted(local_id: i64) -> Self {
        Self::new(format!("submitted/{local_id}.delta"))
    }

    /// The first value of a server variable of a task that has no id yet.
    #[must_use]
    pub fn submitted_variable(local_id: i64, name: &Name) -> Self {
        Self::of_many_readers(format!("submitted/{local_id}/variables/{name}.npy"))
    }

    /// Everything that was made of a submitted bundle while its task has no id yet.
    #[must_use]
    pub fn submitted_files(local_id: i64) -> Self {
        Self::new(format!("submitted/{local_id}"))
    }

    /// A bundle while its author sends it and while it is checked.
    #[must_use]
    pub fn submission(number: u64) -> Self {
        Self::new(format!("submitted/incoming/{number:016x}.delta"))
    }

    /// All bundles that were being sent or checked: what is left of them at a start is nobody's.
    #[must_use]
    pub fn submissions() -> Self {
        Self::new("submitted/incoming".to_owned())
    }

    /// A task's bundle as its coordinator keeps it.
    #[must_use]
    pub fn coordinator_bundle(task: &TaskId) -> Self {
        Self::new(format!("coord/{task}/task.config"))
    }

    /// A server variable as of the beginning of a step.
    #[must_use]
    pub fn server_variable(task: &TaskId, step: u32, name: &Name) -> Self {
        Self::of_many_readers(format!("coord/{task}/variables/{step}/{name}.npy"))
    }

    /// A member's masked result as uploaded.
    #[must_use]
    pub fn masked_result(task: &TaskId, round: RoundNumber, member: &Address) -> Self {
        Self::of_result(format!("coord/{task}/{round}/result/{member}.result"))
    }

    /// This blob while it is arriving and nobody knows yet whether it is what it says.
    #[must_use]
    pub fn incoming(&self, announced: &Digest) -> Self {
        let path = format!("{}.{}.incoming", self.path, &announced.to_string()[2..18]);
        Self {
            path,
            hash: self.hash,
            passing: self.passing,
        }
    }

    /// The sum of a round's contributions, ready for the reduce.
    #[must_use]
    pub fn aggregate(task: &TaskId, round: RoundNumber) -> Self {
        Self::of_many_readers(format!("coord/{task}/{round}/aggregate.npz"))
    }

    /// A task's result for its user.
    #[must_use]
    pub fn task_result(task: &TaskId) -> Self {
        Self::new(format!("coord/{task}/task.result"))
    }

    /// The certificate of a task's result.
    #[must_use]
    pub fn certificate(task: &TaskId) -> Self {
        Self::new(format!("coord/{task}/task.certificate"))
    }

    /// A task's bundle as a member downloaded it.
    #[must_use]
    pub fn runner_bundle(task: &TaskId) -> Self {
        Self::new(format!("runner/{task}/task.config"))
    }

    /// A member's masked result before it leaves.
    #[must_use]
    pub fn own_masked_result(task: &TaskId, round: RoundNumber) -> Self {
        Self {
            passing: true,
            ..Self::of_result(format!("runner/{task}/{round}/masked.result"))
        }
    }

    /// A member's own variables as of the beginning of a step.
    #[must_use]
    pub fn client_state(task: &TaskId, step: u32) -> Self {
        Self::new(format!("runner/{task}/state/{step}.npz"))
    }

    /// Everything that the coordinator keeps of a round.
    #[must_use]
    pub fn coordinator_round(task: &TaskId, round: RoundNumber) -> Self {
        Self::new(format!("coord/{task}/{round}"))
    }

    /// Everything that a member keeps of a round.
    #[must_use]
    pub fn runner_round(task: &TaskId, round: RoundNumber) -> Self {
        Self::new(format!("runner/{task}/{round}"))
    }

    /// Everything that a member keeps of a task.
    #[must_use]
    pub fn runner_task(task: &TaskId) -> Self {
        Self::new(format!("runner/{task}"))
    }

    /// The relative path, `/` between parts.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.path
    }

    /// Whether it may be lost when the machine loses power: it is needed for a moment, and then only this node's part in one round is
    /// lost with it. What is as large as a model and waits for the disk costs the round more than that is worth.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        self.passing
    }

    /// What its digest is made with.
    #[must_use]
    pub fn hash_function(&self) -> HashFunction {
        self.hash
    }
}

impl fmt::Display for BlobName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.path)
    }
}

impl fmt::Debug for BlobName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BlobName({})", self.path)
    }
}

/// A blob that was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlobInfo {
    /// Its length in bytes.
    pub len: u64,
    /// Of its bytes, by the hash function of its name ([`BlobName::hash_function`]).
    pub digest: Digest,
}

/// Blobs by name.
///
/// Obligations on implementers:
/// - `put` is atomic and durable: after `Ok` the blob survives kill -9 and, unless it [is passing](BlobName::is_passing), the loss of
///   power; before it the old content (or nothing) is there. It replaces.
/// - `put` reads no more than `limit` bytes and fails with `Rejected` when there are more; the old content stays.
/// - `open` and `read` fail with `NotFound` when there is no such blob and `Corrupt` when its content changed behind our back.
/// - Nothing is readable by other users of the machine.
#[async_trait]
pub trait BlobStore: Send + Sync + 'static {
    /// Writes a blob from a stream of at most `limit` bytes.
    async fn put(
        &self,
        name: &BlobName,
        content: ByteStream,
        limit: u64,
    ) -> Result<BlobInfo, PortError>;
    /// Opens a blob for streaming; the length comes with it.
    async fn open(&self, name: &BlobName) -> Result<(u64, ByteStream), PortError>;
    /// Reads a whole blob of at most `limit` bytes.
    async fn read(&self, name: &BlobName, limit: u64) -> Result<Vec<u8>, PortError>;
    /// Whether the blob is there.
    async fn exists(&self, name: &BlobName) -> Result<bool, PortError>;
    /// Gives a blob another name, atomically.
    async fn rename(&self, from: &BlobName, to: &BlobName) -> Result<(), PortError>;
    /// Bytes that the disk has room for now; `None` where nobody counts them.
    async fn room(&self) -> Result<Option<u64>, PortError> {
        Ok(None)
    }
    /// Removes a blob, or everything below a name. Fine when there is nothing.
    async fn remove(&self, name: &BlobName) -> Result<(), PortError>;
}
