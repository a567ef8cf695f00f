//! The owner's journal on disk: one file of lines, for the node's user only, to which lines are added and nothing else.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;

use super::files::{blocking, check_private, io_error, make_folder};
use delta_domain::policy::audit::MAX_LINE_BYTES;
use delta_ports::journal::Journal;
use delta_ports::{PortError, PortErrorKind};

const OP: &str = "journal";

/// [`Journal`] in a file.
#[derive(Debug, Clone)]
pub struct FileJournal(Arc<Place>);

#[derive(Debug)]
struct Place {
    path: PathBuf,
    file: Mutex<Appending>,
}

/// The file, and where a reader that goes on reads next.
#[derive(Debug)]
struct Appending {
    file: File,
    /// Behind the last whole line.
    end: u64,
    /// Lines before a place in the file.
    mark: (u64, u64),
}

impl FileJournal {
    /// The journal in `path`, made where there is none. A last line without its end was being written when a process was killed: it was
    /// acknowledged to nobody, and is cut off.
    ///
    /// # Errors
    /// `Denied` when others can read the file; what else the disk says.
    pub async fn open(path: PathBuf) -> Result<Self, PortError> {
        blocking(OP, move || {
            let folder = path.parent().unwrap_or(Path::new(""));
            make_folder(folder).map_err(|e| io_error(OP, "make the folder of", &path, e))?;
            let file = OpenOptions::new()
                .read(true)
                .append(true)
                .create(true)
                .mode(0o600)
                .open(&path)
                .map_err(|e| io_error(OP, "open", &path, e))?;
            check_private(OP, "journal", &path, &file)?;
            let end = whole(&file).map_err(|e| io_error(OP, "read", &path, e))?;
            let cut = || {
                file.set_len(end)?;
                file.sync_all()
            };
            cut().map_err(|e| io_error(OP, "mend", &path, e))?;
            let file = Mutex::new(Appending {
                file,
                end,
                mark: (0, 0),
            });
            Ok(Self(Arc::new(Place { path, file })))
        })
        .await
    }
}

/// Where the last whole line ends.
fn whole(file: &File) -> io::Result<u64> {
    let mut file = file;
    let length = file.metadata()?.len();
    let mut end = length;
    let mut block = vec![0; MAX_LINE_BYTES];
    while end > 0 {
        let begin = end.saturating_sub(block.len() as u64);
        file.seek(SeekFrom::Start(begin))?;
        let part = usize::try_from(end - begin).map_err(io::Error::other)?;
        let part = block.get_mut(..part).unwrap_or_default();
        file.read_exact(part)?;
        if let Some(at) = part.iter().rposition(|b| *b == b'\n') {
            return Ok(begin + at as u64 + 1);
        }
        end = begin;
    }
    Ok(0)
}

impl Place {
    fn append(&self, line: &str) -> Result<(), PortError> {
        if line.len() > MAX_LINE_BYTES || line.contains('\n') {
            let text = "an entry is too long, or is more than one line";
            return Err(PortError::new(PortErrorKind::Internal, OP, text));
        }
        let mut held = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let Appending { file, end, .. } = &mut *held;
        let mut write = || {
            // What an earlier failure left behind the last whole line was acknowledged to nobody.
            file.set_len(*end)?;
            file.write_all(format!("{line}\n").as_bytes())?;
            file.sync_data()
        };
        write().map_err(|e| io_error(OP, "write", &self.path, e))?;
        *end += line.len() as u64 + 1;
        Ok(())
    }

    fn read(&self, skip: u64, most: usize) -> Result<Vec<String>, PortError> {
        let mut held = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let Appending { file, end, mark } = &mut *held;
        let (mut number, mut at) = if mark.0 <= skip { *mark } else { (0, 0) };
        let mut lines = Vec::new();
        let mut read = || {
            file.seek(SeekFrom::Start(at))?;
            let mut reader = BufReader::new((&*file).take(end.saturating_sub(at)));
            while lines.len() < most {
                let mut line = String::new();
                let bytes = (&mut reader)
                    .take(MAX_LINE_BYTES as u64 + 1)
                    .read_line(&mut line)?;
                if bytes == 0 {
                    break;
                }
                (number, at) = (number + 1, at + bytes as u64);
                if number > skip {
                    lines.push(line.trim_end_matches('\n').to_owned());
                }
            }
            io::Result::Ok(())
        };
        read().map_err(|e| io_error(OP, "read", &self.path, e))?;
        *mark = (number, at);
        Ok(lines)
    }
}

#[async_trait]
impl Journal for FileJournal {
    async fn append(&self, line: String) -> Result<(), PortError> {
        let place = self.0.clone();
        blocking(OP, move || place.append(&line)).await
    }

    async fn read(&self, skip: u64, most: usize) -> Result<Vec<String>, PortError> {
        let place = self.0.clone();
        blocking(OP, move || place.read(skip, most)).await
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[tokio::test]
    async fn a_torn_last_line_is_cut_off_and_the_rest_stays() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("db/audit.jsonl");
        let journal = FileJournal::open(path.clone()).await.unwrap();
        for line in ["one", "two"] {
            journal.append(line.to_owned()).await.unwrap();
        }
        drop(journal);
        let mut file = OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(b"thr").unwrap();
        let journal = FileJournal::open(path.clone()).await.unwrap();
        assert_eq!(journal.read(0, 10).await.unwrap(), ["one", "two"]);
        journal.append("three".to_owned()).await.unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "one\ntwo\nthree\n");
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[tokio::test]
    async fn a_journal_that_others_can_read_is_refused_with_the_cure() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("audit.jsonl");
        std::fs::write(&path, "").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        let error = FileJournal::open(path).await.unwrap_err();
        assert!(error.message().contains("chmod 600"), "{error}");
    }
}
