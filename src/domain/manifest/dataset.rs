//! Data of a member's own: what a dataset must look like, and which rows and columns of it a task reads.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::column_type::ColumnType;
use super::join::Join;
use crate::tensor::DType;

/// What a dataset must look like.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum DatasetSpec {
    /// Rows and named columns (`.csv`, `.tsv`, `.txt`). Every used column is numeric or has a type; an empty cell is NaN.
    Table {
        /// Columns that the task reads. A file without a header line has the names `0`, `1`, ...
        columns: Vec<String>,
        /// Whether the first line of the file holds names.
        #[serde(default = "yes")]
        header: bool,
        /// Columns whose cells are not numbers, and what they are.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        types: BTreeMap<String, ColumnType>,
        /// Columns of other tables that its rows look up.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        joins: Vec<Join>,
    },
    /// Samples with an optional class label: an image folder, class folders, `.npy` or `.npz`.
    Samples {
        /// Shape of one sample, for example `[1, 8, 8]`: channels, height, width.
        shape: Vec<usize>,
        /// Class names in label order: folder names for class folders. Empty when samples have no label.
        #[serde(default)]
        classes: Vec<String>,
    },
    /// One array (`.npy`, `.npz`) used as it is; `null` stands for any length.
    Array {
        /// Expected shape.
        shape: Vec<Option<usize>>,
        /// Element type handed to the graphs (converted from the file's).
        dtype: DType,
    },
}

impl DatasetSpec {
    /// What its rows look up in other tables.
    #[must_use]
    pub fn joins(&self) -> &[Join] {
        match self {
            Self::Table { joins, .. } => joins,
            Self::Samples { .. } | Self::Array { .. } => &[],
        }
    }

    /// What a column of a table is declared to be, where it is no number.
    #[must_use]
    pub fn column_type(&self, column: &str) -> Option<&ColumnType> {
        match self {
            Self::Table { types, .. } => types.get(column),
            Self::Samples { .. } | Self::Array { .. } => None,
        }
    }

    /// Whether steps may read a column of this name: one of the table's own, or one that is looked up.
    #[must_use]
    pub fn declares(&self, column: &str) -> bool {
        match self {
            Self::Table { columns, joins, .. } => {
                let mut all = columns.iter().chain(joins.iter().flat_map(|j| &j.columns));
                all.any(|declared| declared == column)
            }
            Self::Samples { .. } | Self::Array { .. } => false,
        }
    }
}

/// Part of each row of a dataset.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum DataField {
    /// Samples as `f32`, `[rows, ...shape]`; arrays as declared.
    X,
    /// Class labels as `i64`, `[rows]`.
    Y,
    /// Columns of a table as `f64`, `[rows, columns]`.
    Columns(Vec<String>),
    /// Columns of a table as `f32`, `[rows, columns]`.
    ColumnsF32(Vec<String>),
    /// One column of a table as whole numbers, `i64`, `[rows]`.
    ColumnI64(String),
}

impl DataField {
    /// Columns of a table that it has.
    #[must_use]
    pub fn columns(&self) -> &[String] {
        match self {
            Self::X | Self::Y => &[],
            Self::Columns(names) | Self::ColumnsF32(names) => names,
            Self::ColumnI64(name) => std::slice::from_ref(name),
        }
    }
}

/// Some rows of a dataset.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Subset {
    /// The `train/` or `val/` part of a folder that has both.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<Part>,
    /// From this fraction of the rows (in an order drawn from `seed`) ...
    #[serde(default)]
    pub from: f64,
    /// ... up to this one.
    #[serde(default = "whole")]
    pub to: f64,
    /// Seed of that order; 0 keeps the file's order.
    #[serde(default)]
    pub seed: u64,
}

impl Default for Subset {
    fn default() -> Self {
        Self {
            part: None,
            from: 0.0,
            to: 1.0,
            seed: 0,
        }
    }
}

/// A part of a folder dataset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// Samples under `train/`, to learn from.
    Train,
    /// Samples under `val/`, to validate with.
    Val,
}

fn yes() -> bool {
    true
}

fn whole() -> f64 {
    1.0
}
