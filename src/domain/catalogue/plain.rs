//! Numbers as texts, each with one form, so that what is signed does not depend on how a program prints fractions.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The longest such text. Nobody publishes a range that needs more digits.
const LONGEST: usize = 40;

/// A finite number, kept as the shortest decimal text that gives it back, without an exponent: `0`, `120`, `-0.5`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Plain(String);

/// Why a text or a number is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("is no plain finite number of at most 40 characters")]
pub struct PlainError;

impl Plain {
    /// This number. `None` when it is not finite, or its digits are too many.
    #[must_use]
    pub fn of(number: f64) -> Option<Self> {
        // Minus zero is zero.
        let text = (number + 0.0).to_string();
        (number.is_finite() && text.len() <= LONGEST).then_some(Self(text))
    }

    /// Its value.
    #[must_use]
    pub fn value(&self) -> f64 {
        // It was printed from a number.
        self.0.parse().unwrap_or_default()
    }

    /// As it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Plain {
    type Err = PlainError;

    fn from_str(text: &str) -> Result<Self, PlainError> {
        let number: f64 = text.parse().map_err(|_| PlainError)?;
        let plain = Self::of(number).ok_or(PlainError)?;
        if plain.0 == text {
            Ok(plain)
        } else {
            Err(PlainError)
        }
    }
}

impl TryFrom<String> for Plain {
    type Error = PlainError;

    fn try_from(text: String) -> Result<Self, PlainError> {
        text.parse()
    }
}

impl From<Plain> for String {
    fn from(plain: Plain) -> Self {
        plain.0
    }
}

impl fmt::Display for Plain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_has_one_text() {
        for (number, text) in [
            (0.0, "0"),
            (-0.0, "0"),
            (120.0, "120"),
            (-0.5, "-0.5"),
            (0.1, "0.1"),
        ] {
            let plain = Plain::of(number).unwrap();
            assert_eq!(plain.as_str(), text);
            assert_eq!(text.parse::<Plain>().unwrap(), plain);
        }
        for bad in ["", "1e3", "+1", "-0", "1.0", "01", ".5", "inf", "NaN", " 1"] {
            assert!(bad.parse::<Plain>().is_err(), "{bad:?}");
        }
        for bad in [f64::NAN, f64::INFINITY, 1e300] {
            assert_eq!(Plain::of(bad), None);
        }
    }
}
