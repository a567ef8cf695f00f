//! The owner's rules for certified tasks, whose members prove that an answer is right for exactly their rows
//! (docs/protocol/certificate.md).
//!
//! They bind what a task says of its columns: what is in them its graph decides. So no rule here allows anything, and each such task asks.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::form::FieldFault;
use super::rule::Rule;
use crate::manifest::{Certify, MAX_CERTIFIED_ROWS, usable_bounds};

/// Limits of certified tasks on one dataset.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct VerifyRules {
    /// Most rows of a dataset that a certified task reads; `None`: as many as a certificate can hold.
    pub max_rows: Option<u64>,
    /// Columns that may be certified, and the narrowest bounds of each; `None`: any.
    pub columns: Option<BTreeMap<String, Bounds>>,
}

/// What a cell may be, both ends included: `[low, high]` where it is written.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(from = "[f64; 2]", into = "[f64; 2]")]
pub struct Bounds {
    /// The smallest number.
    pub low: f64,
    /// The largest.
    pub high: f64,
}

impl Bounds {
    /// Whether every number within `other` is within these.
    fn hold(self, other: Self) -> bool {
        self.low <= other.low && other.high <= self.high
    }
}

impl From<[f64; 2]> for Bounds {
    fn from([low, high]: [f64; 2]) -> Self {
        Self { low, high }
    }
}

impl From<Bounds> for [f64; 2] {
    fn from(bounds: Bounds) -> Self {
        [bounds.low, bounds.high]
    }
}

/// What a certified task says of its columns, each as often as it stands there: of two with one name both must keep the rules.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CertifiedColumns(Vec<(String, Bounds)>);

impl CertifiedColumns {
    /// Those of a task.
    #[must_use]
    pub fn of(certify: &Certify) -> Self {
        let bounds = |low, high| Bounds { low, high };
        let named = certify.bounded();
        Self(
            named
                .map(|column| (column.name.clone(), bounds(column.low, column.high)))
                .collect(),
        )
    }
}

/// The rules of a dataset for certified tasks, as written. What is left out sets no limit.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct VerifyForm {
    /// Most rows that the dataset may have for certified tasks to read it: proofs take time and memory. 1 to 131072; left out: no limit of
    /// its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 131_072)))]
    pub max_rows: Option<u64>,
    /// Columns that may be certified, each with the smallest and the largest number that a cell is sure to be. A task with another column, or
    /// with narrower bounds, is refused: whether a node takes part tells whether its cells are within. Left out: any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub columns: Option<BTreeMap<String, [f64; 2]>>,
}

impl VerifyForm {
    pub(super) fn check(self, faults: &mut Vec<FieldFault>) -> VerifyRules {
        let most = u64::try_from(MAX_CERTIFIED_ROWS).unwrap_or(u64::MAX);
        if !self.max_rows.iter().all(|n| (1..=most).contains(n)) {
            let fault = format!("must be a whole number from 1 to {most}");
            faults.push(FieldFault::new(&["verify", "max_rows"], fault));
        }
        if self.columns.as_ref().is_some_and(BTreeMap::is_empty) {
            let fault = "must list a column with its bounds; leave it out for any";
            faults.push(FieldFault::new(&["verify", "columns"], fault));
        }
        let mut columns = BTreeMap::new();
        for (name, [low, high]) in self.columns.iter().flatten() {
            if !usable_bounds(*low, *high) {
                let fault = "must be two numbers, the smaller one first, for example [0, 120]";
                faults.push(FieldFault::new(&["verify", "columns", name], fault));
            }
            let clean = name.trim().to_owned();
            if columns.insert(clean, Bounds::from([*low, *high])).is_some() {
                faults.push(FieldFault::new(
                    &["verify", "columns", name],
                    "stands twice",
                ));
            }
        }
        VerifyRules {
            max_rows: self.max_rows,
            columns: self.columns.is_some().then_some(columns),
        }
    }
}

impl VerifyRules {
    /// What stands against a certified task: the rule, and why. `rows`: those of the dataset; not known, or more than allowed, is too many.
    pub(super) fn against(
        &self,
        task: &CertifiedColumns,
        rows: Option<u64>,
    ) -> Vec<(Rule, String)> {
        let mut found = Vec::new();
        if let Some(most) = self.max_rows
            && rows.is_none_or(|rows| rows > most)
        {
            let read = rows.map_or("an unknown number of".to_owned(), |n| n.to_string());
            let why = format!("a proof may be about {read} rows, and {most} are the most allowed");
            found.push((Rule::VerifyRows, why));
        }
        let Some(allowed) = &self.columns else {
            return found;
        };
        for (name, asked) in &task.0 {
            let why = match allowed.get(name.trim()) {
                Some(least) if asked.hold(*least) => continue,
                Some(Bounds { low, high }) => format!(
                    "column {name:?} would be certified from {} to {}, and {low} to {high} is the narrowest allowed",
                    asked.low, asked.high
                ),
                None => format!("column {name:?} may not be certified"),
            };
            found.push((Rule::VerifyColumns, why));
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(json: &str) -> VerifyRules {
        let form: VerifyForm = serde_json::from_str(json).unwrap();
        let mut faults = Vec::new();
        let rules = form.check(&mut faults);
        assert!(faults.is_empty(), "{faults:?}");
        rules
    }

    fn against(json: &str, task: &[(&str, f64, f64)], rows: Option<u64>) -> Vec<Rule> {
        let columns = task.iter().copied();
        let columns = columns.map(|(name, low, high)| (name.to_owned(), Bounds { low, high }));
        let found = rules(json).against(&CertifiedColumns(columns.collect()), rows);
        found.into_iter().map(|(rule, _)| rule).collect()
    }

    #[test]
    fn bounds_may_be_wider_than_the_owners_and_not_narrower() {
        let json = r#"{"columns": {"age": [0, 120], "bmi ": [10, 80]}}"#;
        assert_eq!(against(json, &[("age", 0.0, 120.0)], None), []);
        assert_eq!(
            against(json, &[("age", -1.0, 200.0), ("bmi", 0.0, 80.0)], None),
            []
        );
        let narrow = [Rule::VerifyColumns];
        assert_eq!(against(json, &[("age", 65.0, 120.0)], None), narrow);
        assert_eq!(against(json, &[("age", 0.0, 64.0)], None), narrow);
        assert_eq!(against(json, &[("wage", 0.0, 1e9)], None), narrow);
        assert_eq!(against("{}", &[("wage", 0.0, 1e9)], None), []);
        let twice = [("age", 65.0, 120.0), ("age", 0.0, 120.0)];
        assert_eq!(against(json, &twice, None), narrow);
    }

    #[test]
    fn too_many_rows_and_an_unknown_number_are_refused() {
        let json = r#"{"max_rows": 1000}"#;
        for (rows, refused) in [(Some(1000), false), (Some(1001), true), (None, true)] {
            let expected: &[Rule] = if refused { &[Rule::VerifyRows] } else { &[] };
            assert_eq!(against(json, &[], rows), expected, "{rows:?}");
        }
    }

    #[test]
    fn what_cannot_be_is_told_by_its_place() {
        let json = r#"{"max_rows": 131073, "columns": {"age": [1, 1], "bmi": [0, 9]}}"#;
        let form: VerifyForm = serde_json::from_str(json).unwrap();
        let mut faults = Vec::new();
        form.check(&mut faults);
        let paths: Vec<String> = faults.iter().map(|f| f.path.join(".")).collect();
        assert_eq!(paths, ["verify.max_rows", "verify.columns.age"]);
        let none: VerifyForm = serde_json::from_str(r#"{"columns": {}}"#).unwrap();
        faults.clear();
        none.check(&mut faults);
        assert_eq!(faults[0].path.join("."), "verify.columns");
        let twice = r#"{"columns": {"age": [0, 120], "age ": [0, 9]}}"#;
        let twice: VerifyForm = serde_json::from_str(twice).unwrap();
        faults.clear();
        twice.check(&mut faults);
        assert_eq!(faults[0].path.join("."), "verify.columns.age ");
    }
}
