//! What answers: one file for each kind of caller and content. Each gives an answer or a rejection.

pub(crate) mod approvals;
pub(crate) mod board;
pub(crate) mod catalogue;
pub(crate) mod dashboard;
pub(crate) mod events;
pub(crate) mod identity;
pub(crate) mod operating;
pub(crate) mod ops;
pub(crate) mod privacy;
pub(crate) mod registrations;
pub(crate) mod rounds;
pub(crate) mod shares;
pub(crate) mod tasks;
pub(crate) mod upload;
