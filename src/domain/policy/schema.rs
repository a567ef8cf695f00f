//! The JSON Schema of policy files, made from the types that read them.

use super::form::PolicyFile;
use crate::dialect::DialectForm;

/// The schema as it stands in `config/policy.schema.json`: indented, with a final newline. What is said about a dataset's file stands
/// beside its rules.
#[must_use]
pub fn schema_json() -> String {
    let mut schema = schemars::schema_for!(PolicyFile).to_value();
    let said = schemars::schema_for!(DialectForm).to_value();
    let rules = schema.pointer_mut("/$defs/PolicyForm/properties");
    if let (Some(rules), Some(said)) = (
        rules.and_then(serde_json::Value::as_object_mut),
        said.pointer("/properties")
            .and_then(serde_json::Value::as_object),
    ) {
        rules.extend(said.clone());
    }
    format!("{schema:#}\n")
}
