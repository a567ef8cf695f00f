//! Reading a blob and judging it: nobody gets a changed content to its end.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_core::Stream;
use tokio::task::JoinHandle;

use super::layout::{BATCH_BYTES, SEAL_BYTES, Seal};
use crate::files::{io_error, is_absent};
use delta_domain::hash::RunningDigest;
use delta_ports::{PortError, PortErrorKind};

/// A blob that is being read, from its beginning.
#[derive(Debug)]
pub(super) struct OpenBlob {
    path: PathBuf,
    file: File,
    seal: Seal,
    left: u64,
    running: RunningDigest,
}

/// Opens a blob and checks its length.
pub(super) fn open(op: &'static str, path: PathBuf) -> Result<OpenBlob, PortError> {
    match open_file(&path) {
        Ok(Some((file, seal))) => Ok(OpenBlob {
            path,
            file,
            seal,
            left: seal.len,
            running: seal.hash.start(),
        }),
        Ok(None) => Err(changed(op, &path)),
        Err(e) if is_absent(&e) => Err(PortError::new(
            PortErrorKind::NotFound,
            op,
            format!("{} does not exist", path.display()),
        )),
        Err(e) => Err(io_error(op, "open", &path, e)),
    }
}

/// `None` when the file does not end in the seal of a content of its length.
fn open_file(path: &Path) -> io::Result<Option<(File, Seal)>> {
    let mut file = File::open(path)?;
    let meta = file.metadata()?;
    if !meta.is_file() {
        return Err(io::ErrorKind::NotFound.into());
    }
    let Some(len) = meta.len().checked_sub(SEAL_BYTES) else {
        return Ok(None);
    };
    let mut bytes = [0; 48];
    file.seek(SeekFrom::Start(len))?;
    file.read_exact(&mut bytes)?;
    file.seek(SeekFrom::Start(0))?;
    Ok(Seal::decode(&bytes)
        .filter(|seal| seal.len == len)
        .map(|seal| (file, seal)))
}

fn changed(op: &'static str, path: &Path) -> PortError {
    PortError::new(
        PortErrorKind::Corrupt,
        op,
        format!("{} was changed or damaged", path.display()),
    )
}

impl OpenBlob {
    pub(super) fn len(&self) -> u64 {
        self.seal.len
    }

    pub(super) fn read_all(mut self, op: &'static str, limit: u64) -> Result<Vec<u8>, PortError> {
        if self.seal.len > limit {
            return Err(PortError::new(
                PortErrorKind::Rejected,
                op,
                format!(
                    "{} has {} bytes, more than {limit}",
                    self.path.display(),
                    self.seal.len
                ),
            ));
        }
        let len = usize::try_from(self.seal.len).map_err(|_| {
            PortError::new(
                PortErrorKind::Exhausted,
                op,
                "a blob does not fit the memory",
            )
        })?;
        self.take(op, len)
    }

    /// The next piece; the last one comes only if the whole content is right. `None` at the end.
    fn next(&mut self, op: &'static str) -> Result<Option<Bytes>, PortError> {
        if self.left == 0 && self.seal.len > 0 {
            return Ok(None);
        }
        let len = usize::try_from(self.left).map_or(BATCH_BYTES, |left| left.min(BATCH_BYTES));
        let piece = self.take(op, len)?;
        Ok(Some(piece.into()).filter(|p: &Bytes| !p.is_empty()))
    }

    /// The next `len` bytes, of those that are left: read to where nothing was written before.
    fn take(&mut self, op: &'static str, len: usize) -> Result<Vec<u8>, PortError> {
        let mut piece = Vec::with_capacity(len);
        let read = (&self.file).take(len as u64).read_to_end(&mut piece);
        read.map_err(|e| io_error(op, "read", &self.path, e))?;
        if piece.len() < len {
            return Err(changed(op, &self.path));
        }
        self.running.update(&piece);
        self.left -= len as u64;
        if self.left == 0 && self.running.clone().finish() != self.seal.digest {
            return Err(changed(op, &self.path));
        }
        Ok(piece)
    }
}

/// A blob as a stream: one piece is read at a time, on a thread for such work, when somebody asks for it.
pub(super) struct BlobStream {
    op: &'static str,
    state: State,
}

type Piece = (Result<Option<Bytes>, PortError>, OpenBlob);

enum State {
    Idle(Box<OpenBlob>),
    Reading(JoinHandle<Piece>),
    Done,
}

impl BlobStream {
    pub(super) fn new(op: &'static str, blob: OpenBlob) -> Self {
        Self {
            op,
            state: State::Idle(Box::new(blob)),
        }
    }
}

impl Stream for BlobStream {
    type Item = Result<Bytes, PortError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        let op = this.op;
        loop {
            match std::mem::replace(&mut this.state, State::Done) {
                State::Done => return Poll::Ready(None),
                State::Idle(mut blob) => {
                    this.state = State::Reading(tokio::task::spawn_blocking(move || {
                        let piece = blob.next(op);
                        (piece, *blob)
                    }));
                }
                State::Reading(mut handle) => {
                    let Poll::Ready(outcome) = Pin::new(&mut handle).poll(cx) else {
                        this.state = State::Reading(handle);
                        return Poll::Pending;
                    };
                    return Poll::Ready(match outcome {
                        Ok((Ok(Some(piece)), blob)) => {
                            this.state = State::Idle(Box::new(blob));
                            Some(Ok(piece))
                        }
                        Ok((Ok(None), _)) => None,
                        Ok((Err(error), _)) => Some(Err(error)),
                        Err(error) => Some(Err(PortError::new(
                            PortErrorKind::Internal,
                            op,
                            "reading a blob broke off",
                        )
                        .with_source(error))),
                    });
                }
            }
        }
    }
}
