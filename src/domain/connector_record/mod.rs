//! The connector's record as a value: what is on it, which calls it accepts, what a call changes and publishes.
//!
//! The rules of docs/protocol/connector.md, those marked (E) included, as pure functions. A [`Command`] is decided against the
//! [`Record`] and yields a [`Decision`]: an [`Answer`], the [`Change`]s to put on record and at most one [`RecordEvent`].
//! Whoever keeps the record applies the changes (after storing them, if it stores them) and then publishes the event.
//!
//! Strings are opaque here, as they are at the reference connector: no form is checked, comparisons are exact.
//! This is not the node's view of the network: that one is typed (`domain::event`, `ports::connector`).

mod apply;
mod body;
mod change;
mod command;
mod decision;
mod event;
mod identity;
pub mod limits;
mod rejection;
mod round;
mod shares;
mod state;
mod status;
mod task;
mod verify;

#[cfg(test)]
mod tests;

pub use change::{Change, ChangeError, UploadKind};
pub use command::{Command, NewTaskEntry, ProofEntry, RoundRef, SecretKind, Step};
pub use decision::{Answer, Decision, NodeEntry, RoundEntry, ShareEntry, TaskEntry, fresh_hex};
pub use event::{RecordEvent, UnreadableEvent};
pub use rejection::{Rejection, RejectionReason};
pub use state::{LIFE_SECONDS, Record};
pub use status::{RoundId, Status, TaskIndex};
