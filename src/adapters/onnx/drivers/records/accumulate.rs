//! The seam between graph and sum: what becomes of one record's numbers. Nothing of a graph gets past it.
//!
//! The arithmetic and the rules are the domain's (`delta_domain::records`): numbers become integers record by record, records of one
//! person are summed, each unit is bounded, and the sum leaves only if the owner's limits of controlled releases hold.

use crate::failure::Failure;
use delta_domain::manifest::Records;
use delta_domain::records::{
    Accumulator, Clip, Facts, ProductForm, ProductSums, RecordUnit, RecordsError, RecordsForm,
    ReleaseRules, RowSet, UnitSums, judge,
};

/// Most bytes that the vectors of all units may take.
const MEMORY: usize = 2 << 30;

/// From here on two keys of the column may be read as one number.
const LARGEST_KEY: f64 = 9_007_199_254_740_992.0;

/// Whose a record is: equal for equal numbers in the key column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key(u64);

impl Key {
    /// The key of a number; `None` where it is nobody's in particular: an empty cell, or a number that others are read as too.
    pub(super) fn of(number: f64) -> Option<Self> {
        // Both zeros are one.
        (number.abs() < LARGEST_KEY).then(|| Self((number + 0.0).to_bits()))
    }
}

/// Sums the records of a step.
pub(super) struct Sum {
    units: Held,
    scale: f64,
    keys: Vec<u64>,
}

/// What is held of units.
enum Held {
    /// All of them: the rules look at each.
    All(Accumulator),
    /// One. Under noise a single record must not decide over the others, and the noise hides that it is not there: records with numbers that
    /// are none are left out. Without noise they are an error: a number that is silently about fewer records is wrong.
    One(UnitSums),
    /// The same, of records whose numbers are partly products.
    Products(ProductSums),
}

/// What is released of all records.
pub(super) struct Released {
    /// Sums of the numbers beside products, as long as one record.
    pub(super) plain: Vec<f64>,
    /// Sums of products.
    pub(super) products: Vec<Vec<f64>>,
    /// Which records they count, where there are limits.
    pub(super) sets: Vec<RowSet>,
}

impl Sum {
    /// Of records of `width` numbers and products of vectors of these lengths, at `precision` decimal digits.
    pub(super) fn new(
        spec: &Records,
        precision: u8,
        width: usize,
        products: Vec<(usize, usize)>,
    ) -> Result<Self, Failure> {
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
        if !products.is_empty() {
            return Self::of_products(spec, scale, clip, precision, width, products);
        }
        let form = RecordsForm {
            width,
            precision,
            unit,
            clip,
            memory: MEMORY,
        };
        let units = match spec.noise {
            None => Accumulator::new(form).map(Held::All),
            Some(_) => UnitSums::new(form).map(Held::One),
        };
        Ok(Self {
            units: units.map_err(unfit)?,
            scale,
            keys: Vec::new(),
        })
    }

    /// With the numbers at these places of a record summed exactly. Under noise, where they have bounds, none are.
    pub(super) fn exactly(self, places: Vec<usize>) -> Self {
        let units = match self.units {
            Held::All(all) => Held::All(all.exactly(places)),
            bounded => bounded,
        };
        Self { units, ..self }
    }

    fn of_products(
        spec: &Records,
        scale: f64,
        clip: Clip,
        precision: u8,
        plain: usize,
        products: Vec<(usize, usize)>,
    ) -> Result<Self, Failure> {
        // The check of a manifest lets nothing else come here.
        let l2 = clip
            .l2()
            .filter(|_| spec.noise.is_some() && spec.unit.is_none() && clip.linf().is_none());
        let l2 = l2.ok_or_else(|| {
            Failure::rejected(
                "products need noise and a length of records, and neither unit nor linf",
            )
        })?;
        let form = ProductForm {
            plain,
            products,
            precision,
            l2,
        };
        Ok(Self {
            units: Held::Products(ProductSums::new(form).map_err(unfit)?),
            scale,
            keys: Vec::new(),
        })
    }

    /// One record with products: its numbers beside them, and the two vectors of each.
    pub(super) fn add_products(
        &mut self,
        plain: &[f64],
        products: &[(&[f64], &[f64])],
    ) -> Result<(), Failure> {
        match &mut self.units {
            Held::Products(sums) => {
                sums.push(plain, products);
                Ok(())
            }
            Held::All(_) | Held::One(_) => Err(Failure::internal("the step has no products")),
        }
    }

    /// Some records: their numbers over all sums of the step, one record after the other; `keys`: one a record where the unit is a person.
    /// A record without a person is an error, and under noise left out as one without numbers is.
    pub(super) fn add(
        &mut self,
        keys: &[Option<Key>],
        records: &[f64],
        width: usize,
    ) -> Result<(), Failure> {
        let all = match &mut self.units {
            Held::All(all) => all,
            Held::Products(_) => return Err(Failure::internal("the step has products")),
            Held::One(one) => {
                for (index, record) in records.chunks(width.max(1)).enumerate() {
                    let key = keys.get(index).copied().flatten();
                    one.push(record, key.map(|key| key.0));
                }
                return Ok(());
            }
        };
        self.keys.clear();
        for key in keys {
            let key = key.ok_or_else(|| {
                let text = "a record has no person: its key is empty, or not below 2^53";
                Failure::corrupt(text.to_owned())
            })?;
            self.keys.push(key.0);
        }
        let keys = (!keys.is_empty()).then_some(self.keys.as_slice());
        all.push(records, keys).map_err(unfit)
    }

    /// The sums over all records, if the limits hold; and, where there are limits, which records they count. What breaks them is for the
    /// owner's log alone. `places`: where each record stands among the dataset's `records`.
    pub(super) fn finish(
        self,
        rules: Option<&ReleaseRules>,
        places: &[usize],
        records: usize,
    ) -> Result<Released, Failure> {
        let noised = |plain, products: Vec<Vec<i64>>| Released {
            plain: real(plain, self.scale),
            products: products.into_iter().map(|p| real(p, self.scale)).collect(),
            sets: Vec::new(),
        };
        let units = match self.units {
            Held::All(all) => all.finish(),
            Held::One(one) => return Ok(noised(one.finish(), Vec::new())),
            Held::Products(sums) => {
                let totals = sums.finish();
                return Ok(noised(totals.plain, totals.products));
            }
        };
        let mut sets = Vec::new();
        if let Some(rules) = rules {
            let facts = Facts::of(&units);
            let verdict = judge(rules, &facts);
            if !verdict.passes() {
                let broken = verdict.findings.iter();
                let told: Vec<String> = broken
                    .map(|f| format!("{}: {}", f.rule.name(), f.why))
                    .collect();
                return Err(Failure::corrupt(told.join("; ")));
            }
            sets = RowSet::of_release(&units, &facts, places, records);
        }
        Ok(Released {
            plain: units.numbers(self.scale).map_err(unfit)?,
            products: Vec::new(),
            sets,
        })
    }
}

#[expect(clippy::cast_precision_loss, reason = "sums are below 2^52")]
fn real(sums: Vec<i64>, scale: f64) -> Vec<f64> {
    sums.into_iter().map(|sum| sum as f64 / scale).collect()
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
        let mut all = Sum::new(&spec, precision, width, Vec::new()).unwrap();
        for record in records {
            all.add(&[], record, width)?;
        }
        let made = all.finish(None, &[], 0)?;
        assert!(made.sets.is_empty() && made.products.is_empty());
        Ok(made.plain)
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
            let mut all = Sum::new(&spec, 1, 1, Vec::new()).unwrap();
            let records: Vec<f64> = (0..n).map(|i| 100.0 + i as f64).collect();
            all.add(&[], &records, 1).unwrap();
            let places: Vec<usize> = (0..n).collect();
            all.finish(Some(&ReleaseRules::default()), &places, n)
        };
        let error = of(9).err().unwrap().to_string();
        assert!(error.contains("records.rows"), "{error}");
        let made = of(40).unwrap();
        assert_eq!(made.plain, [4780.0]);
        assert_eq!(made.sets, [RowSet::new(40, |_| true)]);
    }

    #[test]
    fn products_are_bounded_with_the_rest() {
        let spec = serde_json::from_str(NOISED).unwrap();
        let mut all = Sum::new(&spec, 4, 1, vec![(2, 1)]).unwrap();
        all.add_products(&[1.0], &[(&[2.0, 0.5], &[1.0])]).unwrap();
        all.add_products(&[0.0], &[(&[3e3, 4e3], &[10.0])]).unwrap();
        assert!(all.add(&[], &[1.0], 1).is_err());
        let made = all.finish(None, &[], 0).unwrap();
        assert_eq!(made.plain, [1.0]);
        for (x, expected) in made.products[0].iter().zip([5.0, 4.5]) {
            assert!((x - expected).abs() < 3e-4, "{x}");
        }
        assert!(
            Sum::new(&spec, 4, 1, Vec::new())
                .unwrap()
                .add_products(&[1.0], &[])
                .is_err()
        );
        for other in [
            PLAIN.to_owned(),
            NOISED.replace("\"l2\"", "\"linf\": 1.0, \"l2\""),
            NOISED.replace("\"dataset\"", "\"unit\": {\"key\": \"id\"}, \"dataset\""),
        ] {
            let spec = serde_json::from_str(&other).unwrap();
            assert!(Sum::new(&spec, 4, 1, vec![(2, 1)]).is_err(), "{other}");
        }
        assert!(Sum::new(&spec, 0, 0, vec![(3, 3)]).is_err());
    }

    #[test]
    fn keys_are_equal_as_numbers_are() {
        assert_eq!(Key::of(0.0), Key::of(-0.0));
        assert_ne!(Key::of(1.0), Key::of(2.0));
        assert!(Key::of(LARGEST_KEY - 1.0).is_some());
        for nobody in [f64::NAN, f64::INFINITY, LARGEST_KEY, -LARGEST_KEY] {
            assert_eq!(Key::of(nobody), None);
        }
    }

    #[test]
    fn a_record_without_a_person_is_an_error_and_under_noise_left_out() {
        let keys = [Key::of(7.0), None, Key::of(7.0)];
        let plain = r#"{"dataset": "a", "unit": {"key": "id"}}"#;
        let noised = NOISED.replace("\"dataset\"", "\"unit\": {\"key\": \"id\"}, \"dataset\"");
        let of = |spec: &str| {
            let mut all = Sum::new(&serde_json::from_str(spec).unwrap(), 1, 1, Vec::new()).unwrap();
            all.add(&keys, &[1.0, 2.0, 3.0], 1)?;
            all.finish(None, &[], 0).map(|made| made.plain)
        };
        assert!(of(plain).unwrap_err().to_string().contains("no person"));
        assert_eq!(of(&noised).unwrap(), [4.0]);
    }
}
