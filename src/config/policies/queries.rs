//! What a dataset's rows are asked of a database for, beside its rules: the section `query`.

use yaml_serde::{Mapping, Value};

use super::super::locate::Target;
use super::{PolicyReader, SECTION, Source};
use delta_domain::ids::DatasetName;
use delta_domain::query::QueryForm;

/// The section, and what it must be.
pub(super) const KEY: (&str, &str) = (
    "query",
    "a section, for example { database: \"postgresql://delta@db.example.org/omop\", password_file: /run/secrets/omop, sql: \"SELECT ... ORDER BY ...\", refresh: 24h }",
);
/// Keys of the section, and what their values must be.
const KEYS: &[(&str, &str)] = &[
    (
        "database",
        "where the database is, for example postgresql://delta@db.example.org/omop",
    ),
    ("password_file", "the path of a file"),
    ("password_env", "the name of an environment variable"),
    ("tls", "one of verified, required, off"),
    ("ca", "the path of a file"),
    ("sql", "a SELECT with an ORDER BY"),
    ("refresh", "a time such as 24h or 7d, or daily 03:00"),
    ("timeout", "a time such as 10m or 2h"),
];

impl PolicyReader {
    /// Takes the query out of `rules`. `elsewhere`: its file is said to lie outside of `data_dir`.
    pub(super) fn query(
        &mut self,
        source: Source<'_>,
        name: &DatasetName,
        rules: &mut Mapping,
        elsewhere: bool,
    ) {
        let (key, expected) = KEY;
        let Some(section) = rules.remove(key) else {
            return;
        };
        let path = [SECTION, name.as_str(), key];
        if elsewhere {
            let message = "`query` keeps its answers in data_dir, and `path` says that the dataset lies elsewhere: keep one of the two";
            return self.problem(source, &path, Target::Key, message.to_owned());
        }
        let Value::Mapping(mut section) = section else {
            let message = format!("`{key}` must be {expected}");
            return self.problem(source, &path, Target::Value, message);
        };
        if let Some(tls) = section.get_mut("tls")
            && *tls == Value::Bool(false)
        {
            // As YAML 1.1 writes it.
            *tls = Value::String("off".to_owned());
        }
        let before = self.errors.len();
        let good = self.fitting::<QueryForm>(source, &path, KEYS, section);
        if self.errors.len() > before {
            return;
        }
        // Each of its keys was read by itself.
        let form: QueryForm = yaml_serde::from_value(Value::Mapping(good)).unwrap_or_default();
        match form.check(name.as_str()) {
            Ok(query) => drop(self.queries.insert(name.clone(), query)),
            Err(faults) => self.faults(source, name.as_str(), &faults),
        }
    }
}
