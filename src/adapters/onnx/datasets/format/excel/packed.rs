//! A workbook's archive, looked at before anybody decodes what is in it: its checksums, how far it expands, what it says of its texts.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

use zip::ZipArchive;
use zip::result::ZipError;

use super::book::{password, shortened};
use crate::datasets::typed::damaged;
use crate::failure::Failure;

/// What an archive is.
pub(super) enum Kind {
    Xlsx,
    Ods,
}

/// Files in an archive at most.
const ENTRIES: usize = 10_000;
/// Bytes that its tables expand to at most.
const EXPANDED: u64 = 4 << 30;
/// Bytes that its texts expand to at most: they are kept in memory.
const TEXTS: u64 = 1 << 30;
/// What a text takes at least, as it is written (`<si/>`).
const TEXT: u64 = 5;
/// Bytes in which texts say how many they are.
const HEAD: usize = 4096;

/// Reads through all parts that are decoded later.
///
/// # Errors
/// What is damaged, has a password, or expands too far.
pub(super) fn judge(path: &Path) -> Result<Kind, Failure> {
    let file = File::open(path).map_err(|e| Failure::unreadable("it", &e))?;
    let mut archive = ZipArchive::new(BufReader::new(file)).map_err(unread)?;
    if archive.len() > ENTRIES {
        return Err(Failure::exhausted(format!(
            "it holds {} files, more than the {ENTRIES} that are read",
            archive.len()
        )));
    }
    if archive.has_duplicate_names() {
        return Err(damaged("two parts of it have one name"));
    }
    let mut left = EXPANDED;
    let (mut sheets, mut content) = (false, false);
    for index in 0..archive.len() {
        let entry = archive.by_index_data(index).map_err(unread)?;
        if entry.encrypted() {
            return Err(password());
        }
        drop(entry);
        let mut entry = archive.by_index(index).map_err(unread)?;
        let name = entry.name().map_err(unread)?.to_ascii_lowercase();
        if !name.ends_with(".xml") && !name.ends_with(".rels") {
            if name.ends_with("workbook.bin") {
                return Err(Failure::corrupt(
                    "it is a binary workbook (.xlsb); save it as .xlsx",
                ));
            }
            continue;
        }
        sheets |= name.ends_with("workbook.xml") || name.contains("worksheets/");
        content |= name == "content.xml";
        let texts = name.ends_with("sharedstrings.xml");
        let most = if texts { TEXTS.min(left) } else { left };
        let mut head = vec![0; HEAD];
        let begun = fill(&mut entry, &mut head).map_err(|e| damaged(shortened(&e)))?;
        head.truncate(begun);
        let rest = (&mut entry).take(most.saturating_add(1));
        let rest = io::copy(&mut { rest }, &mut io::sink()).map_err(|e| damaged(shortened(&e)))?;
        let size = rest.saturating_add(u64::try_from(begun).unwrap_or(0));
        if size > most {
            return Err(Failure::exhausted(format!(
                "its parts expand to more than {EXPANDED} bytes, or its texts to more than {TEXTS}; save it as .csv"
            )));
        }
        left -= size;
        if texts && count(&head).is_some_and(|count| count > size / TEXT) {
            return Err(damaged("it says that it has more texts than there are"));
        }
    }
    match (sheets, content) {
        (true, _) => Ok(Kind::Xlsx),
        (false, true) => Ok(Kind::Ods),
        (false, false) => Err(Failure::corrupt(
            "it is an archive without sheets; save it as .xlsx",
        )),
    }
}

/// Reads until `into` is full, or the source has no more.
fn fill(source: &mut impl Read, into: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(room) = into.get_mut(filled..).filter(|room| !room.is_empty()) {
        match source.read(room)? {
            0 => break,
            read => filled += read,
        }
    }
    Ok(filled)
}

/// What a part says of its number of texts.
fn count(head: &[u8]) -> Option<u64> {
    let text = String::from_utf8_lossy(head);
    let (_, behind) = text.split_once("uniqueCount")?;
    let digits = behind.trim_start_matches(|c: char| c.is_whitespace() || "='\"".contains(c));
    let end = digits.find(|c: char| !c.is_ascii_digit());
    let digits = digits.get(..end.unwrap_or(digits.len()))?;
    // What is too long for a number is too many.
    (!digits.is_empty()).then(|| digits.parse().unwrap_or(u64::MAX))
}

fn unread(error: ZipError) -> Failure {
    damaged(shortened(&error))
}
