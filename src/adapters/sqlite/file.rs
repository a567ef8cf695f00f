//! The database file before SQLite sees it: its folder is there, and nobody else can read it.

use std::fs::{self, DirBuilder, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use delta_ports::{PortError, PortErrorKind};

/// Makes the folder (0700) and the file (0600), or takes other users' permissions from an old file.
/// SQLite gives its side files (`-wal`, `-shm`) the permissions of the file.
pub(super) async fn prepare(op: &'static str, path: &Path) -> Result<(), PortError> {
    let path = path.to_owned();
    let outcome =
        tokio::task::spawn_blocking(move || prepare_blocking(&path).map_err(|e| (path, e))).await;
    match outcome {
        Ok(Ok(())) => Ok(()),
        Ok(Err((path, error))) => Err(cannot(op, path, error)),
        Err(error) => Err(PortError::new(
            PortErrorKind::Internal,
            op,
            "the database file could not be prepared",
        )
        .with_source(error)),
    }
}

fn prepare_blocking(path: &Path) -> io::Result<()> {
    if let Some(folder) = path.parent().filter(|f| !f.as_os_str().is_empty()) {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)?;
    }
    match OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
    {
        Ok(_made) => Ok(()),
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
            let mode = fs::metadata(path)?.permissions().mode();
            if mode & 0o077 != 0 {
                fs::set_permissions(path, Permissions::from_mode(mode & 0o700))?;
            }
            Ok(())
        }
        Err(e) => Err(e),
    }
}

fn cannot(op: &'static str, path: PathBuf, error: io::Error) -> PortError {
    let kind = match error.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            PortErrorKind::Denied
        }
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => PortErrorKind::Exhausted,
        _ => PortErrorKind::Rejected,
    };
    PortError::new(
        kind,
        op,
        format!("the database file {} cannot be made", path.display()),
    )
    .with_source(error)
}
