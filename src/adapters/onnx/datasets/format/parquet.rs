//! Parquet: the columns that are asked for, some thousand rows at a time.
//!
//! Types come from the file, and so do rows. Where parts of the file lie is compared with its length before anything is read.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;

use arrow_schema::SchemaRef;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder,
};
use parquet::basic::Type;
use parquet::errors::ParquetError;

use super::columns;
use crate::datasets::table::{Opening, TableFile};
use crate::datasets::typed::{Each, Typed, TypedTable, contained, damaged, named};
use crate::failure::Failure;
use delta_domain::query::MARK;

/// What a file begins and ends with.
const MAGIC: &[u8] = b"PAR1";
/// What one begins and ends with whose description is encrypted.
const ENCRYPTED: &[u8] = b"PARE";
/// Rows that are in memory at a time.
const BATCH: usize = 8192;

/// Whether a file begins as one of these.
pub(super) fn begins(start: &[u8]) -> bool {
    start.starts_with(MAGIC) || start.starts_with(ENCRYPTED)
}

struct Parquet {
    file: File,
    described: ArrowReaderMetadata,
    names: Vec<String>,
    rows: u64,
}

/// Opens a Parquet file as a table.
pub(super) fn open(path: &Path, opening: Opening<'_>) -> Result<Box<dyn TableFile>, Failure> {
    let (file, length, described) = described(path)?;
    let names = columns::names(described.schema())?;
    // Beyond the years 1677 to 2262 the reader would tell another day.
    let schema = described.parquet_schema();
    if let Some(column) = { schema.columns().iter() }.find(|c| c.physical_type() == Type::INT96) {
        return Err(Failure::corrupt(format!(
            "column {:?} has timestamps of 96 bits, as older Spark and Impala write them; save it with timestamps of 64 bits",
            column.name()
        )));
    }
    let rows = judge(&described, length)?;
    let source = Parquet {
        file,
        names: named(names, opening.header),
        described,
        rows,
    };
    Ok(Box::new(TypedTable::new(source, opening)))
}

/// The digest of the query that a file is the answer to.
pub(super) fn answered(path: &Path) -> Result<Option<String>, Failure> {
    let (_, _, described) = described(path)?;
    let about = described.metadata().file_metadata().key_value_metadata();
    let pair = about.and_then(|all| all.iter().find(|pair| pair.key == MARK));
    Ok(pair.and_then(|pair| pair.value.clone()))
}

/// A file, its length, and what it says of itself.
fn described(path: &Path) -> Result<(File, u64, ArrowReaderMetadata), Failure> {
    let mut file = File::open(path).map_err(|e| Failure::unreadable("it", &e))?;
    let length = ends(&mut file)?;
    let described = contained(|| {
        let options = ArrowReaderOptions::new();
        ArrowReaderMetadata::load(&file, options).map_err(unread)
    })?;
    Ok((file, length, described))
}

/// Looks at both ends of a file; how long it is.
fn ends(file: &mut File) -> Result<u64, Failure> {
    let unreadable = |e| Failure::unreadable("it", &e);
    let length = file.metadata().map_err(unreadable)?.len();
    let (mut first, mut last) = ([0; 4], [0; 4]);
    if length < 12 {
        return Err(damaged("it is too short to be a Parquet file"));
    }
    file.read_exact(&mut first).map_err(unreadable)?;
    file.seek(SeekFrom::End(-4)).map_err(unreadable)?;
    file.read_exact(&mut last).map_err(unreadable)?;
    if first == ENCRYPTED || last == ENCRYPTED {
        return Err(encrypted());
    }
    if first != MAGIC {
        return Err(damaged("it does not begin as a Parquet file does"));
    }
    if last != MAGIC {
        return Err(damaged("its end is missing"));
    }
    Ok(length)
}

/// Compares what a file says of its parts with its length; its rows.
fn judge(described: &ArrowReaderMetadata, length: u64) -> Result<u64, Failure> {
    let metadata = described.metadata();
    let mut rows: u64 = 0;
    for group in metadata.row_groups() {
        let of_group = u64::try_from(group.num_rows()).ok();
        rows = of_group
            .and_then(|of_group| rows.checked_add(of_group))
            .ok_or_else(|| damaged("it says that it has more rows than there are"))?;
        for chunk in group.columns() {
            if chunk.file_path().is_some() {
                return Err(Failure::corrupt(
                    "it is part of a folder of files; save it as one file",
                ));
            }
            let first = chunk.dictionary_page_offset();
            let begin = first.unwrap_or_else(|| chunk.data_page_offset());
            let end = begin.checked_add(chunk.compressed_size());
            let fits = begin >= 0
                && chunk.compressed_size() >= 0
                && end.is_some_and(|end| u64::try_from(end).is_ok_and(|end| end <= length));
            if !fits {
                return Err(damaged("a column lies behind its end"));
            }
        }
    }
    let said = u64::try_from(metadata.file_metadata().num_rows());
    match said == Ok(rows) {
        true => Ok(rows),
        false => Err(damaged("it says two numbers of rows")),
    }
}

impl Parquet {
    fn schema(&self) -> &SchemaRef {
        self.described.schema()
    }
}

impl Typed for Parquet {
    fn names(&self) -> &[String] {
        &self.names
    }

    fn no_numbers(&self, place: usize) -> Option<String> {
        let field = self.schema().fields().get(place)?;
        columns::no_numbers(field.data_type())
    }

    fn rows(&mut self, _bound: usize) -> Result<usize, Failure> {
        usize::try_from(self.rows).map_err(|_| damaged("it says that it has too many rows"))
    }

    fn read(&mut self, places: &[usize], each: &mut dyn Each) -> Result<u64, Failure> {
        let file = self.file.try_clone();
        let file = file.map_err(|e| Failure::unreadable("it", &e))?;
        // Columns come in the order of the file.
        let order: BTreeMap<usize, usize> = { places.iter().copied() }
            .enumerate()
            .map(|(which, place)| (place, which))
            .collect();
        let order: Vec<usize> = order.into_values().collect();
        let rows = self.rows;
        contained(|| {
            let described = self.described.clone();
            let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(file, described);
            let asked = ProjectionMask::roots(reader.parquet_schema(), places.iter().copied());
            let batches = reader
                .with_projection(asked)
                .with_batch_size(BATCH)
                .build()
                .map_err(unread)?;
            let mut before = 0;
            for batch in batches {
                let batch = batch.map_err(|e| damaged(shortened(&e.to_string())))?;
                columns::show(&batch, &order, before, each)?;
                before += u64::try_from(batch.num_rows()).unwrap_or(u64::MAX);
                if before > rows {
                    break;
                }
            }
            match before == rows {
                true => Ok(rows),
                false => Err(damaged("it has other rows than it says")),
            }
        })
    }
}

/// What a decoder says, without what may be long in it.
fn shortened(text: &str) -> String {
    text.chars().take(200).collect()
}

fn encrypted() -> Failure {
    Failure::corrupt("it is encrypted; save it without encryption")
}

fn unread(error: ParquetError) -> Failure {
    match error {
        ParquetError::NYI(what) => Failure::corrupt(format!(
            "it is written in a way that is not read here ({}); save it with the defaults of pandas or polars",
            shortened(&what)
        )),
        error if error.to_string().contains("encrypt") => encrypted(),
        error => damaged(shortened(&error.to_string())),
    }
}
