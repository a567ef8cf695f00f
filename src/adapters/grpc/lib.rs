//! gRPC: the node's client of a connector in another process, and its client of the prover.
//!
//! CONNECTOR.md sections 1, 2, 8 and 13. [`GrpcConnector`] connects on first use, keeps the connection alive with pings, gives
//! every call a deadline and bounds every answer. It never retries: only the caller knows what is safe to repeat.
//! The server side is in `adapters::connector`, which uses the generated code in [`pb`] as well.

#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::cast_possible_truncation,
        clippy::print_stderr
    )
)]

mod client;
mod convert;
mod error;
#[doc(hidden)]
pub mod events;
#[doc(hidden)]
pub mod pb;
mod prover;
mod subscribe;
#[cfg(test)]
mod tests;

pub use client::{GrpcConnector, GrpcOptions};
pub use prover::GrpcProver;
