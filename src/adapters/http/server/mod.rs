//! The server: from a connection to a handler and back.
//!
//! `listen.rs` takes connections, `routes.rs` finds the handler, `handlers/` answer with what `extract/` has read and checked.

pub(crate) mod dto;
pub(crate) mod extract;
pub(crate) mod handlers;
pub(crate) mod listen;
pub(crate) mod reply;
pub(crate) mod routes;
mod stall;
