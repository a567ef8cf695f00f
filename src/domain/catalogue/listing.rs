//! What others read about one dataset.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::plain::Plain;
use super::rows::Rows;
use crate::identity::{deceives, end_of_day};
use crate::ids::DatasetName;
use crate::policy::{ApprovalMode, Kind, Role};
use crate::round::message::Encoder;
use crate::time::Timestamp;

/// The most datasets of a catalogue.
pub const MAX_DATASETS: usize = 100;
/// The most columns of a dataset.
pub const MAX_COLUMNS: usize = 1000;
/// The most levels of a column, and classes of samples.
pub const MAX_LEVELS: usize = 200;
/// The most dimensions of a sample.
const MAX_DIMENSIONS: usize = 8;
/// The longest texts, in bytes: about a dataset, about a column, a column's name, a level or class, a unit.
pub(super) const LONG: usize = 1000;
pub(super) const NOTE: usize = 200;
pub(super) const NAME: usize = 256;
pub(super) const LEVEL: usize = 64;
pub(super) const UNIT: usize = 32;

/// What a column's cells are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum ColumnType {
    /// Whole numbers.
    Integer,
    /// Numbers.
    Float,
    /// Truth values, which tasks read as 0 and 1.
    Boolean,
    /// One of some levels.
    Category,
    /// Texts, for tasks that declare their levels.
    String,
    /// Days, for tasks that declare them as dates.
    Date,
}

impl ColumnType {
    /// As it is written.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Integer => "integer",
            Self::Float => "float",
            Self::Boolean => "boolean",
            Self::Category => "category",
            Self::String => "string",
            Self::Date => "date",
        }
    }
}

/// A column, as far as the owner has said what it is.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Column {
    /// Its name, without blanks around it.
    pub name: String,
    /// What its cells are.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<ColumnType>,
    /// In which unit numbers are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// What it is for the owner's rules; never hidden.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
    /// The levels of a category.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub levels: Vec<String>,
    /// The smallest and the largest value there can be: numbers, or days as YYYY-MM-DD.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub range: Option<(String, String)>,
    /// Which share of the cells has no value, from 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missing: Option<Plain>,
    /// What it is, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// A dataset of samples: images, arrays.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Samples {
    /// Of one sample.
    pub shape: Vec<u32>,
    /// The classes in the order of the labels; none where samples have no label.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub classes: Vec<String>,
    /// The smallest and the largest number there can be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub range: Option<(String, String)>,
}

/// The owner's rules, as far as they are shown: what a task must be.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Terms {
    /// Kinds of tasks; `None`: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kinds: Option<BTreeSet<Kind>>,
    /// Fewest members of a sum.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub members: Option<u32>,
    /// Colluding members that a round must withstand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub colluders: Option<u32>,
    /// When the owner is asked.
    pub approval: ApprovalMode,
    /// The first moment at which nothing is allowed any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// What others read about one dataset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listing {
    /// Its name, by which tasks ask for it.
    pub name: DatasetName,
    /// What it is, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// About how many rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<Rows>,
    /// All columns that tasks may read; `None` where that is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub columns: Option<Vec<Column>>,
    /// What its samples are, where it is no table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub samples: Option<Samples>,
    /// The owner's rules, where they are shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terms: Option<Terms>,
}

/// Why a listing is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place} {fault}")]
pub struct ListingError {
    /// Where.
    pub place: String,
    /// What is wrong.
    pub fault: &'static str,
}

impl Listing {
    /// A listing that says no more than that there is something of this name.
    #[must_use]
    pub fn named(name: DatasetName) -> Self {
        Self {
            name,
            description: None,
            rows: None,
            columns: None,
            samples: None,
            terms: None,
        }
    }

    /// Whether everything in it can be, and is within bounds.
    ///
    /// # Errors
    /// The first thing that is not.
    pub fn check(&self) -> Result<(), ListingError> {
        let place = || format!("dataset {}", self.name);
        let wrong = |fault| {
            Err(ListingError {
                place: place(),
                fault,
            })
        };
        if let Some(fault) = optional(self.description.as_deref(), LONG) {
            return wrong(fault);
        }
        if self.columns.is_some() && self.samples.is_some() {
            return wrong("has columns and samples, and can be only one of the two");
        }
        let columns = self.columns.as_deref().unwrap_or_default();
        if columns.len() > MAX_COLUMNS {
            return wrong("has more than 1000 columns");
        }
        let names: BTreeSet<&str> = columns.iter().map(|c| c.name.as_str()).collect();
        if names.len() < columns.len() {
            return wrong("has two columns of one name");
        }
        for column in columns {
            if let Some(fault) = column.fault() {
                let place = format!("{}, column {:?},", place(), column.name);
                return Err(ListingError { place, fault });
            }
        }
        match self.samples.as_ref().and_then(Samples::fault) {
            Some(fault) => wrong(fault),
            None => Ok(()),
        }
    }

    pub(super) fn encode(&self, e: &mut Encoder) {
        e.text(self.name.as_str());
        text(e, self.description.as_deref());
        match self.rows {
            None => e.number(0),
            Some(Rows::Few) => e.number(1),
            Some(Rows::About(n)) => e.number(n),
        }
        optional_list(e, self.columns.as_deref(), |e, column| column.encode(e));
        optional_list(
            e,
            self.samples.as_ref().map(std::slice::from_ref),
            |e, s| {
                s.encode(e);
            },
        );
        optional_list(e, self.terms.as_ref().map(std::slice::from_ref), |e, t| {
            t.encode(e);
        });
    }
}

impl Column {
    pub(super) fn fault(&self) -> Option<&'static str> {
        let name = text_fault(&self.name, NAME);
        let name = name.or((self.name.trim() != self.name).then_some("has blanks around its name"));
        if name.is_some() {
            return name;
        }
        if let Some(fault) = optional(self.unit.as_deref(), UNIT)
            .or_else(|| optional(self.description.as_deref(), NOTE))
            .or_else(|| levels_fault(&self.levels))
        {
            return Some(fault);
        }
        if self.role == Some(Role::Hidden) {
            return Some("is hidden, and what is hidden is never published");
        }
        if !self.levels.is_empty() && self.kind != Some(ColumnType::Category) {
            return Some("has levels and is no category");
        }
        let share = self.missing.as_ref().map(Plain::value);
        if share.is_some_and(|share| !(0.0..=1.0).contains(&share)) {
            return Some("has a share of missing values that is not from 0 to 1");
        }
        let range = self.range.as_ref()?;
        match self.kind {
            Some(ColumnType::Date) => days_fault(range),
            Some(ColumnType::Integer | ColumnType::Float) => numbers_fault(range),
            Some(ColumnType::Boolean | ColumnType::Category | ColumnType::String) | None => {
                Some("has a range and is neither integer, float nor date")
            }
        }
    }

    fn encode(&self, e: &mut Encoder) {
        e.text(&self.name);
        text(e, self.kind.map(ColumnType::name));
        text(e, self.unit.as_deref());
        text(e, self.role.map(Role::name));
        list(e, &self.levels);
        range(e, self.range.as_ref());
        text(e, self.missing.as_ref().map(Plain::as_str));
        text(e, self.description.as_deref());
    }
}

impl Samples {
    pub(super) fn fault(&self) -> Option<&'static str> {
        if self.shape.len() > MAX_DIMENSIONS || self.shape.contains(&0) {
            return Some("has samples whose shape is not of 0 to 8 numbers above 0");
        }
        levels_fault(&self.classes).or_else(|| numbers_fault(self.range.as_ref()?))
    }

    fn encode(&self, e: &mut Encoder) {
        e.number(self.shape.len() as u64);
        for n in &self.shape {
            e.number(u64::from(*n));
        }
        list(e, &self.classes);
        range(e, self.range.as_ref());
    }
}

impl Terms {
    fn encode(&self, e: &mut Encoder) {
        let kinds: Option<Vec<Kind>> = self.kinds.as_ref().map(|k| k.iter().copied().collect());
        optional_list(e, kinds.as_deref(), |e, kind| e.text(kind.name()));
        for n in [self.members, self.colluders] {
            text(e, n.map(|n| n.to_string()).as_deref());
        }
        e.text(self.approval.name());
        text(e, self.until.map(|t| t.0.to_string()).as_deref());
    }
}

/// What is wrong with a text, if anything is.
pub(super) fn text_fault(text: &str, longest: usize) -> Option<&'static str> {
    if text.is_empty() {
        Some("has an empty text")
    } else if text.len() > longest {
        Some("has a text that is too long")
    } else if text.chars().any(deceives) {
        Some("has a text with a control character or an invisible one")
    } else {
        None
    }
}

fn optional(text: Option<&str>, longest: usize) -> Option<&'static str> {
    text_fault(text?, longest)
}

pub(super) fn levels_fault(levels: &[String]) -> Option<&'static str> {
    if levels.len() > MAX_LEVELS {
        return Some("has more than 200 levels or classes");
    }
    let different: BTreeSet<&String> = levels.iter().collect();
    if different.len() < levels.len() {
        return Some("has a level or class twice");
    }
    levels.iter().find_map(|level| text_fault(level, LEVEL))
}

pub(super) fn numbers_fault((low, high): &(String, String)) -> Option<&'static str> {
    match (low.parse::<Plain>(), high.parse::<Plain>()) {
        (Ok(low), Ok(high)) if low.value() <= high.value() => None,
        (Ok(_), Ok(_)) => Some("has a range that ends before it begins"),
        _ => Some("has a range of something else than plain numbers"),
    }
}

pub(super) fn days_fault((first, last): &(String, String)) -> Option<&'static str> {
    match (end_of_day(first), end_of_day(last)) {
        (Some(first), Some(last)) if first <= last => None,
        (Some(_), Some(_)) => Some("has a range that ends before it begins"),
        _ => Some("has a range of something else than days, YYYY-MM-DD"),
    }
}

/// A text that may be absent. An empty one is no text anywhere in a catalogue.
fn text(e: &mut Encoder, text: Option<&str>) {
    e.text(text.unwrap_or_default());
}

fn list(e: &mut Encoder, texts: &[String]) {
    e.number(texts.len() as u64);
    for text in texts {
        e.text(text);
    }
}

fn range(e: &mut Encoder, ends: Option<&(String, String)>) {
    text(e, ends.map(|(low, _)| low.as_str()));
    text(e, ends.map(|(_, high)| high.as_str()));
}

/// A list that may be absent, which an empty one is not.
fn optional_list<T>(e: &mut Encoder, items: Option<&[T]>, each: impl Fn(&mut Encoder, &T)) {
    let Some(items) = items else {
        return e.number(0);
    };
    e.number(items.len() as u64 + 1);
    for item in items {
        each(e, item);
    }
}
