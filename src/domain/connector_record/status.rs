//! What rows and changes both speak of: places on the record, and where a round or one of its members stands.

/// Place of a task on the record.
pub type TaskIndex = usize;

/// Place of a round on the record.
pub type RoundId = usize;

/// Where a round or one of its members stands. The numbers are those of the wire.
#[expect(
    missing_docs,
    reason = "docs/protocol/connector.md (Encodings) tells them"
)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    Started = 0,
    Running = 1,
    Calculating = 2,
    Aggregating = 3,
    Finished = 4,
}

impl Status {
    /// Its number.
    #[must_use]
    pub fn code(self) -> i32 {
        self as i32
    }

    /// The status of a number.
    #[must_use]
    pub fn from_code(code: i32) -> Option<Self> {
        [
            Self::Started,
            Self::Running,
            Self::Calculating,
            Self::Aggregating,
            Self::Finished,
        ]
        .into_iter()
        .find(|s| s.code() == code)
    }
}
