//! What an owner publishes about a dataset, beside its rules: the section `catalogue`.

use yaml_serde::{Mapping, Value};

use super::super::locate::Target;
use super::super::reader::{key_text, shown};
use super::{PolicyReader, SECTION, Source, suggestion};
use delta_domain::catalogue::{ColumnForm, SaidForm, SamplesForm};

/// The section, and what it must be.
pub(super) const KEY: (&str, &str) = (
    "catalogue",
    "a section, for example { description: Patients of ward 3, columns: from-file }; {} publishes the name alone",
);
/// Keys of the section, and what their values must be.
pub(super) const KEYS: &[(&str, &str)] = &[
    ("description", "a text"),
    (
        "columns",
        "from-file, or columns with what they are, for example { age: { type: integer, unit: years, range: [0, 120] } }",
    ),
    (
        "samples",
        "a section, for example { shape: [1, 28, 28], classes: [cat, dog], range: [0, 255] }",
    ),
    ("rows", "rounded"),
    ("rules", "shown"),
];
/// Keys of a column, and what their values must be.
pub(super) const COLUMN_KEYS: &[(&str, &str)] = &[
    (
        "type",
        "one of integer, float, boolean, category, string, date",
    ),
    ("unit", "a text, for example years"),
    ("role", "one of identifier, quasi, value"),
    ("levels", "a list of texts or numbers, for example [f, m]"),
    (
        "range",
        "the smallest and the largest value that can be, for example [0, 120]",
    ),
    ("missing", "a share from 0 to 1, for example 0.05"),
    ("description", "a text"),
];
/// Keys of samples, and what their values must be.
pub(super) const SAMPLES_KEYS: &[(&str, &str)] = &[
    (
        "shape",
        "a list of whole numbers above 0, for example [1, 28, 28]",
    ),
    ("classes", "a list of texts or numbers"),
    (
        "range",
        "the smallest and the largest number that can be, for example [0, 255]",
    ),
];

impl PolicyReader {
    /// Takes what is published out of `rules`.
    pub(super) fn said(
        &mut self,
        source: Source<'_>,
        dataset: &str,
        rules: &mut Mapping,
    ) -> Option<SaidForm> {
        let (key, expected) = KEY;
        let path = [SECTION, dataset, key];
        let Value::Mapping(mut section) = rules.remove(key)? else {
            let message = format!("`{key}` must be {expected}");
            self.problem(source, &path, Target::Value, message);
            return None;
        };
        if let Some(Value::Mapping(columns)) = section.get_mut("columns") {
            for (name, column) in std::mem::take(columns) {
                let name = key_text(&name);
                let path = [&path[..], &["columns", name.as_str()]].concat();
                let column = self.column(source, &path, column);
                columns.insert(Value::String(name.clone()), column);
            }
        }
        if let Some(Value::Mapping(samples)) = section.get_mut("samples") {
            let path = [&path[..], &["samples"]].concat();
            let all = std::mem::take(samples);
            *samples = self.fitting::<SamplesForm>(source, &path, SAMPLES_KEYS, all);
        }
        let good = self.fitting::<SaidForm>(source, &path, KEYS, section);
        // Each of its keys was read by itself.
        yaml_serde::from_value(Value::Mapping(good)).ok()
    }

    /// A column; one of which nothing is said has its name.
    fn column(&mut self, source: Source<'_>, path: &[&str], column: Value) -> Value {
        match column {
            Value::Mapping(all) => {
                Value::Mapping(self.fitting::<ColumnForm>(source, path, COLUMN_KEYS, all))
            }
            Value::Null => Value::Mapping(Mapping::new()),
            other => {
                let message = format!(
                    "`{}` must be a section, for example {{ type: integer, unit: years }}, not {}",
                    told(path),
                    shown(&other)
                );
                self.problem(source, path, Target::Value, message);
                Value::Mapping(Mapping::new())
            }
        }
    }

    /// Those of these keys that are known and whose values can be read; the others are told.
    pub(super) fn fitting<T: serde::de::DeserializeOwned>(
        &mut self,
        source: Source<'_>,
        path: &[&str],
        known: &[(&'static str, &'static str)],
        section: Mapping,
    ) -> Mapping {
        let mut good = Mapping::new();
        for (key, value) in section {
            let key = key_text(&key);
            let path = [path, &[key.as_str()]].concat();
            let Some((_, expected)) = known.iter().find(|(name, _)| *name == key) else {
                let hint = suggestion(&key, known.iter().map(|(name, _)| *name));
                let message = format!("unknown key `{}`{hint}", told(&path));
                self.problem(source, &path, Target::Key, message);
                continue;
            };
            let value = match (key.as_str(), value) {
                // YAML takes them for numbers.
                ("unit" | "description", value @ (Value::Number(_) | Value::Bool(_))) => {
                    Value::String(key_text(&value))
                }
                (_, value) => value,
            };
            let mut alone = Mapping::new();
            alone.insert(Value::String(key.clone()), value.clone());
            if value.is_null() || yaml_serde::from_value::<T>(Value::Mapping(alone)).is_err() {
                let given = match &value {
                    Value::Sequence(_) | Value::Mapping(_) => String::new(),
                    other => format!(", not {}", shown(other)),
                };
                let message = format!("`{}` must be {expected}{given}", told(&path));
                self.problem(source, &path, Target::Value, message);
                continue;
            }
            good.insert(Value::String(key), value);
        }
        good
    }
}

/// A path from the dataset's keys on.
fn told(path: &[&str]) -> String {
    path.get(2..).unwrap_or_default().join(".")
}
