//! What the node needs from the world, in its own words.
//!
//! One trait a file, with its request and answer types. No transport's, database's or runtime's type appears here.
//! Infrastructure failure ([`PortError`]) and protocol answer never share an enum.

#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::cast_possible_truncation,
        clippy::print_stderr
    )
)]
#![deny(clippy::disallowed_types)]

pub mod author_api;
pub mod blob;
pub mod board_api;
pub mod catalogue;
pub mod certificates;
pub mod certifier;
pub mod clock;
pub mod compute;
pub mod connector;
pub mod entropy;
mod error;
pub mod executor;
pub mod identity;
pub mod journal;
pub mod metrics;
pub mod operator_api;
pub mod owner_api;
pub mod owner_notice;
pub mod peer;
pub mod policy;
pub mod prover;
pub mod snapshots;
pub mod storage;
pub mod tokens;

/// The target of spans that are for traces alone, and not for the log's lines.
pub const TRACES: &str = "delta::traces";

pub use error::{ChainTrouble, PortError, PortErrorKind, UserError, report};
