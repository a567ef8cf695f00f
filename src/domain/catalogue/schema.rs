//! Where the catalogue stands in the JSON Schema of policy files.

use super::said::SaidForm;

/// What stands beside a dataset's rules.
#[derive(schemars::JsonSchema)]
#[expect(dead_code, reason = "only its schema is looked at")]
pub(crate) struct Beside {
    /// What others may read about this dataset. Without it nothing is published, not even its name.
    catalogue: Option<SaidForm>,
    /// The question to a database whose answers are this dataset.
    query: Option<crate::query::QueryForm>,
}
