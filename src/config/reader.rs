//! Reads typed values out of a YAML tree and the environment, and collects every problem on the way instead of stopping at the first.
//!
//! A key is named by its dotted path (`log.level`). A value may be written as a string where a number or a switch is meant
//! (`port: "4500"`, environment variables), because the original accepts that too.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use yaml_serde::Value;

use super::error::{Place, SettingError, closest};
use super::locate::{Target, locate, position_of};
use super::policies::SECTION;

/// What environment variables that override a key begin with; the key's parts are joined by two underscores.
pub const ENVIRONMENT_PREFIX: &str = "DELTA_NODE__";

/// The known keys' values, and what is wrong with them so far.
pub(super) struct Reader<'t> {
    file: &'t Path,
    text: &'t str,
    values: BTreeMap<String, Value>,
    variables: BTreeMap<String, String>,
    pub(super) errors: Vec<SettingError>,
    pub(super) warnings: Vec<SettingError>,
}

impl<'t> Reader<'t> {
    /// Takes the tree of `text` and the overrides apart. Keys that are not in `known` are errors.
    pub(super) fn new(
        file: &'t Path,
        text: &'t str,
        environment: &BTreeMap<String, String>,
        known: &'static [&'static str],
    ) -> Self {
        let mut reader = Self {
            file,
            text,
            values: BTreeMap::new(),
            variables: BTreeMap::new(),
            errors: Vec::new(),
            warnings: Vec::new(),
        };
        match yaml_serde::from_str::<Value>(text) {
            Ok(tree) => reader.take_tree(tree, known),
            Err(error) => {
                let place = Place::File(file.to_owned(), position_of(&error));
                let message = format!("this is not YAML: {}", without_position(&error));
                reader.errors.push(SettingError { place, message });
            }
        }
        reader.take_environment(environment, known);
        reader
    }

    fn take_tree(&mut self, tree: Value, known: &'static [&'static str]) {
        let Value::Mapping(top) = tree else {
            if !tree.is_null() {
                self.problem(
                    &[],
                    Target::Value,
                    "expected keys and values at the top of the file".to_owned(),
                );
            }
            return;
        };
        self.take_section(&[], top, known);
    }

    fn take_section(
        &mut self,
        above: &[String],
        section: yaml_serde::Mapping,
        known: &'static [&'static str],
    ) {
        for (key, value) in section {
            let mut path = above.to_vec();
            path.push(key_text(&key));
            let names: Vec<&str> = path.iter().map(String::as_str).collect();
            // Its keys are names of datasets, not ours: `policies.rs` reads it.
            if names == [SECTION] {
                continue;
            }
            let prefix = format!("{}.", names.join("."));
            if !known.iter().any(|known| known.starts_with(&prefix)) {
                self.take_value(&names, value, known);
                continue;
            }
            match value {
                Value::Null => {}
                Value::Mapping(inner) => self.take_section(&path, inner, known),
                _ => {
                    let keys: Vec<&str> = known
                        .iter()
                        .filter_map(|known| known.strip_prefix(&prefix))
                        .collect();
                    let message = format!(
                        "`{}` is a section; write its keys ({}) under it, indented",
                        names.join("."),
                        keys.join(", ")
                    );
                    self.problem(&names, Target::Value, message);
                }
            }
        }
    }

    fn take_value(&mut self, path: &[&str], value: Value, known: &'static [&'static str]) {
        let dotted = path.join(".");
        if known.contains(&dotted.as_str()) {
            if !value.is_null() {
                self.values.insert(dotted, value);
            }
            return;
        }
        let message = format!("unknown key `{dotted}`{}", hint(&dotted, known));
        self.problem(path, Target::Key, message);
    }

    fn take_environment(
        &mut self,
        environment: &BTreeMap<String, String>,
        known: &'static [&'static str],
    ) {
        for (variable, value) in environment {
            let Some(name) = variable.strip_prefix(ENVIRONMENT_PREFIX) else {
                continue;
            };
            let dotted = name.to_lowercase().replace("__", ".");
            if known.contains(&dotted.as_str()) {
                self.values
                    .insert(dotted.clone(), Value::String(value.clone()));
                self.variables.insert(dotted, variable.clone());
            } else {
                let place = Place::Variable(variable.clone());
                let message = format!("there is no key `{dotted}`{}", hint(&dotted, known));
                self.errors.push(SettingError { place, message });
            }
        }
    }

    /// A text; numbers and switches are taken as they are written.
    pub(super) fn text(&mut self, key: &str, default: &str) -> String {
        match self.values.remove(key) {
            None => default.to_owned(),
            Some(Value::String(text)) => text,
            Some(Value::Number(number)) => number.to_string(),
            Some(Value::Bool(switch)) => switch.to_string(),
            Some(_) => {
                self.wrong(key, "must be a text, not a list or a section");
                default.to_owned()
            }
        }
    }

    /// A path; never empty.
    pub(super) fn path(&mut self, key: &str, default: &str) -> PathBuf {
        let text = self.text(key, default);
        if text.trim().is_empty() {
            self.wrong(
                key,
                &format!("must name a folder or file, for example \"{default}\""),
            );
        }
        PathBuf::from(text)
    }

    /// A whole number within `range`.
    pub(super) fn number(&mut self, key: &str, range: RangeInclusive<u64>, default: u64) -> u64 {
        let Some(value) = self.values.remove(key) else {
            return default;
        };
        let number = match &value {
            Value::Number(number) => number.as_u64(),
            Value::String(text) => text.trim().parse().ok(),
            _ => None,
        };
        match number {
            Some(number) if range.contains(&number) => number,
            _ => {
                let (low, high) = range.into_inner();
                let bounds = if high == u64::MAX {
                    format!("at least {low}")
                } else {
                    format!("from {low} to {high}")
                };
                self.wrong(
                    key,
                    &format!("must be a whole number {bounds}, not {}", shown(&value)),
                );
                default
            }
        }
    }

    /// A switch: `true` or `false`, and YAML 1.1's other words for them.
    pub(super) fn switch(&mut self, key: &str, default: bool) -> bool {
        let Some(value) = self.values.remove(key) else {
            return default;
        };
        let switch = match &value {
            Value::Bool(switch) => Some(*switch),
            Value::String(text) => match text.to_lowercase().as_str() {
                "true" | "yes" | "on" | "1" => Some(true),
                "false" | "no" | "off" | "0" => Some(false),
                _ => None,
            },
            _ => None,
        };
        switch.unwrap_or_else(|| {
            self.wrong(
                key,
                &format!("must be true or false, not {}", shown(&value)),
            );
            default
        })
    }

    /// A list of texts; in the environment separated by commas.
    pub(super) fn list(&mut self, key: &str) -> Vec<String> {
        match self.values.remove(key) {
            None => Vec::new(),
            Some(Value::String(text)) => {
                let parts = text.split(',').map(str::trim);
                parts
                    .filter(|part| !part.is_empty())
                    .map(str::to_owned)
                    .collect()
            }
            Some(Value::Sequence(items)) if items.iter().all(Value::is_string) => items
                .iter()
                .filter_map(Value::as_str)
                .map(str::to_owned)
                .collect(),
            Some(_) => {
                self.wrong(key, "must be a list of texts, for example [\"10.1.2.3\"]");
                Vec::new()
            }
        }
    }

    /// A list of values that are parsed from text, each by itself.
    pub(super) fn parsed_list<T: std::str::FromStr<Err: Display>>(&mut self, key: &str) -> Vec<T> {
        let mut values = Vec::new();
        for text in self.list(key) {
            match text.trim().parse() {
                Ok(value) => values.push(value),
                Err(error) => self.wrong(key, &format!("cannot be used: {error}")),
            }
        }
        values
    }

    /// One of a closed set of words, in any case.
    pub(super) fn word<T: Copy>(
        &mut self,
        key: &str,
        words: &[(&'static str, T)],
        default: T,
    ) -> T {
        let Some(value) = self.values.remove(key) else {
            return default;
        };
        let text = key_text(&value).to_lowercase();
        if let Some((_, found)) = words.iter().find(|(word, _)| word.to_lowercase() == text) {
            return *found;
        }
        let all: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        self.wrong(
            key,
            &format!("must be one of {}, not {}", all.join(", "), shown(&value)),
        );
        default
    }

    /// A value that is parsed from text; `expected` completes "must be ...".
    pub(super) fn parsed<T: std::str::FromStr>(
        &mut self,
        key: &str,
        default: T,
        expected: &str,
    ) -> T {
        if !self.values.contains_key(key) {
            return default;
        }
        let text = self.text(key, "");
        text.trim().parse().unwrap_or_else(|_| {
            self.wrong(key, &format!("must be {expected}, not \"{text}\""));
            default
        })
    }

    /// Notes that the value of `key` is wrong; `message` follows the key's name.
    pub(super) fn wrong(&mut self, key: &str, message: &str) {
        let place = self.place(key);
        let message = format!("`{key}` {message}");
        self.errors.push(SettingError { place, message });
    }

    /// Notes that the value of `key` is doubtful.
    pub(super) fn warn(&mut self, key: &str, message: &str) {
        let place = self.place(key);
        let message = format!("`{key}` {message}");
        self.warnings.push(SettingError { place, message });
    }

    /// Known keys whose values nothing has asked for.
    #[cfg(test)]
    pub(super) fn unread(&self) -> Vec<&str> {
        self.values.keys().map(String::as_str).collect()
    }

    fn place(&self, key: &str) -> Place {
        if let Some(variable) = self.variables.get(key) {
            return Place::Variable(variable.clone());
        }
        let path: Vec<&str> = key.split('.').collect();
        Place::File(
            self.file.to_owned(),
            locate(self.text, &path, Target::Value),
        )
    }

    fn problem(&mut self, path: &[&str], target: Target, message: String) {
        let place = Place::File(self.file.to_owned(), locate(self.text, path, target));
        self.errors.push(SettingError { place, message });
    }
}

/// "; did you mean ...": the same word in another section, or a word that is spelled almost so.
fn hint(dotted: &str, known: &'static [&'static str]) -> String {
    let last = |key: &str| key.rsplit('.').next().unwrap_or_default().to_owned();
    let name = last(dotted);
    let same_name = || known.iter().copied().find(|key| last(key) == name);
    let full = closest(dotted, known.iter().copied());
    let sections = known
        .iter()
        .filter_map(|key| key.split_once('.'))
        .map(|(section, _)| section);
    let candidate = full
        .or_else(same_name)
        .or_else(|| closest(dotted, sections));
    candidate.map_or_else(String::new, |candidate| {
        format!("; did you mean `{candidate}`?")
    })
}

pub(super) fn key_text(key: &Value) -> String {
    match key {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Bool(switch) => switch.to_string(),
        Value::Null => "null".to_owned(),
        Value::Sequence(_) | Value::Mapping(_) | Value::Tagged(_) => "?".to_owned(),
    }
}

/// A value as it may stand in a message: short, quoted when it is a text.
pub(super) fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => format!("{text:?}"),
        Value::Sequence(_) => "a list".to_owned(),
        Value::Mapping(_) => "a section".to_owned(),
        other => key_text(other),
    }
}

/// The parser's message without its own "at line ...", which the place already tells.
pub(super) fn without_position(error: &impl Display) -> String {
    let text = error.to_string();
    text.split(" at line ").next().unwrap_or(&text).to_owned()
}
