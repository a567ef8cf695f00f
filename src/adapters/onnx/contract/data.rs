//! What a dataset delivers, as far as the task declares it.

use super::kind::Kind;
use crate::failure::Failure;
use delta_domain::manifest::{DataField, DatasetSpec};
use delta_domain::tensor::DType;

/// The kind of a field, as the driver delivers it.
pub(super) fn data(spec: &DatasetSpec, field: &DataField, batches: bool) -> Result<Kind, Failure> {
    match (spec, field) {
        (DatasetSpec::Table { .. }, DataField::Columns(used) | DataField::ColumnsF32(used)) => {
            declared(spec, used)?;
            let dtype = if matches!(field, DataField::Columns(_)) {
                DType::F64
            } else {
                DType::F32
            };
            Ok(Kind::rows(dtype, &[used.len()]))
        }
        (DatasetSpec::Table { .. }, DataField::ColumnI64(used)) => {
            declared(spec, std::slice::from_ref(used))?;
            Ok(Kind::rows(DType::I64, &[]))
        }
        (DatasetSpec::Samples { shape, .. }, DataField::X) => Ok(Kind::rows(DType::F32, shape)),
        (DatasetSpec::Samples { .. }, DataField::Y) => Ok(Kind::rows(DType::I64, &[])),
        (DatasetSpec::Array { shape, dtype }, DataField::X) => {
            let mut dims = shape.clone();
            if let (true, Some(first)) = (batches, dims.first_mut()) {
                *first = None;
            }
            Ok(Kind {
                dtype: *dtype,
                dims: Some(dims),
            })
        }
        _ => Err(Failure::rejected(
            "the dataset has no such field: tables have columns, samples x and y, arrays x",
        )),
    }
}

/// Whether the dataset declares the columns that are read.
fn declared(spec: &DatasetSpec, used: &[String]) -> Result<(), Failure> {
    let unknown: Vec<&String> = used.iter().filter(|u| !spec.declares(u)).collect();
    if unknown.is_empty() {
        Ok(())
    } else {
        Err(Failure::rejected(format!(
            "columns {unknown:?} are read but not declared by the dataset"
        )))
    }
}
