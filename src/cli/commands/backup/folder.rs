//! Files of a backup: private, whole, on the disk.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use sha2::{Digest as _, Sha256};

/// Makes a folder for its owner alone; one that is there must be empty.
pub(super) fn make_private(folder: &Path) -> anyhow::Result<()> {
    let unreadable = || format!("{} cannot be read", folder.display());
    let mut entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(e) if e.kind() == ErrorKind::NotFound => return make_folder(folder),
        Err(e) => return Err(e).with_context(unreadable),
    };
    if entries.next().is_some() {
        bail!(
            "{} is not empty; a backup wants a folder of its own",
            folder.display()
        )
    }
    fs::set_permissions(folder, Permissions::from_mode(0o700))
        .with_context(|| format!("{} cannot be made private", folder.display()))
}

pub(super) fn make_folder(folder: &Path) -> anyhow::Result<()> {
    if folder.as_os_str().is_empty() {
        return Ok(());
    }
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .with_context(|| format!("the folder {} cannot be made", folder.display()))
}

pub(super) fn only_for_its_owner(file: &Path) -> anyhow::Result<()> {
    fs::set_permissions(file, Permissions::from_mode(0o600))
        .with_context(|| format!("{} cannot be made private", file.display()))
}

fn create_new(file: &Path) -> io::Result<File> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(file)
}

pub(super) fn write_private(file: &Path, content: &[u8]) -> anyhow::Result<()> {
    create_new(file)
        .and_then(|mut new| {
            new.write_all(content)?;
            new.sync_all()
        })
        .with_context(|| format!("{} cannot be written", file.display()))
}

/// Copies a file into a new one, which is on the disk then.
pub(super) fn copy_file(from: &Path, to: &Path) -> anyhow::Result<()> {
    if let Some(folder) = to.parent() {
        make_folder(folder)?;
    }
    let mut source =
        File::open(from).with_context(|| format!("{} cannot be read", from.display()))?;
    let mut target = create_new(to).with_context(|| format!("{} cannot be made", to.display()))?;
    io::copy(&mut source, &mut target)
        .and_then(|_| target.sync_all())
        .with_context(|| format!("{} cannot be copied to {}", from.display(), to.display()))
}

/// Copies the files of a folder that are not in `to` yet; gives their places below it, with those that are. What begins with a dot is of the
/// process that runs. What goes away meanwhile is passed over.
pub(super) fn copy_tree(from: &Path, to: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        let entries = match fs::read_dir(from.join(&folder)) {
            Ok(entries) => entries,
            Err(e) if e.kind() == ErrorKind::NotFound => continue,
            Err(e) => {
                let place = from.join(&folder);
                return Err(e).with_context(|| format!("{} cannot be read", place.display()));
            }
        };
        for entry in entries {
            let entry = entry.with_context(|| format!("{} cannot be read", from.display()))?;
            let name = entry.file_name();
            let place = folder.join(&name);
            if name.to_string_lossy().starts_with('.') {
                continue;
            }
            let kind = match entry.file_type() {
                Ok(kind) => kind,
                Err(e) if e.kind() == ErrorKind::NotFound => continue,
                Err(e) => {
                    return Err(e).with_context(|| format!("{} cannot be read", place.display()));
                }
            };
            if kind.is_dir() {
                folders.push(place);
                continue;
            }
            // A rule may be a link to a file elsewhere: the file is what counts.
            match fs::metadata(from.join(&place)) {
                Ok(about) if about.is_file() => {}
                Err(e) if e.kind() == ErrorKind::NotFound && !kind.is_symlink() => continue,
                _ => bail!(
                    "{} is neither a file nor a folder, nor a link to a file; nothing is left out of a backup in silence",
                    from.join(&place).display()
                ),
            }
            if to.join(&place).is_file() || copied(&from.join(&place), &to.join(&place))? {
                found.push(place);
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Copies a file, unless it has gone away.
fn copied(from: &Path, to: &Path) -> anyhow::Result<bool> {
    match copy_file(from, to) {
        Ok(()) => Ok(true),
        Err(e) => match e.downcast_ref::<io::Error>().map(io::Error::kind) {
            Some(ErrorKind::NotFound) => Ok(false),
            _ => Err(e),
        },
    }
}

/// Length and SHA-256 of a file.
pub(super) fn digest_of(file: &Path) -> anyhow::Result<(u64, String)> {
    let unreadable = || format!("{} cannot be read", file.display());
    let mut opened = File::open(file).with_context(unreadable)?;
    let (mut hash, mut bytes, mut buffer) = (Sha256::new(), 0, vec![0; 1 << 20]);
    loop {
        let read = opened.read(&mut buffer).with_context(unreadable)?;
        let Some(piece) = buffer.get(..read).filter(|piece| !piece.is_empty()) else {
            break;
        };
        bytes += piece.len() as u64;
        hash.update(piece);
    }
    let digest: String = hash.finalize().iter().map(|b| format!("{b:02x}")).collect();
    Ok((bytes, digest))
}
