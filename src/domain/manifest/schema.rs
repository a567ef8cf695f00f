//! The JSON Schema of `task.json`, made from the types that read it.

use super::Manifest;

/// The schema as it stands in `docs/task.schema.json`: indented, with a final newline.
#[must_use]
pub fn schema_json() -> String {
    let schema = schemars::schema_for!(Manifest);
    // `{:#}` of a JSON value is its indented form.
    format!("{:#}\n", schema.as_value())
}
