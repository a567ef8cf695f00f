//! Columns of another table of the same node that a table is widened by.
//!
//! Each row of a table finds at most one row of the other by a key. Its own rows, their order and their places stay what they are, so
//! steps and subsets know nothing of it.

use serde::{Deserialize, Serialize};

use crate::ids::DatasetName;

/// Most joins of a table.
pub const MAX_JOINS: usize = 8;

/// What is looked up in another table for each row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Join {
    /// The other table, a dataset of the task.
    pub dataset: DatasetName,
    /// The column of this table that is compared. It need not be declared: being a key, it reaches no graph.
    pub key: String,
    /// Its name in the other table, where it is another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub right_key: Option<String>,
    /// Which rows of this table are there.
    pub how: How,
    /// Declared columns of the other table, which steps read as columns of this one.
    pub columns: Vec<String>,
}

/// Which rows of a table a join leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum How {
    /// All; what a row does not find is missing.
    Left,
    /// Those that find a row.
    Inner,
}

impl Join {
    /// The column of the other table that is compared.
    #[must_use]
    pub fn other_key(&self) -> &str {
        self.right_key.as_deref().unwrap_or(&self.key)
    }

    /// Whether a column of this name, blanks around it or not, is looked up.
    #[must_use]
    pub fn brings(&self, column: &str) -> bool {
        let mut columns = self.columns.iter();
        columns.any(|c| c.trim() == column.trim())
    }
}
