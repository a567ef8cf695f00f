//! `.npy` as other programs write it: any numeric type and byte order, rows read where they lie.
//!
//! The domain's `npy` is the strict form that travels; this one reads what is found in `data_dir`.

use std::fs::File;
use std::io::{BufReader, Cursor, Read, Seek, SeekFrom};
use std::path::Path;

use crate::convert::{Numbers, numbers};
use crate::datasets::array::{ArrayFile, Found, UNNAMED};
use crate::failure::Failure;
use delta_domain::tensor::{DType, TensorData, element_count};

/// Most bytes of a header.
const HEADER: usize = 1 << 16;

/// Opens the array if [`UNNAMED`] is among `names`: it has no name of its own.
pub(super) fn find(file: File, names: &[&str]) -> Result<Found, Failure> {
    if names.contains(&UNNAMED) {
        Ok(Found::Array(Box::new(Npy::in_file(file)?)))
    } else {
        Ok(Found::Others(vec![UNNAMED.to_owned()]))
    }
}

/// Appends the array as one sample, which must have exactly `shape`.
pub(super) fn append(path: &Path, shape: &[usize], out: &mut Vec<f32>) -> Result<(), Failure> {
    let mut npy = open(path)?;
    if npy.shape() != shape {
        return Err(Failure::corrupt(format!(
            "its shape is {:?}, the task expects {shape:?}",
            npy.shape()
        )));
    }
    let all: Vec<usize> = (0..npy.len()).collect();
    let TensorData::F32(values) = numbers(npy.rows(&all)?, DType::F32)? else {
        return Err(Failure::internal("numbers of another type than asked for"));
    };
    out.extend(values);
    Ok(())
}

/// The array's shape, in words.
pub(super) fn describe(path: &Path) -> Result<String, Failure> {
    Ok(format!("array, shape {:?}", open(path)?.shape()))
}

fn open(path: &Path) -> Result<Npy, Failure> {
    Npy::in_file(File::open(path).map_err(|e| Failure::unreadable("it", &e))?)
}

/// An array in NumPy's own format.
pub(super) struct Npy {
    source: Source,
    layout: Layout,
    /// Bytes of the file that wait to be decoded.
    scratch: Vec<u8>,
}

/// Where the header and the elements lie.
enum Source {
    File(BufReader<File>),
    /// Expanded from an archive.
    Memory(Vec<u8>),
}

/// What the header says of the elements.
struct Layout {
    shape: Vec<usize>,
    /// `f` for floating point, `i`, `u` and `b` for whole numbers and truth values.
    kind: char,
    /// Bytes of an element.
    width: usize,
    /// Whether elements begin with their highest byte.
    big: bool,
    /// Where the first element lies.
    start: usize,
}

impl Npy {
    fn in_file(file: File) -> Result<Self, Failure> {
        let mut file = BufReader::new(file);
        let layout = Layout::read(&mut file)?;
        Ok(Self::new(layout, Source::File(file)))
    }

    /// An array whose file lies in memory.
    pub(super) fn in_memory(bytes: Vec<u8>) -> Result<Self, Failure> {
        let layout = Layout::read(&mut Cursor::new(bytes.as_slice()))?;
        Ok(Self::new(layout, Source::Memory(bytes)))
    }

    fn new(layout: Layout, source: Source) -> Self {
        Self {
            source,
            layout,
            scratch: Vec::new(),
        }
    }
}

impl ArrayFile for Npy {
    fn shape(&self) -> &[usize] {
        &self.layout.shape
    }

    fn is_whole(&self) -> bool {
        self.layout.kind != 'f'
    }

    fn rows(&mut self, rows: &[usize]) -> Result<Numbers, Failure> {
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
                        .map_err(|e| Failure::unreadable("it", &e))?;
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

impl Layout {
    /// Reads the header from the beginning of the file, and compares it with the file's length.
    fn read(source: &mut (impl Read + Seek)) -> Result<Self, Failure> {
        let mut layout = Self::parse(&header(source)?)?;
        let cannot = |e: std::io::Error| Failure::unreadable("it", &e);
        let start = source.stream_position().map_err(cannot)?;
        let end = source.seek(SeekFrom::End(0)).map_err(cannot)?;
        let expected = element_count(&layout.shape)
            .and_then(|n| n.checked_mul(layout.width))
            .and_then(|n| u64::try_from(n).ok());
        if expected.is_none_or(|n| end.saturating_sub(start) < n) {
            return Err(bad("it ends before its last number"));
        }
        layout.start = usize::try_from(start).map_err(|_| bad("header too long"))?;
        Ok(layout)
    }

    /// Reads the text of a header: a Python dictionary of three entries.
    fn parse(text: &str) -> Result<Self, Failure> {
        let after = |key: &str| {
            text.split_once(key)
                .map(|(_, rest)| rest.trim_start_matches([':', ' ']))
        };
        let quoted = |r: &str| {
            let (inside, _) = r.strip_prefix('\'')?.split_once('\'')?;
            Some(inside.to_owned())
        };
        let descr = after("'descr'").and_then(quoted);
        let descr = descr.ok_or_else(|| bad("no simple element type"))?;
        if !after("'fortran_order'").is_some_and(|r| r.starts_with("False")) {
            return Err(bad(
                "columns are stored first; save it again with numpy.ascontiguousarray",
            ));
        }
        let shape = after("'shape'").and_then(lengths);
        let shape = shape.ok_or_else(|| bad("no shape"))?;
        let no_type = || bad("no element type");
        let (order, rest) = descr.split_at_checked(1).ok_or_else(no_type)?;
        let (kind, width) = rest.split_at_checked(1).ok_or_else(no_type)?;
        let known = matches!(
            (kind, width),
            ("f", "4" | "8") | ("i" | "u", "1" | "2" | "4" | "8") | ("b", "1")
        );
        if !known || !matches!(order, "<" | ">" | "|" | "=") {
            return Err(bad(&format!(
                "elements of type {descr:?}; save it as float32, float64, an integer type or bool"
            )));
        }
        Ok(Self {
            shape,
            kind: kind.chars().next().unwrap_or('f'),
            width: width.parse().map_err(|_| no_type())?,
            big: order == ">",
            start: 0,
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

/// The text between the first bytes and the elements.
fn header(source: &mut impl Read) -> Result<String, Failure> {
    let cannot = |e: std::io::Error| Failure::unreadable("it", &e);
    let mut head = [0u8; 8];
    source.read_exact(&mut head).map_err(cannot)?;
    if head[..6] != *b"\x93NUMPY" {
        return Err(bad("other first bytes"));
    }
    let length = if head[6] == 1 {
        let mut n = [0u8; 2];
        source.read_exact(&mut n).map_err(cannot)?;
        usize::from(u16::from_le_bytes(n))
    } else {
        let mut n = [0u8; 4];
        source.read_exact(&mut n).map_err(cannot)?;
        usize::try_from(u32::from_le_bytes(n)).map_err(|_| bad("header too long"))?
    };
    if length > HEADER {
        return Err(bad("header too long"));
    }
    let mut text = vec![0u8; length];
    source.read_exact(&mut text).map_err(cannot)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// The lengths in a tuple: `(3, 2)`, `(5,)` or `()`.
fn lengths(tuple: &str) -> Option<Vec<usize>> {
    let (inside, _) = tuple.strip_prefix('(')?.split_once(')')?;
    inside
        .split(',')
        .map(str::trim)
        .filter(|d| !d.is_empty())
        .map(|d| d.parse().ok())
        .collect()
}

fn bad(what: &str) -> Failure {
    Failure::corrupt(format!(
        "it is not an .npy file that can be read here: {what}"
    ))
}

#[cfg(test)]
pub(in crate::datasets) fn bytes(descr: &str, shape: &str, data: &[u8]) -> Vec<u8> {
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
