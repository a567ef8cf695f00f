//! What an owner says about a dataset to everybody, as it stands beside the dataset's rules, and the listing that follows from it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::listing::{Column, ColumnType, LONG, Listing, Samples, Terms, text_fault};
use super::plain::Plain;
use super::rows::Rows;
use crate::ids::DatasetName;
use crate::policy::{FieldFault, Policy, Role};

/// What others may read about a dataset. Everything may be left out, and is not published then.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct SaidForm {
    /// What it is, in words.
    pub description: Option<String>,
    /// All columns that tasks may read, by their names; or `from-file`: their names and plain types, taken from the file.
    pub columns: Option<ColumnsForm>,
    /// What its samples are, where it is no table.
    pub samples: Option<SamplesForm>,
    /// `rounded`: about how many rows there are, in one digit.
    pub rows: Option<RowsWord>,
    /// `shown`: whether tasks ask you, which kinds, and how many members, as the rules say.
    pub rules: Option<RulesWord>,
}

/// Columns, or where they are found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(untagged)]
pub enum ColumnsForm {
    /// Found in the file.
    Word(ColumnsWord),
    /// Written.
    Written(BTreeMap<String, ColumnForm>),
}

/// Where columns are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum ColumnsWord {
    /// Names and plain types are taken from the file.
    FromFile,
}

/// How the number of rows is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum RowsWord {
    /// In one digit, and below 100 not at all.
    Rounded,
}

/// Whether the rules are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum RulesWord {
    /// Approval, kinds, members, colluders and the last day.
    Shown,
}

/// What a column is.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct ColumnForm {
    /// What its cells are.
    #[serde(rename = "type")]
    pub kind: Option<ColumnType>,
    /// In which unit its numbers are.
    pub unit: Option<String>,
    /// What it is for the rules; those say it where they list the column.
    pub role: Option<Role>,
    /// The levels of a category.
    pub levels: Option<Vec<LevelForm>>,
    /// The smallest and the largest value that can be: numbers, or days as YYYY-MM-DD.
    pub range: Option<(EndForm, EndForm)>,
    /// About which share of the cells has no value, from 0 to 1.
    #[cfg_attr(feature = "schema", schemars(range(min = 0, max = 1)))]
    pub missing: Option<f64>,
    /// What it is, in words.
    pub description: Option<String>,
}

/// What samples are.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct SamplesForm {
    /// Of one sample; of images: channels, height, width.
    pub shape: Vec<u32>,
    /// The classes in the order of the labels.
    pub classes: Option<Vec<LevelForm>>,
    /// The smallest and the largest number that can be.
    pub range: Option<(EndForm, EndForm)>,
}

/// A level or class, as YAML takes it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(untagged)]
pub enum LevelForm {
    /// `true`.
    Truth(bool),
    /// `1`.
    Number(f64),
    /// `f`.
    Text(String),
}

/// The end of a range, as YAML takes it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(untagged)]
pub enum EndForm {
    /// `120`.
    Number(f64),
    /// `1990-01-01`.
    Text(String),
}

/// What an owner says about a dataset to everybody.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Said {
    description: Option<String>,
    /// As written, with the roles that are written here.
    columns: Option<Vec<Column>>,
    from_file: bool,
    samples: Option<Samples>,
    rows: bool,
    rules: bool,
}

/// What a file is from outside: names and plain types of its columns, in the file's order.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Outline {
    /// A type is left out where there are no cells.
    pub columns: Vec<(String, Option<ColumnType>)>,
}

impl SaidForm {
    /// What is said, when every value can be. `roles`: what the rules beside it say of columns.
    ///
    /// # Errors
    /// All values that cannot, by their keys from `catalogue` on.
    pub fn check(self, roles: Option<&BTreeMap<String, Role>>) -> Result<Said, Vec<FieldFault>> {
        let mut faults = Vec::new();
        let mut bad = |path: &[&str], fault: &str| {
            let path: Vec<&str> = std::iter::once("catalogue")
                .chain(path.iter().copied())
                .collect();
            faults.push(FieldFault::new(&path, fault.to_owned()));
        };
        let description = self.description.map(|text| one_line(&text));
        if let Some(fault) = description.as_deref().and_then(|d| text_fault(d, LONG)) {
            bad(&["description"], fault);
        }
        if self.columns.is_some() && self.samples.is_some() {
            bad(
                &["samples"],
                "stand beside `columns`; a dataset is one of the two",
            );
        }
        let from_file = matches!(self.columns, Some(ColumnsForm::Word(_)));
        let columns = match self.columns {
            Some(ColumnsForm::Written(columns)) => Some(columns),
            Some(ColumnsForm::Word(ColumnsWord::FromFile)) | None => None,
        };
        let columns = columns.map(|columns| {
            let columns = columns.into_iter().map(|(name, form)| {
                if form.missing.is_some_and(|x| Plain::of(x).is_none()) {
                    bad(
                        &["columns", &name, "missing"],
                        "must be a share from 0 to 1",
                    );
                }
                let column = form.column(&name);
                let ruled = roles.and_then(|roles| roles.get(&column.name));
                if let Some(fault) = fault_of(&column, ruled.copied()) {
                    bad(&["columns", &name], &fault);
                }
                column
            });
            columns.collect::<Vec<Column>>()
        });
        let samples = self.samples.map(SamplesForm::samples);
        if let Some(fault) = samples.as_ref().and_then(Samples::fault) {
            bad(&["samples"], fault);
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        Ok(Said {
            description,
            columns,
            from_file,
            samples,
            rows: self.rows.is_some(),
            rules: self.rules.is_some(),
        })
    }
}

/// What is wrong with a column that is to be published.
fn fault_of(column: &Column, ruled: Option<Role>) -> Option<String> {
    match (ruled, column.role) {
        (Some(Role::Hidden), _) => {
            return Some(
                "is hidden in the rules, and what is hidden is never published".to_owned(),
            );
        }
        (Some(ruled), Some(role)) if ruled != role => {
            return Some(format!(
                "is {} here, and {} in the rules",
                role.name(),
                ruled.name()
            ));
        }
        _ => {}
    }
    column.fault().map(str::to_owned)
}

impl ColumnForm {
    fn column(self, name: &str) -> Column {
        let texts = |levels: Vec<LevelForm>| levels.into_iter().map(LevelForm::text).collect();
        Column {
            name: name.trim().to_owned(),
            kind: self.kind,
            unit: self.unit,
            role: self.role,
            levels: self.levels.map(texts).unwrap_or_default(),
            range: self.range.map(|(low, high)| (low.text(), high.text())),
            missing: self.missing.and_then(Plain::of),
            description: self.description.map(|text| one_line(&text)),
        }
    }
}

impl SamplesForm {
    fn samples(self) -> Samples {
        let texts = |classes: Vec<LevelForm>| classes.into_iter().map(LevelForm::text).collect();
        Samples {
            shape: self.shape,
            classes: self.classes.map(texts).unwrap_or_default(),
            range: self.range.map(|(low, high)| (low.text(), high.text())),
        }
    }
}

impl LevelForm {
    fn text(self) -> String {
        match self {
            Self::Truth(truth) => truth.to_string(),
            Self::Number(number) => plain(number),
            Self::Text(text) => text,
        }
    }
}

impl EndForm {
    fn text(self) -> String {
        match self {
            Self::Number(number) => plain(number),
            Self::Text(text) => text,
        }
    }
}

/// A number as text; what is no plain number is found when the text is looked at.
fn plain(number: f64) -> String {
    Plain::of(number).map_or_else(|| number.to_string(), |plain| plain.to_string())
}

/// YAML's blocks have line breaks, which a catalogue has not.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

impl Said {
    /// Whether the file is looked at for its columns.
    #[must_use]
    pub fn wants_outline(&self) -> bool {
        self.from_file
    }

    /// Whether the file is looked at for its rows.
    #[must_use]
    pub fn wants_rows(&self) -> bool {
        self.rows
    }

    /// What others read. `policy`: the dataset's rules; `outline` and `rows`: what the file is, used only where the owner said so.
    ///
    /// A column of the file that is hidden, or whose name no catalogue may have, is left out.
    #[must_use]
    pub fn listing(
        &self,
        name: &DatasetName,
        policy: &Policy,
        outline: Option<&Outline>,
        rows: Option<u64>,
    ) -> Listing {
        let role = |name: &str| policy.columns.as_ref()?.get(name).copied();
        let found = || {
            let columns = outline?.columns.iter();
            let columns = columns.map(|(name, kind)| Column {
                name: name.trim().to_owned(),
                kind: *kind,
                role: role(name.trim()),
                ..Column::default()
            });
            let mut names = BTreeSet::new();
            // A hidden one is at fault, too; of two whose names differ by blanks tasks read the first.
            let mut fits = |c: &Column| c.fault().is_none() && names.insert(c.name.clone());
            Some(columns.filter(|column| fits(column)).collect())
        };
        let written = self.columns.as_ref().map(|columns| {
            let with_role = |column: &Column| Column {
                role: column.role.or_else(|| role(&column.name)),
                ..column.clone()
            };
            columns.iter().map(with_role).collect()
        });
        Listing {
            name: name.clone(),
            description: self.description.clone(),
            rows: rows.filter(|_| self.rows).map(Rows::of),
            columns: if self.from_file { found() } else { written },
            samples: self.samples.clone(),
            terms: self.rules.then(|| Terms {
                kinds: policy.kinds.clone(),
                members: policy.members,
                colluders: policy.colluders,
                approval: policy.approval,
                until: policy.until,
            }),
        }
    }
}
