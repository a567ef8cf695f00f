//! `.npy` and `.npz` as other programs write them: any numeric type and byte order, rows read where they lie.
//!
//! The domain's `npy` is the strict form that travels; this one reads what is found in `data_dir`.

use std::fs::File;
use std::io::{BufReader, Cursor, Read, Seek, SeekFrom};
use std::path::Path;

use super::{extension, unreadable};
use crate::adapters::onnx::convert::Numbers;
use crate::adapters::onnx::failure::Failure;
use crate::domain::tensor::element_count;

trait Source: Read + Seek {}
impl<T: Read + Seek> Source for T {}

/// An array in a file.
pub(super) struct Npy {
    source: Box<dyn Source>,
    shape: Vec<usize>,
    kind: char,
    width: usize,
    big: bool,
    start: u64,
}

/// Most bytes of a header.
const HEADER: usize = 1 << 16;
/// Most bytes of an array inside an `.npz`, which has to be expanded in memory.
const EXPANDED: u64 = 16 << 30;

/// Opens the arrays of a file: of an `.npz` the first of `names` that it holds, for an `.npy` the file itself.
pub(super) fn open(path: &Path, names: &[&str]) -> Result<Option<Npy>, Failure> {
    let file = File::open(path).map_err(|e| unreadable("it", &e))?;
    match extension(path).as_str() {
        "npy" => Npy::parse(Box::new(BufReader::new(file))).map(Some),
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
            Npy::parse(Box::new(Cursor::new(bytes)))
                .map(Some)
                .map_err(|f| f.within(name))
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

impl Npy {
    fn parse(mut source: Box<dyn Source>) -> Result<Self, Failure> {
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
            source,
            shape,
            kind: kind.chars().next().unwrap_or('f'),
            width,
            big: order == ">",
            start,
        })
    }

    pub(super) fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Rows along the first dimension; an array without dimensions is one row.
    pub(super) fn len(&self) -> usize {
        self.shape.first().copied().unwrap_or(1)
    }

    /// Whether elements are whole numbers or truth values.
    pub(super) fn is_whole(&self) -> bool {
        self.kind != 'f'
    }

    /// The elements of some rows, one row after the other.
    pub(super) fn rows(&mut self, rows: &[usize]) -> Result<Numbers, Failure> {
        let row_bytes = self
            .shape
            .iter()
            .skip(1)
            .product::<usize>()
            .saturating_mul(self.width);
        let mut bytes = Vec::with_capacity(row_bytes.saturating_mul(rows.len()));
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
            let offset = u64::try_from(first.saturating_mul(row_bytes)).unwrap_or(u64::MAX);
            let length = u64::try_from(run.saturating_mul(row_bytes)).unwrap_or(u64::MAX);
            self.source
                .seek(SeekFrom::Start(self.start.saturating_add(offset)))
                .map_err(|e| unreadable("it", &e))?;
            let got = (&mut self.source)
                .take(length)
                .read_to_end(&mut bytes)
                .map_err(|e| unreadable("it", &e))?;
            if u64::try_from(got) != Ok(length) {
                return Err(Failure::corrupt("it ends before its last number"));
            }
            at += run;
        }
        self.decode(&bytes)
    }

    fn decode(&self, bytes: &[u8]) -> Result<Numbers, Failure> {
        macro_rules! each {
            ($ty:ty, $n:literal, $variant:ident, $into:expr) => {
                Numbers::$variant(
                    bytes
                        .as_chunks::<$n>()
                        .0
                        .iter()
                        .map(|b| {
                            ($into)(if self.big {
                                <$ty>::from_be_bytes(*b)
                            } else {
                                <$ty>::from_le_bytes(*b)
                            })
                        })
                        .collect(),
                )
            };
        }
        Ok(match (self.kind, self.width) {
            ('f', 4) => each!(f32, 4, Float, f64::from),
            ('f', _) => each!(f64, 8, Float, |x| x),
            ('i', 1) => each!(i8, 1, Whole, i64::from),
            ('i', 2) => each!(i16, 2, Whole, i64::from),
            ('i', 4) => each!(i32, 4, Whole, i64::from),
            ('i', _) => each!(i64, 8, Whole, |x| x),
            ('u', 2) => each!(u16, 2, Whole, i64::from),
            ('u', 4) => each!(u32, 4, Whole, i64::from),
            ('u', 8) => {
                let all: Option<Vec<i64>> = bytes
                    .as_chunks::<8>()
                    .0
                    .iter()
                    .map(|b| {
                        i64::try_from(if self.big {
                            u64::from_be_bytes(*b)
                        } else {
                            u64::from_le_bytes(*b)
                        })
                        .ok()
                    })
                    .collect();
                Numbers::Whole(
                    all.ok_or_else(|| {
                        Failure::corrupt("a number does not fit 64 bits with a sign")
                    })?,
                )
            }
            _ => each!(u8, 1, Whole, i64::from),
        })
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
        Npy::parse(Box::new(Cursor::new(bytes(descr, shape, data))))
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
        assert!(Npy::parse(Box::new(Cursor::new(b"PK\x03\x04".to_vec()))).is_err());
    }
}
