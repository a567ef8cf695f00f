//! The world in memory, for tests of the whole node: deterministic, with failures on demand.

#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::cast_possible_truncation,
        clippy::print_stderr
    )
)]

mod blobs;
mod clock;
mod compute;
mod connector;
mod entropy;
mod executor;
mod faults;
mod journal;
mod peer;
mod storage;
mod tokens;

pub use blobs::MemoryBlobs;
pub use clock::PausedClock;
pub use compute::InPlace;
pub use connector::{
    ChainOptions, ChainTrouble, EventFault, MemoryConnector, Mined, Subscriptions, Write,
};
pub use entropy::SeededEntropy;
pub use executor::{
    CertifiedTable, Contribute, Reduce, ScriptedExecutor, Use, average_into_variables,
};
pub use faults::{FaultScript, When};
pub use journal::{MemoryJournal, MemoryPolicies};
pub use peer::{Chaos, MemoryNetwork, MemoryPeers, PeerFault};
pub use storage::MemoryStorage;
pub use tokens::MemoryTokens;
