//! Files that were cut off, or in which bits have changed: an error, or the same numbers where the format keeps checksums. Never a panic
//! that leaves a reader, nor memory for what a file only says of itself.

use super::*;
use crate::datasets::table::Table;

/// Fixtures, the columns that are read of them, and whether their format keeps checksums of all that is read.
const FILES: [(&str, &[&str], bool); 11] = [
    ("groups.parquet", &["n", "t"], false),
    ("encodings.parquet", &["n", "t"], false),
    ("packed-zstd.parquet", &["age", "wage"], false),
    ("coded.arrow", &["i", "f"], false),
    ("packed-lz4.feather", &["age", "wage"], false),
    ("batches.arrows", &["age", "wage"], false),
    ("plain.xlsx", &["age", "wage"], true),
    ("plain.xls", &["age", "wage"], false),
    ("plain.ods", &["age", "wage"], true),
    ("plain.sqlite", &["age", "wage"], false),
    ("pages-2.parquet", &["n", "t"], false),
];

fn bits(path: &Path, columns: &[String], noised: bool) -> Option<(usize, Vec<u64>)> {
    let said = Dialect::default();
    let opening = Opening {
        noised,
        ..format::plainly(&said)
    };
    let mut table = format::table(path, opening).ok()?;
    table.size(1000).ok()?;
    // What a changed file says of its rows may take long to read.
    let (_, rows) = format::table(path, opening).ok()?.size(100_000).ok()?;
    if rows == 100_000 {
        return None;
    }
    let mut rows: Table = table.load(columns).ok()?;
    let all = doubles(rows.whole(&DataField::Columns(columns.to_vec())).ok()?);
    Some((rows.len(), all.into_iter().map(f64::to_bits).collect()))
}

struct Damaged {
    dir: tempfile::TempDir,
    name: &'static str,
    columns: Vec<String>,
    whole: Vec<u8>,
    sound: (usize, Vec<u64>),
}

impl Damaged {
    fn new(name: &'static str, columns: &[&str]) -> Self {
        let path = fixtures().join("files").join(name);
        let columns: Vec<String> = columns.iter().map(|c| (*c).to_owned()).collect();
        Self {
            dir: tempfile::tempdir().unwrap(),
            name,
            sound: bits(&path, &columns, false).unwrap(),
            columns,
            whole: std::fs::read(path).unwrap(),
        }
    }

    /// Reads these bytes in all ways; what a task would see.
    fn read(&self, bytes: &[u8]) -> Option<(usize, Vec<u64>)> {
        let path = self.dir.path().join(self.name);
        std::fs::write(&path, bytes).unwrap();
        let _noised = bits(&path, &self.columns, true);
        let place = Located {
            path: path.clone(),
            dialect: Dialect::default(),
            answer_to: None,
        };
        let _described = describe(&place);
        let read = bits(&path, &self.columns, false);
        if read.is_some() {
            let _profiled = profile(&place);
        }
        read
    }
}

#[test]
fn what_is_cut_off_is_refused() {
    for (name, columns, _) in FILES {
        let file = Damaged::new(name, columns);
        let length = file.whole.len();
        let step = length / 150 + 1;
        for end in (0..length).step_by(step).chain(length - 8..length) {
            let read = file.read(&file.whole[..end]);
            assert!(
                read.is_none() || read.as_ref() == Some(&file.sound),
                "{name} up to {end} of {length}: {read:?}"
            );
        }
    }
}

#[test]
fn what_has_changed_bits_is_refused_or_read() {
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = |below: usize| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        usize::try_from(seed % (below as u64)).unwrap()
    };
    for (name, columns, checked) in FILES {
        let file = Damaged::new(name, columns);
        for _ in 0..400 {
            let mut bytes = file.whole.clone();
            for _ in 0..=next(3) {
                let at = next(bytes.len());
                bytes[at] = match next(4) {
                    0 => 0xff,
                    1 => 0,
                    _ => bytes[at] ^ (1 << next(8)),
                };
            }
            let read = file.read(&bytes);
            assert!(
                !checked || read.is_none() || read.as_ref() == Some(&file.sound),
                "{name}: {read:?}"
            );
        }
    }
}
