//! Dates and times as people write them, as days and seconds since 1970-01-01 in the Gregorian calendar.
//!
//! What is certain is read: years have four digits, and where a day and a month could be exchanged the owner says which comes first.

use serde::{Deserialize, Serialize};

/// Which of two numbers is the day, where a date is written with slashes or dashes and its year last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum DateOrder {
    /// 29/11/2026.
    DayFirst,
    /// 11/29/2026.
    MonthFirst,
}

/// Why a text is not read as a date. Shows nothing of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DateError {
    /// No date.
    #[error("is no date; dates are read as 2026-11-29, 20261129, 29.11.2026 or 29 Nov 2026")]
    NoDate,
    /// A day and a month that could be exchanged.
    #[error(
        "does not say which of its numbers is the day; set `dates: day-first` or `dates: month-first`"
    )]
    Order,
    /// A clock of another kind than those of the column's other times.
    #[error(
        "is of UTC or names its distance from it, and another time of the column does not, or the other way round; write all of them alike"
    )]
    Clock,
    /// A time of day where dates are asked for.
    #[error("has a time of day; the task asks for dates alone")]
    TimeOfDay,
}

const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];
const DAY: f64 = 86_400.0;

/// Days since 1970-01-01 of a date; midnight may stand behind it.
///
/// # Errors
/// [`DateError`].
pub fn days_of(text: &str, order: Option<DateOrder>) -> Result<f64, DateError> {
    let Moment { days, seconds, .. } = moment(text, order)?;
    match seconds == 0.0 {
        true => Ok(days),
        false => Err(DateError::TimeOfDay),
    }
}

/// Seconds since 1970-01-01T00:00:00 of a date, with or without a time.
///
/// # Errors
/// [`DateError`].
pub fn seconds_of(text: &str, order: Option<DateOrder>) -> Result<f64, DateError> {
    let Moment { days, seconds, .. } = moment(text, order)?;
    Ok(days.mul_add(DAY, seconds))
}

/// Whether a time says how far its clock is from UTC.
///
/// # Errors
/// [`DateError`].
pub fn has_offset(text: &str, order: Option<DateOrder>) -> Result<bool, DateError> {
    Ok(moment(text, order)?.offset)
}

struct Moment {
    days: f64,
    /// Of the day; beyond it where an offset is given.
    seconds: f64,
    offset: bool,
}

fn moment(text: &str, order: Option<DateOrder>) -> Result<Moment, DateError> {
    let text = text.trim();
    // A T behind a digit, or the last blank before the clock.
    let mut joined = text.match_indices('T').map(|(at, _)| at);
    let digit = |at: &usize| {
        text.get(..*at)
            .is_some_and(|t| t.ends_with(|c: char| c.is_ascii_digit()))
    };
    let blank = || text.find(':').and_then(|at| text.get(..at)?.rfind(' '));
    let (date, time) = match joined.find(digit).or_else(blank) {
        Some(at) if text.get(at + 1..).is_some_and(|rest| rest.contains(':')) => text.split_at(at),
        _ => (text, ""),
    };
    let days = date_of(date.trim(), order)?;
    let (seconds, offset) = match time.get(1..).map(str::trim) {
        None | Some("") => (0.0, false),
        Some(time) => time_of(time).ok_or(DateError::NoDate)?,
    };
    Ok(Moment {
        days,
        seconds,
        offset,
    })
}

fn date_of(text: &str, order: Option<DateOrder>) -> Result<f64, DateError> {
    let none = DateError::NoDate;
    if text.len() == 8 && text.bytes().all(|b| b.is_ascii_digit()) {
        let part = |from, to| text.get(from..to).and_then(|p| p.parse().ok()).ok_or(none);
        return civil(part(0, 4)?, part(4, 6)?, part(6, 8)?).ok_or(none);
    }
    let mark = text.chars().find(|c| !c.is_alphanumeric()).ok_or(none)?;
    let mut parts = text.split(mark).map(|part| part.trim_end_matches(','));
    let (Some(a), Some(b), Some(c), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(none);
    };
    let number = |part: &str, digits: std::ops::RangeInclusive<usize>| -> Result<i64, DateError> {
        let whole = digits.contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
        whole.then(|| part.parse().ok()).flatten().ok_or(none)
    };
    if let Some(month) = month(b) {
        return civil(number(c, 4..=4)?, month, number(a, 1..=2)?).ok_or(none);
    }
    if let Some(month) = month(a) {
        return civil(number(c, 4..=4)?, month, number(b, 1..=2)?).ok_or(none);
    }
    if a.len() == 4 && matches!(mark, '-' | '/' | '.') {
        return civil(number(a, 4..=4)?, number(b, 1..=2)?, number(c, 1..=2)?).ok_or(none);
    }
    let (first, second, year) = (number(a, 1..=2)?, number(b, 1..=2)?, number(c, 4..=4)?);
    let (day, month) = match (mark, order) {
        // Nobody writes the month first before a point.
        ('.', _) | ('/' | '-', Some(DateOrder::DayFirst)) => (first, second),
        ('/' | '-', Some(DateOrder::MonthFirst)) => (second, first),
        ('/' | '-', None) => {
            // A date either way, or none: the file does not say.
            let either = civil(year, first, second).or_else(|| civil(year, second, first));
            return Err(either.map_or(none, |_| DateError::Order));
        }
        _ => return Err(none),
    };
    civil(year, month, day).ok_or(none)
}

fn month(text: &str) -> Option<i64> {
    let word = text.trim_end_matches('.').to_ascii_lowercase();
    let place = MONTHS
        .iter()
        .position(|m| word == m.get(..3).unwrap_or(m) || word == *m)?;
    i64::try_from(place + 1).ok()
}

/// 13:05, 13:05:07, 13:05:07.25, 1:05 PM; with Z or an offset behind it, which is taken off. And whether it has one.
fn time_of(text: &str) -> Option<(f64, bool)> {
    let (text, noon) = match text.to_ascii_lowercase() {
        t if t.ends_with("pm") => (text.get(..text.len() - 2)?.trim(), Some(12.0)),
        t if t.ends_with("am") => (text.get(..text.len() - 2)?.trim(), Some(0.0)),
        _ => (text, None),
    };
    let (clock, offset) = match text.find(['Z', 'z', '+', '-']) {
        Some(at) => {
            let (clock, offset) = text.split_at(at);
            (clock.trim(), Some(offset_of(offset)?))
        }
        None => (text, None),
    };
    let mut parts = clock.split(':');
    let digits =
        |part: &str| (1..=2).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
    let whole = |part: Option<&str>, most: f64| -> Option<f64> {
        let value: f64 = part.filter(|p| digits(p))?.parse().ok()?;
        (value <= most).then_some(value)
    };
    let hour = match noon {
        None => whole(parts.next(), 23.0)?,
        Some(noon) => whole(parts.next(), 12.0).filter(|h| *h >= 1.0)? % 12.0 + noon,
    };
    let minute = whole(parts.next(), 59.0)?;
    let second = match parts.next() {
        None => 0.0,
        Some(part) => {
            let (whole_part, fraction) = part.split_once(['.', ',']).unwrap_or((part, "0"));
            let plain = !fraction.is_empty() && fraction.bytes().all(|b| b.is_ascii_digit());
            let fraction: f64 = format!("0.{fraction}").parse().ok().filter(|_| plain)?;
            whole(Some(whole_part), 59.0)? + fraction
        }
    };
    let end = parts.next().is_none();
    let seconds = hour * 3600.0 + minute * 60.0 + second - offset.unwrap_or(0.0);
    end.then_some((seconds, offset.is_some()))
}

/// Z, +02, +0200 or +02:00, in seconds.
fn offset_of(text: &str) -> Option<f64> {
    if text.eq_ignore_ascii_case("z") {
        return Some(0.0);
    }
    let sign = if text.starts_with('-') { -1.0 } else { 1.0 };
    let digits: String = text.get(1..)?.chars().filter(|c| *c != ':').collect();
    let digits_only = digits.bytes().all(|b| b.is_ascii_digit());
    let (hours, minutes) = match digits.len() {
        2 => (digits.as_str(), "0"),
        4 => digits.split_at(2),
        _ => return None,
    };
    let (hours, minutes): (f64, f64) = (hours.parse().ok()?, minutes.parse().ok()?);
    (digits_only && hours <= 14.0 && minutes < 60.0)
        .then_some(sign * (hours * 3600.0 + minutes * 60.0))
}

/// Days since 1970-01-01 of a day of the Gregorian calendar, from year 1 to 9999; `None` where there is no such day.
///
/// Source: H. Hinnant, "chrono-Compatible Low-Level Date Algorithms", days_from_civil.
#[must_use]
pub fn days_from_civil(year: i64, month: i64, day: i64) -> Option<i32> {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let last = match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if !(1..=9999).contains(&year) || !(1..=last).contains(&day) {
        return None;
    }
    let y = if month <= 2 { year - 1 } else { year };
    let era = y.div_euclid(400);
    let of_era = y.rem_euclid(400);
    let of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    let days = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468;
    i32::try_from(days).ok()
}

fn civil(year: i64, month: i64, day: i64) -> Option<f64> {
    days_from_civil(year, month, day).map(f64::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read_as_people_write_them() {
        for text in [
            "2026-11-29",
            "2026/11/29",
            "20261129",
            "29.11.2026",
            "29 Nov 2026",
            "29-Nov-2026",
            "Nov 29, 2026",
            "29 November 2026",
            "2026-11-29T00:00:00",
            "2026-11-29 00:00:00.000",
            " 2026-11-29 ",
        ] {
            assert_eq!(days_of(text, None), Ok(20_786.0), "{text}");
        }
        assert_eq!(
            days_of("29/11/2026", Some(DateOrder::DayFirst)),
            Ok(20_786.0)
        );
        assert_eq!(
            days_of("11/29/2026", Some(DateOrder::MonthFirst)),
            Ok(20_786.0)
        );
        assert_eq!(days_of("29.2.2024", None), Ok(19_782.0));
        assert_eq!(days_of("0001-01-01", None), Ok(-719_162.0));
    }

    #[test]
    fn what_is_doubtful_is_not_read() {
        for text in ["03/04/2026", "29/11/2026", "3-4-2026"] {
            assert_eq!(days_of(text, None), Err(DateError::Order), "{text}");
        }
        for text in [
            "",
            "2026",
            "2026-13-01",
            "2023-02-29",
            "29.11.26",
            "11/29",
            "yesterday",
            "2026-11-29x",
            "1e5",
            "45000",
            "2026-11-29T",
            "29.11.2026.1",
            "29 marraskuuta 2026",
            "13/13/2026",
            "2026_11_29",
            "0000-01-01",
            "２０２６-11-29",
        ] {
            assert!(days_of(text, None).is_err(), "{text}");
        }
        assert_eq!(
            days_of("29/11/2026", Some(DateOrder::MonthFirst)),
            Err(DateError::NoDate)
        );
        assert_eq!(days_of("2026-11-29 13:00", None), Err(DateError::TimeOfDay));
    }

    #[test]
    fn times_are_seconds_in_utc() {
        for (text, seconds) in [
            ("1970-01-01 00:00:01", 1.0),
            ("1970-01-01T01:00", 3600.0),
            ("1970-01-01T01:00:00Z", 3600.0),
            ("1970-01-01T01:00:00.5+01:00", 0.5),
            ("1970-01-01 1:30 PM", 48_600.0),
            ("1970-01-01 12:00 AM", 0.0),
            ("01.01.1970 00:01", 60.0),
            ("1969-12-31T23:59:59-0100", 3599.0),
            ("1970-01-02", 86_400.0),
        ] {
            assert_eq!(seconds_of(text, None), Ok(seconds), "{text}");
        }
        for text in [
            "1970-01-01 24:00",
            "1970-01-01 1:60",
            "1970-01-01 13:00 PM",
            "1970-01-01 1:00:00:00",
            "1970-01-01 01:00+25:00",
        ] {
            assert!(seconds_of(text, None).is_err(), "{text}");
        }
    }

    #[test]
    fn every_day_follows_the_one_before() {
        let mut last = civil(1899, 12, 31).unwrap();
        for year in 1900..2101 {
            for month in 1..13 {
                for day in 1..32 {
                    if let Some(days) = civil(year, month, day) {
                        assert_eq!(days, last + 1.0);
                        last = days;
                    }
                }
            }
        }
        assert_eq!(last, civil(2100, 12, 31).unwrap());
    }
}
