//! The JSON Schema of policy files, made from the types that read them.

use serde_json::Value;

use super::form::PolicyFile;
use crate::catalogue::Beside;
use crate::dialect::DialectForm;

/// The schema as it stands in `config/policy.schema.json`: indented, with a final newline. What is said about a dataset's file, and what is
/// published of it, stands beside its rules.
#[must_use]
pub fn schema_json() -> String {
    let mut schema = schemars::schema_for!(PolicyFile).to_value();
    let published = schemars::schema_for!(Beside).to_value();
    for beside in [schemars::schema_for!(DialectForm).to_value(), published] {
        extend(
            &mut schema,
            "/$defs/PolicyForm/properties",
            &beside,
            "/properties",
        );
        extend(&mut schema, "/$defs", &beside, "/$defs");
    }
    format!("{schema:#}\n")
}

/// Adds the entries of one object to another.
fn extend(schema: &mut Value, to: &str, other: &Value, from: &str) {
    let to = schema.pointer_mut(to).and_then(Value::as_object_mut);
    let from = other.pointer(from).and_then(Value::as_object);
    if let (Some(to), Some(from)) = (to, from) {
        to.extend(from.clone());
    }
}
