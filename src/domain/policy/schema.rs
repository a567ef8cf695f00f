//! The JSON Schema of policy files, made from the types that read them.

use super::form::PolicyFile;

/// The schema as it stands in `config/policy.schema.json`: indented, with a final newline.
#[must_use]
pub fn schema_json() -> String {
    let schema = schemars::schema_for!(PolicyFile);
    format!("{:#}\n", schema.as_value())
}
