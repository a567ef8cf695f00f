//! The zip of a bundle, read with suspicion and written the same way every time.
//!
//! Zip readers disagree about anything unusual: bytes before or after the archive, two files of one name, headers that contradict each
//! other. What one node's owner inspected must be what another node runs, so a bundle may have nothing unusual: files stand one after
//! the other from the first byte, the directory follows, the end record closes the file. The directory is read here; the `zip` crate only
//! inflates, and is checked against it.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Cursor, Read as _, Write as _};

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipArchive, ZipWriter};

use super::BundleLimits;
use super::error::BundleError;

/// One file, as both of its headers describe it.
struct Entry<'a> {
    name: &'a str,
    method: u16,
    packed: usize,
    expanded: usize,
    header_at: usize,
}

/// All files of a bundle, expanded.
pub(super) fn read(
    bytes: &[u8],
    limits: &BundleLimits,
) -> Result<BTreeMap<String, Vec<u8>>, BundleError> {
    if bytes.len() > limits.bytes {
        return Err(BundleError::TooLarge {
            bytes: bytes.len(),
            limit: limits.bytes,
        });
    }
    let entries = directory(bytes, limits)?;
    check_sizes(&entries, bytes.len(), limits)?;
    let mut archive =
        ZipArchive::new(Cursor::new(bytes)).map_err(|e| not_a_bundle(e.to_string()))?;
    if archive.len() != entries.len() {
        return Err(not_a_bundle("its directory can be read in two ways"));
    }
    let mut files = BTreeMap::new();
    for (index, entry) in entries.iter().enumerate() {
        let damaged = |why: String| bad_entry(entry.name, format!("cannot be expanded: {why}"));
        let file = archive
            .by_index(index)
            .map_err(|e| damaged(e.to_string()))?;
        if file.name_raw() != entry.name.as_bytes() {
            return Err(damaged("its directory can be read in two ways".to_owned()));
        }
        let mut content = Vec::with_capacity(entry.expanded.min(1 << 20));
        let bound = u64::try_from(entry.expanded)
            .unwrap_or(u64::MAX)
            .saturating_add(1);
        file.take(bound)
            .read_to_end(&mut content)
            .map_err(|e| damaged(e.to_string()))?;
        if content.len() != entry.expanded {
            return Err(damaged("its size is not the one it declares".to_owned()));
        }
        files.insert(entry.name.to_owned(), content);
    }
    Ok(files)
}

/// Packs files in the order given, deflated, without times.
pub(super) fn write<'a>(
    files: impl Iterator<Item = (&'a str, &'a [u8])>,
) -> Result<Vec<u8>, String> {
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        .last_modified_time(DateTime::default())
        .unix_permissions(0o644);
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in files {
        zip.start_file(name, options).map_err(|e| e.to_string())?;
        zip.write_all(content).map_err(|e| e.to_string())?;
    }
    Ok(zip.finish().map_err(|e| e.to_string())?.into_inner())
}

/// Sizes as declared, before anything is inflated. The inflation itself is cut off at what is declared.
fn check_sizes(
    entries: &[Entry<'_>],
    packed: usize,
    limits: &BundleLimits,
) -> Result<(), BundleError> {
    let expanded = limits.expanded(packed);
    let mut total = 0_usize;
    for entry in entries {
        total = total.saturating_add(entry.expanded);
        let (sum, limit) = match entry.name {
            super::TASK_JSON => (entry.expanded, limits.task_json_bytes),
            _ => (total, expanded),
        };
        if sum > limit {
            let file = entry.name.to_owned();
            return Err(BundleError::Expands { file, limit });
        }
    }
    Ok(())
}

/// The files of the zip, in the order in which they stand.
fn directory<'a>(bytes: &'a [u8], limits: &BundleLimits) -> Result<Vec<Entry<'a>>, BundleError> {
    const END: usize = 22;
    if !bytes.starts_with(b"PK\x03\x04") {
        return Err(not_a_bundle(what_it_is(bytes)));
    }
    let cut = || {
        not_a_bundle(
            "the file is cut short, or something follows the zip: send exactly the bytes that were made",
        )
    };
    let end_at = bytes.len().checked_sub(END).ok_or_else(cut)?;
    let end = Fields(&bytes[end_at..]);
    let count = end.u16(10);
    let (size, start) = (end.u32(12), end.u32(16));
    if end.u32(0) != 0x0605_4b50 || end.u16(20) != 0 || start.checked_add(size) != Some(end_at) {
        return Err(cut());
    }
    if end.u16(4) != 0 || end.u16(6) != 0 || end.u16(8) != count {
        return Err(not_a_bundle("a zip in several parts: pack it as one file"));
    }
    if usize::from(count) > limits.files {
        return Err(not_a_bundle(format!(
            "{count} files, more than the {} allowed",
            limits.files
        )));
    }
    let mut entries = Vec::with_capacity(usize::from(count));
    let mut seen = BTreeSet::new();
    let mut rest = &bytes[start..end_at];
    let mut expected_at = 0;
    for _ in 0..count {
        let entry;
        (entry, rest) = central_header(rest)?;
        if !seen.insert(entry.name.to_ascii_lowercase()) {
            return Err(bad_entry(
                entry.name,
                "stands twice in the bundle: keep one of the two",
            ));
        }
        if entry.header_at != expected_at {
            return Err(bad_entry(
                entry.name,
                "does not follow the file before it: pack the bundle anew",
            ));
        }
        expected_at = local_header(bytes, &entry)?;
        entries.push(entry);
    }
    if !rest.is_empty() || expected_at != start {
        return Err(not_a_bundle(
            "the zip holds bytes that belong to no file: pack it anew",
        ));
    }
    Ok(entries)
}

/// The first entry of what is left of the central directory, and the rest.
fn central_header(bytes: &[u8]) -> Result<(Entry<'_>, &[u8]), BundleError> {
    const FIXED: usize = 46;
    let damaged = || not_a_bundle("its directory is damaged");
    let (head, rest) = bytes.split_at_checked(FIXED).ok_or_else(damaged)?;
    let head = Fields(head);
    if head.u32(0) != 0x0201_4b50 {
        return Err(damaged());
    }
    let (name, rest) = rest
        .split_at_checked(usize::from(head.u16(28)))
        .ok_or_else(damaged)?;
    let name = std::str::from_utf8(name).map_err(|_| {
        bad_entry(
            &String::from_utf8_lossy(name),
            "has a name that is not UTF-8",
        )
    })?;
    check_name(name)?;
    if head.u16(30) != 0 || head.u16(32) != 0 || head.u16(34) != 0 {
        return Err(bad_entry(
            name,
            "carries extra fields or a comment: pack without them (`zip -X -D`)",
        ));
    }
    check_form(name, &head)?;
    let entry = Entry {
        name,
        method: head.u16(10),
        packed: head.u32(20),
        expanded: head.u32(24),
        header_at: head.u32(42),
    };
    Ok((entry, rest))
}

/// Flags, method, sizes and file type of a central header.
fn check_form(name: &str, head: &Fields<'_>) -> Result<(), BundleError> {
    const ENCRYPTED: u16 = 1;
    /// Deflate's effort (bits 1 and 2) and UTF-8 names (bit 11) change nothing.
    const HARMLESS: u16 = 0x0806;
    let flags = head.u16(8);
    if flags & ENCRYPTED != 0 {
        return Err(bad_entry(
            name,
            "is encrypted: a task must be readable by those who run it",
        ));
    }
    if flags & !HARMLESS != 0 {
        return Err(bad_entry(
            name,
            "was packed as a stream or in an unusual way: pack it from a file",
        ));
    }
    match head.u16(10) {
        0 if head.u32(20) != head.u32(24) => {
            return Err(bad_entry(name, "is stored, yet declares two sizes"));
        }
        0 | 8 => {}
        _ => {
            return Err(bad_entry(
                name,
                "is compressed in another way than deflate: store or deflate it",
            ));
        }
    }
    if head.u32(20) == LARGE || head.u32(24) == LARGE || head.u32(42) == LARGE {
        return Err(bad_entry(
            name,
            "is in the large form of zip (zip64), which no bundle needs",
        ));
    }
    let attributes = head.u32(38);
    let unix = head.u16(4) >> 8 == 3;
    let mode = if unix { attributes >> 16 } else { 0 };
    let is_directory = attributes & 0x10 != 0;
    if is_directory || !matches!(mode & 0o170_000, 0 | 0o100_000) || mode & 0o7000 != 0 {
        return Err(bad_entry(
            name,
            "is not a plain file: links, folders and devices have no place in a bundle",
        ));
    }
    Ok(())
}

/// Compares a file's own header with the directory; returns where the file ends.
fn local_header(bytes: &[u8], entry: &Entry<'_>) -> Result<usize, BundleError> {
    const FIXED: usize = 30;
    let differs = || {
        bad_entry(
            entry.name,
            "has two headers that contradict each other: pack the bundle anew",
        )
    };
    let rest = bytes.get(entry.header_at..).ok_or_else(differs)?;
    let (head, rest) = rest.split_at_checked(FIXED).ok_or_else(differs)?;
    let head = Fields(head);
    let same = head.u32(0) == 0x0403_4b50
        && head.u16(6) & !0x0806 == 0
        && head.u16(8) == entry.method
        && head.u32(18) == entry.packed
        && head.u32(22) == entry.expanded
        && usize::from(head.u16(26)) == entry.name.len()
        && head.u16(28) == 0
        && rest.starts_with(entry.name.as_bytes());
    let ends_at = (entry.header_at + FIXED + entry.name.len()).checked_add(entry.packed);
    ends_at
        .filter(|&end| same && end <= bytes.len())
        .ok_or_else(differs)
}

/// Allows `task.json`, `graphs/NAME.onnx` and `arrays/NAME.npy`.
fn check_name(name: &str) -> Result<(), BundleError> {
    let rule = if name.starts_with('/') || name.contains('\\') || name.contains(':') {
        "is an absolute path or one of another system: names inside a bundle are relative"
    } else if name.split('/').any(|part| part == "..") {
        "climbs out of its folder: a bundle may not"
    } else if name.ends_with(".pkl") || name.ends_with(".pickle") {
        "is a Python pickle: tasks are graphs, never code"
    } else if is_allowed_name(name) {
        return Ok(());
    } else {
        "has no place in a bundle, which holds task.json, graphs/NAME.onnx and arrays/NAME.npy only"
    };
    Err(bad_entry(name, rule))
}

/// Whether a bundle may hold a file of this name.
pub(crate) fn is_allowed_name(name: &str) -> bool {
    let stem = |folder: &str, ending: &str| name.strip_prefix(folder)?.strip_suffix(ending);
    let plain = |stem: &str| {
        (1..=128).contains(&stem.len())
            && !stem.starts_with('.')
            && !stem.contains("..")
            && stem
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'))
    };
    name == super::TASK_JSON
        || stem("graphs/", ".onnx").is_some_and(plain)
        || stem("arrays/", ".npy").is_some_and(plain)
}

/// What bytes that are not a zip seem to be, for the one who sent them.
fn what_it_is(bytes: &[u8]) -> &'static str {
    match bytes {
        [] => "the file is empty",
        [0x80, 1..=5, ..] => {
            "this is a Python pickle: tasks are graphs, never code; export the task with the current delta package"
        }
        [b'P', b'K', ..] => "the zip holds no file, or starts in an unusual way: pack it anew",
        [0x1f, 0x8b, ..] => "this is a gzip file: a bundle is a zip, not compressed again",
        _ => "the file does not start as a zip does: send a .delta file",
    }
}

fn not_a_bundle(why: impl Into<String>) -> BundleError {
    BundleError::NotABundle { why: why.into() }
}

fn bad_entry(name: &str, rule: impl Into<String>) -> BundleError {
    BundleError::Entry {
        file: name.chars().take(160).collect(),
        rule: rule.into(),
    }
}

/// A 32-bit field that says "look into the zip64 record".
const LARGE: usize = 0xffff_ffff;

/// A header of fixed length, read at fixed places below that length.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn u16(&self, at: usize) -> u16 {
        self.0
            .get(at..at + 2)
            .and_then(|b| b.try_into().ok())
            .map_or(0, u16::from_le_bytes)
    }

    fn u32(&self, at: usize) -> usize {
        usize::from(self.u16(at)) | usize::from(self.u16(at + 2)) << 16
    }
}
