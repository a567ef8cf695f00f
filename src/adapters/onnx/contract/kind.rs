//! What is known of a value before anything runs, and what such a value may become.

use crate::failure::Failure;
use crate::guard::Port;
use crate::shape;
use delta_domain::tensor::DType;

/// What is known of a value before anything runs.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Kind {
    pub(super) dtype: DType,
    /// `None` for an unknown rank.
    pub(super) dims: Option<Vec<Option<usize>>>,
}

impl Kind {
    /// A value whose lengths are all known.
    pub(super) fn exact(dtype: DType, shape: &[usize]) -> Self {
        Self {
            dtype,
            dims: Some(shape.iter().copied().map(Some).collect()),
        }
    }

    /// Rows of unknown number, each of this shape.
    pub(super) fn rows(dtype: DType, shape: &[usize]) -> Self {
        Self {
            dtype,
            dims: Some(
                std::iter::once(None)
                    .chain(shape.iter().copied().map(Some))
                    .collect(),
            ),
        }
    }

    /// The kind of a graph's input or output.
    pub(super) fn of(port: &Port) -> Self {
        Self {
            dtype: port.dtype,
            dims: port.dims.clone(),
        }
    }

    /// One block of it along the first axis, as a sum over the records has.
    pub(super) fn block(self) -> Result<Self, Failure> {
        let dims = self.dims.as_ref().map(|d| d.get(1..).map(<[_]>::to_vec));
        match dims {
            None => Ok(self),
            Some(Some(dims)) => Ok(Self {
                dtype: self.dtype,
                dims: Some(dims),
            }),
            Some(None) => Err(Failure::rejected(
                "it is a single number; under the driver records an output has one block for each record",
            )),
        }
    }

    /// Whether it may be a single number.
    pub(super) fn is_single(&self) -> bool {
        self.dims
            .as_ref()
            .is_none_or(|d| d.iter().all(|d| d.is_none_or(|d| d == 1)))
    }

    /// As messages show it: `f64 [any, 3]`.
    pub(super) fn text(&self) -> String {
        let dims = self.dims.as_deref();
        let dims = dims.map_or_else(|| "any shape".to_owned(), shape::text);
        format!("{} {dims}", self.dtype.name())
    }
}

/// Whether a value may go into a graph input.
pub(super) fn feeds(kind: &Kind, port: &Port) -> Result<(), Failure> {
    if kind.dtype == port.dtype && agree(kind.dims.as_deref(), port.dims.as_deref()) {
        return Ok(());
    }
    Err(Failure::rejected(format!(
        "the graph takes {}, the task gives {}",
        Kind::of(port).text(),
        kind.text()
    )))
}

/// Whether a value may become a contribution or a variable (see `convert::fit`).
pub(super) fn lands(kind: &Kind, wanted: &Kind) -> Result<(), Failure> {
    let float = |d: DType| matches!(d, DType::F32 | DType::F64);
    let types = kind.dtype == wanted.dtype || (float(kind.dtype) && float(wanted.dtype));
    let shapes = (kind.is_single() && wanted.is_single())
        || agree(kind.dims.as_deref(), wanted.dims.as_deref());
    if types && shapes {
        return Ok(());
    }
    Err(Failure::rejected(format!(
        "the task declares {}, the value is {}",
        wanted.text(),
        kind.text()
    )))
}

/// Whether some tensor has both shapes; an unknown rank agrees with all.
fn agree(a: Option<&shape::Dims>, b: Option<&shape::Dims>) -> bool {
    a.zip(b).is_none_or(|(a, b)| shape::agree(a, b))
}
