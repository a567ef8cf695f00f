//! How a cohort's numbers become ring elements, and their sum numbers again: the only way in to `fixed_point`.
//!
//! Whoever contributes, sums or checks a sum holds the same [`Encoding`]; it follows from the strategy and the size of the cohort.

use std::ops::Range;

use super::fixed_point::{dequantise, quantise, quantise_at_random, scale};
use super::word::{Ring, Word};
use crate::tensor::{DType, Tensor, TensorData};

pub use super::fixed_point::{MAX_PRECISION, QuantiseError, QuantiseErrorKind, Real};

/// Numbers turned to single precision at a time: the doubles between stay in the first-level cache.
const BLOCK: usize = 8 * 1024;

/// How the numbers of one cohort are written as ring elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Encoding {
    ring: Ring,
    precision: u8,
    /// The largest magnitude of one member's integer.
    limit: u64,
}

impl Encoding {
    /// `precision`: decimal digits kept, at most [`MAX_PRECISION`]. `cohort`: how many members' numbers are summed at most; each
    /// number's bound follows from it.
    #[must_use]
    pub fn new(ring: Ring, precision: u8, cohort: usize) -> Self {
        Self {
            ring,
            precision,
            limit: ring.magnitude_limit(cohort),
        }
    }

    /// The same, where a task promises that no number is larger than `bound`: larger ones are not written.
    #[must_use]
    pub fn within(self, bound: f64) -> Self {
        Self {
            limit: self.limit.min(self.scaled(bound)),
            ..self
        }
    }

    /// Whether numbers up to `bound` can be written.
    #[must_use]
    pub fn holds(self, bound: f64) -> bool {
        self.scaled(bound) <= self.limit
    }

    /// A bound as an integer: what rounds to no more than it is within it.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "saturates, and a bound is above 0"
    )]
    fn scaled(self, bound: f64) -> u64 {
        (bound * scale(self.precision)).ceil() as u64
    }

    /// The ring whose words [`Self::encode`] writes.
    #[must_use]
    pub const fn ring(&self) -> Ring {
        self.ring
    }

    /// Replaces `out` with the ring elements of `values`: `round-half-even(x * 10^precision)` modulo 2^w, single precision widened
    /// first, exactly.
    ///
    /// # Errors
    /// [`QuantiseError`] names the first value that is not finite, or so large that the cohort's sum could wrap
    /// (`|x| * 10^precision * cohort >= 2^(w-1)`) or that it is beyond the task's bound; or says that the words are not of this ring, or the precision is too high. `out` is
    /// then empty.
    pub fn encode<T: Real, W: Word>(
        &self,
        values: &[T],
        out: &mut Vec<W>,
    ) -> Result<(), QuantiseError> {
        quantise(values, self.precision, self.ring, self.limit, out)
    }

    /// [`Self::encode`] with `x * 10^precision` rounded up with the probability of its fraction, down otherwise: right on average, and
    /// whole numbers stay. `random`: uniform words, one for each value; what a value rounds to follows from its word alone.
    ///
    /// # Errors
    /// As [`Self::encode`].
    pub fn encode_at_random<T: Real, W: Word>(
        &self,
        values: &[T],
        random: &[u32],
        out: &mut Vec<W>,
    ) -> Result<(), QuantiseError> {
        quantise_at_random(values, random, self.precision, self.ring, self.limit, out)
    }

    /// Replaces `out` with the ring elements of whole numbers, such as digits: nothing is scaled.
    ///
    /// # Errors
    /// As [`Self::encode`], for a number so large that the cohort's sum could wrap.
    pub fn encode_whole<W: Word>(
        &self,
        values: &[i64],
        out: &mut Vec<W>,
    ) -> Result<(), QuantiseError> {
        out.clear();
        if let Some(index) = values.iter().position(|v| v.unsigned_abs() > self.limit) {
            #[expect(clippy::cast_precision_loss, reason = "for a message")]
            let kind = QuantiseErrorKind::TooLarge {
                limit: self.limit as f64,
            };
            return Err(QuantiseError { index, kind });
        }
        out.extend(values.iter().map(|v| W::from_signed(*v)));
        Ok(())
    }

    /// Cuts numbers to the largest that [`Self::encode`] takes. What one record adds is changed by no more than it adds.
    pub fn saturate(&self, values: &mut [f64]) {
        #[expect(
            clippy::cast_precision_loss,
            reason = "below 2^53, or the double beneath"
        )]
        let limit = (self.limit.min(1 << 52) as f64 / scale(self.precision)).next_down();
        for value in values {
            *value = value.clamp(-limit, limit);
        }
    }

    /// [`Self::encode`] of the values at `range` of a tensor, or [`Self::encode_at_random`] with a word for each of them; whole numbers of 64
    /// bits are digits ([`exact_number`](super::exact_number)) and go through [`Self::encode_whole`].
    ///
    /// # Errors
    /// [`EncodeError::Value`] as [`Self::encode`], the position counted from the tensor's first value; [`EncodeError::Type`] when
    /// they are neither floating-point numbers nor digits.
    ///
    /// # Panics
    /// When `range` reaches beyond the tensor.
    pub fn encode_part<W: Word>(
        &self,
        tensor: &Tensor,
        range: Range<usize>,
        random: Option<&[u32]>,
        out: &mut Vec<W>,
    ) -> Result<(), EncodeError> {
        let first = range.start;
        let result = match (tensor.data(), random) {
            (TensorData::F32(values), None) => self.encode(&values[range], out),
            (TensorData::F64(values), None) => self.encode(&values[range], out),
            (TensorData::F32(v), Some(random)) => self.encode_at_random(&v[range], random, out),
            (TensorData::F64(v), Some(random)) => self.encode_at_random(&v[range], random, out),
            (TensorData::I64(digits), _) => self.encode_whole(&digits[range], out),
            _ => return Err(EncodeError::Type),
        };
        result.map_err(|error| {
            EncodeError::Value(QuantiseError {
                index: error.index + first,
                ..error
            })
        })
    }

    /// Replaces `out` with the numbers that the words of a sum stand for: signed, divided by 10^precision.
    ///
    /// A sum above 2^53 gives the nearest double, and so does a precision above [`MAX_PRECISION`], which no encoded vector has.
    pub fn decode<W: Word>(&self, sum: &[W], out: &mut Vec<f64>) {
        dequantise(sum, self.precision, out);
    }

    /// [`Self::decode`] to the declared type of a contribution: single precision for `F32`, double for every other.
    #[must_use]
    pub fn decode_as<W: Word>(&self, sum: &[W], dtype: DType) -> TensorData {
        let mut wide = Vec::new();
        if dtype != DType::F32 {
            self.decode(sum, &mut wide);
            return TensorData::F64(wide);
        }
        let mut narrow = Vec::with_capacity(sum.len());
        for block in sum.chunks(BLOCK) {
            self.decode(block, &mut wide);
            #[expect(
                clippy::cast_possible_truncation,
                reason = "the declared type of the contribution"
            )]
            narrow.extend(wide.iter().map(|v| *v as f32));
        }
        TensorData::F32(narrow)
    }
}

/// Why a part of a tensor cannot be encoded. Never shows a value: they are private.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum EncodeError {
    /// A number that is not finite or too large.
    #[error(transparent)]
    Value(#[from] QuantiseError),
    /// Whole numbers, bytes or truth values.
    #[error("the values are neither f32 nor f64")]
    Type,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor(data: TensorData) -> Tensor {
        let len = data.len();
        Tensor::new(vec![len], data).unwrap()
    }

    #[test]
    fn parts_of_a_tensor_are_encoded_alike_in_both_types() {
        let encoding = Encoding::new(Ring::Z64, 2, 3);
        let wide = tensor(TensorData::F64(vec![0.25, -1.5, 2.0, 7.0]));
        let narrow = tensor(TensorData::F32(vec![0.25, -1.5, 2.0, 7.0]));
        for part in [wide, narrow] {
            let mut words = vec![9_u64];
            encoding.encode_part(&part, 1..3, None, &mut words).unwrap();
            assert_eq!(words, [150_u64.wrapping_neg(), 200]);
        }
    }

    #[test]
    fn what_was_cut_can_be_encoded() {
        for ring in [Ring::Z32, Ring::Z64] {
            for precision in [0, 2, 8, 15] {
                for cohort in [1, 3, 7, 1000] {
                    let encoding = Encoding::new(ring, precision, cohort);
                    let mut values = [f64::MAX, -1e30, f64::INFINITY, 1e-3, -0.0];
                    encoding.saturate(&mut values);
                    let ok = match ring {
                        Ring::Z32 => encoding.encode::<_, u32>(&values, &mut Vec::new()),
                        Ring::Z64 => encoding.encode::<_, u64>(&values, &mut Vec::new()),
                    };
                    ok.unwrap();
                    assert!(values[0] > 0.0 && values[1] < 0.0);
                }
            }
        }
    }

    #[test]
    fn a_bound_is_a_limit_of_its_own() {
        let encoding = Encoding::new(Ring::Z64, 2, 3).within(1.5);
        let mut words: Vec<u64> = Vec::new();
        encoding.encode(&[1.5, -1.5], &mut words).unwrap();
        assert_eq!(words, [150, 150_u64.wrapping_neg()]);
        let random = [u32::MAX; 2];
        let same = words.clone();
        encoding
            .encode_at_random(&[1.5, -1.5], &random, &mut words)
            .unwrap();
        assert_eq!(words, same);
        let error = encoding.encode(&[0.0, 1.51], &mut words).unwrap_err();
        assert_eq!(error.index, 1);
        assert!(matches!(error.kind, QuantiseErrorKind::TooLarge { .. }));
        assert!(
            encoding
                .encode_at_random(&[1.51], &random, &mut words)
                .is_err()
        );
        let mut values = [1e9];
        encoding.saturate(&mut values);
        encoding.encode(&values, &mut words).unwrap();
        assert!(encoding.holds(1.5) && !encoding.holds(1.51));
    }

    #[test]
    fn a_bad_value_is_named_by_its_place_in_the_tensor() {
        let encoding = Encoding::new(Ring::Z64, 8, 3);
        let part = tensor(TensorData::F64(vec![0.0, 0.0, 0.0, f64::NAN]));
        let mut words: Vec<u64> = Vec::new();
        assert_eq!(
            encoding.encode_part(&part, 2..4, None, &mut words),
            Err(EncodeError::Value(QuantiseError {
                index: 3,
                kind: QuantiseErrorKind::NotFinite
            }))
        );
        let whole = tensor(TensorData::I32(vec![1]));
        let error = encoding.encode_part(&whole, 0..1, None, &mut words);
        assert_eq!(error, Err(EncodeError::Type));
        let digits = tensor(TensorData::I64(vec![1 << 40, -7, i64::MAX]));
        encoding
            .encode_part(&digits, 0..2, None, &mut words)
            .unwrap();
        assert_eq!(words, [1 << 40, 7_u64.wrapping_neg()]);
        let error = encoding.encode_part(&digits, 1..3, None, &mut words);
        let Err(EncodeError::Value(QuantiseError { index: 2, .. })) = error else {
            panic!("{error:?}");
        };
    }

    #[test]
    fn sums_come_back_in_the_declared_type() {
        let encoding = Encoding::new(Ring::Z32, 1, 2);
        let sum: Vec<u32> = (0..20_000).collect();
        let TensorData::F64(wide) = encoding.decode_as(&sum, DType::F64) else {
            panic!("not f64");
        };
        let TensorData::F32(narrow) = encoding.decode_as(&sum, DType::F32) else {
            panic!("not f32");
        };
        assert_eq!(wide.len(), sum.len());
        assert_eq!(wide[12_345], 1234.5);
        #[expect(clippy::cast_possible_truncation, reason = "what is compared with")]
        let narrowed: Vec<f32> = wide.iter().map(|v| *v as f32).collect();
        assert_eq!(narrow, narrowed);
    }
}
