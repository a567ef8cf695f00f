//! An answer as a Parquet file, written while it comes: never more of it is in memory than a group of rows.

use std::collections::BTreeSet;
use std::fs::File;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::{Schema, SchemaRef};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use delta_domain::query::{MARK, Query};

use crate::cell::{Cell, Column, Head};
use crate::failure::Failure;

/// Rows and bytes of texts that are handed to the file at a time.
const BATCH_ROWS: usize = 8192;
const BATCH_BYTES: usize = 4 << 20;
/// Rows and bytes that are in memory before they go to the disk.
const GROUP_ROWS: usize = 1 << 20;
const GROUP_BYTES: usize = 32 << 20;
/// Most columns of an answer.
const MOST_COLUMNS: usize = 10_000;
/// Longest name of a column, in bytes.
const LONGEST_NAME: usize = 1024;
/// Longest text of a cell, in bytes.
pub(crate) const LONGEST_CELL: usize = 16 << 20;

/// An answer of which nothing has come yet.
pub(crate) struct Answer {
    file: File,
    mark: String,
}

/// An answer that is whole, in a file that is on disk.
pub(crate) struct Whole {
    pub(crate) file: File,
    pub(crate) rows: u64,
    pub(crate) columns: Vec<Head>,
}

/// An answer that comes, row by row.
pub(crate) struct Rows {
    heads: Vec<Head>,
    schema: SchemaRef,
    columns: Vec<Column>,
    /// The column of the next cell.
    next: usize,
    /// Rows so far, of them those that wait, and the bytes of their texts.
    rows: u64,
    waiting: usize,
    bytes: usize,
    batches: mpsc::Sender<RecordBatch>,
    writer: JoinHandle<Result<File, Failure>>,
}

impl Answer {
    /// Into an empty file, marked with the query that it is of.
    pub(crate) fn begin(file: File, query: &Query) -> Self {
        Self {
            file,
            mark: query.digest().to_string(),
        }
    }

    /// Once it is known what it is made of.
    pub(crate) fn of(self, heads: Vec<Head>) -> Result<Rows, Failure> {
        fits(&heads)?;
        let fields: Vec<_> = heads.iter().map(Head::field).collect();
        let schema = Arc::new(Schema::new(fields));
        let (batches, coming) = mpsc::channel(1);
        let (file, form) = (self.file, schema.clone());
        let properties = properties(self.mark);
        let writer = tokio::task::spawn_blocking(move || write(file, form, properties, coming));
        Ok(Rows {
            columns: heads.iter().map(|head| Column::of(head.kind)).collect(),
            heads,
            schema,
            next: 0,
            rows: 0,
            waiting: 0,
            bytes: 0,
            batches,
            writer,
        })
    }
}

/// Names are what tasks ask for columns by.
fn fits(heads: &[Head]) -> Result<(), Failure> {
    if heads.is_empty() || heads.len() > MOST_COLUMNS {
        return Err(Failure::rejected(format!(
            "the query has {} columns; it must have from 1 to {MOST_COLUMNS}",
            heads.len()
        )));
    }
    let mut seen = BTreeSet::new();
    for (place, head) in heads.iter().enumerate() {
        let name = head.name.as_str();
        if name.trim().is_empty() || name == "?column?" || name.len() > LONGEST_NAME {
            return Err(Failure::rejected(format!(
                "column {} has no name that tasks can use: name it in the query with AS",
                place + 1
            )));
        }
        if !seen.insert(name) {
            return Err(Failure::rejected(format!(
                "two columns are called {name:?}: name them apart in the query with AS"
            )));
        }
    }
    Ok(())
}

impl Rows {
    pub(crate) fn heads(&self) -> &[Head] {
        &self.heads
    }

    /// The next cell of the row.
    pub(crate) fn cell(&mut self, cell: Cell<'_>) -> Result<(), Failure> {
        let place = self.next;
        self.next += 1;
        if let Cell::Text(text) = cell {
            if text.len() > LONGEST_CELL {
                return Err(self.wrong(place, "a text is longer than 16 MiB"));
            }
            self.bytes = self.bytes.saturating_add(text.len());
        }
        let Some(column) = self.columns.get_mut(place) else {
            return Err(Failure::internal("a row has more cells than columns"));
        };
        column.push(cell).map_err(|what| self.wrong(place, what))
    }

    /// The next cell could not be read.
    pub(crate) fn wrong(&self, place: usize, what: impl std::fmt::Display) -> Failure {
        let name = self.heads.get(place).map_or("", |head| head.name.as_str());
        Failure::cell(name, self.rows + 1, what)
    }

    /// The row is whole. A batch that is due must be handed on.
    fn row(&mut self) -> Result<Option<RecordBatch>, Failure> {
        if self.next != self.columns.len() {
            return Err(Failure::internal("a row has fewer cells than columns"));
        }
        self.next = 0;
        self.rows += 1;
        self.waiting += 1;
        match self.waiting >= BATCH_ROWS || self.bytes >= BATCH_BYTES {
            true => self.batch().map(Some),
            false => Ok(None),
        }
    }

    fn batch(&mut self) -> Result<RecordBatch, Failure> {
        let columns = self.columns.iter_mut().map(Column::finish).collect();
        (self.waiting, self.bytes) = (0, 0);
        RecordBatch::try_new(self.schema.clone(), columns)
            .map_err(|e| Failure::internal(format!("cells do not make a table: {e}")))
    }

    /// The row is whole.
    pub(crate) async fn end_row(&mut self) -> Result<(), Failure> {
        if let Some(batch) = self.row()? {
            // Where nobody takes it the writer has failed, and says so at the end.
            if self.batches.send(batch).await.is_err() {
                return Err(self.lost().await);
            }
        }
        Ok(())
    }

    /// The row is whole; on a thread that may wait.
    pub(crate) fn end_row_blocking(&mut self) -> Result<(), Failure> {
        if let Some(batch) = self.row()?
            && self.batches.blocking_send(batch).is_err()
        {
            return Err(Failure::internal("the answer's file takes no more rows"));
        }
        Ok(())
    }

    /// Why the writer has stopped.
    async fn lost(&mut self) -> Failure {
        match (&mut self.writer).await {
            Ok(Err(failure)) => failure,
            Ok(Ok(_)) | Err(_) => Failure::internal("writing the answer broke off"),
        }
    }

    /// There are no more rows.
    pub(crate) async fn finish(mut self) -> Result<Whole, Failure> {
        // One without rows says what it is made of as well.
        let batch = self.batch()?;
        if self.batches.send(batch).await.is_err() {
            return Err(self.lost().await);
        }
        drop(self.batches);
        let file = match self.writer.await {
            Ok(written) => written?,
            Err(_) => return Err(Failure::internal("writing the answer broke off")),
        };
        Ok(Whole {
            file,
            rows: self.rows,
            columns: self.heads,
        })
    }
}

/// The same rows are the same bytes: nothing of the time or the place goes into the file.
fn properties(mark: String) -> WriterProperties {
    let mark = KeyValue::new(MARK.to_owned(), mark);
    WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_created_by("delta-node".to_owned())
        .set_max_row_group_row_count(Some(GROUP_ROWS))
        .set_key_value_metadata(Some(vec![mark]))
        .build()
}

fn write(
    file: File,
    schema: SchemaRef,
    properties: WriterProperties,
    mut coming: mpsc::Receiver<RecordBatch>,
) -> Result<File, Failure> {
    let mut writer = ArrowWriter::try_new(file, schema, Some(properties)).map_err(unwritten)?;
    while let Some(batch) = coming.blocking_recv() {
        writer.write(&batch).map_err(unwritten)?;
        if writer.memory_size() >= GROUP_BYTES {
            writer.flush().map_err(unwritten)?;
        }
    }
    let file = writer.into_inner().map_err(unwritten)?;
    let synced = file.sync_all();
    synced.map_err(|e| Failure::io("write", "the answer".as_ref(), &e))?;
    Ok(file)
}

fn unwritten(error: ParquetError) -> Failure {
    let io = match &error {
        ParquetError::External(inner) => inner.downcast_ref::<std::io::Error>(),
        _ => None,
    };
    match io {
        Some(e) => Failure::io("write", "the answer".as_ref(), e),
        None => Failure::internal(format!("the answer cannot be written: {error}")),
    }
}
