//! The rules of controlled releases by name. Names are stable: logs, approvals and docs/policy.md use them.
//!
//! The network never learns which rule refused, nor that one did: what they say depends on the data, so the member contributes zeros
//! and is counted as one whose data do not fit.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Makes the enum, the list of all and the names from one table, so that no rule is without one.
macro_rules! rules {
    ($($(#[$doc:meta])* $variant:ident = $name:literal),+ $(,)?) => {
        /// A rule that a release broke.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum RecordsRule {
            $($(#[$doc])* #[serde(rename = $name)] $variant),+
        }

        impl RecordsRule {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// Its stable name; the same as serde's.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name),+
                }
            }
        }
    };
}

rules! {
    /// Too few units.
    Rows = "records.rows",
    /// Too many numbers for so few units.
    Outputs = "records.outputs",
    /// A number to which too few units contribute.
    Cells = "records.cells",
    /// A number that one or two units make up, or from which the second can tell the first.
    Dominance = "records.dominance",
    /// Too few residual degrees of freedom.
    Freedom = "records.freedom",
    /// A combination of the numbers that one unit makes up.
    Leverage = "records.leverage",
    /// Two releases whose units differ by too few.
    Overlap = "records.overlap",
    /// The same step with another cohort.
    Cohort = "records.cohort",
}

impl RecordsRule {
    /// The rule of this name.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|rule| rule.name() == name)
    }
}

impl fmt::Display for RecordsRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_unique_and_come_back() {
        let names: BTreeSet<&str> = RecordsRule::ALL.iter().map(|rule| rule.name()).collect();
        assert_eq!(names.len(), RecordsRule::ALL.len());
        for rule in RecordsRule::ALL {
            assert_eq!(RecordsRule::of_name(rule.name()), Some(*rule));
            assert_eq!(serde_json::to_value(rule).unwrap(), rule.name());
            assert!(rule.name().starts_with("records."), "{rule}");
        }
        assert_eq!(RecordsRule::of_name("records.row"), None);
    }
}
