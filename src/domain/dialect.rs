//! How an owner says that a file of data is written. What is not said is found in the file, where that is certain.
//!
//! Values only: who reads files and finds out the rest is the executor's adapter.

use serde::{Deserialize, Serialize};

use crate::calendar::DateOrder;

/// What an owner may say about the file of a dataset, as it stands in a configuration. Everything may be left out.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct DialectForm {
    /// What separates two cells: one character, `tab`, or `blanks` for any run of blanks and tabs.
    pub delimiter: Option<String>,
    /// What stands before the fraction of a number: `.` or `,`.
    pub decimal: Option<String>,
    /// What groups the digits of a number: `,`, `.`, `'`, `_` or `space`.
    pub thousands: Option<String>,
    /// What encloses a cell: one character, or `none`.
    pub quote: Option<String>,
    /// In which encoding the text is, by its name: `utf-8`, `utf-16le`, `windows-1252`.
    pub encoding: Option<String>,
    /// Lines before the header, or before the first row where there is none.
    pub skip: Option<u32>,
    /// What a line begins with that is no row.
    pub comment: Option<String>,
    /// Cells that stand for a missing value, beside those that pandas knows.
    pub missing: Option<Vec<String>>,
    /// The sheet of a workbook, by its name.
    pub sheet: Option<String>,
    /// The table of a database file, by its name.
    pub table: Option<String>,
    /// Which of two numbers is the day, where dates are written with slashes or dashes: `day-first` or `month-first`.
    pub dates: Option<String>,
    /// Where the file or folder lies, when not under its name in `data_dir`.
    pub path: Option<String>,
}

/// What an owner says about the file of a dataset.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Dialect {
    /// What separates two cells.
    pub delimiter: Option<Delimiter>,
    /// What stands before the fraction of a number, `.` or `,`.
    pub decimal: Option<u8>,
    /// What groups the digits of a number.
    pub thousands: Option<char>,
    /// What encloses a cell; `Some(None)`: nothing does.
    pub quote: Option<Option<u8>>,
    /// The name of an encoding, one of [`ENCODINGS`].
    pub encoding: Option<String>,
    /// Lines before the header, or before the first row where there is none.
    pub skip: Option<u32>,
    /// What a line begins with that is no row.
    pub comment: Option<String>,
    /// Cells that stand for a missing value, beside those that pandas knows.
    pub missing: Vec<String>,
    /// The sheet of a workbook, by its name.
    pub sheet: Option<String>,
    /// The table of a database file, by its name.
    pub table: Option<String>,
    /// Which of two numbers is the day, where dates are written with slashes or dashes.
    pub dates: Option<DateOrder>,
    /// Where the file or folder lies; absolute.
    pub path: Option<String>,
}

impl Dialect {
    /// The keys of all that is said of how the file is written; where it lies is not of them.
    #[must_use]
    pub fn said(&self) -> Vec<&'static str> {
        let all = [
            ("delimiter", self.delimiter.is_some()),
            ("decimal", self.decimal.is_some()),
            ("thousands", self.thousands.is_some()),
            ("quote", self.quote.is_some()),
            ("encoding", self.encoding.is_some()),
            ("skip", self.skip.is_some()),
            ("comment", self.comment.is_some()),
            ("missing", !self.missing.is_empty()),
            ("sheet", self.sheet.is_some()),
            ("table", self.table.is_some()),
            ("dates", self.dates.is_some()),
        ];
        let said = all.into_iter().filter(|(_, said)| *said);
        said.map(|(key, _)| key).collect()
    }
}

/// What separates two cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Delimiter {
    /// This ASCII character.
    Byte(u8),
    /// Any run of blanks and tabs.
    Blanks,
}

impl std::fmt::Display for Delimiter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Byte(b'\t') => f.write_str("tabs"),
            Self::Byte(byte) => write!(f, "{:?}", char::from(*byte).to_string()),
            Self::Blanks => f.write_str("blanks"),
        }
    }
}

/// Encodings that can be named.
pub const ENCODINGS: &[&str] = &[
    "utf-8",
    "utf-16le",
    "utf-16be",
    "latin1",
    "iso-8859-1",
    "iso-8859-2",
    "iso-8859-3",
    "iso-8859-4",
    "iso-8859-5",
    "iso-8859-6",
    "iso-8859-7",
    "iso-8859-8",
    "iso-8859-9",
    "iso-8859-10",
    "iso-8859-13",
    "iso-8859-14",
    "iso-8859-15",
    "iso-8859-16",
    "windows-1250",
    "windows-1251",
    "windows-1252",
    "windows-1253",
    "windows-1254",
    "windows-1255",
    "windows-1256",
    "windows-1257",
    "windows-1258",
    "macintosh",
    "koi8-r",
    "koi8-u",
    "gbk",
    "gb18030",
    "big5",
    "shift_jis",
    "euc-jp",
    "euc-kr",
];

/// Longest text that a setting may have, in bytes.
const LONGEST: usize = 64;
/// Longest name of a sheet or a table, in bytes.
const NAME: usize = 256;
/// Most missing markers.
const MARKERS: usize = 1000;

/// A setting that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{field}` {fault}")]
pub struct DialectError {
    /// The key.
    pub field: &'static str,
    /// What is wrong, after the key's name.
    pub fault: String,
}

impl DialectForm {
    /// Everything that is said, or everything that is wrong.
    ///
    /// # Errors
    /// All faults at once.
    pub fn check(self) -> Result<Dialect, Vec<DialectError>> {
        let mut faults = Faults::default();
        let dialect = Dialect {
            delimiter: self.delimiter.as_deref().and_then(|t| faults.delimiter(t)),
            decimal: self.decimal.as_deref().and_then(|t| faults.decimal(t)),
            thousands: self.thousands.as_deref().and_then(|t| faults.thousands(t)),
            quote: self.quote.as_deref().and_then(|t| faults.quote(t)),
            encoding: self.encoding.as_deref().and_then(|t| faults.encoding(t)),
            skip: self.skip,
            comment: self.comment.and_then(|t| faults.comment(t)),
            missing: faults.missing(self.missing.unwrap_or_default()),
            sheet: self.sheet.and_then(|t| faults.name("sheet", t)),
            table: self.table.and_then(|t| faults.name("table", t)),
            dates: self.dates.and_then(|t| faults.dates(&t)),
            path: self.path.and_then(|t| faults.path(t)),
        };
        faults.need(
            dialect.decimal.is_none() || dialect.thousands != dialect.decimal.map(char::from),
            "thousands",
            "is what stands before the fraction, too",
        );
        let shared = match dialect.delimiter {
            Some(Delimiter::Byte(byte)) => dialect.quote == Some(Some(byte)),
            _ => false,
        };
        faults.need(!shared, "quote", "is what separates cells, too");
        match faults.0.is_empty() {
            true => Ok(dialect),
            false => Err(faults.0),
        }
    }
}

#[derive(Default)]
struct Faults(Vec<DialectError>);

impl Faults {
    fn add(&mut self, field: &'static str, fault: impl Into<String>) {
        let fault = fault.into();
        self.0.push(DialectError { field, fault });
    }

    fn need(&mut self, ok: bool, field: &'static str, fault: &str) {
        if !ok {
            self.add(field, fault);
        }
    }

    fn delimiter(&mut self, text: &str) -> Option<Delimiter> {
        match text {
            "tab" | "\t" | "\\t" => Some(Delimiter::Byte(b'\t')),
            "blanks" => Some(Delimiter::Blanks),
            _ => match one(text) {
                Some(byte) if !byte.is_ascii_alphanumeric() && byte != b'"' => {
                    Some(Delimiter::Byte(byte))
                }
                _ => {
                    self.add(
                        "delimiter",
                        format!(
                            "must be one character such as \";\", tab or blanks, not {}",
                            shown(text)
                        ),
                    );
                    None
                }
            },
        }
    }

    fn dates(&mut self, text: &str) -> Option<DateOrder> {
        match text {
            "day-first" => Some(DateOrder::DayFirst),
            "month-first" => Some(DateOrder::MonthFirst),
            _ => {
                let fault = format!("must be day-first or month-first, not {}", shown(text));
                self.add("dates", fault);
                None
            }
        }
    }

    fn decimal(&mut self, text: &str) -> Option<u8> {
        match text {
            "." => Some(b'.'),
            "," => Some(b','),
            _ => {
                self.add(
                    "decimal",
                    format!("must be \".\" or \",\", not {}", shown(text)),
                );
                None
            }
        }
    }

    fn thousands(&mut self, text: &str) -> Option<char> {
        match text {
            "," => Some(','),
            "." => Some('.'),
            "'" => Some('\''),
            "_" => Some('_'),
            "space" | " " => Some(' '),
            _ => {
                self.add(
                    "thousands",
                    format!(
                        "must be one of \",\", \".\", \"'\", \"_\" and space, not {}",
                        shown(text)
                    ),
                );
                None
            }
        }
    }

    fn quote(&mut self, text: &str) -> Option<Option<u8>> {
        match (text, one(text)) {
            ("none", _) => Some(None),
            (_, Some(byte)) if !byte.is_ascii_alphanumeric() => Some(Some(byte)),
            _ => {
                self.add(
                    "quote",
                    format!("must be one character or none, not {}", shown(text)),
                );
                None
            }
        }
    }

    fn encoding(&mut self, text: &str) -> Option<String> {
        let name = text.to_ascii_lowercase();
        // As Python writes them.
        let name = match name.as_str() {
            "utf8" => "utf-8".to_owned(),
            "cp1252" | "ansi" => "windows-1252".to_owned(),
            "latin-1" | "latin_1" => "latin1".to_owned(),
            _ => name
                .strip_prefix("cp125")
                .map_or(name.clone(), |n| format!("windows-125{n}")),
        };
        if ENCODINGS.contains(&name.as_str()) {
            return Some(name);
        }
        self.add(
            "encoding",
            format!(
                "must be one of {}, not {}",
                ENCODINGS.join(", "),
                shown(text)
            ),
        );
        None
    }

    fn comment(&mut self, text: String) -> Option<String> {
        if text.is_empty() || text.len() > LONGEST || text.chars().any(char::is_control) {
            self.add("comment", "must be what a line begins with, such as \"#\"");
            return None;
        }
        Some(text)
    }

    fn missing(&mut self, texts: Vec<String>) -> Vec<String> {
        if texts.len() > MARKERS || texts.iter().any(|t| t.len() > LONGEST) {
            self.add(
                "missing",
                format!("must be at most {MARKERS} texts of at most {LONGEST} bytes"),
            );
            return Vec::new();
        }
        texts.into_iter().map(|t| t.trim().to_owned()).collect()
    }

    fn name(&mut self, field: &'static str, text: String) -> Option<String> {
        if text.is_empty() || text.len() > NAME || text.contains('\0') {
            self.add(field, format!("must be a name of at most {NAME} bytes"));
            return None;
        }
        Some(text)
    }

    fn path(&mut self, text: String) -> Option<String> {
        if !text.starts_with('/') || text.contains('\0') {
            self.add(
                "path",
                format!("must be a path that begins with /, not {}", shown(&text)),
            );
            return None;
        }
        Some(text)
    }
}

/// The one ASCII character that a text is.
fn one(text: &str) -> Option<u8> {
    match text.as_bytes() {
        [byte] if byte.is_ascii() && !byte.is_ascii_control() => Some(*byte),
        _ => None,
    }
}

fn shown(text: &str) -> String {
    format!("{:?}", text.chars().take(40).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form() -> DialectForm {
        DialectForm::default()
    }

    fn faults(form: DialectForm) -> Vec<&'static str> {
        form.check()
            .err()
            .unwrap_or_default()
            .into_iter()
            .map(|f| f.field)
            .collect()
    }

    #[test]
    fn what_is_said_is_read() {
        let said = DialectForm {
            delimiter: Some(";".into()),
            decimal: Some(",".into()),
            thousands: Some(".".into()),
            quote: Some("none".into()),
            encoding: Some("CP1252".into()),
            skip: Some(2),
            comment: Some("#".into()),
            missing: Some(vec![" -99 ".into()]),
            sheet: Some("May 2026".into()),
            dates: Some("day-first".into()),
            table: Some("visits".into()),
            path: Some("/mnt/store/x.csv".into()),
        };
        let dialect = said.check().unwrap();
        assert_eq!(dialect.delimiter, Some(Delimiter::Byte(b';')));
        assert_eq!(
            (dialect.decimal, dialect.thousands),
            (Some(b','), Some('.'))
        );
        assert_eq!((dialect.quote, dialect.skip), (Some(None), Some(2)));
        assert_eq!(dialect.encoding.as_deref(), Some("windows-1252"));
        assert_eq!(dialect.missing, ["-99"]);
        assert_eq!(dialect.sheet.as_deref(), Some("May 2026"));
        let all =
            "delimiter decimal thousands quote encoding skip comment missing sheet table dates";
        assert_eq!(dialect.said().join(" "), all);
        assert!(Dialect::default().said().is_empty());
        assert_eq!(form().check().unwrap(), Dialect::default());
        for (text, delimiter) in [
            ("tab", Delimiter::Byte(b'\t')),
            ("\t", Delimiter::Byte(b'\t')),
            ("|", Delimiter::Byte(b'|')),
            ("blanks", Delimiter::Blanks),
        ] {
            let form = DialectForm {
                delimiter: Some(text.into()),
                ..form()
            };
            assert_eq!(form.check().unwrap().delimiter, Some(delimiter));
        }
    }

    #[test]
    fn all_that_is_wrong_is_told() {
        let wrong = DialectForm {
            delimiter: Some("ab".into()),
            decimal: Some(";".into()),
            thousands: Some("x".into()),
            quote: Some("a".into()),
            encoding: Some("ebcdic".into()),
            comment: Some(String::new()),
            missing: Some(vec!["x".repeat(65)]),
            sheet: Some(String::new()),
            table: Some("x".repeat(257)),
            dates: Some("first".into()),
            path: Some("here".into()),
            skip: None,
        };
        assert_eq!(
            faults(wrong),
            [
                "delimiter",
                "decimal",
                "thousands",
                "quote",
                "encoding",
                "comment",
                "missing",
                "sheet",
                "table",
                "dates",
                "path"
            ]
        );
        let both = DialectForm {
            decimal: Some(",".into()),
            thousands: Some(",".into()),
            ..form()
        };
        assert_eq!(faults(both), ["thousands"]);
        let same = DialectForm {
            delimiter: Some("'".into()),
            quote: Some("'".into()),
            ..form()
        };
        assert_eq!(faults(same), ["quote"]);
        for text in ["", "5", "ä", "\"", "\n"] {
            let form = DialectForm {
                delimiter: Some(text.into()),
                ..form()
            };
            assert_eq!(faults(form), ["delimiter"], "{text:?}");
        }
    }
}
