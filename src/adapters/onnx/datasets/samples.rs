//! Samples and arrays in one file. Samples are the array `x` (or `arr_0`), their labels the array `y` (or `arr_1`).

use std::path::Path;

use super::array::{ArrayFile, LABELS, SAMPLES, UNNAMED};
use super::format;
use super::rows::Rows;
use super::table::Depth;
use crate::convert::{Numbers, numbers, whole};
use crate::failure::Failure;
use crate::shape;
use delta_domain::manifest::DataField;
use delta_domain::tensor::{DType, Tensor, TensorData};

/// Labels that are looked at together.
const PIECE: usize = 1 << 16;

/// Samples with an optional label each.
pub(super) struct Samples {
    x: Box<dyn ArrayFile>,
    y: Option<Box<dyn ArrayFile>>,
    shape: Vec<usize>,
    /// Number of classes that the task declares; none where it declares none.
    classes: usize,
}

impl Samples {
    pub(super) fn open(path: &Path, shape: &[usize], classes: usize) -> Result<Self, Failure> {
        let x = format::array(path, &SAMPLES)?;
        match x.shape().split_first() {
            Some((_, rest)) if rest == shape => {}
            _ => {
                return Err(Failure::corrupt(format!(
                    "its shape is {:?}, the task expects samples of shape {shape:?}",
                    x.shape()
                )));
            }
        }
        let y = format::optional_array(path, &LABELS)?;
        match &y {
            Some(y) if y.shape() != [x.len()] && y.shape() != [x.len(), 1] => {
                return Err(Failure::corrupt(format!(
                    "its labels must be {} whole numbers; they have shape {:?}",
                    x.len(),
                    y.shape()
                )));
            }
            None if classes > 0 => {
                return Err(Failure::corrupt(
                    "the task expects labels: use an .npz or .pt with x and y, or a folder of class folders",
                ));
            }
            _ => {}
        }
        Ok(Self {
            x,
            y,
            shape: shape.to_vec(),
            classes,
        })
    }

    /// The labels of some rows.
    fn labels(&mut self, rows: &[usize]) -> Result<Vec<i64>, Failure> {
        let y = self.y.as_mut();
        let y = y.ok_or_else(|| Failure::corrupt("the samples have no labels"))?;
        let read = match y.rows(rows)? {
            Numbers::Whole(labels) => labels.into_iter().map(Ok).collect(),
            Numbers::Single(labels) => labels.into_iter().map(|x| exact(f64::from(x))).collect(),
            Numbers::Float(labels) => labels.into_iter().map(exact).collect::<Vec<_>>(),
        };
        let classes = i64::try_from(self.classes).unwrap_or(i64::MAX);
        let checked = read.into_iter().zip(rows).map(|(label, row)| match label {
            Err(label) => Err(Failure::corrupt(format!(
                "label {label} of sample {row} is no whole number"
            ))),
            Ok(label) if classes > 0 && !(0..classes).contains(&label) => {
                Err(Failure::corrupt(format!(
                    "label {label} of sample {row} is none of the {classes} classes (0 to {})",
                    classes - 1
                )))
            }
            Ok(label) if label < 0 => Err(Failure::corrupt(format!(
                "label {label} of sample {row} is negative; labels count from 0"
            ))),
            Ok(label) => Ok(label),
        });
        checked.collect()
    }
}

/// The whole number that a label is, or else the label.
fn exact(label: f64) -> Result<i64, f64> {
    whole(label).ok_or(label)
}

impl Rows for Samples {
    fn len(&self) -> usize {
        self.x.len()
    }

    fn inspect(&mut self, depth: Depth) -> Result<(), Failure> {
        self.read(&DataField::X, &[0])?;
        if self.y.is_none() || depth == Depth::Names {
            return Ok(());
        }
        let all: Vec<usize> = (0..self.len()).collect();
        all.chunks(PIECE)
            .try_for_each(|rows| self.labels(rows).map(drop))
    }

    fn read(&mut self, field: &DataField, rows: &[usize]) -> Result<Tensor, Failure> {
        let (shape, data) = match field {
            DataField::X => {
                let mut shape = vec![rows.len()];
                shape.extend(&self.shape);
                (shape, numbers(self.x.rows(rows)?, DType::F32)?)
            }
            DataField::Y => (vec![rows.len()], TensorData::I64(self.labels(rows)?)),
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

    fn inspect(&mut self, depth: Depth) -> Result<(), Failure> {
        let exact = matches!(self.dtype, DType::F32 | DType::F64);
        if depth == Depth::Names || exact || self.array.shape().is_empty() {
            return self.read(&DataField::X, &[0]).map(drop);
        }
        // Whole types take whole numbers in their range only: each is looked at.
        let each = self.array.shape().iter().skip(1).product::<usize>();
        let rows: Vec<usize> = (0..self.len()).collect();
        rows.chunks((PIECE / each.max(1)).max(1))
            .try_for_each(|some| self.read(&DataField::X, some).map(drop))
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
    use crate::datasets::format::{npy_bytes, zip_of};

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
        assert!(Samples::open(&path, &[2], 2).is_err(), "no labels");
        assert_eq!(
            Samples::open(&path, &[2], 0)
                .unwrap()
                .read(&DataField::X, &[0])
                .unwrap()
                .dtype(),
            DType::F32
        );
    }

    /// Samples of the shape [1], with these labels and as many classes.
    fn labelled(
        (descr, shape, data): (&str, &str, &[u8]),
        classes: usize,
    ) -> Result<Samples, Failure> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.npz");
        let (x, y) = (
            npy_bytes("|u1", "(2, 1)", &[7, 255]),
            npy_bytes(descr, shape, data),
        );
        zip_of(&path, &[("x.npy", &x), ("y.npy", &y)], true);
        Samples::open(&path, &[1], classes)
    }

    fn inspected(y: (&str, &str, &[u8]), classes: usize) -> Result<(), String> {
        let inspected = labelled(y, classes).and_then(|mut s| s.inspect(Depth::Whole));
        inspected.map_err(|f| f.message)
    }

    #[test]
    fn labels_are_whole_numbers_in_any_type() {
        let halves = |a: f32, b: f32| [a.to_le_bytes(), b.to_le_bytes()].concat();
        for (descr, shape, data) in [
            ("|i1", "(2,)", vec![1, 0]),
            ("|b1", "(2,)", vec![1, 0]),
            ("|u1", "(2, 1)", vec![1, 0]),
            ("<f4", "(2, 1)", halves(1.0, 0.0)),
        ] {
            let mut samples = labelled((descr, shape, &data), 2).unwrap();
            samples.inspect(Depth::Whole).unwrap();
            assert_eq!(
                samples.read(&DataField::Y, &[1, 0]).unwrap(),
                Tensor::new(vec![2], TensorData::I64(vec![0, 1])).unwrap()
            );
            assert_eq!(
                samples.read(&DataField::X, &[1]).unwrap().data(),
                &TensorData::F32(vec![255.0]),
                "not scaled"
            );
        }
        assert_eq!(
            inspected(("<f4", "(2,)", &halves(1.0, 0.5)), 0),
            Err("label 0.5 of sample 1 is no whole number".to_owned())
        );
        assert_eq!(
            inspected(("<f4", "(2,)", &halves(f32::NAN, 0.0)), 2),
            Err("label NaN of sample 0 is no whole number".to_owned())
        );
    }

    #[test]
    fn labels_are_of_the_declared_classes() {
        let of = |y: &[u8], classes| inspected(("|i1", "(2,)", y), classes);
        assert_eq!(of(&[2, 0], 3), Ok(()));
        let none = "label -1 of sample 1 is none of the 3 classes (0 to 2)";
        assert_eq!(of(&[0, 255], 3), Err(none.to_owned()));
        let none = "label 3 of sample 0 is none of the 3 classes (0 to 2)";
        assert_eq!(of(&[3, 0], 3), Err(none.to_owned()));
        assert_eq!(of(&[100, 0], 0), Ok(()), "none are declared");
        let negative = "label -1 of sample 1 is negative; labels count from 0";
        assert_eq!(of(&[0, 255], 0), Err(negative.to_owned()));
        let mut under_noise = labelled(("|i1", "(2,)", &[0, 255]), 2).unwrap();
        assert!(
            under_noise.inspect(Depth::Names).is_ok(),
            "no record decides"
        );
        assert!(under_noise.read(&DataField::Y, &[1]).is_err());
        assert!(labelled(("|i1", "(1,)", &[1]), 2).is_err());
        assert!(labelled(("|i1", "(1, 2)", &[1, 1]), 2).is_err());
    }

    #[test]
    fn an_array_of_whole_numbers_is_looked_at_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.npy");
        let numbers = [1.0_f32, 2.5].map(f32::to_le_bytes).concat();
        std::fs::write(&path, npy_bytes("<f4", "(2, 1)", &numbers)).unwrap();
        let inspected = |dtype, depth| {
            let array = Array::open(&path, &[None, Some(1)], dtype);
            array.and_then(|mut a| a.inspect(depth)).is_ok()
        };
        assert!(inspected(DType::F64, Depth::Whole));
        assert!(!inspected(DType::I64, Depth::Whole));
        assert!(inspected(DType::I64, Depth::Names));
    }
}
