//! Arrays of numbers: the values that graphs read and write.
//!
//! Row-major, native word order in memory; `npy.rs` has the form that travels and rests.

mod filling;
pub mod half;

use serde::{Deserialize, Serialize};

pub use filling::{FillError, Filling};

/// Element types that tasks may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum DType {
    /// IEEE 754 single precision.
    F32,
    /// IEEE 754 double precision.
    F64,
    /// Signed 32-bit integer.
    I32,
    /// Signed 64-bit integer.
    I64,
    /// Unsigned byte.
    U8,
    /// Truth value, one byte.
    Bool,
}

impl DType {
    /// Bytes an element.
    #[must_use]
    pub fn size(self) -> usize {
        match self {
            Self::F32 | Self::I32 => 4,
            Self::F64 | Self::I64 => 8,
            Self::U8 | Self::Bool => 1,
        }
    }

    /// Name in manifests and messages.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F64 => "f64",
            Self::I32 => "i32",
            Self::I64 => "i64",
            Self::U8 => "u8",
            Self::Bool => "bool",
        }
    }
}

/// The elements of a [`Tensor`].
#[derive(Debug, Clone, PartialEq)]
pub enum TensorData {
    /// `f32` elements.
    F32(Vec<f32>),
    /// `f64` elements.
    F64(Vec<f64>),
    /// `i32` elements.
    I32(Vec<i32>),
    /// `i64` elements.
    I64(Vec<i64>),
    /// `u8` elements.
    U8(Vec<u8>),
    /// `bool` elements.
    Bool(Vec<bool>),
}

impl TensorData {
    /// Number of elements.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::F32(v) => v.len(),
            Self::F64(v) => v.len(),
            Self::I32(v) => v.len(),
            Self::I64(v) => v.len(),
            Self::U8(v) => v.len(),
            Self::Bool(v) => v.len(),
        }
    }

    /// Whether there is no element.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The type of the elements.
    #[must_use]
    pub fn dtype(&self) -> DType {
        match self {
            Self::F32(_) => DType::F32,
            Self::F64(_) => DType::F64,
            Self::I32(_) => DType::I32,
            Self::I64(_) => DType::I64,
            Self::U8(_) => DType::U8,
            Self::Bool(_) => DType::Bool,
        }
    }
}

/// A shape that does not fit its elements, or does not fit a machine.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("shape {shape:?} does not hold {elements} elements")]
pub struct ShapeError {
    shape: Vec<usize>,
    elements: usize,
}

/// An array of numbers, row-major. The shape always fits the data.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor {
    shape: Vec<usize>,
    data: TensorData,
}

impl Tensor {
    /// An array of `shape` over `data`.
    ///
    /// # Errors
    /// [`ShapeError`] when the product of `shape` is not `data.len()`.
    pub fn new(shape: Vec<usize>, data: TensorData) -> Result<Self, ShapeError> {
        if element_count(&shape) == Some(data.len()) {
            Ok(Self { shape, data })
        } else {
            Err(ShapeError {
                shape,
                elements: data.len(),
            })
        }
    }

    /// A single `f64`.
    #[must_use]
    pub fn scalar(value: f64) -> Self {
        Self {
            shape: Vec::new(),
            data: TensorData::F64(vec![value]),
        }
    }

    /// All zeros. `None` when the shape's product overflows.
    #[must_use]
    pub fn zeros(dtype: DType, shape: Vec<usize>) -> Option<Self> {
        let n = element_count(&shape)?;
        let data = match dtype {
            DType::F32 => TensorData::F32(vec![0.0; n]),
            DType::F64 => TensorData::F64(vec![0.0; n]),
            DType::I32 => TensorData::I32(vec![0; n]),
            DType::I64 => TensorData::I64(vec![0; n]),
            DType::U8 => TensorData::U8(vec![0; n]),
            DType::Bool => TensorData::Bool(vec![false; n]),
        };
        Some(Self { shape, data })
    }

    /// Length of each dimension; empty for a single number.
    #[must_use]
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The elements, row-major.
    #[must_use]
    pub fn data(&self) -> &TensorData {
        &self.data
    }

    /// Gives up the elements.
    #[must_use]
    pub fn into_data(self) -> TensorData {
        self.data
    }

    /// The type of the elements.
    #[must_use]
    pub fn dtype(&self) -> DType {
        self.data.dtype()
    }

    /// Number of elements.
    #[must_use]
    pub fn len(&self) -> usize {
        self.data.len()
    }

    /// Whether there is no element.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.data.is_empty()
    }

    /// The one element as `f64`, when there is exactly one. `bool` counts as 0 or 1.
    #[must_use]
    #[expect(
        clippy::cast_precision_loss,
        reason = "metrics and flags, not contributions"
    )]
    pub fn as_scalar(&self) -> Option<f64> {
        if self.len() != 1 {
            return None;
        }
        Some(match &self.data {
            TensorData::F32(v) => f64::from(v[0]),
            TensorData::F64(v) => v[0],
            TensorData::I32(v) => f64::from(v[0]),
            TensorData::I64(v) => v[0] as f64,
            TensorData::U8(v) => f64::from(v[0]),
            TensorData::Bool(v) => f64::from(u8::from(v[0])),
        })
    }
}

/// Product of the dimensions; `None` on overflow.
#[must_use]
pub fn element_count(shape: &[usize]) -> Option<usize> {
    shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d))
}
