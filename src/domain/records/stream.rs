//! Sums under noise: one unit is held at a time, and nothing is too large.
//!
//! Whatever fails for want of room, or because a number is too large, is an answer without noise: when it fails says how many units there
//! are, or what one of them is. So a unit's vector goes into the sums as soon as it is whole, and numbers are cut where they end; no
//! cut changes what one unit adds by more than it adds.

use super::accumulate::{MAX_WIDTH, RecordUnit, RecordsError, RecordsForm};
use super::quantise::{MAX_MAGNITUDE, quantise};

/// What a person's numbers are cut to.
const LARGEST_PERSON: i64 = MAX_MAGNITUDE.cast_signed();
/// What a sum is cut to: 2^50, so that divided by any scale and multiplied again it is the same whole number.
const LARGEST_SUM: i128 = 1 << 50;

/// Sums the clipped vectors of units. Private to the node: it has no debug output.
pub struct UnitSums {
    form: RecordsForm,
    sums: Vec<i128>,
    /// The unit whose records come now: its key, and the sum of them.
    open: Option<(u64, Vec<i64>)>,
    scratch: Vec<u64>,
}

impl UnitSums {
    /// Of records of this form; its memory is not asked for.
    ///
    /// # Errors
    /// [`RecordsError::Width`].
    pub fn new(form: RecordsForm) -> Result<Self, RecordsError> {
        if form.width == 0 || form.width > MAX_WIDTH {
            return Err(RecordsError::Width(form.width));
        }
        Ok(Self {
            form,
            sums: vec![0; form.width],
            open: None,
            scratch: Vec::new(),
        })
    }

    /// Adds one record, of `width` numbers. Where the unit is a person, `key` says whose it is; a person's records come one after the
    /// other, or each stretch of them counts as a person.
    ///
    /// A record with a number that is no fixed-point number adds nothing, and one without a person neither.
    pub fn push(&mut self, record: &[f64], key: Option<u64>) {
        let fits = record.len() == self.form.width
            && quantise(record, self.form.precision, &mut self.scratch).is_ok();
        if !fits {
            return;
        }
        match (self.form.unit, key) {
            (RecordUnit::Record, _) => {
                let vector = self.scratch.iter().map(|word| word.cast_signed());
                let vector = vector.collect();
                self.add(vector);
            }
            (RecordUnit::Person, None) => {}
            (RecordUnit::Person, Some(key)) => self.push_of(key),
        }
    }

    fn push_of(&mut self, key: u64) {
        let other = |(open, _): &(u64, Vec<i64>)| *open != key;
        if self.open.as_ref().is_some_and(other) {
            self.close();
        }
        let width = self.form.width;
        let (_, sum) = self.open.get_or_insert_with(|| (key, vec![0; width]));
        for (sum, word) in sum.iter_mut().zip(&self.scratch) {
            // Both below 2^52 in magnitude.
            *sum = (*sum + word.cast_signed()).clamp(-LARGEST_PERSON, LARGEST_PERSON);
        }
    }

    fn close(&mut self) {
        if let Some((_, vector)) = self.open.take() {
            self.add(vector);
        }
    }

    fn add(&mut self, mut vector: Vec<i64>) {
        self.form.clip.apply(&mut vector);
        for (sum, x) in self.sums.iter_mut().zip(vector) {
            *sum += i128::from(x);
        }
    }

    /// The sums over all units: `width` integers, each of at most 2^50 in magnitude.
    #[must_use]
    pub fn finish(mut self) -> Vec<i64> {
        self.close();
        let cut = |sum: i128| sum.clamp(-LARGEST_SUM, LARGEST_SUM);
        // Always fits.
        let short = |sum: i128| i64::try_from(cut(sum)).unwrap_or_default();
        self.sums.into_iter().map(short).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::records::{Accumulator, Clip};

    fn form(width: usize, unit: RecordUnit, l2: u64) -> RecordsForm {
        RecordsForm {
            width,
            precision: 2,
            unit,
            clip: Clip::new(None, Some(l2)).unwrap(),
            memory: 1 << 20,
        }
    }

    fn sums(form: RecordsForm, records: &[(&[f64], Option<u64>)]) -> Vec<i64> {
        let mut all = UnitSums::new(form).unwrap();
        for (record, key) in records {
            all.push(record, *key);
        }
        all.finish()
    }

    #[test]
    fn nothing_is_too_large() {
        let large: &[f64] = &[4.0e13];
        let person = form(1, RecordUnit::Person, MAX_MAGNITUDE);
        let three = [(large, Some(3)); 3];
        assert_eq!(sums(person, &three), [1 << 50]);
        let record = form(1, RecordUnit::Record, MAX_MAGNITUDE);
        let small: &[f64] = &[-4.0e13];
        assert_eq!(sums(record, &[(small, None); 2]), [-(1 << 50)]);
        // What is cut is bounded afterwards like anything else.
        assert_eq!(sums(form(1, RecordUnit::Person, 500), &three), [500]);
    }

    #[test]
    fn what_is_no_number_and_nobodys_adds_nothing() {
        let record = form(1, RecordUnit::Record, 500);
        let bad: [&[f64]; 4] = [&[f64::NAN], &[f64::INFINITY], &[1e300], &[1.0, 1.0]];
        let mut all: Vec<(&[f64], Option<u64>)> = bad.iter().map(|r| (*r, None)).collect();
        all.push((&[2.0], None));
        assert_eq!(sums(record, &all), [200]);
        let person = form(1, RecordUnit::Person, 500);
        assert_eq!(sums(person, &[(&[1.0], None), (&[2.0], Some(1))]), [200]);
        assert!(UnitSums::new(form(0, RecordUnit::Record, 1)).is_err());
    }

    proptest! {
        /// The sums are those of the accumulator that holds everything.
        #[test]
        fn sums_are_those_of_all_units(
            rows in prop::collection::vec((0_u64..5, -9.0..9.0_f64, -9.0..9.0_f64), 0..40),
            person in any::<bool>(),
        ) {
            let mut rows = rows;
            rows.sort_by_key(|(key, ..)| *key);
            let unit = if person { RecordUnit::Person } else { RecordUnit::Record };
            let form = form(2, unit, 700);
            let mut held = Accumulator::new(form).unwrap();
            let mut streamed = UnitSums::new(form).unwrap();
            for (key, a, b) in &rows {
                let key = person.then_some(*key);
                held.push(&[*a, *b], key.as_ref().map(std::slice::from_ref)).unwrap();
                streamed.push(&[*a, *b], key);
            }
            prop_assert_eq!(streamed.finish(), held.finish().sums().unwrap());
        }
    }
}
