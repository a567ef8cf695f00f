//! Blobs as files below one folder, in the original's layout.
//!
//! A file is the content and, behind it, a seal: digest of the content, its length, a mark that tells the hash function. Content and digest change in one rename,
//! which two files could not; tools that open `.npy`, `.npz` and `.delta` files do not mind the 48 bytes behind them.
//! A new content is written beside the old one, made durable, then renamed. Leftovers of a crash are removed at the next start,
//! if no other process has the folder open.
//!
//! Memory: a writer holds the pieces that arrived, up to two batches of 1 MiB and one piece; a reader holds one piece.

mod layout;
mod read;
mod write;

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Component, Path, PathBuf};

use async_trait::async_trait;

use super::files::{TEMP_PREFIX, blocking, io_error, is_absent, make_folder, sync_parent};
use delta_ports::blob::{BlobInfo, BlobName, BlobStore, ByteStream};
use delta_ports::{PortError, PortErrorKind};

/// Held open, and locked, as long as the store is. Begins with a dot, so no blob has this name.
const LOCK_FILE: &str = ".lock";

/// Blobs as files below one folder, which this process has open.
#[derive(Debug)]
pub struct FileBlobs {
    root: PathBuf,
    /// A shared lock: whoever gets an exclusive one knows that no process is in the middle of a write.
    _lock: File,
}

impl FileBlobs {
    /// Opens the store below `root`; makes the folder if need be, removes what a crash left behind.
    ///
    /// # Errors
    /// `Denied` without permission, `Exhausted` or `Unavailable` when the disk has no room or fails.
    pub async fn open(root: &Path) -> Result<Self, PortError> {
        const OP: &str = "blob.open_store";
        let root = root.to_owned();
        blocking(OP, move || {
            let lock =
                open_blocking(&root).map_err(|e| io_error(OP, "use the folder", &root, e))?;
            Ok(Self { root, _lock: lock })
        })
        .await
    }

    /// Where a blob is. Names are made of checked parts; this looks again, because everything depends on it.
    fn path(&self, op: &'static str, name: &BlobName) -> Result<PathBuf, PortError> {
        let relative = Path::new(name.as_str());
        let plain = |part: &OsStr| !part.as_encoded_bytes().starts_with(b".");
        if name.as_str().is_empty()
            || !relative
                .components()
                .all(|c| matches!(c, Component::Normal(part) if plain(part)))
        {
            return Err(PortError::new(
                PortErrorKind::Denied,
                op,
                format!("{name} is not a blob's name"),
            ));
        }
        Ok(self.root.join(relative))
    }
}

#[async_trait]
impl BlobStore for FileBlobs {
    async fn put(
        &self,
        name: &BlobName,
        content: ByteStream,
        limit: u64,
    ) -> Result<BlobInfo, PortError> {
        const OP: &str = "blob.put";
        write::put(OP, self.path(OP, name)?, name, content, limit).await
    }

    async fn open(&self, name: &BlobName) -> Result<(u64, ByteStream), PortError> {
        const OP: &str = "blob.open";
        let path = self.path(OP, name)?;
        let blob = blocking(OP, move || read::open(OP, path)).await?;
        Ok((blob.len(), Box::pin(read::BlobStream::new(OP, blob))))
    }

    async fn read(&self, name: &BlobName, limit: u64) -> Result<Vec<u8>, PortError> {
        const OP: &str = "blob.read";
        let path = self.path(OP, name)?;
        blocking(OP, move || read::open(OP, path)?.read_all(OP, limit)).await
    }

    async fn exists(&self, name: &BlobName) -> Result<bool, PortError> {
        const OP: &str = "blob.exists";
        let path = self.path(OP, name)?;
        blocking(OP, move || match fs::symlink_metadata(&path) {
            Ok(found) => Ok(found.is_file()),
            Err(e) if is_absent(&e) => Ok(false),
            Err(e) => Err(io_error(OP, "look at", &path, e)),
        })
        .await
    }

    async fn rename(&self, from: &BlobName, to: &BlobName) -> Result<(), PortError> {
        const OP: &str = "blob.rename";
        let (from, to) = (self.path(OP, from)?, self.path(OP, to)?);
        blocking(OP, move || {
            rename_blocking(&from, &to).map_err(|e| io_error(OP, "rename", &from, e))
        })
        .await
    }

    async fn room(&self) -> Result<Option<u64>, PortError> {
        const OP: &str = "blob.room";
        let root = self.root.clone();
        blocking(OP, move || {
            let found = rustix::fs::statvfs(&root);
            let found = found.map_err(|e| io_error(OP, "measure", &root, e.into()))?;
            Ok(Some(found.f_bavail.saturating_mul(found.f_frsize)))
        })
        .await
    }

    async fn remove(&self, name: &BlobName) -> Result<(), PortError> {
        const OP: &str = "blob.remove";
        let path = self.path(OP, name)?;
        blocking(OP, move || match remove_blocking(&path) {
            Err(e) if !is_absent(&e) => Err(io_error(OP, "remove", &path, e)),
            _ => Ok(()),
        })
        .await
    }
}

fn open_blocking(root: &Path) -> io::Result<File> {
    make_folder(root)?;
    let lock = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(root.join(LOCK_FILE))?;
    if lock.try_lock().is_ok() {
        remove_leftovers(root)?;
    }
    lock.lock_shared()?;
    Ok(lock)
}

/// Removes temporary files everywhere below `folder`. Links are not followed.
fn remove_leftovers(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            remove_leftovers(&entry.path())?;
        } else if kind.is_file()
            && entry
                .file_name()
                .as_encoded_bytes()
                .starts_with(TEMP_PREFIX.as_bytes())
        {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

fn rename_blocking(from: &Path, to: &Path) -> io::Result<()> {
    if !fs::symlink_metadata(from)?.is_file() {
        return Err(io::ErrorKind::NotFound.into());
    }
    if let Some(folder) = to.parent() {
        make_folder(folder)?;
    }
    fs::rename(from, to)?;
    sync_parent(to)?;
    sync_parent(from)
}

fn remove_blocking(path: &Path) -> io::Result<()> {
    // A link is removed, not followed.
    if fs::symlink_metadata(path)?.is_dir() {
        fs::remove_dir_all(path)
    } else {
        fs::remove_file(path)
    }
}
