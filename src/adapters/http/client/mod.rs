//! The clients: of coordinators (`peers.rs`), and of a node's API for its users (`users.rs`).

mod answer;
mod card_keys;
mod catalogue;
mod identity;
pub(crate) mod notice;
pub(crate) mod peers;
pub(crate) mod tls;
mod upload;
pub(crate) mod url_policy;
pub(crate) mod users;
