//! Days of the calendar, in UTC, as people write them: `YYYY-MM-DD`.

use crate::time::Timestamp;

const DAY_MS: u64 = 24 * 3600 * 1000;

/// The first moment after a day. `None` when the text is no day of the calendar from 1970 on.
#[must_use]
pub fn end_of(day: &str) -> Option<Timestamp> {
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = *day.as_bytes() else {
        return None;
    };
    let number = |digits: &[u8]| {
        digits.iter().try_fold(0_u64, |n, d| {
            d.is_ascii_digit().then(|| n * 10 + u64::from(d - b'0'))
        })
    };
    let (year, month, date) = (
        number(&[y1, y2, y3, y4])?,
        number(&[m1, m2])?,
        number(&[d1, d2])?,
    );
    let days = months(year);
    let before = usize::try_from(month).ok()?.checked_sub(1)?;
    if year < 1970 || date == 0 || date > *days.get(before)? {
        return None;
    }
    let of_months: u64 = days.iter().take(before).sum();
    Some(Timestamp((of_years(year) + of_months + date) * DAY_MS))
}

/// The day of a moment, for people.
#[must_use]
pub fn day_of(time: Timestamp) -> String {
    let mut left = time.0 / DAY_MS;
    let mut year = 1970 + left / 366;
    while of_years(year + 1) <= left {
        year += 1;
    }
    left -= of_years(year);
    let mut month = 1;
    for days in months(year) {
        if left < days {
            break;
        }
        left -= days;
        month += 1;
    }
    format!("{year:04}-{month:02}-{:02}", left + 1)
}

/// A moment to the minute, for people: `YYYY-MM-DD HH:MM UTC`.
#[must_use]
pub fn minute_of(time: Timestamp) -> String {
    let minutes = time.0 % DAY_MS / 60_000;
    format!(
        "{} {:02}:{:02} UTC",
        day_of(time),
        minutes / 60,
        minutes % 60
    )
}

/// Days from 1970 to the beginning of a year.
fn of_years(year: u64) -> u64 {
    let leaps = |year: u64| year / 4 - year / 100 + year / 400;
    (year - 1970) * 365 + leaps(year - 1) - leaps(1969)
}

fn months(year: u64) -> [u64; 12] {
    let leap = (year.is_multiple_of(4) && !year.is_multiple_of(100)) || year.is_multiple_of(400);
    let february = if leap { 29 } else { 28 };
    [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_read_as_they_are_written() {
        for day in 0..200_000 {
            let text = day_of(Timestamp(day * DAY_MS + 1));
            assert_eq!(end_of(&text), Some(Timestamp((day + 1) * DAY_MS)), "{text}");
        }
    }

    #[test]
    fn days_are_counted_right() {
        for (day, ms) in [
            ("1970-01-01", DAY_MS),
            ("1970-12-31", 365 * DAY_MS),
            ("2000-02-29", 951_868_800_000),
            ("2024-02-29", 1_709_251_200_000),
            ("2026-11-28", 1_795_910_400_000),
            ("2027-12-31", 1_830_297_600_000),
        ] {
            assert_eq!(end_of(day), Some(Timestamp(ms)), "{day}");
        }
        for bad in [
            "2023-02-29",
            "2023-13-01",
            "2023-00-10",
            "2023-04-31",
            "2023-4-3",
            "23-04-03",
            "2023-04-00",
            "1969-12-31",
            "2023/04/03",
            "",
            "2023-04-03x",
        ] {
            assert_eq!(end_of(bad), None, "{bad}");
        }
    }
}
