//! What both ends of the wire must agree on, and nothing else.

pub(crate) mod compact;
pub(crate) mod headers;
pub(crate) mod seen;
