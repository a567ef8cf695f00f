//! The rules of controlled releases by name. Names are stable: logs, approvals and docs/policy.md use them.
//!
//! The network never learns which rule refused, nor that one did: what they say depends on the data, so the member contributes zeros
//! and is counted as one whose data do not fit.

use crate::named_rules::named_rules;

named_rules! {
    /// A rule that a release broke.
    pub enum RecordsRule {
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
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::named_rules::tests::names_hold;

    #[test]
    fn names_are_unique_and_come_back() {
        names_hold!(RecordsRule, "records.");
    }
}
