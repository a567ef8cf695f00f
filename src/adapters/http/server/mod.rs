//! The server: from a connection to a handler and back.
//!
//! `listen.rs` takes connections, `admission.rs` says who is let in, `routes.rs` finds the handler, `handlers/` answer with what `extract/` has read and checked.

pub(crate) mod admission;
mod board_dto;
pub(crate) mod call;
mod counted;
mod dto;
pub(crate) mod extract;
mod handlers;
pub(crate) mod listen;
pub(crate) mod options;
mod per_address;
mod rejection;
mod reply;
mod request_id;
pub(crate) mod routes;
mod signed;
mod stall;
pub(crate) mod tls;
