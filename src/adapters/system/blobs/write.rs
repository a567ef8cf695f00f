//! Writing a blob: stream to a temporary file, seal, rename.

use std::future::poll_fn;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use bytes::Bytes;

use super::layout::{BATCH_BYTES, Seal};
use crate::files::{TempFile, blocking, io_error, make_folder};
use delta_domain::hash::{HashFunction, RunningDigest};
use delta_ports::blob::{BlobInfo, BlobName, ByteStream};
use delta_ports::{PortError, PortErrorKind};

/// Bytes after which the disk is asked to take what was written: at the end little is left to wait for.
const EARLY_BYTES: usize = 32 << 20;

/// A file that grows. Dropped half-way, it is gone.
struct Growing {
    temp: TempFile,
    running: RunningDigest,
    hash: HashFunction,
    /// Bytes since the disk was asked last.
    waiting: usize,
    /// The disk at work; what it says counts, because it says it once.
    early: Option<JoinHandle<io::Result<()>>>,
}

/// What is to be written, and where.
struct Target {
    op: &'static str,
    path: PathBuf,
    hash: HashFunction,
    passing: bool,
}

/// Pieces of a content that are written together.
#[derive(Default)]
struct Batch {
    pieces: Vec<Bytes>,
    /// Whether nothing comes behind it.
    last: bool,
}

/// A content as it comes, within its bound.
struct Coming {
    content: ByteStream,
    limit: u64,
    len: u64,
}

impl Coming {
    async fn next(&mut self, op: &'static str) -> Result<Batch, PortError> {
        let mut batch = Batch::default();
        let mut bytes = 0;
        while let Some(piece) = poll_fn(|cx| self.content.as_mut().poll_next(cx)).await {
            let piece = piece?;
            self.len = self.len.saturating_add(piece.len() as u64);
            if self.len > self.limit {
                return Err(PortError::new(
                    PortErrorKind::Rejected,
                    op,
                    format!("the content is larger than {} bytes", self.limit),
                ));
            }
            bytes += piece.len();
            batch.pieces.push(piece);
            // Many tiny pieces cost memory of their own: they count as 64 bytes at least.
            if bytes.max(batch.pieces.len() * 64) >= BATCH_BYTES {
                return Ok(batch);
            }
        }
        batch.last = true;
        Ok(batch)
    }
}

pub(super) async fn put(
    op: &'static str,
    path: PathBuf,
    name: &BlobName,
    content: ByteStream,
    limit: u64,
) -> Result<BlobInfo, PortError> {
    let target = Arc::new(Target {
        op,
        path,
        hash: name.hash_function(),
        passing: name.is_passing(),
    });
    let mut coming = Coming {
        content,
        limit,
        len: 0,
    };
    let mut growing = None;
    let mut batch = coming.next(op).await?;
    while !batch.last {
        let here = target.clone();
        let writing = blocking(op, move || {
            append(growing, &here, &batch.pieces).map_err(|e| here.failed(e))
        });
        // One batch is hashed and written while the next one comes.
        let (written, next) = tokio::join!(writing, coming.next(op));
        growing = Some(written?);
        batch = next?;
    }
    let len = coming.len;
    blocking(op, move || {
        append(growing, &target, &batch.pieces)
            .and_then(|g| finish(g, &target, len))
            .map_err(|e| target.failed(e))
    })
    .await
}

impl Target {
    fn failed(&self, error: io::Error) -> PortError {
        io_error(self.op, "write", &self.path, error)
    }
}

fn append(growing: Option<Growing>, target: &Target, pieces: &[Bytes]) -> io::Result<Growing> {
    let mut growing = match growing {
        Some(growing) => growing,
        None => start(&target.path, target.hash)?,
    };
    for piece in pieces {
        growing.running.update(piece);
        growing.temp.file().write_all(piece)?;
        growing.waiting = growing.waiting.saturating_add(piece.len());
    }
    if !target.passing && growing.waiting >= EARLY_BYTES {
        growing.ask_the_disk()?;
    }
    Ok(growing)
}

impl Growing {
    /// Has the disk take what was written, beside what is written next; unless it is still at the last time.
    fn ask_the_disk(&mut self) -> io::Result<()> {
        if self
            .early
            .as_ref()
            .is_some_and(|early| !early.is_finished())
        {
            return Ok(());
        }
        self.wait_for_the_disk()?;
        let file = self.temp.file().try_clone()?;
        let early = thread::Builder::new().name("sync".to_owned());
        self.early = Some(early.spawn(move || file.sync_data())?);
        self.waiting = 0;
        Ok(())
    }

    /// What it says of what it was asked to take.
    fn wait_for_the_disk(&mut self) -> io::Result<()> {
        match self.early.take().map(JoinHandle::join) {
            None => Ok(()),
            Some(Ok(said)) => said,
            Some(Err(_)) => Err(io::Error::other(
                "a thread that waited for the disk has ended",
            )),
        }
    }
}

fn start(path: &Path, hash: HashFunction) -> io::Result<Growing> {
    let folder = path.parent().unwrap_or(Path::new(""));
    make_folder(folder)?;
    Ok(Growing {
        temp: TempFile::create(folder)?,
        running: hash.start(),
        hash,
        waiting: 0,
        early: None,
    })
}

fn finish(mut growing: Growing, target: &Target, len: u64) -> io::Result<BlobInfo> {
    growing.wait_for_the_disk()?;
    let (hash, digest) = (growing.hash, growing.running.finish());
    growing
        .temp
        .file()
        .write_all(&Seal { hash, digest, len }.encode())?;
    if target.passing {
        growing.temp.rename(&target.path)?;
    } else {
        growing.temp.persist(&target.path)?;
    }
    Ok(BlobInfo { len, digest })
}
