//! Blobs in a map, written from nothing but the port's documentation.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use bytes::Bytes;
use delta_domain::hash::HashFunction;
use delta_domain::ids::Digest;
use delta_ports::blob::{BlobInfo, BlobName, BlobStore, ByteStream};
use delta_ports::{PortError, PortErrorKind};
use futures_util::{StreamExt as _, stream};

type Blobs = BTreeMap<String, (Vec<u8>, HashFunction, Digest)>;

/// The blobs, by name, each with the digest of what was put.
#[derive(Clone, Default)]
pub struct Shelf(Arc<Mutex<Blobs>>);

impl Shelf {
    /// Changes the first byte of a blob.
    pub fn scratch(&self, name: &BlobName) {
        if let Some((bytes, ..)) = self.blobs().get_mut(name.as_str()) {
            bytes[0] ^= 0xff;
        }
    }

    fn blobs(&self) -> MutexGuard<'_, Blobs> {
        self.0.lock().unwrap_or_else(|e| e.into_inner())
    }
}

fn error(kind: PortErrorKind, name: &BlobName) -> PortError {
    PortError::new(kind, "shelf", name.to_string())
}

#[async_trait]
impl BlobStore for Shelf {
    async fn put(
        &self,
        name: &BlobName,
        mut content: ByteStream,
        limit: u64,
    ) -> Result<BlobInfo, PortError> {
        let mut bytes = Vec::new();
        while let Some(piece) = content.next().await {
            bytes.extend_from_slice(&piece?);
            if bytes.len() as u64 > limit {
                return Err(error(PortErrorKind::Rejected, name));
            }
        }
        let (len, digest) = (bytes.len() as u64, name.hash_function().of(&bytes));
        self.blobs().insert(
            name.as_str().to_owned(),
            (bytes, name.hash_function(), digest),
        );
        Ok(BlobInfo { len, digest })
    }

    async fn open(&self, name: &BlobName) -> Result<(u64, ByteStream), PortError> {
        let (mut bytes, hash, digest) = self
            .blobs()
            .get(name.as_str())
            .cloned()
            .ok_or_else(|| error(PortErrorKind::NotFound, name))?;
        let len = bytes.len() as u64;
        if hash.of(&bytes) == digest {
            let content = stream::once(async move { Ok(Bytes::from(bytes)) });
            return Ok((len, content.boxed()));
        }
        // Damage is no reason to give nothing, only not to give everything.
        bytes.pop();
        let pieces = [
            Ok(Bytes::from(bytes)),
            Err(error(PortErrorKind::Corrupt, name)),
        ];
        Ok((len, stream::iter(pieces).boxed()))
    }

    async fn read(&self, name: &BlobName, limit: u64) -> Result<Vec<u8>, PortError> {
        let (len, mut content) = self.open(name).await?;
        if len > limit {
            return Err(error(PortErrorKind::Rejected, name));
        }
        let mut bytes = Vec::new();
        while let Some(piece) = content.next().await {
            bytes.extend_from_slice(&piece?);
        }
        Ok(bytes)
    }

    async fn exists(&self, name: &BlobName) -> Result<bool, PortError> {
        Ok(self.blobs().contains_key(name.as_str()))
    }

    async fn rename(&self, from: &BlobName, to: &BlobName) -> Result<(), PortError> {
        let mut blobs = self.blobs();
        let blob = blobs
            .remove(from.as_str())
            .ok_or_else(|| error(PortErrorKind::NotFound, from))?;
        blobs.insert(to.as_str().to_owned(), blob);
        Ok(())
    }

    async fn remove(&self, name: &BlobName) -> Result<(), PortError> {
        let below = format!("{name}/");
        self.blobs()
            .retain(|other, _| other != name.as_str() && !other.starts_with(&below));
        Ok(())
    }
}
