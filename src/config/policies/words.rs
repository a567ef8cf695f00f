//! What an owner says about the file of a dataset, beside its rules.

use yaml_serde::{Mapping, Value};

use super::super::locate::Target;
use super::super::reader::{key_text, shown};
use super::{PolicyReader, SECTION, Source};
use delta_domain::dialect::{Dialect, DialectForm};

/// Keys about a dataset's file, and what their values must be.
pub(super) const KEYS: &[(&str, &str)] = &[
    ("delimiter", "one character such as \";\", tab or blanks"),
    ("decimal", "\".\" or \",\""),
    ("thousands", "one of \",\", \".\", \"'\", \"_\" and space"),
    ("quote", "one character or none"),
    ("encoding", "an encoding, for example windows-1252"),
    ("skip", "the number of lines before the header"),
    ("comment", "what a line begins with, for example \"#\""),
    ("missing", "a list of texts, for example [\"-99\"]"),
    ("sheet", "the name of a sheet"),
    ("table", "the name of a table"),
    ("dates", "day-first or month-first"),
    ("path", "where the file or folder lies, from / on"),
];

impl PolicyReader {
    /// Takes the words about the file out of `rules`.
    pub(super) fn words(
        &mut self,
        source: Source<'_>,
        dataset: &str,
        rules: &mut Mapping,
    ) -> Option<Dialect> {
        let mut form = Mapping::new();
        for (key, expected) in KEYS {
            let Some(value) = rules.remove(*key) else {
                continue;
            };
            let value = texts(key, value);
            let mut alone = Mapping::new();
            alone.insert(Value::String((*key).to_owned()), value.clone());
            if value.is_null()
                || yaml_serde::from_value::<DialectForm>(Value::Mapping(alone)).is_err()
            {
                let message = format!("`{key}` must be {expected}, not {}", shown(&value));
                self.problem(source, &[SECTION, dataset, key], Target::Value, message);
                continue;
            }
            form.insert(Value::String((*key).to_owned()), value);
        }
        // Each of its keys was read by itself.
        let form: DialectForm = yaml_serde::from_value(Value::Mapping(form)).unwrap_or_default();
        match form.check() {
            Ok(dialect) => (dialect != Dialect::default()).then_some(dialect),
            Err(faults) => {
                for fault in faults {
                    let path = [SECTION, dataset, fault.field];
                    self.problem(source, &path, Target::Value, fault.to_string());
                }
                None
            }
        }
    }
}

/// Values that YAML takes for numbers or truth values, as the texts that they are meant as.
fn texts(key: &str, value: Value) -> Value {
    match (key, value) {
        ("skip", value) => value,
        ("missing", Value::Sequence(items)) => {
            let text = |item: Value| match item {
                Value::Number(_) | Value::Bool(_) | Value::Null => Value::String(key_text(&item)),
                other => other,
            };
            Value::Sequence(items.into_iter().map(text).collect())
        }
        (_, value @ (Value::Number(_) | Value::Bool(_))) => Value::String(key_text(&value)),
        (_, value) => value,
    }
}
