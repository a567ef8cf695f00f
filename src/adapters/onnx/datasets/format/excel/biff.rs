//! What must hold of an old workbook (`.xls`) before it is decoded: where its parts lie, and how far its sheets reach.
//!
//! It lies in a file that is divided like a disk (MS-CFB), in chains of sectors. Chains are followed here, and the workbook alone is put into
//! a new file of that kind, so that the decoder meets no chain that leads astray or into a circle.

use super::book::password;
use crate::datasets::typed::damaged;
use crate::failure::Failure;

/// What such a file begins with.
pub(super) const MAGIC: &[u8] = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1";
/// Numbers from here on are no sectors.
const RESERVED: u32 = 0xffff_fffa;
/// What ends a chain.
const END: u32 = 0xffff_fffe;
/// A sector of nobody.
const FREE: u32 = 0xffff_ffff;
/// A sector that says where others are.
const TABLE: u32 = 0xffff_fffd;
/// Streams that are shorter lie in sectors of their own size.
const SHORT: usize = 4096;
const SHORT_SECTOR: usize = 64;
/// Bytes of an entry in the folder.
const ENTRY: usize = 128;
/// Cells that all sheets together reach over at most: every one takes memory.
const CELLS: u64 = 24 << 20;
/// Columns that a sheet of this format can have.
const COLUMNS: u64 = 256;

/// The workbook, in a new file.
///
/// # Errors
/// What is damaged, has a password, or reaches too far.
pub(super) fn judged(file: &[u8]) -> Result<Vec<u8>, Failure> {
    let workbook = Folder::of(file)?.workbook()?;
    sheets(&workbook)?;
    packed(&workbook).ok_or_else(|| damaged("its workbook is too large"))
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    let bytes = bytes.get(at..)?.first_chunk::<2>()?;
    Some(u16::from_le_bytes(*bytes))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..)?.first_chunk::<4>()?;
    Some(u32::from_le_bytes(*bytes))
}

fn numbers(bytes: &[u8]) -> Vec<u32> {
    let (numbers, _) = bytes.as_chunks::<4>();
    numbers.iter().copied().map(u32::from_le_bytes).collect()
}

fn astray() -> Failure {
    damaged("a chain of its sectors leads astray")
}

/// The folder of such a file.
pub(super) struct Folder<'f> {
    /// All sectors.
    sectors: &'f [u8],
    size: usize,
    next: Vec<u32>,
    entries: Vec<u8>,
    /// The short sectors, and which follows which.
    short: Vec<u8>,
    short_next: Vec<u32>,
}

impl<'f> Folder<'f> {
    pub(super) fn of(file: &'f [u8]) -> Result<Self, Failure> {
        let size = match u16_at(file, 30) {
            Some(9) => 512,
            Some(12) => 4096,
            _ => return Err(damaged("it has sectors of no known size")),
        };
        let word = |at| u32_at(file, at).ok_or_else(|| damaged("its end is missing"));
        let sectors = file
            .get(size..)
            .ok_or_else(|| damaged("its end is missing"))?;
        let mut found = Self {
            sectors,
            size,
            next: Vec::new(),
            entries: Vec::new(),
            short: Vec::new(),
            short_next: Vec::new(),
        };
        // Where the sectors are that say which follows which: some in the head, more in a chain whose sectors end with the next.
        let mut tables = numbers(file.get(76..512).unwrap_or_default());
        let mut more = word(68)?;
        for _ in 0..=sectors.len() / size {
            if more >= RESERVED {
                break;
            }
            let mut table = numbers(found.sector(more).ok_or_else(astray)?);
            more = table.pop().ok_or_else(astray)?;
            tables.extend(table);
        }
        for table in tables.into_iter().filter(|table| *table < RESERVED) {
            let part = numbers(found.sector(table).ok_or_else(astray)?);
            found.next.extend(part);
        }
        found.entries = found.chain(word(48)?)?;
        found.short_next = numbers(&found.chain(word(60)?)?);
        let root = found.entries.get(..ENTRY);
        let root = root.ok_or_else(|| damaged("its folder is empty"))?;
        if !found.short_next.is_empty() {
            found.short = found.chain(u32_at(root, 116).unwrap_or(END))?;
        }
        Ok(found)
    }

    fn sector(&self, number: u32) -> Option<&'f [u8]> {
        let begin = usize::try_from(number).ok()?.checked_mul(self.size)?;
        let sector = self.sectors.get(begin..)?;
        // The last one may be cut off.
        let sector = sector.get(..self.size).unwrap_or(sector);
        (!sector.is_empty()).then_some(sector)
    }

    fn chain(&self, mut sector: u32) -> Result<Vec<u8>, Failure> {
        let mut bytes = Vec::new();
        while sector < RESERVED {
            bytes.extend_from_slice(self.sector(sector).ok_or_else(astray)?);
            // A circle never ends.
            if bytes.len() > self.sectors.len() {
                return Err(astray());
            }
            let at = usize::try_from(sector).unwrap_or(usize::MAX);
            sector = *self.next.get(at).ok_or_else(astray)?;
        }
        Ok(bytes)
    }

    fn short_chain(&self, mut sector: u32) -> Result<Vec<u8>, Failure> {
        let mut bytes = Vec::new();
        while sector < RESERVED {
            let at = usize::try_from(sector).unwrap_or(usize::MAX);
            let part = at.checked_mul(SHORT_SECTOR).and_then(|begin| {
                let end = begin.checked_add(SHORT_SECTOR)?;
                self.short.get(begin..end)
            });
            bytes.extend_from_slice(part.ok_or_else(astray)?);
            if bytes.len() > self.short.len() {
                return Err(astray());
            }
            sector = *self.short_next.get(at).ok_or_else(astray)?;
        }
        Ok(bytes)
    }

    /// The stream with the workbook.
    pub(super) fn workbook(&self) -> Result<Vec<u8>, Failure> {
        let mut found = None;
        for entry in self.entries.chunks_exact(ENTRY) {
            let length = u16_at(entry, 64).map_or(0, usize::from).saturating_sub(2);
            let name: Vec<u16> = { 0..length.min(62) / 2 }
                .filter_map(|at| u16_at(entry, at * 2))
                .collect();
            match String::from_utf16_lossy(&name).as_str() {
                "EncryptedPackage" | "EncryptionInfo" => return Err(password()),
                "Workbook" | "WORKBOOK" | "Book" | "BOOK" => found = found.or(Some(entry)),
                _ => {}
            }
        }
        let entry = found.ok_or_else(|| {
            Failure::corrupt("it is of an Office program, but no workbook; save it as .xlsx")
        })?;
        let start = u32_at(entry, 116).unwrap_or(END);
        let length = usize::try_from(u32_at(entry, 120).unwrap_or(0)).unwrap_or(usize::MAX);
        let mut bytes = match length < SHORT {
            true => self.short_chain(start)?,
            false => self.chain(start)?,
        };
        if bytes.len() < length {
            return Err(damaged("its end is missing"));
        }
        bytes.truncate(length);
        Ok(bytes)
    }
}

/// Follows the records of all sheets, and adds up how many cells they reach over.
pub(super) fn sheets(workbook: &[u8]) -> Result<(), Failure> {
    const SHEET: u16 = 0x0085;
    let mut cells: u64 = 0;
    for (kind, record) in records(workbook) {
        if kind != SHEET {
            continue;
        }
        let begin = u32_at(record, 0).and_then(|at| usize::try_from(at).ok());
        let sheet = begin.and_then(|at| workbook.get(at..));
        let sheet = sheet.ok_or_else(|| damaged("a sheet lies behind its end"))?;
        cells = cells.saturating_add(reach(sheet)?);
        if cells > CELLS {
            return Err(Failure::exhausted(
                "its sheets reach too far; save it as .xlsx",
            ));
        }
    }
    Ok(())
}

/// How many cells a sheet reaches over: by its own word, and by its cells.
fn reach(sheet: &[u8]) -> Result<u64, Failure> {
    const DIMENSIONS: u16 = 0x0200;
    const MANY: [u16; 2] = [0x00bd, 0x00be];
    const CELLS: [u16; 9] = [
        0x0006, 0x00d6, 0x00fd, 0x0201, 0x0203, 0x0204, 0x0205, 0x027e, 0x0207,
    ];
    let outside = || damaged("a cell lies outside its sheet");
    let mut said: u64 = 0;
    let (mut rows, mut columns) = ((u16::MAX, 0), (u16::MAX, 0));
    let mut add = |row: Option<u16>, column: Option<u16>| {
        let (Some(row), Some(column)) = (row, column) else {
            return Err(outside());
        };
        if u64::from(column) >= COLUMNS {
            return Err(outside());
        }
        rows = (rows.0.min(row), rows.1.max(row));
        columns = (columns.0.min(column), columns.1.max(column));
        Ok(())
    };
    for (kind, record) in records(sheet) {
        if kind == DIMENSIONS {
            said = said.max(dimensions(record).ok_or_else(outside)?);
        } else if MANY.contains(&kind) {
            let last = record.len().checked_sub(2);
            add(u16_at(record, 0), u16_at(record, 2))?;
            add(u16_at(record, 0), last.and_then(|at| u16_at(record, at)))?;
        } else if CELLS.contains(&kind) && kind != 0x0207 {
            add(u16_at(record, 0), u16_at(record, 2))?;
        }
    }
    let span = |(first, last): (u16, u16)| match first <= last {
        true => u64::from(last - first) + 1,
        false => 0,
    };
    Ok(said.max(span(rows).saturating_mul(span(columns))))
}

/// Cells that a sheet says it reaches over; `None` where it cannot.
fn dimensions(record: &[u8]) -> Option<u64> {
    let (rows, columns) = match record.len() {
        14 => (
            (u32_at(record, 0)?, u32_at(record, 4)?),
            (u16_at(record, 8)?, u16_at(record, 10)?),
        ),
        _ => (
            (u32::from(u16_at(record, 0)?), u32::from(u16_at(record, 2)?)),
            (u16_at(record, 4)?, u16_at(record, 6)?),
        ),
    };
    if rows.1 > 65_536 || u64::from(columns.1) > COLUMNS {
        return None;
    }
    let rows = u64::from(rows.1).saturating_sub(u64::from(rows.0));
    let columns = u64::from(columns.1).saturating_sub(u64::from(columns.0));
    Some(rows.saturating_mul(columns))
}

/// Records: kind and content, up to the end of a part that ends as it should, or of all.
fn records(stream: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    const PART: u16 = 0x0809;
    const ENDED: u16 = 0x000a;
    let (mut at, mut depth) = (0_usize, 0_usize);
    std::iter::from_fn(move || {
        let kind = u16_at(stream, at)?;
        let length = usize::from(u16_at(stream, at + 2)?);
        let record = stream.get(at + 4..)?.get(..length)?;
        at += 4 + length;
        match kind {
            PART => depth += 1,
            // Nothing follows.
            ENDED if depth <= 1 => at = stream.len(),
            ENDED => depth -= 1,
            _ => {}
        }
        Some((kind, record))
    })
}

/// A file with nothing but one stream in it.
pub(super) fn packed(workbook: &[u8]) -> Option<Vec<u8>> {
    const SIZE: usize = 512;
    const EACH: usize = SIZE / 4;
    // A stream that is long enough for sectors of the usual size.
    let length = workbook.len().max(SHORT);
    let data = length.div_ceil(SIZE);
    // One more for the folder, and those that say which follows which.
    let mut tables = 1;
    while tables * EACH < data + 1 + tables {
        tables += 1;
    }
    // Beyond those that the head has room for, one in each sector that lists them is for the next list.
    let lists = tables.saturating_sub(109).div_ceil(EACH - 1);
    while tables * EACH < data + 1 + tables + lists {
        tables += 1;
    }
    let lists = tables.saturating_sub(109).div_ceil(EACH - 1);
    let number = |n: usize| u32::try_from(n).ok();
    let (folder, first_table) = (number(data)?, data + 1);
    let first_list = first_table + tables;
    let mut head = vec![0; SIZE];
    let mut put = |at: usize, bytes: &[u8]| {
        if let Some(place) = head.get_mut(at..at + bytes.len()) {
            place.copy_from_slice(bytes);
        }
    };
    put(0, MAGIC);
    put(24, &[0x3e, 0, 3, 0, 0xfe, 0xff, 9, 0, 6, 0]);
    put(44, &number(tables)?.to_le_bytes());
    put(48, &folder.to_le_bytes());
    put(56, &4096_u32.to_le_bytes());
    put(60, &END.to_le_bytes());
    let list = if lists > 0 { number(first_list)? } else { END };
    put(68, &list.to_le_bytes());
    put(72, &number(lists)?.to_le_bytes());
    for at in 0..109 {
        let table = if at < tables {
            number(first_table + at)?
        } else {
            FREE
        };
        put(76 + at * 4, &table.to_le_bytes());
    }
    let mut file = head;
    file.extend_from_slice(workbook);
    file.resize(SIZE + data * SIZE, 0);
    file.extend(entry("Root Entry", 5, END, 0, 1));
    file.extend(entry("Workbook", 2, 0, number(length)?, FREE));
    file.resize(SIZE + first_table * SIZE, 0);
    let chain = (1..data).map(number).chain([Some(END), Some(END)]);
    let own =
        std::iter::repeat_n(Some(TABLE), tables).chain(std::iter::repeat_n(Some(END - 2), lists));
    let mut next: Vec<u32> = chain.chain(own).collect::<Option<_>>()?;
    next.resize(tables * EACH, FREE);
    file.extend(next.into_iter().flat_map(u32::to_le_bytes));
    for list in 0..lists {
        for at in 0..EACH - 1 {
            let table = 109 + list * (EACH - 1) + at;
            let table = if table < tables {
                number(first_table + table)?
            } else {
                FREE
            };
            file.extend(table.to_le_bytes());
        }
        let more = if list + 1 < lists {
            number(first_list + list + 1)?
        } else {
            END
        };
        file.extend(more.to_le_bytes());
    }
    Some(file)
}

/// An entry of a folder.
fn entry(name: &str, kind: u8, start: u32, length: u32, child: u32) -> Vec<u8> {
    let mut bytes: Vec<u8> = name.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let named = u16::try_from(bytes.len() + 2).unwrap_or(0);
    bytes.resize(64, 0);
    bytes.extend(named.to_le_bytes());
    bytes.extend([kind, 1]);
    bytes.extend([FREE, FREE, child].iter().flat_map(|n| n.to_le_bytes()));
    bytes.resize(116, 0);
    bytes.extend(start.to_le_bytes());
    bytes.extend(u64::from(length).to_le_bytes());
    bytes
}
