//! Arrow's own files: Feather (version 2), which is the file form of its IPC, and the stream form.
//!
//! Both are messages one after the other. Where they lie is found out here and compared with the length of the file, and how large their parts
//! are once expanded is looked at before they are; decoding is Arrow's.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;

use arrow_buffer::Buffer;
use arrow_ipc::convert::try_fb_to_schema;
use arrow_ipc::reader::FileDecoder;
use arrow_ipc::{Block, CompressionType, Message, MessageHeader, MetadataVersion};
use arrow_schema::{ArrowError, SchemaRef};
use std::sync::Arc;

use super::columns;
use crate::datasets::table::{Opening, TableFile};
use crate::datasets::typed::{Each, Typed, TypedTable, contained, damaged, named};
use crate::failure::Failure;

/// What the file form begins and ends with.
const MAGIC: &[u8] = b"ARROW1";
/// What the first version of Feather begins with.
const FEATHER_1: &[u8] = b"FEA1";
/// What stands before every message of a stream.
const NEXT: [u8; 4] = [0xff; 4];
/// Bytes of a message without its data.
const HEAD: u64 = 64 << 20;
/// Bytes that one batch of rows expands to at most.
const EXPANDED: u64 = 8 << 30;
/// Batches of a file at most.
const BATCHES: usize = 10_000_000;
/// How much less than what it expands to a compressed part may be; nothing real comes near.
const RATIO: u64 = 1 << 20;

/// Whether a file begins as one of these.
pub(super) fn begins(start: &[u8]) -> bool {
    // A stream begins with a message, which is not long.
    let stream = start.starts_with(&NEXT) && matches!(start.get(6..8), Some([0..=3, 0]));
    start.starts_with(MAGIC) || start.starts_with(FEATHER_1) || stream
}

struct Arrow {
    file: File,
    schema: SchemaRef,
    version: MetadataVersion,
    /// Where dictionaries and batches of rows lie, in their order.
    messages: Vec<Block>,
    names: Vec<String>,
}

/// Opens an Arrow file as a table.
pub(super) fn open(path: &Path, opening: Opening<'_>) -> Result<Box<dyn TableFile>, Failure> {
    let unreadable = |e| Failure::unreadable("it", &e);
    let mut file = File::open(path).map_err(unreadable)?;
    let length = file.metadata().map_err(unreadable)?.len();
    let mut start = Vec::new();
    (&mut file)
        .take(8)
        .read_to_end(&mut start)
        .map_err(unreadable)?;
    let found = match start.as_slice() {
        start if start.starts_with(MAGIC) => Arrow::file,
        start if start.starts_with(FEATHER_1) => {
            return Err(Failure::corrupt(
                "it is of the first version of Feather; read and save it again with pyarrow",
            ));
        }
        start if start.starts_with(&NEXT) => Arrow::stream,
        _ => return Err(damaged("it does not begin as an Arrow file does")),
    };
    let source = contained(|| found(file, length, opening))?;
    Ok(Box::new(TypedTable::new(source, opening)))
}

/// The description at the end of a file, and where it begins.
fn footer(file: &mut File, length: u64) -> Result<(Vec<u8>, u64), Failure> {
    let short = || damaged("its end is missing");
    let mut last = [0; 10];
    let read = file
        .seek(SeekFrom::End(-10))
        .and_then(|_| file.read_exact(&mut last));
    let [a, b, c, d, magic @ ..] = last;
    if read.is_err() || length <= 18 || magic != MAGIC {
        return Err(short());
    }
    let size = u64::try_from(i32::from_le_bytes([a, b, c, d])).map_err(|_| short())?;
    let begin = (length - 10).checked_sub(size).filter(|at| *at >= 8);
    let begin = begin.filter(|_| size <= HEAD).ok_or_else(short)?;
    let mut footer = vec![0; usize::try_from(size).unwrap_or(0)];
    file.seek(SeekFrom::Start(begin))
        .and_then(|_| file.read_exact(&mut footer))
        .map_err(|e| Failure::unreadable("it", &e))?;
    Ok((footer, begin))
}

impl Arrow {
    /// A file says at its end where its parts lie.
    fn file(mut file: File, length: u64, opening: Opening<'_>) -> Result<Self, Failure> {
        let (footer, end) = footer(&mut file, length)?;
        let footer = arrow_ipc::root_as_footer(&footer);
        let footer = footer.map_err(|_| damaged("its end is none"))?;
        let schema = footer.schema().ok_or_else(|| damaged("it has no schema"))?;
        let schema = Arc::new(try_fb_to_schema(schema).map_err(undecoded)?);
        let dictionaries = footer.dictionaries().into_iter().flatten();
        let batches = footer.recordBatches().into_iter().flatten();
        let messages: Vec<Block> = dictionaries.chain(batches).copied().collect();
        for block in &messages {
            let head = u64::try_from(block.metaDataLength()).unwrap_or(u64::MAX);
            let fits = block.offset() >= 8 && block.bodyLength() >= 0 && head <= HEAD;
            if !fits || block_end(block)? > end {
                return Err(damaged("a part lies behind its end"));
            }
        }
        Self::of(file, schema, footer.version(), messages, opening)
    }

    /// A stream is one message after the other.
    fn stream(mut file: File, length: u64, opening: Opening<'_>) -> Result<Self, Failure> {
        let mut at = 0;
        let mut found: Option<(SchemaRef, MetadataVersion)> = None;
        let mut messages = Vec::new();
        while let Some((block, head)) = next(&mut file, at, length)? {
            let message = parsed(&head)?;
            match message.header_type() {
                MessageHeader::Schema if found.is_none() => {
                    let schema = message.header_as_schema().map(try_fb_to_schema);
                    let schema = schema.ok_or_else(|| damaged("it has no schema"))?;
                    let schema = schema.map_err(undecoded)?;
                    found = Some((Arc::new(schema), message.version()));
                }
                MessageHeader::DictionaryBatch | MessageHeader::RecordBatch if found.is_some() => {
                    messages.push(block);
                }
                _ => return Err(damaged("its parts are out of order")),
            }
            at = block_end(&block)?;
        }
        let (schema, version) = found.ok_or_else(|| damaged("it has no schema"))?;
        Self::of(file, schema, version, messages, opening)
    }

    fn of(
        file: File,
        schema: SchemaRef,
        version: MetadataVersion,
        messages: Vec<Block>,
        opening: Opening<'_>,
    ) -> Result<Self, Failure> {
        let names = columns::names(&schema)?;
        if messages.len() > BATCHES {
            return Err(Failure::exhausted("it has too many batches of rows"));
        }
        Ok(Self {
            file,
            schema,
            version,
            messages,
            names: named(names, opening.header),
        })
    }

    /// All bytes of a message.
    fn bytes(&mut self, block: &Block) -> Result<Vec<u8>, Failure> {
        let unreadable = |e| Failure::unreadable("it", &e);
        let end = block_end(block)?;
        let begin = u64::try_from(block.offset()).unwrap_or(0);
        let mut bytes = vec![0; usize::try_from(end - begin).unwrap_or(usize::MAX)];
        self.file.seek(SeekFrom::Start(begin)).map_err(unreadable)?;
        self.file.read_exact(&mut bytes).map_err(unreadable)?;
        Ok(bytes)
    }
}

/// The message at a place, without its data: where it lies, and its head; `None` at the end of all.
fn next(file: &mut File, at: u64, length: u64) -> Result<Option<(Block, Vec<u8>)>, Failure> {
    let unreadable = |e| Failure::unreadable("it", &e);
    file.seek(SeekFrom::Start(at)).map_err(unreadable)?;
    let mut mark = [0; 8];
    let short = || damaged("its end is missing");
    // A stream that ends without a word may have lost rows.
    file.read_exact(&mut mark).map_err(|_| short())?;
    let [a, b, c, d, size @ ..] = mark;
    if [a, b, c, d] != NEXT {
        return Err(damaged("a part does not begin as one does"));
    }
    let size = u64::try_from(i32::from_le_bytes(size)).unwrap_or(u64::MAX);
    if size == 0 {
        return Ok(None);
    }
    let left = length.saturating_sub(at).saturating_sub(8);
    if size > left.min(HEAD) {
        return Err(short());
    }
    let mut head = vec![0; usize::try_from(size).unwrap_or(0)];
    file.read_exact(&mut head).map_err(unreadable)?;
    let body = parsed(&head)?.bodyLength();
    let fits = u64::try_from(body).is_ok_and(|body| body <= left - size);
    let (offset, size) = (i64::try_from(at), i32::try_from(size.saturating_add(8)));
    match (fits, offset, size) {
        (true, Ok(offset), Ok(size)) => Ok(Some((Block::new(offset, size, body), head))),
        _ => Err(short()),
    }
}

/// The message at the beginning of these bytes; old ones have no mark before their length.
fn first(bytes: &[u8]) -> Result<Message<'_>, Failure> {
    let prefix = if bytes.starts_with(&NEXT) { 8 } else { 4 };
    parsed(bytes.get(prefix..).unwrap_or_default())
}

fn parsed(head: &[u8]) -> Result<Message<'_>, Failure> {
    arrow_ipc::root_as_message(head).map_err(|_| damaged("a part is no message"))
}

/// Where a message ends.
fn block_end(block: &Block) -> Result<u64, Failure> {
    let size = i64::from(block.metaDataLength());
    let end = block.offset().checked_add(size);
    let end = end.and_then(|end| end.checked_add(block.bodyLength()));
    end.and_then(|end| u64::try_from(end).ok())
        .ok_or_else(|| damaged("a part has no end"))
}

/// Looks at what the parts of a batch say of themselves, before they are expanded: within the message, and not larger than anything real.
fn judge(block: &Block, bytes: &[u8]) -> Result<(), Failure> {
    let head = usize::try_from(block.metaDataLength()).unwrap_or(0);
    let message = first(bytes.get(..head).unwrap_or_default())?;
    let body = bytes.get(head..).unwrap_or_default();
    let batch = match message.header_type() {
        MessageHeader::DictionaryBatch => {
            { message.header_as_dictionary_batch() }.and_then(|d| d.data())
        }
        _ => message.header_as_record_batch(),
    };
    let batch = batch.ok_or_else(|| damaged("a batch has no data"))?;
    let compressed = match batch.compression() {
        None => false,
        Some(by) if [CompressionType::LZ4_FRAME, CompressionType::ZSTD].contains(&by.codec()) => {
            true
        }
        Some(_) => return Err(damaged("it is compressed in no known way")),
    };
    let mut expanded: u64 = 0;
    for buffer in batch.buffers().iter().flatten() {
        let (offset, length) = (buffer.offset(), buffer.length());
        let part = usize::try_from(offset)
            .ok()
            .zip(usize::try_from(length).ok());
        let part = part.and_then(|(o, l)| body.get(o..o.checked_add(l)?));
        let part = part.ok_or_else(|| damaged("a column lies outside its batch"))?;
        let said = match part.first_chunk::<8>() {
            // -1: as it is.
            Some(said) if compressed => i64::from_le_bytes(*said).max(0),
            _ => 0,
        };
        let said = u64::try_from(said).unwrap_or(0);
        let stored = u64::try_from(part.len()).unwrap_or(0);
        if said > stored.saturating_mul(RATIO) {
            return Err(damaged("a column says that it is larger than it can be"));
        }
        expanded = expanded.saturating_add(said);
    }
    if expanded > EXPANDED {
        return Err(Failure::exhausted(format!(
            "one of its batches of rows expands to more than {EXPANDED} bytes; save it with fewer rows in each"
        )));
    }
    Ok(())
}

impl Typed for Arrow {
    fn names(&self) -> &[String] {
        &self.names
    }

    fn no_numbers(&self, place: usize) -> Option<String> {
        let field = self.schema.fields().get(place)?;
        columns::no_numbers(field.data_type())
    }

    fn rows(&mut self, bound: usize) -> Result<usize, Failure> {
        let mut rows: usize = 0;
        for block in self.messages.clone() {
            let head = usize::try_from(block.metaDataLength()).unwrap_or(0);
            let begin = u64::try_from(block.offset()).unwrap_or(0);
            let mut bytes = vec![0; head];
            self.file
                .seek(SeekFrom::Start(begin))
                .and_then(|_| self.file.read_exact(&mut bytes))
                .map_err(|e| Failure::unreadable("it", &e))?;
            let message = first(&bytes)?;
            let of_batch = message.header_as_record_batch().map_or(0, |b| b.length());
            rows = rows.saturating_add(usize::try_from(of_batch).unwrap_or(0));
            if rows >= bound {
                break;
            }
        }
        Ok(rows)
    }

    fn read(&mut self, places: &[usize], each: &mut dyn Each) -> Result<u64, Failure> {
        let order: BTreeMap<usize, usize> = { places.iter().copied() }
            .enumerate()
            .map(|(which, place)| (place, which))
            .collect();
        let asked: Vec<usize> = order.keys().copied().collect();
        let order: Vec<usize> = order.into_values().collect();
        contained(|| {
            let decoder = FileDecoder::new(Arc::clone(&self.schema), self.version);
            let mut decoder = decoder.with_projection(asked);
            let mut before: u64 = 0;
            for block in self.messages.clone() {
                let bytes = self.bytes(&block)?;
                judge(&block, &bytes)?;
                let dictionary = first(&bytes)?.header_type() == MessageHeader::DictionaryBatch;
                let buffer = Buffer::from_vec(bytes);
                if dictionary {
                    decoder
                        .read_dictionary(&block, &buffer)
                        .map_err(undecoded)?;
                    continue;
                }
                let batch = decoder.read_record_batch(&block, &buffer);
                let Some(batch) = batch.map_err(undecoded)? else {
                    continue;
                };
                columns::show(&batch, &order, before, each)?;
                let rows = u64::try_from(batch.num_rows()).unwrap_or(0);
                before = before.saturating_add(rows);
            }
            Ok(before)
        })
    }
}

fn undecoded(error: ArrowError) -> Failure {
    let why: String = error.to_string().chars().take(200).collect();
    damaged(why)
}
