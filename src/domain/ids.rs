//! Identifiers as they stand on the wire, each one checked once, at the border.
//!
//! Every type here is safe to log, to compare and to use as a path component. Cheap to clone: texts are shared, ids of one length lie in the value.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// Why a string is not the identifier it was taken for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} {got:?} is not valid: {rule}")]
pub struct IdError {
    what: &'static str,
    got: String,
    rule: &'static str,
}

impl IdError {
    pub(crate) fn new(what: &'static str, got: &str, rule: &'static str) -> Self {
        // The offending text may be hostile and huge: show its beginning only.
        let got = got.chars().take(80).collect();
        Self { what, got, rule }
    }
}

/// What every identifier can do that has `as_str` and is read by `FromStr`.
macro_rules! wire_form {
    ($name:ident) => {
        impl TryFrom<String> for $name {
            type Error = IdError;
            fn try_from(value: String) -> Result<Self, IdError> {
                value.parse()
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.as_str().to_owned()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.as_str())
            }
        }
    };
}

macro_rules! string_id {
    ($(#[$doc:meta])* $name:ident, $what:literal, $rule:literal, $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// The wire form.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(value: &str) -> Result<Self, IdError> {
                let check: fn(&str) -> bool = $check;
                if check(value) { Ok(Self(value.into())) } else { Err(IdError::new($what, value, $rule)) }
            }
        }

        wire_form!($name);
    };
}

/// The same for ids of one length, which lie in the value itself: rounds compare and copy addresses all the time.
macro_rules! hex_id {
    ($(#[$doc:meta])* $name:ident, $what:literal, $rule:literal, $digits:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
        #[serde(try_from = "String", into = "String")]
        pub struct $name([u8; 2 + $digits]);

        impl $name {
            /// The wire form.
            #[must_use]
            pub fn as_str(&self) -> &str {
                // Never the default: only hex digits get in.
                std::str::from_utf8(&self.0).unwrap_or_default()
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(value: &str) -> Result<Self, IdError> {
                match value.as_bytes().try_into() {
                    Ok(bytes) if is_hex_of(value, $digits) => Ok(Self(bytes)),
                    _ => Err(IdError::new($what, value, $rule)),
                }
            }
        }

        wire_form!($name);
    };
}

hex_id!(
    /// A node's address: `0x` and 40 hex digits.
    ///
    /// The case is kept and comparisons are exact, as on the wire; the sign of a pairwise mask compares these very strings.
    Address, "address", "expected 0x followed by 40 hex digits", 40
);

hex_id!(
    /// A task's id on the connector: `0x` and 64 hex digits.
    TaskId, "task id", "expected 0x followed by 64 hex digits", 64
);

string_id!(
    /// A transaction hash returned by the connector. Opaque: coordinator mode draws it at random.
    TxHash, "transaction hash", "expected at most 128 printable characters",
    |s| s.len() <= 128 && s.chars().all(|c| c.is_ascii_graphic())
);

string_id!(
    /// The name of a dataset: one file or folder name inside `data_dir`.
    DatasetName, "dataset name", "expected a plain file name of at most 255 bytes, without '/', '\\', control characters, and not starting with '.'",
    is_plain_file_name
);

string_id!(
    /// The name of a variable, value or contribution inside a task.
    Name, "name", "expected a letter or '_' and then at most 127 letters, digits, '_', '.' or '-'",
    |s| s.len() <= 128
        && s.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && s.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'))
        && !s.contains("..")
);

/// The number of a round on the connector, from 1. Every attempt at a step of a task is a round of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RoundNumber(pub u32);

impl RoundNumber {
    /// The round after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for RoundNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A digest of 256 bits: SHA-256 of a bundle, of a share, of a variable, BLAKE3 of a masked result ([`crate::hash`]).
///
/// Wire form: `0x` and 64 lower-case hex digits, padded on the left (docs/protocol/connector.md, Encodings).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// SHA-256 of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }
}

impl FromStr for Digest {
    type Err = IdError;

    /// Reads hex with or without `0x`, in either case, shorter values padded on the left, as the original does.
    fn from_str(value: &str) -> Result<Self, IdError> {
        let rule = "expected 0x followed by at most 64 hex digits";
        let digits = value.strip_prefix("0x").unwrap_or(value);
        if digits.is_empty() || digits.len() > 64 {
            return Err(IdError::new("digest", value, rule));
        }
        let bytes = decode_hex(&format!("{digits:0>64}"))
            .map_err(|_| IdError::new("digest", value, rule))?;
        let mut out = [0; 32];
        out.copy_from_slice(&bytes);
        Ok(Self(out))
    }
}

impl TryFrom<String> for Digest {
    type Error = IdError;
    fn try_from(value: String) -> Result<Self, IdError> {
        value.parse()
    }
}

impl From<Digest> for String {
    fn from(value: Digest) -> Self {
        value.to_string()
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&encode_hex(&self.0))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

/// `0x` and lower-case hex digits, two a byte.
#[must_use]
pub fn encode_hex(bytes: &[u8]) -> String {
    use fmt::Write as _;
    bytes.iter().fold(String::from("0x"), |mut out, b| {
        // Writing to a String cannot fail.
        let _infallible = write!(out, "{b:02x}");
        out
    })
}

/// Reads hex with or without `0x`, either case. An odd number of digits gets a leading zero; `""` and `"0x"` are empty.
///
/// # Errors
/// [`IdError`] when a character is not a hex digit.
pub fn decode_hex(text: &str) -> Result<Vec<u8>, IdError> {
    let digits = text.strip_prefix("0x").unwrap_or(text).as_bytes();
    let value = |c: u8| {
        char::from(c)
            .to_digit(16)
            .and_then(|d| u8::try_from(d).ok())
            .ok_or_else(|| IdError::new("hex string", text, "expected hex digits only"))
    };
    let (head, rest) = digits.split_at(digits.len() % 2);
    let mut out = Vec::with_capacity(digits.len().div_ceil(2));
    for &c in head {
        out.push(value(c)?);
    }
    for pair in rest.chunks_exact(2) {
        out.push(value(pair[0])? << 4 | value(pair[1])?);
    }
    Ok(out)
}

fn is_hex_of(s: &str, digits: usize) -> bool {
    s.strip_prefix("0x")
        .is_some_and(|d| d.len() == digits && d.bytes().all(|b| b.is_ascii_hexdigit()))
}

fn is_plain_file_name(s: &str) -> bool {
    !s.is_empty()
        && s.len() <= 255
        && !s.starts_with('.')
        && !s.chars().any(|c| matches!(c, '/' | '\\') || c.is_control())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn address_keeps_case_and_is_no_path() {
        let mixed = "0x277adEF31ac745db719e1ac9d5fc7c0c1bb3c07f";
        assert_eq!(mixed.parse::<Address>().unwrap().as_str(), mixed);
        for bad in [
            "",
            "0x",
            "277adef31ac745db719e1ac9d5fc7c0c1bb3c07f",
            "0x../../../../../../../../../../etc/passwd..",
        ] {
            assert!(bad.parse::<Address>().is_err(), "{bad}");
        }
    }

    #[test]
    fn digest_pads_on_the_left_and_prints_64_digits() {
        let d: Digest = "0x12".parse().unwrap();
        assert_eq!(d.0[31], 0x12);
        assert_eq!(d.to_string().len(), 66);
        assert!("".parse::<Digest>().is_err());
        assert!("0xZZ".parse::<Digest>().is_err());
    }

    #[test]
    fn dataset_names_cannot_climb() {
        for bad in ["..", "../x", "a/b", ".hidden", "", "a\0b"] {
            assert!(bad.parse::<DatasetName>().is_err(), "{bad}");
        }
        assert!("wages.csv".parse::<DatasetName>().is_ok());
    }
}
