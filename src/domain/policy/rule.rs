//! The rules by name. Names are stable: `policy test`, the log, approvals and docs/policy.md use them.

use crate::named_rules::named_rules;
use crate::round::DeclineCode;

named_rules! {
    /// A rule that a verdict rests on.
    pub enum Rule {
        /// The task reads no dataset, and would use the machine all the same.
        NoData = "policy.no_data",
        /// The policy has ended.
        Until = "policy.until",
        /// The author is none of those who may ask.
        Who = "policy.who",
        /// The task's kind is not allowed.
        Kinds = "policy.kinds",
        /// Too few members in a sum.
        Members = "policy.members",
        /// Too few colluding members withstood.
        Colluders = "policy.colluders",
        /// Too few rows.
        Rows = "policy.rows",
        /// Too many numbers for so few rows.
        Outputs = "policy.outputs",
        /// Too many rounds in a day.
        Rounds = "policy.rounds",
        /// A hidden column is read.
        ColumnHidden = "policy.columns.hidden",
        /// A column is read that the policy does not list.
        ColumnUnlisted = "policy.columns.unlisted",
        /// The dataset is read past the names of its columns.
        ColumnForm = "policy.columns.form",
        /// Rows are matched with those of another dataset by a column that the policy does not list for that.
        Joins = "policy.joins",
        /// The noise protects less than the unit that the policy names.
        PrivacyUnit = "policy.privacy.unit",
        /// The delta of the task is above the policy's.
        PrivacyDelta = "policy.privacy.delta",
        /// The privacy budget does not suffice.
        PrivacyBudget = "policy.privacy.budget",
        /// A certified task reads more rows than are allowed to be proven.
        VerifyRows = "policy.verify.rows",
        /// A certified task has a column that is not allowed, or narrower bounds.
        VerifyColumns = "policy.verify.columns",
        /// Too many releases of controlled tasks were refused today.
        Refusals = "policy.refusals",
        /// The owner is asked.
        Asks = "policy.approval.ask",
        /// Nobody may ask.
        Never = "policy.approval.never",
        /// Safe by construction, and the policy lets that pass.
        Controlled = "policy.approval.controlled",
        /// Under noise within the budget, and the policy lets that pass.
        Private = "policy.approval.private",
        /// The task is this node's own.
        Own = "policy.approval.own",
        /// The owner has allowed this very question.
        Given = "policy.approval.given",
        /// The owner has denied this very question.
        Denied = "policy.approval.denied",
    }
}

impl Rule {
    /// What the network is told when this rule refuses. `None`: nothing, because the refusal would tell of the data (how many rows there
    /// are, or that a column exists); the member contributes zeros and is counted, as one whose data do not fit.
    #[must_use]
    pub fn decline(self) -> Option<DeclineCode> {
        match self {
            Self::Rows | Self::Outputs | Self::ColumnHidden | Self::VerifyRows => None,
            Self::Members => Some(DeclineCode::TooFewMembers),
            Self::Colluders => Some(DeclineCode::TooWeak),
            Self::Rounds | Self::PrivacyBudget => Some(DeclineCode::OverBudget),
            Self::NoData
            | Self::Until
            | Self::Who
            | Self::Kinds
            | Self::ColumnUnlisted
            | Self::ColumnForm
            | Self::Joins
            | Self::PrivacyUnit
            | Self::PrivacyDelta
            | Self::VerifyColumns
            | Self::Asks
            | Self::Refusals
            | Self::Never
            | Self::Controlled
            | Self::Private
            | Self::Own
            | Self::Given
            | Self::Denied => Some(DeclineCode::NotAllowed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::named_rules::tests::names_hold;

    #[test]
    fn names_are_unique_and_come_back() {
        names_hold!(Rule, "policy.");
    }

    #[test]
    fn what_depends_on_data_has_no_code() {
        let silent: Vec<&str> = Rule::ALL
            .iter()
            .filter(|rule| rule.decline().is_none())
            .map(|rule| rule.name())
            .collect();
        assert_eq!(
            silent,
            [
                "policy.rows",
                "policy.outputs",
                "policy.columns.hidden",
                "policy.verify.rows"
            ]
        );
    }
}
