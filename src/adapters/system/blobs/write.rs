//! Writing a blob: stream to a temporary file, seal, rename.

use std::future::poll_fn;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::layout::{BATCH_BYTES, Seal};
use crate::files::{TempFile, blocking, io_error, make_folder};
use delta_domain::hash::{HashFunction, RunningDigest};
use delta_ports::blob::{BlobInfo, BlobName, ByteStream};
use delta_ports::{PortError, PortErrorKind};

/// A file that grows. Dropped half-way, it is gone.
struct Growing {
    temp: TempFile,
    running: RunningDigest,
    hash: HashFunction,
}

pub(super) async fn put(
    op: &'static str,
    path: PathBuf,
    name: &BlobName,
    mut content: ByteStream,
    limit: u64,
) -> Result<BlobInfo, PortError> {
    let (hash, passing) = (name.hash_function(), name.is_passing());
    let mut len = 0u64;
    let mut growing = None;
    let mut batch = Vec::new();
    let mut batch_bytes = 0;
    while let Some(piece) = poll_fn(|cx| content.as_mut().poll_next(cx)).await {
        let piece = piece?;
        len = len.saturating_add(piece.len() as u64);
        if len > limit {
            return Err(PortError::new(
                PortErrorKind::Rejected,
                op,
                format!("the content is larger than {limit} bytes"),
            ));
        }
        batch_bytes += piece.len();
        batch.push(piece);
        // Many tiny pieces cost memory of their own: they count as 64 bytes at least.
        if batch_bytes.max(batch.len() * 64) >= BATCH_BYTES {
            let (path, pieces) = (path.clone(), std::mem::take(&mut batch));
            batch_bytes = 0;
            growing = Some(
                blocking(op, move || {
                    append(growing, &path, hash, &pieces)
                        .map_err(|e| io_error(op, "write", &path, e))
                })
                .await?,
            );
        }
    }
    blocking(op, move || {
        append(growing, &path, hash, &batch)
            .and_then(|g| finish(g, &path, len, passing))
            .map_err(|e| io_error(op, "write", &path, e))
    })
    .await
}

fn append(
    growing: Option<Growing>,
    path: &Path,
    hash: HashFunction,
    pieces: &[Bytes],
) -> io::Result<Growing> {
    let mut growing = match growing {
        Some(growing) => growing,
        None => start(path, hash)?,
    };
    for piece in pieces {
        growing.running.update(piece);
        growing.temp.file().write_all(piece)?;
    }
    Ok(growing)
}

fn start(path: &Path, hash: HashFunction) -> io::Result<Growing> {
    let folder = path.parent().unwrap_or(Path::new(""));
    make_folder(folder)?;
    Ok(Growing {
        temp: TempFile::create(folder)?,
        running: hash.start(),
        hash,
    })
}

fn finish(mut growing: Growing, path: &Path, len: u64, passing: bool) -> io::Result<BlobInfo> {
    let (hash, digest) = (growing.hash, growing.running.finish());
    growing
        .temp
        .file()
        .write_all(&Seal { hash, digest, len }.encode())?;
    if passing {
        growing.temp.rename(path)?;
    } else {
        growing.temp.persist(path)?;
    }
    Ok(BlobInfo { len, digest })
}
