//! What answers: one file for each kind of caller and content. A handler never rejects; it gives an answer or a refusal.

pub(crate) mod ops;
pub(crate) mod rounds;
pub(crate) mod shares;
pub(crate) mod tasks;
pub(crate) mod upload;
