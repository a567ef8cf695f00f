//! What has been found out about files, for as long as they are what they were: by length and time of change.

use std::collections::BTreeMap;
use std::fs::{File, Metadata};
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use sha2::{Digest as _, Sha256};

use super::data;
use crate::datasets::Located;
use crate::failure::Failure;
use delta_domain::dialect::Dialect;
use delta_domain::ids::{DatasetName, Digest};
use delta_ports::PortError;

/// Bytes of a file that are read at a time.
const PIECE: usize = 1 << 20;
/// Most files about which something is remembered.
const MOST: usize = 1000;

/// By path: how the file looked, and what was found out.
type Kept<T> = Arc<Mutex<BTreeMap<PathBuf, (Look, T)>>>;

/// How a file looks from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Look {
    len: u64,
    changed: Option<SystemTime>,
    /// Device and number on it, and when anything about it has changed: copies may keep length and time.
    other: [i128; 3],
}

impl Look {
    fn of(metadata: &Metadata) -> Self {
        Self {
            len: metadata.len(),
            changed: metadata.modified().ok(),
            other: [
                i128::from(metadata.dev()),
                i128::from(metadata.ino()),
                i128::from(metadata.ctime()) * 1_000_000_000 + i128::from(metadata.ctime_nsec()),
            ],
        }
    }
}

/// What tells one content of a dataset from another: the SHA-256 of a file, or that of the names, lengths and times in a folder.
#[derive(Default)]
pub(super) struct Versions(Kept<Digest>);

impl Versions {
    pub(super) async fn of(
        &self,
        op: &'static str,
        places: &BTreeMap<DatasetName, Located>,
    ) -> Result<BTreeMap<DatasetName, Digest>, PortError> {
        let (kept, places) = (self.0.clone(), places.clone());
        let all = move || {
            let of = |(name, place): (DatasetName, Located)| {
                let version = version(&kept, &place.path)
                    .map_err(|e| Failure::corrupt(format!("dataset {name}: {e}")))?;
                Ok((name, as_read(version, &place.dialect)))
            };
            places.into_iter().map(of).collect()
        };
        data::blocking(op, all).await
    }
}

/// Rows have other places where the file is read otherwise.
fn as_read(version: Digest, dialect: &Dialect) -> Digest {
    if *dialect == Dialect::default() {
        return version;
    }
    let hash = Sha256::new().chain_update(version.0);
    Digest(hash.chain_update(format!("{dialect:?}")).finalize().into())
}

fn version(kept: &Kept<Digest>, path: &Path) -> std::io::Result<Digest> {
    let metadata = path.metadata()?;
    if metadata.is_dir() {
        let mut hash = Sha256::new();
        folder(path, &mut hash)?;
        return Ok(Digest(hash.finalize().into()));
    }
    let read = || {
        let (mut hash, mut file) = (Sha256::new(), File::open(path)?);
        let mut piece = vec![0; PIECE];
        loop {
            match file.read(&mut piece)? {
                0 => return Ok(Digest(hash.finalize().into())),
                len => hash.update(piece.get(..len).unwrap_or_default()),
            }
        }
    };
    once(kept, path, Look::of(&metadata), read)
}

/// Names, lengths and times of all files, in the order of their names.
fn folder(path: &Path, hash: &mut Sha256) -> std::io::Result<()> {
    let entries: std::io::Result<BTreeMap<_, _>> = std::fs::read_dir(path)?
        .map(|entry| entry.map(|entry| (entry.file_name(), entry)))
        .collect();
    for (name, entry) in entries? {
        let metadata = entry.metadata()?;
        let name = name.as_encoded_bytes();
        hash.update((name.len() as u64).to_le_bytes());
        hash.update(name);
        if metadata.is_dir() {
            folder(&entry.path(), hash)?;
            continue;
        }
        let look = Look::of(&metadata);
        let since = look
            .changed
            .and_then(|at| at.duration_since(SystemTime::UNIX_EPOCH).ok());
        hash.update(look.len.to_le_bytes());
        hash.update(since.unwrap_or_default().as_nanos().to_le_bytes());
    }
    Ok(())
}

/// What was said of single files, for as long as they and their owner's word are what they were.
#[derive(Default)]
pub(super) struct Told(Mutex<BTreeMap<String, (Look, String)>>);

impl Told {
    fn kept(&self) -> MutexGuard<'_, BTreeMap<String, (Look, String)>> {
        // Nothing that can panic runs under this lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How a file looks, when that tells whether it is still the same.
    pub(super) fn look(place: &Located) -> Option<Look> {
        let metadata = place.path.metadata().ok()?;
        let look = Look::of(&metadata);
        (metadata.is_file() && look.changed.is_some()).then_some(look)
    }

    /// What was said of a file that looked so, in answer to `question`.
    pub(super) fn of(&self, place: &Located, question: &str, look: Option<Look>) -> Option<String> {
        let kept = self.kept();
        let (before, told) = kept.get(&key(place, question))?;
        (Some(*before) == look).then(|| told.clone())
    }

    pub(super) fn remember(
        &self,
        place: &Located,
        question: &str,
        look: Option<Look>,
        told: String,
    ) {
        let Some(look) = look else {
            return;
        };
        let mut kept = self.kept();
        if kept.len() >= MOST {
            kept.pop_first();
        }
        kept.insert(key(place, question), (look, told));
    }
}

/// The file, how it is read, and what was asked.
fn key(place: &Located, question: &str) -> String {
    format!("{place:?} {question}")
}

/// What is remembered of a file that looks so, or else found out now.
fn once<T: Clone>(
    kept: &Kept<T>,
    path: &Path,
    look: Look,
    find_out: impl FnOnce() -> std::io::Result<T>,
) -> std::io::Result<T> {
    let lock = || kept.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((before, known)) = lock().get(path)
        && *before == look
        && look.changed.is_some()
    {
        return Ok(known.clone());
    }
    let found = find_out()?;
    let mut kept = lock();
    if kept.len() >= MOST {
        kept.pop_first();
    }
    kept.insert(path.to_owned(), (look, found.clone()));
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_of_the_content() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.csv");
        let kept = Kept::default();
        let of = |content: &str| {
            std::fs::write(&path, content).unwrap();
            version(&kept, &path).unwrap()
        };
        let first = of("a\n1\n");
        assert_eq!(first, Digest::of(b"a\n1\n"));
        assert_ne!(of("a\n1\n2\n"), first);
        // Written again it is the same, whenever that was.
        assert_eq!(of("a\n1\n"), first);
        let all = version(&kept, folder.path()).unwrap();
        assert_eq!(version(&kept, folder.path()).unwrap(), all);
        std::fs::write(folder.path().join("b.csv"), "b").unwrap();
        assert_ne!(version(&kept, folder.path()).unwrap(), all);
    }

    #[test]
    fn a_file_that_is_what_it_was_is_looked_at_once() {
        let kept = Kept::default();
        let look = Look {
            len: 1,
            changed: Some(SystemTime::UNIX_EPOCH),
            other: [0; 3],
        };
        let path = Path::new("a.csv");
        let find = |n: u32| once(&kept, path, look, || Ok(n)).unwrap();
        assert_eq!([find(1), find(2)], [1, 1]);
        let longer = Look { len: 2, ..look };
        assert_eq!(once(&kept, path, longer, || Ok(3)).unwrap(), 3);
        // Where nobody knows when it changed, nothing is remembered.
        let timeless = Look {
            changed: None,
            ..look
        };
        for n in [4, 5] {
            assert_eq!(once(&kept, path, timeless, || Ok(n)).unwrap(), n);
        }
    }
}
