//! The seam between graph and sum: what becomes of one record's numbers. Nothing of a graph gets past it.
//!
//! The arithmetic and the rules are the domain's (`delta_domain::records`): numbers become integers record by record, records of one
//! person are summed, each unit is bounded, and the sum leaves only if the owner's limits of controlled releases hold.

use crate::failure::Failure;
use delta_domain::manifest::Records;
use delta_domain::records::{
    Accumulator, Clip, RecordUnit, RecordsError, RecordsForm, ReleaseRules, audit,
};

/// Most bytes that the vectors of all units may take.
const MEMORY: usize = 1 << 30;

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

/// Sums the records of a step.
pub(super) struct Sum {
    accumulator: Accumulator,
    scale: f64,
    /// Records with numbers that are none are left out: under noise a single record must not decide over the others, and the noise hides
    /// that it is not there. Without noise they are an error: a number that is silently about fewer records is wrong.
    lenient: bool,
    keys: Vec<u64>,
    rows: Vec<f64>,
}

impl Sum {
    /// Of records of `width` numbers, at `precision` decimal digits.
    pub(super) fn new(spec: &Records, precision: u8, width: usize) -> Result<Self, Failure> {
        // Exact: precisions above 22 are no strategy.
        let scale = (0..precision).fold(1.0_f64, |s, _| s * 10.0);
        let clip = match spec.clip {
            None => Clip::default(),
            Some(clip) => {
                let l2 = Some(whole(clip.l2 * scale));
                let linf = clip.linf.map(|linf| whole(linf * scale));
                Clip::new(linf, l2).map_err(|e| Failure::rejected(format!("clip: {e}")))?
            }
        };
        let unit = match spec.unit {
            None => RecordUnit::Record,
            Some(_) => RecordUnit::Person,
        };
        let form = RecordsForm {
            width,
            precision,
            unit,
            clip,
            memory: MEMORY,
        };
        Ok(Self {
            accumulator: Accumulator::new(form).map_err(unfit)?,
            scale,
            lenient: spec.noise.is_some(),
            keys: Vec::new(),
            rows: Vec::new(),
        })
    }

    /// Some records: their numbers over all sums of the step, one record after the other; `keys`: one a record where the unit is a person.
    pub(super) fn add(
        &mut self,
        keys: &[Key],
        records: &[f64],
        width: usize,
    ) -> Result<(), Failure> {
        self.keys.clear();
        if !self.lenient {
            self.keys.extend(keys.iter().map(|key| key.0));
            let keys = (!keys.is_empty()).then_some(self.keys.as_slice());
            return self.accumulator.push(records, keys).map_err(unfit);
        }
        let most = limit(self.scale);
        self.rows.clear();
        for (index, record) in records.chunks(width.max(1)).enumerate() {
            if record.iter().all(|x| x.abs() < most) {
                self.rows.extend_from_slice(record);
                self.keys.extend(keys.get(index).map(|key| key.0));
            }
        }
        let keys = (!keys.is_empty()).then_some(self.keys.as_slice());
        self.accumulator.push(&self.rows, keys).map_err(unfit)
    }

    /// The sum over all records, as long as one record, if the limits hold. What breaks them is for the owner's log alone.
    #[expect(clippy::cast_precision_loss, reason = "sums are below 2^52")]
    pub(super) fn finish(self, rules: Option<&ReleaseRules>) -> Result<Vec<f64>, Failure> {
        let units = self.accumulator.finish();
        if let Some(rules) = rules {
            let verdict = audit(&units, rules);
            if !verdict.passes() {
                let broken = verdict.findings.iter();
                let told: Vec<String> = broken
                    .map(|f| format!("{}: {}", f.rule.name(), f.why))
                    .collect();
                return Err(Failure::corrupt(told.join("; ")));
            }
        }
        let sums = units.sums().map_err(unfit)?;
        Ok(sums
            .into_iter()
            .map(|sum| sum as f64 / self.scale)
            .collect())
    }
}

/// Numbers from here on are no fixed-point numbers.
fn limit(scale: f64) -> f64 {
    4_503_599_627_370_495.0 / scale
}

/// A bound in the ring's integers: rounded down, so that it is never looser than it was asked for.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "saturates, and bounds are above 0"
)]
fn whole(bound: f64) -> u64 {
    bound.floor() as u64
}

fn unfit(error: RecordsError) -> Failure {
    Failure::corrupt(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(spec: &str, precision: u8, records: &[&[f64]]) -> Result<Vec<f64>, Failure> {
        let spec = serde_json::from_str(spec).unwrap();
        let width = records[0].len();
        let mut all = Sum::new(&spec, precision, width).unwrap();
        for record in records {
            all.add(&[], record, width)?;
        }
        all.finish(None)
    }

    const PLAIN: &str = r#"{"dataset": "a"}"#;
    const NOISED: &str =
        r#"{"dataset": "a", "clip": {"l2": 5.0}, "noise": {"multiplier": "1", "delta": 1e-6}}"#;

    #[test]
    fn each_record_is_rounded_by_itself_half_to_even() {
        assert_eq!(sum(PLAIN, 0, &[&[0.5], &[1.5], &[2.5]]).unwrap(), [4.0]);
        assert_eq!(
            sum(PLAIN, 2, &[&[0.004, -1.0], &[0.004, 0.25]]).unwrap(),
            [0.0, -0.75]
        );
    }

    #[test]
    fn a_record_that_is_no_number_is_an_error_and_under_noise_left_out_whole() {
        let records: &[&[f64]] = &[
            &[1.0, f64::NAN],
            &[2.0, 3.0],
            &[f64::INFINITY, 1.0],
            &[1.0, 1e300],
        ];
        assert!(sum(PLAIN, 1, records).is_err());
        assert_eq!(sum(NOISED, 1, records).unwrap(), [2.0, 3.0]);
    }

    #[test]
    fn a_record_is_bounded() {
        assert_eq!(sum(NOISED, 1, &[&[30.0, 40.0]]).unwrap(), [3.0, 4.0]);
    }

    #[test]
    fn limits_hold_or_nothing_leaves() {
        let spec = serde_json::from_str(PLAIN).unwrap();
        let of = |n: usize| {
            let mut all = Sum::new(&spec, 1, 1).unwrap();
            let records: Vec<f64> = (0..n).map(|i| 100.0 + i as f64).collect();
            all.add(&[], &records, 1).unwrap();
            all.finish(Some(&ReleaseRules::default()))
        };
        let error = of(9).unwrap_err().to_string();
        assert!(error.contains("records.rows"), "{error}");
        assert_eq!(of(40).unwrap(), [4780.0]);
    }

    #[test]
    fn keys_are_equal_as_numbers_are() {
        assert_eq!(Key::of(0.0), Key::of(-0.0));
        assert_eq!(Key::of(f64::NAN), Key::of(-f64::NAN));
        assert_ne!(Key::of(1.0), Key::of(2.0));
    }
}
