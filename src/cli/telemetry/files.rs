//! Log files that cannot fill a disk: a new one each period or when one is full, the oldest removed, for their owner's eyes only.
//!
//! Names: `delta-node.PERIOD.log`, then `delta-node.PERIOD.1.log` and so on where one period fills several; without rotation there is no
//! period in the name. Other files of the folder are left alone.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::config::{Log, Rotation};
use delta_domain::time::Timestamp;
use delta_ports::clock::Clock;

const PREFIX: &str = "delta-node";
const SUFFIX: &str = ".log";

/// Bytes of one record; the rest of a longer one is cut off.
const RECORD_BYTES: usize = 64 << 10;

/// A file takes at most this part of all that the files may take, so that some history is always left.
const SHARES: u64 = 4;

/// Where log records go.
pub(super) struct LogFiles {
    folder: PathBuf,
    rotation: Rotation,
    keep: usize,
    all_bytes: u64,
    clock: Arc<dyn Clock>,
    open: Option<Open>,
}

struct Open {
    file: File,
    period: String,
    part: u32,
    bytes: u64,
}

impl LogFiles {
    /// Makes the folder and the first file, and takes other users' permissions from older ones.
    pub(super) fn open(log: &Log, clock: Arc<dyn Clock>) -> io::Result<Self> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&log.dir)?;
        let mut files = Self {
            folder: log.dir.clone(),
            rotation: log.rotation,
            keep: log.keep,
            all_bytes: log.max_mb.saturating_mul(1 << 20),
            clock,
            open: None,
        };
        for (path, _, _) in files.present()? {
            fs::set_permissions(path, Permissions::from_mode(0o600))?;
        }
        files.file_for(0)?;
        Ok(files)
    }

    fn file_bytes(&self) -> u64 {
        self.all_bytes / SHARES
    }

    /// The file for a record of so many bytes: the open one, or a new one.
    fn file_for(&mut self, bytes: u64) -> io::Result<&mut Open> {
        let period = period(self.rotation, self.clock.now());
        let room = self.file_bytes().saturating_sub(bytes);
        let fits = |o: &Open| o.period == period && o.bytes <= room;
        let open = match self.open.take() {
            Some(open) if fits(&open) => open,
            earlier => {
                let earlier = earlier.filter(|o| o.period == period);
                let mut part = earlier.map_or(0, |o| o.part.saturating_add(1));
                let next = loop {
                    let next = Open::at(&self.folder, &period, part)?;
                    if fits(&next) {
                        break next;
                    }
                    part = part.saturating_add(1);
                };
                self.remove_oldest(&self.folder.join(name(&next.period, next.part)))?;
                next
            }
        };
        Ok(self.open.insert(open))
    }

    /// Leaves room for one more file, in number and in bytes.
    fn remove_oldest(&self, current: &Path) -> io::Result<()> {
        let mut others = self.present()?;
        others.retain(|(path, _, _)| path != current);
        others.sort_by(|a, b| (a.2, &a.0).cmp(&(b.2, &b.0)));
        let mut total: u64 = others.iter().map(|(_, bytes, _)| bytes).sum();
        let mut left = others.len();
        for (path, bytes, _) in &others {
            if left < self.keep.max(1) && total.saturating_add(self.file_bytes()) <= self.all_bytes
            {
                break;
            }
            fs::remove_file(path)?;
            left -= 1;
            total = total.saturating_sub(*bytes);
        }
        Ok(())
    }

    /// This program's log files, with their bytes and the time of their last record.
    fn present(&self) -> io::Result<Vec<(PathBuf, u64, std::time::SystemTime)>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            let name = entry.file_name();
            let ours = name
                .to_str()
                .is_some_and(|n| n.starts_with(PREFIX) && n.ends_with(SUFFIX));
            let about = entry.metadata()?;
            if ours && about.is_file() {
                found.push((entry.path(), about.len(), about.modified()?));
            }
        }
        Ok(found)
    }
}

impl Open {
    fn at(folder: &Path, period: &str, part: u32) -> io::Result<Self> {
        let file = OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .open(folder.join(name(period, part)))?;
        Ok(Self {
            bytes: file.metadata()?.len(),
            file,
            period: period.to_owned(),
            part,
        })
    }
}

impl Write for LogFiles {
    /// Takes one whole record.
    fn write(&mut self, record: &[u8]) -> io::Result<usize> {
        let (shown, cut) = match record.get(..RECORD_BYTES) {
            Some(head) if record.len() > RECORD_BYTES => (head, &b"...\n"[..]),
            _ => (record, &b""[..]),
        };
        let bytes = u64::try_from(shown.len().saturating_add(cut.len())).unwrap_or(u64::MAX);
        let open = self.file_for(bytes)?;
        open.file.write_all(shown)?;
        open.file.write_all(cut)?;
        open.bytes = open.bytes.saturating_add(bytes);
        Ok(record.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.open.as_mut().map_or(Ok(()), |o| o.file.flush())
    }
}

fn name(period: &str, part: u32) -> String {
    let mut name = PREFIX.to_owned();
    if !period.is_empty() {
        name.push('.');
        name.push_str(period);
    }
    if part > 0 {
        name.push_str(&format!(".{part}"));
    }
    name + SUFFIX
}

/// The hour or day (UTC) as it stands in a file's name.
fn period(rotation: Rotation, now: Timestamp) -> String {
    let hours = now.0 / 3_600_000;
    let (year, month, day) = date(hours / 24);
    match rotation {
        Rotation::Never => String::new(),
        Rotation::Daily => format!("{year:04}-{month:02}-{day:02}"),
        Rotation::Hourly => format!("{year:04}-{month:02}-{day:02}-{:02}", hours % 24),
    }
}

/// The date so many days after 1970-01-01 (Howard Hinnant, chrono-compatible low-level date algorithms, `civil_from_days`).
fn date(days: u64) -> (u64, u64, u64) {
    let days = days.saturating_add(719_468);
    let era = days / 146_097;
    let of_era = days % 146_097;
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    };
    (year + era * 400 + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::Duration;

    use super::*;
    use crate::config::Config;

    #[derive(Default)]
    struct Hand(AtomicU64);

    #[async_trait::async_trait]
    impl Clock for Hand {
        fn now(&self) -> Timestamp {
            Timestamp(self.0.load(Ordering::Relaxed))
        }

        async fn sleep(&self, _: Duration) {
            std::future::pending().await
        }
    }

    fn log(folder: &Path, rotation: Rotation) -> Log {
        Log {
            dir: folder.join("deep/logs"),
            rotation,
            keep: 3,
            max_mb: 1,
            ..Config::default().log
        }
    }

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(folder)
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (days, expected) in [
            (0, (1970, 1, 1)),
            (59, (1970, 3, 1)),
            (11_016, (2000, 2, 29)),
            (20_785, (2026, 11, 28)),
            (47_540, (2100, 2, 28)),
            (47_541, (2100, 3, 1)),
        ] {
            assert_eq!(date(days), expected, "{days}");
        }
        let hour = period(
            Rotation::Hourly,
            Timestamp(20_785 * 86_400_000 + 13 * 3_600_000),
        );
        assert_eq!(hour, "2026-11-28-13");
    }

    #[test]
    fn a_flood_of_records_stays_below_the_bound_and_its_end_is_kept() {
        let home = tempfile::tempdir().unwrap();
        let log = log(home.path(), Rotation::Never);
        let mut files = LogFiles::open(&log, Arc::new(Hand::default())).unwrap();
        for number in 0..40_000 {
            let record = format!("{number:08} {}\n", "x".repeat(100));
            files.write_all(record.as_bytes()).unwrap();
        }
        let kept = files.present().unwrap();
        let bytes: u64 = kept.iter().map(|(_, bytes, _)| bytes).sum();
        assert!(bytes <= 1 << 20, "{bytes}");
        assert!(bytes > 1 << 18, "{bytes}: some history is left");
        assert!(kept.len() <= 3, "{kept:?}");
        let end = kept
            .iter()
            .filter(|(p, _, _)| fs::read_to_string(p).unwrap().contains("00039999 "));
        assert_eq!(end.count(), 1);
    }

    #[test]
    fn each_period_has_its_file_and_the_oldest_go() {
        let home = tempfile::tempdir().unwrap();
        let log = log(home.path(), Rotation::Daily);
        let clock = Arc::new(Hand::default());
        fs::create_dir_all(&log.dir).unwrap();
        fs::write(log.dir.join("others.txt"), "not ours").unwrap();
        let mut files = LogFiles::open(&log, clock.clone()).unwrap();
        for day in 0..6 {
            clock.0.store(day * 86_400_000, Ordering::Relaxed);
            files.write_all(b"a record\n").unwrap();
        }
        assert_eq!(
            names(&log.dir),
            [
                "delta-node.1970-01-04.log",
                "delta-node.1970-01-05.log",
                "delta-node.1970-01-06.log",
                "others.txt"
            ]
        );
    }

    #[test]
    fn files_are_their_owners_alone_and_a_restart_goes_on_in_the_last() {
        let home = tempfile::tempdir().unwrap();
        let log = log(home.path(), Rotation::Never);
        fs::create_dir_all(&log.dir).unwrap();
        let old = log.dir.join("delta-node.log");
        fs::write(&old, "old\n").unwrap();
        fs::set_permissions(&old, Permissions::from_mode(0o644)).unwrap();
        let mut files = LogFiles::open(&log, Arc::new(Hand::default())).unwrap();
        files.write_all(b"new\n").unwrap();
        assert_eq!(fs::read_to_string(&old).unwrap(), "old\nnew\n");
        assert_eq!(mode(&old), 0o600);
    }

    #[test]
    fn a_record_beyond_the_bound_is_cut() {
        let home = tempfile::tempdir().unwrap();
        let log = log(home.path(), Rotation::Never);
        let mut files = LogFiles::open(&log, Arc::new(Hand::default())).unwrap();
        files.write_all(&vec![b'x'; 3 << 20]).unwrap();
        let written = fs::read(log.dir.join("delta-node.log")).unwrap();
        assert_eq!(written.len(), RECORD_BYTES + 4);
        assert!(written.ends_with(b"...\n"));
    }
}
