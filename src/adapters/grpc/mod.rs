//! gRPC: the node's client of a connector in another process, and its client of the prover.
//!
//! CONNECTOR.md sections 1, 2, 8 and 13. [`GrpcConnector`] connects on first use, keeps the connection alive with pings, gives
//! every call a deadline and bounds every answer. It never retries: only the caller knows what is safe to repeat.
//! The server side is in `adapters::connector`, which uses the generated code in [`pb`] as well.

mod client;
mod convert;
mod error;
pub(crate) mod events;
#[doc(hidden)]
pub mod pb;
mod prover;
mod subscribe;
#[cfg(test)]
mod tests;

pub use client::{GrpcConnector, GrpcOptions};
pub use prover::GrpcProver;
