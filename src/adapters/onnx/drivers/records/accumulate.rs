//! The seam between graph and sum: what becomes of one record's numbers. Nothing of a graph gets past it.
//!
//! So far each record is quantised and summed as an integer, so that a sum does not depend on the order of the records or on how they
//! were cut into batches.

use crate::failure::Failure;
use delta_domain::manifest::Records;

/// From here on a double does not tell every integer apart, and the sum could not be given on exactly.
const LIMIT: f64 = 4_503_599_627_370_496.0;

/// Whose a record is: equal for equal numbers in the key column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key(u64);

impl Key {
    /// The key of a number; an empty cell is a key as well, so those records are one unit.
    pub(super) fn of(number: f64) -> Self {
        if number.is_nan() {
            return Self(f64::NAN.to_bits());
        }
        // Both zeros are one.
        Self((number + 0.0).to_bits())
    }
}

/// Sums records.
pub(super) trait Accumulate {
    /// One record: its numbers over all sums of the step, one output after the other in the order of their names.
    fn add(&mut self, key: Option<Key>, record: &[f64]) -> Result<(), Failure>;

    /// The sum over all records, as long as one record.
    fn finish(self: Box<Self>) -> Result<Vec<f64>, Failure>;
}

/// What sums the records of a step, each of `values` numbers, at `precision` decimal digits.
pub(super) fn accumulator(
    _spec: &Records,
    precision: u8,
    values: usize,
) -> Result<Box<dyn Accumulate>, Failure> {
    // Exact: precisions above 22 are no strategy.
    let scale = (0..precision).fold(1.0_f64, |s, _| s * 10.0);
    Ok(Box::new(Totals {
        scale,
        sums: vec![0; values],
        integers: Vec::with_capacity(values),
    }))
}

/// Plain integer sums, without units and bounds.
struct Totals {
    scale: f64,
    sums: Vec<i128>,
    integers: Vec<i64>,
}

impl Accumulate for Totals {
    /// A record with a number that is no number, or beyond any bound, counts as none: it must not decide over the others.
    fn add(&mut self, _key: Option<Key>, record: &[f64]) -> Result<(), Failure> {
        if record.len() != self.sums.len() {
            return Err(Failure::internal("a record of another length"));
        }
        self.integers.clear();
        for number in record {
            let scaled = (number * self.scale).round_ties_even();
            if scaled.is_nan() || scaled.abs() >= LIMIT {
                return Ok(());
            }
            #[expect(clippy::cast_possible_truncation, reason = "a whole number below 2^52")]
            self.integers.push(scaled as i64);
        }
        let sums = self.sums.iter_mut().zip(&self.integers);
        sums.for_each(|(sum, n)| *sum += i128::from(*n));
        Ok(())
    }

    #[expect(clippy::cast_precision_loss, reason = "below 2^52, or refused")]
    fn finish(self: Box<Self>) -> Result<Vec<f64>, Failure> {
        let real = |sum: &i128| {
            let sum = *sum as f64;
            if sum.abs() >= LIMIT {
                return Err(Failure::corrupt(
                    "a sum over the records is too large for the task's precision",
                ));
            }
            Ok(sum / self.scale)
        };
        self.sums.iter().map(real).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(precision: u8, records: &[&[f64]]) -> Result<Vec<f64>, Failure> {
        let spec = serde_json::from_str(r#"{"dataset": "a"}"#).unwrap();
        let mut all = accumulator(&spec, precision, records[0].len()).unwrap();
        for record in records {
            all.add(None, record).unwrap();
        }
        all.finish()
    }

    #[test]
    fn each_record_is_rounded_by_itself_half_to_even() {
        assert_eq!(sum(0, &[&[0.5], &[1.5], &[2.5]]).unwrap(), [4.0]);
        assert_eq!(
            sum(2, &[&[0.004, -1.0], &[0.004, 0.25]]).unwrap(),
            [0.0, -0.75]
        );
    }

    #[test]
    fn a_record_that_is_no_number_is_left_out_whole() {
        assert_eq!(
            sum(
                1,
                &[
                    &[1.0, f64::NAN],
                    &[2.0, 3.0],
                    &[f64::INFINITY, 1.0],
                    &[1.0, 1e300]
                ]
            )
            .unwrap(),
            [2.0, 3.0]
        );
    }

    #[test]
    fn a_sum_that_is_not_exact_is_refused() {
        let most = LIMIT - 1.0;
        assert_eq!(sum(0, &[&[most]]).unwrap(), [most]);
        assert!(sum(0, &[&[most], &[1.0]]).is_err());
        assert_eq!(sum(0, &[&[most], &[most], &[-most]]).unwrap(), [most]);
    }

    #[test]
    fn keys_are_equal_as_numbers_are() {
        assert_eq!(Key::of(0.0), Key::of(-0.0));
        assert_eq!(Key::of(f64::NAN), Key::of(-f64::NAN));
        assert_ne!(Key::of(1.0), Key::of(2.0));
    }
}
