//! The server: from a connection to a handler and back.
//!
//! `listen.rs` takes connections, `routes.rs` finds the handler, `handlers/` answer with what `extract/` has read and checked.

pub(crate) mod call;
mod dto;
pub(crate) mod extract;
mod handlers;
pub(crate) mod listen;
pub(crate) mod options;
mod rejection;
mod reply;
pub(crate) mod routes;
mod signed;
mod stall;
