//! Executes a task's graphs: checked, in a process of their own, by onnxruntime or tract.
//!
//! The node starts a worker for every job ([`OnnxExecutor`] and `process.rs`); the worker walls itself in, checks the graphs again from
//! the bytes, and drives them over the local data ([`worker_main`]). Nothing that a task wrote is parsed in the node's own process.
//! Protocol: docs/protocol/graphs.md. Not here: secure aggregation, storage, and what a bundle is.
//!
//! What must stay true: no runtime sees bytes that `guard` did not write; a worker reads only the datasets of its job.

#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::cast_possible_truncation,
        clippy::print_stderr
    )
)]

mod contain;
mod contract;
mod convert;
mod datasets;
mod drivers;
mod executor;
mod failure;
mod frame;
mod guard;
mod job;
mod library;
mod pb;
#[cfg(feature = "testing")]
pub mod probe;
mod process;
mod records;
mod runtime;
mod shape;
mod table;
mod worker;

pub use contain::{Attempt, Containment, Sandbox};
pub use datasets::{ColumnKind, ColumnProfile, TableProfile};
pub use executor::{ExecutorConfig, OnnxExecutor, RuntimePreference, RuntimeReport};
pub use guard::GraphLimits;
pub use worker::worker_main;
