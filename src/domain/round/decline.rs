//! Why a member takes no part, as others may know it.
//!
//! A reason that travels is one of these words and nothing else: no text, no number, no name. What a node has found out about its
//! data stays in its own log; whatever fails because of data is not even declined (`secagg::contribution`).

use std::fmt;

use serde::{Deserialize, Serialize};

use super::FailureCode;

/// Why a member takes no part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeclineCode {
    /// It has no room for the task now.
    Busy,
    /// Its owner's rules do not allow the task.
    NotAllowed,
    /// It has no data under a name that the task asks for.
    NoSuchData,
    /// The schema that it has published is not the one that the task asks for.
    DataUnfit,
    /// The task is none that it runs: damaged, too large, not the one on record, or with graphs that it does not take.
    TaskUnfit,
    /// Its owner is being asked.
    AsksOwner,
    /// The budget for its data is spent.
    OverBudget,
    /// The round has fewer members, or fewer that it trusts, than it insists on.
    TooFewMembers,
    /// The round does not protect it as well as it insists on.
    TooWeak,
    /// Somebody broke the protocol.
    Protocol,
    /// Somebody was silent for too long.
    Silence,
    /// Its owner has left the task.
    Left,
    /// It has taken this step before, and may have revealed its part: of a second sum the difference would tell about members.
    StepDone,
    /// Trouble of its own, not with data. Also what is read for a word that is not here.
    #[serde(other)]
    Internal,
}

impl DeclineCode {
    /// All of them.
    pub const ALL: [Self; 14] = [
        Self::Busy,
        Self::NotAllowed,
        Self::NoSuchData,
        Self::DataUnfit,
        Self::TaskUnfit,
        Self::AsksOwner,
        Self::OverBudget,
        Self::TooFewMembers,
        Self::TooWeak,
        Self::Protocol,
        Self::Silence,
        Self::Left,
        Self::StepDone,
        Self::Internal,
    ];

    /// Its word on the wire; the same as serde's.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Busy => "busy",
            Self::NotAllowed => "not_allowed",
            Self::NoSuchData => "no_such_data",
            Self::DataUnfit => "data_unfit",
            Self::TaskUnfit => "task_unfit",
            Self::AsksOwner => "asks_owner",
            Self::OverBudget => "over_budget",
            Self::TooFewMembers => "too_few_members",
            Self::TooWeak => "too_weak",
            Self::Protocol => "protocol",
            Self::Silence => "silence",
            Self::Left => "left",
            Self::StepDone => "step_done",
            Self::Internal => "internal",
        }
    }

    /// Whether it is so for the whole task, as long as nobody changes data, rules or the task.
    #[must_use]
    pub fn stays(self) -> bool {
        match self {
            Self::NotAllowed
            | Self::NoSuchData
            | Self::DataUnfit
            | Self::TaskUnfit
            | Self::OverBudget
            | Self::TooWeak
            | Self::Left
            | Self::StepDone => true,
            Self::Busy
            | Self::AsksOwner
            | Self::TooFewMembers
            | Self::Protocol
            | Self::Silence
            | Self::Internal => false,
        }
    }

    /// The code of this word.
    #[must_use]
    pub fn of_name(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|code| code.name() == word)
    }

    /// What it means, for people; a clause without a subject.
    #[must_use]
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Busy => "has no room for the task now",
            Self::NotAllowed => "is not allowed to by its owner",
            Self::NoSuchData => "has no data under a name that the task asks for",
            Self::DataUnfit => "has published another schema than the task asks for",
            Self::TaskUnfit => {
                "does not run this task: `delta-node inspect` says what may be wrong with it"
            }
            Self::AsksOwner => "asks its owner first",
            Self::OverBudget => "has spent the budget for its data",
            Self::TooFewMembers => "insists on more members, or on more that it knows",
            Self::TooWeak => "insists on a higher threshold or more neighbours",
            Self::Protocol => "saw the protocol broken",
            Self::Silence => "waited too long for others",
            Self::Left => "has left the task, as its owner decided",
            Self::StepDone => {
                "has revealed its part of this step in a round that failed, and gives it to no second one"
            }
            Self::Internal => "has trouble of its own, which its owner's log tells",
        }
    }
}

impl fmt::Display for DeclineCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.meaning())
    }
}

impl From<FailureCode> for DeclineCode {
    /// What others are told of a failure of this member's part.
    fn from(failure: FailureCode) -> Self {
        match failure {
            FailureCode::TooFewMembers | FailureCode::Refused | FailureCode::StayedAway => {
                Self::TooFewMembers
            }
            FailureCode::NotAllowed => Self::NotAllowed,
            FailureCode::TooWeak => Self::TooWeak,
            FailureCode::TooFewShares | FailureCode::ProtocolViolation => Self::Protocol,
            FailureCode::DeadlinePassed => Self::Silence,
            FailureCode::Computation | FailureCode::Infrastructure | FailureCode::Abandoned => {
                Self::Internal
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_those_of_serde_and_come_back() {
        for code in DeclineCode::ALL {
            let json = serde_json::to_value(code).unwrap();
            assert_eq!(json, code.name());
            assert_eq!(DeclineCode::of_name(code.name()), Some(code));
        }
        assert_eq!(DeclineCode::of_name("Anna is not a number"), None);
        let read: DeclineCode = serde_json::from_str("\"patients.csv\"").unwrap();
        assert_eq!(read, DeclineCode::Internal);
    }

    #[test]
    fn meanings_hold_no_number_and_no_place() {
        for code in DeclineCode::ALL {
            let text = code.to_string();
            assert!(!text.chars().any(|c| c.is_ascii_digit() || c == '/'));
        }
    }
}
