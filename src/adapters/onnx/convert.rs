//! Between element types: what may be converted without asking, and what may not.

use super::failure::Failure;
use delta_domain::tensor::{DType, Tensor, TensorData};

/// The value as `dtype` and `shape`, as a contribution or a variable must be.
///
/// Between `f32` and `f64` values are converted; any other difference of type is an error. A single number may have shape `[]` or `[1]`.
///
/// What fits already is not copied.
pub(crate) fn fit(value: Tensor, dtype: DType, shape: &[usize]) -> Result<Tensor, Failure> {
    let one = |s: &[usize]| s.iter().all(|d| *d == 1);
    if value.shape() != shape && !(one(value.shape()) && one(shape)) {
        return Err(Failure::rejected(format!(
            "its shape is {:?}, the task declares {shape:?}",
            value.shape()
        )));
    }
    let data = match (value.into_data(), dtype) {
        (TensorData::F64(v), DType::F32) => TensorData::F32(v.into_iter().map(narrow).collect()),
        (TensorData::F32(v), DType::F64) => TensorData::F64(v.into_iter().map(f64::from).collect()),
        (data, dtype) if data.dtype() == dtype => data,
        (data, dtype) => {
            return Err(Failure::rejected(format!(
                "it is {}, the task declares {}; cast it in the graph",
                data.dtype().name(),
                dtype.name()
            )));
        }
    };
    Tensor::new(shape.to_vec(), data).map_err(|e| Failure::internal(e.to_string()))
}

/// The elements as `f64`, for sums.
#[expect(clippy::cast_precision_loss, reason = "sums are documented as f64")]
pub(crate) fn widen(value: &Tensor) -> Vec<f64> {
    match value.data() {
        TensorData::F32(v) => v.iter().map(|x| f64::from(*x)).collect(),
        TensorData::F64(v) => v.clone(),
        TensorData::I32(v) => v.iter().map(|x| f64::from(*x)).collect(),
        TensorData::I64(v) => v.iter().map(|x| *x as f64).collect(),
        TensorData::U8(v) => v.iter().map(|x| f64::from(*x)).collect(),
        TensorData::Bool(v) => v.iter().map(|x| f64::from(u8::from(*x))).collect(),
    }
}

/// Nearest `f32`; beyond its range, infinity.
#[expect(
    clippy::cast_possible_truncation,
    reason = "rounding is what is asked for"
)]
pub(crate) fn narrow(x: f64) -> f32 {
    x as f32
}

/// The whole number that `x` is, if it is below 2^53: from there on, `x` may stand for its neighbour.
#[expect(
    clippy::cast_possible_truncation,
    reason = "checked to be whole and within the exact range first"
)]
pub(crate) fn whole(x: f64) -> Option<i64> {
    (x.fract() == 0.0 && x.abs() < 9_007_199_254_740_992.0).then_some(x as i64)
}

/// Numbers of local data in the type that a graph takes. Whole types take whole numbers in range only.
pub(crate) fn numbers(values: Numbers, dtype: DType) -> Result<TensorData, Failure> {
    let unfit = |x: &dyn std::fmt::Display| {
        Failure::corrupt(format!("the value {x} is no {}", dtype.name()))
    };
    let int = |x: f64| whole(x).ok_or_else(|| unfit(&x));
    Ok(match (values, dtype) {
        (Numbers::Single(v), DType::F32) => TensorData::F32(v),
        (Numbers::Single(v), dtype) => {
            return numbers(
                Numbers::Float(v.into_iter().map(f64::from).collect()),
                dtype,
            );
        }
        (Numbers::Float(v), DType::F64) => TensorData::F64(v),
        (Numbers::Float(v), DType::F32) => TensorData::F32(v.into_iter().map(narrow).collect()),
        (Numbers::Float(v), dtype) => {
            return numbers(
                Numbers::Whole(v.into_iter().map(int).collect::<Result<_, _>>()?),
                dtype,
            );
        }
        (Numbers::Whole(v), DType::I64) => TensorData::I64(v),
        #[expect(
            clippy::cast_precision_loss,
            reason = "the task asks for floating point"
        )]
        (Numbers::Whole(v), DType::F64) => {
            TensorData::F64(v.into_iter().map(|x| x as f64).collect())
        }
        #[expect(
            clippy::cast_precision_loss,
            reason = "the task asks for floating point"
        )]
        (Numbers::Whole(v), DType::F32) => {
            TensorData::F32(v.into_iter().map(|x| x as f32).collect())
        }
        (Numbers::Whole(v), DType::I32) => TensorData::I32(
            v.into_iter()
                .map(|x| i32::try_from(x).map_err(|_| unfit(&x)))
                .collect::<Result<_, _>>()?,
        ),
        (Numbers::Whole(v), DType::U8) => TensorData::U8(
            v.into_iter()
                .map(|x| u8::try_from(x).map_err(|_| unfit(&x)))
                .collect::<Result<_, _>>()?,
        ),
        (Numbers::Whole(v), DType::Bool) => TensorData::Bool(
            v.into_iter()
                .map(|x| match x {
                    0 => Ok(false),
                    1 => Ok(true),
                    x => Err(unfit(&x)),
                })
                .collect::<Result<_, _>>()?,
        ),
    })
}

/// Numbers read from a file, exact.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Numbers {
    /// From floating point of 32 bits.
    Single(Vec<f32>),
    /// From floating point of 64 bits.
    Float(Vec<f64>),
    /// From whole numbers and truth values.
    Whole(Vec<i64>),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contributions_change_float_width_and_scalar_rank_but_nothing_else() {
        let scalar = Tensor::scalar(1.5);
        assert_eq!(
            fit(scalar.clone(), DType::F32, &[1]).unwrap().data(),
            &TensorData::F32(vec![1.5])
        );
        assert!(fit(scalar, DType::I64, &[]).is_err());
        let pair = Tensor::new(vec![2], TensorData::F32(vec![1.0, 2.0])).unwrap();
        assert!(
            fit(pair, DType::F32, &[1, 2]).is_err(),
            "same elements, other shape"
        );
    }

    #[test]
    fn data_become_whole_numbers_only_when_they_are() {
        assert_eq!(
            numbers(Numbers::Float(vec![0.0, -3.0]), DType::I64).unwrap(),
            TensorData::I64(vec![0, -3])
        );
        for bad in [0.5, f64::NAN, f64::INFINITY, 1e300] {
            assert!(
                numbers(Numbers::Float(vec![bad]), DType::I64).is_err(),
                "{bad}"
            );
        }
        assert!(numbers(Numbers::Whole(vec![300]), DType::U8).is_err());
    }
}
