//! Bytes of a file as numbers: what an element is, and in which order its bytes stand.

use super::error::NpyError;
use super::stored::Stored;
use crate::tensor::{DType, TensorData};

/// How a file's elements are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Elements {
    pub(super) stored: Stored,
    pub(super) big_endian: bool,
}

impl Elements {
    /// The form behind a `descr` of NumPy: `<f4`, `|u1`, `>i8`.
    ///
    /// # Errors
    /// [`NpyError::Type`] when no task can use such elements.
    pub fn parse(descr: &str) -> Result<Self, NpyError> {
        let (stored, big_endian) = Stored::parse(descr)?;
        Ok(Self { stored, big_endian })
    }

    /// The type that elements have once read: small integers are widened to `i32`, unsigned ones to `i64`, half precision to single.
    #[must_use]
    pub fn dtype(self) -> DType {
        self.stored.dtype()
    }

    /// The stored type, as NumPy calls it.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.stored.name()
    }

    /// Whether an element's highest byte comes first.
    #[must_use]
    pub fn is_big_endian(self) -> bool {
        self.big_endian
    }

    /// Bytes an element.
    #[must_use]
    pub fn size(self) -> usize {
        self.stored.size()
    }

    /// The elements in `data`, in its order. Bytes of an incomplete last element are left out.
    ///
    /// # Errors
    /// [`NpyError::TooLarge`] when an unsigned number does not fit the signed type it is read as.
    pub fn decode(self, data: &[u8]) -> Result<TensorData, NpyError> {
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
            Stored::F2 => {
                let halves = read!(u16).map(|bits| half::f16::from_bits(bits).to_f32());
                TensorData::F32(halves.collect())
            }
            Stored::F4 => TensorData::F32(read!(f32).collect()),
            Stored::F8 => TensorData::F64(read!(f64).collect()),
        })
    }
}
