//! What is in a table, column by column, for the eyes of its owner.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::text::cells::MISSING;
use delta_domain::calendar::{DateError, days_of};

/// Different texts of a column that are told; with more of them it has no levels.
const LEVELS: usize = 20;
/// Characters of a text that are told.
const SHOWN: usize = 60;

/// A table as its owner sees it. Never leaves the machine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TableProfile {
    /// Rows below the header.
    pub rows: u64,
    /// In the file's order.
    pub columns: Vec<ColumnProfile>,
    /// How the file is read, and what is doubtful about it.
    pub notes: Vec<String>,
}

impl TableProfile {
    /// Whether the names of a text's columns are certain to be a header, and not the cells of a first row, which are data.
    ///
    /// None of them is a number, a day or a truth value, and one that is a word stands above cells that are.
    pub(crate) fn has_header(&self) -> bool {
        let above_cells = |column: &ColumnProfile| {
            use ColumnKind::{Date, Number, Truth, Whole};
            let cells = matches!(column.kind, Whole | Number | Truth | Date);
            let made_up = column.name.starts_with("Unnamed: ");
            cells && !made_up && !MISSING.contains(&column.name.trim())
        };
        !self.columns.iter().any(|c| is_cell(&c.name)) && self.columns.iter().any(above_cells)
    }
}

/// Whether a name looks like a cell of a row.
fn is_cell(name: &str) -> bool {
    let name = name.trim();
    !name.chars().any(char::is_alphabetic)
        || name.parse::<f64>().is_ok()
        || days_of(name, None) != Err(DateError::NoDate)
        || matches!(name.to_ascii_lowercase().as_str(), "true" | "false")
}

/// A column as its owner sees it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ColumnProfile {
    /// Its name, as tasks name it.
    pub name: String,
    /// What its cells are.
    pub kind: ColumnKind,
    /// Cells without a value.
    pub missing: u64,
    /// The smallest and the largest finite number.
    pub range: Option<(f64, f64)>,
    /// Texts and how often each is there, where they are few.
    pub levels: Option<BTreeMap<String, u64>>,
    /// The line of the first cell that no task can read as a number.
    pub text_at: Option<u64>,
}

/// What the cells of a column are, beside missing ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ColumnKind {
    /// There are none.
    Empty,
    /// Whole numbers that a double holds exactly.
    Whole,
    /// Numbers.
    Number,
    /// True and false.
    Truth,
    /// Days, as YYYY-MM-DD, perhaps with a time of day.
    Date,
    /// Anything else.
    Text,
}

impl std::fmt::Display for ColumnKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Empty => "empty",
            Self::Whole => "whole numbers",
            Self::Number => "numbers",
            Self::Truth => "true or false",
            Self::Date => "dates",
            Self::Text => "texts",
        })
    }
}

/// What a cell is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum CellIs {
    Missing,
    Number(f64),
    Truth,
    Text,
}

/// A column, some rows seen.
#[derive(Debug, Default)]
pub(super) struct Seen {
    missing: u64,
    numbers: u64,
    whole: bool,
    truths: u64,
    texts: u64,
    dates: u64,
    range: Option<(f64, f64)>,
    levels: BTreeMap<String, u64>,
    many: bool,
    text_at: Option<u64>,
}

impl Seen {
    pub(super) fn new() -> Self {
        Self {
            whole: true,
            ..Self::default()
        }
    }

    pub(super) fn add(&mut self, line: u64, cell: &[u8], is: CellIs) {
        match is {
            CellIs::Missing => self.missing += 1,
            CellIs::Number(value) => {
                self.numbers += 1;
                self.whole &= value.fract() == 0.0 && value.abs() <= 9_007_199_254_740_992.0;
                // JSON has no infinities.
                if value.is_finite() {
                    let (low, high) = self.range.unwrap_or((value, value));
                    self.range = Some((low.min(value), high.max(value)));
                }
            }
            CellIs::Truth => self.truths += 1,
            CellIs::Text => {
                self.texts += 1;
                self.dates += u64::from(is_date(cell.trim_ascii()));
                self.text_at.get_or_insert(line);
            }
        }
        if self.many || matches!(is, CellIs::Missing | CellIs::Number(_)) {
            return;
        }
        let text: String = String::from_utf8_lossy(cell)
            .trim()
            .chars()
            .take(SHOWN)
            .collect();
        *self.levels.entry(text).or_insert(0) += 1;
        if self.levels.len() > LEVELS {
            self.many = true;
            self.levels.clear();
        }
    }

    pub(super) fn told(self, name: String) -> ColumnProfile {
        let others = self.numbers + self.truths;
        let kind = match (self.texts, self.truths, self.numbers) {
            (0, 0, 0) => ColumnKind::Empty,
            (0, 0, _) if self.whole => ColumnKind::Whole,
            (0, 0, _) => ColumnKind::Number,
            (0, _, 0) => ColumnKind::Truth,
            (texts, ..) if texts == self.dates && others == 0 => ColumnKind::Date,
            _ => ColumnKind::Text,
        };
        let leveled = matches!(kind, ColumnKind::Text | ColumnKind::Truth) && !self.many;
        ColumnProfile {
            name,
            kind,
            missing: self.missing,
            range: self
                .range
                .filter(|_| matches!(kind, ColumnKind::Whole | ColumnKind::Number)),
            levels: leveled.then_some(self.levels),
            text_at: self.text_at,
        }
    }
}

/// `YYYY-MM-DD`, alone or before a time of day.
fn is_date(cell: &[u8]) -> bool {
    let digits = |range: std::ops::Range<usize>| {
        let part = cell.get(range).unwrap_or_default();
        !part.is_empty() && part.iter().all(u8::is_ascii_digit)
    };
    digits(0..4)
        && cell.get(4) == Some(&b'-')
        && digits(5..7)
        && cell.get(7) == Some(&b'-')
        && digits(8..10)
        && cell.get(10).is_none_or(|c| matches!(c, b' ' | b'T'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_certain_where_words_stand_above_numbers() {
        let table = |columns: &[(&str, ColumnKind)]| TableProfile {
            rows: 2,
            columns: { columns.iter() }
                .map(|(name, kind)| ColumnProfile {
                    name: (*name).to_owned(),
                    kind: *kind,
                    missing: 0,
                    range: None,
                    levels: None,
                    text_at: None,
                })
                .collect(),
            notes: Vec::new(),
        };
        use ColumnKind::{Date, Number, Text, Whole};
        assert!(table(&[("name", Text), ("age", Whole)]).has_header());
        assert!(table(&[("ward", Text), ("admitted", Date)]).has_header());
        for row in [
            [("Anna Meier", Text), ("54", Whole)],
            [("Anna Meier", Text), ("54,5", Number)],
            [("Anna Meier", Text), ("f", Text)],
            [("Anna Meier", Text), ("NA", Whole)],
            [("Anna Meier", Text), ("Unnamed: 1", Whole)],
            [("Anna Meier", Text), ("29 Nov 2026", Date)],
            [("age", Whole), ("03/04/2026", Text)],
            [("age", Whole), ("True", Text)],
        ] {
            assert!(!table(&row).has_header(), "{row:?}");
        }
    }

    fn column(cells: &[(&str, CellIs)]) -> ColumnProfile {
        let mut seen = Seen::new();
        for (line, (cell, is)) in (2..).zip(cells) {
            seen.add(line, cell.as_bytes(), *is);
        }
        seen.told("c".into())
    }

    #[test]
    fn columns_are_what_all_their_cells_are() {
        use CellIs::{Missing, Number, Text, Truth};
        let whole = column(&[("3", Number(3.0)), ("", Missing), ("-1", Number(-1.0))]);
        assert_eq!((whole.kind, whole.missing), (ColumnKind::Whole, 1));
        assert_eq!(whole.range, Some((-1.0, 3.0)));
        assert_eq!(column(&[("0.5", Number(0.5))]).kind, ColumnKind::Number);
        assert_eq!(column(&[("", Missing)]).kind, ColumnKind::Empty);
        let truths = column(&[("True", Truth), ("False", Truth), ("True", Truth)]);
        assert_eq!(truths.kind, ColumnKind::Truth);
        assert_eq!(truths.levels.unwrap()["True"], 2);
        let dates = column(&[
            ("2026-11-29", Text),
            ("2026-11-29 10:00", Text),
            ("", Missing),
        ]);
        assert_eq!((dates.kind, dates.levels), (ColumnKind::Date, None));
        let mixed = column(&[("1", Number(1.0)), ("x", Text)]);
        assert_eq!((mixed.kind, mixed.text_at), (ColumnKind::Text, Some(3)));
        assert_eq!(mixed.range, None);
        let many: Vec<String> = (0..30).map(|i| format!("name {i}")).collect();
        let many: Vec<_> = many.iter().map(|n| (n.as_str(), Text)).collect();
        assert_eq!(column(&many).levels, None);
    }
}
