//! Answers of real databases, as a reader of Parquet finds them.

mod keeping;
mod mariadb;
mod postgres;
mod servers;
mod sqlite;

use std::path::Path;

use arrow_array::{Array as _, RecordBatch};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::*;
use delta_domain::query::QueryForm;

/// A folder of answers.
struct Folder {
    dir: tempfile::TempDir,
    databases: Databases,
}

impl Folder {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let databases = Databases::new(dir.path().to_owned());
        Self { dir, databases }
    }

    async fn take(&self, query: QueryForm) -> Result<Snapshot, PortError> {
        let query = query.check("t.parquet").expect("a query");
        self.databases.take(&name(), &query, &|| true).await
    }

    fn file(&self) -> std::path::PathBuf {
        self.dir.path().join("t.parquet")
    }

    /// What else is there.
    fn left(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.dir.path()).unwrap();
        let names = entries.map(|e| e.unwrap().file_name().into_string().unwrap());
        names
            .filter(|name| name != "t.parquet" && name != ".t.parquet.lock")
            .collect()
    }
}

fn name() -> DatasetName {
    "t.parquet".parse().unwrap()
}

/// The columns of an answer, one line each: name, type, cells.
fn lines(path: &Path) -> Vec<String> {
    let file = std::fs::File::open(path).unwrap();
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
    let schema = reader.schema().clone();
    let batches: Vec<RecordBatch> = reader.build().unwrap().map(Result::unwrap).collect();
    let line = |(at, field): (usize, &std::sync::Arc<arrow_schema::Field>)| {
        let cells = batches.iter().flat_map(|batch| {
            let column = batch.column(at).clone();
            (0..column.len()).map(move |row| shown(&column, row))
        });
        let cells: Vec<String> = cells.collect();
        format!(
            "{} {}: {}",
            field.name(),
            field.data_type(),
            cells.join(" | ")
        )
    };
    schema.fields().iter().enumerate().map(line).collect()
}

fn shown(column: &arrow_array::ArrayRef, row: usize) -> String {
    use arrow_array::cast::AsArray as _;
    use arrow_array::types::{
        Date32Type, Float32Type, Float64Type, Int64Type, TimestampMicrosecondType, UInt64Type,
    };
    use arrow_schema::DataType as T;
    if column.is_null(row) {
        return "-".to_owned();
    }
    match column.data_type() {
        T::Int64 => column.as_primitive::<Int64Type>().value(row).to_string(),
        T::UInt64 => column.as_primitive::<UInt64Type>().value(row).to_string(),
        T::Float32 => format!("{:?}", column.as_primitive::<Float32Type>().value(row)),
        T::Float64 => format!("{:?}", column.as_primitive::<Float64Type>().value(row)),
        T::Date32 => column.as_primitive::<Date32Type>().value(row).to_string(),
        T::Timestamp(..) => {
            let moments = column.as_primitive::<TimestampMicrosecondType>();
            moments.value(row).to_string()
        }
        T::Boolean => column.as_boolean().value(row).to_string(),
        T::Utf8 => column.as_string::<i32>().value(row).to_owned(),
        other => panic!("{other} is no type of an answer"),
    }
}
