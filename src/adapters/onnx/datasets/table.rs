//! Tables: named columns of numbers. Only declared columns are kept, as `f64`.

use std::collections::BTreeMap;

use super::join::LookedUp;
use super::keys::KeyCell;
use super::profile::TableProfile;
pub(super) use super::rows::Depth;
use super::rows::Rows;
use crate::convert::{narrow, whole};
use crate::failure::Failure;
use delta_domain::dialect::Dialect;
use delta_domain::manifest::{CellReader, ColumnType, DataField};
use delta_domain::tensor::{Tensor, TensorData};

/// Rows counted at most for a description: it must not read a huge file whole.
const COUNTED: usize = 1_000_000;

/// The declared columns of a table, all of one length.
pub(super) struct Table {
    columns: BTreeMap<String, Vec<f64>>,
    rows: usize,
    /// What its rows look up in other tables.
    joined: Vec<LookedUp>,
}

/// How a table is opened.
#[derive(Debug, Clone, Copy)]
pub(super) struct Opening<'a> {
    /// What its owner says of it.
    pub(super) said: &'a Dialect,
    /// Whether the file names its columns; else they are called by their places: `0`, `1` and so on.
    pub(super) header: bool,
    /// For a task under noise: a cell that is no number is NaN, and so is a whole row of another length, instead of an error. No row decides
    /// over the task, or over how another is read.
    pub(super) noised: bool,
    /// Columns that the task declares to be no numbers.
    pub(super) types: &'a BTreeMap<String, ColumnType>,
}

impl Opening<'_> {
    /// Readers of the columns that are no numbers.
    pub(super) fn readers(&self) -> BTreeMap<String, CellReader> {
        let types = self.types.iter();
        types
            .map(|(column, kind)| (column.clone(), kind.reader(self.said.dates)))
            .collect()
    }
}

/// Where no column has a type.
pub(super) static UNTYPED: BTreeMap<String, ColumnType> = BTreeMap::new();

/// A file of named columns. Text formats get this from their lines (`lines.rs`); a format that stores columns reads them itself.
pub(super) trait TableFile {
    /// Reads `columns` of all rows, and no other column.
    fn load(&mut self, columns: &[String]) -> Result<Table, Failure>;

    /// Checks that all of `columns` are there, and as deep as asked.
    fn inspect(&mut self, columns: &[String], depth: Depth) -> Result<(), Failure>;

    /// Shows the cells of a column of all rows as keys, as deep as asked: whether it is there, or all of them.
    fn keys(
        &mut self,
        column: &str,
        depth: Depth,
        visit: &mut dyn FnMut(KeyCell<'_>),
    ) -> Result<(), Failure>;

    /// Number of columns, and of rows below the first line; at most `bound` rows are counted.
    fn size(&mut self, bound: usize) -> Result<(usize, usize), Failure>;

    /// What is in it, column by column; the first line has the names.
    fn profile(&mut self) -> Result<TableProfile, Failure>;

    /// What its owner should know of how it is read.
    fn notes(&self) -> Vec<String>;
}

impl Table {
    /// Columns by name, each of `rows` values.
    pub(super) fn new(columns: BTreeMap<String, Vec<f64>>, rows: usize) -> Self {
        Self {
            columns,
            rows,
            joined: Vec::new(),
        }
    }

    /// The same, with what its rows look up.
    pub(super) fn with(self, joined: Vec<LookedUp>) -> Self {
        Self { joined, ..self }
    }

    /// Number of rows.
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// A column of its own.
    pub(super) fn own(&self, name: &str) -> Option<&[f64]> {
        self.columns.get(name).map(Vec::as_slice)
    }

    /// The values of some rows in some columns, row by row.
    fn gather(&self, names: &[String], rows: &[usize]) -> Result<Vec<f64>, Failure> {
        if let Some(row) = rows.iter().find(|row| **row >= self.rows) {
            return Err(Failure::internal(format!("row {row} of {}", self.rows)));
        }
        let mut all = vec![f64::NAN; rows.len().saturating_mul(names.len())];
        for (place, name) in names.iter().enumerate() {
            let to = all.iter_mut().skip(place).step_by(names.len()).zip(rows);
            if let Some(own) = self.own(name) {
                for (to, row) in to {
                    *to = own.get(*row).copied().unwrap_or(f64::NAN);
                }
                continue;
            }
            let value = self.joined.iter().find_map(|joined| joined.value(name));
            let value = value.ok_or_else(|| {
                Failure::rejected(format!(
                    "the task reads column {name:?} without declaring it"
                ))
            })?;
            for (to, row) in to {
                *to = value(*row);
            }
        }
        Ok(all)
    }
}

impl Rows for Table {
    fn len(&self) -> usize {
        self.rows
    }

    fn holds(&self, row: usize) -> bool {
        let mut inner = self.joined.iter().filter(|joined| joined.is_inner());
        inner.all(|joined| joined.found(row).is_some())
    }

    fn looked_up(&self) -> &[LookedUp] {
        &self.joined
    }

    fn inspect(&mut self, _depth: Depth) -> Result<(), Failure> {
        // Its file was looked at in its place (`TableFile::inspect`), without keeping it.
        Ok(())
    }

    fn read(&mut self, field: &DataField, rows: &[usize]) -> Result<Tensor, Failure> {
        let gather = |names: &[String]| self.gather(names, rows);
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
                return Err(Failure::rejected(
                    "a table has columns; x and y are fields of samples",
                ));
            }
        };
        Tensor::new(shape, data).map_err(|e| Failure::internal(e.to_string()))
    }
}

/// Rows and columns of a table in words.
pub(super) fn describe(file: &mut dyn TableFile) -> Result<String, Failure> {
    let (columns, rows) = file.size(COUNTED)?;
    let rows = if rows < COUNTED {
        rows.to_string()
    } else {
        format!("more than {COUNTED}")
    };
    let mut told = vec![format!("table, {rows} rows, {columns} columns")];
    told.extend(file.notes());
    Ok(told.join(", "))
}
