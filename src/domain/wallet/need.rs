//! How much a call is needed, compared with the others that wait.

use crate::connector_record::Command;

/// How much a call is needed. The first goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Need {
    /// Without it nothing else is taken soon: a registration that is about to lapse.
    Membership,
    /// A round that is under way waits for it, with everybody in it.
    Round,
    /// It opens a round: nobody is in it yet.
    Opening,
    /// Somebody has just asked for it, and no round has begun: a new task, or a value that this node shows to others.
    New,
    /// It may wait until there is nothing else: a registration that lasts for a while yet, or the end of a task that is over.
    Idle,
}

impl Need {
    /// How much `command` is needed. A registration is [`Need::Idle`] here: whether it is about to lapse is the queue's to know.
    #[must_use]
    pub fn of(command: &Command) -> Self {
        match command {
            Command::JoinRound { .. }
            | Command::Advance { .. }
            | Command::UploadCommitments { .. }
            | Command::UploadResult { .. }
            | Command::UploadShares { .. }
            | Command::EndRound { .. }
            | Command::Verify(_)
            // The process is about to end.
            | Command::Leave { .. } => Self::Round,
            Command::StartRound { .. } => Self::Opening,
            Command::Join { .. } | Command::JoinAs { .. } | Command::FinishTask { .. } => {
                Self::Idle
            }
            // Reads do not come here.
            _ => Self::New,
        }
    }
}
