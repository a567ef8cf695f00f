//! The beginning of a file, cut into rows in every way that might be meant: which of them fits.

use std::collections::BTreeSet;

use csv::ByteRecord;

use super::dialect::Kind;
use super::records::{Cutter, Marks};
use crate::failure::Failure;
use delta_domain::dialect::Delimiter;

/// Rows of the sample that are looked at.
const LINES: usize = 2000;
const COMMA: Delimiter = Delimiter::Byte(b',');

/// How the sample is cut into rows to find out more about it.
#[derive(Clone, Copy)]
pub(super) struct Rows<'s> {
    pub(super) quote: Option<u8>,
    pub(super) comment: Option<&'s str>,
    /// Whether the sample is all of the file: otherwise its last row may be cut off.
    pub(super) whole: bool,
    pub(super) by_line: bool,
}

/// A row of the sample.
pub(super) struct Row {
    /// Its line, from 1.
    pub(super) line: u64,
    pub(super) cells: Vec<String>,
}

impl Rows<'_> {
    /// The rows of a text, as the file itself will be read.
    pub(super) fn cut(&self, text: &str, delimiter: Delimiter) -> Vec<Row> {
        let mut rows = Vec::new();
        let mut record = ByteRecord::new();
        let marks = Marks {
            delimiter,
            quote: self.quote,
            comment: self.comment,
            by_line: self.by_line,
        };
        let mut cutter = Cutter::new(text.as_bytes(), 0, marks);
        let mut cut_off = !self.whole;
        while rows.len() <= LINES {
            match cutter.next(&mut record) {
                Ok(Some(line)) => {
                    let cell = |c: &[u8]| String::from_utf8_lossy(c).trim().to_owned();
                    rows.push(Row {
                        line,
                        cells: record.iter().map(cell).collect(),
                    });
                }
                Ok(None) => break,
                // A quote that the rest of the file may close has taken the last row.
                Err(_) => {
                    cut_off = false;
                    break;
                }
            }
        }
        if (cut_off || rows.len() > LINES) && rows.len() > 1 {
            rows.pop();
        }
        rows
    }

    /// What cuts a header into most likely names: what the file's name says, else the only other one that cuts it.
    pub(super) fn of_header(&self, header: &str, kind: Kind) -> Delimiter {
        let cuts = |d: &Delimiter| {
            self.cut(header, *d)
                .first()
                .is_some_and(|r| r.cells.len() > 1)
        };
        let usual = kind.usual();
        if cuts(&usual) {
            return usual;
        }
        let others = [b',', b';', b'\t', b'|'].map(Delimiter::Byte);
        let mut cutting = others.into_iter().filter(cuts);
        match (cutting.next(), cutting.next()) {
            (Some(only), None) => only,
            (None, _) if kind == Kind::Plain => Delimiter::Blanks,
            _ => usual,
        }
    }

    pub(super) fn delimiter(
        &self,
        text: &str,
        kind: Kind,
        header: bool,
    ) -> Result<Delimiter, Failure> {
        let usual = kind.usual();
        let mut marks: Vec<Delimiter> = [b',', b';', b'\t', b'|'].map(Delimiter::Byte).into();
        if kind == Kind::Plain {
            marks.push(Delimiter::Blanks);
        }
        let cut: Vec<(Delimiter, Vec<Row>)> =
            marks.into_iter().map(|d| (d, self.cut(text, d))).collect();
        let rows_by = |wanted: Delimiter| {
            let rows = cut.iter().find(|(d, _)| *d == wanted);
            rows.map_or(&[][..], |(_, rows)| rows.as_slice())
        };
        let mut fitting: Vec<Delimiter> = cut
            .iter()
            .filter(|(_, rows)| fits(rows))
            .map(|(d, _)| *d)
            .collect();
        // Blanks within cells are nothing remarkable; commas that are all in numbers are decimal ones.
        if fitting.len() > 1 && fitting.contains(&Delimiter::Blanks) {
            let by_blanks = rows_by(Delimiter::Blanks);
            if fitting != [COMMA, Delimiter::Blanks] || commas_end_words(by_blanks) {
                fitting.retain(|d| *d != Delimiter::Blanks);
            } else if header && commas_are_decimal(by_blanks, header) {
                fitting.retain(|d| *d == Delimiter::Blanks);
            } else {
                return Err(doubtful(&fitting));
            }
        }
        let shows = |d: Delimiter| rows_by(d).iter().any(|row| row.cells.len() > 1);
        let headed = |d: Delimiter| rows_by(d).first().is_some_and(|row| row.cells.len() > 1);
        let several = match fitting.as_slice() {
            // What the name says, and what some line has: rows of another width are told with their line.
            [] if shows(usual) => return Ok(usual),
            [] => {
                let others = [b',', b';', b'\t', b'|'].map(Delimiter::Byte);
                let mut shown = others.into_iter().filter(|d| shows(*d));
                return Ok(match (shown.next(), shown.next()) {
                    (Some(only), None) => only,
                    _ if kind == Kind::Plain => Delimiter::Blanks,
                    _ => usual,
                });
            }
            [Delimiter::Blanks] => return Ok(Delimiter::Blanks),
            [only] if *only == usual || !headed(usual) || rows_by(*only).len() > 1 => {
                return Ok(*only);
            }
            [other] => vec![usual, *other],
            several => several.to_vec(),
        };
        // Without a header nothing says that both are not meant.
        let mut others = several.iter().filter(|d| **d != COMMA);
        match (others.next(), others.next()) {
            (Some(only), None) if header && commas_are_decimal(rows_by(*only), header) => Ok(*only),
            _ => Err(doubtful(&several)),
        }
    }
}

/// Whether all rows have as many cells, and more than one.
fn fits(rows: &[Row]) -> bool {
    let width = rows.first().map_or(0, |row| row.cells.len());
    width > 1 && rows.iter().all(|row| row.cells.len() == width)
}

/// Whether all commas stand behind something, with a blank behind them, as between words.
fn commas_end_words(rows: &[Row]) -> bool {
    let mut cells = rows.iter().flat_map(|row| &row.cells);
    cells.all(|c| !c.trim_end_matches(',').contains(','))
}

/// Whether every cell with a comma is a number with one, and there are some.
fn commas_are_decimal(rows: &[Row], header: bool) -> bool {
    let mut found = false;
    let names = rows
        .iter()
        .take(usize::from(header))
        .flat_map(|row| &row.cells);
    if names.into_iter().any(|c| c.contains(',')) {
        return false;
    }
    rows.iter().flat_map(|row| &row.cells).all(|c| {
        found |= c.contains(',');
        !c.contains(',') || is_comma_number(c)
    }) && found
}

/// Places of columns in which some cell shows that a comma stands before the fraction.
pub(super) fn decimal_commas(rows: &[Row]) -> BTreeSet<usize> {
    let mut shown = BTreeSet::new();
    for (place, cell) in rows.iter().flat_map(|row| row.cells.iter().enumerate()) {
        let Some((whole, fraction)) = cell.split_once(',') else {
            continue;
        };
        let whole = whole.trim_start_matches(['+', '-']);
        let grouped =
            fraction.len() == 3 && (1..=3).contains(&whole.len()) && !whole.starts_with('0');
        if is_comma_number(cell) && !grouped {
            shown.insert(place);
        }
    }
    shown
}

fn doubtful(several: &[Delimiter]) -> Failure {
    let all: Vec<String> = several.iter().map(ToString::to_string).collect();
    Failure::corrupt(format!(
        "its cells may be separated by {}; set `delimiter`",
        all.join(" or by ")
    ))
}

pub(super) fn is_number(cell: &str) -> bool {
    is_comma_number(cell) || cell.parse::<f64>().is_ok_and(f64::is_finite)
}

/// Digits, one comma and digits.
fn is_comma_number(cell: &str) -> bool {
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let cell = cell.trim().trim_start_matches(['+', '-']);
    let cell = cell
        .split_once(['e', 'E'])
        .map_or(cell, |(number, exponent)| {
            match digits(exponent.trim_start_matches(['+', '-'])) {
                true => number,
                false => cell,
            }
        });
    let parts = cell.split_once(',');
    parts.is_some_and(|(whole, fraction)| digits(whole) && digits(fraction) && !fraction.is_empty())
}
