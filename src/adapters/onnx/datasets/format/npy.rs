//! `.npy` as other programs write it: any number type, byte order and order of dimensions, rows read where they lie.
//!
//! What the header means, the domain's `npy` knows. Here arrays are not read whole, and may be followed by something.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::datasets::array::{self, ArrayFile, Found, UNNAMED};
use crate::datasets::strided::{Bytes, Element, Layout, Strided, dense};
use crate::failure::Failure;
use delta_domain::npy::{Header, MAX_PREFIX};

/// Opens the array if [`UNNAMED`] is among `names`: it has no name of its own.
pub(super) fn find(file: File, names: &[&str]) -> Result<Found, Failure> {
    if names.contains(&UNNAMED) {
        Ok(Found::Array(Box::new(in_file(file)?)))
    } else {
        Ok(Found::Others(vec![UNNAMED.to_owned()]))
    }
}

/// Appends the array as one sample, which must have exactly `shape`.
pub(super) fn append(path: &Path, shape: &[usize], out: &mut Vec<f32>) -> Result<(), Failure> {
    array::append(&mut open(path)?, shape, out)
}

/// Whether the array is one sample of `shape`, by its header and its length.
pub(super) fn fits(path: &Path, shape: &[usize]) -> Result<(), Failure> {
    array::is_one(&open(path)?, shape)
}

/// The array's shape and type, in words.
pub(super) fn describe(path: &Path) -> Result<String, Failure> {
    let array = open(path)?;
    Ok(format!(
        "array, shape {:?}, {}",
        array.shape(),
        array.kind()
    ))
}

fn open(path: &Path) -> Result<Strided, Failure> {
    in_file(File::open(path).map_err(|e| Failure::unreadable("it", &e))?)
}

fn in_file(file: File) -> Result<Strided, Failure> {
    let header = header(&file)?;
    within(Bytes::File(file), 0, &header)
}

/// The array whose header begins at `start`.
///
/// # Errors
/// When `bytes` end too early.
pub(super) fn within(bytes: Bytes, start: u64, header: &Header) -> Result<Strided, Failure> {
    let length = u64::try_from(header.data_start()).unwrap_or(u64::MAX);
    let layout = Layout {
        element: Element::Plain(header.form()),
        start: start.saturating_add(length),
        strides: dense(header.shape(), header.fortran_order()),
        shape: header.shape().to_vec(),
    };
    Strided::new(bytes, layout)
}

/// Reads the header of an array.
///
/// # Errors
/// In words for the owner of the data.
pub(super) fn header(source: impl Read) -> Result<Header, Failure> {
    let mut start = Vec::new();
    let limit = u64::try_from(MAX_PREFIX).unwrap_or(u64::MAX);
    source
        .take(limit)
        .read_to_end(&mut start)
        .map_err(|e| Failure::unreadable("it", &e))?;
    Header::parse(&start).map_err(|e| Failure::corrupt(delta_ports::report(&e)))
}

#[cfg(test)]
pub(in crate::datasets) fn bytes(descr: &str, shape: &str, data: &[u8]) -> Vec<u8> {
    let text = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n");
    with_header(&text, data)
}

#[cfg(test)]
pub(in crate::datasets) fn with_header(text: &str, data: &[u8]) -> Vec<u8> {
    let mut out = b"\x93NUMPY\x01\0".to_vec();
    out.extend(u16::try_from(text.len()).unwrap().to_le_bytes());
    out.extend(text.as_bytes());
    out.extend(data);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::convert::Numbers;

    fn parse_file(bytes: &[u8]) -> Result<Strided, Failure> {
        let mut file = tempfile::tempfile().unwrap();
        std::io::Write::write_all(&mut file, bytes).unwrap();
        std::io::Seek::rewind(&mut file).unwrap();
        in_file(file)
    }

    fn parse(descr: &str, shape: &str, data: &[u8]) -> Result<Strided, Failure> {
        parse_file(&bytes(descr, shape, data))
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
        let mut half = parse("<f2", "(2,)", &[0, 0x3c, 0, 0xc0]).unwrap();
        assert_eq!(
            (half.kind(), half.rows(&[1, 0]).unwrap()),
            ("float16", Numbers::Single(vec![-2.0, 1.0]))
        );
    }

    #[test]
    fn columns_first_and_all_forms_of_headers_are_read() {
        for (text, expected) in [
            (
                "{'descr': '|u1', 'fortran_order': True, 'shape': (2, 3), }\n",
                [4, 5, 6, 1, 2, 3],
            ),
            (
                "{'descr': '|u1', 'fortran_order': False, 'shape': (2L, 3L)}",
                [2, 5, 3, 1, 4, 2],
            ),
            (
                "{\"descr\": \"|u1\", \"fortran_order\": false, \"shape\": [2, 3]}",
                [2, 5, 3, 1, 4, 2],
            ),
        ] {
            let mut npy = parse_file(&with_header(text, &[1, 4, 2, 5, 3, 6])).unwrap();
            let expected = match text.contains("True") {
                true => expected.map(i64::from).to_vec(),
                false => vec![5, 3, 6, 1, 4, 2],
            };
            assert_eq!(
                npy.rows(&[1, 0]).unwrap(),
                Numbers::Whole(expected),
                "{text}"
            );
        }
        for version in [2, 3] {
            let text = b"{'descr': '<i4', 'fortran_order': True, 'shape': (1, 2)}";
            let mut file = [b"\x93NUMPY".as_slice(), &[version, 0, 56, 0, 0, 0], text].concat();
            file.extend([7, 0, 0, 0, 8, 0, 0, 0]);
            let mut npy = parse_file(&file).unwrap();
            assert_eq!(npy.rows(&[0]).unwrap(), Numbers::Whole(vec![7, 8]));
        }
    }

    #[test]
    fn lies_in_the_header_are_errors() {
        assert!(parse("<f8", "(99999999999999999999,)", &[]).is_err());
        assert!(
            parse("<f8", "(4611686018427387904, 4)", &[]).is_err(),
            "overflow"
        );
        assert!(parse("<f4", "(2,)", &[0; 7]).is_err(), "short");
        assert!(parse_file(b"PK\x03\x04").is_err());
        let objects = parse("|O", "(1,)", &[0; 8]).err().unwrap().message;
        assert!(objects.contains("never read; save numbers"), "{objects}");
    }
}
