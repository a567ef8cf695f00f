//! Use cases and wiring: what the node does with the rules and the world.

#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::cast_possible_truncation,
        clippy::print_stderr
    )
)]

mod arrays;
mod backoff;
mod board;
mod bundles;
mod catalogues;
mod certificate;
pub mod contact;
mod context;
mod coordinator;
mod home;
pub mod identities;
mod lines;
mod machine;
mod measured;
pub mod member;
mod monitor;
pub mod node;
pub mod once;
mod owner;
pub mod parallel;
mod peers;
mod reading;
mod registrations;
mod runner;
pub mod snapshots;
pub mod vectors;
mod wallet;

pub use context::{Ports, Settings};
pub use identities::{Identities, Identity, IdentitySettings, vouched};
pub use node::Node;
pub use owner::privacy_report;
pub use runner::noise::{Sum as SmallestSum, dearest_round};
pub use wallet::Wallet;
