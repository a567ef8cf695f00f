//! `.npy` and `.npz` as other programs write them: any numeric type and byte order, rows read where they lie.
//!
//! The domain's `npy` is the strict form that travels; this one reads what is found in `data_dir`.

use std::fs::File;
use std::io::{BufReader, Cursor, Read, Seek, SeekFrom};
use std::path::Path;

use super::{extension, unreadable};
use crate::convert::Numbers;
use crate::failure::Failure;
use delta_domain::tensor::element_count;

/// Where the array lies.
enum Source {
    File(BufReader<File>),
    /// Expanded from an `.npz`.
    Memory(Vec<u8>),
}

/// An array in a file.
pub(super) struct Npy {
    source: Source,
    layout: Layout,
    /// Bytes of the file that wait to be decoded.
    scratch: Vec<u8>,
}

/// What the header says.
struct Layout {
    shape: Vec<usize>,
    kind: char,
    width: usize,
    big: bool,
    start: usize,
}

/// Most bytes of a header.
const HEADER: usize = 1 << 16;
/// Most bytes of an array inside an `.npz`, which has to be expanded in memory.
const EXPANDED: u64 = 16 << 30;

/// Opens the arrays of a file: of an `.npz` the first of `names` that it holds, for an `.npy` the file itself.
pub(super) fn open(path: &Path, names: &[&str]) -> Result<Option<Npy>, Failure> {
    let file = File::open(path).map_err(|e| unreadable("it", &e))?;
    match extension(path).as_str() {
        "npy" => {
            let mut file = BufReader::new(file);
            let layout = Layout::parse(&mut file)?;
            Ok(Some(Npy::new(layout, Source::File(file))))
        }
        "npz" => {
            let broken =
                |e: zip::result::ZipError| Failure::corrupt(format!("it is not an .npz file: {e}"));
            let mut archive = zip::ZipArchive::new(BufReader::new(file)).map_err(broken)?;
            let found = names
                .iter()
                .find(|n| archive.index_for_name(&format!("{n}.npy")).is_some());
            let Some(name) = found else { return Ok(None) };
            let entry = archive.by_name(&format!("{name}.npy")).map_err(broken)?;
            let mut bytes = Vec::new();
            entry
                .take(EXPANDED)
                .read_to_end(&mut bytes)
                .map_err(|e| unreadable("it", &e))?;
            Npy::in_memory(bytes).map(Some).map_err(|f| f.within(name))
        }
        other => Err(Failure::corrupt(format!(
            "files ending in {other:?} are not read here; use .npy or .npz"
        ))),
    }
}

/// Names of the arrays in an `.npz`.
pub(super) fn names(path: &Path) -> Vec<String> {
    let archive = File::open(path)
        .ok()
        .and_then(|f| zip::ZipArchive::new(BufReader::new(f)).ok());
    archive
        .map(|a| {
            a.file_names()
                .filter_map(|n| n.ok().map(|n| n.trim_end_matches(".npy").to_owned()))
                .collect()
        })
        .unwrap_or_default()
}

impl Layout {
    fn parse(source: &mut (impl Read + Seek)) -> Result<Self, Failure> {
        let bad = |what: &str| {
            Failure::corrupt(format!(
                "it is not an .npy file that can be read here: {what}"
            ))
        };
        let read = |e: std::io::Error| unreadable("it", &e);
        let mut head = [0u8; 8];
        source.read_exact(&mut head).map_err(read)?;
        if head[..6] != *b"\x93NUMPY" {
            return Err(bad("other first bytes"));
        }
        let length = if head[6] == 1 {
            let mut n = [0u8; 2];
            source.read_exact(&mut n).map_err(read)?;
            usize::from(u16::from_le_bytes(n))
        } else {
            let mut n = [0u8; 4];
            source.read_exact(&mut n).map_err(read)?;
            usize::try_from(u32::from_le_bytes(n)).map_err(|_| bad("header too long"))?
        };
        if length > HEADER {
            return Err(bad("header too long"));
        }
        let mut text = vec![0u8; length];
        source.read_exact(&mut text).map_err(read)?;
        let text = String::from_utf8_lossy(&text).into_owned();
        let after = |key: &str| {
            text.split_once(key)
                .map(|(_, rest)| rest.trim_start_matches([':', ' ']))
        };
        let descr = after("'descr'")
            .and_then(|r| r.strip_prefix('\''))
            .and_then(|r| r.split_once('\''))
            .map(|(d, _)| d.to_owned());
        let descr = descr.ok_or_else(|| bad("no simple element type"))?;
        if !after("'fortran_order'").is_some_and(|r| r.starts_with("False")) {
            return Err(bad(
                "columns are stored first; save it again with numpy.ascontiguousarray",
            ));
        }
        let shape = after("'shape'")
            .and_then(|r| r.strip_prefix('('))
            .and_then(|r| r.split_once(')'))
            .map(|(s, _)| s.to_owned());
        let shape = shape.ok_or_else(|| bad("no shape"))?;
        let shape: Option<Vec<usize>> = shape
            .split(',')
            .map(str::trim)
            .filter(|d| !d.is_empty())
            .map(|d| d.parse().ok())
            .collect();
        let shape = shape.ok_or_else(|| bad("no shape"))?;
        let (order, rest) = descr
            .split_at_checked(1)
            .ok_or_else(|| bad("no element type"))?;
        let (kind, width) = rest
            .split_at_checked(1)
            .ok_or_else(|| bad("no element type"))?;
        let known = matches!(
            (kind, width),
            ("f", "4" | "8") | ("i" | "u", "1" | "2" | "4" | "8") | ("b", "1")
        );
        if !known || !matches!(order, "<" | ">" | "|" | "=") {
            return Err(bad(&format!(
                "elements of type {descr:?}; save it as float32, float64, an integer type or bool"
            )));
        }
        let start = source.stream_position().map_err(read)?;
        let end = source.seek(SeekFrom::End(0)).map_err(read)?;
        let width: usize = width.parse().map_err(|_| bad("no element type"))?;
        let expected = element_count(&shape)
            .and_then(|n| n.checked_mul(width))
            .and_then(|n| u64::try_from(n).ok());
        if expected.is_none_or(|n| end.saturating_sub(start) < n) {
            return Err(bad("it ends before its last number"));
        }
        Ok(Self {
            shape,
            kind: kind.chars().next().unwrap_or('f'),
            width,
            big: order == ">",
            start: usize::try_from(start).map_err(|_| bad("header too long"))?,
        })
    }

    /// Appends the elements that `bytes` encodes; `into` is [`Layout::empty`]'s.
    fn decode(&self, bytes: &[u8], into: &mut Numbers) -> Result<(), Failure> {
        macro_rules! each {
            ($ty:ty, $n:literal, $into:expr, $convert:expr) => {{
                let elements = bytes.as_chunks::<$n>().0.iter();
                if self.big {
                    $into.extend(elements.map(|b| $convert(<$ty>::from_be_bytes(*b))));
                } else {
                    $into.extend(elements.map(|b| $convert(<$ty>::from_le_bytes(*b))));
                }
            }};
        }
        match (into, self.kind, self.width) {
            (Numbers::Single(v), ..) => each!(f32, 4, v, |x| x),
            (Numbers::Float(v), ..) => each!(f64, 8, v, |x| x),
            (Numbers::Whole(v), 'i', 1) => each!(i8, 1, v, i64::from),
            (Numbers::Whole(v), 'i', 2) => each!(i16, 2, v, i64::from),
            (Numbers::Whole(v), 'i', 4) => each!(i32, 4, v, i64::from),
            (Numbers::Whole(v), 'i', _) => each!(i64, 8, v, |x| x),
            (Numbers::Whole(v), 'u', 2) => each!(u16, 2, v, i64::from),
            (Numbers::Whole(v), 'u', 4) => each!(u32, 4, v, i64::from),
            (Numbers::Whole(v), 'u', 8) => {
                for b in bytes.as_chunks::<8>().0 {
                    let number = if self.big {
                        u64::from_be_bytes(*b)
                    } else {
                        u64::from_le_bytes(*b)
                    };
                    v.push(i64::try_from(number).map_err(|_| {
                        Failure::corrupt("a number does not fit 64 bits with a sign")
                    })?);
                }
            }
            (Numbers::Whole(v), ..) => each!(u8, 1, v, i64::from),
        }
        Ok(())
    }

    /// No elements yet, of the kind that this array decodes to.
    fn empty(&self, capacity: usize) -> Numbers {
        match (self.kind, self.width) {
            ('f', 4) => Numbers::Single(Vec::with_capacity(capacity)),
            ('f', _) => Numbers::Float(Vec::with_capacity(capacity)),
            _ => Numbers::Whole(Vec::with_capacity(capacity)),
        }
    }
}

impl Npy {
    fn new(layout: Layout, source: Source) -> Self {
        Self {
            source,
            layout,
            scratch: Vec::new(),
        }
    }

    fn in_memory(bytes: Vec<u8>) -> Result<Self, Failure> {
        let layout = Layout::parse(&mut Cursor::new(bytes.as_slice()))?;
        Ok(Self::new(layout, Source::Memory(bytes)))
    }

    pub(super) fn shape(&self) -> &[usize] {
        &self.layout.shape
    }

    /// Rows along the first dimension; an array without dimensions is one row.
    pub(super) fn len(&self) -> usize {
        self.layout.shape.first().copied().unwrap_or(1)
    }

    /// Whether elements are whole numbers or truth values.
    pub(super) fn is_whole(&self) -> bool {
        self.layout.kind != 'f'
    }

    /// The elements of some rows, one row after the other.
    pub(super) fn rows(&mut self, rows: &[usize]) -> Result<Numbers, Failure> {
        let elements = self.layout.shape.iter().skip(1).product::<usize>();
        let row_bytes = elements.saturating_mul(self.layout.width);
        let mut numbers = self.layout.empty(elements.saturating_mul(rows.len()));
        let mut at = 0;
        while let Some(&first) = rows.get(at) {
            // Neighbours in the file are read at once.
            let run = rows
                .get(at..)
                .unwrap_or_default()
                .iter()
                .zip(first..)
                .take_while(|(row, next)| **row == *next)
                .count()
                .max(1);
            if first.saturating_add(run) > self.len() {
                return Err(Failure::internal(format!("row {first} of {}", self.len())));
            }
            let from = self
                .layout
                .start
                .saturating_add(first.saturating_mul(row_bytes));
            let length = run.saturating_mul(row_bytes);
            let bytes = match &mut self.source {
                Source::Memory(all) => all.get(from..from.saturating_add(length)),
                Source::File(file) => {
                    let from = u64::try_from(from).unwrap_or(u64::MAX);
                    let limit = u64::try_from(length).unwrap_or(u64::MAX);
                    self.scratch.clear();
                    file.seek(SeekFrom::Start(from))
                        .and_then(|_| file.take(limit).read_to_end(&mut self.scratch))
                        .map_err(|e| unreadable("it", &e))?;
                    self.scratch.get(..length)
                }
            };
            let bytes = bytes.ok_or_else(|| Failure::corrupt("it ends before its last number"))?;
            self.layout.decode(bytes, &mut numbers)?;
            at += run;
        }
        Ok(numbers)
    }
}

#[cfg(test)]
pub(super) fn bytes(descr: &str, shape: &str, data: &[u8]) -> Vec<u8> {
    let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n");
    let mut out = b"\x93NUMPY\x01\0".to_vec();
    out.extend(u16::try_from(header.len()).unwrap().to_le_bytes());
    out.extend(header.as_bytes());
    out.extend(data);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(descr: &str, shape: &str, data: &[u8]) -> Result<Npy, Failure> {
        Npy::in_memory(bytes(descr, shape, data))
    }

    #[test]
    fn any_order_of_rows_is_read_from_any_byte_order() {
        let mut npy = parse(">i2", "(3, 2)", &[0, 1, 0, 2, 0, 3, 0, 4, 255, 255, 0, 6]).unwrap();
        assert_eq!(
            npy.rows(&[2, 0, 1]).unwrap(),
            Numbers::Whole(vec![-1, 6, 1, 2, 3, 4])
        );
        assert_eq!(npy.rows(&[]).unwrap(), Numbers::Whole(vec![]));
        assert!(npy.rows(&[3]).is_err());
        let mut scalar = parse("<f8", "()", &2.5f64.to_le_bytes()).unwrap();
        assert_eq!(
            (scalar.len(), scalar.rows(&[0]).unwrap()),
            (1, Numbers::Float(vec![2.5]))
        );
    }

    #[test]
    fn lies_in_the_header_are_errors() {
        assert!(parse("<f8", "(99999999999999999999,)", &[]).is_err());
        assert!(
            parse("<f8", "(4611686018427387904, 4)", &[]).is_err(),
            "overflow"
        );
        assert!(parse("<f4", "(2,)", &[0; 7]).is_err(), "short");
        assert!(parse("|O", "(1,)", &[0; 8]).is_err(), "pickled objects");
        assert!(Npy::in_memory(b"PK\x03\x04".to_vec()).is_err());
    }
}
