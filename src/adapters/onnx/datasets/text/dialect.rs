//! What is found out about the dialect of a file from its beginning, and what of it is certain.
//!
//! Rules, in this order; whatever the owner has said is taken as it is:
//! - a first line `sep=X` says what separates cells (Excel);
//! - what separates cells is what cuts the header and every other line of the sample into the same number of cells, more than one. The ending
//!   of the name is asked first (commas, tabs); another character is taken where it alone fits. Two that fit are an error;
//! - lines in front that begin with `#` are skipped, but for one that is as wide as the row of numbers below it; other lines in front, which
//!   are narrower than all others, are an error;
//! - a comma stands before the fraction in a column where commas do not separate cells and some cell of the column below the header shows
//!   it: digits behind it that are not three, or a whole part that no group of digits begins with. `1,234` alone shows nothing, and beside
//!   such a column neither does `1.234`.
//!
//! Under noise a dataset's records decide nothing: there only the header, the ending and the owner's word count.

use std::collections::BTreeSet;

use super::sample::{Row, Rows, decimal_commas, is_number};
use super::source::Coded;
use crate::datasets::table::Opening;
use crate::failure::Failure;
use delta_domain::dialect::Delimiter;

/// Rows that must agree before others in front of them are taken for a preamble.
const AGREEING: usize = 3;
const COMMA: Delimiter = Delimiter::Byte(b',');
const TAB: Delimiter = Delimiter::Byte(b'\t');

/// What the ending of a file's name says of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// `.csv`
    Commas,
    /// `.tsv`
    Tabs,
    /// `.txt`
    Plain,
}

impl Kind {
    pub(super) fn usual(self) -> Delimiter {
        match self {
            Self::Commas => COMMA,
            Self::Tabs | Self::Plain => TAB,
        }
    }
}

/// How a file is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) delimiter: Delimiter,
    pub(super) quote: Option<u8>,
    /// What stands before the fraction, where it is the same in all columns.
    decimal: Option<u8>,
    /// Places of columns with decimal commas.
    commas: BTreeSet<usize>,
    pub(super) thousands: Option<char>,
    pub(super) comment: Option<String>,
    pub(super) missing: Vec<String>,
    /// Lines in front of the header, below those that the owner has named.
    pub(super) skip: u64,
    before: u64,
    coded: Coded,
    kind: Kind,
}

/// The beginning of a file, below what the owner has said to skip.
pub(super) struct Sample<'s> {
    pub(super) text: &'s str,
    /// Whether it is all of the file.
    pub(super) whole: bool,
    /// Lines that have been skipped.
    pub(super) before: u64,
    pub(super) kind: Kind,
    pub(super) coded: Coded,
}

impl Sample<'_> {
    /// What is certain about the dialect, beside what the owner says.
    pub(super) fn found(&self, opening: Opening<'_>) -> Result<Found, Failure> {
        let said = opening.said;
        let rows = Rows {
            quote: said.quote.unwrap_or(Some(b'"')),
            comment: said.comment.as_deref(),
            whole: self.whole,
            by_line: opening.noised,
        };
        let mut skip = 0;
        let mut separator = said.delimiter;
        if said.skip.is_none()
            && let Some(named) = self.text.lines().next().and_then(separator_line)
        {
            skip = 1;
            separator = separator.or(Some(Delimiter::Byte(named)));
        }
        let below = from_line(self.text, skip);
        let of_all = match (said.decimal, said.thousands) {
            (Some(decimal), _) => Some(decimal),
            (None, Some('.')) => Some(b','),
            (None, Some(',')) => Some(b'.'),
            (None, _) => None,
        };
        let mut found = Found {
            delimiter: separator.unwrap_or_else(|| self.kind.usual()),
            quote: rows.quote,
            decimal: of_all,
            commas: BTreeSet::new(),
            thousands: said.thousands,
            comment: said.comment.clone(),
            missing: said.missing.clone(),
            skip: u64::try_from(skip).unwrap_or(u64::MAX),
            before: self.before,
            coded: self.coded,
            kind: self.kind,
        };
        if opening.noised {
            let first = if opening.header {
                below.lines().next()
            } else {
                None
            };
            if let (None, Some(header)) = (separator, first) {
                found.delimiter = rows.of_header(header, self.kind);
            }
            return Ok(found);
        }
        let remarks = match (said.skip, rows.comment) {
            (None, None) => below.lines().take_while(|l| l.starts_with('#')).count(),
            _ => 0,
        };
        let rest = from_line(below, remarks);
        if separator.is_none() {
            found.delimiter = rows.delimiter(rest, self.kind, opening.header)?;
        }
        let cut = rows.cut(rest, found.delimiter);
        let named = opening.header && self.is_header(below, remarks, rows, &cut, found.delimiter);
        if opening.header && !named {
            self.no_doubtful_remark(below, remarks, skip, rows, &cut, found.delimiter)?;
        }
        let skipped = skip + remarks - usize::from(named);
        found.skip = u64::try_from(skipped).unwrap_or(u64::MAX);
        if said.skip.is_none() && !named {
            no_preamble(&cut, skipped)?;
        }
        if found.decimal.is_none() && found.delimiter != COMMA {
            let data = cut.get(usize::from(!named && opening.header)..);
            found.commas = decimal_commas(data.unwrap_or_default());
        }
        Ok(found)
    }

    /// Whether the last line that begins with `#` names the columns: as wide as the row of numbers below it.
    fn is_header(
        &self,
        below: &str,
        remarks: usize,
        rows: Rows<'_>,
        cut: &[Row],
        delimiter: Delimiter,
    ) -> bool {
        let Some(line) = remarks.checked_sub(1).and_then(|at| below.lines().nth(at)) else {
            return false;
        };
        let rows = Rows {
            whole: true,
            ..rows
        };
        let header = rows.cut(line, delimiter);
        let (Some(header), Some(first)) = (header.first(), cut.first()) else {
            return false;
        };
        first.cells.len() > 1
            && header.cells.len() == first.cells.len()
            && first.cells.iter().any(|c| is_number(c))
            && !header.cells.iter().skip(1).any(|c| is_number(c))
    }
}

impl Sample<'_> {
    /// A line that begins with `#` and is as wide as what follows may be a remark, or the header of rows that begin with texts.
    fn no_doubtful_remark(
        &self,
        below: &str,
        remarks: usize,
        skip: usize,
        rows: Rows<'_>,
        cut: &[Row],
        delimiter: Delimiter,
    ) -> Result<(), Failure> {
        let Some(line) = remarks.checked_sub(1).and_then(|at| below.lines().nth(at)) else {
            return Ok(());
        };
        let rows = Rows {
            whole: true,
            ..rows
        };
        let width = |row: &Row| row.cells.len();
        let remark = rows.cut(line, delimiter).first().map(width);
        if cut
            .first()
            .map(width)
            .is_none_or(|first| first < 2 || remark != Some(first))
        {
            return Ok(());
        }
        let (of, behind) = (skip + remarks - 1, skip + remarks);
        Err(Failure::corrupt(format!(
            "line {} begins with # and may be the header or a remark; set `skip: {of}` if it is the header, `skip: {behind}` if it is none",
            behind
        )))
    }
}

/// What a first line of Excel names.
fn separator_line(line: &str) -> Option<u8> {
    let named = line.trim_matches('"').strip_prefix("sep=")?;
    match named.as_bytes() {
        [byte @ (b',' | b';' | b'\t' | b'|')] => Some(*byte),
        _ => None,
    }
}

/// The text from a line on, counted from 0.
fn from_line(text: &str, line: usize) -> &str {
    let begin = match line {
        0 => Some(0),
        _ => text.match_indices('\n').nth(line - 1).map(|(at, _)| at + 1),
    };
    begin.and_then(|at| text.get(at..)).unwrap_or_default()
}

/// Lines in front of the header that are narrower than all rows are no header.
fn no_preamble(rows: &[Row], skip: usize) -> Result<(), Failure> {
    let width = |row: &Row| row.cells.len();
    let (Some(first), Some(last)) = (rows.first().map(width), rows.last().map(width)) else {
        return Ok(());
    };
    let agreeing = rows
        .iter()
        .rev()
        .take_while(|row| width(row) == last)
        .count();
    let Some(header) = rows.get(rows.len() - agreeing) else {
        return Ok(());
    };
    if agreeing == rows.len() || last <= first || last < 2 || agreeing < AGREEING {
        return Ok(());
    }
    let line = header
        .line
        .saturating_add(u64::try_from(skip).unwrap_or(u64::MAX));
    Err(Failure::corrupt(format!(
        "line {} has {first} {}, those from line {line} on have {last}; if the header is there, set `skip: {}`",
        skip + 1,
        if first == 1 { "cell" } else { "cells" },
        line.saturating_sub(1),
    )))
}

impl Found {
    /// What stands before the fraction in a column; `None` where other columns have decimal commas and this one shows nothing: there a
    /// point may group digits.
    pub(super) fn decimal(&self, place: usize) -> Option<u8> {
        match self.decimal {
            None if self.commas.is_empty() => Some(b'.'),
            None => self.commas.contains(&place).then_some(b','),
            said => said,
        }
    }

    /// What an owner should know of how the file is read; nothing where it is as its name says.
    pub(super) fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if self.delimiter != self.kind.usual() && self.kind != Kind::Plain {
            notes.push(format!("separated by {}", self.delimiter));
        }
        if self.decimal == Some(b',') || !self.commas.is_empty() {
            notes.push("decimal commas".to_owned());
        }
        match self.coded {
            Coded::Said(encoding) | Coded::Marked(encoding) if encoding != encoding_rs::UTF_8 => {
                notes.push(encoding.name().to_owned());
            }
            _ => {}
        }
        match self.before.saturating_add(self.skip) {
            0 => {}
            skip => notes.push(format!("the header is line {}", skip.saturating_add(1))),
        }
        notes
    }

    /// A row of another width than the header.
    pub(super) fn ragged(&self, line: u64, cells: usize, width: usize) -> Failure {
        Failure::corrupt(format!(
            "line {line} has {cells} {}, the first line has {width}; cells are taken to be separated by {}",
            if cells == 1 { "cell" } else { "cells" },
            self.delimiter
        ))
    }

    /// Bytes that are no text.
    pub(super) fn not_utf8(&self, place: &str) -> Failure {
        Failure::corrupt(match self.coded {
            Coded::Said(_) | Coded::Marked(_) => format!("{place}: it is no text in its encoding"),
            Coded::Assumed => {
                format!("{place} is no UTF-8; set `encoding`, for example windows-1252")
            }
        })
    }
}
