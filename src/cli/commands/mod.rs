//! The commands that need the node's world, one a file; `dispatch` calls them.

pub(super) mod approvals;
pub(super) mod audit;
pub(super) mod backup;
pub(super) mod connector;
pub(super) mod data;
pub(super) mod doctor;
pub(super) mod identity;
pub(super) mod leave;
pub(super) mod log_level;
pub(super) mod policy;
pub(super) mod privacy;
pub(super) mod registrations;
pub(super) mod run;
pub(super) mod task;
pub(super) mod token;
pub(super) mod top;
pub(super) mod verify;
