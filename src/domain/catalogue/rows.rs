//! How many rows a dataset has, as far as others are told.

use serde::{Deserialize, Serialize};

/// From how many rows on a number is told.
pub const FEWEST_TOLD: u64 = 100;

/// A count of rows that says little: one digit, and of small datasets nothing but that they are small. With one digit a number changes
/// so seldom that watching it does not count patients as they come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "RowsForm", into = "RowsForm")]
pub enum Rows {
    /// Fewer than [`FEWEST_TOLD`].
    Few,
    /// About so many: one digit and zeros.
    About(u64),
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum RowsForm {
    FewerThan(u64),
    About(u64),
}

impl Rows {
    /// What is told of this count.
    #[must_use]
    pub fn of(count: u64) -> Self {
        match rounded(count) {
            _ if count < FEWEST_TOLD => Self::Few,
            about => Self::About(about),
        }
    }
}

/// To one digit, halves up.
fn rounded(count: u64) -> u64 {
    let unit = 10_u64.pow(count.checked_ilog10().unwrap_or(0));
    let digits = count / unit;
    let up = u64::from(count % unit >= unit.div_ceil(2) && unit > 1);
    (digits + up).saturating_mul(unit)
}

impl TryFrom<RowsForm> for Rows {
    type Error = &'static str;

    fn try_from(form: RowsForm) -> Result<Self, Self::Error> {
        match form {
            RowsForm::FewerThan(FEWEST_TOLD) => Ok(Self::Few),
            RowsForm::About(n) if n >= FEWEST_TOLD && rounded(n) == n => Ok(Self::About(n)),
            RowsForm::FewerThan(_) | RowsForm::About(_) => {
                Err("a count of rows is fewer_than 100, or about one digit and zeros")
            }
        }
    }
}

impl From<Rows> for RowsForm {
    fn from(rows: Rows) -> Self {
        match rows {
            Rows::Few => Self::FewerThan(FEWEST_TOLD),
            Rows::About(n) => Self::About(n),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_told_in_one_digit() {
        for (count, told) in [
            (0, Rows::Few),
            (99, Rows::Few),
            (100, Rows::About(100)),
            (149, Rows::About(100)),
            (150, Rows::About(200)),
            (949, Rows::About(900)),
            (950, Rows::About(1000)),
            (12_345, Rows::About(10_000)),
        ] {
            assert_eq!(Rows::of(count), told, "{count}");
        }
        assert!(matches!(Rows::of(u64::MAX), Rows::About(_)));
    }

    #[test]
    fn only_rounded_counts_are_read() {
        for good in [r#"{"about":300}"#, r#"{"fewer_than":100}"#] {
            let rows: Rows = serde_json::from_str(good).unwrap();
            assert_eq!(serde_json::to_string(&rows).unwrap(), good);
        }
        for bad in [
            r#"{"about":301}"#,
            r#"{"about":90}"#,
            r#"{"fewer_than":50}"#,
            "300",
        ] {
            assert!(serde_json::from_str::<Rows>(bad).is_err(), "{bad}");
        }
    }
}
