//! Samples and arrays in one file. Samples are the array `x` (or `arr_0`), their labels the array `y` (or `arr_1`).

use std::path::Path;

use super::array::{ArrayFile, UNNAMED};
use super::format;
use super::rows::Rows;
use crate::convert::numbers;
use crate::failure::Failure;
use crate::shape;
use delta_domain::manifest::DataField;
use delta_domain::tensor::{DType, Tensor};

/// Samples with an optional label each.
pub(super) struct Samples {
    x: Box<dyn ArrayFile>,
    y: Option<Box<dyn ArrayFile>>,
    shape: Vec<usize>,
}

impl Samples {
    pub(super) fn open(path: &Path, shape: &[usize], labelled: bool) -> Result<Self, Failure> {
        let x = format::array(path, &["x", UNNAMED])?;
        match x.shape().split_first() {
            Some((_, rest)) if rest == shape => {}
            _ => {
                return Err(Failure::corrupt(format!(
                    "its shape is {:?}, the task expects samples of shape {shape:?}",
                    x.shape()
                )));
            }
        }
        let y = format::optional_array(path, &["y", "arr_1"])?;
        match &y {
            Some(y) if y.shape() != [x.len()] || !y.is_whole() => {
                return Err(Failure::corrupt(format!(
                    "its labels must be {} whole numbers; they have shape {:?}",
                    x.len(),
                    y.shape()
                )));
            }
            None if labelled => {
                return Err(Failure::corrupt(
                    "the task expects labels: use an .npz with x and y, or a folder of class folders",
                ));
            }
            _ => {}
        }
        Ok(Self {
            x,
            y,
            shape: shape.to_vec(),
        })
    }
}

impl Rows for Samples {
    fn len(&self) -> usize {
        self.x.len()
    }

    fn read(&mut self, field: &DataField, rows: &[usize]) -> Result<Tensor, Failure> {
        let (shape, data) = match field {
            DataField::X => {
                let mut shape = vec![rows.len()];
                shape.extend(&self.shape);
                (shape, numbers(self.x.rows(rows)?, DType::F32)?)
            }
            DataField::Y => {
                let y = self
                    .y
                    .as_mut()
                    .ok_or_else(|| Failure::corrupt("the samples have no labels"))?;
                (vec![rows.len()], numbers(y.rows(rows)?, DType::I64)?)
            }
            DataField::Columns(_) | DataField::ColumnsF32(_) | DataField::ColumnI64(_) => {
                return Err(Failure::rejected("samples have no columns"));
            }
        };
        Tensor::new(shape, data).map_err(|e| Failure::internal(e.to_string()))
    }
}

/// One array as it is.
pub(super) struct Array {
    array: Box<dyn ArrayFile>,
    dtype: DType,
}

impl Array {
    pub(super) fn open(path: &Path, expected: &shape::Dims, dtype: DType) -> Result<Self, Failure> {
        if path.is_dir() {
            return Err(Failure::corrupt(
                "the task expects one array, and this is a folder",
            ));
        }
        let array = format::array(path, &[UNNAMED, "x"])?;
        if !shape::fits(expected, array.shape()) {
            return Err(Failure::corrupt(format!(
                "its shape is {:?}, the task expects {}",
                array.shape(),
                shape::text(expected)
            )));
        }
        Ok(Self { array, dtype })
    }
}

impl Rows for Array {
    fn len(&self) -> usize {
        self.array.len()
    }

    fn read(&mut self, field: &DataField, rows: &[usize]) -> Result<Tensor, Failure> {
        if *field != DataField::X {
            return Err(Failure::rejected("an array has the field x only"));
        }
        let mut shape = self.array.shape().to_vec();
        if let Some(first) = shape.first_mut() {
            *first = rows.len();
        }
        let data = numbers(self.array.rows(rows)?, self.dtype)?;
        Tensor::new(shape, data).map_err(|e| Failure::internal(e.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::datasets::format::npy_bytes;
    use delta_domain::tensor::TensorData;

    #[test]
    fn arrays_are_checked_and_converted() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.npy");
        std::fs::write(
            &path,
            npy_bytes(
                "<i4",
                "(2, 2)",
                &[1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0],
            ),
        )
        .unwrap();
        let mut array = Array::open(&path, &[None, Some(2)], DType::F64).unwrap();
        assert_eq!(
            array.whole(&DataField::X).unwrap(),
            Tensor::new(vec![2, 2], TensorData::F64(vec![1.0, 2.0, 3.0, 4.0])).unwrap()
        );
        assert_eq!(array.read(&DataField::X, &[1]).unwrap().shape(), [1, 2]);
        let wrong = Array::open(&path, &[None, Some(3)], DType::F64)
            .err()
            .unwrap()
            .message;
        assert!(
            wrong.contains("[2, 2]") && wrong.contains("[any, 3]"),
            "{wrong}"
        );
        assert!(Samples::open(&path, &[2], true).is_err(), "no labels");
        assert_eq!(
            Samples::open(&path, &[2], false)
                .unwrap()
                .read(&DataField::X, &[0])
                .unwrap()
                .dtype(),
            DType::F32
        );
    }

    #[test]
    fn npz_with_labels_needs_one_whole_label_a_sample() {
        use std::io::Write as _;
        let dir = tempfile::tempdir().unwrap();
        let make = |name: &str, y: &[u8], y_shape: &str| {
            let path = dir.path().join(name);
            let mut zip = zip::ZipWriter::new(std::fs::File::create(&path).unwrap());
            for (name, data) in [
                ("x.npy", npy_bytes("|u1", "(2, 1)", &[7, 255])),
                ("y.npy", npy_bytes("|i1", y_shape, y)),
            ] {
                zip.start_file(name, zip::write::SimpleFileOptions::default())
                    .unwrap();
                zip.write_all(&data).unwrap();
            }
            zip.finish().unwrap();
            path
        };
        let good = make("good.npz", &[1, 0], "(2,)");
        let mut samples = Samples::open(&good, &[1], true).unwrap();
        assert_eq!(
            samples.read(&DataField::Y, &[1, 0]).unwrap().data(),
            &TensorData::I64(vec![0, 1])
        );
        assert_eq!(
            samples.read(&DataField::X, &[1]).unwrap().data(),
            &TensorData::F32(vec![255.0]),
            "not scaled"
        );
        assert!(Samples::open(&make("short.npz", &[1], "(1,)"), &[1], true).is_err());
    }
}
