//! Large files that nobody needs any more, kept for a moment for those that are written next.
//!
//! The files of a round are as large as those of the round before. To write over one costs a fraction of what a new one costs: the file
//! system need not find room, nor the kernel pages. What is written over is nobody's any more, has no name that a blob can have, and is
//! gone when it was not used for a while, when room is asked for or lacks, when the store closes, and at the next start.
//!
//! Who reads a blob whose name is removed reads it to its end, as with any file, and must never see what another blob has become: a
//! reader holds a shared lock on the file, and a file is set aside only under an exclusive one, held until it is written. One that was
//! opened just before that, and locked after it, is found out by its name, which leads elsewhere by then.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::files::TEMP_PREFIX;

/// Smaller files cost little anyway.
const SMALLEST: u64 = 8 << 20;
/// Files that are kept at most.
const MOST: usize = 8;
/// For how long one is kept.
const MOMENT: Duration = Duration::from_secs(30);

/// The spare files of one store.
#[derive(Debug)]
pub(super) struct Spares {
    root: PathBuf,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    /// The oldest first.
    files: Vec<Spare>,
    /// Of the next one's name.
    number: u64,
    /// Whether somebody looks after them.
    watched: bool,
}

/// One of them, under an exclusive lock for as long as this lives.
#[derive(Debug)]
pub(super) struct Spare {
    pub(super) path: PathBuf,
    /// Open for writing, at its beginning.
    pub(super) file: File,
    len: u64,
    since: Instant,
}

/// Whether what was opened at `path` is to be read, and stays what it is while it is open.
pub(super) fn hold(file: &File, path: &Path) -> io::Result<bool> {
    match file.try_lock_shared() {
        Ok(()) => {}
        // It has been set aside.
        Err(TryLockError::WouldBlock) => return Ok(false),
        // Nobody can set a file aside here.
        Err(TryLockError::Error(_)) => return Ok(true),
    }
    let (opened, named) = (file.metadata()?, fs::metadata(path)?);
    Ok((opened.dev(), opened.ino()) == (named.dev(), named.ino()))
}

impl Spares {
    pub(super) fn new(root: PathBuf) -> Arc<Self> {
        Arc::new(Self {
            root,
            kept: Mutex::default(),
        })
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        // Nothing that can panic runs under this lock.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets aside the large files at or below `path`, which is about to be removed. Links are not followed. What cannot be set aside is
    /// left to the caller.
    pub(super) fn set_aside(&self, path: &Path) {
        let Ok(found) = fs::symlink_metadata(path) else {
            return;
        };
        if found.is_file() && found.len() >= SMALLEST {
            drop(self.keep(path, found.len()));
        } else if found.is_dir() {
            for entry in fs::read_dir(path).into_iter().flatten().flatten() {
                self.set_aside(&entry.path());
            }
        }
    }

    fn keep(&self, path: &Path, len: u64) -> io::Result<()> {
        let file = OpenOptions::new().write(true).open(path)?;
        if file.try_lock().is_err() {
            // Somebody reads it, or files cannot be locked here.
            return Ok(());
        }
        let mut kept = self.kept();
        let name = format!("{TEMP_PREFIX}spare-{}-{}", std::process::id(), kept.number);
        kept.number += 1;
        let spare = self.root.join(name);
        fs::rename(path, &spare)?;
        kept.files.push(Spare {
            path: spare,
            file,
            len,
            since: Instant::now(),
        });
        let surplus = kept.files.len().saturating_sub(MOST);
        let surplus: Vec<Spare> = kept.files.drain(..surplus).collect();
        drop(kept);
        remove(surplus);
        Ok(())
    }

    /// One that is about as long as what is to be written; it is the caller's now.
    pub(super) fn take(&self, len: u64) -> Option<Spare> {
        let mut kept = self.kept();
        let fitting =
            kept.files.iter().enumerate().filter(|(_, spare)| {
                spare.len / 2 <= len && len / 2 <= spare.len && len >= SMALLEST
            });
        let (place, _) = fitting.min_by_key(|(_, spare)| spare.len.abs_diff(len))?;
        Some(kept.files.remove(place))
    }

    /// Removes all.
    pub(super) fn let_go(&self) {
        let files = std::mem::take(&mut self.kept().files);
        remove(files);
    }

    /// Removes those that were not used for a while, from now on until there are none. One call at a time does.
    pub(super) async fn watch(self: Arc<Self>) {
        {
            let mut kept = self.kept();
            if kept.watched || kept.files.is_empty() {
                return;
            }
            kept.watched = true;
        }
        loop {
            tokio::time::sleep(MOMENT).await;
            let old = {
                let mut kept = self.kept();
                let fresh = kept.files.iter().position(|s| s.since.elapsed() < MOMENT);
                let old = fresh.unwrap_or(kept.files.len());
                let old: Vec<Spare> = kept.files.drain(..old).collect();
                kept.watched = !kept.files.is_empty();
                if !kept.watched {
                    drop(kept);
                    return remove(old);
                }
                old
            };
            remove(old);
        }
    }
}

impl Drop for Spares {
    fn drop(&mut self) {
        self.let_go();
    }
}

/// Best effort: the next start cleans up.
fn remove(files: Vec<Spare>) {
    for spare in files {
        drop(fs::remove_file(spare.path));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(root: &Path, name: &str, len: u64) -> PathBuf {
        let path = root.join(name);
        let made = fs::File::create(&path).unwrap();
        made.set_len(len).unwrap();
        path
    }

    fn left(root: &Path) -> usize {
        fs::read_dir(root).unwrap().count()
    }

    #[test]
    fn large_files_are_kept_for_what_is_as_long_and_small_ones_are_not() {
        let root = tempfile::tempdir().unwrap();
        let spares = Spares::new(root.path().to_owned());
        for (name, len) in [
            ("small", SMALLEST - 1),
            ("a", SMALLEST),
            ("b", 4 * SMALLEST),
        ] {
            spares.set_aside(&file(root.path(), name, len));
        }
        assert!(root.path().join("small").exists());
        assert!(spares.take(100 * SMALLEST).is_none());
        assert!(spares.take(1).is_none());
        let taken = spares.take(3 * SMALLEST).unwrap();
        assert_eq!(fs::metadata(&taken.path).unwrap().len(), 4 * SMALLEST);
        assert!(spares.take(3 * SMALLEST).is_none());
        assert!(spares.take(SMALLEST).is_some());
    }

    #[test]
    fn what_is_read_is_not_set_aside_and_what_was_set_aside_is_not_read() {
        let root = tempfile::tempdir().unwrap();
        let spares = Spares::new(root.path().to_owned());
        let path = file(root.path(), "read", SMALLEST);
        let reader = File::open(&path).unwrap();
        assert!(hold(&reader, &path).unwrap());
        spares.set_aside(&path);
        assert!(path.exists() && spares.take(SMALLEST).is_none());
        drop(reader);
        let late = File::open(&path).unwrap();
        spares.set_aside(&path);
        assert!(!hold(&late, &path).unwrap());
        // Written over, and another blob by now.
        drop(spares.take(SMALLEST).unwrap());
        file(root.path(), "read", 1);
        assert!(!hold(&late, &path).unwrap());
    }

    #[test]
    fn there_are_few_and_none_when_the_store_has_closed() {
        let root = tempfile::tempdir().unwrap();
        let spares = Spares::new(root.path().to_owned());
        let folder = root.path().join("folder");
        fs::create_dir(&folder).unwrap();
        for i in 0..2 * MOST {
            file(&folder, &i.to_string(), SMALLEST);
        }
        spares.set_aside(&folder);
        assert_eq!((left(&folder), left(root.path())), (0, MOST + 1));
        drop(spares);
        assert_eq!(left(root.path()), 1);
    }
}
