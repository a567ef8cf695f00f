//! Tensors in a graph: constants, and what inputs and outputs declare.

use super::graph::{GraphLimits, Port};
use super::names::{NAME_BYTES, short};
use crate::failure::Failure;
use crate::pb;
use delta_domain::tensor::{DType, element_count};

/// Most dimensions of a tensor.
const RANK: usize = 32;

/// The constants of a graph so far.
pub(super) struct Constants<'l> {
    limits: &'l GraphLimits,
    /// Bytes of all of them once expanded.
    bytes: u64,
}

impl<'l> Constants<'l> {
    /// Before the first constant of a graph.
    pub(super) fn new(limits: &'l GraphLimits) -> Self {
        Self { limits, bytes: 0 }
    }

    /// Bounds one more, and rejects everything about it that is not plain numbers in the file itself.
    pub(super) fn check(&mut self, tensor: &pb::Tensor) -> Result<(), Failure> {
        if tensor.data_location.unwrap_or(0) != 0 || !tensor.external_data.is_empty() {
            return Err(Failure::rejected(
                "the constant lies in another file, which is not allowed; embed it",
            ));
        }
        if tensor.segment.is_some()
            || !tensor.string_data.is_empty()
            || !tensor.uint64_data.is_empty()
        {
            return Err(Failure::rejected(
                "the constant is segmented or of a type that is not allowed; store plain numbers",
            ));
        }
        let dtype = dtype(tensor.data_type.unwrap_or(0))?;
        let (elements, bytes) = size(&tensor.dims, dtype)
            .ok_or_else(|| Failure::rejected("the constant's shape is not a shape"))?;
        self.bytes = self
            .bytes
            .checked_add(bytes)
            .filter(|t| *t <= self.limits.constant_bytes)
            .ok_or_else(|| {
                Failure::rejected(format!(
                    "the constants need more than {} bytes; move them into variables",
                    self.limits.constant_bytes
                ))
            })?;
        if holds(tensor, dtype, elements, bytes) {
            Ok(())
        } else {
            Err(Failure::rejected(
                "the constant holds more or fewer numbers than its shape says",
            ))
        }
    }
}

/// Elements and bytes of a constant; `None` when its dimensions are no shape.
fn size(dims: &[i64], dtype: DType) -> Option<(usize, u64)> {
    if dims.len() > RANK {
        return None;
    }
    let dims = dims.iter().map(|&d| usize::try_from(d).ok());
    let elements = element_count(&dims.collect::<Option<Vec<_>>>()?)?;
    let bytes = u64::try_from(elements.checked_mul(dtype.size())?).ok()?;
    Some((elements, bytes))
}

/// Whether exactly as many numbers are there, all in the one list where their type belongs.
fn holds(tensor: &pb::Tensor, dtype: DType, elements: usize, bytes: u64) -> bool {
    let lists = [
        tensor.float_data.len(),
        tensor.int32_data.len(),
        tensor.int64_data.len(),
        tensor.double_data.len(),
    ];
    if let Some(raw) = &tensor.raw_data {
        return u64::try_from(raw.len()) == Ok(bytes) && lists.iter().all(|n| *n == 0);
    }
    let own = match dtype {
        DType::F32 => 0,
        DType::I32 | DType::U8 | DType::Bool => 1,
        DType::I64 => 2,
        DType::F64 => 3,
    };
    lists
        .iter()
        .enumerate()
        .all(|(i, n)| *n == if i == own { elements } else { 0 })
}

/// A declared input or output, whose known lengths must leave it within the limit of one tensor.
pub(super) fn port(value: &pb::ValueInfo, limits: &GraphLimits) -> Result<Port, Failure> {
    let name = value.name.clone().unwrap_or_default();
    let place = |f: Failure| f.within(&format!("{:?}", short(&name)));
    let tensor = value.ty.as_ref().and_then(|t| t.tensor.as_ref());
    let tensor = tensor.ok_or_else(|| {
        place(Failure::rejected(
            "inputs and outputs must be tensors with a declared type",
        ))
    })?;
    let dtype = dtype(tensor.elem.unwrap_or(0)).map_err(place)?;
    let dims = match &tensor.shape {
        None => None,
        Some(shape) if shape.dim.len() > RANK => {
            return Err(place(Failure::rejected("more than 32 dimensions")));
        }
        Some(shape) => Some(
            shape
                .dim
                .iter()
                .map(dimension)
                .collect::<Result<Vec<_>, _>>()
                .map_err(place)?,
        ),
    };
    // The known dimensions alone bound the tensor from below.
    let known: Vec<usize> = dims
        .iter()
        .flatten()
        .filter_map(|d| d.filter(|d| *d > 0))
        .collect();
    let bytes = element_count(&known)
        .and_then(|n| n.checked_mul(dtype.size()))
        .and_then(|b| u64::try_from(b).ok());
    if bytes.is_none_or(|b| b > limits.tensor_bytes) {
        return Err(place(Failure::rejected(format!(
            "the declared shape needs more than {} bytes",
            limits.tensor_bytes
        ))));
    }
    Ok(Port { name, dtype, dims })
}

fn dimension(dim: &pb::Dim) -> Result<Option<usize>, Failure> {
    if dim.param.as_ref().is_some_and(|p| p.len() > NAME_BYTES) {
        return Err(Failure::rejected("a dimension's name is too long"));
    }
    match dim.value {
        None => Ok(None),
        // Some exporters write -1 for "any length".
        Some(-1) => Ok(None),
        Some(n) => usize::try_from(n)
            .map(Some)
            .map_err(|_| Failure::rejected(format!("a dimension of length {n}"))),
    }
}

fn dtype(code: i32) -> Result<DType, Failure> {
    use pb::element;
    match code {
        element::FLOAT => Ok(DType::F32),
        element::DOUBLE => Ok(DType::F64),
        element::INT32 => Ok(DType::I32),
        element::INT64 => Ok(DType::I64),
        element::UINT8 => Ok(DType::U8),
        element::BOOL => Ok(DType::Bool),
        other => Err(Failure::rejected(format!(
            "element type {other} is not allowed; use float32, float64, int32, int64, uint8 or bool"
        ))),
    }
}
