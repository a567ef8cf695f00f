//! A workbook, as the readers of its formats show it: sheets, and the cells of one.

use std::borrow::Cow;
use std::fs::File;
use std::io::{BufReader, Cursor, Read as _, Seek as _};
use std::path::Path;

use calamine::{
    Data, DataRef, ExcelDateTime, Range, Reader as _, SheetType, SheetVisible, Xls, XlsError, Xlsx,
    XlsxError,
};

use super::{COLUMNS, biff, ods, packed};
use crate::datasets::typed::{Cell, damaged, whole};
use crate::failure::Failure;

/// Rows that a sheet can have.
pub(super) const ROWS: u32 = 1_048_576;
/// Bytes of an old workbook, which is read whole.
const OLD: u64 = 1 << 30;

/// Takes a cell: row and column from 0, and what is in it. Answers whether to go on.
pub(super) type Visit<'v> = dyn FnMut(u32, u32, Cell<'_>) -> Result<bool, Failure> + 'v;

/// Merged cells: their first and last row and column, from 0.
pub(super) struct Region {
    pub(super) rows: (u32, u32),
    pub(super) columns: (u32, u32),
}

/// A workbook.
pub(super) trait Book {
    /// The names of its sheets, and whether each is hidden.
    fn sheets(&self) -> Vec<(String, bool)>;

    /// Shows the cells of a sheet, row after row, each from left to right; empty ones may be left out.
    fn walk(&mut self, sheet: &str, visit: &mut Visit<'_>) -> Result<(), Failure>;

    /// Cells of a sheet that are merged.
    fn merged(&mut self, sheet: &str) -> Result<Vec<Region>, Failure>;
}

/// Opens a workbook by its first bytes, whatever it is called.
pub(super) fn open(path: &Path) -> Result<Box<dyn Book>, Failure> {
    let unreadable = |e| Failure::unreadable("it", &e);
    let mut file = File::open(path).map_err(unreadable)?;
    let mut start = Vec::new();
    (&mut file)
        .take(8)
        .read_to_end(&mut start)
        .map_err(unreadable)?;
    file.rewind().map_err(unreadable)?;
    if start.starts_with(b"PK\x03\x04") {
        return match packed::judge(path)? {
            packed::Kind::Ods => Ok(Box::new(ods::Ods::open(path)?)),
            packed::Kind::Xlsx => {
                let book = Xlsx::new(BufReader::new(file)).map_err(unread)?;
                Ok(Box::new(New(book)))
            }
        };
    }
    if start.starts_with(biff::MAGIC) {
        if file.metadata().map_err(unreadable)?.len() > OLD {
            return Err(Failure::exhausted(format!(
                "it is an old workbook of more than {OLD} bytes; save it as .xlsx"
            )));
        }
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(unreadable)?;
        let clean = biff::judged(&bytes)?;
        drop(bytes);
        let book = Xls::new(Cursor::new(clean)).map_err(unread_old)?;
        return Ok(Box::new(Old(book)));
    }
    Err(Failure::corrupt(
        "it is no workbook, whatever its name says; if it is a text, rename it to .csv, else save it as .xlsx",
    ))
}

/// `.xlsx`: cells are read as they come, and none is kept.
struct New(Xlsx<BufReader<File>>);

impl Book for New {
    fn sheets(&self) -> Vec<(String, bool)> {
        visible(self.0.sheets_metadata())
    }

    fn walk(&mut self, sheet: &str, visit: &mut Visit<'_>) -> Result<(), Failure> {
        let mut cells = self.0.worksheet_cells_reader(sheet).map_err(unread)?;
        let mut before = None;
        while let Some(found) = cells.next_cell_with_formula_metadata().map_err(unread)? {
            let (row, column) = found.pos;
            if row >= ROWS || column >= COLUMNS {
                return Err(damaged("a cell lies outside its sheet"));
            }
            if before.is_some_and(|before| before >= found.pos) {
                return Err(damaged("its cells are out of order"));
            }
            before = Some(found.pos);
            let cell = cell(found.value, found.formula.is_some());
            if !visit(row, column, cell)? {
                break;
            }
        }
        Ok(())
    }

    fn merged(&mut self, sheet: &str) -> Result<Vec<Region>, Failure> {
        let merged = self.0.merge_cells_by_sheet_name(sheet).map_err(unread)?;
        Ok(merged.iter().map(region).collect())
    }
}

/// `.xls`, which is in memory whole.
struct Old(Xls<Cursor<Vec<u8>>>);

impl Book for Old {
    fn sheets(&self) -> Vec<(String, bool)> {
        visible(self.0.sheets_metadata())
    }

    fn walk(&mut self, sheet: &str, visit: &mut Visit<'_>) -> Result<(), Failure> {
        let cells = self.0.worksheet_range(sheet).map_err(unread_old)?;
        let formulas = self.0.worksheet_formula(sheet).map_err(unread_old)?;
        let has_formula = |row, column| {
            let formula: Option<&String> = formulas.get_value((row, column));
            formula.is_some_and(|formula| !formula.is_empty())
        };
        // A formula may lie beside all values.
        let (Some(start), Some(end)) = extent(&cells, &formulas) else {
            return Ok(());
        };
        for row in start.0..=end.0 {
            for column in start.1..=end.1 {
                let value = cells.get_value((row, column)).cloned().unwrap_or_default();
                let formula = has_formula(row, column);
                // An empty text is also what stands for a formula that was never computed.
                let value = match value {
                    Data::String(text) if formula && text.is_empty() => Data::Empty,
                    value => value,
                };
                if value == Data::Empty && !formula {
                    continue;
                }
                if !visit(row, column, cell(by_ref(value), formula))? {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn merged(&mut self, sheet: &str) -> Result<Vec<Region>, Failure> {
        let merged = self.0.merge_cells_by_sheet_name(sheet);
        Ok(merged.map_err(unread_old)?.iter().map(region).collect())
    }
}

type Corner = Option<(u32, u32)>;

/// The area that both cover.
fn extent(cells: &Range<Data>, formulas: &Range<String>) -> (Corner, Corner) {
    let both = |a: Corner, b: Corner, of: fn(u32, u32) -> u32| match (a, b) {
        (Some(a), Some(b)) => Some((of(a.0, b.0), of(a.1, b.1))),
        (a, b) => a.or(b),
    };
    (
        both(cells.start(), formulas.start(), u32::min),
        both(cells.end(), formulas.end(), u32::max),
    )
}

fn visible(sheets: &[calamine::Sheet]) -> Vec<(String, bool)> {
    let tables = sheets.iter().filter(|s| s.typ == SheetType::WorkSheet);
    tables
        .map(|s| (s.name.clone(), s.visible != SheetVisible::Visible))
        .collect()
}

fn region(of: &calamine::Dimensions) -> Region {
    Region {
        rows: (of.start.0, of.end.0),
        columns: (of.start.1, of.end.1),
    }
}

fn by_ref(value: Data) -> DataRef<'static> {
    match value {
        Data::Int(value) => DataRef::Int(value),
        Data::Float(value) => DataRef::Float(value),
        Data::String(value) => DataRef::String(value),
        Data::Bool(value) => DataRef::Bool(value),
        Data::DateTime(value) => DataRef::DateTime(value),
        Data::DateTimeIso(value) => DataRef::DateTimeIso(value),
        Data::DurationIso(value) => DataRef::DurationIso(value),
        Data::Error(value) => DataRef::Error(value),
        Data::Empty => DataRef::Empty,
    }
}

/// What is stored in a cell: the one function that knows Excel's types. Errors are the texts that are shown for them.
fn cell(value: DataRef<'_>, formula: bool) -> Cell<'_> {
    match value {
        DataRef::Empty if formula => Cell::Other(Cow::Borrowed(UNCOMPUTED)),
        DataRef::Empty => Cell::Missing,
        DataRef::Int(value) => whole(i128::from(value)),
        DataRef::Float(value) => Cell::Number(value),
        DataRef::Bool(value) => Cell::Truth(value),
        DataRef::String(text) => Cell::Text(Cow::Owned(text)),
        DataRef::SharedString(text) => Cell::Text(Cow::Borrowed(text)),
        DataRef::Error(error) => Cell::Fault(Cow::Owned(error.to_string())),
        DataRef::DateTime(moment) => date(moment),
        DataRef::DateTimeIso(text) => Cell::Date(Cow::Owned(text.replace('T', " "))),
        DataRef::DurationIso(_) => Cell::Other(Cow::Borrowed(SPAN)),
    }
}

/// A formula that nobody has computed.
pub(super) const UNCOMPUTED: &str =
    "a formula without its value; open the workbook in the program that it is for, and save it";
/// Hours and minutes.
pub(super) const SPAN: &str = "a span of time, or no day from 1900 to 9999";

/// The serial number of the first day of the year 10000.
const FIRST_BEYOND: f64 = 2_958_466.0;

fn date(moment: ExcelDateTime) -> Cell<'static> {
    // A time of day alone has no day; beyond the year 9999, and before the first day, the reader would tell another one.
    let serial = moment.as_f64();
    if moment.is_duration() || !(1.0..FIRST_BEYOND).contains(&serial) {
        return Cell::Other(Cow::Borrowed(SPAN));
    }
    let (year, month, of_month, hour, minute, second, milli) = moment.to_ymd_hms_milli();
    let mut told = format!("{year:04}-{month:02}-{of_month:02}");
    if (hour, minute, second, milli) != (0, 0, 0, 0) {
        told.push_str(&format!(" {hour:02}:{minute:02}:{second:02}"));
    }
    if milli != 0 {
        told.push_str(&format!(".{milli:03}"));
    }
    Cell::Date(Cow::Owned(told))
}

fn unread(error: XlsxError) -> Failure {
    match error {
        XlsxError::Password => password(),
        error => damaged(shortened(&error)),
    }
}

fn unread_old(error: XlsError) -> Failure {
    match error {
        XlsError::Password => password(),
        error => damaged(shortened(&error)),
    }
}

pub(super) fn password() -> Failure {
    Failure::corrupt("it is protected by a password; save it without one")
}

pub(super) fn shortened(error: &dyn std::fmt::Display) -> String {
    error.to_string().chars().take(200).collect()
}
