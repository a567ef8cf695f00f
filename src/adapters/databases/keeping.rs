//! The file of a dataset that is a query: one whole answer at any time, and no file that is the owner's own.

use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, Read as _, Seek as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use parquet::file::reader::{FileReader as _, SerializedFileReader};
use rustix::fs::{
    CWD, FlockOperation, OFlags, RenameFlags, Timespec, Timestamps, UTIME_NOW, flock, futimens,
    renameat_with,
};
use rustix::io::Errno;
use tokio::time::Instant;

use delta_domain::ids::DatasetName;
use delta_domain::query::{MARK, Query};
use delta_domain::time::Timestamp;
use delta_ports::snapshots::{Kept, MayReplace, Snapshot};

use crate::failure::Failure;
use crate::file::Whole;

/// How often it is looked whether another process is done.
const LOOK: Duration = Duration::from_millis(200);

/// The time that the file system says it is.
const NOW: Timestamps = Timestamps {
    last_access: Timespec {
        tv_sec: 0,
        tv_nsec: UTIME_NOW,
    },
    last_modification: Timespec {
        tv_sec: 0,
        tv_nsec: UTIME_NOW,
    },
};

/// The place of a dataset's answers, which no other process writes to meanwhile.
pub(crate) struct Place {
    folder: PathBuf,
    /// What tasks read.
    path: PathBuf,
    /// What an answer is written to while it comes.
    part: PathBuf,
    /// Held as long as this is; the file stays, so that all lock the same one.
    _lock: File,
}

impl Drop for Place {
    fn drop(&mut self) {
        // After a success it has another name. Nobody else writes here while the lock is held.
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
        let lock = folder.join(format!(".{name}.lock"));
        loop {
            if let Some(held) = locked(&lock).map_err(|e| Failure::io("lock", &lock, &e))? {
                let place = Self {
                    folder: folder.to_owned(),
                    path: folder.join(name.as_str()),
                    part: folder.join(format!(".{name}.part")),
                    _lock: held,
                };
                own(&place.path)?;
                return Ok(place);
            }
            if Instant::now() >= until {
                return Err(Failure::unreachable(
                    "another process still asks for it; wait, or stop that one",
                ));
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// A new file to write to, in place of what a killed process may have left.
    pub(crate) fn part(&self) -> Result<File, Failure> {
        let made = match std::fs::remove_file(&self.part) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
            _ => OpenOptions::new()
                .read(true)
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&self.part),
        };
        made.map_err(|e| Failure::io("write", &self.part, &e))
    }

    /// Puts a whole answer where tasks read it; the same one as before only gets a new time.
    pub(crate) async fn keep(
        self,
        whole: Whole,
        may_replace: MayReplace<'_>,
    ) -> Result<Snapshot, Failure> {
        if self.path.exists() && !may_replace() {
            return Err(Failure::held());
        }
        let Whole {
            file,
            rows,
            columns,
        } = whole;
        let done = tokio::task::spawn_blocking(move || {
            // It may be there only now.
            own(&self.path)?;
            let replaced = self.replace(file);
            replaced.map_err(|e| Failure::io("write", &self.path, &e))
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
        let there = self.path.exists();
        if there && same(&self.path, answer)? {
            let before = File::options().write(true).open(&self.path)?;
            futimens(&before, &NOW)?;
            return Ok((bytes, false));
        }
        // What appears at the last moment is the owner's own.
        let flags = match there {
            true => RenameFlags::empty(),
            false => RenameFlags::NOREPLACE,
        };
        match renameat_with(CWD, &self.part, CWD, &self.path, flags) {
            // Some file systems cannot look and rename in one go.
            Err(Errno::INVAL | Errno::NOSYS) => {
                std::fs::rename(&self.part, &self.path)?;
            }
            renamed => renamed?,
        }
        File::open(&self.folder)?.sync_all()?;
        Ok((bytes, true))
    }

    /// Removes the answer to another query.
    pub(crate) fn withdraw(&self, query: &Query) -> Result<(), Failure> {
        // It may have been answered since somebody looked.
        match kept(&self.path, query)? {
            Kept::Nothing | Kept::Answer(_) => Ok(()),
            Kept::Another => {
                std::fs::remove_file(&self.path).map_err(|e| Failure::io("remove", &self.path, &e))
            }
        }
    }
}

/// The digest of the query whose answer a file is; `None` for any other file. Links are no answers, and nothing but a file is opened.
fn mark(path: &Path) -> io::Result<Option<String>> {
    // A pipe would keep its opener waiting for whoever writes to it.
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let flags = i32::try_from(flags.bits()).unwrap_or_default();
    let opened = OpenOptions::new().read(true).custom_flags(flags).open(path);
    let file = match opened {
        Ok(file) => file,
        // A link, and a socket.
        Err(e) if is(&e, Errno::LOOP) || is(&e, Errno::NXIO) => return Ok(None),
        Err(e) => return Err(e),
    };
    if !file.metadata()?.is_file() {
        return Ok(None);
    }
    let Ok(reader) = SerializedFileReader::new(file) else {
        return Ok(None);
    };
    let about = reader.metadata().file_metadata().key_value_metadata();
    let pair = about.and_then(|all| all.iter().find(|pair| pair.key == MARK));
    Ok(pair.map(|pair| pair.value.clone().unwrap_or_default()))
}

fn is(error: &io::Error, errno: Errno) -> bool {
    error.raw_os_error() == Some(errno.raw_os_error())
}

/// A file of the owner's own is never replaced.
fn own(path: &Path) -> Result<(), Failure> {
    match mark(path) {
        Ok(Some(_)) => Ok(()),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        Ok(None) => Err(Failure::rejected(format!(
            "{} is there, and is no answer of a query: move it away, or give the query another name",
            path.display()
        ))),
        Err(e) => Err(Failure::io("read", path, &e)),
    }
}

/// The lock of a dataset; `None` while somebody else has it.
fn locked(path: &Path) -> io::Result<Option<File>> {
    let flags = i32::try_from(OFlags::NOFOLLOW.bits()).unwrap_or_default();
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .custom_flags(flags)
        .mode(0o600)
        .open(path)?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Some(file)),
        Err(Errno::WOULDBLOCK) => Ok(None),
        Err(e) => Err(e.into()),
    }
}

/// Whether a file has the bytes of another.
fn same(path: &Path, mut answer: File) -> io::Result<bool> {
    let before = File::open(path)?;
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

/// What is kept at a path of a query.
pub(crate) fn kept(path: &Path, query: &Query) -> Result<Kept, Failure> {
    let looked = |path: &Path| {
        let of = mark(path)?;
        let since = std::fs::metadata(path)?.modified()?;
        Ok::<_, io::Error>((of, since))
    };
    let (of, since) = match looked(path) {
        Ok(found) => found,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Kept::Nothing),
        Err(e) => return Err(Failure::io("read", path, &e)),
    };
    match of {
        None => own(path).map(|()| Kept::Nothing),
        Some(of) if of != query.digest().to_string() => Ok(Kept::Another),
        Some(_) => {
            let since = since.duration_since(SystemTime::UNIX_EPOCH);
            let since = since.unwrap_or_default().as_millis();
            let since = u64::try_from(since).unwrap_or(u64::MAX);
            Ok(Kept::Answer(Timestamp(since)))
        }
    }
}
