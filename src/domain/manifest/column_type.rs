//! What the cells of a column mean that is not made of numbers, and the numbers that graphs get for them.
//!
//! Graphs compute with numbers only. So a task declares which columns are texts of known levels, dates or times; a node writes each cell as a
//! number (dictionary encoding), and what a column's texts are never leaves it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::calendar::{DateError, DateOrder, days_of, has_offset, seconds_of};

/// Most levels of a column.
pub const MAX_LEVELS: usize = 10_000;
/// Longest level, in bytes.
pub const MAX_LEVEL_BYTES: usize = 256;

/// What the cells of a column are, where they are not numbers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "type", rename_all = "lowercase", deny_unknown_fields)]
pub enum ColumnType {
    /// One of some texts: the number of its level, from 0; any other text is one more than the last level, a missing cell NaN.
    Category {
        /// The texts, each once.
        levels: Vec<String>,
    },
    /// Dates: days since 1970-01-01.
    Date,
    /// Dates with a time of day: seconds since 1970-01-01T00:00:00, in UTC where the cell has an offset.
    Time,
}

/// Reads the cells of a column of some type.
#[derive(Debug, Clone)]
pub enum CellReader {
    /// Levels by their texts, by the numbers that some of them are, and how many there are.
    Category {
        /// Numbers of levels by text.
        texts: BTreeMap<String, u32>,
        /// Levels that are numbers, in rising order, for cells that are written in another way.
        numbers: Vec<(f64, u32)>,
        /// The number of any other text.
        other: u32,
    },
    /// Dates, and in which order a day and a month stand where they could be exchanged.
    Date(Option<DateOrder>),
    /// Times, likewise.
    Time(Option<DateOrder>),
}

impl ColumnType {
    /// A reader of such cells. `order`: as the file's owner says.
    #[must_use]
    pub fn reader(&self, order: Option<DateOrder>) -> CellReader {
        match self {
            Self::Date => CellReader::Date(order),
            Self::Time => CellReader::Time(order),
            Self::Category { levels } => {
                let counted = (0_u32..).zip(levels);
                let mut numbers: Vec<(f64, u32)> = counted
                    .clone()
                    .filter_map(|(i, l)| Some((number_of(l)?, i)))
                    .collect();
                numbers.sort_by(|a, b| a.0.total_cmp(&b.0));
                CellReader::Category {
                    texts: counted.map(|(i, l)| (l.clone(), i)).collect(),
                    numbers,
                    other: u32::try_from(levels.len()).unwrap_or(u32::MAX),
                }
            }
        }
    }

    /// What it is, in words.
    #[must_use]
    pub fn told(&self) -> String {
        match self {
            Self::Category { levels } => match levels.len() {
                1 => "1 level and others".to_owned(),
                n => format!("{n} levels and others"),
            },
            Self::Date => "dates".to_owned(),
            Self::Time => "times".to_owned(),
        }
    }
}

/// What a text is as a number; `None` where it is none, or one that others are read as too: long codes are names.
pub(super) fn number_of(text: &str) -> Option<f64> {
    let plain = text
        .bytes()
        .all(|b| b.is_ascii_digit() || b"+-.eE".contains(&b));
    let number = text.parse::<f64>().ok().filter(|_| plain)?;
    // Both zeros are one.
    (number.abs() < 9_007_199_254_740_992.0).then_some(number + 0.0)
}

impl CellReader {
    /// Whether a text is a level, so that it is no marker of missing values.
    #[must_use]
    pub fn is_level(&self, text: &str) -> bool {
        matches!(self, Self::Category { texts, .. } if texts.contains_key(text))
    }

    /// The number of a cell that is there, without blanks around it.
    ///
    /// # Errors
    /// [`DateError`].
    pub fn text(&self, text: &str) -> Result<f64, DateError> {
        match self {
            Self::Category { texts, .. } => match texts.get(text) {
                Some(level) => Ok(f64::from(*level)),
                None => Ok(number_of(text).map_or_else(|| self.other(), |n| self.level_of(n))),
            },
            Self::Date(order) => days_of(text, *order),
            Self::Time(order) => seconds_of(text, *order),
        }
    }

    /// Whether a text that is a time says how far its clock is from UTC; `None` where no time is read.
    #[must_use]
    pub fn has_offset(&self, text: &str) -> Option<bool> {
        match self {
            Self::Time(order) => has_offset(text, *order).ok(),
            Self::Category { .. } | Self::Date(_) => None,
        }
    }

    /// The number of a cell that is stored as a number.
    ///
    /// # Errors
    /// [`DateError::NoDate`].
    pub fn number(&self, number: f64) -> Result<f64, DateError> {
        match self {
            Self::Category { .. } => Ok(self.level_of(number)),
            Self::Date(_) | Self::Time(_) => Err(DateError::NoDate),
        }
    }

    fn level_of(&self, number: f64) -> f64 {
        let Self::Category { numbers, .. } = self else {
            return f64::NAN;
        };
        let number = number + 0.0;
        let found = numbers.binary_search_by(|(level, _)| level.total_cmp(&number));
        let found = found.ok().and_then(|at| numbers.get(at));
        found.map_or_else(|| self.other(), |(_, level)| f64::from(*level))
    }

    fn other(&self) -> f64 {
        match self {
            Self::Category { other, .. } => f64::from(*other),
            _ => f64::NAN,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_numbered_and_others_counted_as_one() {
        let levels = ["f", "m", "2", "NA"].map(str::to_owned).to_vec();
        let reader = ColumnType::Category { levels }.reader(None);
        let of = |text| reader.text(text).unwrap();
        assert_eq!(
            [of("f"), of("m"), of("2"), of("2.0"), of("NA")],
            [0.0, 1.0, 2.0, 2.0, 3.0]
        );
        assert_eq!([of("x"), of("F"), of("3"), of("")], [4.0; 4]);
        assert_eq!([reader.number(2.0), reader.number(7.0)], [Ok(2.0), Ok(4.0)]);
        assert!(reader.is_level("NA") && !reader.is_level("2.0"));
        let levels = ["900000000000207008", "-0"].map(str::to_owned).to_vec();
        let codes = ColumnType::Category { levels }.reader(None);
        let of = |text| codes.text(text).unwrap();
        assert_eq!(
            [
                of("900000000000207008"),
                of("900000000000207009"),
                of("0.0")
            ],
            [0.0, 2.0, 1.0]
        );
    }

    #[test]
    fn dates_are_days_and_have_no_time() {
        let reader = ColumnType::Date.reader(None);
        assert_eq!(reader.text("1970-01-02"), Ok(1.0));
        assert_eq!(reader.text("1969-12-31 00:00:00"), Ok(-1.0));
        assert_eq!(
            reader.text("1970-01-01 00:00:01"),
            Err(DateError::TimeOfDay)
        );
        assert_eq!(reader.number(3.0), Err(DateError::NoDate));
        let times = ColumnType::Time.reader(None);
        assert_eq!(times.text("1970-01-02 00:00:01.5"), Ok(86_401.5));
    }

    #[test]
    fn what_is_written_is_read_back() {
        for text in [
            r#"{"type":"category","levels":["a","b"]}"#,
            r#"{"type":"date"}"#,
            r#"{"type":"time"}"#,
        ] {
            let kind: ColumnType = serde_json::from_str(text).unwrap();
            assert_eq!(serde_json::to_string(&kind).unwrap(), text);
        }
        assert!(serde_json::from_str::<ColumnType>(r#"{"type":"dates"}"#).is_err());
    }
}
