//! Small file-system acts that blobs and the node key share: private files, durable renames, errors in the port's words.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use delta_ports::{PortError, PortErrorKind};

/// Every temporary file's name begins with this. No blob's name has a part that begins with a dot.
pub(super) const TEMP_PREFIX: &str = ".tmp-";

static TEMP_NUMBER: AtomicU64 = AtomicU64::new(0);

/// Runs file-system work away from the runtime's own threads.
pub(super) async fn blocking<T, F>(op: &'static str, work: F) -> Result<T, PortError>
where
    T: Send + 'static,
    F: FnOnce() -> Result<T, PortError> + Send + 'static,
{
    match tokio::task::spawn_blocking(work).await {
        Ok(outcome) => outcome,
        Err(error) => Err(
            PortError::new(PortErrorKind::Internal, op, "work on a file broke off")
                .with_source(error),
        ),
    }
}

/// A failed act on `path`.
pub(super) fn io_error(op: &'static str, act: &str, path: &Path, error: io::Error) -> PortError {
    let kind = match error.kind() {
        io::ErrorKind::NotFound => PortErrorKind::NotFound,
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            PortErrorKind::Denied
        }
        io::ErrorKind::StorageFull
        | io::ErrorKind::QuotaExceeded
        | io::ErrorKind::FileTooLarge
        | io::ErrorKind::OutOfMemory => PortErrorKind::Exhausted,
        // ENFILE, EMFILE: std has no stable name for them.
        _ if matches!(error.raw_os_error(), Some(23 | 24)) => PortErrorKind::Exhausted,
        _ => PortErrorKind::Unavailable,
    };
    PortError::new(kind, op, format!("cannot {act} {}", path.display())).with_source(error)
}

/// Refuses a file with a secret that other users can read or change; `what` names the secret.
pub(super) fn check_private(
    op: &'static str,
    what: &str,
    path: &Path,
    file: &File,
) -> Result<(), PortError> {
    let metadata = file
        .metadata()
        .map_err(|e| io_error(op, &format!("read the {what}"), path, e))?;
    let mode = metadata.permissions().mode() & 0o7777;
    if mode & 0o077 == 0 {
        return Ok(());
    }
    Err(PortError::new(
        PortErrorKind::Denied,
        op,
        format!(
            "other users can read or change the {what} {} (mode {mode:o}): run `chmod 600` on it",
            path.display()
        ),
    ))
}

/// A new file that only its owner can read. It goes away when dropped, unless it was given its name.
#[derive(Debug)]
pub(super) struct TempFile {
    path: PathBuf,
    file: File,
    keep: bool,
}

impl TempFile {
    /// A new, empty one in `folder`, under a name that nothing had.
    pub(super) fn create(folder: &Path) -> io::Result<Self> {
        loop {
            let number = TEMP_NUMBER.fetch_add(1, Ordering::Relaxed);
            let path = folder.join(format!("{TEMP_PREFIX}{}-{number}", std::process::id()));
            match OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&path)
            {
                Ok(file) => {
                    return Ok(Self {
                        path,
                        file,
                        keep: false,
                    });
                }
                // Left over from an earlier process with the same id.
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
                Err(e) => return Err(e),
            }
        }
    }

    pub(super) fn file(&mut self) -> &mut File {
        &mut self.file
    }

    /// Gives it its name, in place of what had it, for as long as the machine has power.
    pub(super) fn rename(mut self, to: &Path) -> io::Result<()> {
        std::fs::rename(&self.path, to)?;
        self.keep = true;
        Ok(())
    }

    /// Makes the content durable and gives it its name, in place of what had it.
    pub(super) fn persist(mut self, to: &Path) -> io::Result<()> {
        self.file.sync_all()?;
        std::fs::rename(&self.path, to)?;
        self.keep = true;
        sync_parent(to)
    }

    /// The same, unless something has the name already: `AlreadyExists`.
    pub(super) fn persist_new(self, to: &Path) -> io::Result<()> {
        self.file.sync_all()?;
        // The temporary name goes on drop, the link stays.
        std::fs::hard_link(&self.path, to)?;
        sync_parent(to)
    }
}

impl Drop for TempFile {
    fn drop(&mut self) {
        if !self.keep {
            // Best effort: the next start cleans up.
            drop(std::fs::remove_file(&self.path));
        }
    }
}

/// Makes a folder and those above it, for the owner only. Durable before it returns.
pub(super) fn make_folder(folder: &Path) -> io::Result<()> {
    if folder.as_os_str().is_empty() || folder.is_dir() {
        return Ok(());
    }
    if let Some(parent) = folder.parent() {
        make_folder(parent)?;
    }
    match DirBuilder::new().mode(0o700).create(folder) {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists && folder.is_dir() => Ok(()),
        Err(e) => Err(e),
        Ok(()) => sync_parent(folder),
    }
}

/// Makes the names in the folder of `path` durable.
pub(super) fn sync_parent(path: &Path) -> io::Result<()> {
    let parent = path
        .parent()
        .filter(|p| !p.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    File::open(parent)?.sync_all()
}

/// Nothing there: also when a part of the way is a file.
pub(super) fn is_absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}
