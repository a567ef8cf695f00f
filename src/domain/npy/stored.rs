//! Element types as `.npy` files name them, and what becomes of them once read.

use super::error::NpyError;
use crate::tensor::DType;

/// Element types in files. More than [`DType`] has: the others are widened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stored {
    U1,
    B1,
    I1,
    I2,
    U2,
    I4,
    U4,
    I8,
    U8,
    F2,
    F4,
    F8,
}

impl Stored {
    /// The type behind a `descr`, and whether it is big-endian.
    pub(super) fn parse(descr: &str) -> Result<(Self, bool), NpyError> {
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
            "u1" => Self::U1,
            "b1" => Self::B1,
            "i1" => Self::I1,
            "i2" => Self::I2,
            "u2" => Self::U2,
            "i4" => Self::I4,
            "u4" => Self::U4,
            "i8" => Self::I8,
            "u8" => Self::U8,
            "f2" => Self::F2,
            "f4" => Self::F4,
            "f8" => Self::F8,
            n if n.starts_with('O') => {
                return Err(not_this(
                    "object arrays hold pickled Python and are never read; save numbers",
                ));
            }
            n if n.starts_with(['U', 'S', 'a']) => {
                return Err(not_this("text cannot be used; save numbers"));
            }
            _ => {
                return Err(not_this(
                    "save it as float32, float64, int32, int64, uint8 or bool",
                ));
            }
        };
        if order == "|" && !matches!(stored, Self::U1 | Self::B1 | Self::I1) {
            return Err(not_this("the byte order is missing"));
        }
        Ok((stored, order == ">"))
    }

    /// The type that elements have once read: small integers are widened to `i32`, unsigned ones to `i64`, half precision to single.
    pub(super) fn dtype(self) -> DType {
        match self {
            Self::U1 => DType::U8,
            Self::B1 => DType::Bool,
            Self::I1 | Self::I2 | Self::U2 | Self::I4 => DType::I32,
            Self::U4 | Self::I8 | Self::U8 => DType::I64,
            Self::F2 | Self::F4 => DType::F32,
            Self::F8 => DType::F64,
        }
    }

    /// As NumPy calls it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::U1 => "uint8",
            Self::B1 => "bool",
            Self::I1 => "int8",
            Self::I2 => "int16",
            Self::U2 => "uint16",
            Self::I4 => "int32",
            Self::U4 => "uint32",
            Self::I8 => "int64",
            Self::U8 => "uint64",
            Self::F2 => "float16",
            Self::F4 => "float32",
            Self::F8 => "float64",
        }
    }

    /// Bytes an element in the file.
    pub(super) fn size(self) -> usize {
        match self {
            Self::U1 | Self::B1 | Self::I1 => 1,
            Self::I2 | Self::U2 | Self::F2 => 2,
            Self::I4 | Self::U4 | Self::F4 => 4,
            Self::I8 | Self::U8 | Self::F8 => 8,
        }
    }
}
