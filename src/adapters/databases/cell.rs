//! Cells of an answer, and columns of them.

use arrow_array::builder::{
    BooleanBuilder, Date32Builder, Float32Builder, Float64Builder, Int64Builder, StringBuilder,
    TimestampMicrosecondBuilder, UInt64Builder,
};
use arrow_array::{ArrayRef, builder::ArrayBuilder};
use arrow_schema::{DataType, Field, TimeUnit};

/// What all cells of a column are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Whole,
    Unsigned,
    Single,
    Double,
    Truth,
    Text,
    Day,
    /// A day with a time; whether it is one of the world's, in UTC, or of some clock.
    Moment {
        utc: bool,
    },
}

impl Kind {
    /// In the words of `data describe`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Whole | Self::Unsigned => "integer",
            Self::Single | Self::Double => "float",
            Self::Truth => "boolean",
            Self::Text => "string",
            Self::Day => "date",
            Self::Moment { .. } => "time",
        }
    }

    fn data_type(self) -> DataType {
        match self {
            Self::Whole => DataType::Int64,
            Self::Unsigned => DataType::UInt64,
            Self::Single => DataType::Float32,
            Self::Double => DataType::Float64,
            Self::Truth => DataType::Boolean,
            Self::Text => DataType::Utf8,
            Self::Day => DataType::Date32,
            Self::Moment { utc } => {
                DataType::Timestamp(TimeUnit::Microsecond, utc.then(|| "UTC".into()))
            }
        }
    }
}

/// A column of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) name: String,
    pub(crate) kind: Kind,
}

impl Head {
    pub(crate) fn field(&self) -> Field {
        Field::new(&self.name, self.kind.data_type(), true)
    }
}

/// What is in a cell.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Cell<'c> {
    Missing,
    Whole(i64),
    Unsigned(u64),
    Single(f32),
    Double(f64),
    Truth(bool),
    Text(&'c str),
    /// Days since 1970-01-01.
    Day(i32),
    /// Microseconds since 1970-01-01.
    Moment(i64),
}

/// A decimal number as a cell: the nearest double, and exactly itself where it is whole.
pub(crate) fn decimal(text: &str) -> Result<Cell<'_>, String> {
    let number: f64 = text.parse().map_err(|_| format!("{text} is no number"))?;
    if number.is_infinite() && text.bytes().any(|b| b.is_ascii_digit()) {
        return Err("it is larger than any double; cast it to a text in the query".to_owned());
    }
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let is_whole = fraction.bytes().all(|b| b == b'0') && !whole.contains(['e', 'E']);
    if is_whole && number.is_finite() && number.abs() >= 9_007_199_254_740_992.0 {
        let exact = whole.parse::<i128>().is_ok_and(|n| is_same(n, number));
        if !exact {
            return Err(format!(
                "{whole} is a whole number that a double does not hold; cast it to a text in the query"
            ));
        }
    }
    Ok(Cell::Double(number))
}

/// Whether a double is this very number.
#[expect(
    clippy::cast_possible_truncation,
    reason = "a finite double in the range of i128 is whole here; outside it saturates, and differs"
)]
fn is_same(n: i128, number: f64) -> bool {
    number as i128 == n
}

/// Cells of one column, until there are enough of them.
pub(crate) enum Column {
    Whole(Int64Builder),
    Unsigned(UInt64Builder),
    Single(Float32Builder),
    Double(Float64Builder),
    Truth(BooleanBuilder),
    Text(StringBuilder),
    Day(Date32Builder),
    Moment(TimestampMicrosecondBuilder, bool),
}

impl Column {
    pub(crate) fn of(kind: Kind) -> Self {
        match kind {
            Kind::Whole => Self::Whole(Int64Builder::new()),
            Kind::Unsigned => Self::Unsigned(UInt64Builder::new()),
            Kind::Single => Self::Single(Float32Builder::new()),
            Kind::Double => Self::Double(Float64Builder::new()),
            Kind::Truth => Self::Truth(BooleanBuilder::new()),
            Kind::Text => Self::Text(StringBuilder::new()),
            Kind::Day => Self::Day(Date32Builder::new()),
            Kind::Moment { utc } => Self::Moment(TimestampMicrosecondBuilder::new(), utc),
        }
    }

    /// Adds a cell. One that is nothing of the column's kind is refused with what it is.
    pub(crate) fn push(&mut self, cell: Cell<'_>) -> Result<(), String> {
        match (self, cell) {
            (Self::Whole(all), Cell::Missing) => all.append_null(),
            (Self::Unsigned(all), Cell::Missing) => all.append_null(),
            (Self::Single(all), Cell::Missing) => all.append_null(),
            (Self::Double(all), Cell::Missing) => all.append_null(),
            (Self::Truth(all), Cell::Missing) => all.append_null(),
            (Self::Text(all), Cell::Missing) => all.append_null(),
            (Self::Day(all), Cell::Missing) => all.append_null(),
            (Self::Moment(all, _), Cell::Missing) => all.append_null(),
            (Self::Whole(all), Cell::Whole(value)) => all.append_value(value),
            (Self::Unsigned(all), Cell::Unsigned(value)) => all.append_value(value),
            (Self::Single(all), Cell::Single(value)) => all.append_value(value),
            (Self::Double(all), Cell::Double(value)) => all.append_value(value),
            (Self::Truth(all), Cell::Truth(value)) => all.append_value(value),
            (Self::Text(all), Cell::Text(value)) => all.append_value(value),
            (Self::Day(all), Cell::Day(value)) => all.append_value(value),
            (Self::Moment(all, _), Cell::Moment(value)) => all.append_value(value),
            (_, cell) => return Err(format!("{cell:?} is not what its column is of")),
        }
        Ok(())
    }

    /// The cells so far.
    pub(crate) fn finish(&mut self) -> ArrayRef {
        match self {
            Self::Whole(all) => ArrayBuilder::finish(all),
            Self::Unsigned(all) => ArrayBuilder::finish(all),
            Self::Single(all) => ArrayBuilder::finish(all),
            Self::Double(all) => ArrayBuilder::finish(all),
            Self::Truth(all) => ArrayBuilder::finish(all),
            Self::Text(all) => ArrayBuilder::finish(all),
            Self::Day(all) => ArrayBuilder::finish(all),
            Self::Moment(all, utc) => {
                let cells = all.finish();
                let zone = utc.then_some("UTC");
                std::sync::Arc::new(cells.with_timezone_opt(zone))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_the_nearest_double_or_refused() {
        for (text, number) in [
            ("12.50", 12.5),
            ("-0.1", -0.1),
            ("9007199254740992", 9_007_199_254_740_992.0),
            ("9007199254740994.000", 9_007_199_254_740_994.0),
            ("9007199254740993.5", 9_007_199_254_740_994.0),
            ("Infinity", f64::INFINITY),
        ] {
            assert_eq!(decimal(text), Ok(Cell::Double(number)), "{text}");
        }
        for text in ["9007199254740993", "-9007199254740993.00", "1e", "", "$5"] {
            assert!(decimal(text).is_err(), "{text}");
        }
        let huge = format!("1{}", "0".repeat(60));
        assert!(decimal(&huge).unwrap_err().contains("does not hold"));
        let larger = format!("-1{}.5", "0".repeat(400));
        assert!(decimal(&larger).unwrap_err().contains("larger than any"));
    }
}
