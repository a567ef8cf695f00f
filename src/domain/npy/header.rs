//! The header of an `.npy` file: a Python dictionary, read without Python.

use super::NpyError;
use crate::tensor::{DType, Tensor, TensorData, element_count};

const MAGIC: &[u8; 6] = b"\x93NUMPY";
/// Longest dictionary that is read.
const MAX_DICTIONARY: usize = 64 << 10;
/// Most dimensions of an array.
const MAX_DIMENSIONS: usize = 32;

/// [`Header::parse`] never needs more bytes than this.
pub const MAX_PREFIX: usize = 12 + MAX_DICTIONARY;

/// What an `.npy` file says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    stored: Stored,
    big_endian: bool,
    fortran_order: bool,
    shape: Vec<usize>,
    data_start: usize,
}

/// Element types in files. More than [`DType`] has: the others are widened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stored {
    U1,
    B1,
    I1,
    I2,
    U2,
    I4,
    U4,
    I8,
    U8,
    F4,
    F8,
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
        let (stored, big_endian) = stored_type(&found.descr)?;
        let bytes_needed = element_count(&found.shape).and_then(|n| n.checked_mul(8));
        if bytes_needed.is_none_or(|n| isize::try_from(n).is_err()) {
            return Err(bad("the shape is larger than a machine"));
        }
        Ok(Self {
            stored,
            big_endian,
            fortran_order: found.fortran_order,
            shape: found.shape,
            data_start: start + length,
        })
    }

    /// The type that elements have once read: small integers are widened to `i32`, unsigned ones to `i64`.
    #[must_use]
    pub fn dtype(&self) -> DType {
        match self.stored {
            Stored::U1 => DType::U8,
            Stored::B1 => DType::Bool,
            Stored::I1 | Stored::I2 | Stored::U2 | Stored::I4 => DType::I32,
            Stored::U4 | Stored::I8 | Stored::U8 => DType::I64,
            Stored::F4 => DType::F32,
            Stored::F8 => DType::F64,
        }
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

    /// Where the elements begin, in bytes.
    #[must_use]
    pub fn data_start(&self) -> usize {
        self.data_start
    }

    /// Bytes an element in the file.
    #[must_use]
    pub fn stored_size(&self) -> usize {
        match self.stored {
            Stored::U1 | Stored::B1 | Stored::I1 => 1,
            Stored::I2 | Stored::U2 => 2,
            Stored::I4 | Stored::U4 | Stored::F4 => 4,
            Stored::I8 | Stored::U8 | Stored::F8 => 8,
        }
    }

    /// The whole array from `data`, the bytes after the header.
    ///
    /// # Errors
    /// [`NpyError::Size`] when `data` is not as long as the shape says; [`NpyError::TooLarge`].
    pub fn decode(&self, data: &[u8]) -> Result<Tensor, NpyError> {
        // `parse` has multiplied the shape with at least this size.
        let needed = self.shape.iter().product::<usize>() * self.stored_size();
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
        macro_rules! read {
            ($type:ty) => {
                data.as_chunks().0.iter().map(|b| {
                    if self.big_endian {
                        <$type>::from_be_bytes(*b)
                    } else {
                        <$type>::from_le_bytes(*b)
                    }
                })
            };
        }
        Ok(match self.stored {
            Stored::U1 => TensorData::U8(data.to_vec()),
            Stored::B1 => TensorData::Bool(data.iter().map(|&b| b != 0).collect()),
            Stored::I1 => TensorData::I32(read!(i8).map(i32::from).collect()),
            Stored::I2 => TensorData::I32(read!(i16).map(i32::from).collect()),
            Stored::U2 => TensorData::I32(read!(u16).map(i32::from).collect()),
            Stored::I4 => TensorData::I32(read!(i32).collect()),
            Stored::U4 => TensorData::I64(read!(u32).map(i64::from).collect()),
            Stored::I8 => TensorData::I64(read!(i64).collect()),
            Stored::U8 => {
                let checked =
                    read!(u64).map(|n| i64::try_from(n).map_err(|_| NpyError::TooLarge(n)));
                TensorData::I64(checked.collect::<Result<_, _>>()?)
            }
            Stored::F4 => TensorData::F32(read!(f32).collect()),
            Stored::F8 => TensorData::F64(read!(f64).collect()),
        })
    }
}

/// The header of version 1.0, padded so that the elements begin at a multiple of 64.
pub(super) fn write(dtype: DType, shape: &[usize]) -> Vec<u8> {
    let descr = match dtype {
        DType::F32 => "<f4",
        DType::F64 => "<f8",
        DType::I32 => "<i4",
        DType::I64 => "<i8",
        DType::U8 => "|u1",
        DType::Bool => "|b1",
    };
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

/// The type behind a `descr`, and whether it is big-endian.
fn stored_type(descr: &str) -> Result<(Stored, bool), NpyError> {
    let not_this = |fix| NpyError::Type(descr.chars().take(40).collect(), fix);
    let (order, name) = match descr.split_at_checked(1) {
        Some((order @ ("<" | ">" | "|"), name)) => (order, name),
        _ => {
            return Err(not_this(
                "expected a byte order and a number type, such as '<f4'",
            ));
        }
    };
    let stored = match name {
        "u1" => Stored::U1,
        "b1" => Stored::B1,
        "i1" => Stored::I1,
        "i2" => Stored::I2,
        "u2" => Stored::U2,
        "i4" => Stored::I4,
        "u4" => Stored::U4,
        "i8" => Stored::I8,
        "u8" => Stored::U8,
        "f4" => Stored::F4,
        "f8" => Stored::F8,
        n if n.starts_with('O') => {
            return Err(not_this(
                "object arrays hold pickled Python and are never read; save numbers",
            ));
        }
        n if n.starts_with(['U', 'S', 'a']) => {
            return Err(not_this("text cannot be used; save numbers"));
        }
        "f2" => {
            return Err(not_this(
                "half precision cannot be used; save it as float32",
            ));
        }
        _ => {
            return Err(not_this(
                "save it as float32, float64, int32, int64, uint8 or bool",
            ));
        }
    };
    if order == "|" && !matches!(stored, Stored::U1 | Stored::B1 | Stored::I1) {
        return Err(not_this("the byte order is missing"));
    }
    Ok((stored, order == ">"))
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

/// The three entries of the dictionary.
struct Dictionary {
    descr: String,
    fortran_order: bool,
    shape: Vec<usize>,
}

impl Dictionary {
    fn parse(text: &str) -> Result<Self, String> {
        let mut descr = None;
        let mut fortran_order = None;
        let mut shape = None;
        let mut reader = Reader(text);
        reader.expect("{")?;
        while !reader.accept("}") {
            let key = reader.string()?;
            reader.expect(":")?;
            let first = match key {
                "descr" => descr.replace(reader.string()?.to_owned()).is_none(),
                "fortran_order" => fortran_order.replace(reader.truth()?).is_none(),
                "shape" => shape.replace(reader.tuple()?).is_none(),
                _ => false,
            };
            if !first {
                return Err("a key is unknown or stands twice".to_owned());
            }
            if !reader.accept(",") {
                reader.expect("}")?;
                break;
            }
        }
        if !reader.0.trim_ascii().is_empty() {
            return Err("something follows the dictionary".to_owned());
        }
        match (descr, fortran_order, shape) {
            (Some(descr), Some(fortran_order), Some(shape)) => Ok(Self {
                descr,
                fortran_order,
                shape,
            }),
            _ => Err("descr, fortran_order or shape is missing".to_owned()),
        }
    }
}

/// What is left of the dictionary's text.
struct Reader<'a>(&'a str);

impl<'a> Reader<'a> {
    fn accept(&mut self, token: &str) -> bool {
        let rest = self.0.trim_ascii_start();
        rest.strip_prefix(token).map(|rest| self.0 = rest).is_some()
    }

    fn expect(&mut self, token: &str) -> Result<(), String> {
        if self.accept(token) {
            Ok(())
        } else {
            Err(format!("expected {token:?} in its dictionary"))
        }
    }

    /// A quoted string without escapes.
    fn string(&mut self) -> Result<&'a str, String> {
        let quote = if self.accept("'") {
            '\''
        } else {
            self.expect("\"")
                .map(|()| '"')
                .map_err(|_| "expected a string (records cannot be used)".to_owned())?
        };
        let (inside, rest) = self.0.split_once(quote).ok_or("a string has no end")?;
        if inside.contains('\\') {
            return Err("a string has escapes".to_owned());
        }
        self.0 = rest;
        Ok(inside)
    }

    fn truth(&mut self) -> Result<bool, String> {
        if self.accept("True") {
            return Ok(true);
        }
        self.expect("False").map(|()| false)
    }

    /// `()`, `(3,)`, `(3, 4)`.
    fn tuple(&mut self) -> Result<Vec<usize>, String> {
        let mut dims = Vec::new();
        self.expect("(")?;
        while !self.accept(")") {
            if dims.len() == MAX_DIMENSIONS {
                return Err(format!("more than {MAX_DIMENSIONS} dimensions"));
            }
            let rest = self.0.trim_ascii_start();
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let (number, rest) = rest.split_at(digits);
            dims.push(
                number
                    .parse()
                    .map_err(|_| "a dimension is not a whole number".to_owned())?,
            );
            // Python 2 wrote long integers with an L.
            self.0 = rest.strip_prefix('L').unwrap_or(rest);
            if !self.accept(",") {
                self.expect(")")?;
                break;
            }
        }
        Ok(dims)
    }
}
