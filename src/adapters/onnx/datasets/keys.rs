//! Keys: what the cells of a column are when rows of two tables are matched by it.
//!
//! Whole numbers that a double holds exactly are compared as numbers, everything else as texts, and never the one with the other. Sixteen
//! bytes are held for each row, whatever its key.

use std::borrow::Cow;

use sha2::{Digest as _, Sha256};

use super::table::Opening;
use super::{format, table::Depth};
use crate::convert::whole;
use crate::failure::Failure;
use delta_domain::manifest::CellReader;

/// A row that finds none.
pub(super) const NOBODY: u32 = u32::MAX;
/// A missing key. No number and no text becomes it.
const MISSING: u128 = 0;
/// What numbers have above their bits, and texts above those of their hash.
const NUMBER: u128 = 1 << 64;
const TEXT: u128 = 1 << 127;
/// Decimal digits that no two doubles share.
const EXACT_DIGITS: usize = 15;

/// A cell of a key column.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum KeyCell<'c> {
    /// It matches none.
    Missing,
    /// A number, and how it is written.
    Number(f64, Cow<'c, str>),
    /// Anything else.
    Text(Cow<'c, str>),
}

impl<'c> KeyCell<'c> {
    /// A number: a key only if it is whole and exact.
    pub(super) fn number(value: f64, written: Cow<'c, str>) -> Self {
        match whole(value) {
            Some(_) => Self::Number(value, written),
            None => Self::Text(written),
        }
    }

    /// A number as it is written in a text: beside whole ones only those that are written with few digits are exact.
    pub(super) fn written(value: f64, text: &'c str) -> Self {
        let plain = !text.contains(['.', ',', 'e', 'E']);
        let digits = text.bytes().filter(u8::is_ascii_digit).count();
        match plain || digits <= EXACT_DIGITS {
            true => Self::number(value, Cow::Borrowed(text)),
            false => Self::Text(Cow::Borrowed(text)),
        }
    }

    /// What stands for a cell of a column with a type. Texts that are no level are many, and none of them is another.
    pub(super) fn coded(value: f64, reader: &CellReader) -> Self {
        let other =
            matches!(reader, CellReader::Category { other, .. } if value == f64::from(*other));
        match value.is_nan() || other {
            true => Self::Missing,
            false => Self::Number(value, Cow::Borrowed("")),
        }
    }
}

/// The keys of all rows of a table.
pub(super) struct Keys {
    values: Vec<u128>,
    kind: Kind,
}

/// What the keys of a column are compared as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// All are missing.
    None,
    Numbers,
    /// With the first row that has no number.
    Texts(usize),
    /// Each as what it is by itself: under noise no row decides how another is read.
    Each,
}

impl Keys {
    /// Reads the keys of a file.
    pub(super) fn read(
        path: &std::path::Path,
        opening: Opening<'_>,
        column: &str,
    ) -> Result<Self, Failure> {
        let mut reading = Reading::default();
        let noised = opening.noised;
        let mut table = format::table(path, opening)?;
        table.keys(column, Depth::Whole, &mut |cell| reading.add(&cell, noised))?;
        let keys = reading.done(noised);
        // Rows are numbered with 32 bits.
        match u32::try_from(keys.len()) {
            Ok(NOBODY) | Err(_) => Err(Failure::exhausted("it has too many rows to be joined")),
            Ok(_) => Ok(keys),
        }
    }

    /// How many rows there are.
    pub(super) fn len(&self) -> usize {
        self.values.len()
    }

    /// Why keys of the two cannot be compared: which of them has texts, and the first row that has one, counted from 0.
    pub(super) fn differs(&self, others: &Self) -> Option<(Side, usize)> {
        match (self.kind, others.kind) {
            (Kind::Texts(row), Kind::Numbers) => Some((Side::Own, row)),
            (Kind::Numbers, Kind::Texts(row)) => Some((Side::Other, row)),
            _ => None,
        }
    }

    /// The rows that have keys, by key and then by place.
    pub(super) fn sorted(&self) -> Sorted<'_> {
        let rows = (0_u32..).zip(&self.values);
        let with_key = rows.filter(|(_, key)| **key != MISSING);
        let mut order: Vec<u32> = with_key.map(|(row, _)| row).collect();
        order.sort_unstable_by_key(|row| (self.at(*row), *row));
        Sorted { keys: self, order }
    }

    fn at(&self, row: u32) -> u128 {
        let row = usize::try_from(row).unwrap_or(usize::MAX);
        self.values.get(row).copied().unwrap_or(MISSING)
    }
}

/// A table in which rows of others are looked up.
pub(super) struct Sorted<'k> {
    keys: &'k Keys,
    order: Vec<u32>,
}

impl Sorted<'_> {
    /// For each row of `own` the one with its key, or [`NOBODY`]. Where a key stands twice, its first row counts.
    pub(super) fn find(&self, own: &Keys) -> Vec<u32> {
        let key = |row: &u32| self.keys.at(*row);
        let find = |wanted: &u128| {
            let place = self.order.partition_point(|row| key(row) < *wanted);
            let found = self.order.get(place).filter(|row| key(row) == *wanted);
            found.copied().unwrap_or(NOBODY)
        };
        own.values
            .iter()
            .map(|wanted| match *wanted {
                MISSING => NOBODY,
                _ => find(wanted),
            })
            .collect()
    }

    /// Two rows with one key, counted from 0: the first later one, and the one before it.
    pub(super) fn repeated(&self) -> Option<(usize, usize)> {
        let key = |row: &u32| self.keys.at(*row);
        let pairs = self.order.iter().zip(self.order.iter().skip(1));
        let same = pairs.filter(|(a, b)| key(a) == key(b));
        let (before, later) = same.min_by_key(|(_, later)| **later)?;
        Some((
            usize::try_from(*later).ok()?,
            usize::try_from(*before).ok()?,
        ))
    }
}

/// One of two tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Own,
    Other,
}

/// A column, some rows read: both as numbers, as long as all are, and as texts.
#[derive(Default)]
struct Reading {
    numbers: Vec<u128>,
    texts: Vec<u128>,
    text_at: Option<usize>,
    any: bool,
}

impl Reading {
    fn add(&mut self, cell: &KeyCell<'_>, noised: bool) {
        let row = self.texts.len();
        let (number, text) = match cell {
            KeyCell::Missing => (Some(MISSING), MISSING),
            KeyCell::Number(value, _) if noised => (None, number(*value)),
            KeyCell::Number(value, written) => (Some(number(*value)), hash(written)),
            KeyCell::Text(text) => (None, hash(text)),
        };
        self.any |= *cell != KeyCell::Missing;
        self.texts.push(text);
        match number {
            Some(number) if self.text_at.is_none() => self.numbers.push(number),
            Some(_) => {}
            None => {
                self.text_at.get_or_insert(row);
                self.numbers = Vec::new();
            }
        }
    }

    fn done(self, noised: bool) -> Keys {
        match self.text_at {
            _ if noised => Keys {
                values: self.texts,
                kind: Kind::Each,
            },
            Some(row) => Keys {
                values: self.texts,
                kind: Kind::Texts(row),
            },
            None => Keys {
                values: self.numbers,
                kind: if self.any { Kind::Numbers } else { Kind::None },
            },
        }
    }
}

fn number(value: f64) -> u128 {
    // Both zeros are one.
    NUMBER | u128::from((value + 0.0).to_bits())
}

fn hash(text: &str) -> u128 {
    let digest: [u8; 32] = Sha256::digest(text.trim().as_bytes()).into();
    let half = digest.first_chunk().copied().unwrap_or_default();
    TEXT | u128::from_le_bytes(half)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn keys(cells: &[&str], noised: bool) -> Keys {
        let mut reading = Reading::default();
        for cell in cells {
            let cell = match (*cell, cell.parse::<f64>()) {
                ("", _) => KeyCell::Missing,
                (text, Ok(value)) => KeyCell::written(value, text),
                (text, Err(_)) => KeyCell::Text(text.into()),
            };
            reading.add(&cell, noised);
        }
        reading.done(noised)
    }

    #[test]
    fn whole_numbers_are_numbers_however_they_are_written() {
        let (own, others) = (["7", "07", "7.0", "-0", "", "8"], ["0", "7", "9"]);
        let found = keys(&others, false).sorted().find(&keys(&own, false));
        assert_eq!(found, [1, 1, 1, 0, NOBODY, NOBODY]);
    }

    #[test]
    fn what_a_double_does_not_hold_is_a_text() {
        let own = ["9007199254740993", "9007199254740992", "1"];
        let others = ["9007199254740992", "1", "01"];
        let (own, others) = (keys(&own, false), keys(&others, false));
        assert_eq!(others.sorted().find(&own), [NOBODY, 0, 1]);
        assert_eq!(own.sorted().find(&others), [1, 2, NOBODY], "as texts");
        // It is read as 1.
        let nearly = keys(&["0.99999999999999999999", "1"], false);
        assert_eq!(nearly.sorted().repeated(), None);
        assert_eq!(keys(&["1.5", "1.50"], false).sorted().repeated(), None);
    }

    #[test]
    fn texts_and_numbers_are_not_compared() {
        let of = |own: &[&str], others: &[&str]| keys(own, false).differs(&keys(others, false));
        assert_eq!(of(&["1", "a"], &["1"]), Some((Side::Own, 1)));
        assert_eq!(of(&["1"], &["", "b"]), Some((Side::Other, 1)));
        assert_eq!(of(&["a"], &["", ""]), None);
        assert_eq!(of(&["1"], &["2"]), None);
        // Under noise each is what it is.
        let (own, others) = (keys(&["1", "a", "01"], true), keys(&["a", "1"], true));
        assert_eq!(own.differs(&others), None);
        assert_eq!(others.sorted().find(&own), [1, 0, 1]);
    }

    #[test]
    fn a_key_that_stands_twice_is_found_and_its_first_row_counts() {
        let others = keys(&["b", "", "a", "", "b", "a", "b"], false);
        assert_eq!(others.sorted().repeated(), Some((4, 0)));
        assert_eq!(others.sorted().find(&keys(&["a", "b"], false)), [2, 0]);
    }

    #[test]
    fn other_texts_than_the_levels_match_none() {
        let kind = delta_domain::manifest::ColumnType::Category {
            levels: vec!["a".into(), "b".into()],
        };
        let reader = kind.reader(None);
        let of = |text: &str| KeyCell::coded(reader.text(text).unwrap(), &reader);
        assert_eq!(of("b"), KeyCell::Number(1.0, "".into()));
        assert_eq!([of("c"), of("d")], [KeyCell::Missing, KeyCell::Missing]);
    }

    proptest! {
        /// A row finds what a plain search finds.
        #[test]
        fn found_as_by_a_plain_search(
            own in proptest::collection::vec("[ab1-3]{0,2}", 0..40),
            others in proptest::collection::vec("[ab1-3]{0,2}", 0..40),
            noised in any::<bool>(),
        ) {
            let texts = |cells: &[String]| cells.iter().any(|c| !c.is_empty() && c.parse::<u32>().is_err());
            prop_assume!(noised || texts(&own) == texts(&others));
            let of = |cells: &[String]| {
                let cells: Vec<&str> = cells.iter().map(String::as_str).collect();
                keys(&cells, noised)
            };
            let mut first: BTreeMap<&str, u32> = BTreeMap::new();
            for (row, key) in (0..).zip(&others) {
                first.entry(key).or_insert(row);
            }
            let plain = own.iter().map(|key| match key.as_str() {
                "" => NOBODY,
                key => first.get(key).copied().unwrap_or(NOBODY),
            });
            prop_assert_eq!(of(&others).sorted().find(&of(&own)), plain.collect::<Vec<_>>());
        }
    }
}
