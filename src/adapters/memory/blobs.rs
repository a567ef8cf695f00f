//! Blobs in memory, with the semantics of files, failures on demand and damage on demand.
//!
//! Clones are the same store; [`MemoryBlobs::restart`] is what the node's next process sees.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt as _, stream};

use super::faults::{FaultScript, When, lock};
use delta_domain::hash::HashFunction;
use delta_domain::ids::Digest;
use delta_ports::blob::{BlobInfo, BlobName, BlobStore, ByteStream};
use delta_ports::{PortError, PortErrorKind};

/// Small, so that even small blobs come in several pieces.
const PIECE_BYTES: usize = 4096;

/// The blobs of one node of a test.
#[derive(Debug, Clone, Default)]
pub struct MemoryBlobs {
    state: Arc<Mutex<State>>,
    faults: FaultScript,
    process: u64,
}

#[derive(Debug, Default)]
struct State {
    process: u64,
    /// Bytes that all blobs together may have.
    room: Option<u64>,
    blobs: BTreeMap<String, Blob>,
}

#[derive(Debug, Clone)]
struct Blob {
    content: Bytes,
    hash: HashFunction,
    digest: Digest,
}

impl State {
    fn free(&self) -> Option<u64> {
        let taken: u64 = self.blobs.values().map(|b| b.content.len() as u64).sum();
        self.room.map(|room| room.saturating_sub(taken))
    }
}

impl MemoryBlobs {
    /// A store without blobs.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The store as the node's next process sees it. Every other handle fails with `Unavailable` from now on.
    #[must_use]
    pub fn restart(&self) -> Self {
        let mut state = lock(&self.state);
        state.process += 1;
        Self {
            state: Arc::clone(&self.state),
            faults: self.faults.clone(),
            process: state.process,
        }
    }

    /// The next call of `op` (for example `"blob.put"`, or `"*"`) fails with `kind`.
    pub fn fail_next(&self, op: impl Into<String>, when: When, kind: PortErrorKind) {
        self.faults.fail_next(op, when, kind);
    }

    /// From now on all blobs together have at most so many bytes, as on a disk; `None`: as many as they like.
    pub fn holds_at_most(&self, bytes: Option<u64>) {
        lock(&self.state).room = bytes;
    }

    /// The script of planned failures, to count or forget them.
    #[must_use]
    pub fn faults(&self) -> &FaultScript {
        &self.faults
    }

    /// Changes the last byte of a blob behind the store's back; an empty blob grows by one. Says whether there was one.
    pub fn damage(&self, name: &BlobName) -> bool {
        let mut state = lock(&self.state);
        let Some(blob) = state.blobs.get_mut(name.as_str()) else {
            return false;
        };
        let mut content = blob.content.to_vec();
        match content.last_mut() {
            Some(last) => *last ^= 1,
            None => content.push(0),
        }
        blob.content = content.into();
        true
    }

    /// The names of all blobs, in order.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        lock(&self.state).blobs.keys().cloned().collect()
    }

    async fn call<T>(
        &self,
        op: &'static str,
        work: impl FnOnce(&mut State) -> Result<T, PortError> + Send,
    ) -> Result<T, PortError> {
        tokio::task::yield_now().await;
        self.faults.run(op, || {
            let mut state = lock(&self.state);
            if state.process != self.process {
                return Err(PortError::new(
                    PortErrorKind::Unavailable,
                    op,
                    "the store is closed",
                ));
            }
            work(&mut state)
        })
    }

    async fn find(&self, op: &'static str, name: &BlobName) -> Result<Blob, PortError> {
        self.call(op, |s| {
            let blob = s.blobs.get(name.as_str()).cloned();
            blob.ok_or_else(|| {
                PortError::new(
                    PortErrorKind::NotFound,
                    op,
                    format!("{name} does not exist"),
                )
            })
        })
        .await
    }
}

fn check(op: &'static str, name: &BlobName, blob: &Blob) -> Result<(), PortError> {
    if blob.hash.of(&blob.content) == blob.digest {
        Ok(())
    } else {
        Err(PortError::new(
            PortErrorKind::Corrupt,
            op,
            format!("{name} was changed or damaged"),
        ))
    }
}

#[async_trait]
impl BlobStore for MemoryBlobs {
    async fn put(
        &self,
        name: &BlobName,
        mut content: ByteStream,
        limit: u64,
    ) -> Result<BlobInfo, PortError> {
        const OP: &str = "blob.put";
        let mut bytes = BytesMut::new();
        while let Some(piece) = content.next().await {
            let piece = piece?;
            if (bytes.len() as u64).saturating_add(piece.len() as u64) > limit {
                return Err(PortError::new(
                    PortErrorKind::Rejected,
                    OP,
                    format!("the content is larger than {limit} bytes"),
                ));
            }
            bytes.extend_from_slice(&piece);
        }
        let info = BlobInfo {
            len: bytes.len() as u64,
            digest: name.hash_function().of(&bytes),
        };
        self.call(OP, |s| {
            if s.free().is_some_and(|free| free < info.len) {
                let text = format!("cannot write {name}: no room for {} bytes", info.len);
                return Err(PortError::new(PortErrorKind::Exhausted, OP, text));
            }
            s.blobs.insert(
                name.as_str().to_owned(),
                Blob {
                    content: bytes.freeze(),
                    hash: name.hash_function(),
                    digest: info.digest,
                },
            );
            Ok(info)
        })
        .await
    }

    async fn open(&self, name: &BlobName) -> Result<(u64, ByteStream), PortError> {
        const OP: &str = "blob.open";
        let blob = self.find(OP, name).await?;
        let len = blob.content.len();
        let verdict = check(OP, name, &blob);
        // As with a file: all but the last piece come before the verdict.
        let mut pieces: Vec<Result<Bytes, PortError>> = (0..len)
            .step_by(PIECE_BYTES)
            .map(|start| Ok(blob.content.slice(start..len.min(start + PIECE_BYTES))))
            .collect();
        if let Err(error) = verdict {
            pieces.pop();
            pieces.push(Err(error));
        }
        Ok((len as u64, Box::pin(stream::iter(pieces))))
    }

    async fn read(&self, name: &BlobName, limit: u64) -> Result<Vec<u8>, PortError> {
        const OP: &str = "blob.read";
        let blob = self.find(OP, name).await?;
        if blob.content.len() as u64 > limit {
            let text = format!("{name} has {} bytes, more than {limit}", blob.content.len());
            return Err(PortError::new(PortErrorKind::Rejected, OP, text));
        }
        check(OP, name, &blob)?;
        Ok(blob.content.into())
    }

    async fn exists(&self, name: &BlobName) -> Result<bool, PortError> {
        self.call("blob.exists", |s| Ok(s.blobs.contains_key(name.as_str())))
            .await
    }

    async fn rename(&self, from: &BlobName, to: &BlobName) -> Result<(), PortError> {
        const OP: &str = "blob.rename";
        self.call(OP, |s| {
            let blob = s.blobs.remove(from.as_str());
            let blob = blob.ok_or_else(|| {
                PortError::new(
                    PortErrorKind::NotFound,
                    OP,
                    format!("{from} does not exist"),
                )
            })?;
            s.blobs.insert(to.as_str().to_owned(), blob);
            Ok(())
        })
        .await
    }

    async fn remove(&self, name: &BlobName) -> Result<(), PortError> {
        self.call("blob.remove", |s| {
            let below = format!("{}/", name.as_str());
            s.blobs
                .retain(|key, _| key != name.as_str() && !key.starts_with(&below));
            Ok(())
        })
        .await
    }

    async fn room(&self) -> Result<Option<u64>, PortError> {
        self.call("blob.room", |s| Ok(s.free())).await
    }
}
