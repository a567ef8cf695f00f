//! From batches of real vectors, one a record, to the clipped integer vectors of the units whose sum is released.
//!
//! A unit is a record, or all records with one key: those are summed before they are clipped, so that one person counts once. How the
//! records came in batches changes nothing. Memory is bounded by the form; vectors of units are kept because the rules look at them twice
//! and a graph should run once.
//!
//! Numbers that are contributed as exact ones have no scale beforehand: each place gets one of its own when all records are there, by its
//! largest number. The integers of that scale are what the rules judge *and* what is summed, so nothing is released that they did not see.

use std::collections::BTreeMap;

use super::blocks::scaled;
use super::clip::Clip;
use super::packed::{Packed, ROWS};
use super::quantise::{MAX_MAGNITUDE, quantise};
use crate::secagg::encoding::{QuantiseError, QuantiseErrorKind};
use crate::secagg::exact_number::{self, ExactError, Steps};

/// Most records of one release: 2^24.
pub const MAX_RECORDS: usize = 1 << 24;
/// Most numbers of a record: 2^20.
pub const MAX_WIDTH: usize = 1 << 20;
/// What a key costs beside its vector, about: the entry of the map and the number of each of its rows.
const KEY_BYTES: usize = 64;

/// Who counts once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordUnit {
    /// Each record.
    Record,
    /// All records with one key.
    Person,
}

/// How records become units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordsForm {
    /// Numbers that the graph makes of a record: d, from 1 to [`MAX_WIDTH`].
    pub width: usize,
    /// Decimal digits kept.
    pub precision: u8,
    /// Who counts once.
    pub unit: RecordUnit,
    /// The bound on the vector of a unit.
    pub clip: Clip,
    /// Most bytes held for vectors and keys.
    pub memory: usize,
}

/// Why records cannot be summed. Shows no value; rows and columns in it are for the owner only.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum RecordsError {
    /// No number, or too many.
    #[error("a record becomes {0} numbers, and 1 to 1048576 are possible")]
    Width(usize),
    /// A batch that does not consist of whole rows.
    #[error("a batch of {0} numbers is not a whole number of rows")]
    Ragged(usize),
    /// Keys where there should be none, none where there should be, or not one a row.
    #[error("the batch has {keys} keys for {rows} rows")]
    Keys {
        /// Keys that came.
        keys: usize,
        /// Rows that came.
        rows: usize,
    },
    /// A number that is no fixed-point number.
    #[error("row {row}, number {column} {kind}")]
    Value {
        /// Counted from 0 over all batches.
        row: usize,
        /// Counted from 0.
        column: usize,
        /// What is wrong.
        kind: QuantiseErrorKind,
    },
    /// A number that cannot be summed exactly.
    #[error("row {row}, number {column} {kind}")]
    Exact {
        /// Counted from 0 over all batches.
        row: usize,
        /// Counted from 0.
        column: usize,
        /// What is wrong.
        kind: ExactError,
    },
    /// More than [`MAX_RECORDS`].
    #[error("more than 16777216 records")]
    TooMany,
    /// More bytes than the form allows.
    #[error("the vectors need more than {0} bytes")]
    Memory(usize),
    /// The records of one key add up to too much; rows are added in their order.
    #[error("the records of one person add up to 2^52 or more")]
    Person,
    /// Products whose rounding would leave nothing of the bound.
    #[error(
        "products of {numbers} numbers need a bound of at least {least} steps of the precision, and below 2^52; raise strategy.precision"
    )]
    Coarse {
        /// Numbers of all products of a record.
        numbers: usize,
        /// The smallest bound.
        least: u64,
    },
    /// A released sum would not be exact.
    #[error("sum {0} is 2^52 or more")]
    Sum(usize),
}

/// Takes records in batches; gives [`Units`]. Private to the node: it has no debug output.
#[derive(Clone)]
pub struct Accumulator {
    form: RecordsForm,
    /// Which numbers of a record are exact, in rising order.
    exact: Vec<usize>,
    records: usize,
    /// Vectors of units that are records, in their order. Exact numbers stand there as the bits of doubles: their scale is known when all
    /// have come.
    packed: Packed,
    /// Vectors of units that are persons, one after the other, in the order in which the persons came; likewise.
    vectors: Vec<i64>,
    /// The largest magnitude so far at each exact place, where units are records.
    largest: Vec<f64>,
    /// The unit of each key.
    keys: BTreeMap<u64, u32>,
    /// The unit of each row; empty when each row is one.
    unit_of: Vec<u32>,
    scratch: Vec<u64>,
}

impl Accumulator {
    /// Takes records of this form.
    ///
    /// # Errors
    /// [`RecordsError::Width`].
    pub fn new(form: RecordsForm) -> Result<Self, RecordsError> {
        if form.width == 0 || form.width > MAX_WIDTH {
            return Err(RecordsError::Width(form.width));
        }
        Ok(Self {
            form,
            exact: Vec::new(),
            records: 0,
            packed: Packed::new(vec![false; form.width]),
            vectors: Vec::new(),
            largest: Vec::new(),
            keys: BTreeMap::new(),
            unit_of: Vec::new(),
            scratch: Vec::new(),
        })
    }

    /// The same, with the numbers at these places of a record, in rising order, on a scale of each place's own. They are not clipped: a clip is
    /// for noise, and under noise nothing is exact.
    #[must_use]
    pub fn exactly(self, places: impl IntoIterator<Item = usize>) -> Self {
        let exact = places.into_iter().filter(|place| *place < self.form.width);
        let exact: Vec<usize> = exact.collect();
        let mut doubles = vec![false; self.form.width];
        for place in &exact {
            doubles[*place] = true;
        }
        Self {
            packed: Packed::new(doubles),
            largest: vec![0.0; exact.len()],
            exact,
            ..self
        }
    }

    /// Adds a batch: `rows` is row-major, `width` numbers a row; `keys` has one key a row exactly when the unit is a person.
    ///
    /// # Errors
    /// [`RecordsError`], every kind but `Width` and `Sum`. After one the accumulator is of no more use.
    pub fn push(&mut self, rows: &[f64], keys: Option<&[u64]>) -> Result<(), RecordsError> {
        let width = self.form.width;
        if !rows.len().is_multiple_of(width) {
            return Err(RecordsError::Ragged(rows.len()));
        }
        let count = rows.len() / width;
        let wanted = match self.form.unit {
            RecordUnit::Record => 0,
            RecordUnit::Person => count,
        };
        let given = keys.map_or(0, <[u64]>::len);
        if given != wanted {
            return Err(RecordsError::Keys {
                keys: given,
                rows: count,
            });
        }
        if self.records + count > MAX_RECORDS {
            return Err(RecordsError::TooMany);
        }
        match keys.filter(|_| self.form.unit == RecordUnit::Person) {
            None => self.push_records(rows)?,
            Some(keys) => self.push_persons(rows, keys)?,
        }
        self.records += count;
        Ok(())
    }

    fn push_records(&mut self, rows: &[f64]) -> Result<(), RecordsError> {
        let width = self.form.width;
        self.quantise(rows, self.records)?;
        for (words, row) in self.scratch.chunks_mut(width).zip(rows.chunks(width)) {
            for (place, largest) in self.exact.iter().zip(&mut self.largest) {
                words[*place] = row[*place].to_bits();
                *largest = largest.max(row[*place].abs());
            }
        }
        let mut vectors: Vec<i64> = self.scratch.iter().map(|word| word.cast_signed()).collect();
        if self.exact.is_empty() {
            for vector in vectors.chunks_mut(width) {
                self.form.clip.apply(vector);
            }
        }
        self.packed.push(&vectors);
        let limit = self.form.memory;
        match self.packed.bytes() > limit {
            true => Err(RecordsError::Memory(limit)),
            false => Ok(()),
        }
    }

    fn push_persons(&mut self, rows: &[f64], keys: &[u64]) -> Result<(), RecordsError> {
        let width = self.form.width;
        for (i, (row, key)) in rows.chunks(width).zip(keys).enumerate() {
            self.quantise(row, self.records + i)?;
            let units = self.keys.len();
            let unit = match self.keys.get(key) {
                Some(unit) => *unit,
                None => {
                    // Twice: when all have come they are packed, and held until that is done.
                    let each = width
                        .saturating_mul(2 * size_of::<i64>())
                        .saturating_add(KEY_BYTES);
                    if (units + 1).saturating_mul(each) > self.form.memory {
                        return Err(RecordsError::Memory(self.form.memory));
                    }
                    let unit = u32::try_from(units).map_err(|_| RecordsError::TooMany)?;
                    self.keys.insert(*key, unit);
                    self.vectors.resize(self.vectors.len() + width, 0);
                    unit
                }
            };
            self.unit_of.push(unit);
            let first = usize::try_from(unit)
                .unwrap_or(usize::MAX)
                .saturating_mul(width);
            let sums = self.vectors.iter_mut().skip(first);
            let mut exact = self.exact.iter().copied().peekable();
            for (place, (sum, word)) in sums.zip(&self.scratch).enumerate() {
                if exact.next_if_eq(&place).is_some() {
                    // Rounded as doubles are: what is lost here is not summed either.
                    let both = f64::from_bits(sum.cast_unsigned()) + row[place];
                    *sum = both.to_bits().cast_signed();
                    continue;
                }
                // Both below 2^52 in magnitude.
                *sum += word.cast_signed();
                if sum.unsigned_abs() > MAX_MAGNITUDE {
                    return Err(RecordsError::Person);
                }
            }
        }
        Ok(())
    }

    /// Replaces the scratch with the integers of rows, the first of which is row `number`.
    fn quantise(&mut self, rows: &[f64], number: usize) -> Result<(), RecordsError> {
        let width = self.form.width;
        let unfit = |QuantiseError { index, kind }| RecordsError::Value {
            row: number + index / width,
            column: index % width,
            kind,
        };
        if self.exact.is_empty() {
            return quantise(rows, self.form.precision, &mut self.scratch).map_err(unfit);
        }
        if self.exact.len() == width && rows.iter().all(|x| exact_number::fits(*x).is_ok()) {
            self.scratch.clear();
            self.scratch.resize(rows.len(), 0);
            return Ok(());
        }
        let mut others = rows.to_vec();
        for (i, row) in others.chunks_mut(width).enumerate() {
            for place in &self.exact {
                let exact = std::mem::take(&mut row[*place]);
                exact_number::fits(exact).map_err(|kind| RecordsError::Exact {
                    row: number + i,
                    column: *place,
                    kind,
                })?;
            }
        }
        quantise(&others, self.form.precision, &mut self.scratch).map_err(unfit)
    }

    /// The units of all records so far.
    #[must_use]
    pub fn finish(mut self) -> Units {
        let width = self.form.width;
        if self.form.unit == RecordUnit::Person {
            let double = |bits: &i64| f64::from_bits(bits.cast_unsigned()).abs();
            for (place, largest) in self.exact.iter().zip(&mut self.largest) {
                let all = self.vectors.iter().skip(*place).step_by(width);
                *largest = all.map(double).fold(0.0, f64::max);
            }
            if self.exact.is_empty() {
                for vector in self.vectors.chunks_mut(width) {
                    self.form.clip.apply(vector);
                }
            }
            self.keys = BTreeMap::new();
            self.packed.push(&self.vectors);
            self.vectors = Vec::new();
        }
        self.packed.close();
        let mut steps = vec![None; width];
        for (place, largest) in self.exact.iter().zip(&self.largest) {
            steps[*place] = Some(step(*largest));
        }
        Units {
            records: self.records,
            steps,
            packed: self.packed,
            unit_of: (self.form.unit == RecordUnit::Person).then_some(self.unit_of),
        }
    }
}

/// The clipped vectors of all units: what is summed, and what the rules judge. Private to the node.
#[derive(Clone, PartialEq, Eq)]
pub struct Units {
    records: usize,
    /// At exact places the exponent of two of one step: there the bits of doubles are kept.
    steps: Vec<Option<i32>>,
    packed: Packed,
    unit_of: Option<Vec<u32>>,
}

/// Sizes only.
impl std::fmt::Debug for Units {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Units({} of {} numbers)", self.len(), self.width())
    }
}

impl Units {
    /// How many units there are: n.
    #[must_use]
    pub fn len(&self) -> usize {
        self.packed.rows()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Numbers of a unit: d.
    #[must_use]
    pub const fn width(&self) -> usize {
        self.packed.width()
    }

    /// How many records they are made of.
    #[must_use]
    pub const fn records(&self) -> usize {
        self.records
    }

    /// The unit of each record, in the order in which records came; `None` when each record is a unit.
    #[must_use]
    pub fn unit_of(&self) -> Option<&[u32]> {
        self.unit_of.as_deref()
    }

    /// Their vectors as they are kept.
    pub(super) const fn packed(&self) -> &Packed {
        &self.packed
    }

    /// The scale of each number that is kept as a double.
    pub(super) fn steps(&self) -> impl Iterator<Item = Option<Steps>> {
        self.steps.iter().map(|step| step.map(Steps::new))
    }

    /// The sums over all units, divided by `scale`, each below 2^52 in magnitude before; those of exact places in their own steps, rounded
    /// once.
    ///
    /// # Errors
    /// [`RecordsError::Sum`] names the first that is not.
    pub fn numbers(&self, scale: f64) -> Result<Vec<f64>, RecordsError> {
        let sums = self.totals();
        let mut numbers = Vec::with_capacity(sums.len());
        for ((column, sum), step) in sums.into_iter().enumerate().zip(&self.steps) {
            if let Some(step) = step {
                numbers.push(exact_number::of_steps(sum, *step));
                continue;
            }
            #[expect(clippy::cast_precision_loss, reason = "sums are below 2^52")]
            numbers.push(bounded(column, sum)? as f64 / scale);
        }
        Ok(numbers)
    }

    /// The sums over all units: `width` integers, each below 2^52 in magnitude.
    ///
    /// # Errors
    /// [`RecordsError::Sum`] names the first that is not.
    pub fn sums(&self) -> Result<Vec<i64>, RecordsError> {
        let sums = self.totals().into_iter().enumerate();
        sums.map(|(column, sum)| bounded(column, sum)).collect()
    }

    fn totals(&self) -> Vec<i128> {
        // At most 2^24 units below 2^52: a 128-bit sum is far from its end. Those of a block fit in 64 bits.
        let mut sums = vec![0_i128; self.width()];
        let steps: Vec<Option<Steps>> = self.steps().collect();
        let mut column = [0; ROWS];
        self.packed.each(|rows, mut columns| {
            let column = &mut column[..rows];
            for (sum, steps) in sums.iter_mut().zip(&steps) {
                columns.next(column);
                scaled(column, *steps);
                *sum += i128::from(column.iter().sum::<i64>());
            }
        });
        sums
    }
}

/// A sum that is released.
fn bounded(column: usize, sum: i128) -> Result<i64, RecordsError> {
    match i64::try_from(sum) {
        Ok(short) if sum.unsigned_abs() <= u128::from(MAX_MAGNITUDE) => Ok(short),
        _ => Err(RecordsError::Sum(column)),
    }
}

/// Bits of the largest integer of an exact place, at most; and fewer than [`GRID`] less.
const WIDEST: i32 = 51;
/// Steps of different places are a whole number of so many bits apart: places of nearly one size share theirs, and what adds up before they are
/// rounded does so behind it.
const GRID: i32 = 4;

/// The exponent of two of one step of a place whose largest magnitude is this.
fn step(largest: f64) -> i32 {
    // The exponent of the power of two above it, from 1 - 1022 on: smaller ones are 0 in any case.
    let above = i32::try_from(largest.to_bits() >> 52).unwrap_or(1023) - 1022;
    (above + GRID - 1).div_euclid(GRID) * GRID - WIDEST
}

#[cfg(test)]
mod tests;
