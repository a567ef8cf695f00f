//! The file of a dataset that is a query: one whole answer at any time, and no file that is the owner's own.

use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, Read as _, Seek as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use parquet::file::reader::{FileReader as _, SerializedFileReader};
use rustix::fs::{FlockOperation, flock};
use tokio::time::Instant;

use delta_domain::ids::DatasetName;
use delta_domain::time::Timestamp;
use delta_ports::snapshots::Snapshot;

use crate::failure::Failure;
use crate::file::{Kept, MARK};

/// How often it is looked whether another process is done.
const LOOK: Duration = Duration::from_millis(200);

/// The place of a dataset's answers, which no other process writes to meanwhile.
pub(crate) struct Place {
    folder: PathBuf,
    /// What tasks read.
    path: PathBuf,
    /// What an answer is written to while it comes, locked.
    part: PathBuf,
    file: File,
}

impl Drop for Place {
    fn drop(&mut self) {
        // After a success it has another name; whoever waits for it looks again.
        drop(std::fs::remove_file(&self.part));
    }
}

impl Place {
    /// Waits for its turn until then.
    pub(crate) async fn claim(
        folder: &Path,
        name: &DatasetName,
        until: Instant,
    ) -> Result<Self, Failure> {
        let path = folder.join(name.as_str());
        let part = folder.join(format!(".{name}.part"));
        own(&path)?;
        loop {
            if let Some(file) = locked(&part).map_err(|e| Failure::io("write", &part, &e))? {
                return Ok(Self {
                    folder: folder.to_owned(),
                    path,
                    part,
                    file,
                });
            }
            if Instant::now() >= until {
                return Err(Failure::unreachable(format!(
                    "another process still writes {}",
                    part.display()
                )));
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// An empty file to write to.
    pub(crate) fn part(&self) -> Result<File, Failure> {
        let empty = self.file.set_len(0).and_then(|()| self.file.try_clone());
        empty.map_err(|e| Failure::io("write", &self.part, &e))
    }

    /// Puts a whole answer where tasks read it; the same one as before only gets a new time.
    pub(crate) async fn keep(self, kept: Kept) -> Result<Snapshot, Failure> {
        let Kept {
            file,
            rows,
            columns,
        } = kept;
        let done = tokio::task::spawn_blocking(move || {
            self.replace(file)
                .map_err(|e| Failure::io("write", &self.path, &e))
        });
        let (bytes, changed) = match done.await {
            Ok(done) => done?,
            Err(_) => return Err(Failure::internal("writing the answer broke off")),
        };
        let column = |head: crate::cell::Head| (head.name, head.kind.name().to_owned());
        Ok(Snapshot {
            rows,
            columns: columns.into_iter().map(column).collect(),
            bytes,
            changed,
        })
    }

    fn replace(&self, answer: File) -> io::Result<(u64, bool)> {
        let bytes = answer.metadata()?.len();
        if same(&self.path, answer)? {
            let before = File::options().write(true).open(&self.path)?;
            before.set_modified(SystemTime::now())?;
            return Ok((bytes, false));
        }
        std::fs::rename(&self.part, &self.path)?;
        File::open(&self.folder)?.sync_all()?;
        Ok((bytes, true))
    }
}

/// A file of the owner's own is never replaced.
fn own(path: &Path) -> Result<(), Failure> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(Failure::io("read", path, &e)),
    };
    let marked = SerializedFileReader::new(file).ok().is_some_and(|reader| {
        let about = reader.metadata().file_metadata().key_value_metadata();
        about.is_some_and(|all| all.iter().any(|pair| pair.key == MARK))
    });
    match marked {
        true => Ok(()),
        false => Err(Failure::rejected(format!(
            "{} is there, and is no answer of a query: move it away, or give the query another name",
            path.display()
        ))),
    }
}

/// The file to write to, once nobody else does; `None` while somebody does.
fn locked(part: &Path) -> io::Result<Option<File>> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(part)?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(rustix::io::Errno::WOULDBLOCK) => return Ok(None),
        Err(e) => return Err(e.into()),
    }
    // Whoever had it may have given it its other name, or removed it.
    let still = std::fs::metadata(part).is_ok_and(|now| {
        file.metadata()
            .is_ok_and(|ours| (ours.dev(), ours.ino()) == (now.dev(), now.ino()))
    });
    Ok(still.then_some(file))
}

/// Whether a file has the bytes of another.
fn same(path: &Path, mut answer: File) -> io::Result<bool> {
    let before = match File::open(path) {
        Ok(before) => before,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(e) => return Err(e),
    };
    if before.metadata()?.len() != answer.metadata()?.len() {
        return Ok(false);
    }
    answer.rewind()?;
    let (mut one, mut other) = (BufReader::new(before), BufReader::new(answer));
    let (mut here, mut there) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    loop {
        let read = one.read(&mut here)?;
        let (Some(ours), Some(theirs)) = (here.get(..read), there.get_mut(..read)) else {
            return Ok(false);
        };
        other.read_exact(theirs)?;
        if ours != theirs {
            return Ok(false);
        }
        if read == 0 {
            return Ok(true);
        }
    }
}

/// When the answer in a file was taken or found to be the same.
pub(crate) async fn taken(path: PathBuf) -> Result<Option<Timestamp>, Failure> {
    let looked = tokio::task::spawn_blocking(move || {
        let changed = match std::fs::metadata(&path) {
            Ok(about) => about.modified(),
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => Err(e),
        };
        let changed = changed.map_err(|e| Failure::io("read", &path, &e))?;
        let since = changed.duration_since(SystemTime::UNIX_EPOCH);
        let since = since.unwrap_or_default().as_millis();
        Ok(Some(Timestamp(u64::try_from(since).unwrap_or(u64::MAX))))
    });
    looked
        .await
        .map_err(|_| Failure::internal("looking at the file broke off"))?
}
