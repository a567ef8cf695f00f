//! Tests for nodes of the Delta network, as a library: for this repository's own tests and for those of other crates.
//!
//! - [`contracts`]: what each port promises; run it on an adapter of your own with [`contract_tests!`].
//! - [`round`]: one round of many members, as pure machines, under a scheduler that may be unkind.
//! - [`cluster`]: whole nodes in memory, in virtual time, with faults on demand.
//! - [`facts`]: what a cluster has seen, and what must hold of every run.
//! - [`memory`]: the adapters in memory that all of this stands on.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::cast_possible_truncation,
    reason = "all of it runs in tests, where a failed step is a failed test"
)]

pub mod cluster;
pub mod contracts;
pub mod facts;
pub mod round;

pub use delta_memory as memory;
