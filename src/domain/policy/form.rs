//! Rules as they are written: `policy.d/*.yaml`, and the section `datasets` of the configuration.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::rules::{ApprovalMode, Kind, Policy, Privacy, Renewal, Role, Unit};
use super::verify::VerifyForm;
use crate::identity::end_of_day;
use crate::records::ReleaseRules;

/// The rules of some datasets of this node.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct PolicyFile {
    /// By the name of the file or folder in `data_dir`. A dataset that stands nowhere asks about every task.
    pub datasets: BTreeMap<String, PolicyForm>,
}

/// The rules of one dataset. What is left out sets no limit; without `approval` every task asks.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct PolicyForm {
    /// What each column is. A column that is not listed asks; a hidden one does not exist for tasks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub columns: Option<BTreeMap<String, Role>>,
    /// Columns by which tasks may match rows with those of other datasets. Left out: such tasks ask.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub joins: Option<Vec<String>>,
    /// Who may ask: `org:NAME`, a node's key or fingerprint, `author:NAME@` and one of these. Left out: anybody.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub who: Option<Vec<String>>,
    /// Kinds of tasks. Left out: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kinds: Option<Vec<Kind>>,
    /// Fewest members of a sum that the roster or a pin vouches for, at least 2.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(range(min = 2, max = 10_000)))]
    pub members: Option<u32>,
    /// Members that may work together with the coordinator and the connector, and learn nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(range(max = 10_000)))]
    pub colluders: Option<u32>,
    /// Fewest local rows that a task reads, at least 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(range(min = 1)))]
    pub rows: Option<u64>,
    /// Most numbers that leave in a round, for each row read. Above 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(range(min = 0)))]
    pub outputs_per_row: Option<f64>,
    /// Most rounds within 24 hours, at least 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(range(min = 1)))]
    pub rounds_per_day: Option<u32>,
    /// When the owner is asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approval: Option<ApprovalMode>,
    /// The budget for tasks under noise. `approval: private` needs one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub privacy: Option<PrivacyForm>,
    /// Limits of controlled releases. Left out: the defaults.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub records: Option<ReleaseForm>,
    /// Limits of certified tasks. Left out: none of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verify: Option<VerifyForm>,
    /// The last day (UTC) on which anything is allowed: `YYYY-MM-DD`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
}

/// Limits of controlled releases. What is left out has its default.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct ReleaseForm {
    /// Fewest units of a release, of a count and of the difference of two releases: at least 3; 10 without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(range(min = 3, max = 1_000_000)))]
    pub threshold: Option<u64>,
    /// The share of a sum from which on its two largest contributions are too much: above 0, at most 0.95; 0.9 without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(range(min = 0, max = 0.95)))]
    pub dominance: Option<f64>,
    /// The share of the largest contribution that the rest of a sum must reach: from 0.05 to 1; 0.1 without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(range(min = 0.05, max = 1)))]
    pub p_percent: Option<f64>,
    /// Fewest residual degrees of freedom: at least 3; 10 without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(range(min = 3, max = 1_000_000)))]
    pub freedom: Option<u64>,
    /// Most released numbers for each unit: above 0, at most 0.5; 0.33 without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(range(min = 0, max = 0.5)))]
    pub outputs_per_row: Option<f64>,
    /// Most releases that may be refused within 24 hours before you are asked about controlled tasks too: 0 to 1000; 5 without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(range(min = 0, max = 1000)))]
    pub refusals: Option<u32>,
}

/// The budget for tasks under noise.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct PrivacyForm {
    /// Whom the noise must protect at least.
    pub unit: UnitForm,
    /// The column whose value tells persons apart (`unit: person`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The most that all tasks of a period may cost together. Above 0.
    #[cfg_attr(feature = "schema", schemars(range(min = 0)))]
    pub epsilon: f64,
    /// The delta at which that is stated: above 0, below 1.
    #[cfg_attr(feature = "schema", schemars(range(min = 0, max = 1)))]
    pub delta: f64,
    /// When the budget is full again.
    #[serde(default)]
    pub renew: Renewal,
}

/// Whom noise protects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum UnitForm {
    /// One row.
    Record,
    /// All rows with the same value in the column `key`.
    Person,
    /// Everything that one member has.
    Member,
}

/// A value that cannot be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldFault {
    /// Names of keys from the dataset's downwards.
    pub path: Vec<String>,
    /// What is wrong and what to write; follows the key's name.
    pub fault: String,
}

impl FieldFault {
    pub(crate) fn new(path: &[&str], fault: impl Into<String>) -> Self {
        Self {
            path: path.iter().map(|key| (*key).to_owned()).collect(),
            fault: fault.into(),
        }
    }
}

impl PolicyForm {
    /// The rules, when every value can be.
    ///
    /// # Errors
    /// All values that cannot.
    pub fn check(self) -> Result<Policy, Vec<FieldFault>> {
        let mut faults = Vec::new();
        let mut bad = |path: &[&str], fault: &str| faults.push(FieldFault::new(path, fault));
        if self.members.is_some_and(|n| !(2..=10_000).contains(&n)) {
            bad(&["members"], "must be a whole number from 2 to 10000");
        }
        if self.colluders.is_some_and(|n| n > 10_000) {
            bad(&["colluders"], "must be a whole number from 0 to 10000");
        }
        if self.rows == Some(0) {
            bad(&["rows"], "must be at least 1; leave it out for no limit");
        }
        if self
            .outputs_per_row
            .is_some_and(|x| !x.is_finite() || x <= 0.0)
        {
            bad(&["outputs_per_row"], "must be a number above 0");
        }
        if self.rounds_per_day == Some(0) {
            bad(
                &["rounds_per_day"],
                "must be at least 1; approval: never allows none",
            );
        }
        if self.kinds.as_ref().is_some_and(Vec::is_empty) {
            bad(
                &["kinds"],
                "must list statistics, regression or learning; leave it out for all",
            );
        }
        if self.approval == Some(ApprovalMode::Private) && self.privacy.is_none() {
            bad(
                &["approval"],
                "is private, and there is no budget: add privacy: { unit, epsilon, delta, renew }",
            );
        }
        let until = self.until.as_deref().map(end_of_day);
        if until == Some(None) {
            bad(
                &["until"],
                "is no day: expected YYYY-MM-DD, the last day on which anything is allowed",
            );
        }
        let columns = self.columns.map(|columns| checked(columns, &mut faults));
        let joins = keys(
            self.joins.unwrap_or_default(),
            columns.as_ref(),
            &mut faults,
        );
        let who = self.who.map(|who| {
            if who.is_empty() {
                faults.push(FieldFault::new(
                    &["who"],
                    "must name somebody; leave it out for anybody, or write approval: never for nobody",
                ));
            }
            who.iter()
                .filter_map(|text| match text.parse() {
                    Ok(who) => Some(who),
                    Err(error) => {
                        faults.push(FieldFault::new(&["who"], format!("is wrong: {error}")));
                        None
                    }
                })
                .collect()
        });
        let privacy = self.privacy.and_then(|form| form.check(&mut faults));
        let records = self.records.map(|form| form.check(&mut faults));
        let verify = self.verify.map(|form| form.check(&mut faults));
        if !faults.is_empty() {
            return Err(faults);
        }
        Ok(Policy {
            columns,
            joins,
            who,
            kinds: self.kinds.map(|kinds| kinds.into_iter().collect()),
            members: self.members,
            colluders: self.colluders,
            rows: self.rows,
            outputs_per_row: self.outputs_per_row,
            rounds_per_day: self.rounds_per_day,
            approval: self.approval.unwrap_or_default(),
            privacy,
            records,
            verify,
            until: until.flatten(),
        })
    }
}

/// Columns by their names without spaces around them, as files have them.
fn checked(
    columns: BTreeMap<String, Role>,
    faults: &mut Vec<FieldFault>,
) -> BTreeMap<String, Role> {
    let mut all = BTreeMap::new();
    for (name, role) in columns {
        let clean = name.trim().to_owned();
        if clean.is_empty() || clean.len() > 256 {
            let fault = "is no column: a name has 1 to 256 bytes";
            faults.push(FieldFault::new(&["columns", &name], fault));
        } else if all.insert(clean, role).is_some() {
            faults.push(FieldFault::new(&["columns", &name], "stands twice"));
        }
    }
    all
}

/// Columns by which tasks may join.
fn keys(
    joins: Vec<String>,
    columns: Option<&BTreeMap<String, Role>>,
    faults: &mut Vec<FieldFault>,
) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for name in joins {
        let clean = name.trim().to_owned();
        let role = columns.and_then(|columns| columns.get(&clean));
        let fault = match role {
            _ if clean.is_empty() || clean.len() > 256 => {
                "names no column: a name has 1 to 256 bytes".to_owned()
            }
            Some(Role::Hidden) => {
                format!("names {clean:?}, which is hidden, and a hidden column is no key")
            }
            _ => {
                all.insert(clean);
                continue;
            }
        };
        faults.push(FieldFault::new(&["joins"], fault));
    }
    all
}

impl ReleaseForm {
    /// No value is looser than what a careful checker of outputs would ever accept.
    fn check(self, faults: &mut Vec<FieldFault>) -> ReleaseRules {
        let mut bad =
            |key: &str, fault: &str| faults.push(FieldFault::new(&["records", key], fault));
        let few = |n: &u64| (3..=1_000_000).contains(n);
        if !self.threshold.iter().all(few) {
            bad("threshold", "must be a whole number from 3 to 1000000");
        }
        if !self.dominance.iter().all(|x| *x > 0.0 && *x <= 0.95) {
            bad("dominance", "must be above 0 and at most 0.95");
        }
        if !self.p_percent.iter().all(|x| (0.05..=1.0).contains(x)) {
            bad(
                "p_percent",
                "must be a number from 0.05 to 1, for example 0.1",
            );
        }
        if !self.freedom.iter().all(few) {
            bad("freedom", "must be a whole number from 3 to 1000000");
        }
        if !self.outputs_per_row.iter().all(|x| *x > 0.0 && *x <= 0.5) {
            bad("outputs_per_row", "must be above 0 and at most 0.5");
        }
        if !self.refusals.iter().all(|n| *n <= 1000) {
            bad("refusals", "must be a whole number from 0 to 1000");
        }
        let default = ReleaseRules::default();
        ReleaseRules {
            threshold: self.threshold.unwrap_or(default.threshold),
            dominance: self.dominance.unwrap_or(default.dominance),
            p_percent: self.p_percent.unwrap_or(default.p_percent),
            freedom: self.freedom.unwrap_or(default.freedom),
            outputs_per_row: self.outputs_per_row.unwrap_or(default.outputs_per_row),
            leverage: default.leverage,
            refusals: self.refusals.unwrap_or(default.refusals),
        }
    }
}

impl PrivacyForm {
    fn check(self, faults: &mut Vec<FieldFault>) -> Option<Privacy> {
        let before = faults.len();
        if !self.epsilon.is_finite() || self.epsilon <= 0.0 {
            faults.push(FieldFault::new(
                &["privacy", "epsilon"],
                "must be a number above 0, for example 3.0",
            ));
        }
        if !(self.delta > 0.0 && self.delta < 1.0) {
            faults.push(FieldFault::new(
                &["privacy", "delta"],
                "must lie between 0 and 1, for example 1e-6",
            ));
        }
        let unit = match (self.unit, self.key) {
            (UnitForm::Record, None) => Some(Unit::Record),
            (UnitForm::Member, None) => Some(Unit::Member),
            (UnitForm::Person, Some(key)) if !key.trim().is_empty() => {
                Some(Unit::Person(key.trim().to_owned()))
            }
            (UnitForm::Person, _) => {
                let fault = "is person, and no column tells persons apart: add key: COLUMN";
                faults.push(FieldFault::new(&["privacy", "unit"], fault));
                None
            }
            (UnitForm::Record | UnitForm::Member, Some(_)) => {
                let fault = "goes with unit: person only; remove it";
                faults.push(FieldFault::new(&["privacy", "key"], fault));
                None
            }
        };
        (faults.len() == before).then_some(Privacy {
            unit: unit?,
            epsilon: self.epsilon,
            delta: self.delta,
            renew: self.renew,
        })
    }
}

#[cfg(test)]
mod tests;
