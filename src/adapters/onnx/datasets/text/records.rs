//! Rows of cells, whatever separates them. Quotes are those of CSV: one at the beginning of a cell holds delimiters and line breaks together,
//! two inside are one.
//!
//! A library would do but for what must not pass here: a file that ends within a quote, lines of remarks with quotes in them, cells without
//! end; and under noise no line may change what its neighbours are.

use std::io::{BufRead as _, BufReader, Read};

use csv::ByteRecord;
use memchr::memchr;

use super::dialect::Found;
use super::pieces::Extent;
use super::source::unreadable;
use crate::failure::Failure;
use delta_domain::dialect::Delimiter;

/// Bytes that are read at a time.
const PIECE: usize = if cfg!(test) { 64 } else { 2 << 20 };
/// A longer line is no line of a table, and a longer row no row.
const LINE_BYTES: usize = 16 << 20;

/// What separates cells and rows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Marks<'m> {
    pub(super) delimiter: Delimiter,
    pub(super) quote: Option<u8>,
    pub(super) comment: Option<&'m str>,
    /// Every line is a row by itself, whatever is wrong with it: a quote ends with its line.
    pub(super) by_line: bool,
}

/// The rows of a file, below what stands before them.
pub(super) struct Records {
    cutter: Cutter<Box<dyn Read + Send>>,
    /// Cells with a line break in them, and the line of the first.
    broken: Option<(u64, u64)>,
}

impl Records {
    /// `before`: lines that have been taken off the file. Skips what `found` says to skip besides.
    pub(super) fn new(
        text: Box<dyn Read + Send>,
        before: u64,
        found: &Found,
        by_line: bool,
    ) -> Result<Self, Failure> {
        let marks = Marks {
            delimiter: found.delimiter,
            quote: found.quote,
            comment: found.comment.as_deref(),
            by_line,
        };
        let mut cutter = Cutter::new(text, before, marks);
        for _ in 0..found.skip {
            cutter.skip_line()?;
        }
        Ok(Self {
            cutter,
            broken: None,
        })
    }

    /// The next row that is not blank and no remark: its cells, and its number in the file, from 1.
    pub(super) fn next(&mut self, record: &mut ByteRecord) -> Result<Option<u64>, Failure> {
        let line = self.cutter.next(record)?;
        if let Some(line) = line.filter(|_| memchr(b'\n', record.as_slice()).is_some()) {
            let breaks = record.iter().filter(|cell| cell.contains(&b'\n')).count();
            if breaks > 0 {
                let (count, _) = self.broken.get_or_insert((0, line));
                *count += u64::try_from(breaks).unwrap_or(u64::MAX);
            }
        }
        Ok(line)
    }

    /// Text behind the rows read so far, as much as is at hand; nothing at the end of the file.
    pub(super) fn ahead(&mut self) -> Result<&[u8], Failure> {
        self.cutter.reader.fill_buf().map_err(|e| unreadable(&e))
    }

    /// Goes on behind rows that have been read from there.
    pub(super) fn pass(&mut self, read: Extent) {
        self.cutter.reader.consume(read.bytes);
        self.cutter.line += read.lines;
    }

    /// Lines read so far, blank ones too.
    pub(super) fn lines(&self) -> u64 {
        self.cutter.lines()
    }

    /// What is remarkable about the rows so far.
    pub(super) fn note(&self) -> Option<String> {
        let (count, line) = self.broken?;
        Some(format!(
            "{count} {} line breaks, the first in line {line}: is a quote there that is not closed? If quotes mean nothing, set `quote: none`",
            if count == 1 { "cell has" } else { "cells have" }
        ))
    }
}

/// A text that is cut into cells.
pub(super) struct Cutter<R: Read> {
    reader: BufReader<R>,
    delimiter: Delimiter,
    quote: Option<u8>,
    comment: Option<Vec<u8>>,
    by_line: bool,
    /// The line last read, from 1.
    line: u64,
    /// A row, as it stands in the file, without its end.
    row: Vec<u8>,
    /// A cell without its quotes.
    cell: Vec<u8>,
}

impl<R: Read> Cutter<R> {
    pub(super) fn new(text: R, before: u64, marks: Marks<'_>) -> Self {
        Self {
            reader: BufReader::with_capacity(PIECE, text),
            delimiter: marks.delimiter,
            quote: marks.quote,
            comment: marks.comment.map(|c| c.as_bytes().to_vec()),
            by_line: marks.by_line,
            line: before,
            row: Vec::new(),
            cell: Vec::new(),
        }
    }

    /// The next row that is not blank and no remark, and its line, from 1.
    pub(super) fn next(&mut self, record: &mut ByteRecord) -> Result<Option<u64>, Failure> {
        loop {
            self.row.clear();
            if !self.read_line()? {
                return Ok(None);
            }
            let line = self.line;
            let remark = self.comment.as_ref();
            if remark.is_some_and(|c| self.row.trim_ascii_start().starts_with(c)) || self.is_blank()
            {
                continue;
            }
            record.clear();
            match self.delimiter {
                Delimiter::Byte(delimiter) => self.separated(delimiter, line, record)?,
                Delimiter::Blanks => self.blanks(record),
            }
            if !self.by_line && self.row.contains(&b'\r') {
                return Err(Failure::corrupt(format!(
                    "the row at line {line} has a carriage return in it; save the file with the line ends of Unix or Windows"
                )));
            }
            return Ok(Some(line));
        }
    }

    /// Lines read so far, blank ones too.
    pub(super) fn lines(&self) -> u64 {
        self.line
    }

    /// Passes over a line, whatever is in it.
    fn skip_line(&mut self) -> Result<(), Failure> {
        self.row.clear();
        self.read_line().map(|_| ())
    }

    /// Appends the next line to the row, without its end; false at the end of the file.
    fn read_line(&mut self) -> Result<bool, Failure> {
        let begun = self.row.len();
        let room = LINE_BYTES.saturating_sub(begun);
        let limit = u64::try_from(room).unwrap_or(u64::MAX);
        let mut bounded = (&mut self.reader).take(limit);
        let read = bounded
            .read_until(b'\n', &mut self.row)
            .map_err(|e| unreadable(&e))?;
        if read == 0 && room > 0 {
            return Ok(false);
        }
        self.line += 1;
        if self.row.ends_with(b"\n") {
            self.row.pop();
            if self.row.ends_with(b"\r") {
                self.row.pop();
            }
        } else if read >= room {
            if !self.by_line {
                return Err(Failure::corrupt(format!(
                    "the row at line {} is longer than {LINE_BYTES} bytes; is a quote there that is not closed?",
                    self.line
                )));
            }
            self.row.truncate(begun);
            self.pass_line()?;
        }
        Ok(true)
    }

    /// Reads on to the end of a line that is too long to be kept.
    fn pass_line(&mut self) -> Result<(), Failure> {
        loop {
            let bytes = self.reader.fill_buf().map_err(|e| unreadable(&e))?;
            let end = memchr(b'\n', bytes);
            let (length, done) = match end {
                Some(at) => (at + 1, true),
                None => (bytes.len(), bytes.is_empty()),
            };
            self.reader.consume(length);
            if done {
                return Ok(());
            }
        }
    }

    /// Nothing but blanks that separate nothing.
    fn is_blank(&self) -> bool {
        let tabs = self.delimiter == Delimiter::Byte(b'\t');
        let blank = |b: &u8| *b == b' ' || *b == b'\r' || (*b == b'\t' && !tabs);
        self.row.iter().all(blank)
    }

    fn separated(
        &mut self,
        delimiter: u8,
        first: u64,
        record: &mut ByteRecord,
    ) -> Result<(), Failure> {
        let mut at = 0;
        loop {
            let rest = self.row.get(at..).unwrap_or_default();
            let quoted = self.quote.is_some_and(|q| rest.first() == Some(&q));
            if quoted {
                at = self.quoted(at + 1, delimiter, first)?;
                record.push_field(&self.cell);
            } else {
                let end = memchr(delimiter, rest);
                let end = end.unwrap_or(rest.len());
                record.push_field(rest.get(..end).unwrap_or_default());
                at += end;
            }
            // At a delimiter there is another cell, if only an empty one.
            if at >= self.row.len() {
                return Ok(());
            }
            at += 1;
        }
    }

    /// Takes a cell from behind its quote on, with more lines where it has them; where the delimiter behind it stands.
    fn quoted(&mut self, begin: usize, delimiter: u8, first: u64) -> Result<usize, Failure> {
        let quote = self.quote.unwrap_or(b'"');
        self.cell.clear();
        let (mut at, mut inside) = (begin, true);
        loop {
            match self.row.get(at).copied() {
                Some(byte) if inside && byte == quote => {
                    if self.row.get(at + 1) == Some(&quote) {
                        self.cell.push(quote);
                        at += 1;
                    } else {
                        inside = false;
                    }
                }
                Some(byte) if !inside && byte == delimiter => return Ok(at),
                Some(byte) => self.cell.push(byte),
                None if inside && !self.by_line => {
                    self.row.push(b'\n');
                    self.cell.push(b'\n');
                    let more = self.read_line()?;
                    if !more {
                        return Err(Failure::corrupt(format!(
                            "a quote that opens in line {first} is not closed; close it, or set `quote: none` if quotes mean nothing"
                        )));
                    }
                }
                None => return Ok(at),
            }
            at += 1;
        }
    }

    fn blanks(&mut self, record: &mut ByteRecord) {
        let mut at = 0;
        while let Some(begin) = self.row.get(at..).and_then(|rest| {
            let next = rest.iter().position(|b| !b.is_ascii_whitespace())?;
            Some(at + next)
        }) {
            at = self.cell_among_blanks(begin, record);
        }
    }

    /// Takes the cell that begins at `begin`, up to the blank behind it, or to a quote that a blank follows; where it ends.
    fn cell_among_blanks(&mut self, begin: usize, record: &mut ByteRecord) -> usize {
        let rest = self.row.get(begin..).unwrap_or_default();
        if let Some(quote) = self.quote.filter(|q| rest.first() == Some(q)) {
            self.cell.clear();
            let mut at = 1;
            while let Some(byte) = rest.get(at).copied() {
                let next = rest.get(at + 1);
                if byte == quote && next == Some(&quote) {
                    at += 1;
                } else if byte == quote && next.is_none_or(u8::is_ascii_whitespace) {
                    record.push_field(&self.cell);
                    return begin + at + 1;
                }
                self.cell.push(byte);
                at += 1;
            }
        }
        let end = rest.iter().position(u8::is_ascii_whitespace);
        let end = end.unwrap_or(rest.len());
        record.push_field(rest.get(..end).unwrap_or_default());
        begin + end
    }
}
