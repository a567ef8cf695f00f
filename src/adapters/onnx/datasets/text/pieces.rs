//! Many rows at once: whole lines of a piece of text, as long as nothing about them needs care.
//!
//! Only the wanted cells are looked at, and pieces of one buffer are read side by side. A row that is not plain stops its piece: a quote with
//! quotes or line breaks inside, another width, a cell that is no number. It is read by `records.rs` then, the one place that knows
//! every rule and every error; here nothing is decided that is not the same there.

use std::sync::OnceLock;

use delta_domain::manifest::CellReader;
use memchr::{memchr, memchr_iter, memrchr};

use super::cells::{Cells, Column};
use super::dialect::Found;
use delta_domain::dialect::Delimiter;

/// A piece is no smaller where pieces are read side by side.
const PIECE: usize = if cfg!(test) { 8 } else { 256 << 10 };

static THREADS: OnceLock<usize> = OnceLock::new();

/// How many pieces this process reads side by side; one where nothing is said. Only the first word counts.
pub(crate) fn read_with(threads: usize) {
    let _first = THREADS.set(threads.max(1));
}

/// How many pieces are read side by side.
pub(super) fn threads() -> usize {
    THREADS.get().copied().unwrap_or(1)
}

/// What is read of each row.
pub(super) struct Wanted<'w> {
    found: &'w Found,
    cells: &'w Cells,
    noised: bool,
    delimiter: u8,
    /// Cells of a row.
    width: usize,
    /// By their places: those that are found from the beginning of a row, and those from its end.
    front: Vec<One<'w>>,
    back: Vec<One<'w>>,
}

/// A wanted column.
#[derive(Clone, Copy)]
struct One<'w> {
    /// Where it stands in a row.
    place: usize,
    /// Which of the wanted it is.
    which: usize,
    decimal: Option<u8>,
    reader: Option<&'w CellReader>,
}

/// The wanted columns of some rows.
#[derive(Debug, Default, Clone, PartialEq)]
pub(super) struct Columns {
    pub(super) values: Vec<Vec<f64>>,
    pub(super) kinds: Vec<Column>,
    pub(super) rows: usize,
}

/// How far a piece was read.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Extent {
    pub(super) bytes: usize,
    pub(super) lines: u64,
    /// Whether all of it was.
    pub(super) whole: bool,
}

impl Columns {
    /// Of `width` columns, no rows yet.
    pub(super) fn new(width: usize) -> Self {
        Self {
            values: vec![Vec::new(); width],
            kinds: vec![Column::default(); width],
            rows: 0,
        }
    }

    /// Adds a row.
    pub(super) fn push(&mut self, row: &[f64]) {
        for (column, value) in self.values.iter_mut().zip(row) {
            column.push(*value);
        }
        self.rows += 1;
    }

    /// Takes the rows of the next piece, unless a column of it is of another kind.
    fn take(&mut self, next: &mut Self, noised: bool) -> bool {
        let both = |(own, next): (&Column, &Column)| own.and(*next);
        let kinds = self.kinds.iter().zip(&next.kinds).map(both);
        let kinds: Option<Vec<Column>> = kinds.collect();
        match kinds {
            Some(kinds) => self.kinds = kinds,
            None if noised => {}
            None => return false,
        }
        for (own, next) in self.values.iter_mut().zip(&mut next.values) {
            own.append(next);
        }
        self.rows += next.rows;
        true
    }
}

impl<'w> Wanted<'w> {
    /// Cells at `places` of rows of `width` cells, and how each is read. `None` where cells have no delimiter to look for.
    pub(super) fn new(
        (found, cells, noised): (&'w Found, &'w Cells, bool),
        width: usize,
        places: &[usize],
        readers: &[Option<&'w CellReader>],
    ) -> Option<Self> {
        let Delimiter::Byte(delimiter) = found.delimiter else {
            return None;
        };
        let of_column = places.iter().zip(readers).enumerate();
        let mut all: Vec<One<'w>> = of_column
            .map(|(which, (place, reader))| One {
                place: *place,
                which,
                decimal: found.decimal(*place),
                reader: *reader,
            })
            .collect();
        all.sort_by_key(|one| (one.place, one.which));
        // Between the two stands the widest gap, whose cells nobody looks at.
        let mut before = 0;
        let (mut widest, mut cut) = (0, 0);
        let ends = all.iter().map(|one| one.place + 1).chain([width]);
        for (at, end) in ends.enumerate() {
            let gap = end.saturating_sub(before);
            if gap > widest {
                (widest, cut) = (gap, at);
            }
            before = end;
        }
        let back = all.split_off(cut);
        Some(Self {
            found,
            cells,
            noised,
            delimiter,
            width,
            front: all,
            back,
        })
    }

    /// Reads `text` as far as it goes, side by side in `threads` pieces, and appends its rows.
    ///
    /// Every piece is read as if a row began with it. That holds as long as all before it were read whole.
    pub(super) fn take(&self, text: &[u8], threads: usize, to: &mut Columns) -> Extent {
        let pieces = cut(text, threads);
        let [first, others @ ..] = pieces.as_slice() else {
            return Extent {
                whole: true,
                ..Extent::default()
            };
        };
        let width = to.values.len();
        let (mut extent, read) = std::thread::scope(|scope| {
            let mut begun = Vec::with_capacity(others.len());
            for piece in others {
                begun.push(scope.spawn(move || {
                    let mut columns = Columns::new(width);
                    let extent = self.piece(piece, &mut columns);
                    (extent, columns)
                }));
            }
            let extent = self.piece(first, to);
            let read: Vec<_> = begun.into_iter().map(|thread| thread.join().ok()).collect();
            (extent, read)
        });
        for next in read {
            let Some((next, mut columns)) = next.filter(|_| extent.whole) else {
                extent.whole = false;
                break;
            };
            // Else its rows are read once more, with what is known of the columns by then.
            if !to.take(&mut columns, self.noised) {
                extent.whole = false;
                break;
            }
            extent.bytes += next.bytes;
            extent.lines += next.lines;
            extent.whole = next.whole;
        }
        extent
    }

    /// Reads the plain rows that a piece begins with. It begins with a row, and ends with a line.
    fn piece(&self, text: &[u8], to: &mut Columns) -> Extent {
        let mut extent = Extent::default();
        let has = |text: &[u8], byte: u8| memchr(byte, text).is_some();
        let quote = self.found.quote.filter(|q| has(text, *q));
        let returns = has(text, b'\r');
        let mut row = vec![f64::NAN; to.values.len()];
        while let Some(rest) = text.get(extent.bytes..).filter(|rest| !rest.is_empty()) {
            let Some(end) = memchr(b'\n', rest) else {
                return extent;
            };
            let line = rest.get(..end).unwrap_or_default();
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if !self.is_none(line) {
                let read = match quote.filter(|q| has(line, *q)) {
                    _ if returns && has(line, b'\r') => None,
                    Some(_) => self.quoted(line, &mut to.kinds, &mut row),
                    None => self.plain(line, &mut to.kinds, &mut row),
                };
                if read.is_none() {
                    return extent;
                }
                to.push(&row);
            }
            extent.bytes += end + 1;
            extent.lines += 1;
        }
        extent.whole = true;
        extent
    }

    /// Whether a line is a remark, or nothing but blanks that separate nothing.
    fn is_none(&self, line: &[u8]) -> bool {
        if let Some(comment) = &self.found.comment
            && line.trim_ascii_start().starts_with(comment.as_bytes())
        {
            return true;
        }
        let blank = |b: &u8| *b == b' ' || *b == b'\r' || (*b == b'\t' && self.delimiter != b'\t');
        line.iter().all(blank)
    }

    /// Reads the wanted cells of a row without quotes; `None` where it needs care.
    fn plain(&self, line: &[u8], kinds: &mut [Column], row: &mut [f64]) -> Option<()> {
        if memchr_iter(self.delimiter, line).count() + 1 != self.width {
            return None;
        }
        let (mut rest, mut begin) = (line, 0);
        for one in &self.front {
            for _ in begin..one.place {
                let end = memchr(self.delimiter, rest)?;
                rest = rest.get(end + 1..)?;
            }
            begin = one.place;
            let end = memchr(self.delimiter, rest).unwrap_or(rest.len());
            self.cell(rest.get(..end)?, one, kinds, row)?;
        }
        let (mut rest, mut last) = (line, self.width.checked_sub(1)?);
        for one in self.back.iter().rev() {
            for _ in one.place..last {
                let end = memrchr(self.delimiter, rest)?;
                rest = rest.get(..end)?;
            }
            last = one.place;
            let begin = memrchr(self.delimiter, rest).map_or(0, |at| at + 1);
            self.cell(rest.get(begin..)?, one, kinds, row)?;
        }
        Some(())
    }

    /// The same of a row with quotes: each of them around a whole cell.
    fn quoted(&self, line: &[u8], kinds: &mut [Column], row: &mut [f64]) -> Option<()> {
        let mut wanted = self.front.iter().chain(&self.back).peekable();
        let mut rest = line;
        for place in 0..self.width {
            let (cell, end) = match rest.split_first() {
                Some((first, inside)) if self.found.quote == Some(*first) => {
                    let end = memchr(*first, inside)?;
                    (inside.get(..end)?, end + 2)
                }
                _ => {
                    let end = memchr(self.delimiter, rest).unwrap_or(rest.len());
                    (rest.get(..end)?, end)
                }
            };
            while let Some(one) = wanted.next_if(|one| one.place == place) {
                self.cell(cell, one, kinds, row)?;
            }
            let (behind, last) = (rest.get(end..)?, place + 1 == self.width);
            match behind.split_first() {
                None if last => return Some(()),
                Some((byte, more)) if *byte == self.delimiter && !last => rest = more,
                _ => return None,
            }
        }
        None
    }

    /// Reads one cell; `None` where it is no number, or not of its column's kind.
    fn cell(
        &self,
        cell: &[u8],
        one: &One<'_>,
        kinds: &mut [Column],
        row: &mut [f64],
    ) -> Option<()> {
        let mut alone = Column::default();
        // Under noise each cell by itself.
        let kind = match self.noised {
            true => &mut alone,
            false => kinds.get_mut(one.which)?,
        };
        let value = match one.reader {
            None => self.cells.read(cell, one.decimal, kind).ok(),
            Some(reader) => {
                let text = std::str::from_utf8(cell).ok()?;
                self.cells.coded(text, reader, kind).ok()
            }
        };
        *row.get_mut(one.which)? = value?;
        Some(())
    }
}

/// Cuts a text into about as many pieces, each of whole lines; what is behind the last line end is in none.
fn cut(text: &[u8], pieces: usize) -> Vec<&[u8]> {
    let Some(end) = memrchr(b'\n', text) else {
        return Vec::new();
    };
    let mut rest = text.get(..=end).unwrap_or_default();
    let pieces = pieces.min(rest.len() / PIECE).max(1);
    let size = rest.len() / pieces;
    let mut cut = Vec::with_capacity(pieces);
    while cut.len() + 1 < pieces {
        let end = rest.get(..size).and_then(|head| memrchr(b'\n', head));
        let Some((piece, others)) = end.and_then(|end| rest.split_at_checked(end + 1)) else {
            break;
        };
        cut.push(piece);
        rest = others;
    }
    cut.push(rest);
    cut
}

#[cfg(test)]
mod tests;
