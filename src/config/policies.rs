//! The owner's rules for datasets: the section `datasets` of the configuration, and every `*.yaml` in the folder of policies.
//!
//! Read apart from the rest of the configuration, so that a running node can read them again. What is wrong is told all at once, with file,
//! line and column; as long as anything is wrong there are no policies at all, and a caller must not go on with a part of them.
//! The values themselves are checked by `delta_domain::policy`.

mod published;
mod queries;
mod words;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use yaml_serde::{Mapping, Value};

use super::error::{ConfigError, Place, SettingError, closest};
use super::locate::{Target, locate, position_of};
use super::reader::{key_text, shown, without_position};
use super::types::Config;
use delta_domain::catalogue::{Said, SaidForm};
use delta_domain::dialect::Dialect;
use delta_domain::ids::{DatasetName, Digest};
use delta_domain::policy::{FieldFault, Policies, Policy, PolicyForm};
use delta_domain::query::Query;

/// The section of the configuration, and the one key at the top of a policy file.
pub(super) const SECTION: &str = "datasets";

/// Where policies are when `policy.dir` is empty: beside the configuration.
const FOLDER: &str = "policy.d";
/// The largest file that is read, in bytes.
const MAX_FILE_BYTES: u64 = 1 << 20;
/// The most files that are read.
const MAX_FILES: usize = 1000;

/// Keys of a dataset's rules, and what their values must be.
const KEYS: &[(&str, &str)] = &[
    (
        "columns",
        "columns with identifier, hidden, quasi or value each, for example { id: identifier, age: quasi }",
    ),
    ("joins", "a list of columns, for example [\"patient\"]"),
    (
        "who",
        "a list of texts, for example [\"org:university-hospital\"]",
    ),
    ("kinds", "a list of statistics, regression and learning"),
    ("members", "a whole number from 2 to 10000"),
    ("colluders", "a whole number from 0 to 10000"),
    ("rows", "a whole number above 0"),
    ("outputs_per_row", "a number above 0, for example 0.33"),
    ("rounds_per_day", "a whole number above 0"),
    ("approval", "one of ask, private, controlled, never"),
    (
        "privacy",
        "a section, for example { unit: record, epsilon: 3.0, delta: 1e-6, renew: yearly }",
    ),
    (
        "records",
        "a section, for example { threshold: 10, dominance: 0.9, freedom: 10 }",
    ),
    (
        "verify",
        "a section, for example { max_rows: 20000, columns: { age: [0, 120] } }",
    ),
    ("until", "a day, for example 2027-12-31"),
];
const PRIVACY_KEYS: &[&str] = &["unit", "key", "epsilon", "delta", "renew"];
const VERIFY_KEYS: &[&str] = &["max_rows", "columns"];
const RECORDS_KEYS: &[&str] = &[
    "threshold",
    "dominance",
    "p_percent",
    "freedom",
    "outputs_per_row",
    "refusals",
];

/// Policies that were read.
#[derive(Debug, Clone, PartialEq)]
pub struct LoadedPolicies {
    /// The rules.
    pub policies: Policies,
    /// SHA-256 over the rules as they were understood: changes exactly when they do.
    pub digest: Digest,
    /// Where each dataset's rules stand.
    pub places: BTreeMap<DatasetName, Place>,
    /// What is said about the files of datasets.
    pub dialects: BTreeMap<DatasetName, Dialect>,
    /// What is said to everybody about datasets.
    pub published: BTreeMap<DatasetName, Said>,
    /// Datasets that are answers of databases.
    pub queries: BTreeMap<DatasetName, Query>,
}

impl Config {
    /// The folder of policies: as set, else `policy.d` beside the configuration.
    #[must_use]
    pub fn policy_dir(&self, file: &Path) -> PathBuf {
        match &self.policy.dir {
            Some(folder) => folder.clone(),
            None => file.with_file_name(FOLDER),
        }
    }

    /// Reads the rules of all datasets: those in `file`, the configuration, and those in the folder of policies, which need not be there
    /// unless it is set.
    ///
    /// # Errors
    /// [`ConfigError`] with everything that is wrong.
    pub fn load_policies(&self, file: &Path) -> Result<LoadedPolicies, ConfigError> {
        let mut reader = PolicyReader::default();
        match std::fs::read_to_string(file) {
            Ok(text) => reader.configuration(file, &text),
            Err(error) => reader.at(file, None, format!("cannot be read: {error}")),
        }
        let folder = self.policy_dir(file);
        for path in reader.files(&folder, self.policy.dir.is_some()) {
            reader.file(&path);
        }
        reader.finish()
    }
}

/// What is wrong with the section `datasets` of a configuration.
pub(super) fn errors_of(file: &Path, text: &str) -> Vec<SettingError> {
    let mut reader = PolicyReader::default();
    if let Ok(Value::Mapping(top)) = yaml_serde::from_str::<Value>(text) {
        reader.section(Source { file, text }, top);
    }
    reader.errors
}

#[derive(Default)]
struct PolicyReader {
    policies: BTreeMap<DatasetName, Policy>,
    places: BTreeMap<DatasetName, Place>,
    dialects: BTreeMap<DatasetName, Dialect>,
    published: BTreeMap<DatasetName, Said>,
    queries: BTreeMap<DatasetName, Query>,
    errors: Vec<SettingError>,
}

/// One file's text, and where messages say it is.
#[derive(Clone, Copy)]
struct Source<'t> {
    file: &'t Path,
    text: &'t str,
}

impl PolicyReader {
    fn finish(mut self) -> Result<LoadedPolicies, ConfigError> {
        if !self.errors.is_empty() {
            self.errors.sort();
            return Err(ConfigError {
                errors: self.errors,
            });
        }
        // Every number in it is finite, so its debug form tells all policies apart.
        let digest = Digest::of(format!("{:?}", self.policies).as_bytes());
        Ok(LoadedPolicies {
            policies: Policies::new(self.policies),
            digest,
            places: self.places,
            dialects: self.dialects,
            published: self.published,
            queries: self.queries,
        })
    }

    /// Files of the folder, in the order of their names.
    fn files(&mut self, folder: &Path, must_be: bool) -> Vec<PathBuf> {
        let entries = match std::fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && !must_be => {
                return Vec::new();
            }
            Err(error) => {
                self.at(folder, None, format!("cannot be read: {error}"));
                return Vec::new();
            }
        };
        let mut files = Vec::new();
        for entry in entries {
            let path = match entry {
                Ok(entry) => entry.path(),
                Err(error) => {
                    self.at(folder, None, format!("cannot be read: {error}"));
                    return Vec::new();
                }
            };
            let name = path.file_name().map(|n| n.to_string_lossy().into_owned());
            let ending = path.extension().map(|e| e.to_string_lossy().to_lowercase());
            match ending.as_deref() {
                _ if name.is_some_and(|name| name.starts_with('.')) => {}
                Some("yaml") => files.push(path),
                // Rules that somebody believes in must not be passed over in silence.
                Some("yml") => self.at(
                    &path,
                    None,
                    "is not read: the name must end in .yaml".to_owned(),
                ),
                Some(_) | None => {}
            }
        }
        files.sort();
        if files.len() > MAX_FILES {
            let message = format!(
                "holds {} policies, at most {MAX_FILES} are read",
                files.len()
            );
            self.at(folder, None, message);
            files.clear();
        }
        files
    }

    fn file(&mut self, path: &Path) {
        let text = match std::fs::metadata(path) {
            Ok(about) if about.len() > MAX_FILE_BYTES => {
                Err(format!("is larger than {MAX_FILE_BYTES} bytes"))
            }
            Ok(_) => std::fs::read_to_string(path).map_err(|e| format!("cannot be read: {e}")),
            Err(error) => Err(format!("cannot be read: {error}")),
        };
        let text = match text {
            Ok(text) => text,
            Err(message) => return self.at(path, None, message),
        };
        let source = Source {
            file: path,
            text: &text,
        };
        match yaml_serde::from_str::<Value>(&text) {
            Ok(Value::Mapping(top)) => {
                for (key, value) in top {
                    let key = key_text(&key);
                    if key == SECTION {
                        self.datasets(source, value);
                    } else {
                        let hint = "; rules stand under `datasets`, by the name of the dataset";
                        let message = format!("unknown key `{key}`{hint}");
                        self.problem(source, &[&key], Target::Key, message);
                    }
                }
            }
            Ok(Value::Null) => {}
            Ok(_) => {
                let message = "expected `datasets:` at the top of the file".to_owned();
                self.problem(source, &[], Target::Value, message);
            }
            Err(error) => self.no_yaml(path, &error),
        }
    }

    /// A configuration. Its other keys are not looked at; a file that is no YAML any more is not one without rules.
    fn configuration(&mut self, file: &Path, text: &str) {
        let source = Source { file, text };
        match yaml_serde::from_str::<Value>(text) {
            Ok(Value::Mapping(top)) => self.section(source, top),
            Ok(Value::Null) => {}
            Ok(_) => {
                let message = "expected keys and values at the top of the file".to_owned();
                self.problem(source, &[], Target::Value, message);
            }
            Err(error) => self.no_yaml(file, &error),
        }
    }

    fn section(&mut self, source: Source<'_>, mut top: Mapping) {
        if let Some(value) = top.remove(SECTION) {
            self.datasets(source, value);
        }
    }

    fn no_yaml(&mut self, file: &Path, error: &yaml_serde::Error) {
        let message = format!("this is not YAML: {}", without_position(error));
        self.at(file, position_of(error), message);
    }

    fn datasets(&mut self, source: Source<'_>, value: Value) {
        let datasets = match value {
            Value::Mapping(datasets) => datasets,
            Value::Null => return,
            _ => {
                let message = "`datasets` is a section; write each dataset's name under it, indented, and its rules under that";
                return self.problem(source, &[SECTION], Target::Value, message.to_owned());
            }
        };
        for (key, value) in datasets {
            let key = key_text(&key);
            let place = source.place(&[SECTION, &key], Target::Key);
            let name = match key.parse::<DatasetName>() {
                Ok(name) => name,
                Err(error) => {
                    self.problem(source, &[SECTION, &key], Target::Key, error.to_string());
                    continue;
                }
            };
            if let Some(first) = self.places.get(&name) {
                let message = format!("`{name}` has rules in {first} already; keep one of the two");
                self.problem(source, &[SECTION, &key], Target::Key, message);
                continue;
            }
            self.places.insert(name.clone(), place);
            let before = self.errors.len();
            let mut value = value;
            let mut said = None;
            if let Value::Mapping(rules) = &mut value {
                if let Some(dialect) = self.words(source, &key, rules) {
                    self.dialects.insert(name.clone(), dialect);
                }
                said = self.said(source, &key, rules);
                let elsewhere = self.dialects.get(&name).is_some_and(|d| d.path.is_some());
                self.query(source, &name, rules, elsewhere);
            }
            let form = self.form(source, &key, value);
            match form.check() {
                Ok(policy) if self.errors.len() == before => {
                    if let Some(said) = said {
                        self.publish(source, &name, said, &policy);
                    }
                    self.policies.insert(name, policy);
                }
                Ok(_) => {}
                Err(faults) => self.faults(source, &key, &faults),
            }
        }
    }

    fn publish(&mut self, source: Source<'_>, name: &DatasetName, said: SaidForm, rules: &Policy) {
        match said.check(rules.columns.as_ref()) {
            Ok(said) => drop(self.published.insert(name.clone(), said)),
            Err(faults) => self.faults(source, name.as_str(), &faults),
        }
    }

    fn faults(&mut self, source: Source<'_>, dataset: &str, faults: &[FieldFault]) {
        for fault in faults {
            let mut path = vec![SECTION, dataset];
            path.extend(fault.path.iter().map(String::as_str));
            let message = format!("`{}` {}", fault.path.join("."), fault.fault);
            self.problem(source, &path, Target::Value, message);
        }
    }

    /// One dataset's rules. A value of another type than its key's is left out and told.
    fn form(&mut self, source: Source<'_>, dataset: &str, value: Value) -> PolicyForm {
        let mut good = Mapping::new();
        let rules = match value {
            Value::Mapping(rules) => rules,
            Value::Null => Mapping::new(),
            _ => {
                let message = format!(
                    "`{dataset}` needs rules under it, indented, for example approval: ask"
                );
                self.problem(source, &[SECTION, dataset], Target::Value, message);
                Mapping::new()
            }
        };
        let has_budget = rules.contains_key("privacy");
        for (key, mut value) in rules {
            let key = key_text(&key);
            let path = [SECTION, dataset, key.as_str()];
            let Some((_, expected)) = KEYS.iter().find(|(known, _)| *known == key) else {
                let known = KEYS
                    .iter()
                    .chain(words::KEYS)
                    .chain([&published::KEY, &queries::KEY]);
                let hint = suggestion(&key, known.map(|(known, _)| *known));
                self.problem(
                    source,
                    &path,
                    Target::Key,
                    format!("unknown key `{key}`{hint}"),
                );
                continue;
            };
            if value.is_null() {
                let message = format!(
                    "`{key}` has no value: it must be {expected}; remove the key for no limit"
                );
                self.problem(source, &path, Target::Key, message);
                continue;
            }
            let fits = match key.as_str() {
                "columns" => self.columns(source, dataset, &mut value),
                "privacy" => self.part(source, dataset, "privacy", PRIVACY_KEYS, &value),
                "verify" => self.part(source, dataset, "verify", VERIFY_KEYS, &value),
                "records" => self.part(source, dataset, "records", RECORDS_KEYS, &value),
                _ => true,
            };
            if !fits {
                continue;
            }
            let mut alone = Mapping::new();
            alone.insert(Value::String(key.clone()), value.clone());
            match yaml_serde::from_value::<PolicyForm>(Value::Mapping(alone)) {
                Ok(_) => {
                    good.insert(Value::String(key), value);
                }
                Err(_) => {
                    let given = match &value {
                        // Something in it is wrong, not that it is one.
                        Value::Sequence(_) | Value::Mapping(_) => String::new(),
                        other => format!(", not {}", shown(other)),
                    };
                    let message = format!("`{key}` must be {expected}{given}");
                    self.problem(source, &path, Target::Value, message);
                }
            }
        }
        if has_budget && !good.contains_key("privacy") {
            // It is there and wrong, which is told already; `approval: private` has nothing to miss.
            good.remove("approval");
        }
        // Each of its keys was read by itself.
        yaml_serde::from_value(Value::Mapping(good)).unwrap_or_default()
    }

    /// Names of columns become texts, whatever YAML takes them for; each role is looked at by itself.
    fn columns(&mut self, source: Source<'_>, dataset: &str, value: &mut Value) -> bool {
        const ROLES: [&str; 4] = ["identifier", "hidden", "quasi", "value"];
        let Value::Mapping(columns) = value else {
            return true;
        };
        let mut all = Mapping::new();
        let mut fits = true;
        for (name, role) in std::mem::take(columns) {
            let name = key_text(&name);
            if !role.as_str().is_some_and(|role| ROLES.contains(&role)) {
                let given = key_text(&role);
                let hint = suggestion(&given, ROLES);
                let message = format!(
                    "column `{name}` must be identifier, hidden, quasi or value, not {}{hint}",
                    shown(&role)
                );
                let path = [SECTION, dataset, "columns", name.as_str()];
                self.problem(source, &path, Target::Value, message);
                fits = false;
            }
            all.insert(Value::String(name), role);
        }
        *columns = all;
        fits
    }

    /// The keys of a section within a dataset's rules.
    fn part(
        &mut self,
        source: Source<'_>,
        dataset: &str,
        name: &str,
        known: &[&'static str],
        value: &Value,
    ) -> bool {
        let Value::Mapping(section) = value else {
            return true;
        };
        let mut fits = true;
        for key in section.keys() {
            let key = key_text(key);
            if !known.contains(&key.as_str()) {
                let hint = suggestion(&key, known.iter().copied());
                let path = [SECTION, dataset, name, key.as_str()];
                let message = format!("unknown key `{name}.{key}`{hint}");
                self.problem(source, &path, Target::Key, message);
                fits = false;
            }
        }
        fits
    }

    fn problem(&mut self, source: Source<'_>, path: &[&str], target: Target, message: String) {
        let place = source.place(path, target);
        self.errors.push(SettingError { place, message });
    }

    fn at(&mut self, file: &Path, position: Option<super::Position>, message: String) {
        let place = Place::File(file.to_owned(), position);
        self.errors.push(SettingError { place, message });
    }
}

impl Source<'_> {
    fn place(&self, path: &[&str], target: Target) -> Place {
        // A place that is not in the text, such as a key that is missing: what is around it.
        let found = (0..=path.len()).rev().find_map(|n| {
            let target = if n == path.len() { target } else { Target::Key };
            locate(self.text, path.get(..n)?, target)
        });
        Place::File(self.file.to_owned(), found)
    }
}

fn suggestion<'k>(given: &str, known: impl IntoIterator<Item = &'k str>) -> String {
    closest(given, known).map_or_else(String::new, |name| format!("; did you mean `{name}`?"))
}

#[cfg(test)]
mod tests;
