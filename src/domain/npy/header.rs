//! The header of an `.npy` file, and the elements after it as the header says to read them.

use super::dictionary::Dictionary;
use super::elements::Elements;
use super::error::NpyError;
use super::stored::Stored;
use crate::tensor::{DType, Tensor, TensorData, element_count};

const MAGIC: &[u8; 6] = b"\x93NUMPY";
/// Longest dictionary that is read.
const MAX_DICTIONARY: usize = 64 << 10;

/// [`Header::parse`] never needs more bytes than this.
pub const MAX_PREFIX: usize = 12 + MAX_DICTIONARY;

/// What an `.npy` file says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    elements: Elements,
    fortran_order: bool,
    shape: Vec<usize>,
    data_start: usize,
}

impl Header {
    /// Reads the beginning of a file. `bytes` may end anywhere after the header; [`MAX_PREFIX`] bytes always suffice.
    ///
    /// # Errors
    /// [`NpyError::Header`] or [`NpyError::Type`].
    pub fn parse(bytes: &[u8]) -> Result<Self, NpyError> {
        let bad = |why: &str| NpyError::Header(why.to_owned());
        let rest = bytes
            .strip_prefix(MAGIC)
            .ok_or_else(|| bad("it does not start with \\x93NUMPY"))?;
        let (length, start) = match *rest {
            [1, 0, a, b, ..] => (usize::from(u16::from_le_bytes([a, b])), 10),
            [2 | 3, 0, a, b, c, d, ..] => {
                let length = u32::from_le_bytes([a, b, c, d]);
                (usize::try_from(length).unwrap_or(usize::MAX), 12)
            }
            [major, minor, ..] if !matches!(major, 1..=3) || minor != 0 => {
                return Err(NpyError::Header(format!(
                    "version {major}.{minor}; 1.0, 2.0 and 3.0 are known"
                )));
            }
            _ => return Err(bad("it ends within the header")),
        };
        if length > MAX_DICTIONARY {
            return Err(bad("the header is longer than 64 KiB"));
        }
        let text = bytes
            .get(start..start + length)
            .ok_or_else(|| bad("it ends within the header"))?;
        let text = std::str::from_utf8(text).map_err(|_| bad("the header is not text"))?;
        let found = Dictionary::parse(text).map_err(NpyError::Header)?;
        let elements = Elements::parse(&found.descr)?;
        let bytes_needed = element_count(&found.shape).and_then(|n| n.checked_mul(8));
        if bytes_needed.is_none_or(|n| isize::try_from(n).is_err()) {
            return Err(bad("the shape is larger than a machine"));
        }
        Ok(Self {
            elements,
            fortran_order: found.fortran_order,
            shape: found.shape,
            data_start: start + length,
        })
    }

    /// The type that elements have once read: small integers are widened to `i32`, unsigned ones to `i64`, half precision to single.
    #[must_use]
    pub fn dtype(&self) -> DType {
        self.elements.dtype()
    }

    /// How each element is stored.
    #[must_use]
    pub fn form(&self) -> Elements {
        self.elements
    }

    /// Length of each dimension.
    #[must_use]
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Whether the file runs through the first dimension fastest. One-dimensional files never matter.
    #[must_use]
    pub fn fortran_order(&self) -> bool {
        self.fortran_order && self.shape.len() > 1
    }

    /// Whether the elements stand in the file as [`Tensor::extend_le_bytes`] writes them.
    pub(super) fn is_plain(&self) -> bool {
        let as_is = matches!(
            self.elements.stored,
            Stored::U1 | Stored::B1 | Stored::I4 | Stored::I8 | Stored::F4 | Stored::F8
        );
        as_is && !self.elements.big_endian && !self.fortran_order()
    }

    /// Where the elements begin, in bytes.
    #[must_use]
    pub fn data_start(&self) -> usize {
        self.data_start
    }

    /// Bytes an element in the file.
    #[must_use]
    pub fn stored_size(&self) -> usize {
        self.elements.size()
    }

    /// Bytes of all elements in the file.
    #[must_use]
    pub fn data_bytes(&self) -> usize {
        // `parse` has multiplied the shape with at least this size.
        self.shape.iter().product::<usize>() * self.stored_size()
    }

    /// The whole array from `data`, the bytes after the header.
    ///
    /// # Errors
    /// [`NpyError::Size`] when `data` is not as long as the shape says; [`NpyError::TooLarge`].
    pub fn decode(&self, data: &[u8]) -> Result<Tensor, NpyError> {
        let needed = self.data_bytes();
        let wrong_size = || NpyError::Size {
            shape: self.shape.clone(),
            needed,
            found: data.len(),
        };
        if data.len() != needed {
            return Err(wrong_size());
        }
        let mut elements = self.elements(data)?;
        if self.fortran_order() {
            elements = match elements {
                TensorData::F32(v) => TensorData::F32(row_major(&v, &self.shape)),
                TensorData::F64(v) => TensorData::F64(row_major(&v, &self.shape)),
                TensorData::I32(v) => TensorData::I32(row_major(&v, &self.shape)),
                TensorData::I64(v) => TensorData::I64(row_major(&v, &self.shape)),
                TensorData::U8(v) => TensorData::U8(row_major(&v, &self.shape)),
                TensorData::Bool(v) => TensorData::Bool(row_major(&v, &self.shape)),
            };
        }
        Tensor::new(self.shape.clone(), elements).map_err(|_| wrong_size())
    }

    /// The elements in any part of the file's data, in the file's order. Bytes of an incomplete last element are left out.
    ///
    /// # Errors
    /// [`NpyError::TooLarge`] when an unsigned number does not fit the signed type it is read as.
    pub fn elements(&self, data: &[u8]) -> Result<TensorData, NpyError> {
        self.elements.decode(data)
    }
}

/// The header of version 1.0, padded so that the elements begin at a multiple of 64.
pub(super) fn write(dtype: DType, shape: &[usize]) -> Vec<u8> {
    write_as(descr(dtype), shape)
}

/// The same, of half precision.
pub(super) fn write_half(shape: &[usize]) -> Vec<u8> {
    write_as("<f2", shape)
}

fn descr(dtype: DType) -> &'static str {
    match dtype {
        DType::F32 => "<f4",
        DType::F64 => "<f8",
        DType::I32 => "<i4",
        DType::I64 => "<i8",
        DType::U8 => "|u1",
        DType::Bool => "|b1",
    }
}

fn write_as(descr: &str, shape: &[usize]) -> Vec<u8> {
    let dims = match shape {
        [one] => format!("({one},)"),
        many => format!(
            "({})",
            many.iter()
                .map(usize::to_string)
                .collect::<Vec<_>>()
                .join(", ")
        ),
    };
    let mut text = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {dims}, }}");
    let unpadded = 10 + text.len() + 1;
    text.extend(std::iter::repeat_n(
        ' ',
        unpadded.next_multiple_of(64) - unpadded,
    ));
    text.push('\n');
    // A shape has at most a few dimensions; more than 65535 characters of them do not fit version 1.0, nor any reader here.
    let length = u16::try_from(text.len()).unwrap_or(u16::MAX);
    let mut out = Vec::with_capacity(10 + text.len());
    out.extend_from_slice(MAGIC);
    out.extend_from_slice(&[1, 0]);
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(text.as_bytes());
    out
}

/// Rows first from columns first.
fn row_major<T: Copy>(column_major: &[T], shape: &[usize]) -> Vec<T> {
    if column_major.is_empty() {
        return Vec::new();
    }
    // Position in the file of the element at `index`, counted up like an odometer.
    let strides: Vec<usize> = shape
        .iter()
        .scan(1, |stride, &dim| {
            let this = *stride;
            *stride *= dim;
            Some(this)
        })
        .collect();
    let mut index = vec![0; shape.len()];
    let mut at = 0;
    let mut out = Vec::with_capacity(column_major.len());
    for _ in 0..column_major.len() {
        out.push(column_major[at]);
        for d in (0..shape.len()).rev() {
            index[d] += 1;
            at += strides[d];
            if index[d] < shape[d] {
                break;
            }
            at -= strides[d] * shape[d];
            index[d] = 0;
        }
    }
    out
}
