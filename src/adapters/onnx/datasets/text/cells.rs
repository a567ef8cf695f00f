//! Cells as numbers, with the missing markers and truth values of pandas.

use std::collections::HashSet;

use super::dialect::Found;
use crate::datasets::profile::CellIs;
use crate::failure::Failure;
use delta_domain::calendar::DateError;
use delta_domain::manifest::CellReader;

/// What pandas takes for a missing value, beside what a double prints for one.
pub(in crate::datasets) const MISSING: &[&str] = &[
    "", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN",
    "<NA>", "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null",
];

/// How cells of a file are read.
pub(in crate::datasets) struct Cells {
    thousands: Option<char>,
    missing: HashSet<Vec<u8>>,
    /// Those that the owner has named.
    own: HashSet<Vec<u8>>,
    /// Markers, and what each is as a number for either sign before the fraction: they stand for every way of writing it.
    numbers: Vec<(u8, f64)>,
}

/// Characters of a number that is read at once; so many digits fit 64 bits.
const SHORT: usize = 18;

/// Powers of ten, exact.
const POWERS: [f64; SHORT + 1] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18,
];

/// Characters of a cell that messages show.
const SHOWN: usize = 40;

/// What a column has been seen to hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::datasets) enum Column {
    /// Missing values only.
    #[default]
    Empty,
    Numbers,
    Truths,
    /// Times that say how far their clock is from UTC.
    OffsetTimes,
    /// Times of some clock.
    LocalTimes,
}

impl Column {
    /// What a column is whose parts are these; `None` where they are of two kinds.
    pub(in crate::datasets) fn and(self, other: Self) -> Option<Self> {
        match (self, other) {
            (Self::Empty, kind) | (kind, Self::Empty) => Some(kind),
            _ => (self == other).then_some(self),
        }
    }

    /// The number of a cell that is there and declared to be none. All times say how far their clock is from UTC, or none does.
    pub(in crate::datasets) fn coded(
        &mut self,
        text: &str,
        reader: &CellReader,
    ) -> Result<f64, DateError> {
        let value = reader.text(text)?;
        let clock = match reader.has_offset(text) {
            None => return Ok(value),
            Some(true) => Self::OffsetTimes,
            Some(false) => Self::LocalTimes,
        };
        if *self == Self::Empty {
            *self = clock;
        }
        match *self == clock {
            true => Ok(value),
            false => Err(DateError::Clock),
        }
    }
}

/// Why a cell is no number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::datasets) enum Unread {
    /// It is none.
    Text,
    /// Truth values and numbers in one column.
    Mixed,
}

impl Cells {
    pub(super) fn of(found: &Found) -> Self {
        Self::new(found.thousands, &found.missing)
    }

    /// `own`: what its owner says is missing.
    pub(in crate::datasets) fn new(thousands: Option<char>, own: &[String]) -> Self {
        let known = MISSING.iter().map(|m| m.as_bytes().to_vec());
        let mut cells = Self {
            thousands,
            missing: { known }
                .chain(own.iter().map(|m| m.as_bytes().to_vec()))
                .collect(),
            own: own.iter().map(|m| m.as_bytes().to_vec()).collect(),
            numbers: Vec::new(),
        };
        for marker in own {
            for decimal in [b'.', b','] {
                let number = cells.number(marker.as_bytes(), Some(decimal));
                cells.numbers.extend(number.map(|number| (decimal, number)));
            }
        }
        cells
    }

    /// A cell as a number, NaN where it is missing; true is 1 and false 0.
    pub(in crate::datasets) fn read(
        &self,
        cell: &[u8],
        decimal: Option<u8>,
        column: &mut Column,
    ) -> Result<f64, Unread> {
        let (value, kind) = match self.short(cell, decimal) {
            Some(value) => (value, Column::Numbers),
            None => {
                let cell = cell.trim_ascii();
                if self.missing.contains(cell) {
                    return Ok(f64::NAN);
                }
                match self.number(cell, decimal) {
                    Some(value) => (value, Column::Numbers),
                    None => (truth(cell).ok_or(Unread::Text)?, Column::Truths),
                }
            }
        };
        if kind == Column::Numbers && self.is_marker(value, decimal) {
            return Ok(f64::NAN);
        }
        if *column == Column::Empty {
            *column = kind;
        }
        match *column == kind {
            true => Ok(value),
            false => Err(Unread::Mixed),
        }
    }

    /// A text in a column that is declared to be no numbers, as the number that stands for it. A level that pandas would take for a missing
    /// value is one, unless the owner has named it.
    pub(in crate::datasets) fn coded(
        &self,
        text: &str,
        reader: &CellReader,
        column: &mut Column,
    ) -> Result<f64, String> {
        let text = text.trim();
        let named = |decimal: u8| {
            let number = self.number(text.as_bytes(), Some(decimal));
            number.is_some_and(|n| self.is_marker(n, Some(decimal)))
        };
        // However the owner's marker is written.
        if !self.numbers.is_empty() && (named(b'.') || named(b',')) {
            return Ok(f64::NAN);
        }
        let missing = match reader.is_level(text) {
            true => self.own.contains(text.as_bytes()),
            false => self.missing.contains(text.as_bytes()),
        };
        if missing {
            return Ok(f64::NAN);
        }
        column.coded(text, reader).map_err(|e| {
            let shown: String = text.chars().take(SHOWN).collect();
            format!("{shown:?} {e}")
        })
    }

    /// Whether a text stands for a missing value.
    pub(in crate::datasets) fn is_missing(&self, text: &str) -> bool {
        self.missing.contains(text.trim().as_bytes())
    }

    /// What a cell is by itself.
    pub(in crate::datasets) fn is(&self, cell: &[u8], decimal: Option<u8>) -> CellIs {
        let short = self.short(cell, decimal);
        let cell = cell.trim_ascii();
        if short.is_none() && self.missing.contains(cell) {
            return CellIs::Missing;
        }
        match short.or_else(|| self.number(cell, decimal)) {
            Some(value) if self.is_marker(value, decimal) => CellIs::Missing,
            Some(value) => CellIs::Number(value),
            None if truth(cell).is_some() => CellIs::Truth,
            None => CellIs::Text,
        }
    }

    /// Whether the owner has named this number; where nothing shows what stands before the fraction, cells have none.
    pub(in crate::datasets) fn is_marker(&self, value: f64, decimal: Option<u8>) -> bool {
        let mut named = self.numbers.iter();
        named.any(|(of, number)| *number == value && decimal.is_none_or(|d| d == *of))
    }

    /// A number of few digits, as nearly all are: one division of two exact doubles, so the nearest to what is written. Markers among such
    /// are known as numbers.
    #[expect(clippy::cast_precision_loss, reason = "below 2^53")]
    fn short(&self, cell: &[u8], decimal: Option<u8>) -> Option<f64> {
        let (negative, digits) = match cell {
            [b'-', digits @ ..] => (true, digits),
            [b'+', digits @ ..] | digits => (false, digits),
        };
        let point = decimal.filter(|d| self.thousands != Some(char::from(*d)));
        let (mut whole, mut count, mut places) = (0_u64, 0_usize, None);
        for byte in digits.iter().take(SHORT) {
            match byte {
                b'0'..=b'9' => {
                    whole = whole * 10 + u64::from(byte - b'0');
                    count += 1;
                }
                byte if Some(*byte) == point && places.is_none() => places = Some(count),
                _ => return None,
            }
        }
        if count == 0 || digits.len() > SHORT || whole >= 1 << 53 {
            return None;
        }
        let value = whole as f64 / POWERS.get(places.map_or(0, |before| count - before))?;
        Some(if negative { -value } else { value })
    }

    /// Whether any number stands for a missing value.
    pub(in crate::datasets) fn has_markers(&self) -> bool {
        !self.numbers.is_empty()
    }

    fn number(&self, cell: &[u8], decimal: Option<u8>) -> Option<f64> {
        let plain = |cell: &[u8]| {
            let value: f64 = std::str::from_utf8(cell).ok()?.parse().ok()?;
            // Words for what is no number are markers or texts, as in pandas; digits that a double does not hold are no infinity.
            let digits = cell.iter().any(u8::is_ascii_digit);
            (!value.is_nan() && (value.is_finite() || !digits)).then_some(value)
        };
        let Some(decimal) = decimal else {
            let whole = !cell.iter().any(|b| matches!(b, b'.' | b','));
            return whole.then(|| plain(cell)).flatten();
        };
        if decimal == b'.' && self.thousands.is_none() {
            return plain(cell);
        }
        let text = std::str::from_utf8(cell).ok()?;
        let exponent = text.find(['e', 'E']).filter(|at| *at > 0);
        let (text, exponent) = text.split_at(exponent.unwrap_or(text.len()));
        let (whole, fraction) = match text.split_once(char::from(decimal)) {
            Some((whole, fraction)) => (whole, Some(fraction)),
            None => (text, None),
        };
        let mut number = match self.thousands {
            Some(mark) => ungrouped(whole, mark)?,
            None => whole.to_owned(),
        };
        if decimal == b',' && number.contains('.') {
            return None;
        }
        if let Some(fraction) = fraction {
            if fraction.contains('.') {
                return None;
            }
            number.push('.');
            number.push_str(fraction);
        }
        number.push_str(exponent);
        plain(number.as_bytes())
    }

    /// A cell that is no number, in words of the data's owner.
    pub(super) fn failure(
        &self,
        unread: Unread,
        cell: &[u8],
        line: u64,
        (place, column): (usize, &str),
        found: &Found,
    ) -> Failure {
        let Ok(text) = std::str::from_utf8(cell) else {
            return found.not_utf8(&format!("line {line}, column {column:?}"));
        };
        let shown: String = text.trim().chars().take(40).collect();
        let at = format!("line {line}, column {column:?}: {shown:?}");
        Failure::corrupt(match unread {
            Unread::Mixed => format!("{at}, in a column of both truth values and numbers"),
            Unread::Text => format!(
                "{at} is not a number{}",
                self.hint(&shown, found.decimal(place))
            ),
        })
    }

    /// Which setting may be missing.
    pub(in crate::datasets) fn hint(&self, cell: &str, decimal: Option<u8>) -> &'static str {
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let unsigned = cell.trim_start_matches(['+', '-']);
        let groups = |mark: char| {
            let mut parts = unsigned
                .split(['.', ','])
                .next()
                .unwrap_or_default()
                .split(mark);
            parts.next().is_some_and(digits)
                && parts.next().is_some_and(|p| p.len() == 3 && digits(p))
        };
        let commas = unsigned.matches(',').count();
        if commas == 1 && unsigned.split(',').all(digits) && decimal != Some(b',') {
            "; if the comma stands before the fraction, set `decimal: \",\"`, if it groups digits, `thousands: \",\"`"
        } else if commas > 0 && unsigned.split([',', '.']).all(digits) && self.thousands.is_none() {
            "; if digits are grouped, set `thousands`"
        } else if decimal != Some(b'.') && unsigned.split('.').all(digits) {
            "; the file has decimal commas; if the point groups digits, set `thousands: \".\"`, if it stands before fractions, save the file with one of the two"
        } else if unsigned.matches('.').count() > 1 && unsigned.split('.').all(digits)
            || ['\'', ' ', '_', '\u{a0}', '\u{202f}']
                .into_iter()
                .any(groups)
        {
            "; if digits are grouped, set `thousands`"
        } else {
            "; if it stands for a missing value, add it to `missing`"
        }
    }
}

/// A whole number without the marks between its groups of three digits.
fn ungrouped(whole: &str, mark: char) -> Option<String> {
    let is_mark = |c: char| c == mark || (mark == ' ' && matches!(c, '\u{a0}' | '\u{202f}'));
    if !whole.contains(is_mark) {
        return Some(whole.to_owned());
    }
    let mut groups = whole.split(is_mark);
    let first = groups.next()?;
    let digits = first.trim_start_matches(['+', '-']);
    // 0.123 is no group of thousands.
    let short = (1..=3).contains(&digits.len())
        && !digits.starts_with('0')
        && digits.bytes().all(|b| b.is_ascii_digit());
    let mut number = short.then(|| first.to_owned())?;
    for group in groups {
        if group.len() != 3 || !group.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        number.push_str(group);
    }
    Some(number)
}

fn truth(cell: &[u8]) -> Option<f64> {
    match cell {
        b"True" | b"TRUE" | b"true" => Some(1.0),
        b"False" | b"FALSE" | b"false" => Some(0.0),
        _ => None,
    }
}
