//! OpenDocument spreadsheets, read as they come: rows and cells that stand for many are shown as many, and nothing is kept.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufReader, Read as _};
use std::path::Path;

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};
use zip::ZipArchive;
use zip::read::ZipFile;

use super::COLUMNS;
use super::book::{Book, ROWS, Region, SPAN, UNCOMPUTED, Visit, password, shortened};
use crate::datasets::typed::{Cell, damaged};
use crate::failure::Failure;

/// The part with the sheets.
const CONTENT: &str = "content.xml";
/// Bytes of a part that says whether there is a password.
const MANIFEST: u64 = 16 << 20;
/// Bytes of the text of a cell.
const TEXT: usize = 1 << 20;
/// Cells that are shown of a row which stands for many, at most.
const CELLS: u64 = 200_000_000;

pub(super) struct Ods {
    archive: ZipArchive<BufReader<File>>,
    sheets: Vec<(String, bool)>,
}

type Xml<'a> = Reader<BufReader<ZipFile<'a, BufReader<File>>>>;

impl Ods {
    pub(super) fn open(path: &Path) -> Result<Self, Failure> {
        let file = File::open(path).map_err(|e| Failure::unreadable("it", &e))?;
        let archive = ZipArchive::new(BufReader::new(file));
        let mut archive = archive.map_err(|e| damaged(shortened(&e)))?;
        // Encrypted parts are no parts with a password to the archive.
        if let Ok(part) = archive.by_name("META-INF/manifest.xml") {
            let mut text = Vec::new();
            let read = part.take(MANIFEST).read_to_end(&mut text);
            read.map_err(|e| damaged(shortened(&e)))?;
            let marked = |at: &[u8]| at.starts_with(b"encryption-data");
            if text.windows(15).any(marked) {
                return Err(password());
            }
        }
        let mut ods = Self {
            archive,
            sheets: Vec::new(),
        };
        let sheets = names(&mut ods.xml()?)?;
        ods.sheets = sheets;
        Ok(ods)
    }

    fn xml(&mut self) -> Result<Xml<'_>, Failure> {
        let part = self.archive.by_name(CONTENT);
        let part = part.map_err(|e| damaged(shortened(&e)))?;
        let mut xml = Reader::from_reader(BufReader::new(part));
        xml.config_mut().expand_empty_elements = true;
        Ok(xml)
    }

    /// The same, in a sheet.
    fn sheet(&mut self, sheet: &str) -> Result<Xml<'_>, Failure> {
        let mut xml = self.xml()?;
        let mut bytes = Vec::new();
        loop {
            bytes.clear();
            match event(&mut xml, &mut bytes)? {
                Event::Start(e)
                    if e.name().as_ref() == "table:table"
                        && attribute(&e, "table:name")?.as_deref() == Some(sheet) =>
                {
                    return Ok(xml);
                }
                Event::Eof => return Err(damaged("a sheet is missing")),
                _ => {}
            }
        }
    }
}

/// The names of all sheets, and whether each is hidden.
fn names(xml: &mut Xml<'_>) -> Result<Vec<(String, bool)>, Failure> {
    let (mut sheets, mut hiding) = (Vec::new(), BTreeSet::new());
    let (mut bytes, mut style) = (Vec::new(), None);
    loop {
        bytes.clear();
        match event(xml, &mut bytes)? {
            Event::Start(e) => match e.name().as_ref() {
                "style:style" => style = attribute(&e, "style:name")?,
                "style:table-properties"
                    if attribute(&e, "table:display")?.as_deref() == Some("false") =>
                {
                    hiding.extend(style.clone());
                }
                "table:table" => {
                    let name = attribute(&e, "table:name")?.unwrap_or_default();
                    if sheets.iter().any(|(other, _)| *other == name) {
                        return Err(damaged("two sheets have one name"));
                    }
                    let style = attribute(&e, "table:style-name")?;
                    sheets.push((name, style.is_some_and(|s| hiding.contains(&s))));
                }
                _ => {}
            },
            Event::Eof => return Ok(sheets),
            _ => {}
        }
    }
}

impl Book for Ods {
    fn sheets(&self) -> Vec<(String, bool)> {
        self.sheets.clone()
    }

    fn walk(&mut self, sheet: &str, visit: &mut Visit<'_>) -> Result<(), Failure> {
        rows(&mut self.sheet(sheet)?, &mut |times, row, cells| {
            show(times, row, cells, visit)
        })
    }

    fn merged(&mut self, sheet: &str) -> Result<Vec<Region>, Failure> {
        let mut merged = Vec::new();
        rows(&mut self.sheet(sheet)?, &mut |_, row, cells| {
            for cell in cells.iter().filter(|c| c.spans != (1, 1)) {
                merged.push(Region {
                    rows: (row, row.saturating_add(cell.spans.0 - 1)),
                    columns: (cell.column, cell.column.saturating_add(cell.spans.1 - 1)),
                });
            }
            Ok(true)
        })?;
        Ok(merged)
    }
}

/// A cell, or as many that are the same.
struct Found {
    column: u32,
    times: u32,
    cell: Cell<'static>,
    /// Rows and columns that it reaches over.
    spans: (u32, u32),
}

/// Takes a row with something in it: how often it is there, where it is first, and its cells. Answers whether to go on.
type Row<'r> = dyn FnMut(u32, u32, &[Found]) -> Result<bool, Failure> + 'r;

/// Shows all cells that a row stands for.
fn show(times: u32, row: u32, cells: &[Found], visit: &mut Visit<'_>) -> Result<bool, Failure> {
    let each: u64 = cells.iter().map(|c| u64::from(c.times)).sum();
    if each.saturating_mul(u64::from(times)) > CELLS {
        return Err(Failure::exhausted(
            "one of its rows stands for too many; save it as .xlsx or .csv",
        ));
    }
    for row in row..row.saturating_add(times) {
        for found in cells.iter().filter(|c| c.cell != Cell::Missing) {
            for column in found.column..found.column.saturating_add(found.times) {
                if !visit(row, column, found.cell.clone())? {
                    return Ok(false);
                }
            }
        }
    }
    Ok(true)
}

/// Goes through the rows of a sheet. What is within a cell (charts, notes) is none of it.
fn rows(xml: &mut Xml<'_>, each: &mut Row<'_>) -> Result<(), Failure> {
    let mut bytes = Vec::new();
    let mut cells: Vec<Found> = Vec::new();
    let (mut row, mut times, mut column) = (0_u32, 0_u32, 0_u32);
    loop {
        bytes.clear();
        match event(xml, &mut bytes)? {
            Event::Start(e) => match e.name().as_ref() {
                "table:table-row" => {
                    times = count(&e, "table:number-rows-repeated")?;
                    column = 0;
                    cells.clear();
                }
                name @ ("table:table-cell" | "table:covered-table-cell") => {
                    let covered = name == "table:covered-table-cell";
                    let mut found = cell(xml, &e, covered)?;
                    found.column = column;
                    column = column.saturating_add(found.times);
                    if found.cell != Cell::Missing || found.spans != (1, 1) {
                        if column > COLUMNS || row >= ROWS {
                            return Err(damaged("a cell lies outside its sheet"));
                        }
                        cells.push(found);
                    }
                }
                _ => {}
            },
            Event::End(e) if e.name().as_ref() == "table:table-row" => {
                let end = row.saturating_add(times);
                if !cells.is_empty() {
                    if end > ROWS {
                        return Err(damaged("a row lies outside its sheet"));
                    }
                    if !each(times, row, &cells)? {
                        return Ok(());
                    }
                }
                row = end;
                cells.clear();
            }
            Event::End(e) if e.name().as_ref() == "table:table" => return Ok(()),
            Event::Eof => return Err(damaged("a sheet has no end")),
            _ => {}
        }
    }
}

/// What is stored in a cell: the one function that knows the types of OpenDocument. Reads to its end.
fn cell(xml: &mut Xml<'_>, of: &BytesStart<'_>, covered: bool) -> Result<Found, Failure> {
    let text = text(xml, of.name().as_ref())?;
    let kind = attribute(of, "office:value-type")?;
    let value =
        |name: &str| -> Result<String, Failure> { Ok(attribute(of, name)?.unwrap_or_default()) };
    let cell = match kind.as_deref() {
        // Text that is shown for an error.
        _ if attribute(of, "calcext:value-type")?.as_deref() == Some("error") => {
            Cell::Text(Cow::Owned(text))
        }
        Some("float" | "percentage" | "currency") => {
            let value = value("office:value")?.trim().parse();
            value.map_or(
                Cell::Other(Cow::Borrowed("a number that is none")),
                Cell::Number,
            )
        }
        Some("boolean") => Cell::Truth(value("office:boolean-value")?.trim() == "true"),
        Some("date") => {
            let value = value("office:date-value")?.replace('T', " ");
            let value = value.trim_end_matches(" 00:00:00").to_owned();
            Cell::Date(Cow::Owned(value))
        }
        Some("time") => Cell::Other(Cow::Borrowed(SPAN)),
        Some(_) => Cell::Text(Cow::Owned(match attribute(of, "office:string-value")? {
            Some(value) => value,
            None => text,
        })),
        None if attribute(of, "table:formula")?.is_some() => Cell::Other(Cow::Borrowed(UNCOMPUTED)),
        None => Cell::Missing,
    };
    Ok(Found {
        column: 0,
        times: count(of, "table:number-columns-repeated")?,
        // What lies below a merged cell is not seen.
        cell: if covered { Cell::Missing } else { cell },
        spans: (
            count(of, "table:number-rows-spanned")?,
            count(of, "table:number-columns-spanned")?,
        ),
    })
}

/// The text in a cell, up to its end: its paragraphs, one a line.
fn text(xml: &mut Xml<'_>, cell: &str) -> Result<String, Failure> {
    let (mut bytes, mut told) = (Vec::new(), String::new());
    let (mut depth, mut aside, mut paragraphs) = (0_u32, 0_u32, 0_u32);
    loop {
        bytes.clear();
        match event(xml, &mut bytes)? {
            Event::Start(e) => {
                let name = e.name();
                // Notes and drawings are not the cell's text.
                if aside > 0 || matches!(name.as_ref(), "office:annotation" | "draw:frame") {
                    aside += 1;
                } else if name.as_ref() == "text:p" {
                    told.push_str(if paragraphs > 0 { "\n" } else { "" });
                    paragraphs += 1;
                } else if name.as_ref() == "text:s" {
                    let blanks = count(&e, "text:c")?;
                    let blanks = usize::try_from(blanks).unwrap_or(TEXT).min(TEXT);
                    told.extend(std::iter::repeat_n(' ', blanks));
                } else if matches!(name.as_ref(), "text:tab" | "text:line-break") {
                    told.push(' ');
                }
                depth += 1;
            }
            Event::End(e) if depth == 0 => {
                return match e.name().as_ref() == cell {
                    true => Ok(told),
                    false => Err(damaged("a cell does not end")),
                };
            }
            Event::End(_) => {
                depth -= 1;
                aside = aside.saturating_sub(1);
            }
            Event::Text(part) if aside == 0 && depth > 0 => told.push_str(&part.xml10_content()),
            Event::GeneralRef(name) if aside == 0 && depth > 0 => {
                let name: &str = name.as_ref();
                let whole = format!("&{name};");
                let meant = quick_xml::escape::unescape(&whole);
                told.push_str(&meant.map_err(|e| damaged(shortened(&e)))?);
            }
            Event::Eof => return Err(damaged("a cell does not end")),
            _ => {}
        }
        if told.len() > TEXT {
            // No number, and no name.
            told.truncate(told.floor_char_boundary(TEXT));
        }
    }
}

fn event<'b>(xml: &mut Xml<'_>, bytes: &'b mut Vec<u8>) -> Result<Event<'b>, Failure> {
    let event = xml.read_event_into(bytes);
    event.map_err(|e| damaged(shortened(&e)))
}

fn attribute(of: &BytesStart<'_>, name: &str) -> Result<Option<String>, Failure> {
    for attribute in of.attributes() {
        let attribute = attribute.map_err(|e| damaged(shortened(&e)))?;
        if attribute.key.as_ref() == name {
            let value = quick_xml::escape::unescape(&attribute.value);
            let value = value.map_err(|e| damaged(shortened(&e)))?;
            return Ok(Some(value.into_owned()));
        }
    }
    Ok(None)
}

/// A number of repetitions; at least one.
fn count(of: &BytesStart<'_>, name: &str) -> Result<u32, Failure> {
    let Some(value) = attribute(of, name)? else {
        return Ok(1);
    };
    let count: u32 = value
        .trim()
        .parse()
        .map_err(|_| damaged("a count is none"))?;
    Ok(count.max(1))
}
