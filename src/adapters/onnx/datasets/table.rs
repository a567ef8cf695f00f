//! Tables: `.csv` with commas, `.tsv` and `.txt` with white space, as in the original node.
//!
//! Read once from top to bottom; only declared columns are kept, as `f64`. An empty cell, `NA` or `null` is NaN.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::Path;

use super::{Rows, extension, unreadable};
use crate::convert::{narrow, whole};
use crate::failure::Failure;
use delta_domain::manifest::DataField;
use delta_domain::tensor::{Tensor, TensorData};

pub(super) struct Table {
    columns: BTreeMap<String, Vec<f64>>,
    rows: usize,
}

impl Table {
    pub(super) fn load(path: &Path, columns: &[String], header: bool) -> Result<Self, Failure> {
        let mut lines = Lines::open(path)?;
        let mut names: Option<Vec<String>> = None;
        let mut wanted: Vec<(usize, String)> = Vec::new();
        let mut kept: Vec<Vec<f64>> = vec![Vec::new(); columns.len()];
        let mut rows = 0usize;
        let mut width = 0;
        while let Some((line, cells)) = lines.next()? {
            let cells: Vec<&str> = cells.iter().map(|c| c.trim()).collect();
            if names.is_none() {
                let found = header_names(&cells, header);
                wanted = positions(&found, columns)?;
                width = found.len();
                names = Some(found);
                if header {
                    continue;
                }
            }
            if cells.len() != width {
                return Err(Failure::corrupt(format!(
                    "line {line} has {} cells, the first line has {width}",
                    cells.len()
                )));
            }
            for ((position, name), values) in wanted.iter().zip(&mut kept) {
                let cell = cells.get(*position).copied().unwrap_or_default();
                values.push(number(cell).ok_or_else(|| {
                    let cell: String = cell.chars().take(40).collect();
                    Failure::corrupt(format!(
                        "line {line}, column {name:?}: {cell:?} is not a number"
                    ))
                })?);
            }
            rows += 1;
        }
        if names.is_none() {
            return Err(Failure::corrupt("the file is empty"));
        }
        Ok(Self {
            columns: columns.iter().cloned().zip(kept).collect(),
            rows,
        })
    }

    fn column(&self, name: &str) -> Result<&[f64], Failure> {
        self.columns.get(name).map(Vec::as_slice).ok_or_else(|| {
            Failure::refused(format!(
                "the task reads column {name:?} without declaring it"
            ))
        })
    }
}

impl Rows for Table {
    fn len(&self) -> usize {
        self.rows
    }

    fn read(&mut self, field: &DataField, rows: &[usize]) -> Result<Tensor, Failure> {
        let gather =
            |names: &[String]| -> Result<Vec<f64>, Failure> {
                let columns = names
                    .iter()
                    .map(|n| self.column(n))
                    .collect::<Result<Vec<_>, _>>()?;
                let mut out = Vec::with_capacity(rows.len().saturating_mul(columns.len()));
                for &row in rows {
                    for column in &columns {
                        out.push(column.get(row).copied().ok_or_else(|| {
                            Failure::internal(format!("row {row} of {}", self.rows))
                        })?);
                    }
                }
                Ok(out)
            };
        let (shape, data) = match field {
            DataField::Columns(names) => (
                vec![rows.len(), names.len()],
                TensorData::F64(gather(names)?),
            ),
            DataField::ColumnsF32(names) => (
                vec![rows.len(), names.len()],
                TensorData::F32(gather(names)?.into_iter().map(narrow).collect()),
            ),
            DataField::ColumnI64(name) => {
                let values = gather(std::slice::from_ref(name))?;
                let numbers = rows.iter().zip(values).map(|(row, x)| {
                    whole(x).ok_or_else(|| {
                        Failure::corrupt(format!(
                            "row {} (from 0), column {name:?}: {x} is not a whole number",
                            row
                        ))
                    })
                });
                (
                    vec![rows.len()],
                    TensorData::I64(numbers.collect::<Result<_, _>>()?),
                )
            }
            DataField::X | DataField::Y => {
                return Err(Failure::refused(
                    "a table has columns; x and y are fields of samples",
                ));
            }
        };
        Tensor::new(shape, data).map_err(|e| Failure::internal(e.to_string()))
    }
}

/// Checks the columns against the first line, reading nothing else.
pub(super) fn inspect(path: &Path, columns: &[String], header: bool) -> Result<(), Failure> {
    let mut lines = Lines::open(path)?;
    let (_, first) = lines
        .next()?
        .ok_or_else(|| Failure::corrupt("the file is empty"))?;
    let cells: Vec<&str> = first.iter().map(|c| c.trim()).collect();
    positions(&header_names(&cells, header), columns)?;
    Ok(())
}

/// Number of columns, and lines up to a bound: for summaries.
pub(super) fn size(path: &Path, bound: usize) -> Result<(usize, usize), Failure> {
    let mut lines = Lines::open(path)?;
    let width = lines.next()?.map_or(0, |(_, cells)| cells.len());
    let mut rows = 0;
    while rows < bound && lines.next()?.is_some() {
        rows += 1;
    }
    Ok((width, rows))
}

/// Whether the file looks like a table.
pub(super) fn is_table(path: &Path) -> bool {
    matches!(extension(path).as_str(), "csv" | "tsv" | "txt")
}

fn header_names(cells: &[&str], header: bool) -> Vec<String> {
    if header {
        cells.iter().map(|c| (*c).to_owned()).collect()
    } else {
        (0..cells.len()).map(|i| i.to_string()).collect()
    }
}

fn positions(names: &[String], columns: &[String]) -> Result<Vec<(usize, String)>, Failure> {
    let place = |column: &String| {
        names
            .iter()
            .position(|n| n == column)
            .map(|at| (at, column.clone()))
    };
    let missing: Vec<&String> = columns.iter().filter(|c| place(c).is_none()).collect();
    if missing.is_empty() {
        return Ok(columns.iter().filter_map(place).collect());
    }
    let present: Vec<&String> = names.iter().take(200).collect();
    Err(Failure::corrupt(format!(
        "the columns {missing:?} are missing; the file has {present:?}"
    )))
}

fn number(cell: &str) -> Option<f64> {
    match cell {
        "" | "NA" | "N/A" | "null" => Some(f64::NAN),
        cell => cell.parse().ok(),
    }
}

/// Cells of one line after the other.
struct Lines {
    source: Separated,
    record: Vec<String>,
    /// Of the line last read, from 1.
    number: u64,
}

enum Separated {
    Commas(Box<csv::Reader<File>>),
    White(BufReader<File>),
}

/// A longer line is no line of a table.
const LINE_BYTES: u64 = 16 << 20;

impl Lines {
    fn open(path: &Path) -> Result<Self, Failure> {
        if !is_table(path) {
            return Err(Failure::corrupt(
                "the task expects a table: a file whose name ends in .csv, .tsv or .txt",
            ));
        }
        let file = File::open(path).map_err(|e| unreadable("it", &e))?;
        let source = if extension(path) == "csv" {
            Separated::Commas(Box::new(
                csv::ReaderBuilder::new()
                    .has_headers(false)
                    .flexible(true)
                    .from_reader(file),
            ))
        } else {
            Separated::White(BufReader::new(file))
        };
        Ok(Self {
            source,
            record: Vec::new(),
            number: 0,
        })
    }

    /// The next line that is not blank, and its number.
    fn next(&mut self) -> Result<Option<(u64, &[String])>, Failure> {
        match &mut self.source {
            Separated::Commas(reader) => {
                let mut record = csv::ByteRecord::new();
                if !reader
                    .read_byte_record(&mut record)
                    .map_err(|e| Failure::corrupt(format!("it is not a table of commas: {e}")))?
                {
                    return Ok(None);
                }
                self.number = record.position().map_or(0, csv::Position::line);
                // A mark that some editors put at the beginning is no part of the first name.
                self.record = record
                    .iter()
                    .map(|c| {
                        String::from_utf8_lossy(c)
                            .trim_start_matches('\u{feff}')
                            .to_owned()
                    })
                    .collect();
            }
            Separated::White(reader) => {
                use std::io::Read as _;
                loop {
                    let mut line = Vec::new();
                    let read = reader
                        .by_ref()
                        .take(LINE_BYTES)
                        .read_until(b'\n', &mut line)
                        .map_err(|e| unreadable("it", &e))?;
                    if read == 0 {
                        return Ok(None);
                    }
                    self.number += 1;
                    if !line.ends_with(b"\n") && u64::try_from(read) == Ok(LINE_BYTES) {
                        return Err(Failure::corrupt(format!(
                            "line {} is longer than {LINE_BYTES} bytes",
                            self.number
                        )));
                    }
                    let text = String::from_utf8_lossy(&line);
                    let cells: Vec<String> = text
                        .trim_start_matches('\u{feff}')
                        .split_whitespace()
                        .map(str::to_owned)
                        .collect();
                    if !cells.is_empty() {
                        self.record = cells;
                        break;
                    }
                }
            }
        }
        Ok(Some((self.number, &self.record)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str, text: &str) -> (tempfile::TempDir, std::path::PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        (dir, path)
    }

    fn names(list: &[&str]) -> Vec<String> {
        list.iter().map(|s| (*s).to_owned()).collect()
    }

    #[test]
    fn declared_columns_come_in_the_asked_order_and_empty_cells_are_nan() {
        let (_dir, path) = file("t.csv", "\u{feff}a,b,\"c, d\"\n1,,x\n-2.5e1,4,\"y\"\n");
        let mut table = Table::load(&path, &names(&["b", "a"]), true).unwrap();
        assert_eq!(table.len(), 2);
        let read = table
            .read(&DataField::Columns(names(&["a", "b"])), &[1, 0])
            .unwrap();
        let TensorData::F64(v) = read.data() else {
            panic!()
        };
        assert_eq!(
            (&v[..3], v[3].is_nan(), read.shape()),
            (&[-25.0, 4.0, 1.0][..], true, &[2, 2][..])
        );
        assert!(
            table
                .read(&DataField::Columns(names(&["c, d"])), &[0])
                .is_err(),
            "not declared"
        );
    }

    #[test]
    fn white_space_tables_without_header_are_named_by_position() {
        let (_dir, path) = file("t.txt", "  1  2\t3\n\n4 5 6");
        let mut table = Table::load(&path, &names(&["0", "2"]), false).unwrap();
        assert_eq!(
            table
                .read(&DataField::ColumnI64("2".into()), &[0, 1])
                .unwrap()
                .data(),
            &TensorData::I64(vec![3, 6])
        );
        assert_eq!(
            table
                .read(&DataField::ColumnsF32(names(&["0"])), &[1])
                .unwrap()
                .data(),
            &TensorData::F32(vec![4.0])
        );
    }

    #[test]
    fn errors_name_line_column_and_what_is_there() {
        let (_dir, path) = file("t.csv", "a,b\n1,2\n3,maybe\n");
        let missing = inspect(&path, &names(&["a", "z"]), true)
            .unwrap_err()
            .message;
        assert!(
            missing.contains("[\"z\"]") && missing.contains("[\"a\", \"b\"]"),
            "{missing}"
        );
        let bad = Table::load(&path, &names(&["b"]), true)
            .err()
            .unwrap()
            .message;
        assert!(
            bad.contains("line 3") && bad.contains("\"b\"") && bad.contains("maybe"),
            "{bad}"
        );
        assert!(
            Table::load(&path, &names(&["a"]), true).is_ok(),
            "columns that no one reads may hold anything"
        );
        let (_dir, ragged) = file("t.tsv", "a b\n1\n");
        assert!(
            Table::load(&ragged, &names(&["a"]), true)
                .err()
                .unwrap()
                .message
                .contains("line 2 has 1 cells")
        );
    }
}
