//! Columns as Arrow holds them, cell by cell: what Parquet and Arrow files have in common.

use std::borrow::Cow;

use arrow_array::cast::AsArray as _;
use arrow_array::types::{
    ArrowPrimitiveType, Date32Type, Date64Type, Decimal32Type, Decimal64Type, Decimal128Type,
    Decimal256Type, Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
    TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, RecordBatch};
use arrow_schema::{DataType, Schema, TimeUnit};

use crate::datasets::typed::{Cell, Each, damaged, day, whole};
use crate::failure::Failure;

/// Columns of a file at most.
pub(super) const COLUMNS: usize = 100_000;

/// Characters of a type that messages show.
const SHOWN: usize = 60;

/// How a cell of a column is read.
type Read<'a> = Box<dyn Fn(usize) -> Cell<'a> + 'a>;

/// The names of a file's columns.
///
/// # Errors
/// Too many.
pub(super) fn names(schema: &Schema) -> Result<Vec<String>, Failure> {
    let fields = schema.fields();
    if fields.len() > COLUMNS {
        return Err(Failure::exhausted(format!(
            "it has {} columns, more than the {COLUMNS} that are read",
            fields.len()
        )));
    }
    Ok(fields.iter().map(|f| f.name().clone()).collect())
}

/// What is in a column of a type that has no numbers.
pub(super) fn no_numbers(of: &DataType) -> Option<String> {
    use DataType as T;
    let what = match of {
        T::Null | T::Boolean => return None,
        of if of.is_numeric() => return None,
        T::Dictionary(_, values) => return no_numbers(values),
        T::Utf8 | T::LargeUtf8 | T::Utf8View => "texts",
        T::Date32 | T::Date64 => "dates",
        T::Timestamp(..) => "dates with times",
        T::Time32(_) | T::Time64(_) => "times of day",
        T::Duration(_) | T::Interval(_) => "spans of time",
        T::Binary | T::LargeBinary | T::BinaryView | T::FixedSizeBinary(_) => "bytes",
        _ => "cells with more in them than a number",
    };
    let mut name: String = of.to_string().chars().take(SHOWN + 1).collect();
    if name.chars().count() > SHOWN {
        name.truncate(name.char_indices().nth(SHOWN).map_or(0, |(at, _)| at));
        name.push_str("...");
    }
    Some(format!("{what} ({name})"))
}

/// Shows the cells of some rows. `order`: for each column of the batch, which of the asked ones it is.
pub(super) fn show(
    batch: &RecordBatch,
    order: &[usize],
    before: u64,
    each: &mut dyn Each,
) -> Result<(), Failure> {
    if batch.num_columns() != order.len() {
        return Err(damaged("it has other columns than it says"));
    }
    for (array, which) in batch.columns().iter().zip(order) {
        if let Some(numbers) = numbers(array.as_ref()) {
            each.numbers(*which, before.saturating_add(1), &numbers)?;
            continue;
        }
        let read = reader(array.as_ref());
        for (index, row) in (0..array.len()).zip(before.saturating_add(1)..) {
            each.cell(*which, row, read(index))?;
        }
    }
    Ok(())
}

/// All of an array's numbers at once, NaN where one is missing, where every number of its type is a double.
fn numbers(array: &dyn Array) -> Option<Cow<'_, [f64]>> {
    use DataType as T;
    if let (T::Float64, 0) = (array.data_type(), array.null_count()) {
        return Some(Cow::Borrowed(array.as_primitive::<Float64Type>().values()));
    }
    let mut numbers: Vec<f64> = match array.data_type() {
        T::Float64 => array.as_primitive::<Float64Type>().values().to_vec(),
        T::Float32 => doubles::<Float32Type>(array),
        T::Int8 => doubles::<Int8Type>(array),
        T::Int16 => doubles::<Int16Type>(array),
        T::Int32 => doubles::<Int32Type>(array),
        T::UInt8 => doubles::<UInt8Type>(array),
        T::UInt16 => doubles::<UInt16Type>(array),
        T::UInt32 => doubles::<UInt32Type>(array),
        T::Int64 => exact(array.as_primitive::<Int64Type>().values())?,
        _ => return None,
    };
    if let Some(nulls) = array.nulls() {
        for (number, present) in numbers.iter_mut().zip(nulls) {
            if !present {
                *number = f64::NAN;
            }
        }
    }
    Some(Cow::Owned(numbers))
}

fn doubles<T: ArrowPrimitiveType>(array: &dyn Array) -> Vec<f64>
where
    f64: From<T::Native>,
{
    let values = array.as_primitive::<T>().values();
    values.iter().map(|x| f64::from(*x)).collect()
}

/// Whole numbers, if all are within 2^53.
#[expect(clippy::cast_precision_loss, reason = "exact within these bounds")]
fn exact(values: &[i64]) -> Option<Vec<f64>> {
    let fits = values.iter().all(|x| x.unsigned_abs() <= 1 << 53);
    fits.then(|| values.iter().map(|x| *x as f64).collect())
}

/// How a cell of an array is read: the one function that knows what is stored in columns.
fn reader<'a>(array: &'a dyn Array) -> Read<'a> {
    use DataType as T;
    let read: Read<'a> = match array.data_type() {
        T::Null => return Box::new(|_| Cell::Missing),
        T::Boolean => {
            let values = array.as_boolean();
            Box::new(|at| Cell::Truth(values.value(at)))
        }
        T::Int8 => wholes::<Int8Type>(array),
        T::Int16 => wholes::<Int16Type>(array),
        T::Int32 => wholes::<Int32Type>(array),
        T::Int64 => wholes::<Int64Type>(array),
        T::UInt8 => wholes::<UInt8Type>(array),
        T::UInt16 => wholes::<UInt16Type>(array),
        T::UInt32 => wholes::<UInt32Type>(array),
        T::UInt64 => wholes::<UInt64Type>(array),
        T::Float16 => primitive::<Float16Type>(array, |x| Cell::Number(f64::from(x))),
        T::Float32 => primitive::<Float32Type>(array, |x| Cell::Number(f64::from(x))),
        T::Float64 => primitive::<Float64Type>(array, Cell::Number),
        T::Decimal32(_, s) => decimals::<Decimal32Type>(array, *s),
        T::Decimal64(_, s) => decimals::<Decimal64Type>(array, *s),
        T::Decimal128(_, s) => decimals::<Decimal128Type>(array, *s),
        T::Decimal256(_, s) => {
            let scale = *s;
            primitive::<Decimal256Type>(array, move |x| match x.to_i128() {
                Some(x) => decimal(x, scale),
                None => nearest(&x, scale),
            })
        }
        T::Date32 => primitive::<Date32Type>(array, |days| date(i64::from(days), 86_400, 1)),
        T::Date64 => primitive::<Date64Type>(array, |ms| date(ms, 1, 1000)),
        T::Timestamp(TimeUnit::Second, _) => {
            primitive::<TimestampSecondType>(array, |t| date(t, 1, 1))
        }
        T::Timestamp(TimeUnit::Millisecond, _) => {
            primitive::<TimestampMillisecondType>(array, |t| date(t, 1, 1000))
        }
        T::Timestamp(TimeUnit::Microsecond, _) => {
            primitive::<TimestampMicrosecondType>(array, |t| date(t, 1, 1_000_000))
        }
        T::Timestamp(TimeUnit::Nanosecond, _) => {
            primitive::<TimestampNanosecondType>(array, |t| date(t, 1, 1_000_000_000))
        }
        T::Utf8 => text(array.as_string::<i32>(), |a, at| a.value(at)),
        T::LargeUtf8 => text(array.as_string::<i64>(), |a, at| a.value(at)),
        T::Utf8View => text(array.as_string_view(), |a, at| a.value(at)),
        T::Dictionary(..) => {
            let coded = array.as_any_dictionary();
            if coded.values().is_empty() {
                return Box::new(|_| Cell::Missing);
            }
            let (keys, of) = (coded.normalized_keys(), reader(coded.values().as_ref()));
            Box::new(move |at| keys.get(at).map_or(Cell::Missing, |key| of(*key)))
        }
        other => {
            let what = no_numbers(other).unwrap_or_else(|| other.to_string());
            return Box::new(move |_| Cell::Other(Cow::Owned(what.clone())));
        }
    };
    match array.null_count() {
        0 => read,
        _ => Box::new(move |at| match array.is_null(at) {
            true => Cell::Missing,
            false => read(at),
        }),
    }
}

fn primitive<'a, T: ArrowPrimitiveType>(
    array: &'a dyn Array,
    cell: impl Fn(T::Native) -> Cell<'a> + 'a,
) -> Read<'a> {
    let values = array.as_primitive::<T>();
    Box::new(move |at| cell(values.value(at)))
}

fn wholes<'a, T: ArrowPrimitiveType>(array: &'a dyn Array) -> Read<'a>
where
    i128: From<T::Native>,
{
    primitive::<T>(array, |x| whole(i128::from(x)))
}

fn decimals<'a, T: ArrowPrimitiveType>(array: &'a dyn Array, scale: i8) -> Read<'a>
where
    i128: From<T::Native>,
{
    primitive::<T>(array, move |x| decimal(i128::from(x), scale))
}

fn text<'a, A>(array: &'a A, value: impl Fn(&'a A, usize) -> &'a str + 'a) -> Read<'a> {
    Box::new(move |at| Cell::Text(Cow::Borrowed(value(array, at))))
}

/// A decimal number: the nearest double, as of a fraction in a text; one that is whole by its type must be exact.
#[expect(
    clippy::cast_precision_loss,
    reason = "both are exact within these bounds"
)]
fn decimal(digits: i128, scale: i8) -> Cell<'static> {
    const EXACT: i128 = 1 << 53;
    match u32::try_from(scale) {
        Ok(0) => whole(digits),
        // Two exact numbers, and one rounding.
        Ok(places @ 1..=22) if (-EXACT..=EXACT).contains(&digits) => {
            Cell::Number(digits as f64 / 10_u128.pow(places) as f64)
        }
        Ok(_) => nearest(&digits, scale),
        Err(_) => {
            let more = 10_i128.checked_pow(u32::from(scale.unsigned_abs()));
            match more.and_then(|more| digits.checked_mul(more)) {
                Some(value) => whole(value),
                None => nearest(&digits, scale),
            }
        }
    }
}

fn nearest(digits: &dyn std::fmt::Display, scale: i8) -> Cell<'static> {
    let number = format!("{digits}e{}", -i16::from(scale)).parse();
    number.map_or(Cell::Missing, Cell::Number)
}

/// A moment: `count` times `seconds` seconds, of which `parts` make one.
fn date(count: i64, seconds: i64, parts: i64) -> Cell<'static> {
    let (whole, part) = (count.div_euclid(parts), count.rem_euclid(parts));
    let told = whole.checked_mul(seconds).and_then(|seconds| {
        let (days, of_day) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
        let mut told = day(days)?;
        if of_day != 0 || part != 0 {
            let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
            told.push_str(&format!(" {hour:02}:{minute:02}:{second:02}"));
        }
        if part != 0 {
            let digits = usize::try_from(parts.ilog10()).unwrap_or(0);
            let fraction = format!("{part:0digits$}");
            told.push_str(&format!(".{}", fraction.trim_end_matches('0')));
        }
        Some(told)
    });
    match told {
        Some(told) => Cell::Date(Cow::Owned(told)),
        None => Cell::Other(Cow::Borrowed("a date before the year 1 or after 9999")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_the_nearest_doubles() {
        for (digits, scale, text) in [
            (1_i128, 1, "0.1"),
            (-12_345, 2, "-123.45"),
            (9_007_199_254_740_991, 22, "9007199254740991e-22"),
            (12_345_678_901_234_567_890, 10, "1234567890.1234567890"),
            (7, 38, "7e-38"),
            (5, -3, "5000"),
        ] {
            let wanted: f64 = text.parse().unwrap();
            assert_eq!(decimal(digits, scale), Cell::Number(wanted), "{text}");
        }
        for scale in 1..=22 {
            let wanted: f64 = format!("123456789e-{scale}").parse().unwrap();
            assert_eq!(decimal(123_456_789, scale), Cell::Number(wanted));
        }
        let much = decimal((1 << 53) + 1, 0);
        assert_eq!(much, Cell::Long(9_007_199_254_740_993));
    }

    #[test]
    fn moments_are_told_as_days_and_times() {
        let told = |count, seconds, parts| match date(count, seconds, parts) {
            Cell::Date(told) => told.into_owned(),
            other => format!("{other:?}"),
        };
        assert_eq!(told(0, 86_400, 1), "1970-01-01");
        assert_eq!(told(-1, 86_400, 1), "1969-12-31");
        assert_eq!(told(11_016, 86_400, 1), "2000-02-29");
        assert_eq!(told(951_827_696_050, 1, 1000), "2000-02-29 12:34:56.05");
        assert_eq!(told(-1, 1, 1_000_000_000), "1969-12-31 23:59:59.999999999");
        assert!(told(i64::MAX, 86_400, 1).contains("9999"));
        assert!(told(i64::MIN, 1, 1).contains("9999"));
    }

    #[test]
    fn types_without_numbers_are_named() {
        use std::sync::Arc;
        let coded = |values| DataType::Dictionary(Box::new(DataType::Int8), Box::new(values));
        assert_eq!(no_numbers(&coded(DataType::Int64)), None);
        assert_eq!(no_numbers(&DataType::Decimal128(38, 2)), None);
        let texts = no_numbers(&coded(DataType::Utf8)).unwrap();
        assert_eq!(texts, "texts (Utf8)");
        let field = arrow_schema::Field::new("ä".repeat(100), DataType::Int8, true);
        let long = no_numbers(&DataType::List(Arc::new(field))).unwrap();
        assert!(
            long.ends_with("...)") && long.chars().count() < 120,
            "{long}"
        );
    }
}
